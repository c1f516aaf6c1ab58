"""What a geometry is: how points differ, how a step is brought back to the space, how far apart points are."""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray


class AbstractSpace(eqx.Module):
    """A space on which particles live; points are rows of arrays of shape (n, dim)."""

    dim: eqx.AbstractVar[int]

    @abc.abstractmethod
    def displacement(self, x: Float[Array, "*#n d"], y: Float[Array, "*#n d"]) -> Float[Array, "*#n d"]:
        """The shortest tangent vector that leads from y to x; x − y in R^d. Leading axes broadcast."""

    @abc.abstractmethod
    def distance(self, x: Float[Array, "*#n d"], y: Float[Array, "*#n d"]) -> Float[Array, "*#n"]:
        """Geodesic distance between x and y, row by row."""

    @abc.abstractmethod
    def retract(self, x: Float[Array, "*n d"]) -> Float[Array, "*n d"]:
        """Bring coordinates that a step has left outside back to the space."""

    @abc.abstractmethod
    def project(self, x: Float[Array, "*#n d"], v: Float[Array, "*#n d"]) -> Float[Array, "*#n d"]:
        """The part of v that is tangent to the space at x; v itself in flat coordinates."""

    @abc.abstractmethod
    def exponential(self, x: Float[Array, "*#n d"], v: Float[Array, "*#n d"]) -> Float[Array, "*#n d"]:
        """exp_x v: where the geodesic from x with the velocity v, a tangent vector at x, is at time 1."""

    @abc.abstractmethod
    def check(self, x: Float[Array, "n d"]) -> None:
        """Raise `ValueError` for points that are not in the space, where a retraction would hide a mistake."""

    @abc.abstractmethod
    def uniform(self, key: PRNGKeyArray, n: int) -> Float[Array, "n d"]:
        """n independent points with the uniform law; raises `ValueError` if the volume is infinite."""

    @property
    @abc.abstractmethod
    def volume(self) -> float:
        """Riemannian volume; infinite for R^d."""

    @property
    @abc.abstractmethod
    def log_volume(self) -> float:
        """The logarithm of the volume, which in high dimension is beyond floating-point numbers itself."""

    @property
    @abc.abstractmethod
    def tangent_dim(self) -> int:
        """The dimension of the space itself, and of its tangent vectors at a point; `dim` counts coordinates."""


class AbstractFlatSpace(AbstractSpace):
    """A space with flat coordinates: tangent vectors at all points are one R^d, and geodesics are straight."""

    def distance(self, x: Float[Array, "*#n d"], y: Float[Array, "*#n d"]) -> Float[Array, "*#n"]:
        return jnp.sqrt(jnp.sum(self.displacement(x, y) ** 2, axis=-1))

    def project(self, x: Float[Array, "*#n d"], v: Float[Array, "*#n d"]) -> Float[Array, "*#n d"]:
        return v

    def exponential(self, x: Float[Array, "*#n d"], v: Float[Array, "*#n d"]) -> Float[Array, "*#n d"]:
        return self.retract(x + v)

    def check(self, x: Float[Array, "n d"]) -> None:
        """Every point of R^d is a point of the space, or stands for one."""

    @property
    def tangent_dim(self) -> int:
        return self.dim


def check_dim(dim: int) -> int:
    """`dim`, if it is an integer of at least 1."""
    if not isinstance(dim, int) or isinstance(dim, bool) or dim < 1:
        raise ValueError(f"the dimension of a space must be an integer of at least 1, but {dim!r} was given.")
    return dim
