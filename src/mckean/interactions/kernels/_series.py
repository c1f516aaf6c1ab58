"""Fourier series of pair energies on a torus: given, or sampled from a kernel that has one."""

import math
from collections.abc import Callable, Sequence
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from mckean.checks import array, concrete, require, require_finite, traced
from mckean.interactions.kernels._kernel import AbstractKernel
from mckean.interactions.kernels._quadrature import cosine_coefficients
from mckean.measures import cast
from mckean.spaces import AbstractSpace, Torus
from mckean.spaces.grids import integer_modes

_FINEST = {1: 4096, 2: 256, 3: 48}
_BLOCK = 1024


class FourierSeries(AbstractKernel):
    """W(x) = Σ_k a_k cos(q_k·x) with q_k = 2πk/L, on a torus of sides L.

    **Arguments:**

    - `modes`: integer modes k, one of each pair ±k, shape (m, d), or (m,) in dimension 1.
    - `coefficients`: a, shape (m,), in the unit of energy.
    - `lengths`: L, one number for each dimension; None until the series is put on a torus.

    **Raises:**

    - `ValueError` for shapes that do not fit, no mode, repeated modes or modes that are not integers; on a space that
      is no torus, or a torus of another dimension, or of other sides than L.
    """

    singular: ClassVar[bool] = False
    modes: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    coefficients: Float[Array, " m"]
    lengths: tuple[float, ...] | None = eqx.field(static=True)

    def __init__(self, modes: Sequence | np.ndarray, coefficients, lengths: tuple[float, ...] | None = None):
        require(len(modes) > 0, "a Fourier series needs at least one mode.")
        require(
            all(float(c).is_integer() for k in modes for c in np.atleast_1d(k)),
            "the modes of a Fourier series must be integers: cos(2πk·x/L) has the side of the torus in it already.",
        )
        self.modes = tuple(tuple(int(c) for c in np.atleast_1d(k)) for k in modes)
        coefficients = concrete(coefficients)
        self.coefficients = array(coefficients if coefficients.ndim else coefficients[None], float)
        self.lengths = lengths
        if self.coefficients.shape != (len(self.modes),):
            raise ValueError(f"{len(self.modes)} modes need as many coefficients, not shape {self.coefficients.shape}.")
        require(len({len(k) for k in self.modes}) <= 1, "the modes of a Fourier series must have one dimension.")
        canonical = {max(k, tuple(-c for c in k)) for k in self.modes}
        require(len(canonical) == len(self.modes), "a Fourier series takes each pair of modes ±k once.")
        require_finite("the coefficients of a Fourier series", self.coefficients)

    @property
    def sides(self) -> tuple[float, ...]:
        """L, the sides of the torus that the series is on."""
        if self.lengths is None:
            raise ValueError("a Fourier series has no length until it is put on a torus: kernel.on(torus).")
        return self.lengths

    @property
    def wavenumbers(self) -> np.ndarray:
        """q_k, shape (m, d)."""
        return 2 * np.pi * np.asarray(self.modes, float) / np.asarray(self.sides)

    def __call__(self, z: Float[Array, " d"]) -> Float[Array, ""]:
        return jnp.sum(self.coefficients * jnp.cos(jnp.asarray(self.wavenumbers, z.dtype) @ z))

    def on(self, space: AbstractSpace) -> "FourierSeries":
        if not isinstance(space, Torus):
            raise ValueError(f"a Fourier series is a kernel on a torus, not on {space}.")
        require(
            all(len(k) == space.dim for k in self.modes),
            f"the modes of this Fourier series do not have the dimension {space.dim} of the torus.",
        )
        require(
            self.lengths in (None, space.lengths),
            f"a Fourier series on a torus of sides {self.lengths} does not act on one of sides {space.lengths}.",
        )
        return FourierSeries(self.modes, self.coefficients, space.lengths)


def half_space(modes: np.ndarray) -> np.ndarray:
    """True for 0 and for one of each pair ±k: the one whose first non-zero entry is positive."""
    first = np.take_along_axis(modes, np.argmax(modes != 0, axis=1)[:, None], axis=1)[:, 0]
    return first >= 0


def sampled_series(kernel: AbstractKernel, torus: Torus) -> tuple[FourierSeries, bool]:
    """The Fourier series of a kernel, sampled on grids that are doubled until its tail is below tolerance; whether the
    series is the kernel.

    It is the kernel if its force is: the tail is Σ|q c|, which bounds the force that is left out, and −∇W is compared
    off the nodes as well, where a mode that the nodes cannot tell from a lower one shows. All of this is done in double
    precision: in single, rounding hides a tail that falls slowly. In dimension 1 a kernel with kinks gets its
    coefficients by quadrature between them.
    """
    tolerance = max(1e-10, 100 * float(jnp.finfo(jnp.result_type(float)).eps))
    with jax.enable_x64(_doubles(kernel, torus.dim)):
        precise = cast(kernel, jnp.result_type(float))
        evaluate = jax.jit(jax.vmap(precise.value, in_axes=(0, None)))
        n = 16
        while True:
            coefficients, weight = _sample(precise, evaluate, torus, n)
            reach = np.max([np.abs(k) for k in np.broadcast_arrays(*torus.grid(n).modes)], axis=0)
            last = 2 * n > _FINEST.get(torus.dim, 16)
            resolved = bool(weight[reach > n / 3].sum() <= tolerance * _size(weight))
            if resolved or last:
                modes, amplitude = _kept(coefficients, weight, tolerance, torus, n)
                resolved = resolved and _agrees(precise, modes, amplitude, torus, tolerance)
                if resolved or last:
                    break
            n *= 2
        if not resolved and torus.dim == 1 and not precise.singular:
            coefficients, weight = _exact(evaluate, torus, n, (coefficients, weight))
            modes, amplitude = _kept(coefficients, weight, tolerance, torus, n)
    return FourierSeries(modes, amplitude, torus.lengths), resolved


def _doubles(kernel: AbstractKernel, dim: int) -> bool:
    """Whether the kernel can be evaluated in double precision: a function may insist on single."""
    try:
        with jax.enable_x64(True):
            jax.eval_shape(cast(kernel, jnp.float64), jax.ShapeDtypeStruct((dim,), jnp.float64))
    except TypeError:
        return jnp.result_type(float) == jnp.float64
    return True


def _on_blocks(evaluate: Callable, z: np.ndarray) -> np.ndarray:
    """A function of blocks of displacements at many of them, in blocks of one shape so that it is compiled once."""
    blocks = np.pad(z, [(0, -len(z) % _BLOCK), (0, 0)], mode="edge").reshape(-1, _BLOCK, z.shape[1])
    with jax.ensure_compile_time_eval():
        values = [evaluate(jnp.asarray(block, float)) for block in blocks]
    if traced(values):
        raise ValueError(
            "this kernel is put on a torus under a JAX transformation, where its Fourier series cannot be truncated: "
            "build the model outside of it, or take a kernel that has its series: Cosine, FourierSeries, Gaussian."
        )
    return np.concatenate([np.asarray(v, dtype=np.float64) for v in values])[: len(z)]


def _values(evaluate: Callable, z: np.ndarray, at_zero: ArrayLike = 0.0) -> np.ndarray:
    """The kernel at many displacements."""
    result = _on_blocks(lambda block: evaluate(block, jnp.asarray(at_zero, float)), z)
    if not np.isfinite(result).all():
        place = z[np.flatnonzero(~np.isfinite(result))[0]]
        raise ValueError(f"an interaction kernel must be finite away from 0, but it is not at displacement {place}.")
    return result


def _agrees(kernel: AbstractKernel, modes: np.ndarray, amplitude: np.ndarray, torus: Torus, tolerance: float) -> bool:
    """Whether ∇ of the series is ∇W, up to ten times the tolerance: what is left out is bounded by a few of it."""
    z = _displacements(torus)
    gradient = _on_blocks(jax.jit(jax.vmap(kernel.gradient)), z)
    q = torus.wavenumber(modes)
    series = -np.sin(z @ q.T) @ (amplitude[:, None] * q)
    size = np.linalg.norm(gradient, axis=1).max()
    return bool(np.linalg.norm(series - gradient, axis=1).max() <= 10 * tolerance * size)


def _displacements(torus: Torus) -> np.ndarray:
    """Half of them all over the torus, half at lengths of every size, where kinks and singularities are."""
    rng = np.random.default_rng(0)
    wide, near = rng.uniform(-0.5, 0.5, (2, _BLOCK // 2, torus.dim))
    near *= 10.0 ** rng.uniform(-5, 0, (_BLOCK // 2, 1))
    return np.concatenate([wide, near]) * np.asarray(torus.lengths)


def _sample(kernel: AbstractKernel, evaluate: Callable, torus: Torus, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Fourier coefficients on a grid of n nodes a dimension, and their weight |q c|, what they add to a force.

    Coefficients below the rounding of the kernel's values are none: else a constant would never count as resolved.
    """
    grid = torus.grid(n)
    axes = [side * integer_modes(n) / n for side in torus.lengths]
    z = np.stack([m.ravel() for m in np.meshgrid(*axes, indexing="ij")], axis=-1)
    own = kernel.cell_mean(grid.spacing) if kernel.singular else 0.0
    values = _values(evaluate, z, own).reshape(grid.shape)
    coefficients = np.fft.rfftn(values).real / grid.size
    rounding = 4 * float(jnp.finfo(jnp.result_type(float)).eps) * np.abs(values).max()
    coefficients = np.where(np.abs(coefficients) > rounding, coefficients, 0.0)
    square = sum(np.square(2 * np.pi * k / side) for k, side in zip(grid.modes, grid.sides, strict=True))
    return coefficients, np.abs(coefficients) * np.sqrt(square)


def _exact(evaluate: Callable, torus: Torus, n: int, sampled: tuple) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and weights of a kernel with kinks, which samples would give to 1/n² alone."""
    (grid, side), inside = (torus.grid(n), torus.lengths[0]), slice(0, n // 2)
    q = 2 * np.pi * grid.modes[0] / side
    found = cosine_coefficients(lambda x: _values(evaluate, x[:, None]), 0.5 * side, q[inside])
    if found is None:
        return sampled
    coefficients = np.append(2 / side * found, 0.0)
    return coefficients, np.abs(coefficients) * q


def _size(weight: np.ndarray) -> float:
    """The root mean square of the force, by Parseval; each mode stands for ±k."""
    return math.sqrt(2 * np.sum(weight**2))


def _kept(
    coefficients: np.ndarray, weight: np.ndarray, tolerance: float, torus: Torus, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """The modes and amplitudes of the series; the modes left out weigh no more than the tolerance, all together."""
    modes = np.stack(np.broadcast_arrays(*torus.grid(n).modes), axis=-1).reshape(-1, torus.dim).astype(int)
    inside = np.all(2 * np.abs(modes) < n, axis=1)
    constant = np.all(modes == 0, axis=1)
    order = np.argsort(weight.ravel(), kind="stable")
    large = np.zeros(len(modes), bool)
    large[order] = np.cumsum(weight.ravel()[order]) > tolerance * _size(weight)
    offset = constant & ((coefficients.ravel() != 0) | (not large.any()))
    # A real transform keeps both k and −k where the last entry is 0: one of the two is enough.
    keep = inside & (large | offset) & ((modes[:, -1] > 0) | half_space(modes))
    amplitude = np.where(constant, 1.0, 2.0) * coefficients.ravel()
    return modes[keep], amplitude[keep]
