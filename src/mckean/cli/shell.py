"""What every command has in common: exit statuses, a console, a sentence where it refuses, and how JAX is set up."""

import contextlib
import gc
import os
import sys
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

HOLDS, FAILS, USAGE, INTERRUPTED = 0, 1, 2, 130

# The command as it was typed, for the report.
TYPED: ContextVar[str] = ContextVar("typed")


def integer(_: Any, words: Sequence[Any]) -> int:
    """An integer as it is written: 1.5 and 1e3 are none."""
    try:
        return int(words[0].value)
    except ValueError:
        raise ValueError(f"it must be an integer, not '{words[0].value}'.") from None


def configure(cache: bool, quick: bool = False) -> None:
    """What the process of a command has and the library never sets: double precision, and compiled programs on disk.

    Where runs are `quick`, programs are compiled with few optimisations, unless `XLA_FLAGS` says how.
    """
    import jax

    from mckean.cache import compile_fast, enable

    # Tracing makes millions of objects that soon go; the collector would look at all others for each 700 of them.
    gc.set_threshold(100_000, 50, 100)

    if quick:
        # Such programs take longer to compile than to run: of the talk's quick chapters a sixth of the time is saved.
        compile_fast(1)

    # Whatever JAX was told or has computed before: importing the library and the chapters makes no array.
    jax.config.update("jax_enable_x64", True)
    if cache:
        enable()
    else:
        jax.config.update("jax_enable_compilation_cache", False)


def require_device() -> None:
    """**Raises** `ValueError` where JAX finds no device of the kind that it was told to use."""
    import jax

    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        told = jax.config.values["jax_platforms"]
        raise ValueError(f"JAX finds no device here for JAX_PLATFORMS={told}; cpu is always there.") from error


def console(error: bool = False):
    """A rich console; where it is not a terminal, wide enough that the tables need not break."""
    from rich.console import Console

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            """Let the error through: rich would end the process with the exit status of a claim that fails."""
            raise  # noqa: PLE0704

    console = Plain(stderr=error)
    return console if console.is_terminal else Plain(stderr=error, width=120)


def refuse(reason: object) -> int:
    """One sentence on the standard error, and the exit status of bad usage."""
    with contextlib.suppress(OSError):
        print(f"mckean: {' '.join(str(reason).split())}", file=sys.stderr)
    return USAGE


def leave(status: int) -> None:
    """End the process at once: threads that compile or compute cannot be stopped, and Python would wait for some."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def discard_output() -> None:
    """Let the interpreter end without a second complaint: it flushes the standard output as it goes."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
