"""The constants of `mckean.interactions.costs`, measured again on this machine.

Each sum is timed on a few clouds, its work counted, and the units fitted to the times by least squares of the relative
errors, none of them negative. A unit that the runs do not determine stays as it is. Prints the numbers to put there.
"""

import argparse
import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks._turns import setup

# How much a unit's change by its own size weighs beside the relative error of one run.
_STIFFNESS = 0.05


@dataclasses.dataclass(frozen=True)
class Run:
    """What was timed: the work of a force, its estimate before, and its seconds."""

    name: str
    work: dict
    seconds: float


def timed(call: Callable) -> float:
    """Seconds a call: the median of three, after one that compiles."""
    call()
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def clock(jax, kernel, sum_, mu) -> float:
    force = jax.jit(lambda mu: sum_.force(kernel, mu, mu.positions))
    return timed(lambda: jax.block_until_ready(force(mu)))


def cloud(mk, space, n: int, dtype: str):
    x = np.random.default_rng(n).normal(size=(n, space.dim))
    return mk.Particles(space, np.asarray(space.retract(x)).astype(dtype))


def direct_runs(jax, mk) -> Iterator[Run]:
    from mckean.interactions.sums import direct

    kernels = (mk.kernels.Gaussian(1.0, 0.5), mk.kernels.Morse(), mk.kernels.PowerLaw(-1.0, 0.0))
    for dtype in ("float32", "float64"):
        for dim, n in ((1, 1000), (1, 4000), (2, 3000), (3, 3000)):
            for kernel in kernels:
                space = mk.Euclidean(dim)
                seconds = clock(jax, kernel, mk.interactions.Direct(), cloud(mk, space, n, dtype))
                work = direct.work(kernel, n * n, dim, np.dtype(dtype))
                yield Run(f"Direct, {type(kernel).__name__}, d = {dim}, {dtype}", work, seconds)


def series(mk, dim: int, largest: int):
    axes = np.meshgrid(*[np.arange(-largest, largest + 1)] * dim, indexing="ij")
    modes = np.stack([a.ravel() for a in axes], axis=-1)
    first = np.take_along_axis(modes, np.argmax(modes != 0, axis=1)[:, None], axis=1)[:, 0]
    return mk.kernels.FourierSeries(modes[first > 0], np.ones(int(np.sum(first > 0)))).on(mk.Torus(dim))


def mode_runs(jax, mk) -> Iterator[Run]:
    from mckean.interactions.sums import modes

    for dim, largest, n in ((1, 2, 200_000), (1, 30, 100_000), (2, 4, 50_000), (2, 4, 1000)):
        kernel = series(mk, dim, largest)
        seconds = clock(jax, kernel, mk.interactions.Modes(), cloud(mk, mk.Torus(dim), n, "float64"))
        yield Run(f"Modes, {len(kernel.modes)} modes, d = {dim}", modes.work(n, len(kernel.modes)), seconds)


def moment_runs(jax, mk) -> Iterator[Run]:
    from mckean.interactions.sums import moments

    for dim in (1, 2, 3):
        mu = cloud(mk, mk.Euclidean(dim), 50_000, "float64")
        seconds = clock(jax, mk.kernels.PowerLaw(1.0, 4.0), mk.interactions.PowerSums(), mu)
        yield Run(f"PowerSums, d = {dim}", moments.work(mu.n, 4, dim), seconds)


def transform_runs(jax, mk) -> Iterator[Run]:
    from mckean.interactions.sums import fourier

    for dim, largest in ((1, 500), (2, 20), (2, 100), (3, 15)):
        kernel = series(mk, dim, largest)
        for n, tolerance in ((5000, 1e-5), (100_000, 1e-5), (100_000, 1e-10)):
            mu = cloud(mk, mk.Torus(dim), n, "float64")
            seconds = clock(jax, kernel, mk.interactions.NUFFT(tolerance), mu)
            work = fourier.work(n, float(2 * largest + 1) ** dim, dim, tolerance)
            yield Run(f"NUFFT, {2 * largest + 1} modes an axis, d = {dim}, {tolerance:g}", work, seconds)


def cell_runs(jax, mk) -> Iterator[Run]:
    from mckean.interactions.sums import compact

    hat = mk.kernels.Function(lambda z: jax.numpy.maximum(1 - jax.numpy.sum(z**2), 0.0) ** 3)
    for dim, side in ((1, 400.0), (1, 2000.0), (2, 60.0), (2, 120.0), (3, 25.0)):
        n, space = 20_000, mk.Torus(dim, side)
        mu = mk.Particles(space, np.random.default_rng(0).uniform(0, side, (n, dim)))
        near = compact.candidates_within(mu, mu.positions, 1.0)
        seconds = clock(jax, hat, mk.interactions.Cells(1.0), mu)
        yield Run(f"Cells, {near:.3g} near, d = {dim}", compact.work(n, near, dim), seconds)


def tree_runs(jax, mk, pair: float) -> Iterator[Run]:
    """Of kernels that look the same on all levels, and of one that does not; `pair` is the unit of a direct sum."""
    from mckean.interactions import costs
    from mckean.interactions.sums import fmm

    logarithm, morse = mk.kernels.PowerLaw(-1.0, 0.0), mk.kernels.Morse()
    cases = [(1, logarithm, 1e-9), (1, morse, 1e-9), (2, logarithm, 1e-3), (2, logarithm, 1e-6)]
    for dim, kernel, tolerance in cases:
        space = mk.Euclidean(dim)
        for n, leaf in ((20_000, 64), (100_000, 64), (100_000, 256)):
            mu = cloud(mk, space, n, "float64")
            plan = mk.interactions.FMM(tolerance).plan(kernel, mu, mu.positions)
            plan = dataclasses.replace(plan, leaf=leaf)
            work = fmm.work(kernel, space, n, plan.expansion, leaf, np.dtype("float64"))
            near = costs.Unit(costs.FMM_PAIRS[dim - 1] * pair, f"FMM_PAIRS[{dim - 1}]")
            work[near] = work.pop(costs.PAIR_DOUBLE) / costs.FMM_PAIRS[dim - 1]
            seconds = clock(jax, kernel, plan, mu)
            yield Run(f"FMM, {type(kernel).__name__}, d = {dim}, {tolerance:g}, leaves of {leaf}", work, seconds)


def fitted(runs: list[Run]) -> dict:
    """The seconds of each unit of the runs."""
    from scipy.optimize import nnls

    units = list(dict.fromkeys(unit for run in runs for unit in run.work))
    # Unknown are the factors by which the units change.
    matrix = np.array([[run.work.get(unit, 0.0) * unit.seconds / run.seconds for unit in units] for run in runs])
    rows = np.concatenate([matrix, _STIFFNESS * np.eye(len(units))])
    factors, _ = nnls(rows, np.concatenate([np.ones(len(runs)), np.full(len(units), _STIFFNESS)]))
    return {unit: factor * unit.seconds for unit, factor in zip(units, factors, strict=True)}


def names(costs) -> dict:
    """What each unit is called in the module."""
    found = {value: name for name, value in vars(costs).items() if isinstance(value, costs.Unit)}
    return found | {unit: f"CELLS[{i}]" for i, unit in enumerate(costs.CELLS)}


def reported(runs: list[Run]) -> dict:
    """The fitted units, after a line for each run with its estimates before and now."""
    new = fitted(runs)
    for run in runs:
        before = sum(unit.seconds * amount for unit, amount in run.work.items())
        now = sum(new[unit] * amount for unit, amount in run.work.items())
        print(f"  {run.name:<52} {1e3 * run.seconds:9.3f} ms; estimate {1e3 * before:9.3f}, now {1e3 * now:9.3f}")
    return new


def main(arguments: list[str]) -> None:
    argparse.ArgumentParser(prog="python -m benchmarks costs", description=__doc__).parse_args(arguments)
    jax, mk = setup()
    from mckean.interactions import costs

    called, found = names(costs), {}
    for group in (direct_runs, mode_runs, moment_runs, transform_runs, cell_runs):
        found |= reported(list(group(jax, mk)))
    pair = found[costs.PAIR_DOUBLE]
    found |= reported(list(tree_runs(jax, mk, pair)))
    print()
    for unit, seconds in found.items():
        if unit in called:
            print(f"{called[unit]:<16} {unit.seconds:8.2g} s -> {seconds:8.2g} s  {unit.piece}")
        else:
            print(f"{unit.piece:<16} {unit.seconds / pair:8.2g}   -> {seconds / pair:8.2g}    over a direct pair")
