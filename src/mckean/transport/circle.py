"""W_p on a circle of length L: the best relative shift of the two quantile functions.

W_p^p = min_α C(α),  C(α) = ∫₀¹ |F⁻¹(u) − G⁻¹(u+α)|^p du,  with G⁻¹(u+1) = G⁻¹(u) + L;

C is convex, and its minimum lies in [−1, 1]: beyond, all of one measure is on one side of the other.

Sources: Delon, Salomon and Sobolevski, SIAM J. Appl. Math. 70 (2010); Rabin, Delon and Gousseau,
J. Math. Imaging Vision 41 (2011).
"""

import math

import numpy as np

from mckean.transport.convex import minimum, sign_change
from mckean.transport.line import mean_norm
from mckean.transport.ordering import order
from mckean.transport.pieces import Difference, difference, mean_power, mean_slope, norm, power, total
from mckean.transport.quantiles import Quantiles

_COARSE = 1 << 14
_UNDERFLOW = 1e-200
# Shifts that differ by less give the same levels between 0 and 1.
_RESOLUTION = np.finfo(float).eps / 16


def on_circle(f: Quantiles, g: Quantiles, p: float, length: float) -> float:
    """W_p between measures on [0, L).

    Two clouds of n equal atoms: C is linear between the multiples of 1/n, so the best of the integer shifts
    is exact. Atoms with p = 1: the median formula. All else: a search for the least C, which ends when the
    tangents on both sides of the minimum prove that the value found is the least up to rounding
    (`convex.minimum`).
    """
    if f.equal and g.equal and f.size == g.size:
        shifts = Shifts(f.left, g.left, length)
        return mean_norm(shifts.x, shifts.match(shifts.best(p)), p)
    if p == 1 and f.atomic and g.atomic:
        return _by_median(f, g, length)
    start, scale = _coarse(f, g, p, length)

    def cost(alpha: float) -> tuple[float, float]:
        return _cost_and_slope(difference(f, shift(g, alpha, length)), p, scale)

    best = minimum(cost, start, 1 / _COARSE, _RESOLUTION)
    if best.value > _UNDERFLOW:
        return scale * best.value ** (1 / p)
    return norm(difference(f, shift(g, best.x, length)), p)


class Shifts:
    """The cost Σ_i |x_i − y_{i+j}|^p of matching sorted points, j places shifted; y_{i+n} = y_i + L."""

    def __init__(self, x: np.ndarray, y: np.ndarray, length: float):
        self.x = x
        self.unrolled = np.concatenate([y - length, y, y + length, y[:1] + 2 * length])

    def match(self, j: int) -> np.ndarray:
        """y_{i+j}, shape (n,), for −n ≤ j ≤ n + 1."""
        n = self.x.size
        return self.unrolled[n + j : 2 * n + j]

    def growth(self, j: int, p: float) -> float:
        """Cost at j + 1 less cost at j, summed term by term, up to a positive factor; it grows with j."""
        before, after = self.x - self.match(j), self.x - self.match(j + 1)
        if p == 2:
            return total(after - before, after + before)
        scale = max(before.max(), -after.min())
        return float((power(after / scale, p) - power(before / scale, p)).sum()) if scale > 0 else 0.0

    def best(self, p: float) -> int:
        """The least shift from which the cost does not fall any more."""
        return sign_change(lambda j: self.growth(j, p), -self.x.size, self.x.size)


def _by_median(f: Quantiles, g: Quantiles, length: float) -> float:
    """W_1 = ∫₀^L |F − G − m| dx, m the median of F − G with respect to length.

    Source: Cabrelli and Molter, J. Comput. Appl. Math. 57 (1995).
    """
    x = np.concatenate([f.left, g.left])
    rank = np.argsort(x, kind="stable")
    x = x[rank]
    level = np.cumsum(np.concatenate([np.diff(f.levels), -np.diff(g.levels)])[rank])
    gap = np.diff(x, append=x[0] + length)
    by_level = order(level)
    half = np.searchsorted(np.cumsum(gap[by_level]), length / 2)
    return total(gap, np.abs(level - level[by_level[min(half, x.size - 1)]]))


def shift(g: Quantiles, alpha: float, length: float) -> Quantiles:
    """u ↦ G⁻¹(u + α) on (0, 1); the piece that holds the level α is cut in two."""
    turns = math.floor(alpha)
    level = np.array([alpha - turns])
    piece = g.piece(level)
    cut, s = g.at(piece, level), int(piece[0])
    after, before = g.levels[s + 1 :] - level, g.levels[1 : s + 1] + (1 - level)
    levels = np.minimum(np.concatenate([[0.0], after, before, [1.0]]), 1.0)
    here, next_turn = turns * length, (turns + 1) * length
    left = np.concatenate([cut + here, g.left[s + 1 :] + here, g.left[: s + 1] + next_turn])
    if g.atomic:
        return Quantiles(left, left, levels)
    right = np.concatenate([g.right[s:] + here, g.right[:s] + next_turn, cut + next_turn])
    return Quantiles(left, right, levels)


def _cost_and_slope(d: Difference, p: float, scale: float) -> tuple[float, float]:
    """C and a subgradient of it, in units of scale^p.

    −C′ = ∫ c′(d) dG⁻¹, c = |·|^p: over a jump of G⁻¹ the integral is c before less c after it, F⁻¹ held.
    """
    start = d.start / scale
    if d.rise is None:
        c = power(start, p)
        return total(d.mass, c), total(np.diff(c), d.of_g)
    end = d.end / scale
    jumps = total(power(start[1:], p) - power(end[:-1], p), d.of_g)
    rises = total(d.rise / scale, mean_slope(start, end, p))
    return total(d.mass, mean_power(start, end, p)), jumps - rises


def _coarse(f: Quantiles, g: Quantiles, p: float, length: float) -> tuple[float, float]:
    """The best shift for the measures thinned to 2¹⁴ equal atoms each, and a unit of length for the powers.

    The unit is the largest |d| then, but not so small that the p-th power of L would overflow.
    """
    u = (np.arange(_COARSE) + 0.5) / _COARSE
    x, y = (q.at(q.piece(u), u) for q in (f, g))
    shifts = Shifts(x, y, length)
    j = shifts.best(p)
    largest = float(np.abs(x - shifts.match(j)).max())
    return j / _COARSE, max(largest, length * 10 ** (-150 / p))
