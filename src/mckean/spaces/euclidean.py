"""R^d."""

import math

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from mckean.spaces.grids import BoxGrid, per_dimension
from mckean.spaces.space import AbstractSpace, check_dim


class Euclidean(AbstractSpace):
    """R^d with its Euclidean metric.

    **Arguments:** `dim`: d ≥ 1. **Raises** `ValueError` for a dimension that is not a positive integer.
    """

    dim: int = eqx.field(static=True, converter=check_dim)

    def displacement(self, x: Float[Array, "*#n d"], y: Float[Array, "*#n d"]) -> Float[Array, "*#n d"]:
        return x - y

    def retract(self, x: Float[Array, "*n d"]) -> Float[Array, "*n d"]:
        return x

    def uniform(self, key: PRNGKeyArray, n: int) -> Float[Array, "n d"]:
        raise ValueError("there is no uniform law on R^d; give the law a box: Uniform(space, lower=…, upper=…).")

    @property
    def volume(self) -> float:
        return math.inf

    def grid(
        self,
        shape: int | tuple[int, ...],
        lower: float | tuple[float, ...],
        upper: float | tuple[float, ...],
    ) -> BoxGrid:
        """A box of equal cells, [lower, upper] in each dimension; numbers stand for all dimensions alike."""
        return BoxGrid(
            self,
            per_dimension(shape, self.dim, int, "the shape of a grid"),
            per_dimension(lower, self.dim, float, "the lower corner of a box"),
            per_dimension(upper, self.dim, float, "the upper corner of a box"),
        )
