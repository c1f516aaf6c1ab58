"""What a page says to a session and is answered: JSON one way, a short header and arrays the other.

An answer is the four letters MCK1, the length of the header as 32 bits, the header in JSON with spaces up to a multiple
of four bytes, and then the arrays that the header names, in single precision. All is little-endian.
"""

import json
import math
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jax.errors import JaxRuntimeError

from mckean.checks import positive_integer, require
from mckean.explore.diagram import Diagram
from mckean.explore.reproduction import code, fragment, restore
from mckean.explore.session import Session
from mckean.measures import Density, Particles

LONGEST_MESSAGE = 1 << 17
"""Bytes; a page says nothing that is longer."""

_MAGIC = b"MCK1"
# Of a frame at 30 a second, what stepping may take; and what the page keeps.
_BUDGET, _KEPT = 0.028, 600
_SPEEDS = (1, 1000)


class Conversation:
    """A session, and what a page sees of it.

    **Arguments:**

    - `session`: the session.
    - `shown`: how many of the particles are sent, the first ones. Default: 100 000.
    """

    def __init__(self, session: Session, shown: int = 100_000):
        self.shown = positive_integer("the number of particles that are drawn is a positive integer", shown)
        self.speed, self.paused = 5, False
        self.aside: threading.Thread | None = None
        self._diagrams = 0
        self._take(session)

    def _take(self, session: Session) -> None:
        self.session, self._seen = session, False
        self._draw()
        self.series: deque[tuple[float, dict]] = deque(maxlen=_KEPT)
        # The seconds of a step, from the fastest of late: one that compiles tells nothing.
        self._paces: deque[float] = deque(maxlen=8)

    def answer(self, message: str) -> bytes:
        """What a message of the page is answered: a frame, a scene, or a sentence that refuses it.

        **Arguments:**

        - `message`: JSON, `{"do": …}` with a verb of `_VERBS` and its arguments.
        """
        try:
            verb, given = _parse(message)
            return getattr(self, f"_{verb}")(**given)
        except (ValueError, ArithmeticError, MemoryError, JaxRuntimeError) as error:
            return pack({"kind": "refused", "reason": " ".join(str(error).split())})

    def _hello(self) -> bytes:
        return self.scene()

    def scene(self) -> bytes:
        """What does not change from frame to frame, and the numbers so far."""
        session = self.session
        parameters = [vars(p) | {"value": session.values[name]} for name, p in session.parameters.items()]
        curves = {curve.name: curve.label for of in session.curves.values() for curve in of.values()}
        header = {
            "kind": "scene",
            "name": session.subject.name,
            "view": session.scene.view,
            "bounds": session.scene.bounds,
            "note": session.scene.note,
            "axes": _ends(session.limit),
            "parameters": parameters,
            "settings": session.subject.settings,
            "curves": curves,
            "exact": session.exact,
            "particles": session.particles,
            "shown": min(self.shown, session.particles),
            "dt": session.dt,
            "speed": self.speed,
            "paused": self.paused,
            "series": list(self.series),
        }
        return pack(header)

    def frame(self, steps: int = 0) -> bytes:
        """The state after so many steps more."""
        if steps:
            begun = time.perf_counter()
            self.session.advance(steps)
            self._paces.append((time.perf_counter() - begun) / steps)
        return self._state()

    def _frame(self) -> bytes:
        """A frame after as many steps as the speed and the time for a frame allow, none if paused."""
        if not self._seen:
            # The first frame is seen before what moves it is compiled.
            self._seen = True
            self._begin_aside()
            return self.frame()
        if not (self.aside and self.aside.is_alive()) and not self.diagram.shows(self.session):
            self._draw()
            self._begin_aside()
        return self.frame(0 if self.paused else self._affordable())

    def _draw(self) -> None:
        self.diagram, self._diagrams = Diagram(self.session), self._diagrams + 1

    def _begin_aside(self) -> None:
        """Compile what will be needed and make the diagram, in a thread.

        A process that ended while a program is compiled would abort, and waits for it: the thread is no daemon, and
        looks itself whether the process ends.
        """
        session, diagram, before = self.session, self.diagram, self.aside

        def lives() -> bool:
            return threading.main_thread().is_alive() and self.session is session

        def work() -> None:
            # Two threads that factor matrices at once may wait for each other for ever.
            if before is not None:
                before.join()
            if lives():
                session.warm()
            diagram.fill(lambda: lives() and diagram.shows(session))

        self.aside = threading.Thread(target=work)
        self.aside.start()

    def _affordable(self) -> int:
        if not self._paces:
            return 1
        return max(1, min(self.speed, int(_BUDGET / max(min(self._paces), 1e-9))))

    def _state(self) -> bytes:
        session = self.session
        t, observed = session.step * session.dt, session.observe()
        if not self.series or self.series[-1][0] != t:
            self.series.append((t, observed))
        found = session.exponent
        header = {
            "kind": "frame",
            "step": session.step,
            "time": t,
            "observed": observed,
            "exact": session.exact,
            "exponent": None if found is None else [float(found.value), float(found.stderr)],
            "notes": session.notes | {"diagram": self.diagram.note},
            "values": session.values,
            "paused": self.paused,
            "diagram": self._diagrams if self.diagram.label else 0,
        }
        return pack(header, self._arrays())

    def _arrays(self) -> dict[str, np.ndarray]:
        arrays, session = {}, self.session
        if isinstance(session.cloud, Particles):
            positions = np.asarray(session.cloud.positions)[: self.shown, : session.scene.shown]
            arrays["positions"] = positions
        if isinstance(session.limit, Density):
            arrays["density"] = np.asarray(session.limit.values)
        return arrays

    def _diagram(self) -> bytes:
        diagram, axes = self.diagram, [vars(axis) for axis in self.diagram.axes]
        header = {"kind": "diagram", "label": diagram.label, "axes": axes, "number": self._diagrams}
        return pack(header, {"values": diagram.values, **diagram.lines} if diagram.label else {})

    def _set(self, name: str, value: float) -> bytes:
        self.session.set(name, float(value))
        return self._frame()

    def _pause(self, on: bool) -> bytes:
        self.paused = on
        return self._frame()

    def _pace(self, steps: int) -> bytes:
        low, high = _SPEEDS
        require(low <= steps <= high, f"the speed is between {low} and {high} steps a frame, not {steps}.")
        self.speed = steps
        return self._frame()

    def _step(self) -> bytes:
        return self.frame(self.speed)

    def _reset(self) -> bytes:
        self.session.reset()
        self.series.clear()
        return self.scene()

    def _redraw(self) -> bytes:
        redraws = sum(event[1] == "redraw" for event in self.session.events)
        self.session.redraw(self.session.seed + 1 + redraws)
        return self._frame()

    def _export(self) -> bytes:
        try:
            text = fragment(self.session)
        except ValueError:
            text = ""
        return pack({"kind": "export", "code": code(self.session), "fragment": text})

    def _restore(self, fragment: str) -> bytes:
        model = self.session.model
        self._take(restore(fragment, model if isinstance(model, str) else None))
        self.paused = True
        return self.scene()


def _ends(density: Density | None) -> list[tuple[float, float]]:
    """The ends of each axis of a density, as far as its cells reach."""
    if density is None:
        return []
    steps = [(axis[1] - axis[0]) / 2 for axis in density.grid.axes]
    return [(float(a[0] - h), float(a[-1] + h)) for a, h in zip(density.grid.axes, steps, strict=True)]


_VERBS: Mapping[str, Mapping[str, type]] = {
    "hello": {},
    "frame": {},
    "step": {},
    "set": {"name": str, "value": float},
    "pause": {"on": bool},
    "pace": {"steps": int},
    "reset": {},
    "redraw": {},
    "diagram": {},
    "export": {},
    "restore": {"fragment": str},
}
"""What a page may say, with the kinds of the arguments, of which none may be left out."""

_KINDS: Mapping[type, Callable[[Any], bool]] = {
    str: lambda value: isinstance(value, str),
    bool: lambda value: isinstance(value, bool),
    int: lambda value: isinstance(value, int) and not isinstance(value, bool),
    float: lambda value: isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value),
}


def _parse(message: str) -> tuple[str, dict[str, Any]]:
    """A verb and its arguments. **Raises** `ValueError` for anything that a page does not say."""
    require(isinstance(message, str), "a message is a text.")
    require(len(message) <= LONGEST_MESSAGE, "this message is too long.")
    try:
        said = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise ValueError("a message is a JSON object.") from error
    require(isinstance(said, dict) and isinstance(said.get("do"), str), 'a message is {"do": …}.')
    verb = said.pop("do")
    require(verb in _VERBS, f"'{verb[:40]}' is not understood.")
    kinds = _VERBS[verb]
    fits = set(said) == set(kinds) and all(_KINDS[kinds[name]](value) for name, value in said.items())
    require(fits, f"'{verb}' takes {', '.join(kinds) or 'nothing'}, each of its kind.")
    return verb, said


def pack(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None) -> bytes:
    """An answer in bytes.

    **Arguments:**

    - `header`: what JSON holds; numbers that are not finite are left empty.
    - `arrays`: by name. Default: none.
    """
    arrays = {name: np.ascontiguousarray(values, "<f4") for name, values in (arrays or {}).items()}
    shapes = [{"name": name, "shape": values.shape} for name, values in arrays.items()]
    text = json.dumps(_finite({**header, "arrays": shapes}), separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    return b"".join([_MAGIC, struct.pack("<I", len(text)), text, *(values.tobytes() for values in arrays.values())])


def unpack(answer: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The header and the arrays of an answer.

    **Arguments:**

    - `answer`: as `pack` makes it.
    """
    require(answer[:4] == _MAGIC, "this is no answer of the explorer.")
    (length,) = struct.unpack("<I", answer[4:8])
    header, place, arrays = json.loads(answer[8 : 8 + length]), 8 + length, {}
    for one in header.pop("arrays"):
        count = math.prod(one["shape"])
        arrays[one["name"]] = np.frombuffer(answer, "<f4", count, place).reshape(one["shape"])
        place += 4 * count
    return header, arrays


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple | deque) else value
