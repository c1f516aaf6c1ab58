"""Calculus at the nodes of a grid: quadrature, and the exact calculus of trigonometric interpolants and of harmonics.

A function on a `FourierGrid` is f(x) = Σ_k f̂_k e^{iq_k·x}, q_k = 2πk/L, and for it

    ∂_jf = Σ_k iq_j f̂_k e^{iq_k·x},   f(x − s) = Σ_k e^{−iq_k·s} f̂_k e^{iq_k·x}.

The unpaired Nyquist mode, a cosine whose derivative vanishes at the nodes, is left out of derivatives and shifts.
Values have the grid's shape; vector fields are listed by node, of shape (size, d), as models evaluate them. Calculus on
the faces of cells, for boxes and tori alike, is in `spaces.staggered`.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from mckean.spaces.bundle import PhaseGrid
from mckean.spaces.grids import AbstractGrid
from mckean.spaces.spherical_grids import AbstractSphericalGrid
from mckean.spaces.torus import FourierGrid

# Grids with a gradient and a divergence at their nodes.
SpectralGrid = FourierGrid | PhaseGrid | AbstractSphericalGrid


def masses(grid: AbstractGrid, values: Float[Array, "..."]) -> Float[Array, "..."]:
    """The integrals of f over the cells, f(x_j)|C_j|, in the grid's shape."""
    volume = grid.cell_volume
    return values * (volume if isinstance(volume, float) else jnp.asarray(volume, values.dtype))


def integrate(grid: AbstractGrid, values: Float[Array, "..."]) -> Float[Array, ""]:
    """∫f dx by the nodes: spectrally accurate on a torus and a sphere, of order 2 in the cells of a box."""
    volume = grid.cell_volume
    return jnp.sum(values) * volume if isinstance(volume, float) else jnp.sum(masses(grid, values))


def gradient(grid: SpectralGrid, values: Float[Array, "..."]) -> Float[Array, "n d"]:
    """∇f at the nodes; on a sphere a tangent vector."""
    if isinstance(grid, AbstractSphericalGrid):
        return grid.gradient(grid.analyse(values))
    spectrum = jnp.fft.rfftn(values)
    parts = [jnp.fft.irfftn(1j * q * spectrum, grid.shape) for q in _wavenumbers(grid, values)]
    return jnp.stack([part.ravel() for part in parts], axis=-1)


def divergence(grid: SpectralGrid, field: Float[Array, "n d"]) -> Float[Array, "..."]:
    """∇·v at the nodes, in the grid's shape; on a sphere that of the tangent part of v."""
    if isinstance(grid, AbstractSphericalGrid):
        return grid.synthesise(grid.divergence(field))
    spectra = jnp.fft.rfftn(field.T.reshape(-1, *grid.shape), axes=range(-len(grid.shape), 0))
    parts = [1j * q * spectrum for q, spectrum in zip(_wavenumbers(grid, field), spectra, strict=True)]
    return jnp.fft.irfftn(sum(parts[1:], parts[0]), grid.shape)


def fourier_multiplier(grid: FourierGrid, values: Float[Array, "..."], symbol) -> Float[Array, "..."]:
    """Σ_k m_k f̂_k e^{iq_k·x} at the nodes: a convolution. `symbol`: m, in the shape of a real FFT of the values."""
    return jnp.fft.irfftn(jnp.fft.rfftn(values) * symbol, grid.shape)


def face_average(grid: FourierGrid, values: Float[Array, "..."], axis: int) -> Float[Array, "..."]:
    """The averages of f over the faces of the cells about the nodes, those that follow the nodes along the axis."""
    factor = np.ones((), complex)
    for i, (k, n) in enumerate(zip(grid.modes, grid.shape, strict=True)):
        turn = k / n
        # Half a spacing along the axis; over the face, an average in every other direction.
        along = np.where(2 * np.abs(k) == n, 0.0, np.exp(1j * np.pi * turn))
        factor = factor * (along if i == axis else np.sinc(turn))
    return fourier_multiplier(grid, values, jnp.asarray(factor, jnp.result_type(values.dtype, jnp.complex64)))


def shift(
    grid: FourierGrid | PhaseGrid, values: Float[Array, "..."], axis: int, by: Float[Array, "..."]
) -> Float[Array, "..."]:
    """f(x − s e_axis) at the nodes. `by`: s, one for each line of nodes: its shape is the grid's, with 1 at `axis`."""
    n = grid.shape[axis]
    mode = np.arange(n // 2 + 1)
    q = jnp.asarray(np.where(2 * mode == n, 0.0, 2 * np.pi / grid.sides[axis] * mode), values.dtype)
    phase = q.reshape([-1 if i == axis else 1 for i in range(values.ndim)]) * by
    turn = jax.lax.complex(jnp.cos(phase), -jnp.sin(phase))
    return jnp.fft.irfft(jnp.fft.rfft(values, axis=axis) * turn, n, axis=axis)


def interpolate(grid: FourierGrid, values: Float[Array, "..."], onto: FourierGrid) -> Float[Array, "..."]:
    """f at the nodes of another grid of the torus; a coarser one keeps the modes that it resolves."""
    return jnp.fft.irfftn(resize(jnp.fft.rfftn(values), grid, onto), onto.shape)


def resize(spectrum: Complex[Array, "..."], old: FourierGrid, new: FourierGrid) -> Complex[Array, "..."]:
    """The coefficients, on the last axes, on another grid: the modes below both Nyquist frequencies, others zero."""
    for axis, (n, m) in enumerate(zip(old.shape, new.shape, strict=True), start=-len(old.shape)):
        top = (min(n, m) - 1) // 2
        parts = [jax.lax.slice_in_dim(spectrum, 0, top + 1, axis=axis)]
        gap = m // 2 - top if axis == -1 else m - 2 * top - 1
        lead, rest = spectrum.shape[: spectrum.ndim + axis], spectrum.shape[spectrum.ndim + axis + 1 :]
        parts.append(jnp.zeros((*lead, gap, *rest), spectrum.dtype))
        if axis != -1:
            parts.append(jax.lax.slice_in_dim(spectrum, n - top, n, axis=axis))
        spectrum = jnp.concatenate(parts, axis)
    return spectrum * (new.size / old.size)


def _wavenumbers(grid: FourierGrid | PhaseGrid, values: Array) -> list[Array]:
    return [jnp.asarray(q, values.dtype) for q in grid.wavenumbers]
