"""Bounds of W_2² between clouds from dual potentials that need not be the best.

For any g on the atoms of ν, with f_i = min_j(d_ij² − g_j), duality gives Σa_i f_i + Σb_j g_j ≤ W_2². Any coupling
bounds it from above: here the entropic one, and one in which an atom goes where the minimum is, as far as there is mass
to be had, and what remains of μ is coupled independently with what remains of ν.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean.spaces import AbstractSpace

_ROWS = 64


def soft_upper(space: AbstractSpace, atoms, masses, g: Float[Array, " m"], epsilon) -> Float[Array, ""]:
    """∫d² dπ for π_ij = a_i e^{(g_j − d_ij²)/ε}/Σ_j, and what it costs at most to mend the second marginal."""
    (x, y), (a, b) = atoms, masses

    def add(state, rows):
        total, columns, largest = state
        square, mass = _squares(space, rows[0], y), rows[1]
        share = mass[:, None] * jax.nn.softmax((g - square) / epsilon, axis=1)
        return (total + jnp.sum(share * square), columns + share.sum(0), jnp.maximum(largest, square.max())), None

    start = (jnp.zeros((), x.dtype), jnp.zeros_like(b), jnp.zeros((), x.dtype))
    (total, columns, largest), _ = jax.lax.scan(add, start, _blocks(x, a))
    return total + 0.5 * jnp.sum(jnp.abs(columns - b)) * largest


def sharp_bounds(space: AbstractSpace, atoms, masses, g: Float[Array, " m"]) -> tuple[Array, Array]:
    """The lower bound of a potential, and the upper one of its map."""
    (x, y), (a, b) = atoms, masses

    def find(_, rows):
        square = _squares(space, rows[0], y)
        image = jnp.argmin(square - g, axis=1)
        there = jnp.take_along_axis(square, image[:, None], axis=1)[:, 0]
        return None, (image, there)

    image, there = (v.ravel()[: len(a)] for v in jax.lax.scan(find, None, _blocks(x, a))[1])
    lower = a @ (there - g[image]) + b @ g
    arriving = jnp.zeros_like(b).at[image].add(a)
    kept = jnp.minimum(1, b / jnp.where(arriving > 0, arriving, 1))[image]
    rest, free = a * (1 - kept), b - jnp.minimum(arriving, b)

    def couple(total, rows):
        return total + rows[1] @ _squares(space, rows[0], y) @ free, None

    remaining, _ = jax.lax.scan(couple, jnp.zeros((), x.dtype), _blocks(x, rest))
    return lower, (a * kept) @ there + remaining / jnp.maximum(free.sum(), jnp.finfo(x.dtype).tiny)


def _squares(space: AbstractSpace, x: Float[Array, "k d"], y: Float[Array, "m d"]) -> Float[Array, "k m"]:
    return jnp.sum(space.displacement(x[:, None], y[None]) ** 2, axis=-1)


def _blocks(x: Float[Array, "n d"], mass: Float[Array, " n"]) -> tuple[Array, Array]:
    """Rows in blocks, the last one filled up with atoms without mass."""
    short = -len(x) % _ROWS
    x = jnp.pad(x, [(0, short), (0, 0)], mode="edge")
    return x.reshape(-1, _ROWS, x.shape[1]), jnp.pad(mass, (0, short)).reshape(-1, _ROWS)
