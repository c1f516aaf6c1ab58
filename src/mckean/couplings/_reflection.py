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

from typing import Any, ClassVar, cast

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Int

from mckean.checks import require
from mckean.couplings._synchronous import Coupled
from mckean.dynamics import AbstractScheme, ParticleScheme
from mckean.dynamics.evolve import scheme_for
from mckean.dynamics.pair import Pair
from mckean.dynamics.particles import Increments, advance, increments
from mckean.measures import AbstractMeasure, Particles
from mckean.models import Model, Thermal
from mckean.paths import Brownian, Stream
from mckean.spaces import Sphere

_CHOICE = 0x5EED


class ReflectionCoupling(AbstractScheme):
    """Two systems of N particles (`Pair`), or particles and copies (`Coupled`), by reflection until they meet.

    Both move by Euler's scheme, their laws as they are without the coupling. X, the pair's first, is driven by the
    path's own motions, as in a run of its own; a common noise is the same for both. On a torus e is along the shortest
    displacement.
    **Arguments:** `law`: the scheme that moves the law of `Coupled`; that of `evolve` where nothing is said.
    **Raises** `ValueError`, when used, for other measures, on a sphere, for a noise that is not thermal, and for
    whatever the parts refuse.
    """

    moves: ClassVar[str] = "Coupled, or a Pair of Particles"
    law: AbstractScheme | None = None

    @property
    def order(self) -> int:
        return 1

    def accepts(self, measure: AbstractMeasure) -> bool:
        return isinstance(measure, Coupled) or (isinstance(measure, Pair) and isinstance(measure.first, Particles))

    def check(self, model: Model, measure: Coupled | Pair, dt: float) -> None:
        require(isinstance(model.noise, Thermal), "only a thermal noise, the same everywhere, can be reflected.")
        require(not isinstance(model.space, Sphere), "a reflection coupling is on R^d or a torus, not on a sphere.")
        for cloud in systems(measure):
            require(cloud.weights is None, "a coupling is of particles of equal weight.")
            ParticleScheme().check(model, cloud, dt)
        if isinstance(measure, Coupled):
            scheme_for(model, measure.law, self.law).check(model, measure.law, dt)

    def prepare(self, model: Model, measure: Coupled | Pair, dt: Float[Array, ""]) -> Any:
        if isinstance(measure, Coupled):
            return scheme_for(model, measure.law, self.law).prepare(model, measure.law, dt)
        return None

    def complaints(self, model: Model, measure: Coupled | Pair) -> dict[str, Float[Array, ""]]:
        if isinstance(measure, Coupled):
            return scheme_for(model, measure.law, self.law).complaints(model, measure.law)
        return {}

    def step(
        self,
        model: Model,
        measure: Coupled | Pair,
        prepared: Any,
        path: Brownian,
        index: Int[ArrayLike, ""],
        dt: Float[Array, ""],
    ) -> Coupled | Pair:
        first, second = systems(measure)
        law = measure.law if isinstance(measure, Coupled) else None
        noise = increments(model, first, path, index, dt)
        assert isinstance(model.noise, Thermal)
        assert noise.own is not None
        still = Increments(jnp.zeros_like(noise.own), noise.common)
        x = advance(diffrax.Euler(), model, first, still, dt)
        y = advance(diffrax.Euler(), model, second, still, dt, law=law)
        scale = jnp.sqrt(dt) * model.noise.amplitude.astype(dt.dtype)
        eta = noise.own / jnp.sqrt(dt)
        z = model.space.displacement(x, y) / scale
        reflected, meet = _reflected(z, eta, _levels(path, index, dt, len(x)))
        x, y = (model.space.retract(v) for v in (x + scale * eta, y + scale * reflected))
        y = jnp.where(meet[:, None], x, y)
        if law is None:
            return eqx.tree_at(lambda p: (p.first.positions, p.second.positions), measure, (x, y))
        law = scheme_for(model, law, self.law).step(model, law, prepared, path, index, dt)
        return eqx.tree_at(lambda m: (m.particles.positions, m.copies.positions, m.law), measure, (x, y, law))


def systems(state: Coupled | Pair) -> tuple[Particles, Particles]:
    """X and Y."""
    if isinstance(state, Coupled):
        return state.particles, state.copies
    return cast(Particles, state.first), cast(Particles, state.second)


def _reflected(
    z: Float[Array, "n d"], eta: Float[Array, "n d"], level: Float[Array, " n"]
) -> tuple[Float[Array, "n d"], Bool[Array, " n"]]:
    """The noise reflected across z, and who meets instead: log u ≤ log φ(η + z)/φ(η); all in units of σ√dt."""
    square = jnp.sum(z**2, axis=1)
    along = jnp.sum(z * eta, axis=1)
    reflected = eta - 2 * (along / jnp.where(square > 0, square, 1))[:, None] * z
    return reflected, level <= -along - 0.5 * square


def _levels(path: Brownian, index, dt: Float[Array, ""], n: int) -> Float[Array, " n"]:
    """log u, u uniform, independent of the particles' own motions: each has one for the choice of its step."""
    own = path.idiosyncratic
    stream = Stream(jax.random.fold_in(own.key, _CHOICE), own.halvings, own.grouping)
    return jax.scipy.special.log_ndtr(stream.increment(index, dt, (n, 1), dt.dtype)[:, 0] / jnp.sqrt(dt))


def coupling_distance(model: Model, state: Coupled | Pair) -> dict[str, Float[Array, ""]]:
    """Observable: `mean`, (1/N)Σ|X_i − Y_i| ≥ W_1 of the clouds, and `apart`, the fraction with X_i ≠ Y_i."""
    x, y = systems(state)
    gaps = state.domain.distance(x.positions, y.positions)
    return {"mean": jnp.mean(gaps), "apart": jnp.mean(jnp.any(x.positions != y.positions, axis=1).astype(gaps.dtype))}
