"""Two measures side by side in one environment."""

from typing import NamedTuple

from mckean.dynamics.carrier import Carrier
from mckean.measures import AbstractMeasure
from mckean.measures.norms import distance


class Pair(NamedTuple):
    """Two measures of one form."""

    first: AbstractMeasure
    second: AbstractMeasure


def pair(first: AbstractMeasure, second: AbstractMeasure) -> Carrier:
    """Two measures that move together. **Raises:** `ValueError` for measures of different forms or sizes."""
    distance(first, second)
    return Carrier(Pair(first, second))
