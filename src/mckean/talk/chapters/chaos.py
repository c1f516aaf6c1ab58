"""Chapter: how fast the laws of k of N particles approach independence, in which distance, and for how long."""

import math
from dataclasses import dataclass, field
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mckean import catalogue
from mckean.catalogue.mean_reversion import marginal_entropy, marginal_excess
from mckean.catalogue.oscillators import mean_square_order
from mckean.couplings import Marginals, chaos_rate, distinct_means, joint_cumulant
from mckean.couplings._chaos import run_from_law
from mckean.couplings._marginals import distances, occupation
from mckean.measures import Gaussian, Uniform
from mckean.spaces import Torus
from mckean.statistics import Rate, fit_rate, ladder, samples
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Series
from mckean.talk.parts.clouds import Clouds, run_clouds
from mckean.talk.parts.phases import Phases, run_phases


@dataclass(frozen=True)
class Config:
    sizes: tuple[int, ...] = ladder(32, 512, 5)
    replicas: int = 32768
    wells: tuple[int, ...] = ladder(32, 256, 4)
    dt: float = 0.05
    cells: int = 8
    phases: Phases = field(default_factory=Phases)
    clouds: Clouds = field(default_factory=Clouds)


_SHARP = "Lacker, Hierarchies, entropy, and quantitative propagation of chaos (arXiv 2105.02983)"
_CORRELATIONS = "Duerinckx, Probab. Theory Relat. Fields 179 (2021)"
_UNIFORM = "Lacker and Le Flem, Sharp uniform-in-time propagation of chaos (arXiv 2205.12047)"
_BELOW = 1.0
_TIME, _WELL_TIME = 1.0, 2.0


def run(config: Config, key, progress) -> Result:
    keys = jax.random.split(key, 4)
    numbers = np.geomspace(10, 10_000, 7).astype(int)
    result = _linear(numbers)
    parts = (
        _oscillators,
        _wells,
        lambda config, key: run_phases(config.phases, key),
        lambda config, key: run_clouds(config.clouds, key),
    )
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
        Claim(
            statement="Ornstein–Uhlenbeck: exponent of N in the entropy of pairs",
            predicted=-2.0,
            measured=slope,
            tolerance=bend,
            origin="next term of the series, −2x/3",
            reference=_SHARP,
        ),
        Claim(
            statement="Ornstein–Uhlenbeck: exponent of k in the entropy, N = 10000",
            predicted=2.0,
            measured=growth,
            tolerance=2 * float(excess[3][-1]) / 3 / math.log(3),
            origin="next term of the series, −2x/3",
            reference=_SHARP,
        ),
        Claim(
            statement="Ornstein–Uhlenbeck: largest entropy of pairs up to time 6 over its stationary value",
            predicted=1.0,
            measured=above,
            origin="closed form",
            reference=_UNIFORM,
            relation="at most",
        ),
    ]
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
        run_from_law,
        model=model,
        law=Uniform(circle),
        observe=observe,
        until=_TIME,
        dt=config.dt,
        every=None,
        scheme=None,
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
    return [*_correlation_claims(config, rate), *_cell_claims(config, laws)]


_GIBBS = "1/N corrections, exact for the Gibbs measure"


def _correction(n: int) -> float:
    """How far N·Cov of the Gibbs measure is from its limit, which is ½ for K = 1, relatively."""
    return abs(n * _circle_covariance(n) / 0.5 - 1)


def _correlation_claims(config: Config, rate: Rate) -> list[Claim]:
    n, errors = config.sizes[-1], rate.errors
    return [
        Claim(
            statement="Kuramoto: exponent of N in the correlation of two oscillators",
            predicted=-1.0,
            measured=rate.slope.value,
            stderr=rate.slope.stderr,
            tolerance=_tilt(config.sizes, _circle_covariance),
            origin=_GIBBS,
            reference=_CORRELATIONS,
        ),
        Claim(
            statement=f"Kuramoto: N·Cov(cos X₁, cos X₂), N = {n}",
            predicted=_correlation(config),
            measured=errors.value[-1] * n,
            stderr=errors.stderr[-1] * n,
            tolerance=_correction(n) * _correlation(config),
            origin=_GIBBS,
            reference="linear response, with the scheme's own steps",
        ),
        Claim(
            statement="Kuramoto: upper end of the 99.99 % interval of the correlation's exponent, against −½",
            predicted=-0.5,
            measured=rate.interval(0.9999)[1],
            origin="a wrong exponent is rejected",
            reference=_CORRELATIONS,
            relation="at most",
        ),
    ]


def _cell_claims(config: Config, laws: dict[int, Marginals]) -> list[Claim]:
    """Entropy and transport cost of pairs on cells, both of order N⁻², and the entropy of triples."""
    first, last, tilt = config.sizes[0], config.sizes[-1], _tilt(config.sizes, _circle_covariance)
    claims = []
    for rate, name, limit, reference in (
        (laws[2].rate("dependence"), "the entropy", _pair_entropy(config), "½χ² of the linear response"),
        (laws[2].rate("transport"), "W₂²", _pair_transport(config), "Ḣ⁻¹ norm of the linear response"),
    ):
        claims += [
            Claim(
                statement=f"Kuramoto: exponent of N in {name} of pairs on cells",
                predicted=-2.0,
                measured=rate.slope.value,
                stderr=rate.slope.stderr,
                tolerance=2 * tilt,
                origin=_GIBBS,
                reference=_SHARP,
            ),
            Claim(
                statement=f"Kuramoto: N²·{name.removeprefix('the ')} of pairs on {config.cells}² cells, N = {last}",
                predicted=limit,
                measured=rate.errors.value[-1] * last**2,
                stderr=rate.errors.stderr[-1] * last**2,
                tolerance=2 * _correction(last) * limit,
                origin=_GIBBS,
                reference=reference,
            ),
        ]
    triples, pairs = (laws[k].dependence.map(lambda h: h[..., 0]).estimate for k in (3, 2))
    ratio = triples.value / pairs.value
    triple = Claim(
        statement=f"Kuramoto: entropy of triples over that of pairs, N = {first}",
        predicted=3.0,
        measured=ratio,
        stderr=ratio * math.hypot(triples.stderr / triples.value, pairs.stderr / pairs.value),
        tolerance=3 * _correction(first),
        origin=_GIBBS,
        reference="three pairs, k(k − 1)/2",
    )
    return [*claims, triple]


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
        Claim(
            statement="double well: exponent of N in the largest correlation up to T",
            predicted=-1.0,
            measured=rate.slope.value,
            stderr=rate.slope.stderr,
            tolerance=_tilt(n, _well_covariance),
            origin="1/N corrections, from the exact covariances of the Gibbs measure",
            reference=_CORRELATIONS,
        ),
    ]
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
        f"{c.phases.oscillators} oscillators, K = 1 and 3, up to T = {c.phases.until:g}, {c.phases.replicas} "
        f"replicas. Euler's scheme, dt = {c.dt:g}. Clouds of independent points, {c.clouds.replicas} replicas."
    ),
    run=run,
    config=Config(),
    quick=Config((32, 128), 16384, (32, 96), phases=Phases.quick(), clouds=Clouds.quick()),
    references=(
        "D. Lacker, Hierarchies, entropy, and quantitative propagation of chaos, arXiv 2105.02983.",
        "D. Lacker and L. Le Flem, Sharp uniform-in-time propagation of chaos, arXiv 2205.12047.",
        "M. Duerinckx, On the size of chaos via Glauber calculus in the classical mean-field dynamics, 2021.",
        "L. Bertini, G. Giacomin and C. Poquet, Synchronization and random long time dynamics for mean-field plane "
        "rotators, Probab. Theory Relat. Fields 160, 2014.",
        "N. Fournier and A. Guillin, Probab. Theory Relat. Fields 162, 2015.",
    ),
)
