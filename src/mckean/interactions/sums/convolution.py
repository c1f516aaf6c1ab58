"""Densities on their own grid: a convolution by FFT, O(M log M) for M nodes or cells, zero-padded on a box."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.faults import Status, sound
from mckean.interactions.kernels import AbstractKernel, FourierSeries
from mckean.interactions.sums import modes
from mckean.interactions.sums.direct import own_cell
from mckean.interactions.sums.sum import AbstractSum, Points
from mckean.measures import AbstractMeasure, Density, dtype_of
from mckean.spaces import BoxGrid, FourierGrid
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


def _differences(density: Density) -> Array:
    grid = density.grid
    axes = [h * integer_modes(2 * n) for n, h in zip(grid.shape, grid.spacing, strict=True)]
    mesh = np.meshgrid(*axes, indexing="ij")
    return jnp.asarray(np.stack([m.ravel() for m in mesh], axis=-1), density.values.dtype)


def potential(kernel: AbstractKernel, density: Density) -> Float[Array, " size"]:
    """h^d Σ_j W_s(x_i − x_j) ρ_j at the centres; for j = i the mean of W_s over the cell, if it is singular at 0."""
    own = own_cell(kernel, density)
    values = jax.vmap(lambda z: kernel.value(z, own))(_differences(density))
    stencil = values.reshape([2 * n for n in density.grid.shape])
    return _convolve(density.values, stencil).ravel() * density.grid.cell_volume


def force(kernel: AbstractKernel, density: Density) -> Float[Array, "size d"]:
    """−h^d Σ_j ∇W_s(x_i − x_j) ρ_j at the centres of the cells."""
    stencil = jax.vmap(kernel.gradient)(_differences(density))
    columns = [
        _convolve(density.values, stencil[:, i].reshape([2 * n for n in density.grid.shape])).ravel()
        for i in range(stencil.shape[1])
    ]
    return -jnp.stack(columns, axis=-1) * density.grid.cell_volume
