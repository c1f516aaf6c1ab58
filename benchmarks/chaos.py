"""Rates of chaos: a ladder as one program against a loop over single runs, and the share of a large study.

Run by `python -m benchmarks chaos`; times are of all cores' CPU as well as of the clock.
"""

import argparse
import functools
import time

from benchmarks._turns import in_turns, ratio, setup

_SIZES, _REPLICAS, _UNTIL, _DT = (32, 64, 128, 256), 64, 1.0, 0.02


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks chaos")
    parser.add_argument("--replicas", type=int, default=16, help="of the 64 replicas of the large study")
    options = parser.parse_args(arguments)
    jax, mk = setup()
    import equinox as eqx

    from mckean.measures import Uniform
    from mckean.statistics import ladder, samples

    model, law = mk.catalogue.kuramoto(1.0).model, Uniform(mk.Torus(1))
    one = eqx.Partial(_square, model=model, law=law, mode=mk.observables.mode(1), until=_UNTIL, dt=_DT)
    key = jax.random.key(0)

    def loop() -> None:
        for n in _SIZES:
            for k in jax.random.split(jax.random.fold_in(key, n), _REPLICAS):
                one(n, k).block_until_ready()

    alone = {n: jax.jit(functools.partial(one, n)) for n in _SIZES}

    def compiled() -> None:
        for n in _SIZES:
            for k in jax.random.split(jax.random.fold_in(key, n), _REPLICAS):
                alone[n](k).block_until_ready()

    runners = {"ladder": lambda: samples(one, _SIZES, key, _REPLICAS), "loop": loop, "loop of compiled runs": compiled}
    taken = in_turns(runners, 5)
    print(f"N = {_SIZES}, {_REPLICAS} replicas, {round(_UNTIL / _DT)} steps, seconds at least:")
    print({name: round(min(seconds), 4) for name, seconds in taken.items()})
    for name in ("loop", "loop of compiled runs"):
        print(f"{name} / ladder, median of turns: {ratio(taken, name, 'ladder'):.1f}")

    sizes = ladder(100, 100_000)
    large = eqx.Partial(_square, model=model, law=law, mode=mk.observables.mode(1), until=5.0, dt=_DT)
    study = functools.partial(samples, large, sizes, key, options.replicas)
    for what in ("compiled and run", "run"):
        clock, cpu = time.perf_counter(), time.process_time()
        study()
        clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
        print(f"N = {sizes} to T = 5, {options.replicas} replicas, {what}: {clock:.1f} s, {cpu:.1f} s of CPU")
    print(f"64 replicas, in proportion: {clock * 64 / options.replicas:.0f} s")


def _square(n, key, *, model, law, mode, until, dt):
    """|∫e^{ix}dμ^N|² at the end."""
    import jax
    import jax.numpy as jnp

    import mckean as mk

    start, noise = jax.random.split(key)
    final = mk.evolve(model, law.sample(start, n), until=until, dt=dt, path=mk.Brownian(noise)).final
    return jnp.abs(mode(model, final)) ** 2
