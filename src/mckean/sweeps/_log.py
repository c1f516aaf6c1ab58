"""The log of a worker: a line of JSON for each cell that it has ended, and the sign that it lives.

A line that a process was killed in, or that the disk had no room for, is no line: the cell is run again.
"""

import contextlib
import fcntl
import json
import os
import platform
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mckean import store
from mckean.sweeps._folder import Folder, now, software, writing

# A worker of another machine that has not shown itself for so long, in seconds, is taken for dead.
_LEASE, _BEAT = 120.0, 20.0
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Log:
    """What one worker writes. It is locked while the worker lives, and touched for those who do not see the lock."""

    def __init__(self, folder: Folder, name: str = ""):
        self.name, self._folder, self._synced = name or new_name(), folder, 0.0
        with writing(folder.path):
            for place in (folder.logs, folder.claims):
                place.mkdir(exist_ok=True)
            self._path = folder.logs / f"{self.name}.jsonl"
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
            fcntl.flock(self._file, fcntl.LOCK_EX)
            store.sync_folder(folder.logs)
        self.append({"machine": _machine(), "host": platform.node(), "begun": now(), "software": software()})
        self._ended = threading.Event()
        threading.Thread(target=self._beat, daemon=True).start()

    def append(self, record: dict[str, Any]) -> None:
        """Add a line; it is there whole, or not at all."""
        line, before = (json.dumps(record) + "\n").encode(), os.fstat(self._file).st_size
        with writing(self._folder.path):
            try:
                rest = memoryview(line)
                while rest:
                    rest = rest[os.write(self._file, rest) :]
            except OSError:
                os.ftruncate(self._file, before)
                raise
            # A process that ends loses nothing of it, a machine that does the last second.
            if time.monotonic() > self._synced + 1:
                os.fsync(self._file)
                self._synced = time.monotonic()

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *_: Any) -> None:
        self._ended.set()
        with contextlib.suppress(OSError):
            os.fsync(self._file)
        os.close(self._file)

    def _beat(self) -> None:
        while not self._ended.wait(_BEAT):
            with contextlib.suppress(OSError):
                os.utime(self._path)


class Reader:
    """The logs of all workers, read from where the last reading ended."""

    def __init__(self, folder: Folder):
        self._folder = folder
        self._read: dict[str, int] = {}
        self._machines: dict[str, str] = {}

    def news(self) -> Iterator[dict[str, Any]]:
        """The records of cells that have come since the last time."""
        for path in sorted(self._folder.logs.glob("*.jsonl")):
            yield from self._news_of(path)

    def _news_of(self, path: Path) -> Iterator[dict[str, Any]]:
        begin = self._read.get(path.name, 0)
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_size == begin:
                return
            with path.open("rb") as file:
                file.seek(begin)
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    begin += len(line)
                    with contextlib.suppress(ValueError):
                        record = json.loads(line)
                        about = record if isinstance(record, dict) else {}
                        self._machines.setdefault(path.stem, about.get("machine", ""))
                        if self._of_a_cell(about):
                            yield about
        self._read[path.name] = begin

    def _of_a_cell(self, about: dict[str, Any]) -> bool:
        """Whether a line is of a cell of this sweep: another one is no line."""
        cell, attempt = about.get("cell"), about.get("attempt")
        return isinstance(cell, int) and isinstance(attempt, int) and 0 <= cell < self._folder.table.size

    def anyone(self) -> bool:
        """Whether any worker lives."""
        list(self.news())
        return any(self.lives(path.stem) for path in self._folder.logs.glob("*.jsonl"))

    def lives(self, name: str) -> bool:
        """Whether a worker lives: by its lock on this machine, by when it last touched its log on others."""
        path = self._folder.logs / f"{name}.jsonl"
        try:
            with path.open("rb") as file:
                if self._machines.get(name) == _machine():
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    return False
                return _clock(self._folder) - os.fstat(file.fileno()).st_mtime < _LEASE
        except BlockingIOError:
            return True
        except FileNotFoundError:
            return False


def new_name() -> str:
    """A name that no other worker has."""
    return f"{platform.node() or 'worker'}-{os.getpid()}-{secrets.token_hex(3)}"


def _machine() -> str:
    """What processes have in common that see each other's locks."""
    return _BOOT.read_text().strip() if _BOOT.exists() else platform.node()


def _clock(folder: Folder) -> float:
    """The time of the disk, which all machines share."""
    own = folder.claims / ".clock"
    own.touch()
    return own.stat().st_mtime
