"""A run that is kept in a folder as it goes, and goes on from it."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mckean import collectives
from mckean.checks import array, require
from mckean.dynamics.book import AbstractBook, Kept
from mckean.dynamics.loop import Plan
from mckean.dynamics.made import Made
from mckean.dynamics.trajectory import Trajectory
from mckean.measures import AbstractMeasure, mesh_of
from mckean.store import RunFolder, alone, create_run, describe, split, sweep_parts, versions, writing

# Of the time of a run, what its states on disk may take.
_SHARE = 0.02


class RunBook(AbstractBook):
    """The folder of a run, made where it is not there; where it is, the run goes on from what it holds.

    Of several processes the first one writes, and all of them read.

    **Arguments:**

    - `folder`: the folder.
    - `given`: what the run was given, by name.
    - `plan`: its counts.
    - `ends`: the numbers of the run in words: until, start, dt, every.
    - `made`: how it was made, for its reader.
    """

    def __init__(self, folder: Path, given: Mapping[str, Any], plan: Plan, ends: Mapping[str, Any], made: Made):
        self.place, self.plan, self.made, self.lock = folder, plan, made, contextlib.ExitStack()
        self.mesh = mesh_of(given["measure"])
        self.writes = not collectives.over_hosts(self.mesh) or jax.process_index() == 0
        self.words, self.arrays = describe(given)
        self.words |= {
            "plan": {**ends, "first": plan.first, "steps": plan.steps, "stride": plan.stride},
            "made": [list(pair) for pair in made],
        }
        self.done, self.pieces, self.cost, self.written = 0, 1, 0.0, time.perf_counter()

    def begin(self, measure: AbstractMeasure, start: dict) -> Kept:
        key = int(self.words["key"][:15], 16)
        same = collectives.largest(collectives.of_first(key, self.mesh) != key, self.mesh) == 0
        require(same, "the processes of this run were given different arguments: give all of them the same.")
        new = bool(collectives.of_first(not (self.place / "run.json").exists(), self.mesh))
        with self._as_one("make or open"):
            if new:
                self._make(measure, start)
            elif self.writes:
                self._open()
        self.folder = RunFolder(self.place)
        state, done = self.folder.last(measure) if self.writes else (measure, 0)
        self.done = collectives.of_first(done, self.mesh)
        state = state if self.writes else self.folder.state(self.done, measure)
        pieces = [start] if new else pieces_of(self.folder, self.done, start)
        self.pieces = len(pieces)
        return state, self.done, pieces

    def _make(self, measure: AbstractMeasure, start: dict) -> None:
        times = self.plan.times(self.plan.steps)
        first = Trajectory(measure, array(times[:1]), start, self.made).to_xarray()
        with writing(self.place):
            create_run(self.place, self.words, self.arrays, start, first, times, self.writes)
        if self.writes:
            self.lock.enter_context(alone(self.place))

    def _open(self) -> None:
        self.lock.enter_context(alone(self.place))
        folder = RunFolder(self.place)
        require_same(folder, self.words)
        with writing(self.place):
            sweep_parts(self.place)
            if folder.plan != self.words["plan"]:
                folder.extend(self.words["plan"], self.words["made"], self.plan.times(self.plan.steps))

    def keep(self, kept: Kept, last: bool) -> None:
        measure, done, pieces = kept
        begun = time.perf_counter()
        due = done != self.done and (last or (begun - self.written) * _SHARE >= self.cost)
        if not collectives.largest(due, self.mesh):
            return
        new = [split(piece) for piece in pieces[self.pieces :]]
        records = {name: np.concatenate([piece[name] for piece in new]) for name in (new[0] if new else ())}
        count = self.folder.count(done) - max((len(values) for values in records.values()), default=0)
        mend = f": what was there after {self.done} steps is whole, and the run goes on from it"
        with self._as_one("write"), writing(self.place, mend):
            self.folder.keep(measure, done, count, records, self.writes)
        self.done, self.pieces, self.written = done, len(pieces), time.perf_counter()
        self.cost = self.written - begun

    @contextlib.contextmanager
    def _as_one(self, what: str) -> Iterator[None]:
        """What the first process does for all: where it cannot, none of them goes on."""
        failed: Exception | None = None
        try:
            yield
        except (OSError, ValueError) as error:
            failed = error
        if not collectives.largest(failed is not None, self.mesh):
            return
        others = f"the first process of this run could not {what} '{self.place}', and says why."
        raise failed if failed is not None else OSError(others)


def pieces_of(folder: RunFolder, done: int, start: dict) -> list[dict]:
    """The records up to so many steps as the loop holds them: the first alone, whose form is compiled."""
    count = folder.count(done)
    later = jax.tree.map(lambda a: a[1:], folder.records(count))
    return [start, later] if start and count > 1 else [start]


def require_same(folder: RunFolder, words: Mapping[str, Any]) -> None:
    """**Raises** `ValueError` unless the folder is that of this run, of these libraries, which ends then or earlier."""
    require_versions(folder)
    other = folder.differs(words)
    require(
        other is None,
        f"'{folder.folder}' holds another run, whose {_WORDS.get(str(other), other)} differs: keep this one elsewhere.",
    )
    ends, asked = folder.plan["until"], words["plan"]["until"]
    require(
        folder.plan["steps"] <= words["plan"]["steps"],
        f"'{folder.folder}' holds the run until {ends:g}, which is later than until = {asked:g}.",
    )


_WORDS = {
    "observe": "table of observables", "every": "number of steps between records", "dt": "step dt",
    "measure": "initial measure (more particles are another run, with the same noise for the first)",
}  # fmt: skip


def require_versions(folder: RunFolder) -> None:
    """**Raises** `ValueError` where the libraries are others than those that have made the folder."""
    there, here = folder.words["versions"], versions()
    for name, value in here.items():
        require(
            there.get(name) == value,
            f"'{folder.folder}' was made with {name} {there.get(name)}, but here is {name} {value}: a run goes on with "
            "the same alone; mckean.dataset reads what is there.",
        )
