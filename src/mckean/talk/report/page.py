"""The page: one HTML file with everything in it, read on any screen and on paper, without a script."""

import shlex
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources

from mckean.talk.report.drawing import Drawing
from mckean.talk.report.mathematics import inline, paragraphs
from mckean.talk.report.numbers import duration
from mckean.talk.report.order import Place, places
from mckean.talk.report.setting import Setting
from mckean.talk.report.tables import all_claims, chapter_claims, mark, observations, rule, settings, summary
from mckean.talk.run import Talk

_TITLE = "Interacting particles and their mean-field limits"
_ABOUT = (
    "Many particles that act on one another through their empirical measure $\\mu^N$ follow, as their "
    "number $N$ grows, the solution $\\mu$ of a nonlinear partial differential equation; under a noise that "
    "all of them share they follow a stochastic one. Theory says how near they stay, how fast they settle "
    "and when they come to agree. On this page each such statement is a number: predicted, then measured in "
    "a simulation by the library mckean, with its standard error, and judged by a rule fixed beforehand, which "
    "also names the nearest wrong theory and asks that the run rejects it."
)


def page(talk: Talk, setting: Setting, drawn: Mapping[str, Drawing], calibrated: str = "") -> str:
    """The whole report as one HTML document.

    **Arguments:**

    - `talk`: what was run.
    - `setting`: where and when.
    - `drawn`: the figures, by the names of the chapters.
    - `calibrated`: a section on the law of the errors over several seeds.
    """
    order = places(talk)
    style = resources.files("mckean.talk.report").joinpath("page.css").read_text(encoding="utf-8")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{headline(talk)} · mckean</title>
<style>
{style}</style>
</head>
<body>
{_contents(order, bool(calibrated))}
<div class="page">
<header>
<h1>{_TITLE}</h1>
{paragraphs(_ABOUT)}
{_command(talk.command)}
</header>
<main>
<section id="summary" aria-labelledby="summary-title">
<h2 id="summary-title">{headline(talk)}</h2>
{_notices(talk)}
{summary(talk, order)}
<p class="rule">{rule(talk)}</p>
{settings(_making(talk, setting))}
</section>
{_parts(order, talk, drawn)}
{calibrated}
<section id="claims" aria-labelledby="claims-title">
<h2 id="claims-title">All claims</h2>
{all_claims(order)}
</section>
</main>
</div>
</body>
</html>
"""


def headline(talk: Talk) -> str:
    """How many claims hold, and how many of the others fail or are undecided."""
    claims = [claim for _, claim in talk.claims]
    counts = {verdict: sum(claim.verdict == verdict for claim in claims) for verdict in ("holds", "fails", "undecided")}
    others = [
        *([f"{counts['fails']} fail{'s' if counts['fails'] == 1 else ''}"] if counts["fails"] else []),
        *([f"{counts['undecided']} undecided"] if counts["undecided"] else []),
    ]
    return f"{counts['holds']} of {len(claims)} claims hold{''.join(f', {other}' for other in others)}"


def _contents(order: Sequence[Place], calibrated: bool) -> str:
    """The list that stays in view beside a wide page."""
    items = ["<li><a href='#summary'>At a glance</a></li>"]
    for index, place in enumerate(order):
        if index == 0 or order[index - 1].part is not place.part:
            title = f"{place.numeral}. {inline(place.part.title)}"
            items.append(f"<li class='part'><a href='#{place.anchor}'>{title}</a></li>")
        chapter = place.outcome.chapter
        link = f"<a href='#{escape(chapter.name, quote=True)}'>{place.number} {inline(chapter.title)}</a>"
        items.append(f"<li>{mark(place.outcome)} {link}</li>")
    if calibrated:
        items.append("<li class='part'><a href='#seeds'>Many seeds</a></li>")
    items.append("<li class='part'><a href='#claims'>All claims</a></li>")
    return f"<nav aria-label='Contents'><ol>{''.join(items)}</ol></nav>"


def _notices(talk: Talk) -> str:
    """What a reader must know before the table: chapters that broke or left something out, a run that has not ended."""
    texts = [
        f"The chapter “{outcome.chapter.name}” broke and counts as a claim that fails: {outcome.error}"
        for outcome in talk.outcomes
        if outcome.broke
    ]
    texts += [f"{outcome.chapter.name}: {outcome.note}" for outcome in talk.outcomes if outcome.note]
    if talk.missing:
        missing = ", ".join(talk.missing)
        texts.append(
            f"The run has not come to its end; chapters asked for and not finished: {missing}. The same command with "
            f"--resume goes on from here."
        )
    if talk.excess:
        texts.append(
            f"The talk has {talk.excess} claims more than share its level, so that its rate of error is larger than "
            f"is stated: raise SHARES in mckean/talk/claims.py."
        )
    return "".join(f"<p class='notice' role='note'>{escape(text)}</p>" for text in texts)


def _making(talk: Talk, setting: Setting) -> dict[str, str]:
    return {
        "mckean": f"{setting.version}, code {setting.code}",
        "jax": setting.jax,
        "numbers": setting.precision,
        "device": setting.device,
        "cores": str(setting.cores),
        "seed": str(talk.seed),
        "size": "quick" if talk.quick else "full",
        "time": duration(talk.seconds),
        "date": setting.date,
    }


def _parts(order: Sequence[Place], talk: Talk, drawn: Mapping[str, Drawing]) -> str:
    sections = []
    for index, place in enumerate(order):
        if index == 0 or order[index - 1].part is not place.part:
            sections.append(_opening(place, order, drawn))
        sections.append(_chapter(place, talk, drawn.get(place.outcome.chapter.name)))
    return "\n".join(sections)


def _opening(place: Place, order: Sequence[Place], drawn: Mapping[str, Drawing]) -> str:
    """The head of a part: its title, a paragraph, and a picture from one of its chapters where that was run."""
    picture = ""
    for each in order:
        chapter = each.outcome.chapter
        if chapter.name == place.part.picture and chapter.name in drawn and drawn[chapter.name].picture:
            link = f"<a href='#{escape(chapter.name, quote=True)}'>{inline(chapter.title)}</a>"
            panel = f"<div class='panels'><div class='panel'>{drawn[chapter.name].picture}</div></div>"
            caption = f"<figcaption>From chapter {each.number}, {link}.</figcaption>"
            picture = f"<figure class='one'>{panel}{caption}</figure>"
    return f"""<section id="{place.anchor}" class="part" aria-labelledby="{place.anchor}-title">
<h2 id="{place.anchor}-title"><span class="count">Part {place.numeral}</span> {inline(place.part.title)}</h2>
<div class="opening">{paragraphs(place.part.opening)}</div>
{picture}
</section>"""


def _chapter(place: Place, talk: Talk, drawn: Drawing | None) -> str:
    """A chapter: what theory says, what was run, what came out."""
    outcome = place.outcome
    chapter, name = outcome.chapter, escape(outcome.chapter.name, quote=True)
    broke = f"<p class='notice' role='note'>The chapter broke: {escape(outcome.error)}</p>" if outcome.broke else ""
    note = f"<p class='notice' role='note'>{escape(outcome.note)}</p>" if outcome.note else ""
    size = " --quick" if talk.quick else ""
    return f"""<section id="{name}" class="chapter" aria-labelledby="{name}-title">
<h3 id="{name}-title"><span class="count">{place.number}</span> {inline(chapter.title)}</h3>
<div class="statement">{paragraphs(chapter.statement)}</div>
<h4>What was run</h4>
{paragraphs(outcome.what)}
{broke}{note}
{drawn.figures if drawn is not None else ""}
<h4>What came out</h4>
{chapter_claims(outcome)}
{observations(outcome.observations) if outcome.observations else ""}
{_references(chapter.references)}
<p class="again">Took {duration(outcome.seconds)}. To repeat it, with the same numbers:</p>
{_command(f"mckean talk {shlex.quote(chapter.name)}{size} --seed {talk.seed}")}
</section>"""


def _references(references: Sequence[str]) -> str:
    if not references:
        return ""
    items = "".join(f"<li>{inline(reference)}</li>" for reference in references)
    return f"<h4>References</h4><ul class='references'>{items}</ul>"


def _command(line: str) -> str:
    # In spans, so that a narrow page breaks the command between its words only.
    return f"<pre><code>{' '.join(f'<span>{escape(word)}</span>' for word in line.split(' '))}</code></pre>"
