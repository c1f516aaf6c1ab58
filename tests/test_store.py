"""Runs on disk: the same bits after every kind of end, and no half-written file."""

import json
import os
import pickle
import shutil
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from stored_runs import CIRCLE, bits, given

import mckean as mk
from mckean import cli
from mckean.cli import run as command
from mckean.store import _files, _records


@pytest.fixture(scope="module")
def whole():
    return {until: mk.evolve(**given(until)) for until in (0.4, 0.6)}


@pytest.fixture(scope="module")
def kept(tmp_path_factory, whole):
    """A finished run in a folder, which nobody changes."""
    folder = tmp_path_factory.mktemp("kept") / "run"
    assert bits(mk.evolve(**given(), store=folder)) == bits(whole[0.4])
    return folder


def test_a_run_in_a_folder_is_the_run_and_opens_as_one_dataset(kept, whole):
    assert bits(mk.load(kept)) == bits(whole[0.4])
    assert bits(mk.resume(kept)) == bits(whole[0.4])
    data = mk.dataset(kept)
    xr.testing.assert_identical(data.compute(), whole[0.4].to_xarray())
    assert data["z.real"].attrs["units"] == "1"
    assert xr.open_zarr(kept / "records.zarr", consolidated=False).sizes["time"] == 21


def test_a_function_of_yours_is_given_again_and_known_again(tmp_path):
    make = lambda c: mk.langevin(CIRCLE, confinement=lambda x: c * jnp.cos(x[0]), beta=2.0)  # noqa: E731
    expected = mk.evolve(**given(model=make(1.0)), store=tmp_path / "run")
    with pytest.raises(ValueError, match=r"not your .*model=…"):
        mk.resume(tmp_path / "run")
    assert bits(mk.resume(tmp_path / "run", model=make(1.0))) == bits(expected)
    with pytest.raises(ValueError, match="holds another run, whose model differs"):
        mk.resume(tmp_path / "run", model=make(1.5))


def test_a_finished_run_is_extended_in_time(tmp_path, kept, whole):
    folder = shutil.copytree(kept, tmp_path / "run")
    assert bits(mk.resume(folder, until=0.6)) == bits(whole[0.6])
    assert mk.dataset(folder).attrs["until"] == "0.6"
    with pytest.raises(ValueError, match=r"until 0.6, which is later than until = 0.4"):
        mk.evolve(**given(), store=folder)


def test_without_records_the_end_moves(tmp_path):
    bare = {"every": None, "observe": {"r": mk.observables.order_parameter(1)}}
    mk.evolve(**given(0.4, **bare), store=tmp_path / "run")
    assert bits(mk.resume(tmp_path / "run", until=0.7)) == bits(mk.evolve(**given(0.7, **bare)))


def test_a_damaged_state_is_passed_over_and_verify_finds_a_changed_one(tmp_path, kept, whole):
    folder = shutil.copytree(kept, tmp_path / "run")
    assert mk.verify(folder)
    last = max((folder / "checkpoints").iterdir())
    last.write_bytes(last.read_bytes()[:-80])
    assert len(mk.load(folder).times) < 21
    assert bits(mk.resume(folder)) == bits(whole[0.4])
    records = _records.read_records(folder / "records.zarr", ["r"], 21)
    _records.write_records(folder / "records.zarr", 0, {"r": np.nextafter(records["r"], 2)})
    assert not mk.verify(folder)
    for state in (folder / "checkpoints").iterdir():
        state.unlink()
    with pytest.raises(ValueError, match="has not made a step"):
        mk.verify(folder)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda f: (f / "run.json").unlink(), "is not the folder of a run: give one that is not there, or is empty"),
        (lambda f: (f / "run.json").write_text("{"), "cannot be read: it is not whole"),
        (lambda f: change(f, plan={"until": 1.0}), "run.json' cannot be read: it is not whole"),
        (lambda f: (f / "run.json").write_text("[]"), "is not the folder of a run of mckean"),
        (lambda f: change(f, format=7), "has the format 7, but this version of mckean reads the format 1"),
        (lambda f: change(f, versions={"mckean": "9"}), "was made with mckean 9, but here is"),
    ],
)
def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path, kept, spoil, sentence):
    folder = shutil.copytree(kept, tmp_path / "run")
    spoil(folder)
    before = sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*"))
    with pytest.raises(ValueError, match=sentence):
        mk.evolve(**given(), store=folder)
    assert sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*")) == before


@pytest.mark.parametrize("piece", ["z.imag/c/0", "r/zarr.json", "zarr.json"])
@pytest.mark.parametrize("torn", [True, False])
def test_records_that_are_not_whole_are_no_numbers(tmp_path, kept, piece, torn):
    """zarr itself gives NaN for a chunk that is not there."""
    folder = shutil.copytree(kept, tmp_path / "run")
    path = folder / "records.zarr" / piece
    half = path.read_bytes()[: path.stat().st_size // 2]
    path.unlink()
    if torn:
        path.write_bytes(half)
    for read in (mk.load, mk.dataset, mk.resume, mk.verify, lambda folder: mk.resume(folder, until=0.6)):
        with pytest.raises(ValueError, match=r"records.zarr' cannot be read: its records are not there, or not whole"):
            read(folder)


def test_records_that_are_no_numbers_are_there(tmp_path):
    nothing = {"n": lambda model, measure: jnp.full(2, jnp.nan), "empty": lambda model, measure: jnp.zeros(0)}
    with pytest.warns(RuntimeWarning, match="'n' is not a number"):
        run = mk.evolve(**given(observe=nothing), store=tmp_path / "run")
    assert bits(mk.load(tmp_path / "run")) == bits(run)


def test_a_copy_without_its_empty_folder_goes_on(tmp_path, kept, whole):
    folder = shutil.copytree(kept, tmp_path / "run")
    shutil.rmtree(folder / "checkpoints")
    assert bits(mk.resume(folder)) == bits(whole[0.4])


def test_what_the_killed_had_begun_to_make_is_removed(tmp_path):
    """Not what somebody makes at this time, nor what belongs to another folder."""
    dead, alive, other = (tmp_path / f".{name}.part" for name in ("run.0123abcd", "run.aaaaaaaa", "run.x.0123abcd"))
    for part in (dead, alive, other):
        (part / "checkpoints").mkdir(parents=True)
    with _files.alone(alive):
        mk.save(1.0, tmp_path / "run")
    assert sorted(tmp_path.iterdir()) == sorted([alive, other, tmp_path / "run"])


def change(folder: Path, **words) -> None:
    path = folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | words))


def test_another_run_and_another_process_are_refused(tmp_path, kept):
    folder = shutil.copytree(kept, tmp_path / "run")
    turned = dict(reversed(given()["observe"].items()))
    mk.evolve(**given(observe=turned), store=folder)
    mk.evolve(**given(observe=None), store=tmp_path / "bare")
    mk.evolve(**given(observe={}, scheme=mk.ParticleScheme()), store=tmp_path / "bare")
    with pytest.raises(ValueError, match="holds another run, whose scheme differs"):
        mk.evolve(**given(observe={}, scheme=mk.RandomBatch(2)), store=tmp_path / "bare")
    with pytest.raises(ValueError, match="holds another run, whose step dt differs"):
        mk.evolve(**given(dt=0.02), store=folder)
    more = mk.Particles(CIRCLE, jnp.arange(8.0)[:, None] * 0.7)
    with pytest.raises(ValueError, match=r"initial measure \(more particles are another run, .*\) differs: keep this"):
        mk.evolve(**given(measure=more), store=folder)
    with _files.alone(folder), pytest.raises(ValueError, match="another process writes to"):
        mk.evolve(**given(), store=folder)
    with pytest.raises(ValueError, match="under a transformation of JAX cannot be kept"):
        jax.jit(lambda dummy: mk.evolve(**given(), store=folder).final.positions + dummy)(0.0)
    with pytest.raises(ValueError, match="'nowhere' is not the folder of a run"):
        mk.resume("nowhere")
    with pytest.raises(ValueError, match="'nowhere' is not the folder of a value"):
        mk.load("nowhere")


def test_processes_of_one_run_are_given_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("mckean.collectives.of_first", lambda number, mesh: number + 1)
    with pytest.raises(ValueError, match=r"the processes of this run were given different arguments: give all"):
        mk.evolve(**given(), store=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_nothing_is_written_through_a_link(tmp_path, kept):
    """A stranger's folder may name another one as its own."""
    folder = shutil.copytree(kept, tmp_path / "run")
    shutil.move(folder / "records.zarr" / "r", tmp_path / "other")
    (folder / "records.zarr" / "r").symlink_to(tmp_path / "other")
    before = [path.read_bytes() for path in sorted((tmp_path / "other").rglob("*")) if path.is_file()]
    with pytest.raises(ValueError, match=r"records.zarr/r' is a link, and a run is written in its own folder alone"):
        mk.resume(folder, until=0.6)
    assert [path.read_bytes() for path in sorted((tmp_path / "other").rglob("*")) if path.is_file()] == before


def test_records_of_the_older_format_are_not_opened(tmp_path, kept, monkeypatch):
    """It has a codec that unpickles; libraries have it shut off, but not of all versions."""
    from numcodecs import pickles

    monkeypatch.setattr(pickles, "ALLOW_UNSAFE_PICKLE_DECODE", True, raising=False)
    folder = shutil.copytree(kept, tmp_path / "run")
    shutil.rmtree(folder / "records.zarr")
    for name in ("r", "z.real", "z.imag", "time"):
        array = folder / "records.zarr" / name
        (array / "c").mkdir(parents=True)
        about = {
            "zarr_format": 2, "shape": [21], "chunks": [21], "dtype": "|O", "fill_value": 0, "order": "C",
            "filters": [{"id": "vlen-utf8"}], "compressor": {"id": "pickle", "protocol": 5},
        }  # fmt: skip
        (array / ".zarray").write_text(json.dumps(about))
        for chunk in ("0", "c/0"):
            (array / chunk).write_bytes(pickle.dumps(Marked(str(tmp_path / "marked"))))
    (folder / "records.zarr" / ".zgroup").write_text('{"zarr_format": 2}')
    for read in (mk.load, mk.dataset):
        with pytest.raises(ValueError, match=r"records.zarr' cannot be read"):
            read(folder)
    assert not (tmp_path / "marked").exists()


class Marked:
    """What leaves a mark where it is unpickled."""

    def __init__(self, path: str):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_place_that_cannot_be_written_is_one_sentence():
    with pytest.raises(OSError, match="'/proc/run' cannot be written: "):
        mk.evolve(**given(), store="/proc/run")


FILE = """
import jax, jax.numpy as jnp, mckean as mk
circle = mk.Torus(1)
def study():
    model = mk.langevin(circle, confinement=lambda x: jnp.cos(x[0]), beta=2.0)
    start = mk.Particles(circle, jnp.arange(5.0)[:, None])
    return dict(model=model, measure=start, until=0.1, dt=0.01, path=mk.Brownian(jax.random.key(0)))
table = 3
"""


@pytest.fixture
def mckean_(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "configure", lambda cache: None)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("study_of_mine.py").write_text(FILE)
    yield lambda line: cli.main(line.split())
    sys.modules.pop("study_of_mine", None)


def test_a_run_from_the_shell(mckean_, capsys):
    assert mckean_("run study_of_mine.py:study") == 0
    assert "'study' holds the run until 0.1, with 2 records." in capsys.readouterr().out
    assert mckean_("run study_of_mine.py:study --store study") == 0
    assert mckean_("resume study") == 2
    assert "`mckean run FILE.py:NAME --store study`" in capsys.readouterr().err


def test_a_folder_from_the_shell(mckean_, capsys, kept):
    shutil.copytree(kept, "run")
    assert mckean_("resume run --until 0.6") == 0
    assert "until 0.6, with 31 records" in capsys.readouterr().out
    assert mckean_("verify run") == 0
    assert "equal to the bit" in capsys.readouterr().out
    records = _records.read_records(Path("run/records.zarr"), ["r"], 31)
    _records.write_records(Path("run/records.zarr"), 0, {"r": records["r"] + 1})
    assert mckean_("verify run") == 1


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("run study_of_mine.py", "a run is named as FILE.py:NAME"),
        ("run nothing.py:study", "there is no file 'nothing.py'"),
        ("run study_of_mine.py:other", "there is no 'other' in"),
        ("run study_of_mine.py:table", "must be a dictionary"),
        ("resume nothing", "is not the folder of a run"),
        ("verify nothing", "is not the folder of a run"),
    ],
)
def test_what_the_shell_is_refused(mckean_, capsys, line, sentence):
    assert mckean_(line) == 2
    assert sentence in capsys.readouterr().err
