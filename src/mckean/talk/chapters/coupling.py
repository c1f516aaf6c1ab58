"""Chapter: propagation of chaos by coupling with independent copies of McKean's process."""

from collections.abc import Callable
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
from mckean.statistics import Estimate, average, join, log_slope, replicate
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Rival, Series
from mckean.talk.parts.meetings import Meetings, run_meetings
from mckean.talk.parts.three_terms import Identity, identity, pool, spread, third_term

_REFERENCE = "Sznitman 1991; talk, slide 'coupling', with its signs mended"
_STIFFNESS, _STRENGTH, _BETA, _VARIANCE, _COMMON = 1.0, 0.5, 1.0, 0.3, 0.7


@dataclass(frozen=True)
class Config:
    sizes: tuple[int, ...] = (50, 200, 800, 3200)
    particles: int = 3200 * 64
    """In all runs of one N together, up to 512 runs."""
    until: float = 4.0
    dt: float = 0.01
    nodes: int = 64
    cells: int = 200
    well_sizes: tuple[int, ...] = (50, 200, 800)
    identity: Identity = field(default_factory=Identity)
    meetings: Meetings = field(default_factory=Meetings)

    def replicas(self, size: int) -> int:
        """How many runs there are of N = `size` particles."""
        return min(self.particles // size, 512)


@dataclass(frozen=True)
class Case:
    """A system, its start as it is sampled and as it is evolved, the numbers of particles, and b, of x − y."""

    name: str
    model: Model
    start: Any
    law: Any
    sizes: tuple[int, ...]
    pull: Callable | None = None


def _cases(config: Config) -> list[Case]:
    circle = catalogue.kuramoto(1.0).model
    well = catalogue.desai_zwanzig(1.0, 1.5).model
    gaussian, centred = Gaussian(0.0, _VARIANCE), Gaussian(0.5, 0.3)
    von_mises = VonMises(Torus(1), 0.0, 1.0)
    periodic = Density.from_law(Torus(1).grid(config.nodes), von_mises)
    boxed = Density.from_law(Euclidean(1).grid(config.cells, -4.5, 4.5), centred)
    return [
        Case("Ornstein–Uhlenbeck", _linear(0.0), gaussian, gaussian, config.sizes, lambda z: -_STRENGTH * z),
        Case("Ornstein–Uhlenbeck in an environment", _linear(_COMMON), gaussian, gaussian, config.sizes),
        Case("Kuramoto, $K = 1$", circle, von_mises, periodic, config.sizes, lambda z: -np.sin(z)),
        Case("the double well, $\\beta = 1.5$", well, centred, boxed, config.well_sizes),
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
    return {"times": run.times, "masses": run.observed["masses"], **run.observed["terms"], **run.observed["box"]}


def _masses(model: Model, state):
    """The masses of the nodes of the law; none where it is a Gaussian."""
    law = state.measures.law
    return law.values * law.grid.cell_volume if isinstance(law, Density) else ()


_OBSERVE = {"terms": coupling_terms, "box": visited, "masses": _masses}


def run(config: Config, key, progress) -> Result:
    claims, figures, cases = [], [], [case for case in _cases(config) if case.sizes]
    for i, case in enumerate(cases):
        runs = {}
        for j, size in enumerate(case.sizes):
            one = eqx.Partial(_coupled_run, model=case.model, start=case.start, law=case.law, size=size, config=config)
            runs[size] = replicate(one, jax.random.fold_in(key, 100 * i + j), config.replicas(size))
            progress((i + (j + 1) / len(case.sizes)) / (len(cases) + 1))
        error = {n: average(r["error"]) for n, r in runs.items()}
        bounds = _bounds(case, runs)
        claims += _claims(config, case, runs, error, bounds)
        figures.append(_figure(case, runs, error, bounds))
    claims.append(identity(config.identity, jax.random.fold_in(key, 999)))
    more, drawn = run_meetings(config.meetings, jax.random.fold_in(key, 1000))
    return Result(claims + more, figures + drawn)


def _bounds(case: Case, runs: dict[int, dict]) -> dict[int, np.ndarray]:
    """Grönwall's bound on the root mean square error, from the measured sampling term and the visited region."""
    lower = np.min([r["lower"].min(axis=(0, 1)) for r in runs.values()], axis=0)
    upper = np.max([r["upper"].max(axis=(0, 1)) for r in runs.values()], axis=0)
    constants = lipschitz(case.model, lower, upper)
    return {n: gronwall(r["times"][0], np.sqrt(r["sampling"].mean(0)), constants) for n, r in runs.items()}


def _final(error: dict[int, Estimate]) -> Estimate:
    return join(e[-1] for e in error.values())


def _claims(config: Config, case: Case, runs, error, bounds) -> list[Claim]:
    ratio = max(float((np.sqrt(error[n].value[1:]) / bounds[n][1:]).max()) for n in case.sizes)
    # Of the same average over runs and particles the inequality holds as it does of the expectation (Minkowski).
    first, opposite = case.sizes[0], np.sqrt(8 * runs[case.sizes[0]]["times"][0] / float(case.model.beta))
    claims = [
        Claim(
            statement=f"Grönwall's bound holds for {case.name}: largest error over it, all t and N",
            predicted=1.0,
            measured=ratio,
            tolerance=config.dt,
            origin="Euler's sum for the integral: half a step of the sampling term's change, of a rate of 2 at most",
            excludes=Rival("opposite noises, the sign on the slide", float((opposite[1:] / bounds[first][1:]).max())),
            reference=_REFERENCE,
            relation="at most",
        ),
        _exponent(config, case, error),
    ]
    if isinstance(case.law, Gaussian):
        claims += _exact_claims(config, case, runs, error)
    return claims if case.pull is None else claims + _third_claims(config, case, runs)


def _exponent(config: Config, case: Case, error) -> Claim:
    """E|X−Y|² = c/N + O(1/N²), above a floor of (dt/5)²: for Kuramoto Euler's r lags by K²r dt t/8, X − Y by K³r dt/2.

    For linear models c/N is exact at every N, and there is no floor.
    """
    sizes, final = np.array(case.sizes), _final(error)
    linear = isinstance(case.law, Gaussian)
    floor = 0.0 if linear else np.log1p(5 / sizes[0]) + np.log1p((config.dt / 5) ** 2 / final.value[-1])
    return Claim(
        statement=f"The root mean square of $X - Y$ at the end falls as $N^s$, for {case.name}; s",
        predicted=-0.5,
        measured=log_slope(sizes, final.map(np.sqrt, lambda v: 0.5 / np.sqrt(v))),
        tolerance=0.5 * float(floor / np.log(sizes[-1] / sizes[0])),
        origin=""
        if linear
        else "relative corrections: 5/N at the smallest N; (dt/5)² at the largest, from the schemes",
        from_run=not linear,
        excludes=Rival("order 1", -1.0),
        reference=_REFERENCE,
    )


def _exact_claims(config: Config, case: Case, runs, error) -> list[Claim]:
    """N·E D² over all N at the end, against Euler's own moments; its mean in the second half, against the limit's."""
    steps, times = round(config.until / config.dt), runs[case.sizes[0]]["times"][0]
    path = coupling_error_path(1, steps, config.dt, _VARIANCE, _STIFFNESS, _STRENGTH, _BETA)
    limit = coupling_error(1, _STIFFNESS, _STRENGTH, _BETA)
    late = times >= 0.5 * config.until
    last, mean = (
        {n: r["error"][:, -1] for n, r in runs.items()},
        {n: r["error"][:, late].mean(1) for n, r in runs.items()},
    )
    # With the rate a + c of X̄ in the place of a: c²/β(a + c)(a + c)2(a + c).
    fast = _STRENGTH**2 / (_BETA * 2 * (_STIFFNESS + _STRENGTH) ** 3)
    rival = Rival("X̄ relaxes at a + c, as each particle does", fast)
    return [
        Claim(
            statement=f"$N\\,E|X - Y|^2$ at the end is as in the exact moments of Euler's steps, for {case.name}",
            predicted=float(path[-1]),
            measured=pool(last, join(map(average, last.values()))),
            excludes=rival,
            reference="linear recursion of the second moments",
        ),
        Claim(
            statement=(
                f"$N\\,E|X - Y|^2 = c^2/\\beta a(a+c)(2a+c)$ in the stationary state, for {case.name}: mean over the "
                "second half"
            ),
            predicted=limit,
            measured=pool(mean, join(map(average, mean.values()))),
            tolerance=float(abs(path[::4][late].mean() - limit)),
            origin="what dt and the start leave, from the scheme's exact moments",
            excludes=rival,
            reference="closed form: E D² = c²/(Nβa(a + c)(2a + c))",
        ),
    ]


def _third_claims(config: Config, case: Case, runs) -> list[Claim]:
    assert case.pull is not None, "given"
    sampling = {n: r["sampling"].mean(1) for n, r in runs.items()}
    if isinstance(case.law, Gaussian):
        own = Rival("the particles' mean for that of the copies", _STRENGTH**2 / (_BETA * _STIFFNESS))
        return third_term(case.name, sampling, _STRENGTH**2 * _mean_variance(config), 0.0, "", own)
    nodes, masses = np.asarray(case.law.grid.nodes)[:, 0], runs[case.sizes[0]]["masses"][0]
    predicted = float(spread(case.pull, nodes, masses).mean())
    # The sums of the particles themselves are correlated: N·Cov(cos X_1, cos X_2) = ½(1 − e^{−t}) for K = 1.
    correlated = 2 - (1 - np.exp(-config.until)) / config.until
    return third_term(
        case.name, sampling, predicted, predicted / case.sizes[0] + config.dt / 10,
        "the particle itself, 1/N relatively; Euler's law for the equation's, dt/10",
        Rival("the particles' sums for those of the copies", predicted * float(correlated)),
    )  # fmt: skip


def _mean_variance(config: Config) -> float:
    """The variance of Euler's copies, averaged over the records."""
    v, path = _VARIANCE, [_VARIANCE]
    for _ in range(round(config.until / config.dt)):
        v = (1 - (_STIFFNESS + _STRENGTH) * config.dt) ** 2 * v + 2 * config.dt / _BETA
        path.append(v)
    return float(np.mean(path[::4]))


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
        "dB$, let pairs meet, where one noise would leave them apart."
    ),
    what=lambda c: (
        f"Ornstein–Uhlenbeck (a = 1, c = 0.5, β = 1), Kuramoto (K = 1) and the double well with attraction (θ = 1, β "
        f"= 1.5); N from {c.sizes[0]} to {c.sizes[-1]}, {c.replicas(c.sizes[0])} to {c.replicas(c.sizes[-1])} "
        f"replicas, Euler's scheme with dt = {c.dt:g} up to T = {c.until:g}; the law by "
        "moment equations, the spectral solver and finite volumes, stepped along with the particles. "
        f"{c.meetings.pairs} pairs on the circle; {c.meetings.particles} particles in two wells (θ = 0.5, β = 2) and "
        "in one environment."
    ),
    run=run,
    config=Config(),
    quick=Config(
        sizes=(50, 400), particles=102_400, dt=0.02, well_sizes=(), meetings=Meetings(5000, 50, 256, 3.0, 0.02)
    ),
    references=(
        "A.-S. Sznitman, Topics in propagation of chaos, 1991.",
        "D. Lacker and L. Le Flem, Sharp uniform-in-time propagation of chaos, arXiv 2205.12047.",
        "T. Lindvall and L. Rogers, Coupling of multidimensional diffusions by reflection, Ann. Probab. 14, 1986.",
        "A. Eberle, Reflection couplings and contraction rates for diffusions, Probab. Theory Relat. Fields 166, 2016.",
    ),
)
