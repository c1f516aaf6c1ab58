"""What is known exactly about a named model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mckean.models import Model


@dataclass(frozen=True)
class Fact:
    """An exact result at the entry's parameters, and the same number by another route through the library.

    `value` comes from the closed form of `reference`; `recompute`, where there is one, uses the library's own energies
    and fields instead, and agrees within `tolerance`.
    """

    statement: str
    value: float
    reference: str
    recompute: Callable[[], float] | None = None
    tolerance: float = 0.0


@dataclass(frozen=True)
class Entry:
    """A named model and its facts."""

    model: Model
    facts: Mapping[str, Fact]

    def __getitem__(self, name: str) -> float:
        """The value of a fact, by name."""
        return self.facts[name].value
