"""A sweep of many small cells: what a cell costs beside its function, and how soon the whole is open."""

import argparse
import tempfile
import time

from benchmarks._turns import setup


def product(K, beta):
    return {"r": K * beta, "s": K + beta}


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks sweeps", description=__doc__)
    parser.add_argument("--side", type=int, default=100, help="the number of cells is its square")
    side = parser.parse_args(arguments).side
    _, mk = setup()
    table = {"K": [i / side for i in range(side)], "beta": [1 + i / side for i in range(side)]}
    with tempfile.TemporaryDirectory() as place:
        folder = f"{place}/sweep"
        calls = {
            "run": lambda: mk.sweep(product, table, folder),
            "called again": lambda: mk.sweep(product, table, folder),
            "opened": lambda: mk.sweeps.open_sweep(folder),
        }
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            print(f"{side**2} cells {name:<13} {time.perf_counter() - start:7.3f} s")
