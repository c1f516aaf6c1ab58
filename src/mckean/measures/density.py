"""Measures with a density, held by its values on a grid."""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from mckean.checks import array, concrete, require, require_finite, require_real, traced
from mckean.measures.laws import AbstractLaw
from mckean.measures.measure import AbstractMeasure, on_points, sampler
from mckean.measures.particles import Particles
from mckean.spaces import AbstractGrid, AbstractSpace, BoxGrid

_MASS_TOLERANCE = 1e-5
_NEGATIVE_TOLERANCE = 1e-8
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
    its values; on a `BoxGrid` it is constant on each cell. `Density.from_function` normalises a function to mass 1, and
    `Density.from_law` puts a law on a grid.

    **Arguments:**

    - `grid`: a grid of a torus or of a box.
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
            mass = float(known.sum(dtype=np.float64)) * grid.cell_volume
            require(
                not negative(values),
                f"a density must not be negative, but its minimum is {known.min():.3g}.",
            )
            require(
                abs(mass - 1) <= _MASS_TOLERANCE,
                f"a density must have mass 1, but this one has {mass:.6g}; Density.from_function(grid, f) normalises.",
            )

    @classmethod
    def from_function(cls, grid: AbstractGrid, f: Callable[[Float[Array, " d"]], Any]) -> "Density":
        """The density proportional to a function, ρ = f/∫f, normalised on the grid.

        **Arguments:**

        - `grid`: a grid of a torus or of a box.
        - `f`: a non-negative function of one point of shape (d,).

        **Raises:** `ValueError` for a function that is not scalar, or is negative, not finite, or zero at all nodes.
        """
        return cls._normalise(grid, jax.jit(lambda nodes: on_points(f, nodes))(grid.nodes))

    @classmethod
    def from_law(cls, grid: AbstractGrid, law: AbstractLaw) -> "Density":
        """The density of a law at the nodes, normalised there.

        **Arguments:**

        - `grid`: a grid of the law's space.
        - `law`: a law with a density, such as `VonMises`.

        **Raises:** `ValueError` for a grid of another space, and for a box that misses more than 1e-3 of the law,
        saying how much.
        """
        if law.domain != grid.space:
            raise ValueError(f"a law on {law.domain} cannot be put on a grid of {grid.space}.")
        around, volume = surroundings(grid)
        values = _densities(law, jnp.concatenate([grid.nodes, array(around, float)]))
        inside, outside = values[: grid.size], values[grid.size :]
        mass = jnp.sum(inside) * grid.cell_volume
        # Cells see the mass of a law up to its variation within one. Far less is a law that lies elsewhere.
        if isinstance(grid, BoxGrid):
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
        mass = values.sum() * grid.cell_volume
        require(mass > 0, "a density must be positive somewhere on the grid, but its mass there is not positive.")
        return cls(grid, values / mass)

    @property
    def domain(self) -> AbstractSpace:
        return self.grid.space

    @property
    def mass(self) -> Float[Array, ""]:
        """∫ρ dx by the rectangle rule, 1 up to rounding."""
        return jnp.sum(self.values) * self.grid.cell_volume

    def integrate(self, phi: Callable[[Float[Array, " d"]], Any]) -> Any:
        """∫φρ dx by the rectangle rule on the nodes (spectrally accurate on a Fourier grid, order 2 on a box)."""
        weights = self.values.ravel() * self.grid.cell_volume
        return jnp.tensordot(weights, on_points(phi, self.grid.nodes.astype(self.values.dtype)), axes=1)

    @sampler
    def sample(self, key: PRNGKeyArray, n: int) -> Particles:
        """n independent particles: a node drawn by its mass, then a uniform point of the node's cell.

        The law of a particle is the piecewise constant one; its Fourier modes differ from ρ's by (q·h)²/24 relatively.
        The first n of N draws are the n draws.
        """
        cell, jitter = jax.random.split(key)
        cumulative = jnp.cumsum(jnp.maximum(self.values.ravel(), 0))
        u = jax.random.uniform(cell, (n,), self.values.dtype) * cumulative[-1]
        index = jnp.minimum(jnp.searchsorted(cumulative, u, side="right"), self.grid.size - 1)
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


@eqx.filter_jit
def _densities(law: AbstractLaw, nodes: Float[Array, "n d"]) -> Float[Array, " n"]:
    return on_points(lambda x: jnp.exp(law.log_density(x)), nodes)
