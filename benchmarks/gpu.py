"""The table of an accelerator: the plain-JAX paths at the sizes for which one is taken, in one run.

Particle-steps of noisy Kuramoto in place; all pairs under a Gaussian, against the rate of multiply–adds of the same
device, measured here; a step of the stochastic Fokker–Planck equation; a layer of tokens, against the rate of its
matrix products. `--small` has sizes for a CPU, which show that the script runs and no more.
"""

import argparse
import json
import statistics

from benchmarks._turns import in_turns

# Of each case at full and small size.
SIZES = {"kuramoto": (10**9, 10**6), "pairs": (10**6, 4096), "spde": (1024, 64), "tokens": (65_536, 1024)}
CHAIN = 256


def kuramoto(jax, mk, n: int, rounds: int) -> dict:
    """The cloud is made where it stays, and each round goes on with it."""
    circle, steps = mk.Torus(1), 10
    model = mk.langevin(circle, interaction=mk.kernels.Cosine(2.0))
    # In one program, so that the peak of memory is that of the run.
    start = jax.jit(lambda key: jax.random.uniform(key, (n, 1), "float32", maxval=6.28))
    held = [mk.Particles(circle, start(jax.random.key(1)))]
    settings = {"until": steps * 0.01, "dt": 0.01, "path": mk.Brownian(jax.random.key(0)), "scheme": mk.InPlace()}

    def run():
        held[0] = jax.block_until_ready(mk.evolve(model, held[0], **settings).final)

    seconds = statistics.median(in_turns({"run": run}, rounds)["run"])
    peak = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    states = {} if peak is None else {"peak memory / state": peak / (4 * n)}
    return {"case": "kuramoto", "n": n, "particle-steps / s": n * steps / seconds, **states}


def pairs(jax, mk, n: int, rounds: int) -> dict:
    import jax.numpy as jnp

    from mckean.interactions.sums.direct import _of_a_pair

    space, kernel = mk.Euclidean(3), mk.kernels.Gaussian(1.0, 0.5)
    x = jax.random.normal(jax.random.key(1), (n, 3), "float32")
    placed = mk.interactions.place(kernel, space, sum=mk.interactions.Direct())
    force = jax.jit(lambda x: mk.interactions.force(placed, mk.Particles(space, x), x))

    @jax.jit
    def rate(y):
        # Unrolled, or an accelerator would read and write y each time.
        for _ in range(CHAIN):
            y = y * jnp.float32(0.999) + jnp.float32(1e-3)
        return y

    y = jnp.ones(1 << 22, "float32")
    runners = {"force": lambda: force(x).block_until_ready(), "rate": lambda: rate(y).block_until_ready()}
    taken = {name: statistics.median(t) for name, t in in_turns(runners, rounds).items()}
    # Beside those of the pair function: the difference, and weight times value added to the sum, in each component.
    operations = n**2 * (_of_a_pair(kernel, 3, jnp.float32) + 9) / taken["force"]
    device = 2 * CHAIN * y.size / taken["rate"]
    return {"case": "pairs", "n": n, "pairs / s": n**2 / taken["force"], "share of multiply–adds": operations / device}


def spde(jax, mk, n: int, rounds: int) -> dict:
    import jax.numpy as jnp

    torus, steps = mk.Torus(2), 100
    noise = mk.TransportNoise.shell(torus, 8.0, intensity=0.5)
    model = mk.langevin(torus, interaction=mk.kernels.Cosine(4.0), common=noise)
    rho = mk.Density.from_function(torus.grid(n), lambda x: 1 + 0.5 * jnp.cos(x[0]) * jnp.sin(x[1]))
    rho = jax.tree.map(lambda a: a.astype("float32"), rho)
    settings = {"until": steps * 1e-4, "dt": 1e-4, "path": mk.Brownian(jax.random.key(0))}
    run = lambda: jax.block_until_ready(mk.evolve(model, rho, **settings).final.values)  # noqa: E731
    seconds = statistics.median(in_turns({"run": run}, rounds)["run"])
    return {"case": "spde", "grid": n, "step / ms": 1e3 * seconds / steps}


def tokens(jax, mk, n: int, rounds: int) -> dict:
    d, layers = 1024 if n > 4096 else 64, 4
    model = mk.catalogue.random_transformer(d, 1.0, 1, spread=1.0).model
    cloud = mk.Particles(model.space, model.space.uniform(jax.random.key(0), n).astype("float32"))
    settings = {"until": layers * 0.01, "dt": 0.01, "path": mk.Brownian(jax.random.key(1)), "scheme": mk.Layers()}
    side = 8192 if n > 4096 else 2048
    a = jax.random.normal(jax.random.key(2), (side, side), "float32")
    product = jax.jit(lambda a: jax.numpy.matmul(a, a, precision="highest"))
    runners = {
        "layer": lambda: jax.block_until_ready(mk.evolve(model, cloud, **settings).final.positions),
        "product": lambda: product(a).block_until_ready(),
    }
    taken = {name: statistics.median(t) for name, t in in_turns(runners, rounds).items()}
    seconds = taken["layer"] / layers
    share = (4 * n * n * d + 6 * n * d * d) / seconds / (2 * side**3 / taken["product"])
    return {"case": "tokens", "n": n, "d": d, "layer / ms": 1e3 * seconds, "share of products": share}


def main(arguments: list[str]) -> None:
    """Measure, and print a line a case."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks gpu")
    parser.add_argument("--small", action="store_true", help="sizes for a CPU")
    parser.add_argument("--only", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="FILE", help="write the rows there as well")
    options = parser.parse_args(arguments)
    import jax

    import mckean as mk

    rows = [{"case": "device", "name": jax.devices()[0].device_kind, "jax": jax.__version__}]
    print(f"{rows[0]['name']}, jax {jax.__version__}")
    for name in options.only:
        row = globals()[name](jax, mk, SIZES[name][options.small], options.rounds)
        rows.append(row)
        print(", ".join(f"{k}: {v:.3g}" if isinstance(v, float) else f"{k}: {v}" for k, v in row.items()), flush=True)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(rows, file, indent=1)
