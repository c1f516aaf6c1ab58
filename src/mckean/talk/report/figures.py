"""Panels drawn to SVG that stands in the page itself: it takes the page's ink, light or dark."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from itertools import count, cycle
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.text import Annotation

from mckean import plot
from mckean.talk.claims import Film, Panel
from mckean.talk.report.labels import wrap
from mckean.talk.report.mathematics import plain

# A colour that nothing is drawn in, replaced by the page's own.
_INK = "#010203"

_PAGE: Any = dict.fromkeys(
    ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "grid.color"), _INK
) | dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "none")


def panel_svg(panel: Panel, prefix: str, size: tuple[float, float] = (3.6, 2.7)) -> str:
    """The panel as an SVG element whose ids all begin with `prefix`, the same bytes for the same panel.

    `size` is its width and its height in inches; what stands above and below the axes is added to the height.
    """
    with _look(prefix):
        figure = Canvas(figsize=size, layout="constrained")
        rows = _draw(figure.add_subplot(), panel, size[0] / 3.6)
        figure.set_figheight(size[1] + 13 * rows / 72)
        _legend(figure, panel)
        return _written(figure, prefix, describe(panel))


def film_svg(film: Film, prefix: str) -> str:
    """The film as an SVG element, as `panel_svg` has it: rows of frames, and one bar of colours."""
    frames = np.asarray(film.frames, dtype=float)
    if frames.ndim != 4 or frames.shape[:2] != (len(film.rows), len(film.columns)):
        raise ValueError(f"a film of {len(film.rows)} rows and {len(film.columns)} columns has frames {frames.shape}.")
    with _look(prefix):
        width = 1.15 * len(film.columns)
        height = 1.15 * len(film.rows) * film.sides[1] / film.sides[0]
        figure = Canvas(figsize=(width + 2.0, height + 0.9), layout="compressed")
        grid = figure.subplots(*frames.shape[:2], sharex=True, sharey=True, squeeze=False)
        limits = {"vmin": np.nanmin(frames), "vmax": np.nanmax(frames)}
        place = (0.0, film.sides[0], 0.0, film.sides[1])
        for (i, j), axes in np.ndenumerate(grid):
            drawn = axes.imshow(frames[i, j].T, origin="lower", extent=place, **limits)
            axes.grid(False)
        for axes, label in zip(grid[0], film.columns, strict=True):
            axes.set_title(label, loc="center")
        for axes, label in zip(grid[:, 0], film.rows, strict=True):
            axes.set_ylabel(f"{label}\n{film.ylabel}")
        for axes in grid[-1]:
            axes.set_xlabel(film.xlabel)
        figure.colorbar(drawn, ax=grid, label=film.label, shrink=0.9, aspect=12 * len(film.rows))
        if film.title:
            figure.suptitle(film.title, x=0.02, ha="left", fontsize=10.5)
        return _written(figure, prefix, _describe(film))


def _describe(film: Film) -> str:
    """The film in words."""
    title = f"{plain(film.title)}: " if film.title else ""
    rows, columns = (", ".join(plain(label) for label in labels) for labels in (film.rows, film.columns))
    return f"{title}{plain(film.label)} as colours; rows: {rows}; columns: {columns}."


@contextmanager
def _look(prefix: str) -> Iterator[None]:
    """The look of the library's pictures, on the page and in its ink."""
    with plot.style(), matplotlib.rc_context(_PAGE | {"svg.hashsalt": prefix}):
        yield


def _written(figure: Canvas, prefix: str, description: str) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return _inline(buffer.getvalue(), prefix, description)


def describe(panel: Panel) -> str:
    """The panel in words, for a reader who does not see it."""
    names = [plain(series.label) for series in panel.series if series.label]
    title = f"{plain(panel.title)}: " if panel.title else ""
    curves = f"; shown: {', '.join(names)}" if names else ""
    return f"{title}{plain(panel.ylabel)} against {plain(panel.xlabel)}{curves}."


def _draw(axes: Axes, panel: Panel, room: float) -> int:
    """Draw the panel, whose lines of text may be `room` times as long; returns the rows of labels above the axes."""
    axes.set_xscale(panel.xscale)
    axes.set_yscale(panel.yscale)
    axes.margins(x=0.03)
    _draw_series(axes, panel)
    axes.set_xlabel(wrap(panel.xlabel, round(38 * room)))
    axes.set_ylabel(wrap(panel.ylabel, 28))
    plot.mark({label: x for x, label in panel.vertical}, axes)
    rows = len({name.xyann[1] for name in axes.texts if isinstance(name, Annotation)})
    if panel.title:
        axes.set_title(wrap(panel.title, round(42 * room)), pad=6 + 13 * rows)
    return rows


def _draw_series(axes: Axes, panel: Panel) -> None:
    """Every series of the panel, each with a colour and a marker or a dash of its own."""
    numbers = {kind: count() for kind in ("line", "points", "dashed", "steps")}
    for series, colour in zip(panel.series, cycle(plot.COLOURS), strict=False):
        number = next(numbers[series.kind])
        plot.curve(
            series.x, series.y, axes, error=series.error, kind=series.kind, label=series.label, color=colour,
            number=number,
        )  # fmt: skip


def _legend(figure: Canvas, panel: Panel) -> None:
    """A legend below the axes in as many columns as fit; the figure grows by its height, the axes stay."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    drawn = dict(zip(labels, handles, strict=True))
    if own := figure.axes[0].get_legend():
        own.remove()
    # In the order of the panel: matplotlib puts error bars last.
    named = {series.label: drawn[series.label] for series in panel.series if series.label in drawn}
    if not named:
        return
    labels = [wrap(label, 44) for label in named]
    for columns in (3, 2, 1):
        legend = figure.legend(
            list(named.values()), labels, loc="outside lower center", ncols=min(columns, len(labels))
        )
        box = legend.get_window_extent()
        if columns == 1 or box.width <= figure.bbox.width:
            figure.set_figheight(figure.get_figheight() + box.height / figure.dpi)
            return
        legend.remove()


def _inline(svg: str, prefix: str, description: str) -> str:
    """The SVG element alone, with ids of its own, in the page's ink, and read out as one image."""
    view = re.search(r'viewBox="([^"]*)"', svg)
    body = re.search(r"<svg[^>]*>(.*)</svg>", svg, re.DOTALL)
    assert view is not None
    assert body is not None
    # Its style sheet would rule the whole page, and the page has the rule.
    text = re.sub(r"<style.*?</style>|<defs>\s*</defs>", "", body[1], flags=re.DOTALL)
    for old, new in (
        ("xlink:href=", "href="),
        (' id="', f' id="{prefix}-'),
        ('href="#', f'href="#{prefix}-'),
        ("url(#", f"url(#{prefix}-"),
        (_INK, "currentColor"),
    ):
        text = text.replace(old, new)
    label = escape(description, quote=True)
    return f'<svg role="img" aria-label="{label}" viewBox="{view[1]}">{text}</svg>'
