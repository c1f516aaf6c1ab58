"""`mckean talk`: the chapters are run, their claims judged, and a report is written."""

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mckean.cli.shell import FAILS, HOLDS, INTERRUPTED, TYPED, configure, console, integer, refuse, require_device

if TYPE_CHECKING:
    from mckean.talk.archive import Archive
    from mckean.talk.calibration import Calibration
    from mckean.talk.report.writing import Report
    from mckean.talk.run import Outcome, Talk


def talk(
    *chapters: Annotated[str, Parameter(name="CHAPTER")],
    quick: Annotated[bool, Parameter(negative="")] = False,
    out: Path = Path("mckean-report"),
    seed: Annotated[int, Parameter(converter=integer)] = 0,
    seeds: Annotated[int, Parameter(converter=integer)] = 1,
    resume: Annotated[bool, Parameter(negative="")] = False,
    cache: bool = True,
) -> int:
    """Run the chapters of the talk, judge their claims and write a report.

    Each chapter is saved as it ends, and the report is written anew. Ctrl-C ends the run and loses none of them.

    Args:
        chapters: The chapters to run; all of them if none is named (see `mckean list`).
        quick: Run with fewer particles and shorter times.
        out: The folder for report.html and claims.json; `partial` in it, while a report there has more chapters.
        seed: The seed of all randomness; a chapter gives the same numbers alone as in the whole talk.
        seeds: How many seeds, from `seed` on. With several it is tested that the errors have the law that they claim.
        resume: Go on from the chapters that an earlier run with the same seed and size has saved in the folder.
        cache: Keep compiled programs in your cache folder, so that the next run starts sooner.
    """
    configure(cache, quick)
    from mckean.talk.archive import Archive, prepare

    every, archive = range(seed, seed + seeds), Archive(out, quick)
    try:
        if seeds < 1:
            raise ValueError(f"the number of seeds must be at least 1, but it is {seeds}.")
        names = _choose(chapters, every)
        require_device()
        prepare(out)
        done = archive.find(names, every) if resume else []
    except ValueError as error:
        return refuse(error)
    return _Job(names, quick, every, archive, done).run()


def _choose(chapters: Sequence[str], seeds: range) -> list[str]:
    """The names of the chapters to run; `ValueError` where nothing can be run."""
    from mckean.talk.run import LARGEST_SEED, choose

    for seed in (seeds[0], seeds[-1]):
        if not 0 <= seed <= LARGEST_SEED:
            raise ValueError(f"the seed must be between 0 and {LARGEST_SEED}, but it is {seed}.")
    return choose(chapters)


@dataclass
class _Job:
    """A run of the talk: what is asked for, and what is there of it."""

    names: Sequence[str]
    quick: bool
    seeds: range
    archive: "Archive"
    done: "list[Outcome]"
    trouble: str = ""
    path: Path | None = None
    start: float = field(default_factory=time.perf_counter)
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> int:
        """Run it, say what came out, and return the exit status."""
        with _asked_to_stop(self.stop):
            self._chapters()
            if not self.done:
                # An older report is worth more than an empty one.
                said = f"mckean: stopped before a chapter had ended; '{self.archive.folder}' is as it was."
                print(said, file=sys.stderr)
                return INTERRUPTED
            self._write()
            holds = self._say()
            if self.path is None:
                return refuse(self.trouble)
            if self.left:
                said = f"mckean: stopped, and {self.left} left; the same command with --resume goes on."
                print(said, file=sys.stderr)
                return INTERRUPTED
        return HOLDS if holds else FAILS

    @cached_property
    def report(self) -> "Report":
        """Made where the first chapter has ended: what draws takes long to import. To be asked for under the lock."""
        from mckean.talk.report.writing import Report

        return Report(self.archive.folder, stopped=self.stop.is_set)

    @property
    def left(self) -> str:
        """How many chapters have not ended, in words; empty where all have."""
        count = len(self.names) * len(self.seeds) - len(self.done)
        return f"{count} chapter{'s are' if count > 1 else ' is'}" if count else ""

    @property
    def talk(self) -> "Talk":
        """The talk at the first seed, as far as it is."""
        from mckean.talk.run import Talk

        seconds = time.perf_counter() - self.start
        outcomes = [outcome for outcome in self.done if outcome.seed == self.seeds[0]]
        return Talk(self.names, outcomes, self.seeds[0], self.quick, seconds, TYPED.get())

    def _chapters(self) -> None:
        """Run the chapters that are not there yet, and show how far they are."""
        from mckean.talk.report.terminal import progress
        from mckean.talk.run import run_chapters

        news, skip = SimpleQueue(), {(outcome.chapter.name, outcome.seed) for outcome in self.done}
        scribe = threading.Thread(target=self._scribe, args=(news,), daemon=True)
        scribe.start()
        with progress(console(error=True), self.names, self.seeds) as shown:
            for outcome in self.done:
                shown.close(outcome)
            update, keep = _unless_closed(shown.update), _unless_closed(self.archive.keep)
            options = {"skip": skip, "progress": update, "keep": keep, "stop": self.stop}
            try:
                for outcome in run_chapters(self.names, quick=self.quick, seeds=self.seeds, **options):
                    self.done.append(outcome)
                    _unless_closed(shown.close)(outcome)
                    if outcome.seed == self.seeds[0]:
                        news.put(self.talk)
            except KeyboardInterrupt:
                self.stop.set()
        news.put(None)
        while scribe.is_alive() and not self.stop.is_set():
            scribe.join(0.1)

    def _scribe(self, news: SimpleQueue) -> None:
        """Draw and write the report as chapters end: who is asked to stop need not wait for a figure."""
        while (talk := news.get()) is not None:
            # What goes wrong here goes wrong once more at the end, where it is heard.
            with contextlib.suppress(Exception):
                with self.lock:
                    report = self.report
                for outcome in talk.outcomes:
                    report.draw(outcome)
                with self.lock:
                    if not self.stop.is_set() and news.empty():
                        report.write(talk)

    def _write(self) -> None:
        """Write the report as far as it is; a disk that is full is no reason to lose what is shown."""
        try:
            with self.lock:
                self.path = self.report.write(self.talk, *self._calibrated())
        except OSError as error:
            self.path = None
            self.trouble = f"the report could not be written to '{self.archive.folder}': {error.strerror or error}."

    def _calibrated(self) -> "list[Calibration]":
        from mckean.talk.calibration import Calibration

        whole = len(self.seeds) > 1 and not self.left
        return [Calibration(self.seeds, self.done)] if whole else []

    def _say(self) -> bool:
        """Show the claims, and return whether all is as it should be."""
        from mckean.talk.report import seeds
        from mckean.talk.report.page import headline
        from mckean.talk.report.terminal import chapters_table, troubles

        screen, talk, calibrated = console(), self.talk, self._calibrated()
        say = partial(screen.print, markup=False, highlight=False, soft_wrap=True)
        screen.print(chapters_table(talk))
        for trouble in troubles(talk):
            say(trouble)
        say(headline(talk))
        for calibration in calibrated:
            screen.print(seeds.table(calibration))
            for line in seeds.lines(calibration):
                say(line)
        if self.path is not None:
            if self.path.parent != self.archive.folder:
                say(f"The report in '{self.archive.folder}' has more chapters, and stays as it was.")
            say(str(self.path))
        return talk.holds and all(calibration.holds for calibration in calibrated)


def _unless_closed(call: Callable) -> Callable:
    """The same call, without its error where a disk is full or nobody reads: no chapter is lost for that."""

    def quiet(*arguments: Any) -> None:
        with contextlib.suppress(OSError):
            call(*arguments)

    return quiet


@contextlib.contextmanager
def _asked_to_stop(stop: threading.Event) -> Iterator[None]:
    """Let Ctrl-C set the event, and SIGTERM, by which a batch system ends a job.

    An exception in the midst of a file that is written, or of a second one's handling, would lose what is finished.
    Elsewhere than in the main thread the process cannot be told, and Python's own way stays.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, lambda *_: stop.set())
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
