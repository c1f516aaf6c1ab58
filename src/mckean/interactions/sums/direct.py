"""The direct sum over all pairs, in tiles: O(n·m) work, O(tile) memory.

Targets lie along the last axis of a tile and sources along the first, over which it is summed: so the processor's
vectors run over targets, and nothing of the size of a tile needs to be written. A radial kernel is evaluated through
its profile, ∇W(z) = 2W′(|z|²)z, with one pair function for all components.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, ArrayLike, Float

from mckean import collectives
from mckean.faults import Status, sound
from mckean.interactions import costs
from mckean.interactions.kernels import AbstractKernel, AbstractRadialKernel
from mckean.interactions.memory import once
from mckean.interactions.sums.sum import AbstractSum, Points, at, atoms
from mckean.measures import AbstractMeasure, Density, Particles, dtype_of, mesh_of
from mckean.spaces import AbstractSpace, Torus

# Sources and targets of a tile: on a CPU a tile stays in its cache, on an accelerator it is one launch.
_CPU, _ACCELERATOR = (32, 1 << 15), (1024, 1 << 18)
Columns = tuple[Array, ...]


class Direct(AbstractSum):
    """All pairs, −Σ_j w_j ∇W_s(x_i − y_j): exact to rounding, in O(n·m) work and O(n + m) memory, for every kernel."""

    def refusal(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> str | None:
        if not isinstance(mu, Particles | Density):
            return f"sums over atoms, which a {type(mu).__name__} has none of"
        return None

    def plan(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> "Direct":
        return self

    def inspect(self, mu: AbstractMeasure, points: Points) -> Status:
        return sound(dtype_of(mu))

    def potential(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> Float[Array, " n"]:
        pair, x = values(kernel, own_cell(kernel, mu)), at(points, mu)
        return sum_pairs(pair, mu.domain, *atoms(mu), x, mesh_of(mu))[:, 0]

    def force(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> Float[Array, "n d"]:
        return -sum_pairs(gradients(kernel), mu.domain, *atoms(mu), at(points, mu), mesh_of(mu))


def own_cell(kernel: AbstractKernel, mu: AbstractMeasure) -> Float[ArrayLike, ""]:
    """What stands for W_s(0) where that is not finite: for a density the mean of W_s over a cell; 0 for particles."""
    return kernel.cell_mean(mu.grid.spacing) if isinstance(mu, Density) and kernel.singular else 0.0


def potential(
    kernel: AbstractKernel,
    space: AbstractSpace,
    sources: Float[Array, "n d"],
    weights: Float[Array, " n"],
    points: Float[Array, "m d"],
    at_zero: Float[ArrayLike, ""] = 0.0,
) -> Float[Array, " m"]:
    """Σ_j w_j W_s(x_i − y_j), where `at_zero` stands for W_s(0) if that is not finite."""
    return sum_tiles(values(kernel, at_zero), space, sources, weights, points)[:, 0]


def force(
    kernel: AbstractKernel,
    space: AbstractSpace,
    sources: Float[Array, "n d"],
    weights: Float[Array, " n"],
    points: Float[Array, "m d"],
) -> Float[Array, "m d"]:
    """−Σ_j w_j ∇W_s(x_i − y_j)."""
    return -sum_tiles(gradients(kernel), space, sources, weights, points)


def values(kernel: AbstractKernel, at_zero: Float[ArrayLike, ""] = 0.0) -> Callable[..., Columns]:
    """W_s of displacements given as one array for each component; `at_zero` at 0, if W_s(0) is not finite."""
    return lambda *z: (jax.vmap(jax.vmap(lambda *c: kernel.value(jnp.stack(c), at_zero)))(*z),)


def gradients(kernel: AbstractKernel) -> Callable[..., Columns]:
    """∇W_s of displacements given as one array for each component, in the same form; 0 at 0."""
    if not isinstance(kernel, AbstractRadialKernel):
        return jax.vmap(jax.vmap(lambda *c: tuple(kernel.gradient(jnp.stack(c)))))

    def pair(*z):
        square = sum(c * c for c in z)
        zero = square == 0
        away = jnp.where(zero, 1.0, square)
        slope = jax.jvp(kernel.profile, (away,), (jnp.full_like(away, 2.0),))[1]
        slope = jnp.where(zero, 0.0, slope)
        return tuple(slope * c for c in z)

    return pair


def cost(kernel: AbstractKernel, pairs: float, dim: int, dtype: Any) -> float:
    """Seconds of a force, roughly: so many operations for each pair and component."""
    return costs.seconds(work(kernel, pairs, dim, dtype))


def work(kernel: AbstractKernel, pairs: float, dim: int, dtype: Any) -> costs.Work:
    """What a force over so many pairs consists of."""
    operations = _of_a_pair(kernel, dim, dtype)
    unit = costs.PAIR_SINGLE if dtype == jnp.float32 else costs.PAIR_DOUBLE
    return {unit: pairs * dim * operations, costs.DIRECT_CALL: 1}


@once
def _of_a_pair(kernel: AbstractKernel, dim: int, dtype: Any) -> int:
    z = (jax.ShapeDtypeStruct((1, 1), dtype),) * dim
    return _operations(jax.make_jaxpr(gradients(kernel))(*z).jaxpr)


def _operations(jaxpr: Any) -> int:
    inner = [[v.jaxpr for v in e.params.values() if hasattr(v, "jaxpr")] for e in jaxpr.eqns]
    return sum(sum(map(_operations, parts)) if parts else 1 for parts in inner)


def columns_of(space: AbstractSpace, x: Columns, y: Columns) -> Columns:
    """The components of the displacement from y to x."""
    if not isinstance(space, Torus):
        return tuple(a - b for a, b in zip(x, y, strict=True))
    turns = [(a - b) * jnp.asarray(1 / side, a.dtype) for a, b, side in zip(x, y, space.lengths, strict=True)]
    return tuple((t - jnp.round(t)) * jnp.asarray(side, t.dtype) for t, side in zip(turns, space.lengths, strict=True))


def _pad(x: Array, tile: int, mode: str) -> Array:
    short = -x.shape[0] % tile
    return jnp.pad(x, [(0, short)] + [(0, 0)] * (x.ndim - 1), mode=mode).reshape(-1, tile, *x.shape[1:])


def sum_pairs(
    pair: Callable[..., Columns], space: AbstractSpace, sources, weights, points, mesh: Mesh | None
) -> Float[Array, "m k"]:
    """Σ_j w_j pair(x_i − y_j) for every target i, of sources that may be spread over devices."""
    if mesh is None:
        return sum_tiles(pair, space, sources, weights, points)
    if points.shape[0] % mesh.size:
        return collectives.total(lambda y, w: sum_tiles(pair, space, y, w, points), mesh, sources, weights)
    one = lambda block, x: sum_tiles(pair, space, block[0], block[1], x)  # noqa: E731
    return collectives.ring(one, mesh, (sources, weights), points)


def sum_tiles(pair: Callable[..., Columns], space: AbstractSpace, sources, weights, points) -> Float[Array, "m k"]:
    """Σ_j w_j pair(x_i − y_j) for every target i."""
    # Padding repeats a point that is there, with weight 0: at a made-up place a singular kernel could be infinite.
    most = collectives.by_device(_CPU, _ACCELERATOR)
    tile = min(most[0], sources.shape[0])
    y, w = _pad(sources.astype(points.dtype), tile, "edge"), _pad(weights.astype(points.dtype), tile, "constant")
    x = _pad(points, min(most[1], points.shape[0]), "edge")

    @jax.checkpoint
    def add(targets, total, tile):
        places, masses = tile
        z = columns_of(space, tuple(c[None] for c in targets.T), tuple(c[:, None] for c in places.T))
        return tuple(t + jnp.sum(masses[:, None] * v, axis=0) for t, v in zip(total, pair(*z), strict=True))

    def block(targets):
        z = tuple(jax.ShapeDtypeStruct((1, 1), targets.dtype) for _ in targets.T)
        zeros = tuple(jnp.zeros(targets.shape[:1], s.dtype) for s in jax.eval_shape(pair, *z))
        return jnp.stack(jax.lax.scan(lambda t, tile: (add(targets, t, tile), None), zeros, (y, w))[0], axis=-1)

    total = block(x[0])[None] if len(x) == 1 else jax.lax.map(block, x)
    return total.reshape(-1, total.shape[-1])[: points.shape[0]]
