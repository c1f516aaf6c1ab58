"""Where a chapter stands in the talk."""

from collections.abc import Sequence
from dataclasses import dataclass

from mckean.talk import chapters
from mckean.talk.claims import Part
from mckean.talk.run import Outcome, Talk

_NUMERALS = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X")


@dataclass(frozen=True)
class Place:
    """An outcome, the number of its chapter in the whole talk, its part and the number of that."""

    outcome: Outcome
    number: int
    part: Part
    numeral: str

    @property
    def anchor(self) -> str:
        """The id of the part in the page."""
        return f"part-{self.numeral}"


def places(talk: Talk) -> Sequence[Place]:
    """The outcomes in the order of the talk, whatever the order in which they were asked for."""
    found, number = [], 0
    outcomes = {outcome.chapter.name: outcome for outcome in talk.outcomes}
    for numeral, part in zip(_NUMERALS, chapters.PARTS, strict=False):
        for chapter in part.chapters:
            number += 1
            if chapter.name in outcomes:
                found.append(Place(outcomes[chapter.name], number, part, numeral))
    return found
