"""One worker: it runs cells until every cell has ended."""

import contextlib
import inspect
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from mckean.cache import drop_programs
from mckean.checks import require
from mckean.faults import sentence
from mckean.sweeps._attempts import GAVE_UP, Attempts, hopeless
from mckean.sweeps._folder import Folder, writing
from mckean.sweeps._log import Log
from mckean.sweeps._table import GIVEN, Table, cell_key
from mckean.sweeps._values import encode, variables

# How long a worker that finds nothing to do waits before it looks again, in seconds.
PAUSE = 0.2


def work(function: Callable, folder: Folder, log: Log, say: Callable[[int], None] = lambda done: None) -> None:
    """Run cells until all have ended, here or elsewhere. Ctrl-C gives the cell under way back."""
    cells, looked = Attempts(folder), time.monotonic()
    with _Interrupts() as interrupts:
        while not cells.refresh().complete:
            idle = True
            for cell, attempt, dead in cells.to_run():
                interrupts.obey()
                if cells.claim(cell, attempt, log):
                    idle = False
                    run = _Run(function, folder, log, cell, attempt)
                    cells.note(run.give_up() if hopeless(dead) else run.end(interrupts))
                    say(len(cells.records))
                    if time.monotonic() > looked + PAUSE:
                        drop_programs()
                        looked = time.monotonic()
            if idle:
                time.sleep(PAUSE)
            interrupts.obey()
    say(len(cells.records))


def _asks(function: Callable) -> set[str]:
    """Which of `key` and `folder` a function takes beside its parameters."""
    try:
        return {name for name in GIVEN if name in inspect.signature(function).parameters}
    except (TypeError, ValueError):
        return set()


def require_call(function: Any, table: Table, keyed: bool) -> None:
    """Raise `ValueError` unless a function can be called with the parameters of a table, and a key if there is one."""
    require(callable(function), f"a sweep is of a function of the table's parameters, not {function!r}.")
    taken = _asks(function)
    require(keyed or "key" not in taken, "the function takes a key: give the sweep one, key=jax.random.key(seed).")
    require(not keyed or "key" in taken, "the sweep has a key, but the function takes none: give it an argument `key`.")
    names = [*table.columns, *taken]
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(**dict.fromkeys(names))
    except TypeError as error:
        raise ValueError(
            f"the function is called with {', '.join(names)} by name, but it is one of "
            f"({', '.join(signature.parameters)}): {error}."
        ) from error


@dataclass(frozen=True)
class _Run:
    """An attempt at a cell, and the record of how it ended, which is on disk when it is returned."""

    function: Callable
    folder: Folder
    log: Log
    cell: int
    attempt: int

    def end(self, interrupts: "_Interrupts") -> dict[str, Any]:
        """Run it."""
        arguments, begun, ended = self._arguments(), time.perf_counter(), {}
        try:
            with interrupts.let_through():
                found = variables(self.function(**arguments), self.folder.table.columns)
            ended = {"variables": {name: encode(variable) for name, variable in found.items()}}
        except Exception as error:
            ended = {"failure": sentence(error)}
        except BaseException:
            self._write({"free": True})
            raise
        return self._write(ended | {"seconds": round(time.perf_counter() - begun, 6)})

    def give_up(self) -> dict[str, Any]:
        """Do not run what has ended so many workers."""
        return self._write({"failure": GAVE_UP})

    def _arguments(self) -> dict[str, Any]:
        parameters = self.folder.table.cells[self.cell]
        given: dict[str, Any] = {}
        if self.folder.key is not None:
            given["key"] = cell_key(self.folder.key, parameters)
        if "folder" in _asks(self.function):
            given["folder"] = self.folder.own(self.cell)
            with writing(self.folder.path):
                given["folder"].mkdir(parents=True, exist_ok=True)
        return parameters | given

    def _write(self, ended: dict[str, Any]) -> dict[str, Any]:
        record = {"cell": self.cell, "attempt": self.attempt} | ended
        self.log.append(record)
        return record


class _Interrupts:
    """Ctrl-C: it reaches a function while that runs, and waits where it would cost what the function has just given.

    Where that cannot be had (another thread, a handler of the user's own) Python's own way stays.
    """

    def __enter__(self) -> "_Interrupts":
        main = threading.current_thread() is threading.main_thread()
        self._own, self._pressed = main and signal.getsignal(signal.SIGINT) is signal.default_int_handler, False
        self._handle(self._note)
        return self

    def __exit__(self, *_: Any) -> None:
        self._handle(signal.default_int_handler)

    def obey(self) -> None:
        """Stop if Ctrl-C was pressed."""
        if self._pressed:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def let_through(self) -> Iterator[None]:
        """While a function runs."""
        self._handle(signal.default_int_handler)
        try:
            yield
        finally:
            self._handle(self._note)

    def _note(self, number: int, frame: Any) -> None:
        self._pressed = True

    def _handle(self, handler: Callable) -> None:
        if self._own:
            signal.signal(signal.SIGINT, handler)
