"""A state as what led to it: a program that reproduces it to the bit, and a text that fits behind the # of a URL."""

import base64
import binascii
import json
import zlib
from typing import Any

import jax

from mckean.checks import require
from mckean.explore.session import Session, require_session

_LONGEST, _EVENTS, _STEPS = 1 << 20, 10_000, 10_000_000
_VERBS = {"set": (str, float), "redraw": (int,), "plan": (), "halt": (str,)}
_KEYS = {"model", "parameters", "particles", "dt", "seed", "events", "steps", "double"}


def code(session: Session) -> str:
    """A program that ends in the state of a session, bit for bit, on the same machine with the same software.

    **Arguments:**

    - `session`: the session.

    **Returns:** the text of a program.
    """
    require_session(session)
    named = isinstance(session.model, str)
    made = f"{session.model!r}, {session.chosen!r}" if named else f"model, {session.chosen!r}"
    lines = [
        "import jax",
        f'\njax.config.update("jax_enable_x64", {_double()})',
        "import mckean as mk\n",
        *([] if named else ["model = …  # the one that was explored\n"]),
        "session = mk.explore.Session(",
        f"    {made},",
        f"    particles={session.particles}, dt={session.dt!r}, seed={session.seed},",
        ")",
    ]
    done = 0
    for step, verb, *given in session.events:
        if step > done:
            lines.append(f"session.advance({step - done})")
            done = step
        lines.append(f"session.{verb}({', '.join(map(repr, given))})")
    if session.step > done:
        lines.append(f"session.advance({session.step - done})")
    lines.append("session.cloud, session.limit, session.observe()")
    return "\n".join(lines) + "\n"


def fragment(session: Session) -> str:
    """A text of letters, digits, - and _ from which `restore` makes the state of a session.

    **Arguments:**

    - `session`: of a model that has a name.

    **Raises:** `ValueError` for a model that was given as an object.
    """
    require_session(session)
    require(isinstance(session.model, str), "a state is a text for a model with a name, of the catalogue or a file.")
    document = {
        "model": session.model,
        "parameters": session.chosen,
        "particles": session.particles,
        "dt": session.dt,
        "seed": session.seed,
        "events": session.events,
        "steps": session.step,
        "double": _double(),
    }
    try:
        text = json.dumps(document, separators=(",", ":"))
    except TypeError as error:
        raise ValueError(f"a state is a text where its parameters are numbers: {error}.") from error
    return base64.urlsafe_b64encode(zlib.compress(text.encode(), 9)).decode().rstrip("=")


def restore(text: str, file: str | None = None) -> Session:
    """The session of a text that `fragment` made, in the state that it had then.

    **Arguments:**

    - `text`: the text, with or without the # before it.
    - `file`: the only `FILE.py:name` that the text may name, as a text must not choose which file is run. Default:
      None, models of the catalogue alone.

    **Raises:** `ValueError` for any other text, and for a state that was reached in another precision.
    """
    document = _decode(text)
    name = document["model"]
    require(
        name == file or not name.rpartition(":")[1],
        f"this state is of the model '{name}': start the explorer with it, and then open the state.",
    )
    require(
        document["double"] == _double(),
        "this state was reached in another precision: set jax_enable_x64 as it was then.",
    )
    fresh = {key: document[key] for key in ("particles", "dt", "seed")}
    session = Session(name, document["parameters"], **fresh)
    for step, verb, *given in document["events"]:
        _go_to(session, step)
        getattr(session, verb)(*given)
    _go_to(session, document["steps"])
    return session


def _go_to(session: Session, step: int) -> None:
    if step > session.step:
        session.advance(step - session.step)


def _decode(text: str) -> dict[str, Any]:
    """The document of a text, each part of which is what it must be."""
    wrong = "this is no state of the explorer"
    require(isinstance(text, str) and len(text) <= _LONGEST, f"{wrong}: it is a text of at most {_LONGEST} letters.")
    text = text.removeprefix("#")
    try:
        opened = zlib.decompressobj()
        raw = opened.decompress(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True), _LONGEST)
        document = json.loads(raw)
    except (ValueError, binascii.Error, zlib.error, RecursionError) as error:
        raise ValueError(f"{wrong}: a part of it is missing or changed.") from error
    require(isinstance(document, dict) and set(document) == _KEYS, f"{wrong}: it has other parts.")
    plain = {"model": str, "parameters": dict, "particles": int, "dt": float, "seed": int, "steps": int}
    for key, kind in plain.items():
        require(_is(document[key], kind), f"{wrong}: its {key} is {document[key]!r}.")
    require(0 <= document["steps"] <= _STEPS, f"{wrong}: it has {document['steps']} steps.")
    require(isinstance(document["events"], list) and len(document["events"]) <= _EVENTS, f"{wrong}: its history.")
    last = 0
    for event in document["events"]:
        known = isinstance(event, list) and len(event) >= 2 and event[1] in list(_VERBS)
        require(known, f"{wrong}: {event!r} in it.")
        step, verb, *given = event
        fits = len(given) == len(_VERBS[verb]) and all(map(_is, given, _VERBS[verb]))
        require(_is(step, int) and last <= step <= document["steps"] and fits, f"{wrong}: {event!r} in it.")
        last = step
    return document


def _double() -> bool:
    """Whether double precision is on."""
    return bool(jax.config.values["jax_enable_x64"])


def _is(value: Any, kind: type) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int | float if kind is float else kind)
