"""The rate γ of a quantity that decays like e^{−γt}, with an interval."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mckean.checks import require, require_finite


@dataclass(frozen=True)
class ExponentialRate:
    """The rate γ of a decay e^{−γt}, with an interval.

    **Attributes:**

    - `value`: γ, per time.
    - `low`, `high`: the ends of the interval in which γ lies, per time.
    """

    value: float
    low: float
    high: float

    def holds(self, rate: float) -> bool:
        """Whether a rate lies in the interval.

        **Arguments:**

        - `rate`: per time.
        """
        return self.low <= rate <= self.high


def decay_rate(times: Any, values: Any) -> ExponentialRate:
    """The rate γ of values ∝ e^{−γt}, by least squares of their logarithm along time.

    One curve is cut in three parts. γ is the slope of the last, and the interval is γ ± the change of slope from the
    second part to the third. It holds the final rate if each part at least halves the distance of the slope to it. A
    sum of exponentials does so if the parts are longer than log 2/(γ₂ − γ₁). For replicas γ is the slope of the
    logarithm of their mean, and the interval is four standard errors on each side, by the jackknife.

    **Arguments:**

    - `times`: shape (k,), increasing, k ≥ 6; time.
    - `values`: positive, shape (k,) for one curve, (r, k) for r ≥ 2 replicas.

    **Returns:** an `ExponentialRate`; per time.

    **Raises:** `ValueError` for values that are not positive (take a shorter window, that ends above rounding), for
    fewer than six times, and for a single replica.
    """
    times, values = np.asarray(times, np.float64), np.asarray(values, np.float64)
    require(values.shape[-1:] == times.shape, f"{times.size} times need as many values, not shape {values.shape}.")
    require(times.size >= 6, "a rate of decay needs at least six times.")
    require_finite("a time of a decay", times)
    require_finite("a value of a decay", values)
    require(bool(np.all(np.diff(times) > 0)), "the times of a decay must increase.")
    if values.ndim == 2:
        return _over_replicas(times, values)
    require(bool(np.all(values > 0)), "a rate of decay needs positive values: shorten the window, or mend F*.")
    _, middle, last = (_slope(t, v) for t, v in zip(np.array_split(times, 3), np.array_split(values, 3), strict=True))
    drift = abs(last - middle)
    return ExponentialRate(last, last - drift, last + drift)


def _slope(times: np.ndarray, values: np.ndarray) -> float:
    centred = times - times.mean()
    return float(-(centred @ np.log(values)) / (centred @ centred))


def _over_replicas(times: np.ndarray, values: np.ndarray) -> ExponentialRate:
    r = values.shape[0]
    require(r >= 2, "a standard error needs at least two replicas.")
    total = values.sum(0)
    require(bool(np.all(total > 0)), "a rate of decay needs positive means: shorten the window.")
    left_out = np.array([_slope(times, (total - v) / (r - 1)) for v in values])
    stderr = math.sqrt((r - 1) / r * np.sum((left_out - left_out.mean()) ** 2))
    value = _slope(times, total)
    return ExponentialRate(value, value - 4 * stderr, value + 4 * stderr)
