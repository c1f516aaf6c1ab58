"""Measures with a density, held by its values on a grid."""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from mckean import collectives
from mckean.checks import array, concrete, require, require_finite, require_real, traced
from mckean.measures.laws import AbstractLaw
from mckean.measures.measure import AbstractMeasure, on_points, sampler
from mckean.measures.particles import Particles
from mckean.spaces import AbstractGrid, AbstractSpace, AbstractSphericalGrid, BoxGrid, FourierGrid, ZonalGrid, calculus

_MASS_TOLERANCE = 1e-5
_NEGATIVE_TOLERANCE = 1e-8
# Of so many times the degree are the cells of a sphere from which particles are drawn.
_FINER = 4
# How much a zonal density may change about its axis, relative to its maximum.
_ZONAL = 1e-4
# What a box may lack of a law.
_LOST = 1e-3


def negative(values: Array) -> bool:
    """Whether known values are negative beyond the rounding of an FFT or of a sum."""
    tolerance = max(_NEGATIVE_TOLERANCE, 8 * float(jnp.finfo(values.dtype).eps))
    if traced(values):
        return False
    known = np.asarray(values)
    return bool(known.min() < -tolerance * np.abs(known).max())


class Density(AbstractMeasure):
    """A measure with a density, μ = ρ dx, given by the values of ρ on the nodes of a grid.

    The density is with respect to volume, and its mass is 1. On a `FourierGrid`, ρ is the trigonometric interpolant of
    its values; on a `BoxGrid` it is constant on each cell; on the grids of a sphere it is a sum of harmonics.
    `Density.from_function` normalises a function to mass 1, and
    `Density.from_law` puts a law on a grid.

    **Arguments:**

    - `grid`: a grid of a torus, of a box or of a sphere.
    - `values`: ρ at the nodes, shape `grid.shape`, 1/volume.

    **Raises:** `ValueError` for a wrong shape, a value that is not finite or is negative beyond rounding (1e-8 of the
    maximum, 1e-6 in single precision), and for a mass that differs from 1 by more than 1e-5.
    """

    grid: AbstractGrid
    values: Float[Array, "..."]

    def __init__(self, grid: AbstractGrid, values):
        require_real("a density", values)
        values = array(values)
        if not jnp.issubdtype(values.dtype, jnp.floating):
            values = values.astype(jnp.result_type(float))
        if values.shape != grid.shape:
            raise ValueError(
                f"a density on a grid of shape {grid.shape} needs values of that shape, not {values.shape}."
            )
        require_finite("a density", values)
        self.grid = grid
        self.values = values
        if not traced(values):
            known = np.asarray(values)
            mass = float(np.sum(known * grid.cell_volume, dtype=np.float64))
            require(
                not negative(values),
                f"a density must not be negative, but its minimum is {known.min():.3g}.",
            )
            require(
                abs(mass - 1) <= _MASS_TOLERANCE,
                f"a density must have mass 1, but this one has {mass:.6g}; Density.from_function(grid, f) normalises.",
                see="A density has mass 1",
            )

    @classmethod
    def from_function(cls, grid: AbstractGrid, f: Callable[[Float[Array, " d"]], Any]) -> "Density":
        """The density proportional to a function, ρ = f/∫f, normalised on the grid.

        **Arguments:**

        - `grid`: a grid of a torus, of a box or of a sphere.
        - `f`: a non-negative function of one point of shape (d,).

        **Raises:** `ValueError` for a function that is not scalar, or is negative, not finite, or zero at all nodes,
        and on a zonal grid for one that is not zonal.
        """
        return cls._normalise(grid, _at_nodes(grid, jax.jit(lambda nodes: on_points(f, nodes))))

    @classmethod
    def from_law(cls, grid: AbstractGrid, law: AbstractLaw) -> "Density":
        """The density of a law at the nodes, normalised there.

        **Arguments:**

        - `grid`: a grid of the law's space.
        - `law`: a law with a density, such as `VonMises`.

        **Raises:** `ValueError` for a grid of another space, for a box that misses more than 1e-3 of the law, saying
        how much, and on a zonal grid for a law that is not zonal.
        """
        if law.domain != grid.space:
            raise ValueError(f"a law on {law.domain} cannot be put on a grid of {grid.space}.")
        if not isinstance(grid, BoxGrid):
            return cls._normalise(grid, _at_nodes(grid, lambda nodes: _densities(law, nodes)))
        around, volume = surroundings(grid)
        values = _densities(law, jnp.concatenate([grid.nodes, array(around, float)]))
        inside, outside = values[: grid.size], values[grid.size :]
        mass = jnp.sum(inside) * grid.cell_volume
        # Cells see the mass of a law up to its variation within one. Far less is a law that lies elsewhere.
        require_inside(jnp.where(mass < 0.75, 1 - mass, jnp.sum(outside) * volume), "law")
        return cls._normalise(grid, inside)

    @classmethod
    def _normalise(cls, grid: AbstractGrid, values: Array) -> "Density":
        if values.shape != (grid.size,):
            raise ValueError(
                f"a density needs a scalar function of a point, but this one returned shape {values.shape[1:]}."
            )
        require_real("a density", values)
        require_finite("a density", values)
        values = concrete(values).reshape(grid.shape)
        mass = (values * grid.cell_volume).sum()
        require(mass > 0, "a density must be positive somewhere on the grid, but its mass there is not positive.")
        return cls(grid, values / mass)

    @property
    def domain(self) -> AbstractSpace:
        return self.grid.space

    @property
    def mass(self) -> Float[Array, ""]:
        """∫ρ dx by the nodes, 1 up to rounding."""
        return calculus.integrate(self.grid, self.values)

    def integrate(self, phi: Callable[[Float[Array, " d"]], Any]) -> Any:
        """∫φρ dx by the nodes: spectrally accurate on a torus and a sphere, of order 2 on a box.

        On a zonal grid it is exact for a φ that is zonal, or a cubic polynomial; about the axis it is a mean over
        2(d − 1) points.
        """
        weights, dtype = calculus.masses(self.grid, self.values).ravel(), self.values.dtype
        if isinstance(self.grid, ZonalGrid):
            turns = self.grid.orbits.astype(dtype)
            values = on_points(phi, turns.reshape(-1, turns.shape[2]))
            return jnp.tensordot(jnp.tile(weights / len(turns), len(turns)), values, axes=1)
        values = on_points(phi, self.grid.nodes.astype(dtype))
        if isinstance(self.grid, FourierGrid) and self.grid.mesh is not None:
            return collectives.weigh(weights, values, self.grid.mesh)
        return jnp.tensordot(weights, values, axes=1)

    @sampler
    def sample(self, key: PRNGKeyArray, n: int) -> Particles:
        """n independent particles: a node drawn by its mass, then a uniform point of the node's cell.

        The law of a particle is the piecewise constant one; its Fourier modes differ from ρ's by (q·h)²/24 relatively.
        On a sphere the nodes are those of a grid of four times the degree. The first n of N draws are the n draws.
        """
        cell, jitter = jax.random.split(key)
        grid, values = self.grid, self.values
        if isinstance(grid, AbstractSphericalGrid):
            coefficients = grid.analyse(values)
            grid = grid.of_degree(_FINER * grid.degree)
            values = grid.synthesise(coefficients)
        cumulative = jnp.cumsum(jnp.maximum(calculus.masses(grid, values).ravel(), 0))
        u = jax.random.uniform(cell, (n,), values.dtype) * cumulative[-1]
        index = jnp.minimum(jnp.searchsorted(cumulative, u, side="right"), grid.size - 1)
        if isinstance(grid, AbstractSphericalGrid):
            return Particles(grid.space, grid.scatter(jitter, index).astype(values.dtype))
        offset = jax.random.uniform(jitter, (n, self.grid.space.dim), self.values.dtype) - 0.5
        spacing = jnp.asarray(self.grid.spacing, self.values.dtype)
        nodes = self.grid.nodes.astype(self.values.dtype)
        return Particles(self.grid.space, nodes[index] + offset * spacing)


def surroundings(grid: AbstractGrid) -> tuple[np.ndarray, float]:
    """Centres of cells around a box, as far as its side in all directions, and their volume; none beyond dimension 5.

    **Arguments:**

    - `grid`: a grid; on a torus nothing is around it.

    **Returns:** the centres, shape (n, d), and the volume of a cell.
    """
    dim = grid.space.dim
    if not isinstance(grid, BoxGrid) or dim > 5:
        return np.zeros((0, dim)), 0.0
    cells = [min(n, {1: 4096, 2: 48, 3: 12}.get(dim, 4)) for n in grid.shape]
    turns = [(np.arange(3 * m) + 0.5) / m - 1 for m in cells]
    mesh = np.stack([t.ravel() for t in np.meshgrid(*turns, indexing="ij")], axis=-1)
    outside = mesh[np.any((mesh < 0) | (mesh > 1), axis=1)]
    return np.asarray(grid.lower) + outside * np.asarray(grid.sides), math.prod(grid.sides) / math.prod(cells)


def require_inside(lost: Any, name: str) -> None:
    """**Raises** `ValueError` for a mass outside a box of more than 1e-3."""
    if not traced(lost):
        require(lost <= _LOST, f"the box is too small: a mass of {float(lost):.3g} of the {name} lies outside it.")


def _at_nodes(grid: AbstractGrid, f: Callable[[Array], Array]) -> Array:
    """f at the nodes. **Raises** `ValueError` for one that is not zonal on a zonal grid."""
    values = f(grid.nodes)
    if isinstance(grid, ZonalGrid) and not traced(values):
        known, turned = np.asarray(values), np.asarray(f(grid.turned))
        off = np.max(np.abs(known - turned), initial=0.0) / np.max(np.abs(known), initial=np.finfo(float).tiny)
        require(
            off <= _ZONAL or not np.isfinite(off),
            f"a zonal grid holds densities that depend on ⟨e, x⟩ alone, but this one changes by {off:.2g} of its "
            "maximum about the axis e: turn the axis to its own, or take the grid of S¹ or S².",
        )
    return values


@eqx.filter_jit
def _densities(law: AbstractLaw, nodes: Float[Array, "n d"]) -> Float[Array, " n"]:
    return on_points(lambda x: jnp.exp(law.log_density(x)), nodes)
