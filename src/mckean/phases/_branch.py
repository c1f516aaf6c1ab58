"""Continuation of a steady state in a parameter, through folds and past branch points."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mckean.checks import number, require
from mckean.models import Model, energy
from mckean.phases import _arc as arc
from mckean.phases import _equation as equation
from mckean.phases._states import SteadyState, describe
from mckean.spaces import AbstractGrid

_SOLVED = 1e-9
# Neighbouring tangents are this near: their cosine.
_STRAIGHT = 0.97


@dataclass(frozen=True, eq=False)
class Event:
    """A point of a branch where something happens.

    **Attributes:**

    - `kind`: "fold", where the branch turns back, or "branch point", where another branch meets it.
    - `parameter`: where.
    - `error`: how far the parameter may be off, from the width of the bracket that holds the event.
    - `state`: the `SteadyState` there.
    - `multiplicity`: how many curvatures vanish there.
    """

    kind: Literal["fold", "branch point"]
    parameter: float
    error: float
    state: SteadyState
    multiplicity: int

    def __repr__(self) -> str:
        return (
            f"Event({self.kind}, parameter={self.parameter:.12g} ± {self.error:.1g}, multiplicity={self.multiplicity})"
        )


@dataclass(frozen=True, eq=False)
class Branch:
    """A curve of steady states.

    **Attributes:**

    - `parameters`: p along the curve, shape (k,).
    - `states`: the `SteadyState`s.
    - `events`: folds and branch points, in the order of the curve.
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
            _potential(self.model_of(q), s)
            for q, s in zip(self.parameters[i : i + 2], self.states[i : i + 2], strict=True)
        )
        share = (p - self.parameters[i]) / (self.parameters[i + 1] - self.parameters[i])
        u, residual = equation.newton(model, grid, (1 - share) * low + share * high, axes)
        require(
            float(residual) <= _SOLVED,
            f"no state of the branch was found at {p:.6g}, which is near a fold: take smaller steps.",
        )
        return describe(model, grid, u, axes)


def continuation(
    model_of: Callable[[Any], Model],
    state: SteadyState,
    parameter: float,
    within: tuple[float, float],
    *,
    forward: bool = True,
    step: float = 0.1,
    most: int = 200,
    along: Any = None,
) -> Branch:
    """Follow a steady state as a parameter of the model changes.

    **Arguments:**

    - `model_of`: the model for a parameter, a function that JAX can trace: `lambda beta: langevin(..., beta=beta)`.
    - `state`: the steady state to begin with.
    - `parameter`: its parameter.
    - `within`: the least and the largest parameter; the curve ends where it leaves them.
    - `forward`: whether the parameter grows at first. Default: True.
    - `step`: the first length of a step, in units of log ρ (root mean square) and of the largest |parameter|. Default:
      0.1.
    - `most`: the most points. Default: 200.
    - `along`: a change of log ρ, an array of the grid's shape, in which to leave a branch point. Default: None.

    **Returns:** a `Branch`, with its folds and branch points.

    **Raises:**

    - `ValueError` for a function that JAX cannot trace, and for a model without a Gibbs map.
    - `RuntimeError` where the branch is lost: where, with the residual, and the last good point.
    """
    p, (low, high) = number("the parameter", parameter), (number("an end of the parameter", end) for end in within)
    require(
        low <= p <= high and low < high, f"a branch begins within its bounds, not at {p:g} for [{low:g}, {high:g}]."
    )
    require(step > 0 and most >= 2, f"a branch is made of two or more points at positive steps, not {most}, {step}.")
    model, grid = model_of(p), state.density.grid
    equation.require_states(model, grid)
    axes = equation.symmetric_axes(model, grid)
    walk = _Walk(model_of, grid, axes, max(abs(low), abs(high)))
    walk.require_traceable(p)
    here = walk.start(_potential(model, state), p, 1.0 if forward else -1.0, along)
    points, states, events, length = [here], [state], [], float(step)
    while len(points) < most and low <= here.p <= high:
        there, length = walk.next(here, length)
        new = describe(model_of(there.p), grid, jnp.asarray(there.u), axes)
        events += walk.events(here, there, states[-1], new)
        points, states, here = [*points, there], [*states, new], there
    return Branch(np.array([point.p for point in points]), states, events, model_of)


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
            found.append((p, *pair(p)))
    return found


@dataclass(frozen=True)
class _Point:
    """A point of the curve with its tangent: du a change of u, dp of the parameter."""

    u: Any
    p: float
    du: Any
    dp: float


class _Walk:
    """The steps along a curve. `scale`: that of the parameter."""

    def __init__(self, model_of: Callable, grid: AbstractGrid, axes: tuple[int, ...], scale: float):
        self.model_of, self.grid, self.axes, self.scale = model_of, grid, axes, scale

    def require_traceable(self, p: float) -> None:
        try:
            jax.eval_shape(lambda q: arc.image(self.model_of, self.grid, jnp.zeros(self.grid.shape), q), jnp.asarray(p))
        except Exception as error:
            raise ValueError(
                "the model cannot be built from a parameter that JAX traces: place W before, "
                "W = mckean.interactions.place(kernel, space), and let β be the parameter, or coefficients of a series."
            ) from error

    def start(self, u: Any, p: float, sign: float, along: Any) -> _Point:
        if along is not None:
            change = jnp.asarray(along, float) / -self.model_of(p).beta
            require(change.shape == self.grid.shape, f"a change of log ρ has the grid's shape, not {change.shape}.")
            size = float(arc.norm(self.model_of(p).beta, change, jnp.zeros(()), self.scale))
            require(size > 0, "a direction in which to leave a branch point is not zero.")
            return _Point(u, p, change / size, 0.0)
        du, dp = arc.tangent(
            self.model_of, self.grid, u, jnp.asarray(p), jnp.zeros_like(u), jnp.ones(()), self.axes, self.scale
        )
        turn = sign * np.sign(float(dp)) or 1.0
        return _Point(u, p, turn * du, turn * float(dp))

    def next(self, here: _Point, length: float) -> tuple[_Point, float]:
        """The next point, at a step that is shortened until Newton's method converges and the tangent turns little."""
        first = length
        while length > 1e-6 * first:
            there, residual, cosine = self.step(here, length)
            if residual <= _SOLVED and cosine > _STRAIGHT:
                return there, length * (1.5 if cosine > 0.995 else 1.0)
            length *= 0.5
        raise RuntimeError(
            f"the branch is lost after p = {here.p:.8g}: the next point is {residual:.2g} off; begin there with "
            "another step, or with more nodes."
        )

    def step(self, here: _Point, length: float) -> tuple[_Point, float, float]:
        u, p, residual, du, dp, cosine = arc.advance(
            self.model_of,
            self.grid,
            here.u,
            jnp.asarray(here.p),
            here.du,
            jnp.asarray(here.dp),
            jnp.asarray(length),
            self.axes,
            self.scale,
        )
        return _Point(u, float(p), du, float(dp)), float(residual), float(cosine)

    def events(self, here: _Point, there: _Point, before: SteadyState, after: SteadyState) -> list[Event]:
        """The fold or the branch points between two neighbours."""
        if here.dp * there.dp < 0:
            return [self._locate("fold", here, there, lambda point, state: point.dp)]
        # A branch that begins at its branch point has a curvature of zero there.
        if here.dp == 0:
            return []
        crossing = range(*sorted((before.index, after.index)))
        found: list[Event] = []
        for which in crossing if before.index < after.index else reversed(crossing):
            event = self._locate("branch point", here, there, lambda point, state, w=which: state.curvatures[w])
            if found and abs(event.parameter - found[-1].parameter) <= 1e-7 * self.scale:
                event = replace(found[-1], multiplicity=found.pop().multiplicity + 1)
            found.append(event)
        return found

    def _locate(self, kind: Any, here: _Point, there: _Point, of: Callable) -> Event:
        from scipy.optimize import brentq

        beta = self.model_of(here.p).beta
        reach = float(arc.inner(beta, here.du, there.u - here.u, here.dp, there.p - here.p, self.scale))
        seen: dict[float, tuple[_Point, SteadyState]] = {}

        def value(s: float) -> float:
            point = self.step(here, s)[0] if s > 0 else here
            state = describe(self.model_of(point.p), self.grid, jnp.asarray(point.u), self.axes)
            seen[s] = point, state
            return float(of(point, state))

        if value(0.0) * value(reach) > 0:
            # Curvatures that only touch zero between two points that are otherwise alike.
            point, state = seen[reach]
            return Event(kind, point.p, abs(there.p - here.p), state, 1)
        # At a fold p is stationary: its error is of second order in that of s.
        root, result = brentq(value, 0.0, reach, xtol=1e-13 * reach, full_output=True)
        if root not in seen:
            value(root)
        point, state = seen[root]
        near = sorted(seen, key=lambda s: abs(s - root))[1]
        error = max(abs(seen[near][0].p - point.p), 1e-13 * self.scale) if result.converged else abs(there.p - here.p)
        return Event(kind, point.p, error, state, 1)


def _potential(model: Model, state: SteadyState) -> Array:
    return energy.potential(model, state.density)
