"""Pair energies W(x − y).

The energy ½∬W dμdμ sees only the even part W_s(z) = (W(z) + W(−z))/2, and so do the force −∇W_s*μ and the first
variation W_s*μ; every kernel here is used through its even part. ∇W_s(0) is taken as 0, its value by symmetry, also
where W has a kink. A kernel with W(0) not finite is *singular*: coincident points, the diagonal i = j among them, are
left out of its potential, and a density's own cell, which has a size, counts with the mean of W_s over it.
"""

import abc
import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from mckean.checks import require, require_finite, require_periodic, scalar_field, traced
from mckean.spaces import AbstractSpace, Torus
from mckean.spaces.grids import integer_modes


def parameter(value) -> Array:
    """A physical parameter: a weakly typed array, so that it neither recompiles nor promotes the state's dtype."""
    return jnp.asarray(value) if isinstance(value, (jax.Array, np.ndarray)) else jnp.asarray(float(value))


class AbstractKernel(eqx.Module):
    """A pair energy: a function of the displacement z = x − y, shape (d,), in the unit of energy."""

    @abc.abstractmethod
    def __call__(self, z: Float[Array, " d"]) -> Float[Array, ""]:
        """W_s(z), the even part of W."""

    @property
    def singular(self) -> bool:
        """Whether W(0) is left out of sums."""
        return False

    @property
    def radial(self) -> bool:
        """Whether `profile` gives the kernel."""
        return False

    def profile(self, square: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """W as a function of |z|² > 0, elementwise: what a sum over many pairs evaluates fastest."""
        raise NotImplementedError(f"the kernel {type(self).__name__} is not known to be radial.")

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
        """The mean of W_s over a cell with the given sides, centred at 0; for a singularity that is integrable."""
        dim = len(sides)
        node, weight = np.polynomial.legendre.leggauss(8)
        node, weight = 0.5 * (node + 1), 0.5 * weight
        # Nodes graded as t³ towards the singularity, on both sides of it.
        node, weight = np.concatenate([-(node**3), node**3]), np.tile(1.5 * node**2 * weight, 2)
        mesh = np.stack(np.meshgrid(*[node] * dim, indexing="ij"), axis=-1).reshape(-1, dim)
        weights = np.prod(np.stack(np.meshgrid(*[weight] * dim, indexing="ij"), axis=-1).reshape(-1, dim), axis=1)
        return jnp.dot(jnp.asarray(weights, float), jax.vmap(self)(jnp.asarray(mesh * np.asarray(sides) / 2, float)))

    def on(self, space: AbstractSpace) -> "AbstractKernel":
        """The kernel as it acts on a space; raises `ValueError` where it has no meaning there."""
        scalar_field(self, space.dim, "an interaction kernel")
        if isinstance(space, Torus):
            return _on_torus(self, space, minimal_image=False)
        return self


class Quadratic(AbstractKernel):
    """W(z) = (c/2)|z|²; attractive for c > 0.

    **Arguments:** `strength`: c, in energy per length².
    """

    strength: Float[Array, ""] = eqx.field(converter=parameter, default=1.0)

    def __call__(self, z: Float[Array, " d"]) -> Float[Array, ""]:
        return self.profile(jnp.sum(z**2))

    @property
    def radial(self) -> bool:
        return True

    def profile(self, square: Float[Array, "*n"]) -> Float[Array, "*n"]:
        return 0.5 * self.strength * square


class FourierSeries(AbstractKernel):
    """W(x) = Σ_k a_k cos(q_k·x) with q_k = 2πk/L, on a torus of sides L.

    **Arguments:** `modes`: integer modes k, one of each pair ±k, shape (m, d), or (m,) in dimension 1;
    `coefficients`: a, shape (m,), in the unit of energy.
    **Raises** `ValueError` for shapes that do not fit, no mode, repeated modes or modes that are not integers, and on a
    space that is no torus or of another dimension.
    """

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
        self.coefficients = jnp.atleast_1d(jnp.asarray(coefficients, float))
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
        return FourierSeries(self.modes, self.coefficients, space.lengths)


class Cosine(AbstractKernel):
    """W(x) = −K Σ_i cos(2πx_i/L_i) on a torus; attractive for K > 0 (the Kuramoto interaction in dimension 1).

    **Arguments:** `strength`: K, in the unit of energy. **Raises** `ValueError` on a space that is no torus.
    """

    strength: Float[Array, ""] = eqx.field(converter=parameter, default=1.0)

    def __call__(self, z: Float[Array, " d"]) -> Float[Array, ""]:
        raise ValueError("the cosine kernel has no length until it is put on a torus: kernel.on(torus).")

    def on(self, space: AbstractSpace) -> FourierSeries:
        if not isinstance(space, Torus):
            raise ValueError(f"the cosine kernel lives on a torus, not on {space}.")
        modes = np.eye(space.dim, dtype=int)
        return FourierSeries(modes, jnp.broadcast_to(-self.strength, (space.dim,)), space.lengths)


class Gaussian(AbstractKernel):
    """W(z) = A exp(−|z|²/2w²); repulsive for A > 0. On a torus, the sum of its periodic images.

    **Arguments:** `strength`: A, in the unit of energy; `width`: w > 0, a number, in the unit of the coordinates.
    **Raises** `ValueError` for a width that is not positive.
    """

    strength: Float[Array, ""] = eqx.field(converter=parameter, default=1.0)
    width: float = eqx.field(static=True, default=1.0)

    def __check_init__(self):
        require(
            0 < self.width < math.inf,
            f"the width of a Gaussian kernel must be positive and finite, but {self.width} was given.",
        )

    def __call__(self, z: Float[Array, " d"]) -> Float[Array, ""]:
        return self.profile(jnp.sum(z**2))

    @property
    def radial(self) -> bool:
        return True

    def profile(self, square: Float[Array, "*n"]) -> Float[Array, "*n"]:
        return self.strength * jnp.exp(-0.5 * square / self.width**2)

    def on(self, space: AbstractSpace) -> AbstractKernel:
        if not isinstance(space, Torus):
            return self
        # Poisson summation: the mode q of the image sum is (2πw²)^{d/2} e^{−w²q²/2}/∏L; e^{−37} is below rounding.
        reach = [math.ceil(math.sqrt(74) * side / (2 * math.pi * self.width)) for side in space.lengths]
        box = np.stack(np.meshgrid(*[np.arange(-r, r + 1) for r in reach], indexing="ij"), axis=-1).reshape(
            -1, space.dim
        )
        square = np.sum(space.wavenumber(box) ** 2, axis=1) * self.width**2
        keep = (square <= 74) & _half_space(box)
        amplitude = (2 * math.pi * self.width**2) ** (space.dim / 2) / space.volume * np.exp(-0.5 * square[keep])
        amplitude = amplitude * np.where(np.any(box[keep] != 0, axis=1), 2.0, 1.0)
        return FourierSeries(box[keep], self.strength * jnp.asarray(amplitude), space.lengths)


class Morse(AbstractKernel):
    """W(z) = C_r e^{−|z|/l_r} − C_a e^{−|z|/l_a}.

    **Arguments:** `repulsion`, `attraction`: C_r, C_a ≥ 0, in the unit of energy; `repulsion_range`,
    `attraction_range`: l_r, l_a > 0, in the unit of the coordinates.
    **Raises** `ValueError` for a range that is not positive.
    """

    repulsion: Float[Array, ""] = eqx.field(converter=parameter, default=1.0)
    attraction: Float[Array, ""] = eqx.field(converter=parameter, default=0.5)
    repulsion_range: Float[Array, ""] = eqx.field(converter=parameter, default=0.5)
    attraction_range: Float[Array, ""] = eqx.field(converter=parameter, default=1.0)

    def __check_init__(self):
        for name, value in (("repulsion", self.repulsion_range), ("attraction", self.attraction_range)):
            require(value > 0, f"the {name} range of a Morse kernel must be positive.")

    def __call__(self, z: Float[Array, " d"]) -> Float[Array, ""]:
        return self._at(_norm(z))

    @property
    def radial(self) -> bool:
        return True

    def profile(self, square: Float[Array, "*n"]) -> Float[Array, "*n"]:
        return self._at(jnp.sqrt(square))

    def _at(self, r: Float[Array, "*n"]) -> Float[Array, "*n"]:
        repulsion = self.repulsion * jnp.exp(-r / self.repulsion_range)
        return repulsion - self.attraction * jnp.exp(-r / self.attraction_range)


class PowerLaw(AbstractKernel):
    """W(z) = (c/p)|z|^p, and c log|z| for p = 0; the force at distance r is −c r^{p−1}, attractive for c > 0.

    Singular for p ≤ 0. **Arguments:** `strength`: c; `exponent`: p, a number.
    """

    strength: Float[Array, ""] = eqx.field(converter=parameter, default=1.0)
    exponent: float = eqx.field(static=True, default=2.0)

    @property
    def singular(self) -> bool:
        return self.exponent <= 0

    def __call__(self, z: Float[Array, " d"]) -> Float[Array, ""]:
        if self.exponent == 0:
            return self.profile(jnp.sum(z**2))
        return self.strength / self.exponent * _norm(z) ** self.exponent

    @property
    def radial(self) -> bool:
        return True

    def profile(self, square: Float[Array, "*n"]) -> Float[Array, "*n"]:
        if self.exponent == 0:
            return 0.5 * self.strength * jnp.log(square)
        return self.strength / self.exponent * _power(square, 0.5 * self.exponent)


def _power(x: Float[Array, "*n"], exponent: float) -> Float[Array, "*n"]:
    """x^p for x > 0; for multiples of ¼ by roots and products, which take a tenth of the time."""
    roots = next((k for k in (0, 1, 2) if float(2**k * exponent).is_integer()), None)
    if roots is None:
        return x**exponent
    for _ in range(roots):
        x = jnp.sqrt(x)
    return x ** int(2**roots * exponent)


class Function(AbstractKernel):
    """Any JAX-traceable pair energy W(z), a scalar function of a displacement of shape (d,).

    An `equinox.Module` keeps its arrays as parameters; any other callable is static. On a torus W must be periodic
    (`MinimalImage` takes one that is not), and is replaced by its Fourier series where that converges.

    **Arguments:** `function`: W; `singular`: whether W(0) is left out, which it is in any case if it is not finite.
    **Raises** `ValueError` if W is not scalar, is NaN wherever it is tried, or is not periodic on a torus.
    """

    function: Callable
    singular_at_zero: bool = eqx.field(static=True)

    def __init__(self, function: Callable, singular: bool | None = None):
        require(
            callable(function),
            f"an interaction kernel must be a function of a displacement, not {function!r}.",
        )
        self.function = held(function)
        self.singular_at_zero = bool(singular)

    @property
    def singular(self) -> bool:
        return self.singular_at_zero

    def __call__(self, z: Float[Array, " d"]) -> Float[Array, ""]:
        return jnp.asarray(0.5 * (self.function(z) + self.function(-z)), z.dtype)

    def probed(self, dim: int) -> "Function":
        """The kernel with its singularity at 0 found out, where its parameters are known."""
        scalar_field(self.function, dim, "an interaction kernel")
        with jax.ensure_compile_time_eval():
            at_zero = self.function(jnp.zeros(dim))
            elsewhere = jax.vmap(self)(jnp.asarray(np.outer(4.0 ** -np.arange(8), np.linspace(1, 0.7, dim))))
        if traced((at_zero, elsewhere)):
            return self
        require(
            not jnp.all(jnp.isnan(elsewhere)),
            "an interaction kernel must be finite, but it is NaN wherever it was tried.",
        )
        return Function(self.function, self.singular or not bool(jnp.isfinite(at_zero)))

    def on(self, space: AbstractSpace) -> AbstractKernel:
        kernel = self.probed(space.dim)
        return _on_torus(kernel, space, minimal_image=False) if isinstance(space, Torus) else kernel


class MinimalImage(AbstractKernel):
    """W of the shortest displacement on a torus, for pair energies that are not periodic themselves.

    **Arguments:** `kernel`: a kernel, or a function of a displacement. Its kink at distance L/2, if it has one, is the
    user's.
    """

    kernel: AbstractKernel

    def __init__(self, kernel):
        self.kernel = as_kernel(kernel)

    @property
    def singular(self) -> bool:
        return self.kernel.singular

    @property
    def radial(self) -> bool:
        return self.kernel.radial

    def profile(self, square: Float[Array, "*n"]) -> Float[Array, "*n"]:
        return self.kernel.profile(square)

    def __call__(self, z: Float[Array, " d"]) -> Float[Array, ""]:
        return self.kernel(z)

    def on(self, space: AbstractSpace) -> AbstractKernel:
        if not isinstance(space, Torus):
            return self.kernel.on(space)
        kernel = self.kernel.probed(space.dim) if isinstance(self.kernel, Function) else self.kernel
        scalar_field(kernel, space.dim, "an interaction kernel")
        return _on_torus(kernel, space, minimal_image=True)


class Unresolved(AbstractKernel):
    """A kernel on a torus whose Fourier series does not reach the tolerance.

    Particles see the kernel itself, at the shortest displacement; a density on a grid, which has only the grid's modes,
    sees the series.
    """

    kernel: AbstractKernel
    series: FourierSeries

    @property
    def singular(self) -> bool:
        return self.kernel.singular

    def on(self, space: AbstractSpace) -> "Unresolved":
        return self

    def __call__(self, z: Float[Array, " d"]) -> Float[Array, ""]:
        return self.kernel(z)


class Static(eqx.Module):
    """A plain callable inside a pytree."""

    function: Callable = eqx.field(static=True)

    def __call__(self, *arguments):
        return self.function(*arguments)


def held(function: Callable) -> Any:
    """A callable as part of a pytree: a module keeps its arrays as parameters, any other callable is static."""
    return function if isinstance(function, eqx.Module) else Static(function)


def as_kernel(kernel) -> AbstractKernel:
    """A kernel from a kernel or from a function of a displacement."""
    return kernel if isinstance(kernel, AbstractKernel) else Function(kernel)


def _coincident(z: Array) -> Array:
    """Whether |z|² is zero in the precision of z: then two points cannot be told apart by their distance."""
    return jnp.sum(z**2) == 0


def _norm(z: Array) -> Array:
    """|z|, differentiable away from 0 and quiet at 0."""
    square = jnp.sum(z**2)
    positive = square > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1.0)), 0.0)


def _half_space(modes: np.ndarray) -> np.ndarray:
    """True for 0 and for one of each pair ±k: the one whose first non-zero entry is positive."""
    first = np.take_along_axis(modes, np.argmax(modes != 0, axis=1)[:, None], axis=1)[:, 0]
    return first >= 0


_FINEST = {1: 4096, 2: 256, 3: 48}
_BLOCK = 1024


def _on_torus(kernel: AbstractKernel, torus: Torus, minimal_image: bool) -> AbstractKernel:
    """Replace a kernel by its Fourier series, sampled on grids that are doubled until the tail is below tolerance.

    A mode that the nodes cannot tell from a lower one leaves no tail: the series is compared with the kernel off the
    nodes as well.
    """
    if not minimal_image:
        mend = "; mckean.kernels.MinimalImage(W) takes W of the shortest displacement"
        require_periodic(kernel, torus.lengths, "the interaction kernel", mend)
    tolerance = max(1e-10, 100 * float(jnp.finfo(jnp.result_type(float)).eps))
    evaluate = jax.jit(jax.vmap(kernel.value, in_axes=(0, None)))
    n = 16
    while True:
        coefficients, weight = _sampled(kernel, evaluate, torus, n)
        reach = np.max([np.abs(k) for k in np.broadcast_arrays(*torus.grid(n).modes)], axis=0)
        last = 2 * n > _FINEST.get(torus.dim, 16)
        resolved = bool(weight[reach > n / 3].max() <= tolerance * weight.max())
        if resolved or last:
            series = _series(coefficients, weight, tolerance, torus, n)
            resolved = resolved and _agrees(series, evaluate, torus, tolerance)
            if resolved or last:
                return series if resolved else Unresolved(kernel, series)
        n *= 2


def _values(evaluate: Callable, z: np.ndarray, at_zero: ArrayLike = 0.0) -> np.ndarray:
    """The kernel at many displacements, in blocks of one shape so that it is compiled once."""
    blocks = np.pad(z, [(0, -len(z) % _BLOCK), (0, 0)], mode="edge").reshape(-1, _BLOCK, z.shape[1])
    with jax.ensure_compile_time_eval():
        values = [evaluate(jnp.asarray(block, float), jnp.asarray(at_zero, float)) for block in blocks]
    if traced(values):
        raise ValueError(
            "this kernel is put on a torus under a JAX transformation, where its Fourier series cannot be truncated: "
            "build the model outside of it, or take a kernel that has its series: Cosine, FourierSeries, Gaussian."
        )
    result = np.concatenate([np.asarray(v, dtype=np.float64) for v in values])[: len(z)]
    if not np.isfinite(result).all():
        place = z[np.flatnonzero(~np.isfinite(result))[0]]
        raise ValueError(f"an interaction kernel must be finite away from 0, but it is not at displacement {place}.")
    return result


def _agrees(series: FourierSeries, evaluate: Callable, torus: Torus, tolerance: float) -> bool:
    """Whether the series is the kernel at random displacements, up to a hundred modes that were left out."""
    z = np.random.default_rng(0).uniform(-0.5, 0.5, (256, torus.dim)) * np.asarray(torus.lengths)
    values = _values(evaluate, z)
    synthesis = np.cos(z @ series.wavenumbers.T) @ np.asarray(series.coefficients, dtype=np.float64)
    # Single precision rounds the displacements as well, by its unit times the slope: within the same hundred.
    slack = 100 * tolerance * np.ptp(values) + 100 * float(jnp.finfo(jnp.result_type(float)).eps) * np.abs(values).max()
    return bool(np.abs(synthesis - values).max() <= slack)


def _sampled(kernel: AbstractKernel, evaluate: Callable, torus: Torus, n: int) -> tuple[np.ndarray, np.ndarray]:
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


def _series(coefficients, weight, tolerance: float, torus: Torus, n: int) -> FourierSeries:
    modes = np.stack(np.broadcast_arrays(*torus.grid(n).modes), axis=-1).reshape(-1, torus.dim).astype(int)
    inside = np.all(2 * np.abs(modes) < n, axis=1)
    constant = np.all(modes == 0, axis=1)
    large = weight.ravel() > 0.1 * tolerance * weight.max()
    offset = constant & ((coefficients.ravel() != 0) | (not large.any()))
    # A real transform keeps both k and −k where the last entry is 0: one of the two is enough.
    keep = inside & (large | offset) & ((modes[:, -1] > 0) | _half_space(modes))
    amplitude = np.where(constant, 1.0, 2.0) * coefficients.ravel()
    return FourierSeries(modes[keep], amplitude[keep], torus.lengths)
