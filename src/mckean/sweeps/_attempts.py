"""What became of the cells: who runs which, and which are to be run.

An attempt at a cell is claimed by making a link with the cell's number and the attempt's: of several workers one
succeeds. The next attempt may be claimed once this one is over: given back, or of a worker that is dead. So a cell that
is run to its end is run once, whoever died on the way.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from mckean.sweeps._folder import Folder, writing
from mckean.sweeps._log import Log, Reader

# A cell that has ended so many workers in a row without a word is not tried again by itself.
_MOST = 3
GAVE_UP = (
    f"the process that ran it ended without a word, {_MOST} times: it was killed, perhaps for its memory; retry=True "
    "tries again"
)


class Attempts:
    """The attempts at the cells of a sweep, as the folder shows them.

    **Arguments:**

    - `folder`: the sweep.
    - `keep`: whether to keep what the cells gave. Default: no, only that they are done.

    **Attributes:**

    - `records`: what was written of each cell that has ended, by its number: done, or failed at its last attempt.
    """

    def __init__(self, folder: Folder, keep: bool = False):
        self.records: dict[int, dict[str, Any]] = {}
        self._folder, self._keep, self._reader = folder, keep, Reader(folder)
        # The attempts that were given back.
        self._over: set[tuple[int, int]] = set()

    @property
    def complete(self) -> bool:
        """Whether every cell has ended."""
        return len(self.records) == self._folder.table.size

    @property
    def failed(self) -> dict[int, str]:
        """The sentence of each cell that failed."""
        return {cell: self.records[cell]["failure"] for cell in sorted(self.records) if "failure" in self.records[cell]}

    def refresh(self) -> "Attempts":
        """Read what has come."""
        for record in self._reader.news():
            self.note(record)
        return self

    def note(self, record: dict[str, Any]) -> None:
        """Take a record into account: what is done stays done, and a failure counts until its attempt is given back."""
        cell, attempt = record["cell"], record["attempt"]
        before = self.records.get(cell)
        if "free" in record:
            self._over.add((cell, attempt))
            if before is not None and "failure" in before and before["attempt"] <= attempt:
                del self.records[cell]
        elif "failure" in record:
            late = before is not None and ("failure" not in before or before["attempt"] > attempt)
            if not late and (cell, attempt) not in self._over:
                self.records[cell] = record
        else:
            self.records[cell] = record if self._keep else {"cell": cell, "attempt": attempt}

    def to_run(self) -> Iterator[tuple[int, int, int]]:
        """The cells that nobody runs, each with the attempt to claim, and how many before it ended without a word."""
        attempts, living = self._counts(), {}
        for cell in range(self._folder.table.size):
            if cell in self.records:
                continue
            attempt = attempts.get(cell, 0)
            if attempt and (cell, attempt - 1) not in self._over:
                owner = self._owner(cell, attempt - 1)
                if owner not in living:
                    living[owner] = self._reader.lives(owner)
                    # In this order: what the dead have written is all there.
                    self.refresh()
                if living[owner] or cell in self.records or (cell, attempt - 1) in self._over:
                    continue
            yield cell, attempt, self._dead(cell, attempt)

    def held_by(self, names: set[str]) -> list[tuple[int, int]]:
        """The attempts of these workers that have not ended."""
        last = [(cell, count - 1) for cell, count in self._counts().items() if cell not in self.records]
        return [(cell, attempt) for cell, attempt in last if self._owner(cell, attempt) in names]

    def claim(self, cell: int, attempt: int, log: Log) -> bool:
        """Take an attempt at a cell, unless another worker has it."""
        with writing(self._folder.path), contextlib.suppress(FileExistsError):
            os.symlink(f"../workers/{log.name}.jsonl", self._place(cell, attempt))
            return True
        return False

    def _dead(self, cell: int, attempt: int) -> int:
        """How many attempts before this one, without a gap, ended without a word."""
        count = 0
        while count < attempt and (cell, attempt - 1 - count) not in self._over:
            count += 1
        return count

    def _counts(self) -> dict[int, int]:
        """How many attempts at each cell were claimed."""
        found: dict[int, int] = {}
        for name in os.listdir(self._folder.claims):
            cell, _, attempt = name.partition(".")
            if cell.isdecimal() and attempt.isdecimal():
                found[int(cell)] = max(found.get(int(cell), 0), int(attempt) + 1)
        return found

    def _owner(self, cell: int, attempt: int) -> str:
        try:
            return os.path.basename(os.readlink(self._place(cell, attempt))).removesuffix(".jsonl")
        except OSError:
            return ""

    def _place(self, cell: int, attempt: int) -> str:
        return str(self._folder.claims / f"{self._folder.number(cell)}.{attempt}")


def hopeless(dead: int) -> bool:
    """Whether so many workers have died of a cell that it is not tried again by itself."""
    return dead >= _MOST
