"""Lifetimes, some of which had not ended when the watch did: survival, rate, and whether they are exponential.

Of r lives with the constant rate λ let the d-th end when all together have been watched for the time S_d = Σ_i min(t_i,
t_(d)). Then 2λS_d has a χ² law with 2d degrees of freedom, and S_1/S_d, …, S_{d−1}/S_d are d − 1 sorted uniform numbers
(Epstein and Sobel, J. Amer. Statist. Assoc. 48, 1953).
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from mckean.checks import number, require, require_finite


@dataclass(frozen=True, eq=False)
class Lifetimes:
    """Independent lifetimes t_i, and which of them were seen to end.

    **Arguments:**

    - `times`: t, shape (r,), not negative; the time of the end, or the last time at which a life went on.
    - `ended`: shape (r,), whether the end was seen.

    **Raises:** `ValueError` for other shapes, and for a time that is negative or not finite.
    """

    times: Any
    ended: Any

    def __post_init__(self) -> None:
        times, ended = np.asarray(self.times, float), np.asarray(self.ended, bool)
        require(
            times.ndim == 1 and times.size > 0 and ended.shape == times.shape,
            f"lifetimes and whether they ended have one shape (r,), not {times.shape} and {ended.shape}.",
        )
        require_finite("a lifetime", times)
        require(np.all(times >= 0), "a lifetime must not be negative.")
        object.__setattr__(self, "times", times)
        object.__setattr__(self, "ended", ended)

    @property
    def ends(self) -> int:
        """d, how many ends were seen."""
        return int(self.ended.sum())

    @property
    def rate(self) -> float:
        """λ = d/Σt_i, 1/time: the likeliest constant rate."""
        require(self.times.sum() > 0, "a rate needs a time that was watched.")
        return self.ends / float(self.times.sum())

    def after(self, time: float) -> "Lifetimes":
        """The lives that last longer than a time s, counted from then on, t − s: those of a state that has settled.

        A constant rate is the same after any time, whatever happens before it.

        **Arguments:**

        - `time`: s, not negative.

        **Returns:** `Lifetimes`.

        **Raises:** `ValueError` for a time that is negative or not finite, and where no life lasts longer.
        """
        s = number("the time from which lives are counted", time)
        late = self.times > s
        require(s >= 0, f"the time from which lives are counted must not be negative, but {s:g} was given.")
        require(bool(late.any()), f"no life of these lasts longer than {s:g}.")
        return Lifetimes(self.times[late] - s, self.ended[late])

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The confidence interval of a constant rate, 1/time.

            P(χ²_{2d} ≤ 2λ_−Σt) = (1 − level)/2 = P(χ²_{2d+2} ≥ 2λ_+Σt)

        Where the watch ends with an end, its level is at least the one that is asked for; where it ends at a fixed
        time, it is up to the order 1/d.

        **Arguments:**

        - `level`: the probability that the interval holds the rate. Default: 0.95.

        **Returns:** the lower and the upper end.

        **Raises:** `ValueError` for a level that is not between 0 and 1.
        """
        require(0 < level < 1, f"a level of confidence lies between 0 and 1, but {level} was given.")
        require(self.times.sum() > 0, "a rate needs a time that was watched.")
        from scipy.special import gammaincinv

        tail, total = (1 - level) / 2, float(self.times.sum())
        low = float(gammaincinv(self.ends, tail)) if self.ends else 0.0
        return low / total, float(gammaincinv(self.ends + 1, 1 - tail)) / total

    def survival(self, level: float = 0.95) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The share of lives that go on, by Kaplan and Meier, with a band at each time.

        **Arguments:**

        - `level`: the probability that the band at one time holds the share. Default: 0.95.

        **Returns:** times, shares, and the lower and the upper end of the band, each of shape (k,); the ends are NaN
        where nothing has ended yet, or all have.

        **Raises:** `ValueError` for a level that is not between 0 and 1.

        **Source:** Kaplan and Meier, J. Amer. Statist. Assoc. 53 (1958), with bands for log(−log S).
        """
        require(0 < level < 1, f"a level of confidence lies between 0 and 1, but {level} was given.")
        from scipy.stats import CensoredData, ecdf

        share = ecdf(CensoredData(uncensored=self.times[self.ended], right=self.times[~self.ended])).sf
        with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
            band = share.confidence_interval(level, method="log-log")
        return share.quantiles, share.probabilities, band.low.probabilities, band.high.probabilities

    def exponential(self) -> float:
        """The probability of sorted times as uneven as these where the rate is constant, by Kolmogorov's test.

        **Returns:** a p-value of S_1/S_d, …, S_{d−1}/S_d as uniform numbers.

        **Raises:** `ValueError` where fewer than three ends were seen, or all of them at time 0.
        """
        require(self.ends >= 3, f"a test of lifetimes needs three ends, but {self.ends} were seen.")
        require(self.times.sum() > 0, "a test of lifetimes needs a time that was watched.")
        from scipy.stats import kstest

        ends = np.sort(self.times[self.ended])
        watched = np.minimum(self.times[:, None], ends).sum(axis=0)
        found: Any = kstest(watched[:-1] / watched[-1], "uniform")
        return float(found.pvalue)
