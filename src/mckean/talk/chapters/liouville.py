"""Chapter: the law of two and three particles on a grid, against closed forms, replicas and the limit equation."""

import math
from dataclasses import dataclass

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy import special, stats

from mckean import catalogue, observables
from mckean.catalogue.mean_reversion import marginal_entropy, marginal_excess, mean, variance
from mckean.catalogue.oscillators import log_partition
from mckean.dynamics import FiniteVolume, evolve, gibbs_density, liouville
from mckean.energetics import energy_balance
from mckean.measures import Density, Gaussian, VonMises, entropy_of_chaos, marginal, relative_entropy, tensor_power
from mckean.paths import Brownian
from mckean.spaces import Euclidean, Torus
from mckean.statistics import replicate
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Series

_STIFFNESS, _ATTRACTION, _CENTRE, _WIDTH, _GAUSSIAN_TIME = 1.0, 1.0, 0.8, 0.4, 0.5
_STRENGTH, _BETA, _CONCENTRATION, _TIME, _NODES, _RECORDS = 1.0, 1.0, 1.0, 1.0, 20, 20
_WIDE = 4
"""Nodes to a cell in which replicas are counted."""
_POWER = {2: "²", 3: "³"}

_CLOSED = "Gaussian laws of N particles in closed form"
_BALANCE = "dH(f|π_N)/dt = −I(f|π_N)/β"


@dataclass(frozen=True)
class Config:
    boxes: tuple[tuple[int, tuple[int, int]], ...] = ((2, (60, 120)), (3, (32, 64)))
    """Numbers of particles, each with cells along an axis of a coarse and a fine grid."""
    replicas: int = 65536
    dt: float = 0.0125


def run(config: Config, key, progress) -> Result:
    claims, panels = [], []
    for i, part in enumerate((_gaussian, _rotators)):
        found = part(config, key)
        claims += found[0]
        panels += found[1]
        progress((i + 1) / 2)
    caption = (
        "Left: Ornstein–Uhlenbeck particles with attraction, relative entropy of their law to the Gibbs measure; it "
        "falls at the rate 2a at least, whatever N. Middle: the same of rotators below the transition (K = β = 1), per "
        "particle, and the limit's free energy. Right: the law of one of N rotators at time 1."
    )
    return Result(claims, [Figure(caption, panels)])


def _gaussian(config: Config, key):
    """Ornstein–Uhlenbeck with attraction on boxes, by explicit finite volumes on two grids."""
    claims, series = [], []
    for n, cells in config.boxes:
        coarse, fine = (_gaussian_run(n, m) for m in cells)
        claims += _gaussian_claims(n, cells, coarse, fine)
        times, entropy, _ = fine
        series += [
            Series(times, entropy, f"N = {n}, ${cells[1]}^{n}$ cells", kind="points"),
            Series(times, _entropies(n, times), f"N = {n}, exact"),
        ]
    return claims, [Panel("time t", r"$H(f_t\,|\,\pi_N)$", series, yscale="log")]


def _gaussian_run(n: int, cells: int):
    """Times, H(f_t|π_N) there, and the entropies of chaos per particle at the end."""
    model = catalogue.ornstein_uhlenbeck(_STIFFNESS, _ATTRACTION, 1.0).model
    grid = Euclidean(1).grid(cells, -5.0, 5.0)
    system, start = liouville(model, n), tensor_power(Density.from_law(grid, Gaussian(_CENTRE, _WIDTH)), n)
    limit = gibbs_density(system, start.grid)
    # The walls' corners, where the force is largest, allow h²/20.
    steps = 10 * math.ceil(2 * _GAUSSIAN_TIME / grid.spacing[0] ** 2)
    found = evolve(
        system, start, until=_GAUSSIAN_TIME, dt=_GAUSSIAN_TIME / steps, every=steps // 10,
        observe={"H": lambda _, f: relative_entropy(f, limit)}, scheme=FiniteVolume("explicit"),
    )  # fmt: skip
    end = mean(_GAUSSIAN_TIME, _CENTRE, _STIFFNESS)
    alone = Gaussian(end, variance(_GAUSSIAN_TIME, _WIDTH, _STIFFNESS, _ATTRACTION, 1.0))
    chaos = entropy_of_chaos(found.final, Density.from_law(grid, alone), 2)
    return np.asarray(found.times), np.asarray(found.observed["H"]), float(chaos)


def _entropies(n: int, times) -> np.ndarray:
    """H(f_t|π_N): of the centre √N x̄, and N − 1 times of a direction across."""
    found = []
    for t in times:
        v, w = (
            [variance(s, _WIDTH, _STIFFNESS, c, 1.0) for s in (t, math.inf)] for c in (0.0, _ATTRACTION)
        )  # fmt: skip
        shift = n * mean(t, _CENTRE, _STIFFNESS) ** 2
        found.append(_gaussian_entropy(shift, *v) + (n - 1) * _gaussian_entropy(0.0, *w))
    return np.array(found)


def _gaussian_entropy(square: float, v: float, w: float) -> float:
    """H(N(m, v) | N(0, w)), m² given."""
    return 0.5 * (v / w - 1 - math.log(v / w) + square / w)


def _gaussian_claims(n: int, cells, coarse, fine) -> list[Claim]:
    times, entropy, chaos = fine
    exact = _entropies(n, times)
    share = 1.5 / ((cells[1] / cells[0]) ** 2 - 1)
    origin = "order h²: half as much again as Richardson's estimate from the coarser grid"
    gap = np.abs(entropy / exact - 1)
    x = marginal_excess(2, n, _STIFFNESS, _ATTRACTION, 1.0, _GAUSSIAN_TIME, _WIDTH)
    rates = -np.diff(np.log(entropy)) / np.diff(times)
    least = -np.diff(np.log(_entropies(n, times))) / np.diff(times)
    return [
        Claim(
            statement=f"N = {n}: largest relative error of H(f_t|π_N) along the run",
            predicted=0.0,
            measured=float(gap.max()),
            tolerance=share * float(np.abs(entropy / coarse[1] - 1).max()),
            origin=origin,
            reference=_CLOSED,
        ),
        Claim(
            statement=f"N = {n}: entropy of chaos of a pair per particle, H(f²|μ⊗²)/2",
            predicted=marginal_entropy(x) / 2,
            measured=chaos,
            tolerance=share * abs(chaos - coarse[2]),
            origin=origin,
            reference="(x − log(1 + x))/2, x = (2/N)(v_c − v)/v",
        ),
        Claim(
            statement=f"N = {n}: least rate of decay of H(f_t|π_N)",
            predicted=2 * _STIFFNESS,
            measured=float(rates.min()),
            tolerance=float(np.abs(rates - least).max()),
            origin="the rates' error against the closed form",
            reference="Bakry–Émery, the same for every N",
            relation="at least",
        ),
    ]


def _rotators(config: Config, key):
    """Kuramoto below the transition, by the spectral scheme: N = 1, 2, 3, the limit, and replicas of three."""
    model, start = catalogue.kuramoto(_STRENGTH, _BETA).model, VonMises(Torus(1), 1.0, _CONCENTRATION)
    density = Density.from_law(Torus(1).grid(_NODES), start)
    laws = {n: _rotator_run(config, model, density, n) for n in (1, 2, 3)}
    every = round(_TIME / config.dt / _RECORDS)
    flow = evolve(model, density, until=_TIME, dt=config.dt, every=every, observe={"F": observables.free_energy})
    counts = _count(config, model, start, key)
    claims = [claim for n in (2, 3) for claim in _rotator_claims(n, laws[n])]
    claims += _limit_claims(laws, flow)
    return claims + _replica_claims(laws[3].final, counts), _rotator_panels(laws, flow, counts)


def _rotator_run(config: Config, model, density: Density, n: int):
    system, start = liouville(model, n), tensor_power(density, n)
    limit = gibbs_density(system, start.grid)
    observe = {
        "H": lambda _, f: relative_entropy(f, limit),
        "turn": lambda _, f: f.integrate(lambda x: jnp.exp(1j * jnp.sum(x))),
        "D": observables.dissipation,
    }
    return evolve(system, start, until=_TIME, dt=config.dt, every=round(_TIME / config.dt / _RECORDS), observe=observe)


def _rotator_claims(n: int, law) -> list[Claim]:
    times, entropy, lost = (np.asarray(a) for a in (law.times, law.observed["H"], law.observed["D"]))
    turn = np.asarray(law.observed["turn"])
    rate = -math.log(abs(turn[-1] / turn[0])) / _TIME
    balance = energy_balance(times, entropy, _BETA * lost)[-1]
    coarse = energy_balance(times[::2], entropy[::2], _BETA * lost[::2])[-1]
    drop = entropy[0] - entropy[-1]
    return [
        Claim(
            statement=f"N = {n} rotators: H(f_0|π_N) of independent ones",
            predicted=_of_independent(n),
            measured=float(entropy[0]),
            tolerance=1e-8,
            origin="quadrature of log Z_N and of the von Mises law",
            reference="closed form, by log Z_N",
        ),
        Claim(
            statement=f"N = {n} rotators: rate of decay of E e^(iΣx)",
            predicted=n / _BETA,
            measured=rate,
            tolerance=1e-7,
            origin="spectral accuracy; forces of pairs cancel in the sum",
            reference="the sum is a Brownian motion",
        ),
        Claim(
            statement=f"N = {n} rotators: β∫D dt over the fall of H(f|π_N)",
            predicted=1.0,
            measured=1 + balance / drop,
            tolerance=abs(balance - coarse) / drop,
            origin="Simpson's rule: its change from twice the records' step",
            reference=_BALANCE,
        ),
        Claim(
            statement=f"N = {n} rotators: largest rise of H(f|π_N) between records",
            predicted=0.0,
            measured=float(np.diff(entropy).max()),
            tolerance=1e-13,
            origin="rounding of H",
            reference=_BALANCE,
            relation="at most",
        ),
    ]


def _of_independent(n: int) -> float:
    """H(μ^{⊗N}|π_N) = N∫μ log μ + βE H_N + log Z_N, with E H_N = −(K/2)(1 + (N − 1)r²), for a von Mises law."""
    r = float(special.ive(1, _CONCENTRATION) / special.ive(0, _CONCENTRATION))
    entropy = _CONCENTRATION * r - math.log(2 * math.pi * special.iv(0, _CONCENTRATION))
    energy = -0.5 * _STRENGTH * (1 + (n - 1) * r * r)
    return n * entropy + _BETA * energy + log_partition(n, _STRENGTH, _BETA)


def _limit_claims(laws, flow) -> list[Claim]:
    modes, limit = {n: _first_mode(marginal(law.final, 1, 1)) for n, law in laws.items()}, _first_mode(flow.final)
    last, before = _extrapolate(modes), 3 * modes[3] - 2 * modes[2]
    gaps = [abs(modes[n] - limit) * n for n in (2, 3)]
    return [
        Claim(
            statement="E cos(X₁ − 1) of N = 1, 2, 3 rotators at time 1, continued to N = ∞",
            predicted=limit,
            measured=last,
            tolerance=abs(last - before),
            origin="the last correction: N = 1, 2, 3 against N = 2, 3",
            reference="McKean–Vlasov equation",
        ),
        Claim(
            statement="N·|E cos(X₁ − 1) − limit| of three over that of two rotators",
            predicted=1.0,
            measured=gaps[1] / gaps[0],
            tolerance=1 / 3,
            origin="1/N corrections, relative",
            reference="gap of one particle's law of order 1/N",
        ),
    ]


def _extrapolate(values: dict[int, float]) -> float:
    """The parabola in 1/N through N = 1, 2, 3, at 1/N = 0."""
    return 0.5 * values[1] - 4 * values[2] + 4.5 * values[3]


def _first_mode(mu: Density) -> float:
    return float(mu.integrate(lambda x: jnp.cos(x[0] - 1.0)))


def _count(config: Config, model, start, key) -> np.ndarray:
    """Replicas of three particles: in which cells the first two are, shape (cells, cells)."""
    one = eqx.Partial(_ends, model=model, start=start, dt=2 * config.dt)
    x = np.asarray(replicate(one, key, config.replicas, batch=config.replicas // 8))
    width = 2 * math.pi * _WIDE / _NODES
    at = np.floor((x[:, :2] + width / 2) / width).astype(int) % (_NODES // _WIDE)
    counts = np.zeros((_NODES // _WIDE,) * 2)
    np.add.at(counts, tuple(at.T), 1)
    return counts


def _ends(key, *, model, start, dt: float):
    first, noise = jax.random.split(key)
    cloud = start.sample(first, 3)
    return evolve(model, cloud, until=_TIME, dt=dt, path=Brownian(noise), scheme=diffrax.Heun()).final.positions[:, 0]


def _in_cells(f: Density) -> np.ndarray:
    """∫f over cells centred at every fourth node, of the trigonometric polynomial: exact."""
    values = np.asarray(f.values)
    mode = np.fft.fftfreq(_NODES, 1 / _NODES)
    window = np.sinc(mode * _WIDE / _NODES) * _WIDE * 2 * math.pi / _NODES
    for axis in range(values.ndim):
        shape = [-1 if i == axis else 1 for i in range(values.ndim)]
        values = np.fft.ifft(np.fft.fft(values, axis=axis) * window.reshape(shape), axis=axis).real
    return values[(slice(None, None, _WIDE),) * values.ndim]


def _replica_claims(law: Density, counts: np.ndarray) -> list[Claim]:
    joint, one = _in_cells(marginal(law, 2, 1)), _in_cells(marginal(law, 1, 1))
    total, reference = counts.sum(), "χ² test on cells of (X₁, X₂)"
    values = [
        float(stats.chisquare(counts.ravel(), (p * total / p.sum()).ravel()).pvalue)
        for p in (joint, np.outer(one, one))
    ]
    return [
        Claim(
            statement="p-value of the grid's law of a pair of three rotators, by replicas",
            predicted=1e-3,
            measured=values[0],
            origin="below 10⁻³ by chance once in 1000 runs; Heun's weak error is of order 2",
            reference=reference,
            relation="at least",
        ),
        Claim(
            statement="p-value of independence, with the same marginals",
            predicted=1e-6,
            measured=values[1],
            origin="three particles are not independent, and the test sees it",
            reference=reference,
            relation="at most",
        ),
    ]


def _rotator_panels(laws, flow, counts: np.ndarray) -> list[Panel]:
    fine = np.linspace(0, 2 * math.pi, 201)
    uniform = -math.log(2 * math.pi) / _BETA
    entropies = [Series(law.times, law.observed["H"] / n, f"N = {n}") for n, law in laws.items()]
    gap = _BETA * (np.asarray(flow.observed["F"]) - uniform)
    entropies.append(Series(flow.times, gap, r"$\beta(F(\mu_t) - F^*)$", kind="dashed"))
    densities = [Series(fine, _along(marginal(law.final, 1, 1), fine), f"N = {n}") for n, law in laws.items()]
    densities.append(Series(fine, _along(flow.final, fine), "limit", kind="dashed"))
    width, share = 2 * math.pi * _WIDE / _NODES, counts.sum(1) / counts.sum()
    error = np.sqrt(share * (1 - share) / counts.sum()) / width
    centres = np.arange(len(share)) * width
    means = Series(centres, share / width, "N = 3, replicas, mean of a cell", error, "points")
    cells = _in_cells(marginal(laws[3].final, 1, 1)) / width
    densities += [means, Series(centres, cells, "N = 3, grid, the same mean", kind="points")]
    return [
        Panel("time t", "relative entropy per particle", entropies, yscale="log"),
        Panel("angle x (rad)", "density of one particle (1/rad)", densities),
    ]


def _along(mu: Density, x: np.ndarray) -> np.ndarray:
    """The trigonometric interpolant."""
    mode = np.fft.fftfreq(_NODES, 1 / _NODES)
    return (np.exp(1j * np.outer(x, mode)) @ np.fft.fft(np.asarray(mu.values))).real / _NODES


CHAPTER = Chapter(
    name="liouville",
    title="The law of N particles",
    statement=(
        "Before any limit, the law $f_t$ of all $N$ particles solves a linear equation in dimension $Nd$, "
        "$$\\partial_t f = \\nabla\\cdot(f\\nabla H_N) + \\beta^{-1}\\Delta f,\\qquad "
        "H_N(x) = \\sum_i V(x_i) + \\frac1{2N}\\sum_{i,j} W(x_i - x_j),$$ and its relative entropy to the "
        "Gibbs measure $\\pi_N \\propto e^{-\\beta H_N}$ falls, "
        "$\\frac{d}{dt}H(f_t|\\pi_N) = -\\beta^{-1} I(f_t|\\pi_N)$. Per particle it tends to the free energy of the "
        "limit, $\\frac1N H(f_t|\\pi_N) \\to \\beta(F(\\mu_t) - F^*)$, and the law of one particle to $\\mu_t$, with a "
        "gap of order $1/N$. For two and three particles on a line or a circle the equation can be solved on a grid."
    ),
    what=lambda c: (
        f"Ornstein–Uhlenbeck (a = c = β = 1) from Gaussian particles of mean {_CENTRE} on boxes, "
        + "; ".join(f"N = {n} with {a}{_POWER[n]} and {b}{_POWER[n]} cells" for n, (a, b) in c.boxes)
        + f". Kuramoto (K = β = 1) from a von Mises law on "
        f"{_NODES}^N nodes, N = 1, 2, 3, up to T = {_TIME:g}, dt = {c.dt:g}; {c.replicas} replicas of three particles "
        "by Heun's scheme."
    ),
    run=run,
    config=Config(),
    quick=Config(((3, (24, 36)),), 16384, 0.025),
    references=(
        "H. P. McKean, Proc. Natl. Acad. Sci. 56, 1966.",
        "D. Lacker, Hierarchies, entropy, and quantitative propagation of chaos, arXiv 2105.02983.",
        "D. Bakry, I. Gentil and M. Ledoux, Analysis and Geometry of Markov Diffusion Operators, 2014.",
    ),
)
