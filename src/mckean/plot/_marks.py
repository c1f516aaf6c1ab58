"""Curves, points and histograms with their errors, on axes of any scale: bars on points, bands on curves."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from mckean.plot._look import DASHES, LINES, MARKERS

# Beyond this many points a scatter of vector markers is megabytes of page, and no eye sees the difference.
_MANY = 2000
_PALE = 0.22


def curve(ax: Axes, x: Any, y: Any, error: Any = None, *, color: Any, number: int, dashed: bool, label: str) -> None:
    """A curve with a band of its errors; `number` says which dashes."""
    x, y, error = _shown(ax, x, y, error)
    styles = DASHES if dashed else LINES
    ax.plot(x, y, color=color, linestyle=styles[number % len(styles)], label=label)
    if error is not None:
        band(ax, x, y - _downward(ax, y, error), y + error, color)


def band(ax: Axes, x: Any, low: Any, high: Any, color: Any, step: Any = None) -> None:
    """What lies between two curves, pale."""
    ax.fill_between(x, low, high, step=step, color=color, alpha=_PALE, linewidth=0)


def points(ax: Axes, x: Any, y: Any, error: Any = None, *, color: Any, number: int, label: str) -> None:
    """Points with bars of their errors; `number` says which marker."""
    x, y, error = _shown(ax, x, y, error)
    bars = None if error is None else np.stack([_downward(ax, y, error), error])
    look = {"markersize": 5.0 if x.size <= 60 else 3.0, "markeredgewidth": 0, "elinewidth": 1.2, "capsize": 2.5}
    marker = MARKERS[number % len(MARKERS)]
    drawn = ax.errorbar(x, y, yerr=bars, fmt=marker, color=color, label=label, **look)
    drawn[0].set_rasterized(x.size > _MANY)


def steps(ax: Axes, x: Any, y: Any, error: Any = None, *, color: Any, number: int, label: str) -> None:
    """A histogram: x are the centres of the bins, or their edges where there is one more of them."""
    y = np.ravel(y)
    edges = np.size(x) == y.size + 1
    if edges:
        y = np.append(y, y[-1])
        error = np.append(error, np.ravel(error)[-1]) if np.ndim(error) else error
    where = "post" if edges else "mid"
    x, y, error = _shown(ax, x, y, error)
    ax.step(x, y, where=where, color=color, linestyle=LINES[number % len(LINES)], label=label)
    if error is not None:
        band(ax, x, y - _downward(ax, y, error), y + error, color, where)


def _shown(ax: Axes, x: Any, y: Any, error: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """x, y and the error as arrays of one length, with what an axis cannot show masked by NaN."""
    x, y = _mask(x, ax.get_xscale()), _mask(y, ax.get_yscale())
    if x.shape != y.shape:
        raise ValueError(f"a curve has {x.size} values of x and {y.size} of y.")
    if error is None:
        return x, y, None
    error = np.abs(np.broadcast_to(np.asarray(error, dtype=float), y.shape))
    return x, y, np.where(np.isfinite(y), error, np.nan)


def _mask(values: Any, scale: str) -> np.ndarray:
    flat = np.asarray(values, dtype=float).ravel()
    visible = np.isfinite(flat) & ((flat > 0) | (scale == "linear"))
    return np.where(visible, flat, np.nan)


def _downward(ax: Axes, y: np.ndarray, error: np.ndarray) -> np.ndarray:
    """The lower error: on a log axis one that reaches zero has no end, and is cut at a tenth of the value."""
    return np.minimum(error, 0.9 * y) if ax.get_yscale() == "log" else error
