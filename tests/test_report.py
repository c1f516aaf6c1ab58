"""The report: verdicts that can fail, a page that stands alone, files that are whole or absent."""

import dataclasses
import json
import re
from html.parser import HTMLParser

import matplotlib
import numpy as np
import pytest

from mckean.talk import run as talking
from mckean.talk.claims import Chapter, Claim, Figure, Film, Panel, Result, Series
from mckean.talk.report import Setting, prepare, write, writing
from mckean.talk.report.figures import _log_label, film_svg, panel_svg
from mckean.talk.report.labels import wrap
from mckean.talk.report.mathematics import inline, mathml, paragraphs
from mckean.talk.report.numbers import duration, measurement, number, prediction
from mckean.talk.report.page import headline, page
from mckean.talk.report.terminal import summary
from mckean.talk.run import Talk, chapter_key, run_chapters, sentence

SETTING = Setting("0.1", "0.10", "1 × cpu", 2, "float64", "2026-01-01 00:00 UTC")
KEYS = {"chapter", "claim", "predicted", "measured", "stderr", "tolerance", "holds", "reference"}
VOID = {"meta", "link", "br", "img", "hr", "input", "wbr"}


@dataclasses.dataclass(frozen=True)
class Config:
    particles: int = 100_000
    sizes: tuple[int, ...] = (10, 20)
    beta: float = 0.5


def claim(**changes) -> Claim:
    given = {
        "quantity": "slope of $\\log W_1$ where $a < b$",
        "predicted": -0.5,
        "measured": -0.499,
        "stderr": 0.002,
        "tolerance": 0.001,
        "origin": "time step & grid",
        "reference": "Theorem 1 of <somebody>",
    }
    return Claim(**(given | changes))


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


def chapter(name: str, *claims: Claim, raises: BaseException | None = None, panels=()) -> Chapter:
    def run(config, key, progress) -> Result:
        progress(0.5)
        if raises is not None:
            raise raises
        return Result(claims, [Figure("What $x$ shows.", panels)] if panels else ())

    return Chapter(
        name, f"On {name} & $x$", "If $a < b$ then\n\n$$\\int_a^b \\rho = 1.$$", lambda c: f"{c.particles} & more.",
        run, Config(), Config(particles=10), ["Somebody, 2020."],
    )  # fmt: skip


@pytest.fixture
def talk(monkeypatch):
    """A function that runs a talk of the chapters it is given."""

    def make(*chapters: Chapter, **options) -> Talk:
        known = {chapter.name: chapter for chapter in chapters}
        monkeypatch.setattr("mckean.talk.chapters.CHAPTERS", known)
        return Talk(list(known), list(run_chapters([], seed=3)), 3, False, 61.0, **options)

    return make


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


@pytest.mark.parametrize(
    ("relation", "measurement", "holds"),
    [
        ("equal", 1.0, True),
        ("equal", 1.49, True),
        ("equal", 1.51, False),
        ("equal", 0.51, True),
        ("equal", 0.49, False),
        ("at most", -9.0, True),
        ("at most", 1.49, True),
        ("at most", 1.51, False),
        ("at least", 9.0, True),
        ("at least", 0.51, True),
        ("at least", 0.49, False),
    ],
)
def test_a_verdict_allows_four_standard_errors_and_the_tolerance(relation, measurement, holds):
    judged = claim(predicted=1.0, measured=measurement, stderr=0.1, tolerance=0.1, relation=relation)
    assert judged.holds is holds


@pytest.mark.parametrize("relation", ["equal", "at most", "at least"])
@pytest.mark.parametrize("field", ["predicted", "measured", "stderr", "tolerance"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_claim_on_numbers_that_are_none_fails(relation, field, value):
    assert not claim(relation=relation, **{field: value}).holds


def test_a_chapter_gives_the_same_numbers_alone_as_in_the_talk(monkeypatch):
    def run(config, key, progress) -> Result:
        import jax

        return Result([claim(measured=float(jax.random.normal(key)))], ())

    known = {name: dataclasses.replace(chapter(name), run=run) for name in ("one", "two", "three")}
    monkeypatch.setattr("mckean.talk.chapters.CHAPTERS", known)
    whole = {done.chapter.name: done.claims[0].measured for done in run_chapters([], seed=7)}
    (alone,) = run_chapters(["three"], seed=7)
    assert alone.claims[0].measured == whole["three"]
    assert len(set(whole.values())) == 3
    assert not (chapter_key(7, "three") == chapter_key(8, "three")).all()


def test_run_chapters_refuses_before_it_runs(talk):
    talk(chapter("limit", claim()))
    with pytest.raises(ValueError, match="did you mean 'limit'"):
        run_chapters(["limti"])
    with pytest.raises(ValueError, match="seed must be between"):
        run_chapters([], seed=-1)


def test_a_chapter_that_breaks_loses_no_other(talk):
    told = talk(chapter("bad", raises=FloatingPointError("NaN at t = 1.\nmore")), chapter("good", claim()))
    assert [done.error for done in told.outcomes] == ["NaN at t = 1.", ""]
    assert not told.holds
    assert headline(told) == "1 of 2 claims hold"
    markup = page(told, SETTING)
    assert "The chapter “bad” broke" in markup
    assert "NaN at t = 1." in markup


def test_what_was_not_run_is_said_and_is_no_failure(talk):
    result = Result([claim()], (), "Without <weights> this part was not run.")
    told = talk(dataclasses.replace(chapter("real", claim()), run=lambda *_: result), chapter("other", claim()))
    assert told.holds
    assert page(told, SETTING).count("Without &lt;weights&gt; this part was not run.") == 2
    assert [done.note in summary(done) for done in told.outcomes if done.note] == [True]


def test_a_chapter_without_a_claim_does_not_pass(talk):
    told = talk(chapter("empty"))
    assert not told.holds
    assert "without a claim" in told.outcomes[0].error


def test_an_error_is_said_in_one_sentence():
    assert sentence(ValueError("a mend.")) == "a mend."
    assert sentence(KeyError("x")) == "KeyError: 'x'"
    assert sentence(RuntimeError()) == "RuntimeError: no reason given"
    assert sentence(RuntimeError("Above is\n\nequinox.EquinoxRuntimeError: dt is large.\n\n---")) == "dt is large."


def test_the_report_is_written_whole(talk, tmp_path):
    told = talk(
        chapter("limit", claim(), claim(measured=float("nan")), panels=[panel(), panel()]),
        chapter("bad", raises=RuntimeError("oh")),
    )
    path = write(told, tmp_path, SETTING)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["claims.json", "report.html"]
    assert path.read_text(encoding="utf-8") == page(told, SETTING)
    rows = json.loads((tmp_path / "claims.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert [set(row) for row in rows] == [KEYS] * 3
    assert [row["holds"] for row in rows] == [True, False, False]
    assert rows[0]["measured"] == -0.499
    assert rows[1]["measured"] is None
    assert rows[2]["chapter"] == "bad"


def test_the_page_stands_alone_and_shows_every_claim(talk):
    many = [claim(quantity=f"claim number {i} < 9", relation="at most") for i in range(3)]
    told = talk(chapter("limit", *many, panels=[panel()] * 4), chapter("bad", raises=ValueError("oh")))
    text = page(told, SETTING)
    read = Reader(text)
    assert "http" not in text
    assert "script" not in read.tags
    assert all(value.startswith(("#", "data:")) for value in read.loaded)
    assert len(set(read.ids)) == len(read.ids)
    assert {link.removeprefix("#") for link in read.links} <= set(read.ids)
    assert read.tags.count("svg") == 4
    assert "math" in read.tags
    for _, each in told.claims:
        verdict = "holds" if each.holds else "fails"
        found = [row for row in read.rows if each.quantity in row and verdict in row]
        assert len(found) == 2, "once in the table of all claims, once in its chapter"
    assert "≤ −0.5" in text
    assert "time step &amp; grid" in text
    assert "Theorem 1 of &lt;somebody&gt;" in text
    assert "100\u202f000" in text
    assert "Bars and bands: ±1 standard error." in text
    command = re.sub("<[^>]*>", "", text)
    assert "mckean talk limit --seed 3" in command
    assert "--quick" not in command


def test_an_interrupted_talk_says_so(talk):
    told = dataclasses.replace(talk(chapter("limit", claim())), names=["limit", "later"], interrupted=True, quick=True)
    text = page(told, SETTING)
    assert "interrupted; chapters asked for and not finished: later." in text
    assert "--quick" in text
    assert "interrupted" in page(dataclasses.replace(told, outcomes=[]), SETTING)


def test_nothing_half_written_stays(talk, tmp_path, monkeypatch):
    told = talk(chapter("limit", claim()))
    write(told, tmp_path, SETTING)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing.os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write(dataclasses.replace(told, seed=4), tmp_path, SETTING)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    prepare(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"cannot be written: .*\.$"):
        prepare(tmp_path / "file" / "out")
    (tmp_path / "report.html").mkdir()
    with pytest.raises(ValueError, match=r"'report\.html' in it is a folder"):
        prepare(tmp_path)


@pytest.mark.parametrize("xscale", ["linear", "log"])
@pytest.mark.parametrize("yscale", ["linear", "log"])
def test_a_panel_draws_on_every_scale_and_leaves_matplotlib_alone(xscale, yscale):
    before = dict(matplotlib.rcParams)
    drawn = panel(xscale=xscale, yscale=yscale, title="A title of $x$")
    svg = panel_svg(drawn, "p")
    assert dict(matplotlib.rcParams) == before
    assert svg == panel_svg(drawn, "p")
    assert "currentColor" in svg
    assert "#010203" not in svg
    assert "<style" not in svg
    assert 'role="img"' in svg
    ids = set(Reader(svg).ids)
    assert all(name.startswith("p-") for name in ids)
    assert set(re.findall(r'(?:href="#|url\(#)([^")]*)', svg)) <= ids
    assert "error &amp; more against size N" in svg


def test_a_log_axis_has_few_labels():
    for exponent in (0, -7):
        x = 10.0**exponent * np.array([1.0, 3.0, 30.0])
        assert panel_svg(panel(series=[Series(x, x)], xscale="log", yscale="log", vertical=()), "a")
    assert _log_label(200.0) == "200"
    assert _log_label(2e-7) == "$2\\times10^{-7}$"


def test_values_an_axis_cannot_show_are_masked():
    nothing = Series(np.array([1.0, 2.0]), np.array([-1.0, np.nan]), "nothing", 0.1, "points")
    assert panel_svg(panel(series=[nothing], yscale="log"), "a").startswith("<svg")
    one = Series(np.array([1.0, 2.0, 3.0]), np.array([np.inf, 0.0, 2.0]), "one")
    assert panel_svg(panel(series=[one], xscale="log", yscale="log"), "a").startswith("<svg")


def test_many_points_become_an_image():
    cloud = Series(np.arange(5000.0), np.arange(5000.0) % 7, "", None, "points")
    svg = panel_svg(panel(series=[cloud], vertical=()), "a")
    assert "data:image/png" in svg
    assert len(svg) < 200_000


def test_a_panel_that_cannot_be_drawn_loses_no_number(talk):
    wrong = panel(series=[Series(np.zeros(3), np.zeros(2), "wrong")])
    told = talk(chapter("limit", claim(), panels=[wrong, panel()]))
    with pytest.warns(UserWarning, match="'wrong' has 3 values of x and 2 of y"):
        text = page(told, SETTING)
    assert "could not be drawn" in text
    assert Reader(text).tags.count("svg") == 1


def film(**changes) -> Film:
    frames = np.arange(2 * 3 * 4 * 5, dtype=float).reshape(2, 3, 4, 5)
    given = {"frames": frames, "sides": (4.0, 5.0), "rows": ["$K = 0$", "b & c"], "columns": ["$t = 0$", "1", "2"]}
    return Film(**(given | {"label": "density ρ"} | changes))


def test_a_film_is_one_image_a_frame_on_one_scale(talk):
    svg = film_svg(film(), "f")
    assert svg == film_svg(film(), "f")
    assert svg.count("<image") >= 6
    assert "#010203" not in svg
    assert all(name.startswith("f-") for name in Reader(svg).ids)
    assert "density ρ as colours; rows: K = 0, b &amp; c; columns: t = 0, 1, 2." in svg
    read = Reader(page(talk(chapter("limit", claim(), panels=[film(), panel()])), SETTING))
    assert read.tags.count("svg") == 2
    assert all(value.startswith(("#", "data:")) for value in read.loaded)
    assert len(set(read.ids)) == len(read.ids)


def test_a_film_without_its_frames_is_refused(talk):
    told = talk(chapter("limit", claim(), panels=[film(rows=["one"])]))
    with pytest.warns(UserWarning, match="a film of 1 rows and 3 columns"):
        assert "could not be drawn" in page(told, SETTING)


def test_prose_becomes_html():
    assert inline("a < b costs \\$5") == "a &lt; b costs $5"
    assert inline("one $ alone") == "one $ alone"
    text = paragraphs("First $x$.\n\nSecond $$y < z$$ & more")
    assert text.count("<math") == 2
    assert 'display="block"' in text
    assert "xmlns" not in text
    assert re.sub("<math.*?</math>", "M", text).split("\n") == [
        "<p>First M.</p>",
        "<p>Second</p>",
        '<div class="display">M</div>',
        "<p>&amp; more</p>",
    ]
    Reader(text)


@pytest.mark.parametrize(
    ("tex", "holds"),
    [
        (r"\mathrm{d}X_t", "<mtext>d</mtext>"),
        (r"\mathbb R^d", "&#x0211D;"),
        (r"\rho\log\rho", '<mo lspace="0.167em" rspace="0.167em">log</mo>'),
        (r"\log(x)", '<mo lspace="0" rspace="0">log</mo>'),
        (r"a \sim b", "<mo>&#x0223C;</mo>"),
        (r"\langle x\rangle", '<mo stretchy="false">&#x027E8;</mo>'),
        (r"\int\!\int", 'width="-0.167em"'),
        (r"\begin{aligned}a &= b \\ c &= d\end{aligned}", "<mtable"),
        (r"\nosuchcommand{x}", '<code class="tex">\\nosuchcommand{x}</code>'),
        (r"a < \nosuch", '<code class="tex">a &lt; \\nosuch</code>'),
    ],
)
def test_tex_becomes_mathml(tex, holds):
    assert holds in mathml(tex)


def test_numbers_have_the_digits_they_warrant():
    assert number(0.724158717626) == "0.724159"
    assert number(-1.5e-13, 3) == "−1.5×10⁻¹³"
    assert number(float("nan")) == "—"
    assert number(float("-inf")) == "−∞"
    assert prediction(0.5, "at most") == "≤ 0.5"
    assert prediction(float("nan"), "equal") == "—"
    assert measurement(0.724158, 0.00035) == "0.72416 ± 0.00035"
    assert measurement(-1234.5, 120.0) == "−1234 ± 120"
    assert measurement(1.234e-7, 5e-9) == "(1.234 ± 0.050)×10⁻⁷"
    assert measurement(0.25, 0.0) == "0.25"
    assert measurement(0.25, float("inf")) == "0.25 ± ∞"
    assert measurement(0.0, 0.01) == "0.000 ± 0.010"
    assert duration(4.24) == "4.2 s"
    assert duration(192.0) == "3 min 12 s"
    assert duration(7500.0) == "2 h 5 min"


def test_a_label_breaks_between_words_and_never_in_a_formula():
    label = wrap("a long label with $\\frac{a b c}{d e f}$ inside it", 12)
    assert "$\\frac{a b c}{d e f}$" in label
    assert label.replace("\n", " ") == "a long label with $\\frac{a b c}{d e f}$ inside it"
    assert "\n" in label


def test_compiled_programs_are_dropped_where_their_mappings_are_many(monkeypatch, tmp_path):
    dropped, mappings = [], tmp_path / "maps"
    mappings.write_bytes(b"one\ntwo\nthree\n")
    monkeypatch.setattr(talking.jax, "clear_caches", lambda: dropped.append(True))
    monkeypatch.setattr(talking, "_MAPPINGS", mappings)
    for many, count in ((3, 0), (2, 1)):
        monkeypatch.setattr(talking, "_MANY", many)
        talking.drop_programs()
        assert len(dropped) == count
    monkeypatch.setattr(talking, "_MAPPINGS", tmp_path / "none")
    talking.drop_programs()
    assert len(dropped) == 1
