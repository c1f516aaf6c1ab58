"""`mckean explore`: a model as it runs, on a page of this machine."""

import gc
import json
from typing import Annotated, Any

from cyclopts import Parameter

from mckean.cli.shell import configure, integer, refuse, require_device


def explore(
    model: Annotated[str, Parameter(name="MODEL")] = "kuramoto",
    /,
    *,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative="", consume_multiple=False)] = None,
    particles: Annotated[int | None, Parameter(converter=integer)] = None,
    shown: Annotated[int, Parameter(converter=integer)] = 100_000,
    dt: float = 0.01,
    seed: Annotated[int, Parameter(converter=integer)] = 0,
    port: Annotated[int, Parameter(converter=integer)] = 0,
    state: str = "",
    browser: bool = True,
    cache: bool = True,
) -> int | None:
    """Show a model as it runs, with a slider for each of its parameters, on a page of this machine.

    Args:
        model: A name of the catalogue (see `mckean list`), or FILE.py:name for a model of your own.
        set_: An argument of the model's constructor, as NAME=VALUE; may be given several times.
        particles: The number of particles.
        shown: How many of them are drawn.
        dt: The time step.
        seed: The seed of all randomness.
        port: The port of 127.0.0.1; any that is free if none is given.
        state: A state that the page has exported, to begin with.
        browser: Open the page in your browser; its address is printed anyway.
        cache: Keep compiled programs in your cache folder, so that the next start is sooner.
    """
    configure(cache)
    try:
        from mckean.explore.server import require_installed, serve
        from mckean.explore.session import Session

        require_installed()
        require_device()
        # What was imported stays: to look through it would take a tenth of a second each time.
        gc.freeze()
        given = dict(map(_argument, set_ or ()))
        session = Session(model, given, particles=particles, dt=dt, seed=seed)
        serve(session, port=port, browser=browser, shown=shown, state=state)
    except ValueError as error:
        return refuse(error)
    return None


def _argument(words: str) -> tuple[str, Any]:
    """NAME=VALUE, with a value as JSON writes it, or a word."""
    name, equals, value = words.partition("=")
    if not equals:
        raise ValueError(f"--set takes NAME=VALUE, not '{words}'.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
