"""Forces −(1/N)Σ_j ∇W(x_i − x_j) by our sums and by what else computes them, in one run.

For each kernel, dimension and N: every sum that serves, the one that is chosen, and the peers; time a call, measured
error against the direct sum on a sample, and how much slower the choice is than the best sum of ours. Peers that are
not installed (`pip install '.[bench]'`) are left out, and named. Sums that would take more than `--patience` seconds,
by the figure for the N before, are extrapolated: in n² for the direct ones.
"""

import argparse
import contextlib
import dataclasses
import json
import math
import os
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count() or 1))

import numpy as np

from benchmarks import peers

SIZES = (10**3, 10**4, 10**5, 10**6, 10**7)
Timed = Callable[[], Any]


@dataclasses.dataclass(frozen=True)
class Case:
    """A kernel of ours and of the peers', a space, and a cloud."""

    name: str
    dim: int
    dtype: str
    tolerance: float
    kernel: Callable  # of mckean
    space: Callable  # of mckean
    cloud: Callable  # (rng, n) -> positions
    peer: Any = None
    largest: int = 10**7


def cases() -> Iterator[Case]:
    """Gaussian, kernels that are singular or have a kink, cosine series; compact support and attention are apart."""
    normal = lambda dim: lambda rng, n: rng.normal(size=(n, dim))  # noqa: E731
    for dim in (1, 2, 3):
        for dtype, tolerance in (("float32", 1e-5), ("float64", 1e-6)):
            yield Case(
                "Gaussian", dim, dtype, tolerance, lambda mk: mk.kernels.Gaussian(1.0, 0.5),
                lambda mk, d=dim: mk.Euclidean(d), normal(dim), peers.Gaussian(1.0, 0.5), 10**7 if dim < 3 else 10**6,
            )  # fmt: skip
    for dim in (1, 2, 3):
        yield Case(
            "Morse", dim, "float64", 1e-6, lambda mk: mk.kernels.Morse(), lambda mk, d=dim: mk.Euclidean(d),
            normal(dim), peers.Morse(), 10**6,
        )  # fmt: skip
    powers = [("logarithm", d, -1.0, 0.0) for d in (1, 2, 3)] + [("Coulomb", 3, -1.0, -1.0), ("distance", 2, 1.0, 1.0)]
    for name, dim, c, p in powers:
        yield Case(
            name, dim, "float64", 1e-6, lambda mk, c=c, p=p: mk.kernels.PowerLaw(c, p),
            lambda mk, d=dim: mk.Euclidean(d), normal(dim), peers.PowerLaw(c, p), 10**6,
        )  # fmt: skip
    yield Case(
        "logarithm, dense core", 2, "float64", 1e-6, lambda mk: mk.kernels.PowerLaw(-1.0, 0.0),
        lambda mk: mk.Euclidean(2), _dense_core, peers.PowerLaw(-1.0, 0.0), 10**6,
    )  # fmt: skip
    for tolerance, dtype in ((1e-6, "float32"), (1e-12, "float64")):
        modes = _modes(2, 31)
        coefficients = -np.exp(-0.01 * np.sum(modes**2, axis=1))
        yield Case(
            "cosine series", 2, dtype, tolerance,
            lambda mk, m=modes, c=coefficients: mk.kernels.FourierSeries(m, c), lambda mk: mk.Torus(2),
            lambda rng, n: rng.uniform(0, 2 * np.pi, (n, 2)), peers.CosineSeries(modes, coefficients),
        )  # fmt: skip
    yield Case(
        "cosines", 1, "float32", 1e-6, lambda mk: mk.kernels.Cosine(1.0), lambda mk: mk.Torus(1),
        lambda rng, n: rng.uniform(0, 2 * np.pi, (n, 1)),
    )  # fmt: skip


def _dense_core(rng, n: int) -> np.ndarray:
    """A Gaussian cloud, half of which is a thousand times as narrow, as where Keller–Segel's solutions concentrate."""
    return rng.normal(size=(n, 2)) * np.where(np.arange(n) % 2, 1.0, 1e-3)[:, None]


def _modes(dim: int, largest: int) -> np.ndarray:
    """One of each pair ±k of the modes with |k_a| ≤ largest."""
    axes = [np.arange(-largest, largest + 1)] * dim
    modes = np.stack([m.ravel() for m in np.meshgrid(*axes, indexing="ij")], axis=-1)
    first = np.take_along_axis(modes, np.argmax(modes != 0, axis=1)[:, None], axis=1)[:, 0]
    return modes[first > 0]


def timed(run: Timed, patience: float) -> float:
    """Seconds a call: the median of up to five, after one that warms up."""
    run()
    taken = []
    begun = time.perf_counter()
    while len(taken) < 5 and (time.perf_counter() - begun < patience or not taken):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def ours(case: Case, x: np.ndarray) -> Iterator[tuple[str, Callable[[], tuple[Timed, float]]]]:
    """The sums that could serve, each with what makes it ready: a call to be timed, and its measured error."""
    import equinox as eqx
    import jax

    import mckean as mk
    from mckean import interactions

    mu = mk.Particles(case.space(mk), x.astype(case.dtype))
    placed = interactions.place(case.kernel(mk), mu.space)
    key = jax.random.key(0)

    def ready(sum_):
        planned = sum_.plan(placed.kernel, mu, mu.positions)
        refused = planned.refusal(placed.kernel, mu, mu.positions)
        if refused is not None:
            raise ValueError(refused)
        summed = interactions.place(placed, mu.space, sum=planned)
        call = eqx.filter_jit(lambda mu: interactions.force(summed, mu, mu.positions))
        return lambda: jax.block_until_ready(call(mu)), interactions.certificate(summed, mu, key).error

    sums = [interactions.Modes(), interactions.NUFFT(case.tolerance)]
    if isinstance(mu.space, mk.Euclidean):
        other = interactions.NUFFT if case.name == "Gaussian" else interactions.FMM
        sums = [interactions.Direct(), other(case.tolerance)]
    for sum_ in sums:
        yield sum_.name, lambda sum_=sum_: ready(sum_)


def chosen(case: Case, x: np.ndarray) -> str:
    """The name of the sum that is chosen."""
    import mckean as mk
    from mckean import interactions

    mu = mk.Particles(case.space(mk), x.astype(case.dtype))
    return interactions.choose(case.kernel(mk), mu, case.tolerance).sum.name


def others(case: Case, x: np.ndarray) -> Iterator[tuple[str, Callable[[], Timed]]]:
    """The peers that take a case."""
    x = x.astype(case.dtype)
    if isinstance(case.peer, peers.Gaussian | peers.Morse):
        yield "KeOps", lambda: peers.keops(case.peer, x)
        yield "Numba", lambda: peers.numba(case.peer, x)
        if len(x) <= 10**4:
            yield "jax-md", lambda: peers.jax_md_dense(case.peer, x)
    if isinstance(case.peer, peers.PowerLaw):
        yield "Numba", lambda: peers.numba(case.peer, x)
        if case.peer.exponent == -1:
            yield "FMM3D", lambda: peers.fmm3d(case.peer, x, case.tolerance)
    if isinstance(case.peer, peers.CosineSeries):
        eps = case.tolerance
        for packed in (False, True):
            name = "finufft, packed" if packed else "finufft"
            yield (
                name,
                lambda packed=packed: peers.raw_finufft(
                    case.peer.modes, case.peer.coefficients, x, eps, case.dtype, packed=packed
                ),
            )


def table(options: argparse.Namespace) -> list[dict]:
    """Rows of case, N, method, seconds (or extrapolated), error."""
    rows: list[dict] = []
    rng = np.random.default_rng(0)
    for case in cases():
        if options.only and not case.name.startswith(tuple(options.only)):
            continue
        last: dict[str, tuple[int, float]] = {}
        for n in [n for n in options.sizes if n <= case.largest]:
            x = case.cloud(rng, n)
            label = {"kernel": case.name, "d": case.dim, "dtype": case.dtype, "tolerance": case.tolerance, "n": n}
            for method, make, mine in _methods(case, x):
                quadratic = method in ("Direct", "KeOps", "Numba", "jax-md")
                if method in last:
                    before, seconds = last[method]
                    predicted = seconds * (n / before) ** (2 if quadratic else 1)
                    if predicted > options.patience:
                        rows.append({**label, "method": method, "seconds": predicted, "extrapolated": True})
                        last[method] = (n, predicted)
                        continue
                try:
                    made = make()
                except (ValueError, ImportError) as error:
                    if isinstance(error, ImportError):
                        print(f"  {method} is left out: {error}")
                    continue
                run, error = made if mine else (made, None)
                seconds = timed(run, options.patience)
                last[method] = (n, seconds)
                rows.append({**label, "method": method, "seconds": seconds, "error": error, "extrapolated": False})
            rows.append({**label, "method": "chosen", "name": chosen(case, x)})
            _told([r for r in rows if all(r[k] == v for k, v in label.items())])
    return rows


def _methods(case: Case, x: np.ndarray):
    yield from ((name, make, True) for name, make in ours(case, x))
    yield from ((name, make, False) for name, make in others(case, x))


def _told(rows: list[dict]) -> None:
    first = rows[0]
    print(
        f"\n{first['kernel']}, d = {first['d']}, {first['dtype']}, tolerance {first['tolerance']:g}, N = {first['n']}"
    )
    mine = {r["method"]: r for r in rows if "error" in r and r["error"] is not None}
    for r in rows:
        if r["method"] == "chosen":
            best = min((m["seconds"] for m in mine.values()), default=math.nan)
            taken = mine.get(r["name"], {}).get("seconds", math.nan)
            r["over the best"] = taken / best
            print(f"  chosen: {r['name']}, {taken / best:.2f} of the best", flush=True)
            continue
        error = f"error {r['error']:.1e}" if r.get("error") is not None else ""
        print(f"  {r['method']:<16} {1e3 * r['seconds']:12.3f} ms  {'extrapolated' if r['extrapolated'] else error}")


def attention(options: argparse.Namespace) -> list[dict]:
    """Softmax attention, d = 64, against the two matrix products that it contains, done plainly."""
    import jax
    import jax.numpy as jnp

    import mckean as mk
    from mckean.interactions import Attention

    rows = []
    field = Attention(1.0)
    force = jax.jit(lambda m: field(m, m.positions))
    product, second = jax.jit(lambda y: y @ y.T), jax.jit(lambda p, y: p @ y)
    for n in [n for n in (1024, 8192) if n <= max(options.sizes)]:
        x = np.random.default_rng(0).normal(size=(n, 64)).astype("float32") / 8
        mu, y = mk.Particles(mk.Euclidean(64), x), jnp.asarray(x)
        runs: dict[str, Timed] = {
            "ours": lambda mu=mu: jax.block_until_ready(force(mu)),
            "products": lambda y=y: jax.block_until_ready(second(product(y), y)),
        }
        with contextlib.suppress(ImportError):
            runs["KeOps"] = peers.keops(peers.Attention(1.0), x)
        with contextlib.suppress(ImportError):
            runs["Numba"] = peers.numba(peers.Attention(1.0), x)
        taken = {name: timed(run, options.patience) for name, run in runs.items()}
        temporary = force.lower(mu).compile().memory_analysis().temp_size_in_bytes
        rows.append({"kernel": "attention", "d": 64, "dtype": "float32", "n": n, **taken,
                     "rate over the products'": taken["products"] / taken["ours"],
                     "temporary memory over n·d": temporary / (4 * n * 64)})  # fmt: skip
        told = ", ".join(f"{k} {1e3 * v:.1f} ms" for k, v in taken.items())
        print(f"\nattention, d = 64, n = {n}: {told}; rate {taken['products'] / taken['ours']:.2f} of plain products'")
    return rows


def vicsek(options: argparse.Namespace) -> list[dict]:
    """A kernel of radius 1 in a periodic box of side 100: cell lists against block-sparse sums, sorting included."""
    import jax

    import mckean as mk
    from mckean import interactions

    n, box, radius = min(10**5, max(options.sizes)), 100.0, 1.0
    x = np.random.default_rng(0).uniform(0, box, (n, 2)).astype("float32")
    mu = mk.Particles(mk.Torus(2, box), x)
    summed = interactions.place(mk.kernels.MinimalImage(_hat), mu.space, sum=interactions.Cells(radius))
    force = jax.jit(lambda m: interactions.force(summed, m, m.positions))
    runs: dict[str, Timed] = {"ours": lambda: jax.block_until_ready(force(mu))}
    for name, make in (
        ("KeOps, block-sparse", lambda: peers.keops_block_sparse(x, radius, box)),
        ("Numba, cells", lambda: peers.numba_cells(x, radius, box)),
    ):
        try:
            runs[name] = make()
        except ImportError as error:
            print(f"  {name} is left out: {error}")
    taken = {name: timed(run, options.patience) for name, run in runs.items()}
    error = interactions.certificate(summed, mu, jax.random.key(0)).error
    print(f"\nradius {radius:g}, box {box:g}, N = {n}: " + ", ".join(f"{k} {1e3 * v:.1f} ms" for k, v in taken.items()))
    return [{"kernel": "compact support", "d": 2, "dtype": "float32", "n": n, "error": error, **taken}]


def _hat(z):
    import jax.numpy as jnp

    square = jnp.sum(z**2)
    return -0.5 * jnp.maximum(1 - jnp.sqrt(jnp.where(square > 0, square, 1.0)) * (square > 0), 0) ** 2


def drawn(rows: list[dict], file: str) -> None:
    """Time against N, and error against time, one column a case."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    keys = list(dict.fromkeys((r["kernel"], r["d"], r["dtype"], r["tolerance"]) for r in rows if "seconds" in r))
    wide = 4
    deep = -(-len(keys) // wide)
    figure, axes = plt.subplots(2 * deep, wide, figsize=(3.0 * wide, 5.0 * deep), squeeze=False, layout="constrained")
    methods = list(dict.fromkeys(r["method"] for r in rows if "seconds" in r))
    colours = plt.get_cmap("tab10")
    for case, key in enumerate(keys):
        time, error = axes[2 * (case // wide), case % wide], axes[2 * (case // wide) + 1, case % wide]
        mine = [r for r in rows if "seconds" in r and (r["kernel"], r["d"], r["dtype"], r["tolerance"]) == key]
        for index, method in enumerate(methods):
            line = [r for r in mine if r["method"] == method]
            if not line:
                continue
            style = {"color": colours(index), "label": method, "marker": "ov^sDPX*h<"[index], "ms": 4}
            time.loglog([r["n"] for r in line], [r["seconds"] for r in line], **style)
            known = [r for r in line if r.get("error")]
            error.loglog([r["seconds"] for r in known], [r["error"] for r in known], ls="", **style)
        time.set_title(f"{key[0]}, d = {key[1]}\n{key[2]}, tolerance {key[3]:g}", fontsize=9)
        time.set(xlabel="number of particles N", ylabel="time a call / s")
        error.set(xlabel="time a call / s", ylabel="error / rms of the force")
        error.axhline(key[3], color="0.5", lw=0.8, ls="--")
        error.xaxis.set_minor_formatter("")
    for panel in axes.ravel():
        panel.set_visible(bool(panel.lines))
    handles = {h.get_label(): h for a in axes.ravel() for h in a.get_lines() if not str(h.get_label()).startswith("_")}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=5, fontsize=8)
    figure.savefig(file, dpi=110)
    print(f"figure: {file}")


def main(arguments: list[str]) -> None:
    """Measure, and print tables, JSON, and a figure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks forces")
    parser.add_argument("--only", metavar="KERNEL", nargs="+", help="kernels whose names begin so; all by default")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--patience", type=float, default=4.0, help="seconds a call beyond which sums are extrapolated")
    parser.add_argument("--json", metavar="FILE", help="write the rows there as well")
    parser.add_argument("--figure", metavar="FILE", default="forces.png")
    options = parser.parse_args(arguments)
    import jax

    jax.config.update("jax_enable_x64", True)
    rows = table(options)
    special = [] if options.only else [*attention(options), *vicsek(options)]
    drawn(rows, options.figure)
    document = json.dumps({"rows": rows, "special": special}, indent=1)
    if options.json:
        with open(options.json, "w") as file:
            file.write(document)
    else:
        print(document)
