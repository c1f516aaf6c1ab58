"""Calculus at the nodes of a grid: quadrature, and the exact calculus of trigonometric interpolants and of harmonics.

A function on a `FourierGrid` is f(x) = Σ_k f̂_k e^{iq_k·x}, q_k = 2πk/L, and for it

    ∂_jf = Σ_k iq_j f̂_k e^{iq_k·x},   f(x − s) = Σ_k e^{−iq_k·s} f̂_k e^{iq_k·x}.

The unpaired Nyquist mode, a cosine whose derivative vanishes at the nodes, is left out of derivatives and shifts.
Values have the grid's shape; vector fields are listed by node, of shape (size, d), as models evaluate them. Calculus on
the faces of cells, for boxes and tori alike, is in `spaces.staggered`.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from mckean import collectives
from mckean.spaces import slabs
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
    if isinstance(grid, FourierGrid) and grid.mesh is not None:
        return collectives.total(jnp.sum, grid.mesh, values) * volume
    return jnp.sum(values) * volume if isinstance(volume, float) else jnp.sum(masses(grid, values))


def analyse(
    grid: FourierGrid | PhaseGrid, values: Float[Array, "..."], onto: FourierGrid | None = None
) -> Complex[Array, "..."]:
    """The coefficients of the values on the last axes, Σ_j f(x_j) e^{−iq_k·x_j}; scaled as those of the grid `onto`."""
    d, new = len(grid.shape), grid if onto is None else onto
    if isinstance(grid, FourierGrid) and grid.mesh is not None:
        spectrum = slabs.analyse(values, grid.shape, None if onto is None else onto.shape, grid.mesh)
        return spectrum if onto is None else spectrum * (new.size / grid.size)
    spectrum = jnp.fft.rfftn(values, axes=range(-d, 0))
    return spectrum if onto is None else _resize(spectrum, grid, onto)


def synthesise(
    grid: FourierGrid | PhaseGrid, spectrum: Complex[Array, "..."], onto: FourierGrid | None = None
) -> Float[Array, "..."]:
    """The values of coefficients, on the last axes, at the nodes; or at those of the grid `onto`."""
    d, new = len(grid.shape), grid if onto is None else onto
    if isinstance(grid, FourierGrid) and grid.mesh is not None:
        values = slabs.synthesise(spectrum, grid.shape, None if onto is None else onto.shape, grid.mesh)
        return values if onto is None else values * (new.size / grid.size)
    spectrum = spectrum if onto is None else _resize(spectrum, grid, onto)
    return jnp.fft.irfftn(spectrum, new.shape, axes=range(-d, 0))


def coefficients(grid: FourierGrid, values: Float[Array, "..."], modes: np.ndarray) -> Complex[Array, " m"]:
    """Σ_j f(x_j) e^{−iq_k·x_j} of the integer modes k, shape (m, d); zero for one that the grid does not resolve."""
    spectrum = analyse(grid, values)
    flip = modes[:, -1] < 0
    known = np.all(2 * np.abs(modes) < np.asarray(grid.shape), axis=1)
    # The one of k and −k in the half that is held.
    held = np.where(flip[:, None], -modes, modes) % np.asarray(grid.shape)
    index = tuple(np.where(known[:, None], held, 0).T)
    z = spectrum[index] if grid.mesh is None else slabs.pick(spectrum, index, grid.mesh)
    return jnp.where(known, jnp.where(flip, jnp.conj(z), z), 0)


def waves(grid: FourierGrid, modes: np.ndarray, amplitudes: Complex[Array, " m"]) -> Float[Array, " size"]:
    """Re Σ_k c_k e^{iq_k·x} at the nodes, over integer modes k of shape (m, d); those not resolved are left out."""
    known = np.flatnonzero(np.all(2 * np.abs(modes) < np.asarray(grid.shape), axis=1))
    k, half = modes[known], 0.5 * grid.size * amplitudes[known]
    up, down = k[:, -1] >= 0, k[:, -1] <= 0
    entries = jnp.concatenate([half[np.flatnonzero(up)], jnp.conj(half[np.flatnonzero(down)])])
    index = tuple((np.concatenate([k[up], -k[down]]) % np.asarray(grid.shape)).T)
    shape = (*grid.shape[:-1], grid.shape[-1] // 2 + 1)
    if grid.mesh is None:
        spectrum = jnp.zeros(shape, half.dtype).at[index].add(entries)
    else:
        spectrum = slabs.put(entries, index, shape, grid.mesh)
    return synthesise(grid, spectrum).ravel()


def gradient(grid: SpectralGrid, values: Float[Array, "..."]) -> Float[Array, "n d"]:
    """∇f at the nodes; on a sphere a tangent vector."""
    if isinstance(grid, AbstractSphericalGrid):
        return grid.gradient(grid.analyse(values))
    spectrum = analyse(grid, values)
    parts = [synthesise(grid, 1j * q * spectrum) for q in _wavenumbers(grid, values)]
    return jnp.stack([part.ravel() for part in parts], axis=-1)


def divergence(grid: SpectralGrid, field: Float[Array, "n d"]) -> Float[Array, "..."]:
    """∇·v at the nodes, in the grid's shape; on a sphere that of the tangent part of v."""
    if isinstance(grid, AbstractSphericalGrid):
        return grid.synthesise(grid.divergence(field))
    spectra = analyse(grid, field.T.reshape(-1, *grid.shape))
    parts = [1j * q * spectrum for q, spectrum in zip(_wavenumbers(grid, field), spectra, strict=True)]
    return synthesise(grid, functools.reduce(jnp.add, parts))


def fourier_multiplier(grid: FourierGrid, values: Float[Array, "..."], symbol) -> Float[Array, "..."]:
    """Σ_k m_k f̂_k e^{iq_k·x} at the nodes: a convolution. `symbol`: m, in the shape of a real FFT of the values."""
    return synthesise(grid, analyse(grid, values) * symbol)


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
    q = q.reshape([-1 if i == axis else 1 for i in range(values.ndim)])

    def move(lines, by):
        phase = q * by
        turn = jax.lax.complex(jnp.cos(phase), -jnp.sin(phase))
        return jnp.fft.irfft(jnp.fft.rfft(lines, axis=axis) * turn, n, axis=axis)

    if isinstance(grid, FourierGrid) and grid.mesh is not None:
        return slabs.along(move, axis, values, by, grid.mesh)
    return move(values, by)


def interpolate(grid: FourierGrid, values: Float[Array, "..."], onto: FourierGrid) -> Float[Array, "..."]:
    """f at the nodes of another grid of the torus; a coarser one keeps the modes that it resolves."""
    return synthesise(onto, analyse(grid, values, onto))


def _resize(spectrum: Complex[Array, "..."], old: AbstractGrid, new: AbstractGrid) -> Complex[Array, "..."]:
    """The coefficients, on the last axes, on another grid: the modes below both Nyquist frequencies, others zero."""
    for axis, (n, m) in enumerate(zip(old.shape, new.shape, strict=True), start=-len(old.shape)):
        spectrum = slabs.resize(spectrum, axis, n, m)
    return spectrum * (new.size / old.size)


def _wavenumbers(grid: FourierGrid | PhaseGrid, values: Array) -> list[Array]:
    return [jnp.asarray(q, values.dtype) for q in grid.wavenumbers]
