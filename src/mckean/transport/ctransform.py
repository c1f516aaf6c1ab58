"""The c-transform of a quadratic spline on a box, cost |x − y|²/2τ, whose derivative carries mass by the optimal map.

A potential is φ(x) = Σ_i c_i B(x/h − i), B the quadratic B-spline in each dimension, even at the walls: continuously
differentiable, so that the minimiser T(y) of |x − y|²/2τ − φ(x) does not stick to nodes, and it is found in closed form
on each cell. As weights B(T(y)/h − i) are positive, and are fixed where they are best, ∫φ^c dμ is concave in c, and its
derivative is −Σ_j μ_j B(T(y_j)/h − i), the measure T#μ in the spline's terms: mass exact, variance h²/4 more in each
dimension than T#μ for any T, as the nodal values Bc of φ have against any ρ.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.spaces.staggered import Axis, eigenbasis, transform


def c_transform(c: Float[Array, "*shape"], axes: tuple[Axis, ...], tau: Float[Array, ""]) -> Float[Array, "*shape"]:
    """φ^c(y) = min_x |x − y|²/2τ − φ(x) at the nodes y, one dimension after the other, for the spline of c; energy.

    In a further dimension the rows' minima are averaged, which is below the minimum by O(h²) where rows differ. The
    search looks 2τL/h² nodes far, L the greatest difference of neighbours: a farther node is never the best. Its cost
    is the number of nodes times the greatest displacement in nodes. It has derivatives of any order, in both modes.
    """
    values = -c
    for i, axis in enumerate(axes):
        values = jnp.moveaxis(_envelope(jnp.moveaxis(values, i, 0), axis.h**2 / (2 * tau)), 0, i)
    return values


def smooth(c: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The values at the nodes of the spline with coefficients c: (1/8, 3/4, 1/8) in each dimension."""
    for i in range(c.ndim):
        rows = jnp.moveaxis(c, i, 0)
        c = jnp.moveaxis((_shift(rows, -1) + 6 * rows + _shift(rows, 1)) / 8, 0, i)
    return c


def coefficients(values: Float[Array, "*shape"], axes: tuple[Axis, ...]) -> Float[Array, "*shape"]:
    """The coefficients of the spline with given values at the nodes: the inverse of `smooth`."""
    pairs = [eigenbasis(axis) for axis in axes]
    symbol = np.ones(())
    for axis, (eigenvalues, _) in zip(axes, pairs, strict=True):
        symbol = np.multiply.outer(symbol, 1 - eigenvalues * axis.h**2 / 8)
    bases = [jnp.asarray(basis, values.dtype) for _, basis in pairs]
    modes = transform(values, bases) / jnp.asarray(symbol, values.dtype)
    return transform(modes, [b.T for b in bases])


def _shift(rows: Array, by: int) -> Array:
    """Row i + by in place of row i, even at the walls."""
    return jnp.concatenate([rows[1:], rows[-1:]]) if by == 1 else jnp.concatenate([rows[:1], rows[:-1]])


@jax.custom_jvp
def _envelope(c: Array, k: Array) -> Array:
    """min_x k(x − j)² + f(x) over the real x of the box, f the spline of c along the first axis, in cells."""
    at, offset, part = _minimiser(c, k)
    return k * (offset + part) ** 2 + _spline(c, at, part)


@_envelope.defjvp
def _envelope_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    """The derivative at a fixed minimiser, whose own moves count from the second derivative on."""
    c, k = primals
    at, offset, part = _minimiser(c, k)
    change = (offset + part) ** 2 * tangents[1] + _spline(tangents[0], at, part)
    # The value from the same search.
    return k * (offset + part) ** 2 + _spline(c, at, part), change


def _spline(c: Array, at: Array, part: Array) -> Array:
    """The spline of c a part of a cell beyond the middle of the cells `at`."""
    below, here, above = _around(c, at)
    return 0.5 * (0.5 - part) ** 2 * below + (0.75 - part**2) * here + 0.5 * (0.5 + part) ** 2 * above


def _around(c: Array, at: Array) -> tuple[Array, Array, Array]:
    return tuple(jnp.take_along_axis(c, jnp.clip(at + side, 0, c.shape[0] - 1), 0) for side in (-1, 0, 1))  # pyright: ignore


def _vertex(c: Array, k: Array, at: Array, offset: Array) -> tuple[Array, Array, Array]:
    """Where k(x − j)² + f(x) is least on the cells `at`, as a part of a cell; its slope at their middles, its bend."""
    below, here, above = _around(c, at)
    bend, slope = 2 * k + below - 2 * here + above, 2 * k * offset + 0.5 * (above - below)
    vertex = jnp.where(bend > 0, -slope / jnp.where(bend > 0, bend, 1), -jnp.sign(slope))
    return jnp.clip(vertex, -0.5, 0.5), slope, bend


def _minimiser(c: Array, k: Array) -> tuple[Array, Array, Array]:
    """The cell of the minimiser, its distance from j in cells, and the part of a cell beyond its middle.

    The part has derivatives; the cell is an integer.
    """
    at, offset = _best_cell(jax.lax.stop_gradient(c), jax.lax.stop_gradient(k))
    return at, offset, _vertex(c, k, at, offset)[0]


def _best_cell(c: Array, k: Array) -> tuple[Array, Array]:
    n = c.shape[0]
    nodal = (_shift(c, -1) + 6 * c + _shift(c, 1)) / 8
    far = jnp.minimum(jnp.max(jnp.abs(jnp.diff(nodal, axis=0))) / k, n - 1).astype(jnp.int32)
    wide = jnp.pad(nodal, [(n, n)] + [(0, 0)] * (c.ndim - 1), constant_values=jnp.inf)

    def farther(r, state):
        for side in (-r, r):
            best, where = state
            value = jax.lax.dynamic_slice_in_dim(wide, n + side, n, 0) + k * (r * r).astype(c.dtype)
            state = jnp.minimum(best, value), jnp.where(value < best, side, where)
        return state

    _, where = jax.lax.fori_loop(1, far + 1, farther, (nodal, jnp.zeros(c.shape, jnp.int32)))
    node = jax.lax.broadcasted_iota(jnp.int32, c.shape, 0) + where
    best, shift = jnp.full(c.shape, jnp.inf, c.dtype), jnp.zeros(c.shape, jnp.int32)
    for side in (0, -1, 1):
        at, offset = node + side, (where + side).astype(c.dtype)
        vertex, slope, bend = _vertex(c, k, at, offset)
        below, here, above = _around(c, at)
        value = k * offset**2 + (below + 6 * here + above) / 8 + slope * vertex + 0.5 * bend * vertex**2
        better = (value < best) & (at >= 0) & (at < n)
        best, shift = (jnp.where(better, new, old) for new, old in ((value, best), (side, shift)))
    return node + shift, (where + shift).astype(c.dtype)
