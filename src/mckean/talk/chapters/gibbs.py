"""Chapter: the Gibbs measure of N particles, sampled in two ways, and what leaves it invariant."""

import math
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean import observables
from mckean.catalogue.oscillators import critical_strength, gibbs_clouds, kuramoto, mean_square_order, order_parameter
from mckean.catalogue.oscillators import log_partition as exact_log_partition
from mckean.equilibrium import (
    GibbsSample,
    Invariance,
    LangevinMeans,
    invariance,
    langevin_means,
    log_partition,
    sample_gibbs,
    stationarity,
)
from mckean.measures import AbstractMeasure, Uniform
from mckean.models import Additive, Model, Multiplicative, Thermal
from mckean.spaces import Torus
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Series

_STRENGTH = 3.0
# Below, at and above the transition; all three are rungs of the ladder.
_SHOWN = {"below": 1.0, "at": 2.0, "above": 3.0}
_HUBBARD = "Hubbard and Stratonovich; closed form by one quadrature"
_LEVEL, _CERTAIN = 1e-3, 1e-6


@dataclass(frozen=True)
class Config:
    particles: int = 100
    rungs: int = 13
    chains: int = 64
    draws: int = 1000
    sizes: tuple[int, ...] = (25, 400)
    dt: float = 0.05
    until: float = 400.0
    discard: float = 40.0
    replicas: int = 32
    clouds: int = 8000
    steps: tuple[float, ...] = (0.0025, 0.05, 0.1, 0.2, 0.5)


def _square(model: Model, mu: AbstractMeasure) -> Float[Array, ""]:
    return observables.order_parameter(1)(model, mu) ** 2


def _second(model: Model, mu: AbstractMeasure) -> Float[Array, ""]:
    return observables.order_parameter(2)(model, mu) ** 2


def _skewness(model: Model, mu: AbstractMeasure) -> Float[Array, ""]:
    """Im(z_2 z̄_1²), which a reflection of the circle turns round."""
    z, second = observables.mode(1)(model, mu), observables.mode(2)(model, mu)
    return jnp.imag(second * jnp.conj(z) ** 2)


_TESTS = {"r₂²": _second, "Im z₂z̄₁²": _skewness}


class _Drift(eqx.Module):
    """ω − λK Re(z e^{−ix}): a rotation, and the part of a phase lag that is no gradient."""

    rotation: Any
    lag: Any

    def __call__(self, x: Float[Array, " d"], mu: AbstractMeasure) -> Float[Array, " d"]:
        c, s = mu.integrate(lambda y: jnp.cos(y[0])), mu.integrate(lambda y: jnp.sin(y[0]))
        return self.rotation - self.lag * _STRENGTH * (c * jnp.cos(x) + s * jnp.sin(x))


class _Wave(eqx.Module):
    amplitude: Any

    def __call__(self, x: Float[Array, " d"], mu: AbstractMeasure) -> Float[Array, " d"]:
        return self.amplitude * jnp.sin(x)


def _perturb(rotation: float = 0.0, lag: float = 0.0, shift: float = 0.0, wave: float = 0.0) -> Model:
    """Noisy Kuramoto with what is added to it: one form, and so one program for all cases."""
    plain = kuramoto(_STRENGTH).model
    drift = _Drift(jnp.asarray(rotation), jnp.asarray(lag))
    common = (Additive(shift), Multiplicative(_Wave(jnp.asarray(wave))))
    return Model(plain.space, interaction=plain.interaction, drift=drift, noise=Thermal(1.0), common=common)


_CASES = {
    "the Langevin equation": (_perturb, {}, True),
    "a rotation, b = 1, no gradient": (_perturb, {"rotation": 1.0}, True),
    "a common noise that turns the circle": (_perturb, {"shift": 1.0}, True),
    "a phase lag, no gradient": (_perturb, {"lag": 0.5}, False),
    "a common noise 0.5 sin x dB⁰": (_perturb, {"wave": 0.5}, False),
}


def run(config: Config, key, progress) -> Result:
    model, law, n = kuramoto(_STRENGTH).model, Uniform(Torus(1)), config.particles
    keys = jax.random.split(key, 5)
    ladder = np.linspace(0, 1, config.rungs)
    budget = {"chains": config.chains, "draws": config.draws}
    sample = sample_gibbs(model, law, n, {"r²": _square}, key=keys[0], couplings=tuple(ladder), **budget)
    progress(0.3)
    long = {name: _long_run(config, strength, keys[1]) for name, strength in _SHOWN.items()}
    progress(0.5)
    sizes = {n: _critical(sample)} | {m: _at_criticality(config, m, keys[2]) for m in config.sizes}
    progress(0.6)
    clouds = gibbs_clouds(keys[3], config.clouds, n, _STRENGTH, 1.0)
    cases = {name: stationarity(build(**what), clouds, _TESTS) for name, (build, what, _) in _CASES.items()}
    progress(0.8)
    stepped = {dt: invariance(model, clouds, _TESTS, dt=dt, until=1.0, key=keys[4]) for dt in config.steps}
    claims = [
        *_sampling_claims(model, n, sample, long),
        *_critical_claims(sizes),
        *_invariance_claims(cases, stepped),
    ]
    return Result(claims, [_means_figure(n, sample, long, sizes), _invariance_figure(cases, stepped)])


def _long_run(config: Config, strength: float, key) -> LangevinMeans:
    return langevin_means(
        kuramoto(strength).model, Uniform(Torus(1)), config.particles, {"r²": _square}, key=key, dt=config.dt,
        until=config.until, discard=config.discard, replicas=config.replicas, every=4,
    )  # fmt: skip


def _rung(sample: GibbsSample, strength: float) -> int:
    return int(np.argmin(np.abs(_STRENGTH * sample.couplings - strength)))


def _critical(sample: GibbsSample) -> tuple[float, float]:
    mean, i = sample.means["r²"], _rung(sample, _SHOWN["at"])
    return float(mean.value[i]), float(mean.stderr[i])


def _at_criticality(config: Config, n: int, key) -> tuple[float, float]:
    model = kuramoto(critical_strength(1.0)).model
    found = sample_gibbs(
        model, Uniform(Torus(1)), n, {"r²": _square}, key=jax.random.fold_in(key, n), chains=config.chains,
        draws=4 * config.draws,
    )["r²"]  # fmt: skip
    return found.value, found.stderr


def _sampling_claims(model: Model, n: int, sample: GibbsSample, long: dict[str, LangevinMeans]) -> list[Claim]:
    claims, mean = [], sample.means["r²"]
    for name, strength in _SHOWN.items():
        i = _rung(sample, strength)
        value, found = mean_square_order(n, strength, 1.0), long[name].extrapolated["r²"]
        at = f"{name} the transition, K = {strength:g}, N = {n}"
        claims += [
            Claim(
                statement=f"E r² {at}, Hamiltonian Monte Carlo",
                predicted=value,
                measured=float(mean.value[i]),
                stderr=float(mean.stderr[i]),
                tolerance=1e-8,
                origin="the quadrature of the exact value; statistical error of independent chains",
                reference=_HUBBARD,
            ),
            Claim(
                statement=f"E r² {at}, Langevin runs, dt → 0",
                predicted=value,
                measured=float(found.value),
                stderr=float(found.stderr),
                tolerance=long[name].remainder["r²"],
                origin="bias²/E r², the next term of the extrapolation in dt",
                reference=_HUBBARD,
            ),
        ]
    partition = log_partition(model, sample)
    claims.append(
        Claim(
            statement=f"log Z_N, K = {_STRENGTH:g}, N = {n}, thermodynamic integration",
            predicted=exact_log_partition(n, _STRENGTH, 1.0),
            measured=partition.estimate.value,
            stderr=partition.estimate.stderr,
            tolerance=4 * partition.quadrature,
            origin="four times the quadrature's estimated error on the ladder",
            reference=_HUBBARD,
        )
    )
    return claims


def _correction() -> float:
    """The second coefficient of √N E r² = 2/√π + (1/3 − 16/9π)/√N + O(1/N) at the transition."""
    return 1 / 3 - 16 / (9 * math.pi)


def _critical_claims(sizes: dict[int, tuple[float, float]]) -> list[Claim]:
    large, limit = 10**6, 2 / math.sqrt(math.pi)
    value = math.sqrt(large) * mean_square_order(large, 2.0, 1.0)
    source = "Laplace's method with log I₀(u) = u²/4 − u⁴/64 + u⁶/576 − …"
    claims = [
        Claim(
            statement="√N E r² at the transition, N = 10⁶, less 2/√π, in units of 1/√N",
            predicted=_correction(),
            measured=math.sqrt(large) * (value - limit),
            tolerance=10 / math.sqrt(large),
            origin="the next term of the expansion, of relative order 1/√N, with a constant of 10",
            reference=source,
        )
    ]
    for n, (mean, stderr) in sorted(sizes.items()):
        claims.append(
            Claim(
                statement=f"√N E r² at the transition, N = {n}",
                predicted=limit,
                measured=math.sqrt(n) * mean,
                stderr=math.sqrt(n) * stderr,
                tolerance=2 * abs(_correction()) / math.sqrt(n),
                origin="twice the correction (1/3 − 16/9π)/√N",
                reference=source,
            )
        )
    return claims


def _invariance_claims(cases: dict[str, Invariance], stepped: dict[float, Invariance]) -> list[Claim]:
    small, large = min(stepped), max(stepped)
    verdicts = [(f"E Lφ = 0, {name}", cases[name].p_value, kept) for name, (_, _, kept) in _CASES.items()]
    verdicts += [
        (f"Euler's steps, dt = {small:g}", stepped[small].p_value, True),
        (f"Euler's steps, dt = {large:g}", stepped[large].p_value, False),
    ]
    kept_origin = "the level of the test: an invariant law fails it once in a thousand seeds"
    return [
        Claim(
            statement=f"π_N is {'' if kept else 'not '}kept: p-value, {name}",
            predicted=_LEVEL if kept else _CERTAIN,
            measured=p,
            origin=kept_origin if kept else "certainty, for a law that is not invariant",
            reference="Hotelling's T² on independent draws",
            relation="at least" if kept else "at most",
        )
        for name, p, kept in verdicts
    ]


def _means_figure(n: int, sample: GibbsSample, long: dict[str, LangevinMeans], sizes) -> Figure:
    strengths = _STRENGTH * sample.couplings
    mean = sample.means["r²"]
    line = np.append(0.02, np.arange(1, 13) * _STRENGTH / 12)
    at = list(_SHOWN.values())
    found = [long[name].extrapolated["r²"] for name in _SHOWN]
    series = [
        Series(line, [mean_square_order(n, k, 1.0) for k in line], f"exact, N = {n}"),
        Series(line, [order_parameter(k, 1.0) ** 2 for k in line], "N = ∞", kind="dashed"),
        Series(strengths, mean.value, "Hamiltonian Monte Carlo", mean.stderr, "points"),
        Series(at, [e.value for e in found], "Langevin, dt → 0", [e.stderr for e in found], "points"),
    ]
    numbers = np.geomspace(10, 1e5, 7).astype(int)
    scaled = [math.sqrt(m) * mean_square_order(int(m), 2.0, 1.0) for m in numbers]
    known = np.array(sorted(sizes))
    sampled = np.sqrt(known)[:, None] * np.array([sizes[int(m)] for m in known])
    scaling = [
        Series(numbers, scaled, "exact"),
        Series(numbers, np.full(numbers.size, 2 / math.sqrt(math.pi)), "2/√π", kind="dashed"),
        Series(known, sampled[:, 0], "Hamiltonian Monte Carlo", sampled[:, 1], "points"),
    ]
    return Figure(
        f"Left: E r² under the Gibbs measure of {n} particles, by two samplers and exactly, and its limit N → ∞, which "
        "has a corner at the transition. Right: at the transition E r² is of order N^(−1/2).",
        [
            Panel("coupling βK", "E r²", series, vertical=((2.0, "transition"),)),
            Panel("number of particles N", "√N E r² at βK = 2", scaling, xscale="log"),
        ],
    )


def _invariance_figure(cases: dict[str, Invariance], stepped: dict[float, Invariance]) -> Figure:
    steps = np.array(list(stepped))
    series = []
    for name in _TESTS:
        change = np.array([test.changes[name].value / test.spread[name] for test in stepped.values()])
        stderr = np.array([test.changes[name].stderr / test.spread[name] for test in stepped.values()])
        series.append(Series(steps, change, name, stderr, "points"))
    series.append(Series(steps, np.zeros(steps.size), "invariant", kind="dashed"))
    labels = {name: i + 1 for i, name in enumerate(cases)}
    generator = []
    for name in _TESTS:
        means = [test.changes[name].value / test.changes[name].stderr for test in cases.values()]
        generator.append(Series(list(labels.values()), means, name, np.ones(len(means)), "points"))
    generator.append(Series([0.5, len(labels) + 0.5], [0, 0], "invariant", kind="dashed"))
    return Figure(
        "Left: what Euler's steps change in means under the Gibbs measure, in a time of 1. Right: E Lφ in its standard "
        "errors, for " + "; ".join(f"{i} {name}" for name, i in labels.items()) + ".",
        [
            Panel("step dt (time)", "change of the mean, in standard deviations", series, xscale="log"),
            Panel("case", "E Lφ over its standard error", generator),
        ],
    )


CHAPTER = Chapter(
    name="gibbs",
    title="The Gibbs measure of N particles",
    statement=(
        "$dX_i = -\\nabla_{x_i}H_N\\,dt + \\sqrt{2/\\beta}\\,dB_i$ leaves $\\pi_N \\propto e^{-\\beta H_N}$ invariant, "
        "and is reversible under it. For noisy Kuramoto $H_N = -KNr^2/2$, and with $k = \\beta K$ $$Z_N = (2\\pi)^N"
        "\\frac Nk\\int_0^\\infty u\\,e^{-Nu^2/2k}I_0(u)^N du,\\qquad E\\,r^2 = \\frac{E\\,u^2 - 2k/N}{k^2},$$ $u$ "
        "having the integrand's law. Below the transition $E\\,r^2$ is of order $1/N$, above it tends to the limit's "
        "$r^2$, and at $k = 2$, where $\\log I_0(u) - u^2/4 = -u^4/64 + u^6/576 - \\dots$, $$\\sqrt N\\,E\\,r^2 = "
        "\\frac2{\\sqrt\\pi} + \\Bigl(\\frac13 - \\frac{16}{9\\pi}\\Bigr)\\frac1{\\sqrt N} + O(1/N).$$ A law $\\pi$ is "
        "invariant if $E_\\pi L\\varphi = 0$ for all test functions. That asks for no gradient and for no noise of "
        "the particles' own: $\\pi_N$ is unchanged by rotations of the circle, so that a constant drift keeps it, and "
        "so does a common noise that turns all particles alike. A phase lag of the force does not, nor a common noise "
        "that depends on the place, nor Euler's steps at a finite dt."
    ),
    what=lambda c: (
        f"N = {c.particles}, β = 1; {c.chains} chains of {c.draws} transitions with replica exchange between {c.rungs} "
        f"couplings from 0 to K = {_STRENGTH:g}; Langevin runs to T = {c.until:g} with dt = {c.dt:g} and half of it, "
        f"{c.replicas} replicas; {c.clouds} exact draws of π_N for the tests of invariance."
    ),
    run=run,
    config=Config(),
    quick=Config(
        particles=24,
        rungs=7,
        chains=32,
        draws=800,
        sizes=(),
        dt=0.1,
        until=100.0,
        discard=20.0,
        clouds=2000,
        steps=(0.005, 0.5),
    ),
    references=(
        "J. Hubbard, Phys. Rev. Lett. 3, 1959; R. L. Stratonovich, Sov. Phys. Dokl. 2, 1957.",
        "K. Hukushima and K. Nemoto, J. Phys. Soc. Japan 65, 1996.",
        "A. Vehtari, A. Gelman, D. Simpson, B. Carpenter and P.-C. Bürkner, Bayesian Analysis 16, 2021.",
        "D. Talay and L. Tubaro, Stoch. Anal. Appl. 8, 1990.",
        "P. Echeverría, Z. Wahrscheinlichkeitstheorie verw. Gebiete 61, 1982.",
    ),
)
