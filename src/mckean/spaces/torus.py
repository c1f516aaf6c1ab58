"""The flat torus ∏ R/L_iZ."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, PRNGKeyArray

from mckean import collectives
from mckean.checks import require
from mckean.spaces.grids import AbstractFlatGrid, check_shape, integer_modes, per_dimension
from mckean.spaces.space import AbstractFlatSpace, check_dim


class Torus(AbstractFlatSpace):
    """The flat torus ∏_i R/L_iZ of dimension d; coordinates are held in [0, L_i).

    **Arguments:**

    - `dim`: d ≥ 1.
    - `length`: the sides L, one number or d of them, in the unit of the coordinates. Default: 2π.

    **Raises:** `ValueError` for a dimension that is not a positive integer, and a side that is not positive and finite.
    """

    dim: int = eqx.field(static=True)
    lengths: tuple[float, ...] = eqx.field(static=True)

    def __init__(self, dim: int, length: float | tuple[float, ...] = 2 * math.pi):
        self.dim = check_dim(dim)
        self.lengths = per_dimension(length, dim, float, "the length of a torus")
        if not all(0 < side < math.inf for side in self.lengths):
            raise ValueError(f"the sides of a torus must be positive and finite, but {self.lengths} was given.")

    def displacement(self, x: Float[Array, "*#n d"], y: Float[Array, "*#n d"]) -> Float[Array, "*#n d"]:
        turns = (x - y) * self._inverse(x.dtype)
        return (turns - jnp.round(turns)) * self._sides(x.dtype)

    @eqx.filter_jit
    def retract(self, x: Float[Array, "*n d"]) -> Float[Array, "*n d"]:
        sides = self._sides(x.dtype)
        wrapped = x - sides * jnp.floor(x * self._inverse(x.dtype))
        # Rounding can count a turn too many, which leaves a point below 0, or put a point just below 0 onto L itself.
        # The comparisons let NaN through: a step that has failed must be seen.
        wrapped = jnp.where(wrapped < 0, wrapped + sides, wrapped)
        return jnp.where((wrapped < 0) | (wrapped >= sides), 0.0, wrapped)

    @eqx.filter_jit
    def uniform(self, key: PRNGKeyArray, n: int) -> Float[Array, "n d"]:
        return jax.random.uniform(key, (n, self.dim)) * self._sides(jnp.result_type(float))

    @property
    def volume(self) -> float:
        return math.prod(self.lengths)

    @property
    def log_volume(self) -> float:
        return math.fsum(map(math.log, self.lengths))

    def wavenumber(self, mode: np.ndarray) -> np.ndarray:
        """q = 2πk/L, the angular wave vector of the integer mode k; shapes (…, d)."""
        return 2 * np.pi * np.asarray(mode) / np.asarray(self.lengths)

    def grid(self, shape: int | tuple[int, ...]) -> "FourierGrid":
        """A grid of equidistant nodes.

        **Arguments:**

        - `shape`: the number of nodes, one for all dimensions or d of them; at least 4 in each.

        **Raises:** `ValueError` for numbers that do not fit the dimension.
        """
        return FourierGrid(self, per_dimension(shape, self.dim, int, "the shape of a grid"))

    def _sides(self, dtype) -> Array:
        return jnp.asarray(self.lengths, dtype)

    def _inverse(self, dtype) -> Array:
        return jnp.asarray(1 / np.asarray(self.lengths), dtype)


class FourierGrid(AbstractFlatGrid):
    """The nodes x_j = L j/M of a torus, j = 0, …, M − 1; a function on it is its trigonometric interpolant.

    `Torus(d).grid(shape)` makes one.

    **Arguments:**

    - `space`: a torus.
    - `shape`: the number M of nodes in each dimension, d integers of at least 4.
    - `mesh`: the devices over which values lie in slabs along the first axis, as `shard` sets it. Default: None, one
      device.

    **Raises:** `ValueError` for a shape of another dimension, and fewer than 4 nodes in one.
    """

    space: Torus = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)
    mesh: Mesh | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        require(isinstance(self.space, Torus), f"a Fourier grid is one of a torus, not of {self.space!r}.")
        check_shape(self.shape, self.space.dim, 4)

    @property
    def sides(self) -> tuple[float, ...]:
        return self.space.lengths

    @property
    def nodes(self) -> Float[Array, "size d"]:
        return collectives.spread(super().nodes, self.mesh)

    @property
    def axes(self) -> tuple[np.ndarray, ...]:
        return tuple(side * np.arange(n) / n for side, n in zip(self.sides, self.shape, strict=True))

    @property
    def modes(self) -> tuple[np.ndarray, ...]:
        """Integer modes of a real FFT, one array a dimension, shaped to broadcast over the coefficients."""
        full = [integer_modes(n) for n in self.shape[:-1]]
        half = np.arange(self.shape[-1] // 2 + 1, dtype=float)
        return tuple(np.meshgrid(*full, half, indexing="ij", sparse=True))

    @property
    def wavenumbers(self) -> tuple[np.ndarray, ...]:
        """2πk/L for each mode k, with the unpaired Nyquist mode's derivative set to zero."""
        scale = [2 * np.pi / side for side in self.sides]
        return tuple(
            np.where(np.abs(k) * 2 == n, 0.0, k) * s for k, s, n in zip(self.modes, scale, self.shape, strict=True)
        )

    @property
    def square_wavenumbers(self) -> np.ndarray:
        """|q|² = Σ_i (2πk_i/L_i)² for each mode, the Nyquist mode among them: −Δ in Fourier coefficients."""
        squares = (np.square(2 * np.pi * k / side) for k, side in zip(self.modes, self.sides, strict=True))
        return sum(squares, np.zeros(()))
