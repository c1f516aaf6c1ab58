"""Staggered fields on a grid: fluxes live on faces, masses in cells, and −∇ is the exact adjoint of ∇·.

An axis is closed (no flux through its ends: n − 1 inner faces) or periodic (n faces, face j after cell j). Along
one axis ∇ is the difference of neighbouring cells over h, ∇· minus its transpose, and −∇·∇ is diagonal in the cosine
or Fourier basis. Every axis here has at most some hundreds of cells, where a product with the matrix of the basis is
as fast as a fast transform, and closed and periodic axes are one code.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.spaces.bundle import PhaseGrid
from mckean.spaces.grids import AbstractGrid
from mckean.spaces.torus import FourierGrid


class Axis(NamedTuple):
    """n cells of width h; `periodic` says whether the last is a neighbour of the first."""

    n: int
    h: float
    periodic: bool


def axes_of(grid: AbstractGrid) -> tuple[Axis, ...]:
    """The axes of a grid: closed for a box, periodic for a torus; of a phase grid those of both its parts."""
    if isinstance(grid, PhaseGrid):
        return axes_of(grid.positions) + axes_of(grid.velocities)
    periodic = isinstance(grid, FourierGrid)
    return tuple(Axis(n, h, periodic) for n, h in zip(grid.shape, grid.spacing, strict=True))


def _neighbours(cells: Array, i: int, axis: Axis) -> tuple[Array, Array]:
    """The cells before and after each face."""
    if axis.periodic:
        return cells, jnp.roll(cells, -1, i)
    return jax.lax.slice_in_dim(cells, 0, -1, axis=i), jax.lax.slice_in_dim(cells, 1, None, axis=i)


def _faces(faces: Array, i: int, axis: Axis) -> tuple[Array, Array]:
    """The faces before and after each cell; zero at the ends of a closed axis."""
    if axis.periodic:
        return jnp.roll(faces, 1, i), faces
    pad = [(0, 0)] * faces.ndim
    before, after = list(pad), list(pad)
    before[i], after[i] = (1, 0), (0, 1)
    return jnp.pad(faces, before), jnp.pad(faces, after)


def gradient(cells: Array, axes: tuple[Axis, ...]) -> tuple[Array, ...]:
    """∇f on the faces: along each axis the difference of the two cells over h."""
    pairs = [_neighbours(cells, i, axis) for i, axis in enumerate(axes)]
    return tuple((after - before) / axis.h for (before, after), axis in zip(pairs, axes, strict=True))


def divergence(faces: tuple[Array, ...], axes: tuple[Axis, ...]) -> Array:
    """∇·v in the cells: what leaves through the faces less what comes in, over h."""
    total = 0.0
    for i, axis in enumerate(axes):
        before, after = _faces(faces[i], i, axis)
        total = total + (after - before) / axis.h
    return jnp.asarray(total)


def face_centres(grid: AbstractGrid, axis: int) -> Float[Array, "n d"]:
    """The centres of the faces across an axis, listed as their values are: in the order of `gradient`'s components."""
    lines, one = list(grid.axes), axes_of(grid)[axis]
    lines[axis] = (lines[axis] if one.periodic else lines[axis][:-1]) + 0.5 * one.h
    mesh = np.meshgrid(*lines, indexing="ij")
    return jnp.asarray(np.stack([m.ravel() for m in mesh], axis=-1), dtype=float)


def onto_faces(cells: tuple[Array, ...], axes: tuple[Axis, ...]) -> tuple[Array, ...]:
    """The mean of the two cells at each face, of the i-th array along the i-th axis."""
    pairs = [_neighbours(cells[i], i, axis) for i, axis in enumerate(axes)]
    return tuple(0.5 * (before + after) for before, after in pairs)


def onto_cells(faces: tuple[Array, ...], axes: tuple[Axis, ...]) -> tuple[Array, ...]:
    """The mean of the two faces of each cell: the transpose of `onto_faces`."""
    pairs = [_faces(faces[i], i, axis) for i, axis in enumerate(axes)]
    return tuple(0.5 * (before + after) for before, after in pairs)


def eigenbasis(axis: Axis) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues of −∇·∇ along one axis, (2 − 2cos θ)/h², and its orthonormal eigenvectors as columns."""
    n, j = axis.n, np.arange(axis.n)
    if axis.periodic:
        k = (j + 1) // 2
        theta = 2 * np.pi * k / n
        phase = theta * j[:, None]
        basis = np.where(j % 2 == 0, np.cos(phase), np.sin(phase))
        if n % 2 == 0:
            basis[:, -1] = np.cos(phase[:, -1])
    else:
        theta = np.pi * j / n
        basis = np.cos(theta * (j[:, None] + 0.5))
    return (2 - 2 * np.cos(theta)) / axis.h**2, basis / np.linalg.norm(basis, axis=0)


def poisson(cells: Array, axes: tuple[Axis, ...], shift: Array | float = 0.0) -> Array:
    """The solution of (c − ∇·∇)φ = f, c = `shift`; for c = 0 that of mean zero, f less its mean."""
    pairs = [eigenbasis(axis) for axis in axes]
    values = sum(np.ix_(*(pair[0] for pair in pairs)), start=np.zeros(()))
    bases = [jnp.asarray(pair[1], cells.dtype) for pair in pairs]
    symbol = jnp.asarray(values, cells.dtype) + shift
    null = symbol <= 0
    coefficients = jnp.where(null, 0.0, transform(cells, bases) / jnp.where(null, 1.0, symbol))
    return transform(coefficients, [b.T for b in bases])


def transform(cells: Array, bases: list[Array]) -> Array:
    """The coefficients of the cells' values in a product of bases, one for each axis, of columns."""
    # Contracting the first axis puts the new one last: after all of them the order is the old one.
    for basis in bases:
        cells = jnp.tensordot(cells, basis, axes=(0, 0))
    return cells
