"""Several seeds: whether the errors are what they are said to be, on the page, on the terminal and as a file."""

from collections.abc import Iterator
from html import escape

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from mckean.digits import number
from mckean.talk.calibration import FEWEST, Calibration, Score, Uniformity, deviation
from mckean.talk.claims import Figure, Panel, Series
from mckean.talk.report.drawing import figure_html
from mckean.talk.report.mathematics import inline, plain

_LAW = (
    "Of a claim that is right, $z$ = (measured − predicted)/s.e. has Student's law $F$, and $u = F(z)$ is uniform. "
    "Errors that are too small drive $u$ to 0 and 1, errors that are too large to the middle. Claims with a tolerance, "
    "and bounds, have a p-value instead, which is uniform or higher; of them it is tested that there are not too many "
    "small ones. Claims of one chapter at one seed depend on one another: the tests keep them together."
)
_BINS = 10


def section(calibration: Calibration) -> str:
    """The section of the page."""
    tests = "".join(
        f"<tr><th scope='row'>{escape(test.name)}</th><td class='number'>{test.count}</td>"
        f"<td class='number'>{number(test.statistic, 3)}</td><td class='number'>{_p_value(test)}</td></tr>"
        for test in calibration.tests
    )
    heads = "".join(f"<th scope='col'>{name}</th>" for name in _COLUMNS)
    rows = "".join(
        f"<tr><th scope='row'>{escape(row[0])}</th>{''.join(f'<td class=number>{cell}</td>' for cell in row[1:])}</tr>"
        for row in chapters(calibration)
    )
    drifts = "".join(
        f"<tr><th scope='row'>{inline(statement)}<small>{escape(chapter)}</small></th>"
        f"<td class='number'>{number(mean, 3)}</td><td class='number'>{number(p_value, 2)}</td></tr>"
        for chapter, statement, mean, p_value in calibration.drifts[:5]
    )
    return f"""<section id="seeds" aria-labelledby="seeds-title">
<h2 id="seeds-title">Seeds {calibration.seeds[0]} to {calibration.seeds[-1]}: {verdict(calibration)}</h2>
<p>{inline(_LAW)}</p>
{figure_html(_figure(calibration), "seeds-1")}
<table><thead><tr><th scope="col">Test</th><th scope="col">Values</th><th scope="col">Statistic</th>
<th scope="col">p-value (level {number(calibration.level, 2)})</th></tr></thead><tbody>{tests}</tbody></table>
<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>
<table><thead><tr><th scope="col">The claims whose mean over the seeds is least likely</th><th scope="col">Mean z</th>
<th scope="col">p-value, one of {len(calibration.drifts)}</th></tr></thead><tbody>{drifts}</tbody></table>
</section>"""


def verdict(calibration: Calibration) -> str:
    """The outcome in a few words."""
    failed = sum(outcome.count("fails") for outcome in calibration.outcomes)
    open_ = sum(outcome.count("undecided") for outcome in calibration.outcomes)
    law = [test for test in calibration.tests if test.p_value < calibration.level]
    words = [
        *([f"{failed} claims fail"] if failed else []),
        *([f"{open_} undecided"] if open_ else []),
        *(["the errors are not what they are said to be"] if law else []),
    ]
    if not words and not calibration.holds:
        words = ["a claim drifts"]
    few = not all(np.isfinite(test.p_value) for test in calibration.tests[:2])
    law = "too few runs to judge their errors" if few else "and the errors are what they are said to be"
    return ", ".join(words) or f"all claims hold, {law}"


_COLUMNS = ("Chapter", "Exact", "Others", "Root mean square z", "Largest |z|", "Undecided", "Fail")


def chapters(calibration: Calibration) -> Iterator[tuple[str, ...]]:
    """A line a chapter: its scores over all seeds, and its verdicts."""
    names = dict.fromkeys(outcome.chapter.name for outcome in calibration.outcomes)
    scores = calibration.scores
    for name in names:
        z = np.array([score.z for score in scores if score.chapter == name and score.exact])
        others = sum(score.chapter == name and not score.exact for score in scores)
        mine = [outcome for outcome in calibration.outcomes if outcome.chapter.name == name]
        size = (f"{np.sqrt(np.mean(z**2)):.2f}", f"{np.abs(z).max():.2f}") if z.size else ("—", "—")
        counts = (str(sum(outcome.count(word) for outcome in mine)) for word in ("undecided", "fails"))
        yield name, str(z.size), str(others), *size, *counts


def table(calibration: Calibration) -> Table:
    """The same on a terminal."""
    shown = Table(box=box.SIMPLE, pad_edge=False)
    for name in _COLUMNS:
        shown.add_column(name.lower(), justify="left" if name == "Chapter" else "right")
    for row in chapters(calibration):
        shown.add_row(*map(Text, row))
    return shown


def lines(calibration: Calibration) -> Iterator[str]:
    """The tests, and the claim that drifts most, each in a line."""
    for test in calibration.tests:
        yield f"{test.name}: {test.count} values, p = {_p_value(test)}"
    for chapter, statement, mean, p_value in calibration.drifts[:1]:
        many = len(calibration.drifts)
        yield f"farthest mean: {chapter}, {plain(statement)}: z = {mean:.2f}, p = {number(p_value, 2)}, one of {many}"
    yield f"seeds {calibration.seeds[0]} to {calibration.seeds[-1]}: {verdict(calibration)}"


def _p_value(test: Uniformity) -> str:
    return number(test.p_value, 2) if np.isfinite(test.p_value) else f"too few runs: {FEWEST} chapters or more by seeds"


def _figure(calibration: Calibration) -> Figure:
    exact = [score for score in calibration.scores if score.exact]
    others = [score for score in calibration.scores if not score.exact]
    titles = ("claims without a tolerance", "bounds, and claims with one")
    panels = [_panel(scores, title) for scores, title in zip((exact, others), titles, strict=True)]
    return Figure("The share of the scores in tenths of $[0, 1]$. Left it should be 0.1 in each; right no more in the "
                  "first ones.", panels)  # fmt: skip


def _panel(scores: list[Score], title: str) -> Panel:
    edges = np.linspace(0, 1, _BINS + 1)
    counts = np.histogram([score.u for score in scores], edges)[0]
    share, error = counts / max(len(scores), 1), np.zeros(_BINS)
    if scores:
        rows, count = deviation(scores)
        ends = np.zeros((len(rows), _BINS + 1))
        ends[:, 1:-1] = rows[:, rows.shape[1] // _BINS :: (rows.shape[1] + 1) // _BINS]
        error = np.sqrt((np.diff(ends, axis=1) ** 2).sum(0)) / count
    centres = (edges[1:] + edges[:-1]) / 2
    series = (
        Series(centres, share, "measured", error, "points"),
        Series(edges, np.full(_BINS + 1, 1 / _BINS), "uniform", kind="dashed"),
    )
    return Panel("$u$" if title.startswith("claims") else "p-value", "share", series, title)
