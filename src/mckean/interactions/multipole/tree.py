"""An adaptive tree of boxes over points, for fast multipole sums, in arrays whose shapes depend on n alone.

Level l has boxes of the side of the whole over 2^l. Two boxes of a level that touch are *colleagues*, on a torus also
round its ends. A box is *divided* into 2^d children, some of them empty, if it has more than `leaf` points, or a
colleague with more than 32 times as many: so the sizes of neighbouring leaves go along with each other. All other
boxes are leaves. There is room for a number of divided boxes, a few times those of the cloud that was planned for;
where a cloud needs more, its smallest boxes are not divided: what is computed stays right, and takes longer.
Points are sorted along Morton's curve; those of a box are a range. On a torus the longer sides are halved first, until
boxes are as square as they can be.
"""

import itertools
from functools import cached_property
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.interactions.sums.cells import sort_order
from mckean.spaces import AbstractSpace, Torus

GROUP = 16  # points of one leaf that are worked on together
_CROWD = 32  # how many times `leaf` a colleague may hold before a box is divided on its account


class Shape:
    """What of a tree is known beforehand: how its levels divide the axes, and which slots of whom are colleagues.

    **Arguments:** `space`: R^d or a torus; `depth`: the number of levels below the whole; `leaf`: the most points of a
    box that is not divided; `room`: for how many divided boxes.
    """

    def __init__(self, space: AbstractSpace, depth: int, leaf: int, room: int):
        self.space, self.dim, self.depth, self.leaf, self.room = space, space.dim, depth, leaf, room
        self.slots = np.asarray(list(itertools.product((0, 1), repeat=self.dim)))
        self.offsets = np.asarray(list(itertools.product((-1, 0, 1), repeat=self.dim)))
        lag = np.zeros(self.dim, int)
        if isinstance(space, Torus):
            sides = np.asarray(space.lengths)
            lag = np.round(np.log2(sides.max() / sides)).astype(int)
        self.counts = 2 ** np.maximum(np.arange(depth + 1)[:, None] - lag, 0)
        """Boxes along each axis, by level."""
        self.halved = np.diff(self.counts, axis=0) > 0
        """Which axes level l halves, at place l − 1."""

    @property
    def centre(self) -> int:
        """The place in `offsets` of a box itself."""
        return len(self.offsets) // 2

    @cached_property
    def steps(self) -> tuple[np.ndarray, np.ndarray]:
        """For each level, slot and offset: the offset of the parent that the colleague is in, and its slot there."""
        ahead = self.slots[:, None] + self.offsets[None]
        parent = np.where(self.halved[:, None, None], ahead // 2, self.offsets)
        slot = np.where(self.halved[:, None, None], ahead % 2, 0)
        return self._place(parent + 1, 3), self._place(slot, 2)

    @cached_property
    def once(self) -> np.ndarray:
        """For each level and offset: whether the colleague there is not one of another offset as well."""
        counts = self.counts[1:, None]
        return self._once(counts, self.offsets)

    @cached_property
    def far(self) -> np.ndarray:
        """Displacements, in boxes, between children of colleagues that do not touch; 0 for those that do.

        By level, offset of the source's parent, slots of target and source: (depth, 3^d, 2^d, 2^d, d).
        """
        target, source = self.slots[:, None], self.slots[None]
        offset = self.offsets[:, None, None]
        step = np.where(self.halved[:, None, None, None], target - source - 2 * offset, -offset)
        kept = np.all(self.halved[:, None, None, None] | ((target == 0) & (source == 0)), axis=-1)
        if self.periodic:
            counts = self.counts[1:, None, None, None]
            step = (step + counts // 2) % counts - counts // 2
            kept = kept & self._once(self.counts[:-1, None], self.offsets)[:, :, None, None]
        return np.where((kept & (np.abs(step).max(axis=-1) >= 2))[..., None], step, 0)

    @property
    def periodic(self) -> bool:
        return isinstance(self.space, Torus)

    def _once(self, counts: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        if not self.periodic:
            return np.ones(np.broadcast_shapes(counts.shape, offsets.shape)[:-1], bool)
        return np.all((offsets == 0) | (counts >= 3) | ((counts == 2) & (offsets == 1)), axis=-1)

    @staticmethod
    def _place(digits: np.ndarray, base: int) -> np.ndarray:
        return np.sum(digits * base ** np.arange(digits.shape[-1])[::-1], axis=-1)


class Levels(NamedTuple):
    """The divided boxes and their children, level by level; row P of level l is a divided box of level l − 1."""

    bounds: Array  # (depth, rows, 2^d + 1): the ranges of points of the children
    child: Array  # (depth, rows, 2^d): the row of a divided child at the next level, else −1
    colleague: Array  # (depth, rows, 3^d): the rows of divided colleagues, else −1
    up: Array  # (depth, rows): which child of which row of the level before a row is; beyond the last for no row
    number: Array  # (depth,): of rows that are in use


class Groups(NamedTuple):
    """At most sixteen points of one leaf each, in the order of the points."""

    first: Array  # (groups,): the first point; n for no group
    size: Array  # (groups,)
    level: Array  # (groups,): of its leaf
    box: Array  # (groups,): row · 2^d + slot of its leaf
    before: Array  # (n + 1,): how many groups begin before a point
    number: Array  # ()


class Tree(NamedTuple):
    """Sorted points, and the boxes that they are in."""

    order: Array  # (n,): the sorted points' places among the given
    points: Array  # (n, d), sorted
    low: Array  # (d,): the corner of the whole
    sides: Array  # (depth, d): those of a box of level l, at place l − 1
    cells: Array  # (n, d): the integer coordinates of the sorted points' boxes of the last level
    levels: Levels
    groups: Groups


def deepest(dim: int) -> int:
    """The deepest level whose boxes have numbers of 32 bits, or of 64 in double precision."""
    return ((31, 31, 20) if jnp.result_type(float) == jnp.float64 else (30, 16, 10))[dim - 1]


def planted(shape: Shape, points: Float[Array, "n d"]) -> Tree:
    """The tree of some points, more than `leaf` of them."""
    n, dim = points.shape
    if isinstance(shape.space, Torus):
        low, size = jnp.zeros(dim, points.dtype), jnp.asarray(shape.space.lengths, points.dtype)
        within = shape.space.retract(points)
    else:
        low = jnp.min(points, axis=0)
        extent = jnp.max(jnp.max(points, axis=0) - low)
        size = jnp.broadcast_to(jnp.where(extent > 0, extent, 1.0) * (1 + 1e-6), (dim,))
        within = points
    last = shape.counts[-1]
    cells = jnp.clip(jnp.floor((within - low) / size * last), 0, last - 1).astype(jnp.uint32)
    code = _interleave(cells, shape)
    order = sort_order(code, dim * shape.depth)
    code, cells = code[order], cells[order]
    levels = _levels(shape, code, n)
    sides = size / jnp.asarray(shape.counts[1:], points.dtype)
    return Tree(order, within[order], low, sides, cells, levels, _groups(shape, levels, n))


def _interleave(cells: Array, shape: Shape) -> Array:
    wide = shape.dim * shape.depth > 32
    cells = cells.astype(jnp.uint64 if wide else jnp.uint32)
    code = jnp.zeros(cells.shape[0], cells.dtype)
    for level in range(shape.depth):
        for axis in range(shape.dim):
            place = shape.dim * level + shape.dim - 1 - axis
            code = code | ((cells[:, axis] >> level) & 1) << place
    return code


def _levels(shape: Shape, code: Array, n: int) -> Levels:
    rows, slots = most_divided(shape, n), len(shape.slots)
    parent, slot = (jnp.asarray(t) for t in shape.steps)

    def divide(carry, each):
        start, end, colleague, number, used = carry
        level, parent, slot, last = each
        # The first codes of the children: those of the parent with the slot's digits put in.
        below = (shape.dim * (shape.depth - 1 - level)).astype(code.dtype)
        digits = jnp.arange(slots, dtype=code.dtype) << below
        mask = ~((jnp.asarray(slots, code.dtype) << below) - 1)
        base = code[jnp.minimum(start, n - 1)] & jnp.where(level == 0, jnp.zeros((), code.dtype), mask)
        inner = jnp.searchsorted(code, (base[:, None] | digits[1:]).ravel()).reshape(rows, slots - 1)
        bounds = jnp.concatenate([start[:, None], inner.astype(jnp.int32), end[:, None]], axis=1)
        bounds = jnp.where(jnp.arange(rows)[:, None] < number, bounds, n)
        size = jnp.diff(bounds, axis=1)
        beside = colleague[:, parent]
        crowd = jnp.max(jnp.where(beside >= 0, size[jnp.maximum(beside, 0), slot], 0), axis=-1)
        divided = ((size > shape.leaf) | ((size > 0) & (crowd > _CROWD * shape.leaf))) & ~last
        flat = divided.ravel()
        flat = flat & (used + jnp.cumsum(flat, dtype=jnp.int32) <= shape.room)
        child = jnp.where(flat, jnp.cumsum(flat, dtype=jnp.int32) - 1, -1).reshape(rows, slots)
        up = jnp.nonzero(flat, size=rows, fill_value=rows * slots)[0].astype(jnp.int32)
        row, mine = jnp.minimum(up // slots, rows - 1), up % slots
        over = jnp.take_along_axis(colleague[row], parent[mine], axis=1)
        near = jnp.where(over >= 0, child[jnp.maximum(over, 0), slot[mine]], -1)
        pick = lambda a: jnp.append(a.ravel(), n)[up]  # noqa: E731
        more = jnp.sum(flat, dtype=jnp.int32)
        ahead = (pick(bounds[:, :-1]), pick(bounds[:, 1:]), near, more, used + more)
        return ahead, (bounds, child, colleague, up, number)

    whole = np.zeros(len(shape.offsets), np.int32) - 1
    whole[:] = 0 if shape.periodic else -1
    whole[shape.centre] = 0
    start = jnp.full(rows, n, jnp.int32).at[0].set(0)
    colleague = jnp.full((rows, len(whole)), -1, jnp.int32).at[0].set(whole)
    begin = (start, jnp.full(rows, n, jnp.int32), colleague, jnp.int32(1), jnp.int32(1))
    each = (jnp.arange(shape.depth), parent, slot, jnp.arange(shape.depth) == shape.depth - 1)
    _, (bounds, child, colleague, up, number) = jax.lax.scan(divide, begin, each)
    up = jnp.concatenate([jnp.full((1, rows), rows * slots, jnp.int32), up[:-1]])
    return Levels(bounds, child, colleague, up, number)


def most_divided(shape: Shape, n: int) -> int:
    """The most boxes of a level that are divided."""
    crowded, reach = n // (shape.leaf + 1), n // (_CROWD * shape.leaf + 1)
    return min(n, shape.room, crowded + (len(shape.offsets) - 1) * reach) + 1


def _groups(shape: Shape, levels: Levels, n: int) -> Groups:
    start, end = levels.bounds[..., :-1].ravel(), levels.bounds[..., 1:].ravel()
    light = (end > start) & (levels.child.ravel() < 0)
    mark = (
        jnp.full(n, -1, jnp.int32)
        .at[jnp.where(light, start, n)]
        .set(jnp.arange(len(start), dtype=jnp.int32), mode="drop")
    )
    place = jnp.arange(n, dtype=jnp.int32)
    begin = jax.lax.cummax(jnp.where(mark >= 0, place, 0))
    opens = (place - begin) % GROUP == 0
    before = jnp.concatenate([jnp.zeros(1, jnp.int32), jnp.cumsum(opens, dtype=jnp.int32)])
    first = jnp.nonzero(opens, size=n, fill_value=n)[0].astype(jnp.int32)
    leaf = mark[begin[jnp.minimum(first, n - 1)]]
    size = jnp.where(first < n, jnp.minimum(end[leaf] - first, GROUP), 0)
    boxes = levels.child[0].size
    return Groups(first, size, leaf // boxes, leaf % boxes, before, before[-1])


def size_for(space: AbstractSpace, points: np.ndarray, leaf: int) -> tuple[int, int]:
    """The levels that the boxes of known points take until each has no more than `leaf`; how many are divided."""
    most = deepest(space.dim)
    if isinstance(space, Torus):
        counts = Shape(space, most, leaf, 1).counts
        unit = np.mod(points / np.asarray(space.lengths), 1.0)
    else:
        counts = 2 ** np.arange(most + 1)[:, None] * np.ones(space.dim, int)
        extent = float(np.ptp(points, axis=0).max())
        unit = (points - points.min(axis=0)) / (extent * (1 + 1e-6) if extent > 0 else 1.0)
    divided = 1
    for level in range(1, most + 1):
        cells = np.minimum((unit * counts[level]).astype(np.int64), counts[level] - 1)
        key = np.ravel_multi_index(tuple(cells.T), tuple(counts[level]))
        _, inverse, number = np.unique(key, return_inverse=True, return_counts=True)
        if not np.any(number > leaf):
            return level, divided
        divided += int(np.sum(number > leaf))
        unit = unit[number[inverse] > leaf]
    return most, divided


def rounds(number: Array, chunk: int) -> Array:
    """How many chunks hold a number of rows."""
    return (number + chunk - 1) // chunk
