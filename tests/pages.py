"""What tests of the report are made of: claims, panels, films and chapters, and a reader of pages."""

import dataclasses
from html.parser import HTMLParser

import numpy as np

from mckean.statistics import Estimate
from mckean.talk import chapters
from mckean.talk.claims import Chapter, Claim, Figure, Film, Panel, Part, Result, Rival, Series

VOID = {"meta", "link", "br", "img", "hr", "input", "wbr"}


@dataclasses.dataclass(frozen=True)
class Config:
    particles: int = 100_000


def claim(value: float = -0.499, stderr: float = 0.002, freedom: float = 31.0, **changes) -> Claim:
    given = {
        "statement": "The distance falls as $N^s$ where $a < b$; s",
        "predicted": -0.5,
        "measured": Estimate(value, stderr, freedom) if stderr else value,
        "tolerance": 0.001,
        "origin": "time step & grid",
        "excludes": Rival("order <1>", -1.0),
        "reference": "Theorem 1 of <somebody>",
    }
    return Claim(**(given | changes))


def control(value: float = 1.0, **changes) -> Claim:
    """A false statement, which a run must reject: that 1 is 0."""
    false = {"statement": "Noises cancel", "predicted": 0.0, "relation": "unequal", "excludes": None}
    return claim(value, **(false | changes))


def panel(**changes) -> Panel:
    x = np.array([0.0, 1.0, 10.0, 100.0])
    series = (
        Series(x, x - 5, "line $\\alpha$", np.full(4, 20.0)),
        Series(x, x, "points", 0.5, "points"),
        Series(x, 2 * x, "dashed", kind="dashed"),
        Series(x, x, "steps", kind="steps"),
        Series(x, x[:-1], "edges", x[:-1] / 9, "steps"),
    )
    given = {
        "xlabel": "size $N$",
        "ylabel": "error & more",
        "series": series,
        "vertical": [(1.0, "$K_c$"), (2.0, "b")],
    }
    return Panel(**(given | changes))


def film(**changes) -> Film:
    frames = np.arange(2 * 3 * 4 * 5, dtype=float).reshape(2, 3, 4, 5)
    given = {"frames": frames, "sides": (4.0, 5.0), "rows": ["$K = 0$", "b & c"], "columns": ["$t = 0$", "1", "2"]}
    return Film(**(given | {"label": "density ρ"} | changes))


def chapter(name: str, *claims: Claim, raises: BaseException | None = None, panels=(), seen=()) -> Chapter:
    def run(config, key, progress) -> Result:
        progress(0.5)
        if raises is not None:
            raise raises
        return Result(claims, [Figure("What $x$ shows.", panels)] if panels else (), seen)

    return Chapter(
        name, f"On {name} & $x$", "If $a < b$ then\n\n$$\\int_a^b \\rho = 1.$$",
        lambda c: f"A run of {c.particles} & more.", run, Config(), Config(particles=10), ["Somebody, 2020."],
    )  # fmt: skip


def give(monkeypatch, *given: Chapter) -> None:
    """Let the talk consist of these chapters, in two parts: the first one, and the others."""
    groups = [("First $x$", "It begins with $y$.", given[:1]), ("Others", "It goes on.", given[1:])]
    parts = tuple(Part(title, opening, mine, mine[-1].name) for title, opening, mine in groups if mine)
    monkeypatch.setattr(chapters, "PARTS", parts)
    monkeypatch.setattr(chapters, "CHAPTERS", {chapter.name: chapter for chapter in given})
    monkeypatch.setattr(chapters, "SECONDS", {chapter.name: (30, 90) for chapter in given})


class Reader(HTMLParser):
    """Reads a page as a browser would, and keeps what the tests ask about."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.ids, self.links, self.loaded, self.tags = [], [], [], [], []
        self.rows = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        given = dict(attrs)
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if tag == "a" else []
        self.loaded += [value for name, value in attrs if name in ("src", "href", "data") and tag != "a"]
        if tag == "tr":
            self.rows.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "tr" in self.open:
            self.rows[-1] += data
