"""Runs that are interrupted at random moments, once or twice in a row, and what is left of them.

Run as a program: the interrupts are signals, as Ctrl-C sends them, from another thread. It prints, for each kind of
run, how many were cut, ended before, were not begun yet, lost their work, and went on to another end.
"""

import json
import os
import signal
import sys
import threading
import time
import traceback
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np

import mckean as mk
import mckean.cache

LINE, DT = mk.Euclidean(1), 2.0**-10
CLOUD = mk.Particles(LINE, jnp.linspace(-1.0, 1.0, 8)[:, None])
PATH = mk.Brownian(jax.random.key(0))
MODEL = mk.langevin(LINE, mk.potentials.Quadratic(), beta=2.0)


def look(model, mu):
    return mu.integrate(lambda x: x[0] ** 2)


def told(model, mu):
    jax.debug.callback(lambda value: None, look(model, mu))
    return look(model, mu)


def asked(x, mu):
    return jax.pure_callback(np.negative, jax.ShapeDtypeStruct(x.shape, x.dtype), x, vmap_method="expand_dims")


OUTSIDE = mk.Model(LINE, drift=asked, noise=mk.Thermal(2.0))
# Model, steps, and what is recorded.
KINDS = {
    "plain": (MODEL, 100_000, {}),
    "with records": (MODEL, 50_000, {"observe": {"look": look}, "every": 10}),
    "a callback in an observable": (MODEL, 2000, {"observe": {"look": told}, "every": 2}),
    "a callback in the drift": (OUTSIDE, 1000, {"observe": {"look": look}, "every": 100}),
}


def press(moments: list[float]) -> None:
    for wait in moments:
        time.sleep(wait)
        os.kill(os.getpid(), signal.SIGINT)


def interrupted(run, moments: list[float]):
    """What a run returned or left, and where it stood if it left nothing."""
    got, where = None, ""
    thread = threading.Thread(target=press, args=(moments,))
    try:
        thread.start()
        got = run()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    except KeyboardInterrupt as error:
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        # A second press may come while the first one is on its way to here.
        chain = [error]
        while chain[-1].__context__ is not None:
            chain.append(chain[-1].__context__)
        left = [e.trajectory for e in chain if isinstance(e, mk.Interrupted)]
        got = left[0] if left else None
        where = " ".join(frame.name for frame in traceback.extract_tb(error.__traceback__))
    thread.join()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return got, where


def same(part: mk.Trajectory, whole: mk.Trajectory, go_on) -> bool:
    """Whether the records are those of the whole run up to there, and the state leads to its end, to the bit."""
    done, end = round(float(part.times[-1]) / DT), round(float(whole.times[-1]) / DT)
    every = round(float(whole.times[1]) / DT)
    records = done // every + 1
    for name, values in part.observed.items():
        if not np.array_equal(np.asarray(values)[:records], np.asarray(whole.observed[name])[:records]):
            return False
    final = part.final if done == end else go_on(part.final, done, {}).final
    return np.array_equal(np.asarray(final.positions), np.asarray(whole.final.positions))


def timed(run) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def judged(model, steps: int, options: dict, number: int, rng) -> dict[str, int]:
    def go_on(measure=CLOUD, first=0, options=options):
        return mk.evolve(model, measure, start=first * DT, until=steps * DT, dt=DT, path=PATH, **options)

    whole, found = go_on(), Counter()
    # The shortest of three, as another process may have slowed one.
    length = min(timed(go_on) for _ in range(3))
    for index in range(number):
        moments = [length * rng.uniform(0, 1), *([rng.uniform(0, 0.05)] if index % 2 else [])]
        part, where = interrupted(go_on, moments)
        if part is None:
            found["lost" if "run_in_chunks" in where else "not begun"] += 1
        elif not same(part, whole, go_on):
            found["another end"] += 1
        else:
            found["ended" if float(part.times[-1]) == float(whole.times[-1]) else "cut"] += 1
    return dict(found)


if __name__ == "__main__":
    mckean.cache.enable()
    rng = np.random.default_rng(int(sys.argv[1]))
    print(json.dumps({name: judged(*of, int(sys.argv[2]), rng) for name, of in KINDS.items()}))
