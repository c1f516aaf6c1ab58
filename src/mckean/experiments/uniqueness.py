"""Chapter: transport noise leaves one steady state where the limit equation without noise has many."""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mckean import observables
from mckean.analysis import Estimate, Growth, average, distance, linearised, replicate, separation
from mckean.analysis.long_time import Pair
from mckean.catalogue.linear_stability import (
    mean_rates,
    mean_square_rate,
    mean_square_system,
    mean_square_threshold,
    mean_threshold,
    with_intensity,
)
from mckean.catalogue.oscillators import order_parameter
from mckean.dynamics import evolve
from mckean.experiments.chapter import Chapter, Claim, Figure, Film, Panel, Result, Series
from mckean.interactions import kernels
from mckean.measures import Density
from mckean.models import Model, TransportNoise, langevin
from mckean.paths import Brownian
from mckean.spaces import Torus

_TORUS = Torus(2)
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
    film_nodes: int = 48
    film_until: float = 10.0
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


def _noise(spectrum: str, intensity=1.0, reach: float = 4.0) -> TransportNoise:
    if spectrum == "shears":
        return TransportNoise.shears(_TORUS, intensity)
    return TransportNoise.shell(_TORUS, reach, intensity=intensity)


def _model(config: Config, spectrum: str, reach: float = 4.0) -> Model:
    return langevin(_TORUS, interaction=kernels.Cosine(config.strength), common=_noise(spectrum, reach=reach))


def _density(nodes: int, f) -> Density:
    return Density.from_function(_TORUS.grid(nodes), f)


def _uniform(nodes: int) -> Density:
    return _density(nodes, lambda x: 1 + 0 * x[0])


def _spot(x):
    return jnp.exp(2 * jnp.cos(x[0] - 2.0) + 2 * jnp.cos(x[1] - 3.0))


def _stripe(x):
    return jnp.exp(2 * jnp.cos(x[0] - 5.0))


def _askew(x):
    """A start that no wave and no reflection leaves as it is."""
    return jnp.exp(jnp.cos(x[0] - 5.0) + 0.5 * jnp.cos(x[0] + x[1]) + 0.5 * jnp.sin(2 * x[1]))


def order(model: Model, mu: Density) -> jax.Array:
    """√(|z_(1,0)|² + |z_(0,1)|²)."""
    return jnp.hypot(observables.order_parameter((1, 0))(model, mu), observables.order_parameter((0, 1))(model, mu))


def _linear(key, *, model: Model, nodes: int, until: float, dt: float, coarsen: int):
    path = Brownian(key).coarsen(coarsen)
    towards = _density(nodes, lambda x: 1 + 0.1 * jnp.cos(x[0]))
    every = round(1 / dt)
    run = linearised(model, _uniform(nodes), towards, until=until, dt=dt, path=path, every=every)
    return run.times, run.observed["log_norm"], run.observed["overlap"]


def _solutions(key, *, model: Model, nodes: int, until: float, dt: float) -> dict[str, Any]:
    """Two solutions in one environment: how far apart, and how far from the uniform density."""
    first, second = _density(nodes, _spot), _density(nodes, _askew)
    observe = {"uniform": eqx.Partial(_from_uniform, uniform=_uniform(nodes))}
    every = round(1 / dt)
    run = separation(model, first, second, until=until, dt=dt, path=Brownian(key), every=every, observe=observe)
    return {"times": run.times, **run.observed}


def _from_uniform(model: Model, pair: Pair, *, uniform: Density) -> jax.Array:
    return jnp.stack([distance(pair.first, uniform), distance(pair.second, uniform)])


@eqx.filter_jit
def _frames(model: Model, config: Config, starts, intensities, key):
    """Densities and order parameters of several starts and intensities in one environment."""

    def one(values, intensity):
        return evolve(
            eqx.tree_at(lambda m: m.common[0].intensity, model, intensity),
            Density(_TORUS.grid(config.film_nodes), values), until=config.film_until, dt=1 / 64,
            path=Brownian(key), observe={"rho": lambda model, mu: mu.values, "order": order}, every=32,
        ).observed  # fmt: skip

    return jax.vmap(one)(starts, intensities)


def _sweep(config: Config, spectrum: str, key, tick) -> Sweep:
    until, dt = config.span(spectrum)
    model = _model(config, spectrum)
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
    film = _film(config, jax.random.fold_in(key, 0))
    tick()
    sweeps = [
        _sweep(config, spectrum, jax.random.fold_in(key, 1 + i), tick) for i, spectrum in enumerate(config.spectra)
    ]
    claims = _steady_claims(config, film)
    for sweep in sweeps:
        claims += [*_linear_claims(config, sweep), _threshold_claim(config, sweep), *_solution_claims(config, sweep)]
    return Result(
        claims, [_rates_figure(config, sweeps), _distances_figure(config, sweeps), _film_figure(config, film)]
    )


def _film(config: Config, key) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    """Frames and order parameters: a spot and a stripe without noise, then spots by intensity."""
    starts, intensities = [_spot, _stripe], [0.0, 0.0]
    for intensity in (config.intensities[0], config.intensities[-1]):
        starts.append(_spot)
        intensities.append(intensity)
    values = jnp.stack([_density(config.film_nodes, f).values for f in starts])
    seen = _frames(_model(config, "shears"), config, values, jnp.asarray(intensities), key)
    return np.asarray(seen["rho"]), np.asarray(seen["order"]), tuple(intensities)


def _steady_claims(config: Config, film) -> list[Claim]:
    _, orders, _ = film
    r = order_parameter(config.strength, 1.0)
    origin = "rounding, grown at rate κ/2 − 1 by the instability of the stripe, and e^(−T)"
    left = float(1e-14 * np.exp((config.strength / 2 - 1) * config.film_until) + np.exp(-config.film_until))
    bessel = "product of Kuramoto states, r = I₁(κr)/I₀(κr)"
    return [
        Claim(
            "order parameter without noise, from a spot: √2 r", float(np.sqrt(2) * r), float(orders[0, -1]),
            0.0, left, origin, bessel,
        ),
        Claim(
            "order parameter without noise, from a stripe: r", r, float(orders[1, -1]), 0.0, left, origin, bessel,
        ),
    ]  # fmt: skip


def _linear_claims(config: Config, sweep: Sweep) -> list[Claim]:
    """Against the exact rates at the intensity nearest to the mean threshold, over the first unit of time."""
    i = _nearest(config, sweep.thresholds[0])
    intensity = config.intensities[i]
    model = with_intensity(_model(config, sweep.spectrum), intensity)
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
                f"{what}, to t = 1, {sweep.spectrum}, K = {intensity:g}", rate, float(value),
                float(fine.stderr), float(error), origin, "closed linear system of E|η̂_q|²",
            )
        )  # fmt: skip
    rates = average(sweep.almost_sure())
    square = np.interp(config.intensities, sweep.mean[0], sweep.square)
    worst = int(np.argmax(rates.value - square - 4 * rates.stderr))
    claims.append(
        Claim(
            f"almost-sure rate at the intensity where it is nearest to the mean-square one, {sweep.spectrum}, "
            f"K = {config.intensities[worst]:g}",
            float(square[worst]), float(rates.value[worst]), float(rates.stderr[worst]),
            float(sweep.step_error()[worst]), origin, _JENSEN, "at most",
        )
    )  # fmt: skip
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
        f"almost-sure threshold K, not above the mean-square one, {sweep.spectrum}",
        sweep.thresholds[1], threshold.value, threshold.stderr, float(sweep.step_error()[i] / slope + bend),
        "the step's error of λ over its slope, and the parabola less the chord", _JENSEN, "at most",
    )  # fmt: skip


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
                f"share of solutions whose distance from the uniform density is at the end below {_GONE:.0%} of the "
                f"synchronised state's, {sweep.spectrum}, K = {config.intensities[i]:g}",
                share, gone.value, gone.stderr, 0.0, "", _GESS,
            )
        )  # fmt: skip
    linear, half = sweep.fine[-1], len(sweep.fine[-1].times) // 2
    span = linear.times[-1] - linear.times[half]
    tangent = (linear.log_norm[: config.solutions, -1] - linear.log_norm[: config.solutions, half]) / span
    gap = average(_rates(sweep, -1).mean(axis=1) - tangent)
    # What the linear equation leaves out is ρ/ρ̄ − 1 of the interaction's rate, κ at most.
    size = np.mean(sweep.solutions[-1]["uniform"][:, half]) * np.sqrt(_TORUS.volume)
    claim = Claim(
        f"rate of ‖ρ − ρ̄‖ less that of ‖η‖ in the same environments, {sweep.spectrum}, "
        f"K = {config.intensities[-1]:g}",
        0.0, float(gap.value), float(gap.stderr), float(config.strength * size / span),
        "κ times ‖ρ/ρ̄ − 1‖ where the measurement begins, over its length", "linearisation",
    )  # fmt: skip
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
    shells = [mean_square_threshold(_model(config, "shell", n), 8) for n in config.reaches]
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


def _film_figure(config: Config, film) -> Figure:
    frames, _, intensities = film
    times = np.linspace(0, config.film_until, frames.shape[1])
    shown = [int(np.argmin(np.abs(times - t))) for t in (0.0, 0.5, 1.0, 2.0, 5.0, config.film_until)]
    rows = [f"$K = {k:g}$" for k in intensities]
    panel = Film(
        frames[:, shown], _TORUS.lengths, rows, [f"$t = {times[i]:g}$" for i in shown],
        "density ρ (1/length²)", title="Four shears, one environment",
    )  # fmt: skip
    caption = (
        "The density. Without noise a spot and a stripe are two of the steady states; a weak noise stirs the spot, "
        "which holds together; a strong one takes it apart."
    )
    return Figure(caption, [panel])


def _what(c: Config) -> str:
    spans = "; ".join(f"{s}: up to t = {c.span(s)[0]:g} with dt = {c.span(s)[1]:g}" for s in c.spectra)
    return (
        f"κ = {c.strength:g}, β = 1 on the torus of sides 2π, K from {c.intensities[0]:g} to {c.intensities[-1]:g} "
        f"({spans}). The linearised equation on {c.linear_nodes}² nodes in {c.environments} environments, each with dt "
        f"and 2dt; two solutions on {c.nodes}² nodes in the first {c.solutions} of these environments; the film on "
        f"{c.film_nodes}² nodes."
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
        film_nodes=32,
    ),
    references=(
        "B. Gess, R. S. Gvalani and A. Martini, Ergodicity for SPDEs driven by divergence-free transport noise, arXiv "
        "2601.22056.",
        "L. Arnold, Random Dynamical Systems, Springer 1998.",
        "J. A. Carrillo, R. S. Gvalani, G. A. Pavliotis and A. Schlichting, arXiv 1806.01719.",
    ),
)
