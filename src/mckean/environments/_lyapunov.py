"""The Lyapunov spectrum of a flow in a given environment.

For the flow Φ of a scheme, environment included, a frame of k tangents is carried along a solution, Q ↦ DΦ(x) Q, and
every few steps orthonormalised, DΦ Q = Q′R. The logarithms of R's diagonal add up to

    λ_1 ≥ … ≥ λ_k,   λ_1 + … + λ_j = lim (1/t) log vol(DΦ_t η_1, …, DΦ_t η_j)

(Oseledets 1968; Benettin, Galgani, Giorgilli and Strelcyn, Meccanica 15, 1980). They do not depend on the environment
where the flow with its noise is ergodic, nor on the inner product in which R is taken, here that of R^{n·d}, in which
the tangent spaces of the sphere lie. For one particle they are the exponents of the flow of points; n particles have
those of the system, n·m in all where the space has dimension m.

They are those of the scheme's flow, λ + C dt + O(dt²), as for means (Talay, ESAIM M2AN 25, 1991): Euler's steps keep no
volume, say, where the flow does. Two runs in one environment, with steps dt and dt/2, tell C and remove it
(Richardson); what noise the two share drops out of the difference.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Int, PRNGKeyArray

from mckean.checks import require
from mckean.dynamics import Carrier, CarrierScheme, Scheme, Stepper, evolve, scheme_for
from mckean.dynamics._evolve import forward_derivatives
from mckean.environments._linearisation import push
from mckean.faults import Fault, Status, sound, status
from mckean.measures import AbstractMeasure, Particles
from mckean.models import Equation
from mckean.paths import Brownian
from mckean.statistics import Estimate, average, replicate

# Above so many exponents the full spectrum must be asked for by its number.
_FEW = 64


class TangentFrame(NamedTuple):
    """k tangents of particles, orthonormal in R^{n·d}, and the logarithms of how much they have grown."""

    tangents: Float[Array, "k n d"]
    log_growth: Float[Array, " k"]


def frame(particles: Particles, count: int) -> Carrier:
    """Particles with k = `count` tangents, k ≤ n·m, m the dimension of the space.

    The tangents that it starts from are always the same, and in no special position.
    **Raises:** `ValueError` for another measure than particles, and for another number.
    """
    _require_particles(particles)
    full = particles.n * particles.space.tangent_dim
    whole = isinstance(count, int) and not isinstance(count, bool) and 1 <= count <= full
    require(whole, f"{particles.n} particles on {particles.space} have 1 to {full} exponents, not {count!r}.")
    x = particles.positions
    arrows = jax.random.normal(jax.random.key(0), (count, *x.shape), x.dtype)
    tangents, _ = _orthonormal(particles.space.project(x[None], arrows))
    return Carrier((particles,), TangentFrame(tangents, jnp.zeros(count, x.dtype)))


def _orthonormal(tangents: Float[Array, "k n d"]) -> tuple[Float[Array, "k n d"], Float[Array, " k"]]:
    """Q and |diag R|."""
    q, r = jnp.linalg.qr(tangents.reshape(tangents.shape[0], -1).T)
    return q.T.reshape(tangents.shape), jnp.abs(jnp.diagonal(r))


def _stretch(
    begun: Stepper,
    state: Carrier,
    path: Brownian | None,
    index: Int[ArrayLike, ""],
    *,
    every: int,
    after: int,
) -> tuple[Carrier, Status]:
    """A step of the particles, and its derivative for all tangents at once; R is taken after `every` steps.

    What is added up before the step `after` is left out.
    """
    (particles,), sums = state.measures, state.sums
    move = lambda mu: begun.shared[0].step(mu, path, index)  # noqa: E731
    still = jax.tree.map(jnp.zeros_like, eqx.filter(particles, eqx.is_inexact_array))

    def along(arrow):
        new, eta, found = push(move, particles, eqx.tree_at(lambda p: p.positions, still, arrow))
        return new, eta.positions, found

    new, tangents, found = jax.vmap(along, out_axes=(None, 0, None))(sums.tangents)
    # The predicate is the same for all environments that run as one, so that only one branch is executed.
    done = jnp.asarray(index) + 1
    sums = sums._replace(tangents=tangents)
    whole = lambda sums: (sums, sound(tangents.dtype))  # noqa: E731
    sums, kept = jax.lax.cond(done % every == 0, partial(_level, done > after), whole, sums)
    return Carrier((new,), sums), found.then(kept)


def _level(counts: Bool[Array, ""], sums: TangentFrame) -> tuple[TangentFrame, Status]:
    """The tangents orthonormal again, and the logarithms of R added up where it counts.

    A tangent that has become shorter than the longest by the precision of its numbers has lost its direction.
    """
    tangents, lengths = _orthonormal(sums.tangents)
    share = jnp.min(lengths) / jnp.maximum(jnp.max(lengths), jnp.finfo(lengths.dtype).tiny)
    growth = sums.log_growth + jnp.where(counts, jnp.log(lengths), 0.0)
    return TangentFrame(tangents, growth), status(Fault.FOLDED, ~(share > jnp.finfo(share.dtype).eps), share)


@dataclass(frozen=True)
class Spectrum:
    """The Lyapunov exponents λ_1, …, λ_k over r environments, λ(dt) = λ + C dt + O(dt²).

    In the long run the largest comes first, as the frame turns towards the directions that grow most. They are not
    sorted: sorting would separate equal exponents.

    **Attributes:**

    - `coarse`: λ(dt) in each environment, shape (r, k), 1/time.
    - `fine`: λ(dt/2).
    """

    coarse: Float[np.ndarray, "r k"]
    fine: Float[np.ndarray, "r k"]

    @property
    def samples(self) -> Float[np.ndarray, "r k"]:
        """2λ(dt/2) − λ(dt) in each environment, shape (r, k), 1/time."""
        return 2 * self.fine - self.coarse

    @property
    def exponents(self) -> Estimate:
        """λ_1 ≥ … ≥ λ_k with their standard errors."""
        return average(self.samples)

    @property
    def sums(self) -> Estimate:
        """λ_1 + … + λ_j, the growth of j-dimensional volumes, with standard errors; for j = k, of the full spectrum,
        that of volume itself."""
        return average(np.cumsum(self.samples, axis=1))

    @property
    def bias(self) -> Estimate:
        """C dt = 2(λ(dt) − λ(dt/2)) of each exponent, which is removed from it, with standard errors; 1/time."""
        return average(2 * (self.coarse - self.fine))

    @property
    def remainder(self) -> Float[np.ndarray, " k"]:
        """bias²/max|λ|, an estimate of the O(dt²) that is left, if the powers of dt go on as a geometric series."""
        return self.bias.value**2 / np.abs(self.exponents.value).max()


def lyapunov(
    model: Equation,
    particles: Particles,
    *,
    until: float,
    dt: float,
    key: PRNGKeyArray,
    replicas: int,
    after: float = 0.0,
    count: int | None = None,
    every: int = 1,
    scheme: Scheme | None = None,
    batch: int | None = None,
) -> Spectrum:
    """The Lyapunov spectrum of particles in independent environments, from 0 to `until`, without its bias C dt.

        λ_1 + … + λ_j = lim (1/t) log vol(DΦ_t η_1, …, DΦ_t η_j),   λ = 2λ(dt/2) − λ(dt) + O(dt²)

    Each environment is run through with the steps dt and dt/2.

    **Arguments:**

    - `model`: any model or schedule.
    - `particles`: the particles at the start; one particle for the flow of points.
    - `until`, `dt`, `scheme`: as for `evolve`; dt is the larger of the two steps.
    - `key`, `replicas`, `batch`: as for `replicate`; two replicas at least. Memory is O(n·d·count) for each of a batch.
    - `after`: growth counts from this time on, when the start is forgotten; time. Default: 0.
    - `count`: the number of exponents. Default: None, all of them, up to 64.
    - `every`: steps dt from one orthonormalisation to the next. Default: 1.

    **Returns:** a `Spectrum`.

    **Raises:**

    - `ValueError` for more exponents than there are, a full spectrum of more than 64, times that do not fit together,
      one environment, and as `evolve` does.
    - `RunError` if the directions of the frame are lost between two orthonormalisations: take a smaller `every`, or a
      shorter step, as a step that is too long may not be one to one.

    **Source:** Benettin, Galgani, Giorgilli and Strelcyn, Meccanica 15 (1980).
    """
    require(replicas >= 2, "standard errors over environments need at least two; for one there is `exponents`.")
    runs = [
        eqx.Partial(_grown, **_prepare(model, particles, until, dt / k, after, count, k * every, scheme))
        for k in (1, 2)
    ]
    with forward_derivatives():
        coarse, fine = replicate(eqx.Partial(_both, runs=runs), key, replicas, batch)
    return Spectrum(coarse / (until - after), fine / (until - after))


def exponents(
    model: Equation,
    particles: Particles,
    *,
    until: float,
    dt: float,
    path: Brownian | None = None,
    after: float = 0.0,
    count: int | None = None,
    every: int = 1,
    scheme: Scheme | None = None,
) -> Float[Array, " k"]:
    """The Lyapunov exponents λ_1, …, λ_k up to time `until` in one given environment, or without noise; 1/time.

        λ_1 + … + λ_j = lim (1/t) log vol(DΦ_t η_1, …, DΦ_t η_j)

    **Arguments:**

    - `path`: as for `evolve`.
    - `model`, `particles`, `until`, `dt`, `after`, `count`, `every`, `scheme`: as for `lyapunov`.

    They are those of the scheme's flow, with its bias in dt, which `lyapunov` measures. The function can be replicated
    and transformed as `evolve` can.

    **Returns:** an array of shape (k,).

    **Raises:** `ValueError` and `RunError` as `lyapunov` does.
    """
    prepared = _prepare(model, particles, until, dt, after, count, every, scheme)
    return _grown(path, **prepared) / (until - after)


def _require_particles(measure: AbstractMeasure) -> None:
    require(
        isinstance(measure, Particles),
        f"the Lyapunov spectrum is that of particles, not of a {type(measure).__name__}; `growth` finds the top "
        "exponent of any measure.",
    )


def _prepare(model, particles, until, dt, after, count, every, scheme) -> dict[str, Any]:
    """What `_grown` takes, with the sums planned, checked before anything is compiled."""
    _require_particles(particles)
    if count is None:
        count = particles.n * particles.space.tangent_dim
        require(
            count <= _FEW,
            f"{particles.n} particles on {particles.space} have {count} exponents, and the full spectrum takes as many "
            "tangents of that size: say how many you want, count=….",
        )
    state = frame(particles, count)
    require(
        isinstance(every, int) and not isinstance(every, bool) and every >= 1,
        f"every must be a positive number of steps, but {every!r} was given.",
    )
    stages = np.array([until, after]) / (dt * every)
    require(
        np.all(np.abs(stages - np.round(stages)) < 1e-6) and 0 <= after < until,
        f"the frame is orthonormalised after every {every} steps of {dt:g}: `until` = {until:g} and `after` = "
        f"{after:g} must be multiples of that time, with 0 ≤ after < until.",
    )
    rule = eqx.Partial(_stretch, every=every, after=round(after / dt))
    flow = CarrierScheme((scheme_for(model, particles, scheme),), rule)
    planned = flow.begin(model, state, dt).equation
    return {"model": planned, "state": state, "flow": flow, "until": until, "dt": dt}


def _grown(path: Brownian | None, *, model, state, flow, until, dt) -> Float[Array, " k"]:
    """The logarithms of R's diagonal, added up."""
    return evolve(model, state, until=until, dt=dt, path=path, scheme=flow).final.sums.log_growth


def _both(key: PRNGKeyArray, *, runs: list[Callable]) -> tuple[Array, Array]:
    """The growth by long and by short steps on one path."""
    coarse, fine = runs
    return coarse(Brownian(key).coarsen(2)), fine(Brownian(key))
