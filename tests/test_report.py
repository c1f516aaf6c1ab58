"""The report: verdicts that can fail, a page that stands alone, files that are whole or absent."""

import dataclasses
import json
import re

import jax
import numpy as np
import pytest
from pages import Reader, chapter, claim, film, panel

from mckean.talk import run as talking
from mckean.talk.claims import Chapter, Result, Series
from mckean.talk.report import Setting, prepare, write, writing
from mckean.talk.report.page import headline, page
from mckean.talk.report.terminal import summary
from mckean.talk.run import Talk, chapter_key, run_chapters, sentence

SETTING = Setting("0.1", "0.10", "1 × cpu", 2, "float64", "2026-01-01 00:00 UTC")
KEYS = {"chapter", "claim", "predicted", "measured", "stderr", "tolerance", "holds", "reference"}


@pytest.fixture
def talk(monkeypatch):
    """A function that runs a talk of the chapters it is given."""

    def make(*chapters: Chapter, **options) -> Talk:
        known = {chapter.name: chapter for chapter in chapters}
        monkeypatch.setattr("mckean.talk.chapters.CHAPTERS", known)
        return Talk(list(known), list(run_chapters([], seed=3)), 3, False, 61.0, **options)

    return make


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


def test_the_talk_runs_in_double_precision_or_not_at_all(talk):
    with jax.enable_x64(False), pytest.raises(ValueError, match="jax_enable_x64"):
        run_chapters([])


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
    many = [claim(statement=f"claim number {i} < 9", relation="at most") for i in range(3)]
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
    assert "<dt>part.runs</dt><dd>77</dd>" in text
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


def test_a_panel_that_cannot_be_drawn_loses_no_number(talk):
    wrong = panel(series=[Series(np.zeros(3), np.zeros(2), "wrong")])
    told = talk(chapter("limit", claim(), panels=[wrong, panel()]))
    with pytest.warns(UserWarning, match="'wrong' has 3 values of x and 2 of y"):
        text = page(told, SETTING)
    assert "could not be drawn" in text
    assert Reader(text).tags.count("svg") == 1


def test_a_film_stands_in_the_page(talk):
    read = Reader(page(talk(chapter("limit", claim(), panels=[film(), panel()])), SETTING))
    assert read.tags.count("svg") == 2
    assert all(value.startswith(("#", "data:")) for value in read.loaded)
    assert len(set(read.ids)) == len(read.ids)


def test_a_film_without_its_frames_is_refused(talk):
    told = talk(chapter("limit", claim(), panels=[film(rows=["one"])]))
    with pytest.warns(UserWarning, match="a film of 1 rows and 3 columns"):
        assert "could not be drawn" in page(told, SETTING)


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
