"""Estimates with their standard errors, over independent replicas."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mckean.checks import require, require_finite
from mckean.digits import measurement


@dataclass(frozen=True)
class Estimate:
    """A number, or an array of numbers, with its standard error.

    It prints as 0.405 ± 0.030. `float`, an index, a comparison and NumPy's functions take it as its value.

    **Attributes:**

    - `value`: the number, or an array of any shape.
    - `stderr`: the standard error, of the same shape and unit.
    """

    value: Any
    stderr: Any

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.array(self.value, dtype) if copy else np.asarray(self.value, dtype)

    def __float__(self) -> float:
        return float(self.value)

    def __getitem__(self, index) -> "Estimate":
        return Estimate(np.asarray(self.value)[index], np.asarray(self.stderr)[index])

    def __len__(self) -> int:
        return len(self.value)

    def __lt__(self, other):
        return np.less(self, other)

    def __le__(self, other):
        return np.less_equal(self, other)

    def __gt__(self, other):
        return np.greater(self, other)

    def __ge__(self, other):
        return np.greater_equal(self, other)

    def __str__(self) -> str:
        if not np.ndim(self.value):
            return measurement(self.value, self.stderr)
        pairs = np.asarray(np.frompyfunc(measurement, 2, 1)(self.value, self.stderr))
        return np.array2string(pairs, formatter={"all": str}, separator=", ")

    def __repr__(self) -> str:
        return f"Estimate({self})"

    def interval(self, deviations: float = 1.96) -> tuple[Any, Any]:
        """The interval value ± deviations · stderr, of 95 % for a Gaussian error and 1.96 deviations.

        **Arguments:**

        - `deviations`: the number of standard errors. Default: 1.96.

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

    All points have the same weight. Weights from estimated errors would favour points that lie low by chance, as a
    sample with a small mean has a small standard error too. The points must be independent.

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
