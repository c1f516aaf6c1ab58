"""Reflection coupling: two systems whose noises are mirror images, so that particle i of one meets that of the other.

For two processes dX = b dt + σ dB, dY = b̃ dt + σ dB̃ with dB̃ = (1 − 2eeᵀ) dB, e = (X − Y)/|X − Y|, the distance
r = |X − Y| is driven by 2σ dw along e: it diffuses to zero where a synchronous coupling, for which the noises cancel,
leaves it to the drift. Without drift they are equal from their meeting on, at the time τ when a Brownian motion
of variance 4σ²t falls by r, and no coupling meets earlier:

    P(τ > t) = erf(r/(2√2 σ√t)).

**Source**: Lindvall and Rogers, Ann. Probab. 14 (1986); Eberle, Probab. Theory Relat. Fields 166 (2016).

**In discrete time.** The two Euler steps are Gaussian, N(m_X, σ²dt) and N(m_Y, σ²dt). With z = m_X − m_Y and
X′ = m_X + η, the step sets Y′ = X′ with the probability min(1, φ(η + z)/φ(η)), φ the density of N(0, σ²dt), and else
Y′ = m_Y + (1 − 2eeᵀ)η, e = z/|z|. Then Y′ has exactly the law of Euler's own step, and P(X′ ≠ Y′) is as small as it
can be. Along e, z′ = z + 2η·e, and

    φ(η + z)/φ(η) = exp(−z(z + 2η·e)/(2σ²dt)) = exp(−2zz′/(4σ²dt)),

the probability that the Brownian bridge of variance 4σ² from z to z′ has touched zero: without drift the meeting is
that of continuous time, and its law free of an error in dt. **Source**: Eberle and Majka, Electron. J. Probab. 24
(2019); Bou-Rabee, Eberle and Zimmer, Ann. Appl. Probab. 30 (2020).

**After a meeting** equal particles have equal V and equal noise but not the same mean field: z is then of order dt, and
the step lets them part with a probability of order √dt and meets again soon. As dt → 0 that is the sticky coupling
(Eberle and Zimmer, Ann. Inst. H. Poincaré 55 (2019)). Durmus, Eberle, Guillin and Zimmer (Proc. AMS 148 (2020)) avoid
it by a noise that turns from reflected to synchronous as r → 0; here there is no such length to choose.
"""

from typing import cast

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Int

from mckean.checks import require
from mckean.couplings._synchronous import coupled, require_alike
from mckean.dynamics import (
    Carrier,
    CarrierScheme,
    Increments,
    Observables,
    ParticleScheme,
    Scheme,
    Stepper,
    Trajectory,
    evolve,
    increments,
    require_coupling,
    scheme_for,
)
from mckean.dynamics.pair import Pair
from mckean.dynamics.particles import solve, with_positions
from mckean.faults import Status, sound
from mckean.measures import Density, Gaussian, Particles
from mckean.models import Equation, Model, Thermal, initial, require_equation
from mckean.paths import Brownian, Stream
from mckean.spaces import Sphere

_CHOICE = 0x5EED


def reflection_coupling(
    model: Equation,
    first: Particles,
    second: Particles,
    *,
    law: Density | Gaussian | None = None,
    until: float,
    dt: float,
    start: float = 0.0,
    path: Brownian | None = None,
    scheme: Scheme | None = None,
    observe: Observables | None = None,
    every: int | None = None,
) -> Trajectory[Carrier]:
    """Two systems of N particles, or particles and copies of McKean's process, with reflected noises until they meet.

        dX = b dt + σ dB,   dY = b̃ dt + σ(1 − 2eeᵀ) dB,   e = (X − Y)/|X − Y|,   for each pair X_i, Y_i

    Both move by Euler's scheme, and each has the law that it has without the coupling. X moves by the particles' own
    motions of the path, as in a run of its own. A common noise is the same for both. On a torus e is along the shortest
    displacement.

    **Arguments:**

    - `model`: with a thermal own noise.
    - `first`, `second`: X(0) and Y(0), N particles each.
    - `law`: the law μ_0 at time 0 that moves Y, where Y are copies of McKean's process. Default: None, Y is a system of
      its own.
    - `scheme`: the scheme of the law. Default: None, that of `evolve`.
    - `observe`: functions of (model, state) by name, where the first two of `state.measures` are X and Y: for instance
      `coupling_distance`.
    - `until`, `dt`, `start`, `path`, `every`: as for `evolve`.

    **Returns:** the run. `final.measures` has X, Y and the law, if there is one, at the end.

    **Raises:** `ValueError` on a sphere, for a noise that is not thermal, for particles with weights or in another
    number, and as `evolve` does.

    **Source:** Lindvall and Rogers, Ann. Probab. 14 (1986); Eberle and Majka, Electron. J. Probab. 24 (2019).
    """
    require_equation(model)
    require(isinstance(initial(model).noise, Thermal), "only a thermal noise, the same everywhere, can be reflected.")
    require(not isinstance(model.space, Sphere), "a reflection coupling is on R^d or a torus, not on a sphere.")
    require_alike(first, second)
    state, schemes = Carrier(Pair(first, second)), (ParticleScheme(), ParticleScheme())
    if law is not None:
        state, schemes = coupled(law, first, second), (*schemes, scheme_for(model, law, scheme))
    return evolve(
        model, state, until=until, dt=dt, start=start, path=path, scheme=CarrierScheme(schemes, _reflect),
        observe=observe, every=every,
    )  # fmt: skip


def _reflect(
    begun: Stepper, state: Carrier, path: Brownian | None, index: Int[ArrayLike, ""]
) -> tuple[Carrier, Status]:
    (first, second, *law), dt, model = state.measures, begun.dt, begun.at(index)
    space, noise = model.space, increments(model, first, path, index, dt)
    # Checked at the start: a thermal noise, and with it a path.
    path, own, thermal = cast(Brownian, path), cast(Array, noise.own), cast(Thermal, model.noise)
    still = Increments(jnp.zeros_like(own), noise.common)
    x = solve(diffrax.Euler(), begun.shared[0].during(index), first, still, dt)
    # The copies of McKean's process see the law, whose stepper is the last.
    y = solve(diffrax.Euler(), begun.shared[-1].during(index), second, still, dt, law=law[0] if law else None)
    scale = jnp.sqrt(dt) * thermal.amplitude.astype(dt.dtype)
    eta = own / jnp.sqrt(dt)
    z = space.displacement(x, y) / scale
    mirrored, meet = _mirror(z, eta, _levels(path, index, dt, first.n))
    x, y = (space.retract(v) for v in (x + scale * eta, y + scale * mirrored))
    y = jnp.where(meet[:, None], x, y)
    found = sound(dt.dtype)
    if law:
        law[0], found = begun.shared[-1].step(law[0], path, index)
    new = (with_positions(first, x), with_positions(second, y), *law)
    return eqx.tree_at(lambda c: tuple(c.measures), state, new), found


def _mirror(
    z: Float[Array, "n d"], eta: Float[Array, "n d"], level: Float[Array, " n"]
) -> tuple[Float[Array, "n d"], Bool[Array, " n"]]:
    """The noise reflected across z, and who meets instead: log u ≤ log φ(η + z)/φ(η); all in units of σ√dt."""
    square = jnp.sum(z**2, axis=1)
    along = jnp.sum(z * eta, axis=1)
    mirrored = eta - 2 * (along / jnp.where(square > 0, square, 1))[:, None] * z
    return mirrored, level <= -along - 0.5 * square


def _levels(path: Brownian, index, dt: Float[Array, ""], n: int) -> Float[Array, " n"]:
    """log u, u uniform, independent of the particles' own motions: each has one for the choice of its step."""
    own = path.idiosyncratic
    stream = Stream(jax.random.fold_in(own.key, _CHOICE), own.halvings, own.grouping)
    return jax.scipy.special.log_ndtr(stream.increment(index, dt, (n, 1), dt.dtype)[:, 0] / jnp.sqrt(dt))


def coupling_distance(model: Model, state: Carrier) -> dict[str, Float[Array, ""]]:
    """Observable: the distance of the two systems X and Y of a coupling.

    **Arguments:**

    - `model`: not used.
    - `state`: the particles X and Y.

    **Returns:** a dictionary: `mean`, (1/N)Σ|X_i − Y_i| ≥ W_1 of the clouds, length, and `apart`, the fraction with X_i
    ≠ Y_i.
    """
    require_coupling(state, 2)
    x, y = (cloud.positions for cloud in state.measures[:2])
    gaps = state.domain.distance(x, y)
    return {"mean": jnp.mean(gaps), "apart": jnp.mean(jnp.any(x != y, axis=1).astype(gaps.dtype))}
