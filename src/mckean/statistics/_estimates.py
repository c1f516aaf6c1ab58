"""Estimates with their standard errors, over independent replicas."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mckean.checks import require


@dataclass(frozen=True)
class Estimate:
    """A number, or an array of numbers, with its standard error."""

    value: Any
    stderr: Any

    def interval(self, deviations: float = 1.96) -> tuple[Any, Any]:
        """value ± deviations · stderr; 95 % where nothing is said, for a Gaussian error."""
        return self.value - deviations * self.stderr, self.value + deviations * self.stderr

    def map(self, f: Callable, derivative: Callable) -> "Estimate":
        """f of the estimate, with the standard error to first order."""
        return Estimate(f(self.value), np.abs(derivative(self.value)) * self.stderr)


def average(samples) -> Estimate:
    """Mean over the leading axis of independent samples, shape (r, …), with its standard error; r ≥ 2."""
    samples = np.asarray(samples, dtype=np.float64)
    require(samples.shape[0] >= 2, "a standard error needs at least two replicas.")
    return Estimate(samples.mean(0), samples.std(0, ddof=1) / np.sqrt(samples.shape[0]))


def root_mean_square(samples) -> Estimate:
    """√ of the mean square over the leading axis, shape (r, …), with its standard error to first order."""
    return average(np.asarray(samples, dtype=np.float64) ** 2).map(np.sqrt, lambda v: 0.5 / np.sqrt(v))


def log_slope(x, y: Estimate) -> Estimate:
    """The exponent s of y ∝ x^s: least squares of log y on log x, with the standard error that the points' own imply.

    All points count alike: weights from estimated errors would lean towards the points that happen to lie low, since a
    sample with a small mean has a small standard error as well. Points must be independent.
    **Arguments:** `x`, `y.value`, `y.stderr`: shape (k,), positive, k ≥ 2.
    **Raises** `ValueError` for fewer points or a value that is not positive.
    """
    x, value, stderr = (np.asarray(a, dtype=np.float64) for a in (x, y.value, y.stderr))
    require(x.size >= 2, "a slope needs at least two points.")
    require(np.all(value > 0) and np.all(stderr > 0), "a slope on logarithmic axes needs positive values and errors.")
    abscissa = np.log(x) - np.mean(np.log(x))
    leverage = abscissa / np.sum(abscissa**2)
    return Estimate(float(leverage @ np.log(value)), float(np.linalg.norm(leverage * stderr / value)))
