"""Where a run is kept as it goes."""

import abc
import contextlib
from typing import Any

from mckean.measures import AbstractMeasure

Kept = tuple[Any, int, list]
"""A state, the number of steps that led to it, and the records on the way."""


class AbstractBook(abc.ABC):
    """Where a run is kept as it goes: what it begins with, and what is done after each chunk.

    `lock`: what is held while it runs.
    """

    lock: contextlib.ExitStack

    @abc.abstractmethod
    def begin(self, measure: AbstractMeasure, start: dict) -> Kept:
        """What is there of the run, from its initial measure and its first record on."""

    @abc.abstractmethod
    def keep(self, kept: Kept, last: bool) -> None:
        """What there is after a chunk, and whether it is the last that will be told."""


class NoBook(AbstractBook):
    """A run that lives in memory alone."""

    def __init__(self):
        self.lock = contextlib.ExitStack()

    def begin(self, measure: AbstractMeasure, start: dict) -> Kept:
        return measure, 0, [start]

    def keep(self, kept: Kept, last: bool) -> None:
        """Nothing is kept."""
