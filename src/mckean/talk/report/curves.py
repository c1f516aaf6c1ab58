"""The series of a panel on a pair of axes: curves, points, error bars and bands."""

from dataclasses import replace
from itertools import count

import numpy as np
from matplotlib.axes import Axes

from mckean.talk.claims import Panel, Series

# The colours of Okabe and Ito, told apart with any colour vision; their yellow is too faint for a line.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
# In greyscale a series is known by its marker or its dashes.
MARKERS = ("o", "s", "^", "D", "v", "P")
LINES = ("-", (0, (1, 1.2)), (0, (7, 1.5, 1.2, 1.5)), (0, (7, 1.5, 1.2, 1.5, 1.2, 1.5)))
DASHES = ((0, (5, 2.2)), (0, (2.2, 1.4)), (0, (9, 3)))

# Beyond this many points a scatter of vector markers is megabytes of page, and no eye sees the difference.
_MANY = 2000


def draw_series(axes: Axes, panel: Panel) -> None:
    """Every series of the panel, each with a colour and a marker or a dash of its own."""
    numbers = {kind: count() for kind in ("line", "points", "dashed", "steps")}
    for index, series in enumerate(panel.series):
        colour = COLOURS[index % len(COLOURS)]
        draw = {"points": _points, "steps": _steps}.get(series.kind, _line)
        draw(axes, panel, series, colour, next(numbers[series.kind]))


def _line(axes: Axes, panel: Panel, series: Series, colour: str, number: int) -> None:
    x, y, error = _values(panel, series)
    styles = DASHES if series.kind == "dashed" else LINES
    axes.plot(x, y, color=colour, linestyle=styles[number % len(styles)], label=series.label)
    if error is not None:
        low = y - _downward(panel, y, error)
        axes.fill_between(x, low, y + error, color=colour, alpha=0.22, linewidth=0)


def _points(axes: Axes, panel: Panel, series: Series, colour: str, number: int) -> None:
    x, y, error = _values(panel, series)
    marker = MARKERS[number % len(MARKERS)]
    size = 5.0 if x.size <= 60 else 3.0
    bars = None if error is None else np.stack([_downward(panel, y, error), error])
    look = {"color": colour, "markersize": size, "markeredgewidth": 0, "elinewidth": 1.2, "capsize": 2.5}
    drawn = axes.errorbar(x, y, yerr=bars, fmt=marker, label=series.label, **look)
    drawn[0].set_rasterized(x.size > _MANY)


def _steps(axes: Axes, panel: Panel, series: Series, colour: str, number: int) -> None:
    """A histogram: x are the centres of the bins, or their edges where there is one more of them."""
    edges = np.size(series.x) == np.size(series.y) + 1
    if edges:
        last = {name: np.append(value, value[-1]) for name, value in _columns(series).items()}
        series = replace(series, **last)
    where = "post" if edges else "mid"
    x, y, error = _values(panel, series)
    axes.step(x, y, where=where, color=colour, linestyle=LINES[number % len(LINES)], label=series.label)
    if error is not None:
        low = y - _downward(panel, y, error)
        axes.fill_between(x, low, y + error, step=where, color=colour, alpha=0.22, linewidth=0)


def _columns(series: Series) -> dict[str, np.ndarray]:
    """What a histogram has one of for every bin."""
    columns = {"y": np.ravel(series.y)}
    if np.ndim(series.error):
        columns["error"] = np.ravel(series.error)
    return columns


def _values(panel: Panel, series: Series) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """x, y and the standard error as arrays of one length, with what an axis cannot show masked by NaN."""
    x, y = _mask(series.x, panel.xscale), _mask(series.y, panel.yscale)
    if x.shape != y.shape:
        raise ValueError(f"the series '{series.label}' has {x.size} values of x and {y.size} of y.")
    if series.error is None:
        return x, y, None
    error = np.abs(np.broadcast_to(np.asarray(series.error, dtype=float), y.shape))
    return x, y, np.where(np.isfinite(y), error, np.nan)


def _mask(values: object, scale: str) -> np.ndarray:
    flat = np.asarray(values, dtype=float).ravel()
    visible = np.isfinite(flat) & ((flat > 0) | (scale == "linear"))
    return np.where(visible, flat, np.nan)


def _downward(panel: Panel, y: np.ndarray, error: np.ndarray) -> np.ndarray:
    """The lower error: on a log axis one that reaches zero has no end, and is cut at a tenth of the value."""
    return np.minimum(error, 0.9 * y) if panel.yscale == "log" else error
