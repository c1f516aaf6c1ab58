"""What it costs to spread particles, or slabs of a density, over devices: overhead on one processor, weak efficiency.

Devices are made of the processor's cores (`--xla_force_host_platform_device_count`), all of which one device uses too.
Overhead: the time of a run on P of them over that of the same run without `shard`. Weak efficiency: the particle-steps
a second of PN particles on P devices, over those of N on one; of a density, nodes. As the cores are the same, 1 is best
for both.
"""

import argparse
import json
import os
import statistics

DT = 0.01


def _cases(jax, mk, particles: int) -> dict:
    """For each case the model, a measure of n particles or nodes, and n."""
    circle, torus, plane = mk.Torus(1), mk.Torus(2), mk.Euclidean(2)
    wave = lambda z: jax.numpy.exp(jax.numpy.cos(z[0]) + jax.numpy.cos(z[1]))  # noqa: E731
    smooth = mk.interactions.place(wave, torus, sum=mk.interactions.NUFFT(1e-5))
    pairs = mk.interactions.place(mk.kernels.Gaussian(1.0, 0.4), plane, sum=mk.interactions.Direct())
    cosine, shears = mk.kernels.Cosine(2.0), mk.TransportNoise.shears(torus, 0.1)

    def cloud(space):
        key = jax.random.key(1)
        return lambda n: mk.Particles(space, jax.random.normal(key, (n, space.dim), "float32"))

    def density(n):
        made = mk.Density.from_function(torus.grid((n // 256, 256)), lambda x: 1 + 0.5 * jax.numpy.cos(x[0] + x[1]))
        return mk.Density(made.grid, made.values.astype("float32"))

    return {
        "few modes": (mk.langevin(circle, interaction=cosine), cloud(circle), particles),
        "transform": (mk.langevin(torus, interaction=smooth), cloud(torus), particles // 10),
        "all pairs": (mk.langevin(plane, interaction=pairs), cloud(plane), particles // 160),
        "density": (mk.langevin(torus, interaction=cosine), density, 256 * 256),
        "density, environment": (mk.langevin(torus, interaction=cosine, common=shears), density, 256 * 256),
    }


def _runner(jax, mk, model, measure, devices: int, steps: int):
    measure = mk.shard(measure, devices) if devices else measure
    settings = {"until": steps * DT, "dt": DT, "path": mk.Brownian(jax.random.key(0))}
    return lambda: jax.block_until_ready(jax.tree.leaves(mk.evolve(model, measure, **settings).final)[0])


def main(arguments: list[str]) -> None:
    """Measure, and print a line a case."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks devices")
    parser.add_argument("--particles", type=int, default=640_000)
    parser.add_argument("--devices", type=int, nargs="+", default=[1, 2, 8])
    parser.add_argument("--cases", nargs="+", help="the names of some; all by default")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="FILE", help="write the rows there as well")
    options = parser.parse_args(arguments)
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={max(options.devices)}"
    import jax

    import mckean as mk
    from benchmarks._turns import in_turns, ratio

    rows, cores = [], min(len(os.sched_getaffinity(0)), max(options.devices))
    cases, steps = _cases(jax, mk, options.particles), 20
    for name in options.cases or cases:
        model, make, n = cases[name]
        runners = {p: _runner(jax, mk, model, make(n), p, steps) for p in (0, *options.devices)}
        taken = in_turns(runners, options.rounds)
        row = {"case": name, "n": n, "step / ms": 1e3 * statistics.median(taken[0]) / steps}
        row |= {f"overhead on {p}": ratio(taken, p, 0) for p in options.devices}
        if name != "all pairs":
            weak = in_turns({p: _runner(jax, mk, model, make(p * n), p, steps) for p in (1, cores)}, options.rounds)
            row[f"weak efficiency on {cores}"] = cores * ratio(weak, 1, cores)
        rows.append(row)
        print(", ".join(f"{k}: {v:.3g}" if isinstance(v, float) else f"{k}: {v}" for k, v in row.items()), flush=True)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(rows, file, indent=1)
