"""The positions of a law of positions and velocities: what a pair energy W(x − y) sees of it."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean.checks import require
from mckean.measures.density import Density
from mckean.measures.gaussian import Gaussian
from mckean.measures.measure import AbstractMeasure
from mckean.measures.particles import Particles
from mckean.spaces import Euclidean, PhaseGrid, TangentBundle, Torus

Measure = TypeVar("Measure", bound=AbstractMeasure)


def configuration(mu: Measure) -> Measure:
    """The law of the positions, ρ(x) = ∫f(x, v) dv; a measure that has no velocities is its own.

    **Arguments:**

    - `mu`: a measure.

    **Returns:** a measure on the base of the tangent bundle: particles of particles, a Gaussian of a Gaussian, a
    density of a density on a phase grid, of others one that can be integrated against.

    **Raises:** `ValueError` for what is no measure.
    """
    require(isinstance(mu, AbstractMeasure), f"a measure has a law of positions, a {type(mu).__name__} has not.")
    space = mu.domain
    if not isinstance(space, TangentBundle):
        return mu
    if isinstance(mu, Particles):
        return cast(Measure, Particles(space.base, space.position(mu.positions), mu.weights, mu.mesh))
    if isinstance(mu, Gaussian):
        k = space.base.dim
        return cast(Measure, Gaussian(mu.mean[:k], mu.covariance[:k, :k]))
    if not (isinstance(mu, Density) and isinstance(mu.grid, PhaseGrid)):
        return cast(Measure, Positions(mu, space))
    grid = mu.grid
    axes = tuple(range(len(grid.positions.shape), len(grid.shape)))
    return cast(Measure, Density(grid.positions, jnp.sum(mu.values, axis=axes) * grid.velocities.cell_volume))


class Positions(AbstractMeasure):
    """The law of the positions of any measure, ∫φ(x) dρ = ∫φ(x) dμ(x, v).

    **Arguments:**

    - `mu`: μ.
    - `bundle`: the tangent bundle that carries it.
    """

    mu: AbstractMeasure
    bundle: TangentBundle

    @property
    def domain(self) -> Torus | Euclidean:
        return self.bundle.base

    def integrate(self, phi: Callable[[Float[Array, " d"]], Any]) -> Any:
        return self.mu.integrate(lambda z: phi(self.bundle.position(z)))
