"""Grids of spheres: functions on them are sums of harmonics, eigenfunctions of the Laplacian.

On S^{d−1} a harmonic Y of degree l has −ΔY = l(l + d − 2)Y. A function on a grid of degree L is f = Σ_k f̂_kY_k over an
orthonormal basis of degree ≤ L, f̂_k = ∫fȲ_k. The nodes are Gauss's, and integrate products of two such functions
exactly. Vector fields are listed by node, (size, d), as vectors of R^d. Coefficients know their degree by their shape,
so that those of one grid can be taken at the nodes of another.
"""

import abc
import math
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact, Int, PRNGKeyArray

from mckean.checks import array, require
from mckean.spaces import legendre
from mckean.spaces.grids import AbstractGrid
from mckean.spaces.space import AbstractSpace

_LEAST = 2
Own = TypeVar("Own", bound="AbstractSphericalGrid")


class AbstractSphericalGrid(AbstractGrid):
    """Nodes of a sphere, and the transforms between values there and the coefficients f̂ of harmonics."""

    degree: eqx.AbstractVar[int]

    @property
    @abc.abstractmethod
    def coordinates(self) -> tuple[str, ...]:
        """The names of what `axes` has."""

    @property
    def sides(self) -> tuple[float, ...]:
        raise ValueError(
            f"this works on the grids of a torus or of a box, whose nodes have one distance, but a "
            f"{type(self).__name__} was given."
        )

    @abc.abstractmethod
    def of_degree(self: Own, degree: int) -> Own:
        """The grid of the same functions but for their degree."""

    @abc.abstractmethod
    def related(self, other: AbstractGrid) -> bool:
        """Whether the coefficients of one grid are those of the other, but for the degree."""

    @abc.abstractmethod
    def degrees(self, degree: int) -> np.ndarray:
        """l for each coefficient up to a degree, to broadcast over them."""

    @abc.abstractmethod
    def analyse(self, values: Float[Array, "..."], degree: int | None = None) -> Inexact[Array, "..."]:
        """f̂_k = ∫fȲ_k up to a degree, L where none is given."""

    @abc.abstractmethod
    def synthesise(self, coefficients: Inexact[Array, "..."]) -> Float[Array, "..."]:
        """Σ_k f̂_kY_k at the nodes, in the grid's shape."""

    @abc.abstractmethod
    def gradient(self, coefficients: Inexact[Array, "..."]) -> Float[Array, "size d"]:
        """∇f at the nodes, tangent vectors."""

    @abc.abstractmethod
    def divergence(self, field: Float[Array, "size d"], degree: int | None = None) -> Inexact[Array, "..."]:
        """The coefficients of ∇·v, −∫v·∇Ȳ_k, of the tangent part of v."""

    @abc.abstractmethod
    def evaluate(self, coefficients: Inexact[Array, "..."], x: Float[Array, "n d"]) -> Float[Array, " n"]:
        """f at any points."""

    @abc.abstractmethod
    def scatter(self, key: PRNGKeyArray, index: Int[Array, " n"]) -> Float[Array, "n d"]:
        """Uniform points of the cells of nodes, one for each of these."""


class CircleGrid(AbstractSphericalGrid):
    """2L + 2 equidistant nodes of the circle S¹ ⊂ R², with the harmonics e^{ikθ}/√(2π), |k| ≤ L.

    `Sphere(2).grid(degree)` makes one.

    **Arguments:**

    - `space`: the sphere S¹.
    - `degree`: L ≥ 2.

    **Raises:** `ValueError` for another space or degree.
    """

    space: AbstractSpace = eqx.field(static=True)
    degree: int = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, space: AbstractSpace, degree: int):
        require_grid(space, 2, degree)
        self.space, self.degree, self.shape = space, degree, (2 * degree + 2,)

    @property
    def coordinates(self) -> tuple[str, ...]:
        return ("theta",)

    @property
    def cell_volume(self) -> float:
        return 2 * math.pi / self.size

    @property
    def axes(self) -> tuple[np.ndarray, ...]:
        return (2 * np.pi * np.arange(self.size) / self.size,)

    @property
    def nodes(self) -> Float[Array, "size d"]:
        return array(np.stack([np.cos(self.axes[0]), np.sin(self.axes[0])], axis=1), float)

    def of_degree(self, degree: int) -> "CircleGrid":
        return CircleGrid(self.space, degree)

    def related(self, other: AbstractGrid) -> bool:
        return isinstance(other, CircleGrid)

    def degrees(self, degree: int) -> np.ndarray:
        return np.arange(degree + 1)

    def analyse(self, values: Float[Array, "..."], degree: int | None = None) -> Inexact[Array, "..."]:
        kept = self.degree if degree is None else degree
        return jnp.fft.rfft(values)[: kept + 1] * (math.sqrt(2 * math.pi) / self.size)

    def synthesise(self, coefficients: Inexact[Array, "..."]) -> Float[Array, "..."]:
        return jnp.fft.irfft(coefficients, self.size) * (self.size / math.sqrt(2 * math.pi))

    def gradient(self, coefficients: Inexact[Array, "..."]) -> Float[Array, "size d"]:
        k = jnp.arange(coefficients.size, dtype=coefficients.real.dtype)
        slope = self.synthesise(1j * k * coefficients)
        return slope[:, None] * self._tangent(slope.dtype)

    def divergence(self, field: Float[Array, "size d"], degree: int | None = None) -> Inexact[Array, "..."]:
        flux = self.analyse(jnp.sum(field * self._tangent(field.dtype), axis=1), degree)
        return 1j * jnp.arange(flux.size, dtype=field.dtype) * flux

    def evaluate(self, coefficients: Inexact[Array, "..."], x: Float[Array, "n d"]) -> Float[Array, " n"]:
        turn = jax.lax.complex(x[:, 0], x[:, 1])

        def add(total, coefficient):
            # Horner's rule in e^{iθ}.
            return total * turn + coefficient, None

        total, _ = jax.lax.scan(add, jnp.zeros_like(turn), coefficients[:0:-1])
        return (coefficients[0].real + 2 * (total * turn).real) / math.sqrt(2 * math.pi)

    def scatter(self, key: PRNGKeyArray, index: Int[Array, " n"]) -> Float[Array, "n d"]:
        offset = jax.random.uniform(key, index.shape, self.nodes.dtype) - 0.5
        theta = (index + offset) * (2 * math.pi / self.size)
        return jnp.stack([jnp.cos(theta), jnp.sin(theta)], axis=1)

    def _tangent(self, dtype) -> Array:
        return jnp.asarray(np.stack([-np.sin(self.axes[0]), np.cos(self.axes[0])], axis=1), dtype)


class SphereGrid(AbstractSphericalGrid):
    """L + 1 latitudes of Gauss with 2L + 2 longitudes each, and the harmonics Y_lm, l ≤ L, of S² ⊂ R³.

    `Sphere(3).grid(degree)` makes one. The axis is the third coordinate. A transform is an FFT along the longitudes,
    and a matrix product for each order m.

    **Arguments:**

    - `space`: the sphere S².
    - `degree`: L ≥ 2.

    **Raises:** `ValueError` for another space or degree.
    """

    space: AbstractSpace = eqx.field(static=True)
    degree: int = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, space: AbstractSpace, degree: int):
        require_grid(space, 3, degree)
        self.space, self.degree, self.shape = space, degree, (degree + 1, 2 * degree + 2)

    @property
    def coordinates(self) -> tuple[str, ...]:
        return "theta", "phi"

    @property
    def cell_volume(self) -> np.ndarray:
        """Between two latitudes and two longitudes: Gauss's weights divide the axis so that each node is in its own."""
        return legendre.latitudes(self.shape[0])[1][:, None] * (2 * np.pi / self.shape[1])

    @property
    def axes(self) -> tuple[np.ndarray, ...]:
        """Colatitudes θ and longitudes φ."""
        return np.arccos(legendre.latitudes(self.shape[0])[0]), 2 * np.pi * np.arange(self.shape[1]) / self.shape[1]

    @property
    def nodes(self) -> Float[Array, "size d"]:
        return array(self._frame()[0].reshape(-1, 3), float)

    def of_degree(self, degree: int) -> "SphereGrid":
        return SphereGrid(self.space, degree)

    def related(self, other: AbstractGrid) -> bool:
        return isinstance(other, SphereGrid)

    def degrees(self, degree: int) -> np.ndarray:
        return np.arange(degree + 1)[:, None]

    def analyse(self, values: Float[Array, "..."], degree: int | None = None) -> Inexact[Array, "..."]:
        kept = self.degree if degree is None else degree
        return self._to_degrees(legendre.harmonics(self.shape[0], kept).value, values)

    def synthesise(self, coefficients: Inexact[Array, "..."]) -> Float[Array, "..."]:
        return self._to_nodes(legendre.harmonics(self.shape[0], len(coefficients) - 1).value, coefficients)

    def gradient(self, coefficients: Inexact[Array, "..."]) -> Float[Array, "size d"]:
        table = legendre.harmonics(self.shape[0], len(coefficients) - 1)
        south = self._to_nodes(table.along, coefficients)
        east = self._to_nodes(table.across, 1j * coefficients)
        _, to_south, to_east = (jnp.asarray(part, south.dtype) for part in self._frame())
        return (south[..., None] * to_south + east[..., None] * to_east).reshape(-1, 3)

    def divergence(self, field: Float[Array, "size d"], degree: int | None = None) -> Inexact[Array, "..."]:
        table = legendre.harmonics(self.shape[0], self.degree if degree is None else degree)
        v = field.reshape(*self.shape, 3)
        _, to_south, to_east = (jnp.asarray(part, field.dtype) for part in self._frame())
        south = self._to_degrees(table.along, jnp.sum(v * to_south, axis=-1))
        east = self._to_degrees(table.across, jnp.sum(v * to_east, axis=-1))
        return 1j * east - south

    def evaluate(self, coefficients: Inexact[Array, "..."], x: Float[Array, "n d"]) -> Float[Array, " n"]:
        degree, dtype = len(coefficients) - 1, x.dtype
        sine = jnp.sqrt(x[:, 0] ** 2 + x[:, 1] ** 2)
        away = jnp.maximum(sine, jnp.finfo(dtype).tiny)
        turn = jax.lax.complex(jnp.where(sine > 0, x[:, 0] / away, 1.0), x[:, 1] / away)
        powers = _powers(turn, degree)
        # Θ_mm, where the order m begins.
        sectoral = jnp.asarray(legendre.sectoral(degree), dtype)[:, None] * _powers(sine, degree)
        a, b = (jnp.asarray(part, dtype) for part in legendre.raising(degree))

        def add(carry, row):
            last, before, total = carry
            a_l, b_l, begins, twice = row
            value = a_l[:, None] * (x[:, 2] * last - b_l[:, None] * before) + begins[:, None] * sectoral
            weighed = twice.real[:, None] * value, twice.imag[:, None] * value
            total = total + jnp.sum(weighed[0] * powers.real - weighed[1] * powers.imag, axis=0)
            return (value, last, total), None

        weight = jnp.where(jnp.arange(degree + 1) == 0, 1.0, 2.0).astype(dtype)
        zero = jnp.zeros((degree + 1, x.shape[0]), dtype)
        carry = (zero, zero, jnp.zeros(x.shape[0], dtype))
        return jax.lax.scan(add, carry, (a, b, jnp.eye(degree + 1, dtype=dtype), coefficients * weight))[0][2]

    def scatter(self, key: PRNGKeyArray, index: Int[Array, " n"]) -> Float[Array, "n d"]:
        u = jax.random.uniform(key, (*index.shape, 2), self.nodes.dtype)
        row, column = index // self.shape[1], index % self.shape[1]
        edges = jnp.asarray(1 - np.concatenate([[0.0], np.cumsum(legendre.latitudes(self.shape[0])[1])]), u.dtype)
        z = jnp.clip(edges[row] + u[:, 0] * (edges[row + 1] - edges[row]), -1, 1)
        phi = (column + u[:, 1] - 0.5) * (2 * math.pi / self.shape[1])
        sine = jnp.sqrt((1 - z) * (1 + z))
        return jnp.stack([sine * jnp.cos(phi), sine * jnp.sin(phi), z], axis=1)

    def _to_degrees(self, table: np.ndarray, values: Float[Array, "..."]) -> Inexact[Array, "l m"]:
        """∫ of values with a table's functions times e^{−imφ}."""
        orders = table.shape[0]
        weight = jnp.asarray(legendre.latitudes(self.shape[0])[1] * (2 * np.pi / self.shape[1]), values.dtype)
        waves = jnp.fft.rfft(values * weight[:, None], axis=1)[:, :orders]
        parts = jnp.stack([waves.real, waves.imag], axis=-1)
        total = jnp.einsum("mlj,jmc->mlc", jnp.asarray(table, values.dtype), parts, precision=jax.lax.Precision.HIGHEST)
        return jax.lax.complex(total[..., 0], total[..., 1]).T

    def _to_nodes(self, table: np.ndarray, coefficients: Inexact[Array, "l m"]) -> Float[Array, "..."]:
        """Σ of a table's functions times e^{imφ}."""
        c = coefficients.T
        parts = jnp.stack([c.real, c.imag], axis=-1)
        total = jnp.einsum("mlj,mlc->jmc", jnp.asarray(table, parts.dtype), parts, precision=jax.lax.Precision.HIGHEST)
        waves = jax.lax.complex(total[..., 0], total[..., 1])
        return jnp.fft.irfft(waves, self.shape[1], axis=1) * self.shape[1]

    def _frame(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The nodes, and the unit vectors to the south and to the east there; shapes (latitudes, longitudes, 3)."""
        theta, phi = np.meshgrid(*self.axes, indexing="ij")
        cos, sin = np.cos(theta), np.sin(theta)
        x = np.stack([sin * np.cos(phi), sin * np.sin(phi), cos], axis=-1)
        south = np.stack([cos * np.cos(phi), cos * np.sin(phi), -sin], axis=-1)
        return x, south, np.stack([-np.sin(phi), np.cos(phi), np.zeros_like(phi)], axis=-1)


def _powers(x: Inexact[Array, " n"], degree: int) -> Inexact[Array, "m n"]:
    """x^m for m = 0 … degree; what underflows is 0."""
    return jnp.cumprod(jnp.concatenate([jnp.ones_like(x)[None], jnp.tile(x, (degree, 1))]), axis=0)


def require_grid(space: AbstractSpace, dim: int | None, degree: int) -> None:
    """**Raises** `ValueError` for another space than a sphere, of another dimension, and for a degree that is none."""
    # A flat space has as many directions as coordinates.
    require(space.tangent_dim == space.dim - 1, f"a grid of harmonics is one of a sphere, not of {space}.")
    require(dim is None or space.dim == dim, f"this grid is one of Sphere({dim}), not of {space}.")
    whole = isinstance(degree, int) and not isinstance(degree, bool) and degree >= _LEAST
    require(whole, f"the degree of a grid of harmonics is an integer of at least {_LEAST}, but {degree!r} was given.")
