"""Chapter: propagation of chaos by coupling with independent copies of McKean's process."""

from dataclasses import dataclass, field
from typing import Any

import equinox as eqx
import jax
import numpy as np

from mckean import catalogue
from mckean.catalogue.mean_reversion import coupling_error, coupling_error_path
from mckean.couplings import coupling_terms, gronwall, lipschitz, synchronous_coupling, visited
from mckean.measures import Density, Gaussian, VonMises
from mckean.models import Additive, Model, langevin
from mckean.paths import Brownian
from mckean.spaces import Euclidean, Torus
from mckean.statistics import Estimate, average, log_slope, replicate
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Series
from mckean.talk.parts.meetings import Meetings, run_meetings

_REFERENCE = "Sznitman 1991; talk, slide 'coupling', with its signs mended"
_OBSERVE = {"terms": coupling_terms, "box": visited}
_STIFFNESS, _STRENGTH, _BETA, _VARIANCE, _COMMON = 1.0, 0.5, 1.0, 0.3, 0.7


@dataclass(frozen=True)
class Config:
    sizes: tuple[int, ...] = (50, 200, 800, 3200)
    replicas: int = 64
    until: float = 4.0
    dt: float = 0.01
    nodes: int = 64
    cells: int = 200
    well_sizes: tuple[int, ...] = (50, 200, 800)
    meetings: Meetings = field(default_factory=Meetings)


@dataclass(frozen=True)
class Case:
    """A system, its start as it is sampled and as it is evolved, and the numbers of particles."""

    name: str
    model: Model
    start: Any
    law: Any
    sizes: tuple[int, ...]


def _cases(config: Config) -> list[Case]:
    circle = catalogue.kuramoto(1.0).model
    well = catalogue.desai_zwanzig(1.0, 1.5).model
    gaussian, centred = Gaussian(0.0, _VARIANCE), Gaussian(0.5, 0.3)
    von_mises = VonMises(Torus(1), 0.0, 1.0)
    periodic = Density.from_law(Torus(1).grid(config.nodes), von_mises)
    boxed = Density.from_law(Euclidean(1).grid(config.cells, -4.5, 4.5), centred)
    return [
        Case("Ornstein–Uhlenbeck", _linear(0.0), gaussian, gaussian, config.sizes),
        Case("Ornstein–Uhlenbeck in an environment", _linear(_COMMON), gaussian, gaussian, config.sizes),
        Case("Kuramoto, K = 1", circle, von_mises, periodic, config.sizes),
        Case("double well, β = 1.5", well, centred, boxed, config.well_sizes),
    ]


def _linear(common: float) -> Model:
    """With an additive common noise, of amplitude 0 where there is none: one program serves both."""
    alone = catalogue.ornstein_uhlenbeck(_STIFFNESS, _STRENGTH, _BETA).model
    return langevin(alone.space, alone.confinement, alone.interaction, _BETA, Additive(common))


def _coupled_run(key, model: Model, start, law, size: int, config: Config):
    cloud, noise = jax.random.split(key)
    run = synchronous_coupling(
        model, law, start.sample(cloud, size), until=config.until, dt=config.dt, path=Brownian(noise),
        observe=_OBSERVE, every=4,
    )  # fmt: skip
    return {"times": run.times, **run.observed["terms"], **run.observed["box"]}


def run(config: Config, key, progress) -> Result:
    claims, figures, cases = [], [], [case for case in _cases(config) if case.sizes]
    for i, case in enumerate(cases):
        runs = {}
        for j, size in enumerate(case.sizes):
            one = eqx.Partial(_coupled_run, model=case.model, start=case.start, law=case.law, size=size, config=config)
            runs[size] = replicate(one, jax.random.fold_in(key, 100 * i + j), config.replicas)
            progress((i + (j + 1) / len(case.sizes)) / (len(cases) + 1))
        error = {n: average(r["error"]) for n, r in runs.items()}
        bounds = _bounds(case, runs)
        claims += _claims(config, case, error, bounds)
        figures.append(_figure(case, runs, error, bounds))
    more, drawn = run_meetings(config.meetings, jax.random.fold_in(key, 1000))
    return Result(claims + more, figures + drawn)


def _bounds(case: Case, runs: dict[int, dict]) -> dict[int, np.ndarray]:
    """Grönwall's bound on the root mean square error, from the measured sampling term and the visited region."""
    lower = np.min([r["lower"].min(axis=(0, 1)) for r in runs.values()], axis=0)
    upper = np.max([r["upper"].max(axis=(0, 1)) for r in runs.values()], axis=0)
    constants = lipschitz(case.model, lower, upper)
    return {n: gronwall(r["times"][0], np.sqrt(r["sampling"].mean(0)), constants) for n, r in runs.items()}


def _final(error: dict[int, Estimate]) -> Estimate:
    return Estimate(np.array([e.value[-1] for e in error.values()]), np.array([e.stderr[-1] for e in error.values()]))


def _claims(config: Config, case: Case, error, bounds) -> list[Claim]:
    ratio = max(float((np.sqrt(error[n].value[1:]) / bounds[n][1:]).max()) for n in case.sizes)
    claims = [
        Claim(
            statement=f"largest error over Grönwall's bound, all t and N, {case.name}",
            predicted=1.0,
            measured=ratio,
            tolerance=config.dt,
            origin="one step of the scheme; Lipschitz constants are maxima over a grid of the visited region",
            reference=_REFERENCE,
            relation="at most",
        )
    ]
    if len(case.sizes) > 1:
        claims.append(_exponent(config, case, error))
    return claims + (_exact_claims(config, case, error) if isinstance(case.law, Gaussian) else [])


def _exponent(config: Config, case: Case, error) -> Claim:
    """E|X−Y|² = c/N + O(1/N²), above a floor where the law's scheme and Euler's differ in drift by O(dt), say dt/5."""
    sizes, final = np.array(case.sizes), _final(error)
    corrections = np.log1p(5 / sizes[0]) + np.log1p((config.dt / 5) ** 2 / final.value[-1])
    tilt = 0.5 * float(corrections / np.log(sizes[-1] / sizes[0]))
    slope = log_slope(sizes, final.map(np.sqrt, lambda v: 0.5 / np.sqrt(v)))
    return Claim(
        statement=f"exponent of N in the root mean square of X − Y at T, {case.name}",
        predicted=-0.5,
        measured=slope.value,
        stderr=slope.stderr,
        tolerance=tilt,
        origin="relative corrections: 5/N at the smallest N; (dt/5)² at the largest, from the schemes",
        reference=_REFERENCE,
    )


def _pool(sizes, final: Estimate) -> Estimate:
    """N E D² as the plain mean over N: weights from estimated errors would lean towards low values."""
    scaled, errors = final.value * sizes, final.stderr * sizes
    return Estimate(float(scaled.mean()), float(np.linalg.norm(errors) / sizes.size))


def _exact_claims(config: Config, case: Case, error) -> list[Claim]:
    """N·E D² pooled over N, against Euler's own moments and against the continuous stationary value."""
    steps = round(config.until / config.dt)
    exact = coupling_error_path(1, steps, config.dt, _VARIANCE, _STIFFNESS, _STRENGTH, _BETA)[-1]
    limit = coupling_error(1, _STIFFNESS, _STRENGTH, _BETA)
    pooled = _pool(np.array(case.sizes), _final(error))
    value, stderr = pooled.value, pooled.stderr
    reference = "closed form: E D² = c²/(Nβa(a + c)(2a + c))"
    return [
        Claim(
            statement=f"N E D² at T, {case.name}, the scheme's own value",
            predicted=float(exact),
            measured=value,
            stderr=stderr,
            origin="exact for the scheme; statistical error only",
            reference="linear recursion of the second moments",
        ),
        Claim(
            statement=f"N E D², {case.name}, stationary",
            predicted=limit,
            measured=value,
            stderr=stderr,
            tolerance=float(abs(exact - limit)),
            origin="what dt and T leave, from the scheme's exact moments",
            reference=reference,
        ),
    ]


def _figure(case: Case, runs, error, bounds) -> Figure:
    sizes = np.array(case.sizes)
    shown = int(sizes[len(sizes) // 2])
    record, times = runs[shown], runs[shown]["times"][0]
    caption = (
        f"{case.name}. Left: root mean square of the three terms of the decomposition along time, N = {shown}. "
        "Then the coupling error beside Grönwall's bound."
    )
    panels = [_terms_panel(times, record), _bound_panel(times, error[shown], bounds[shown])]
    if len(sizes) > 1:
        caption += " Right: the error at the final time against N."
        panels.append(_size_panel(sizes, _final(error).map(np.sqrt, lambda v: 0.5 / np.sqrt(v))))
    return Figure(caption, panels)


def _terms_panel(times, record: dict) -> Panel:
    labels = {
        "space": r"$F(\mu_X, X) - F(\mu_X, Y)$",
        "measure": r"$F(\mu_X, Y) - F(\mu_Y, Y)$",
        "sampling": r"$F(\mu_Y, Y) - F(\mu, Y)$",
    }
    series = [Series(times, np.sqrt(record[name].mean(0)), label) for name, label in labels.items()]
    return Panel("time t", "length per time", series)


def _bound_panel(times, error: Estimate, bound: np.ndarray) -> Panel:
    series = [
        Series(times[1:], np.sqrt(error.value[1:]), "measured"),
        Series(times[1:], bound[1:], "Grönwall's bound", kind="dashed"),
    ]
    return Panel("time t", "root mean square |X − Y| (length)", series, yscale="log")


def _size_panel(sizes, final: Estimate) -> Panel:
    series = [
        Series(sizes, final.value, "measured", final.stderr, "points"),
        Series(sizes, final.value[0] * np.sqrt(sizes[0] / sizes), "exponent −1/2", kind="dashed"),
    ]
    label = "root mean square |X − Y| at T (length)"
    return Panel("number of particles N", label, series, xscale="log", yscale="log")


CHAPTER = Chapter(
    name="coupling",
    title="Propagation of chaos by coupling",
    statement=(
        "Let $Y_i$ be independent copies of McKean's process, $dY_i = b(Y_i, \\mu_t)\\,dt + "
        "\\sqrt{2/\\beta}\\,dB_i$, started where the particles start and driven by the same noises, with the same "
        "sign. The noises cancel, and with $b(x, y) = -\\nabla W(x - y)$ $$\\frac{d}{dt}(X_i - Y_i) = "
        "\\frac1N\\sum_j\\bigl[b(X_i,X_j) - b(Y_i,X_j)\\bigr] + \\frac1N\\sum_j\\bigl[b(Y_i,X_j) - b(Y_i,Y_j)\\bigr] "
        "+ \\frac1N\\sum_j\\Bigl[b(Y_i,Y_j) - \\int b(Y_i,y)\\,\\mu_t(dy)\\Bigr]$$ plus the difference of the "
        "confinements. The first two terms are Lipschitz in the error, the third is the sampling error of "
        "independent copies, of order $N^{-1/2}$; Grönwall's inequality closes the argument. For the "
        "Ornstein–Uhlenbeck model $E\\,D^2 = c^2/(N\\beta a(a+c)(2a+c))$ exactly, in the stationary state, with an "
        "additive common noise or without, where $\\mu_t$ is the law given the environment. With a common noise "
        "alone there is no sampling term: the particles solve the limit's equation, "
        "and their distance to others is bounded by that at the start. Mirrored noises, $d\\tilde B = (1 - 2ee^\\top)"
        "dB$, let pairs meet, where one noise would leave them apart. For $W_2$ the rate $N^{-1/2}$ is false in "
        "general: for two atoms it is $N^{-1/4}$."
    ),
    what=lambda c: (
        f"Ornstein–Uhlenbeck (a = 1, c = 0.5, β = 1), Kuramoto (K = 1) and the double well with attraction (θ = 1, β "
        f"= 1.5); N from {c.sizes[0]} to {c.sizes[-1]}, {c.replicas} replicas, Euler's scheme with dt = {c.dt:g} up "
        f"to T = {c.until:g}; the law by "
        "moment equations, the spectral solver and finite volumes, stepped along with the particles. "
        f"{c.meetings.pairs} pairs on the circle; {c.meetings.particles} particles in two wells (θ = 0.5, β = 2) and "
        "in one environment."
    ),
    run=run,
    config=Config(),
    quick=Config(sizes=(50, 400), dt=0.02, well_sizes=(), meetings=Meetings(5000, 50, 64, 3.0, 0.02, samples=200)),
    references=(
        "A.-S. Sznitman, Topics in propagation of chaos, 1991.",
        "D. Lacker and L. Le Flem, Sharp uniform-in-time propagation of chaos, arXiv 2205.12047.",
        "T. Lindvall and L. Rogers, Coupling of multidimensional diffusions by reflection, Ann. Probab. 14, 1986.",
        "A. Eberle, Reflection couplings and contraction rates for diffusions, Probab. Theory Relat. Fields 166, 2016.",
    ),
)
