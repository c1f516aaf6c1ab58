"""R^d."""

import math

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from mckean.checks import require
from mckean.spaces.grids import AbstractFlatGrid, check_shape, per_dimension
from mckean.spaces.space import AbstractFlatSpace, check_dim


class Euclidean(AbstractFlatSpace):
    """R^d with its Euclidean metric.

    **Arguments:**

    - `dim`: d ≥ 1.

    **Raises:** `ValueError` for a dimension that is not a positive integer.
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

    @property
    def log_volume(self) -> float:
        return math.inf

    def grid(
        self,
        shape: int | tuple[int, ...],
        lower: float | tuple[float, ...],
        upper: float | tuple[float, ...],
    ) -> "BoxGrid":
        """A box of equal cells, [lower, upper] in each dimension.

        **Arguments:**

        - `shape`: the number of cells, one for all dimensions or d of them; at least 4 in each.
        - `lower`, `upper`: the corners, numbers or d of them, in the unit of the coordinates.

        **Raises:** `ValueError` for an empty box, and for numbers that do not fit the dimension.
        """
        return BoxGrid(
            self,
            per_dimension(shape, self.dim, int, "the shape of a grid"),
            per_dimension(lower, self.dim, float, "the lower corner of a box"),
            per_dimension(upper, self.dim, float, "the upper corner of a box"),
        )


class BoxGrid(AbstractFlatGrid):
    """The cells of a box of R^d, given by their centres; a function on it is constant on each cell.

    `Euclidean(d).grid(shape, lower, upper)` makes one.

    **Arguments:**

    - `space`: R^d.
    - `shape`: the number of cells in each dimension, d integers of at least 4.
    - `lower`, `upper`: the corners, d numbers each, in the unit of the coordinates.

    **Raises:** `ValueError` for a shape of another dimension, fewer than 4 cells in one, and an empty box.
    """

    space: Euclidean = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)
    lower: tuple[float, ...] = eqx.field(static=True)
    upper: tuple[float, ...] = eqx.field(static=True)

    def __check_init__(self):
        require(isinstance(self.space, Euclidean), f"a box is a part of R^d, not of {self.space!r}.")
        check_shape(self.shape, self.space.dim, 4)
        if not len(self.lower) == len(self.upper) == self.space.dim:
            raise ValueError(f"the corners of a box in dimension {self.space.dim} have as many coordinates each.")
        if not all(-math.inf < a < b < math.inf for a, b in zip(self.lower, self.upper, strict=True)):
            raise ValueError(f"a box needs lower < upper, both finite, but {self.lower} and {self.upper} were given.")

    @property
    def sides(self) -> tuple[float, ...]:
        return tuple(b - a for a, b in zip(self.lower, self.upper, strict=True))

    @property
    def axes(self) -> tuple[np.ndarray, ...]:
        corners = zip(self.lower, self.spacing, self.shape, strict=True)
        return tuple(a + h * (np.arange(n) + 0.5) for a, h, n in corners)
