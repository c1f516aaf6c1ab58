"""Confining potentials V(x): scalar functions of one point of shape (d,). Any JAX-traceable function serves as one."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean.checks import require, require_periodic, scalar_field
from mckean.interactions.kernels import AbstractKernel, Static, parameter
from mckean.spaces import AbstractSpace, Torus


class Quadratic(eqx.Module):
    """V(x) = (a/2)|x − c|².

    **Arguments:** `stiffness`: a, in energy per length²; `centre`: c, a number or shape (d,).
    """

    stiffness: Float[Array, ""] = eqx.field(converter=parameter, default=1.0)
    centre: Float[Array, "..."] = eqx.field(converter=parameter, default=0.0)

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        return 0.5 * self.stiffness * jnp.sum((x - self.centre) ** 2)


class DoubleWell(eqx.Module):
    """V(x) = (a/4)|x|⁴ − (b/2)|x|²; minima at |x| = √(b/a).

    **Arguments:** `quartic`: a; `quadratic`: b.
    """

    quartic: Float[Array, ""] = eqx.field(converter=parameter, default=1.0)
    quadratic: Float[Array, ""] = eqx.field(converter=parameter, default=1.0)

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        square = jnp.sum(x**2)
        return 0.25 * self.quartic * square**2 - 0.5 * self.quadratic * square


def as_potential(potential, space: AbstractSpace):
    """A potential from a function or a kernel (V(x) = W(x)), checked: scalar, and periodic on a torus."""
    if isinstance(potential, AbstractKernel):
        return potential.on(space)
    require(callable(potential), f"a confinement must be a function of a point, not {potential!r}.")
    scalar_field(potential, space.dim, "a confinement")
    if isinstance(space, Torus):
        require_periodic(potential, space.lengths, "the confinement")
    return potential if isinstance(potential, eqx.Module) else Static(potential)
