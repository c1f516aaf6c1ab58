"""The chapters of the talk, each run and judged."""

from mckean.experiments import coupling, dissipation, fluctuations, limit, summation, transition
from mckean.experiments.chapter import Chapter as Chapter
from mckean.experiments.chapter import Claim as Claim
from mckean.experiments.chapter import Result as Result

CHAPTERS = {
    module.CHAPTER.name: module.CHAPTER
    for module in (fluctuations, limit, coupling, dissipation, transition, summation)
}
"""The chapters by name, in the order of the talk."""
