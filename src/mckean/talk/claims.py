"""What a chapter of the talk is made of: its claims and its figures. Nothing here draws or computes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import PRNGKeyArray

# A verdict at this many standard errors is wrong by chance with probability 6e-5 (3e-5 for a one-sided claim).
STANDARD_ERRORS = 4.0


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A number that theory predicts, and the number that was measured.

    The claim holds if the measured number stands in the stated relation to the predicted one, up to
    4 stderr + tolerance. Both errors are 0 by default: who leaves one out is judged more strictly.

    **Arguments:**

    - `quantity`: what the number is, in a line of prose with TeX between dollar signs.
    - `predicted`: its value by theory, or the bound that theory gives.
    - `measured`: its value in the run.
    - `stderr`: the standard error of `measured` (and of `predicted`, where it was measured too). 0 by default.
    - `tolerance`: the largest error that is no chance: of the step, the grid, rounding, a series cut off. It is
      derived, never fitted. 0 by default.
    - `origin`: where the tolerance comes from.
    - `reference`: the theorem, or the paper, that predicts.
    - `relation`: "equal", "at most" or "at least": how `measured` stands to `predicted`. "equal" by default.
    """

    quantity: str
    predicted: float
    measured: float
    stderr: float = 0.0
    tolerance: float = 0.0
    origin: str = ""
    reference: str
    relation: Literal["equal", "at most", "at least"] = "equal"

    @property
    def allowance(self) -> float:
        """How far the measured number may be off: 4 stderr + tolerance."""
        return STANDARD_ERRORS * self.stderr + self.tolerance

    @property
    def holds(self) -> bool:
        """The verdict. A number that is not finite fails."""
        excess = self.measured - self.predicted
        if not np.isfinite(excess + self.allowance):
            return False
        if self.relation == "at most":
            return bool(excess <= self.allowance)
        if self.relation == "at least":
            return bool(excess >= -self.allowance)
        return bool(abs(excess) <= self.allowance)


@dataclass(frozen=True)
class Series:
    """One curve or set of points of a panel; `error` is a standard error (bars for points, a band for lines)."""

    x: Any
    y: Any
    label: str = ""
    error: Any = None
    kind: Literal["line", "points", "dashed", "steps"] = "line"


@dataclass(frozen=True)
class Panel:
    """One pair of axes; labels carry units (dimensionless quantities say so or need none)."""

    xlabel: str
    ylabel: str
    series: Sequence[Series]
    title: str = ""
    xscale: Literal["linear", "log"] = "linear"
    yscale: Literal["linear", "log"] = "linear"
    vertical: Sequence[tuple[float, str]] = ()


@dataclass(frozen=True)
class Film:
    """Fields on a rectangle, drawn as colours: a frame for each row and column, all on one scale of colours.

    `frames` has shape (rows, columns, n_x, n_y), `sides` are the lengths of the rectangle; `rows` and `columns` say
    what the frames of each have in common. `label` is that of the colours, with the unit.
    """

    frames: Any
    sides: Sequence[float]
    rows: Sequence[str]
    columns: Sequence[str]
    label: str
    xlabel: str = "$x_1$"
    ylabel: str = "$x_2$"
    title: str = ""


@dataclass(frozen=True)
class Figure:
    """Panels side by side, with a caption that says what is to be seen."""

    caption: str
    panels: Sequence[Panel | Film]


@dataclass(frozen=True)
class Result:
    """What running a chapter gave; `note` is a sentence on what could not be run here, and why."""

    claims: Sequence[Claim]
    figures: Sequence[Figure]
    note: str = ""


Progress = Callable[[float], None]


@dataclass(frozen=True)
class Chapter:
    """A chapter: the statement of theory (prose with TeX between dollar signs), what is run, and how.

    `run(config, key, progress)` returns a `Result`; `progress` is called with the fraction done.
    `what` is a function of the config that says in a sentence what was run.
    """

    name: str
    title: str
    statement: str
    what: Callable[[Any], str]
    run: Callable[[Any, PRNGKeyArray, Progress], Result]
    config: Any
    quick: Any
    references: Sequence[str] = field(default_factory=tuple)
