"""The tree of a fast multipole sum: every pair of points is taken once, by expansions or as it is."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from singular import LONG
from tables import CIRCLE, LINE, PLANE, ROOM

import mckean as mk
from mckean.interactions.multipole import engine, tree

COVERED = {
    "line": LINE,
    "plane": PLANE,
    "circle": CIRCLE,
    "long torus": LONG,
    "room": ROOM,
    "3-torus": mk.Torus(3, (8.0, 2.0, 1.0)),
}
KINDS = ("uniform", "core", "one place", "far from it", "edges", "crowd")


def scattered(space, kind: str, seed: int, n: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    lengths = np.asarray(getattr(space, "lengths", (4.0,) * space.dim))
    x = rng.uniform(0, 1, (n, space.dim)) * lengths
    if kind == "core":
        x[n // 2 :] = x[0] + 1e-3 * rng.normal(size=(n - n // 2, space.dim))
    elif kind == "one place":
        x[:] = x[0]
    elif kind == "far from it":
        x[1:] = 0.01 * x[1:]
    elif kind == "edges":
        x = np.round(x / lengths * 8) / 8 * lengths
    elif kind == "crowd":
        # More than 32 leaves' worth in one box beside a lone point.
        x[5:] = lengths * (0.5 - 1e-4 * rng.uniform(0, 1, (n - 5, space.dim)))
        x[0] = lengths * (0.5 + 1e-4)
    return np.asarray(space.retract(jnp.asarray(x)))


@pytest.mark.parametrize("room", [200, 7])
@pytest.mark.parametrize("name", COVERED)
def test_every_pair_is_taken_once(name, room):
    """By the expansions of two boxes, which are where their displacement says, or as a pair of boxes that touch."""
    space, n = COVERED[name], 150
    shape = tree.Shape(space, 6 if space.dim < 3 else 4, 2, room)
    parts, slots = types.SimpleNamespace(shape=shape), len(shape.slots)

    @jax.jit
    def planted(x):
        found = tree.planted(shape, x)
        boxes = jnp.arange(found.levels.up.shape[1] * slots)
        return found, jax.lax.map(
            lambda level: engine.Engine._runs(parts, found, level, boxes), jnp.arange(shape.depth)
        )

    @settings(max_examples=12)
    @given(st.sampled_from(KINDS), st.integers(0, 2**16))
    def covered(kind, seed):
        x = scattered(space, kind, seed, n)
        found, (start, length) = jax.tree.map(np.asarray, planted(x))
        levels, groups = found.levels, found.groups
        taken, near = np.zeros((n, n), int), 0
        for level in range(shape.depth):
            side = found.sides[level]
            for row in range(levels.number[level]):
                for mine in range(slots):
                    to = slice(*levels.bounds[level, row, mine : mine + 2])
                    if to.start == to.stop:
                        continue
                    box = row * slots + mine
                    for first, number in zip(start[level, box], length[level, box], strict=True):
                        for group in range(first, first + number):
                            taken[to, groups.first[group] : groups.first[group] + groups.size[group]] += 1
                            near += 1
                    for t, a in np.argwhere(np.any(shape.far[level, :, mine] != 0, axis=-1)):
                        other = levels.colleague[level, row, t]
                        of = slice(*levels.bounds[level, other, a : a + 2]) if other >= 0 else slice(0, 0)
                        if of.start == of.stop:
                            continue
                        taken[to, of] += 1
                        z = found.points[to][:, None] - found.points[of][None]
                        apart = z / side - shape.far[level, t, mine, a]
                        if isinstance(space, mk.Torus):
                            counts = np.asarray(space.lengths) / side
                            apart -= np.round(apart / counts) * counts
                        assert np.abs(apart).max() <= 1 + 1e-6
        np.testing.assert_array_equal(taken, 1)
        assert kind != "uniform" or room < 100 or near < n**2 / 4
        assert int(levels.number.sum()) <= room

    covered()
