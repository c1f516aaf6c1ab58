"""The positions of a law of positions and velocities: what a pair energy W(x − y) sees of it."""

from typing import TypeVar, cast

import jax.numpy as jnp

from mckean.measures.density import Density
from mckean.measures.measure import AbstractMeasure
from mckean.measures.particles import Particles
from mckean.spaces import PhaseGrid, TangentBundle

Measure = TypeVar("Measure", bound=AbstractMeasure)


def configuration(mu: Measure) -> Measure:
    """The law of the positions, ρ(x) = ∫f(x, v) dv; a measure that has no velocities is its own.

    **Arguments:**

    - `mu`: a measure.

    **Returns:** a measure on the base of the tangent bundle.

    **Raises:** `ValueError` for a measure on a tangent bundle that is neither particles nor a density.
    """
    space = mu.domain
    if not isinstance(space, TangentBundle):
        return mu
    if isinstance(mu, Particles):
        return cast(Measure, Particles(space.base, space.position(mu.positions), mu.weights))
    if not (isinstance(mu, Density) and isinstance(mu.grid, PhaseGrid)):
        raise ValueError(f"the positions of a {type(mu).__name__} with velocities are not known: sample it.")
    grid = mu.grid
    axes = tuple(range(len(grid.positions.shape), len(grid.shape)))
    return cast(Measure, Density(grid.positions, jnp.sum(mu.values, axis=axes) * grid.velocities.cell_volume))
