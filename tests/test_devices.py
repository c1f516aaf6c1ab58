"""Runs on several devices are the run on one, to the bit, and nothing as large as the cloud travels."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import on_hosts as study
import pytest

import mckean as mk
from mckean import cli

HERE = pathlib.Path(__file__).parent
EPS = np.finfo(float).eps
# Of each step: one sum of what the field depends on. The moments are about the middle of the cloud, whose two corners
# are found first. Sources and weights of all pairs go round in a ring.
COLLECTIVES = {
    "few modes": ["all-reduce"],
    "weights": ["all-reduce"],
    "many modes": ["all-reduce"],
    "transform": ["all-reduce"],
    "moments": ["all-reduce"] * 3,
    "all pairs": ["collective-permute"] * 2,
    "environment": ["all-reduce"],
}
# Of a step of a density: two exchanges for each of its transforms, 4 stages of 3 + d (the density, its modes, the d
# parts of the force, the flux) and 2 around them; of an environment d more for its velocity, and two exchanges for each
# shift along the first axis. One sum for the modes of each stage and one for the mass; a row that tells how far lines
# shift.
EXCHANGES = {
    "waves along the axes": (2 * (4 * 5 + 2 + 2) + 4, 6),
    "waves": (2 * (4 * 5 + 2 + 2), 5),
    "in space": (2 * (4 * 6 + 2), 5),
}


@pytest.fixture(scope="module")
def found():
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    environment = {**os.environ, "XLA_FLAGS": flags}
    program = [sys.executable, HERE / "on_devices.py"]
    done = subprocess.run(program, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", COLLECTIVES)
def test_a_step_is_the_same_to_the_bit_and_gathers_nothing(found, name):
    case = found["cases"][name]
    assert case["equal"]
    assert case["collectives"] == COLLECTIVES[name]
    # Against the sum on one device, in another order: three steps, each of which adds a rounding or two to positions of
    # size 2π; the transform has a tolerance of its own, which both meet.
    assert case["off"] <= 16 * np.pi * (np.finfo(np.float32).eps if name == "few modes" else EPS)


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_step_of_a_density_is_the_same_to_the_bit_and_gathers_nothing(found, name):
    case, (exchanges, sums) = found["cases"][name], EXCHANGES[name]
    assert case["equal"]
    assert case["collectives"] == ["all-reduce"] * sums + ["all-to-all"] * exchanges
    # Three steps, in each of which the density passes two transforms of at most 2¹² nodes, with ε log₂ n each; what
    # comes from the rates is dt times as large.
    assert case["off"] <= 3 * 2 * 12 * (np.finfo(np.float32).eps if name == "waves" else EPS)


def test_a_run_of_a_density_and_its_energies_are_the_same_to_the_bit(found):
    """On 2, 4 and 8 devices: free energy, dissipation, a mode and the values; and one that goes on from a folder."""
    assert found["densities"] == [True] * 4


def test_the_transforms_of_jax_gather(found):
    """Else our own would not be needed."""
    assert "all-gather" in found["gathered"]


def test_a_run_and_its_records_are_the_same_to_the_bit(found):
    """On 2, 4 and 8 devices, and one that goes on from a folder on another number of them."""
    assert found["runs"] == [True] * 4


def test_replicas_are_on_all_devices_and_the_same(found):
    devices, off = found["replicas"]
    assert devices == 8
    # Two steps of positions of size 2π, rounded as one batch or as many.
    assert off <= 4 * 2 * np.pi * EPS


def test_the_order_of_a_sum_is_not_left_to_jax(found):
    """Else the same bits would tell nothing: where JAX adds up, they depend on the number of devices."""
    assert not found["order of JAX"]


CLOUD = mk.Particles(mk.Torus(2), np.zeros((6, 2)) + 1)
FLAT = mk.Density.from_function(mk.Torus(2).grid(8), lambda x: 1.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mk.shard(CLOUD, 0), r"there must be a device at least, but 0 were asked for\."),
        (lambda: mk.shard(CLOUD, 2), r"there are 1 devices, but 2 were asked for; on a CPU XLA_FLAGS=--xla_force"),
        (lambda: mk.shard(CLOUD, ["cpu"]), r"devices are a number, or some of jax\.devices\(\), not \['cpu'\]\."),
        (lambda: mk.shard(mk.Gaussian(0.0, 1.0)), r"but a Gaussian is held by one: run it as it is\."),
        (
            lambda: mk.shard(mk.Density.from_function(mk.Torus(1).grid(8), lambda x: 1.0)),
            r"by slabs of a torus of dimension 2 or more, but this one is on a FourierGrid in dimension 1: run it as",
        ),
        (
            lambda: mk.shard(mk.Density.from_function(mk.Torus(2).grid((8, 6)), lambda x: 1.0), 1),
            r"a grid of shape \(8, 6\) cannot be spread over 1 devices in equal slabs: take first two sides that are",
        ),
        (
            lambda: mk.evolve(mk.langevin(mk.Torus(2)), mk.shard(FLAT, 1), until=0.1, dt=0.1, scheme=mk.FiniteVolume()),
            r"the scheme FiniteVolume moves a density on one device, but this density is spread over 1 by shard: run",
        ),
        (lambda: mk.measures.distance(FLAT, mk.shard(FLAT, 1)), r"two measures are compared on the same devices:"),
        (lambda: jax.jit(mk.shard)(CLOUD), r"a measure is put on devices before a transformation of JAX"),
        (
            lambda: mk.interactions.HegselmannKrause(1.0)(CLOUD.positions, mk.shard(CLOUD, 1)),
            r"HegselmannKrause averages on one device, but these particles are spread over 1 by shard",
        ),
        (
            lambda: mk.interactions.Attention(1.0)(CLOUD.positions, mk.shard(CLOUD, 1)),
            r"attention acts on one device, but these particles",
        ),
        (
            lambda: mk.interactions.force(
                mk.interactions.place(lambda z: z @ z, mk.Euclidean(2), sum=mk.interactions.FMM(1e-6)),
                mk.shard(mk.Particles(mk.Euclidean(2), CLOUD.positions), 1),
                CLOUD.positions,
            ),
            r"the sum FMM serves particles on one device, but these are spread over several\.",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_measure_is_the_same():
    weights = jnp.full(6, 1 / 6)
    cloud = mk.Particles(mk.Sphere(2), np.repeat([[0.6, 0.8]], 6, axis=0), weights)
    placed = mk.shard(cloud, jax.devices()[:1])
    np.testing.assert_array_equal(placed.positions, cloud.positions)
    np.testing.assert_array_equal(placed.weights, cloud.weights)
    assert placed.mesh.size == 1
    assert cloud.mesh is None


def made_by_two(task: str, folder: pathlib.Path) -> int:
    return cli.main(["run", f"{HERE / 'on_hosts.py'}:{task}", "--store", str(folder), "--processes", "2"])


def bits(tree) -> list:
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)]


def test_two_processes_keep_the_run_of_one_to_the_bit(capfd, tmp_path):
    """Each of them with a device of its own; the state, a number and the positions. One process goes on with it."""
    assert made_by_two("short", tmp_path / "run") == 0
    assert "holds the run until 0.2, with 3 records" in capfd.readouterr().out
    given = study.short()
    alone = mk.evolve(**given)
    there = mk.load(tmp_path / "run")
    assert bits((there.final, there.observed)) == bits((alone.final, alone.observed))
    later = mk.evolve(**given | {"until": 0.4}, store=tmp_path / "run")
    assert bits(later.final) == bits(mk.evolve(**given | {"until": 0.4}).final)


@pytest.mark.parametrize("victim", [0, 1])
def test_where_one_process_is_killed_the_others_end_with_a_sentence(capfd, tmp_path, monkeypatch, victim):
    """Also the first, which all others ask for each other. None is left, and the run would have taken hours.

    What is kept is the run of one process: so it goes on from there.
    """
    folder, names = tmp_path / "run", tmp_path / "names"
    names.mkdir()
    monkeypatch.setenv("MCKEAN_TEST_FOLDER", str(names))

    def kill():
        while len(list(folder.glob("checkpoints/*.npz"))) < 2:
            time.sleep(0.05)
        os.kill(int((names / str(victim)).read_text()), signal.SIGKILL)

    hand = threading.Thread(target=kill)
    hand.start()
    assert made_by_two("endless", folder) == 2
    hand.join()
    monkeypatch.delenv("MCKEAN_TEST_FOLDER")
    said = capfd.readouterr().err
    assert f"process {victim + 1} of 2 was stopped by SIGKILL, and the others were ended: the same command goes" in said
    for one in names.iterdir():
        with pytest.raises(ProcessLookupError):
            os.kill(int(one.read_text()), 0)
    given = study.endless()
    state, done = mk.store.RunFolder(folder).last(given["measure"])
    assert done > 1
    assert bits(state) == bits(mk.evolve(**given | {"until": done * 0.01, "every": done}).final)


def test_processes_that_would_each_make_the_run_are_refused(capfd, tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr("mckean.cli.run.configure", lambda cache: None)
    assert cli.main(["run", f"{HERE / 'on_hosts.py'}:unspread", "--store", str(tmp_path / "run")]) == 2
    assert "the measure of 'unspread' is not spread over processes: begin with mckean.shard" in capfd.readouterr().err
    assert not (tmp_path / "run").exists()
    assert cli.main(["run", f"{HERE / 'on_hosts.py'}:short", "--processes", "0"]) == 2
    assert "there must be a process at least, but 0 were asked for." in capfd.readouterr().err
