"""What it costs to keep a run in a folder, and what a run survives: `python -m benchmarks store [--kills 200]`."""

import argparse
import json
import multiprocessing
import pathlib
import random
import signal
import sys
import tempfile
import time
from typing import Any


def small(until: float) -> dict:
    """A small run, with a real observable and a complex one."""
    import jax
    import jax.numpy as jnp

    import mckean as mk

    circle = mk.Torus(1)
    return {
        "model": mk.langevin(circle, interaction=mk.kernels.Cosine(strength=2.0), beta=2.0), "until": until,
        "measure": mk.Particles(circle, (jnp.arange(50.0)[:, None] * 1.1) % 6.28), "dt": 0.01, "every": 5,
        "path": mk.Brownian(jax.random.key(3)),
        "observe": {"r": mk.observables.order_parameter(1), "z": mk.observables.mode(2)},
    }  # fmt: skip


def life(place: str, until: float, said: Any) -> None:
    """The run in a folder, from what is there on, in short chunks each of which is written; a word at each writing."""
    import jax

    import mckean as mk
    from mckean import cache
    from mckean.dynamics import loop, stored

    jax.config.update("jax_enable_x64", True)
    cache.enable()
    loop._CHUNKS, stored._SHARE = 1 << 30, float("inf")
    begin, keep = stored.RunBook.begin, stored.RunBook.keep
    stored.RunBook.begin = lambda *book: (said.send(0), begin(*book))[1]
    stored.RunBook.keep = lambda *book, last: (said.send(1), keep(*book, last=last))[1]
    mk.evolve(**small(until), store=place)


def costs(particles: int, records: int) -> dict:
    """Seconds of a run with 100 records, in memory and in a folder, in turns; and of a state of 1 MB."""
    import jax
    import numpy as np

    import mckean as mk
    from mckean.store._files import members, write_arrays

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
            write_arrays(pathlib.Path(folder, f"{turn}.npz"), members(state))
            times.append(time.perf_counter() - begun)
    memory, disk = (min(column) for column in zip(*pairs, strict=True))
    return {
        "particles": particles, "records": records, "in memory, s": memory, "in a folder, s": disk,
        "share": disk / memory - 1, "a state of 1 MB, ms": 1e3 * sorted(times)[10],
    }  # fmt: skip


def kills(number: int, until: float) -> dict:
    """Runs are killed at random moments, each several times, as they write without a pause, until they have ended.

    After each kill the folder must be readable, with no fewer records than before and the bits of the whole run; at the
    end all runs must have its last bits. Processes are forked from one that has the library: they only load programs.
    """
    import jax
    import numpy as np

    import mckean as mk

    jax.config.update("jax_enable_x64", True)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mckean", "mckean.observables", "zarr", "xarray", "benchmarks.store"])
    whole = mk.evolve(**small(until))
    killed, during, ended, reached, most = 0, 0, [], 0, _WRITINGS
    with tempfile.TemporaryDirectory() as folder:
        while killed < number or reached:
            place = f"{folder}/run{len(ended)}"
            # Once there are enough of them, the last run is let go on to its end.
            moment = random.randrange(most) if killed < number else None
            status = _one_life(context, place, until, moment)
            killed += status == -signal.SIGKILL
            during += bool(list(pathlib.Path(folder).rglob("*.part*")))
            print(f"{killed} kills, {len(ended)} runs ended", file=sys.stderr, flush=True)
            if not pathlib.Path(place).exists():
                assert status != 0
                continue
            there = mk.load(place)
            assert len(there.times) >= reached, "records are lost"
            reached = len(there.times)
            _require_beginning(np, jax, there, whole)
            if status == 0:
                ended, reached = [*ended, place], 0
        last = {mk.store.digest((run.final, run.times, run.observed)) for run in map(mk.load, ended)}
        assert last == {mk.store.digest((whole.final, whole.times, whole.observed))}
    return {"kills": killed, "in the midst of a file": during, "runs that ended, equal to the bit": len(ended),
            "unreadable": 0, "lost": 0}  # fmt: skip


# Of the writings of one life: a run of 150 of them is killed some ten times.
_WRITINGS = 30


def _one_life(context: Any, place: str, until: float, moment: int | None) -> int:
    """The exit status of a process that is killed in its writing of this number, or a little later."""
    hear, say = context.Pipe(duplex=False)
    process = context.Process(target=life, args=(place, until, say))
    process.start()
    say.close()
    try:
        for _ in range(1 << 30 if moment is None else moment + 1):
            hear.recv()
        time.sleep(random.uniform(0.0, 0.03))
        process.kill()
    except EOFError:
        pass
    process.join()
    return process.exitcode


def _require_beginning(np: Any, jax: Any, there: Any, whole: Any) -> None:
    pairs = zip(jax.tree.leaves(there.observed), jax.tree.leaves(whole.observed), strict=True)
    assert all(np.asarray(a).tobytes() == np.asarray(b)[: len(there.times)].tobytes() for a, b in pairs)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks store")
    parser.add_argument("--particles", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--until", type=float, default=12.0)
    parser.add_argument("--json")
    options = parser.parse_args(arguments)
    found = kills(options.kills, options.until) if options.kills else costs(options.particles, 100)
    print(json.dumps(found, indent=1))
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(found))
