"""The talk: chapters run side by side from one seed, and none lost because another broke."""

import os
import re
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from mckean.checks import nearest, require
from mckean.talk import chapters
from mckean.talk.claims import Chapter, Claim, Result

# jax.random.key takes a signed 64-bit integer, and folds a negative one onto a positive one.
LARGEST_SEED = 2**63 - 1

# Linux allows a process 65530 mappings of memory; compiled programs hold some each, and XLA crashes without more.
_MAPPINGS, _MANY = Path("/proc/self/maps"), 30_000

TalkProgress = Callable[[str, float], None]


@dataclass(frozen=True)
class Outcome:
    """What became of a chapter: its result, or the sentence with which it broke."""

    chapter: Chapter
    config: Any
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
        nothing = float("nan")
        return [Claim(statement="the chapter runs to its end", predicted=nothing, measured=nothing, reference="")]

    @property
    def note(self) -> str:
        """A sentence on what could not be run here, and why; empty where nothing was left out."""
        return "" if self.result is None else self.result.note

    @property
    def holds(self) -> bool:
        """True where every claim holds."""
        return all(claim.holds for claim in self.claims)


@dataclass(frozen=True)
class Talk:
    """The chapters that a run is for, by name, and the outcomes of those that it came to."""

    names: Sequence[str]
    outcomes: Sequence[Outcome]
    seed: int
    quick: bool
    seconds: float
    interrupted: bool = False

    @property
    def claims(self) -> list[tuple[Chapter, Claim]]:
        """Every claim with its chapter, in the order of the talk."""
        return [(outcome.chapter, claim) for outcome in self.outcomes for claim in outcome.claims]

    @property
    def holds(self) -> bool:
        """True where every chapter ran to its end and every claim holds."""
        return all(outcome.holds for outcome in self.outcomes)

    @property
    def missing(self) -> list[str]:
        """The names of the chapters that the run did not come to."""
        done = {outcome.chapter.name for outcome in self.outcomes}
        return [name for name in self.names if name not in done]


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
    names: Iterable[str], *, quick: bool = False, seed: int = 0, progress: TalkProgress | None = None
) -> Iterator[Outcome]:
    """Run the chapters called `names` (all, where there is none), one on each core, and yield them in this order.

    A chapter that raises is yielded with its error and the others run; only an interrupt ends the talk.
    `progress` is called with a chapter's name and the fraction of it that is done, from the thread that runs it.
    Raises `ValueError` for a name that is not known, a seed out of range, and a process in single precision.
    """
    require(0 <= seed <= LARGEST_SEED, f"the seed must be between 0 and {LARGEST_SEED}, but it is {seed}.")
    double = jnp.result_type(float) == jnp.float64
    require(double, "the talk runs in double precision: call jax.config.update('jax_enable_x64', True) before it.")
    chosen = [chapters.CHAPTERS[name] for name in choose(names)]
    return _side_by_side(chosen, quick, seed, progress or _unheard)


class _Stopped(BaseException):
    """Ends a chapter that nobody waits for any more; no error of the chapter."""


def _side_by_side(chosen: Sequence[Chapter], quick: bool, seed: int, progress: TalkProgress) -> Iterator[Outcome]:
    """Chapters are compilation for the most part, which takes one core."""
    stop = Event()

    def heard(name: str, fraction: float) -> None:
        if stop.is_set():
            raise _Stopped
        progress(name, fraction)

    pool = ThreadPoolExecutor(os.cpu_count())
    running = [pool.submit(_run, chapter, quick, seed, heard) for chapter in chosen]
    try:
        for chapter in running:
            yield chapter.result()
    finally:
        # Not waited for, so that what is finished can be written at once.
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)


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
    drop_programs()
    return Outcome(chapter, config, what, result, time.perf_counter() - start, error)


def drop_programs() -> None:
    """Forget what was compiled where its mappings of memory have become many; what is needed again is compiled anew."""
    if _MAPPINGS.exists() and _MAPPINGS.read_bytes().count(b"\n") > _MANY:
        jax.clear_caches()


def _ran(chapter: Chapter, config: Any, key: PRNGKeyArray, progress: TalkProgress) -> Result:
    """The chapter's result, which must claim something: a chapter without claims would pass unjudged."""
    result = chapter.run(config, key, lambda fraction: progress(chapter.name, fraction))
    require(result.claims, f"the chapter '{chapter.name}' ended without a claim to judge.")
    return result


def _unheard(name: str, fraction: float) -> None:
    """Progress that nobody listens to."""


def sentence(error: BaseException) -> str:
    """The one line of an error that says the cause; our own errors are sentences already."""
    text = str(error).strip()
    # Equinox wraps the sentence given to `error_if` in pages on how to debug.
    if wrapped := re.search(r"EquinoxRuntimeError: (.+)", text):
        return wrapped[1]
    first = text.splitlines()[0] if text else "no reason given"
    return first if isinstance(error, ValueError | ArithmeticError) else f"{type(error).__name__}: {first}"
