"""Part of chapter *chaos*: for how long the limit is followed, below the phase transition and above it."""

import math
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from diffrax import Heun
from scipy.special import ive

from mckean.catalogue.oscillators import mean_square_order, order_parameter
from mckean.dynamics import evolve
from mckean.measures import Particles, VonMises
from mckean.models import Model, Thermal
from mckean.paths import Brownian
from mckean.spaces import Euclidean, Torus
from mckean.statistics import Estimate, average, replicate
from mckean.talk.claims import Claim, Figure, Panel, Rival, Series

_UNIFORM = "Lacker and Le Flem, Sharp uniform-in-time propagation of chaos (arXiv 2205.12047)"
_PHASE = "Bertini, Giacomin and Poquet, Probab. Theory Relat. Fields 160 (2014), in these units"
_BELOW, _ABOVE = 1.0, 3.0
# What is left of the start after 4, and of all but the slow motion after a lag of 3, is e^{−gap·t}.
_SETTLED, _LAGS = 4, (3, 6)


@dataclass(frozen=True)
class Phases:
    """Oscillators, replicas, end and step."""

    oscillators: int = 512
    replicas: int = 1024
    until: float = 40.0
    dt: float = 0.05

    @classmethod
    def quick(cls) -> "Phases":
        """The sizes of a quick talk."""
        return cls(oscillators=128, replicas=512, until=20.0)


def run_phases(config: Phases, key) -> tuple[list[Claim], list[Figure]]:
    """Below the transition the error stays at its size for all times; above, the phase wanders."""
    n = config.oscillators
    first, second = jax.random.split(key)
    # Below nothing is small that is measured: a quarter of the runs is enough.
    below, _ = _orders(config, first, _BELOW, config.replicas // 4)
    above, centre = _orders(config, second, _ABOVE, config.replicas)
    r = order_parameter(_ABOVE, 1.0)
    errors = {"below": n * np.abs(below) ** 2, "above": n * np.abs(above - r) ** 2}
    phase = np.unwrap(np.angle(above), axis=1)
    claims = [*_claims_below(config, errors["below"]), *_claims_above(config, errors["above"], phase - centre)]
    return claims, [_time_figure(config, errors, n * phase[:, _SETTLED:] ** 2, phase_diffusion(_ABOVE, 1.0), r)]


def _growth(errors: np.ndarray) -> Estimate:
    half = errors.shape[1] // 2
    return average(errors[:, half:].mean(1) - errors[:, _SETTLED:half].mean(1))


def _growth_of_phase(config: Phases) -> float:
    """N·E|re^{iψ} − r|² = 2Nr²(1 − e^{−Var ψ/2}), Var ψ = D t/N: in the second half of the run less in the first."""
    times, half = np.arange(1, round(config.until) + 1), round(config.until / 2)
    variance = phase_diffusion(_ABOVE, 1.0) * times / config.oscillators
    error = -2 * config.oscillators * order_parameter(_ABOVE, 1.0) ** 2 * np.expm1(-variance / 2)
    return float(error[half:].mean() - error[_SETTLED:half].mean())


def _claims_below(config: Phases, errors: np.ndarray) -> list[Claim]:
    n = config.oscillators
    stationary = n * mean_square_order(n, _BELOW, 1.0)
    return [
        Claim(
            statement=(
                "Below the transition, $K = 1$, the error does not grow with time: $N\\,E|z^N - z|^2$ in the second "
                "half of the run less in the first"
            ),
            predicted=0.0,
            measured=_growth(errors),
            excludes=Rival("growth as above the transition", _growth_of_phase(config)),
            reference=_UNIFORM,
        ),
        Claim(
            statement="Below the transition, $K = 1$, $N\\,E|z^N|^2$ comes to that of the Gibbs measure",
            predicted=stationary,
            measured=average(errors[:, _SETTLED:].mean(1)),
            tolerance=stationary * abs(1 - _heun_level(config.dt)) + stationary * math.exp(-_SETTLED),
            origin="Heun's steps, from their linear response; what is left of the start",
            excludes=Rival("no interaction", 1.0),
            reference="exact Gibbs measure of N",
        ),
    ]


def _claims_above(config: Phases, errors: np.ndarray, beside: np.ndarray) -> list[Claim]:
    """The mean X̄ of all positions is a Brownian motion of variance 2t/βN; ψ − X̄ is independent of it, and slower."""
    n = config.oscillators
    late = beside[:, _SETTLED:]
    wander = [n * np.mean((late[:, lag:] - late[:, :-lag]) ** 2, axis=1) for lag in _LAGS]
    predicted = phase_diffusion(_ABOVE, 1.0)
    finite = abs(predicted - _over_fields(n))
    growth = _growth_of_phase(config)
    return [
        Claim(
            statement=(
                "Above the transition, $K = 3$, the phase $\\psi$ diffuses faster than the mean of all positions: "
                "$N\\,\\frac{d}{dt}\\mathrm{Var}(\\psi - \\bar X) = \\frac{2}{\\beta}/(I_0(\\beta Kr)^2 - 1)$"
            ),
            predicted=predicted - 2.0,
            measured=average((wander[1] - wander[0]) / (_LAGS[1] - _LAGS[0])),
            tolerance=finite + (predicted - 2.0) * (_ABOVE * config.dt) ** 2,
            origin="the spread of r at this N, over the fields of the Gibbs measure; Heun's steps, (K dt)²",
            excludes=Rival("the phase is the mean of N Brownian motions", 0.0),
            reference=_PHASE,
        ),
        Claim(
            statement=(
                "Above the transition, $K = 3$, the error grows as the phase diffuses: $N\\,E|z^N - z|^2$ in the "
                "second half of the run less in the first"
            ),
            predicted=growth,
            measured=_growth(errors),
            tolerance=growth * (finite / predicted + (_ABOVE * config.dt) ** 2 + 4 / n),
            origin="the spread of r at this N; Heun's steps, (K dt)²; the phases' spread at the start, relatively 4/N",
            excludes=Rival("uniform in time", 0.0),
            reference=_PHASE,
        ),
    ]


def phase_diffusion(strength: float, beta: float) -> float:
    """N dVar ψ/dt of the phase ψ of N synchronised oscillators: (2/β)/(1 − I_0(βKr)^{−2}).

    A fluctuation of flux √(2q/βN) ξ moves the circle of states q(· − ψ) by its component along −q′ in the metric
    ∫UV/q of fluxes, the gradient flow's own: that of q′ is q − c, c = 2π/∫q⁻¹, of square 1 − 2πc = 1 − I_0^{−2}, and
    the rate is (2/βN)/(1 − I_0^{−2}). An oscillator at x moves ψ by (1 − c/q(x))/(1 − 2πc) of its own motion over N, of
    mean 1: 2/βN of the rate is that of the mean position.
    """
    k = beta * strength * order_parameter(strength, beta)
    return _wandering(k, beta)


def _wandering(k: float, beta: float) -> float:
    return 2 / beta / (1 - (math.exp(-k) / ive(0, k)) ** 2)


def _over_fields(n: int) -> float:
    """The rate averaged over u ~ u e^{−Nu²/2K} I_0(u)^N, as oscillators in a field u of the Gibbs measure have it."""
    u = np.linspace(0.5, 5.0, 2001)
    logs = np.log(u) + n * (np.log(ive(0, u)) + u - u**2 / (2 * _ABOVE))
    weight = np.exp(logs - logs.max())
    return float(weight @ [_wandering(v, 1.0) for v in u] / weight.sum())


def _pull(x, mu, strength):
    """K Im(z e^{−ix}), z = ∫e^{iy}dμ: on the line, where positions count their turns."""
    cosine, sine = mu.integrate(lambda y: jnp.stack([jnp.cos(y[0]), jnp.sin(y[0])]))
    return strength * (sine * jnp.cos(x) - cosine * jnp.sin(x))


def _modes(model, mu):
    x = mu.positions[:, 0]
    return {"z": jnp.mean(jnp.exp(1j * x)), "centre": jnp.mean(x)}


def _one(key, concentration, model: Model, config: Phases):
    start, noise = jax.random.split(key)
    law = VonMises(Torus(1), 0.0, concentration)
    turns = jnp.mod(law.sample(start, config.oscillators).positions + jnp.pi, 2 * jnp.pi) - jnp.pi
    run = evolve(
        model, Particles(model.space, turns), until=config.until, dt=config.dt, path=Brownian(noise), scheme=Heun(),
        observe={"modes": _modes}, every=round(1 / config.dt),
    )  # fmt: skip
    return run.observed["modes"]


def _orders(config: Phases, key, strength: float, replicas: int) -> tuple[np.ndarray, np.ndarray]:
    """∫e^{ix}dμ^N and ∫x dμ^N at times 1, …, T, shape (runs, T), from independent particles of the stationary law."""
    model = Model(Euclidean(1), drift=eqx.Partial(_pull, strength=jnp.asarray(strength)), noise=Thermal(1.0))
    concentration = jnp.asarray(strength * order_parameter(strength, 1.0))
    one = eqx.Partial(_one, concentration=concentration, model=model, config=config)
    found = replicate(one, key, replicas, config.replicas // 4)
    return found["z"][:, 1:], found["centre"][:, 1:]


def _heun_level(dt: float) -> float:
    """The stationary variance of Heun's linear response over that of the equation, at K = 1.

    A step takes the mode to z⁺ = e^{−dt}(1 + a dt + a²dt²/2)z + (1 + a dt/2)η, a = K/2, E|η|² = (1 − e^{−2dt})/N.
    """
    keep, a = math.exp(-2 * dt), _BELOW / 2
    level = (1 + a * dt / 2) ** 2 * (1 - keep) / (1 - keep * (1 + a * dt + (a * dt) ** 2 / 2) ** 2)
    return level * (1 - a)


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
