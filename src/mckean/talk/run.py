"""The talk: chapters run side by side from one seed, and none lost because another broke."""

import contextlib
import os
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from queue import Empty, Queue, SimpleQueue
from threading import Event, Thread
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from mckean.cache import drop_programs
from mckean.checks import nearest, require
from mckean.faults import sentence
from mckean.talk import chapters
from mckean.talk.claims import SHARES, Chapter, Claim, Observation, Result, Rival

# jax.random.key takes a signed 64-bit integer, and folds a negative one onto a positive one.
LARGEST_SEED = 2**63 - 1

# The name of the threads that run chapters.
WORKER = "mckean-chapter"

TalkProgress = Callable[[str, float], None]
Keep = Callable[["Outcome"], None]


@dataclass(frozen=True)
class Outcome:
    """What became of a chapter at a seed: its result, or the sentence with which it broke."""

    chapter: Chapter
    seed: int
    what: str
    result: Result | None
    seconds: float
    error: str = ""

    @property
    def broke(self) -> bool:
        """True where the chapter raised an error."""
        return self.result is None

    @property
    def claims(self) -> Sequence[Claim]:
        """The claims; a chapter that broke has one, which fails, so that no count passes over it."""
        if self.result is not None:
            return self.result.claims
        nothing, rival = float("nan"), Rival("it breaks", 0.0)
        statement = "The chapter runs to its end"
        return [Claim(statement=statement, predicted=nothing, measured=nothing, excludes=rival, reference="")]

    @property
    def observations(self) -> Sequence[Observation]:
        """What was measured without a prediction."""
        return () if self.result is None else self.result.observations

    @property
    def note(self) -> str:
        """A sentence on what could not be run here, and why; empty where nothing was left out."""
        return "" if self.result is None else self.result.note

    @property
    def strain(self) -> float:
        """The largest `strain` of a claim; 0 where none has one."""
        return max((claim.strain for claim in self.claims if not np.isnan(claim.strain)), default=0.0)

    @property
    def holds(self) -> bool:
        """True where every claim holds."""
        return all(claim.holds for claim in self.claims)

    def count(self, verdict: str) -> int:
        """How many claims have the verdict."""
        return sum(claim.verdict == verdict for claim in self.claims)


@dataclass(frozen=True)
class Talk:
    """The chapters that a run is for, by name, and the outcomes of those that have ended.

    **Arguments:**

    - `names`: the chapters that were asked for, in the order of the report.
    - `outcomes`: in any order.
    - `seed`, `quick`: what was run.
    - `seconds`: the time on the wall.
    - `command`: the command that was typed.
    """

    names: Sequence[str]
    outcomes: Sequence[Outcome]
    seed: int
    quick: bool
    seconds: float
    command: str

    def __post_init__(self) -> None:
        place = {name: number for number, name in enumerate(self.names)}
        ordered = sorted(self.outcomes, key=lambda outcome: place[outcome.chapter.name])
        object.__setattr__(self, "outcomes", ordered)

    @property
    def claims(self) -> list[tuple[Chapter, Claim]]:
        """Every claim with its chapter, in the order of the talk."""
        return [(outcome.chapter, claim) for outcome in self.outcomes for claim in outcome.claims]

    @property
    def missing(self) -> list[str]:
        """The names of the chapters that have not ended."""
        done = {outcome.chapter.name for outcome in self.outcomes}
        return [name for name in self.names if name not in done]

    @property
    def excess(self) -> int:
        """How many claims there are beyond those that share the level of the talk; then its rate of error is larger."""
        return max(0, len(self.claims) - SHARES)

    @property
    def holds(self) -> bool:
        """True where every chapter ran to its end, every claim holds and the rate of error is what is stated."""
        return not self.missing and not self.excess and all(outcome.holds for outcome in self.outcomes)


def chapter_key(seed: int, name: str) -> PRNGKeyArray:
    """The key of a chapter: it depends on the seed and on the chapter's name, not on what runs beside it."""
    return jax.random.fold_in(jax.random.key(seed), np.uint32(zlib.crc32(name.encode())))


def choose(names: Iterable[str]) -> list[str]:
    """The chapters called `names`, each once; all of them where no name is given.

    Raises `ValueError` that proposes the nearest name for one that is not known.
    """
    known = list(chapters.CHAPTERS)
    return list(dict.fromkeys(nearest(name, known, "chapter") for name in names)) or known


def run_chapters(
    names: Iterable[str],
    *,
    quick: bool = False,
    seeds: Sequence[int] = (0,),
    skip: Collection[tuple[str, int]] = (),
    progress: TalkProgress | None = None,
    keep: Keep | None = None,
    stop: Event | None = None,
) -> Iterator[Outcome]:
    """Run chapters, one on each core, and yield them as they end.

    A chapter that raises is yielded with its error and the others run. A chapter at several seeds is compiled once.

    **Arguments:**

    - `names`: the chapters; all where there is none.
    - `quick`: with fewer particles and shorter times. Default: False.
    - `seeds`: of all randomness. Default: 0 alone.
    - `skip`: pairs of a name and a seed that are not run.
    - `progress`: called with a chapter's name and the fraction of it that is done, by the thread that runs it.
    - `keep`: called with each outcome as soon as there is one, by the thread that ran it.
    - `stop`: once it is set no chapter begins, those that run end at their next word of progress, and nobody waits.

    **Raises:** `ValueError` for a name that is not known, a seed out of range, and a process in single precision.
    """
    for seed in seeds:
        require(0 <= seed <= LARGEST_SEED, f"the seed must be between 0 and {LARGEST_SEED}, but it is {seed}.")
    double = jnp.result_type(float) == jnp.float64
    require(double, "the talk runs in double precision: call jax.config.update('jax_enable_x64', True) before it.")
    chosen = [chapters.CHAPTERS[name] for name in choose(names)]
    work = {chapter.name: [seed for seed in seeds if (chapter.name, seed) not in skip] for chapter in chosen}
    # The longest begin first, so that in the end no core waits for another.
    longest = sorted(chosen, key=lambda chapter: -chapters.SECONDS.get(chapter.name, (0, 0))[not quick])
    crew = _Crew(quick, stop or Event(), progress or _unheard, keep or _unkept)
    return crew.run([(chapter, work[chapter.name]) for chapter in longest if work[chapter.name]])


class _Stopped(BaseException):
    """Ends a chapter that nobody waits for any more; no error of the chapter."""


@dataclass(frozen=True)
class _Crew:
    """Threads that run chapters: these are compilation for the most part, which takes one core."""

    quick: bool
    stop: Event
    progress: TalkProgress
    keep: Keep
    waiting: SimpleQueue = field(default_factory=SimpleQueue)
    # No SimpleQueue: its `get` forgets its timeout where a signal comes in the last moment of it (CPython 3.11).
    ended: Queue = field(default_factory=Queue)

    def run(self, work: Sequence[tuple[Chapter, Sequence[int]]]) -> Iterator[Outcome]:
        """The outcomes as they come; those of an interrupt that came already, and then no more."""
        for each in work:
            self.waiting.put(each)
        left = sum(len(seeds) for _, seeds in work)
        # Daemons: a process that is asked to stop does not wait for a compilation.
        for _ in range(min(os.cpu_count() or 1, len(work))):
            Thread(target=self._work, name=WORKER, daemon=True).start()
        try:
            while left and not (self.stop.is_set() and self.ended.empty()):
                with contextlib.suppress(Empty):
                    outcome = self.ended.get(timeout=0.1)
                    if isinstance(outcome, BaseException):
                        raise outcome
                    left -= 1
                    yield outcome
        finally:
            # Whoever asked for the run asks the event, too: what has come to its end was not stopped.
            if left:
                self.stop.set()

    def _work(self) -> None:
        """Run what waits, until nothing does."""
        with contextlib.suppress(Empty, _Stopped):
            while True:
                chapter, seeds = self.waiting.get_nowait()
                for seed in seeds:
                    self.ended.put(self._outcome(chapter, seed))
                drop_programs()

    def _outcome(self, chapter: Chapter, seed: int) -> Outcome | BaseException:
        try:
            outcome = _run(chapter, self.quick, seed, self._heard)
            self.keep(outcome)
        except _Stopped:
            raise
        except BaseException as raised:
            return raised
        return outcome

    def _heard(self, name: str, fraction: float) -> None:
        if self.stop.is_set():
            raise _Stopped
        self.progress(name, fraction)


def _run(chapter: Chapter, quick: bool, seed: int, progress: TalkProgress) -> Outcome:
    """One chapter, with whatever it raises turned into a sentence."""
    config = chapter.quick if quick else chapter.config
    what, result, error, start = "", None, "", time.perf_counter()
    progress(chapter.name, 0.0)
    try:
        what = chapter.what(config)
        result = _ran(chapter, config, chapter_key(seed, chapter.name), progress)
    except Exception as raised:
        error = sentence(raised)
    return Outcome(chapter, seed, what, result, time.perf_counter() - start, error)


def _ran(chapter: Chapter, config: Any, key: PRNGKeyArray, progress: TalkProgress) -> Result:
    """The chapter's result, which must claim something: a chapter without claims would pass unjudged."""
    result = chapter.run(config, key, lambda fraction: progress(chapter.name, fraction))
    require(result.claims, f"the chapter '{chapter.name}' ended without a claim to judge.")
    return result


def _unheard(name: str, fraction: float) -> None:
    """Progress that nobody listens to."""


def _unkept(outcome: Outcome) -> None:
    """An outcome that nobody saves."""
