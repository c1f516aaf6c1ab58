"""Confining potentials V(x): scalar functions of one point of shape (d,). Any JAX-traceable function serves as one."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean.checks import require, require_arguments, require_finite, require_periodic, scalar_field
from mckean.interactions import place
from mckean.interactions.functions import as_module
from mckean.interactions.kernels import AbstractKernel, FourierSeries, Function
from mckean.interactions.parameters import parameter
from mckean.spaces import AbstractSpace, Torus

__all__ = ["DoubleWell", "Quadratic"]


def __dir__() -> list[str]:
    return __all__


class Quadratic(eqx.Module):
    """A quadratic potential, V(x) = (a/2)|x − c|².

    **Arguments:**

    - `stiffness`: a, energy per length². Default: 1.
    - `centre`: c, a number or shape (d,), length. Default: 0.
    """

    stiffness: Float[Array, ""] = eqx.field(converter=parameter, default=1.0)
    centre: Float[Array, "..."] = eqx.field(converter=parameter, default=0.0)

    def __check_init__(self):
        require_finite("the stiffness of a quadratic potential", self.stiffness)
        require_finite("the centre of a quadratic potential", self.centre)

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        return 0.5 * self.stiffness * jnp.sum((x - self.centre) ** 2)


class DoubleWell(eqx.Module):
    """A double well, V(x) = (a/4)|x|⁴ − (b/2)|x|², with minima at |x| = √(b/a).

    **Arguments:**

    - `quartic`: a, energy per length⁴. Default: 1.
    - `quadratic`: b, energy per length². Default: 1.
    """

    quartic: Float[Array, ""] = eqx.field(converter=parameter, default=1.0)
    quadratic: Float[Array, ""] = eqx.field(converter=parameter, default=1.0)

    def __check_init__(self):
        require_finite("a coefficient of a double well", self.quartic)
        require_finite("a coefficient of a double well", self.quadratic)

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        square = jnp.sum(x**2)
        return 0.25 * self.quartic * square**2 - 0.5 * self.quadratic * square


class AtDisplacement(eqx.Module):
    """A pair energy as a potential, V(x) = W(x − 0): a particle that rests at the origin of a torus acts on x.

    x − 0 is the shortest displacement.

    **Arguments:**

    - `kernel`: W.
    - `space`: the torus.
    """

    kernel: AbstractKernel
    space: AbstractSpace

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        return self.kernel(self.space.displacement(x, jnp.zeros_like(x)))


def as_potential(potential, space: AbstractSpace):
    """A potential from a function or from a kernel, V(x) = W(x), checked.

    **Arguments:**

    - `potential`: a scalar function of a point (d,), or a kernel.
    - `space`: the space of the points.

    **Raises:** `ValueError` for a function that is not scalar, or is not periodic on a torus.
    """
    if isinstance(potential, Function):
        potential = potential.function  # a kernel is used through its even part, a confinement is not
    if isinstance(potential, AbstractKernel):
        kernel = place(potential, space).kernel
        return (
            kernel
            if isinstance(kernel, FourierSeries) or not isinstance(space, Torus)
            else AtDisplacement(kernel, space)
        )
    require(callable(potential), f"a confinement must be a function of a point, not {potential!r}.")
    mend = "; one that depends on time is Schedule(lambda t: langevin(…, lambda x: V(x, t)))"
    require_arguments("a confinement V", potential, "x", mend=mend)
    potential = as_module(potential)
    scalar_field(potential, space.dim, "a confinement")
    if isinstance(space, Torus):
        require_periodic(potential, space.lengths, "the confinement")
    if isinstance(potential, Quadratic) and jnp.shape(potential.centre) not in ((), (space.dim,)):
        raise ValueError(
            f"the centre of a quadratic potential in dimension {space.dim} is a number or has shape ({space.dim},), "
            f"not {potential.centre.shape}."
        )
    return potential
