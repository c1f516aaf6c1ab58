"""A column of a phase diagram: both states at many values of one parameter, and where that changes.

On the way it keeps what the lines need: brackets, and states at their ends.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mckean.measures import Density
from mckean.phases import _cell as cells
from mckean.spaces import AbstractGrid

SOLVED = 1e-9
# Curvatures, in units of the temperature, that are rounding; and the order that a residual of 1e-9 leaves at a branch
# point, where the residual is of third order in it.
_ZERO = 1e-7
_SAME = 3e-3
# Each costs a twentieth of a step of Newton's, of which they spare most.
_PICARD = 200
DISORDERED, BOTH, ORDERED = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Problem:
    """What all columns share: the model of two parameters, the grid, the two starts, and the axes of translations."""

    model_of: Callable[[Any, Any], Any]
    grid: AbstractGrid
    starts: tuple[Density, Density]
    axes: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Bracket:
    """Two parameters between which something changes, with the ordered states there."""

    low: float
    high: float
    states: tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Column:
    """Order, F(ordered) − F(disordered) and phase at each value of the first parameter, and three brackets."""

    order: np.ndarray
    gap: np.ndarray
    phase: np.ndarray
    residual: np.ndarray
    threshold: Bracket | None
    coexistence: Bracket | None
    fold: Bracket | None


def column(problem: Problem, first: np.ndarray, q: float, refinement: int) -> Column:
    """The column at q; the brackets are made narrower `refinement` times, by the number of values each time."""
    found = _solve(problem, first, q)
    _require_disordered(found, first, q)
    own, fine, values = _phases(found), found, first
    for _ in range(refinement):
        changes = np.flatnonzero(np.diff(_phases(fine)["phase"]))
        if not changes.size:
            break
        low, high = values[changes[0]], values[changes[-1] + 1]
        values = np.linspace(low, high, first.size)
        fine = _solve(problem, values, q)
    lines = _threshold(first, found), *_brackets(values, fine)
    return Column(own["order"], own["gap"], own["phase"], own["residual"], *lines)


def _require_disordered(found: dict, first: np.ndarray, q: float) -> None:
    bad = np.flatnonzero(~(found["residual"][:, 0] <= SOLVED))
    if bad.size:
        raise RuntimeError(
            f"no disordered state was found at ({first[bad[0]]:g}, {q:g}): log ρ is {found['residual'][bad[0], 0]:.2g} "
            "off after Newton's method; give another disordered start."
        )


def _threshold(values: np.ndarray, found: dict) -> Bracket | None:
    """Where the disordered state changes its stability, with a step more on both sides: a curvature that is rounding
    counts as stable."""
    where = np.flatnonzero(np.diff(_phases(found)["plain"]))
    if not where.size:
        return None
    low, high = max(where[0] - 1, 0), min(where[0] + 2, values.size - 1)
    return Bracket(float(values[low]), float(values[high]), (found["states"][low, 1], found["states"][high, 1]))


def _brackets(values: np.ndarray, found: dict) -> tuple[Bracket | None, Bracket | None]:
    """Coexistence and fold."""
    of = _phases(found)
    states = found["states"][:, 1]

    def first_change(known: np.ndarray, at: np.ndarray) -> Bracket | None:
        where = np.flatnonzero((known[1:] != known[:-1]) & at[1:] & at[:-1])
        if not where.size:
            return None
        i = where[0]
        return Bracket(float(values[i]), float(values[i + 1]), (states[i], states[i + 1]))

    coexistence = first_change(of["gap"] > 0, of["other"] & of["plain"])
    # A state that ends while the disordered one is stable ends at a fold; at a branch point that one is not.
    fold = first_change(of["other"], of["plain"])
    if fold is not None and of["other"][0] and not of["other"][-1]:
        fold = Bracket(fold.high, fold.low, (fold.states[1], fold.states[0]))
    return coexistence, fold


def _phases(found: dict) -> dict[str, np.ndarray]:
    solved = found["residual"] <= SOLVED
    plain = solved[:, 0] & found["stable"][:, 0]
    other = solved[:, 1] & found["stable"][:, 1] & (np.abs(found["order"][:, 1] - found["order"][:, 0]) > _SAME)
    phase = np.where(plain, np.where(other, BOTH, DISORDERED), ORDERED)
    gap = np.where(other, found["free_energy"][:, 1] - found["free_energy"][:, 0], 0.0)
    order = np.where(other, found["order"][:, 1], found["order"][:, 0])
    residual = np.where(other, found["residual"].max(axis=1), found["residual"][:, 0])
    return {"plain": plain, "other": other, "phase": phase, "gap": gap, "order": order, "residual": residual}


def _solve(problem: Problem, values: np.ndarray, q: float) -> dict[str, np.ndarray]:
    of = (problem.model_of, problem.grid, problem.axes, problem.starts)
    return {name: np.asarray(value) for name, value in _states(*of, np.asarray(values), np.asarray(q)).items()}


@eqx.filter_jit
def _states(model_of, grid, axes, starts, values, q) -> dict[str, Any]:
    """Both states at each value, with the axes (value, start)."""

    def both(p):
        at = cells.cell(model_of(p, q), grid)
        first, second = (cells.start(at, law) for law in starts)
        u = jnp.stack([first, cells.descend(at, second, _PICARD)])
        u = jax.vmap(lambda v: cells.newton(at, grid, v, axes))(u)
        return {
            "states": u,
            "residual": jax.vmap(at.residual)(u),
            "free_energy": jax.vmap(at.free_energy)(u),
            "order": jax.vmap(lambda v: cells.order(grid, at.shares(v)))(u),
            "stable": jax.vmap(lambda v: cells.stable(at, grid, v, axes, _ZERO))(u),
        }

    return jax.vmap(both)(values)
