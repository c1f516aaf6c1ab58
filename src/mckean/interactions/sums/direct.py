"""The direct sum over all pairs, in tiles: O(n·m) work, O(tile) memory."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from mckean.interactions.kernels import AbstractKernel
from mckean.spaces import AbstractSpace

_TILE = 512


def _padded(x: Array, tile: int, mode: str) -> Array:
    short = -x.shape[0] % tile
    return jnp.pad(x, [(0, short)] + [(0, 0)] * (x.ndim - 1), mode=mode).reshape(-1, tile, *x.shape[1:])


def _tiled(pair, space: AbstractSpace, sources, weights, points, out_shape: tuple[int, ...]) -> Array:
    """Σ_j w_j pair(x_i − y_j) for every target i."""
    # Padding repeats a point that is there, with weight 0: at a made-up place a singular kernel could be infinite.
    tile = min(_TILE, sources.shape[0])
    y, w = _padded(sources, tile, "edge"), _padded(weights, tile, "constant")
    x = _padded(points, min(_TILE, points.shape[0]), "edge")

    def block(targets):
        def add(total, tile):
            yj, wj = tile
            z = space.displacement(targets[:, None, :], yj[None, :, :])
            return total + jnp.tensordot(jax.vmap(jax.vmap(pair))(z), wj, axes=(1, 0)), None

        start = jnp.zeros((targets.shape[0], *out_shape), points.dtype)
        return jax.lax.scan(add, start, (y, w))[0]

    total = jax.lax.map(block, x)
    return total.reshape(-1, *out_shape)[: points.shape[0]]


def potential(
    kernel: AbstractKernel,
    space: AbstractSpace,
    sources: Float[Array, "n d"],
    weights: Float[Array, " n"],
    points: Float[Array, "m d"],
    at_zero: Float[ArrayLike, ""] = 0.0,
) -> Float[Array, " m"]:
    """Σ_j w_j W_s(x_i − y_j), where `at_zero` stands for W_s(0) if that is not finite."""
    return _tiled(lambda z: kernel.value(z, at_zero), space, sources, weights, points, ())


def force(
    kernel: AbstractKernel,
    space: AbstractSpace,
    sources: Float[Array, "n d"],
    weights: Float[Array, " n"],
    points: Float[Array, "m d"],
) -> Float[Array, "m d"]:
    """−Σ_j w_j ∇W_s(x_i − y_j)."""
    return -_tiled(kernel.gradient, space, sources, weights, points, (space.dim,))
