"""Particles with velocities: their energy, their thermostat, and random forces.

On the tangent bundle of a space the state is z = (x, v), of unit mass, and the energy is that of motion with that of
place,

    E(z, μ) = ½|v|² + V(x) + W_s*μ(x).

A force (−∂_xE, −∂_vE) moves it by Hamilton's equations and by friction: dx = v dt, dv = (−∂_xE − γv) dt.
"""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean import interactions
from mckean.checks import concrete, require
from mckean.interactions import AbstractField
from mckean.interactions.parameters import parameter
from mckean.measures import AbstractMeasure, configuration
from mckean.models.noise import AbstractMatrixNoise, AbstractNoise, Calculus, Thermal
from mckean.models.potentials import as_potential
from mckean.spaces import TangentBundle


class OneBodyEnergy(eqx.Module):
    """The energy of a particle with a velocity, ½|v|² + V(x).

    **Arguments:**

    - `space`: the tangent bundle.
    - `confinement`: V, a scalar function of a position (d,), or None for V = 0.
    """

    space: TangentBundle
    confinement: Any

    def __init__(self, space: TangentBundle, confinement: Any):
        inner = confinement.confinement if isinstance(confinement, OneBodyEnergy) else confinement
        self.space, self.confinement = space, None if inner is None else as_potential(inner, space.base)

    def __call__(self, z: Float[Array, " z"]) -> Float[Array, ""]:
        kinetic = 0.5 * jnp.sum(self.space.velocity(z) ** 2)
        return kinetic if self.confinement is None else kinetic + self.confinement(self.space.position(z))


class Thermostat(AbstractMatrixNoise):
    """A heat bath at every particle: friction, and the noise that balances it,

        dv_i = −γv_i dt + √(2γ/β) dB_i,

    under which velocities alone relax to the normal law of variance 1/β. It is the own noise of a model on a tangent
    bundle.

    **Arguments:**

    - `friction`: γ > 0, 1/time.
    - `beta`: β > 0, 1/energy.

    **Raises:** `ValueError` for a γ or β that is not a positive number.
    """

    friction: Float[Array, ""] = eqx.field(converter=parameter)
    beta: Float[Array, ""] = eqx.field(converter=parameter)
    calculus: ClassVar[Calculus] = "ito"
    additive: ClassVar[bool] = True
    ito_is_stratonovich: ClassVar[bool] = True
    depends_on_measure: ClassVar[bool] = False
    is_shear: ClassVar[bool] = True

    def __check_init__(self):
        for name, value in (("friction", self.friction), ("inverse temperature beta", self.beta)):
            require(jnp.shape(value) == (), f"the {name} must be a number, not an array of shape {jnp.shape(value)}.")
            known = concrete(value)
            require((known > 0) & (known < jnp.inf), f"the {name} must be positive and finite, but {value} was given.")

    @property
    def amplitude(self) -> Float[Array, ""]:
        """√(2γ/β)."""
        return jnp.sqrt(2 * self.friction / self.beta)

    def matrix(self, x: Float[Array, "n z"], mu: AbstractMeasure) -> Float[Array, "n z m"]:
        n, dim = x.shape[0], x.shape[1] // 2
        below = self.amplitude.astype(x.dtype) * jnp.eye(dim, dtype=x.dtype)
        return jnp.broadcast_to(jnp.concatenate([jnp.zeros_like(below), below]), (n, 2 * dim, dim))

    def displacement(self, x: interactions.Points, mu: AbstractMeasure, dB: Float[Array, " m"]) -> Float[Array, "n z"]:
        return self.matrix(interactions.at(x, mu), mu) @ dB

    def width(self, mu: AbstractMeasure, dim: int) -> int:
        return dim // 2


class Drag(AbstractField):
    """Friction without noise, the drift b((x, v), μ) = (0, −γv).

    **Arguments:**

    - `friction`: γ, 1/time.
    """

    friction: Float[Array, ""] = eqx.field(converter=parameter)

    def __call__(self, x: interactions.Points, mu: AbstractMeasure) -> Float[Array, "n z"]:
        x, v = jnp.split(interactions.at(x, mu), 2, axis=-1)
        return jnp.concatenate([jnp.zeros_like(x), -self.friction.astype(v.dtype) * v], axis=-1)


class RandomForce(AbstractNoise):
    """A noise of positions as a force, dv = Σ_kσ_k(x, ρ) dB_k, ρ the law of the positions.

    As dB does not move positions, the integrals of Itô and of Stratonovich are one.

    **Arguments:**

    - `noise`: the σ_k, a noise of the base of the tangent bundle; its amplitude is in length per time^{3/2}.

    **Raises:** `ValueError` for what is not a noise.
    """

    noise: AbstractNoise
    calculus: ClassVar[Calculus] = "ito"
    ito_is_stratonovich: ClassVar[bool] = True
    is_shear: ClassVar[bool] = False

    def __init__(self, noise: AbstractNoise):
        require(isinstance(noise, AbstractNoise), f"a random force is made of a noise, not of {noise!r}.")
        self.noise = noise

    @property
    def additive(self) -> bool:
        return self.noise.additive

    @property
    def depends_on_measure(self) -> bool:
        return self.noise.depends_on_measure

    def width(self, mu: AbstractMeasure, dim: int) -> int:
        return self.noise.width(configuration(mu), dim // 2)

    def matrix(self, x: Float[Array, "n z"], mu: AbstractMeasure) -> Float[Array, "n z m"]:
        below = self.noise.matrix(x[:, : x.shape[1] // 2], configuration(mu))
        return jnp.concatenate([jnp.zeros_like(below), below], axis=1)

    def diffusion(self, x: Float[Array, "n z"], mu: AbstractMeasure) -> Float[Array, "n z z"]:
        dim = x.shape[1] // 2
        return jnp.pad(self.noise.diffusion(x[:, :dim], configuration(mu)), ((0, 0), (dim, 0), (dim, 0)))

    def displacement(self, x: interactions.Points, mu: AbstractMeasure, dB: Float[Array, " m"]) -> Float[Array, "n z"]:
        points = interactions.at(x, mu)
        push = self.noise.displacement(points[:, : points.shape[1] // 2], configuration(mu), dB)
        return jnp.concatenate([jnp.zeros_like(push), push], axis=-1)


def require_velocities(space: Any, noise: AbstractNoise | None) -> None:
    """Raise `ValueError` for a thermal noise that moves positions with velocities, and a thermostat without these."""
    if isinstance(space, TangentBundle):
        require(
            not isinstance(noise, Thermal),
            "on a tangent bundle thermal noise comes with a friction and moves velocities: Thermostat(friction, beta).",
        )
    else:
        require(
            not isinstance(noise, Thermostat),
            f"a thermostat acts on velocities, which points of {space} have not: take TangentBundle(space), or "
            "underdamped(space, …).",
        )
