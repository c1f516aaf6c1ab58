"""The chapters of the talk, each run and judged."""

from mckean.experiments import (
    common_noise,
    conditional,
    coupling,
    dissipation,
    fluctuations,
    ledger,
    limit,
    passive,
    summation,
    toy,
    transition,
    uniqueness,
)
from mckean.experiments.chapter import Chapter as Chapter
from mckean.experiments.chapter import Claim as Claim
from mckean.experiments.chapter import Result as Result

CHAPTERS = {
    module.CHAPTER.name: module.CHAPTER
    for module in (
        fluctuations,
        limit,
        coupling,
        dissipation,
        transition,
        summation,
        common_noise,
        conditional,
        ledger,
        passive,
        uniqueness,
        toy,
    )
}
"""The chapters by name, in the order of the talk."""
