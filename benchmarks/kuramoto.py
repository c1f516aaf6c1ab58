"""A step of noisy Kuramoto: our step, its Gaussian increments alone, and a plain jax.numpy Euler step, in one run.

The increments are the floor: a particle step cannot cost less than its noise. The plain step is what one writes first.
Peak memory is measured in processes of their own.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

SIZES = (10**5, 10**6, 10**7)
DTYPES = ("float32", "float64")
ROUNDS = 3
DT, STRENGTH, BETA = 0.01, 2.0, 1.0


def _setup():
    import jax

    jax.config.update("jax_enable_x64", True)
    import mckean as mk

    model = mk.langevin(mk.Torus(1), interaction=mk.kernels.Cosine(STRENGTH), beta=BETA)
    return jax, mk, model


def _runners(n: int, dtype: str, steps: int):
    """Functions that run `steps` steps and wait for them."""
    jax, mk, model = _setup()
    import jax.numpy as jnp

    path = mk.Brownian(jax.random.key(0))
    cloud = mk.Particles(mk.Torus(1), jax.random.uniform(jax.random.key(1), (n, 1), dtype) * 6.28)
    dt = jnp.asarray(DT, dtype)

    def ours():
        return mk.evolve(model, cloud, until=steps * DT, dt=DT, path=path).final.positions

    @jax.jit
    def increments(start):
        add = lambda x, k: (x + path.idiosyncratic.increment(k, dt, (n, 1), dtype), None)  # noqa: E731
        return jax.lax.scan(add, start, jnp.arange(steps))[0]

    @jax.jit
    def plain(start, key):
        def step(x, k):
            c, s = jnp.mean(jnp.cos(x)), jnp.mean(jnp.sin(x))
            noise = jax.random.normal(jax.random.fold_in(key, k), x.shape, x.dtype)
            x = x + dt * STRENGTH * (s * jnp.cos(x) - c * jnp.sin(x)) + jnp.sqrt(2 * dt / BETA) * noise
            return jnp.mod(x, 2 * jnp.pi), None

        return jax.lax.scan(step, start, jnp.arange(steps))[0]

    return {
        "step": lambda: jax.block_until_ready(ours()),
        "increments": lambda: jax.block_until_ready(increments(cloud.positions)),
        "plain": lambda: jax.block_until_ready(plain(cloud.positions, jax.random.key(2))),
    }


def measure(n: int, dtype: str) -> dict:
    """Milliseconds a step, medians over rounds in which the three take turns."""
    steps = max(40, min(200, 10**8 // n))
    runners = _runners(n, dtype, steps)
    for run in runners.values():
        run()
    taken = {name: [] for name in runners}
    for _ in range(ROUNDS):
        for name, run in runners.items():
            start = time.perf_counter()
            run()
            taken[name].append(1e3 * (time.perf_counter() - start) / steps)
    row = {"n": n, "dtype": dtype, **{name: statistics.median(t) for name, t in taken.items()}}
    over = statistics.median(a / b for a, b in zip(taken["step"], taken["increments"], strict=True))
    under = statistics.median(a / b for a, b in zip(taken["plain"], taken["step"], strict=True))
    return {**row, "step / increments": over, "plain / step": under}


def peak_memory(n: int, dtype: str) -> float:
    """Growth of the peak resident memory from a run of n/10 particles to one of n, over the growth of the state.

    What a run takes at any size (the interpreter, compilation, the allocator's reserve: 60 to 80 MB) drops out.
    """
    peaks = []
    for size in (n // 10, n):
        code = f"from benchmarks.kuramoto import _one_run; _one_run({size}, {dtype!r})"
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        peaks.append(float(out.stdout))
    return 1024 * (peaks[1] - peaks[0]) / ((n - n // 10) * (4 if dtype == "float32" else 8))


def _one_run(n: int, dtype: str) -> None:
    _runners(n, dtype, 40)["step"]()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks kuramoto")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--json", metavar="FILE", help="write the rows there as well")
    options = parser.parse_args(arguments)
    import math

    # First, while this process is small: a child's peak counts from its parent's size.
    largest = max(options.sizes)
    summary = {f"peak memory at N = {largest} over the state, {t}": peak_memory(largest, t) for t in DTYPES}
    rows = []
    print(f"{'N':>9} {'dtype':>8} {'step/ms':>9} {'incr/ms':>9} {'plain/ms':>9} {'step/incr':>10} {'plain/step':>11}")
    for dtype in DTYPES:
        for n in options.sizes:
            row = measure(n, dtype)
            rows.append(row)
            print(
                f"{n:9d} {dtype:>8} {row['step']:9.3f} {row['increments']:9.3f} {row['plain']:9.3f} "
                f"{row['step / increments']:10.2f} {row['plain / step']:11.2f}",
                flush=True,
            )
    for dtype in DTYPES:
        mine = [r for r in rows if r["dtype"] == dtype]
        if len(mine) > 1:
            first, last = mine[0], mine[-1]
            exponent = math.log(last["step"] / first["step"]) / math.log(last["n"] / first["n"])
            summary[f"exponent of the cost in N, {dtype}"] = exponent
    for name, value in summary.items():
        print(f"{name}: {value:.2f}")
    document = json.dumps({"rows": rows, "summary": summary}, indent=1)
    print(document)
    if options.json:
        with open(options.json, "w") as file:
            file.write(document)
