"""Grids: a finite set of nodes of a space, each standing for a cell around it."""

import abc
import math
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from mckean.checks import array
from mckean.spaces.space import AbstractSpace


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
    """Nodes of a space; arrays on a grid have the grid's shape, its points are listed as (size, d)."""

    space: eqx.AbstractVar[AbstractSpace]
    shape: eqx.AbstractVar[tuple[int, ...]]

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distance of neighbouring nodes in each dimension, where it is the same for all."""
        return tuple(side / n for side, n in zip(self.sides, self.shape, strict=True))

    @property
    @abc.abstractmethod
    def cell_volume(self) -> Any:
        """The volume of a node's cell: a number if all are equal, else an array that broadcasts to the shape."""

    @property
    @abc.abstractmethod
    def sides(self) -> tuple[float, ...]:
        """The extent in each dimension."""

    @property
    @abc.abstractmethod
    def axes(self) -> tuple[np.ndarray, ...]:
        """The coordinates of the nodes along each dimension."""

    @property
    @abc.abstractmethod
    def nodes(self) -> Float[Array, "size d"]:
        """The nodes, in the order of the values."""


class AbstractFlatGrid(AbstractGrid):
    """Equidistant nodes of a space with flat coordinates."""

    @property
    def cell_volume(self) -> float:
        return math.prod(self.spacing)

    @property
    def nodes(self) -> Float[Array, "size d"]:
        mesh = np.meshgrid(*self.axes, indexing="ij")
        return array(np.stack([m.ravel() for m in mesh], axis=-1), float)


def integer_modes(n: int) -> np.ndarray:
    """The modes 0, 1, …, −1 of an FFT of length n, exactly: n·fl(1/n) is not 1 for every n (49 and 98 among them)."""
    return np.round(np.fft.fftfreq(n, 1 / n))


def check_shape(shape: tuple[int, ...], dim: int, least: int) -> None:
    if len(shape) != dim:
        raise ValueError(f"a grid in dimension {dim} needs {dim} numbers of nodes, but its shape is {shape}.")
    if min(shape) < least:
        raise ValueError(f"a grid needs at least {least} nodes in each dimension, but its shape is {shape}.")
