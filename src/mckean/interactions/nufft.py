"""Nonuniform fast Fourier transforms: between values at scattered points and Fourier modes, in O(n + M log M).

    type 1:  f_k = Σ_j c_j e^{−2πik·t_j},      type 2:  c_j = Σ_k f_k e^{2πik·t_j},      k ∈ {−K, …, K}^d,

t_j in turns. On a CPU by FINUFFT (Barnett, Magland, af Klinteberg, SIAM J. Sci. Comput. 41, 2019) through jax-finufft;
on an accelerator, or where that package is not there, by the same algorithm in JAX alone: spreading with the
"exponential of semicircle" kernel to a grid twice as fine, an FFT, and division by the kernel's transform.
"""

import functools
import importlib.util
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

# What spreading holds at a time, in entries: points × w^d.
_ENTRIES = 1 << 20


def least_tolerance(dtype) -> float:
    """The smallest tolerance that a transform in this precision reaches."""
    return 1e-14 if jnp.result_type(dtype) == jnp.float64 else 3e-7


def type1(strengths: Array, turns: Float[Array, "n d"], modes: Sequence[int], tolerance: float) -> Complex[Array, "*m"]:
    """f_k for k from −K to K along each axis, shape `modes` = (2K_1 + 1, …); strengths of shape (n,)."""
    c = strengths.astype(jnp.result_type(turns.dtype, jnp.complex64))
    return jax.lax.platform_dependent(
        c,
        turns,
        cpu=_first(tuple(modes), tolerance, _available()),
        default=_first(tuple(modes), tolerance, False),
    )


def type2(coefficients: Complex[Array, "t *m"], turns: Float[Array, "n d"], tolerance: float) -> Complex[Array, "t n"]:
    """c_j for each of t arrays of coefficients, k from −K to K along each axis."""
    return jax.lax.platform_dependent(
        coefficients, turns, cpu=_second(tolerance, _available()), default=_second(tolerance, False)
    )


def _first(modes, tolerance, library):
    if library:
        return lambda c, turns: _finufft().nufft1(
            modes, c, *_angles(turns), iflag=-1, eps=tolerance, opts=_one_thread()
        )
    return lambda c, turns: _plain_type1(turns, c, modes, tolerance)


def _second(tolerance, library):
    if library:
        return lambda f, turns: jax.vmap(lambda one: _finufft().nufft2(one, *_angles(turns), iflag=1, eps=tolerance))(f)
    return lambda f, turns: jax.vmap(lambda one: _plain_type2(turns, one, tolerance))(f)


def _one_thread() -> Any:
    """FINUFFT's threads add up in the order in which they end: only one gives the same bits each time."""
    from jax_finufft.options import Opts

    return Opts(nthreads=1)


@functools.cache
def _available() -> bool:
    return importlib.util.find_spec("jax_finufft") is not None


def _finufft():
    import jax_finufft

    return jax_finufft


def _angles(turns: Array) -> tuple[Array, ...]:
    """2πt in [−π, π], by axis."""
    return tuple((2 * jnp.pi * (turns - jnp.round(turns))).T)


def _wave(modes: Sequence[int]) -> list[np.ndarray]:
    """2πk along each axis, shaped to broadcast."""
    axes = [2 * np.pi * np.arange(-(m // 2), m // 2 + 1) for m in modes]
    return [q.reshape([-1 if i == j else 1 for j in range(len(modes))]) for i, q in enumerate(axes)]


def _width(tolerance: float) -> int:
    return min(16, max(2, math.ceil(-math.log10(tolerance)) + 2))


@functools.cache
def _deconvolution(modes: int, fine: int, width: int) -> np.ndarray:
    """1/φ̂_k for k = −K … K, φ the spreading kernel in units of the fine grid's spacing."""
    node, weight = np.polynomial.legendre.leggauss(4 * width + 20)
    k = np.arange(-(modes // 2), modes // 2 + 1)
    phase = np.cos(np.pi * width * np.outer(k / fine, node))
    return 1 / (0.5 * width * phase @ (weight * _semicircle(node, width)))


def _semicircle(s, width: int):
    """exp(β(√(1 − s²) − 1)) on |s| ≤ 1, with the β that Barnett et al. give for a grid twice as fine."""
    root = jnp.sqrt if isinstance(s, jax.Array) else np.sqrt
    exponential = jnp.exp if isinstance(s, jax.Array) else np.exp
    square = 1 - s * s
    square = jnp.maximum(square, 0) if isinstance(s, jax.Array) else np.maximum(square, 0)
    return exponential(2.30 * width * (root(square) - 1))


def _fine(modes: Sequence[int], width: int) -> tuple[int, ...]:
    # Not at the top: it is a tenth of the time that importing the package takes.
    import scipy.fft

    return tuple(int(scipy.fft.next_fast_len(max(2 * m, 2 * width)) or 0) for m in modes)


def _spreading(turns: Array, fine: tuple[int, ...], width: int) -> tuple[Array, Array]:
    """Indices into the flat fine grid and kernel values, both of shape (n, width^d)."""
    n, d = turns.shape
    index, value = jnp.zeros((n, 1), int), jnp.ones((n, 1), turns.dtype)
    for axis in range(d):
        place = turns[:, axis] * fine[axis]
        first = jnp.ceil(place - width / 2)
        offset = jnp.arange(width, dtype=turns.dtype)
        s = (first[:, None] + offset - place[:, None]) * (2 / width)
        nodes = jnp.mod(first[:, None].astype(int) + jnp.arange(width), fine[axis])
        index = (index[:, :, None] * fine[axis] + nodes[:, None, :]).reshape(n, -1)
        value = (value[:, :, None] * _semicircle(s, width)[:, None, :]).reshape(n, -1)
    return index, value


def _in_blocks(function, start, width: int, *arrays: Array) -> tuple[Any, Any]:
    """Carry `start` through blocks of rows; rows that pad the last block are zeros."""
    n, d = arrays[0].shape
    block = min(n, max(1, _ENTRIES // width**d))
    tiles = tuple(
        jnp.pad(a, [(0, -n % block)] + [(0, 0)] * (a.ndim - 1)).reshape(-1, block, *a.shape[1:]) for a in arrays
    )
    end, out = jax.lax.scan(lambda carry, tile: function(carry, *tile), start, tiles)
    return end, None if out is None else out.reshape(-1)[:n]


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def _plain_type1(turns: Array, c: Array, modes: tuple[int, ...], tolerance: float) -> Array:
    width = _width(tolerance)
    fine = _fine(modes, width)

    def add(grid, t, strength):
        index, value = _spreading(t, fine, width)
        return grid.at[index].add(value * strength[:, None]), None

    turns = turns - jnp.round(turns)
    grid, _ = _in_blocks(add, jnp.zeros(math.prod(fine), c.dtype), width, turns, c)
    spectrum = jnp.fft.fftn(grid.reshape(fine))
    for axis, (m, size) in enumerate(zip(modes, fine, strict=True)):
        k = np.arange(-(m // 2), m // 2 + 1)
        shape = [-1 if i == axis else 1 for i in range(len(modes))]
        factor = jnp.asarray(_deconvolution(m, size, width), turns.dtype).reshape(shape)
        spectrum = jnp.take(spectrum, k % size, axis) * factor
    return spectrum


@_plain_type1.defjvp
def _plain_type1_jvp(modes, tolerance, primals, tangents):
    # The derivative of the transform, not of its approximation: e^{−2πik·t} brings down −2πik.
    turns, c = primals
    moved, changed = tangents
    out = _plain_type1(turns, c, modes, tolerance)
    rate = _plain_type1(turns, changed, modes, tolerance)
    for axis, q in enumerate(_wave(modes)):
        rate = rate - 1j * q.astype(turns.dtype) * _plain_type1(turns, c * moved[:, axis], modes, tolerance)
    return out, rate


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _plain_type2(turns: Array, f: Array, tolerance: float) -> Array:
    width, modes = _width(tolerance), f.shape
    fine = _fine(modes, width)
    for axis, (m, size) in enumerate(zip(modes, fine, strict=True)):
        k = np.arange(-(m // 2), m // 2 + 1)
        shape = [-1 if i == axis else 1 for i in range(len(modes))]
        f = f * jnp.asarray(_deconvolution(m, size, width), turns.dtype).reshape(shape)
        padded = jnp.zeros([*f.shape[:axis], size, *f.shape[axis + 1 :]], f.dtype)
        f = jnp.moveaxis(
            jnp.moveaxis(padded, axis, 0).at[k % size].set(jnp.moveaxis(f, axis, 0), unique_indices=True), 0, axis
        )
    grid = (jnp.fft.ifftn(f) * math.prod(fine)).ravel()

    def read(carry, t):
        index, value = _spreading(t, fine, width)
        return carry, jnp.sum(grid[index] * value, axis=1)

    return _in_blocks(read, None, width, turns - jnp.round(turns))[1]


@_plain_type2.defjvp
def _plain_type2_jvp(tolerance, primals, tangents):
    turns, f = primals
    moved, changed = tangents
    out = _plain_type2(turns, f, tolerance)
    rate = _plain_type2(turns, changed, tolerance)
    for axis, q in enumerate(_wave(f.shape)):
        rate = rate + moved[:, axis] * _plain_type2(turns, 1j * q.astype(turns.dtype) * f, tolerance)
    return out, rate
