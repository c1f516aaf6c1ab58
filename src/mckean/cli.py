"""The command line: `mckean talk` and `mckean list`. What is heavy is imported only by what needs it."""

import contextlib
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, CycloptsError, Parameter

if TYPE_CHECKING:
    from mckean.talk.run import Talk

HOLDS, FAILS, USAGE, INTERRUPTED = 0, 1, 2, 130

app = App(
    name="mckean",
    help="Interacting particle systems and their mean-field limits.",
    version=lambda: metadata.version("mckean"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    0: all claims hold; 1: one fails, or a chapter broke; 2: bad usage, or what was asked for could not be run or
    written; 130: interrupted.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    if sys.stdout is None:
        return _refuse("the standard output is closed; /dev/null takes what nobody reads.")
    for stream in (sys.stdout, sys.stderr):
        # What an ASCII terminal cannot show is a question mark.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        options = {"exit_on_error": False, "print_error": False, "result_action": "return_value"}
        status = app(words, console=_console(), **options) or HOLDS
        sys.stdout.flush()
    except CycloptsError as error:
        return _refuse(error)
    except OSError as error:
        _discard_output()
        return _refuse(f"the standard output cannot be written: {error.strerror or error}.")
    except KeyboardInterrupt:
        return INTERRUPTED
    return status


def _integer(_: Any, words: Sequence[Any]) -> int:
    """An integer as it is written: 1.5 and 1e3 are none."""
    try:
        return int(words[0].value)
    except ValueError:
        raise ValueError(f"it must be an integer, not '{words[0].value}'.") from None


@app.command
def talk(
    *chapters: Annotated[str, Parameter(name="CHAPTER")],
    quick: Annotated[bool, Parameter(negative="")] = False,
    out: Path = Path("mckean-report"),
    seed: Annotated[int, Parameter(converter=_integer)] = 0,
    cache: bool = True,
) -> int:
    """Run the chapters of the talk, judge their claims and write a report.

    Args:
        chapters: The chapters to run; all of them if none is named (see `mckean list`).
        quick: Run with fewer particles and shorter times.
        out: The folder for report.html and claims.json.
        seed: The seed of all randomness; a chapter gives the same numbers alone as in the whole talk.
        cache: Keep compiled programs in your cache folder, so that the next run starts sooner.
    """
    _configure(cache)
    from mckean.talk.report import prepare, write
    from mckean.talk.report.terminal import claims_table

    try:
        names = _choose(chapters, seed)
        _require_device()
        prepare(out)
    except ValueError as error:
        return _refuse(error)
    result, reason = _run(names, quick, seed), None
    if not result.outcomes:
        # An older report is worth more than an empty one.
        print(f"mckean: stopped before a chapter had ended; '{out}' is as it was.", file=sys.stderr)
        return INTERRUPTED
    try:
        path = write(result, out)
    except OSError as error:
        path, reason = None, f"the report could not be written to '{out}': {error.strerror or error}."
    console = _console()
    console.print(claims_table(result))
    if path is None:
        return _refuse(reason)
    console.print(str(path), markup=False, highlight=False, soft_wrap=True)
    return INTERRUPTED if result.interrupted else HOLDS if result.holds else FAILS


@app.command(name="list")
def list_() -> None:
    """List the chapters of the talk and the models of the catalogue."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from mckean.catalogue import MODELS
    from mckean.talk.chapters import CHAPTERS
    from mckean.talk.report.mathematics import plain

    models = {name: (model.__doc__ or "").strip().partition("\n")[0] for name, model in MODELS.items()}
    chapters = {name: plain(chapter.title) for name, chapter in CHAPTERS.items()}
    for title, entries in (("Chapters", chapters), ("Models", models)):
        table = Table(title=title, title_justify="left", box=box.SIMPLE, show_header=False, pad_edge=False)
        for name, text in entries.items():
            table.add_row(Text(name, "bold"), Text(text))
        _console().print(table)


def _configure(cache: bool) -> None:
    """What the process of a talk has and the library never sets: double precision, and compiled programs on disk."""
    import jax

    from mckean.cache import enable

    # Whatever JAX was told or has computed before: importing the library and the chapters makes no array.
    jax.config.update("jax_enable_x64", True)
    if cache:
        enable()
    else:
        jax.config.update("jax_enable_compilation_cache", False)


def _require_device() -> None:
    """**Raises** `ValueError` where JAX finds no device of the kind that it was told to use."""
    import jax

    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        told = jax.config.values["jax_platforms"]
        raise ValueError(f"JAX finds no device here for JAX_PLATFORMS={told}; cpu is always there.") from error


def _choose(chapters: Sequence[str], seed: int) -> list[str]:
    """The names of the chapters to run; `ValueError` where nothing can be run."""
    from mckean.talk.run import LARGEST_SEED, choose

    if not 0 <= seed <= LARGEST_SEED:
        raise ValueError(f"the seed must be between 0 and {LARGEST_SEED}, but it is {seed}.")
    return choose(chapters)


def _run(names: Sequence[str], quick: bool, seed: int) -> "Talk":
    """Run the chapters and show how far they are; Ctrl-C and SIGTERM end the run and keep what is finished."""
    from mckean.talk.report.terminal import progress
    from mckean.talk.run import Talk, run_chapters

    start, outcomes, interrupted = time.perf_counter(), [], False
    with _stopped_by_sigterm(), progress(_console(error=True), names) as shown:
        try:
            for outcome in run_chapters(names, quick=quick, seed=seed, progress=shown.update):
                outcomes.append(outcome)
                # A chapter is not lost because nobody reads what became of it.
                with contextlib.suppress(OSError):
                    shown.close(outcome)
        except KeyboardInterrupt:
            interrupted = True
    return Talk(names, outcomes, seed, quick, time.perf_counter() - start, interrupted)


@contextlib.contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """A batch system ends a job by SIGTERM: as Ctrl-C does, where the process can be told."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _console(error: bool = False):
    """A rich console; where it is not a terminal, wide enough that the tables need not break."""
    from rich.console import Console

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            """Let the error through: rich would end the process with the exit status of a claim that fails."""
            raise  # noqa: PLE0704

    console = Plain(stderr=error)
    return console if console.is_terminal else Plain(stderr=error, width=120)


def _refuse(reason: object) -> int:
    """One sentence on the standard error, and the exit status of bad usage."""
    with contextlib.suppress(OSError):
        print(f"mckean: {' '.join(str(reason).split())}", file=sys.stderr)
    return USAGE


def _discard_output() -> None:
    """Let the interpreter end without a second complaint: it flushes the standard output as it goes."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
