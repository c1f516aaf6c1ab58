"""Pairs within a radius, by cell lists.

    S_i = Σ_{j: |x_i − y_j| < R} w_j p(x_i − y_j)

The sources are sorted by cell, row by row. All that can be within R of a target then lies in 3^(d−1) runs of neighbours
in memory, one for each row of cells nearby: along the rows the cells are finer than R, so that a run is little longer
than 2R; across them they are no smaller than R. The runs are walked in step for thousands of targets at a time, those
with equally many candidates together. How many steps that takes is found as it runs: no capacity is guessed beforehand,
and none overflows when the cloud contracts. In R^d the grid of cells is folded onto a torus of about n cells, where
cells that are far apart share a place: the distance tells them apart, and a particle that escapes costs nothing.

Every derivative of the sum is a sum over the same pairs. Those with respect to the sources are gathered too, over the
targets near a source: nothing is scattered to them, and no step of a loop is stored.
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, ArrayLike, Float, Int, Integer

from mckean.checks import require, traced
from mckean.spaces import AbstractSpace, Euclidean, Torus

_FINE = 4  # cells along a row for each radius: a run is (2 + 1/4)R long, not 3R
_LANES = 4096  # targets walked together: what is in use stays in cache


class _Cells(NamedTuple):
    """Points sorted by cell."""

    lower: Array  # (d,), where the first cell begins
    side: Array  # (d,)
    reach: Array  # (d,), R and what rounding adds to it
    counts: Array  # (d,), cells in each direction; those beyond begin anew
    starts: Array  # (size + 1,), how many points are in earlier cells
    order: Array  # (n,)
    members: Array  # (2n,), the points of each row of cells twice: a run that wraps round is one run


class _Pairs(NamedTuple):
    """The candidates of each target: 3^(d−2) jobs of 3 runs for d > 2, in chunks of jobs with similarly many."""

    target: Array  # (jobs,)
    start: Array  # (chunks, runs, lanes), places in `source`
    length: Array  # (chunks, runs, lanes)
    source: Array  # (2n,)


def sort_order(keys: Integer[Array, " n"], bits: int) -> Int[Array, " n"]:
    """The stable order of integers in [0, 2^bits).

    Key and place go into one word, as many bits of the key at a time as there is room for: XLA sorts words six times
    as fast as pairs.
    """
    width = max(1, (keys.shape[0] - 1).bit_length())
    place = order = jnp.arange(keys.shape[0], dtype=jnp.uint32)
    for low in range(0, bits, 32 - width):
        digits = (keys[order] >> low).astype(jnp.uint32) << width
        order = order[jnp.sort(digits | place) & (2**width - 1)]
    return order.astype(jnp.int32)


def _flat(index: Int[Array, "d ..."], counts: Int[Array, " d"]) -> Int[Array, "..."]:
    return functools.reduce(lambda flat, pair: flat * pair[0] + pair[1], zip(counts, index, strict=True), 0 * index[0])


def _fold(cell: Float[Array, "..."], counts: Int[Array, "..."]) -> Int[Array, "..."]:
    """The cell's place on the folded grid: exact for cells that points are in, and some place for all others."""
    return jnp.clip(cell - counts * jnp.floor(cell / counts), 0, counts - 1).astype(jnp.int32)


def _index(cells: _Cells, x: Float[Array, "n d"]) -> Int[Array, "d n"]:
    return _fold(jnp.floor((x - cells.lower) / cells.side), cells.counts).T


def _cells(space: AbstractSpace, x: Float[Array, "n d"], radius: Array) -> _Cells:
    n, d = x.shape
    # As many cells as sorting in one go has room for, if that is a fair number.
    size, room = max(4 * n, 4 * 3**d), 2**32 >> max(1, (n - 1).bit_length())
    size = min(size, room) if 4 * room >= n else n
    if isinstance(space, Torus):
        x, lower, extent = space.retract(x), jnp.zeros(d, x.dtype), jnp.asarray(space.lengths, x.dtype)
    else:
        lower = jnp.min(x, axis=0)
        extent = jnp.max(x, axis=0) - lower
    # A coordinate is rounded by eps times the extent, and so is its cell: with this margin no pair is lost to it.
    reach = radius + 8 * float(jnp.finfo(x.dtype).eps) * (extent + radius)
    side = reach * jnp.asarray([1.0] * (d - 1) + [1 / _FINE], x.dtype)
    # The largest c with ∏ min(wanted, c) ≤ size: short sides have the cells they want, long ones share the rest.
    wanted = jnp.maximum(extent / side, 1.0) if isinstance(space, Torus) else extent / side + 3.0
    short = jnp.sort(wanted)
    taken = jnp.cumprod(jnp.concatenate([jnp.ones(1, x.dtype), short[:-1]]))
    cap = jnp.max((0.999 * size / taken) ** jnp.asarray(1 / np.arange(d, 0, -1), x.dtype))
    counts = jnp.minimum(wanted, cap).astype(jnp.int32)

    def grid(side):
        cells = _Cells(lower, side, reach, counts, *[jnp.zeros(0)] * 3)
        index = _index(cells, x)
        key = _flat(index, counts)
        return cells, key, key - index[-1], jnp.zeros(size, jnp.int32).at[key].add(1)

    if isinstance(space, Torus):
        # Fewer than three rows would be each other's neighbours twice.
        counts = jnp.where((counts < 3) & (np.arange(d) < d - 1), 1, counts)
        cells, key, row, tally = grid(extent / counts)
    else:
        # Cells wide enough for the whole cloud, or folded ones: whichever leaves fewer candidates.
        wide, folded = grid(jnp.maximum(side, extent / (counts - 1))), grid(side)
        crowds = [jnp.sum(t.astype(x.dtype) ** 2) * (1 + 2 * reach[-1] / c.side[-1]) for c, _, _, t in (wide, folded)]
        cells, key, row, tally = jax.tree.map(lambda *a: jnp.where(crowds[0] <= crowds[1], *a), wide, folded)
    order = sort_order(key, (size - 1).bit_length())
    starts = jnp.concatenate([jnp.zeros(1, jnp.int32), jnp.cumsum(tally, dtype=jnp.int32)])
    row = row[order]
    begin = starts[row]
    place = begin + jnp.arange(n, dtype=jnp.int32)
    members = jnp.zeros(2 * n, jnp.int32).at[place].set(order, unique_indices=True)
    members = members.at[place + starts[row + counts[-1]] - begin].set(order, unique_indices=True)
    return cells._replace(starts=starts, order=order, members=members)


def _pairs(space: AbstractSpace, points: Float[Array, "m d"], cells: _Cells, same: bool) -> _Pairs:
    (m, d), counts, ends = points.shape, cells.counts, cells.counts[-1]
    x = space.retract(points)
    index = _index(cells, x)
    # Neighbours in space stay neighbours in memory among those with equally many candidates.
    order = cells.order if same else sort_order(_flat(index, counts), (cells.starts.shape[0] - 2).bit_length())
    x, index = x[order], index[:, order]
    # Its row and those next to it, in every direction but the last.
    offsets = np.asarray(list(itertools.product((-1, 0, 1), repeat=d - 1)), np.int32).reshape(3 ** (d - 1), d - 1)
    rows = (index[:-1] + offsets[:, :, None]) % counts[:-1, None]
    there = jnp.all((counts[:-1] >= 3) | (offsets == 0), axis=1)[:, None]
    first = _flat(jnp.concatenate([jnp.moveaxis(rows, 1, 0), jnp.zeros((1, len(offsets), m), jnp.int32)]), counts)
    # From which cell of such a row to which.
    along = x[:, -1] - cells.lower[-1]
    low, high = (jnp.floor((along + r) / cells.side[-1]) for r in (-cells.reach[-1], cells.reach[-1]))
    low, span = _fold(low, ends), jnp.minimum(high - low + 1, ends).astype(jnp.int32)
    high = low + span
    at = lambda column: cells.starts[first + column]  # noqa: E731
    begin, start = at(0), at(low)
    length = at(jnp.where(high > ends, high - ends, high)) - start + jnp.where(high > ends, at(ends) - begin, 0)
    runs = min(3, len(offsets))
    start, length = (
        a.reshape(-1, runs, m).swapaxes(0, 1).reshape(runs, -1) for a in (begin + start, jnp.where(there, length, 0))
    )
    # Most candidates first. The bits of a float are its logarithm, nearly: these eight are its eighths of octaves.
    total = jnp.sum(length, axis=0).astype(jnp.float32)
    job = sort_order(255 - (jax.lax.bitcast_convert_type(1 + total, jnp.int32) - 0x3F800000 >> 20), 8)
    return _Pairs(order[job % m], _chunks(start[:, job]), _chunks(length[:, job]), cells.members)


def _chunks(a: Array) -> Array:
    """(…, jobs) as (chunks, …, lanes), padded with zeros."""
    lanes = min(_LANES, a.shape[-1])
    padded = jnp.pad(a, [(0, 0)] * (a.ndim - 1) + [(0, -a.shape[-1] % lanes)])
    return jnp.moveaxis(padded.reshape(*a.shape[:-1], -1, lanes), -2, 0)


def _split(a: Array) -> tuple[Array, ...]:
    """The columns of an array of shape (n, …): an array of shape (n,) for each component."""
    return tuple(a.reshape(a.shape[0], -1).T)


def _walk(part: Callable, pairs: _Pairs, targets: Any, sources: Any, shared: bool = False) -> Any:
    """Σ_j part(target_i, source_j, live) over the candidates j of each target i, or of all targets if `shared`.

    `targets` and `sources` are trees of columns. `part` takes trees of arrays of shape (lanes,), and gives such trees,
    or trees that are `shared`: summed over the lanes. What is not `live` must count 0.
    """
    m = jax.tree.leaves(targets)[0].shape[0]
    sources = jax.tree.map(lambda a: a[pairs.source], sources)
    at = lambda a, place: a.at[place].get(mode="promise_in_bounds", wrap_negative_indices=False)  # noqa: E731
    put = lambda rows, value: jax.lax.dynamic_update_index_in_dim(rows, value, 0, 0)  # noqa: E731

    def chunk(work):
        start, length, target = work
        ends = jnp.cumsum(length, axis=0, dtype=jnp.int32)
        shift = start - (ends - length)

        def visit(s, carry):
            total, places, rows = carry
            place = shift[-1]
            for end, earlier in zip(ends[-2::-1], shift[-2::-1], strict=True):
                place = jnp.where(s < end, earlier, place)
            # What is written into an array in place, XLA computes once, and not in each loop that reads it; nor does
            # it split that loop over threads, which costs more than the loop where it reads from a long array.
            places = put(places, jnp.clip(s + place, 0, pairs.source.shape[0] - 1))
            rows = jax.tree.map(lambda r, a: put(r, at(a, places[0])), rows, sources)
            terms = part(target, jax.tree.map(lambda r: r[0], rows), s < ends[-1])
            return jax.tree.map(jnp.add, total, terms), places, rows

        rows = jax.tree.map(lambda a: jnp.zeros((2, start.shape[1]), a.dtype), (ends[0], sources))
        like = jax.eval_shape(part, target, jax.tree.map(lambda r: r[0], rows[1]), ends[-1] > 0)
        zero = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), like)
        return jax.lax.fori_loop(0, jnp.max(ends[-1]), visit, (zero, *rows))[0]

    total = jax.lax.map(chunk, (pairs.start, pairs.length, jax.tree.map(lambda a: _chunks(a[pairs.target]), targets)))
    if shared:
        return jax.tree.map(lambda a: jnp.sum(a, axis=0), total)
    jobs = pairs.target.shape[0]
    return jax.tree.map(lambda a: jnp.zeros(m, a.dtype).at[pairs.target].add(a.ravel()[:jobs]), total)


def pair_sum(
    pair: Callable,
    space: AbstractSpace,
    sources: Float[Array, "n d"],
    weights: Float[Array, " n"],
    points: Float[Array, "m d"],
    radius: Float[ArrayLike, ""],
) -> Float[Array, "m ..."]:
    """S_i = Σ_j w_j p(x_i − y_j) over the j with |x_i − y_j| < R; on a torus x_i − y_j is the shortest displacement.

    Time is O(n + m + pairs within some 2R), memory O(n + m); the pair i = j is one of them. Derivatives with respect to
    positions, weights and the arrays in p, forward and reverse, cost a few times the sum; they take the set of pairs as
    it is. Derivatives of derivatives go over all pairs of points. S is NaN where positions are not finite: all of it
    for a source, S_i for a target.

    **Arguments:** `pair`: p, a function of a displacement (d,) with real values of any shape, finite at 0 with its
    derivatives; `space`: R^d or a torus; `sources`: y, shape (n, d); `weights`: w, shape (n,); `points`: x, shape
    (m, d), which sets the precision; `radius`: R > 0, in the unit of the coordinates, of any size also on a torus.
    **Raises** `ValueError` for another space, and a radius that is not positive and finite.
    """
    if not isinstance(space, (Euclidean, Torus)):
        raise ValueError(f"cell lists are for R^d and the torus, not for {space}.")
    sensible = traced(radius) or 0 < float(np.asarray(radius)) < np.inf
    require(sensible, f"the radius of a pair sum must be positive and finite, not {radius}.")
    dtype, same = points.dtype, points is sources
    radius = jax.lax.stop_gradient(jnp.asarray(radius, dtype))
    sound = jnp.all(jnp.isfinite(points), axis=1) & jnp.all(jnp.isfinite(sources))
    x, y = (jnp.where(jnp.isfinite(a), a, 0).astype(dtype) for a in (points, sources))
    closed = eqx.filter_closure_convert(pair, jax.ShapeDtypeStruct((space.dim,), dtype))
    theta, other = eqx.partition(closed, eqx.is_inexact_array)
    numbers, static = eqx.partition(other, eqx.is_array)
    shape = jax.eval_shape(closed, x[0]).shape
    lines = [Torus(1, side) for side in space.lengths] if isinstance(space, Torus) else [Euclidean(1)] * space.dim

    def term(theta, x, source, live, fixed):
        (y, w), (numbers, radius) = source, fixed
        # By components, as far as p allows: XLA makes few loops over the lanes of scalars, but many of vectors.
        z = [line.displacement(a[None], b[None])[0] for line, a, b in zip(lines, x, y, strict=True)]
        near = live & (sum(c**2 for c in z) < radius**2)
        # p need not be finite beyond R.
        value = eqx.combine(theta, numbers, static)(jnp.stack([jnp.where(near, c, 0) for c in z])).astype(dtype)
        return tuple(jnp.where(near, w * value[k], 0) for k in np.ndindex(shape))

    part = jax.vmap(term, in_axes=(None, 0, 0, 0, None))
    pairs = _pairs(space, jax.lax.stop_gradient(x), _cells(space, jax.lax.stop_gradient(y), radius), same)
    total = _differentiable(part, space, same)(theta, x, y, weights.astype(dtype), (numbers, radius), pairs)
    return jnp.where(sound.reshape(-1, *[1] * len(shape)), total.reshape(-1, *shape), jnp.nan)


def _differentiable(part: Callable, space: AbstractSpace, same: bool) -> Callable:
    """Σ_j part as a function of (θ, x, y, w, …), one column a component, with derivatives in θ, x, y and w."""

    @jax.custom_jvp
    def summed(theta, x, y, w, fixed, pairs):
        terms = lambda x, source, live: part(theta, x, source, live, fixed)  # noqa: E731
        return jnp.stack(_walk(terms, pairs, _split(x), (_split(y), w)), axis=1)

    @summed.defjvp
    def derivative(primals, tangents):
        theta, x, y, w, fixed, pairs = primals
        of = lambda live: lambda theta, x, source: part(theta, x, source, live, fixed)  # noqa: E731

        def push(dtheta, dx, dy, dw):
            def terms(targets, sources, live):
                (x, dx), (source, along) = targets, sources
                return jax.jvp(of(live), (theta, x, source), (dtheta, dx, along))[1]

            targets, sources = (_split(x), _split(dx)), ((_split(y), w), (_split(dy), dw))
            return jnp.stack(_walk(terms, pairs, targets, sources), axis=1)

        def pull(g):
            def back(which, targets, source, live):
                return jax.vjp(of(live), theta, targets[0], source)[1](targets[1])[which]

            targets, sources = (_split(x), _split(g)), (_split(y), w)
            mirrored = lambda source, targets, live: back(2, targets, source, live)  # noqa: E731
            dtheta = _walk(functools.partial(back, 0), pairs, targets, sources, shared=True)
            dx = _walk(functools.partial(back, 1), pairs, targets, sources)
            dy, dw = _walk(mirrored, _pairs(space, y, _cells(space, x, fixed[1]), same), sources, targets)
            return dtheta, jnp.stack(dx, axis=1), jnp.stack(dy, axis=1), dw

        def over_all(*along):
            def direct(theta, x, y, w):
                every = lambda x: tuple(jnp.broadcast_to(c, w.shape) for c in x)  # noqa: E731
                row = lambda x: of(jnp.ones(w.shape, bool))(theta, every(x), (_split(y), w))  # noqa: E731
                return jax.lax.map(lambda x: jnp.stack([jnp.sum(c) for c in row(x)]), x)

            return jax.jvp(direct, (theta, x, y, w), along)[1]

        value = summed(*primals)
        return value, linear(push, pull, over_all, tangents[:4], value)

    return summed


def linear(push: Callable, pull: Callable, same: Callable, along: tuple, like: Array) -> Array:
    """A·along, where `push` is A and `pull` its transpose; `same` is A in a form that JAX can differentiate again.

    JAX lets the transpose of a linear map be given if it is that of a solve: (u, v) ↦ (u, v − A u) is undone by
    (u, v) ↦ (u, v + A u). It wants all that is solved for to be tangents: u and v are one vector.
    """
    u, unravel = ravel_pytree(along)

    def add(function, b):
        return b.at[u.size :].add(function(*unravel(b[: u.size])).ravel().astype(b.dtype))

    def add_back(b):
        back = pull(b[u.size :].reshape(like.shape).astype(like.dtype))
        return b.at[: u.size].add(ravel_pytree(back)[0].astype(b.dtype))

    solution = jax.lax.custom_linear_solve(
        lambda b: 2 * b - add(same, b),
        jnp.pad(u, (0, like.size)),
        solve=lambda _, b: add(push, b),
        transpose_solve=lambda _, b: add_back(b),
    )
    return solution[u.size :].reshape(like.shape).astype(like.dtype)
