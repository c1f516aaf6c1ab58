"""Part of chapter *synchronisation*: in one run each point wanders ergodically, and two points meet, or part."""

from collections.abc import Callable
from dataclasses import dataclass

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mckean.catalogue import toy_transformer
from mckean.dynamics import AbstractScheme, Moebius, evolve
from mckean.environments import Contraction
from mckean.measures import Particles
from mckean.models import Model
from mckean.observables import pair_distance
from mckean.paths import Brownian
from mckean.spaces import Torus
from mckean.statistics import average, replicate
from mckean.talk.claims import Claim, Rival
from mckean.talk.parts.pullback import HEXAGON, cosine_exponent, cosine_mean, cosine_wells, incompressible_waves

_LYAPUNOV = "Lyapunov's first exponent while the distance is small"


@dataclass(frozen=True)
class Meeting:
    """The distance of two points over time, the exponent that governs it, and what is claimed of its rate."""

    name: str
    seen: Contraction
    rate: float
    claim: Claim


@dataclass(frozen=True)
class Walk:
    """A flow, the points that start in it, and the exponent of their distance, with the error of a step.

    The rate of the distance is measured from `after` to `end`.
    """

    name: str
    model: Model
    starts: np.ndarray
    until: float
    dt: float
    every: int
    scheme: AbstractScheme | diffrax.AbstractSolver
    rate: float
    bias: float
    origin: str
    rival: Rival
    after: float
    end: float


@dataclass(frozen=True)
class Walked:
    """Where the points were: times (t,), positions (r, t, n, d); and the distance of all of them."""

    walk: Walk
    times: np.ndarray
    positions: np.ndarray
    apart: Contraction

    @property
    def meeting(self) -> Meeting:
        """The rate of the distance, against the exponent. Points that meet are drawn while they are apart."""
        walk, soon = self.walk, self.times <= self.walk.end + 1e-9
        within = Contraction(self.times[soon], self.apart.distance[:, soon], self.apart.rounding)
        drawn = within if walk.rate < 0 else self.apart
        return meeting(walk.name, within, drawn, walk.rate, walk.after, (walk.bias, walk.origin), walk.rival)


def meeting(
    name: str, within: Contraction, drawn: Contraction, rate: float, after: float, bias: tuple[float, str], rival: Rival
) -> Meeting:
    """What is claimed of the rate of a distance up to the end of `within`, with its error and where that is from."""
    verb = "draw together" if rate < 0 else "part"
    claim = Claim(
        statement=f"{name[0].upper()}{name[1:]}, {verb}: the rate of the mean logarithm of their distance from "
        f"$t = {after:g}$ to ${within.times[-1]:g}$, 1/time",
        predicted=rate,
        measured=within.rate(after),
        tolerance=bias[0],
        origin=bias[1],
        excludes=rival,
        reference=_LYAPUNOV,
    )
    return Meeting(name, drawn, rate, claim)


def run_walks(token_dim: int, well: float, intensity: float, replicas: int, key) -> tuple[list[Meeting], list[Claim]]:
    """The distances of the points, and the claims on what each of them averages over time."""
    walks = _two_tokens(token_dim), _two_in_waves(intensity), _three_in_wells(well)
    tokens, waves, wells = (_run(w, replicas, jax.random.fold_in(key, i)) for i, w in enumerate(walks))
    claims = [
        _token_claim(token_dim, tokens),
        *_wave_claims(intensity, waves),
        *_well_claims(well, wells),
    ]
    return [tokens.meeting, waves.meeting, wells.meeting], claims


def _run(walk: Walk, replicas: int, key) -> Walked:
    cloud = Particles(walk.model.space, jnp.asarray(walk.starts))
    run = eqx.Partial(
        _follow, model=walk.model, cloud=cloud, until=walk.until, dt=walk.dt, scheme=walk.scheme, every=walk.every
    )
    times, positions, distance = replicate(run, key, replicas)
    rounding = 1e3 * float(np.finfo(positions.dtype).eps) * float(np.abs(positions).max())
    return Walked(walk, times[0], positions, Contraction(times[0], distance, rounding))


def _follow(key, *, model: Model, cloud: Particles, **settings):
    observe = {"x": _positions, "apart": pair_distance}
    run = evolve(model, cloud, path=Brownian(key), observe=observe, **settings)
    return run.times, run.observed["x"], run.observed["apart"]


def _positions(model: Model, cloud: Particles) -> jax.Array:
    return cloud.positions


def _two_tokens(d: int) -> Walk:
    rate, dt = -0.5 * (d - 1), 0.005
    return Walk(
        f"two tokens, $d = {d}$", toy_transformer(d, float(d)).model, np.eye(d)[:2], 5.0, dt, 10, Moebius(), rate,
        rate**2 * dt / 3, "Möbius steps, as for the exponent of one token: λ²dt/3",
        Rival("d in the place of d − 1", -0.5 * d), 2.0, 4.0,
    )  # fmt: skip


def _two_in_waves(intensity: float) -> Walk:
    dt, starts = 0.01, np.array([[1.0, 2.0], [1.0 + 1e-8, 2.0]])
    return Walk(
        "two points in incompressible waves", incompressible_waves(intensity), starts, 45.0, dt, 50, diffrax.Euler(),
        0.5 * intensity, 0.75 * intensity**2 * dt, "one step's E log‖A‖ to the second order: −¾K²dt",
        Rival("β_L/2: the dimension forgotten", 0.25 * intensity), 1.0, 12.0,
    )  # fmt: skip


def _three_in_wells(well: float) -> Walk:
    dt, starts, after = 0.02, np.array([[0.5], [1.8], [3.0]]), 6.0
    rate = cosine_exponent(well)
    return Walk(
        f"three points in one well, $h = {well:g}$", cosine_wells(well, Torus(1)), starts, 24.0, dt, 10, diffrax.Heun(),
        rate, abs(rate) * ((well * dt) ** 2 + np.exp(rate * after)),
        "weak order 2, (h dt)², and the share e^{λt} of environments in which they are still to meet; relatively",
        Rival("no noise: the points rest in the well, −h", -well), after, 16.0,
    )  # fmt: skip


def mean_square_average(rate: float, times: np.ndarray) -> float:
    """E|A|² of the mean A of a unit vector u over the times, where E⟨u_s, u_t⟩ = e^{−a|t−s|}.

    **Arguments:**

    - `rate`: a, 1/time.
    - `times`: shape (m,).
    """
    return float(np.mean(np.exp(-rate * np.abs(times[:, None] - times))))


def _average_claim(
    what: str, unit: Callable, walked: Walked, rate: float, slow: float, after: float, reference: str
) -> Claim:
    """One point forgets where it was at the rate a: its average over time is as small as that makes it.

    `slow` is by what a step lowers the rate.
    """
    chosen = walked.times >= after - 1e-9
    times = walked.times[chosen]
    means = unit(walked.positions[:, chosen]).mean(axis=1)
    square = np.sum(np.abs(means) ** 2, axis=-1)
    exact = mean_square_average(rate, times)
    return Claim(
        statement=f"{what} averages to zero over time: $E|A|^2$ of its mean $A$ from $t = {after:g}$ to "
        f"${times[-1]:g}$, in the run in which two points {'meet' if walked.walk.rate < 0 else 'part'}",
        predicted=exact,
        measured=average(square.reshape(len(square), -1).mean(axis=1)),
        tolerance=abs(mean_square_average(rate - slow, times) - exact),
        origin=f"a step of {walked.walk.dt:g} forgets less than the flow does, by its second order",
        excludes=Rival("a rate of forgetting without its ½", mean_square_average(2 * rate, times)),
        reference=reference,
    )


def _token_claim(d: int, walked: Walked) -> Claim:
    """Once the tokens have met κ = 1, and one token is a Brownian motion of the sphere.

    A Möbius step has E⟨x′, x⟩ = 1 − E (cosh s − 1)(1 − c²)/(cosh s + c sinh s), c = ⟨x, e⟩, which to the second order
    in dt is e^{−a dt} + (m²/12 + m/8)dt², m = d − 1.
    """
    m = d - 1
    slow = walked.walk.dt * (m**2 / 12 + m / 8)
    return _average_claim(
        f"One token, $d = {d}$,", lambda x: x, walked, 0.5 * m, slow, 2.0,
        "E⟨x_s, x_t⟩ = e^{−a|t−s|}, a = (d − 1)κ/2, for a Brownian motion of the sphere on the clock κt",
    )  # fmt: skip


def _wave_claims(intensity: float, walked: Walked) -> list[Claim]:
    """One point of an isotropic incompressible flow is a Brownian motion, whose Euler steps are exact."""
    claims = []
    for mode in ((1, 0), (0, 1)):
        q = HEXAGON.wavenumber(np.array(mode))
        size = float(np.linalg.norm(q))
        claims.append(
            _average_claim(
                f"One point in incompressible waves, as $e^{{iq\\cdot x}}$ with $|q| = {size:.3g}$,",
                eqx.Partial(_plane_wave, q=q), walked, intensity * size**2, 0.0, 0.0,
                "one point moves as √(2K) times a Brownian motion: E e^{iq·(x_t − x_s)} = e^{−K|q|²|t−s|}",
            )
        )  # fmt: skip
    return claims


def _plane_wave(x: np.ndarray, q: np.ndarray) -> np.ndarray:
    return np.exp(1j * (x @ q))[..., None]


def _well_claims(well: float, walked: Walked) -> list[Claim]:
    """From each start the average of cos x over time is that of the stationary law."""
    chosen = walked.times > 4.0
    means = np.cos(walked.positions[:, chosen]).mean(axis=(1, 3))
    return [
        Claim(
            statement=f"One point of the three, from ${start[0]:g}$, spends its time as the stationary law says: "
            f"the mean of $\\cos x$ over $4 < t \\leq {walked.times[-1]:g}$, in the run in which they meet",
            predicted=cosine_mean(2 * well),
            measured=average(means[:, i]),
            tolerance=(well * walked.walk.dt) ** 2,
            origin="weak order 2: (h dt)²",
            excludes=Rival("e^{−V/σ²} in the place of e^{−2V/σ²}", cosine_mean(well)),
            reference="⟨cos x⟩ = I₁(2h)/I₀(2h) under e^{2h cos x}, and λ = −h⟨cos x⟩",
        )
        for i, start in enumerate(walked.walk.starts)
    ]
