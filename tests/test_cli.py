"""The command line: its exit status, one sentence where it refuses, and a report whatever happens."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from importlib import metadata

import matplotlib
import pytest
from pages import chapter, give
from pages import claim as judged

import mckean.catalogue
from mckean import cli
from mckean.cli import talk
from mckean.talk import archive
from mckean.talk.claims import Chapter, Claim, Panel, Series


def claim(value: float = -0.5, **changes) -> Claim:
    return judged(value, **({"statement": "the value in [0, 1] of $x$"} | changes))


def kuramoto():
    """Noisy phase oscillators.

    More about them.
    """


@pytest.fixture
def mckean_(monkeypatch, tmp_path):
    """A function that runs the command line on fake chapters, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    # It is for a whole process, and this one runs tests.
    monkeypatch.setattr(talk, "configure", lambda cache, quick: None)
    monkeypatch.setattr(mckean.catalogue, "MODELS", {"kuramoto": kuramoto}, raising=False)

    def run(line: str, *chapters: Chapter) -> int:
        give(monkeypatch, *chapters)
        return cli.main(line.split())

    return run


def rows(folder) -> list[dict]:
    return json.loads((folder / "claims.json").read_text(encoding="utf-8"))["claims"]


def test_all_claims_hold(mckean_, tmp_path, capsys):
    assert mckean_("talk", chapter("limit", claim()), chapter("coupling", claim())) == 0
    folder = tmp_path / "mckean-report"
    assert [row["chapter"] for row in rows(folder)] == ["limit", "coupling"]
    said = capsys.readouterr()
    # What holds is counted, not listed.
    assert "the value in" not in said.out
    assert "2 of 2 claims hold" in said.out
    assert re.search(r"I +limit +1 of 1 +0 +0 +0\.00 ", said.out)
    assert said.out.rstrip().endswith("mckean-report/report.html")
    told = said.err.splitlines()
    assert {"started limit", "started coupling"} < set(told)
    assert sum(line.startswith(("limit: 1 of 1 claims hold (", "coupling: 1 of 1 claims hold (")) for line in told) == 2
    assert len(told) == 4


def test_a_run_that_ends_has_the_figures_of_its_last_chapter(mckean_, tmp_path):
    panel = Panel("$x$", "$y$", [Series([0.0, 1.0], [0.0, 1.0])])
    assert mckean_("talk", chapter("limit", claim(), panels=[panel])) == 0
    assert "<svg" in (tmp_path / "mckean-report" / "report.html").read_text(encoding="utf-8")


def test_what_fails_or_is_undecided_is_said_in_full(mckean_, tmp_path, capsys):
    assert mckean_("talk --out a/b", chapter("limit", claim(), claim(2.0), claim(-0.9, stderr=0.1))) == 1
    assert [row["verdict"] for row in rows(tmp_path / "a" / "b")] == ["holds", "fails", "undecided"]
    said = capsys.readouterr()
    assert "limit fails: the value in [0, 1] of x: predicted = −0.5, measured 2.0000 ± 0.0020, band [" in said.out
    assert "limit undecided: the value in [0, 1] of x" in said.out
    assert "1 of 3 claims hold, 1 fails, 1 undecided" in said.out


def test_a_chapter_that_breaks(mckean_, tmp_path, capsys):
    chapters = chapter("bad", raises=FloatingPointError("NaN at t = 1.")), chapter("good", claim())
    assert mckean_("talk --out out", *chapters) == 1
    assert {row["chapter"] for row in rows(tmp_path / "out") if row["verdict"] == "holds"} == {"good"}
    assert "bad: broke: NaN at t = 1." in capsys.readouterr().err
    assert "NaN at t = 1." in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def endless(name: str, press, after: threading.Event) -> Chapter:
    """A chapter that presses Ctrl-C once `after` is set, and has words of progress for ever."""

    def run(config, key, progress):
        assert after.wait(30)
        time.sleep(0.3)
        press()
        while True:
            progress(0.5)
            time.sleep(0.01)

    return dataclasses.replace(chapter(name), run=run)


def that_sets(one: Chapter, ended: threading.Event) -> Chapter:
    """The chapter, which says that it has ended."""

    def run(config, key, progress):
        threading.Timer(0.1, ended.set).start()
        return one.run(config, key, progress)

    return dataclasses.replace(one, run=run)


def press(number: int, times: int = 1) -> None:
    for _ in range(times):
        os.kill(os.getpid(), number)
        time.sleep(0.001)


@pytest.fixture
def deaf():
    """A signal that comes after the run would end the tests: it meets a handler that does nothing."""
    numbers, nothing = (signal.SIGINT, signal.SIGTERM), lambda number, frame: None
    before = [signal.signal(number, nothing) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "times"), [(signal.SIGINT, 1), (signal.SIGINT, 3), (signal.SIGTERM, 1)])
def test_ctrl_c_and_sigterm_keep_what_is_finished(mckean_, tmp_path, capsys, deaf, number, times):
    """Also a second Ctrl-C, and the run goes on from there."""
    before, ended = signal.getsignal(number), threading.Event()
    first, last = that_sets(chapter("one", claim()), ended), endless("two", lambda: press(number, times), ended)
    assert mckean_("talk --out out --seed 5", first, last) == 130
    assert signal.getsignal(number) is before
    assert [row["chapter"] for row in rows(tmp_path / "out")] == ["one"]
    assert "not finished: two." in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    said = capsys.readouterr()
    assert "stopped, and 1 chapter is left; the same command with --resume goes on." in said.err
    assert "1 of 1 claims hold" in said.out
    never = dataclasses.replace(first, run=chapter("one", raises=AssertionError("ran again")).run)
    assert mckean_("talk --out out --seed 5 --resume", never, chapter("two", claim())) == 0
    assert [row["chapter"] for row in rows(tmp_path / "out")] == ["one", "two"]


def test_a_run_is_not_resumed_from_another(mckean_, capsys):
    assert mckean_("talk --out out", chapter("one", claim())) == 0
    for line in ("talk --out out --resume --seed 1", "talk --out out --resume --quick"):
        assert mckean_(line, chapter("one", raises=AssertionError("nothing may run"))) == 2
        said = capsys.readouterr().err
        assert "nothing can be resumed: the chapters in 'out' are of full at seed 0" in said
    # A folder without any is one to begin in: a job that a batch system starts again need not know.
    assert mckean_("talk --out new --resume", chapter("one", claim())) == 0


def test_a_stop_before_the_first_chapter_ends_leaves_an_older_report(mckean_, tmp_path, capsys):
    assert mckean_("talk --out out", chapter("one", claim())) == 0
    before = (tmp_path / "out" / "report.html").read_bytes()
    assert mckean_("talk --out out", chapter("one", raises=KeyboardInterrupt())) == 130
    assert (tmp_path / "out" / "report.html").read_bytes() == before
    assert "stopped before a chapter had ended; 'out' is as it was." in capsys.readouterr().err


def test_a_report_with_more_chapters_stays(mckean_, tmp_path, capsys):
    chapters = chapter("one", claim()), chapter("two", claim())
    assert mckean_("talk --out out", *chapters) == 0
    before = (tmp_path / "out" / "report.html").read_bytes()
    assert mckean_("talk one --out out", *chapters) == 0
    assert (tmp_path / "out" / "report.html").read_bytes() == before
    assert [row["chapter"] for row in rows(tmp_path / "out" / "partial")] == ["one"]
    said = capsys.readouterr().out
    assert "The report in 'out' has more chapters, and stays as it was." in said
    assert said.rstrip().endswith("out/partial/report.html")


def test_chapters_seed_and_size_are_chosen(mckean_, tmp_path):
    chapters = [chapter(name, claim()) for name in ("one", "two", "three")]
    assert mckean_("talk three one three --quick --seed 5 --out out", *chapters) == 0
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert {row["chapter"] for row in rows(tmp_path / "out")} == {"one", "three"}
    assert "A run of 10 &amp; more." in text
    # The command that was typed, and one for each chapter.
    assert "<span>talk</span> <span>three</span> <span>one</span> <span>three</span> <span>--quick</span>" in text
    assert "<span>one</span> <span>--quick</span> <span>--seed</span> <span>5</span>" in text


def test_several_seeds(mckean_, tmp_path, capsys):
    """Errors that are what they are said to be pass, ones that are half as large as they are do not."""

    def noisy(name: str, share: float) -> Chapter:
        def run(config, key, progress):
            import jax
            import numpy as np

            noise = np.random.default_rng(np.asarray(jax.random.key_data(key)))
            values = -0.5 + 0.002 * noise.standard_t(31, 8)
            claims = [claim(v, stderr=0.002 * share, tolerance=0.0, origin="") for v in values]
            return dataclasses.replace(chapter(name, *claims).run(config, key, progress))

        return dataclasses.replace(chapter(name), run=run)

    for share, status in ((1.0, 0), (0.5, 1)):
        chapters = [noisy(name, share) for name in "abcd"]
        assert mckean_(f"talk --seeds 6 --out {status}", *chapters) == status
        record = json.loads((tmp_path / str(status) / "seeds.json").read_text())
        assert record["seeds"] == [0, 1, 2, 3, 4, 5]
        assert len(record["scores"]) == 4 * 6 * 8
        assert all((test["p_value"] is None) == (test["count"] == 0) for test in record["tests"])
        assert all(test["p_value"] > 2.5e-4 for test in record["tests"][:2]) == (status == 0)
        assert len(rows(tmp_path / str(status))) == 4 * 8
        said = capsys.readouterr()
        assert ("the errors are not what they are said to be" in said.out) == (status == 1)
        assert ("b at seed 5: 8 of 8 claims hold" in said.err) or status
    assert 'id="seeds"' in (tmp_path / "0" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("talk limti", "did you mean 'limit'"),
        ("talk --seed -1", "seed must be between 0"),
        ("talk --seed 9223372036854775808", "seed must be between 0"),
        ("talk --seed one", "--seed"),
        ("talk --seed 1.5", "--seed: it must be an integer, not '1.5'"),
        ("talk --seeds 0", "number of seeds must be at least 1"),
        ("talk --seed 9223372036854775807 --seeds 2", "seed must be between 0"),
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

    monkeypatch.setattr("mckean.talk.report.writing.put", full)
    monkeypatch.setattr(archive, "put", full)
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
    assert re.search(r"limit +On limit & x +30 s +1 min 30 s", said)
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
from mckean.talk.claims import Chapter, Claim, Part, Result, Rival

def run(config, key, progress):
    size = jax.jit(lambda x: jnp.sin(x) @ x)(jnp.ones(5)).dtype.itemsize
    single = Rival("single precision", 4.0)
    claim = Claim(statement="A number has 8 bytes", predicted=8.0, measured=float(size), excludes=single, reference="")
    return Result([claim], ())

one = Chapter("one", "One", "", lambda config: "", run, None, None)
chapters.CHAPTERS, chapters.PARTS = {"one": one}, (Part("All", "", (one,), "one"),)
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
    began, line = run_talk(tmp_path)
    assert began == "started one"
    assert line.startswith("one: 1 of 1 claims hold")
    (folder,) = (tmp_path / "mckean").iterdir()
    assert folder.name.startswith(f"jaxlib-{metadata.version('jaxlib')}-")
    kept = sorted(folder.iterdir())
    assert kept
    # A run that was killed leaves such an entry; the others are loaded.
    kept[0].write_bytes(kept[0].read_bytes()[:50])
    assert len(run_talk(tmp_path)) == 2
    assert sorted(folder.iterdir()) == kept


def test_no_programs_are_kept_if_asked_not_to(tmp_path):
    assert len(run_talk(tmp_path, "--no-cache")) == 2
    assert [file.name for file in tmp_path.iterdir()] == ["out"]
