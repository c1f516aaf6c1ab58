"""Two measures side by side in one environment."""

from typing import Any, ClassVar

import equinox as eqx
from jaxtyping import Array, ArrayLike, Float, Int

from mckean.dynamics.around import AbstractAround
from mckean.measures import AbstractMeasure
from mckean.measures.norms import distance
from mckean.models import Model
from mckean.paths import Brownian
from mckean.spaces import AbstractSpace


class Pair(AbstractMeasure):
    """Two measures of one form, which move in one environment."""

    first: AbstractMeasure
    second: AbstractMeasure

    def __check_init__(self):
        # It refuses measures that cannot be compared.
        distance(self.first, self.second)

    @property
    def domain(self) -> AbstractSpace:
        return self.first.domain

    def integrate(self, phi) -> Any:
        """∫φ of the first."""
        return self.first.integrate(phi)


class SideBySide(AbstractAround):
    """One scheme for both of a pair, on one path: particles share their own motions as well."""

    moves: ClassVar[str] = "Pair"
    state: ClassVar[type[AbstractMeasure]] = Pair

    def held(self, state: Pair) -> tuple[AbstractMeasure, ...]:
        return (state.first, state.second)

    def step(
        self,
        model: Model,
        measure: Pair,
        prepared: Any,
        path: Brownian | None,
        index: Int[ArrayLike, ""],
        dt: Float[Array, ""],
    ) -> Pair:
        moved = [self.scheme.step(model, one, prepared, path, index, dt) for one in (measure.first, measure.second)]
        return eqx.tree_at(lambda p: (p.first, p.second), measure, tuple(moved))
