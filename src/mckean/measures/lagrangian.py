"""Measures on the line by their quantile function: cells of fixed mass whose ends move."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from mckean.checks import array, concrete, require, require_finite, traced
from mckean.measures.density import Density
from mckean.measures.measure import AbstractMeasure, on_points, sampler
from mckean.measures.particles import Particles
from mckean.spaces import BoxGrid, Euclidean

_GAUSS = 0.5 / math.sqrt(3.0)
# A cell with less mass than the rounding of the whole has no density that is known.
_LEAST_MASS = 1e-16


class Lagrangian(AbstractMeasure):
    """A measure on the line by its quantile function: cells of fixed mass whose ends move.

    The mass m_i is spread evenly over [x_i, x_{i+1}], so that F⁻¹ is linear between the levels Σ_{j<i} m_j. Measures
    with the same masses are a convex set of L²(0, 1), flat and isometric: for two of them W_2² is

        Σ_i m_i (d_i² + d_i d_{i+1} + d_{i+1}²)/3,    d = x − y.

    **Arguments:**

    - `ends`: x, shape (n + 1,), increasing, in the unit of the coordinate.
    - `masses`: m > 0 with sum 1, shape (n,).

    **Raises:** `ValueError` for shapes that do not fit, ends that do not increase, and masses that are no
    probabilities.
    """

    ends: Float[Array, " k"]
    masses: Float[Array, " n"]

    def __init__(self, ends, masses):
        ends, masses = (array(a, None if _floating(a) else float) for a in (ends, masses))
        if ends.ndim != 1 or masses.shape != (ends.shape[0] - 1,):
            raise ValueError(f"n cells have n masses and n + 1 ends, not shapes {masses.shape} and {ends.shape}.")
        require_finite("an end of a cell", ends)
        require_finite("a mass of a cell", masses)
        x, m = concrete(ends), concrete(masses)
        require((x[1:] > x[:-1]).all(), "the ends of cells must increase.")
        require(
            (m > 0).all() & (abs(m.sum() - 1) <= 1e-5),
            "the masses of cells must be positive with sum 1.",
        )
        self.ends, self.masses = ends, masses

    @classmethod
    def from_density(cls, density: Density) -> "Lagrangian":
        """The measure of a density on a box of the line, exactly: its cells are those with a mass above 1e-16.

        **Arguments:**

        - `density`: a `Density` on a box in dimension 1.

        **Raises:** `ValueError` for another grid, and for a density that vanishes between two places where it does not.
        """
        grid = density.grid
        require(
            isinstance(grid, BoxGrid) and len(grid.shape) == 1,
            "cells with moving ends are for densities on a box in dimension 1.",
        )
        require(not traced(density), "a density is made Lagrangian outside jit, grad and vmap.")
        assert isinstance(grid, BoxGrid)
        mass = np.asarray(density.values, np.float64) * grid.cell_volume
        inhabited = np.flatnonzero(mass > _LEAST_MASS)
        first, last = int(inhabited[0]), int(inhabited[-1]) + 1
        require(
            inhabited.size == last - first,
            "the density vanishes between two places where it does not: the line between them would be a cell without "
            "mass.",
        )
        edges = np.linspace(grid.lower[0], grid.upper[0], grid.size + 1)
        mass = mass[first:last]
        made = cls(edges[first : last + 1], mass / mass.sum())
        return jax.tree.map(lambda a: a.astype(density.values.dtype), made)

    @property
    def domain(self) -> Euclidean:
        return Euclidean(1)

    @property
    def lengths(self) -> Float[Array, " n"]:
        """x_{i+1} − x_i, shape (n,)."""
        return jnp.diff(self.ends)

    @property
    def values(self) -> Float[Array, " n"]:
        """ρ in the cells, per length."""
        return self.masses / self.lengths

    @property
    def points(self) -> Float[Array, "p 1"]:
        """Gauss's two points of every cell, each with half of its mass."""
        return gauss_points(self.ends)

    def cloud(self) -> Particles:
        """Weighted particles at Gauss's points: of the same integrals of cubic polynomials."""
        return Particles(self.domain, self.points, jnp.tile(self.masses / 2, 2))

    def integrate(self, phi: Callable[[Float[Array, " d"]], Any]) -> Any:
        """∫φ dμ by Gauss's two points in each cell: of order 4 in the cells."""
        return jnp.tensordot(jnp.tile(self.masses / 2, 2), on_points(phi, self.points), axes=1)

    def density(self, grid: BoxGrid) -> Density:
        """The density on a box: the exact masses of its cells, over their volume.

        **Arguments:**

        - `grid`: a box in dimension 1.

        **Raises:** `ValueError` for a grid in another dimension, and for a box that leaves mass out, saying how much.
        """
        require(len(grid.shape) == 1, "cells on the line need a grid in dimension 1.")
        edges = jnp.linspace(grid.lower[0], grid.upper[0], grid.size + 1, dtype=self.ends.dtype)
        level = jnp.concatenate([jnp.zeros_like(self.masses[:1]), jnp.cumsum(self.masses)])
        below = jnp.interp(edges, self.ends, level / level[-1])
        outside = 1 - (below[-1] - below[0])
        if not traced(outside):
            require(outside <= 1e-5, f"the box leaves out a mass of {float(outside):.3g}.")
        return Density(grid, jnp.diff(below) / grid.cell_volume)

    @sampler
    def sample(self, key: PRNGKeyArray, n: int) -> Particles:
        """n independent particles: F⁻¹ at uniform levels."""
        level = jnp.concatenate([jnp.zeros_like(self.masses[:1]), jnp.cumsum(self.masses)])
        u = jax.random.uniform(key, (n,), self.ends.dtype) * level[-1]
        return Particles(self.domain, jnp.interp(u, level, self.ends)[:, None])


def _floating(values: Any) -> bool:
    return isinstance(values, jax.Array | np.ndarray) and jnp.issubdtype(values.dtype, jnp.floating)


def gauss_points(ends: Float[Array, " k"]) -> Float[Array, "p 1"]:
    """The left points of all cells, then the right ones."""
    middle, length = 0.5 * (ends[1:] + ends[:-1]), jnp.diff(ends)
    return jnp.concatenate([middle - _GAUSS * length, middle + _GAUSS * length])[:, None]
