"""The look of all pictures: colours, sizes, axes with names, and the figure where a user gives none."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib.style
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from mckean.checks import require

# The colours of Okabe and Ito, told apart with any colour vision; their yellow is too faint for a line.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
# What theory says, and what is only a frame.
INK, FAINT = "#202020", "#9A9A9A"
# In greyscale a curve is known by its dashes, and points by their marker.
LINES = ("-", (0, (1, 1.2)), (0, (7, 1.5, 1.2, 1.5)), (0, (7, 1.5, 1.2, 1.5, 1.2, 1.5)))
DASHES = ((0, (5, 2.2)), (0, (2.2, 1.4)), (0, (9, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P")
# Sequential, even in lightness, and told apart with any colour vision.
MAP = "cividis"
# In inches: of a figure with curves, and of one with equal lengths along both axes.
SIZE, SQUARE = (5.2, 3.4), (4.6, 3.8)

_STYLE: dict[str, Any] = {
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.labelsize": 10,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "legend.columnspacing": 1.4,
    "axes.prop_cycle": cycler(color=COLOURS),
    "axes.titlelocation": "left",
    "axes.formatter.use_mathtext": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.16,
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.7,
    "image.cmap": MAP,
    "savefig.dpi": 200,
    # Letters as outlines: a formula keeps its shape with whatever fonts a reader has.
    "svg.fonttype": "path",
}


@contextmanager
def style() -> Iterator[None]:
    """The look of the library's pictures, for the figures that are made inside: `with style(): plt.subplots()`.

    It begins at matplotlib's defaults, so that your own settings do not change a picture, and ends with them restored.
    Letters of 10 points are legible on a page and, at a width of 5 inches, on a phone; `COLOURS` are those of Okabe and
    Ito.
    """
    with matplotlib.style.context(["default", _STYLE]):
        yield


@contextmanager
def canvas(ax: Axes | None, size: tuple[float, float] = SIZE) -> Iterator[Axes]:
    """The axes to draw on: the user's, or those of a new figure in our style, which an error closes again."""
    if ax is not None:
        require(isinstance(ax, Axes), f"ax is an Axes, as matplotlib's plt.subplots() makes it, not {ax!r}.")
        yield ax
        return
    from matplotlib import pyplot

    with style():
        figure = pyplot.figure(figsize=size, layout="constrained")
        try:
            yield figure.add_subplot()
        except BaseException:
            pyplot.close(figure)
            raise


def name_axes(ax: Axes, x: str, y: str) -> None:
    """Names for axes that have none yet."""
    if not ax.get_xlabel():
        ax.set_xlabel(x)
    if not ax.get_ylabel():
        ax.set_ylabel(y)


def from_zero(ax: Axes, top: float | None = None) -> None:
    """An ordinate that begins at 0; what is drawn later may still raise its top."""
    ax.set_ylim(bottom=0, top=top, auto=top is None)


def legend(ax: Axes, *, beside: bool = False) -> None:
    """A legend where anything has a label; curves are seen through it, if it is not beside the axes."""
    place: Any = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if beside else {"loc": "best"}
    if ax.get_legend_handles_labels()[1]:
        drawn = ax.legend(frameon=True, framealpha=0.8, edgecolor="none", facecolor=ax.get_facecolor(), **place)
        for handle in drawn.legend_handles:
            # The points of a large cloud are too small and too pale to show their colour.
            if isinstance(handle, PathCollection):
                handle.set(sizes=[25], alpha=1)


def shades(count: int) -> list[Any]:
    """A colour for each of a sequence, from dark to light; the lightest ones are too faint for a line."""
    import matplotlib

    return list(matplotlib.colormaps[MAP](np.linspace(0.0, 0.85, count)))


def colours(ax: Axes, count: int = 1, color: Any = None) -> Sequence[Any]:
    """A colour for each of several things side by side: of `COLOURS` those that are least often on the axes."""
    if color is not None:
        return [color] * count
    if count > len(COLOURS):
        return shades(count)
    used = [to_hex(paint).upper() for paint in _paints(ax)]
    return sorted(COLOURS, key=used.count)[:count]


def _paints(ax: Axes) -> list[Any]:
    """The colours of all lines, outlines and points."""
    outlines = [patch.get_edgecolor() for patch in ax.patches]
    points = [paint for marks in ax.collections for paint in np.asarray(marks.get_facecolor())[:1]]
    return [*(line.get_color() for line in ax.lines), *outlines, *points]


def set_scales(ax: Axes, log: str) -> None:
    """Logarithmic axes, by their letters."""
    require(log in ("", "x", "y", "xy"), f'logarithmic axes are "x", "y" or "xy", or "" for none, not {log!r}.')
    for letter in log:
        ax.set(**{f"{letter}scale": "log"})


def log_ticks(ax: Axes) -> None:
    """Labels of logarithmic axes that do not run into one another."""
    for axis in (ax.xaxis, ax.yaxis):
        if axis.get_scale() == "log":
            _log_ticks(axis)


def _log_ticks(axis: Axis) -> None:
    """At 1, 2, 5 within two decades, at the decades beyond."""
    low, high = axis.get_view_interval()
    axis.set_minor_formatter(NullFormatter())
    if high < 100 * low:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(log_label))


def log_label(value: float, _: int | None = None) -> str:
    """A number on a log axis."""
    if 1e-3 <= value < 1e5:
        return f"{value:g}"
    digit, exponent = f"{value:.0e}".split("e")
    return f"${digit}\\times10^{{{int(exponent)}}}$"
