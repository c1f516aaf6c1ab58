"""Sweeps: every cell once, whoever dies or is stopped; one labelled Dataset; a folder refuses what is not its own."""

import json
import os
import resource
import signal
import sys
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sweeping
import xarray as xr

import mckean as mk
from mckean import cli
from mckean.statistics import Estimate
from mckean.sweeps import _function, open_sweep
from mckean.sweeps._attempts import Attempts
from mckean.sweeps._crew import environment
from mckean.sweeps._folder import find
from mckean.sweeps._log import Log

sweep = mk.sweep
TABLE = {"K": [1.0, 2.0, 3.0], "beta": [0.5, 4.0]}
KEY = jax.random.key(7)


def test_a_product_has_its_parameters_as_dimensions(tmp_path):
    data = sweep(sweeping.scaled, TABLE, tmp_path / "s")
    assert data["r"].dims == ("K", "beta")
    np.testing.assert_array_equal(data["r"], 2 * np.outer(TABLE["K"], TABLE["beta"]))
    assert float(data["r"].sel(K=3.0, beta=4.0)) == 24.0
    assert (data["failure"] == "").all()
    xr.testing.assert_identical(open_sweep(tmp_path / "s"), data)


def test_rows_are_cells_with_their_parameters_beside_them(tmp_path):
    rows = [{"K": 1, "law": "flat"}, {"K": np.float32(0.5), "law": "peaked"}]
    data = sweep(lambda K, law: K * len(law), rows, tmp_path / "s")
    assert data["value"].dims == ("cell",)
    np.testing.assert_array_equal(data["value"], [4.0, 3.0])
    assert list(data["law"].values) == ["flat", "peaked"]


def test_what_a_cell_may_give(tmp_path):
    line = mk.Euclidean(1)
    model = mk.langevin(line, mk.potentials.Quadratic(), beta=2.0)

    def all_kinds(K):
        run = mk.evolve(model, mk.Gaussian(K, 1.0), until=0.2, dt=0.1, every=1, observe={"m": mk.observables.mean})
        return {
            "count": int(K), "good": K > 1, "error": Estimate(K, 0.5, 3), "wave": jnp.exp(1j * K),
            "ragged": np.ones(int(K)), "run": run,
        }  # fmt: skip

    data = sweep(all_kinds, {"K": [1.0, 2.0]}, tmp_path / "s")
    assert data["count"].dtype.kind == "i"
    assert data["good"].dtype == bool
    np.testing.assert_array_equal(data["error_stderr"], [0.5, 0.5])
    np.testing.assert_allclose(data["wave.imag"], np.sin([1.0, 2.0]), rtol=1e-15)
    # Shorter arrays are filled up.
    np.testing.assert_array_equal(data["ragged"], [[1.0, np.nan], [1.0, 1.0]])
    # The times are those of all cells: they label an axis, and no parameter does them.
    assert data["run.time"].dims == ("run.time",)
    # To the bit what the run has.
    alone = mk.evolve(model, mk.Gaussian(2.0, 1.0), until=0.2, dt=0.1, every=1, observe={"m": mk.observables.mean})
    np.testing.assert_array_equal(data["run.m"].sel(K=2.0), alone.observed["m"])


class Runs:
    """The cells that were run: no part of what tells a function from another, as a list would be."""

    def __init__(self):
        self.of = []

    def add(self, K):
        self.of.append(K)


def test_nothing_is_done_twice_and_failures_are_listed_and_retried(tmp_path):
    ran = Runs()

    def f(K):
        ran.add(K)
        if K == 2.0:
            raise ValueError("K is a resonance.")
        return K

    told = "1 of 3 cells of .* failed; the first, K = 2: K is a resonance."
    with pytest.warns(UserWarning, match=told):
        data = sweep(f, {"K": TABLE["K"]}, tmp_path / "s")
    np.testing.assert_array_equal(data["value"], [1.0, np.nan, 3.0])
    assert list(data["failure"].values) == ["", "K is a resonance.", ""]
    with pytest.warns(UserWarning, match=told):
        sweep(f, {"K": TABLE["K"]}, tmp_path / "s")
    assert ran.of == TABLE["K"]
    # It fails once more, and is not tried for ever.
    with pytest.warns(UserWarning, match=told):
        sweep(f, {"K": TABLE["K"]}, tmp_path / "s", retry=True)
    assert ran.of == [*TABLE["K"], 2.0]


def test_a_cell_with_other_axes_costs_no_other_cell(tmp_path):
    data = sweep(lambda K: {"x": np.full(2, K) if K > 1 else K, "y": K}, {"K": TABLE["K"]}, tmp_path / "s")
    np.testing.assert_array_equal(data["x"], [[np.nan] * 2, [2.0] * 2, [3.0] * 2])
    np.testing.assert_array_equal(data["y"], TABLE["K"])
    assert data["failure"].values[0] == "it gave 'x' with the axes (), but most cells with ('x_axis0',)"
    assert (data["failure"].values[1:] == "").all()


def test_what_was_repaired_is_there(tmp_path):
    here = tmp_path / "repaired"

    def f(K):
        return K if here.exists() else 1 / 0

    with pytest.warns(UserWarning, match="2 of 2 cells"):
        sweep(f, {"K": [1.0, 2.0]}, tmp_path / "s")
    here.touch()
    data = sweep(f, {"K": [1.0, 2.0]}, tmp_path / "s", retry=True)
    np.testing.assert_array_equal(data["value"], [1.0, 2.0])
    assert (data["failure"] == "").all()


def test_a_repaired_function_runs_the_cells_that_failed(tmp_path):
    """What is done stays as the first function gave it; the folder says so, and is the second one's from then on."""

    def first(K):
        return 1 / 0 if K == 2.0 else K

    def second(K):
        return 10 * K

    table, folder = {"K": TABLE["K"]}, tmp_path / "s"
    with pytest.warns(UserWarning, match="1 of 3 cells"):
        sweep(first, table, folder)
    with pytest.raises(ValueError, match="its code has changed; retry=True runs the 1 that failed with it as it is"):
        sweep(second, table, folder)
    with Log(find(folder)), pytest.raises(ValueError, match=r"others run cells of .* stop them"):
        sweep(second, table, folder, retry=True)
    with pytest.warns(UserWarning, match=r"the 2 cells .* keep what they have, and the other 1 "):
        data = sweep(second, table, folder, retry=True)
    np.testing.assert_array_equal(data["value"], [1.0, 20.0, 3.0])
    assert data.attrs["repaired"].startswith("its code changed when 2 of 3 cells were done")
    xr.testing.assert_identical(sweep(second, table, folder), data)
    # Nothing is left to be repaired.
    with pytest.raises(ValueError, match="another function: its code has changed; choose another folder"):
        sweep(first, table, folder, retry=True)


def test_a_key_depends_on_the_parameters_alone(tmp_path):
    def f(K, beta, key):
        return jax.random.normal(key)

    whole = sweep(f, TABLE, tmp_path / "whole", key=KEY)["value"]
    rows = [{"beta": 4.0, "K": 3}, {"beta": 0.5, "K": 1}]
    few = sweep(f, rows, tmp_path / "few", key=KEY)["value"]
    np.testing.assert_array_equal(few, [whole.sel(K=3.0, beta=4.0), whole.sel(K=1.0, beta=0.5)])
    assert len(np.unique(whole)) == whole.size


def test_ctrl_c_keeps_what_is_finished(tmp_path):
    ran = Runs()

    def f(K):
        ran.add(K)
        if K == 2.0 and len(ran.of) == 2:
            os.kill(os.getpid(), signal.SIGINT)
            threading.Event().wait(10)
        return K

    with pytest.raises(KeyboardInterrupt, match=r"1 of 3 cells .* the same call goes on"):
        sweep(f, {"K": TABLE["K"]}, tmp_path / "s")
    part = open_sweep(tmp_path / "s")
    assert list(part["failure"].values) == ["", "it is not done yet", "it is not done yet"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    sweep(f, {"K": TABLE["K"]}, tmp_path / "s")
    assert ran.of == [1.0, 2.0, 2.0, 3.0]


def test_two_workers_one_of_which_is_killed(tmp_path):
    """The cell that it ran is run again, the others once; and each computes as this process does."""
    data = sweep(sweeping.deadly, {"K": list(range(6))}, tmp_path / "s", key=KEY, workers=2)
    runs = [len(path.read_text().split()) for path in sorted((tmp_path / "s" / "cells").glob("*/runs"))]
    assert runs == [1, 2, 1, 1, 1, 1]
    assert data["double"].all()
    # The key of a cell that another worker has done anew is the same.
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "runs").write_text("run\n")
    from mckean.sweeps._table import cell_key

    draw = sweeping.deadly(1, cell_key(KEY, {"K": 1}), tmp_path / "alone")["draw"]
    assert float(data["draw"].sel(K=1)) == float(draw)


@pytest.fixture
def begun(tmp_path):
    """A sweep of which no cell has been run."""
    with pytest.raises(KeyboardInterrupt):
        sweep(lambda K: os.kill(os.getpid(), signal.SIGINT), {"K": [1.0, 2.0]}, tmp_path / "s")
    return find(tmp_path / "s")


def test_a_claim_of_the_living_holds_and_one_of_the_dead_does_not(begun):
    mine, other = Log(begun), Log(begun)
    cells = Attempts(begun).refresh()
    # The first cell was given back.
    assert list(cells.to_run()) == [(0, 1, 0), (1, 0, 0)]
    assert cells.claim(0, 1, other)
    assert not cells.claim(0, 1, mine)
    assert [cell for cell, *_ in cells.refresh().to_run()] == [1]
    other.__exit__()
    assert list(cells.to_run()) == [(0, 2, 1), (1, 0, 0)]
    mine.__exit__()


def test_what_the_dead_have_finished_is_done(begun):
    """Its end is read after it is known to be dead: a claim without a record is not enough."""
    cells = Attempts(begun).refresh()
    other = Log(begun)
    assert cells.claim(1, 0, other)
    other.append({"cell": 1, "attempt": 0, "variables": {"value": 2.0}})
    other.__exit__()
    assert [cell for cell, *_ in cells.to_run()] == [0]


def test_a_cell_that_kills_is_given_up(begun):
    for attempt in range(1, 4):
        with Log(begun) as log:
            assert Attempts(begun).claim(0, attempt, log)
    ran = []
    from mckean.sweeps._work import work

    with Log(begun) as log:
        work(lambda K: ran.append(K) or K, begun, log)
    assert ran == [2.0]
    assert "ended without a word, 3 times" in Attempts(begun).refresh().failed[0]


@pytest.mark.parametrize(
    "line", ['{"cell": 1, "attempt": 0, "variables": {"val', '{"cell": 2, "attempt": 0}\n', '{"cell": "0"}\n', "[0]\n"]
)
def test_a_line_that_is_torn_or_of_something_else_is_no_line(begun, line):
    with Log(begun) as log:
        name = log.name
    with (begun.logs / f"{name}.jsonl").open("a") as file:
        file.write(line)
    assert not Attempts(begun).refresh().records


def test_a_full_disk_is_one_sentence_and_nothing_half_written(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def f(K):
        return np.zeros(4) if K == 1.0 else np.zeros(10_000)

    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(
            OSError, match=r"^'.*s' cannot be written: File too large; what is done stays, and the same call goes on\.$"
        ):
            sweep(f, {"K": [1.0, 2.0]}, tmp_path / "s")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    (log,) = (tmp_path / "s" / "workers").iterdir()
    assert all(json.loads(line) for line in log.read_text().splitlines())
    assert sweep(f, {"K": [1.0, 2.0]}, tmp_path / "s")["value"].shape == (2, 10_000)


def test_a_finished_sweep_is_opened_where_nothing_can_be_written(tmp_path, monkeypatch):
    sweep(sweeping.scaled, TABLE, tmp_path / "s")
    monkeypatch.setattr(Log, "__init__", lambda self, folder: pytest.fail("it was written to"))
    assert sweep(sweeping.scaled, TABLE, tmp_path / "s")["r"].shape == (3, 2)


@pytest.mark.parametrize(
    ("first", "more"),
    [
        ({"replica": range(2), "K": [1.0, 2.0]}, {"replica": range(12), "K": [1.0, 2.0]}),
        ([{"K": 1.0, "replica": 0}], [{"K": 1.0, "replica": 0}, {"K": 2.0, "replica": 3}]),
    ],
)
def test_a_table_grows_at_its_end_and_what_is_done_stays(tmp_path, first, more):
    """By replicas, by rows; to the bits of the whole table, made at once. Not by a parameter that is not the first."""
    ran = Runs()

    def f(K, replica, key):
        ran.add((K, replica))
        return jax.random.normal(key)

    sweep(f, first, tmp_path / "s", key=KEY)
    once = len(ran.of)
    grown = sweep(f, more, tmp_path / "s", key=KEY)
    assert len(ran.of) == grown["value"].size > once
    xr.testing.assert_equal(grown["value"], sweep(f, more, tmp_path / "whole", key=KEY)["value"])
    xr.testing.assert_equal(open_sweep(tmp_path / "s")["value"], grown["value"])
    wider = [*reversed(more)] if isinstance(more, list) else more | {"K": [1.0, 2.0, 3.0]}
    for table in (first, wider):
        with pytest.raises(ValueError, match=r"over another table: the values of .* \(a table grows at its end alone"):
            sweep(f, table, tmp_path / "s", key=KEY)


def test_it_says_what_has_changed(tmp_path, monkeypatch):
    sweep(sweeping.scaled, TABLE, tmp_path / "s")
    with pytest.raises(
        ValueError, match=r"over another table: the values of K are others \(.*\); choose another folder"
    ):
        sweep(sweeping.scaled, TABLE | {"K": [1.0]}, tmp_path / "s")
    with pytest.raises(ValueError, match="another function: its code has changed"):
        sweep(lambda K, beta: K, TABLE, tmp_path / "s")
    monkeypatch.setattr(sweeping, "SCALE", 3.0)
    with pytest.raises(ValueError, match="another function: SCALE has changed"):
        sweep(sweeping.scaled, TABLE, tmp_path / "s")
    monkeypatch.undo()
    about = json.loads((tmp_path / "s" / "sweep.json").read_text())
    (tmp_path / "s" / "sweep.json").write_text(json.dumps(about | {"format": 9}))
    with pytest.raises(ValueError, match="in format 9, of another version of mckean"):
        open_sweep(tmp_path / "s")


def test_layout_and_words_are_no_change(tmp_path):
    plain = "def f(x):\n    return x + 1\n"
    texts = plain, 'def f(x):\n    """More."""\n    # why\n    return (x\n        + 1)\n', plain.replace("1", "2")
    made = []
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.py").write_text(text)
        made.append(_function.parts(_function.load(f"{tmp_path / str(number)}.py:f", tmp_path)))
    assert made[0] == made[1]
    assert _function.difference(made[0], made[2]) == "its code"


def test_a_script_without_a_guard_and_its_shell_command(tmp_path, capsys, monkeypatch):
    """`mckean sweep` runs the file up to its call, and goes on from what is there."""
    script = tmp_path / "study.py"
    script.write_text(
        "import mckean as mk\ndef f(K):\n    return {'square': K**2}\n"
        f"mk.sweep(f, {{'K': [1.0, 2.0]}}, '{tmp_path / 's'}')\nraise RuntimeError('it went on')\n"
    )
    function = _function.load(f"{script}:f", tmp_path / "s")
    sweep(function, {"K": [1.0, 2.0]}, tmp_path / "s")
    monkeypatch.setattr("mckean.cli.sweep.configure", lambda cache: None)
    assert cli.main(["sweep", f"{script}:f", str(tmp_path / "s")]) == 0
    assert "2 of 2 cells are done" in capsys.readouterr().out
    assert cli.main(["sweep", f"{script}:g", str(tmp_path / "s")]) == 2
    assert "sweeps another function than g" in capsys.readouterr().err


def test_slurm_is_asked_by_submitit(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(ValueError, match=r"pip install 'mckean\[slurm\]'"):
        mk.sweeps.submit(sweeping.scaled, TABLE, tmp_path / "s", jobs=2)


def test_gpus_are_dealt_out():
    before = {"CUDA_VISIBLE_DEVICES": "4,6"}
    assert [environment(before, place, 2)["CUDA_VISIBLE_DEVICES"] for place in range(3)] == ["4", "6", "4"]
    assert "CUDA_VISIBLE_DEVICES" not in environment({}, 1, 0)
