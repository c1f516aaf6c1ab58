"""Schemes for states that are built around measures: two solutions side by side, or a solution and its tangents."""

import abc
from typing import Any, ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean.dynamics import AbstractScheme
from mckean.measures import AbstractMeasure
from mckean.models import Model


class AbstractAround(AbstractScheme):
    """A scheme whose state holds measures of one form, which an inner scheme checks, plans for and watches.

    `state` is the type of the state, whose name is `moves`.
    """

    state: ClassVar[type[AbstractMeasure]]
    scheme: AbstractScheme

    @abc.abstractmethod
    def held(self, state: Any) -> tuple[AbstractMeasure, ...]:
        """The measures that the inner scheme moves."""

    @property
    def order(self) -> int:
        return self.scheme.order

    def accepts(self, measure: AbstractMeasure) -> bool:
        return isinstance(measure, self.state) and self.scheme.accepts(self.held(measure)[0])

    def check(self, model: Model, measure: AbstractMeasure, dt: float) -> None:
        for one in self.held(measure):
            self.scheme.check(model, one, dt)

    def planned(self, model: Model, measure: AbstractMeasure) -> Model:
        return self.scheme.planned(model, self.held(measure)[0])

    def prepare(self, model: Model, measure: AbstractMeasure, dt: Float[Array, ""]) -> Any:
        return self.scheme.prepare(model, self.held(measure)[0], dt)

    def complaints(self, model: Model, measure: AbstractMeasure) -> dict[str, Float[Array, ""]]:
        first, *others = (self.scheme.complaints(model, one) for one in self.held(measure))
        for other in others:
            first = {sentence: jnp.maximum(first[sentence], other[sentence]) for sentence in first}
        return first
