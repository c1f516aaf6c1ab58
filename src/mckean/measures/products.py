"""Laws of n exchangeable particles on a grid: products, marginals, symmetry, and relative entropy.

The coordinates of the product space are those of the first particle, then those of the second, and so on.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean.checks import require
from mckean.measures.density import Density
from mckean.spaces import AbstractGrid, AbstractSpace, BoxGrid, Euclidean, FourierGrid, Torus


def product_space(space: AbstractSpace, n: int) -> Torus | Euclidean:
    """The space of n points of a space. **Raises** `ValueError` for n < 1, and for a sphere, whose power is none."""
    require(isinstance(n, int) and n >= 1, f"a product has at least one factor, but n = {n!r} was given.")
    if isinstance(space, Torus):
        return Torus(n * space.dim, space.lengths * n)
    require(isinstance(space, Euclidean), f"products are built of tori and of R^d, not of {space}.")
    return Euclidean(n * space.dim)


def product_grid(grid: AbstractGrid, n: int) -> AbstractGrid:
    """The grid of n points of a grid, with grid.size^n nodes."""
    space = product_space(grid.space, n)
    if isinstance(grid, BoxGrid) and isinstance(space, Euclidean):
        return BoxGrid(space, grid.shape * n, grid.lower * n, grid.upper * n)
    assert isinstance(space, Torus), "a grid is of a torus or of a box"
    return FourierGrid(space, grid.shape * n)


@eqx.filter_jit
def tensor_power(density: Density, n: int) -> Density:
    """μ^{⊗n}, the law of n independent points: ρ(x_1)…ρ(x_n) on grid.size^n nodes.

    **Raises** `ValueError` for n < 1.
    """
    grid = product_grid(density.grid, n)
    values = density.values
    for _ in range(n - 1):
        values = jnp.tensordot(values, density.values, axes=0)
    return Density(grid, values)


@eqx.filter_jit
def marginal(density: Density, k: int, dim: int) -> Density:
    """The law of the first k particles, ∫f dx_{k+1}…dx_n, by the rectangle rule: mass is kept.

    **Arguments:** `dim`: the dimension d of one particle.
    **Raises** `ValueError` unless d divides the dimension of the density and 1 ≤ k ≤ n.
    """
    n = _number(density, dim)
    require(isinstance(k, int) and 1 <= k <= n, f"a marginal is that of 1 to n = {n} particles, not of {k!r}.")
    grid, kept = density.grid, k * dim
    space = product_space(_one(grid.space, dim), k)
    if isinstance(grid, BoxGrid) and isinstance(space, Euclidean):
        smaller = BoxGrid(space, grid.shape[:kept], grid.lower[:kept], grid.upper[:kept])
    else:
        assert isinstance(space, Torus), "a grid is of a torus or of a box"
        smaller = FourierGrid(space, grid.shape[:kept])
    values = jnp.sum(density.values, axis=tuple(range(kept, n * dim)))
    return Density(smaller, values * (grid.cell_volume / smaller.cell_volume))


@eqx.filter_jit
def asymmetry(density: Density, dim: int) -> Float[Array, ""]:
    """The largest |f − f∘τ| over exchanges τ of two neighbouring particles, relative to max f; 0 if exchangeable.

    Exchanges of neighbours generate all permutations. **Raises** `ValueError` unless d divides the dimension.
    """
    n, f = _number(density, dim), density.values
    require(density.grid.shape == density.grid.shape[:dim] * n, "particles are exchanged on equal grids only.")
    worst = jnp.zeros((), f.dtype)
    for i in range(n - 1):
        order = list(range(n * dim))
        first, second = slice(i * dim, (i + 1) * dim), slice((i + 1) * dim, (i + 2) * dim)
        order[first], order[second] = order[second], order[first]
        worst = jnp.maximum(worst, jnp.max(jnp.abs(f - jnp.transpose(f, order))))
    return worst / jnp.max(f)


def relative_entropy(f: Density, g: Density) -> Float[Array, ""]:
    """H(f|g) = ∫f log(f/g) dx ≥ 0, infinite where g = 0 < f; values below 0, which are rounding, count as 0.

    Summed as f log(f/g) − f + g, which has no negative term. **Raises** `ValueError` for densities on different grids.
    """
    require(f.grid == g.grid, "a relative entropy is of two densities on one grid.")
    terms = jax.scipy.special.kl_div(jnp.maximum(f.values, 0), jnp.maximum(g.values, 0))
    return jnp.sum(terms) * f.grid.cell_volume


def entropy_of_chaos(density: Density, mu: Density, k: int) -> Float[Array, ""]:
    """H(f^k|μ^{⊗k})/k for the law f of exchangeable particles, f^k that of k of them, and μ that of one in the limit.

    **Raises** `ValueError` for a k that is not 1 to n, and where μ is on another grid than one particle.
    """
    return relative_entropy(marginal(density, k, mu.grid.space.dim), tensor_power(mu, k)) / k


def _number(density: Density, dim: int) -> int:
    whole = density.grid.space.dim
    require(
        isinstance(dim, int) and dim >= 1 and whole % dim == 0,
        f"the dimension of a particle must divide that of the density, {whole}, but {dim!r} was given.",
    )
    return whole // dim


def _one(space: AbstractSpace, dim: int) -> AbstractSpace:
    """The space of the first particle."""
    return Torus(dim, space.lengths[:dim]) if isinstance(space, Torus) else Euclidean(dim)
