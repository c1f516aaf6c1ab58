"""Estimates with their standard errors, over independent replicas."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mckean.checks import require, require_finite


@dataclass(frozen=True)
class Estimate:
    """A number, or an array of numbers, with its standard error.

    **Attributes:**

    - `value`: the number, or an array of any shape.
    - `stderr`: the standard error, of the same shape and unit.
    """

    value: Any
    stderr: Any

    def interval(self, deviations: float = 1.96) -> tuple[Any, Any]:
        """value ± deviations · stderr; by default the interval of 95 % for a Gaussian error.

        **Arguments:**

        - `deviations`: how many standard errors, 1.96 by default.

        **Returns:** the lower and the upper end.
        """
        return self.value - deviations * self.stderr, self.value + deviations * self.stderr

    def map(self, f: Callable, derivative: Callable) -> "Estimate":
        """f of the estimate, with the standard error |f′(value)| stderr, to first order.

        **Arguments:**

        - `f`, `derivative`: functions of the value.

        **Returns:** an `Estimate`.
        """
        return Estimate(f(self.value), np.abs(derivative(self.value)) * self.stderr)


def average(samples) -> Estimate:
    """The mean of independent samples, with its standard error s/√r.

    **Arguments:**

    - `samples`: shape (r, …), the samples along the leading axis, r ≥ 2.

    **Returns:** an `Estimate` of shape (…).

    **Raises:** `ValueError` for fewer than two samples, and for one that is not finite.
    """
    samples = np.asarray(samples, dtype=np.float64)
    require(samples.shape[0] >= 2, "a standard error needs at least two replicas.")
    require_finite("a sample", samples)
    return Estimate(samples.mean(0), samples.std(0, ddof=1) / np.sqrt(samples.shape[0]))


def root_mean_square(samples) -> Estimate:
    """√(E x²) from independent samples x, with its standard error to first order.

    **Arguments:**

    - `samples`: shape (r, …), the samples along the leading axis, r ≥ 2.

    **Returns:** an `Estimate` of shape (…).

    **Raises:** `ValueError` for fewer than two samples, and for one that is not finite.
    """
    return average(np.asarray(samples, dtype=np.float64) ** 2).map(np.sqrt, lambda v: 0.5 / np.sqrt(v))


def log_slope(x, y: Estimate) -> Estimate:
    """The exponent s of y ∝ x^s, by least squares of log y on log x.

    All points count alike: weights from estimated errors would lean towards the points that happen to lie low, since a
    sample with a small mean has a small standard error as well. The points must be independent.

    **Arguments:**

    - `x`: shape (k,), positive, k ≥ 2.
    - `y`: an `Estimate` of shape (k,), with positive values and errors.

    **Returns:** an `Estimate` of s, with the standard error that the points' own errors imply.

    **Raises:** `ValueError` for fewer points, or a value that is not positive.
    """
    x, value, stderr = (np.asarray(a, dtype=np.float64) for a in (x, y.value, y.stderr))
    require(x.size >= 2, "a slope needs at least two points.")
    positive = all(np.all((a > 0) & (a < np.inf)) for a in (x, value, stderr))
    require(positive, "a slope on logarithmic axes needs positive values and errors at positive places, finite ones.")
    abscissa = np.log(x) - np.mean(np.log(x))
    leverage = abscissa / np.sum(abscissa**2)
    return Estimate(float(leverage @ np.log(value)), float(np.linalg.norm(leverage * stderr / value)))
