"""Exponents with confidence intervals: error ∝ N^s, from independent replicas at each N of a ladder.

The jackknife carries the noise of the points through every step, logarithms, suprema over time and the fit: what is
computed from r replicas is computed again from all but one of them. If θ_(j) leaves out the replica j, then

    θ̂ = rθ − (r − 1) mean_j θ_(j),   s² = ((r − 1)/r) Σ_j (θ_(j) − mean θ_(j))²,

where θ̂ is free of the bias of order 1/r, and s² errs upwards (Efron and Stein, Ann. Statist. 9, 1981). As s² is a mean
of r squares u_j², its relative variance is (κ − 1)/r, κ = mean u⁴/(mean u²)², which gives it ν = 2r/(κ − 1) degrees of
freedom (Satterthwaite, Biometrics Bulletin 2, 1946), r − 1 for a Gaussian.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mckean.analysis.statistics import Estimate
from mckean.checks import require


@dataclass(frozen=True)
class Resampled:
    """A function of the mean over r replicas: `value`, shape (…), and `left_out` without each of them, shape (r, …)."""

    value: np.ndarray
    left_out: np.ndarray

    @property
    def replicas(self) -> int:
        return len(self.left_out)

    def map(self, f: Callable[[np.ndarray], Any]) -> "Resampled":
        """f of the value and of those left out; f acts on the trailing axes, and carries leading ones along."""
        return Resampled(np.asarray(f(self.value)), np.asarray(f(self.left_out)))

    @property
    def deviations(self) -> np.ndarray:
        """θ_(j) − mean θ_(j), shape (r, …)."""
        return self.left_out - self.left_out.mean(0)

    @property
    def estimate(self) -> Estimate:
        """The value without its bias of order 1/r, and its standard error."""
        r = self.replicas
        value = r * self.value - (r - 1) * self.left_out.mean(0)
        return Estimate(value, np.sqrt((r - 1) / r * np.sum(self.deviations**2, axis=0)))

    @property
    def unbiased(self) -> "Resampled":
        """The bias of order 1/r taken off, 1/(r − 1) from those left out: before a logarithm of what is below it."""
        bias = (self.replicas - 1) * (self.left_out.mean(0) - self.value)
        return Resampled(self.value - bias, self.left_out - bias * self.replicas / (self.replicas - 1))

    @property
    def freedom(self) -> np.ndarray:
        """The degrees of freedom of the standard error, at most r − 1."""
        r, squares = self.replicas, self.deviations**2
        kurtosis = np.mean(squares**2, axis=0) / np.mean(squares, axis=0) ** 2
        return np.asarray(2 * r / np.maximum(kurtosis - 1, 2 * r / (r - 1)))


def resampled(samples: Any, root: float = 1) -> Resampled:
    """(E sample)^{1/root}: the mean over the leading axis of independent replicas, shape (r, …), r ≥ 2.

    `root`: 1 for a mean; 2 for a root mean square, of samples that are squares; p for (E W_p^p)^{1/p}.
    **Raises** `ValueError` for fewer than two replicas, and for samples that are not finite.
    """
    samples = np.asarray(samples, dtype=np.float64)
    require(samples.shape[0] >= 2, "a standard error needs at least two replicas.")
    require(np.all(np.isfinite(samples)), "a sample is not finite.")
    total = samples.sum(0)
    whole = Resampled(total / len(samples), (total - samples) / (len(samples) - 1))
    return whole if root == 1 else whole.map(lambda mean: mean ** (1 / root))


def largest(of: Callable[[np.ndarray], Resampled], samples: Any) -> Resampled:
    """sup_t |θ_t|, θ = of(samples) along times in its last axis, without the bias of a maximum over noisy numbers.

    A quarter of the runs says when |θ| is largest, and with which sign; the others, what it is then. So intervals keep
    their level, and the mean is not above the supremum, but below it by the second order in the noise. A plain maximum
    is too high by a part of the standard error: along a plateau of six times its intervals of 95 % held the exponent in
    81 to 84 % of simulated studies, and two halves that choose for each other, in 92 %, as their parts are correlated.
    At one time it is θ, of all runs. **Raises** `ValueError` for fewer than eight replicas at several times.
    """
    samples = np.asarray(samples, dtype=np.float64)
    quarter = len(samples) // 4
    if np.shape(of(samples[:2]).value)[-1] == 1:
        return of(samples).map(lambda x: x[..., 0])
    require(quarter >= 2, f"a supremum over times takes eight replicas at least, not {len(samples)}.")
    pilot = of(samples[:quarter]).value
    place = np.argmax(np.abs(pilot), axis=-1)[..., None]
    sign = np.sign(np.take_along_axis(pilot, place, -1))[..., 0]
    at = lambda x: np.take_along_axis(x, np.broadcast_to(place, (*x.shape[:-1], 1)), -1)[..., 0]  # noqa: E731
    return of(samples[quarter:]).map(lambda x: sign * at(x))


@dataclass(frozen=True)
class Rate:
    """error = prefactor · N^s: the slope s, what it was fitted to, and how well a power law fits.

    `freedom`: degrees of freedom of the slope's standard error; `misfit`: the p-value of a straight line on logarithmic
    axes, 1 for two points. A small one says that the sizes are not yet in the range of the power law, or that there is
    none; the interval is then one of the mean slope over the ladder.
    """

    sizes: np.ndarray
    errors: Estimate
    slope: Estimate
    prefactor: float
    freedom: float
    misfit: float

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The confidence interval of s, by Student's t."""
        require(0 < level < 1, f"a level of confidence lies between 0 and 1, but {level} was given.")
        from scipy.special import stdtrit

        return self.slope.interval(float(stdtrit(self.freedom, (1 + level) / 2)))

    def verdict(self, exponent: float, level: float = 0.95) -> bool:
        """Whether the interval holds the exponent: a true one is rejected with probability 1 − level, no more."""
        low, high = self.interval(level)
        return bool(low <= exponent <= high)

    def curve(self, sizes: Any) -> np.ndarray:
        """The fitted power law at other sizes."""
        return self.prefactor * np.asarray(sizes, dtype=np.float64) ** self.slope.value


def fit_rate(sizes: Any, errors: Resampled) -> Rate:
    """The exponent s of `errors` ∝ N^s, by weighted least squares of log error on log N.

    Points are weighted by N^{−γ}, the power law that fits the variances of their logarithms: weights from each point's
    own variance would follow its noise, and lean towards points that happen to lie low. The slope is linear in the
    logarithms, so that the jackknife has its bias, its standard error and its degrees of freedom; points may depend
    on each other, as runs on shared noise do. `misfit` compares the residuals of k points, k − 2 contrasts C log e,
    with their jackknife covariance S by Hotelling's T² = zᵀS⁻¹z, for which T²(r − k + 2)/((r − 1)(k − 2)) is
    F(k − 2, r − k + 2). In simulations intervals of 95 % held the exponent in 94 to 95 % of cases from 16 replicas on,
    in 92.5 to 94 % with 8, for Gaussian, exponential and squared Gaussian samples.

    **Arguments:** `sizes`: N, shape (k,), k ≥ 2, different; `errors`: shape (k,) with k left out each, positive.
    **Raises** `ValueError` for other shapes, fewer replicas than points, and an error that is lost in its noise: not
    positive, or above half of itself in standard error, so that its logarithm says nothing.
    """
    x = np.asarray(sizes, dtype=np.float64)
    require(x.ndim == 1 and x.size >= 2 and np.unique(x).size == x.size, "a slope needs two or more different sizes.")
    require(np.shape(errors.value) == x.shape, f"{x.size} sizes need as many errors, not {np.shape(errors.value)}.")
    require(errors.replicas >= x.size, f"{x.size} points need as many replicas, not {errors.replicas}.")
    _require_seen(x, errors)
    logs, log_x = errors.map(np.log), np.log(x)
    noise, leverage = _leverage(log_x, logs.estimate.stderr)
    slope = logs.map(lambda y: y @ leverage)
    found = slope.estimate
    centre = noise @ log_x, noise @ logs.estimate.value
    freedom = float(slope.freedom) if found.stderr > 0 else float(errors.replicas - 1)
    prefactor = math.exp(centre[1] - float(found.value) * centre[0])
    estimate = Estimate(float(found.value), float(found.stderr))
    return Rate(x, errors.estimate, estimate, prefactor, freedom, _misfit(log_x, logs))


def _require_seen(x: np.ndarray, errors: Resampled) -> None:
    found = errors.estimate
    lost = ~((found.value > 2 * found.stderr) & (errors.value > 0) & np.all(errors.left_out > 0, axis=0))
    if np.any(lost):
        i = int(np.argmax(lost))
        raise ValueError(
            f"the error at N = {x[i]:g} is lost in its noise, {found.value[i]:.3g} ± {found.stderr[i]:.2g}: take more "
            "replicas, or smaller sizes."
        )


def _leverage(log_x: np.ndarray, stderr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the points, with sum 1, and the l of the slope Σ l_i y_i."""
    weights = np.ones_like(log_x)
    if np.all(stderr > 0):
        centred = log_x - log_x.mean()
        power = 2 * (centred @ np.log(stderr)) / (centred @ centred)
        weights = np.exp(-power * centred)
    weights = weights / weights.sum()
    centred = log_x - weights @ log_x
    return weights, weights * centred / (weights @ centred**2)


def _misfit(log_x: np.ndarray, logs: Resampled) -> float:
    from scipy.special import fdtrc

    k, r = log_x.size, logs.replicas
    if k == 2 or r - k + 2 < 1:
        return 1.0
    line = np.stack([np.ones(k), log_x])
    contrasts = np.linalg.svd(line)[2][2:]
    residual = logs.map(lambda y: y @ contrasts.T)
    covariance = (r - 1) / r * residual.deviations.T @ residual.deviations
    z = residual.estimate.value
    if not np.any(covariance):
        return float(np.allclose(z, 0))
    square = float(z @ np.linalg.solve(covariance, z))
    return float(fdtrc(k - 2, r - k + 2, square * (r - k + 2) / ((r - 1) * (k - 2))))
