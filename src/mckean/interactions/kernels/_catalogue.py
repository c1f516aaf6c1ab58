"""The pair energies that come with the library."""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.checks import concrete, require, require_finite, scalar_field, traced
from mckean.interactions.functions import as_module
from mckean.interactions.kernels._kernel import AbstractKernel, AbstractRadialKernel, require_kernel
from mckean.interactions.kernels._series import FourierSeries, half_space
from mckean.interactions.parameters import parameter
from mckean.spaces import AbstractSpace, Euclidean, Sphere, Torus


class Quadratic(AbstractRadialKernel):
    """W(z) = (c/2)|z|²; attractive for c > 0.

    **Arguments:**

    - `strength`: c, in energy per length². Default: 1.

    **Raises:**

    - `ValueError` for a strength that is not finite.
    """

    singular: ClassVar[bool] = False
    strength: Float[Array, ""] = eqx.field(converter=parameter, default=1.0)

    def __check_init__(self):
        require_finite("the strength of a quadratic kernel", self.strength)

    def __call__(self, z: Float[Array, " d"]) -> Float[Array, ""]:
        return self.profile(jnp.sum(z**2))

    def on(self, space: AbstractSpace) -> "Quadratic":
        require_kernel(self, space)
        return self

    def profile(self, square: Float[Array, "*n"]) -> Float[Array, "*n"]:
        return 0.5 * self.strength * square


class Cosine(AbstractKernel):
    """W(x) = −K Σ_i cos(2πx_i/L_i) on a torus; attractive for K > 0 (the Kuramoto interaction in dimension 1).

    **Arguments:**

    - `strength`: K, in the unit of energy. Default: 1.

    **Raises:**

    - `ValueError` for a strength that is not finite, and on a space that is no torus.
    """

    singular: ClassVar[bool] = False
    strength: Float[Array, ""] = eqx.field(converter=parameter, default=1.0)

    def __check_init__(self):
        require_finite("the strength of a cosine kernel", self.strength)

    def __call__(self, z: Float[Array, " d"]) -> Float[Array, ""]:
        raise ValueError("the cosine kernel has no length until it is put on a torus: kernel.on(torus).")

    def on(self, space: AbstractSpace) -> FourierSeries:
        if not isinstance(space, Torus):
            raise ValueError(f"the cosine kernel lives on a torus, not on {space}.")
        modes = np.eye(space.dim, dtype=int)
        return FourierSeries(modes, -concrete(self.strength) * np.ones(space.dim), space.lengths)


class Gaussian(AbstractRadialKernel):
    """W(z) = A exp(−|z|²/2w²); repulsive for A > 0. On a torus, the sum of its periodic images.

    **Arguments:**

    - `strength`: A, in the unit of energy. Default: 1.
    - `width`: w > 0, a number, in the unit of the coordinates. Default: 1.

    **Raises:**

    - `ValueError` for a width that is not positive, or a number that is not finite.
    """

    singular: ClassVar[bool] = False
    strength: Float[Array, ""] = eqx.field(converter=parameter, default=1.0)
    width: float = eqx.field(static=True, default=1.0)

    def __check_init__(self):
        require(
            0 < self.width < math.inf,
            f"the width of a Gaussian kernel must be positive and finite, but {self.width} was given.",
        )
        require_finite("the strength of a Gaussian kernel", self.strength)

    def __call__(self, z: Float[Array, " d"]) -> Float[Array, ""]:
        return self.profile(jnp.sum(z**2))

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
        keep = (square <= 74) & half_space(box)
        amplitude = (2 * math.pi * self.width**2) ** (space.dim / 2) / space.volume * np.exp(-0.5 * square[keep])
        amplitude = amplitude * np.where(np.any(box[keep] != 0, axis=1), 2.0, 1.0)
        return FourierSeries(box[keep], self.strength * jnp.asarray(amplitude), space.lengths)


class Morse(AbstractRadialKernel):
    """W(z) = C_r e^{−|z|/l_r} − C_a e^{−|z|/l_a}.

    **Arguments:**

    - `repulsion`, `attraction`: C_r, C_a ≥ 0, in the unit of energy. Default: 1 and ½.
    - `repulsion_range`, `attraction_range`: l_r, l_a > 0, in the unit of the coordinates. Default: ½ and 1.

    **Raises:**

    - `ValueError` for a range that is not positive, or another number that is not finite.
    """

    singular: ClassVar[bool] = False
    repulsion: Float[Array, ""] = eqx.field(converter=parameter, default=1.0)
    attraction: Float[Array, ""] = eqx.field(converter=parameter, default=0.5)
    repulsion_range: Float[Array, ""] = eqx.field(converter=parameter, default=0.5)
    attraction_range: Float[Array, ""] = eqx.field(converter=parameter, default=1.0)

    def __check_init__(self):
        for name, value in (("repulsion", self.repulsion_range), ("attraction", self.attraction_range)):
            require(value > 0, f"the {name} range of a Morse kernel must be positive.")
        for name in ("repulsion", "attraction"):
            require_finite(f"the {name} of a Morse kernel", getattr(self, name))

    def __call__(self, z: Float[Array, " d"]) -> Float[Array, ""]:
        return self._at(_norm(z))

    def on(self, space: AbstractSpace) -> "Morse":
        require_kernel(self, space)
        return self

    def profile(self, square: Float[Array, "*n"]) -> Float[Array, "*n"]:
        return self._at(jnp.sqrt(square))

    def _at(self, r: Float[Array, "*n"]) -> Float[Array, "*n"]:
        repulsion = self.repulsion * jnp.exp(-r / self.repulsion_range)
        return repulsion - self.attraction * jnp.exp(-r / self.attraction_range)


class BoundedConfidence(AbstractRadialKernel):
    """W(z) = (K/2) min(|z|², R²): the force −Kz within a distance R, and none beyond; attractive for K > 0.

    On a torus z is the shortest displacement. `interactions.HegselmannKrause` is its force with a normalised average.

    **Arguments:**

    - `radius`: R > 0, a number, in the unit of the coordinates. Default: 1.
    - `strength`: K, in energy per length². Default: 1.

    **Raises:**

    - `ValueError` for a radius that is not positive and finite; on a torus, above half its shortest side.
    """

    singular: ClassVar[bool] = False
    radius: float = eqx.field(static=True, default=1.0)
    strength: Float[Array, ""] = eqx.field(converter=parameter, default=1.0)

    def __check_init__(self):
        require_radius(self.radius)

    def __call__(self, z: Float[Array, " d"]) -> Float[Array, ""]:
        return self.profile(jnp.sum(z**2))

    def on(self, space: AbstractSpace) -> "BoundedConfidence":
        require_radius(self.radius, space)
        return self

    def profile(self, square: Float[Array, "*n"]) -> Float[Array, "*n"]:
        return 0.5 * self.strength * jnp.where(square < self.radius**2, square, self.radius**2)


class PowerLaw(AbstractRadialKernel):
    """W(z) = (c/p)|z|^p, and c log|z| for p = 0; the force at distance r is −c r^{p−1}, attractive for c > 0.

    Singular for p ≤ 0.

    **Arguments:**

    - `strength`: c, in energy per length^p. Default: 1.
    - `exponent`: p, a number. Default: 2.

    **Raises:**

    - `ValueError` for a number that is not finite.
    """

    strength: Float[Array, ""] = eqx.field(converter=parameter, default=1.0)
    exponent: float = eqx.field(static=True, default=2.0)

    def __check_init__(self):
        require_finite("the strength of a power law", self.strength)
        require_finite("the exponent of a power law", self.exponent)

    @property
    def singular(self) -> bool:
        return self.exponent <= 0

    def __call__(self, z: Float[Array, " d"]) -> Float[Array, ""]:
        if self.exponent == 0:
            return self.profile(jnp.sum(z**2))
        return self.strength / self.exponent * _norm(z) ** self.exponent

    def on(self, space: AbstractSpace) -> "PowerLaw":
        require_kernel(self, space)
        return self

    def profile(self, square: Float[Array, "*n"]) -> Float[Array, "*n"]:
        if self.exponent == 0:
            return 0.5 * self.strength * jnp.log(square)
        return self.strength / self.exponent * _power(square, 0.5 * self.exponent)


class Zonal(AbstractRadialKernel):
    """W(x − y) = w(⟨x, y⟩) on a sphere, where |x − y|² = 2 − 2⟨x, y⟩; Maier and Saupe's is −P₂.

    **Arguments:**

    - `of_overlap`: w, a scalar function of a number in [−1, 1] that JAX can trace, in the unit of energy. An
      `equinox.Module` keeps its arrays as parameters.

    **Raises:**

    - `ValueError` for what is no function, for a w that is not scalar, and for another space than a sphere.
    """

    singular: ClassVar[bool] = False
    of_overlap: Any

    def __init__(self, of_overlap: Callable):
        require(callable(of_overlap), f"a zonal kernel is a function of ⟨x, y⟩, not {of_overlap!r}.")
        self.of_overlap = as_module(of_overlap)

    def __call__(self, z: Float[Array, " d"]) -> Float[Array, ""]:
        return self.profile(jnp.sum(z**2))

    def on(self, space: AbstractSpace) -> "Zonal":
        require(isinstance(space, Sphere), f"a zonal kernel is a function of ⟨x, y⟩ on a sphere, not on {space}.")
        require_kernel(self, space)
        return self

    def profile(self, square: Float[Array, "*n"]) -> Float[Array, "*n"]:
        value = self.of_overlap
        for _ in jnp.shape(square):
            value = jax.vmap(value)
        return jnp.asarray(value(1 - 0.5 * square), square.dtype)


class Function(AbstractKernel):
    """Any pair energy W(z) that JAX can trace, a scalar function of a displacement of shape (d,).

    An `equinox.Module` keeps its arrays as parameters; any other callable is static. On a torus W must be periodic
    (`MinimalImage` takes one that is not).

    **Arguments:**

    - `function`: W, in the unit of energy.
    - `singular`: whether W(0) is left out of the sum. It always is if it is not finite. Default: False.

    **Raises:**

    - `ValueError` if W is not scalar, is NaN wherever it is tried, or is not periodic on a torus.
    """

    function: Any
    singular_at_zero: bool = eqx.field(static=True)

    def __init__(self, function: Callable, singular: bool = False):
        require(
            callable(function),
            f"an interaction kernel must be a function of a displacement, not {function!r}.",
        )
        self.function = as_module(function)
        self.singular_at_zero = bool(singular)

    @property
    def singular(self) -> bool:
        return self.singular_at_zero

    def __call__(self, z: Float[Array, " d"]) -> Float[Array, ""]:
        return jnp.asarray(0.5 * (self.function(z) + self.function(-z)), z.dtype)

    def on(self, space: AbstractSpace) -> "Function":
        scalar_field(self.function, space.dim, "an interaction kernel")
        with jax.ensure_compile_time_eval():
            at_zero = self.function(jnp.zeros(space.dim))
            near = np.outer(4.0 ** -np.arange(8), np.linspace(1, 0.7, space.dim))
            elsewhere = jax.vmap(self)(jnp.asarray(near))
        if traced((at_zero, elsewhere)):
            kernel = self
        else:
            require(
                not np.all(np.isnan(elsewhere)),
                "an interaction kernel must be finite, but it is NaN wherever it was tried.",
            )
            kernel = Function(self.function, self.singular or not bool(np.isfinite(at_zero)))
        require_kernel(kernel, space)
        return kernel


class MinimalImage(AbstractKernel):
    """W of the shortest displacement on a torus, for pair energies that are not periodic themselves.

    Its kink at distance L/2, if it has one, is the user's.

    **Arguments:**

    - `kernel`: W, a kernel on R^d, or a function of a displacement of shape (d,).
    """

    kernel: AbstractKernel

    def __init__(self, kernel):
        self.kernel = as_kernel(kernel)

    @property
    def singular(self) -> bool:
        return self.kernel.singular

    def __call__(self, z: Float[Array, " d"]) -> Float[Array, ""]:
        return self.kernel(z)

    def on(self, space: AbstractSpace) -> AbstractKernel:
        # What acts between two points is W itself: the shortest displacement is what spaces give.
        return self.kernel.on(Euclidean(space.dim) if isinstance(space, Torus) else space)


def require_radius(radius: float, space: AbstractSpace | None = None) -> None:
    """**Raises** `ValueError` unless a radius of confidence is positive, finite, and at most half a side of a torus."""
    require(0 < radius < math.inf, f"the radius of confidence must be positive and finite, but {radius!r} was given.")
    require(
        not isinstance(space, Torus) or radius <= 0.5 * min(space.lengths),
        f"the radius of confidence on a torus is at most half its shortest side, but {radius:g} was given: beyond, a "
        "point is a neighbour by two ways.",
    )


def as_kernel(kernel) -> AbstractKernel:
    """A kernel from a kernel or from a function of a displacement."""
    return kernel if isinstance(kernel, AbstractKernel) else Function(kernel)


def _norm(z: Array) -> Array:
    """|z|, differentiable away from 0 and quiet at 0."""
    square = jnp.sum(z**2)
    positive = square > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1.0)), 0.0)


def _power(x: Float[Array, "*n"], exponent: float) -> Float[Array, "*n"]:
    """x^p for x > 0; for multiples of ¼ by roots and products, which take a tenth of the time."""
    roots = next((k for k in (0, 1, 2) if float(2**k * exponent).is_integer()), None)
    if roots is None:
        return x**exponent
    for _ in range(roots):
        x = jnp.sqrt(x)
    return x ** int(2**roots * exponent)
