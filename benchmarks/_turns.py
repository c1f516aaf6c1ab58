"""What benchmarks share: calls timed in turns, so that a ratio is one of the same minute."""

import statistics
import time


def setup():
    import jax

    jax.config.update("jax_enable_x64", True)
    import mckean as mk

    return jax, mk


def in_turns(runners: dict, rounds: int) -> dict[str, list[float]]:
    """Seconds of each call, taken in turns, after one that warms up."""
    for run in runners.values():
        run()
    taken = {name: [] for name in runners}
    for _ in range(rounds):
        for name, run in runners.items():
            start = time.perf_counter()
            run()
            taken[name].append(time.perf_counter() - start)
    return taken


def ratio(taken: dict, over: str, under: str) -> float:
    return statistics.median(a / b for a, b in zip(taken[over], taken[under], strict=True))
