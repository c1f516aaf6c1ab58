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
from mckean.catalogue.oscillators import (
    critical_strength,
    free_energy_gap,
    gibbs_clouds,
    kuramoto,
    mean_square_order,
    order_parameter,
)
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
from mckean.statistics import Estimate
from mckean.talk.claims import LEVEL, Chapter, Claim, Figure, Panel, Result, Rival, Series
from mckean.talk.parts.criticality import critical_claims

_STRENGTH = 3.0
# Below, at and above the transition; all three are rungs of the ladder.
_SHOWN = {"below": 1.0, "at": 2.0, "above": 3.0}
_HUBBARD = "Hubbard and Stratonovich; closed form by one quadrature"
_DOUBLED = "e^{−βH}, H without the ½ before the pairs"
_HOTELLING = "Hotelling's T² on independent draws"


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


def _direction(model: Model, mu: AbstractMeasure) -> Float[Array, ""]:
    """Re z_1², which a rotation changes."""
    return jnp.real(observables.mode(1)(model, mu) ** 2)


_TESTS = {"r₂²": _second, "Im z₂z̄₁²": _skewness, "Re z₁²": _direction}


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
    "a common noise sin x dB⁰": (_perturb, {"wave": 1.0}, False),
}


def run(config: Config, key, progress) -> Result:
    model, law, n = kuramoto(_STRENGTH).model, Uniform(Torus(1)), config.particles
    keys = jax.random.split(key, 6)
    ladder = np.linspace(0, 1, config.rungs)
    budget = {"chains": config.chains, "draws": config.draws}
    sample = sample_gibbs(model, law, n, {"r²": _square}, key=keys[0], couplings=tuple(ladder), **budget)
    progress(0.3)
    long = {name: _long_run(config, strength, keys[1]) for name, strength in _SHOWN.items()}
    progress(0.5)
    sizes = {m: _at_criticality(config, m, keys[2]) for m in config.sizes}
    progress(0.6)
    clouds = gibbs_clouds(keys[3], config.clouds, n, _STRENGTH, 1.0)
    doubled = gibbs_clouds(keys[5], config.clouds, n, 2 * _STRENGTH, 1.0)
    models = {name: (build(**what), kept) for name, (build, what, kept) in _CASES.items()}
    cases = {name: stationarity(one, clouds, _TESTS) for name, (one, _) in models.items()}
    wrong = {name: stationarity(one, doubled, _TESTS).p_value for name, (one, kept) in models.items() if kept}
    progress(0.8)
    stepped = {dt: invariance(model, clouds, _TESTS, dt=dt, until=1.0, key=keys[4]) for dt in config.steps}
    moved = invariance(model, doubled, _TESTS, dt=min(config.steps), until=1.0, key=keys[4]).p_value
    claims = [
        *_sampling_claims(config, model, sample, long),
        *critical_claims(config.particles, sizes),
        *_invariance_claims(cases, wrong, stepped, moved),
    ]
    return Result(claims, [_means_figure(n, sample, long, sizes), _invariance_figure(cases, stepped)])


def _long_run(config: Config, strength: float, key) -> LangevinMeans:
    return langevin_means(
        kuramoto(strength).model, Uniform(Torus(1)), config.particles, {"r²": _square}, key=key, dt=config.dt,
        until=config.until, discard=config.discard, replicas=config.replicas, every=4,
    )  # fmt: skip


def _rung(sample: GibbsSample, strength: float) -> int:
    return int(np.argmin(np.abs(_STRENGTH * sample.couplings - strength)))


def _at_criticality(config: Config, n: int, key) -> Estimate:
    model = kuramoto(critical_strength(1.0)).model
    return sample_gibbs(
        model, Uniform(Torus(1)), n, {"r²": _square}, key=jax.random.fold_in(key, n), chains=config.chains,
        draws=4 * config.draws,
    )["r²"]  # fmt: skip


def _sampling_claims(config: Config, model: Model, sample: GibbsSample, long: dict[str, LangevinMeans]) -> list[Claim]:
    claims, n = [], config.particles
    for name, strength in _SHOWN.items():
        value = mean_square_order(n, strength, 1.0)
        at = f"{name} the transition, $K = {strength:g}$, $N = {n}$"
        rival = finer = Rival("independent particles, 1/N", 1 / n)
        if strength < critical_strength(1.0):
            response = 1 / (n * (1 - 0.5 * strength))
            # It is the limit of N E r²: a wrong theory for few particles alone.
            if response > 1.05 * value:
                finer = Rival("linear response, 1/N(1 − K/2)", response)
        elif order_parameter(strength, 1.0) > 0:
            rival = finer = Rival(_DOUBLED, mean_square_order(n, 2 * strength, 1.0))
        else:
            finer = Rival("the auxiliary field's square, 2/KN more", value + 2 / (strength * n))
        claims += [
            Claim(
                statement=f"Hamiltonian Monte Carlo finds the exact $E\\,r^2$ {at}",
                predicted=value,
                measured=sample.means["r²"][_rung(sample, strength)],
                tolerance=1e-8,
                origin="the quadrature of the exact value",
                excludes=finer,
                reference=_HUBBARD,
            ),
            Claim(
                statement=f"Langevin runs, continued to $dt = 0$, find the exact $E\\,r^2$ {at}",
                predicted=value,
                measured=long[name].extrapolated["r²"],
                tolerance=_remainder(n, strength, config.dt),
                origin="order dt², after Richardson: the second difference of E r² in K, over the change of K by which "
                "Euler's steps err, and (K dt)²/8",
                excludes=rival,
                reference=_HUBBARD,
            ),
        ]
    mean_field = n * (math.log(2 * math.pi) - free_energy_gap(_STRENGTH, 1.0))
    claims.append(
        Claim(
            statement=f"Thermodynamic integration finds $\\log Z_N$, $K = {_STRENGTH:g}$, $N = {n}$",
            predicted=exact_log_partition(n, _STRENGTH, 1.0),
            measured=log_partition(model, sample).estimate,
            tolerance=abs(_integral(n, sample.couplings) - exact_log_partition(n, _STRENGTH, 1.0)),
            origin="the error that the rule has on this ladder with exact E r²",
            excludes=Rival("the limit alone, −βN min F", mean_field),
            reference=_HUBBARD,
        )
    )
    return claims


def _remainder(n: int, strength: float, dt: float) -> float:
    """What Richardson's extrapolation leaves of the bias of Euler's steps in E r², of order dt².

    To first order they sample the density e^{−βH}(1 + dt(β|∇H|²/4 − ΔH/2)). Here ΔH = KNr² − K, and |∇H|² is K²Nr²/2
    at small r: the coupling seems to be K + dt(K²/4 − K) at β = 1. A bowl of curvature λ ≤ K is off by λdt/2 and its
    square.
    """
    off = dt * abs(strength**2 / 4 - strength)
    below, value, above = (mean_square_order(n, strength + shift, 1.0) for shift in (-off, 0.0, off))
    return abs(above - 2 * value + below) / 4 + (strength * dt) ** 2 / 8 * value


def _integral(n: int, ladder: np.ndarray) -> float:
    """log Z_N by the corrected trapezoidal rule on the ladder, d log Z_N/dK = (N/2)E r² by quadrature."""
    half = 1e-4
    slope = lambda k: n / 2 * mean_square_order(n, k, 1.0)  # noqa: E731
    # The coupling 0 has no weight to integrate with: a little beside it.
    strengths = _STRENGTH * ladder + half * (ladder == 0)
    f = np.array([slope(k) for k in strengths])
    # Exchanges of neighbours have one step: the ladder is even.
    ends = [(slope(k + half / 2) - slope(k - half / 2)) / half for k in strengths[[0, -1]]]
    h = _STRENGTH * (ladder[1] - ladder[0])
    return n * math.log(2 * math.pi) + h * (f.sum() - (f[0] + f[-1]) / 2) - h * h * (ends[1] - ends[0]) / 12


def _invariance_claims(
    cases: dict[str, Invariance], wrong: dict[str, float], stepped: dict[float, Invariance], moved: float
) -> list[Claim]:
    small, large = min(stepped), max(stepped)
    kept = [(name, cases[name].p_value, p) for name, p in wrong.items()]
    kept.append((f"Euler's steps of dt = {small:g}", stepped[small].p_value, moved))
    lost = [(name, case.p_value) for name, case in cases.items() if name not in wrong]
    lost.append((f"Euler's steps of dt = {large:g}", stepped[large].p_value))
    return [
        *(
            Claim(
                statement=f"$\\pi_N$ is kept under {name}: p-value",
                predicted=LEVEL,
                measured=p,
                excludes=Rival(f"{_DOUBLED}, is kept instead", other),
                reference=_HOTELLING,
                relation="at least",
            )
            for name, p, other in kept
        ),
        *(
            Claim(
                statement=f"$\\pi_N$ is not kept under {name}: p-value",
                predicted=LEVEL,
                measured=p,
                excludes=Rival("kept, so that the p-value has the median ½", 0.5),
                reference=_HOTELLING,
                relation="at most",
            )
            for name, p in lost
        ),
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
    sampled = sizes | {n: mean[_rung(sample, _SHOWN["at"])]}
    known = np.array(sorted(sampled))
    points, bars = (np.sqrt(known) * [getattr(sampled[int(m)], part) for m in known] for part in ("value", "stderr"))
    scaling = [
        Series(numbers, scaled, "exact"),
        Series(numbers, np.full(numbers.size, 2 / math.sqrt(math.pi)), "2/√π", kind="dashed"),
        Series(known, points, "Hamiltonian Monte Carlo", bars, "points"),
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
        "\\frac2{\\sqrt\\pi} + \\Bigl(\\frac13 - \\frac{16}{9\\pi}\\Bigr)\\frac1{\\sqrt N} + "
        "\\Bigl(\\frac{128}{81\\pi} - \\frac{47}{216}\\Bigr)\\frac1{\\sqrt\\pi N} + O(N^{-3/2}).$$ A law $\\pi$ is "
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
