"""Peers that are compiled loops, by Numba: over all pairs, over tiles of attention, over the cells of a list."""

import functools
from collections.abc import Callable

import numpy as np

from benchmarks._pairs import Attention, Forces, Gaussian, Morse, PowerLaw, package


def numba(kernel: Gaussian | Morse | PowerLaw | Attention, x: np.ndarray) -> Forces:
    """Numba: the double loop, in parallel over its rows and with fast arithmetic, compiled for the dimension."""
    package("numba")
    n, dim = x.shape
    real = x.dtype.type
    if isinstance(kernel, Attention):
        rows, beta, run = np.ascontiguousarray(x), real(kernel.beta), _numba_attention(dim)
        result = np.empty_like(rows)
        forces = functools.partial(run, rows, beta, real(0), np.finfo(x.dtype).min, result)
    else:
        columns, result = np.ascontiguousarray(x.T), np.empty((n, dim), x.dtype)
        if isinstance(kernel, Gaussian):
            square = kernel.width**2
            parameters = tuple(map(real, (kernel.strength / square / n, -0.5 / square, 0, 0)))
            run = _numba_pairs(dim, "gaussian")
        elif isinstance(kernel, PowerLaw):
            parameters = tuple(map(real, (-kernel.strength / n, 0.5 * kernel.exponent - 1, 0, 0)))
            run = _numba_pairs(dim, {0.0: "logarithm", -1.0: "coulomb"}.get(kernel.exponent, "power"))
        else:
            repulsion, attraction = kernel.repulsion_range, kernel.attraction_range
            amplitudes = kernel.repulsion / repulsion / n, kernel.attraction / attraction / n
            parameters = tuple(map(real, (*amplitudes, -1 / repulsion, -1 / attraction)))
            run = _numba_pairs(dim, "morse")
        forces = functools.partial(run, columns, *parameters, real(0), real(1), result)
    forces()
    return forces


@functools.cache
def _numba_pairs(dim: int, kind: str) -> Callable:
    """Σ_j f(|z|) z with f(r) = p e^{q r²}, p r^{2q}, or for Morse (p e^{s r} − q e^{t r})/r; all of x's dtype."""
    from numba import njit, prange

    @njit(parallel=True, fastmath=True)
    def run(x, p, q, s, t, zero, one, result):
        n = x.shape[1]
        for i in prange(n):
            total = np.zeros(dim, x.dtype)
            for j in range(n):
                square = zero
                for k in range(dim):
                    square += (x[k, i] - x[k, j]) ** 2
                if kind == "logarithm":
                    factor = p / square if square > zero else zero
                elif kind == "coulomb":
                    factor = p / (square * np.sqrt(square)) if square > zero else zero
                elif kind == "power":
                    factor = p * square**q if square > zero else zero
                elif kind == "morse":
                    r = np.sqrt(square)
                    inverse = one / r if r > zero else zero
                    factor = (p * np.exp(s * r) - q * np.exp(t * r)) * inverse
                else:
                    factor = p * np.exp(q * square)
                for k in range(dim):
                    total[k] += factor * (x[k, i] - x[k, j])
            for k in range(dim):
                result[i, k] = total[k]
        return result

    return run


@functools.cache
def _numba_attention(dim: int, tile: int = 128) -> Callable:
    """One pass over the columns, in tiles; the sums are scaled down whenever the largest score grows."""
    from numba import njit, prange

    @njit(parallel=True, fastmath=True)
    def run(x, beta, zero, lowest, result):
        n = x.shape[0]
        for i in prange(n):
            total, score = np.zeros(dim, x.dtype), np.empty(tile, x.dtype)
            mass, largest = zero, lowest
            for first in range(0, n, tile):
                m = min(tile, n - first)
                top = largest
                for j in range(m):
                    s = zero
                    for k in range(dim):
                        s += x[i, k] * x[first + j, k]
                    score[j] = beta * s
                    top = max(top, score[j])
                if top > largest:
                    shrink = np.exp(largest - top)
                    largest = top
                    mass *= shrink
                    for k in range(dim):
                        total[k] *= shrink
                for j in range(m):
                    weight = np.exp(score[j] - largest)
                    mass += weight
                    for k in range(dim):
                        total[k] += weight * x[first + j, k]
            for k in range(dim):
                result[i, k] = total[k] / mass
        return result

    return run


def numba_cells(x: np.ndarray, radius: float, box: float) -> Forces:
    """Numba with a cell list, d = 2: a counting sort by cell, then a loop over cells, in parallel."""
    package("numba")
    real, count = x.dtype.type, int(box // radius)
    if count < 3:
        raise ValueError("the box must be at least three radii wide.")
    x, result, run = np.ascontiguousarray(x), np.empty(x.shape, x.dtype), _numba_cells()
    forces = functools.partial(run, x, real(radius), real(box), count, real(0), real(1), result)
    forces()
    return forces


@functools.cache
def _numba_cells() -> Callable:
    from numba import njit, prange

    @njit(parallel=True, fastmath=True)
    def run(x, radius, box, count, zero, one, result):
        n = x.shape[0]
        label = np.empty(n, np.int64)
        for i in prange(n):
            a, b = min(int(x[i, 0] / box * count), count - 1), min(int(x[i, 1] / box * count), count - 1)
            label[i] = a * count + b
        start = np.zeros(count * count + 1, np.int64)
        for i in range(n):
            start[label[i] + 1] += 1
        for c in range(count * count):
            start[c + 1] += start[c]
        place, order = start.copy(), np.empty(n, np.int64)
        u, v = np.empty(n, x.dtype), np.empty(n, x.dtype)
        for i in range(n):
            j = place[label[i]]
            place[label[i]] += 1
            order[j], u[j], v[j] = i, x[i, 0], x[i, 1]
        for c in prange(count * count):
            a, b = c // count, c % count
            for i in range(start[c], start[c + 1]):
                fu, fv = zero, zero
                for da in range(-1, 2):
                    row, ui = a + da, u[i]
                    if row < 0:
                        row, ui = count - 1, ui + box
                    elif row == count:
                        row, ui = 0, ui - box
                    # The neighbours in a row of cells are contiguous, but for the one across the boundary.
                    for part in range(2):
                        vi = v[i]
                        if part == 0:
                            low, high = max(b - 1, 0), min(b + 1, count - 1)
                        elif b == 0:
                            low, high, vi = count - 1, count - 1, vi + box
                        elif b == count - 1:
                            low, high, vi = 0, 0, vi - box
                        else:
                            continue
                        for j in range(start[row * count + low], start[row * count + high + 1]):
                            du, dv = ui - u[j], vi - v[j]
                            r = np.sqrt(du * du + dv * dv)
                            factor = (radius - r) / r if zero < r < radius else zero
                            fu -= factor * du
                            fv -= factor * dv
                result[order[i], 0] = fu / n
                result[order[i], 1] = fv / n
        return result

    return run
