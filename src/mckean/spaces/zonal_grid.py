"""Grids of functions that depend on one coordinate of a sphere alone, in any dimension."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact, Int, PRNGKeyArray

from mckean.checks import array, require
from mckean.spaces import legendre
from mckean.spaces.grids import AbstractGrid
from mckean.spaces.space import AbstractSpace
from mckean.spaces.spherical_grids import AbstractSphericalGrid, require_grid


class ZonalGrid(AbstractSphericalGrid):
    """L + 1 nodes of Gauss in t = ⟨e, x⟩, for functions on S^{d−1} that depend on t alone, d ≥ 3.

    `Sphere(d).grid(degree, axis=e)` makes one. A node stands for all points with its t, of which `nodes` has one each.
    The cost does not depend on d.

    **Arguments:**

    - `space`: a sphere, 3 ≤ d ≤ 300.
    - `degree`: L ≥ 2.
    - `axis`: e, d numbers, a vector of length 1.

    **Raises:** `ValueError` for another space, degree or axis.
    """

    space: AbstractSpace = eqx.field(static=True)
    degree: int = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)
    axis: tuple[float, ...] = eqx.field(static=True)

    def __init__(self, space: AbstractSpace, degree: int, axis: tuple[float, ...]):
        require_grid(space, None, degree)
        require(space.dim >= 3, "on the circle S¹ there is no need of an axis: Sphere(2).grid(L).")
        require(space.dim <= 300, "a zonal grid takes d ≤ 300: volumes of S^{d−1} beyond are no numbers of float64.")
        require(
            len(axis) == space.dim and abs(np.linalg.norm(axis) - 1) < 1e-5,
            f"the axis of a zonal grid is a vector of length 1 with {space.dim} components.",
        )
        self.space, self.degree, self.shape, self.axis = space, degree, (degree + 1,), axis

    @property
    def coordinates(self) -> tuple[str, ...]:
        return ("overlap",)

    @property
    def cell_volume(self) -> np.ndarray:
        return legendre.zonal_nodes(self.size, self.space.dim)[1] * self.space.volume

    @property
    def axes(self) -> tuple[np.ndarray, ...]:
        """t = ⟨e, x⟩."""
        return (legendre.zonal_nodes(self.size, self.space.dim)[0],)

    @property
    def nodes(self) -> Float[Array, "size d"]:
        return array(self._points(self._across()), float)

    @property
    def turned(self) -> Float[Array, "size d"]:
        """Other points with the same t, by which a function shows that it is not zonal."""
        across = self._across()
        other = np.roll(across, 1) + 0.5 * across
        other -= (other @ np.asarray(self.axis)) * np.asarray(self.axis)
        return array(self._points(other / np.linalg.norm(other)), float)

    @property
    def orbits(self) -> Float[Array, "k size d"]:
        """2(d − 1) points for each node, turned about the axis: their mean is exact for cubic functions."""
        frame = np.linalg.qr(np.stack([np.asarray(self.axis), *np.eye(self.space.dim)]).T)[0].T[1:]
        return array(np.stack([self._points(s * u) for u in frame for s in (1, -1)]), float)

    def of_degree(self, degree: int) -> "ZonalGrid":
        return ZonalGrid(self.space, degree, self.axis)

    def related(self, other: AbstractGrid) -> bool:
        return isinstance(other, ZonalGrid) and (other.space, other.axis) == (self.space, self.axis)

    def degrees(self, degree: int) -> np.ndarray:
        return np.arange(degree + 1)

    def analyse(self, values: Float[Array, "..."], degree: int | None = None) -> Inexact[Array, "..."]:
        return _product(self._table(degree).value * self.cell_volume, values)

    def synthesise(self, coefficients: Inexact[Array, "..."]) -> Float[Array, "..."]:
        return _product(self._table(coefficients.size - 1).value.T, coefficients)

    def gradient(self, coefficients: Inexact[Array, "..."]) -> Float[Array, "size d"]:
        slope = _product(self._table(coefficients.size - 1).slope.T, coefficients)
        return slope[:, None] * jnp.asarray(self._meridian(), slope.dtype)

    def divergence(self, field: Float[Array, "size d"], degree: int | None = None) -> Inexact[Array, "..."]:
        along = jnp.sum(field * jnp.asarray(self._meridian(), field.dtype), axis=1)
        return -_product(self._table(degree).slope * self.cell_volume, along)

    def evaluate(self, coefficients: Inexact[Array, "..."], x: Float[Array, "n d"]) -> Float[Array, " n"]:
        t = x @ jnp.asarray(self.axis, x.dtype)
        b = legendre.zonal_recurrence(coefficients.size + 1, self.space.dim)

        def add(carry, row):
            # Clenshaw's rule.
            here, above = carry
            coefficient, first, second = row
            return (coefficient + first * t * here - second * above, here), None

        rows = (coefficients, jnp.asarray(1 / b[:-1], t.dtype), jnp.asarray(b[:-1] / b[1:], t.dtype))
        (total, _), _ = jax.lax.scan(add, (jnp.zeros_like(t), jnp.zeros_like(t)), rows, reverse=True)
        return total * math.exp(-0.5 * self.space.log_volume)

    def scatter(self, key: PRNGKeyArray, index: Int[Array, " n"]) -> Float[Array, "n d"]:
        along, across = jax.random.split(key)
        dtype, dim = self.nodes.dtype, self.space.dim
        share = legendre.zonal_nodes(self.size, dim)[1]
        edges = jnp.asarray(np.concatenate([[0.0], np.cumsum(share)]), dtype)
        u = edges[index] + jax.random.uniform(along, index.shape, dtype) * (edges[index + 1] - edges[index])
        below, angle = legendre.caps(dim)
        theta = jnp.interp(u, jnp.asarray(below, dtype), jnp.asarray(angle, dtype))
        axis = jnp.asarray(self.axis, dtype)
        turned = jax.random.normal(across, (*index.shape, dim), dtype)
        turned = self.space.retract(turned - (turned @ axis)[:, None] * axis)
        return -jnp.cos(theta)[:, None] * axis + jnp.sin(theta)[:, None] * turned

    def _table(self, degree: int | None) -> legendre.ZonalPolynomials:
        kept = self.degree if degree is None else degree
        return legendre.zonal(self.size, kept, self.space.dim)

    def _across(self) -> np.ndarray:
        """A unit vector orthogonal to the axis and in no other way special, so that a field that is not zonal shows."""
        axis = np.asarray(self.axis)
        u = np.random.default_rng(0).normal(size=axis.size)
        u -= (u @ axis) * axis
        return u / np.linalg.norm(u)

    def _points(self, across: np.ndarray) -> np.ndarray:
        t = self.axes[0][:, None]
        return t * np.asarray(self.axis) + np.sqrt((1 - t) * (1 + t)) * across

    def _meridian(self) -> np.ndarray:
        """∇⟨e, x⟩ = e − tx at the nodes."""
        return np.asarray(self.axis) - self.axes[0][:, None] * self._points(self._across())


def _product(table: np.ndarray, vector: Array) -> Array:
    """A sum of products, and no call to a library's, whose rounding depends on what is computed beside it."""
    return jnp.sum(jnp.asarray(table, vector.dtype) * vector, axis=1)
