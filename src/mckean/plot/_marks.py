"""Curves, points and histograms with their errors, on axes of any scale: bars on points, bands on curves."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import same_color
from matplotlib.lines import Line2D

from mckean.checks import require, require_finite
from mckean.plot._look import DASHES, INK, LINES, MARKERS, canvas, colours, legend, log_ticks, set_scales
from mckean.statistics import Estimate

# Beyond this many points a scatter of vector markers is megabytes of page, and no eye sees the difference.
_MANY = 2000
_PALE = 0.22
# The share of the axes that the name of a place takes.
_ROOM = 0.22


def curve(
    x: Any,
    y: Any,
    ax: Axes | None = None,
    *,
    error: Any = None,
    kind: Literal["line", "dashed", "points", "steps", "exact"] = "line",
    label: str | None = None,
    color: Any = None,
    number: int | None = None,
    log: Literal["", "x", "y", "xy"] = "",
) -> Axes:
    """Draw numbers against others with their errors: bars on points, a band about lines and steps.

    What theory says, "exact", is dashed and in black, on all axes alike. What a logarithmic axis cannot show, and what
    is not finite, is left out.

    **Arguments:**

    - `x`: shape (k,). Of steps the centres of the bins, or their ends, shape (k + 1,).
    - `y`: shape (k,), or an `Estimate` of that shape, whose standard errors are drawn.
    - `ax`: the axes. Default: None, those of a new figure.
    - `error`: standard errors of y, a number or shape (k,). Default: None, no errors, or those of the `Estimate`.
    - `kind`: "line", "dashed", "points", "steps" or "exact". Default: "line".
    - `label`: for the legend. Default: None.
    - `color`: one of matplotlib's colours. Default: None, the next of `COLOURS`.
    - `number`: which dashes, or which marker, in the order of the library. Default: None, the next ones.
    - `log`: the axes that are made logarithmic: "x", "y" or "xy". Default: "", as they are.

    **Returns:** the axes.

    **Raises:** `ValueError` for x and y of different lengths, another kind, and other axes.
    """
    known = {"line": _line, "dashed": _line, "points": _points, "steps": _steps, "exact": _line}
    require(kind in known, f'the kind of a curve is "line", "dashed", "points", "steps" or "exact", not {kind!r}.')
    if isinstance(y, Estimate):
        y, error = y.value, y.stderr if error is None else error
    x, y, error = (None if a is None else np.asarray(a, dtype=float) for a in (np.ravel(x), np.ravel(y), error))
    lengths = (y.size, y.size + 1) if kind == "steps" else (y.size,)
    require(x.size in lengths, f"the curve '{label or ''}' has {x.size} values of x and {y.size} of y.")
    edges = x.size > y.size
    if edges:
        y, error = np.append(y, y[-1:]), np.append(error, error[-1]) if np.ndim(error) else error
    error = None if error is None else np.abs(np.broadcast_to(error, y.shape))
    with canvas(ax) as ax:
        set_scales(ax, log)
        taken, (paint,) = count(ax), colours(ax, color=color)
        if kind == "exact":
            taken, paint = sum(map(_is_theory, ax.lines)), INK if color is None else color
        x, y = _visible(x, ax.get_xscale()), _visible(y, ax.get_yscale())
        look = {"color": paint, "label": label}
        look |= {"where": "post" if edges else "mid"} if kind == "steps" else {}
        known[kind](ax, x, y, error, look, kind, taken if number is None else number)
        log_ticks(ax)
        legend(ax)
        return ax


def mark(places: Mapping[str, float], ax: Axes | None = None) -> Axes:
    """Mark values of x by dotted lines across the axes, with their names above, each where it has room.

    Draw the curves first, since the room is that of the axes as they are. What a logarithmic axis cannot show is left
    out.

    **Arguments:**

    - `places`: the values by their names, such as {"onset": 2.0}.
    - `ax`: the axes. Default: None, those of a new figure.

    **Returns:** the axes.

    **Raises:** `ValueError` for values that are not finite numbers with a name.
    """
    require(isinstance(places, Mapping), f'places are numbers by their names, {{"onset": 2.0}}, not {places!r}.')
    known = all(np.ndim(x) == 0 and not isinstance(x, str) for x in places.values())
    require(known, f"a place that is marked is a number, but {places!r} was given.")
    values = np.asarray(list(places.values()), float)
    require_finite("a place that is marked", values)
    with canvas(ax) as ax:
        ink = ax.spines["left"].get_edgecolor()
        across = {"transform": ax.get_xaxis_transform(), "color": ink, "alpha": 0.75, "linewidth": 1.1}
        shown = {name: float(x) for name, x in places.items() if ax.get_xscale() == "linear" or float(x) > 0}
        ax.vlines(list(shown.values()), 0, 1, linestyle=(0, (1.5, 2)), **across)
        last, row = -1.0, 0
        for name, x in sorted(shown.items(), key=lambda item: item[1]):
            place = float(ax.transAxes.inverted().transform(ax.transData.transform((x, 1.0)))[0])
            # A name that would run into its neighbour stands a row higher.
            row = row + 1 if place - last < _ROOM and last >= 0 else 0
            side = "left" if place < 0.12 else "right" if place > 0.88 else "center"
            ax.annotate(
                name, (x, 1.0), (0, 3 + 13 * row), xycoords=ax.get_xaxis_transform(), ha=side, va="bottom",
                textcoords="offset points", fontsize=9.5, annotation_clip=False,
            )  # fmt: skip
            last = place
        return ax


def count(ax: Axes) -> int:
    """How many curves and sets of points there are; what theory says, in ink, is none of them."""
    points = [line for group in ax.containers for line in group.get_children()]
    return len(ax.containers) + sum(line not in points and not _is_theory(line) for line in ax.lines)


def _is_theory(line: Line2D) -> bool:
    """Whether a line is in ink; a colour may be a word, a tuple or an array."""
    return same_color(line.get_color(), INK)


def band(ax: Axes, x: Any, low: Any, high: Any, color: Any, step: Any = None) -> None:
    """What lies between two curves, pale."""
    ax.fill_between(x, low, high, step=step, color=color, alpha=_PALE, linewidth=0)


def _line(ax: Axes, x: Any, y: Any, error: Any, look: dict, kind: str, number: int) -> None:
    styles = LINES if kind == "line" else DASHES
    width = {"linewidth": 1.2} if kind == "exact" else {}
    ax.plot(x, y, linestyle=styles[number % len(styles)], **width, **look)
    if error is not None:
        band(ax, x, y - _downward(ax, y, error), y + error, look["color"])


def _points(ax: Axes, x: Any, y: Any, error: Any, look: dict, kind: str, number: int) -> None:
    bars = None if error is None else np.stack([_downward(ax, y, error), np.where(np.isfinite(y), error, np.nan)])
    size = 5.0 if x.size <= 60 else 3.0
    marks = {"markersize": size, "markeredgewidth": 0, "elinewidth": 1.2, "capsize": 2.5}
    drawn = ax.errorbar(x, y, yerr=bars, fmt=MARKERS[number % len(MARKERS)], **marks, **look)
    drawn[0].set_rasterized(x.size > _MANY)


def _steps(ax: Axes, x: Any, y: Any, error: Any, look: dict, kind: str, number: int) -> None:
    ax.step(x, y, linestyle=LINES[number % len(LINES)], **look)
    if error is not None:
        band(ax, x, y - _downward(ax, y, error), y + error, look["color"], look["where"])


def _visible(values: np.ndarray, scale: str) -> np.ndarray:
    """The values that an axis can show, others NaN."""
    return np.where(np.isfinite(values) & ((values > 0) | (scale == "linear")), values, np.nan)


def _downward(ax: Axes, y: np.ndarray, error: np.ndarray) -> np.ndarray:
    """The lower error: on a log axis one that reaches zero has no end, and is cut at a tenth of the value."""
    return np.minimum(error, 0.9 * y) if ax.get_yscale() == "log" else error
