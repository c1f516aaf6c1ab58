"""How far the empirical measure of N independent points is from their law, in W_p."""

import math
from collections.abc import Sequence

import equinox as eqx
import numpy as np
from jaxtyping import PRNGKeyArray

from mckean.checks import require, require_key
from mckean.measures import AbstractLaw, Density, Gaussian, Particles
from mckean.spaces import Euclidean
from mckean.statistics import Jackknife, Rate, fit_rate, jackknife, side_by_side
from mckean.transport.distance import wasserstein
from mckean.transport.quantiles import quantiles


def fournier_guillin(d: int, p: float) -> float:
    """The exponent s of E W_p^p(μ^N, μ) ≤ C N^{−s}, if all moments are finite: ½ for p > d/2, p/d for p < d/2.

    At p = d/2 it is ½, with a factor log(1 + N). These are upper bounds for all laws of the dimension. p/d is sharp
    where there is a density; ½ for two separated atoms, while densities on an interval that are bounded below have
    N^{−p/2}.

    **Arguments:**

    - `d`: the dimension, 1 at least.
    - `p`: the order, p > 0.

    **Returns:** s.

    **Raises:** `ValueError` for others.

    **Source:** Fournier and Guillin, Probab. Theory Relat. Fields 162 (2015), theorem 1.
    """
    require(d >= 1 and p > 0, f"a dimension d ≥ 1 and an order p > 0, not d = {d}, p = {p}.")
    return min(0.5, p / d)


def empirical_distances(
    law: AbstractLaw | Density | Gaussian,
    sizes: Sequence[int],
    key: PRNGKeyArray,
    replicas: int = 64,
    p: float = 2,
) -> Jackknife:
    """E W_p^p, for each N of a ladder, between N independent points and their law, or between two clouds of N points.

    In dimension one, for a density or a Gaussian, it is the distance to the law itself, exact. Else it is that of two
    independent clouds, by the best assignment. As W_p^p is convex, and by the triangle inequality,

        E W_p^p(μ^N, μ) ≤ E W_p^p(μ^N, ν^N) ≤ 2^p E W_p^p(μ^N, μ),

    so that the exponents are the same. The smaller clouds of a replica are the first points of its largest, which is
    held for all replicas; the jackknife knows that they depend on each other.

    **Arguments:**

    - `law`: one that can be sampled.
    - `sizes`: the ladder of N; N ≤ 5000 for two clouds.
    - `key`: for the points.
    - `replicas`: their number, 2 at least. Default: 64.
    - `p`: the order of the distance. Default: 2.

    **Returns:** a `Jackknife` of shape (len(sizes),), length^p.

    **Raises:** `ValueError` for fewer than two replicas, and as `wasserstein` does.
    """
    require(replicas >= 2, "a standard error needs at least two replicas.")
    exact = law.domain.dim == 1 and isinstance(law, Density | Gaussian)

    shape = (replicas, 1 if exact else 2, int(max(sizes)), law.domain.dim)
    require_key(key)
    points = _draw(law, math.prod(shape[:3]), key)
    clouds = np.asarray(points.positions).reshape(shape)
    # A new `Particles` would be wrapped anew, by a program for each n.
    with_positions = lambda x: eqx.tree_at(lambda p: p.positions, points, x)  # noqa: E731

    def powers(pair: np.ndarray) -> list[float]:
        parts = [[with_positions(cloud[: int(n)]) for cloud in pair] for n in sizes]
        return [wasserstein(part[0], law if exact else part[1], p) ** p for part in parts]

    return jackknife(list(side_by_side(powers, list(clouds))))


@eqx.filter_jit
def _draw(law: AbstractLaw | Density, n: int, key: PRNGKeyArray) -> Particles:
    return law.sample(key, n)


def empirical_rate(
    law: AbstractLaw | Density | Gaussian, sizes: Sequence[int], key: PRNGKeyArray, replicas: int = 64, p: float = 2
) -> Rate:
    """The exponent of E W_p^p(μ^N, μ) in N, to be compared with −`fournier_guillin(d, p)`.

    **Arguments:**

    - `law`, `sizes`, `key`, `replicas`, `p`: as for `empirical_distances`.

    **Returns:** a `Rate`.

    **Raises:** `ValueError` as `empirical_distances` and `fit_rate` do.
    """
    return fit_rate(sizes, empirical_distances(law, sizes, key, replicas, p))


def uniform_square_distance(n: int, length: float, periodic: bool) -> float:
    """E W_2²(μ^N, μ), μ uniform on an interval, L²/6N, or a circle, L²/12N, of length L: for every N.

    The i-th of N points in order has a beta law of mean i/(N + 1); ∫(F_N⁻¹(u) − u)² du sums to 1/6N. On the circle the
    best shift takes off the square of the mean displacement X̄ − ½, of mean 1/12N.
    """
    require(n >= 1, "an empirical measure has at least one particle.")
    return length**2 / ((12 if periodic else 6) * n)


def mean_distance_constant(law: Density | Gaussian | Particles) -> float:
    """lim √N E W_1(μ^N, μ) = √(2/π) ∫√(F(1 − F)) dx, F the distribution function of a law on the line.

    For W_1 = ∫|F_N − F| dx, and √N(F_N − F) is nearly Gaussian. The constant is √(2/π)π/8 for the uniform law on an
    interval of length 1, 1.288379190 for N(0, 1). F⁻¹ is linear in pieces, as `quantiles` gives it. On one, from
    sin²θ_1 to sin²θ_2, the mean of √(u(1 − u)) is, δ = θ_2 − θ_1, s = θ_1 + θ_2,

        ½ sin s cos δ + (2δ − sin 2δ)/(8 sin δ sin s),

    in which little cancels. For a Gaussian it is right to 1e-7.

    **Arguments:**

    - `law`: on the line.

    **Returns:** the constant, a length.

    **Raises:** `ValueError` elsewhere than on the line.

    **Source:** del Barrio, Giné and Matrán, Ann. Probab. 27 (1999).
    """
    require(law.domain == Euclidean(1), f"this constant is that of laws on the line, not on {law.domain}.")
    f = quantiles(law)
    angle = np.arcsin(np.sqrt(f.levels))
    change, total = np.diff(angle), angle[1:] + angle[:-1]
    curved = 8 * np.sin(change) * np.sin(total)
    mean = np.sin(total) * np.cos(change) / 2
    mean += np.divide(2 * change - np.sin(2 * change), curved, out=np.zeros_like(mean), where=curved > 0)
    inner = f.levels[1:-1]
    jumps = (f.left[1:] - f.right[:-1]) @ np.sqrt(inner * (1 - inner))
    return math.sqrt(2 / math.pi) * float((f.right - f.left) @ mean + jumps)


def two_atoms_distance(n: int) -> float:
    """E W_2(μ^N, μ) = E |B/N − ½|^{1/2}, B binomial, for the atoms 0 and 1 of mass ½ each: of order N^{−1/4}.

    N^{1/4} E W_2 → E|Z/2|^{1/2} = Γ(3/4)/(2^{1/4}√π), Z standard normal.
    """
    require(n >= 1, "an empirical measure has at least one particle.")
    from scipy.special import gammaln

    k = np.arange(n + 1)
    log_weight = math.lgamma(n + 1) - gammaln(k + 1) - gammaln(n - k + 1) - n * math.log(2)
    return float(np.exp(log_weight) @ np.sqrt(np.abs(k / n - 0.5)))
