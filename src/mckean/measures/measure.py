"""What every probability measure offers, however it is held."""

import abc
import functools
import typing
from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean.checks import calling, require_draws, require_entries
from mckean.spaces import AbstractSpace

Tree = TypeVar("Tree")
Draw = TypeVar("Draw", bound=Callable)


class AbstractMeasure(eqx.Module):
    """A probability measure on a space."""

    @property
    @abc.abstractmethod
    def domain(self) -> AbstractSpace:
        """The space that carries the measure."""

    @abc.abstractmethod
    def integrate(self, phi: Callable[[Float[Array, " d"]], Any]) -> Any:
        """∫φ dμ for a function of one point of shape (d,), scalar- or array-valued."""


def sampler(draw: Draw) -> Draw:
    """A law's `sample(key, n)` as one program, with its arguments checked before it."""
    program = eqx.filter_jit(draw)

    @functools.wraps(draw)
    def sample(law, key, n):
        require_draws(key, n, law.domain.dim)
        return program(law, key, int(n))

    return typing.cast(Draw, sample)


def on_points(phi: Callable[[Float[Array, " d"]], Any], points: Float[Array, "n d"]) -> Any:
    """φ at each row of `points`; the leading axis of the result is the points'."""
    require_entries("a function of a point", phi, points.shape[1])
    with calling("a function of a point"):
        return jax.vmap(phi)(points)


def dtype_of(mu: AbstractMeasure) -> jnp.dtype:
    """The precision of the arrays of a measure; the default precision if it has none."""
    leaves = [leaf for leaf in jax.tree.leaves(mu) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return jnp.result_type(*leaves) if leaves else jnp.result_type(float)


def cast(tree: Tree, dtype: Any) -> Tree:
    """The tree with its floating and complex arrays in the given precision, so that parameters do not promote a state.

    A complex array stays complex: 64 bits in single precision and below, 128 in double.

    **Arguments:**

    - `tree`: any tree, such as a model.
    - `dtype`: the precision.

    **Returns:** a tree of the same form.
    """

    def one(leaf):
        if not eqx.is_inexact_array(leaf):
            return leaf
        return leaf.astype(jnp.promote_types(dtype, jnp.complex64) if jnp.iscomplexobj(leaf) else dtype)

    return jax.tree.map(one, tree)
