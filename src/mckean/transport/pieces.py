"""Two quantile functions against each other: the pieces on which their difference is linear."""

from dataclasses import dataclass

import numpy as np

from mckean.transport.quantiles import Quantiles


@dataclass(frozen=True, eq=False)
class Difference:
    """d(u) = F⁻¹(u) − G⁻¹(u) on consecutive intervals of levels, in each of which it is linear.

    `mass`: lengths of the intervals, shape (m,); `start`, `end`: d at their ends (one array for atoms, where
    d is constant on each); `rise`: by how much G⁻¹ grows over each (None for atoms); `of_g`: shape (m−1,),
    whether the break between two intervals is one of G.
    """

    mass: np.ndarray
    start: np.ndarray
    end: np.ndarray
    rise: np.ndarray | None
    of_g: np.ndarray


def difference(f: Quantiles, g: Quantiles) -> Difference:
    """The difference of two quantile functions, by merging their levels; O(k_f + k_g)."""
    inner = np.concatenate([f.levels[1:-1], g.levels[1:-1]])
    # Two sorted runs: the stable sort merges them in one pass.
    rank = np.argsort(inner, kind="stable")
    of_g = rank >= f.size - 1
    edges, of_second = np.zeros(rank.size + 2), np.zeros(rank.size + 1, dtype=np.intp)
    edges[1:-1], edges[-1] = inner[rank], 1.0
    np.cumsum(of_g, out=of_second[1:])
    of_first = np.arange(of_second.size)
    of_first -= of_second
    mass = np.diff(edges)
    if f.atomic and g.atomic:
        d = f.left[of_first]
        d -= g.left[of_second]
        return Difference(mass, d, d, None, of_g)
    (f_start, f_end), (g_start, g_end) = (
        (q.at(piece, edges[:-1]), q.at(piece, edges[1:])) for q, piece in ((f, of_first), (g, of_second))
    )
    return Difference(mass, f_start - g_start, f_end - g_end, g_end - g_start, of_g)


def norm(d: Difference, p: float) -> float:
    """(∫₀¹ |d(u)|^p du)^{1/p}, scaled by the largest |d| so that no power overflows, nor all vanish."""
    # Breaks of both at one level leave an interval of no mass, where d may be far larger than anywhere else.
    positive = d.mass > 0
    mass, start = d.mass[positive], d.start[positive]
    end = start if d.end is d.start else d.end[positive]
    scale = max(np.abs(start).max(), np.abs(end).max())
    if scale == 0:
        return 0.0
    start = start / scale
    end = start if d.end is d.start else end / scale
    return float(scale * total(mass, mean_power(start, end, p)) ** (1 / p))


def total(a: np.ndarray, b: np.ndarray) -> float:
    """Σ a_i b_i by pairwise summation: accurate, and no thread of BLAS waits for a core."""
    return float((a * b).sum())


def power(d: np.ndarray, p: float) -> np.ndarray:
    """|d|^p."""
    if p == 2:
        return d * d
    size = np.abs(d)
    return size if p == 1 else size**p


def mean_power(a: np.ndarray, b: np.ndarray, p: float) -> np.ndarray:
    """∫₀¹ |a + (b−a)s|^p ds for p ≥ 0, to rounding whether a and b are close, far, or of opposite signs.

    With H ≥ h the larger and smaller of |a|, |b| and ε = 1 − h/H it is H^p (1 − (1−ε)^{p+1})/((p+1)ε) where
    the signs agree, and H^p (1 + (1−ε)^{p+1})/((p+1)(2−ε)) where they do not.
    """
    if a is b:
        return power(a, p)
    if p == 2:
        return (a * a + a * b + b * b) / 3
    high = np.maximum(np.abs(a), np.abs(b))
    low = np.minimum(np.abs(a), np.abs(b))
    gap = np.divide(high - low, high, out=np.zeros_like(high), where=high > 0)
    with np.errstate(divide="ignore"):
        shrink = (p + 1) * np.log1p(-gap)
    alike = np.divide(-np.expm1(shrink), (p + 1) * gap, out=np.ones_like(high), where=gap > 0)
    crossing = (1 + np.exp(shrink)) / ((p + 1) * (2 - gap))
    return high**p * np.where(a * b < 0, crossing, alike)


def mean_slope(a: np.ndarray, b: np.ndarray, p: float) -> np.ndarray:
    """∫₀¹ c′(a + (b−a)s) ds for c = |·|^p."""
    if p == 2:
        return a + b
    alike = np.sign(a + b) * p * mean_power(a, b, p - 1)
    return np.divide(power(b, p) - power(a, p), b - a, out=alike, where=a * b < 0)
