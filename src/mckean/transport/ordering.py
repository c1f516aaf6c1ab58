"""Sorting large arrays, also where NumPy's own sort is slow.

NumPy sorts numbers of 64 bits by vector instructions, not equally fast on all processors: 10⁶ numbers take 9 ms
on Intel's, and 54 ms on AMD Zen 4, which executes compressed stores slowly. Distributing the numbers over 2¹⁶ buckets
first, by NumPy's radix sort of 16-bit keys, leaves only partitions that fit in registers, and takes about 20 ms on
either. Which way is faster is tried once. An order is found by sorting words that hold the number, rounded
to some forty bits, and its place.
"""

import functools
import time

import numpy as np

_LARGE = 1 << 15
_BUCKETS = 1 << 16
_SAMPLE = 1 << 10
_ROW = 256


def ascending(x: np.ndarray) -> np.ndarray:
    """A sorted copy of x, shape (n,), finite; equal to `np.sort(x)`."""
    if x.size < _LARGE or not _by_buckets_is_faster():
        return np.sort(x)
    bucket = _buckets(x)
    return np.sort(x) if bucket is None else _by_buckets(x, bucket)


def order(x: np.ndarray) -> np.ndarray:
    """The permutation that sorts x, shape (n,), finite; equal to `np.argsort(x, kind="stable")`."""
    bits = max(1, (x.size - 1).bit_length())
    low, width = (x.min(), np.ptp(x)) if x.size else (0.0, 0.0)
    if x.size < _LARGE or not 1e-290 < width < 1e290:
        return np.argsort(x, kind="stable")
    # Rounded down, so that equal numbers are equal words but for their places, which keep their order.
    words = ((x - low) * (2.0 ** (62 - bits) / width)).astype(np.uint64)
    words <<= np.uint64(bits)
    words |= np.arange(x.size, dtype=np.uint64)
    ordered = ascending(words) & np.uint64(2**bits - 1)
    places = ordered.astype(np.intp)
    z = x[places]
    if np.all(z[1:] >= z[:-1]):
        return places
    # Numbers that rounding made equal; a merge sort of what is nearly sorted costs one pass.
    return places[np.argsort(z, kind="stable")]


def _by_buckets(x: np.ndarray, bucket: np.ndarray) -> np.ndarray:
    z = x[np.argsort(bucket, kind="stable")]
    rows = z[: z.size // _ROW * _ROW].reshape(-1, _ROW)
    rows.sort(axis=1)
    # Buckets that straddle two rows are left; a merge sort of what is nearly sorted costs one pass.
    z.sort(kind="stable")
    return z


@functools.cache
def _by_buckets_is_faster() -> bool:
    """On this processor, from two tries each on 2¹⁸ numbers."""
    x = np.random.default_rng(0).random(1 << 18)

    def seconds(sort) -> float:
        begun = time.perf_counter()
        sort(x)
        return time.perf_counter() - begun

    def by_buckets(x: np.ndarray) -> None:
        bucket = _buckets(x)
        assert bucket is not None, "they are spread evenly"
        _by_buckets(x, bucket)

    return min(seconds(by_buckets) for _ in range(2)) < min(seconds(np.sort) for _ in range(2))


def _buckets(x: np.ndarray) -> np.ndarray | None:
    """A non-decreasing function of x with values in 0, …, 2¹⁶−1; None where it would not help."""
    low, width = x.min(), float(np.ptp(x))
    if not 1e-290 < width < 1e290:
        return None
    scale = (_BUCKETS - 1) / width
    # Heavy tails put nearly everything into a few buckets; a sample that falls into many is far from that.
    if np.unique(((x[:: x.size // _SAMPLE] - low) * scale).astype(np.uint16)).size < _SAMPLE // 2:
        return None
    bucket = np.empty(x.size, np.uint16)
    for i in range(0, x.size, _LARGE):
        bucket[i : i + _LARGE] = (x[i : i + _LARGE] - low) * scale
    return bucket
