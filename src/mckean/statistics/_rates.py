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

from mckean.checks import require
from mckean.statistics._estimates import Estimate


@dataclass(frozen=True)
class Jackknife:
    """A function θ of the mean over r replicas, and the same without each of them.

    **Attributes:**

    - `value`: θ of all replicas, shape (…).
    - `left_out`: θ_(j), of all replicas but j, shape (r, …).
    """

    value: np.ndarray
    left_out: np.ndarray

    @property
    def replicas(self) -> int:
        """r, the number of replicas."""
        return len(self.left_out)

    def map(self, f: Callable[[np.ndarray], Any]) -> "Jackknife":
        """f(θ), and f(θ_(j)) for each replica j.

        **Arguments:**

        - `f`: acts on the trailing axes, and carries leading ones along.

        **Returns:** a `Jackknife`.
        """
        return Jackknife(np.asarray(f(self.value)), np.asarray(f(self.left_out)))

    @property
    def deviations(self) -> np.ndarray:
        """θ_(j) − mean θ_(j), shape (r, …)."""
        return self.left_out - self.left_out.mean(0)

    @property
    def estimate(self) -> Estimate:
        """The value without its bias of order 1/r, and its standard error."""
        r = self.replicas
        value = r * self.value - (r - 1) * self.left_out.mean(0)
        return Estimate(value, np.sqrt((r - 1) / r * np.sum(self.deviations**2, axis=0)), self.freedom)

    @property
    def stderr(self) -> np.ndarray:
        """The standard error, of the value and of the estimate."""
        return self.estimate.stderr

    @property
    def unbiased(self) -> "Jackknife":
        """θ and the θ_(j) without their bias, of order 1/r: for a logarithm of a θ below its bias."""
        bias = (self.replicas - 1) * (self.left_out.mean(0) - self.value)
        return Jackknife(self.value - bias, self.left_out - bias * self.replicas / (self.replicas - 1))

    @property
    def freedom(self) -> np.ndarray:
        """The degrees of freedom of the standard error, at most r − 1."""
        r, squares = self.replicas, self.deviations**2
        level = np.mean(squares, axis=0)
        kurtosis = np.mean(squares**2, axis=0) / np.where(level > 0, level, 1.0) ** 2
        return np.asarray(2 * r / np.maximum(kurtosis - 1, 2 * r / (r - 1)))


def jackknife(samples: Any, root: float = 1) -> Jackknife:
    """The jackknife of (E x)^{1/root}, for independent samples x; `map` applies more functions.

    **Arguments:**

    - `samples`: shape (r, …), the replicas along the leading axis, r ≥ 2.
    - `root`: 1 for a mean; 2 for a root mean square, of samples that are squares; p for (E W_p^p)^{1/p}. Default: 1.

    **Returns:** a `Jackknife`.

    **Raises:** `ValueError` for fewer than two replicas, and for samples that are not finite.

    **Source:** Efron and Stein, Ann. Statist. 9 (1981).
    """
    samples = np.asarray(samples, dtype=np.float64)
    require(samples.shape[0] >= 2, "a standard error needs at least two replicas.")
    require(np.all(np.isfinite(samples)), "a sample is not finite.")
    total = samples.sum(0)
    whole = Jackknife(total / len(samples), (total - samples) / (len(samples) - 1))
    return whole if root == 1 else whole.map(lambda mean: mean ** (1 / root))


def largest(of: Callable[[np.ndarray], Jackknife], samples: Any) -> Jackknife:
    """The supremum over times, sup_t |θ_t|, without the bias of a maximum over noisy numbers.

    A quarter of the runs selects the time at which |θ| is largest, and the sign; the other runs give the value there.
    So intervals keep their level, and the mean is not above the supremum; it is below by the second order in the noise.
    A plain maximum is too high by a part of the standard error. In simulated studies with a plateau of six times its
    intervals of 95 % held the exponent in 81 to 84 % of cases; two halves that select for each other gave 92 %, as they
    are correlated. With one time only, it is θ of all runs.

    **Arguments:**

    - `of`: θ, a function of samples of shape (r, …, t), such as `jackknife`.
    - `samples`: shape (r, …, t), the replicas along the leading axis, the times along the last.

    **Returns:** a `Jackknife` of shape (…).

    **Raises:** `ValueError` for fewer than eight replicas at several times.
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
    """The fit of a power law, error = prefactor · N^s.

    **Attributes:**

    - `sizes`: N, shape (k,).
    - `errors`: the errors that were fitted, an `Estimate` of shape (k,).
    - `slope`: s, an `Estimate`.
    - `prefactor`: in the unit of the error.
    - `misfit`: the p-value of a straight line on logarithmic axes; 1 for two points. A small one says that no power law
      fits at these sizes. The interval is then that of the mean slope.
    """

    sizes: np.ndarray
    errors: Estimate
    slope: Estimate
    prefactor: float
    misfit: float

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The confidence interval of s, by Student's t.

        **Arguments:**

        - `level`: the probability that the interval holds s. Default: 0.95.

        **Returns:** the lower and the upper end.

        **Raises:** `ValueError` for a level that is not between 0 and 1.
        """
        return self.slope.interval(level)

    def verdict(self, exponent: float, level: float = 0.95) -> bool:
        """Whether the interval holds an exponent; a true one is rejected with a probability of 1 − level, not more.

        **Arguments:**

        - `exponent`: the one to be tested.
        - `level`: of the interval. Default: 0.95.
        """
        low, high = self.interval(level)
        return bool(low <= exponent <= high)

    def curve(self, sizes: Any) -> np.ndarray:
        """The fitted power law at other sizes."""
        return self.prefactor * np.asarray(sizes, dtype=np.float64) ** self.slope.value


def fit_rate(sizes: Any, errors: Jackknife) -> Rate:
    """The exponent s of errors ∝ N^s, by weighted least squares of log error on log N.

    The weights are N^{−γ}, from the power law that fits the variances of the logarithms. Weights from each point's own
    variance would follow its noise, and favour points that lie low by chance. The slope is linear in the logarithms, so
    the jackknife gives its bias, its standard error and its degrees of freedom. The points may depend on each other, as
    for runs with shared noise. `misfit` compares the residuals z of k points, k − 2 contrasts C log e, with their
    jackknife covariance S by Hotelling's T² = zᵀS⁻¹z: T²(r − k + 2)/((r − 1)(k − 2)) has the law F(k − 2, r − k + 2).
    In simulations intervals of 95 % held the exponent in 94 to 95 % of cases with 16 replicas or more, in 92.5 to 94 %
    with 8, for Gaussian, exponential and squared Gaussian samples.

    **Arguments:**

    - `sizes`: N, shape (k,), different, k ≥ 2.
    - `errors`: a `Jackknife` of shape (k,), positive, from k replicas at least.

    **Returns:** a `Rate`.

    **Raises:** `ValueError` for other shapes, fewer replicas than points, and an error that is not above its noise: not
    positive, or smaller than two of its standard errors.
    """
    x = np.asarray(sizes, dtype=np.float64)
    require(x.ndim == 1 and x.size >= 2 and np.unique(x).size == x.size, "a slope needs two or more different sizes.")
    require(np.all((x > 0) & (x < np.inf)), "the sizes of a slope must be positive and finite.")
    require(np.shape(errors.value) == x.shape, f"{x.size} sizes need as many errors, not {np.shape(errors.value)}.")
    require(errors.replicas >= x.size, f"{x.size} points need as many replicas, not {errors.replicas}.")
    _require_above_noise(x, errors)
    logs, log_x = errors.map(np.log), np.log(x)
    noise, leverage = _leverage(log_x, logs.estimate.stderr)
    slope = logs.map(lambda y: y @ leverage)
    found = slope.estimate
    centre = noise @ log_x, noise @ logs.estimate.value
    prefactor = math.exp(centre[1] - float(found.value) * centre[0])
    estimate = Estimate(float(found.value), float(found.stderr), float(found.freedom))
    return Rate(x, errors.estimate, estimate, prefactor, _misfit(log_x, logs))


def _require_above_noise(x: np.ndarray, errors: Jackknife) -> None:
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


def _misfit(log_x: np.ndarray, logs: Jackknife) -> float:
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
