"""Laws of n exchangeable particles on a grid: products, marginals, symmetry, and relative entropy.

The coordinates of the product space are those of the first particle, then those of the second, and so on.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean.checks import require, require_memory
from mckean.measures.density import Density
from mckean.spaces import (
    AbstractGrid,
    AbstractSpace,
    BoxGrid,
    Euclidean,
    FourierGrid,
    Sphere,
    TangentBundle,
    Torus,
    calculus,
)


def product_space(space: AbstractSpace, n: int) -> Torus | Euclidean:
    """The space of n points of a space: T^n, or R^{nd}; of the circle S¹ the torus T^n of their angles.

    **Arguments:**

    - `space`: a torus, R^d, or S¹, which is `Sphere(2)`.
    - `n`: the number of points, n ≥ 1.

    **Raises:** `ValueError` for n < 1, and for a sphere S^{d−1}, d ≥ 3, whose products are not built.
    """
    require(isinstance(n, int) and n >= 1, f"a product has at least one factor, but n = {n!r} was given.")
    if isinstance(space, Torus):
        return Torus(n * space.dim, space.lengths * n)
    if isinstance(space, Sphere) and space.dim == 2:
        return Torus(n)
    require(isinstance(space, Euclidean), f"products are built of tori, of R^d and of the circle S¹, not of {space}.")
    return Euclidean(n * space.dim)


def product_grid(grid: AbstractGrid, n: int) -> AbstractGrid:
    """The grid of n points of a grid: all n-tuples of its nodes, on S¹ of their angles, `grid.size`^n in number.

    **Arguments:**

    - `grid`: a grid of one point.
    - `n`: the number of points, n ≥ 1.

    **Raises:** `ValueError` for n < 1.
    """
    space = product_space(grid.space, n)
    if isinstance(grid, BoxGrid) and isinstance(space, Euclidean):
        return BoxGrid(space, grid.shape * n, grid.lower * n, grid.upper * n)
    assert isinstance(space, Torus), "a grid is of a torus, of a circle or of a box"
    return FourierGrid(space, grid.shape * n)


@eqx.filter_jit
def tensor_power(density: Density, n: int) -> Density:
    """The law of n independent points, μ^{⊗n} = ρ(x_1)…ρ(x_n) dx, on `grid.size`^n nodes.

    **Arguments:**

    - `density`: the law of one point.
    - `n`: the number of points, n ≥ 1.

    **Returns:** a `Density` on `product_grid(density.grid, n)`.

    **Raises:** `ValueError` for n < 1.
    """
    grid = product_grid(density.grid, n)
    require_memory(f"{density.grid.size}^{n} nodes", density.grid.size ** min(n, 64))
    values = density.values
    for _ in range(n - 1):
        values = jnp.tensordot(values, density.values, axes=0)
    return Density(grid, values)


@eqx.filter_jit
def marginal(density: Density, k: int, dim: int) -> Density:
    """The law of the first k of n particles, f^k = ∫f dx_{k+1}…dx_n, by the rectangle rule, which keeps mass.

    **Arguments:**

    - `density`: f, the law of n particles; the coordinates of the first come first.
    - `k`: the number of particles that are kept, 1 ≤ k ≤ n.
    - `dim`: d, the dimension of one particle, 1 on S¹.

    **Returns:** a `Density` of k particles.

    **Raises:** `ValueError` for a d that does not divide the dimension of the density, and for another k.
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
    """How far a law is from exchangeable: max |f − f∘τ|/max f over exchanges τ of two neighbouring particles.

    It is 0 if and only if f is exchangeable, as exchanges of neighbours generate all permutations.

    **Arguments:**

    - `density`: f, the law of n particles.
    - `dim`: d, the dimension of one particle.

    **Raises:** `ValueError` for a d that does not divide the dimension of the density, and for grids that differ from
    particle to particle.
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
    """The relative entropy of two densities, H(f|g) = ∫f log(f/g) dx ≥ 0; infinite if g = 0 < f somewhere.

    It is summed as f log(f/g) − f + g, which has no negative term; values below 0, which are rounding, count as 0.

    **Arguments:**

    - `f`, `g`: two `Density` on one grid.

    **Raises:** `ValueError` for other measures, and for densities on different grids.
    """
    for measure in (f, g):
        form = type(measure).__name__
        require(
            isinstance(measure, Density), f"a relative entropy is of two densities, not of a {form}: deposit it first."
        )
    require(f.grid == g.grid, "a relative entropy is of two densities on one grid.")
    terms = jax.scipy.special.kl_div(jnp.maximum(f.values, 0), jnp.maximum(g.values, 0))
    return calculus.integrate(f.grid, terms)


def entropy_of_chaos(density: Density, mu: Density, k: int) -> Float[Array, ""]:
    """How far k particles are from independent, per particle: H(f^k|μ^{⊗k})/k, f^k the law of k of n particles.

    **Arguments:**

    - `density`: f, the law of n exchangeable particles.
    - `mu`: μ, the law of one particle in the limit.
    - `k`: the number of particles, 1 ≤ k ≤ n.

    **Raises:** `ValueError` for another k, and for a μ on another grid than that of one particle.
    """
    return relative_entropy(marginal(density, k, mu.grid.space.tangent_dim), tensor_power(mu, k)) / k


def _number(density: Density, dim: int) -> int:
    require(isinstance(density, Density), f"the law of n particles is a Density, not a {type(density).__name__}.")
    whole = density.grid.space.dim
    require(
        isinstance(dim, int) and dim >= 1 and whole % dim == 0,
        f"the dimension of a particle must divide that of the density, {whole}, but {dim!r} was given.",
    )
    return whole // dim


def _one(space: AbstractSpace, dim: int) -> AbstractSpace:
    """The space of the first particle."""
    if isinstance(space, TangentBundle):
        raise ValueError("a marginal is that of some of n particles; the law of positions is measures.configuration.")
    return Torus(dim, space.lengths[:dim]) if isinstance(space, Torus) else Euclidean(dim)
