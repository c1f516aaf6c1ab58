"""The tables of the page: a line a chapter, and every claim with its band, its rival and its verdict."""

from collections.abc import Sequence
from html import escape

import numpy as np

from mckean.digits import measurement, number
from mckean.talk.claims import LEVEL, SHARES, TALK_LEVEL, Claim, Observation
from mckean.talk.report.mathematics import inline
from mckean.talk.report.numbers import band, duration, prediction, strain
from mckean.talk.report.order import Place
from mckean.talk.run import Outcome, Talk

_VERDICTS = {"holds": ("✓", "good"), "undecided": ("?", "open"), "fails": ("✗", "bad")}
_FILTERS = (
    ("all", "all"),
    ("fails", "those that fail"),
    ("undecided", "the undecided"),
    ("from-run", "tolerances from the run"),
    ("control", "controls"),
)


def rule(talk: Talk) -> str:
    """How a verdict is found, and how often chance alone makes one wrong."""
    count = len(talk.claims)
    rate = -np.expm1(count * np.log1p(-LEVEL))
    return (
        f"The <b>band</b> is the confidence interval of the measured value, of level 1 − {number(LEVEL, 2)} by "
        f"Student's t with the degrees of freedom of its standard error, further out on the side to which the replicas "
        f"are skewed, widened by the tolerance. A claim "
        f"<b>fails</b> where the prediction is outside the band, or on the wrong side of it for a bound. It is "
        f"<b>undecided</b> where the band holds the nearest wrong theory too, which is no success, and <b>holds</b> "
        f"else. A "
        f"<b>control</b> is a false statement, which must fail. Each claim takes an equal share of the probability "
        f"{number(TALK_LEVEL)} that chance alone makes a claim fail somewhere in a talk in which all is right, for up "
        f"to {SHARES} claims (Šidák); for the {count} of this run it is {number(rate, 2)}. It is exact for "
        f"errors that are Gaussian, and right to the first order in the skewness of others."
    )


def summary(talk: Talk, places: Sequence[Place]) -> str:
    """A line a chapter, grouped by the parts of the talk."""
    head = _head("", "Chapter", "Hold", "Undecided", "Fail", "Worst z / band", "Time")
    rows = []
    for index, place in enumerate(places):
        if index == 0 or places[index - 1].part is not place.part:
            title = f"<a href='#{place.anchor}'>{place.numeral}. {inline(place.part.title)}</a>"
            rows.append(f"<tr class='part'><th scope='rowgroup' colspan='7'>{title}</th></tr>")
        rows.append(_line(place))
    rows += [
        f"<tr class='missing'><td></td><th scope='row'>{escape(name)}</th><td colspan='5'>has not ended</td></tr>"
        for name in talk.missing
    ]
    return f"<table class='summary'>{head}<tbody>{''.join(rows)}</tbody></table>"


def chapter_claims(outcome: Outcome) -> str:
    """The claims of one chapter, with where each prediction and each tolerance comes from."""
    rows = "".join(_claim_row(outcome, number, claim) for number, claim in enumerate(outcome.claims, 1))
    return f"<table class='claims'>{_CLAIM_HEAD}<tbody>{rows}</tbody></table>"


def observations(values: Sequence[Observation]) -> str:
    """What was measured without a prediction, and so without a verdict."""
    rows = "".join(
        f"<tr><th scope='row'>{inline(each.statement)}{_small(each.reference)}</th>"
        f"{_cell('Measured ± s.e.', _measured(each.measured), 'number')}</tr>"
        for each in values
    )
    head = _head("Seen, without a prediction", "Measured ± s.e.")
    return f"<table class='claims'>{head}<tbody>{rows}</tbody></table>"


def all_claims(places: Sequence[Place]) -> str:
    """Every claim in one table, of which a reader chooses what is shown; no script is needed for that."""
    chosen = "".join(
        f"<input type='radio' name='show' id='show-{name}'{' checked' if name == 'all' else ''}>"
        f"<label for='show-{name}'>{label} ({_number_of(name, places)})</label>"
        for name, label in _FILTERS
    )
    rows = "".join(
        _claim_row(place.outcome, number, claim, place)
        for place in places
        for number, claim in enumerate(place.outcome.claims, 1)
    )
    table = f"<table class='claims'>{_CLAIM_HEAD}<tbody>{rows}</tbody></table>"
    return f"<details><summary>Show the table</summary><div class='filter'>{chosen}{table}</div></details>"


def settings(values: dict[str, str]) -> str:
    """Names and values as a definition list."""
    pairs = ((escape(name), escape(str(value))) for name, value in values.items())
    return f"<dl>{''.join(f'<div><dt>{name}</dt><dd>{value}</dd></div>' for name, value in pairs)}</dl>"


def mark(outcome: Outcome) -> str:
    """The worst verdict of a chapter as a sign."""
    word = "fails" if outcome.count("fails") else "undecided" if outcome.count("undecided") else "holds"
    sign, name = _VERDICTS[word]
    return f"<span class='mark {name}' title='{word}'>{sign}</span>"


def _number_of(name: str, places: Sequence[Place]) -> int:
    claims = [claim for place in places for claim in place.outcome.claims]
    return sum(name == "all" or name in _classes(claim) for claim in claims)


def _line(place: Place) -> str:
    outcome = place.outcome
    undecided, fail = outcome.count("undecided"), outcome.count("fails")
    cells = (
        f"<td class='number'>{outcome.count('holds')} of {len(outcome.claims)}</td>"
        f"<td class='number{' open' if undecided else ''}'>{undecided}</td>"
        f"<td class='number{' bad' if fail else ''}'>{fail}</td>"
    )
    title = f"<a href='#{escape(outcome.chapter.name, quote=True)}'>{inline(outcome.chapter.title)}</a>"
    note = "<small>broke</small>" if outcome.broke else "<small>in part</small>" if outcome.note else ""
    return (
        f"<tr><td class='number'>{place.number}</td><th scope='row'>{title}{note}</th>{cells}"
        f"<td class='number'>{strain(outcome.strain)}</td><td class='number'>{duration(outcome.seconds)}</td></tr>"
    )


def _claim_row(outcome: Outcome, index: int, claim: Claim, place: Place | None = None) -> str:
    """A row of the chapter's table, or of the table of all where the chapter's place is given."""
    anchor = f"{escape(outcome.chapter.name, quote=True)}-claim-{index}"
    statement = inline(claim.statement)
    if place is None:
        name, told = f" id='{anchor}'", f"{statement}{_tags(claim)}{_small(claim.reference)}"
    else:
        chapter = f"<small>{place.number} {inline(outcome.chapter.title)}</small>"
        name, told = "", f"<a href='#{anchor}'>{statement}</a>{_tags(claim)}{chapter}"
    tolerance = f"tolerance {number(claim.tolerance, 2)}: {claim.origin}" if claim.tolerance else ""
    rival = claim.excludes
    nearest = "" if rival is None else f"{number(rival.value, 4)}{_small(rival.theory)}"
    freedom = f"{number(claim.freedom, 3)} degrees of freedom" if claim.stderr and np.isfinite(claim.freedom) else ""
    cells = (
        _cell("False: predicts" if claim.relation == "unequal" else "Predicted", prediction(claim), "number"),
        _cell("Measured ± s.e.", f"{_measured(claim.measured)}{_small(freedom)}", "measured"),
        _cell("Band", f"<span class='number'>{band(*claim.band)}</span>{_small(tolerance)}", "band"),
        _cell("Nearest wrong theory", nearest, "rival"),
    )
    classes = " ".join(_classes(claim))
    return f"<tr{name} class='{classes}'><th scope='row'>{told}</th>{''.join(cells)}{_verdict(claim)}</tr>"


def _classes(claim: Claim) -> list[str]:
    control = ["control"] if claim.relation == "unequal" else []
    return [claim.verdict, *control, *(["from-run"] if claim.from_run else [])]


def _tags(claim: Claim) -> str:
    control = "<span class='tag'>control: a false statement</span>" if claim.relation == "unequal" else ""
    from_run = "<span class='tag'>tolerance from this run</span>" if claim.from_run else ""
    return f"{control}{from_run}"


def _verdict(claim: Claim) -> str:
    """A cell that says the verdict by a sign and a word; the colour only repeats them."""
    sign, name = _VERDICTS[claim.verdict]
    word = claim.verdict
    if claim.relation == "unequal":
        word = "fails, as it must" if claim.holds else "does not fail"
    return f"<td class='verdict {name}' data-label='Verdict'><span aria-hidden='true'>{sign}</span> {word}</td>"


def _measured(measured) -> str:
    return measurement(float(measured), float(getattr(measured, "stderr", 0.0)))


def _cell(label: str, content: str, name: str) -> str:
    """A cell with its column's name, which a narrow page shows before it."""
    return f"<td class='{name}' data-label='{label}'>{content}</td>" if content else "<td class='none'></td>"


def _small(prose: str) -> str:
    return f"<small>{inline(prose)}</small>" if prose else ""


def _head(*names: str) -> str:
    cells = "".join(f"<th scope='col'>{name}</th>" for name in names)
    return f"<thead><tr>{cells}</tr></thead>"


_CLAIM_HEAD = _head("Claim", "Predicted", "Measured ± s.e.", "Band", "Nearest wrong theory", "Verdict")
