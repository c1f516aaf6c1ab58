"""Exact distances of 10⁶ points in dimension one: times against POT, in one run, and the agreement.

Run by `python -m benchmarks wasserstein`; `--n` sets the number of points, `--repeat` the number of runs, of
which the best time counts.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable
from functools import partial

import jax
import numpy as np

from mckean.measures import Particles
from mckean.spaces import Euclidean, Torus
from mckean.transport import wasserstein

LINE, CIRCLE = Euclidean(1), Torus(1, 1.0)


def main(arguments: list[str]) -> None:
    """Measure, and print a table and the same figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks wasserstein")
    parser.add_argument("--n", type=int, default=10**6, help="points in each cloud")
    parser.add_argument("--repeat", type=int, default=3, help="runs, of which the best counts")
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well")
    options = parser.parse_args(arguments)
    jax.config.update("jax_enable_x64", True)
    rows = [measured(*case, options.repeat) for case in cases(options.n)]
    print_table(rows)
    document = json.dumps({"n": options.n, "repeat": options.repeat, "rows": rows}, indent=1)
    print(document)
    if options.json:
        with open(options.json, "w") as file:
            file.write(document)


def cases(n: int):
    """Case, POT's function, p, ours and POT's to be timed: ours returns W_p, POT's its p-th power."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ot

    rng = np.random.default_rng(0)
    x, y, a, b = rng.random(n), rng.random(n) ** 2, rng.random(n), rng.random(n)
    a, b = a / a.sum(), b / b.sum()
    for space, name in ((LINE, "line"), (CIRCLE, "circle")):
        for weights, kind in ((None, "equal"), ((a, b), "random")):
            u, v = weights or (None, None)
            mu, nu = Particles(space, x[:, None], u), Particles(space, y[:, None], v)
            for p in (1, 2):
                ours = partial(wasserstein, mu, nu, p)
                for oracle, pot in oracles(ot, space, p):
                    yield f"{name}, {kind} weights", oracle, p, ours, partial(pot, x, y, u, v)


def oracles(ot, space, p: int) -> list[tuple[str, Callable]]:
    if space is CIRCLE:
        return [("wasserstein_circle", lambda x, y, a, b: float(ot.wasserstein_circle(x, y, a, b, p=p)[0]))]
    metric = {1: "cityblock", 2: "sqeuclidean"}[p]
    return [
        ("wasserstein_1d", lambda x, y, a, b: float(ot.wasserstein_1d(x, y, a, b, p=p))),
        ("emd2_1d", lambda x, y, a, b: float(ot.emd2_1d(x, y, a, b, metric=metric))),
    ]


def measured(name: str, oracle: str, p: int, ours: Callable, pot: Callable, repeat: int) -> dict:
    """Best times in turn, so that both meet the same load."""
    mine, theirs = [], []
    for _ in range(repeat):
        mine.append(timed(ours))
        theirs.append(timed(pot))
    seconds, other = min(t for t, _ in mine), min(t for t, _ in theirs)
    value, expected = mine[0][1], theirs[0][1] ** (1 / p)
    return {
        "case": name,
        "p": p,
        "oracle": oracle,
        "seconds": seconds,
        "oracle_seconds": other,
        "ratio": seconds / other,
        "relative_difference": abs(value - expected) / expected,
    }


def timed(f: Callable) -> tuple[float, float]:
    start = time.perf_counter()
    value = f()
    return time.perf_counter() - start, value


def print_table(rows: list[dict]) -> None:
    print(f"{'case':24} {'p':>2} {'POT':20} {'ours, ms':>9} {'POT, ms':>9} {'ratio':>7} {'differ by':>10}")
    for r in rows:
        print(
            f"{r['case']:24} {r['p']:2d} {r['oracle']:20} {1e3 * r['seconds']:9.1f} "
            f"{1e3 * r['oracle_seconds']:9.1f} {r['ratio']:7.3f} {r['relative_difference']:10.1e}"
        )
