"""Fields by an adaptive tree of boxes: expansions between boxes that do not touch, pairs between leaves that do.

Moments go up the tree, from leaves to their ancestors. On the way down every box takes the field of its parent, and of
those boxes of its level that do not touch it, though their parents touch. What is left for a leaf are boxes that touch
it or an ancestor of it and are not divided, or not both: their pairs. Loops run over what there is, in chunks of one
shape: arrays have room for every cloud, and time goes by the cloud at hand.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mckean.interactions.kernels import AbstractKernel, PowerLaw
from mckean.interactions.multipole import tree as trees
from mckean.interactions.multipole.expansions import Basis, displacements, homogeneous, principal, transfers
from mckean.interactions.multipole.tree import GROUP, Shape, Tree
from mckean.interactions.sums import direct
from mckean.interactions.sums.cells import sort_order

_ROWS = (1024, 1024, 128)  # rows of boxes that are worked on together, by dimension
# Groups of points that are: a large cloud fills many chunks, in which a fusion runs on all cores.
_FEWEST, _MOST = 64, 1024


def rows_together(dim: int) -> int:
    """How many rows of boxes are worked on at once."""
    return _ROWS[dim - 1]


class Engine:
    """The parts of the algorithm, for a kernel on a space.

    **Arguments:** `expansion`: p, and how many combinations of the T_α act on other boxes; `shape`: that of the tree;
    `points`: their number; `forces`: whether −∇W is asked for, or W.
    """

    def __init__(self, kernel: AbstractKernel, expansion: tuple[int, int], shape: Shape, points: int, forces: bool):
        self.kernel, self.space, self.forces = kernel, shape.space, forces
        order, self.rank = expansion
        self.shape, self.basis = shape, Basis(shape.dim, order)
        self.far = displacements(kernel, self.space, self.basis)
        self.width = shape.dim if forces else 1
        self.rows = min(rows_together(shape.dim), shape.room)
        self.groups = min(max(_FEWEST, 2 ** (points // 384).bit_length()), _MOST)

    def field(self, tree: Tree, x: Array, y: Array, w: Array, at_zero: Array) -> Array:
        """Σ_j w_j W(x_i − y_j), or minus its gradient, at sorted targets, from sorted sources at the same places."""
        fields = self._downward(tree, self._upward(tree, self._moments(tree, y, w)))
        out = self._near(tree, x, y, w, at_zero, self._far(tree, x, fields))
        # A group holds its points in order.
        group = tree.groups.before[1:] - 1
        return out[group, :, jnp.arange(len(w)) - tree.groups.first[group]]

    def _slices(self, tree: Tree, which: Array, *arrays: Array) -> tuple[Array, ...]:
        """The points of some groups, (groups, 16, …); beyond a group's size, some others'."""
        n = arrays[0].shape[0]
        place = jnp.minimum(tree.groups.first[which][:, None] + np.arange(GROUP), n - 1)
        return tuple(a[place] for a in arrays)

    def _first(self, tree: Tree) -> tuple[Array, int]:
        """The number before the first row of each level, and of all rows."""
        number = tree.levels.number
        return jnp.cumsum(number) - number, self.shape.room

    def _leaves(self, tree: Tree, which: Array) -> Array:
        """The numbers of the leaves of some groups, row · 2^d + slot with the rows of all levels."""
        return self._first(tree)[0][tree.groups.level[which]] * len(self.shape.slots) + tree.groups.box[which]

    def _local(self, tree: Tree, which: Array, x: Array) -> tuple[Array, Array]:
        """Coordinates in [−1, 1] of the points of some groups in their leaves, and the leaves' sides."""
        first = jnp.minimum(tree.groups.first[which], len(x) - 1)
        level = tree.groups.level[which]
        drop = np.log2(self.shape.counts[-1] / self.shape.counts[1:]).astype(np.uint32)
        side = tree.sides[level]
        centre = tree.low + ((tree.cells[first] >> jnp.asarray(drop)[level]).astype(x.dtype) + 0.5) * side
        z = self._slices(tree, which, x)[0] - centre[:, None]
        inside = np.arange(GROUP)[None, :, None] < tree.groups.size[which][:, None, None]
        return jnp.where(inside, 2 * z / side[:, None], 0.0), side

    def _moments(self, tree: Tree, y: Array, w: Array) -> Array:
        """Σ_j w_j T_α of the points of each leaf: (rows · 2^d, size)."""
        boxes = self._first(tree)[1] * len(self.shape.slots)

        def chunk(c, out):
            which = self._chunk(tree, c)
            u, _ = self._local(tree, which, y)
            mass = self._slices(tree, which, w)[0]
            product = jnp.where(np.arange(GROUP) < tree.groups.size[which][:, None], mass, 0.0)[:, None]
            for axis in range(self.space.dim):
                one = jnp.stack(self.basis.polynomials(u[..., axis]), axis=1)
                product = (product[:, :, None] * one[:, None]).reshape(len(which), -1, GROUP)
            leaf = jnp.where(self._chunk(tree, c, False) < tree.groups.number, self._leaves(tree, which), boxes)
            return out.at[leaf].add(jnp.sum(product, axis=2)[:, self.basis.place], mode="drop")

        out = jnp.zeros((boxes, self.basis.size), y.dtype)
        return jax.lax.fori_loop(0, trees.rounds(tree.groups.number, self.groups), chunk, out)

    def _chunk(self, tree: Tree, c: Array, within: bool = True) -> Array:
        place = c * self.groups + jnp.arange(self.groups)
        return jnp.minimum(place, len(tree.groups.first) - 1) if within else place

    def _shifts(self, level: Array, dtype) -> Array:
        """The matrices of a level's slots from moments of children to those of their parent."""
        kind = jnp.asarray(np.where(self.shape.halved[:, None], self.shape.slots, 2))[level]
        return jnp.stack([self.basis.shift(k, dtype) for k in kind])

    def _upward(self, tree: Tree, moments: Array) -> Array:
        """The moments of all boxes, from those of the leaves."""
        levels, slots, (first, total) = tree.levels, len(self.shape.slots), self._first(tree)

        def on_level(i, moments):
            level = self.shape.depth - 1 - i
            # (2^d · size, size): all slots' moments at once.
            matrix = self._shifts(level, moments.dtype).transpose(0, 2, 1).reshape(-1, self.basis.size)

            def chunk(c, moments):
                row = c * self.rows + jnp.arange(self.rows)
                live, row = row < levels.number[level], jnp.minimum(row, levels.up.shape[1] - 1)
                up = jnp.where(live, first[level - 1] * slots + levels.up[level, row], total * slots)
                below = moments.reshape(total, -1)[first[level] + row]
                return moments.at[up].set(below @ matrix, mode="drop")

            return jax.lax.fori_loop(0, trees.rounds(levels.number[level], self.rows), chunk, moments)

        return jax.lax.fori_loop(0, self.shape.depth - 1, on_level, moments)

    def _downward(self, tree: Tree, moments: Array) -> Array:
        """The coefficients of the field of far sources in every box: those of its parent's, and of its own level."""
        levels, slots, (first, room) = tree.levels, len(self.shape.slots), self._first(tree)
        rows, size = levels.up.shape[1], self.basis.size
        scaled = homogeneous(self.kernel, self.space) and self.forces
        exponent = self.kernel.exponent if isinstance(self.kernel, PowerLaw) else 0.0
        known = self._action(jnp.ones_like(tree.sides[0])) if scaled else None

        def on_level(level, carry):
            side = tree.sides[level]
            action = self._action(side) if known is None else known
            carry = fields, *buffers = self._of_level(tree, moments, level, action, carry)
            power = 1.0 if known is None else side[0] ** exponent
            shift = self._shifts(level, moments.dtype).transpose(1, 0, 2).reshape(size, -1)
            chunks = trees.rounds(levels.number[level], self.rows)

            def chunk(c, fields):
                row = c * self.rows + jnp.arange(self.rows)
                place = jnp.where(row < levels.number[level], first[level] + row, room)
                row = jnp.minimum(row, rows - 1)
                before = fields.reshape(-1, size)[first[level - 1] * slots + levels.up[level, row]]
                own = buffers[1][row].reshape(self.rows, slots, self.rank) @ action[0].T
                total = (before @ shift).reshape(self.rows, slots, size) + power * own
                return fields.at[place].set(total.reshape(self.rows, -1), mode="drop")

            return jax.lax.fori_loop(0, chunks, chunk, fields), *buffers

        def if_any(level, carry):
            # All boxes of the first two levels touch.
            needed = (levels.number[level] > 0) & (level > 0)
            return jax.lax.cond(needed, lambda carry: on_level(level, carry), lambda carry: carry, carry)

        zeros = [jnp.zeros((rows, slots * self.rank), moments.dtype)] * 2
        carry = (jnp.zeros((room, slots * size), moments.dtype), *zeros)
        return jax.lax.fori_loop(0, self.shape.depth, if_any, carry)[0].reshape(-1, size)

    def _of_level(self, tree: Tree, moments: Array, level: Array, action: tuple, carry: tuple) -> tuple:
        """Puts what the boxes of a level add to the far ones among them, in combinations, into the last of three."""
        levels, slots, (first, room) = tree.levels, len(self.shape.slots), self._first(tree)
        rows, size = levels.up.shape[1], self.basis.size
        others = np.delete(np.arange(len(self.shape.offsets)), self.shape.centre)
        number = jnp.asarray(self.far.number[tuple(np.moveaxis(self.shape.far[:, others], -1, 0) + 3)])
        vectors, actions, odd = action
        fields, compressed, added = carry
        chunks = trees.rounds(levels.number[level], self.rows)
        within = lambda c: jnp.minimum(c * self.rows + jnp.arange(self.rows), rows - 1)  # noqa: E731

        def compress(c, compressed):
            values = moments.reshape(room, slots, size)[first[level] + within(c)] @ vectors
            return compressed.at[within(c)].set(values.reshape(self.rows, -1))

        compressed = jax.lax.fori_loop(0, chunks, compress, compressed)

        def between(t, a):
            """What the children of a box, all at once, add to one in another: (2^d · rank, rank)."""
            which = number[level, t, a]
            flips = jnp.asarray(self.far.flips)[which]
            sign = jnp.where(jnp.sum(flips[:, None] & odd, axis=-1) % 2 == 1, -1.0, 1.0)
            sign = jnp.where(which[:, None] >= 0, sign, 0.0)
            matrix = actions[jnp.asarray(self.far.kind)[which]].swapaxes(1, 2) * (sign[:, :, None] * sign[:, None])
            return matrix.astype(moments.dtype).reshape(-1, self.rank)

        def offset(t, added):
            matrix = jnp.concatenate([between(t, a) for a in range(slots)], axis=1)

            def chunk(c, added):
                source = levels.colleague[level, within(c), jnp.asarray(others)[t]]
                values = jnp.where((source >= 0)[:, None], compressed[jnp.maximum(source, 0)], 0.0)
                before = jnp.where(t > 0, added[within(c)], 0.0)
                return added.at[within(c)].set(before + values @ matrix)

            return jax.lax.fori_loop(0, chunks, chunk, added)

        return fields, compressed, jax.lax.fori_loop(0, len(others), offset, added)

    def _action(self, sides: Array) -> tuple[Array, Array, Array]:
        """The combinations of the T_α, (size, rank), what acts between them by kind of displacement, their parities."""
        coefficients = transfers(self.kernel, self.space, self.basis, self.far.standard, sides, not self.forces)
        if self.rank >= self.basis.size:
            vectors = jnp.eye(self.basis.size, dtype=coefficients.dtype)
        else:
            vectors = principal(jax.lax.stop_gradient(coefficients), self.basis, self.far)[0][:, : self.rank]
        order = jnp.asarray(self.far.permutation)

        def act(kind):
            turned = coefficients[kind[0]][kind[1][:, None], kind[1][None]]
            return vectors.T @ turned @ vectors

        actions = jax.lax.map(act, (jnp.asarray(self.far.origin), order))
        odd = jnp.asarray(self.basis.degrees % 2 == 1)[jnp.argmax(jnp.abs(vectors), axis=0)]
        return vectors, actions, odd

    def _far(self, tree: Tree, x: Array, fields: Array) -> Array:
        """The fields of the expansions at the points of each group: (groups, width, 16)."""
        groups, dim = len(tree.groups.first), self.space.dim
        out = jnp.zeros((groups + self.groups, self.width, GROUP), x.dtype)

        def chunk(c, out):
            which = self._chunk(tree, c)
            u, side = self._local(tree, which, x)
            dense = self.basis.dense(fields[self._leaves(tree, which)])
            values = [self.basis.polynomials(u[..., a]) for a in range(dim)]
            if not self.forces:
                found = [_contract(dense, values)]
            else:
                found = []
                for a in range(dim):
                    along = [self.basis.slopes(u[..., a]) if i == a else v for i, v in enumerate(values)]
                    found.append(_contract(dense, along) * (-2 / side[:, a])[:, None])
            return jax.lax.dynamic_update_slice_in_dim(out, jnp.stack(found, axis=1), c * self.groups, 0)

        out = jax.lax.fori_loop(0, trees.rounds(tree.groups.number, self.groups), chunk, out)
        return out

    def _near(self, tree: Tree, x: Array, y: Array, w: Array, at_zero: Array, out: Array) -> Array:
        """Adds the pairs of boxes that touch, one of which is not divided."""
        # Groups are few beside points, but not always: they are taken in windows of a fair number.
        window = min(len(w), max(len(w) // 8, self.groups))
        windows = trees.rounds(tree.groups.number, window)

        def some(i, out):
            which = jnp.minimum(i * window + jnp.arange(window), len(w) - 1)
            live = i * window + jnp.arange(window) < tree.groups.number
            return self._near_window(tree, x, y, w, at_zero, which, live, out)

        return jax.lax.fori_loop(0, windows, some, out)

    def _near_window(self, tree: Tree, x, y, w, at_zero, which: Array, live: Array, out: Array) -> Array:
        levels, depth, slots = tree.levels, self.shape.depth, len(self.shape.slots)
        rows = levels.up.shape[1]
        level_of, box_of = tree.groups.level[which], tree.groups.box[which]

        def on_level(i, carry):
            current, out = carry
            level = depth - 1 - i
            # The box of this level that each group is in.
            above = levels.up[jnp.minimum(level + 1, depth - 1)][jnp.maximum(current, 0) // slots]
            own = jnp.where(live & (level_of == level), box_of, -1)
            current = jnp.where(current >= 0, above, own)

            def count(c, every):
                box = c * self.groups + jnp.arange(self.groups)
                length = self._runs(tree, level, jnp.minimum(box, rows * slots - 1))[1]
                return every.at[box].set(jnp.sum(length, axis=1, dtype=jnp.int32), mode="drop")

            chunks = trees.rounds(levels.number[level] * slots, self.groups)
            every = jax.lax.fori_loop(0, chunks, count, jnp.zeros(rows * slots, jnp.int32))
            total = jnp.where(current >= 0, every[jnp.maximum(current, 0)], 0)
            work = lambda out: self._near_level(tree, x, y, w, at_zero, level, which, current, total, out)  # noqa: E731
            return current, jax.lax.cond(jnp.any(total > 0), work, lambda out: out, out)

        return jax.lax.fori_loop(0, depth, on_level, (jnp.full(len(which), -1, jnp.int32), out))[1]

    def _runs(self, tree: Tree, level: Array, box: Array) -> tuple[Array, Array]:
        """Ranges of groups of the colleagues that act on some boxes of a level by pairs: first and number, (…, 3^d)."""
        levels, slots = tree.levels, len(self.shape.slots)
        parent, slot = (jnp.asarray(t)[level] for t in self.shape.steps)
        row, mine = box // slots, box % slots
        over = jnp.take_along_axis(levels.colleague[level, row], parent[mine], axis=1)
        there, known = slot[mine], jnp.maximum(over, 0)
        divided = (levels.child[level, known, there] >= 0) & (levels.child[level, row, mine] >= 0)[:, None]
        acts = (over >= 0) & ~divided & jnp.asarray(self.shape.once)[level]
        start, end = (tree.groups.before[levels.bounds[level, known, there + i]] for i in (0, 1))
        return start, jnp.where(acts, end - start, 0)

    def _near_level(self, tree: Tree, x, y, w, at_zero, level, which, current, total, out) -> Array:
        # Most candidates first. The bits of a float are its logarithm, nearly.
        bits = jax.lax.bitcast_convert_type(1 + total.astype(jnp.float32), jnp.int32)
        order = sort_order(255 - (bits - 0x3F800000 >> 20), 8)
        active = jnp.sum(total > 0, dtype=jnp.int32)
        pair = direct.gradients(self.kernel) if self.forces else direct.values(self.kernel, at_zero)
        sign, dim = -1.0 if self.forces else 1.0, self.space.dim

        def chunk(c, out):
            place = c * self.groups + jnp.arange(self.groups)
            mine = order[jnp.minimum(place, len(order) - 1)]
            start, length = self._runs(tree, level, jnp.maximum(current[mine], 0))
            ends = jnp.cumsum(jnp.where((place < active)[:, None], length, 0), axis=1)
            shift = start - (ends - length)
            targets = self._slices(tree, which[mine], x)[0]
            columns = tuple(targets[..., a].ravel()[None] for a in range(dim))

            def visit(s, sums):
                run = jnp.sum(s >= ends, axis=1)
                there = run < ends.shape[1]
                group = s + jnp.take_along_axis(shift, jnp.minimum(run, ends.shape[1] - 1)[:, None], axis=1)[:, 0]
                group = jnp.where(there, group, 0)
                places, mass = self._slices(tree, group, y, w)
                mass = jnp.where(there[:, None] & (np.arange(GROUP) < tree.groups.size[group][:, None]), mass, 0.0)
                # Else XLA computes them anew for every pair.
                places, mass = jax.lax.optimization_barrier((places, mass))
                spread = lambda a: jnp.repeat(a.T, GROUP, axis=1)  # noqa: E731
                z = direct.columns_of(self.space, columns, tuple(spread(places[..., a]) for a in range(dim)))
                weight = spread(mass)
                return tuple(t + jnp.sum(weight * v, axis=0) for t, v in zip(sums, pair(*z), strict=True))

            zeros = (jnp.zeros(self.groups * GROUP, x.dtype),) * self.width
            sums = jax.lax.fori_loop(0, jnp.max(ends[:, -1]), visit, zeros)
            sums = sign * jnp.stack([s.reshape(self.groups, GROUP) for s in sums], axis=1)
            return out.at[jnp.where(place < active, which[mine], len(out))].add(sums, mode="drop")

        return jax.lax.fori_loop(0, trees.rounds(active, self.groups), chunk, out)


def _contract(dense: Array, polynomials: list[list[Array]]) -> Array:
    """Σ_α L_α Π_a P_{α_a}, coefficients (groups, p, …, p) and polynomials (groups, 16), from the last axis on."""
    groups = dense.shape[0]
    total = dense[..., None]
    for one in polynomials[::-1]:
        shape = (groups, *[1] * (total.ndim - 3), one[0].shape[-1])
        total = functools.reduce(jnp.add, [total[..., k, :] * p.reshape(shape) for k, p in enumerate(one)])
    return total
