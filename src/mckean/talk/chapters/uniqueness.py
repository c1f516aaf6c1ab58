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
    rates,
    with_intensity,
)
from mckean.environments import Growth
from mckean.models import Model
from mckean.statistics import Estimate, average, binomial_interval, combine, join
from mckean.talk.claims import LEVEL, Chapter, Claim, Figure, Observation, Panel, Result, Rival, Series
from mckean.talk.parts.stirring import (
    SPECTRA,
    Stirring,
    askew,
    densities,
    fisher,
    from_uniform,
    norm,
    order,
    ripple,
    run_film,
    spot,
    stirring_model,
    synchronised_distance,
)
from mckean.talk.parts.tangents import Tangents, bend, exponents, mean_square_of_steps, threshold

_GESS = "Gess, Gvalani and Martini 2026"
_ONE = np.array([[1, 0]])
# Solutions nearer to the uniform density than this share of how far the synchronised state is count as gone, and two
# that are as near to each other as met.
_GONE = 0.1
_TITLES = {"long": "Long waves", "short": "Short waves"}


@dataclass(frozen=True)
class Config:
    """`bracket` holds the thresholds; `about` are three intensities near the almost-sure one, by spectrum."""

    strength: float = 6.0
    bracket: tuple[float, float] = (1.0, 5.0)
    about: tuple[tuple[float, float, float], ...] = ((2.3, 2.7, 3.1), (1.7, 2.0, 2.3))
    passes: int = 4
    environments: int = 384
    shared: int = 120
    ripples: int = 480
    runs: Stirring = field(default_factory=Stirring)
    tangents: Tangents = field(default_factory=lambda: Tangents(environments=2048))


@dataclass(frozen=True)
class Sweep:
    """What was measured for one spectrum.

    `weak` and `strong` are the densities of two starts at the ends of the bracket, shape (2, r, t, nodes, nodes);
    `crossings` the intensities at which an environment carries a spot off by T and by T/2, shape (r, 2); `growth` the
    exponents of the linear equation by environment, at the three intensities about the threshold.
    """

    spectrum: str
    model: Model
    about: tuple[float, float, float]
    weak: np.ndarray
    strong: np.ndarray
    crossings: np.ndarray
    growth: np.ndarray

    @property
    def linear(self) -> Estimate:
        """The threshold of the linear equation."""
        return threshold(self.about, self.growth)

    @property
    def nonlinear(self) -> Estimate:
        """The threshold of solutions from afar: T → ∞ by T and T/2."""
        return average(2 * self.crossings[:, 0] - self.crossings[:, 1])

    def remainder(self, until: float) -> float:
        """What T and T/2 leave of the limit: (λ″/λ′)y², y = log(1/gone)/(|λ′|T) the distance of K_T from it."""
        slope = np.polyfit(self.about, self.growth.mean(axis=0), 1)[0]
        return abs(bend(self.about, self.growth)) * (np.log(_GONE) / (slope * until)) ** 2


def _sweep(config: Config, i: int, key) -> Sweep:
    spectrum, about = list(SPECTRA)[i], config.about[i]
    model = stirring_model(config.strength, spectrum)
    keys = jax.random.split(key, config.environments)
    shared, n = keys[: config.shared], config.shared
    ends = [
        densities(model, config.runs, [spot] * n + [askew] * n, [k] * 2 * n, jnp.concatenate([shared, shared]))
        for k in config.bracket
    ]
    weak, strong = (seen.reshape(2, n, *seen.shape[1:]) for seen in ends)
    last = len(config.runs.times) - 1
    crossings = np.stack([_crossings(config, model, keys, at) for at in (last, last // 2)], axis=1)
    growth = exponents(config.tangents, config.strength, spectrum, about, seed=i)
    return Sweep(spectrum, model, about, weak, strong, crossings, growth)


def _crossings(config: Config, model: Model, keys, at: int) -> np.ndarray:
    """By bisection, the intensity at which each environment carries the spot off by a time: middles of last intervals.

    A middle errs by chance, either way, as what it stands for is spread over many intervals.
    """
    low, high = (np.full(len(keys), end) for end in config.bracket)
    for _ in range(config.passes):
        middle = (low + high) / 2
        seen = densities(model, config.runs, [spot] * len(keys), middle, keys)[:, at]
        gone = from_uniform(seen) < _GONE * synchronised_distance(config.strength)
        low, high = np.where(gone, low, middle), np.where(gone, middle, high)
    return (low + high) / 2


def run(config: Config, key, progress) -> Result:
    claims, film = run_film(config.runs, config.strength, config.bracket, jax.random.fold_in(key, 0))
    progress(0.1)
    claims += _ripple_claims(config, jax.random.fold_in(key, 1))
    sweeps = []
    for i in range(len(SPECTRA)):
        progress(0.2 + 0.4 * i)
        sweeps.append(_sweep(config, i, jax.random.fold_in(key, 2 + i)))
    for sweep in sweeps:
        claims += [*_share_claims(config, sweep), _balance_claim(config, sweep), _threshold_claim(config, sweep)]
    claims += [_mixing_claim(config, *sweeps), _decay_claim(config, sweeps[0])]
    seen = [_meeting_below(config, sweep) for sweep in sweeps]
    return Result(claims, [_thresholds_figure(config, sweeps), _distances_figure(config, sweeps), film], seen)


def _ripple_claims(config: Config, key) -> list[Claim]:
    """Three rates of a ripple at the intensity at which its mean stands still."""
    model, runs, n = stirring_model(config.strength, "long"), config.runs, config.ripples
    intensity = mean_threshold(model)
    at = with_intensity(model, intensity)
    seen = (
        densities(model, runs, [ripple] * n, [intensity] * n, jax.random.split(key, n)) - 1 / norm(np.ones((1, 1))) ** 2
    )
    size, first = norm(seen), seen[:, :1]
    overlap = np.sum(seen * first, axis=(2, 3)) / np.sum(first**2, axis=(2, 3))
    one = int(np.searchsorted(runs.times, 1.0))
    growth = Growth(runs.times, np.log(size / size[:, :1]), overlap * size[:, :1] / size)
    begun = Growth(*(a[..., [0, one]] for a in (growth.times, growth.log_norm, growth.overlap)))
    exact, stepped = mean_square_of_steps(model, intensity, 1.0, runs.dt)
    # Rounding would show where K is the threshold.
    mean = round(float(mean_rates(at, _ONE)[0]), 12) + 0.0
    linear = average(exponents(config.tangents, config.strength, "long", [intensity], seed=9)[:, 0])
    eight = int(np.searchsorted(runs.times, config.tangents.until))
    sure = Growth(runs.times[: eight + 1], growth.log_norm[:, : eight + 1], growth.overlap[:, : eight + 1]).almost_sure(
        1.0
    )
    where = f"long waves, $K = {intensity:g}$"
    return [
        Claim(
            statement=f"The mean of a ripple grows at the rate $\\lambda_q - K|q|^2$: $E\\langle\\eta_t,\\eta_0\\rangle$ to "
            f"$t = 1$, {where}",
            predicted=mean,
            measured=begun.mean(),
            excludes=Rival("no Itô correction", float(rates(model, _ONE)[0])),
            reference="closed linear equation of E η̂_q, which the steps solve exactly",
        ),
        Claim(
            statement=f"The mean square of a ripple grows faster: half the rate of $E\\|\\eta_t\\|^2$ to $t = 1$, {where}",
            predicted=exact,
            measured=begun.moment(2),
            tolerance=abs(stepped - exact),
            origin="the steps' own law, by the semigroups of the closed system in their order",
            excludes=Rival("the rate of the mean", mean),
            reference="closed linear system of E|η̂_q|²",
        ),
        Claim(
            statement="A ripple in one environment grows though its mean stands still: the rate of $E\\log\\|\\eta_t\\|$ "
            f"from $t = 1$ to ${config.tangents.until:g}$ less that of the linear equation in Fourier modes, {where}",
            predicted=0.0,
            measured=combine([1, -1], join([sure, linear])),
            excludes=Rival("the rate of the mean", mean - linear.value),
            reference="Lyapunov's exponent of the linear equation, by other code",
        ),
    ]


def _share(statement: str, predicted: float, happened: np.ndarray) -> Claim:
    k, n = int(happened.sum()), len(happened)
    return Claim(
        statement=statement,
        predicted=predicted,
        measured=k / n,
        interval=binomial_interval(k, n, 1 - LEVEL),
        excludes=Rival("it depends on the environment: one half", 0.5),
        reference=_GESS,
    )


def _share_claims(config: Config, sweep: Sweep) -> list[Claim]:
    level, name = _GONE * synchronised_distance(config.strength), sweep.spectrum
    weak, strong = config.bracket
    end = f"at $t = {config.runs.until:g}$, {name} waves"
    stays, goes = (from_uniform(seen[:, :, -1]) < level for seen in (sweep.weak, sweep.strong))
    met = norm(sweep.strong[0, :, -1] - sweep.strong[1, :, -1]) < level
    return [
        _share(
            f"A weak noise leaves the uniform density alone nowhere, and its invariant random measure is another: the "
            f"share of environments in which a solution is gone {end}, $K = {weak:g}$",
            0.0, stays.any(axis=0),
        ),
        _share(
            f"A strong noise makes every solution uniform: the share of environments in which both are gone {end}, "
            f"$K = {strong:g}$",
            1.0, goes.all(axis=0),
        ),
        _share(
            f"Under a strong noise two solutions in one environment meet: the share of environments {end}, "
            f"$K = {strong:g}$",
            1.0, met,
        ),
    ]  # fmt: skip


def _meeting_below(config: Config, sweep: Sweep) -> Observation:
    met = norm(sweep.weak[0, :, -1] - sweep.weak[1, :, -1]) < _GONE * synchronised_distance(config.strength)
    return Observation(
        statement=f"Share of environments in which two solutions meet far from the uniform density by "
        f"$t = {config.runs.until:g}$, {sweep.spectrum} waves, $K = {config.bracket[0]:g}$",
        measured=average(met.astype(float)),
        reference="whether a weak noise selects one random steady state is not known",
    )


def _balance_claim(config: Config, sweep: Sweep) -> Claim:
    """Under the invariant random measure E d/dt∫ρ log ρ = 0, and the noise does not enter it."""
    half = sweep.weak.shape[2] // 2
    late = sweep.weak[:, :, half:].mean(axis=0)
    late = sweep.weak[0, :, half:]
    information, attraction = fisher(late).mean(axis=1), config.strength * (order(late) ** 2).mean(axis=1)
    weak, dt = config.bracket[0], config.runs.dt
    return Claim(
        statement="Under the invariant random measure below the threshold the attraction alone balances diffusion: "
        f"$\\kappa E(|z_1|^2 + |z_2|^2)/E\\int|\\nabla\\rho|^2/\\rho$, {sweep.spectrum} waves, $K = {weak:g}$",
        predicted=1.0,
        measured=average(1 + (attraction - information) / information.mean()),
        tolerance=(config.strength * dt) ** 2,
        origin="weak order 2, with the attraction's rate: (κ dt)²",
        excludes=Rival("the noise as a diffusivity K: 1 + K", 1 + weak),
        reference="d/dt∫ρ log ρ = −I + κ|z|², as the noise keeps volume",
    )


def _threshold_claim(config: Config, sweep: Sweep) -> Claim:
    linear = sweep.linear
    if sweep.spectrum == "long":
        rival = Rival("the mean square decides", mean_square_threshold(sweep.model, 8) - linear.value)
    else:
        other = stirring_model(config.strength, "long")
        rival = Rival("the mean square of long waves decides", mean_square_threshold(other, 8) - linear.value)
    return Claim(
        statement="Solutions from afar become uniform where ripples do: the intensity at which half of the environments "
        "carry a spot off, by bisection and in the limit of long times, less that at which the linear equation's "
        f"exponent vanishes, {sweep.spectrum} waves",
        predicted=0.0,
        measured=combine([1, -1], join([sweep.nonlinear, linear])),
        tolerance=sweep.remainder(config.runs.until),
        origin="what T and T/2 leave of the limit, by the linear equation: (λ″/λ′)(K_T − K)²",
        excludes=rival,
        reference=f"{_GESS}; the linear equation in Fourier modes, by other code",
    )


def _mixing_claim(config: Config, long: Sweep, short: Sweep) -> Claim:
    until = config.runs.until
    return Claim(
        statement="The threshold depends on how the noise mixes, not on its intensity alone: by how much that of the "
        "nonlinear equation is higher for long waves than for short ones",
        predicted=long.linear.value - short.linear.value,
        measured=combine([1, -1], join([long.nonlinear, short.nonlinear])),
        tolerance=long.remainder(until) + short.remainder(until) + 4 * (long.linear.stderr + short.linear.stderr),
        origin="what T and T/2 leave of the limit, and 4 standard errors of the prediction, by the linear equation",
        excludes=Rival("a diffusivity K, whatever the waves", 0.0),
        reference="Lyapunov's exponents of the linear equation, by other code",
    )


def _decay_claim(config: Config, sweep: Sweep) -> Claim:
    """Late in a run, when solutions are small."""
    strong, runs = config.bracket[1], config.runs
    begin = int(np.searchsorted(runs.times, runs.until - 4))
    size = from_uniform(sweep.strong)
    rate = average((np.log(size[:, :, -1] / size[:, :, begin]) / 4).mean(axis=0))
    linear = average(exponents(config.tangents, config.strength, "long", [strong], seed=8)[:, 0])
    mean = float(mean_rates(with_intensity(sweep.model, strong), _ONE)[0])
    return Claim(
        statement="Solutions end as the linear equation does, at the almost-sure rate: that of $E\\log\\|\\rho - "
        f"\\bar\\rho\\|$ over the last 4 units of time less the exponent, long waves, $K = {strong:g}$",
        predicted=0.0,
        measured=combine([1, -1], join([rate, linear])),
        tolerance=config.strength * float(size[:, :, begin].mean()) * 2 * np.pi / 4,
        origin="κ‖ρ/ρ̄ − 1‖ where the measurement begins, over its length",
        from_run=True,
        excludes=Rival("the rate of the mean", mean - linear.value),
        reference="linearisation, by other code",
    )


def _thresholds_figure(config: Config, sweeps: list[Sweep]) -> Figure:
    panels = []
    for sweep in sweeps:
        k = np.linspace(*config.bracket, 9)
        models = [with_intensity(sweep.model, one) for one in k]
        found, limit = average(sweep.growth), sweep.nonlinear
        curves = [
            Series(k, [mean_square_rate(m, 6)[0] for m in models], "mean square, exact"),
            Series(k, [mean_rates(m, _ONE)[0] for m in models], "mean, exact", kind="dashed"),
            Series(sweep.about, found.value, "almost sure", found.stderr, "points"),
        ]
        lines = ((limit.value, f"solutions: K = {limit}"),)
        panels.append(
            Panel(
                "noise intensity K (length²/time)",
                "growth rate (1/time)",
                curves,
                _TITLES[sweep.spectrum],
                vertical=lines,
            )
        )
    shares = []
    for sweep in sweeps:
        for i, part in enumerate(("T", "T/2")):
            at = np.sort(sweep.crossings[:, i])
            shares.append(
                Series(at, np.arange(1, len(at) + 1) / len(at), f"{sweep.spectrum} waves, by {part}", kind="steps")
            )
    panels.append(Panel("noise intensity K (length²/time)", "share of environments", shares, "A spot is gone"))
    caption = (
        "Growth rates of a ripple against the intensity of the noise, and the intensity above which solutions of the "
        "nonlinear equation become uniform: it is where the almost-sure rate vanishes, above the zero of the mean or "
        "below it, and below that of the mean square. Right: the share of environments that carry a spot off by the "
        f"time T = {config.runs.until:g} and by its half, by bisection in each environment."
    )
    return Figure(caption, panels)


def _distances_figure(config: Config, sweeps: list[Sweep]) -> Figure:
    panels = []
    for sweep in sweeps:
        curves = []
        for seen, intensity in ((sweep.weak, config.bracket[0]), (sweep.strong, config.bracket[1])):
            apart, away = norm(seen[0] - seen[1]), from_uniform(seen[0])
            label = f"K = {intensity:g}"
            for values, what, kind in ((apart, "two solutions", "dashed"), (away, "to uniform", "line")):
                log = average(np.log(np.maximum(values, 1e-16)))
                curves.append(Series(config.runs.times, np.exp(log.value), f"{what}, {label}", kind=kind))
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
        f"κ = {c.strength:g}, β = 1 on the torus of sides 2π, {c.runs.nodes}² nodes, up to t = {c.runs.until:g} with dt = "
        f"{c.runs.dt:g}. For each of two spectra of shears two solutions in {c.shared} environments at K = "
        f"{c.bracket[0]:g} and {c.bracket[1]:g}, and {c.passes} halvings of that interval in {c.environments} "
        f"environments, for T and T/2; {c.ripples} ripples; the linear equation in {c.tangents.environments} environments."
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
    quick=Config(passes=3, environments=96, shared=24, ripples=96, tangents=Tangents()),
    references=(
        "B. Gess, R. S. Gvalani and A. Martini, Ergodicity for SPDEs driven by divergence-free transport noise, arXiv "
        "2601.22056.",
        "L. Arnold, Random Dynamical Systems, Springer 1998.",
        "J. A. Carrillo, R. S. Gvalani, G. A. Pavliotis and A. Schlichting, arXiv 1806.01719.",
    ),
)
