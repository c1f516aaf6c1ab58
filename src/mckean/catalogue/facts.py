"""What is known exactly about a named model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mckean.models import Model


@dataclass(frozen=True)
class Fact:
    """An exact result at an entry's parameters, and the same number by another route through the library.

    **Attributes:**

    - `statement`: what the number is.
    - `value`: the number, from the closed form of `reference`.
    - `reference`: where the closed form is from.
    - `recompute`: a function that finds it again by the library's own energies and fields, or None.
    - `tolerance`: how far the two may be apart.
    """

    statement: str
    value: float
    reference: str
    recompute: Callable[[], float] | None = None
    tolerance: float = 0.0


@dataclass(frozen=True)
class Entry:
    """A named model and what is known exactly about it; `entry[name]` is the value of a fact.

    **Attributes:**

    - `model`: the `Model`.
    - `facts`: each `Fact` by its name.
    """

    model: Model
    facts: Mapping[str, Fact]

    def __getitem__(self, name: str) -> float:
        """The value of a fact, by name."""
        return self.facts[name].value
