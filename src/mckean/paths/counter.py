"""Standard normal draws of JAX's default generator in one pass over the output.

The same numbers as `jax.random.normal`, entry for entry: Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror, Shaw,
*Parallel random numbers: as easy as 1, 2, 3*, SC 2011) of the entry's index, turned into a normal by the inverse error
function. JAX's own lowering for CPUs loops over the rounds and holds its state in arrays as long as the output; written
out, the rounds fuse with all that is done with the draw, which then takes no memory, and a quarter of the time where
the output does not fit in the cache.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int, PRNGKeyArray

from mckean.checks import require

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA


def normal(
    key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any = float, part: Int[ArrayLike, ""] = 0
) -> Float[Array, "..."]:
    """`jax.random.normal(key, shape, dtype)` to the rounding of its last operations, or a later part of a longer draw.

    Entry i of part p is entry p·m + i of the whole, m the size of a part: the counter has 64 bits. Keys of other
    generators and other floating-point types go to JAX's own function, which has no parts.
    """
    dtype = jnp.result_type(dtype)
    ours = str(jax.random.key_impl(key)) == "threefry2x32" and dtype in (jnp.float32, jnp.float64)
    if not ours or not jax.config.values["jax_threefry_partitionable"]:
        require(isinstance(part, int) and part == 0, "a draw in parts needs JAX's default generator, threefry2x32.")
        return jax.random.normal(key, shape, dtype)
    low = np.nextafter(np.asarray(-1, dtype), np.asarray(0, dtype), dtype=dtype)
    # `low` also covers the rounding of the sum below it; 1 − low rounds to 2.
    uniform = jnp.maximum(low, (_one_to_two(key, shape, dtype, part) - 1) * (1 - low) + low)
    return jax.lax.erf_inv(uniform) * np.asarray(math.sqrt(2), dtype)


def fold(key: PRNGKeyArray, step: Int[ArrayLike, ""]) -> PRNGKeyArray:
    """The key of a step: `jax.random.fold_in` for −2³¹ ≤ step < 2³¹, and beyond, where that would repeat, another."""
    step = jnp.asarray(step)
    if step.dtype.itemsize <= 4:
        return jax.random.fold_in(key, step)
    near = jax.random.fold_in(key, step.astype(jnp.uint32))
    turn = (step + 2**31) >> 32
    return jnp.where(turn == 0, near, jax.random.fold_in(near, turn.astype(jnp.uint32)))


def _one_to_two(key: PRNGKeyArray, shape: tuple[int, ...], dtype, part: Int[ArrayLike, ""]) -> Array:
    """Uniform on [1, 2): random bits for the mantissa."""
    first, second = _threefry(jax.random.key_data(key), *_counter(shape, part))
    if dtype == jnp.float32:
        bits = (first ^ second) >> np.uint32(9)
    else:
        bits = (first.astype(jnp.uint64) << np.uint64(32) | second.astype(jnp.uint64)) >> np.uint64(12)
    return jax.lax.bitcast_convert_type(bits | np.ones((), dtype).view(bits.dtype), dtype)


def _counter(shape: tuple[int, ...], part: Int[ArrayLike, ""]) -> tuple[Array, Array]:
    """The upper and lower 32 bits of the indices of a part."""
    size = math.prod(shape)
    if size < 2**32 and isinstance(part, int) and part == 0:
        index = jax.lax.iota(jnp.uint32, size).reshape(shape)
        return jnp.zeros_like(index), index
    with jax.enable_x64(True):
        index = jax.lax.iota(jnp.uint64, size).reshape(shape) + jnp.asarray(part).astype(jnp.uint64) * np.uint64(size)
        return (index >> np.uint64(32)).astype(jnp.uint32), index.astype(jnp.uint32)


def _threefry(key: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """Threefry-2x32-20 of the counter (x, y)."""
    schedule = (key[0], key[1], key[0] ^ key[1] ^ np.uint32(_PARITY))
    x, y = x + schedule[0], y + schedule[1]
    for group in range(5):
        for shift in _ROTATIONS[group % 2]:
            x = x + y
            y = (y << np.uint32(shift) | y >> np.uint32(32 - shift)) ^ x
        x = x + schedule[(group + 1) % 3]
        y = y + schedule[(group + 2) % 3] + np.uint32(group + 1)
    return x, y
