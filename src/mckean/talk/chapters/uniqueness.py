"""Chapter: transport noise leaves one steady state where the limit equation without noise has many."""

from dataclasses import dataclass, field
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mckean.catalogue.linear_stability import (
    mean_rates,
    mean_square_rate,
    mean_square_system,
    mean_square_threshold,
    mean_threshold,
    with_intensity,
)
from mckean.catalogue.oscillators import order_parameter
from mckean.dynamics import Carrier
from mckean.environments import Growth, linearise, separation
from mckean.measures import Density
from mckean.measures.norms import distance
from mckean.models import Model
from mckean.paths import Brownian
from mckean.statistics import Estimate, average, replicate
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Series
from mckean.talk.parts.stirring import TORUS, Stirring, density, run_stirring, spot, stirring_model, uniform

_GESS = "Gess, Gvalani and Martini 2026"
_JENSEN = "Jensen's inequality; Arnold 1998"
# Solutions nearer to the uniform density than this share of how far the synchronised state is count as gone.
_GONE = 0.01


@dataclass(frozen=True)
class Config:
    strength: float = 4.0
    spectra: tuple[str, ...] = ("shears", "shell")
    intensities: tuple[float, ...] = (0.5, 0.8, 1.0, 1.5, 2.0)
    environments: int = 24
    solutions: int = 8
    linear_nodes: int = 16
    nodes: int = 24
    untils: tuple[float, ...] = (24.0, 8.0)
    steps: tuple[float, ...] = (1 / 64, 1 / 256)
    film: Stirring = field(default_factory=Stirring)
    reaches: tuple[int, ...] = (1, 2, 3, 4, 5)

    def span(self, spectrum: str) -> tuple[float, float]:
        """How long a run is, and its step: waves in many directions do not commute, and need shorter steps."""
        i = self.spectra.index(spectrum)
        return self.untils[i], self.steps[i]


@dataclass(frozen=True)
class Sweep:
    """What was measured for one spectrum, by intensity."""

    spectrum: str
    until: float
    fine: list[Growth]
    coarse: list[Growth]
    solutions: list[dict[str, np.ndarray]]
    mean: np.ndarray
    square: np.ndarray
    thresholds: tuple[float, float]

    def almost_sure(self) -> np.ndarray:
        """λ by environment and intensity, extrapolated from two steps of which one is half the other."""
        slopes = [[g.log_norm[:, -1] - g.log_norm[:, 1] for g in runs] for runs in (self.fine, self.coarse)]
        return (2 * np.array(slopes[0]) - np.array(slopes[1])).T / (self.until - 1)

    def step_error(self) -> np.ndarray:
        """How much the extrapolation changed λ, by intensity: what is left is smaller, being of second order."""
        slopes = [[np.mean(g.log_norm[:, -1] - g.log_norm[:, 1]) for g in runs] for runs in (self.fine, self.coarse)]
        return np.abs(np.array(slopes[0]) - np.array(slopes[1])) / (self.until - 1)


def _askew(x):
    """A start that no wave and no reflection leaves as it is."""
    return jnp.exp(jnp.cos(x[0] - 5.0) + 0.5 * jnp.cos(x[0] + x[1]) + 0.5 * jnp.sin(2 * x[1]))


def _linear(key, *, model: Model, nodes: int, until: float, dt: float, coarsen: int):
    path = Brownian(key).coarsen(coarsen)
    towards = density(nodes, lambda x: 1 + 0.1 * jnp.cos(x[0]))
    every = round(1 / dt)
    run = linearise(model, uniform(nodes), towards, until=until, dt=dt, path=path, every=every)
    return run.times, run.observed["log_norm"], run.observed["overlap"]


def _solutions(key, *, model: Model, nodes: int, until: float, dt: float) -> dict[str, Any]:
    """Two solutions in one environment: how far apart, and how far from the uniform density."""
    first, second = density(nodes, spot), density(nodes, _askew)
    observe = {"uniform": eqx.Partial(_from_uniform, uniform=uniform(nodes))}
    every = round(1 / dt)
    run = separation(model, first, second, until=until, dt=dt, path=Brownian(key), every=every, observe=observe)
    return {"times": run.times, **run.observed}


def _from_uniform(model: Model, pair: Carrier, *, uniform: Density) -> jax.Array:
    return jnp.stack([distance(mu, uniform) for mu in pair.measures])


def _sweep(config: Config, spectrum: str, key, tick) -> Sweep:
    until, dt = config.span(spectrum)
    model = stirring_model(config.strength, spectrum)
    fine, coarse, solutions = [], [], []
    for intensity in config.intensities:
        at = with_intensity(model, intensity)
        for runs, factor in ((fine, 1), (coarse, 2)):
            run = eqx.Partial(_linear, model=at, nodes=config.linear_nodes, until=until, dt=factor * dt, coarsen=factor)
            times, log_norm, overlap = replicate(run, key, config.environments)
            runs.append(Growth(times[0], log_norm, overlap))
        run = eqx.Partial(_solutions, model=at, nodes=config.nodes, until=until, dt=dt)
        # The first environments are those of the linear equation.
        solutions.append(replicate(run, key, config.solutions))
        tick()
    fine_k = np.linspace(0.05, 1.1 * config.intensities[-1], 16)
    models = [with_intensity(model, k) for k in fine_k]
    mean = np.array([mean_rates(m, np.array([[1, 0]]))[0] for m in models])
    square = np.array([mean_square_rate(m, 8)[0] for m in models])
    thresholds = mean_threshold(model), mean_square_threshold(model, 8)
    return Sweep(spectrum, until, fine, coarse, solutions, np.stack([fine_k, mean]), square, thresholds)


def run(config: Config, key, progress) -> Result:
    total = len(config.spectra) * len(config.intensities) + 2
    done = iter(range(1, total + 1))
    tick = lambda: progress(next(done) / total)  # noqa: E731
    ends = config.intensities[0], config.intensities[-1]
    claims, film = run_stirring(config.film, config.strength, ends, jax.random.fold_in(key, 0))
    tick()
    sweeps = [
        _sweep(config, spectrum, jax.random.fold_in(key, 1 + i), tick) for i, spectrum in enumerate(config.spectra)
    ]
    for sweep in sweeps:
        claims += [*_linear_claims(config, sweep), _threshold_claim(config, sweep), *_solution_claims(config, sweep)]
    return Result(claims, [_rates_figure(config, sweeps), _distances_figure(config, sweeps), film])


def _linear_claims(config: Config, sweep: Sweep) -> list[Claim]:
    """Against the exact rates at the intensity nearest to the mean threshold, over the first unit of time."""
    i = _nearest(config, sweep.thresholds[0])
    intensity = config.intensities[i]
    model = with_intensity(stirring_model(config.strength, sweep.spectrum), intensity)
    # Rounding would show where K is the threshold.
    exact = round(float(mean_rates(model, np.array([[1, 0]]))[0]), 12) + 0.0
    first = [Growth(g.times[:2], g.log_norm[:, :2], g.overlap[:, :2]) for g in (sweep.fine[i], sweep.coarse[i])]
    origin = "order 1 in the step: the change at twice the step, before the extrapolation that removes it"
    claims = []
    for what, rate, (fine, coarse) in (
        ("mean: rate of E⟨η_t, η_0⟩", exact, [g.mean() for g in first]),
        ("mean square: half the rate of E‖η_t‖²", _exact_square(model), [g.moment(2) for g in first]),
    ):
        value = 2 * fine.value - coarse.value
        error = abs(fine.value - coarse.value)
        claims.append(
            Claim(
                statement=f"{what}, to t = 1, {sweep.spectrum}, K = {intensity:g}",
                predicted=rate,
                measured=float(value),
                stderr=float(fine.stderr),
                tolerance=float(error),
                origin=origin,
                reference="closed linear system of E|η̂_q|²",
            )
        )
    rates = average(sweep.almost_sure())
    square = np.interp(config.intensities, sweep.mean[0], sweep.square)
    worst = int(np.argmax(rates.value - square - 4 * rates.stderr))
    claims.append(
        Claim(
            statement=(
                f"almost-sure rate at the intensity where it is nearest to the mean-square one, {sweep.spectrum}, "
                f"K = {config.intensities[worst]:g}"
            ),
            predicted=float(square[worst]),
            measured=float(rates.value[worst]),
            stderr=float(rates.stderr[worst]),
            tolerance=float(sweep.step_error()[worst]),
            origin=origin,
            reference=_JENSEN,
            relation="at most",
        )
    )
    return claims


def _exact_square(model: Model) -> float:
    """½ log E‖η_1‖²/‖η_0‖² from η_0 = cos x₁, by the exponential of the system."""
    from scipy.sparse.linalg import expm_multiply

    modes, system = mean_square_system(model, 10)
    start = 0.5 * np.all(np.abs(modes) == [1, 0], axis=1)
    return float(0.5 * np.log(expm_multiply(system, start).sum()))


def almost_sure_threshold(config: Config, sweep: Sweep) -> tuple[Estimate, float]:
    """The root of λ(K), by the parabola through three intensities about it; and what a chord would change.

    The standard error is the jackknife's, over environments, which the intensities share.
    """
    rates, intensities = sweep.almost_sure(), np.array(config.intensities)
    above = int(np.clip(np.argmax(rates.mean(axis=0) < 0), 1, len(intensities) - 1))
    first = min(above - 1, len(intensities) - 3)

    def root(values: np.ndarray, chosen: slice) -> float:
        return float(np.polyfit(values[chosen], intensities[chosen], chosen.stop - chosen.start - 1)[-1])

    n, three = len(rates), slice(first, first + 3)
    value = root(rates.mean(axis=0), three)
    left_out = np.array([root(np.delete(rates, i, axis=0).mean(axis=0), three) for i in range(n)])
    chord = root(rates.mean(axis=0), slice(above - 1, above + 1))
    return Estimate(value, float(np.sqrt((n - 1) * left_out.var()))), abs(value - chord)


def _threshold_claim(config: Config, sweep: Sweep) -> Claim:
    threshold, bend = almost_sure_threshold(config, sweep)
    slope = abs(np.polyfit(config.intensities, sweep.almost_sure().mean(axis=0), 1)[0])
    i = _nearest(config, threshold.value)
    return Claim(
        statement=f"almost-sure threshold K, not above the mean-square one, {sweep.spectrum}",
        predicted=sweep.thresholds[1],
        measured=threshold.value,
        stderr=threshold.stderr,
        tolerance=float(sweep.step_error()[i] / slope + bend),
        origin="the step's error of λ over its slope, and the parabola less the chord",
        reference=_JENSEN,
        relation="at most",
    )


def _rates(sweep: Sweep, i: int) -> np.ndarray:
    """d/dt log‖ρ − ρ̄‖ of the solutions over the second half of the run, by environment and start."""
    half = sweep.solutions[i]["uniform"].shape[1] // 2
    logs = np.log(sweep.solutions[i]["uniform"])
    return (logs[:, -1] - logs[:, half]) / (sweep.until - sweep.solutions[i]["times"][0, half])


def _gone(sweep: Sweep, i: int, whole: float) -> Estimate:
    """The share of solutions at the end that are as good as uniform."""
    ends = sweep.solutions[i]["uniform"][:, -1]
    return average((ends < _GONE * whole).mean(axis=1))


def _solution_claims(config: Config, sweep: Sweep) -> list[Claim]:
    claims = []
    for i, share in ((_nearest(config, sweep.thresholds[0]), 0.0), (-1, 1.0)):
        gone = _gone(sweep, i, _synchronised_distance(config))
        claims.append(
            Claim(
                statement=(
                    f"share of solutions whose distance from the uniform density is at the end below {_GONE:.0%} of "
                    f"the synchronised state's, {sweep.spectrum}, K = {config.intensities[i]:g}"
                ),
                predicted=share,
                measured=gone.value,
                stderr=gone.stderr,
                reference=_GESS,
            )
        )
    linear, half = sweep.fine[-1], len(sweep.fine[-1].times) // 2
    span = linear.times[-1] - linear.times[half]
    tangent = (linear.log_norm[: config.solutions, -1] - linear.log_norm[: config.solutions, half]) / span
    gap = average(_rates(sweep, -1).mean(axis=1) - tangent)
    # What the linear equation leaves out is ρ/ρ̄ − 1 of the interaction's rate, κ at most.
    size = np.mean(sweep.solutions[-1]["uniform"][:, half]) * np.sqrt(TORUS.volume)
    claim = Claim(
        statement=(
            f"rate of ‖ρ − ρ̄‖ less that of ‖η‖ in the same environments, {sweep.spectrum}, "
            f"K = {config.intensities[-1]:g}"
        ),
        predicted=0.0,
        measured=float(gap.value),
        stderr=float(gap.stderr),
        tolerance=float(config.strength * size / span),
        origin="κ times ‖ρ/ρ̄ − 1‖ where the measurement begins, over its length",
        reference="linearisation",
    )
    return [*claims, claim]


def _nearest(config: Config, threshold: float) -> int:
    return int(np.argmin(np.abs(np.array(config.intensities) - threshold)))


def _synchronised_distance(config: Config) -> float:
    """‖ρ − ρ̄‖ of the state without noise, a product of von Mises densities: ∫v² = I₀(2κr)/2πI₀(κr)²."""
    from scipy.special import ive

    k = config.strength * order_parameter(config.strength, 1.0)
    return float(np.sqrt((ive(0, 2 * k) / ive(0, k) ** 2) ** 2 - 1) / (2 * np.pi))


def _rates_figure(config: Config, sweeps: list[Sweep]) -> Figure:
    panels = []
    for sweep in sweeps:
        rates = average(sweep.almost_sure())
        solutions = [average(_rates(sweep, i).mean(axis=1)) for i in range(len(config.intensities))]
        threshold, _ = almost_sure_threshold(config, sweep)
        curves = [
            Series(sweep.mean[0], sweep.square, "mean square, exact"),
            Series(sweep.mean[0], sweep.mean[1], "mean, exact", kind="dashed"),
            Series(config.intensities, rates.value, "almost sure, measured", rates.stderr, "points"),
            Series(
                config.intensities, [s.value for s in solutions], "solutions, second half",
                [s.stderr for s in solutions], "points",
            ),
        ]  # fmt: skip
        title = {"shears": "Four shears", "shell": "Shell |k| ≤ 4"}[sweep.spectrum]
        lines = ((threshold.value, f"K = {threshold.value:.2f} ± {threshold.stderr:.2f}"),)
        panels.append(Panel("noise intensity K (length²/time)", "growth rate (1/time)", curves, title, vertical=lines))
    shells = [mean_square_threshold(stirring_model(config.strength, "shell", n), 8) for n in config.reaches]
    curves = [
        Series(config.reaches, shells, "mean square, exact", kind="points"),
        Series(config.reaches, np.full(len(shells), sweeps[0].thresholds[0]), "mean, exact", kind="dashed"),
    ]
    panels.append(
        Panel("largest wave number of the shell", "threshold K (length²/time)", curves, "Thresholds of shells")
    )
    caption = (
        "Growth rates at the uniform density against the intensity of the noise: the mean crosses zero first, then the "
        "almost sure rate, then the mean square. Solutions of the nonlinear equation decay at the almost-sure rate "
        "where it is negative, and do not decay where it is positive. Right: as the waves become many and short, the "
        "noise averages itself out, and the thresholds meet."
    )
    return Figure(caption, panels)


def _distances_figure(config: Config, sweeps: list[Sweep]) -> Figure:
    panels = []
    for sweep in sweeps:
        curves = []
        for i in (0, -1):
            seen, label = sweep.solutions[i], f"K = {config.intensities[i]:g}"
            log = average(np.log(np.maximum(seen["distance"], 1e-16)))
            away = average(np.log(np.maximum(seen["uniform"].mean(axis=2), 1e-16)))
            times = seen["times"][0]
            curves += [
                Series(times, np.exp(log.value), f"two solutions, {label}", kind="dashed"),
                Series(times, np.exp(away.value), f"to uniform, {label}"),
            ]
        title = {"shears": "Four shears", "shell": "Shell |k| ≤ 4"}[sweep.spectrum]
        panels.append(Panel("time t", "L² distance, geometric mean (1/length)", curves, title, yscale="log"))
    caption = (
        "Two solutions from different starts in one environment, and their distance from the uniform density, averaged "
        "over environments. Under a strong noise both go to the uniform density. Under a weak one they stay away from "
        "it, and over these times from each other: one environment does not bring them together."
    )
    return Figure(caption, panels)


def _what(c: Config) -> str:
    spans = "; ".join(f"{s}: up to t = {c.span(s)[0]:g} with dt = {c.span(s)[1]:g}" for s in c.spectra)
    return (
        f"κ = {c.strength:g}, β = 1 on the torus of sides 2π, K from {c.intensities[0]:g} to {c.intensities[-1]:g} "
        f"({spans}). The linearised equation on {c.linear_nodes}² nodes in {c.environments} environments, each with dt "
        f"and 2dt; two solutions on {c.nodes}² nodes in the first {c.solutions} of these environments; the film on "
        f"{c.film.nodes}² nodes."
    )


CHAPTER = Chapter(
    name="uniqueness",
    title="Noise that leaves one steady state",
    statement=(
        "On the torus, with $W = -\\kappa(\\cos x_1 + \\cos x_2)$ and $\\kappa > 2$, the McKean–Vlasov equation has "
        "many steady states: the uniform density, stripes, spots, and all their translates. Add a common noise that is "
        "divergence-free, $$\\partial_t\\rho = \\Delta\\rho + \\nabla\\cdot(\\rho\\nabla W*\\rho) + "
        "\\sqrt{2K}\\,\\nabla\\cdot(\\rho\\circ\\xi).$$ It keeps the uniform density, and stirs everything else. "
        "If it is strong enough, every solution becomes uniform. How strong, a perturbation $\\eta$ of the uniform "
        "density tells in three ways: $E\\,\\hat\\eta_q$ grows at the rate $\\lambda_q - K|q|^2$; "
        "$E\\|\\eta\\|^2$ at the top of the spectrum of a closed system for $E|\\hat\\eta_q|^2$; and "
        "$\\|\\eta\\|$ itself, in almost every environment, at a rate that has to be measured, and is at most half "
        "that of the mean square. What a solution near the uniform density does is decided by the last alone."
    ),
    what=_what,
    run=run,
    config=Config(),
    quick=Config(
        spectra=("shears",),
        intensities=(0.5, 1.0, 2.0),
        environments=24,
        solutions=6,
        nodes=20,
        untils=(20.0,),
        steps=(1 / 32,),
        film=Stirring(nodes=32),
    ),
    references=(
        "B. Gess, R. S. Gvalani and A. Martini, Ergodicity for SPDEs driven by divergence-free transport noise, arXiv "
        "2601.22056.",
        "L. Arnold, Random Dynamical Systems, Springer 1998.",
        "J. A. Carrillo, R. S. Gvalani, G. A. Pavliotis and A. Schlichting, arXiv 1806.01719.",
    ),
)
