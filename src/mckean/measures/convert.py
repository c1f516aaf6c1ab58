"""From one form of a measure to another."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.checks import require, traced
from mckean.measures.density import Density, negative
from mckean.measures.measure import AbstractMeasure
from mckean.measures.particles import Particles
from mckean.spaces import AbstractGrid, AbstractSphericalGrid, FourierGrid, ZonalGrid, calculus
from mckean.spaces.staggered import axes_of

# κ = L²/_FALL: the multiplier e^{−l²/2κ} of a von Mises–Fisher law falls to e^{−15} at the highest degree.
_FALL = 30.0
_TILE = 4096


def require_particles(what: str, measure: AbstractMeasure) -> None:
    """**Raises** `ValueError` for another measure than particles, where `what` is about them."""
    form = type(measure).__name__
    require(isinstance(measure, Particles), f"{what} is about particles, not about a {form}: sample it first.")


def require_law(law: Any) -> Any:
    """The law itself. **Raises** `ValueError` for what cannot be sampled."""
    form = type(law).__name__
    require(hasattr(law, "sample"), f"particles are drawn from a law or a density, not from a {form}.")
    return law


def deposit(particles: Particles, grid: AbstractGrid) -> Density:
    """The density of a cloud by cloud-in-cell: each particle is shared linearly among the 2^d nodes around it.

    Mass is exact, and the density is not negative. Its expectation is ρ up to O(h²), its variance O(1/(n h^d)). On a
    sphere a particle becomes a von Mises–Fisher law ∝ e^{κ⟨x_i, x⟩} with κ = L²/30, of which the grid's degrees L hold
    all but some 1e-6; it multiplies degree l by e^{−l(l + d − 2)/2κ}, up to O(κ⁻²).

    **Arguments:**

    - `particles`: the cloud, with weights or without.
    - `grid`: a grid of the particles' space.

    **Returns:** a `Density` on the grid.

    **Raises:** `ValueError` for a grid of another space, for a zonal grid, and for particles outside a box, saying what
    mass they have.
    """
    if particles.space != grid.space:
        raise ValueError(f"particles on {particles.space} cannot be put on a grid of {grid.space}.")
    if isinstance(grid, AbstractSphericalGrid):
        require(not isinstance(grid, ZonalGrid), "a cloud is not zonal: take a grid of S¹ or S².")
        return Density(grid, _spread(particles, grid))
    if not np.all(_periodic(grid)) and not traced(particles):
        _require_inside(particles, grid)
    return Density(grid, _deposit(particles, grid))


@eqx.filter_jit
def _deposit(particles: Particles, grid: AbstractGrid) -> Float[Array, "..."]:
    x = particles.positions
    periodic = _periodic(grid)
    origin = np.array([axis[0] for axis in grid.axes])
    cell = (x - jnp.asarray(origin, x.dtype)) / jnp.asarray(grid.spacing, x.dtype)
    shape = np.array(grid.shape, np.int32)
    weights = jnp.full(particles.n, 1 / particles.n, x.dtype) if particles.weights is None else particles.weights
    low = jnp.floor(cell)
    values = jnp.zeros(grid.shape, x.dtype)
    for corner in np.ndindex(*(2,) * grid.space.dim):
        share = jnp.prod(jnp.where(jnp.asarray(corner) == 1, cell - low, 1 - (cell - low)), axis=1)
        index = low.astype(jnp.int32) + jnp.asarray(corner, jnp.int32)
        index = jnp.where(periodic, index % shape, jnp.clip(index, 0, shape - 1))
        values = values.at[tuple(index.T)].add(weights * share)
    return values / grid.cell_volume


@eqx.filter_jit
def _spread(particles: Particles, grid: AbstractSphericalGrid) -> Float[Array, "..."]:
    x, n = particles.positions, particles.n
    nodes, concentration = grid.nodes.astype(x.dtype), grid.degree**2 / _FALL
    weights = jnp.full(n, 1 / n, x.dtype) if particles.weights is None else particles.weights
    tile = min(n, _TILE)
    x = jnp.pad(x, ((0, -n % tile), (0, 0))).reshape(-1, tile, x.shape[1])
    weights = jnp.pad(weights, (0, -n % tile)).reshape(-1, tile)

    def add(total, cloud):
        places, masses = cloud
        return total + jnp.exp(concentration * (nodes @ places.T - 1)) @ masses, None

    values = jax.lax.scan(add, jnp.zeros(grid.size, x.dtype), (x, weights))[0].reshape(grid.shape)
    return values / calculus.integrate(grid, values)


def _periodic(grid: AbstractGrid) -> np.ndarray:
    """Which axes of a grid are."""
    return np.array([axis.periodic for axis in axes_of(grid)])


def _require_inside(particles: Particles, grid: AbstractGrid) -> None:
    x, half = np.asarray(particles.positions), 0.5 * np.array(grid.spacing)
    lower, upper = (np.array([axis[end] for axis in grid.axes]) for end in (0, -1))
    outside = np.any(((x < lower - half) | (x > upper + half)) & ~_periodic(grid), axis=1)
    weights = np.full(particles.n, 1 / particles.n) if particles.weights is None else np.asarray(particles.weights)
    lost = weights[outside].sum()
    require(lost == 0, f"the box is too small: a mass of {lost:.3g} of the particles lies outside it.")


def smooth(density: Density, width: float) -> Density:
    """The density ρ * N(0, w²I): the heat semigroup at time w²/2, exact on each Fourier mode or harmonic.

    **Arguments:**

    - `density`: a `Density` on a torus or on a sphere.
    - `width`: w ≥ 0, the standard deviation, in the unit of the coordinates.

    **Returns:** a `Density` on the same grid.

    **Raises:** `ValueError` for a density on a box, a negative width, and a width at which a rough density stays
    negative.
    """
    grid = density.grid
    if not isinstance(grid, FourierGrid | AbstractSphericalGrid):
        raise ValueError("smoothing works on a torus and on a sphere; a density on a box has no heat semigroup there.")
    require(width >= 0, f"the width of a smoothing must not be negative, but {width} was given.")
    values = _convolve(density, jnp.asarray(width, density.values.dtype))
    if negative(values):
        spacing = math.pi / grid.degree if isinstance(grid, AbstractSphericalGrid) else max(grid.spacing)
        raise ValueError(
            f"smoothing by {width:.3g} leaves negative values, as the density is rough on its grid of spacing "
            f"{spacing:.3g}: smooth by two spacings or more, or take a finer grid."
        )
    return Density(grid, values)


@eqx.filter_jit
def _convolve(density: Density, width: Float[Array, ""]) -> Float[Array, "..."]:
    grid, values = density.grid, density.values
    if isinstance(grid, AbstractSphericalGrid):
        degrees = jnp.asarray(grid.degrees(grid.degree), values.dtype)
        heat = jnp.exp(-0.5 * width**2 * degrees * (degrees + grid.space.dim - 2))
        return grid.synthesise(heat * grid.analyse(values))
    assert isinstance(grid, FourierGrid)
    factor = jnp.exp(-0.5 * width**2 * jnp.asarray(grid.square_wavenumbers, values.dtype))
    return calculus.fourier_multiplier(grid, values, factor)
