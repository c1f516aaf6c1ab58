"""`mckean hosts`: one script in several processes on this machine, as on the hosts of a cluster, ended together."""

import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from mckean.cli.shell import INTERRUPTED, refuse

_NAME = "MCKEAN_PROCESS"
# Between looks at the processes, and what one has to end by itself, in seconds.
_LOOK, _GRACE = 0.05, 2.0


def hosts(script: Path, processes: int = 2) -> int:
    """Run a script in several processes that are the hosts of one run, as a try for a cluster.

    There the script begins with jax.distributed.initialize(), which it leaves out here. mckean.shard(measure) spreads a
    measure over all of them. Where one process stops the others are ended. Double precision is on.

    Args:
        script: A file of Python.
        processes: How many.
    """
    if not script.is_file():
        return refuse(f"there is no file '{script}'.")
    if processes < 1:
        return refuse(f"there must be a process at least, but {processes} were asked for.")
    os.environ.setdefault("JAX_ENABLE_X64", "1")
    return launch([str(script)], processes)


def launch(script: Sequence[str], processes: int) -> int:
    """Run a script with its arguments in so many processes; the first one writes to the terminal.

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
                command = [sys.executable, "-m", "mckean.cli.hosts", *script]
                started.append(subprocess.Popen(command, env=environment, **quiet))
            failed = _watch(started)
        except KeyboardInterrupt:
            # Ctrl-C has reached them all: each ends its chunk.
            _end(started, ask=False)
            return INTERRUPTED
        finally:
            _end(started)
        return 0 if failed is None else _tell(started, failed, words)


def _join() -> None:
    """Meet the other processes, as one that `launch` has started."""
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
    return refuse(f"process {failed + 1} of {len(started)} {how}, and the others were ended{why}: start them again.")


if __name__ == "__main__":
    _join()
    sys.argv = sys.argv[1:]
    sys.path.insert(0, str(Path(sys.argv[0]).parent))
    runpy.run_path(sys.argv[0], run_name="__main__")
