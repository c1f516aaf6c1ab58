"""The page: one HTML file with everything in it, read on any screen and on paper, without a script."""

import warnings
from collections.abc import Sequence
from html import escape
from importlib import resources

from mckean.talk.claims import Figure, Film, Panel
from mckean.talk.report.figures import film_svg, panel_svg
from mckean.talk.report.mathematics import inline, paragraphs
from mckean.talk.report.numbers import duration
from mckean.talk.report.setting import Setting
from mckean.talk.report.tables import all_claims, chapter_claims, fields, settings
from mckean.talk.run import Outcome, Talk, sentence

_TITLE = "Interacting particles and their mean-field limits"
_ABOUT = (
    "Many particles that act on one another through their empirical measure $\\mu^N$ follow, as their "
    "number $N$ grows, the solution $\\mu$ of a nonlinear partial differential equation; under a noise that "
    "all of them share they follow a stochastic one. Theory says how near they stay, how fast they settle "
    "and when they come to agree. On this page each such statement is a number: predicted, then measured in "
    "a simulation by the library mckean, with its standard error, and judged by a rule fixed beforehand."
)


def page(talk: Talk, setting: Setting) -> str:
    """The whole report as one HTML document."""
    sections = "\n".join(_section(outcome, talk) for outcome in talk.outcomes)
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
<header>
<h1>{_TITLE}</h1>
{paragraphs(_ABOUT)}
<h2 class="small">How it was made</h2>
{settings(_making(talk, setting))}
{_command(talk.names, talk)}
</header>
<main>
<section id="claims" aria-labelledby="claims-title">
<h2 id="claims-title">{headline(talk)}</h2>
{_notices(talk)}
{all_claims(talk) if talk.outcomes else ""}
</section>
{sections}
</main>
</body>
</html>
"""


def headline(talk: Talk) -> str:
    """How many claims hold."""
    claims = talk.claims
    holding = sum(claim.holds for _, claim in claims)
    return f"{holding} of {len(claims)} claims hold"


def _notices(talk: Talk) -> str:
    """What a reader must know before the table: chapters that broke or left something out, an interruption."""
    texts = [
        f"The chapter “{outcome.chapter.name}” broke and counts as a claim that fails: {outcome.error}"
        for outcome in talk.outcomes
        if outcome.broke
    ]
    texts += [f"{outcome.chapter.name}: {outcome.note}" for outcome in talk.outcomes if outcome.note]
    if talk.interrupted:
        missing = ", ".join(talk.missing) or "none"
        texts.append(f"The run was interrupted; chapters asked for and not finished: {missing}.")
    return "".join(f"<p class='notice' role='note'>{escape(text)}</p>" for text in texts)


def _making(talk: Talk, setting: Setting) -> dict[str, object]:
    return {
        "mckean": setting.version,
        "jax": setting.jax,
        "numbers": setting.precision,
        "device": setting.device,
        "cores": setting.cores,
        "seed": str(talk.seed),
        "size": "quick" if talk.quick else "full",
        "wall time": duration(talk.seconds),
        "date": setting.date,
    }


def _section(outcome: Outcome, talk: Talk) -> str:
    """A chapter: what theory says, what was run, what came out."""
    chapter, name = outcome.chapter, escape(outcome.chapter.name, quote=True)
    broke = f"<p class='notice' role='note'>The chapter broke: {escape(outcome.error)}</p>" if outcome.broke else ""
    note = f"<p class='notice' role='note'>{escape(outcome.note)}</p>" if outcome.note else ""
    run = fields(outcome.config)
    return f"""<section id="{name}" class="chapter" aria-labelledby="{name}-title">
<h2 id="{name}-title">{inline(chapter.title)}</h2>
<div class="statement">{paragraphs(chapter.statement)}</div>
<h3>What was run</h3>
{paragraphs(outcome.what)}
{settings(run) if run else ""}
{broke}{note}
{_figures(outcome)}
{chapter_claims(outcome)}
{_references(chapter.references)}
<p class="again">Took {duration(outcome.seconds)}. To repeat it, with the same numbers:</p>
{_command([chapter.name], talk)}
</section>"""


def _figures(outcome: Outcome) -> str:
    figures = outcome.result.figures if outcome.result is not None else ()
    name = outcome.chapter.name
    return "\n".join(_figure(figure, f"{name}-{number}") for number, figure in enumerate(figures, 1))


def _figure(figure: Figure, prefix: str) -> str:
    panels = "".join(
        f"<div class='{_classes(panel)}'>{_panel(panel, f'{prefix}-{number}')}</div>"
        for number, panel in enumerate(figure.panels, 1)
    )
    curves = [series for panel in figure.panels if isinstance(panel, Panel) for series in panel.series]
    kinds = {series.kind for series in curves if series.error is not None}
    marks = [*(["Bars"] if "points" in kinds else []), *(["Bands"] if kinds - {"points"} else [])]
    errors = f" {' and '.join(marks).capitalize()}: ±1 standard error." if marks else ""
    caption = f"<figcaption>{inline(figure.caption)}{errors}</figcaption>"
    return f"<figure><div class='panels of-{len(figure.panels)}'>{panels}</div>{caption}</figure>"


def _classes(panel: Panel | Film) -> str:
    """A film has the width of the page."""
    return "panel film" if isinstance(panel, Film) else "panel"


def _panel(panel: Panel | Film, prefix: str) -> str:
    """The drawn panel; what cannot be drawn is said in its place: a figure is no reason to lose numbers."""
    try:
        return film_svg(panel, prefix) if isinstance(panel, Film) else panel_svg(panel, prefix)
    except Exception as error:
        warnings.warn(f"the panel {prefix} could not be drawn: {sentence(error)}", stacklevel=2)
        return f"<p class='notice' role='note'>This panel could not be drawn: {escape(sentence(error))}</p>"


def _references(references: Sequence[str]) -> str:
    if not references:
        return ""
    items = "".join(f"<li>{inline(reference)}</li>" for reference in references)
    return f"<h3>References</h3><ul class='references'>{items}</ul>"


def _command(names: Sequence[str], talk: Talk) -> str:
    words = ["mckean talk", *names, f"--seed {talk.seed}", *(["--quick"] if talk.quick else [])]
    # In spans, so that a narrow page breaks the command between its words only.
    return f"<pre><code>{' '.join(f'<span>{escape(word)}</span>' for word in words)}</code></pre>"
