"""The fast multipole method, for kernels that are singular or have a kink at 0 and are smooth elsewhere.

Boxes of a tree that do not touch, but whose parents do, act on each other by Chebyshev expansions of the kernel,
whatever it is; leaves that touch act by their pairs. The error relative to the force of a source is that of the
expansion at a distance of two boxes, the same for all levels where W is a power: it does not grow when a cloud
contracts. Time is O(n), memory O(n).
"""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from mckean.faults import Status, sound
from mckean.interactions import costs
from mckean.interactions.kernels import AbstractKernel, FourierSeries
from mckean.interactions.memory import rung
from mckean.interactions.multipole import tree
from mckean.interactions.multipole.engine import Engine, rows_together
from mckean.interactions.multipole.expansions import Basis, displacements, homogeneous
from mckean.interactions.multipole.trial import expansion_for
from mckean.interactions.sums import direct
from mckean.interactions.sums.cells import linear
from mckean.interactions.sums.sum import AbstractSum, Points, at, atoms, require_sum_tolerance
from mckean.measures import AbstractMeasure, Density, Particles, dtype_of, mesh_of
from mckean.spaces import AbstractSpace, Torus

_LEAVES = (16, 32, 64, 128, 256, 512)
_SPARE_LEVELS, _SPARE_BOXES = 3, 64


class FMM(AbstractSum):
    """The fast multipole method: expansions for far boxes, pairs for near ones; O(n) for any cloud, d ≤ 3.

    It works on R^d and on tori. The cloud may contract and spread: the expansions serve boxes of all sizes that were
    tried.

    **Arguments:**

    - `tolerance`: the error of the force of a source relative to the size of ∇W. Default: 1e-9.
    - `expansion`, `depth`, `leaf`, `room`: the order of the expansions and their rank, the levels of the tree, the most
      points of a leaf, and the number of other boxes for which there is room. Default: None, the values that `plan`
      finds.

    **Raises:**

    - `ValueError` for a tolerance that is not between 1e-15 and 0.5.

    **Source:** Fong and Darve, J. Comput. Phys. 228 (2009); Carrier, Greengard and Rokhlin, SIAM J. Sci. Stat. Comput.
    9 (1988).
    """

    tolerance: float = eqx.field(static=True, default=1e-9)
    expansion: tuple[int, int] | None = eqx.field(static=True, default=None)
    depth: int | None = eqx.field(static=True, default=None)
    leaf: int | None = eqx.field(static=True, default=None)
    room: int | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        require_sum_tolerance(self.tolerance)

    def refusal(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> str | None:
        if not isinstance(mu, Particles | Density):
            return f"sums over atoms, which a {type(mu).__name__} has none of"
        if mesh_of(mu) is not None:
            return "serves particles on one device, but these are spread over several"
        if isinstance(kernel, FourierSeries):
            return "expands a kernel in space, and a Fourier series is smooth"
        if mu.domain.dim > 3:
            return "serves in dimensions 1, 2 and 3"
        return None

    def plan(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> "FMM":
        if self.expansion is not None:
            return self
        x = _places(mu, points)
        expansion = expansion_for(kernel, mu.domain, rung(float(np.ptp(x, axis=0).max())), self.tolerance)
        if expansion is None:
            raise ValueError(
                f"no expansion of this kernel between boxes that do not touch meets the tolerance {self.tolerance:g}: "
                "it is not smooth away from 0."
            )
        leaf = min(_LEAVES, key=lambda leaf: cost(kernel, mu.domain, len(x), expansion, leaf, dtype_of(mu)))
        depth, divided = tree.size_for(mu.domain, x, leaf)
        depth = min(depth + _SPARE_LEVELS, tree.deepest(mu.domain.dim))
        return FMM(self.tolerance, expansion, depth, leaf, _room(divided))

    def inspect(self, mu: AbstractMeasure, points: Points) -> Status:
        return sound(dtype_of(mu))

    def potential(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> Float[Array, " n"]:
        return self._field(kernel, mu, at(points, mu), forces=False)[:, 0]

    def force(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> Float[Array, "n d"]:
        return self._field(kernel, mu, at(points, mu), forces=True)

    def _field(self, kernel: AbstractKernel, mu: AbstractMeasure, x: Array, forces: bool) -> Array:
        if self.expansion is None or self.depth is None or self.leaf is None or self.room is None:
            raise ValueError("FMM needs a plan, made from known positions: mckean.interactions.plan.")
        expansion, depth, leaf, room = self.expansion, self.depth, self.leaf, self.room
        own = direct.own_cell(kernel, mu)
        y, w = atoms(mu)
        sound = jnp.all(jnp.isfinite(x), axis=1) & jnp.all(jnp.isfinite(y))
        same = x is y
        y = jnp.where(jnp.isfinite(y), y, 0).astype(x.dtype)
        x = y if same else jnp.where(jnp.isfinite(x), x, 0)
        theta, static = eqx.partition(kernel, eqx.is_inexact_array)

        def field(theta, x, y, w, apart: bool, whole: bool = False):
            kernel, at_zero = eqx.combine(theta[0], static), theta[1]
            if len(x) + apart * len(y) <= leaf:
                return _by_pairs(kernel, mu.domain, x, y, w, at_zero, forces)
            shape, number = tree.Shape(mu.domain, depth, leaf, room), len(x) + apart * len(y)
            # The combinations that serve W need not serve its derivatives, which take all.
            rank = Basis(mu.domain.dim, expansion[0]).size if whole else expansion[1]
            engine = Engine(kernel, (expansion[0], rank), shape, number, forces)
            # Sources and targets share a tree; where they are apart, targets have no mass, and sources are targets too.
            targets = jnp.concatenate([y, x]) if apart else x
            sources = jnp.concatenate([y, x]) if apart else y
            masses = jnp.concatenate([w, jnp.zeros(len(x), w.dtype)]) if apart else w
            planted = tree.planted(engine.shape, jax.lax.stop_gradient(targets))
            sort = lambda a: a[planted.order]  # noqa: E731
            if isinstance(mu.domain, Torus):
                targets, sources = _wrap(mu.domain, targets), _wrap(mu.domain, sources)
            out = engine.field(planted, sort(targets), sort(sources), sort(masses), at_zero)
            out = jnp.zeros_like(out).at[planted.order].set(out, unique_indices=True)
            return out[len(y) :] if apart else out

        def over_all(theta, x, y, w):
            return _by_pairs(eqx.combine(theta[0], static), mu.domain, x, y, w, theta[1], forces)

        theta = (theta, jnp.asarray(own, x.dtype))
        out = _differentiable(field, over_all, not same, forces)(theta, x, y, w.astype(x.dtype))
        return jnp.where(sound[:, None], out, jnp.nan)


def _room(divided: int) -> int:
    """Room for three times as many boxes, on a ladder: what is compiled for a cloud serves those like it."""
    return math.ceil(rung(3 * divided + _SPARE_BOXES))


def _wrap(torus: Torus, x: Array) -> Array:
    """x on the torus, its derivative that of x."""
    return x + jax.lax.stop_gradient(torus.retract(x) - x)


def _by_pairs(kernel, space: AbstractSpace, x, y, w, at_zero, forces: bool) -> Array:
    if forces:
        return direct.force(kernel, space, y, w, x)
    return direct.potential(kernel, space, y, w, x, at_zero)[:, None]


def _differentiable(field: Callable, over_all: Callable, apart: bool, forces: bool) -> Callable:
    """The field as a function of (θ, x, y, w) with its derivatives in both directions.

    Forwards the algorithm is differentiated as it is. Backwards, with a cotangent g: the derivative at a target is a
    sum over sources, that at a source the same sum over targets of masses g_i, as W is even. Derivatives of derivatives
    go over all pairs.
    """

    @jax.custom_jvp
    def summed(theta, x, y, w):
        return field(theta, x, y, w, apart)

    @summed.defjvp
    def derivative(primals, tangents):
        theta, x, y, w = primals
        dim = x.shape[1]

        def along_axes(function, points):
            """The derivatives of a field of points in each direction, (d, n, …), and the field."""
            basis = jnp.eye(dim, dtype=points.dtype)
            one = lambda e: jax.jvp(function, (points,), (jnp.broadcast_to(e, points.shape),))  # noqa: E731
            values, slopes = jax.lax.map(one, basis)
            return slopes, values[0]

        def push(*along):
            return jax.jvp(lambda *a: field(*a, apart, True), primals, along)[1]

        def pull(g):
            dx = jnp.sum(g * along_axes(lambda x: field(theta, x, y, w, apart, True), x)[0], axis=-1).T
            sign = -1.0 if forces else 1.0

            def mirrored(k):
                mass = g[:, k] * sign
                return along_axes(lambda y: field(theta, y, x, mass, apart, True)[:, k], y)

            slopes, values = jax.lax.map(mirrored, jnp.arange(g.shape[1]))
            dy, dw = w[:, None] * jnp.sum(slopes, axis=0).T, jnp.sum(values, axis=0)
            flat, unravel = ravel_pytree(theta)
            rate = lambda e: jnp.sum(g * jax.jvp(lambda t: field(unravel(t), x, y, w, apart, True), (flat,), (e,))[1])  # noqa: E731
            return unravel(jax.lax.map(rate, jnp.eye(flat.size, dtype=flat.dtype))), dx, dy, dw

        def again(*along):
            return jax.jvp(over_all, primals, along)[1]

        value = summed(*primals)
        return value, linear(push, pull, again, tangents, value)

    return summed


def _places(mu: AbstractMeasure, points: Points) -> np.ndarray:
    """All that the tree is to hold: the points, and the atoms if they are others."""
    x = np.asarray(at(points, mu), float)
    return x if _own(mu, points) else np.concatenate([np.asarray(atoms(mu)[0], float), x])


def number_of_places(mu: AbstractMeasure, points: Points) -> int:
    n = at(points, mu).shape[0]
    return n if _own(mu, points) else n + atoms(mu)[0].shape[0]


def _own(mu: AbstractMeasure, points: Points) -> bool:
    return isinstance(mu, Particles) and points is mu.positions


def cost(
    kernel: AbstractKernel, space: AbstractSpace, n: int, expansion: tuple[int, int], leaf: int, dtype: Any
) -> float:
    """Seconds of a force, roughly; infinite where all points are in one leaf."""
    return math.inf if n <= leaf else costs.seconds(work(kernel, space, n, expansion, leaf, dtype))


def work(
    kernel: AbstractKernel, space: AbstractSpace, n: int, expansion: tuple[int, int], leaf: int, dtype: Any
) -> costs.Work:
    """What a force consists of: the tree, its pairs, its expansions, and their coefficients on each level."""
    dim, (order, rank) = space.dim, expansion
    size, double = Basis(dim, order).size, dtype == jnp.float64
    pairs = costs.FMM_PAIRS[dim - 1] * n * 3**dim * max(0.6 * leaf, 12.0)
    levels, width = max(2.0, math.log2(max(n / leaf, 2)) / dim), 2**dim * rank
    # And a chunk of rows that is not full on each level, more of which are there where a cloud has a core.
    rows = 1.3 * n / leaf + (levels + 2) * 0.5 * min(rows_together(dim), n / leaf + _SPARE_BOXES)
    kinds = len(displacements(kernel, space, Basis(dim, order)).standard)
    known = 1 if homogeneous(kernel, space) else levels + 2
    flops = 2 * rows * ((3**dim - 1) * width**2 + 2**dim * size * (2 * size + 2 * rank))
    flops += 2 * known * (7**dim - 3**dim) * size * rank * (size + rank)
    expansions = {
        costs.FMM_POINT: n,
        costs.FMM_MOMENT: n * size,
        costs.FMM_FLOP_DOUBLE if double else costs.FMM_FLOP_SINGLE: flops,
        costs.FMM_VALUE: known * kinds * order ** (2 * dim),
        costs.FMM_CUBE: known * size**3,
        costs.FMM_MATRIX: (levels + 2) * (3**dim - 1) * width**2,
        costs.FMM_CALL: 1,
    }
    return costs.together(direct.work(kernel, pairs, dim, dtype), expansions)
