"""Continuation of a steady state in a parameter, through folds and past branch points."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Array

from mckean.checks import number, require
from mckean.models import Model
from mckean.phases import _equation as equation
from mckean.phases._departures import Departure
from mckean.phases._family import family
from mckean.phases._states import SteadyState, describe
from mckean.phases._walk import SOLVED, CurvePoint, Event, Walk

# How far two densities are apart, as a share of their maximum, that solve the equation at a crossing of branches.
_ONE_STATE = 1e-4


@dataclass(frozen=True, eq=False)
class Branch:
    """A curve of steady states.

    **Attributes:**

    - `parameters`: p along the curve, shape (k,).
    - `states`: the `SteadyState`s.
    - `events`: folds, branch points and Hopf points, in the order of the curve.
    - `model_of`: the model for a parameter.
    """

    parameters: np.ndarray
    states: Sequence[SteadyState]
    events: Sequence[Event]
    model_of: Callable[[Any], Model]

    @property
    def free_energy(self) -> np.ndarray:
        """F along the curve, energy per particle."""
        return np.array([state.free_energy for state in self.states])

    @property
    def order(self) -> np.ndarray:
        """The order parameters along the curve."""
        return np.array([state.order for state in self.states])

    @property
    def index(self) -> np.ndarray:
        """The number of unstable directions along the curve."""
        return np.array([state.index for state in self.states])

    def at(self, parameter: float) -> list[SteadyState]:
        """The states of the curve at a parameter, one for each time that it passes it.

        **Arguments:**

        - `parameter`: p.

        **Raises:** `ValueError` for a parameter that the curve does not pass.
        """
        p = number("the parameter", parameter)
        found = [self.near(i, p) for i in self._segments(p)]
        require(
            found,
            f"the branch lies between {self.parameters.min():.6g} and {self.parameters.max():.6g}, not at {p:.6g}.",
        )
        return found

    def _segments(self, p: float) -> list[int]:
        before, after = self.parameters[:-1] - p, self.parameters[1:] - p
        inside = (before * after < 0) | (before == 0)
        # The last point begins no segment.
        inside[-1] |= after[-1] == 0
        return [int(i) for i in np.flatnonzero(inside)]

    def near(self, i: int, p: float) -> SteadyState:
        """The state at p on the segment after the point i.

        **Arguments:**

        - `i`: the index of a point.
        - `p`: a parameter between its own and that of the next point.

        **Raises:** `ValueError` where Newton's method does not find it, as right at a fold.
        """
        for state, own in zip(self.states[i : i + 2], self.parameters[i : i + 2], strict=True):
            if own == p:
                return state
        grid, model = self.states[i].density.grid, self.model_of(p)
        axes = equation.symmetric_axes(model, grid)
        low, high = (
            equation.potential(self.model_of(q), s.density)
            for q, s in zip(self.parameters[i : i + 2], self.states[i : i + 2], strict=True)
        )
        share = (p - self.parameters[i]) / (self.parameters[i + 1] - self.parameters[i])
        u, residual = equation.newton(model, grid, (1 - share) * low + share * high, axes)
        require(
            float(residual) <= SOLVED,
            f"no state of the branch was found at {p:.6g}, which is near a fold: take smaller steps.",
        )
        return describe(model, grid, u, axes)


def continuation(
    model_of: Callable[[Any], Model] | tuple[Model, str],
    state: SteadyState,
    parameter: float,
    within: tuple[float, float],
    *,
    forward: bool = True,
    step: float = 0.1,
    longest: float = math.inf,
    most: int = 200,
    along: Any = None,
) -> Branch:
    """Follow a steady state as a parameter of the model changes.

    With a drift it may be a wave that travels: from a Hopf point of the uniform state, `along` a wave cos q_k·x.

    **Arguments:**

    - `model_of`: the model for a parameter, a function that JAX can trace: `lambda beta: langevin(..., beta=beta)`;
      the arrays of an `equinox.Partial` are arguments of one program. Or a model and the name of a leaf that is the
      parameter, `(model, "noise.beta")`; a leaf that is an array is multiplied by it, `(model,
      "interaction.kernel.coefficients")`.
    - `state`: the steady state to begin with.
    - `parameter`: its parameter.
    - `within`: the least and the largest parameter; the curve ends where it leaves them.
    - `forward`: whether the parameter grows at first. Default: True.
    - `step`: the first step, in units of log ρ (root mean square) and of the largest |parameter|. Default: 0.1.
    - `longest`: the longest step; they grow where the curve is straight. Default: infinite.
    - `most`: the most points. Default: 200.
    - `along`: how to leave a branch point, a `Departure` or a change of log ρ on the grid. Default: None.

    **Returns:** a `Branch`, with its folds, its branch points and, with a drift, its Hopf points.

    **Raises:**

    - `ValueError` for a function that JAX cannot trace, a name that is no leaf, and a model without a Gibbs map.
    - `RuntimeError` where the branch is lost: where, with the residual, and the last good point.
    """
    p, (low, high) = number("the parameter", parameter), (number("an end of the parameter", end) for end in within)
    require(
        low <= p <= high and low < high, f"a branch begins within its bounds, not at {p:g} for [{low:g}, {high:g}]."
    )
    require(
        0 < step <= longest and most >= 2,
        f"a branch is made of two or more points at positive steps up to the longest, not {most}, {step}, {longest}.",
    )
    require(isinstance(state, SteadyState), "a branch begins at a steady state, as steady_state returns it.")
    model_of = family(model_of)
    model, grid = model_of(p), state.density.grid
    equation.require_states(model, grid)
    equation.require_entropy(model, "a branch")
    walk = Walk(model_of, grid, equation.symmetric_axes(model, grid), max(abs(low), abs(high)))
    here = _begin(walk, equation.potential(model, state.density), p, forward, along)
    points, states, events, length = [here], [state], [], float(step)
    while len(points) < most and low <= here.p <= high:
        there, length = walk.next(here, min(length, longest))
        new = walk.describe(there)
        events += walk.events((here, there), (states[-1], new), along is not None and len(points) == 1)
        points, states, here = [*points, there], [*states, new], there
    return Branch(np.array([point.p for point in points]), states, events, model_of)


def _begin(walk: Walk, u: Array, p: float, forward: bool, along: Any) -> CurvePoint:
    if along is None:
        return walk.start(u, p, 1.0 if forward else -1.0)
    if isinstance(along, Departure):
        return walk.leave(u, p, along.direction, along.slope)
    return walk.leave(u, p, along, 0.0)


def coexistence(first: Branch, second: Branch) -> list[tuple[float, SteadyState, SteadyState]]:
    """The parameters at which two branches have the same free energy, F(first) = F(second).

    **Arguments:**

    - `first`, `second`: two branches of the same model. Where the second passes a parameter more than once, its state
      of least free energy counts.

    **Returns:** for each such parameter, which is found to twelve digits, the parameter and the two states.

    **Raises:** `ValueError` for what is no branch.
    """
    from scipy.optimize import brentq

    both = isinstance(first, Branch) and isinstance(second, Branch)
    require(both, "coexistence is one of two branches, as continuation returns them.")
    for branch in (first, second):
        equation.require_energy(branch.states[0].model, "coexistence")
    low, high = second.parameters.min(), second.parameters.max()
    found = []
    for i in range(len(first.parameters) - 1):
        # The part of the segment that the second branch passes too.
        ends = np.clip(np.sort(first.parameters[i : i + 2]), low, high)
        if ends[0] == ends[1]:
            continue

        def pair(p: float, i: int = i) -> tuple[SteadyState, SteadyState]:
            return first.near(i, p), min(second.at(p), key=lambda s: s.free_energy)

        def gap(p: float) -> float:
            one, other = pair(p)
            return one.free_energy - other.free_energy

        values = [gap(p) for p in ends]
        # Branches that meet have the same free energy there, to rounding.
        if values[0] * values[1] < 0 and min(map(abs, values)) > 1e-12 * (1 + abs(first.states[i].free_energy)):
            p = float(brentq(gap, *ends, xtol=1e-13 * abs(ends[0]), rtol=1e-14))  # pyright: ignore[reportArgumentType]
            one, other = pair(p)
            # Where branches cross they are one state.
            a, b = (np.asarray(state.density.values) for state in (one, other))
            if np.abs(a - b).max() > _ONE_STATE * a.max():
                found.append((p, one, other))
    return found
