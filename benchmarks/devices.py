"""What it costs to spread particles over devices: overhead on one processor, and weak efficiency, in one run.

Devices are made of the processor's cores (`--xla_force_host_platform_device_count`), all of which one device uses too.
Overhead: the time of a run on P of them over that of the same run without `shard`. Weak efficiency: the particle-steps
a second of PN particles on P devices, over those of N on one. As the cores are the same, 1 is best for both.
"""

import argparse
import json
import os
import statistics

DT = 0.01


def _models(jax, mk):
    circle, torus, plane = mk.Torus(1), mk.Torus(2), mk.Euclidean(2)
    wave = lambda z: jax.numpy.exp(jax.numpy.cos(z[0]) + jax.numpy.cos(z[1]))  # noqa: E731
    smooth = mk.interactions.place(wave, torus, sum=mk.interactions.NUFFT(1e-5))
    pairs = mk.interactions.place(mk.kernels.Gaussian(1.0, 0.4), plane, sum=mk.interactions.Direct())
    return {
        "few modes": (circle, mk.langevin(circle, interaction=mk.kernels.Cosine(2.0)), 1),
        "transform": (torus, mk.langevin(torus, interaction=smooth), 10),
        "all pairs": (plane, mk.langevin(plane, interaction=pairs), 160),
    }


def _runner(jax, mk, model, space, n: int, devices: int, steps: int):
    cloud = mk.Particles(space, jax.random.normal(jax.random.key(1), (n, space.dim), "float32"))
    cloud = mk.shard(cloud, devices) if devices else cloud
    settings = {"until": steps * DT, "dt": DT, "path": mk.Brownian(jax.random.key(0))}
    return lambda: jax.block_until_ready(mk.evolve(model, cloud, **settings).final.positions)


def main(arguments: list[str]) -> None:
    """Measure, and print a line a case."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks devices")
    parser.add_argument("--particles", type=int, default=640_000)
    parser.add_argument("--devices", type=int, nargs="+", default=[1, 2, 8])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="FILE", help="write the rows there as well")
    options = parser.parse_args(arguments)
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={max(options.devices)}"
    import jax

    import mckean as mk
    from benchmarks._turns import in_turns, ratio

    rows, cores = [], min(len(os.sched_getaffinity(0)), max(options.devices))
    for name, (space, model, fewer) in _models(jax, mk).items():
        n, steps = options.particles // fewer, 20
        runners = {p: _runner(jax, mk, model, space, n, p, steps) for p in (0, *options.devices)}
        taken = in_turns(runners, options.rounds)
        row = {"case": name, "n": n, "step / ms": 1e3 * statistics.median(taken[0]) / steps}
        row |= {f"overhead on {p}": ratio(taken, p, 0) for p in options.devices}
        if name != "all pairs":
            weak = in_turns({p: _runner(jax, mk, model, space, p * n, p, steps) for p in (1, cores)}, options.rounds)
            row[f"weak efficiency on {cores}"] = cores * ratio(weak, 1, cores)
        rows.append(row)
        print(", ".join(f"{k}: {v:.3g}" if isinstance(v, float) else f"{k}: {v}" for k, v in row.items()), flush=True)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(rows, file, indent=1)
