"""Are the errors what they are said to be? The law of all z-scores of a talk, over several seeds.

Where a claim is right and its standard error has ν degrees of freedom, z = (measured − predicted)/s has Student's law,
and u = F_ν(z) is uniform on [0, 1]: errors that are too small drive u to the ends, errors that are too large to the
middle, a bias to one side. A claim with a tolerance, or a bound, has no such u, but a p-value, whose law is uniform or
higher: P(p ≤ x) ≤ x.

Claims of one chapter at one seed come from the same runs and depend on one another; chapters and seeds are independent.
So the law of a statistic is found by giving the deviation N_g(x) − n_g x of each such group a random sign (the wild
bootstrap of clusters), and not from tables for independent values.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

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
    """A statistical claim at one seed: z, and u, which is uniform (`exact`), or uniform or higher."""

    chapter: str
    statement: str
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
        found = [_score(claim, outcome) for outcome in self.outcomes for claim in outcome.claims if not outcome.broke]
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
        """Chapter, claim, mean z and p-value of the exact claims, the least likely first.

        Over K seeds Σ Φ⁻¹(u)/√K is a standard Gaussian where the claim is right: a bias that no single seed shows.
        """
        from scipy.special import ndtr, ndtri

        groups: dict[tuple[str, str], list[Score]] = {}
        for score in self.scores:
            if score.exact:
                groups.setdefault((score.chapter, score.statement), []).append(score)
        rows = []
        for (chapter, statement), mine in groups.items():
            normal = ndtri(np.clip([score.u for score in mine], 1e-15, 1 - 1e-15))
            p_value = 2 * ndtr(-abs(normal.sum()) / np.sqrt(len(mine)))
            rows.append((chapter, statement, float(np.mean([score.z for score in mine])), float(p_value)))
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


def _score(claim: Claim, outcome: Outcome) -> Score | None:
    """None for what has no standard error, an exact interval of its own, or is false."""
    s = claim.stderr
    if not (np.isfinite(s) and s > 0) or claim.interval is not None or claim.relation == "unequal":
        return None
    z = (claim.value - claim.predicted) / s
    allowed = claim.tolerance / s
    exact = claim.relation == "equal" and bool(allowed <= _NEGLIGIBLE)
    if exact:
        u = _below(z, claim.freedom)
    elif claim.relation == "equal":
        u = min(1.0, 2 * _below(-max(abs(z) - allowed, 0.0), claim.freedom))
    else:
        u = _below((-z if claim.relation == "at most" else z) + allowed, claim.freedom)
    return Score(outcome.chapter.name, claim.statement, outcome.seed, float(z), float(u), exact)


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
