"""Grids: a finite set of nodes of a space, each standing for a cell of equal volume."""

from __future__ import annotations

import abc
import math
from typing import TYPE_CHECKING, Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from mckean.checks import array

if TYPE_CHECKING:
    from mckean.spaces.euclidean import Euclidean
    from mckean.spaces.torus import Torus


def per_dimension(value: Any, dim: int, kind: type, name: str) -> tuple:
    """One value for every dimension, from one number or from d of them."""
    values = tuple(value) if isinstance(value, (tuple, list, np.ndarray)) else (value,) * dim
    if len(values) != dim:
        raise ValueError(f"{name} needs one number, or {dim} for dimension {dim}, but {len(values)} were given.")
    if not all(isinstance(v, (int, float, np.integer, np.floating)) and _is(v, kind) for v in values):
        raise ValueError(f"{name} must be made of numbers of type {kind.__name__}, but {value!r} was given.")
    return tuple(kind(v) for v in values)


def _is(value: Any, kind: type) -> bool:
    return float(value).is_integer() if kind is int else value == value


class AbstractGrid(eqx.Module):
    """Equidistant nodes; arrays on a grid have the grid's shape, its points are listed as (size, d)."""

    space: eqx.AbstractVar[Any]
    shape: eqx.AbstractVar[tuple[int, ...]]

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distance of neighbouring nodes in each dimension."""
        return tuple(side / n for side, n in zip(self.sides, self.shape, strict=True))

    @property
    def cell_volume(self) -> float:
        return math.prod(self.spacing)

    @property
    @abc.abstractmethod
    def sides(self) -> tuple[float, ...]:
        """The extent in each dimension."""

    @property
    @abc.abstractmethod
    def axes(self) -> tuple[np.ndarray, ...]:
        """The coordinates of the nodes along each dimension."""

    @property
    def nodes(self) -> Float[Array, "size d"]:
        mesh = np.meshgrid(*self.axes, indexing="ij")
        return array(np.stack([m.ravel() for m in mesh], axis=-1), float)


def integer_modes(n: int) -> np.ndarray:
    """The modes 0, 1, …, −1 of an FFT of length n, exactly: n·fl(1/n) is not 1 for every n (49 and 98 among them)."""
    return np.round(np.fft.fftfreq(n, 1 / n))


def _check_shape(shape: tuple[int, ...], dim: int, least: int) -> None:
    if len(shape) != dim:
        raise ValueError(f"a grid in dimension {dim} needs {dim} numbers of nodes, but its shape is {shape}.")
    if min(shape) < least:
        raise ValueError(f"a grid needs at least {least} nodes in each dimension, but its shape is {shape}.")


class FourierGrid(AbstractGrid):
    """Nodes x_j = L j/M of a torus, j = 0, …, M−1; a function on it is its trigonometric interpolant.

    **Raises** `ValueError` for a shape of another dimension, or fewer than 4 nodes in one.
    """

    space: Torus = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)

    def __check_init__(self):
        _check_shape(self.shape, self.space.dim, 4)

    @property
    def sides(self) -> tuple[float, ...]:
        return self.space.lengths

    @property
    def axes(self) -> tuple[np.ndarray, ...]:
        return tuple(side * np.arange(n) / n for side, n in zip(self.sides, self.shape, strict=True))

    @property
    def modes(self) -> tuple[np.ndarray, ...]:
        """Integer modes of a real FFT, one array a dimension, shaped to broadcast over the coefficients."""
        full = [integer_modes(n) for n in self.shape[:-1]]
        half = np.arange(self.shape[-1] // 2 + 1, dtype=float)
        return tuple(np.meshgrid(*full, half, indexing="ij", sparse=True))

    @property
    def wavenumbers(self) -> tuple[np.ndarray, ...]:
        """2πk/L for each mode k, with the unpaired Nyquist mode's derivative set to zero."""
        scale = [2 * np.pi / side for side in self.sides]
        return tuple(
            np.where(np.abs(k) * 2 == n, 0.0, k) * s for k, s, n in zip(self.modes, scale, self.shape, strict=True)
        )


class BoxGrid(AbstractGrid):
    """Cells of a box of R^d, given by their centres; a function on it is constant on each cell.

    **Raises** `ValueError` for a shape of another dimension, fewer than 4 cells in one, or an empty box.
    """

    space: Euclidean = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)
    lower: tuple[float, ...] = eqx.field(static=True)
    upper: tuple[float, ...] = eqx.field(static=True)

    def __check_init__(self):
        _check_shape(self.shape, self.space.dim, 4)
        if not len(self.lower) == len(self.upper) == self.space.dim:
            raise ValueError(f"the corners of a box in dimension {self.space.dim} have as many coordinates each.")
        if not all(-math.inf < a < b < math.inf for a, b in zip(self.lower, self.upper, strict=True)):
            raise ValueError(f"a box needs lower < upper, both finite, but {self.lower} and {self.upper} were given.")

    @property
    def sides(self) -> tuple[float, ...]:
        return tuple(b - a for a, b in zip(self.lower, self.upper, strict=True))

    @property
    def axes(self) -> tuple[np.ndarray, ...]:
        corners = zip(self.lower, self.spacing, self.shape, strict=True)
        return tuple(a + h * (np.arange(n) + 0.5) for a, h, n in corners)
