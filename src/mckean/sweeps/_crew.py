"""Workers as processes of this machine: each imports the function anew, and computes as this process does."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from mckean.cache import enable
from mckean.checks import require
from mckean.faults import sentence
from mckean.sweeps import _function
from mckean.sweeps._attempts import Attempts
from mckean.sweeps._folder import Folder, find
from mckean.sweeps._log import Log, new_name
from mckean.sweeps._work import PAUSE, work

_REFUSED, _INTERRUPTED = 2, 130
# How long a worker may take to give its cell back, in seconds: a compilation cannot be stopped.
_PATIENCE = 10.0


@dataclass
class Crew:
    """Processes that run the cells of a sweep.

    **Arguments:**

    - `folder`: the sweep.
    - `target`: the name by which they find its function.
    - `number`: how many.
    """

    folder: Folder
    target: str
    number: int

    def run(self, log: Log, say: Callable[[int], None]) -> None:
        """Wait until all cells have ended. Those who die are replaced; an interrupt, or an error, stops all of them."""
        cells = Attempts(self.folder).refresh()
        members = [_Member(self, i) for i in range(min(self.number, self.folder.table.size - len(cells.records)))]
        try:
            while not cells.refresh().complete:
                for place, member in enumerate(members):
                    if member.died():
                        members[place] = _Member(self, place)
                say(len(cells.records))
                time.sleep(PAUSE)
            say(len(cells.records))
        finally:
            killed = _stop(members)
            for cell, attempt in cells.refresh().held_by(killed) if killed else ():
                log.append({"cell": cell, "attempt": attempt, "free": True})


class _Member:
    """A process. It ends when this one does: it sees that its input has."""

    def __init__(self, crew: Crew, place: int):
        self.name, self._folder = new_name(), crew.folder
        heard, said = os.pipe()
        about = {
            "folder": str(crew.folder.path.absolute()), "target": crew.target, "name": self.name, "said": said,
            "path": sys.path, "arguments": sys.argv, "jax": _settings(), "cores": _share(place, crew.number),
        }  # fmt: skip
        command = [sys.executable, "-c", "from mckean.sweeps._crew import main; main()"]
        # A session of its own: Ctrl-C comes to this process, which passes it on once.
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, pass_fds=(said,), start_new_session=True,
            env={"OPENBLAS_NUM_THREADS": str(len(about["cores"]) or 1)} | environment(os.environ, place, _gpus()),
        )  # fmt: skip
        os.close(said)
        self._heard = heard
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write((json.dumps(about) + "\n").encode())
            self.process.stdin.flush()

    def died(self) -> bool:
        """Whether it was killed while it worked. **Raises** `ValueError` where it could not begin or go on."""
        status = self.process.poll()
        if not status:
            return False
        said = b""
        while part := os.read(self._heard, 1 << 16):
            said += part
        require(
            status < 0 and self.began and not said,
            said.decode() or f"a worker of the sweep ended as it began, with status {status}.",
        )
        self.close()
        return True

    @property
    def began(self) -> bool:
        """Whether it has a log, and may have claimed a cell."""
        return (self._folder.logs / f"{self.name}.jsonl").exists()

    def close(self) -> None:
        """Nothing is heard from it any more."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        with contextlib.suppress(OSError):
            os.close(self._heard)


def environment(before: Mapping[str, str], place: int, gpus: int) -> dict[str, str]:
    """That of the worker at a place: GPUs are dealt out, and their memory is taken as it is needed, not in advance."""
    after = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"} | dict(before)
    # The rest of how modules are found here is told when this library has been.
    after["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    if gpus > 1:
        seen = before.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(gpus)))).split(",")
        after["CUDA_VISIBLE_DEVICES"] = seen[place % len(seen)]
    return after


def _gpus() -> int:
    return jax.local_device_count() if jax.default_backend() == "gpu" else 0


def _share(place: int, number: int) -> list[int]:
    """The cores of a worker: XLA takes all that it sees."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return cores[place % len(cores) :: number] if cores else []


def _settings() -> dict[str, Any]:
    """How JAX is set up here, as far as it can be written."""
    plain = (str, bool, int, float, type(None))
    return {name: value for name, value in jax.config.values.items() if isinstance(value, plain)}


def _stop(members: Sequence[_Member]) -> set[str]:
    """Ask processes to end, and kill those who do not; the names of these."""
    killed, until = set(), time.monotonic() + _PATIENCE
    for member in members:
        if member.process.poll() is None:
            member.process.send_signal(signal.SIGINT if member.began else signal.SIGKILL)
    for member in members:
        try:
            member.process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            member.process.kill()
            member.process.wait()
            killed.add(member.name)
        member.close()
    return killed


def main() -> None:
    """A worker, told by its input what to do."""
    # A shell has what it starts in the background ignore Ctrl-C, by which this process is asked to end.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    about = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_input, daemon=True).start()
    sys.path[:], sys.argv[:] = about["path"], about["arguments"]
    if about["cores"]:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, about["cores"])
    try:
        for name, value in about["jax"].items():
            if jax.config.values.get(name) != value:
                jax.config.update(name, value)
        enable()
        folder = find(Path(about["folder"]))
        with Log(folder, about["name"]) as log:
            work(loaded(about["target"], folder), folder, log)
        status = 0
    except KeyboardInterrupt:
        status = _INTERRUPTED
    except Exception as error:
        os.write(about["said"], sentence(error).encode())
        status = _REFUSED
    # Threads that compile or compute cannot be stopped, and Python would wait for some.
    sys.stdout.flush()
    os._exit(status)


def loaded(target: str, folder: Folder) -> Callable:
    """The function that a target names, which must be that of the sweep."""
    function = _function.load(target, folder.path)
    changed = _function.difference(_function.parts(function), folder.function["parts"])
    require(
        not changed,
        f"a process that imports '{target}' anew finds another function: {changed} differs; let the file say at its "
        "top what the function refers to, not under `if __name__ == '__main__'`.",
    )
    return function


def _end_with_input() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(_PATIENCE)
    os._exit(_INTERRUPTED)
