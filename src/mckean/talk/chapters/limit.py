"""Chapter: the particles against the limit equation, in moments, modes and Wasserstein distance."""

from collections.abc import Callable
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from diffrax import Heun
from scipy import stats

from mckean import catalogue, observables
from mckean.dynamics import FiniteVolume, Trajectory, evolve
from mckean.interactions import kernels
from mckean.measures import AbstractLaw, Density, Gaussian, Particles, VonMises
from mckean.models import Model, langevin
from mckean.paths import Brownian
from mckean.spaces import Euclidean, Torus
from mckean.statistics import Estimate, average, combine, join, log_slope, replicate, root_mean_square
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Rival, Series
from mckean.transport import wasserstein

_REFERENCE = "propagation of chaos: Sznitman 1991; Lacker 2023"
_GAUSSIAN_CONSTANT = 1.288379190
"""√N E W₁(μ^N, μ) for N(0, 1): √(2/π)∫√(Φ(1 − Φ)) dx (Bobkov and Ledoux 2019)."""

_VARIANCE = 0.2
_COSINE, _ORDER = "\\int\\cos x\\,d\\mu", "r = |\\int e^{ix}d\\mu|"
_COMPARED = 256
"""As many clouds of each N are compared with the law."""
_REACH = 3.0
"""Half the box of the double well: ρ < e^{−50} there in the stationary state."""


@dataclass(frozen=True)
class Config:
    sizes: tuple[int, ...] = (100, 400, 1600, 6400, 25600)
    particles: int = 25600 * 64
    """In all runs of one N together, up to 1024 runs: what small N tell is cheap."""
    until: float = 3.0
    dt: float = 0.02
    nodes: int = 128
    cells: int = 300

    def replicas(self, size: int) -> int:
        """How many runs there are of N = `size` particles."""
        return min(self.particles // size, 1024)


@dataclass(frozen=True)
class Case:
    """A system, the same without interaction, its start, the observables, and the name of the one that is followed."""

    name: str
    model: Model
    free: Model
    law: AbstractLaw
    observe: dict[str, Callable]
    followed: str
    density: Callable[[Config, Model], Trajectory[Density]]
    statistic: str
    ylabel: str


def _cases() -> list[Case]:
    circle, well = Torus(1), catalogue.desai_zwanzig(1.0, 3.0).model
    free = langevin(well.space, well.confinement, kernels.Quadratic(0.0), beta=3.0)
    return [
        _on_circle("noisy Kuramoto below the threshold ($K = 1$)", 1.0, VonMises(circle, 0.0, 1.0), "z", _COSINE),
        # The phase wanders, and at second order its spread would dominate the error of ∫cos x dμ at small N.
        _on_circle("noisy Kuramoto above the threshold ($K = 3$)", 3.0, VonMises(circle, 0.0, 1.0), "r", _ORDER),
        _on_line("the double well with attraction", well, free, Gaussian(0.5, _VARIANCE)),
    ]


def _real_mode(model, mu):
    return observables.mode(1)(model, mu).real


def _first_moment(model, mu):
    return observables.mean(model, mu)[0]


def _on_circle(name: str, strength: float, law: VonMises, followed: str, told: str) -> Case:
    # Both are recorded in both cases, so that one program serves both.
    observe = {"z": _real_mode, "r": observables.order_parameter(1)}
    with_strength = lambda k: langevin(law.space, interaction=kernels.Cosine(k), beta=1.0)  # noqa: E731

    def density(config: Config, model: Model) -> Trajectory[Density]:
        start = Density.from_law(law.space.grid(config.nodes), law)
        return evolve(model, start, until=config.until, dt=config.dt, observe=observe, every=1)

    return Case(name, with_strength(strength), with_strength(0.0), law, observe, followed, density, told, f"${told}$")


def _on_line(name: str, model: Model, free: Model, law: Gaussian) -> Case:
    observe = {"m": _first_moment}
    # The explicit scheme's bound is 1/(2D/h² + |b|/h); |b| is largest at the wall.
    wall = float(jnp.abs(model.velocity(jnp.full((1, 1), -_REACH), law)[0, 0]))

    def density(config: Config, model: Model) -> Trajectory[Density]:
        grid = Euclidean(1).grid(config.cells, -_REACH, _REACH)
        h = grid.spacing[0]
        substeps = int(np.ceil(1.1 * config.dt * (2 / (float(model.beta) * h**2) + wall / h)))
        dt = config.dt / substeps
        scheme = FiniteVolume("explicit")
        start = Density.from_law(grid, law)
        return evolve(model, start, until=config.until, dt=dt, scheme=scheme, observe=observe, every=substeps)

    told = "\\int x\\,d\\mu"
    return Case(name, model, free, law, observe, "m", density, told, f"${told}$ (length)")


def _cloud(key, model: Model, law: AbstractLaw, observe: dict, size: int, config: Config):
    start, noise = jax.random.split(key)
    cloud = law.sample(start, size)
    run = evolve(
        model, cloud, until=config.until, dt=config.dt, path=Brownian(noise), scheme=Heun(), observe=observe, every=1
    )
    return run.observed, run.final.positions, cloud.positions


def run(config: Config, key, progress) -> Result:
    claims, figures, cases = [], [], _cases()
    for i, case in enumerate(cases):
        limit, free = case.density(config, case.model), case.density(config, case.free)
        runs = {}
        for j, size in enumerate(config.sizes):
            one = eqx.Partial(_cloud, model=case.model, law=case.law, observe=case.observe, size=size, config=config)
            runs[size] = replicate(one, jax.random.fold_in(key, 100 * i + j), config.replicas(size))
            progress((i + (j + 1) / len(config.sizes)) / len(cases))
        measured = _errors(case, limit, runs)
        claims += [*_exponents(config, case, measured), _bias(config, case, limit, free, measured["bias"])]
        if isinstance(case.law, Gaussian):
            claims.append(_start_claim(case, runs))
        figures.append(_figure(config, case, limit, runs, measured))
    return Result(claims, figures)


def _errors(case: Case, limit: Trajectory[Density], runs: dict) -> dict[str, Estimate]:
    """For each N, at the end: W₁, and the root mean square and the mean of the followed observable's deviation."""
    deviations = [
        series[case.followed][:, -1] - float(limit.observed[case.followed][-1]) for series, _, _ in runs.values()
    ]
    return {
        "W1": join(_distances(case, final[:_COMPARED], limit.final) for _, final, _ in runs.values()),
        "rms": join(map(root_mean_square, deviations)),
        "bias": join(map(average, deviations)),
    }


def _distances(case: Case, clouds: np.ndarray, law) -> Estimate:
    return average([wasserstein(Particles(case.model.space, x), law, p=1) for x in clouds])


def _exponents(config: Config, case: Case, measured: dict[str, Estimate]) -> list[Claim]:
    sizes = np.array(config.sizes)
    # A relative correction of at most 1/√N at the smallest N tilts the fitted line by no more than this.
    tilt = float(np.log1p(sizes[0] ** -0.5) / np.log(sizes[-1] / sizes[0]))
    return [
        Claim(
            statement=f"{error} at the end falls as $N^s$, for {case.name}; s",
            predicted=-0.5,
            measured=log_slope(sizes, measured[name]),
            tolerance=tilt,
            origin=f"relative corrections of at most 1/√N at the smallest N, 10/N for N = {sizes[0]}",
            excludes=rival,
            reference=_REFERENCE,
        )
        for name, error, rival in (
            ("W1", "The distance $E\\,W_1(\\mu^N, \\mu)$", Rival("order 1/4, that of W₂ for two atoms", -0.25)),
            ("rms", f"The root mean square error of ${case.statistic}$", Rival("order 1, that of a bias alone", -1.0)),
        )
    ]


def _bias(config: Config, case: Case, limit, free, bias: Estimate) -> Claim:
    """E s(μᴺ) − s(μ) = c/N + O(N⁻²): extrapolated from the smallest and the largest N it is the limit's error alone."""
    small, large = config.sizes[0], config.sizes[-1]
    ends = join([bias[0], bias[-1]])
    ended = lambda run: float(run.observed[case.followed][-1])  # noqa: E731
    return Claim(
        statement=(
            f"The mean of ${case.statistic}$ at the end tends to the limit equation's, for {case.name}: what is left "
            f"of the difference at $N = \\infty$, from N = {small} and {large}"
        ),
        predicted=0.0,
        measured=combine(np.array([-small, large]) / (large - small), ends),
        tolerance=_scheme_bias(config, case) + 100 / (small * large),
        origin=(
            "Heun's error on a relaxation of rate 3, (3dt)²/6e; h² of the box; next term in 1/N, of relative "
            "corrections 10/N"
        ),
        excludes=Rival("no interaction in the limit", ended(limit) - ended(free)),
        reference=_REFERENCE,
    )


def _scheme_bias(config: Config, case: Case) -> float:
    """sup_t λt e^{−λt}(λdt)²/6 of a second-order scheme at the fastest rate, V″ + θ or K, here λ = 3; h² on a box."""
    grid = (2 * _REACH / config.cells) ** 2 if isinstance(case.law, Gaussian) else 0.0
    return (3 * config.dt) ** 2 / (6 * np.e) + grid


def _start_claim(case: Case, runs: dict) -> Claim:
    """√N E W₁ of an independent sample, the plain mean over N."""
    sizes = np.array(list(runs), float)
    start = join(_distances(case, initial[:_COMPARED], case.law) for _, _, initial in runs.values())
    limit = _GAUSSIAN_CONSTANT * float(np.sqrt(_VARIANCE))
    exact = np.mean([_sampling_distance(n) for n in runs])
    return Claim(
        statement=(
            "Independent particles have $\\sqrt N\\,E\\,W_1 = \\sqrt{2/\\pi}\\int\\sqrt{F(1-F)}\\,dx$, F Gaussian: "
            "at the start"
        ),
        predicted=limit,
        measured=combine(np.sqrt(sizes) / sizes.size, start),
        tolerance=float(abs(exact - limit)),
        origin="exact for these N, by the binomial law",
        excludes=Rival("no factor √(2/π)", limit * float(np.sqrt(np.pi / 2))),
        reference="Bobkov and Ledoux 2019",
    )


def _sampling_distance(n: int) -> float:
    """√N∫E|B/N − F|dx, B binomial, for N(0.5, 0.2); E|B − Np| = 2ν(1 − p)P(B = ν), ν = ⌊Np⌋ + 1 (de Moivre)."""
    z = np.linspace(-6, 6, 4001)
    p = stats.norm.cdf(z)
    above = np.floor(n * p) + 1
    deviation = 2 * above * (1 - p) * stats.binom.pmf(above, n, p) / n
    return float(np.sqrt(n * _VARIANCE) * np.sum(deviation) * (z[1] - z[0]))


def _figure(
    config: Config, case: Case, limit: Trajectory[Density], runs: dict, measured: dict[str, Estimate]
) -> Figure:
    sizes, times = np.array(config.sizes), np.asarray(limit.times)
    shown = (sizes[0], sizes[len(sizes) // 2])
    paths = [Series(times, runs[n][0][case.followed][0], f"N = {n}") for n in shown]
    paths.append(Series(times, np.asarray(limit.observed[case.followed]), "limit", kind="dashed"))
    caption = (
        f"{case.name[0].upper()}{case.name[1:]}. Left: one run of the particles for two N against the limit equation. "
        "Middle: the particles' histogram at the final time and the limit's density. Right: distance and error "
        "against N."
    )
    panels = [
        Panel("time t", case.ylabel, paths),
        _histogram(case, limit, runs[sizes[-1]][1][0]),
        _size_panel(case, sizes, measured["W1"], measured["rms"]),
    ]
    return Figure(caption, panels)


def _size_panel(case: Case, sizes, w1: Estimate, rms: Estimate) -> Panel:
    series = [
        Series(sizes, w1.value, "E W₁ (length)", w1.stderr, "points"),
        Series(sizes, rms.value, f"rms of ${case.statistic}$", rms.stderr, "points"),
        Series(sizes, w1.value[0] * np.sqrt(sizes[0] / sizes), "exponent −1/2", kind="dashed"),
    ]
    return Panel("number of particles N", "error at the final time", series, xscale="log", yscale="log")


def _histogram(case: Case, limit: Trajectory[Density], positions: np.ndarray) -> Panel:
    axis = limit.final.grid.axes[0]
    low, high = (axis[0], axis[0] + limit.final.grid.sides[0]) if not isinstance(case.law, Gaussian) else (-2.5, 2.5)
    edges = np.linspace(low, high, 41)
    counts, _ = np.histogram(positions[:, 0], edges, density=True)
    inside = (axis >= low) & (axis <= high)
    return Panel(
        "position x (length)", "density (1/length)",
        [
            Series(edges, np.append(counts, counts[-1]), f"N = {positions.shape[0]}", kind="steps"),
            Series(axis[inside], np.asarray(limit.final.values)[inside], "limit"),
        ],
    )  # fmt: skip


CHAPTER = Chapter(
    name="limit",
    title="The mean-field limit",
    statement=(
        "As $N \\to \\infty$ the empirical measure tends to the solution of the McKean–Vlasov equation "
        "$$\\partial_t\\rho = \\nabla\\cdot\\bigl(\\rho\\,\\nabla(V + W*\\rho)\\bigr) + \\beta^{-1}\\Delta\\rho.$$ "
        "In dimension one the distance is of the order of sampling, $E\\,W_1(\\mu^N_t, \\mu_t) \\sim N^{-1/2}$, for "
        "independent particles with the constant $\\sqrt{2/\\pi}\\int\\sqrt{F(1-F)}\\,dx$. With independent noises a "
        "bound $W_1(\\mu^N_t,\\mu_t) \\le C\\,W_1(\\mu^N_0,\\mu_0)$, as on one slide of the talk, cannot hold: from "
        "$\\mu^N_0 = \\mu_0 = \\delta_0$ its right side is zero. The sampling term is needed."
    ),
    what=lambda c: (
        f"Kuramoto below and above the threshold and a double well with attraction; N from {c.sizes[0]} to "
        f"{c.sizes[-1]}, {c.replicas(c.sizes[0])} to {c.replicas(c.sizes[-1])} replicas, Heun's "
        f"scheme with dt = {c.dt:g} up to T = {c.until:g}, against the "
        f"spectral solver on {c.nodes} nodes and finite volumes on {c.cells} cells. Distances on the circle are "
        f"along the circle."
    ),
    run=run,
    config=Config(),
    quick=Config(sizes=(100, 1600), particles=1600 * 192, dt=0.03),
    references=(
        "A.-S. Sznitman, Topics in propagation of chaos, 1991.",
        "D. Lacker, Hierarchies, entropy, and quantitative propagation of chaos, arXiv 2105.02983.",
        "S. Bobkov and M. Ledoux, One-dimensional empirical measures, order statistics, and Kantorovich transport "
        "distances, 2019.",
    ),
)
