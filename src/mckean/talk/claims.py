"""What a chapter of the talk is made of: its claims and its figures. Nothing here draws or computes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import PRNGKeyArray

from mckean.checks import require
from mckean.statistics import Estimate

# The probability that chance alone makes a talk in which everything is right say that a claim fails, …
TALK_LEVEL = 1e-3
# … shared among this many claims, more than the talk has, so that a verdict does not depend on what runs beside it.
SHARES = 500
# What each claim takes of it, by Šidák's rule 1 − (1 − LEVEL)^SHARES = TALK_LEVEL: 4.75 standard errors of a Gaussian.
LEVEL = -np.expm1(np.log1p(-TALK_LEVEL) / SHARES)

Verdict = Literal["holds", "undecided", "fails"]


@dataclass(frozen=True)
class Rival:
    """The nearest wrong theory: one that a claim must be able to reject.

    **Arguments:**

    - `theory`: what is wrong in it, in a few words: "no Itô correction", "order 1/2".
    - `value`: the number that it predicts in the place of the claim's.
    """

    theory: str
    value: float


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A number that theory predicts, and the number that was measured.

    The measurement has a confidence interval, of level 1 − `LEVEL` by Student's t and the skewness of its samples, and
    the tolerance widens it on both sides: the band. The claim fails where no number in the band stands in the stated
    relation to the predicted one. It is undecided where the band holds the rival too, and holds where it does not.

    **Arguments:**

    - `statement`: what is claimed, a sentence with a verb and TeX between dollar signs, such as "The variance of the
      mean field falls as $N^s$; s".
    - `predicted`: the value by theory, or the bound that theory gives. Other code than the measurement's computes it.
    - `measured`: its value in the run; an `Estimate` where it is a statistical figure, whose error has the degrees of
      freedom of the replicas.
    - `interval`: the confidence interval of the measured number, of level 1 − `LEVEL`, where it is known exactly, as
      that of a binomial share is. By default Student's.
    - `tolerance`: the largest error that is no chance: of the step, the grid, rounding, a series cut off. It is
      derived, never fitted. 0 by default.
    - `origin`: where the tolerance comes from.
    - `from_run`: True for a tolerance that is computed from the run that it judges. The tables mark it.
    - `excludes`: the nearest wrong theory.
    - `reference`: the theorem, or the paper, that predicts.
    - `relation`: "equal", "at most" or "at least": how `measured` stands to `predicted`. "equal" by default. "unequal"
      is a negative control: a statement that is false, with the value that it predicts, and the run must say so.

    **Raises:** `ValueError` for a tolerance without an origin, and for a claim without a rival that is no control.
    """

    statement: str
    predicted: float
    measured: float | Estimate
    interval: tuple[float, float] | None = None
    tolerance: float = 0.0
    origin: str = ""
    from_run: bool = False
    excludes: Rival | None = None
    reference: str
    relation: Literal["equal", "at most", "at least", "unequal"] = "equal"

    def __post_init__(self) -> None:
        require(not self.tolerance or bool(self.origin), f"the tolerance of '{self.statement}' needs an origin.")
        control = self.relation == "unequal"
        require(control or self.excludes is not None, f"'{self.statement}' names no wrong theory that it excludes.")

    @property
    def value(self) -> float:
        """The measured number."""
        return float(self.measured)

    @property
    def stderr(self) -> float:
        """Its standard error, 0 for a number that is no statistical figure."""
        return float(self.measured.stderr) if isinstance(self.measured, Estimate) else 0.0

    @property
    def freedom(self) -> float:
        """The degrees of freedom of the standard error."""
        return float(self.measured.freedom) if isinstance(self.measured, Estimate) else np.inf

    @property
    def skewness(self) -> float:
        """The skewness that its error has by the replicas, 0 where it is not known."""
        return float(self.measured.skewness) if isinstance(self.measured, Estimate) else 0.0

    @property
    def band(self) -> tuple[float, float]:
        """The confidence interval of the measured number, widened by the tolerance."""
        estimate = self.measured if isinstance(self.measured, Estimate) else Estimate(self.value, 0.0, np.inf)
        low, high = self.interval or estimate.interval(1 - LEVEL)
        return float(low - self.tolerance), float(high + self.tolerance)

    @property
    def strain(self) -> float:
        """How far the measured number is off, as a share of what the band allows: above 1 the claim fails.

        A bound that is kept has none, and a negative control, which is to fail, has NaN.
        """
        low, high = self.band
        gap = self.predicted - self.value
        kept = {"at most": gap >= 0, "at least": gap <= 0}.get(self.relation, gap == 0)
        if self.relation == "unequal":
            return np.nan
        if kept:
            return 0.0
        reach = high - self.value if gap > 0 else self.value - low
        return abs(gap) / reach if reach > 0 else np.inf

    @property
    def verdict(self) -> Verdict:
        """What the run says of the claim. A number that is not finite fails."""
        low, high = self.band
        if not np.isfinite(low + high + self.value + self.predicted) or not self._agrees(low, high):
            return "fails"
        if self.excludes is not None and not (self.excludes.value < low or high < self.excludes.value):
            return "undecided"
        return "holds"

    @property
    def holds(self) -> bool:
        """True where the claim holds, and is not undecided."""
        return self.verdict == "holds"

    def _agrees(self, low: float, high: float) -> bool:
        if self.relation == "at most":
            return low <= self.predicted
        if self.relation == "at least":
            return high >= self.predicted
        inside = low <= self.predicted <= high
        return not inside if self.relation == "unequal" else inside


@dataclass(frozen=True, kw_only=True)
class Observation:
    """A number that was measured, of which no theory says what it should be: shown without a verdict.

    **Arguments:**

    - `statement`: what was measured, as for a `Claim`.
    - `measured`: the number, an `Estimate` where it is a statistical figure.
    - `reference`: who reports such a number, or what makes it worth seeing.
    """

    statement: str
    measured: float | Estimate
    reference: str = ""


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
    """What running a chapter gave.

    **Arguments:**

    - `claims`: what theory predicts, each with its verdict.
    - `figures`: what is drawn.
    - `observations`: what was measured without a prediction.
    - `note`: a sentence on what could not be run here, and why.
    """

    claims: Sequence[Claim]
    figures: Sequence[Figure]
    observations: Sequence[Observation] = ()
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


@dataclass(frozen=True)
class Part:
    """A part of the talk.

    **Arguments:**

    - `title`: its title.
    - `opening`: the paragraph that opens it, prose with TeX between dollar signs.
    - `chapters`: its chapters, in their order.
    - `picture`: the name of the chapter whose first panel stands at its head.
    """

    title: str
    opening: str
    chapters: Sequence[Chapter]
    picture: str
