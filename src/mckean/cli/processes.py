"""One command in several processes on this machine, as on the hosts of a cluster, ended together."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import IO

from mckean.cli.shell import HOLDS, INTERRUPTED, refuse

_NAME = "MCKEAN_PROCESS"
# Between looks at the processes, and what one has to end by itself, in seconds.
_LOOK, _GRACE = 0.05, 2.0


def launch(command: Sequence[str], processes: int) -> int:
    """Run a command of `mckean` in so many processes, each of which calls `join`; the first writes to the terminal.

    Ctrl-C and SIGTERM reach them all, and each ends its chunk; who is in a hurry presses again.

    **Returns:** the exit status: 0 where all have ended well. Where one fails the others are ended, and a sentence
    tells which it was.
    """
    address = f"localhost:{_free_port()}"
    started: list[subprocess.Popen] = []
    with tempfile.TemporaryFile("w+") as words, _terminated_as_interrupted():
        try:
            for index in range(processes):
                quiet = {} if index == 0 else {"stdout": subprocess.DEVNULL, "stderr": words}
                environment = {**os.environ, _NAME: f"{address} {processes} {index}"}
                started.append(
                    subprocess.Popen([sys.executable, "-m", "mckean.cli", *command], env=environment, **quiet)
                )
            failed = _watch(started)
        except KeyboardInterrupt:
            _end(started, patience=None)
            return INTERRUPTED
        finally:
            _end(started, _GRACE)
        if failed is None:
            return HOLDS
        said = failed == 0 and started[0].returncode > 0
        return started[0].returncode if said else _tell(started, failed, words)


def join() -> None:
    """Meet the other processes, in one that `launch` has started; elsewhere nothing is done."""
    if _NAME not in os.environ:
        return
    import jax

    address, processes, index = os.environ.pop(_NAME).split()
    jax.distributed.initialize(
        address, int(processes), int(index), heartbeat_timeout_seconds=10, shutdown_timeout_seconds=10
    )


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("localhost", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM, by which a batch system ends a job, as Ctrl-C."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _watch(started: Sequence[subprocess.Popen]) -> int | None:
    """The process that failed first; None where all have ended well."""
    while True:
        ended = [process.poll() for process in started]
        failed = [i for i, status in enumerate(ended) if status]
        if failed:
            # Those that have lost another fail a moment later, by themselves.
            return min(failed, key=lambda i: (ended[i] or 0) >= 0)
        if all(status == 0 for status in ended):
            return None
        time.sleep(_LOOK)


def _end(started: Sequence[subprocess.Popen], patience: float | None) -> None:
    """Ask all to end, and end by force those that have not done so in time."""
    running = [process for process in started if process.poll() is None]
    for process in running:
        process.terminate()
    last = None if patience is None else time.monotonic() + patience
    for process in running:
        try:
            process.wait(None if last is None else max(0.0, last - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _tell(started: Sequence[subprocess.Popen], failed: int, words: IO[str]) -> int:
    status = started[failed].returncode
    words.seek(0)
    own = words.read().strip().splitlines()[-1:] if failed and status > 0 else []
    how = f"was stopped by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
    # Who ends by itself says whether the same command goes on.
    why = f" ({own[0].rstrip('.')})." if own else ": the same command goes on from what is there."
    return refuse(f"process {failed + 1} of {len(started)} {how}, and the others were ended{why}")
