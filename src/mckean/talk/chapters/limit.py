"""Chapter: the particles against the limit equation, in moments, modes and Wasserstein distance."""

from collections.abc import Callable
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from diffrax import Heun

from mckean import catalogue, observables
from mckean.dynamics import FiniteVolume, Trajectory, evolve
from mckean.measures import AbstractLaw, Density, Gaussian, Particles, VonMises
from mckean.models import Model
from mckean.paths import Brownian
from mckean.spaces import Torus
from mckean.statistics import Estimate, average, log_slope, replicate, root_mean_square
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Series
from mckean.transport import wasserstein

_REFERENCE = "propagation of chaos: Sznitman 1991; Lacker 2023"
_GAUSSIAN_CONSTANT = 1.288379190
"""√N E W₁(μ^N, μ) for N(0, 1): √(2/π)∫√(Φ(1 − Φ)) dx (Bobkov and Ledoux 2019)."""

_VARIANCE = 0.2
_REACH = 3.0
"""Half the box of the double well: ρ < e^{−50} there in the stationary state."""


@dataclass(frozen=True)
class Config:
    sizes: tuple[int, ...] = (100, 400, 1600, 6400, 25600)
    replicas: int = 64
    until: float = 3.0
    dt: float = 0.02
    nodes: int = 128
    cells: int = 300


@dataclass(frozen=True)
class Case:
    """A system, its start, and the observable that is followed."""

    name: str
    model: Model
    law: AbstractLaw
    observe: dict[str, Callable]
    density: Callable[[Config], Trajectory[Density]]
    statistic: str
    ylabel: str


def _cases() -> list[Case]:
    below, above = catalogue.kuramoto(1.0), catalogue.kuramoto(3.0)
    circle = Torus(1)
    well = catalogue.desai_zwanzig(1.0, 3.0)
    cosine = {"s": eqx.Partial(_real_mode)}
    return [
        _on_circle("Kuramoto below the threshold (K = 1)", below.model, VonMises(circle, 0.0, 1.0), cosine),
        _on_circle("Kuramoto above the threshold (K = 3)", above.model, VonMises(circle, 0.0, 0.5), cosine),
        _on_line("double well with attraction (θ = 1, β = 3)", well.model, Gaussian(0.5, _VARIANCE)),
    ]


def _real_mode(model, mu):
    return observables.mode(1)(model, mu).real


def _first_moment(model, mu):
    return observables.mean(model, mu)[0]


def _on_circle(name: str, model: Model, law: VonMises, observe: dict) -> Case:
    def density(config: Config) -> Trajectory[Density]:
        start = Density.from_law(law.space.grid(config.nodes), law)
        return evolve(model, start, until=config.until, dt=config.dt, observe=observe, every=1)

    return Case(name, model, law, observe, density, "∫cos x dμ", "∫cos x dμ")


def _on_line(name: str, model: Model, law: Gaussian) -> Case:
    observe = {"s": _first_moment}

    def density(config: Config) -> Trajectory[Density]:
        grid = law.domain.grid(config.cells, -_REACH, _REACH)
        # The explicit scheme's bound is 1/(2D/h² + |b|/h); |b| is largest at the wall.
        wall = float(jnp.abs(model.velocity(jnp.full((1, 1), -_REACH), law)[0, 0]))
        h = grid.spacing[0]
        substeps = int(np.ceil(1.1 * config.dt * (2 / (float(model.beta) * h**2) + wall / h)))
        dt = config.dt / substeps
        scheme = FiniteVolume("explicit")
        start = Density.from_law(grid, law)
        return evolve(model, start, until=config.until, dt=dt, scheme=scheme, observe=observe, every=substeps)

    return Case(name, model, law, observe, density, "∫x dμ", "∫x dμ (length)")


def _cloud(key, model: Model, law: AbstractLaw, observe: dict, size: int, config: Config):
    start, noise = jax.random.split(key)
    cloud = law.sample(start, size)
    run = evolve(
        model, cloud, until=config.until, dt=config.dt, path=Brownian(noise), scheme=Heun(), observe=observe, every=1
    )
    return run.observed["s"], run.final.positions, cloud.positions


def run(config: Config, key, progress) -> Result:
    claims, figures, cases = [], [], _cases()
    for i, case in enumerate(cases):
        limit = case.density(config)
        runs = {}
        for j, size in enumerate(config.sizes):
            one = eqx.Partial(_cloud, model=case.model, law=case.law, observe=case.observe, size=size, config=config)
            runs[size] = replicate(one, jax.random.fold_in(key, 100 * i + j), config.replicas)
            progress((i + (j + 1) / len(config.sizes)) / len(cases))
        measured = _errors(case, limit, runs)
        claims += _claims(config, case, measured)
        if isinstance(case.law, Gaussian):
            claims.append(_start_claim(case, runs))
        figures.append(_figure(config, case, limit, runs, measured))
    return Result(claims, figures)


def _errors(case: Case, limit: Trajectory[Density], runs: dict) -> dict[str, Estimate]:
    """For each N, at the end: W₁, and the root mean square and the mean of the followed observable's deviation."""
    deviations = [series[:, -1] - float(limit.observed["s"][-1]) for series, _, _ in runs.values()]
    return {
        "W1": _stack([_distances(case, final, limit.final) for _, final, _ in runs.values()]),
        "rms": _stack([root_mean_square(d) for d in deviations]),
        "bias": _stack([average(d) for d in deviations]),
    }


def _distances(case: Case, clouds: np.ndarray, law) -> Estimate:
    return average([wasserstein(Particles(case.model.space, x), law, p=1) for x in clouds])


def _stack(estimates: list[Estimate]) -> Estimate:
    return Estimate(np.array([e.value for e in estimates]), np.array([e.stderr for e in estimates]))


def _claims(config: Config, case: Case, measured: dict[str, Estimate]) -> list[Claim]:
    sizes = np.array(config.sizes)
    # A relative correction of at most 1/√N at the smallest N tilts the fitted line by no more than this.
    tilt = float(np.log1p(sizes[0] ** -0.5) / np.log(sizes[-1] / sizes[0]))
    origin = "relative finite-N correction of at most 1/√N at the smallest N"
    bias, slopes = measured["bias"], {name: log_slope(sizes, measured[name]) for name in ("W1", "rms")}
    exponents = [
        Claim(
            statement=f"exponent of N in {error} at T, {case.name}",
            predicted=-0.5,
            measured=slopes[name].value,
            stderr=slopes[name].stderr,
            tolerance=tilt,
            origin=origin,
            reference=_REFERENCE,
        )
        for name, error in (("W1", "E W₁"), ("rms", f"the error of {case.statistic}"))
    ]
    return [
        *exponents,
        Claim(
            statement=f"mean error of {case.statistic} at T for N = {sizes[-1]}, {case.name}",
            predicted=0.0,
            measured=float(bias.value[-1]),
            stderr=float(bias.stderr[-1]),
            tolerance=_scheme_bias(config, case) + float(measured["rms"].value[-1] ** 2),
            origin=(
                "Heun's error on a relaxation of rate 3, (3dt)²/6e; h² of the box; a bias of the order of the mean "
                "square error, the next term of the expansion in μᴺ − μ"
            ),
            reference=_REFERENCE,
        ),
    ]


def _scheme_bias(config: Config, case: Case) -> float:
    """sup_t λt e^{−λt}(λdt)²/6 of a second-order scheme at the fastest rate, V″ + θ or K, here λ = 3; h² on a box."""
    grid = (2 * _REACH / config.cells) ** 2 if isinstance(case.law, Gaussian) else 0.0
    return (3 * config.dt) ** 2 / (6 * np.e) + grid


def _start_claim(case: Case, runs: dict) -> Claim:
    """√N E W₁ of an independent sample, the plain mean over N, on 48 replicas."""
    sizes = np.array(list(runs))
    start = _stack([_distances(case, initial[:48], case.law) for _, _, initial in runs.values()])
    scaled, error = start.value * np.sqrt(sizes), start.stderr * np.sqrt(sizes)
    deviation = float(np.sqrt(_VARIANCE))
    return Claim(
        statement="√N E W₁ of independent particles at the start, N(0.5, 0.2)",
        predicted=_GAUSSIAN_CONSTANT * deviation,
        measured=float(scaled.mean()),
        stderr=float(np.linalg.norm(error) / sizes.size),
        tolerance=float(deviation / sizes[0]),
        origin="relative correction of order 1/N at the smallest N",
        reference="Bobkov and Ledoux 2019",
    )


def _figure(
    config: Config, case: Case, limit: Trajectory[Density], runs: dict, measured: dict[str, Estimate]
) -> Figure:
    sizes, times = np.array(config.sizes), np.asarray(limit.times)
    shown = (sizes[0], sizes[len(sizes) // 2])
    paths = [Series(times, runs[n][0][0], f"N = {n}") for n in shown]
    paths.append(Series(times, np.asarray(limit.observed["s"]), "limit", kind="dashed"))
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
        Series(sizes, rms.value, f"rms of {case.statistic}", rms.stderr, "points"),
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
        f"{c.sizes[-1]}, {c.replicas} replicas, Heun's scheme with dt = {c.dt:g} up to T = {c.until:g}, against the "
        f"spectral solver on {c.nodes} nodes and finite volumes on {c.cells} cells. Distances on the circle are "
        f"along the circle."
    ),
    run=run,
    config=Config(),
    quick=Config(sizes=(100, 400, 1600), replicas=64, dt=0.03),
    references=(
        "A.-S. Sznitman, Topics in propagation of chaos, 1991.",
        "D. Lacker, Hierarchies, entropy, and quantitative propagation of chaos, arXiv 2105.02983.",
        "S. Bobkov and M. Ledoux, One-dimensional empirical measures, order statistics, and Kantorovich transport "
        "distances, 2019.",
    ),
)
