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
from mckean.talk.claims import LEVEL, Chapter, Claim, Figure, Panel, Result, Rival, Series

_STIFFNESS, _ATTRACTION, _CENTRE, _WIDTH, _GAUSSIAN_TIME = 1.0, 1.0, 0.8, 0.4, 0.5
_STRENGTH, _BETA, _CONCENTRATION, _TIME, _NODES, _RECORDS = 2.0, 0.5, 1.0, 0.5, 20, 20
_WIDE = 4
"""Nodes to a cell in which replicas are counted."""
_POWER = {2: "²", 3: "³"}

_CLOSED = "Gaussian laws of N particles in closed form"
_BALANCE = "dH(f|π_N)/dt = −I(f|π_N)/β"
_COUNTS = "χ² test on cells of (X₁, X₂)"


@dataclass(frozen=True)
class Config:
    boxes: tuple[tuple[int, int], ...] = ((2, 120), (3, 64))
    """Numbers of particles, each with the cells along an axis."""
    replicas: int = 65536
    dt: float = 0.00625


def run(config: Config, key, progress) -> Result:
    claims, panels = [], []
    for i, part in enumerate((_gaussian, _rotators)):
        found = part(config, key)
        claims += found[0]
        panels += found[1]
        progress((i + 1) / 2)
    caption = (
        "Left: Ornstein–Uhlenbeck particles with attraction, relative entropy of their law to the Gibbs measure; it "
        "falls at the rate 2a at least, whatever N. Middle: the same of rotators below the transition (βK = 1), per "
        "particle, and the limit's free energy. Right: the law of one of N rotators at the end."
    )
    return Result(claims, [Figure(caption, panels)])


def _gaussian(config: Config, key):
    """Ornstein–Uhlenbeck with attraction on boxes, by explicit finite volumes."""
    claims, series = [], []
    for n, cells in config.boxes:
        times, entropy, chaos, h = _gaussian_run(n, cells)
        claims += _gaussian_claims(n, times, entropy, chaos, h)
        series += [
            Series(times, entropy, f"N = {n}, ${cells}^{n}$ cells", kind="points"),
            Series(times, [_entropy(n, t) for t in times], f"N = {n}, exact"),
        ]
    return claims, [Panel("time t", r"$H(f_t\,|\,\pi_N)$", series, yscale="log")]


def _gaussian_run(n: int, cells: int):
    """Times, H(f_t|π_N) there, the entropy of chaos of a pair per particle at the end, and h."""
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
    chaos = entropy_of_chaos(found.final, Density.from_law(grid, Gaussian(*_alone(_GAUSSIAN_TIME))), 2)
    return np.asarray(found.times), np.asarray(found.observed["H"]), float(chaos), grid.spacing[0]


def _alone(t: float) -> tuple[float, float]:
    """Mean and variance of one particle in the limit."""
    return mean(t, _CENTRE, _STIFFNESS), variance(t, _WIDTH, _STIFFNESS, _ATTRACTION, 1.0)


def _entropy(n: int, t: float) -> float:
    """H(f_t|π_N): of the centre √N x̄, and N − 1 times of a direction across."""
    (v, w), (across, still) = (
        [variance(s, _WIDTH, _STIFFNESS, c, 1.0) for s in (t, math.inf)] for c in (0.0, _ATTRACTION)
    )  # fmt: skip
    shift = n * mean(t, _CENTRE, _STIFFNESS) ** 2
    return _gaussian_entropy(shift, v, w) + (n - 1) * _gaussian_entropy(0.0, across, still)


def _gaussian_entropy(square: float, v: float, w: float) -> float:
    """H(N(m, v) | N(0, w)), m² given."""
    return 0.5 * (v / w - 1 - math.log(v / w) + square / w)


def _pair(n: int, t: float, k: int = 2) -> float:
    """H(f²|μ^{⊗2})/2; with k = 1 as if the excess of a pair's variance were that of one particle."""
    return marginal_entropy(marginal_excess(k, n, _STIFFNESS, _ATTRACTION, 1.0, t, _WIDTH)) / 2


def _slowness(n: int, h: float) -> float:
    """The largest share by which the grid slows a relaxation, up to order h⁴.

    With the force f_i = −(Kx)_i, K the matrix of ∇²H_N, the flux of Scharfetter and Gummel is that of the equation with
    β⁻¹ + βh²f_i²/12 in the place of β⁻¹ and the mean of ρ over two cells. So means obey m_i′ = −(Km)_i(1 − βh²K_ii/6),
    and variances relax at the rate 2k(1 − βh²k/4) where K is diagonal, k ≤ K_ii: equilibria stay as they are.
    """
    return h * h * (_STIFFNESS + _ATTRACTION * (1 - 1 / n)) / 4


def _gaussian_claims(n: int, times, entropy, chaos: float, h: float) -> list[Claim]:
    slow, t = _slowness(n, h), _GAUSSIAN_TIME
    exact, before = _entropy(n, t), _entropy(n, t * (1 - slow))
    m, v = _alone(t)
    alone = n * _gaussian_entropy(m * m, v, _alone(math.inf)[1])
    pair = _pair(n, t)
    rates = -np.diff(np.log(entropy)) / np.diff(times)
    origin = "the grid delays relaxations by a share βh²K_ii/4, K = ∇²H_N"
    return [
        Claim(
            statement=f"For $N = {n}$ the relative entropy $H(f_t|\\pi_N)$ at time {t:g} is that of the closed form: "
            "their quotient",
            predicted=1.0,
            measured=float(entropy[-1]) / exact,
            tolerance=before / exact - 1,
            origin=origin,
            excludes=Rival("N independent particles that move as in the limit", alone / exact),
            reference=_CLOSED,
        ),
        Claim(
            statement=f"For $N = {n}$ a pair is as far from independent as the closed form says: the quotient of the "
            "entropies of chaos",
            predicted=1.0,
            measured=chaos / pair,
            tolerance=abs(_pair(n, t * (1 - slow)) / pair - 1) + _shift(t, slow) / pair,
            origin=origin + ", and the square of the delay of the mean",
            excludes=Rival("the excess of a variance is 1/N, not k/N", _pair(n, t, 1) / pair),
            reference="(x − log(1 + x))/2, x = (2/N)(v_c − v)/v",
        ),
        Claim(
            statement=f"For $N = {n}$ the relative entropy $H(f_t|\\pi_N)$ falls at a rate of $2a$ or more: least rate",
            predicted=2 * _STIFFNESS,
            measured=float(rates.min()),
            tolerance=2 * _STIFFNESS * slow,
            origin=origin,
            excludes=Rival("the rate a of a distance, not of its square", _STIFFNESS),
            reference="Bakry–Émery, the same for every N",
            relation="at least",
        ),
    ]


def _shift(t: float, slow: float) -> float:
    """(δm)²/2v, what a delay of the mean adds to the entropy of chaos of a pair, per particle."""
    m, v = _alone(t)
    return (_alone(t * (1 - slow))[0] - m) ** 2 / (2 * v)


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
    drop = entropy[0] - entropy[-1]
    return [
        Claim(
            statement=f"The relative entropy $H(f_0|\\pi_N)$ of {n} independent rotators is that of the closed form",
            predicted=_of_independent(n, _STRENGTH),
            measured=float(entropy[0]),
            tolerance=1e-8,
            origin="sums over nodes of analytic functions; rounding",
            excludes=Rival("H_N without the ½ before the pairs", _of_independent(n, 2 * _STRENGTH)),
            reference="closed form, by log Z_N",
        ),
        Claim(
            statement=f"For $N = {n}$ rotators $E\\,e^{{i\\sum x_j}}$ decays at the rate $N/\\beta$, whatever K: rate",
            predicted=n / _BETA,
            measured=rate,
            tolerance=1e-7,
            origin="spectral accuracy; forces of pairs cancel in the sum",
            excludes=Rival("forces that do not cancel, N(1 − βK/2)/β", n * (1 - _BETA * _STRENGTH / 2) / _BETA),
            reference="the sum is a Brownian motion",
        ),
        Claim(
            statement=f"For $N = {n}$ rotators the fall of $H(f|\\pi_N)$ is $\\beta\\int D\\,dt$: their quotient",
            predicted=1.0,
            measured=1 + balance / drop,
            tolerance=2 * _simpson(times[1] - times[0]),
            origin="Simpson's rule, of order 4, twice its error for rotators that do not interact",
            excludes=Rival("no factor β", 1 / _BETA),
            reference=_BALANCE,
        ),
        Claim(
            statement=f"For $N = {n}$ rotators $H(f|\\pi_N)$ never rises: largest change between records",
            predicted=0.0,
            measured=float(np.diff(entropy).max()),
            tolerance=1e-13,
            origin="rounding of H",
            excludes=Rival("Liouville's equation without noise, which keeps the entropy", 0.0),
            reference=_BALANCE,
            relation="at most",
        ),
    ]


def _simpson(h: float) -> float:
    """The relative error of Simpson's rule in ∫D dt for rotators without interaction, Σ s_j(λ_jh)⁴/180.

    The mode j of the density has the share s_j of H, as the square of its size, and falls in it at λ_j = 2j²/β.
    """
    j = np.arange(1, 9)
    size = (special.ive(j, _CONCENTRATION) / special.ive(0, _CONCENTRATION)) ** 2
    return float(size @ (2 * j**2 / _BETA * h) ** 4 / (180 * size.sum()))


def _of_independent(n: int, strength: float) -> float:
    """H(μ^{⊗N}|π_N) = N∫μ log μ + βE H_N + log Z_N, with E H_N = −(K/2)(1 + (N − 1)r²), for a von Mises law."""
    r = float(special.ive(1, _CONCENTRATION) / special.ive(0, _CONCENTRATION))
    entropy = _CONCENTRATION * r - math.log(2 * math.pi * special.iv(0, _CONCENTRATION))
    energy = -0.5 * strength * (1 + (n - 1) * r * r)
    return n * entropy + _BETA * energy + log_partition(n, strength, _BETA)


def _limit_claims(laws, flow) -> list[Claim]:
    modes, limit = {n: _first_mode(marginal(law.final, 1, 1)) for n, law in laws.items()}, _first_mode(flow.final)
    last, before = _extrapolate(modes), 3 * modes[3] - 2 * modes[2]
    # One rotator feels no force: its law is known.
    gap = float(special.ive(1, _CONCENTRATION) / special.ive(0, _CONCENTRATION)) * math.exp(-_TIME / _BETA) - limit
    slower = limit + _extrapolate({n: gap / math.sqrt(n) for n in (1, 2, 3)})
    return [
        Claim(
            statement="The law of one of N rotators tends to the limit's in powers of $1/N$: $E\\cos(X_1 - 1)$ of "
            "N = 1, 2, 3 at the end, continued to $N = \\infty$",
            predicted=limit,
            measured=last,
            tolerance=abs(last - before),
            origin="the last correction: N = 1, 2, 3 against N = 2, 3",
            from_run=True,
            excludes=Rival("a gap of order 1/√N", slower),
            reference="McKean–Vlasov equation",
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
    total = counts.sum()
    on_grid, independent = (
        float(stats.chisquare(counts.ravel(), (p * total / p.sum()).ravel()).pvalue)
        for p in (joint, np.outer(one, one))
    )
    return [
        Claim(
            statement="The grid's law of two of three rotators is that of replicas: p-value",
            predicted=LEVEL,
            measured=on_grid,
            excludes=Rival("two independent rotators with the same law of one", independent),
            reference=_COUNTS,
            relation="at least",
        ),
        Claim(
            statement="Replicas reject the independence of two of three rotators: p-value",
            predicted=LEVEL,
            measured=independent,
            excludes=Rival("independent rotators, whose p-value has the median ½", 0.5),
            reference=_COUNTS,
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
        + "; ".join(f"N = {n} with {m}{_POWER[n]} cells" for n, m in c.boxes)
        + f". Kuramoto (K = {_STRENGTH:g}, β = {_BETA:g}) from a von Mises law on "
        f"{_NODES}^N nodes, N = 1, 2, 3, up to T = {_TIME:g}, dt = {c.dt:g}; {c.replicas} replicas of three particles "
        "by Heun's scheme."
    ),
    run=run,
    config=Config(),
    quick=Config(((3, 36),), 16384, 0.0125),
    references=(
        "H. P. McKean, Proc. Natl. Acad. Sci. 56, 1966.",
        "D. Lacker, Hierarchies, entropy, and quantitative propagation of chaos, arXiv 2105.02983.",
        "D. Bakry, I. Gentil and M. Ledoux, Analysis and Geometry of Markov Diffusion Operators, 2014.",
    ),
)
