"""How a run was made, in words."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import equinox as eqx

from mckean.checks import traced


class Made(Sequence):
    """Pairs (name, text) that say how a run was made. The texts are written when they are read: that takes a while.

    **Arguments:** each `name=value`; a value that JAX traces is written at once.
    """

    def __init__(self, **values: Any):
        self._values = {name: str(value) if traced(value) else value for name, value in values.items()}

    def __getstate__(self) -> dict[str, Any]:
        # In words: a model may hold functions that no file can.
        return {"_values": dict(self._pairs)}

    @cached_property
    def _pairs(self) -> tuple[tuple[str, str], ...]:
        return tuple((name, _describe(value)) for name, value in self._values.items())

    def __getitem__(self, index):
        return self._pairs[index]

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Made | tuple) and self._pairs == tuple(other))

    def __hash__(self) -> int:
        return hash(self._pairs)

    def __repr__(self) -> str:
        return repr(self._pairs)


def _describe(value: Any) -> str:
    """What a value is, with the numbers that it holds."""
    return value if isinstance(value, str) else eqx.tree_pformat(value, short_arrays=False)
