"""Runs and results on disk: the same bits after every kind of end, no half-written file, and no program in a folder."""

import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import mckean as mk
from mckean import cli
from mckean.cli import run as command
from mckean.store import _files, _records, _run

GOLDEN = Path(__file__).parent / "golden"
CIRCLE = mk.Torus(1)


def given(until: float = 0.4, **changes) -> dict:
    """A small run with noise, with a complex observable and a real one."""
    model = mk.langevin(CIRCLE, interaction=mk.kernels.Cosine(strength=2.0), beta=2.0)
    x = (jnp.arange(6.0)[:, None] * 1.1) % 6.28
    return {
        "model": model, "measure": mk.Particles(CIRCLE, x), "until": until, "dt": 0.01,
        "path": mk.Brownian(jax.random.key(3)), "every": 2,
        "observe": {"r": mk.observables.order_parameter(1), "z": mk.observables.mode(2)},
    } | changes  # fmt: skip


def bits(tree) -> list:
    return [(np.asarray(leaf).dtype, np.asarray(leaf).tobytes()) for leaf in jax.tree.leaves(tree)]


@pytest.fixture(scope="module")
def whole():
    return {until: mk.evolve(**given(until)) for until in (0.4, 0.6)}


class Cut(BaseException):
    """The end of the process, as far as a test can play it."""


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


def test_a_run_that_is_cut_at_any_write_goes_on_to_the_same_bits(tmp_path, monkeypatch, whole):
    """Each replacement and each write of a record may be the last thing that the process does, before or after it."""
    monkeypatch.setattr("mckean.dynamics.stored._SHARE", np.inf)
    calls, replace, write = {"left": -1}, os.replace, _run.write_records

    def cut(before: bool) -> None:
        calls["left"] -= 1
        if calls["left"] in ((1,) if before else (0,)):
            raise Cut

    def watched(f):
        def call(*arguments):
            cut(True)
            f(*arguments)
            cut(False)

        return call

    monkeypatch.setattr(_files.os, "replace", watched(replace))
    monkeypatch.setattr(_run, "write_records", watched(write))
    # A process that has ended removes nothing.
    monkeypatch.setattr(_files.shutil, "rmtree", lambda *a, **k: None)
    for number in range(2, 60, 3):
        folder = tmp_path / f"run{number}"
        calls["left"] = number
        with contextlib.suppress(Cut):
            mk.evolve(**given(), store=folder)
        calls["left"] = -1
        if folder.exists():
            there = mk.load(folder)
            n = len(there.times)
            assert bits(there.observed) == bits(jax.tree.map(lambda a, n=n: a[:n], whole[0.4].observed))
        assert bits(mk.evolve(**given(), store=folder)) == bits(whole[0.4])


KILLED = """
import sys, jax
jax.config.update("jax_enable_x64", True)
sys.path.insert(0, {tests!r})
import test_store, mckean as mk
from mckean.dynamics import stored
stored._SHARE = float("inf")
print("begins", flush=True)
mk.evolve(**test_store.given(2.0), store={folder!r})
"""


def kill_once(folder: Path, delay: float, number: int = signal.SIGKILL) -> int:
    """A process that keeps a run is ended so long after it begins; its exit status."""
    code = KILLED.format(tests=str(Path(__file__).parent), folder=str(folder))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay)
        process.send_signal(number)
        return process.wait()


def test_killed_and_killed_again(tmp_path):
    folder, expected = tmp_path / "run", mk.evolve(**given(2.0))
    for delay in (0.9, 1.1):
        kill_once(folder, delay)
        if folder.exists():
            mk.load(folder)
    assert bits(mk.evolve(**given(2.0), store=folder)) == bits(expected)


def test_sigterm_keeps_the_run_and_ends_it_as_ctrl_c(tmp_path):
    folder = tmp_path / "run"

    def raised(model, measure):
        jax.debug.callback(lambda: os.kill(os.getpid(), signal.SIGTERM))
        return measure.integrate(lambda x: jnp.cos(x[0]))

    with pytest.raises(mk.Interrupted) as stopped:
        mk.evolve(**given(observe={"c": raised}), store=folder)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    done = mk.load(folder)
    assert bits(done.final) == bits(stopped.value.trajectory.final)
    with pytest.raises(ValueError, match=r"holds no program.*observe=…"):
        mk.resume(folder)
    calm = {"c": lambda model, measure: measure.integrate(lambda x: jnp.cos(x[0]))}
    with pytest.raises(ValueError, match="holds another run, whose table of observables differs"):
        mk.resume(folder, observe=calm)


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
    with pytest.raises(ValueError, match="holds another run, whose step dt differs"):
        mk.evolve(**given(dt=0.02), store=folder)
    with _files.alone(folder), pytest.raises(ValueError, match="another process writes to"):
        mk.evolve(**given(), store=folder)
    with pytest.raises(ValueError, match="under a transformation of JAX cannot be kept"):
        jax.jit(lambda dummy: mk.evolve(**given(), store=folder).final.positions + dummy)(0.0)
    with pytest.raises(ValueError, match="'nowhere' is not the folder of a run"):
        mk.resume("nowhere")
    with pytest.raises(ValueError, match="'nowhere' is not the folder of a value"):
        mk.load("nowhere")


@pytest.mark.parametrize("after", [0, 3])
def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path, monkeypatch, whole, after):
    monkeypatch.setattr("mckean.dynamics.stored._SHARE", np.inf)
    left, write = [after + 2], os.fsync

    def full(handle):
        left[0] -= 1
        if left[0] <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(handle)

    with monkeypatch.context() as patch:
        patch.setattr(_files.os, "fsync", full)
        with pytest.raises(OSError, match=r"'.*run' cannot be written: No space left on device.*\.$"):
            mk.evolve(**given(), store=tmp_path / "run")
    assert not list(tmp_path.rglob("*.part"))
    assert bits(mk.evolve(**given(), store=tmp_path / "run")) == bits(whole[0.4])


def test_a_place_that_cannot_be_written_is_one_sentence():
    with pytest.raises(OSError, match="'/proc/run' cannot be written: "):
        mk.evolve(**given(), store="/proc/run")


def test_results_come_back_bit_for_bit(tmp_path, whole):
    model = mk.catalogue.kuramoto(strength=2.5).model
    density = mk.Density.from_function(CIRCLE.grid(16), lambda x: 1 + 0.5 * jnp.cos(x[0]))
    ledger = {
        "z": np.array([1j, -0.0 + 2j]),
        "key": jax.random.key(1),
        "single": jnp.float32(0.1),
        "weak": jnp.asarray(2.0),
    }
    for name, value in {
        "run": whole[0.4],
        "model": model,
        "law": density,
        "table": ledger,
        "list": [1, (2.5, None)],
    }.items():
        mk.save(value, tmp_path / name)
        back = mk.load(tmp_path / name)
        assert mk.store.digest(back) == mk.store.digest(value)
        assert jax.tree.structure(back) == jax.tree.structure(value)
    assert mk.dataset(tmp_path / "run").identical(whole[0.4].to_xarray())
    mk.dataset(tmp_path / "run").to_netcdf(tmp_path / "run.nc")
    assert mk.dataset(tmp_path / "table")["z.imag"].values.tolist() == [1.0, 2.0]
    assert mk.load(tmp_path / "table")["weak"].weak_type
    with pytest.raises(ValueError, match="is not empty"):
        mk.save(1.0, tmp_path / "run")
    with pytest.raises(ValueError, match="holds no program, but this value holds your"):
        mk.save(lambda x: x, tmp_path / "function")
    assert not (tmp_path / "function").exists()


def test_results_of_the_wings_come_back_bit_for_bit(tmp_path):
    from mckean.energetics import ledger
    from mckean.environments import lyapunov
    from mckean.equilibrium import sample_gibbs

    model = given()["model"]
    stirred = mk.Model(CIRCLE, common=mk.Multiplicative(lambda x, mu: jnp.cos(x)[:, None]))
    bump = mk.Density.from_function(CIRCLE.grid(8), lambda x: 1 + 0.5 * jnp.cos(x[0]))
    cloud, keys = bump.sample(jax.random.key(0), 2), jax.random.split(jax.random.key(1))
    watched = {"r": mk.observables.order_parameter(1)}
    for name, value in {
        "Ledger": ledger(model, bump, until=0.02, dt=0.01),
        "Spectrum": lyapunov(stirred, cloud, until=0.02, dt=0.01, key=keys[0], replicas=2),
        "GibbsSample": sample_gibbs(model, mk.Uniform(CIRCLE), 4, watched, key=keys[1]),
    }.items():
        assert type(value).__name__ == name
        mk.save(value, tmp_path / name)
        back = mk.load(tmp_path / name)
        assert type(back) is type(value)
        assert mk.store.digest(back) == mk.store.digest(value)
        assert bits(vars(back)) == bits(vars(value))
        assert mk.dataset(tmp_path / name).sizes


@pytest.mark.parametrize(
    "words",
    [
        {"name": "os:system"},
        {"name": "mckean.dynamics._evolve:evolve"},
        {"name": "mckean.statistics._replicas:os.cpu_count"},
        {"name": "equinox._serialisation:tree_serialise_leaves"},
        {"name": "jax.numpy:save"},
        {"class": "subprocess:Popen", "fields": {"args": "true"}},
        {"function": "mckean.cli.talk:talk#0", "cells": [], "defaults": [None, None]},
        {"function": "os:system#0", "cells": [], "defaults": [None, None]},
        {"method": "__class__", "self": 3},
        {"pickle": "gASV"},
    ],
)
def test_a_folder_of_a_stranger_runs_nothing(tmp_path, words):
    mk.save(1.0, tmp_path / "value")
    path = tmp_path / "value" / "value.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"words": words}))
    with pytest.raises(ValueError, match=r"the folder (names|holds)"):
        mk.load(tmp_path / "value")


def test_an_array_with_objects_is_not_read(tmp_path):
    mk.save(np.arange(3.0), tmp_path / "value")
    np.savez(tmp_path / "value" / "arrays.npz", words=np.zeros(1, np.uint8), array_0=np.array([print], object))
    with pytest.raises(ValueError, match="cannot be read"):
        mk.load(tmp_path / "value")


def test_folders_of_this_version_are_read_by_the_next():
    """They are never made anew: where one cannot be read, the code that reads it is at fault."""
    run = mk.load(GOLDEN / "run")
    assert [value.shape for value in jax.tree.leaves(run.observed)] == [(3,), (3,)]
    np.testing.assert_array_equal(run.times, [0.0, 0.02, 0.04])
    assert run.final.positions.shape == (6, 1)
    assert mk.dataset(GOLDEN / "run").sizes["time"] == 3
    words = json.loads((GOLDEN / "run" / "run.json").read_text())
    assert words["key"] == "957472f5ac58f0b1a283301a826fbebce472b7f21a84b9937c44b0b7a2db2692"
    # The numbers of another machine differ by rounding alone.
    again = mk.evolve(**given(0.04))
    for one, other in zip(jax.tree.leaves(run), jax.tree.leaves(again), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    value = mk.load(GOLDEN / "value")
    assert value["z"].tolist() == [1j, -0.0 + 2j]
    assert value["model"].space == CIRCLE
    assert not (GOLDEN / "run" / "run.json").read_text().count("/")


def test_a_key_sees_what_determines_the_numbers_and_nothing_else():
    scaled = lambda c: lambda x: c * jnp.sin(x)  # noqa: E731
    key = mk.store.digest
    assert key(scaled(2.0)) == key(scaled(2.0)) != key(scaled(2.5))
    assert key(lambda x: x + 1) != key(lambda x: x + 2)
    assert key(jnp.zeros(2)) != key(jnp.zeros(2, jnp.float32))
    assert key({"a": 0.0}) != key({"a": -0.0})
    assert key(mk.catalogue.kuramoto(strength=2.5)) == key(mk.catalogue.kuramoto(strength=2.5))
    command = (
        "import jax; jax.config.update('jax_enable_x64', True); import sys, mckean as mk; sys.path.insert(0, {!r});"
    )
    command += " import test_store; print(mk.store.digest(test_store.given()))"
    command = command.format(str(Path(__file__).parent))
    other = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True).stdout.strip()
    assert other == key(given())
    with open(os.devnull) as file, pytest.raises(ValueError, match="nothing can be seen in"):
        key(file)


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
