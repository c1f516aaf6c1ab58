"""The command line: its exit status, one sentence where it refuses, and a report whatever happens."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from importlib import metadata

import matplotlib
import pytest

import mckean.catalogue
from mckean import cli
from mckean.talk.claims import Chapter, Claim, Result
from mckean.talk.report import writing


def claim(measured: float = 1.0) -> Claim:
    return Claim(
        statement="the value in [0, 1] of $x$", predicted=1.0, measured=measured, stderr=0.01, reference="Theorem 1"
    )


def chapter(name: str, *claims: Claim, raises: BaseException | None = None) -> Chapter:
    def run(config, key, progress) -> Result:
        progress(0.5)
        if raises is not None:
            raise raises
        return Result(claims, ())

    return Chapter(name, f"On {name}", "Theory.", lambda c: f"A run of {c['size']}.", run, {"size": 9}, {"size": 1})


def kuramoto():
    """Noisy phase oscillators.

    More about them.
    """


@pytest.fixture
def mckean_(monkeypatch, tmp_path):
    """A function that runs the command line on fake chapters, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    # It is for a whole process, and this one runs tests.
    monkeypatch.setattr(cli, "_configure", lambda cache: None)
    monkeypatch.setattr(mckean.catalogue, "MODELS", {"kuramoto": kuramoto}, raising=False)

    def run(line: str, *chapters: Chapter) -> int:
        known = {chapter.name: chapter for chapter in chapters}
        monkeypatch.setattr("mckean.talk.chapters.CHAPTERS", known)
        return cli.main(line.split())

    return run


def rows(folder) -> list[dict]:
    return json.loads((folder / "claims.json").read_text(encoding="utf-8"))


def test_all_claims_hold(mckean_, tmp_path, capsys):
    assert mckean_("talk", chapter("limit", claim()), chapter("coupling", claim())) == 0
    folder = tmp_path / "mckean-report"
    assert [row["chapter"] for row in rows(folder)] == ["limit", "coupling"]
    said = capsys.readouterr()
    assert "the value in [0, 1] of x" in said.out
    assert "2 of 2 claims hold" in said.out
    assert said.out.rstrip().endswith("mckean-report/report.html")
    assert said.err.splitlines()[0].startswith("limit: 1 of 1 claims hold")
    assert len(said.err.splitlines()) == 2


def test_a_claim_that_fails(mckean_, tmp_path):
    assert mckean_("talk --out a/b", chapter("limit", claim(), claim(2.0))) == 1
    assert [row["holds"] for row in rows(tmp_path / "a" / "b")] == [True, False]


def test_a_chapter_that_breaks(mckean_, tmp_path, capsys):
    chapters = chapter("bad", raises=FloatingPointError("NaN at t = 1.")), chapter("good", claim())
    assert mckean_("talk --out out", *chapters) == 1
    assert {row["chapter"] for row in rows(tmp_path / "out") if row["holds"]} == {"good"}
    assert "bad: broke: NaN at t = 1." in capsys.readouterr().err
    assert "NaN at t = 1." in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_an_interrupt_keeps_what_is_finished(mckean_, tmp_path):
    chapters = chapter("one", claim()), chapter("two", raises=KeyboardInterrupt()), chapter("three", claim())
    assert mckean_("talk --out out", *chapters) == 130
    assert [row["chapter"] for row in rows(tmp_path / "out")] == ["one"]
    assert "not finished: two, three." in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_a_stop_before_the_first_chapter_ends_leaves_an_older_report(mckean_, tmp_path, capsys):
    assert mckean_("talk --out out", chapter("one", claim())) == 0
    before = (tmp_path / "out" / "report.html").read_bytes()
    assert mckean_("talk --out out", chapter("one", raises=KeyboardInterrupt())) == 130
    assert (tmp_path / "out" / "report.html").read_bytes() == before
    assert "stopped before a chapter had ended; 'out' is as it was." in capsys.readouterr().err


def test_sigterm_keeps_what_is_finished(mckean_, tmp_path):
    started, done, first = signal.getsignal(signal.SIGTERM), threading.Event(), chapter("one", claim())

    def before_the_second(config, key, progress):
        threading.Timer(0.5, done.set).start()
        return first.run(config, key, progress)

    def after_the_first(config, key, progress):
        done.wait(30)
        os.kill(os.getpid(), signal.SIGTERM)
        while True:
            progress(0.5)
            time.sleep(0.01)

    chapters = (
        dataclasses.replace(first, run=before_the_second),
        dataclasses.replace(chapter("two"), run=after_the_first),
    )
    assert mckean_("talk --out out", *chapters) == 130
    assert [row["chapter"] for row in rows(tmp_path / "out")] == ["one"]
    assert signal.getsignal(signal.SIGTERM) is started


def test_chapters_seed_and_size_are_chosen(mckean_, tmp_path):
    chapters = [chapter(name, claim()) for name in ("one", "two", "three")]
    assert mckean_("talk three one three --quick --seed 5 --out out", *chapters) == 0
    assert [row["chapter"] for row in rows(tmp_path / "out")] == ["three", "one"]
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "A run of 1." in text
    assert "<span>--seed 5</span> <span>--quick</span>" in text


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("talk limti", "did you mean 'limit'"),
        ("talk --seed -1", "seed must be between 0"),
        ("talk --seed 9223372036854775808", "seed must be between 0"),
        ("talk --seed one", "--seed"),
        ("talk --seed 1.5", "--seed: it must be an integer, not '1.5'"),
        ("talk --nosuch", "--nosuch"),
        ("tolk", "talk"),
        ("talk --out file/below", "output folder 'file/below' cannot be written"),
    ],
)
def test_bad_usage_is_refused_in_one_sentence(mckean_, tmp_path, capsys, line, reason):
    (tmp_path / "file").write_text("")
    never = chapter("limit", raises=AssertionError("nothing may run"))
    assert mckean_(line, never) == 2
    said = capsys.readouterr()
    assert reason in said.err
    assert said.err.startswith("mckean: ")
    assert len(said.err.splitlines()) == 1
    assert said.out == ""
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_disk_that_fills_up_still_shows_the_claims(mckean_, monkeypatch, capsys):
    def full(texts):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing, "_replace", full)
    assert mckean_("talk", chapter("limit", claim())) == 2
    said = capsys.readouterr()
    assert "1 of 1 claims hold" in said.out
    assert said.err.splitlines()[-1].endswith("could not be written to 'mckean-report': No space left on device.")


def test_bars_on_a_terminal(mckean_, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "140")
    chapters = chapter("limit", claim()), chapter("bad", raises=ValueError("[red]oh."))
    assert mckean_("talk", *chapters) == 1
    said = capsys.readouterr().err
    assert "the talk" in said
    assert "1 of 1 claims hold" in said
    assert "broke: [red]oh." in said


def test_list_names_chapters_and_models(mckean_, capsys):
    assert mckean_("list", chapter("limit", claim())) == 0
    said = capsys.readouterr().out
    assert "On limit" in said
    assert "Noisy phase oscillators." in said
    assert "More about them" not in said


@pytest.mark.parametrize("line", ["--help", "talk --help", ""])
def test_help_is_a_success(mckean_, capsys, line):
    assert mckean_(line) == 0
    assert "Usage" in capsys.readouterr().out


def test_version(mckean_, capsys):
    assert mckean_("--version") == 0
    assert capsys.readouterr().out.strip() == metadata.version("mckean")


def test_the_library_loads_no_command_line_and_no_pictures():
    heavy = "{'mckean.cli', 'mckean.talk.report', 'rich', 'cyclopts', 'matplotlib'}"
    check = f"import sys, mckean; print(*{heavy} & set(sys.modules)); import mckean.cli, mckean.talk.run; "
    check += "assert not {'rich', 'matplotlib', 'mckean.talk.report'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


MAIN = "import sys; from mckean import cli; sys.exit(cli.main(sys.argv[1:]))"


@pytest.mark.parametrize(
    ("line", "environment", "status", "reason"),
    [
        ("--help > /dev/full", {}, 2, "the standard output cannot be written: No space left on device."),
        ("--version | true", {}, 2, "the standard output cannot be written: Broken pipe."),
        ("--version >&-", {}, 2, "the standard output is closed"),
        ("list > /dev/null", {"PYTHONIOENCODING": "ascii"}, 0, ""),
        ("talk limit", {"JAX_PLATFORMS": "cuda"}, 2, "JAX finds no device here for JAX_PLATFORMS=cuda"),
    ],
)
def test_what_a_shell_does_to_it(tmp_path, line, environment, status, reason):
    """One sentence, and never the exit status of a claim that fails."""
    before, pipe, after = line.partition(" | ")
    command = f'"{sys.executable}" -c "{MAIN}" {before}; echo $? >&2'
    command = f"({command}) | {after}" if pipe else command
    run = ["bash", "-c", command]
    done = subprocess.run(run, capture_output=True, text=True, cwd=tmp_path, env=os.environ | environment, check=False)
    *said, found = done.stderr.splitlines()
    assert int(found) == status
    assert len(said) == (1 if reason else 0)
    assert reason in "".join(said)


TALK = """
import sys
import jax, jax.numpy as jnp
jnp.zeros(3) + 1
from mckean import cli
from mckean.talk import chapters
from mckean.talk.claims import Chapter, Claim, Result

def run(config, key, progress):
    size = jax.jit(lambda x: jnp.sin(x) @ x)(jnp.ones(5)).dtype.itemsize
    return Result([Claim(statement="bytes of a number", predicted=8.0, measured=float(size), reference="")], ())

chapters.CHAPTERS = {"one": Chapter("one", "One", "", lambda config: "", run, None, None)}
sys.exit(cli.main(sys.argv[1:]))
"""


def run_talk(folder, *options: str) -> list[str]:
    """Run a talk of one chapter in a process that has used JAX in single precision; the lines of the standard error."""
    # Matplotlib may say that it lists the fonts: it has a list already.
    ours = {"XDG_CACHE_HOME": str(folder), "JAX_ENABLE_X64": "0", "MPLCONFIGDIR": matplotlib.get_cachedir()}
    others = {name: value for name, value in os.environ.items() if not name.startswith("JAX_") or "PLATFORM" in name}
    command = [sys.executable, "-c", TALK, "talk", *options, "--out", str(folder / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=others | ours)
    return done.stderr.splitlines()


def test_programs_are_kept_from_run_to_run_and_in_silence(tmp_path):
    (line,) = run_talk(tmp_path)
    assert line.startswith("one: 1 of 1 claims hold")
    (folder,) = (tmp_path / "mckean").iterdir()
    assert folder.name.startswith(f"jaxlib-{metadata.version('jaxlib')}-")
    kept = sorted(folder.iterdir())
    assert kept
    # A run that was killed leaves such an entry; the others are loaded.
    kept[0].write_bytes(kept[0].read_bytes()[:50])
    assert len(run_talk(tmp_path)) == 1
    assert sorted(folder.iterdir()) == kept


def test_no_programs_are_kept_if_asked_not_to(tmp_path):
    assert len(run_talk(tmp_path, "--no-cache")) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["out"]
