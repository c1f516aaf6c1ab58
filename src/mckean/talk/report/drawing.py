"""What is drawn for a chapter: its figures, and the panel that may open a part of the talk."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from mckean.faults import sentence
from mckean.talk import chapters
from mckean.talk.claims import Figure, Film, Panel
from mckean.talk.report.figures import film_svg, panel_svg
from mckean.talk.report.mathematics import inline
from mckean.talk.run import Outcome

_UNDRAWN = "<p class='notice' role='note'>The figures are not drawn yet: the run was stopped.</p>"
# In inches: what makes letters as large on a wide page as they are in points, for panels side by side.
_HALF, _THIRD = (5.3, 3.1), (3.6, 2.7)


@dataclass(frozen=True)
class Drawing:
    """The figures of a chapter, and the panel that opens a part of the talk, as HTML."""

    figures: str
    picture: str


def draw(outcome: Outcome, stopped: Callable[[], bool] = lambda: False) -> Drawing:
    """Draw what a chapter has to show; once `stopped` says so, nothing more is."""
    figures = () if outcome.result is None else outcome.result.figures
    parts = []
    for number, figure in enumerate(figures, 1):
        drawn = figure_html(figure, f"{outcome.chapter.name}-{number}", stopped)
        if drawn is None:
            return Drawing(_UNDRAWN, "")
        parts.append(drawn)
    return Drawing("\n".join(parts), "" if stopped() else _picture(outcome.chapter.name, figures))


def _picture(name: str, figures: Sequence[Figure]) -> str:
    """The first panel of a chapter that opens a part of the talk with it."""
    first = next((panel for figure in figures for panel in figure.panels if isinstance(panel, Panel)), None)
    opens = name in [part.picture for part in chapters.PARTS]
    return _panel(first, f"{name}-opening", _HALF) if opens and first is not None else ""


def figure_html(figure: Figure, prefix: str, stopped: Callable[[], bool] = lambda: False) -> str | None:
    """Panels and caption, every id with the prefix; None where it was stopped."""
    count = len(figure.panels)
    size = _HALF if count in (1, 2, 4) else _THIRD
    panels = []
    for number, panel in enumerate(figure.panels, 1):
        if stopped():
            return None
        name = "panel film" if isinstance(panel, Film) else "panel"
        panels.append(f"<div class='{name}'>{_panel(panel, f'{prefix}-{number}', size)}</div>")
    curves = [series for panel in figure.panels if isinstance(panel, Panel) for series in panel.series]
    kinds = {series.kind for series in curves if series.error is not None}
    marks = [*(["Bars"] if "points" in kinds else []), *(["Bands"] if kinds - {"points"} else [])]
    errors = f" {' and '.join(marks).capitalize()}: ±1 standard error." if marks else ""
    caption = f"<figcaption>{inline(figure.caption)}{errors}</figcaption>"
    across = {1: "one", 2: "two", 4: "two"}.get(count, "three")
    film = " has-film" if any(isinstance(panel, Film) for panel in figure.panels) else ""
    return f"<figure class='{across}{film}'><div class='panels'>{''.join(panels)}</div>{caption}</figure>"


def _panel(panel: Panel | Film, prefix: str, size: tuple[float, float]) -> str:
    """The drawn panel; what cannot be drawn is said in its place: a figure is no reason to lose numbers."""
    try:
        return film_svg(panel, prefix) if isinstance(panel, Film) else panel_svg(panel, prefix, size)
    except Exception as error:
        warnings.warn(f"the panel {prefix} could not be drawn: {sentence(error)}", stacklevel=2)
        return f"<p class='notice' role='note'>This panel could not be drawn: {escape(sentence(error))}</p>"
