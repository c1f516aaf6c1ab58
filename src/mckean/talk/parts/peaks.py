"""Part of chapter *geodesics*: a peak that splits on a line, and two peaks across the ends of a circle."""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from mckean.measures import Density
from mckean.spaces import BoxGrid, Euclidean, FourierGrid, Torus
from mckean.talk.claims import Claim, Panel, Rival, Series
from mckean.transport.benamou_brenier import Geodesic, geodesic
from mckean.transport.distance import wasserstein

_HALF, _PEAK, _SHARP, _ANGLES = 4.0, 8**-0.5, 10.0, (0.1, 0.9)
_BB = "Benamou and Brenier, Numer. Math. 84 (2000)"


class Peaks(NamedTuple):
    """The geodesics on the line, on a grid and on one half as fine, and on the circle."""

    split: Geodesic
    half: Geodesic
    wrap: Geodesic


def run_peaks(cells: int, times: int, tolerance: float) -> Peaks:
    split, half = (_split(n, tolerance) for n in (cells, cells // 2))
    circle = FourierGrid(Torus(1, 1.0), (64,))
    y = circle.axes[0]
    ends = [normalise(circle, np.exp(_SHARP * np.cos(2 * np.pi * (y - c)))) for c in _ANGLES]
    return Peaks(split, half, geodesic(*ends, times=times, tolerance=tolerance))


def normalise(grid, values) -> Density:
    # By numpy: `Density.from_function` compiles each function anew, a tenth of a second for each of sixteen densities.
    return Density(grid, jnp.asarray(values.reshape(grid.shape) / (values.sum() * grid.cell_volume)))


def _bump(z):
    return np.exp(-0.5 * (z / _PEAK) ** 2)


def _split(n: int, tolerance: float) -> Geodesic:
    line = BoxGrid(Euclidean(1), (n,), (-_HALF,), (_HALF,))
    x = line.axes[0]
    one, two = normalise(line, np.exp(-2 * x**2)), normalise(line, _bump(x - 1.5) + 0.5 * _bump(x + 1.5))
    # t = ¼ is one of the times.
    return geodesic(one, two, times=4 * (n // 12), tolerance=tolerance)


def peak_claims(peaks: Peaks, tolerance: float) -> list[Claim]:
    """The claims on the line and the circle.

    Between the two peaks almost no mass arrives, so the map T of the geodesic jumps there, and ρ_t has a gap with edges
    of width tw, w that of the peaks: T_t = (1 − t)x + tT moves as tT where T' is large. A grid sees the edges once
    h²/8(tw)² < 1, from t* = h/√8w on. Until then the mass in them, ρt*w, may be displaced by its way |T − x|t*: the
    square of W₂ is of order h³, W₂ of order 3/2 and not 2. Halving h leaves 2^{−3/2} of such an error, so what the
    halving changes is at least 2^{3/2} − 1 = 1.8 times what it leaves; at order 1 it is still as much.
    """
    split, wrap = peaks.split, peaks.wrap
    ends = split.density(0), split.density(len(split.energy))
    exact, (fine, rough) = wasserstein(*ends), (run.density(len(run.energy) // 4) for run in (split, peaks.half))
    h, width = split.grid.spacing[0], 1 / (2 * math.pi * math.sqrt(_SHARP))
    mixture = Density(split.grid, 0.75 * ends[0].values + 0.25 * ends[1].values)
    short = wasserstein(wrap.density(0), wrap.density(len(wrap.energy)))
    return [
        Claim(
            statement="The least action between a peak and two on the line is $W_2^2$ by quantiles: quotient of the "
            "distances",
            predicted=1.0,
            measured=split.distance / exact,
            tolerance=(h / _PEAK) ** 2 / 8 + tolerance,
            origin="h²/8w², w the width of the two, and the iteration",
            excludes=Rival("the least mean way, W₁", wasserstein(*ends, p=1) / exact),
            reference=_BB,
        ),
        Claim(
            statement="The curve on the line is the geodesic of quantiles: their distance $W_2$ at $t = 1/4$, over "
            "that of the ends",
            predicted=0.0,
            measured=_from_quantiles(fine, 0.25, *ends) / exact,
            tolerance=wasserstein(fine, rough) / exact,
            origin="what halving h and τ changes at order 3/2, that of the gap which opens",
            from_run=True,
            excludes=Rival("the mixture of the ends", _from_quantiles(mixture, 0.25, *ends) / exact),
            reference=_BB,
        ),
        Claim(
            statement="On a circle mass takes the short side: the distance of two peaks over the exact one",
            predicted=1.0,
            measured=wrap.distance / short,
            tolerance=(wrap.grid.spacing[0] / width) ** 2 / 8 + tolerance,
            origin="h²/8w², w = 1/2π√κ, and the iteration",
            excludes=Rival("the long side", (_ANGLES[1] - _ANGLES[0]) / (1 - _ANGLES[1] + _ANGLES[0])),
            reference=_BB,
        ),
    ]


def _from_quantiles(found: Density, t: float, one: Density, two: Density) -> float:
    """W₂ of a density from the geodesic of two others at t, exactly.

    Quantiles are linear between the levels of the three: two points of Gauss in each interval. Equal particles would
    not do: the one of 20 000 whose mass opens the gap is 1e-3 off.
    """
    levels = np.unique(np.concatenate([_levels(mu) for mu in (found, one, two)]))
    middle, width = 0.5 * (levels[1:] + levels[:-1]), np.diff(levels)
    total = 0.0
    for side in (-1, 1):
        u = middle + side * width / math.sqrt(12)
        gap = (1 - t) * _quantiles(one, u) + t * _quantiles(two, u) - _quantiles(found, u)
        total += 0.5 * float(width @ gap**2)
    return math.sqrt(total)


def _levels(mu: Density) -> np.ndarray:
    """The mass before each edge of a cell."""
    return np.concatenate([[0.0], np.cumsum(np.asarray(mu.values)) * mu.grid.spacing[0]])


def _quantiles(mu: Density, u) -> np.ndarray:
    """x with μ((−∞, x]) = u, for a density that is constant on its cells."""
    edges = np.linspace(-_HALF, _HALF, mu.grid.size + 1)
    return np.interp(u, _levels(mu), edges)


def peak_panels(peaks: Peaks) -> list[Panel]:
    split, wrap = peaks.split, peaks.wrap
    x, steps = split.grid.axes[0], len(split.energy)
    lines = [Series(x, split.density(k).values, f"t = {k / steps:.2f}") for k in (0, steps // 4, steps // 2, steps)]
    mean = 0.5 * np.asarray(split.values[0] + split.values[-1])
    lines.append(Series(x, mean, "mixture, t = 0.50", kind="dashed"))
    y, half = wrap.grid.axes[0], len(wrap.energy) // 2
    around = [Series(y, wrap.density(k).values, f"t = {k / (2 * half):.2f}") for k in (0, half // 2, half, 2 * half)]
    return [
        Panel("x, length", "density, 1/length", lines),
        Panel("x, length (circle of length 1)", "density, 1/length", around),
    ]
