"""Several processes of one run on this machine, as on the hosts of a cluster: started, watched, and ended together."""

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from typing import IO

from mckean.cli.shell import INTERRUPTED, refuse

_NAME = "MCKEAN_PROCESS"
# Between looks at the processes, and what one has to end by itself, in seconds.
_LOOK, _GRACE = 0.05, 2.0


def launch(command: Sequence[str], processes: int) -> int:
    """Run a command in so many processes, which find each other by `join`; the first one writes to the terminal.

    **Returns:** the exit status: 0 where all have ended well. Where one fails the others are ended, and a sentence
    tells which it was.
    """
    address = f"localhost:{_free_port()}"
    started: list[subprocess.Popen] = []
    with tempfile.TemporaryFile("w+") as words:
        try:
            for index in range(processes):
                quiet = {} if index == 0 else {"stdout": subprocess.DEVNULL, "stderr": words}
                environment = {**os.environ, _NAME: f"{address} {processes} {index}"}
                started.append(subprocess.Popen(command, env=environment, **quiet))
            failed = _watch(started)
        except KeyboardInterrupt:
            # Ctrl-C has reached them all: each ends its chunk.
            _end(started, ask=False)
            return INTERRUPTED
        finally:
            _end(started)
        return 0 if failed is None else _tell(started, failed, words)


def join() -> None:
    """Meet the other processes, where `launch` has started this one."""
    if _NAME not in os.environ:
        return
    import jax

    address, processes, index = os.environ[_NAME].split()
    jax.distributed.initialize(
        address, int(processes), int(index), heartbeat_timeout_seconds=10, shutdown_timeout_seconds=10
    )


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("localhost", 0))
        return one.getsockname()[1]


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


def _end(started: Sequence[subprocess.Popen], ask: bool = True) -> None:
    running = [process for process in started if process.poll() is None]
    for process in running if ask else ():
        process.terminate()
    last = time.monotonic() + _GRACE
    for process in running:
        try:
            process.wait(max(0.0, last - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _tell(started: Sequence[subprocess.Popen], failed: int, words: IO[str]) -> int:
    status = started[failed].returncode
    words.seek(0)
    own = words.read().strip().splitlines()[-1:] if failed and status > 0 else []
    how = f"was stopped by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
    why = "".join(f" ({line})" for line in own)
    return refuse(
        f"process {failed + 1} of {len(started)} {how}, and the others were ended{why}: start them again; a run that "
        "is kept on disk goes on from there."
    )
