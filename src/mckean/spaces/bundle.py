"""The tangent bundle of a torus or of R^d: positions with their velocities."""

import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from mckean.checks import require
from mckean.spaces.euclidean import BoxGrid, Euclidean
from mckean.spaces.grids import AbstractFlatGrid, AbstractGrid, integer_modes
from mckean.spaces.space import AbstractFlatSpace, AbstractSpace
from mckean.spaces.torus import FourierGrid, Torus


class TangentBundle(AbstractFlatSpace):
    """The tangent bundle TM of a torus or of R^d: points z = (x, v) of a position and a velocity, 2d coordinates.

    Its metric is |dx|² + |dv|², with one unit of length and one of time.

    **Arguments:**

    - `base`: M, the space of the positions, a torus or R^d.

    **Raises:** `ValueError` for a sphere, on which velocities at different points are in different spaces.
    """

    base: Torus | Euclidean = eqx.field(static=True)
    dim: int = eqx.field(static=True)

    def __init__(self, base: AbstractSpace):
        if not isinstance(base, Torus | Euclidean):
            raise ValueError(f"positions with velocities live on a torus or on R^d, not on {base!r}.")
        self.base, self.dim = base, 2 * base.dim

    def position(self, z: Float[Array, "*n z"]) -> Float[Array, "*n d"]:
        """x of (x, v)."""
        return z[..., : self.base.dim]

    def velocity(self, z: Float[Array, "*n z"]) -> Float[Array, "*n d"]:
        """v of (x, v)."""
        return z[..., self.base.dim :]

    def join(self, x: Float[Array, "*n d"], v: Float[Array, "*n d"]) -> Float[Array, "*n z"]:
        """(x, v) from positions and velocities of one shape."""
        return jnp.concatenate([x, v], axis=-1)

    def displacement(self, x: Float[Array, "*#n z"], y: Float[Array, "*#n z"]) -> Float[Array, "*#n z"]:
        moved = self.base.displacement(self.position(x), self.position(y))
        return self.join(moved, self.velocity(x) - self.velocity(y))

    def retract(self, x: Float[Array, "*n z"]) -> Float[Array, "*n z"]:
        return self.join(self.base.retract(self.position(x)), self.velocity(x))

    def uniform(self, key: PRNGKeyArray, n: int) -> Float[Array, "n z"]:
        raise ValueError("there is no uniform law of velocities: draw positions and velocities, and join them.")

    @property
    def volume(self) -> float:
        return math.inf

    @property
    def log_volume(self) -> float:
        return math.inf

    def grid(self, positions: AbstractGrid, velocities: int | tuple[int, ...], speed: float) -> "PhaseGrid":
        """The nodes (x, v) with x of a grid and v of equal cells of [−speed, speed]^d.

        **Arguments:**

        - `positions`: a grid of the base.
        - `velocities`: the number of cells of velocities, one for all dimensions or d of them; at least 4 in each.
        - `speed`: the largest component of a velocity, length per time. A density should vanish there: for a law of
          temperature 1/β it does to rounding at speed = 8.5/√β from its mean.

        **Raises:** `ValueError` for a grid of another space, and a speed that is not positive and finite.
        """
        require(0 < speed < math.inf, f"the largest speed of a grid must be positive and finite, not {speed!r}.")
        return PhaseGrid(self, positions, Euclidean(self.base.dim).grid(velocities, -speed, speed))


class PhaseGrid(AbstractFlatGrid):
    """The nodes (x, v) of a tangent bundle: all pairs of a node of positions and a cell of velocities.

    A function on it is its trigonometric interpolant in all coordinates: one that vanishes at the ends of the
    velocities, and of a box of positions, is smooth there. `TangentBundle(base).grid(positions, velocities, speed)`
    makes one.

    **Arguments:**

    - `space`: the tangent bundle.
    - `positions`: a grid of its base.
    - `velocities`: a box of velocities.

    **Raises:** `ValueError` for a grid of positions on another space, and velocities of another dimension.
    """

    space: TangentBundle = eqx.field(static=True)
    positions: AbstractGrid = eqx.field(static=True)
    velocities: BoxGrid = eqx.field(static=True)

    def __init__(self, space: TangentBundle, positions: AbstractGrid, velocities: BoxGrid):
        require(isinstance(space, TangentBundle), f"a phase grid is one of a tangent bundle, not of {space!r}.")
        require(
            isinstance(positions, FourierGrid | BoxGrid) and positions.space == space.base,
            f"the positions of a phase grid are a grid of {space.base}.",
        )
        require(
            isinstance(velocities, BoxGrid) and velocities.space.dim == space.base.dim,
            f"the velocities of a phase grid are a box in dimension {space.base.dim}.",
        )
        self.space, self.positions, self.velocities = space, positions, velocities

    @property
    def shape(self) -> tuple[int, ...]:
        return self.positions.shape + self.velocities.shape

    @property
    def sides(self) -> tuple[float, ...]:
        return self.positions.sides + self.velocities.sides

    @property
    def axes(self) -> tuple[np.ndarray, ...]:
        return self.positions.axes + self.velocities.axes

    @property
    def wavenumbers(self) -> tuple[np.ndarray, ...]:
        """2πk/L for each mode k of a real FFT, with the unpaired Nyquist mode's derivative set to zero."""
        full = [integer_modes(n) for n in self.shape[:-1]]
        modes = np.meshgrid(*full, np.arange(self.shape[-1] // 2 + 1.0), indexing="ij", sparse=True)
        parts = zip(modes, self.shape, self.sides, strict=True)
        return tuple(np.where(2 * np.abs(k) == n, 0.0, k) * (2 * np.pi / side) for k, n, side in parts)
