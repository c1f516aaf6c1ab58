"""Tokens on the sphere, against the arithmetic that a step needs, in one run.

A Möbius step of the toy Transformer against one bare pass of its arithmetic: the mean token, the inner products with
the direction of the noise, the squared lengths (which are to stay 1), and the combination of each token with it. A
layer of random heads against plain matrix products: its rate, counted by the products that it needs (queries, keys,
scores, means, values), over theirs.
"""

import argparse
import json
import resource
import statistics

from benchmarks._turns import in_turns, ratio, setup


def _peak() -> float:
    """The most memory that this process has held so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def toy(n: int, d: int, dtype: str, steps: int, rounds: int) -> dict:
    jax, mk = setup()
    import jax.numpy as jnp

    model = mk.catalogue.toy_transformer(d).model
    x = model.space.uniform(jax.random.key(0), n).astype(dtype)
    tokens = mk.Particles(model.space, x)
    settings = {"until": steps * 0.01, "dt": 0.01, "path": mk.Brownian(jax.random.key(1)), "scheme": mk.Moebius()}

    @jax.jit
    def arithmetic(x, e):
        def step(x, k):
            a = jnp.sqrt(jnp.sum(jnp.mean(x, axis=0) ** 2))
            c = (x @ e) / jnp.sqrt((x * x) @ jnp.ones(d, x.dtype))
            below = 1 / (1.0 + a * c)
            return (a * below)[:, None] * x + (c * below)[:, None] * e, None

        return jax.lax.scan(step, x, jnp.arange(steps))[0]

    runners = {
        "step": lambda: jax.block_until_ready(mk.evolve(model, tokens, **settings).final.positions),
        "arithmetic": lambda: jax.block_until_ready(arithmetic(x, x[0])),
    }
    taken = in_turns(runners, rounds)
    each = {f"{name} / ms": 1e3 * statistics.median(t) / steps for name, t in taken.items()}
    return {"case": "toy", "n": n, "d": d, "dtype": dtype, **each, "ratio": ratio(taken, "step", "arithmetic")}


def layer(n: int, d: int, heads: int, dtype: str, rounds: int) -> dict:
    jax, mk = setup()

    model = mk.catalogue.random_transformer(d, 1.0, heads, spread=1.0).model
    tokens = mk.Particles(model.space, model.space.uniform(jax.random.key(0), n).astype(dtype))
    settings = {"until": 0.01, "dt": 0.01, "path": mk.Brownian(jax.random.key(1)), "scheme": mk.Layers()}
    flops = heads * (2 * 2 * n * n * d + 3 * 2 * n * d * d)
    a, b = jax.random.normal(jax.random.key(2), (2, 2048, 2048), dtype)
    product = jax.jit(lambda a, b: a @ b)
    before = _peak()
    runners = {
        "layer": lambda: jax.block_until_ready(mk.evolve(model, tokens, **settings).final.positions),
        "product": lambda: jax.block_until_ready(product(a, b)),
    }
    taken = in_turns(runners, rounds)
    rates = {
        "layer / GFlop/s": flops / statistics.median(taken["layer"]) / 1e9,
        "product / GFlop/s": 2 * 2048**3 / statistics.median(taken["product"]) / 1e9,
    }
    share = statistics.median(
        flops / t / (2 * 2048**3 / p) for t, p in zip(taken["layer"], taken["product"], strict=True)
    )
    memory = (_peak() - before) * 2**20 / (n * d * a.dtype.itemsize)
    return {"case": "layer", "n": n, "d": d, "heads": heads, "dtype": dtype, **rates, "share": share,
            "peak memory / state": memory}  # fmt: skip


def main(arguments: list[str]) -> None:
    """Measure, and print a line a case, or JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks tokens")
    parser.add_argument("--toy", type=int, nargs=2, default=[10**5, 64], metavar=("N", "D"))
    parser.add_argument("--layer", type=int, nargs=3, default=[4096, 256, 8], metavar=("N", "D", "HEADS"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", metavar="FILE", help="write the rows there as well")
    options = parser.parse_args(arguments)
    rows = []
    for dtype in ("float32", "float64"):
        for row in (layer(*options.layer, dtype, options.rounds), toy(*options.toy, dtype, 100, options.rounds)):
            rows.append(row)
            print(
                ", ".join(f"{k}: {v:.3g}" if isinstance(v, float) else f"{k}: {v}" for k, v in row.items()), flush=True
            )
    if options.json:
        with open(options.json, "w") as file:
            json.dump(rows, file, indent=1)
