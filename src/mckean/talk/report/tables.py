"""The tables of the page: every claim with its verdict, and the settings of a run."""

import dataclasses
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from mckean.digits import measurement, number
from mckean.talk.claims import LEVEL, TALK_LEVEL, Claim, Verdict
from mckean.talk.report.mathematics import inline
from mckean.talk.report.numbers import prediction
from mckean.talk.run import Outcome, Talk

RULE = (
    f"The band is the confidence interval of the measured value, of level 1 − {LEVEL:.1e} by Student's t, widened by the "
    f"tolerance. A claim fails where no number in the band stands in the stated relation to the predicted one. It is "
    f"undecided where the band holds the nearest wrong theory too. Chance alone makes a claim of a talk in which "
    f"everything is right fail with a probability of {TALK_LEVEL:g} at most."
)


def all_claims(talk: Talk) -> str:
    """Every claim of the talk, a group of rows a chapter, with links to the chapters."""
    head = _head("Chapter", "Claim", "Predicted", "Measured ± s.e.", "Tolerance", "Verdict")
    groups = "".join(_group(outcome) for outcome in talk.outcomes)
    return _scroll("All claims", f"<table class='claims'><caption><span>{RULE}</span></caption>{head}{groups}</table>")


def chapter_claims(outcome: Outcome) -> str:
    """The claims of one chapter, with where each prediction and each tolerance comes from."""
    head = _head("Claim", "Predicted", "Measured ± s.e.", "Tolerance, and its origin", "Verdict")
    rows = "".join(_full_row(outcome, number, claim) for number, claim in enumerate(outcome.claims, 1))
    caption = "<caption><span>The claims of this chapter.</span></caption>"
    table = f"<table class='claims'>{caption}{head}<tbody>{rows}</tbody></table>"
    return _scroll(f"Claims of {outcome.chapter.title}", table)


def settings(values: Mapping[str, Any]) -> str:
    """Names and values as a definition list."""
    pairs = ((escape(name), escape(_value(value))) for name, value in values.items())
    return f"<dl>{''.join(f'<div><dt>{name}</dt><dd>{value}</dd></div>' for name, value in pairs)}</dl>"


def fields(config: Any) -> dict[str, Any]:
    """The settings in a chapter's configuration, by name; those of its parts by the part's name and theirs."""
    if isinstance(config, Mapping):
        return {str(name): value for name, value in config.items()}
    if dataclasses.is_dataclass(config):
        return _flat({field.name: getattr(config, field.name) for field in dataclasses.fields(config)})
    return {} if config is None else {"config": config}


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    flat = {}
    for name, value in values.items():
        part = fields(value) if dataclasses.is_dataclass(value) else None
        flat |= {name: value} if part is None else {f"{name}.{inner}": part[inner] for inner in part}
    return flat


def anchor(outcome: Outcome, number: int) -> str:
    """The id of a claim's row in its chapter's table."""
    return f"{escape(outcome.chapter.name, quote=True)}-claim-{number}"


def _group(outcome: Outcome) -> str:
    chapter = (
        f"<th scope='rowgroup' rowspan='{len(outcome.claims)}'>"
        f"<a href='#{escape(outcome.chapter.name, quote=True)}'>{escape(outcome.chapter.name)}</a></th>"
    )
    rows = []
    for index, claim in enumerate(outcome.claims, 1):
        name = f"<th scope='row'><a href='#{anchor(outcome, index)}'>{inline(claim.statement)}</a></th>"
        rows.append(
            f"<tr>{chapter}{name}{_figures(claim)}<td>{number(claim.tolerance, 3)}</td>{verdict(claim.verdict)}</tr>"
        )
        chapter = ""
    return f"<tbody>{''.join(rows)}</tbody>"


def _full_row(outcome: Outcome, index: int, claim: Claim) -> str:
    reference = f"<small>{inline(claim.reference)}</small>" if claim.reference else ""
    origin = f"<small>{inline(claim.origin)}</small>" if claim.origin else ""
    return (
        f"<tr id='{anchor(outcome, index)}'><th scope='row'>{inline(claim.statement)}{reference}</th>"
        f"{_figures(claim)}<td class='origin'>{number(claim.tolerance, 3)}{origin}</td>{verdict(claim.verdict)}</tr>"
    )


def verdict(word: Verdict) -> str:
    """A cell that says the verdict by a sign and a word; the colour only repeats them."""
    sign, name = {"holds": ("✓", "good"), "undecided": ("?", "open"), "fails": ("✗", "bad")}[word]
    return f"<td class='verdict {name}'><span aria-hidden='true'>{sign}</span> {word}</td>"


def _figures(claim: Claim) -> str:
    expected, found = prediction(claim.predicted, claim.relation), measurement(claim.value, claim.stderr)
    return f"<td class='number'>{expected}</td><td class='number'>{found}</td>"


def _head(*names: str) -> str:
    cells = "".join(f"<th scope='col'>{name}</th>" for name in names)
    return f"<thead><tr>{cells}</tr></thead>"


def _scroll(label: str, table: str) -> str:
    """A table in a container of its own, which scrolls where the page is narrow, by keyboard too."""
    name = escape(label, quote=True)
    return f"<div class='scroll' role='region' tabindex='0' aria-label='{name}'>{table}</div>"


def _value(value: Any) -> str:
    """A setting in a line: numbers to six digits, long lists by their ends."""
    if isinstance(value, bool | str) or value is None:
        return str(value)
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u202f") if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, Sequence):
        return _list(list(value))
    if hasattr(value, "shape"):
        array = np.asarray(value)
        return _value(array.item()) if array.ndim == 0 else _list(array.ravel().tolist())
    return str(value)


def _list(values: list[Any]) -> str:
    shown = values if len(values) <= 12 else [*values[:3], "…", *values[-2:]]
    return ", ".join(_value(value) for value in shown)
