"""Part of chapter *phases*: particles while a coupling moves up and down, and where the curves of two N cross."""

import math
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from diffrax import Heun

from mckean.catalogue import circle
from mckean.catalogue.oscillators import binder_ratio as exact_ratio
from mckean.dynamics import evolve
from mckean.interactions import kernels
from mckean.measures import Particles
from mckean.models import langevin
from mckean.observables import order_parameter
from mckean.paths import Brownian
from mckean.phases import Hysteresis, ramps
from mckean.spaces import Torus
from mckean.statistics import Jackknife, average, binder_ratio, crossing, replicate
from mckean.talk.claims import Claim, Panel, Rival, Series
from mckean.talk.parts import amplitudes

_CIRCLE = Torus(1)
_RADIUS, _MODES, _INSIDE = 1.0, 32, 17.0
# A state at the fold has about this amplitude c_1.
_FOLD = 0.9
_BINDER = "Binder, Z. Phys. B 43 (1981); exact Gibbs measure of N"


@dataclass(frozen=True)
class Loops:
    """Opinions on a ramp; and oscillators at three couplings, of two sizes."""

    opinions: int = 300
    ramps: int = 64
    stay: float = 6.0
    step: float = 0.01
    between: float = 1.0
    sizes: tuple[int, int] = (32, 128)
    strengths: tuple[float, ...] = (1.7, 2.0, 2.3)
    replicas: int = 1000
    until: float = 40.0
    dt: float = 0.05


def _opinions(strength):
    return circle.on_circle(circle.bounded_confidence_weights(_RADIUS, _MODES), strength, 1.0)


def _uniform(key, size: int) -> Particles:
    return Particles(_CIRCLE, jax.random.uniform(key, (size, 1), maxval=2 * math.pi))


def run_ramps(config: Loops, key) -> tuple[list[Claim], Panel]:
    """Bounded confidence: up to beyond κ_♯ and down to before the fold."""
    values = np.arange(11.0, 27.5, config.between)
    start = eqx.Partial(_uniform, size=config.opinions)
    loop = ramps(
        _opinions, start, values, order_parameter(1), key=key, replicas=config.ramps, stay=config.stay,
        dt=config.step, scheme=Heun(),
    )  # fmt: skip
    weights = np.asarray(circle.bounded_confidence_weights(_RADIUS, _MODES))
    found = amplitudes.transition(weights, 3.0)
    saddle, ordered = amplitudes.saddle(weights, _INSIDE, _FOLD)
    at = int(np.flatnonzero(values == _INSIDE)[0])
    # About the uniform state each part of z has the variance 1/2N(1 − κ/κ_♯).
    spread = math.sqrt(math.pi / (4 * config.opinions * (1 - _INSIDE / found.threshold)))
    reference = "Carrillo, Gvalani, Pavliotis and Schlichting, arXiv 1806.01719: a discontinuous transition for h = 1"
    claims = [
        Claim(
            statement=f"Between fold and threshold, at $\\kappa = {_INSIDE:g}$, opinions that come from a larger "
            "$\\kappa$ have kept their order: mean r, above the saddle's",
            predicted=saddle,
            measured=average(loop.down[:, at]),
            relation="at least",
            excludes=Rival("no history: the fluctuations of the uniform state", spread),
            reference=reference,
        ),
        Claim(
            statement=f"At the same $\\kappa = {_INSIDE:g}$, and on the same noise, opinions that come from a smaller "
            "$\\kappa$ are still without order: mean r, below the saddle's",
            predicted=saddle,
            measured=average(loop.up[:, at]),
            relation="at most",
            excludes=Rival("no history: the state of least free energy", ordered),
            reference=reference,
        ),
    ]
    return claims, _loop_panel(loop, weights, found)


def _loop_panel(loop: Hysteresis, weights: np.ndarray, found: amplitudes.Transition) -> Panel:
    curve = np.array([amplitudes.state(weights, a)[:2] for a in np.geomspace(0.02, 2.2, 60)])
    turn = int(np.argmin(curve[:, 0]))
    up, down = average(loop.up), average(loop.down)
    series = [
        Series(curve[: turn + 1, 0], curve[: turn + 1, 1], "steady state, unstable", kind="dashed"),
        Series(curve[turn:, 0], curve[turn:, 1], "steady state, stable"),
        Series(loop.values, up.value, "particles, on the way up", up.stderr, "points"),
        Series(loop.values, down.value, "particles, on the way down", down.stderr, "points"),
    ]
    lines = ((found.fold, "fold"), (found.coexistence, "$\\kappa_c$"), (found.threshold, "$\\kappa_\\sharp$"))
    return Panel("coupling κ (units of 1/β)", "order parameter r", series, "Bounded confidence, h = 1", vertical=lines)


def run_crossing(config: Loops, key) -> tuple[list[Claim], Panel]:
    """Binder's ratio of oscillators at couplings about K = 2."""
    strengths = np.array(config.strengths)
    curves = {}
    for n in config.sizes:
        keys = [jax.random.fold_in(key, 1000 * n + i) for i in range(strengths.size)]
        orders = [
            replicate(eqx.Partial(_order, strength=jnp.asarray(s), size=n, config=config), k, config.replicas)
            for s, k in zip(strengths, keys, strict=True)
        ]
        curves[n] = binder_ratio(np.stack(orders, axis=1))
    exact = {n: np.array([exact_ratio(n, s, 1.0) for s in strengths]) for n in config.sizes}
    return _crossing_claims(config, curves, exact), _crossing_panel(config, curves)


def _order(key, strength, size: int, config: Loops):
    first, noise = jax.random.split(key)
    model = langevin(_CIRCLE, interaction=kernels.Cosine(strength), beta=1.0)
    end = evolve(
        model, _uniform(first, size), until=config.until, dt=config.dt, path=Brownian(noise), scheme=Heun()
    ).final
    return order_parameter(1)(model, end)


def _crossing_claims(config: Loops, curves: dict[int, Jackknife], exact: dict[int, np.ndarray]) -> list[Claim]:
    x = np.array(config.strengths)
    small, large = config.sizes
    middle = int(np.argmin(np.abs(x - 2)))
    difference = exact[small] - exact[large]
    slope = (x - x.mean()) / np.sum((x - x.mean()) ** 2)
    place = float(x.mean() - difference.mean() / (difference @ slope))
    # Heun's steps are those of a coupling K(1 − (K dt)²/24), by linear response.
    shift = x[middle] * (x[middle] * config.dt) ** 2 / 24
    origin = "Heun's steps, K(K dt)²/24, by linear response; what is left of the start, e^{−T/4}"
    left = math.exp(-config.until / 4)
    return [
        Claim(
            statement=f"At the transition, $K = 2$, Binder's ratio $E r^4/(E r^2)^2$ of N = {large} oscillators is "
            "that of their Gibbs measure, near its limit $\\pi/2$",
            predicted=float(exact[large][middle]),
            measured=curves[large].estimate[middle],
            tolerance=shift * abs(float(np.gradient(exact[large], x)[middle])) + left,
            origin=origin,
            excludes=Rival("a Gaussian order parameter", 2.0),
            reference=_BINDER,
        ),
        Claim(
            statement=f"The ratios of N = {small} and {large}, as straight lines in K, cross where those of their "
            "Gibbs measures do",
            predicted=place,
            measured=crossing(x, curves[small], curves[large]),
            tolerance=shift + left,
            origin=origin,
            excludes=Rival("noise √(1/β): the transition is at K = 1", 1.0),
            reference=_BINDER,
        ),
    ]


def _crossing_panel(config: Loops, curves: dict[int, Jackknife]) -> Panel:
    fine = np.linspace(config.strengths[0], config.strengths[-1], 7)
    series = []
    for n, curve in curves.items():
        found = curve.estimate
        series += [
            Series(fine, [exact_ratio(n, s, 1.0) for s in fine], f"Gibbs measure, N = {n}"),
            Series(np.array(config.strengths), found.value, f"particles, N = {n}", found.stderr, "points"),
        ]
    series.append(Series(fine, np.full(fine.size, math.pi / 2), "π/2", kind="dashed"))
    return Panel("coupling K (units of 1/β)", "E r⁴/(E r²)²", series, "Oscillators", vertical=((2.0, "K = 2"),))
