"""What it costs to keep a run in a folder, and what a run survives: `python -m benchmarks store [--kills 200]`."""

import argparse
import json
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

RUN = """
import sys, jax, jax.numpy as jnp, mckean as mk
jax.config.update("jax_enable_x64", True)
from mckean.dynamics import stored
stored._SHARE = float("inf")
circle = mk.Torus(1)
model = mk.langevin(circle, interaction=mk.kernels.Cosine(strength=2.0), beta=2.0)
start = mk.Particles(circle, (jnp.arange(50.0)[:, None] * 1.1) % 6.28)
print("begins", flush=True)
mk.evolve(model, start, until={until}, dt=0.01, every=5, path=mk.Brownian(jax.random.key(3)), store=sys.argv[1],
          observe={{"r": mk.observables.order_parameter(1), "z": mk.observables.mode(2)}})
"""


def costs(particles: int, records: int) -> dict:
    """Seconds of a run with 100 records, in memory and in a folder, in turns; and of a state of 1 MB."""
    import jax
    import numpy as np

    import mckean as mk
    from mckean.store._files import pack, write_atomically

    jax.config.update("jax_enable_x64", True)
    circle = mk.Torus(1)
    model = mk.langevin(circle, interaction=mk.kernels.Cosine(strength=2.0), beta=2.0)
    cloud = mk.Uniform(circle).sample(jax.random.key(1), particles)
    path, observe = mk.Brownian(jax.random.key(0)), {"r": mk.observables.order_parameter(1)}

    def run(store):
        begun = time.perf_counter()
        mk.evolve(model, cloud, until=5.0, dt=0.01, path=path, observe=observe, every=500 // records, store=store)
        return time.perf_counter() - begun

    with tempfile.TemporaryDirectory() as folder:
        run(None), run(f"{folder}/first")
        pairs = [(run(None), run(f"{folder}/{turn}")) for turn in range(3)]
        state, times = [np.random.default_rng(0).normal(size=1 << 17)], []
        for turn in range(20):
            begun = time.perf_counter()
            write_atomically(pathlib.Path(folder, f"{turn}.npz"), pack(state))
            times.append(time.perf_counter() - begun)
    memory, disk = (min(column) for column in zip(*pairs, strict=True))
    return {
        "particles": particles, "records": records, "in memory, s": memory, "in a folder, s": disk,
        "share": disk / memory - 1, "a state of 1 MB, ms": 1e3 * sorted(times)[10],
    }  # fmt: skip


def kills(number: int, until: float) -> dict:
    """A run is killed at random times, as it writes without a pause, until it has ended, and then another one."""
    import jax

    import mckean as mk

    jax.config.update("jax_enable_x64", True)
    code, killed, ended, reached = RUN.format(until=until), 0, 0, []
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-c", code, f"{folder}/whole"], check=True, stdout=subprocess.DEVNULL)
        expected, place = mk.store.digest(mk.load(f"{folder}/whole")), f"{folder}/run0"
        while killed < number:
            with subprocess.Popen([sys.executable, "-c", code, place], stdout=subprocess.PIPE) as process:
                process.stdout.readline()
                time.sleep(random.uniform(0.1, 1.6))
                process.send_signal(signal.SIGKILL)
                status = process.wait()
            killed += status == -signal.SIGKILL
            print(f"{killed} kills, {ended} runs ended", file=sys.stderr, flush=True)
            if pathlib.Path(place).exists():
                there = mk.load(place)
                reached.append(len(there.times))
                if status == 0:
                    assert mk.store.digest(there) == expected
                    ended, place = ended + 1, f"{folder}/run{killed}"
        # The last one, which was killed, is let go on.
        subprocess.run([sys.executable, "-c", code, place], check=True, stdout=subprocess.DEVNULL)
        assert mk.store.digest(mk.load(place)) == expected
        ended += 1
    return {"kills": killed, "runs that ended, equal to the bit": ended, "unreadable": 0, "reached": max(reached)}


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks store")
    parser.add_argument("--particles", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--until", type=float, default=5.0)
    parser.add_argument("--json")
    options = parser.parse_args(arguments)
    found = kills(options.kills, options.until) if options.kills else costs(options.particles, 100)
    print(json.dumps(found, indent=1))
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(found))
