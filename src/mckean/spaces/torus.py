"""The flat torus ∏ R/L_iZ."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from mckean.spaces.grids import FourierGrid, per_dimension
from mckean.spaces.space import AbstractSpace, check_dim


class Torus(AbstractSpace):
    """The flat torus of dimension d with sides L_1, …, L_d; coordinates are held in [0, L_i).

    **Arguments:** `dim`: d ≥ 1. `length`: the side, one number or d of them, in the unit of the coordinates;
    2π where nothing is said. **Raises** `ValueError` for a bad dimension or a side that is not positive and finite.
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

    def wavenumber(self, mode: np.ndarray) -> np.ndarray:
        """q = 2πk/L, the angular wave vector of the integer mode k; shapes (…, d)."""
        return 2 * np.pi * np.asarray(mode) / np.asarray(self.lengths)

    def grid(self, shape: int | tuple[int, ...]) -> FourierGrid:
        """A grid of equidistant nodes, the same number in each dimension if one is given."""
        return FourierGrid(self, per_dimension(shape, self.dim, int, "the shape of a grid"))

    def _sides(self, dtype) -> Array:
        return jnp.asarray(self.lengths, dtype)

    def _inverse(self, dtype) -> Array:
        return jnp.asarray(1 / np.asarray(self.lengths), dtype)
