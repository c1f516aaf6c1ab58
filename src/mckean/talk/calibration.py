"""Are the errors what they are said to be? The law of all z-scores of a talk, over several seeds.

Where a claim is right and its standard error has ν degrees of freedom, z = (measured − predicted)/s, with the skewness
of the samples taken out, has Student's law, and u = F_ν(z) is uniform on [0, 1]: errors that are too small drive u to
the ends, errors that are too large to the middle, a bias to one side. A claim with a tolerance, or a bound, has no such
u, but a p-value, whose law is uniform or higher: P(p ≤ x) ≤ x.

Claims of one chapter at one seed come from the same runs and depend on one another; chapters and seeds are independent.
So the law of a statistic is found by giving the deviation N_g(x) − n_g x of each such group a random sign (the wild
bootstrap of clusters), and not from tables for independent values.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mckean.statistics import Estimate
from mckean.talk.claims import TALK_LEVEL, Claim
from mckean.talk.run import Outcome

# A tolerance below this share of the standard error moves u by less than 0.4 of it, as Student's density is below 0.4:
# by less than what a few hundred claims resolve.
_NEGLIGIBLE = 0.1
# Fewer groups than this have too few signs for a p-value.
FEWEST = 10
_DRAWS, _CELLS = 20_000, 200


@dataclass(frozen=True)
class Score:
    """A statistical claim at one seed, at a place of its chapter: z, and u, uniform if `exact`, or else higher."""

    chapter: str
    statement: str
    place: int
    seed: int
    z: float
    u: float
    exact: bool


@dataclass(frozen=True)
class Uniformity:
    """A test that values are uniform: its statistic and its p-value; NaN where there is too little to judge."""

    name: str
    count: int
    statistic: float
    p_value: float


@dataclass(frozen=True)
class Calibration:
    """What became of the claims of a talk at several seeds.

    **Arguments:**

    - `seeds`: the seeds.
    - `outcomes`: of every chapter at every seed that has ended.
    """

    seeds: Sequence[int]
    outcomes: Sequence[Outcome]

    @property
    def scores(self) -> list[Score]:
        """The scores of the statistical claims."""
        ended = [outcome for outcome in self.outcomes if not outcome.broke]
        found = [_score(claim, i, outcome) for outcome in ended for i, claim in enumerate(outcome.claims)]
        return [score for score in found if score is not None]

    @property
    def tests(self) -> list[Uniformity]:
        """Tests of all u together; a one-sided one of the claims with bounds and tolerances."""
        exact = [score for score in self.scores if score.exact]
        others = [score for score in self.scores if not score.exact]
        return [
            _tested("Kolmogorov and Smirnov, two-sided", exact, _kolmogorov),
            _tested("Anderson and Darling", exact, _anderson),
            _tested("Kolmogorov and Smirnov, one-sided, of bounds and tolerances", others, _one_sided),
        ]

    @property
    def drifts(self) -> list[tuple[str, str, float, float]]:
        """Chapter, claim, mean z and p-value of each claim over the seeds, the least likely first.

        Over K seeds Σ Φ⁻¹(u)/√K is a standard Gaussian where an exact claim is right, and −2Σ log u is at most χ² with
        2K degrees of freedom (Fisher) where one with a bound or a tolerance is: a bias that no single seed shows, and
        that the many claims whose bounds are far away do not hide.
        """
        from scipy.special import chdtrc, ndtr, ndtri

        groups: dict[tuple[str, int], list[Score]] = {}
        for score in self.scores:
            groups.setdefault((score.chapter, score.place), []).append(score)
        rows = []
        for mine in groups.values():
            u = np.clip([score.u for score in mine], 1e-15, 1 - 1e-15)
            if mine[0].exact:
                p_value = 2 * ndtr(-abs(ndtri(u).sum()) / np.sqrt(len(mine)))
            else:
                p_value = chdtrc(2 * len(mine), -2 * np.log(u).sum())
            mean = float(np.mean([score.z for score in mine]))
            rows.append((mine[0].chapter, mine[0].statement, mean, float(p_value)))
        return sorted(rows, key=lambda row: row[-1])

    @property
    def level(self) -> float:
        """What each of the tests takes of the level of the talk; the drifts together count as one."""
        return TALK_LEVEL / 4

    @property
    def holds(self) -> bool:
        """True where every claim holds at every seed and no test rejects the law of the errors."""
        drifts = self.drifts
        steady = not drifts or drifts[0][-1] * len(drifts) >= self.level
        uniform = all(not test.p_value < self.level for test in self.tests)
        return steady and uniform and all(outcome.holds for outcome in self.outcomes)

    def record(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "seeds": list(self.seeds),
            "level": self.level,
            "tests": [
                {name: None if value != value else value for name, value in dataclasses.asdict(test).items()}
                for test in self.tests
            ],
            "verdicts": [
                {"chapter": outcome.chapter.name, "seed": outcome.seed, "claim": claim.statement,
                 "verdict": claim.verdict}
                for outcome in self.outcomes for claim in outcome.claims
            ],
            "drifts": [
                dict(zip(("chapter", "claim", "mean_z", "p_value"), row, strict=True)) for row in self.drifts
            ],
            "scores": [dataclasses.asdict(score) for score in self.scores],
        }  # fmt: skip


def _score(claim: Claim, place: int, outcome: Outcome) -> Score | None:
    """None for what has no standard error, an exact interval of its own, or is false."""
    measured = claim.measured
    stochastic = isinstance(measured, Estimate) and np.isfinite(claim.stderr) and claim.stderr > 0
    if not (isinstance(measured, Estimate) and stochastic) or claim.interval is not None or claim.relation == "unequal":
        return None
    exact = claim.relation == "equal" and bool(claim.tolerance <= _NEGLIGIBLE * claim.stderr)
    below = lambda true, sign: _below(sign * float(measured.score(true)), claim.freedom)  # noqa: E731
    if exact:
        u = below(claim.predicted, 1)
    elif claim.relation == "equal":
        nearest = np.clip(claim.value, claim.predicted - claim.tolerance, claim.predicted + claim.tolerance)
        u = min(1.0, 2 * below(nearest, -1 if claim.value > nearest else 1))
    elif claim.relation == "at most":
        u = below(claim.predicted + claim.tolerance, -1)
    else:
        u = below(claim.predicted - claim.tolerance, 1)
    z = (claim.value - claim.predicted) / claim.stderr
    return Score(outcome.chapter.name, claim.statement, place, outcome.seed, float(z), float(u), exact)


def _below(t: float, freedom: float) -> float:
    """P(T ≤ t) by Student's law."""
    from scipy.special import ndtr, stdtr

    return float(ndtr(t) if np.isinf(freedom) else stdtr(freedom, t))


def _tested(name: str, scores: Sequence[Score], statistic) -> Uniformity:
    """The statistic of the mean deviation, and the share of random signs of the groups with as large a one."""
    deviations, count = deviation(scores)
    if len(deviations) < FEWEST:
        return Uniformity(name, count, np.nan, np.nan)
    found = statistic(deviations.sum(0)[None] / np.sqrt(count))[0]
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (_DRAWS, len(deviations)))
    drawn = statistic(signs @ deviations / np.sqrt(count))
    return Uniformity(name, count, float(found), float((1 + np.sum(drawn >= found)) / (1 + _DRAWS)))


def deviation(scores: Sequence[Score]) -> tuple[np.ndarray, int]:
    """N_g(x) − n_g x of each group g, a chapter at a seed, at the ends of equal cells; and the number of values."""
    x = np.arange(1, _CELLS) / _CELLS
    groups: dict[tuple[str, int], list[float]] = {}
    for score in scores:
        groups.setdefault((score.chapter, score.seed), []).append(score.u)
    rows = [np.sum(np.asarray(mine)[:, None] <= x, axis=0) - len(mine) * x for mine in groups.values()]
    return np.array(rows).reshape(len(rows), x.size), len(scores)


def _kolmogorov(rows: np.ndarray) -> np.ndarray:
    """√n sup|F_n(x) − x| of each row √n(F_n(x) − x)."""
    return np.abs(rows).max(1)


def _one_sided(rows: np.ndarray) -> np.ndarray:
    """√n sup(F_n(x) − x): too many small values."""
    return rows.max(1)


def _anderson(rows: np.ndarray) -> np.ndarray:
    """n∫(F_n(x) − x)²/(x(1 − x)) dx."""
    x = np.arange(1, _CELLS) / _CELLS
    return np.mean(rows**2 / (x * (1 - x)), axis=1)
