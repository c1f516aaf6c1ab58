"""Densities on a box, on their own grid: a linear convolution by zero-padded FFT, O(M log M) for M cells."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.interactions.kernels import AbstractKernel
from mckean.measures import Density
from mckean.spaces.grids import integer_modes


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
    own = kernel.cell_mean(density.grid.spacing) if kernel.singular else 0.0
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
