"""A map of two parameters, from what the catalogue knows exactly: it is made piece by piece between frames."""

import time
from collections.abc import Iterator

import numpy as np

from mckean.explore.session import ENVIRONMENT, Session
from mckean.explore.subject import Parameter

_SIDE = 16
# Facts that take longer, in seconds, would make no map in a minute.
_SLOW = 0.05


class Diagram:
    """The exact order parameter over two parameters; where it is not known, whether the uniform state is unstable.

    **Arguments:**

    - `session`: the session, whose first two parameters are the axes.
    """

    def __init__(self, session: Session):
        sliders = [p for name, p in session.parameters.items() if name != ENVIRONMENT and not p.fixed]
        named = [p for p in sliders if p.name in ("strength", "beta", "theta")]
        self.axes: tuple[Parameter, ...] = tuple((named + [p for p in sliders if p not in named])[:2])
        self.session, self.label = session, ""
        if len(self.axes) == 2:
            self.label = self._label()
        self.values = np.full((_SIDE, _SIDE), np.nan, np.float32)
        self._cells = self._fill() if self.label else iter(())
        self.done = not self.label

    def _label(self) -> str:
        """What the map shows; empty for none."""
        begun = time.perf_counter()
        entry = self.session.subject.entry({})
        if time.perf_counter() - begun > _SLOW:
            return ""
        if self.session.exact:
            curve = next(iter(self.session.exact))
            return self.session.curves["cloud"][curve].label + ", exact"
        linear = "critical strength" in entry.facts and any(axis.name == "strength" for axis in self.axes)
        return "above the critical strength" if linear else ""

    def places(self, axis: int) -> np.ndarray:
        """The values of a parameter in the middle of the cells."""
        one = self.axes[axis]
        return one.low + (np.arange(_SIDE) + 0.5) / _SIDE * (one.high - one.low)

    def work(self, seconds: float) -> None:
        """Go on for so long."""
        end = time.perf_counter() + seconds
        while not self.done and time.perf_counter() < end:
            self.done = next(self._cells, None) is None

    def _fill(self) -> Iterator[bool]:
        first, second = self.axes
        for j, y in enumerate(self.places(1)):
            for i, x in enumerate(self.places(0)):
                self.values[j, i] = self._value({first.name: float(x), second.name: float(y)})
                yield True

    def _value(self, values: dict[str, float]) -> float:
        try:
            entry = self.session.subject.entry(values)
        except ValueError:
            return np.nan
        for curve in self.session.curves["cloud"].values():
            if curve.fact in entry.facts:
                return entry[curve.fact]
        return float(values["strength"] > entry["critical strength"])
