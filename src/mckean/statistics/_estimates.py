"""Estimates with their standard errors, over independent replicas.

A standard error s from r replicas is itself random: (r − 1)s²/σ² has a χ² law with r − 1 degrees of freedom, so that
the error of the mean over s has Student's law, not a Gaussian one. Of a sum of independent parts, s² = Σ s_i², Welch
and Satterthwaite's number ν = s⁴/Σ(s_i⁴/ν_i) takes its place (Biometrics Bulletin 2, 1946).

Means of skewed samples have another law. Where the samples are squares, a mean that is small by chance has a small
standard error as well, and t = (mean − θ)/s is far below 0 more often than Student's law says: of 100 squares of
Gaussians, t < −4.9 has a probability of 4·10⁻⁴ and not of 10⁻⁶. By Edgeworth's expansion t has the skewness −2κ, where
κ = γ/√r and γ is that of the samples. With a smooth f, (f(mean) − f(θ))/(f′(mean)s) has −2κ − 3sf″/f′, which vanishes
for sf″/f′ = −2κ/3. The family f(x) = (x − a)^{−1/3}, (4/3)s/(x − a) = 2κ/3, does this for every gamma law at once, as
γ of a gamma law is twice its standard deviation over its mean.
"""

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
    - `freedom`: its degrees of freedom, a number or an array: r − 1 for the mean of r replicas, infinity where the
      standard error is known.
    - `skewness`: κ, by which the error over the standard error is skewed: γ/√r for the mean of samples of skewness γ.
      Default: 0, also where it is not known.
    """

    value: Any
    stderr: Any
    freedom: Any
    skewness: Any = 0.0

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.array(self.value, dtype) if copy else np.asarray(self.value, dtype)

    def __float__(self) -> float:
        return float(self.value)

    def __getitem__(self, index) -> "Estimate":
        freedom, skewness = (
            np.broadcast_to(np.asarray(a, float), np.shape(self.value)) for a in (self.freedom, self.skewness)
        )
        return Estimate(np.asarray(self.value)[index], np.asarray(self.stderr)[index], freedom[index], skewness[index])

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

    def interval(self, level: float = 0.95) -> tuple[Any, Any]:
        """The confidence interval of the value, by Student's t with the degrees of freedom.

        Each end is Student's or that with the skewness taken out, whichever is further away: κ is itself an estimate,
        and is to make no interval narrower. An end is infinite where so few samples are too skewed for one.

        **Arguments:**

        - `level`: the probability that the interval holds the true value. Default: 0.95.

        **Returns:** the lower and the upper end.

        **Raises:** `ValueError` for a level that is not between 0 and 1.

        **Source:** P. Hall, J. R. Stat. Soc. B 54 (1992), for intervals by transformations against skewness.
        """
        require(0 < level < 1, f"a level of confidence lies between 0 and 1, but {level} was given.")
        t = _quantile(self.freedom, (1 - level) / 2)
        low, high = (np.maximum(t, _reach(t, sign * np.asarray(self.skewness, float))) for sign in (-1, 1))
        # A number that is known, of standard error 0, has both ends there.
        low, high = (np.where(np.asarray(self.stderr) == 0, 0.0, reach) * self.stderr for reach in (low, high))
        return self.value - low, self.value + high

    def score(self, true) -> Any:
        """(value − true)/stderr with the skewness taken out, which has Student's law where `true` is right.

            z′ = (4/h)((1 − hz·3/4)^{−1/3} − 1),   h = 2κ/3,   z = (value − true)/stderr

        **Arguments:**

        - `true`: θ, a number or an array of the value's shape.

        **Returns:** z′; infinite for a θ that the law of the error does not reach.
        """
        z = (np.asarray(self.value) - true) / self.stderr
        h = np.broadcast_to(2 / 3 * np.asarray(self.skewness, float), z.shape)
        bent = np.abs(h) > 1e-8
        safe, left = np.where(bent, h, 1.0), 1 - 0.75 * h * z
        inside = 4 / safe * (np.cbrt(1 / np.where(left > 0, left, 1.0)) - 1)
        return np.where(bent, np.where(left > 0, inside, np.copysign(np.inf, z)), z)[()]

    def map(self, f: Callable, derivative: Callable) -> "Estimate":
        """f of the estimate, with the standard error |f′(value)| stderr, to first order.

        The skewness becomes ±(κ + (3/2) stderr f″/f′), with the sign of f′ and f″ by differences of f′.

        **Arguments:**

        - `f`, `derivative`: functions of the value.

        **Returns:** an `Estimate`.
        """
        value, stderr = np.asarray(self.value, float), np.asarray(self.stderr, float)
        slope = np.asarray(derivative(value), float)
        near = 1e-4 * stderr
        rise = np.asarray(derivative(value + near), float) - np.asarray(derivative(value - near), float)
        known = (near > 0) & (slope != 0)
        bend = np.where(known, 0.75e4 * rise / np.where(known, slope, 1.0), 0.0)
        skewness = np.sign(slope) * (self.skewness + bend)
        return Estimate(f(self.value), np.abs(slope)[()] * self.stderr, self.freedom, skewness[()])


def _quantile(freedom, tail: float):
    """t with P(T > t) = tail for Student's T, a Gaussian where the degrees of freedom are infinite."""
    from scipy.special import ndtri, stdtrit

    freedom = np.asarray(freedom, float)
    found = np.where(np.isinf(freedom), -ndtri(tail), -stdtrit(np.where(np.isinf(freedom), 1.0, freedom), tail))
    return found if found.ndim else float(found)


def _reach(t, skewness):
    """How many standard errors the upper end is away, (4/3h)((1 − ht/4)^{−3} − 1), h = 2κ/3; `score` of it is −t."""
    h = 2 / 3 * skewness
    bent = np.abs(h) > 1e-8
    safe, left = np.where(bent, h, 1.0), 1 - h * t / 4
    inside = 4 / (3 * safe) * (1 / np.where(left > 0, left, 1.0) ** 3 - 1)
    return np.where(bent, np.where(left > 0, inside, np.inf), t)


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
    r, mean, spread = len(samples), samples.mean(0), samples.std(0, ddof=1)
    third = np.mean((samples - mean) ** 3, axis=0) / np.where(spread > 0, spread, 1.0) ** 3
    return Estimate(mean, spread / np.sqrt(r), r - 1, third / np.sqrt(r))


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
    return combine(abscissa / np.sum(abscissa**2), y.map(np.log, lambda v: 1 / v))


def combine(weights, estimates: Estimate) -> Estimate:
    """The sum Σ w_i e_i of independent estimates, with its standard error and degrees of freedom.

        s² = Σ w_i² s_i²,   ν = s⁴/Σ(w_i⁴ s_i⁴/ν_i),   κ = Σ w_i³ s_i³ κ_i/s³

    **Arguments:**

    - `weights`: w, numbers, shape (k,).
    - `estimates`: e, an `Estimate` of shape (k,), of independent runs.

    **Returns:** an `Estimate`.

    **Raises:** `ValueError` for weights of another number.

    **Source:** Satterthwaite, Biometrics Bulletin 2 (1946).
    """
    count = np.size(estimates.value)
    require(np.shape(weights) == (count,), f"{count} estimates take as many weights, not shape {np.shape(weights)}.")
    w, value, stderr = (np.asarray(a, dtype=np.float64) for a in (weights, estimates.value, estimates.stderr))
    squares = (w * stderr) ** 2
    total = float(squares.sum())
    scatter = float(np.sum(squares**2 / np.asarray(estimates.freedom, float)))
    freedom = total**2 / scatter if scatter > 0 else np.inf
    third = float(np.sum((w * stderr) ** 3 * np.asarray(estimates.skewness, float)))
    skewness = third / total**1.5 if total > 0 else 0.0
    return Estimate(float(w @ value), float(np.sqrt(total)), freedom, skewness)


def join(estimates) -> Estimate:
    """Estimates of numbers, or of arrays of one shape, as one `Estimate` with a leading axis.

    **Arguments:**

    - `estimates`: an iterable of `Estimate`s.

    **Returns:** an `Estimate`.

    **Raises:** `ValueError` for none.
    """
    parts = list(estimates)
    require(len(parts) > 0, "a row of estimates has one estimate at least.")
    shape = np.shape(parts[0].value)
    freedom, skewness = (
        np.array([np.broadcast_to(np.asarray(a, float), shape) for a in row])
        for row in ([e.freedom for e in parts], [e.skewness for e in parts])
    )
    return Estimate(np.array([e.value for e in parts]), np.array([e.stderr for e in parts]), freedom, skewness)


def binomial_interval(successes: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """The exact confidence interval of the probability p of a success (Clopper and Pearson).

    P(K ≥ k) = (1 − level)/2 at its lower end, P(K ≤ k) = (1 − level)/2 at its upper end, K ~ Binomial(n, p). An end at
    which no trial, or every trial, succeeded is 0 or 1.

    **Arguments:**

    - `successes`: k, 0 ≤ k ≤ n.
    - `trials`: n ≥ 1, independent.
    - `level`: the probability that the interval holds p, at least. Default: 0.95.

    **Returns:** the lower and the upper end.

    **Raises:** `ValueError` for numbers out of range.

    **Source:** Clopper and Pearson, Biometrika 26 (1934).
    """
    require(0 <= successes <= trials and trials >= 1, f"{successes} of {trials} trials is no count of successes.")
    require(0 < level < 1, f"a level of confidence lies between 0 and 1, but {level} was given.")
    from scipy.special import betaincinv

    k, n, tail = successes, trials, (1 - level) / 2
    low = float(betaincinv(k, n - k + 1, tail)) if k else 0.0
    high = float(betaincinv(k + 1, n - k, 1 - tail)) if k < n else 1.0
    return low, high
