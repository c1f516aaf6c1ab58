"""Chapter: transport noise leaves one steady state where the limit equation without noise has many."""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from mckean.catalogue.linear_stability import (
    mean_rates,
    mean_square_rate,
    mean_square_threshold,
    mean_threshold,
    with_intensity,
)
from mckean.models import Model
from mckean.statistics import Estimate, average, binomial_interval, combine, join
from mckean.talk.claims import LEVEL, Chapter, Claim, Figure, Observation, Panel, Result, Rival, Series
from mckean.talk.parts.in_space import InSpace, run_in_space
from mckean.talk.parts.ripples import run_ripples
from mckean.talk.parts.stirred import Stirred, run_stirred
from mckean.talk.parts.stirring import (
    SPECTRA,
    Stirring,
    askew,
    densities,
    fisher,
    from_uniform,
    norm,
    on_grid,
    order,
    run_film,
    spot,
    stirring_model,
    synchronised_distance,
)
from mckean.talk.parts.tangents import Tangents, exponents, threshold

_GESS = "Gess, Gvalani and Martini 2026"
_ONE = np.array([[1, 0]])
# Of the distance of the synchronised state from the uniform density.
_GONE = 0.1
# By how much ∫|∇ρ|²/ρ of short waves at K = 1 is larger on 20² nodes than on 40² in the same environments.
_GRID = 0.031
_INTENSITY = "noise intensity K (length²/time)"
_TITLES = {"long": "Long waves", "short": "Short waves"}


@dataclass(frozen=True)
class Config:
    """What is run.

    Two solutions at `weak_strong`, and for each spectrum one at two intensities below and above the zero of the
    almost-sure exponent, for `stretches` runs one after the other. `about` are three intensities near that zero.
    """

    strength: float = 6.0
    weak_strong: tuple[float, float] = (1.0, 5.0)
    around: tuple[tuple[float, float], ...] = ((2.3, 3.2), (1.7, 2.3))
    about: tuple[tuple[float, float, float], ...] = ((2.3, 2.7, 3.1), (1.7, 2.0, 2.3))
    stretches: int = 5
    environments: int = 192
    ripples: int = 480
    runs: Stirring = field(default_factory=Stirring)
    tangents: Tangents = field(default_factory=lambda: Tangents(environments=2048))
    stirred: Stirred = field(default_factory=Stirred)
    in_space: InSpace | None = field(default_factory=InSpace)

    @property
    def level(self) -> float:
        """A solution nearer to the uniform density is gone; two that are as near to each other have met."""
        return _GONE * synchronised_distance(self.strength)


@dataclass(frozen=True)
class Sweep:
    """What was measured for one spectrum.

    `weak` and `strong` are the densities of two starts in the same environments, shape (2, r, t, nodes, nodes); `below`
    and `above` the distance from the uniform density along the long runs about the threshold, shape (r, t); `growth`
    the exponents of the linear equation by environment, at the three intensities about it.
    """

    spectrum: str
    model: Model
    about: tuple[float, float, float]
    around: tuple[float, float]
    weak: np.ndarray
    strong: np.ndarray
    below: np.ndarray
    above: np.ndarray
    growth: np.ndarray

    @property
    def linear(self) -> Estimate:
        """The zero of the almost-sure exponent."""
        return threshold(self.about, self.growth)


def _sweep(config: Config, i: int, key) -> Sweep:
    spectrum, n = list(SPECTRA)[i], config.environments
    model = stirring_model(config.strength, spectrum)
    pair, long = jax.random.split(key)
    keys, starts = jax.random.split(pair, n), on_grid(config.runs, [spot] * n + [askew] * n)
    ends = [
        densities(model, config.runs, starts, [k] * 2 * n, jnp.concatenate([keys, keys])) for k in config.weak_strong
    ]
    weak, strong = (seen.reshape(2, n, *seen.shape[1:]) for seen in ends)
    below, above = _long_runs(config, model, config.around[i], long)
    growth = exponents(config.tangents, config.strength, spectrum, config.about[i], jax.random.fold_in(key, 1))
    return Sweep(spectrum, model, config.about[i], config.around[i], weak, strong, below, above, growth)


def _long_runs(config: Config, model: Model, around: tuple[float, float], key) -> np.ndarray:
    """Distances from the uniform density, from a spot, at two intensities: stretches one after the other."""
    n = config.environments
    now, seen = on_grid(config.runs, [spot] * 2 * n), []
    for stretch in range(config.stretches):
        keys = jax.random.split(jax.random.fold_in(key, stretch), 2 * n)
        fields = densities(model, config.runs, now, np.repeat(around, n), keys)
        now = fields[:, -1]
        seen.append(from_uniform(fields if stretch == 0 else fields[:, 1:]))
    return np.concatenate(seen, axis=1).reshape(2, n, -1)


def run(config: Config, key, progress) -> Result:
    claims, film = run_film(config.runs, config.strength, config.weak_strong, jax.random.fold_in(key, 0))
    progress(0.1)
    claims += run_ripples(config.runs, config.tangents, config.strength, config.ripples, jax.random.fold_in(key, 1))
    sweeps = []
    for i in range(len(SPECTRA)):
        progress(0.2 + 0.4 * i)
        sweeps.append(_sweep(config, i, jax.random.fold_in(key, 2 + i)))
    for sweep in sweeps:
        claims += [*_share_claims(config, sweep), _balance_claim(config, sweep), *_threshold_claims(config, sweep)]
    claims += [_mixing_claim(config, *sweeps), _decay_claim(config, sweeps[0], jax.random.fold_in(key, 9))]
    diagram, drawn = run_stirred(config.stirred, config.runs, jax.random.fold_in(key, 10))
    claims += diagram
    if config.in_space is not None:
        claims += run_in_space(config.in_space, jax.random.fold_in(key, 9))
    seen = [f(config, sweep) for sweep in sweeps for f in (_linear_threshold, _meeting_below)]
    return Result(claims, [_thresholds_figure(config, sweeps), _distances_figure(config, sweeps), drawn, film], seen)


def _share_claims(config: Config, sweep: Sweep) -> list[Claim]:
    name, (weak, strong) = sweep.spectrum, config.weak_strong
    end = f"at $t = {config.runs.until:g}$, {name} waves"
    stays, goes = (from_uniform(seen[:, :, -1]) < config.level for seen in (sweep.weak, sweep.strong))
    met = norm(sweep.strong[0, :, -1] - sweep.strong[1, :, -1]) < config.level
    half = Rival("it depends on the environment: one half", 0.5)
    return [
        _share(
            "Under a weak noise the invariant random measure is not at the uniform density: the share of environments "
            f"in which a solution is gone {end}, $K = {weak:g}$",
            0.0, "equal", stays.any(axis=0), half,
        ),
        _share(
            f"A strong noise makes every solution uniform: the share of environments in which two are gone {end}, "
            f"$K = {strong:g}$",
            1.0, "equal", goes.all(axis=0), half,
        ),
        _share(
            f"Under a strong noise two solutions in one environment meet: the share of environments {end}, "
            f"$K = {strong:g}$",
            1.0, "equal", met, half,
        ),
    ]  # fmt: skip


def _share(statement: str, predicted: float, relation, happened, rival: Rival) -> Claim:
    k, n = int(np.sum(happened)), len(happened)
    return Claim(
        statement=statement,
        predicted=predicted,
        measured=k / n,
        interval=binomial_interval(k, n, 1 - LEVEL),
        excludes=rival,
        reference=_GESS,
        relation=relation,
    )


def _threshold_claims(config: Config, sweep: Sweep) -> list[Claim]:
    """Below and above the zero of the almost-sure exponent, where the mean or the mean square say otherwise."""
    low, high = sweep.around
    end = f"at $t = {config.stretches * config.runs.until:g}$, {sweep.spectrum} waves"
    zero = f"the exponent vanishes at $K = {sweep.linear.value:.2f}$"
    mean, square = mean_threshold(sweep.model), mean_square_threshold(sweep.model, 8)
    below = Rival("the mean decides: all are gone", 1.0) if mean < low else Rival("a threshold at weaker noise", 1.0)
    above = Rival("the mean square decides: none is gone", 0.0) if high < square else Rival("a threshold above", 0.0)
    return [
        _share(
            "Below the zero of the almost-sure exponent solutions stay away from the uniform density: at most half of "
            f"the environments carry a spot off {end}, $K = {low:g}$; {zero}",
            0.5, "at most", sweep.below[:, -1] < config.level, below,
        ),
        _share(
            "Above the zero of the almost-sure exponent they become uniform: at least half of the environments carry "
            f"a spot off {end}, $K = {high:g}$; {zero}",
            0.5, "at least", sweep.above[:, -1] < config.level, above,
        ),
    ]  # fmt: skip


def _linear_threshold(config: Config, sweep: Sweep) -> Observation:
    mean, square = mean_threshold(sweep.model), mean_square_threshold(sweep.model, 8)
    return Observation(
        statement=f"The intensity at which the almost-sure exponent vanishes, {sweep.spectrum} waves, length²/time",
        measured=sweep.linear,
        reference=f"linear equation in Fourier modes; the mean vanishes at {mean:.3g}, the mean square at {square:.3g}",
    )


def _meeting_below(config: Config, sweep: Sweep) -> Observation:
    met = norm(sweep.weak[0, :, -1] - sweep.weak[1, :, -1]) < config.level
    return Observation(
        statement="Share of environments in which two solutions meet far from the uniform density by "
        f"$t = {config.runs.until:g}$, {sweep.spectrum} waves, $K = {config.weak_strong[0]:g}$",
        measured=float(met.mean()),
        reference="whether a weak noise selects one random steady state is not known",
    )


def _balance_claim(config: Config, sweep: Sweep) -> Claim:
    """Under the invariant random measure E d/dt∫ρ log ρ = 0, and the noise does not enter it."""
    late = sweep.weak[0, :, config.runs.at(config.runs.until / 2) :]
    # Records alternate between the middle of two shears and that of two steps of the rest: Simpson's rule for the rest.
    weights = np.where(np.arange(late.shape[1]) % 2 == 0, 1.0, 2.0)
    means = [np.average(f, axis=1, weights=weights) for f in (fisher(late), config.strength * order(late) ** 2)]
    information, attraction = means
    weak, dt = config.weak_strong[0], config.runs.dt
    return Claim(
        statement="Under the invariant random measure below the threshold the attraction alone balances diffusion: "
        "what it adds to the mean of $\\int\\rho\\log\\rho$, over what diffusion takes, "
        f"{sweep.spectrum} waves, $K = {weak:g}$",
        predicted=1.0,
        measured=average(1 + (attraction - information) / information.mean()),
        tolerance=(4 * weak * dt) ** 2 + _GRID,
        origin="two shears in a row, to the second order, (K|k|²dt)² of the shortest wave; and what 20² nodes change "
        "of the integral on 40², in other runs: 3.1 %",
        excludes=Rival("the noise as a diffusivity K: 1 + K", 1 + weak),
        reference="d/dt∫ρ log ρ = κ(|z₁|² + |z₂|²) − ∫|∇ρ|²/ρ, as the noise keeps volume",
    )


def _mixing_claim(config: Config, long: Sweep, short: Sweep) -> Claim:
    """At one intensity, above the threshold of short waves and below that of long ones."""
    level, n, intensity = 1 - LEVEL / 2, config.environments, long.around[0]
    lost, kept = (int((seen[:, -1] < config.level).sum()) for seen in (short.above, long.below))
    (low, high), (least, most) = (binomial_interval(k, n, level) for k in (lost, kept))
    zeros = f"{short.linear.value:.2f} for short waves, {long.linear.value:.2f} for long"
    return Claim(
        statement="What decides is how the noise mixes, not its intensity alone: by how much the share of environments "
        f"that carry a spot off is larger for short waves than for long ones, $K = {intensity:g}$",
        predicted=0.5,
        measured=(lost - kept) / n,
        interval=(low - most, high - least),
        excludes=Rival("a diffusivity K, whatever the waves", 0.0),
        reference=f"the exponent vanishes at K = {zeros}",
        relation="at least",
    )


def _decay_claim(config: Config, sweep: Sweep, key) -> Claim:
    """Late in a run, when solutions are small."""
    strong, runs = config.weak_strong[1], config.runs
    begin = runs.at(2 * runs.until / 3)
    span, size = runs.times[-1] - runs.times[begin], from_uniform(sweep.strong)
    rate = average((np.log(size[:, :, -1] / size[:, :, begin]) / span).mean(axis=0))
    linear = average(exponents(config.tangents, config.strength, "long", [strong], key)[:, 0])
    mean = float(mean_rates(with_intensity(sweep.model, strong), _ONE)[0])
    return Claim(
        statement="Solutions end as the linear equation does, at the almost-sure rate: that of the mean logarithm of "
        "the distance from the uniform density, over the last third of the run, less the exponent, long waves, "
        f"$K = {strong:g}$",
        predicted=0.0,
        measured=combine([1, -1], join([rate, linear])),
        tolerance=config.strength * float(size[:, :, begin].mean()) * 2 * np.pi / span,
        origin="κ‖ρ/ρ̄ − 1‖ where the measurement begins, over its length",
        from_run=True,
        excludes=Rival("the rate of the mean", mean - linear.value),
        reference="linearisation, by other code",
    )


def _thresholds_figure(config: Config, sweeps: list[Sweep]) -> Figure:
    panels, decay = [], []
    for sweep in sweeps:
        k = np.linspace(*config.weak_strong, 9)
        models = [with_intensity(sweep.model, one) for one in k]
        found, zero = average(sweep.growth), sweep.linear
        curves = [
            Series(k, [mean_square_rate(m, 6)[0] for m in models], "mean square, exact"),
            Series(k, [mean_rates(m, _ONE)[0] for m in models], "mean, exact", kind="dashed"),
            Series(sweep.about, found.value, "almost sure", found.stderr, "points"),
        ]
        lines = ((zero.value, f"K = {zero}"),)
        panels.append(Panel(_INTENSITY, "growth rate (1/time)", curves, _TITLES[sweep.spectrum], vertical=lines))
        for seen, intensity in zip((sweep.below, sweep.above), sweep.around, strict=True):
            share, times = (seen < config.level).mean(axis=0), np.arange(seen.shape[1]) * config.runs.times[1]
            decay.append(Series(times, share, f"{sweep.spectrum} waves, K = {intensity:g}"))
    panels.append(Panel("time t", "share of environments", decay, "A spot is gone"))
    caption = (
        "Growth rates of a ripple against the intensity of the noise: the almost-sure one vanishes below that of the "
        "mean square, and above or below that of the mean. Right: solutions of the nonlinear equation, from a spot, at "
        "intensities below and above that zero: the share of environments in which they have become uniform."
    )
    return Figure(caption, panels)


def _distances_figure(config: Config, sweeps: list[Sweep]) -> Figure:
    panels = []
    for sweep in sweeps:
        curves = []
        for seen, intensity in ((sweep.weak, config.weak_strong[0]), (sweep.strong, config.weak_strong[1])):
            apart, away = norm(seen[0] - seen[1]), from_uniform(seen[0])
            label = f"K = {intensity:g}"
            apart, away = (np.exp(np.log(np.maximum(values, 1e-16)).mean(axis=0)) for values in (apart, away))
            curves.append(Series(config.runs.times, apart, f"two solutions, {label}", kind="dashed"))
            curves.append(Series(config.runs.times, away, f"to uniform, {label}"))
        panels.append(
            Panel("time t", "L² distance, geometric mean (1/length)", curves, _TITLES[sweep.spectrum], yscale="log")
        )
    caption = (
        "Two solutions from different starts in one environment, and the distance of one from the uniform density, "
        "averaged over environments. Under a strong noise both go to the uniform density. Under a weak one they stay "
        "away from it."
    )
    return Figure(caption, panels)


def _what(c: Config) -> str:
    return (
        f"κ = {c.strength:g}, β = 1 on the torus of sides 2π, {c.runs.nodes}² nodes, dt = {c.runs.dt:g}. For each of "
        f"two spectra of shears {c.environments} environments: two solutions up to t = {c.runs.until:g} at K = "
        f"{c.weak_strong[0]:g} and {c.weak_strong[1]:g}, one up to t = {c.stretches * c.runs.until:g} at two "
        f"intensities about the threshold; {c.ripples} ripples; the linear equation in {c.tangents.environments} "
        f"environments. At κ = {c.stirred.at:g} {c.stirred.environments} environments for each of "
        f"{len(c.stirred.intensities)} intensities."
        f"{'' if c.in_space is None else f' In space {c.in_space.runs.nodes}³ nodes.'}"
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
        "that of the mean square. What solutions do is decided by the last alone. Its zero is not that of the mean: it "
        "lies higher for long waves, which carry a ripple back and forth, and lower for short ones. Below it there is "
        "another invariant random measure, under which "
        "$E\\int|\\nabla\\rho|^2/\\rho = \\kappa\\,E(|z_1|^2 + |z_2|^2)$, $z_i = \\int e^{ix_i}\\rho$: the noise does "
        "not enter this balance."
    ),
    what=_what,
    run=run,
    config=Config(),
    quick=Config(
        stretches=3,
        environments=36,
        ripples=96,
        tangents=Tangents(),
        in_space=None,
        stirred=Stirred(environments=24, tangents=Tangents()),
    ),
    references=(
        "B. Gess, R. S. Gvalani and A. Martini, Ergodicity for SPDEs driven by divergence-free transport noise, arXiv "
        "2601.22056.",
        "L. Arnold, Random Dynamical Systems, Springer 1998.",
        "J. A. Carrillo, R. S. Gvalani, G. A. Pavliotis and A. Schlichting, arXiv 1806.01719.",
    ),
)
