"""Runs for several processes, over all their devices: `mckean run on_hosts.py:short --processes 2`."""

import os
from pathlib import Path

import jax

import mckean as mk


def study(steps: int) -> dict:
    """A run with records, also of the positions; each process writes its number in the system."""
    if "MCKEAN_TEST_FOLDER" in os.environ:
        (Path(os.environ["MCKEAN_TEST_FOLDER"]) / str(jax.process_index())).write_text(str(os.getpid()))
    circle = mk.Torus(1)
    cloud = mk.Particles(circle, jax.random.uniform(jax.random.key(1), (640, 1)) * 6)
    return {
        "model": mk.langevin(circle, interaction=mk.kernels.Cosine(2.0)), "measure": mk.shard(cloud), "dt": 0.01,
        "until": steps * 0.01, "path": mk.Brownian(jax.random.key(0)), "every": steps // 2,
        "observe": {"r": mk.observables.order_parameter(1), "x": positions},
    }  # fmt: skip


def positions(model, measure):
    return measure.positions


def short():
    return study(20)


def endless():
    return study(10**9)


def unspread():
    made = short()
    return made | {"measure": mk.Particles(mk.Torus(1), jax.random.uniform(jax.random.key(1), (640, 1)) * 6)}
