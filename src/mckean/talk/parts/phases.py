"""Part of chapter *chaos*: for how long the limit is followed, below the phase transition and above it."""

import math
from dataclasses import dataclass

import equinox as eqx
import jax
import numpy as np
from scipy.special import ive

from mckean import catalogue, observables
from mckean.catalogue.oscillators import mean_square_order, order_parameter
from mckean.couplings._chaos import run_from_law
from mckean.measures import VonMises
from mckean.spaces import Torus
from mckean.statistics import average, samples
from mckean.talk.claims import Claim, Figure, Panel, Series

_UNIFORM = "Lacker and Le Flem, Sharp uniform-in-time propagation of chaos (arXiv 2205.12047)"
_PHASE = "Bertini, Giacomin and Poquet, Probab. Theory Relat. Fields 160 (2014), in these units"
_BELOW, _ABOVE = 1.0, 3.0
# What is left of the start after 4, and of all but the slow motion after a lag of 3, is e^{−gap·t}.
_SETTLED, _LAGS = 4, (3, 6)


@dataclass(frozen=True)
class Phases:
    oscillators: int = 512
    replicas: int = 1024
    until: float = 40.0
    dt: float = 0.05

    @classmethod
    def quick(cls) -> "Phases":
        return cls(oscillators=128, replicas=256, until=20.0)


def run_phases(config: Phases, key) -> tuple[list[Claim], list[Figure]]:
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
        Claim(
            statement="K = 1: growth of N·E|z − z_∞|² from the first half of the run to the second",
            predicted=0.0,
            measured=growth["below"].value,
            stderr=growth["below"].stderr,
            origin="stationary after relaxation; statistical error only",
            reference=_UNIFORM,
        ),
        Claim(
            statement="K = 1: N·E|z|² after relaxation",
            predicted=stationary,
            measured=level.value,
            stderr=level.stderr,
            tolerance=stationary * abs(1 - coarse),
            origin="Euler's steps, from their linear response",
            reference="exact Gibbs measure of N",
        ),
        Claim(
            statement="K = 3: N dVar/dt of the phase",
            predicted=predicted,
            measured=diffusion.value,
            stderr=diffusion.stderr,
            tolerance=finite + predicted * config.dt * _ABOVE / 2,
            origin="r of N oscillators in place of r; Euler's steps, Kdt/2",
            reference=_PHASE,
        ),
        Claim(
            statement="K = 3: growth of N·E|z − z_∞|² over its value at K = 1",
            predicted=1.0,
            measured=growth["above"].value / level.value,
            stderr=growth["above"].stderr / level.value,
            origin="not uniform in time",
            reference=_PHASE,
            relation="at least",
        ),
    ]
    return claims, [_time_figure(config, errors, n * phase**2, predicted, r)]


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


def _orders(config: Phases, key, strength: float) -> np.ndarray:
    """∫e^{ix}dμ^N at times 1, 2, …, T, shape (runs, T), from independent particles of the stationary law."""
    r = order_parameter(strength, 1.0)
    run = eqx.Partial(
        run_from_law, model=catalogue.kuramoto(strength).model, law=VonMises(Torus(1), 0.0, strength * r),
        observe={"z": observables.mode(1)}, until=config.until, dt=config.dt, every=round(1 / config.dt), scheme=None,
    )  # fmt: skip
    return samples(run, (config.oscillators,), key, config.replicas)["z"][:, 0]


def _euler_level(dt: float) -> float:
    """The stationary variance of Euler's linear response over that of the equation, at K = 1."""
    keep = math.exp(-2 * dt)
    return (1 - keep) / (1 - keep * (1 + _BELOW * dt / 2) ** 2) * (1 - _BELOW / 2)


def _time_figure(config: Phases, errors, squares, predicted: float, r: float) -> Figure:
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
