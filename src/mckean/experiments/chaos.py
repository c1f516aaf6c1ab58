"""Chapter: how fast the laws of k of N particles approach independence, in which distance, and for how long."""

import math
from dataclasses import dataclass, field
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import ive

from mckean import catalogue, observables
from mckean.analysis import average
from mckean.analysis.chaos import chaos_rate, distinct_means, joint_cumulant, recorded
from mckean.analysis.marginals import Marginals, distances, occupation
from mckean.analysis.rates import Rate, fit_rate
from mckean.analysis.studies import ladder, samples
from mckean.catalogue.mean_reversion import marginal_entropy, marginal_excess
from mckean.catalogue.oscillators import mean_square_order, order_parameter
from mckean.experiments.chapter import Chapter, Claim, Figure, Panel, Result, Series
from mckean.experiments.clouds import Clouds, run_clouds
from mckean.measures import Gaussian, Uniform, VonMises
from mckean.spaces import Torus


@dataclass(frozen=True)
class Config:
    sizes: tuple[int, ...] = ladder(32, 512, 5)
    replicas: int = 32768
    wells: tuple[int, ...] = ladder(32, 256, 4)
    dt: float = 0.05
    cells: int = 8
    oscillators: int = 512
    runs: int = 1024
    until: float = 40.0
    clouds: Clouds = field(default_factory=Clouds)


_SHARP = "Lacker, Hierarchies, entropy, and quantitative propagation of chaos (arXiv 2105.02983)"
_CORRELATIONS = "Duerinckx, Probab. Theory Relat. Fields 179 (2021)"
_UNIFORM = "Lacker and Le Flem, Sharp uniform-in-time propagation of chaos (arXiv 2205.12047)"
_PHASE = "Bertini, Giacomin and Poquet, Probab. Theory Relat. Fields 160 (2014), in these units"
_BELOW, _ABOVE = 1.0, 3.0
_TIME, _WELL_TIME = 1.0, 2.0
# Phases: what is left of the start after 4, and of all but the slow motion after a lag of 3, is e^{−gap·t}.
_SETTLED, _LAGS = 4, (3, 6)


def run(config: Config, key, progress) -> Result:
    keys = jax.random.split(key, 4)
    numbers = np.geomspace(10, 10_000, 7).astype(int)
    result = _linear(numbers)
    parts = (_oscillators, _wells, _for_how_long, lambda c, k: run_clouds(c.clouds, k))
    for i, (part, k) in enumerate(zip(parts, keys, strict=True)):
        claims, figures = part(config, k)
        result = Result([*result.claims, *claims], [*result.figures, *figures])
        progress((i + 1) / len(parts))
    return result


def _linear(numbers: np.ndarray) -> Result:
    """Ornstein–Uhlenbeck, a = 1, c = ½, β = 1: everything in closed form."""
    excess = {k: np.array([marginal_excess(k, int(n), 1.0, 0.5, 1.0) for n in numbers]) for k in (1, 2, 3)}
    entropy = {k: np.array([marginal_entropy(x) for x in excess[k]]) for k in excess}
    slope = math.log(entropy[2][-1] / entropy[2][0]) / math.log(numbers[-1] / numbers[0])
    # (x − log(1 + x))/2 = (x²/4)(1 − 2x/3 + …), an alternating series: the first end is off by less than 2x/3.
    bend = -math.log1p(-2 * excess[2][0] / 3) / math.log(numbers[-1] / numbers[0])
    growth = math.log(entropy[3][-1] / entropy[1][-1]) / math.log(3)
    times = np.linspace(0.02, 6, 60)
    along = {
        n: [marginal_entropy(marginal_excess(2, n, 1.0, 0.5, 1.0, t, 0.3)) for t in times] for n in (10, 100, 1000)
    }
    above = max(max(path) / marginal_entropy(marginal_excess(2, n, 1.0, 0.5, 1.0)) for n, path in along.items())
    claims = [
        Claim("Ornstein–Uhlenbeck: exponent of N in the entropy of pairs", -2.0, slope, 0.0, bend,
              "next term of the series, −2x/3", _SHARP),
        Claim("Ornstein–Uhlenbeck: exponent of k in the entropy, N = 10000", 2.0, growth, 0.0,
              2 * float(excess[3][-1]) / 3 / math.log(3), "next term of the series, −2x/3", _SHARP),
        Claim("Ornstein–Uhlenbeck: largest entropy of pairs up to time 6 over its stationary value", 1.0, above, 0.0,
              0.0, "closed form", _UNIFORM, "at most"),
    ]  # fmt: skip
    exact = [Series(numbers, entropy[k], f"k = {k}") for k in entropy]
    paths = [Series(times, n**2 * np.array(path), f"N = {n}") for n, path in along.items()]
    panels = [
        Panel("number of particles N", r"$H(P^k\,|\,\mu^{\otimes k})$", exact, xscale="log", yscale="log"),
        Panel("time t", r"$N^2 H(P^2\,|\,\mu^{\otimes 2})$", paths),
    ]
    caption = (
        "Ornstein–Uhlenbeck, exactly. Left: the relative entropy of k of N particles in the stationary state falls as "
        "(k/N)². Right: that of pairs along time, from independent particles of variance 0.3: no later than the "
        "stationary one."
    )
    return Result(claims, [Figure(caption, panels)])


def _cosine(x):
    return jnp.cos(x[0])


def _coordinate(x):
    return x[0]


def _oscillators(config: Config, key):
    """Kuramoto below the transition, from the uniform law: pairs by correlation, entropy and total variation."""
    circle, model = Torus(1), catalogue.kuramoto(_BELOW).model
    edges = jnp.arange(1, config.cells) * (2 * math.pi / config.cells)
    observe = {
        "means": eqx.Partial(distinct_means, functions=(_cosine, _cosine)),
        "numbers": eqx.Partial(occupation, edges=edges),
    }
    run = eqx.Partial(
        recorded, model=model, law=Uniform(circle), observe=observe, until=_TIME, dt=config.dt, every=None, scheme=None
    )
    seen = samples(run, config.sizes, key, config.replicas)
    rate = fit_rate(config.sizes, joint_cumulant(seen["means"]).map(lambda c: np.abs(c[..., 0])))
    gaps = np.full(config.cells, 2 * math.pi / config.cells)
    laws = {k: distances(config.sizes, seen["numbers"], k, gaps) for k in (2, 3)}
    return _pair_claims(config, rate, laws), [_pair_figure(config, rate, laws)]


def _correlation(config: Config) -> float:
    """N·Cov(cos X_1, cos X_2) of Euler's steps as N → ∞; ½(1 − e^{−t}) as dt → 0.

    About the uniform law the mean of cos is multiplied by e^{−dt}(1 + K dt/2) in a step, and gains the variance that
    keeps 1/2N where K = 0; the covariance is what exceeds that.
    """
    v, keep = 0.5, math.exp(-2 * config.dt)
    for _ in range(round(_TIME / config.dt)):
        v = keep * (1 + _BELOW * config.dt / 2) ** 2 * v + (1 - keep) / 2
    return v - 0.5


def _pair_entropy(config: Config) -> float:
    """N²·H of pairs on cells as N → ∞: ½χ² of 1 + (4C/N) cos(x_1 − x_2), which M cells damp by sinc²(1/M)."""
    return 4 * (_correlation(config) * np.sinc(1 / config.cells) ** 2) ** 2


def _pair_transport(config: Config) -> float:
    """N²·W_2² of pairs on cells as N → ∞: −∇·∇ has the eigenvalue 2 there, and differences over h, 2 sinc²(1/M)."""
    return _pair_entropy(config) / np.sinc(1 / config.cells) ** 2


def _tilt(sizes, covariance) -> float:
    """How far corrections in 1/N turn the exponent of a covariance, from its stationary values, which are exact."""
    ends = np.array([sizes[0], sizes[-1]])
    turned = np.diff(np.log([n * covariance(int(n)) for n in ends])) / np.diff(np.log(ends))
    return abs(float(turned[0]))


def _circle_covariance(n: int) -> float:
    """Cov(cos X_1, cos X_2) under the Gibbs measure of N oscillators, from E r²."""
    return (mean_square_order(n, _BELOW, 1.0) - 1 / n) * n / (2 * (n - 1))


def _pair_claims(config: Config, rate: Rate, laws: dict[int, Marginals]) -> list[Claim]:
    tilt = _tilt(config.sizes, _circle_covariance)
    entropy, origin = laws[2].rate("dependence"), "1/N corrections, exact for the Gibbs measure"
    n = np.array(config.sizes)
    triples, pairs = (laws[k].dependence.map(lambda h: h[..., 0]).estimate for k in (3, 2))
    ratio = triples.value / pairs.value
    spread = ratio * math.hypot(triples.stderr / triples.value, pairs.stderr / pairs.value)
    scaled = rate.errors.value[-1] * n[-1], rate.errors.stderr[-1] * n[-1]
    height = entropy.errors.value[-1] * n[-1] ** 2, entropy.errors.stderr[-1] * n[-1] ** 2
    transport = laws[2].rate("transport")
    cost = transport.errors.value[-1] * n[-1] ** 2, transport.errors.stderr[-1] * n[-1] ** 2
    # N·Cov of the Gibbs measure tends to ½ for K = 1.
    small, correction = (abs(m * _circle_covariance(int(m)) / 0.5 - 1) for m in (n[0], n[-1]))
    return [
        Claim("Kuramoto: exponent of N in the correlation of two oscillators", -1.0, rate.slope.value,
              rate.slope.stderr, tilt, origin, _CORRELATIONS),
        Claim(f"Kuramoto: N·Cov(cos X₁, cos X₂), N = {n[-1]}", _correlation(config), scaled[0], scaled[1],
              correction * _correlation(config), origin, "linear response, with the scheme's own steps"),
        Claim("Kuramoto: exponent of N in the entropy of pairs on cells", -2.0, entropy.slope.value,
              entropy.slope.stderr, 2 * tilt, origin, _SHARP),
        Claim(f"Kuramoto: N²·entropy of pairs on {config.cells}² cells, N = {n[-1]}", _pair_entropy(config), height[0],
              height[1], 2 * correction * _pair_entropy(config), origin, "½χ² of the linear response"),
        Claim("Kuramoto: exponent of N in W₂² of pairs on cells", -2.0, transport.slope.value, transport.slope.stderr,
              2 * tilt, origin, _SHARP),
        Claim(f"Kuramoto: N²·W₂² of pairs on {config.cells}² cells, N = {n[-1]}", _pair_transport(config), cost[0],
              cost[1], 2 * correction * _pair_transport(config), origin, "Ḣ⁻¹ norm of the linear response"),
        Claim(f"Kuramoto: entropy of triples over that of pairs, N = {n[0]}", 3.0, ratio, spread, 3 * small, origin,
              "three pairs, k(k − 1)/2"),
        Claim("Kuramoto: upper end of the 99.99 % interval of the correlation's exponent, against −½", -0.5,
              rate.interval(0.9999)[1], 0.0, 0.0, "a wrong exponent is rejected", _CORRELATIONS, "at most"),
    ]  # fmt: skip


def _pair_figure(config: Config, rate: Rate, laws: dict[int, Marginals]) -> Figure:
    n, low_high = np.array(config.sizes), rate.interval()
    found = [
        Series(n, rate.errors.value, "replicas", rate.errors.stderr, "points"),
        Series(n, rate.curve(n), f"slope {rate.slope.value:.3f} in [{low_high[0]:.3f}, {low_high[1]:.3f}]"),
        Series(n, _correlation(config) / n, "linear response", kind="dashed"),
    ]
    entropies, variations = [], []
    for k, law in laws.items():
        h, tv = law.dependence.estimate, law.variation.estimate
        entropies.append(Series(n, h.value, f"k = {k}", h.stderr, "points"))
        line, label = k * (k - 1) / 2 * _pair_entropy(config) / n**2, "c" if k == 2 else "3c"
        entropies.append(Series(n, line, f"${label}/N^2$", kind="dashed"))
        variations.append(Series(n, tv.value, f"k = {k}", tv.stderr, "points"))
    variations.append(Series(n, laws[2].variation.value[0] * n[0] / n, r"$\propto 1/N$", kind="dashed"))
    caption = (
        f"Kuramoto, K = 1, at time {_TIME:g} from the uniform law. Left: correlation of two oscillators; the interval, "
        "of 95 %, is that of the mean slope over the ladder, which corrections in 1/N turn a little. Middle and "
        f"right: relative entropy and total variation of pairs and triples against independence, on {config.cells} "
        "cells each, the noise floor taken off."
    )
    panel = partial(Panel, "number of oscillators N", xscale="log", yscale="log")
    panels = [
        panel(r"$\mathrm{Cov}(\cos X_1, \cos X_2)$", found),
        panel("relative entropy on cells", entropies),
        panel("total variation on cells", variations),
    ]
    return Figure(caption, panels)


def _well_covariance(n: int, beta: float = 1.0, theta: float = 1.0) -> float:
    """E X_1X_2 under the Gibbs measure of N particles in two wells that attract: ∫m(u)² w / ∫w.

    Given u, of weight w = e^{N(log z(u) − βθu²/2)}, z(u) = ∫e^{−β(V + θx²/2 − θux)}dx, particles are independent with
    mean m(u) (Hubbard and Stratonovich).
    """
    x, u = np.linspace(-6, 6, 1201), np.linspace(-2, 2, 801)
    boltzmann = np.exp(-beta * (x**4 / 4 - (1 - theta) * x**2 / 2 - theta * u[:, None] * x))
    z = boltzmann.sum(1)
    logs = n * (np.log(z) - beta * theta * u**2 / 2)
    w = np.exp(logs - logs.max())
    return float(w @ (boltzmann @ x / z) ** 2 / w.sum())


def _wells(config: Config, key):
    """Desai–Zwanzig above the critical temperature: the largest correlation up to time T."""
    rate = chaos_rate(
        catalogue.desai_zwanzig(1.0, 1.0).model, Gaussian(0.0, 0.25), _coordinate, sizes=config.wells, key=key,
        until=_WELL_TIME, dt=config.dt, every=5, replicas=config.replicas // 2,
    )  # fmt: skip
    n, interval = np.array(config.wells), rate.interval()
    claims = [
        Claim("double well: exponent of N in the largest correlation up to T", -1.0, rate.slope.value,
              rate.slope.stderr, _tilt(n, _well_covariance),
              "1/N corrections, from the exact covariances of the Gibbs measure", _CORRELATIONS),
    ]  # fmt: skip
    series = [
        Series(n, rate.errors.value, "replicas", rate.errors.stderr, "points"),
        Series(n, rate.curve(n), f"slope {rate.slope.value:.3f} in [{interval[0]:.3f}, {interval[1]:.3f}]"),
        Series(n, [_well_covariance(int(m)) for m in n], "Gibbs measure", kind="dashed"),
    ]
    panel = Panel("number of particles N", r"$\max_t\,\mathrm{Cov}(X_1, X_2)$", series, xscale="log", yscale="log")
    caption = (
        "Two wells with attraction, θ = β = 1, above the critical temperature: the largest correlation along time."
    )
    return claims, [Figure(caption, [panel])]


def phase_diffusion(strength: float, beta: float) -> float:
    """N dVar ψ/dt of the phase ψ of N synchronised oscillators: (2/β)/(1 − I_0(βKr)^{−2}).

    A fluctuation of flux √(2q/βN) ξ moves the circle of states q(· − ψ) by its component along −q′ in the metric
    ∫UV/q of fluxes, the gradient flow's own: that of q′ is q − c, c = 2π/∫q⁻¹, of square 1 − 2πc = 1 − I_0^{−2}, and
    the rate is (2/βN)/(1 − I_0^{−2}).
    """
    k = beta * strength * order_parameter(strength, beta)
    return _wandering(k, beta)


def _wandering(k: float, beta: float) -> float:
    return 2 / beta / (1 - (math.exp(-k) / ive(0, k)) ** 2)


def _orders(config: Config, key, strength: float) -> np.ndarray:
    """∫e^{ix}dμ^N at times 1, 2, …, T, shape (runs, T), from independent particles of the stationary law."""
    r = order_parameter(strength, 1.0)
    run = eqx.Partial(
        recorded, model=catalogue.kuramoto(strength).model, law=VonMises(Torus(1), 0.0, strength * r),
        observe={"z": observables.mode(1)}, until=config.until, dt=config.dt, every=round(1 / config.dt), scheme=None,
    )  # fmt: skip
    return samples(run, (config.oscillators,), key, config.runs)["z"][:, 0]


def _for_how_long(config: Config, key):
    """Below the transition the error stays at its size for all times; above, the phase wanders."""
    n, half = config.oscillators, round(config.until / 2)
    below, above = (_orders(config, k, s) for k, s in zip(jax.random.split(key), (_BELOW, _ABOVE), strict=True))
    r = order_parameter(_ABOVE, 1.0)
    errors = {"below": n * np.abs(below) ** 2, "above": n * np.abs(above - r) ** 2}
    growth = {name: average(e[:, half:].mean(1) - e[:, _SETTLED:half].mean(1)) for name, e in errors.items()}
    level = average(errors["below"][:, _SETTLED:].mean(1))
    stationary, coarse = n * mean_square_order(n, _BELOW, 1.0), _euler_level(config.dt)
    phase = np.unwrap(np.angle(above), axis=1)[:, _SETTLED:]
    wander = [n * np.mean((phase[:, lag:] - phase[:, :-lag]) ** 2, axis=1) for lag in _LAGS]
    diffusion = average((wander[1] - wander[0]) / (_LAGS[1] - _LAGS[0]))
    predicted = phase_diffusion(_ABOVE, 1.0)
    finite = abs(predicted - _wandering(_ABOVE * math.sqrt(mean_square_order(n, _ABOVE, 1.0)), 1.0))
    claims = [
        Claim("K = 1: growth of N·E|z − z_∞|² from the first half of the run to the second", 0.0, growth["below"].value,
              growth["below"].stderr, 0.0, "stationary after relaxation; statistical error only", _UNIFORM),
        Claim("K = 1: N·E|z|² after relaxation", stationary, level.value, level.stderr,
              stationary * abs(1 - coarse), "Euler's steps, from their linear response", "exact Gibbs measure of N"),
        Claim("K = 3: N dVar/dt of the phase", predicted, diffusion.value, diffusion.stderr,
              finite + predicted * config.dt * _ABOVE / 2,
              "r of N oscillators in place of r; Euler's steps, Kdt/2", _PHASE),
        Claim("K = 3: growth of N·E|z − z_∞|² over its value at K = 1", 1.0, growth["above"].value / level.value,
              growth["above"].stderr / level.value, 0.0, "not uniform in time", _PHASE, "at least"),
    ]  # fmt: skip
    return claims, [_time_figure(config, errors, n * phase**2, predicted, r)]


def _euler_level(dt: float) -> float:
    """The stationary variance of Euler's linear response over that of the equation, at K = 1."""
    keep = math.exp(-2 * dt)
    return (1 - keep) / (1 - keep * (1 + _BELOW * dt / 2) ** 2) * (1 - _BELOW / 2)


def _time_figure(config: Config, errors, squares, predicted: float, r: float) -> Figure:
    times = np.arange(1, errors["below"].shape[1] + 1)
    below, above, phase = average(errors["below"]), average(errors["above"]), average(squares)
    n = config.oscillators
    stationary = n * mean_square_order(n, _BELOW, 1.0)
    late = times[_SETTLED:]
    line = phase.value[0] + predicted * (late - late[0])
    # |re^{iψ} − r|² = 2r²(1 − cos ψ), ψ Gaussian.
    wander = -2 * n * r**2 * np.expm1(-predicted * (times - times[_SETTLED]) / (2 * n))
    panels = [
        Panel("time t", r"$N\,E|z^N_t - z_t|^2$", [
            Series(times, below.value, "K = 1", below.stderr, "points"),
            Series(times, np.full(len(times), stationary), r"$N\,E|z|^2$, Gibbs", kind="dashed"),
            Series(times, above.value, "K = 3", above.stderr, "points"),
            Series(times, above.value[_SETTLED] + wander, "diffusing phase", kind="dashed"),
        ]),
        Panel("time t", r"$N\,E\,\psi_t^2$ (phase, rad²)", [
            Series(late, phase.value, "K = 3", phase.stderr, "points"),
            Series(late, line, f"D = {predicted:.3f}", kind="dashed"),
        ]),
    ]  # fmt: skip
    caption = (
        f"{config.oscillators} oscillators from the stationary law. Left: below the transition the error does not "
        "grow; above it grows as t/N, until it is of order one. Right: since the phase of the synchronised oscillators "
        "diffuses."
    )
    return Figure(caption, panels)


CHAPTER = Chapter(
    name="chaos",
    title="Rates of propagation of chaos",
    statement=(
        "Particles that start independent become nearly so again as $N\\to\\infty$: the law $P^k$ of $k$ of them tends "
        "to $\\mu_t^{\\otimes k}$. How fast depends on what is asked. Two particles are correlated to order $1/N$, and "
        "in total variation $P^k$ and $\\mu^{\\otimes k}$ differ by as much; in relative entropy "
        "$$H(P^k\\,|\\,\\mu^{\\otimes k}) = O\\bigl((k/N)^2\\bigr),$$ for the Ornstein–Uhlenbeck model exactly "
        "$(x - \\log(1+x))/2$, $x = (k/N)(v_c - v)/v$, with the variances $v$ of the limit and $v_c$ of $\\sqrt N\\bar "
        "X$. The empirical measure is farther off: $E\\,W_p^p(\\mu^N,\\mu)$ is of order $N^{-1/2}$ or $N^{-p/d}$ at "
        "worst, whichever is larger. Below a phase transition the rates hold uniformly in time. Above it they do not: "
        "synchronised oscillators have a phase, which nothing holds in place, and which diffuses as "
        "$$N\\,\\frac{d}{dt}\\operatorname{Var}\\psi = \\frac{2/\\beta}{1 - I_0(\\beta Kr)^{-2}},$$ so that the error "
        "is of order one after times of order $N$."
    ),
    what=lambda c: (
        f"Ornstein–Uhlenbeck (a = 1, c = 0.5, β = 1) exactly. Kuramoto, K = 1, from the uniform law up to T = "
        f"{_TIME:g}: N from {c.sizes[0]} to {c.sizes[-1]}, {c.replicas} replicas. Two wells with attraction (θ = β = "
        f"1) up to T = {_WELL_TIME:g}: N from {c.wells[0]} to {c.wells[-1]}, {c.replicas // 2} replicas. "
        f"{c.oscillators} oscillators, K = 1 and 3, up to T = {c.until:g}, {c.runs} replicas. Euler's scheme, dt = "
        f"{c.dt:g}. Clouds of independent points, {c.clouds.replicas} replicas."
    ),
    run=run,
    config=Config(),
    quick=Config((32, 128), 16384, (32, 96), oscillators=128, runs=256, until=20.0, clouds=Clouds.quick()),
    references=(
        "D. Lacker, Hierarchies, entropy, and quantitative propagation of chaos, arXiv 2105.02983.",
        "D. Lacker and L. Le Flem, Sharp uniform-in-time propagation of chaos, arXiv 2205.12047.",
        "M. Duerinckx, On the size of chaos via Glauber calculus in the classical mean-field dynamics, 2021.",
        "L. Bertini, G. Giacomin and C. Poquet, Synchronization and random long time dynamics for mean-field plane "
        "rotators, Probab. Theory Relat. Fields 160, 2014.",
        "N. Fournier and A. Guillin, Probab. Theory Relat. Fields 162, 2015.",
    ),
)
