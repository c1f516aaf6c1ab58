"""Chapter: singular interactions. The log gas and its semicircle; Keller–Segel, its second moment and threshold."""

import math
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mckean.catalogue.chemotaxis import critical_strength, keller_segel, logarithm
from mckean.catalogue.random_matrices import equilibrium, log_gas, semicircle
from mckean.dynamics import FiniteVolume, evolve
from mckean.interactions import kernels
from mckean.measures import Density, Gaussian, Particles
from mckean.models import Model, langevin
from mckean.paths import Brownian
from mckean.spaces import Euclidean
from mckean.statistics import average, replicate
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Rival, Series
from mckean.transport import wasserstein

_STIELTJES = "Stieltjes; Szegő, Orthogonal polynomials, section 6.7"
_PLANE = "Blanchet, Dolbeault and Perthame 2006; Fournier and Jourdain 2017"
# N²W₂² → ∫1/12ρ dx + ∫(x − (2F − 1)/ρ)²ρ dx/16 = π²/12 + π²/48; see `_distances`.
_LIMIT = 5 * math.pi**2 / 48
_FINE = 2000


@dataclass(frozen=True)
class Config:
    gas: int = 64
    sizes: tuple[int, ...] = (32, 64, 128, 256)
    cells: int = 200
    strengths: tuple[float, ...] = (0.5, 1.5)
    clouds: tuple[tuple[int, int], ...] = ((4, 4096), (100, 256))
    core: float = 0.1
    dt: float = 0.005
    plane: int = 48


def run(config: Config, key, progress) -> Result:
    gas, gas_claims = _gas(config)
    progress(0.3)
    line, line_claims = _line(config)
    progress(0.5)
    plane, plane_claims = _plane(config)
    progress(0.7)
    cloud, cloud_claims = _cloud(config, key)
    figures = [_gas_figure(config, *gas), _segel_figure(line, plane, cloud)]
    return Result([*gas_claims, *line_claims, *plane_claims, *cloud_claims], figures)


def _gas(config: Config):
    """Particles at rest against Hermite's zeros; their distance to the semicircle; the law by finite volumes."""
    n, model = config.gas, log_gas().model
    # Euler's step is stable up to 2/Na, Na the stiffest rate at rest; the slowest is a: e^{−40} is below rounding.
    steps = math.ceil(40 * n / 1.0)
    start = jnp.linspace(-1.5, 1.5, n)[:, None]
    rest = evolve(model, Particles(model.space, start), until=40.0, dt=40.0 / steps).final
    error = float(np.abs(np.asarray(rest.positions) - equilibrium(n, 1.0, 1.0)).max())
    distances = _distances(config)
    grid = Euclidean(1).grid(config.cells, -2.5, 2.5)
    box = Density.from_law(grid, Gaussian(0.0, 0.2))
    law = evolve(model, box, until=6.0, dt=0.02, scheme=FiniteVolume()).final
    circle = semicircle(grid, 1.0, 1.0)
    h = 5.0 / config.cells
    limit, spread = _extrapolate(distances)
    claims = [
        Claim(
            statement=f"{n} particles come to rest at the zeros of Hermite's polynomial: largest distance",
            predicted=0.0,
            measured=error,
            tolerance=1e-12,
            origin="rounding of sums over N pairs",
            excludes=Rival("the quantiles (k − ½)/N of the semicircle", _off_quantiles(n)),
            reference=_STIELTJES,
        ),
        Claim(
            statement="The zeros tend to the semicircle as $1/N$: $N^2 W_2^2$, continued to $N = \\infty$",
            predicted=_LIMIT,
            measured=limit,
            tolerance=2 * spread,
            origin="extrapolation in N^(−1/3), the edge's share: twice the last change of the extrapolated value",
            from_run=True,
            excludes=Rival("zeros at the quantiles (k − ½)/N, π²/12", math.pi**2 / 12),
            reference="from the phase of Hermite's functions (WKB): 5π²/48",
        ),
        Claim(
            statement="The law by finite volumes comes to the semicircle: $W_2$",
            predicted=0.0,
            measured=wasserstein(law, circle),
            tolerance=h,
            origin="a cell: upwind fluxes are of order h",
            excludes=Rival(
                "the Gaussian of that variance", wasserstein(Density.from_law(grid, Gaussian(0.0, 0.5)), circle)
            ),
            reference="Wigner; Rogers and Shi 1993",
        ),
    ]
    return (rest, distances, law), claims


def _off_quantiles(n: int) -> float:
    """The largest distance of Hermite's zeros over √N from the quantiles (k − ½)/N of the semicircle."""
    x = math.sqrt(2) * np.linspace(-1, 1, 40_001)
    below = 0.5 + (x * np.sqrt(np.maximum(2 - x * x, 0)) / 2 + np.arcsin(x / math.sqrt(2))) / math.pi
    middles = np.interp((np.arange(n) + 0.5) / n, below, x)
    return float(np.abs(np.sort(np.ravel(equilibrium(n, 1.0, 1.0))) - middles).max())


def _distances(config: Config) -> dict[int, float]:
    """W₂ of the zeros to the semicircle.

    The k-th zero has √(2N + 1 − z²) as its phase, ∫_z^√(2N+1) = (k − ¼)π, and the k-th part of the semicircle its
    middle at the level (k − ½)/N. Both are at distance (x − (2F − 1)/ρ)/4N; the width 1/Nρ of the part adds its
    variance.
    """
    reach = math.sqrt(2.0)
    circle = semicircle(Euclidean(1).grid(_FINE * 4, -reach, reach), 1.0, 1.0)
    zeros = {n: Particles(Euclidean(1), jnp.asarray(equilibrium(n, 1.0, 1.0))) for n in config.sizes}
    return {n: wasserstein(x, circle) for n, x in zeros.items()}


def _extrapolate(distances: dict[int, float]) -> tuple[float, float]:
    """N²W₂² by two-point extrapolations in N^(−1/3): the last, and its change from the one before.

    The parts near an edge, of width N^(−2/3), are where neither the phase nor a uniform density is right; their share
    of N²W₂² is of the order N² N^(−1) N^(−4/3).
    """
    sizes = np.array(list(distances), float)
    n, y = sizes ** (-1 / 3), (sizes * np.array(list(distances.values()))) ** 2
    limits = y[1:] - n[1:] * np.diff(y) / np.diff(n)
    return float(limits[-1]), float(abs(limits[-1] - limits[-2]))


def _spread(model: Model, mu) -> jax.Array:
    centre = mu.integrate(lambda x: x)
    return mu.integrate(lambda x: jnp.sum((x - centre) ** 2))


_OBSERVE = {"spread": _spread}


def _law(model: Model, grid, variance: float, until: float, dt: float):
    d = grid.space.dim
    start = Density.from_law(grid, Gaussian(np.zeros(d), variance * np.eye(d)))
    flow = evolve(model, start, until=until, dt=dt, observe=_OBSERVE, every=max(1, round(until / dt / 10)),
                  scheme=FiniteVolume(edge_tolerance=1e-4))  # fmt: skip
    return np.asarray(flow.times), np.asarray(flow.observed["spread"])


def _slope(times, values) -> float:
    return float((values[-1] - values[0]) / (times[-1] - times[0]))


def _laws(config: Config, space, grid, variance: float, until: float, dt: float):
    """The spread below and above the threshold, and the threshold at which its measured slope changes sign."""
    critical = critical_strength(1.0, space)
    runs = {s: _law(keller_segel(s * critical, space=space).model, grid, variance, until, dt) for s in config.strengths}
    slopes = np.array([_slope(*r) for r in runs.values()])
    s = np.array(config.strengths)
    return runs, slopes, float((s[0] * slopes[1] - s[1] * slopes[0]) / (slopes[1] - slopes[0]))


def _law_claims(name: str, dim: int, config: Config, runs, slopes, root: float, near: float, dt: float) -> list[Claim]:
    """`near`: the share of pairs in one cell or next to each other, which see differences of W for ∇W."""
    least = min(float(q.min()) for _, q in runs.values())
    pulls = [2 * dim * s for s in config.strengths]
    # W, frozen over a step, lags by dt at the rate c/Q at which the attraction moves the law.
    slacks = [c * (near + dt * c / least) for c in pulls]
    origin = "pairs in neighbouring cells, and W frozen over a step: c(share + dt c/Q)"
    claims = [
        Claim(
            statement=f"The spread of the law {name} moves at the rate $2d(1 - \\chi/\\chi_c)$, "
            f"$\\chi = {s:g}\\,\\chi_c$: $dQ/dt$",
            predicted=2 * dim * (1 - s),
            measured=float(slope),
            tolerance=slack,
            origin=origin,
            from_run=True,
            excludes=Rival("half of the attraction", 2 * dim * (1 - s / 2)),
            reference=_PLANE,
        )
        for s, slope, slack in zip(config.strengths, slopes, slacks, strict=True)
    ]
    steepness = abs(np.diff(slopes)[0]) / abs(np.diff(config.strengths)[0])
    return [
        *claims,
        Claim(
            statement=f"The law {name} stops to spread at $\\chi_c$: the $\\chi/\\chi_c$ at which $dQ/dt$ changes sign",
            predicted=1.0,
            measured=root,
            tolerance=max(slacks) / steepness,
            origin="that of the slopes",
            from_run=True,
            excludes=Rival("half of the attraction", 2.0),
            reference=_PLANE,
        ),
    ]


def _line(config: Config):
    reach, variance, dt = 4.5, 0.5, 0.0005
    grid = Euclidean(1).grid(2 * config.cells, -reach, reach)
    runs, slopes, root = _laws(config, Euclidean(1), grid, variance, 0.2, dt)
    # Two independent points lie within h with probability 2h∫ρ², and ∫ρ² = 1/(2√(πv)) of a Gaussian.
    near = grid.spacing[0] / math.sqrt(math.pi * variance)
    return runs, _law_claims("on the line", 1, config, runs, slopes, root, near, dt)


def _plane(config: Config):
    reach, variance, dt = 5.0, 0.7, 0.002
    grid = Euclidean(2).grid(config.plane, -reach, reach)
    runs, slopes, root = _laws(config, Euclidean(2), grid, variance, 0.1, dt)
    near = math.pi * grid.spacing[0] ** 2 / (4 * math.pi * variance)
    return runs, _law_claims("in the plane", 2, config, runs, slopes, root, near, dt)


class _SoftLogarithm(eqx.Module):
    """W = (c/2) log(|z|² + ε²), whose force is bounded by c/2ε."""

    strength: float = eqx.field(static=True)
    core: float = eqx.field(static=True)

    def __call__(self, z):
        return 0.5 * self.strength * jnp.log(jnp.sum(z**2) + self.core**2)


def _core(model: Model) -> float:
    assert model.interaction is not None, "given"
    kernel = model.interaction.kernel
    assert isinstance(kernel, kernels.Function)
    return kernel.function.core


def _moment(model: Model, mu: Particles):
    """Q = (1/N)Σ|x_i − x̄|², and the share of the pairs' pull that the softened core takes, E ε²/(|z|² + ε²)."""
    x, core = mu.positions, _core(model)
    square = jnp.sum((x[:, None] - x) ** 2, axis=-1)
    lost = jnp.sum(core**2 / (square + core**2)) - x.shape[0]
    return {"spread": jnp.mean(jnp.sum((x - x.mean(0)) ** 2, axis=1)), "lost": lost / (x.shape[0] ** 2)}


_WATCH = {"moment": _moment}


def _one_cloud(key, model: Model, n: int, until: float, dt: float):
    start, noise = jax.random.split(key)
    x = jax.random.normal(start, (n, 2))
    run = evolve(model, Particles(model.space, x), until=until, dt=dt, path=Brownian(noise), observe=_WATCH,
                 every=max(1, round(until / dt / 10)))  # fmt: skip
    return {"times": run.times, **run.observed["moment"]}


def _cloud(config: Config, key):
    """Particles in the plane, softened, below the threshold: for N and a number of replicas."""
    until, strength = 0.5, config.strengths[0]
    c = logarithm(strength * 8 * math.pi, 2)
    model = langevin(Euclidean(2), interaction=kernels.Function(_SoftLogarithm(c, config.core)))
    shown, claims = {}, []
    for i, (n, replicas) in enumerate(config.clouds):
        one = eqx.Partial(_one_cloud, model=model, n=n, until=until, dt=config.dt)
        record = replicate(one, jax.random.fold_in(key, i), replicas, min(256, replicas // 4))
        lost = np.trapezoid(record["lost"], record["times"][0], axis=1)
        slope = average((record["spread"][:, -1] - record["spread"][:, 0] - c * lost) / until)
        exact = (1 - 1 / n) * (4 - c)
        shown[n] = (record["times"][0], average(record["spread"]), exact)
        few = Rival("as many pairs as N², without 1 − 1/N", 4 - c)
        # Each step adds dt E|b|², and by Jensen |b|² ≤ E c²/|z|² of a pair, c² but for a logarithm of the core.
        claims.append(
            Claim(
                statement=f"The spread of {n} particles in the plane moves at $(1 - 1/N)(4 - c)$, "
                f"$\\chi = {strength:g}\\,\\chi_c$, what the soft core takes put back: $dQ/dt$",
                predicted=exact,
                measured=slope,
                tolerance=c**2 * config.dt,
                origin="Euler's steps: dt E|b|²",
                excludes=few if n < 20 else Rival("half of the attraction", (1 - 1 / n) * (4 - c / 2)),
                reference=_PLANE,
            )
        )
    return shown, claims


def _gas_figure(config: Config, rest, distances, law) -> Figure:
    x = np.linspace(-math.sqrt(2), math.sqrt(2), 201)
    n, sizes = config.gas, np.array(list(distances))
    positions = np.sort(np.asarray(rest.positions)[:, 0])
    density = [
        Series(law.grid.axes[0], law.values, "finite volumes"),
        Series(0.5 * (positions[1:] + positions[:-1]), 1 / (n * np.diff(positions)), f"{n} particles", kind="points"),
        Series(x, np.sqrt(np.maximum(2 - x**2, 0)) / math.pi, "semicircle", kind="dashed"),
    ]
    rate = [
        Series(sizes, np.array(list(distances.values())), "measured", kind="points"),
        Series(sizes, math.sqrt(_LIMIT) / sizes, r"$\sqrt{5\pi^2/48}/N$", kind="dashed"),
    ]
    caption = (
        "The log gas at rest. Left: density. Right: distance of the zeros of Hermite's polynomials to the semicircle."
    )
    return Figure(caption, [
        Panel("x (length)", "density (1/length)", density),
        Panel("number of particles N", "W₂ (length)", rate, xscale="log", yscale="log"),
    ])  # fmt: skip


def _segel_figure(line, plane, cloud) -> Figure:
    panels = []
    for name, runs, dim in (("on the line", line, 1), ("in the plane", plane, 2)):
        series = [Series(t, q, f"χ = {s:g} χ_c") for s, (t, q) in runs.items()]
        series += [Series(t, q[0] + 2 * dim * (1 - s) * t, kind="dashed") for s, (t, q) in runs.items()]
        panels.append(Panel("time t", "spread Q (length²)", series, f"law {name}"))
    series = [Series(t, q.value, f"N = {n}", q.stderr) for n, (t, q, _) in cloud.items()]
    series += [Series(t, q.value[0] + slope * t, kind="dashed") for t, q, slope in cloud.values()]
    panels.append(Panel("time t", "spread Q (length²)", series, "particles in the plane"))
    return Figure("Keller–Segel: the spread moves at a rate that does not depend on the state (dashed).", panels)


CHAPTER = Chapter(
    name="singular",
    title="Singular interactions",
    statement=(
        "With $W = c\\log|x|$ every pair has $x\\cdot\\nabla W = c$, and the spread $Q = E\\frac1N\\sum|X_i - \\bar "
        "X|^2$ obeys $$\\frac{dQ}{dt} = \\Bigl(1 - \\frac1N\\Bigr)\\Bigl(\\frac{2d}\\beta - c\\Bigr):$$ beyond $c = "
        "2d/\\beta$, that is $\\chi = 8\\pi/\\beta$ in the plane with $c = \\chi/2\\pi$ (Keller–Segel), the law must "
        "collapse. Repelling particles on the line, $W = -\\log|x|$ with $V = x^2/2$ and no noise, come to rest at "
        "the zeros of a Hermite polynomial, divided by $\\sqrt N$, and their law is the semicircle "
        "$\\frac1\\pi\\sqrt{2 - x^2}$. The pairs $i = j$ are left out; a density's own cell counts with the mean of "
        "$W$ over it."
    ),
    what=lambda c: (
        f"{c.gas} particles of the log gas up to T = 40; zeros for N up to {c.sizes[-1]}; finite volumes on {c.cells} "
        f"cells, and {c.plane}² in the plane, at χ = {c.strengths[0]:g} and {c.strengths[1]:g} χ_c; "
        f"{', '.join(f'{r} times {n}' for n, r in c.clouds)} particles, core softened at {c.core:g}, dt = {c.dt:g}."
    ),
    run=run,
    config=Config(
        sizes=(64, 128, 256, 512), cells=400, clouds=((10, 16384), (200, 512)), core=0.05, dt=0.00125, plane=96
    ),
    quick=Config(),
    references=(
        "A. Blanchet, J. Dolbeault and B. Perthame, Electron. J. Differential Equations 44 (2006).",
        "N. Fournier and B. Jourdain, Ann. Appl. Probab. 27 (2017).",
        "L. C. G. Rogers and Z. Shi, Probab. Theory Relat. Fields 95 (1993).",
    ),
)
