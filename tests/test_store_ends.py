"""Runs on disk and their ends: a cut, a signal, a full disk. What was there is whole, and why it ended is told."""

import contextlib
import errno
import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from stored_runs import bits, given

import mckean as mk
from mckean.store import _files, _run


class Cut(BaseException):
    """The end of the process, as far as a test can play it."""


def test_a_run_that_is_cut_at_any_write_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    """Each replacement and each write of a record may be the last thing that the process does, before or after it."""
    monkeypatch.setattr("mckean.dynamics.stored._SHARE", np.inf)
    whole = mk.evolve(**given())
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
    for number in range(2, 60, 5):
        folder = tmp_path / f"run{number}"
        calls["left"] = number
        with contextlib.suppress(Cut):
            mk.evolve(**given(), store=folder)
        calls["left"] = -1
        if folder.exists():
            there = mk.load(folder)
            n = len(there.times)
            assert bits(there.observed) == bits(jax.tree.map(lambda a, n=n: a[:n], whole.observed))
        assert bits(mk.evolve(**given(), store=folder)) == bits(whole)


KILLED = """
import sys, jax
jax.config.update("jax_enable_x64", True)
sys.path.insert(0, {tests!r})
import stored_runs, mckean as mk
from mckean.dynamics import stored
stored._SHARE = float("inf")
print("begins", flush=True)
mk.evolve(**stored_runs.given(2.0), store={folder!r})
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


@pytest.mark.parametrize("after", [0, 2])
def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path, monkeypatch, after):
    monkeypatch.setattr("mckean.dynamics.stored._SHARE", np.inf)
    write, states = os.fsync, tmp_path / "run" / "checkpoints"

    def full(handle):
        if len(list(states.glob("*.npz"))) >= after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(handle)

    with monkeypatch.context() as patch:
        patch.setattr(_files.os, "fsync", full)
        with pytest.raises(OSError, match=r"'.*run' cannot be written: No space left on device.*\.$") as stopped:
            mk.evolve(**given(), store=tmp_path / "run")
    assert not list(tmp_path.rglob("*.part"))
    whole = mk.evolve(**given(), store=tmp_path / "run")
    assert bits(whole) == bits(mk.evolve(**given()))
    assert isinstance(stopped.value, mk.StoreError) == (after > 0)
    if isinstance(stopped.value, mk.StoreError):
        made = stopped.value.trajectory
        n = len(made.times) - 1
        # The last record is of the state, which need not be one that is due.
        assert bits(jax.tree.map(lambda a: a[:n], made.observed)) == bits(jax.tree.map(lambda a: a[:n], whole.observed))
        until = float(made.times[-1])
        assert bits(made.final) == bits(mk.evolve(**given(until, every=1)).final)


@pytest.fixture
def no_room_later(monkeypatch):
    """A disk that is full after the first state; no other is kept before the end."""
    keep, calls = _run.RunFolder.keep, []

    def full(*arguments):
        calls.append(arguments)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        keep(*arguments)

    monkeypatch.setattr("mckean.dynamics.stored._SHARE", 0.0)
    monkeypatch.setattr(_run.RunFolder, "keep", full)


def test_a_full_disk_does_not_take_an_interrupted_run(tmp_path, no_room_later):
    looks = []

    def stop():
        looks.append(1)
        if len(looks) > 2:
            os.kill(os.getpid(), signal.SIGTERM)

    def look(model, measure):
        jax.debug.callback(stop)
        return measure.integrate(lambda x: jnp.cos(x[0]))

    with pytest.raises(mk.Interrupted) as stopped:
        mk.evolve(**given(observe={"c": look}), store=tmp_path / "run")
    assert stopped.value.trajectory.times[-1] > 0.01
    assert "No space left on device" in "".join(getattr(stopped.value.__cause__, "__notes__", []))


def blows_up(scheme) -> dict:
    """Euler's step x ← x − x³ from x = 1.5 goes through −1.9, 4.7, −99, and has no finite value after some more."""
    line = mk.Euclidean(1)
    return {
        "model": mk.langevin(line, lambda x: 25 * x[0] ** 4, beta=2.0), "until": 1.0, "dt": 0.01, "scheme": scheme,
        "measure": mk.Particles(line, jnp.full((256, 1), 1.5)), "path": mk.Brownian(jax.random.key(0)),
    }  # fmt: skip


@pytest.mark.parametrize("scheme", [None, mk.InPlace()])
def test_why_a_run_fails_is_told_whatever_becomes_of_its_folder(tmp_path, no_room_later, scheme):
    """In place the state before is used up, and there is nothing to keep."""
    with pytest.raises(mk.RunError, match="finite") as failed:
        mk.evolve(**blows_up(scheme), store=tmp_path / "run")
    assert ("No space left" in "".join(getattr(failed.value, "__notes__", []))) == (scheme is None)
    assert mk.load(tmp_path / "run").final.n == 256


def test_records_are_on_the_disk_before_the_state_that_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("mckean.dynamics.stored._SHARE", np.inf)
    written, sync = [], os.fsync

    def watched(handle):
        written.append(os.path.relpath(os.readlink(f"/proc/self/fd/{handle}"), tmp_path))
        sync(handle)

    monkeypatch.setattr(_files.os, "fsync", watched)
    mk.evolve(**given(), store=tmp_path / "run")
    states = [at for at, name in enumerate(written) if "checkpoints/.0" in name]
    assert len(states) > 2
    for begin, end in itertools.pairwise(states):
        between = written[begin:end]
        assert {f"run/records.zarr/{name}/c/0" for name in ("r", "z.real", "z.imag")} <= set(between)
        assert "run/checkpoints" in between
    before = written[: states[0]]
    assert any(name.endswith(".part/records.zarr/time/c/0") for name in before)
    assert "." in before
