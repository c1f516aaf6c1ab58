"""The peers of our pair forces: what else computes F_i = −(1/N) Σ_j ∇W(x_i − x_j), each at its best on a CPU.

A peer takes the positions as a NumPy array once, with whatever its user would do once (compilation, plans, copies), and
gives a function of no arguments to be timed, which returns the forces as a NumPy array of shape (N, d), often the same
memory in every call. What depends on where the particles are (sorting, cells, ranges) is done anew in every call:
particles move.

`python -m benchmarks.peers` checks each against the sum in NumPy. The packages come with `pip install '.[bench]'`.
"""

import argparse
import functools
import itertools
import math
import os
import sys
from types import ModuleType

import numpy as np

from benchmarks._loops import numba, numba_cells
from benchmarks._pairs import (
    Attention,
    CosineSeries,
    Forces,
    Gaussian,
    Hat,
    Kernel,
    Morse,
    PowerLaw,
    package,
)


def numpy_dense(kernel: Kernel, x: np.ndarray) -> Forces:
    """All pairs at once in float64, O(N²) memory: the reference."""
    x = np.asarray(x, dtype=np.float64)
    n = len(x)

    def forces() -> np.ndarray:
        if isinstance(kernel, Attention):
            score = kernel.beta * (x @ x.T)
            weight = np.exp(score - score.max(axis=1, keepdims=True))
            return weight @ x / weight.sum(axis=1, keepdims=True)
        z = x[:, None, :] - x[None, :, :]
        if isinstance(kernel, CosineSeries):
            k = np.asarray(kernel.modes)
            return np.einsum("m,md,ijm->id", kernel.coefficients, k, np.sin(z @ k.T)) / n
        if isinstance(kernel, Hat):
            z -= kernel.box * np.round(z / kernel.box)
        square = np.sum(z**2, axis=-1)
        r = np.sqrt(square)
        inverse = np.where(r > 0, 1 / np.where(r > 0, r, 1), 0)
        if isinstance(kernel, Gaussian):
            factor = kernel.strength / kernel.width**2 * np.exp(-square / (2 * kernel.width**2))
        elif isinstance(kernel, Morse):
            factor = kernel.slope(r, np.exp) * inverse
        elif isinstance(kernel, PowerLaw):
            factor = -kernel.strength * inverse ** (2 - kernel.exponent)
        else:
            factor = -np.maximum(kernel.radius - r, 0) * inverse
        return np.einsum("ij,ijd->id", factor, z) / n

    return forces


def _pykeops(name: str) -> ModuleType:
    """A module of KeOps, which otherwise reports every compilation on the standard output."""
    os.environ.setdefault("PYKEOPS_VERBOSE", "0")
    return package(f"pykeops.{name}")


def keops(kernel: Gaussian | Morse | Attention, x: np.ndarray) -> Forces:
    """KeOps: a symbolic matrix, reduced by compiled C++.

    Its CPU code is compiled with -O3 alone; the environment's CXXFLAGS, read when it is imported, add to that.
    """
    lazy = _pykeops("numpy").LazyTensor
    x = np.ascontiguousarray(x)
    n = len(x)
    xi, xj = lazy(x[:, None, :]), lazy(x[None, :, :])
    if isinstance(kernel, Attention):
        reduction = (kernel.beta * (xi | xj)).sumsoftmaxweight(xj, axis=1, backend="CPU", call=False)
        scale = 1.0
    else:
        z = xi - xj
        square = (z**2).sum(-1)
        if isinstance(kernel, Gaussian):
            factor = (square * (-0.5 / kernel.width**2)).exp()
            scale = kernel.strength / kernel.width**2 / n
        else:
            factor = kernel.slope(square.sqrt(), lambda s: s.exp()) * square.rsqrt()
            scale = 1 / n
        reduction = (factor * z).sum(axis=1, backend="CPU", call=False)
    scale = x.dtype.type(scale)
    reduction()
    return lambda: scale * reduction()


def keops_block_sparse(
    x: np.ndarray,
    radius: float,
    box: float,
    cells: int | None = None,
    presorted: bool = False,
    matrix: bool = False,
) -> Forces:
    """KeOps with block-sparse ranges, as SiSyPHE does it: particles sorted by cell, blocks of neighbouring cells.

    **Arguments:** `cells` along a side, as many as the radius allows if not given; `presorted`: the sort and the ranges
    are done once and not timed; `matrix`: the ranges are made by KeOps' `from_matrix` from all pairs of cells, which is
    SiSyPHE's way and costs O(cells⁴), rather than from the nine neighbours of each.
    """
    numpy = _pykeops("numpy")
    cluster = _pykeops("numpy.cluster")
    x = np.ascontiguousarray(x)
    n, count = len(x), int(box // radius) if cells is None else cells
    if not 3 <= count <= box / radius:
        raise ValueError(f"{count} cells a side: at least three are needed, each no smaller than the radius.")

    xi, xj = numpy.Vi(0, 2), numpy.Vj(1, 2)
    side = x.dtype.type(box)
    z = xi - xj
    z = z + (-0.5 * side - z).step() * side - (z - 0.5 * side).step() * side
    square = (z**2).sum(-1)
    # (R − r)₊/r as (R/r − 1)₊, where 1/r counts as 0 at r = 0.
    reduction = ((float(radius) * square.rsqrt() - 1).relu() * z).sum(axis=1, backend="CPU", call=False)
    scale = x.dtype.type(-1 / n)

    step = np.arange(-1, 2)
    a, b = np.divmod(np.arange(count**2), count)
    neighbours = ((a[:, None, None] + step[:, None]) % count * count + (b[:, None, None] + step) % count).reshape(-1, 9)
    ends = 9 * np.arange(1, count**2 + 1)
    keep = np.zeros((count**2, count**2) if matrix else (0, 0), dtype=bool)
    if matrix:
        np.put_along_axis(keep, neighbours, True, axis=1)

    def prepare():
        index = np.minimum((x * (count / box)).astype(np.int64), count - 1)
        label = index[:, 0] * count + index[:, 1]
        own = cluster.cluster_ranges(label, np.bincount(label, minlength=count**2))
        (ordered, order), _ = cluster.sort_clusters((x, np.arange(n)), label)
        if matrix:
            return ordered, order, cluster.from_matrix(own, own, keep)
        near = own[neighbours.ravel()]
        return ordered, order, (own, ends, near, own, ends, near)

    once = prepare() if presorted else None

    def forces() -> np.ndarray:
        ordered, order, ranges = once or prepare()
        result = np.empty_like(x)
        result[order] = scale * reduction(ordered, ordered, ranges=ranges)
        return result

    forces()
    return forces


def raw_finufft(
    modes: np.ndarray,
    coefficients: np.ndarray,
    x: np.ndarray,
    eps: float,
    dtype: str,
    packed: bool = False,
    threads: int = 0,
) -> Forces:
    """FINUFFT itself on the torus of sides 2π: type 1, a product with the kernel's coefficients, type 2.

    The plans are made once, the points set in every call. The force of −Σ_k a_k cos(k·z) has d components: d type 2
    transforms at once, or for d = 2 and `packed` the single one of F_1 + iF_2.

    **Arguments:** `modes`, `coefficients`: as in `CosineSeries`; the transforms take the smallest box with all modes;
    `eps`: the tolerance; `dtype`: "float32" or "float64"; `threads`: 0 for all.
    """
    finufft = package("finufft")
    modes = np.asarray(modes).reshape(len(modes), -1)
    dim = modes.shape[1]
    if packed and dim != 2:
        raise ValueError("two components are packed into one transform in dimension 2 only.")
    reach = np.abs(modes).max(axis=0)
    shape = tuple(int(2 * r + 1) for r in reach)
    series = np.zeros(shape)
    for sign in (1, -1):
        np.add.at(series, tuple((reach + sign * modes).T), 0.5 * np.asarray(coefficients))
    wavenumbers = np.meshgrid(*[np.arange(-r, r + 1) for r in reach], indexing="ij")
    factors = np.stack([-1j * k * series for k in wavenumbers])
    if packed:
        factors = factors[:1] + 1j * factors[1:]

    complex_type = {"float32": "complex64", "float64": "complex128"}[dtype]
    factors = np.ascontiguousarray(factors, dtype=complex_type)
    n, outputs = len(x), len(factors)
    points = [np.ascontiguousarray(column, dtype=dtype) for column in np.asarray(x).T]
    weights = np.full(n, 1 / n, dtype=complex_type)
    options = {"eps": eps, "dtype": complex_type, "nthreads": threads}
    analyse = finufft.Plan(1, shape, 1, isign=-1, **options)
    synthesise = finufft.Plan(2, shape, outputs, isign=1, **options)
    spectrum = np.empty(shape, complex_type)
    values = np.empty((outputs, n) if outputs > 1 else n, complex_type)

    def forces() -> np.ndarray:
        analyse.setpts(*points)
        analyse.execute(weights, spectrum)
        synthesise.setpts(*points)
        product = factors * spectrum
        synthesise.execute(product if outputs > 1 else product[0], values)
        return values.view(dtype).reshape(n, 2) if packed else values.reshape(outputs, n).T.real

    return forces


def jax_md_dense(kernel: Gaussian | Morse, x: np.ndarray) -> Forces:
    """JAX MD: the gradient of the energy of all pairs, with O(N²) memory. float64 needs JAX's 64 bit mode."""
    package("jax_md")
    import jax
    import jax.numpy as jnp
    from jax_md import quantity, smap, space

    displacement, _ = space.free()
    if isinstance(kernel, Gaussian):
        pair = lambda r: kernel.strength * jnp.exp(-(r**2) / (2 * kernel.width**2))  # noqa: E731
    else:

        def pair(r):
            repulsion = kernel.repulsion * jnp.exp(-r / kernel.repulsion_range)
            return repulsion - kernel.attraction * jnp.exp(-r / kernel.attraction_range)

    energy = smap.pair(pair, space.metric(displacement))
    run = jax.jit(lambda y: quantity.force(energy)(y) / len(x))
    positions = jnp.asarray(x)
    if positions.dtype != x.dtype:
        raise ValueError(f"positions of {x.dtype} need jax_enable_x64.")
    run(positions).block_until_ready()
    return lambda: np.asarray(run(positions))


def fmm3d(kernel: PowerLaw, x: np.ndarray, eps: float) -> Forces:
    """FMM3D (Flatiron Institute): the fast multipole method for 1/|z| in R³, in Fortran."""
    if kernel.exponent != -1 or x.shape[1] != 3 or x.dtype != np.float64:
        raise ValueError("FMM3D is for 1/|z| in R³ and double precision.")
    run, sources = package("fmm3dpy").lfmm3d, np.asfortranarray(x.T)
    charges = np.full(len(x), 4 * math.pi * kernel.strength / len(x))
    return lambda: run(eps=eps, sources=sources, charges=charges, pg=2).grad.T


def _cases(n: int):
    """Peer, kernel, its reference and the peer's forces to be made, one for each check."""
    rng = np.random.default_rng(0)
    plane, sphere = rng.normal(size=(n, 2)), rng.normal(size=(n, 64))
    sphere /= np.linalg.norm(sphere, axis=1, keepdims=True)
    for dtype in ("float32", "float64"):
        y, s = plane.astype(dtype), sphere.astype(dtype)
        pairs = [(Gaussian(1.5, 0.7), y), (Gaussian(), rng.normal(size=(n, 3)).astype(dtype)), (Morse(), y)]
        for kernel, x in pairs:
            name = f"{type(kernel).__name__}, d = {x.shape[1]}, {dtype}"
            for peer in (keops, numba, jax_md_dense):
                yield peer.__name__, name, numpy_dense(kernel, x), functools.partial(peer, kernel, x)
        for peer in (keops, numba):
            yield (
                peer.__name__,
                f"Attention, d = 64, {dtype}",
                numpy_dense(Attention(4.0), s),
                functools.partial(peer, Attention(4.0), s),
            )
        for kernel in (PowerLaw(), PowerLaw(1.5, -1.0), PowerLaw(1.5, 1.0)):
            x = rng.normal(size=(n, 3)).astype(dtype)
            name = f"PowerLaw {kernel.exponent:g}, d = 3, {dtype}"
            yield "numba", name, numpy_dense(kernel, x), functools.partial(numba, kernel, x)
        if dtype == "float64":
            x, kernel = rng.normal(size=(n, 3)), PowerLaw(1.5, -1.0)
            name = "PowerLaw -1, d = 3, float64"
            yield "fmm3d", name, numpy_dense(kernel, x), functools.partial(fmm3d, kernel, x, 1e-6)
        hat = Hat(1.0, 10.5)
        z = (hat.box * rng.random((n, 2))).astype(dtype)
        arguments = z, hat.radius, hat.box
        choices = {
            "keops_block_sparse": functools.partial(keops_block_sparse, *arguments),
            "keops_block_sparse, 5² cells": functools.partial(keops_block_sparse, *arguments, cells=5),
            "keops_block_sparse, presorted": functools.partial(keops_block_sparse, *arguments, presorted=True),
            "keops_block_sparse, from_matrix": functools.partial(keops_block_sparse, *arguments, matrix=True),
            "numba_cells": functools.partial(numba_cells, *arguments),
        }
        for peer, made in choices.items():
            yield peer, f"Hat, {dtype}", numpy_dense(hat, z), made
        for dim in (1, 2, 3):
            modes = np.array([k for k in itertools.product(range(-3, 4), repeat=dim) if k > (0,) * dim])
            series = CosineSeries(modes, rng.normal(size=len(modes)))
            t = (2 * math.pi * rng.random((n, dim))).astype(dtype)
            arguments = series.modes, series.coefficients, t, 1e-6 if dtype == "float32" else 1e-12, dtype
            for packed in (False, True)[: 2 if dim == 2 else 1]:
                made = functools.partial(raw_finufft, *arguments, packed=packed)
                peer = "raw_finufft, packed" if packed else "raw_finufft"
                yield peer, f"CosineSeries, d = {dim}, {dtype}", numpy_dense(series, t), made


def main(arguments: list[str]) -> None:
    """Print each peer's largest error, over the largest force, against the sum in NumPy and float64."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks peers")
    parser.add_argument("--n", type=int, default=500, help="particles")
    options = parser.parse_args(arguments)
    import jax

    jax.config.update("jax_enable_x64", True)
    missing = []
    for peer, name, reference, made in _cases(options.n):
        try:
            forces, expected = made()(), reference()
        except ImportError as error:
            missing.append(str(error))
            continue
        error = np.abs(forces - expected).max() / np.abs(expected).max()
        print(f"{peer:32} {name:32} {forces.dtype!s:8} {error:8.1e}", flush=True)
    for message in sorted(set(missing)):
        print(message)


if __name__ == "__main__":
    main(sys.argv[1:])
