"""The report: verdicts that can fail, a page that stands alone, files that are whole or absent."""

import dataclasses
import json
import operator
import re
from pathlib import Path

import jax
import numpy as np
import pytest
from pages import Reader, chapter, claim, control, film, give, panel

import mckean
from mckean.faults import sentence
from mckean.statistics import Estimate
from mckean.talk import archive, chapters
from mckean.talk.archive import prepare
from mckean.talk.claims import SHARES, Chapter, Observation, Result, Series
from mckean.talk.report.drawing import draw
from mckean.talk.report.page import headline, page
from mckean.talk.report.setting import Setting
from mckean.talk.report.terminal import summary, troubles
from mckean.talk.report.writing import Report
from mckean.talk.run import Talk, run_chapters

SETTING = Setting("0.1", "c0de", "0.10", "1 × cpu", 2, "float64", "2026-01-01 00:00 UTC")
# Student's quantile of the level of a claim at 31 degrees of freedom, and of a Gaussian: scipy.stats, other code.
STUDENT, GAUSSIAN = 5.828427, 4.753323


@pytest.fixture
def talk(monkeypatch):
    """A function that runs a talk of the chapters it is given."""

    def make(*known: Chapter, **options) -> Talk:
        give(monkeypatch, *known)
        given = {"seed": 3, "quick": False, "seconds": 61.0, "command": "mckean talk --out 'a b' limit"} | options
        names = [chapter.name for chapter in known]
        return Talk(names, list(run_chapters([], seeds=(given["seed"],))), **given)

    return make


def text_of(told: Talk) -> str:
    return page(told, SETTING, {outcome.chapter.name: draw(outcome) for outcome in told.outcomes})


@pytest.mark.parametrize(("freedom", "quantile"), [(31.0, STUDENT), (np.inf, GAUSSIAN)])
@pytest.mark.parametrize(
    ("relation", "side", "kept"),
    [("equal", 1, False), ("equal", -1, False), ("at most", 1, False), ("at most", -1, True), ("at least", 1, True),
     ("at least", -1, False)],
)  # fmt: skip
def test_a_verdict_allows_students_quantile_and_the_tolerance(freedom, quantile, relation, side, kept):
    """Within it a claim holds, beyond it it fails, save on the side where a bound is kept."""
    reach = 0.1 + quantile * 0.1
    for share in (0.999, 1.001):
        value = 1.0 + side * share * reach
        judged = claim(value, 0.1, freedom, predicted=1.0, tolerance=0.1, relation=relation)
        assert judged.verdict == ("holds" if kept or share < 1 else "fails")
        assert judged.strain == (0.0 if kept else pytest.approx(share, abs=1e-4))


def test_a_claim_that_cannot_reject_its_rival_is_undecided():
    reach = STUDENT * 0.1 + 0.001
    for rival, verdict in ((1.0 + 0.99 * reach, "undecided"), (1.0 + 1.01 * reach, "holds")):
        excludes = dataclasses.replace(claim().excludes, value=rival)
        judged = claim(1.0, 0.1, predicted=1.0, excludes=excludes)
        assert (judged.verdict, judged.holds) == (verdict, verdict == "holds")


def test_a_claim_names_its_rival_and_the_origin_of_its_tolerance():
    with pytest.raises(ValueError, match=r"names no wrong theory that it excludes\.$"):
        claim(excludes=None)
    with pytest.raises(ValueError, match=r"^the tolerance of .* needs an origin\.$"):
        claim(origin="")


def test_a_control_holds_where_the_run_rejects_it():
    assert control(1.0).holds
    assert control(0.001).verdict == "fails"
    assert np.isnan(control(1.0).strain)


def test_the_level_of_a_claim_is_its_share_of_that_of_the_talk():
    """The union of as many false alarms as claims may share is as likely as is stated."""
    from scipy.stats import norm, t

    level = 2 * t.sf(STUDENT, 31)
    assert 1 - (1 - level) ** SHARES == pytest.approx(1e-3, rel=1e-3)
    assert 1 - (1 - 2 * norm.sf(GAUSSIAN)) ** SHARES == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize("relation", ["equal", "at most", "at least"])
@pytest.mark.parametrize("field", ["predicted", "value", "stderr", "tolerance"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_claim_on_numbers_that_are_none_fails(relation, field, value):
    assert claim(relation=relation, **{field: value}).verdict == "fails"


def test_a_chapter_gives_the_same_numbers_alone_as_in_the_talk(monkeypatch):
    def run(config, key, progress) -> Result:
        return Result([claim(float(jax.random.key_data(key)[-1]), 0.0)], ())

    give(monkeypatch, *(dataclasses.replace(chapter(name), run=run) for name in ("one", "two", "three")))
    whole = {done.chapter.name: done.claims[0].measured for done in run_chapters([], seeds=(7,))}
    (alone,) = run_chapters(["three"], seeds=(7,))
    assert alone.claims[0].measured == whole["three"]
    assert len(set(whole.values())) == 3
    both = {done.seed: done.claims[0].measured for done in run_chapters(["three"], seeds=(7, 8))}
    assert both[7] == whole["three"] != both[8]


def test_run_chapters_refuses_before_it_runs(talk):
    talk(chapter("limit", claim()))
    with pytest.raises(ValueError, match="did you mean 'limit'"):
        run_chapters(["limti"])
    with pytest.raises(ValueError, match="seed must be between"):
        run_chapters([], seeds=(0, -1))


def test_the_talk_runs_in_double_precision_or_not_at_all(talk):
    with jax.enable_x64(False), pytest.raises(ValueError, match="jax_enable_x64"):
        run_chapters([])


def test_a_chapter_that_breaks_loses_no_other(talk):
    told = talk(chapter("bad", raises=FloatingPointError("NaN at t = 1.\nmore")), chapter("good", claim()))
    assert [done.error for done in told.outcomes] == ["NaN at t = 1.", ""]
    assert not told.holds
    assert headline(told) == "1 of 2 claims hold, 1 fails"
    markup = text_of(told)
    assert "The chapter “bad” broke" in markup
    assert "NaN at t = 1." in markup


def test_what_was_not_run_is_said_and_is_no_failure(talk):
    result = Result([claim()], (), note="Without <weights> this part was not run.")
    told = talk(dataclasses.replace(chapter("real", claim()), run=lambda *_: result), chapter("other", claim()))
    assert told.holds
    assert text_of(told).count("Without &lt;weights&gt; this part was not run.") == 2
    assert [done.note in summary(done) for done in told.outcomes if done.note] == [True]


def test_a_chapter_without_a_claim_does_not_pass(talk):
    told = talk(chapter("empty"))
    assert not told.holds
    assert "without a claim" in told.outcomes[0].error


def test_more_claims_than_share_the_level_do_not_pass(talk):
    told = talk(chapter("limit", *[claim()] * (SHARES + 1)))
    assert (told.excess, told.holds) == (1, False)
    assert "1 claims more than share its level" in text_of(told)
    assert talk(chapter("limit", *[claim()] * SHARES)).holds


def test_an_error_is_said_in_one_sentence():
    assert sentence(ValueError("a mend.")) == "a mend."
    assert sentence(KeyError("x")) == "KeyError: 'x'"
    assert sentence(RuntimeError()) == "RuntimeError: no reason given"
    assert sentence(RuntimeError("Above is\n\nequinox.EquinoxRuntimeError: dt is large.\n\n---")) == "dt is large."


def test_the_report_is_written_whole(talk, tmp_path):
    """With all that a reader needs to judge each claim anew."""
    claims = claim(), claim(float("nan")), claim(-0.9, 0.1), claim(interval=(-0.6, -0.4))
    seen = [Observation(statement="The weights are heavy", measured=Estimate(1.5, 0.5, 3.0))]
    told = talk(
        chapter("limit", *claims, control(), panels=[panel(), panel()], seen=seen),
        chapter("bad", raises=RuntimeError("oh")),
    )
    path = Report(tmp_path, SETTING).write(told)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["claims.json", "report.html"]
    assert path.read_text(encoding="utf-8") == text_of(told)
    record = json.loads((tmp_path / "claims.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert (record["seed"], record["mode"], record["command"]) == (3, "full", "mckean talk --out 'a b' limit")
    assert record["versions"] == {"mckean": "0.1", "code": "c0de", "jax": "0.10"}
    assert [row["verdict"] for row in record["claims"]] == ["holds", "fails", "undecided", "holds", "holds", "fails"]
    assert [row["chapter"] for row in record["claims"]] == ["limit"] * 5 + ["bad"]
    assert record["claims"][1]["measured"] is None
    assert record["observations"][0]["stderr"] == 0.5
    for row in record["claims"][:3:2] + record["claims"][3:5]:
        assert judged_anew(row) == row["verdict"]


def judged_anew(row: dict) -> str:
    """The verdict from the row alone, by Student's law of another library's."""
    from scipy.stats import t

    low, high = row["interval"] or t.interval(1 - 2.001e-6, row["freedom"], row["measured"], row["stderr"])
    low, high = low - row["tolerance"], high + row["tolerance"]
    assert row["band"] == pytest.approx([low, high], rel=1e-3)
    inside = low <= row["predicted"] <= high
    if row["relation"] == "unequal":
        return "fails" if inside else "holds"
    rival = row["excludes"] is not None and low <= row["excludes"]["value"] <= high
    return ("undecided" if rival else "holds") if inside else "fails"


def test_the_page_stands_alone_and_shows_every_claim(talk):
    many = [claim(statement=f"claim number {i} < 9", relation="at most", from_run=i == 0) for i in range(3)]
    seen = [Observation(statement="The weights are heavy", measured=1.5)]
    told = talk(
        chapter("limit", *many, control(), panels=[panel()] * 4, seen=seen), chapter("bad", raises=ValueError("oh"))
    )
    text = text_of(told)
    read = Reader(text)
    assert "http" not in text
    assert "script" not in read.tags
    assert all(value.startswith(("#", "data:")) for value in read.loaded)
    assert len(set(read.ids)) == len(read.ids)
    assert {link.removeprefix("#") for link in read.links} <= set(read.ids)
    assert {"part-I", "part-II", "limit", "bad", "summary", "claims"} <= set(read.ids)
    # Four panels, and the first of them once more, where the part opens.
    assert read.tags.count("svg") == 5
    assert "math" in read.tags
    for _, each in told.claims:
        verdict = "fails, as it must" if each.relation == "unequal" else each.verdict
        found = [row for row in read.rows if each.statement in row and verdict in row]
        assert len(found) == 2, "once in its chapter, once in the table of all claims"
    for shown in (
        "≤ −0.5", "[−0.5117, −0.4863]", "tolerance 0.001: time step &amp; grid", "order &lt;1&gt;", "−1",
        "Theorem 1 of &lt;somebody&gt;", "31 degrees of freedom", "control: a false statement",
        "tolerance from this run",
        "A run of 100000 &amp; more.", "Bars and bands: ±1 standard error.", "The weights are heavy",
        "It begins with", "those that fail (1)", "controls (1)", "tolerances from the run (1)",
    ):  # fmt: skip
        assert shown in text, shown
    said = re.sub("<[^>]*>", "", text)
    assert "mckean talk --out &#x27;a b&#x27; limit" in said
    assert "mckean talk limit --seed 3" in said
    assert "--quick" not in said
    assert "Config" not in said


def test_a_chapter_has_a_line_and_its_worst_claim(talk):
    told = talk(chapter("limit", claim(), claim(-0.5 + 0.5 * (STUDENT * 0.002 + 0.001)), claim(-0.9, 0.1), control()))
    (line,) = [row for row in Reader(text_of(told)).rows if "On limit" in row and "1.0 s" not in row][:1]
    assert [told.outcomes[0].count(word) for word in ("holds", "undecided", "fails")] == [3, 1, 0]
    assert f"{max(0.5, 0.4 / (STUDENT * 0.1 + 0.001)):.2f}" in line
    assert headline(told) == "3 of 4 claims hold, 1 undecided"
    (trouble,) = troubles(told)
    assert trouble.plain.startswith("limit undecided: The distance falls as N^s where a < b; s: predicted = −0.5")


def test_a_run_that_has_not_ended_says_so(talk):
    told = dataclasses.replace(talk(chapter("limit", claim()), chapter("later", claim())), quick=True)
    told = dataclasses.replace(told, outcomes=told.outcomes[:1])
    assert not told.holds
    text = text_of(told)
    assert "chapters asked for and not finished: later." in text
    assert "--quick" in text


def test_nothing_half_written_stays(talk, tmp_path, monkeypatch):
    told = talk(chapter("limit", claim()))
    report = Report(tmp_path, SETTING)
    report.write(told)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive.os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        report.write(dataclasses.replace(told, seed=4))
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_report_is_not_replaced_by_one_with_less(talk, tmp_path):
    whole = talk(chapter("limit", claim()), chapter("other", claim()))
    less = dataclasses.replace(whole, outcomes=whole.outcomes[1:], seed=4)
    Report(tmp_path, SETTING).write(whole)
    before = (tmp_path / "report.html").read_bytes()
    report = Report(tmp_path, SETTING)
    assert report.write(less) == tmp_path / "partial" / "report.html"
    assert (tmp_path / "report.html").read_bytes() == before
    assert report.write(dataclasses.replace(whole, seed=4)) == tmp_path / "report.html"
    assert (tmp_path / "report.html").read_bytes() != before
    assert not (tmp_path / "partial").exists()


def test_a_finished_chapter_is_kept_to_the_bit(talk, tmp_path):
    """Numbers and text alone: it is read without pickle."""
    claims = claim(1 / 3, 1e-17, np.float64(7.5)), claim(interval=(0.1, 0.2)), control()
    told = talk(
        chapter(
            "limit",
            *claims,
            panels=[panel(), film()],
            seen=[Observation(statement="Seen", measured=Estimate(1.0, 2.0, 3.0))],
        )
    )
    kept = archive.Archive(tmp_path, False)
    kept.keep(told.outcomes[0])
    (found,) = kept.find(["limit", "other"], [3])
    assert found.result is not None
    assert list(found.claims) == list(told.outcomes[0].claims)
    assert list(found.observations) == list(told.outcomes[0].observations)
    assert (found.what, found.seconds, found.seed) == (told.outcomes[0].what, told.outcomes[0].seconds, 3)
    assert draw(found) == draw(told.outcomes[0])
    assert [path.suffix for path in tmp_path.rglob("*.*")] == [".npz"]


def test_a_run_goes_on_with_its_own_chapters_only(talk, tmp_path, monkeypatch):
    told = talk(chapter("limit", claim()), chapter("bad", raises=ValueError("oh")))
    kept = archive.Archive(tmp_path, False)
    assert kept.find(["limit"], [3]) == []
    for outcome in told.outcomes:
        kept.keep(outcome)
    assert [outcome.chapter.name for outcome in kept.find(["limit", "bad"], [3])] == ["limit"]
    for other, seed in ((archive.Archive(tmp_path, True), 3), (kept, 4)):
        with pytest.raises(
            ValueError, match=r"nothing can be resumed: .* full at seed 3, .* same chapters, seed, size"
        ):
            other.find(["limit"], [seed])
    monkeypatch.setattr(archive, "code", lambda: "another")
    with pytest.raises(ValueError, match="another version of the code"):
        kept.find(["limit"], [3])


def test_every_chapter_stands_in_one_part_and_has_its_times():
    names = [chapter.name for part in chapters.PARTS for chapter in part.chapters]
    assert len(set(names)) == len(names)
    assert list(chapters.CHAPTERS) == names == list(chapters.SECONDS)
    for part in chapters.PARTS:
        assert part.picture in [chapter.name for chapter in part.chapters]


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    prepare(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"cannot be written: .*\.$"):
        prepare(tmp_path / "file" / "out")
    (tmp_path / "report.html").mkdir()
    with pytest.raises(ValueError, match=r"'report\.html' in it is a folder"):
        prepare(tmp_path)


def test_a_panel_that_cannot_be_drawn_loses_no_number(talk):
    wrong = panel(series=[Series(np.zeros(3), np.zeros(2), "wrong")])
    told = talk(chapter("limit", claim(), panels=[wrong, panel()]))
    with pytest.warns(UserWarning, match="'wrong' has 3 values of x and 2 of y"):
        text = text_of(told)
    assert "could not be drawn" in text
    assert Reader(text).tags.count("svg") == 1


def test_a_film_stands_in_the_page(talk):
    read = Reader(text_of(talk(chapter("limit", claim(), panels=[film(), panel()]))))
    assert read.tags.count("svg") == 3
    assert all(value.startswith(("#", "data:")) for value in read.loaded)
    assert len(set(read.ids)) == len(read.ids)


def test_a_film_without_its_frames_is_refused(talk):
    told = talk(chapter("limit", claim(), panels=[film(rows=["one"])]))
    with pytest.warns(UserWarning, match="a film of 1 rows and 3 columns"):
        assert "could not be drawn" in text_of(told)


SLIDES = (Path(__file__).parent.parent / "docs" / "slides.md").read_text(encoding="utf-8")


def test_the_rows_of_the_slides_are_alive():
    """Each has a chapter that runs and functions that exist, and stands in the part of one of its chapters."""
    rows = [row for row in SLIDES.splitlines() if row.startswith("| ") and not row.startswith(("| slide", "| ---"))]
    assert len(rows) >= 30
    seen = set()
    for part, text in zip(chapters.PARTS, SLIDES.split("\n## ")[1:], strict=True):
        assert text.partition("\n")[0].endswith(part.title)
        names = {chapter.name for chapter in part.chapters}
        for row in (row for row in text.splitlines() if row in rows):
            _, _, _, where, functions, _, _ = re.split(r"(?<!\\)\|", row)
            told = set(re.findall(r"\*(\w+)\*", where))
            assert told <= set(chapters.CHAPTERS)
            assert told & names, row
            seen |= told
            found = re.findall(r"`([\w.]+)`", functions)
            assert found
            assert all(callable(operator.attrgetter(name)(mckean)) for name in found), row
    assert seen == set(chapters.CHAPTERS)
