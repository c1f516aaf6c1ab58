"""What a pair energy W(x − y) is.

The energy ½∬W dμdμ sees only the even part W_s(z) = (W(z) + W(−z))/2, and so do the force −∇W_s*μ and the first
variation W_s*μ; every kernel here is used through its even part. ∇W_s(0) is taken as 0, its value by symmetry, also
where W has a kink. A kernel with W(0) not finite is *singular*: coincident points, the diagonal i = j among them, are
left out of its potential, and a density's own cell, which has a size, counts with the mean of W_s over it.
"""

import abc
import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from mckean.checks import require_finite, require_periodic, scalar_field
from mckean.spaces import AbstractSpace, Torus


class AbstractKernel(eqx.Module):
    """A pair energy W, a function of the displacement z = x − y, shape (d,), in the unit of energy.

    A kernel of your own says W_s in `__call__`, whether W(0) is left out in `singular`, and in `on` how it acts on a
    space; `Function` is a shorter way to have one.
    """

    def __check_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) or eqx.is_inexact_array(value):
                require_finite(f"the {field.name.replace('_', ' ')} of a {type(self).__name__} kernel", value)

    @property
    @abc.abstractmethod
    def singular(self) -> bool:
        """Whether W(0) is left out of sums."""

    @abc.abstractmethod
    def __call__(self, z: Float[Array, " d"]) -> Float[Array, ""]:
        """W_s(z), the even part of W."""

    @abc.abstractmethod
    def on(self, space: AbstractSpace) -> "AbstractKernel":
        """W between two points of a space, as a function of the shortest displacement from one to the other.

        **Raises:**

        - `ValueError` where W has no meaning on the space: not scalar there, or not periodic on a torus.
        """

    def gradient(self, z: Float[Array, " d"]) -> Float[Array, " d"]:
        """∇W_s(z), with ∇W_s(0) = 0."""
        zero = _coincident(z)
        inside = jax.grad(self.__call__)(jnp.where(zero, jnp.ones_like(z), z))
        return jnp.where(zero, jnp.zeros_like(z), inside)

    def value(self, z: Float[Array, " d"], at_zero: Float[ArrayLike, ""] = 0.0) -> Float[Array, ""]:
        """W_s(z), with `at_zero` for W_s(0) where the kernel is singular."""
        if not self.singular:
            return self(z)
        zero = _coincident(z)
        return jnp.where(zero, jnp.asarray(at_zero, z.dtype), self(jnp.where(zero, jnp.ones_like(z), z)))

    def cell_mean(self, sides: tuple[float, ...]) -> Float[Array, ""]:
        """The mean of W_s over a cell with the given sides, centred at 0, where W_s may be singular or narrow."""
        dim = len(sides)
        node, weight = graded_rule(8)
        mesh = np.stack(np.meshgrid(*[node] * dim, indexing="ij"), axis=-1).reshape(-1, dim)
        weights = np.prod(np.stack(np.meshgrid(*[weight] * dim, indexing="ij"), axis=-1).reshape(-1, dim), axis=1)
        return jnp.dot(jnp.asarray(weights, float), jax.vmap(self)(jnp.asarray(mesh * np.asarray(sides) / 2, float)))


class AbstractRadialKernel(AbstractKernel):
    """A pair energy that depends on |z| alone."""

    @abc.abstractmethod
    def profile(self, square: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """W as a function of |z|² > 0, elementwise: what a sum over many pairs evaluates fastest."""


def require_kernel(kernel: AbstractKernel, space: AbstractSpace) -> None:
    """**Raises** `ValueError` for a kernel that is not scalar on a space, or not periodic on a torus."""
    scalar_field(kernel, space.dim, "an interaction kernel")
    if isinstance(space, Torus):
        mend = "; mckean.kernels.MinimalImage(W) takes W of the shortest displacement"
        require_periodic(kernel, space.lengths, "the interaction kernel", mend)


def graded_rule(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes on [−1, 1], graded as t³ towards 0 on both sides, n on each, and their weights, of sum 1."""
    node, weight = np.polynomial.legendre.leggauss(n)
    node, weight = 0.5 * (node + 1), 0.5 * weight
    return np.concatenate([-(node**3), node**3]), np.tile(1.5 * node**2 * weight, 2)


def _coincident(z: Array) -> Array:
    """Whether |z|² is zero in the precision of z: then two points cannot be told apart by their distance."""
    return jnp.sum(z**2) == 0
