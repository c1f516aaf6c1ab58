"""Chapter: how fast the laws of k of N particles approach independence, in which distance, and for how long."""

import math
from dataclasses import dataclass, field
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mckean import catalogue
from mckean.catalogue.double_well import pair_covariance
from mckean.catalogue.oscillators import mean_square_order
from mckean.couplings import Marginals, chaos_rate, distinct_means, joint_cumulant
from mckean.couplings._chaos import run_from_law
from mckean.couplings._marginals import distances, occupation
from mckean.measures import Gaussian, Uniform
from mckean.spaces import Torus
from mckean.statistics import Jackknife, Rate, combine, fit_rate, ladder, samples
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Rival, Series
from mckean.talk.parts.clouds import Clouds, run_clouds
from mckean.talk.parts.gaussians import Gaussians, run_gaussians
from mckean.talk.parts.phases import Phases, run_phases


@dataclass(frozen=True)
class Config:
    sizes: tuple[int, ...] = ladder(8, 128, 5)
    replicas: int = 32768
    wells: tuple[int, ...] = ladder(32, 256, 4)
    dt: float = 0.05
    cells: int = 8
    gaussians: Gaussians = field(default_factory=Gaussians)
    phases: Phases = field(default_factory=Phases)
    clouds: Clouds = field(default_factory=Clouds)


_SHARP = "Lacker, Hierarchies, entropy, and quantitative propagation of chaos (arXiv 2105.02983)"
_CORRELATIONS = "Duerinckx, Probab. Theory Relat. Fields 179 (2021)"
_BELOW = 1.0
_TIME, _WELL_TIME = 1.0, 2.0


def run(config: Config, key, progress) -> Result:
    parts = (
        lambda config, key: run_gaussians(config.gaussians, key),
        _oscillators,
        _wells,
        lambda config, key: run_phases(config.phases, key),
        lambda config, key: run_clouds(config.clouds, key),
    )
    claims, figures = [], []
    for i, (part, k) in enumerate(zip(parts, jax.random.split(key, len(parts)), strict=True)):
        more, drawn = part(config, k)
        claims, figures = [*claims, *more], [*figures, *drawn]
        progress((i + 1) / len(parts))
    return Result(claims, figures)


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
    n, level = config.sizes[-1], _correlation(config)
    return [
        Claim(
            statement="The correlation of two Kuramoto oscillators, $K = 1$, falls as $N^s$; s",
            predicted=-1.0,
            measured=rate.slope,
            tolerance=_tilt(config.sizes, _circle_covariance),
            origin=_GIBBS,
            excludes=Rival("order 1/2", -0.5),
            reference=_CORRELATIONS,
        ),
        Claim(
            statement=(
                f"$N\\,\\mathrm{{Cov}}(\\cos X_1, \\cos X_2)$ of N = {n} oscillators is that of linear response at "
                f"$t = {_TIME:g}$"
            ),
            predicted=level,
            measured=combine([n], rate.errors[-1:]),
            tolerance=_correction(n) * level,
            origin=_GIBBS,
            excludes=Rival("the stationary value ½", 0.5),
            reference="linear response, with the scheme's own steps",
        ),
    ]


def _cell_claims(config: Config, laws: dict[int, Marginals]) -> list[Claim]:
    """Entropy and transport cost of pairs on cells, both of order N⁻², and the entropy of triples."""
    # The noise of P¹ in W₂², of order 1/rN, outweighs 1/N² at the largest N.
    place, tilt = len(config.sizes) // 2, _tilt(config.sizes, _circle_covariance)
    middle = config.sizes[place]
    claims = []
    for rate, name, limit, reference in (
        (laws[2].rate("dependence"), "relative entropy", _pair_entropy(config), "½χ² of the linear response"),
        (laws[2].rate("transport"), "$W_2^2$", _pair_transport(config), "Ḣ⁻¹ norm of the linear response"),
    ):
        claims += [
            Claim(
                statement=f"For Kuramoto the {name} of pairs against independence, on cells, falls as $N^s$; s",
                predicted=-2.0,
                measured=rate.slope,
                tolerance=2 * tilt,
                origin=_GIBBS,
                excludes=Rival("order 1", -1.0),
                reference=_SHARP,
            ),
            Claim(
                statement=(
                    f"For Kuramoto $N^2$ times the {name} of pairs on {config.cells}² cells is that of linear "
                    f"response: at N = {middle}"
                ),
                predicted=limit,
                measured=combine([middle**2], rate.errors[place : place + 1]),
                tolerance=2 * _correction(middle) * limit,
                origin=_GIBBS,
                excludes=Rival("the stationary correlation ½", limit * (0.5 / _correlation(config)) ** 2),
                reference=reference,
            ),
        ]
    triples, pairs = laws[3].dependence, laws[2].dependence
    quotient = Jackknife(triples.value / pairs.value, triples.left_out / pairs.left_out).estimate[place]
    triple = Claim(
        statement=f"Dependence adds over pairs: relative entropy of triples over that of pairs, N = {middle}",
        predicted=3.0,
        measured=quotient,
        tolerance=6 * 2 * _correlation(config) / middle,
        origin="the third order in the correlation ρ = 2 Cov of two particles, 2ρ relatively",
        excludes=Rival("as k²", 9 / 4),
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


def _wells(config: Config, key):
    """Desai–Zwanzig above the critical temperature: the largest correlation up to time T."""
    rate = chaos_rate(
        catalogue.desai_zwanzig(1.0, 1.0).model, Gaussian(0.0, 0.25), _coordinate, sizes=config.wells, key=key,
        until=_WELL_TIME, dt=config.dt, every=5, replicas=config.replicas // 2,
    )  # fmt: skip
    n, interval = np.array(config.wells), rate.interval()
    exact = lambda m: pair_covariance(m, 1.0, 1.0)  # noqa: E731
    claims = [
        Claim(
            statement="In two wells above the critical temperature the largest correlation falls as $N^s$; s",
            predicted=-1.0,
            measured=rate.slope,
            tolerance=_tilt(n, exact),
            origin="1/N corrections, from the exact covariances of the Gibbs measure",
            excludes=Rival("order 1/2, that at the critical temperature", -0.5),
            reference=_CORRELATIONS,
        ),
    ]
    series = [
        Series(n, rate.errors.value, "replicas", rate.errors.stderr, "points"),
        Series(n, rate.curve(n), f"slope {rate.slope.value:.3f} in [{interval[0]:.3f}, {interval[1]:.3f}]"),
        Series(n, [exact(int(m)) for m in n], "Gibbs measure", kind="dashed"),
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
        "worst, whichever is larger: for two atoms $W_2$ is of order $N^{-1/4}$. Below a phase transition the rates "
        "hold uniformly in time. Above it they do not: synchronised oscillators have a phase, which nothing holds in "
        "place, and which diffuses as "
        "$$N\\,\\frac{d}{dt}\\operatorname{Var}\\psi = \\frac{2/\\beta}{1 - I_0(\\beta Kr)^{-2}},$$ so that the error "
        "is of order one after times of order $N$."
    ),
    what=lambda c: (
        f"Ornstein–Uhlenbeck (a = 1, c = 0.5, β = 1), N = {' and '.join(map(str, c.gaussians.sizes))}, up to T = "
        f"{c.gaussians.until:g}, {c.gaussians.replicas} replicas. Kuramoto, K = 1, from the uniform law up to T = "
        f"{_TIME:g}: N from {c.sizes[0]} to {c.sizes[-1]}, {c.replicas} replicas. Two wells with attraction (θ = β = "
        f"1) up to T = {_WELL_TIME:g}: N from {c.wells[0]} to {c.wells[-1]}, {c.replicas // 2} replicas. "
        f"{c.phases.oscillators} oscillators, K = 1 and 3, up to T = {c.phases.until:g}, {c.phases.replicas} "
        f"replicas. Euler's scheme, dt = {c.dt:g}. Clouds of independent points, {c.clouds.replicas} replicas."
    ),
    run=run,
    config=Config(),
    quick=Config((8, 32), 16384, (32, 96), phases=Phases.quick(), clouds=Clouds.quick()),
    references=(
        "D. Lacker, Hierarchies, entropy, and quantitative propagation of chaos, arXiv 2105.02983.",
        "D. Lacker and L. Le Flem, Sharp uniform-in-time propagation of chaos, arXiv 2205.12047.",
        "M. Duerinckx, On the size of chaos via Glauber calculus in the classical mean-field dynamics, 2021.",
        "L. Bertini, G. Giacomin and C. Poquet, Synchronization and random long time dynamics for mean-field plane "
        "rotators, Probab. Theory Relat. Fields 160, 2014.",
        "N. Fournier and A. Guillin, Probab. Theory Relat. Fields 162, 2015.",
    ),
)
