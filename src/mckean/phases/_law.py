"""The density of an effective potential u: the minimum of ∫uρ + ∫Φ(ρ) among those of mass 1, Φ′(ρ) = λ − u where ρ > 0.

With the entropy Φ = β⁻¹ρ log ρ it is Gibbs's, e^{−βu}/Z. With an internal energy alone, Φ = U, it is 0 where u is
larger than λ, which the mass fixes:

    ρ = (U′)⁻¹((λ − u)_+),   ∫ρ = 1,   dρ = −w(h − ∫wh/∫w) for du = h,   w = 1/Φ″(ρ) on the support,

and w = βρ for the entropy.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.measures import Density
from mckean.models import Model, energy
from mckean.spaces import AbstractGrid, FourierGrid, calculus

_HALVINGS = 60


def density(model: Model, grid: AbstractGrid, u: Float[Array, "..."]) -> Density:
    """ρ(u)."""
    if model.internal is not None:
        return Density(grid, model.internal.inverse(_level(model, grid, u) - u))
    weight = jnp.exp(-model.beta * (u - jax.lax.stop_gradient(jnp.min(u))))
    return Density(grid, weight / calculus.integrate(grid, weight))


def weight(model: Model, rho: Density) -> Float[Array, "..."]:
    """w = 1/Φ″(ρ), 0 off the support; volume per energy and volume."""
    if model.internal is None:
        return model.beta * rho.values
    return jnp.where(rho.values > 0, _slope(model, model.internal.derivative(rho.values)), 0.0)


def mean_weight(model: Model, rho: Density) -> Float[Array, "..."]:
    """w of a steady state, in cells that an edge may cut its mean (ρ(y + δ) − ρ(y − δ))/2δ over y = λ − u ± δ.

    There w jumps or has no bound, and a node's value would be wrong by the whole cell.
    """
    plain, internal = weight(model, rho), model.internal
    if internal is None:
        return plain
    u = energy.potential(model, rho)
    # λ is one number on the support.
    y = jnp.max(jnp.where(rho.values > 0, internal.derivative(rho.values) + u, -jnp.inf)) - u
    steps = []
    for axis, n in enumerate(y.shape):
        whole = np.arange(-1, n + 1)
        at = whole % n if isinstance(rho.grid, FourierGrid) else np.clip(whole, 0, n - 1)
        steps.append((jnp.take(y, at[2:], axis) - jnp.take(y, at[:-2], axis)) / 4)
    reach = jnp.sqrt(sum(step**2 for step in steps))
    cut = jnp.abs(y - internal.derivative(jnp.zeros_like(y))) < reach
    reach = jnp.where(cut, reach, 1.0)
    mean = (internal.inverse(y + reach) - internal.inverse(y - reach)) / (2 * reach)
    return jnp.where(cut, mean, plain)


def stiffness(model: Model, grid: AbstractGrid, u: Float[Array, "..."]) -> Float[Array, ""] | float:
    """What makes an energy a number: β, or 1/U′(max ρ) = 1/(λ − min u)."""
    if model.internal is None:
        return model.beta
    return 1 / (_level(model, grid, u) - jnp.min(u))


def parts(rho: Density) -> int:
    """How many parts the support has."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    grid = rho.grid
    full = np.asarray(rho.values) > 0
    nodes, pairs = np.arange(grid.size).reshape(grid.shape), []
    for axis in range(full.ndim):
        joined = full & np.roll(full, -1, axis)
        if not isinstance(grid, FourierGrid):
            joined[(slice(None),) * axis + (-1,)] = False
        pairs.append(np.stack([nodes[joined], np.roll(nodes, -1, axis)[joined]]))
    i, j = np.concatenate(pairs, axis=1)
    graph = coo_array((np.ones(i.size), (i, j)), shape=(grid.size, grid.size))
    return int(connected_components(graph, directed=False)[0] - np.sum(~full))


def _slope(model: Model, y: Array) -> Array:
    """The derivative of (U′)⁻¹."""
    assert model.internal is not None, "asked before"
    return jax.jvp(model.internal.inverse, (y,), (jnp.ones_like(y),))[1]


def _level(model: Model, grid: AbstractGrid, u: Array) -> Array:
    """λ: by halving, and by a step of Newton's, which has its derivative."""
    internal, still = model.internal, jax.lax.stop_gradient(u)
    assert internal is not None, "asked before"
    # Between no mass, and a density that is nowhere less than the uniform one.
    flat = 1 / jnp.asarray(np.sum(np.broadcast_to(grid.cell_volume, grid.shape)), u.dtype)
    ends = jnp.min(still) + internal.derivative(jnp.zeros_like(flat)), jnp.max(still) + internal.derivative(flat)

    def halve(_, ends):
        low, high = ends
        middle = 0.5 * (low + high)
        heavy = calculus.integrate(grid, internal.inverse(middle - still)) > 1
        return jnp.where(heavy, low, middle), jnp.where(heavy, middle, high)

    frozen = eqx.tree_at(lambda m: m.internal, model, jax.lax.stop_gradient(internal))
    level = jax.lax.stop_gradient(0.5 * sum(jax.lax.fori_loop(0, _HALVINGS, halve, ends)))
    slope = calculus.integrate(grid, _slope(frozen, level - still))
    return level - (calculus.integrate(grid, internal.inverse(level - u)) - 1) / slope
