"""Densities on their own grid: a convolution by FFT, O(M log M) for M nodes or cells, zero-padded on a box."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from mckean.faults import Status, sound
from mckean.interactions.kernels import AbstractKernel, FourierSeries
from mckean.interactions.kernels._kernel import graded_rule
from mckean.interactions.sums import modes
from mckean.interactions.sums.sum import AbstractSum, Points
from mckean.measures import AbstractMeasure, Density, dtype_of
from mckean.spaces import AbstractGrid, BoxGrid, FourierGrid
from mckean.spaces.grids import integer_modes


class FFT(AbstractSum):
    """−∇W_s*ρ for a density on its own grid, O(M log M): by the grid's modes on a torus, by a convolution on a box."""

    def refusal(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> str | None:
        if isinstance(mu, Density) and isinstance(points, FourierGrid) and isinstance(kernel, FourierSeries):
            return None
        if isinstance(mu, Density) and isinstance(points, BoxGrid) and points == mu.grid:
            return None
        return "serves a density that acts on its own grid, or on another grid of its torus"

    def plan(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> "FFT":
        return self

    def inspect(self, mu: AbstractMeasure, points: Points) -> Status:
        return sound(dtype_of(mu))

    def potential(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> Float[Array, " n"]:
        if isinstance(kernel, FourierSeries):
            return modes.potential(mu, kernel, points)
        assert isinstance(mu, Density), "refused before"
        return potential(kernel, mu)

    def force(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> Float[Array, "n d"]:
        if isinstance(kernel, FourierSeries):
            return modes.force(mu, kernel, points)
        assert isinstance(mu, Density), "refused before"
        return force(kernel, mu)


def _convolve(values: Array, stencil: Array) -> Array:
    """Σ_j stencil(i − j) values(j); the stencil covers differences −(n−1) … n−1, wrapped to an array of 2n."""
    doubled = stencil.shape
    product = jnp.fft.rfftn(values, doubled) * jnp.fft.rfftn(stencil)
    return jnp.fft.irfftn(product, doubled)[tuple(slice(0, n) for n in values.shape)]


def potential(kernel: AbstractKernel, density: Density) -> Float[Array, " size"]:
    """h^d Σ_j W̄(x_i − x_j) ρ_j at the centres, where W̄ is W_s as the cells see it."""
    values = stencil(kernel, density.grid, density.values.dtype)
    return _convolve(density.values, values).ravel() * density.grid.cell_volume


def force(kernel: AbstractKernel, density: Density) -> Float[Array, "size d"]:
    """−h^d Σ_j ∇W̄(x_i − x_j) ρ_j at the centres of the cells, where W̄ is W_s as the cells see it.

    Where W_s is narrow ∇ is a difference over two cells: at the centre of a cell its own mass has no force.
    """
    grid, dtype = density.grid, density.values.dtype

    def points(_):
        g = jax.vmap(kernel.gradient)(_differences(grid, dtype))
        return tuple(g[:, i].reshape(_doubled(grid)) for i in range(len(grid.shape)))

    def differences(_):
        w = stencil(kernel, grid, dtype)
        return tuple((jnp.roll(w, -1, i) - jnp.roll(w, 1, i)) / (2 * h) for i, h in enumerate(grid.spacing))

    is_narrow = False if kernel.singular else narrow(kernel, grid.spacing, dtype)[0]
    gradient = points(None) if is_narrow is False else jax.lax.cond(is_narrow, differences, points, None)
    columns = [_convolve(density.values, g).ravel() for g in gradient]
    return -jnp.stack(columns, axis=-1) * grid.cell_volume


def stencil(kernel: AbstractKernel, grid: AbstractGrid, dtype: Any) -> Float[Array, "..."]:
    """W_s between the cells of a box, for differences 0, …, n − 1, −n, …, −1 of their indices in each dimension.

    It is W_s between their centres, or its mean over a cell where W_s is narrower than one (`narrow`). For two cells
    that are one it is the mean over the cell if W_s is singular at 0.
    """
    own = kernel.cell_mean(grid.spacing) if kernel.singular else 0.0
    values = jax.vmap(lambda z: kernel.value(z, own))(_differences(grid, dtype)).reshape(_doubled(grid))
    if kernel.singular:
        return values
    return jax.lax.cond(narrow(kernel, grid.spacing, dtype)[0], lambda v: _means(kernel, grid, v), lambda v: v, values)


def narrow(kernel: AbstractKernel, sides: tuple[float, ...], dtype: Any) -> tuple[Bool[Array, ""], Array, Array]:
    """Whether W_s rises or falls within a cell and not beyond; W_s(0), and its mean over the cell.

    The mean of a W_s that the cells resolve is W_s + h²ΔW_s/24 up to order 4, with differences for ΔW_s. Here it is
    further off than 3 % of what W_s changes over two cells, and less than a third of that is over the second one: a
    kink alone does not count. A Gaussian is narrow from a width of 0.6 h down, where the sum over the centres is 0.2 %
    off its integral.
    """
    steps = jnp.asarray(np.stack([k * np.diag(sides) for k in (0, 1, 2)]), dtype)
    centre, beside, beyond = jax.vmap(jax.vmap(kernel))(steps)
    mean = kernel.cell_mean(sides).astype(dtype)
    first, second = jnp.abs(beside - centre), jnp.abs(beyond - beside)
    defect = jnp.abs(mean - centre[0] - jnp.sum(beside - centre) / 12)
    return jnp.any((defect > 0.03 * (first + second)) & (2 * second < first)), centre[0], mean


def _doubled(grid: AbstractGrid) -> tuple[int, ...]:
    return tuple(2 * n for n in grid.shape)


def _differences(grid: AbstractGrid, dtype: Any) -> Array:
    axes = [h * integer_modes(2 * n) for n, h in zip(grid.shape, grid.spacing, strict=True)]
    return jnp.asarray(np.stack([m.ravel() for m in np.meshgrid(*axes, indexing="ij")], axis=-1), dtype)


def _means(kernel: AbstractKernel, grid: AbstractGrid, values: Array) -> Array:
    """The means of W_s over cells: by quadrature for those near 0, by W_s + h²ΔW_s/24 for all others."""
    dim = len(grid.shape)
    neighbours = sum(jnp.roll(values, 1, axis) + jnp.roll(values, -1, axis) for axis in range(dim))
    means = values + (neighbours - 2 * dim * values) / 24
    count, reach = {1: (24, 2), 2: (12, 2)}.get(dim, (8, 1))
    own, masses = graded_rule(count)
    node, weight = np.polynomial.legendre.leggauss(2 * count)
    near = np.arange(-reach, reach + 1)
    # In halves of a cell. In the cell of 0, where W_s may be sharp, the nodes are dense.
    places = np.stack([2 * k + (own if k == 0 else node) for k in near])
    weights = np.stack([masses if k == 0 else 0.5 * weight for k in near])
    z = np.stack([m.ravel() for m in np.meshgrid(*[places.ravel()] * dim, indexing="ij")], axis=-1)
    block = jax.vmap(kernel)(jnp.asarray(0.5 * z * np.asarray(grid.spacing), values.dtype))
    block = block.reshape(places.shape * dim)
    for axis in range(dim):
        # Cells and nodes of an axis lie side by side; the nodes of the axes before it are summed already.
        mass = weights.reshape((1,) * axis + weights.shape + (1,) * (2 * (dim - axis - 1)))
        block = jnp.sum(block * jnp.asarray(mass, block.dtype), axis=axis + 1)
    return means.at[np.ix_(*(near % n for n in values.shape))].set(block)
