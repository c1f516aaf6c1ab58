"""Interactions that are not a pair energy of a displacement: the measure acts on a point by any functional b(x, μ)."""

import abc

import equinox as eqx
from jaxtyping import Array, Float

from mckean.interactions.sums.sum import Points
from mckean.measures import AbstractMeasure


class AbstractField(eqx.Module):
    """A drift b(x, μ), a function of points and a measure, in length per time.

    All points are handed over in one call: a field is a sum over pairs, and knows its own fastest way of taking it.
    """

    @abc.abstractmethod
    def __call__(self, x: Points, mu: AbstractMeasure) -> Float[Array, "n d"]:
        """b(x_i, μ) at points.

        **Arguments:**

        - `x`: the points, shape (n, d), or a grid, which stands for its nodes.
        - `mu`: the measure that acts.

        **Returns:** shape (n, d), length per time, in the precision of the points.

        **Raises:**

        - `ValueError` for points of another dimension, and for a measure that the field cannot act for.
        """
