"""Chapter: propagation of chaos by coupling with independent copies of McKean's process."""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import numpy as np

from mckean import catalogue
from mckean.analysis import (
    Coupled,
    Estimate,
    SynchronousCoupling,
    average,
    coupling_terms,
    gronwall,
    lipschitz,
    log_slope,
    replicate,
)
from mckean.catalogue.ornstein_uhlenbeck import coupling_error, coupling_error_path
from mckean.dynamics import evolve
from mckean.experiments.chapter import Chapter, Claim, Figure, Panel, Result, Series
from mckean.measures import Density, Gaussian, VonMises
from mckean.models import Model
from mckean.paths import Brownian
from mckean.spaces import Euclidean, Torus

_REFERENCE = "Sznitman 1991; talk, slide 'coupling', with its signs mended"
_OBSERVE = {"terms": coupling_terms}
_STIFFNESS, _STRENGTH, _BETA, _VARIANCE = 1.0, 0.5, 1.0, 0.3


@dataclass(frozen=True)
class Config:
    sizes: tuple[int, ...] = (50, 200, 800, 3200)
    replicas: int = 64
    until: float = 4.0
    dt: float = 0.01
    nodes: int = 64
    cells: int = 200


@dataclass(frozen=True)
class Case:
    """A system, its start as it is sampled and as it is evolved, and the region for its Lipschitz constants."""

    name: str
    model: Model
    start: Any
    law: Any
    region: tuple[float, float] | None


def _cases(config: Config) -> list[Case]:
    linear = catalogue.ornstein_uhlenbeck(_STIFFNESS, _STRENGTH, _BETA).model
    circle = catalogue.kuramoto(1.0).model
    well = catalogue.desai_zwanzig(1.0, 1.5).model
    gaussian, centred = Gaussian(0.0, _VARIANCE), Gaussian(0.5, 0.3)
    von_mises = VonMises(Torus(1), 0.0, 1.0)
    return [
        Case("Ornstein–Uhlenbeck", linear, gaussian, gaussian, (-4.0, 4.0)),
        Case("Kuramoto, K = 1", circle, von_mises, Density.from_law(Torus(1).grid(config.nodes), von_mises), None),
        Case(
            "double well, β = 1.5", well, centred,
            Density.from_law(Euclidean(1).grid(config.cells, -4.5, 4.5), centred), (-3.0, 3.0),
        ),
    ]  # fmt: skip


def _coupled_run(key, model: Model, start, law, size: int, config: Config):
    cloud, noise = jax.random.split(key)
    state = Coupled(law, start.sample(cloud, size))
    run = evolve(
        model, state, until=config.until, dt=config.dt, path=Brownian(noise), scheme=SynchronousCoupling(),
        observe=_OBSERVE, every=4,
    )  # fmt: skip
    return {"times": run.times, **run.observed["terms"]}


def run(config: Config, key, progress) -> Result:
    claims, figures, cases = [], [], _cases(config)
    for i, case in enumerate(cases):
        runs = {}
        for j, size in enumerate(config.sizes):
            one = eqx.Partial(_coupled_run, model=case.model, start=case.start, law=case.law, size=size, config=config)
            runs[size] = replicate(one, jax.random.fold_in(key, 100 * i + j), config.replicas)
            progress((i + (j + 1) / len(config.sizes)) / len(cases))
        error = {n: average(r["error"]) for n, r in runs.items()}
        bounds = {n: _bound(case, r) for n, r in runs.items()}
        claims += _claims(config, case, error, bounds)
        figures.append(_figure(config, case, runs, error, bounds))
    return Result(claims, figures)


def _bound(case: Case, record: dict) -> np.ndarray:
    """Grönwall's bound on the root mean square error, from the measured sampling term."""
    lower, upper = case.region or (None, None)
    constants = lipschitz(case.model, lower, upper)
    return gronwall(record["times"][0], np.sqrt(record["sampling"].mean(0)), constants)


def _final(error: dict[int, Estimate]) -> Estimate:
    return Estimate(np.array([e.value[-1] for e in error.values()]), np.array([e.stderr[-1] for e in error.values()]))


def _claims(config: Config, case: Case, error, bounds) -> list[Claim]:
    sizes = np.array(config.sizes)
    final = _final(error)
    # E|X−Y|² = c/N + O(1/N²), above a floor where the law's scheme and Euler's differ in drift by O(dt), taken as dt/5.
    corrections = np.log1p(5 / sizes[0]) + np.log1p((config.dt / 5) ** 2 / final.value[-1])
    tilt = float(corrections / np.log(sizes[-1] / sizes[0]))
    slope = log_slope(sizes, final)
    ratio = max(float((np.sqrt(error[n].value[1:]) / bounds[n][1:]).max()) for n in sizes)
    claims = [
        Claim(
            f"exponent of N in E|X − Y|² at T, {case.name}", -1.0, slope.value, slope.stderr, tilt,
            "relative corrections: 5/N at the smallest N; (dt/5)² at the largest, from the schemes", _REFERENCE,
        ),
        Claim(
            f"largest error over Grönwall's bound, all t and N, {case.name}", 1.0, ratio, 0.0, config.dt,
            "one step of the scheme; Lipschitz constants are maxima over a grid", _REFERENCE, "at most",
        ),
    ]  # fmt: skip
    return claims + (_exact_claims(config, sizes, error) if isinstance(case.law, Gaussian) else [])


def _pooled(sizes, final: Estimate) -> Estimate:
    """N E D² as the plain mean over N: weights from estimated errors would lean towards low values."""
    scaled, errors = final.value * sizes, final.stderr * sizes
    return Estimate(float(scaled.mean()), float(np.linalg.norm(errors) / sizes.size))


def _exact_claims(config: Config, sizes, error) -> list[Claim]:
    """N·E D² pooled over N, against Euler's own moments and against the continuous stationary value."""
    steps = round(config.until / config.dt)
    exact = coupling_error_path(1, steps, config.dt, _VARIANCE, _STIFFNESS, _STRENGTH, _BETA)[-1]
    limit = coupling_error(1, _STIFFNESS, _STRENGTH, _BETA)
    pooled = _pooled(sizes, _final(error))
    value, stderr = pooled.value, pooled.stderr
    reference = "closed form: E D² = c²/(Nβa(a + c)(2a + c))"
    return [
        Claim("N E D² at T, Ornstein–Uhlenbeck, the scheme's own value", float(exact), value, stderr, 0.0,
              "exact for the scheme; statistical error only", "linear recursion of the second moments"),
        Claim("N E D², Ornstein–Uhlenbeck, stationary", limit, value, stderr, float(abs(exact - limit)),
              "what dt and T leave, from the scheme's exact moments", reference),
    ]  # fmt: skip


def _figure(config: Config, case: Case, runs, error, bounds) -> Figure:
    sizes = np.array(config.sizes)
    shown = int(sizes[len(sizes) // 2])
    record, times = runs[shown], runs[shown]["times"][0]
    final = _final(error).map(np.sqrt, lambda v: 0.5 / np.sqrt(v))
    caption = (
        f"{case.name}. Left: root mean square of the three terms of the decomposition along time, N = {shown}. "
        "Middle: the coupling error beside Grönwall's bound. Right: the error at the final time against N."
    )
    return Figure(caption, [_terms_panel(times, record), _bound_panel(times, error[shown], bounds[shown]),
                            _size_panel(sizes, final)])  # fmt: skip


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
        "Ornstein–Uhlenbeck model $E\\,D^2 = c^2/(N\\beta a(a+c)(2a+c))$ exactly, in the stationary state."
    ),
    what=lambda c: (
        f"Ornstein–Uhlenbeck (a = 1, c = 0.5, β = 1), Kuramoto (K = 1) and the double well with attraction (θ = 1, β "
        f"= 1.5); N from {c.sizes[0]} to {c.sizes[-1]}, {c.replicas} replicas, Euler's scheme with dt = {c.dt:g} up "
        f"to T = {c.until:g}; the law by "
        "moment equations, the spectral solver and finite volumes, stepped along with the particles."
    ),
    run=run,
    config=Config(),
    quick=Config(sizes=(50, 400), replicas=64, dt=0.02),
    references=(
        "A.-S. Sznitman, Topics in propagation of chaos, 1991.",
        "D. Lacker and L. Le Flem, Sharp uniform-in-time propagation of chaos, arXiv 2205.12047.",
    ),
)
