"""The walk along a curve of steady states: its points, and the events between two of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np

from mckean.checks import require
from mckean.models import Model
from mckean.phases import _arc as arc
from mckean.phases._states import SteadyState, describe
from mckean.spaces import AbstractGrid

# An error of log ρ that is rounding.
SOLVED = 1e-9
# Neighbouring tangents are this near: their cosine.
_STRAIGHT = 0.97
# The least frequency of a pair, as a share of the largest rate that is known: a pair that rounding splits is real.
_TURNS = 1e-6
# How near a fold, as a share of its segment, a branch point is not told from it.
_NEAR = 1e-3
# What is left of a function at a zero of its own, as a share of its values at the ends; and how far beside a crossing
# two branches are told apart, as a share of the segment.
_JUMP, _BESIDE = 1e-9, 0.02


@dataclass(frozen=True, eq=False)
class Event:
    """A point of a branch where something happens.

    **Attributes:**

    - `kind`: "fold", where the branch turns back, "branch point", where other branches meet it, or "Hopf", where a
      solution that turns leaves a state of a model with a drift.
    - `parameter`: where.
    - `error`: how far the parameter may be off, by what is left there of the curvature or of dp that vanishes.
    - `state`: the `SteadyState` there.
    - `multiplicity`: how many curvatures vanish there, or have the real part 0: two for each pair.
    - `model_of`: the model for a parameter.
    - `frequency`: ω at a Hopf point, where a pair of rates is ±iω, per time; else 0.
    """

    kind: Literal["fold", "branch point", "Hopf"]
    parameter: float
    error: float
    state: SteadyState
    multiplicity: int
    model_of: Callable[[Any], Model]
    frequency: float = 0.0

    def __repr__(self) -> str:
        return (
            f"Event({self.kind}, parameter={self.parameter:.12g} ± {self.error:.1g}, multiplicity={self.multiplicity})"
        )


@dataclass(frozen=True)
class CurvePoint:
    """A point of the curve with its tangent: du a change of u, dp of the parameter."""

    u: Any
    p: float
    du: Any
    dp: float


@dataclass(frozen=True)
class Walk:
    """The steps along a curve. `scale`: that of the parameter."""

    model_of: Callable[[Any], Model]
    grid: AbstractGrid
    axes: tuple[int, ...]
    scale: float

    def start(self, u: Any, p: float, sign: float) -> CurvePoint:
        """The first point, from which the parameter grows (+1) or falls."""
        du, dp = arc.tangent(
            self.model_of, self.grid, u, jnp.asarray(p), jnp.zeros_like(u), jnp.ones(()), self.axes, self.scale
        )
        turn = sign * np.sign(float(dp)) or 1.0
        return CurvePoint(u, p, turn * du, turn * float(dp))

    def leave(self, u: Any, p: float, change: Any, slope: float) -> CurvePoint:
        """The first point, from which log ρ changes along `change`, and the parameter by `slope` for a change of 1."""
        beta = self.model_of(p).beta
        du = jnp.asarray(change, float) / -beta
        require(du.shape == self.grid.shape, f"a change of log ρ has the grid's shape, not {du.shape}.")
        unit = float(arc.norm(beta, du, jnp.zeros(()), self.scale))
        require(unit > 0, "a direction in which to leave a branch point is not zero.")
        du = du / unit
        size = float(arc.norm(beta, du, jnp.asarray(slope), self.scale))
        return CurvePoint(u, p, du / size, slope / size)

    def next(self, here: CurvePoint, length: float) -> tuple[CurvePoint, float]:
        """The next point, at a step that is shortened until Newton's method converges and the tangent turns little."""
        first = length
        while length > 1e-6 * first:
            there, residual, cosine = self.step(here, length)
            if residual <= SOLVED and cosine > _STRAIGHT:
                return there, length * (1.5 if cosine > 0.995 else 1.0)
            length *= 0.5
        raise RuntimeError(
            f"the branch is lost after p = {here.p:.8g}: the next point is {residual:.2g} off; begin there with "
            "another step, or with more nodes."
        )

    def step(self, here: CurvePoint, length: float, bend: Any = None) -> tuple[CurvePoint, float, float]:
        """The point at a distance, its residual, and the cosine of the two tangents.

        `bend`: where it is thought to lie off the tangent, by u and p.
        """
        off = (jnp.zeros(self.grid.shape), 0.0) if bend is None else bend
        u, p, residual, du, dp, cosine = arc.advance(
            self.model_of,
            self.grid,
            here.u,
            jnp.asarray(here.p),
            here.du,
            jnp.asarray(here.dp),
            jnp.asarray(length),
            (off[0], jnp.asarray(off[1])),
            self.axes,
            self.scale,
        )
        return CurvePoint(u, float(p), du, float(dp)), float(residual), float(cosine)

    def describe(self, point: CurvePoint) -> SteadyState:
        """The state of a point."""
        return describe(self.model_of(point.p), self.grid, jnp.asarray(point.u), self.axes)

    def events(
        self, ends: tuple[CurvePoint, CurvePoint], states: tuple[SteadyState, SteadyState], leaving: bool
    ) -> list[Event]:
        """The fold and the branch points between two neighbours; `leaving`: whether the first is a branch point."""
        segment = _Segment(self, ends, states)
        # A branch that begins at its branch point has curvatures of zero there.
        begin = 0.25 * segment.reach if leaving else 0.0
        if ends[0].dp * ends[1].dp >= 0:
            return segment.crossings(begin, segment.reach)
        fold, place = segment.locate("fold", lambda point, state: point.dp, 0.0, segment.reach)
        gap = _NEAR * segment.reach
        return [
            *segment.crossings(begin, place - gap),
            fold,
            *segment.crossings(place + gap, segment.reach),
        ]


class _Segment:
    """A piece of the curve between two neighbours, by the distance s along the tangent of the first one."""

    def __init__(self, walk: Walk, ends: tuple[CurvePoint, CurvePoint], states: tuple[SteadyState, SteadyState]):
        here, there = ends
        beta = walk.model_of(here.p).beta
        self.walk, self.here = walk, here
        self.reach = float(arc.inner(beta, here.du, there.u - here.u, here.dp, there.p - here.p, walk.scale))
        self.seen = {0.0: (here, states[0]), self.reach: (there, states[1])}
        self.bend = there.u - here.u - self.reach * here.du, there.p - here.p - self.reach * here.dp

    def at(self, s: float) -> tuple[CurvePoint, SteadyState]:
        if s not in self.seen:
            # Near a branch point Newton's method from the tangent would find the other branch: a parabola to the end.
            share = (s / self.reach) ** 2
            point, residual, _ = self.walk.step(self.here, s, (share * self.bend[0], share * self.bend[1]))
            near = abs(point.p - self.here.p) <= 2 * self.reach * self.walk.scale
            if not (near and residual <= SOLVED):
                raise RuntimeError(f"the branch is lost near p = {self.here.p:.8g}: take smaller steps.")
            self.seen[s] = point, self.walk.describe(point)
        return self.seen[s]

    def crossings(self, begin: float, end: float) -> list[Event]:
        """The branch points where the index at the end differs from that at the beginning."""
        if begin >= end:
            return []
        first, last = self.at(begin)[1].index, self.at(end)[1].index
        crossing = range(*sorted((first, last)))
        found: list[Event] = []
        for which in crossing if first < last else reversed(crossing):
            growth = lambda point, state, w=which: np.real(state.curvatures[w])  # noqa: E731
            event = self.locate("branch point", growth, begin, end)[0]
            frequency = abs(float(np.imag(event.state.curvatures[which])))
            if frequency > _TURNS * np.abs(event.state.curvatures).max():
                event = replace(event, kind="Hopf", frequency=frequency)
            if found and abs(event.parameter - found[-1].parameter) <= 1e-7 * self.walk.scale:
                event = replace(found[-1], multiplicity=found.pop().multiplicity + 1)
            found.append(event)
        return found

    def locate(self, kind: Any, of: Callable, begin: float, end: float) -> tuple[Event, float]:
        """Where a function of a point and its state is zero, and at which s."""
        from scipy.optimize import brentq

        width = abs(self.at(end)[0].p - self.at(begin)[0].p)
        value = lambda s: float(of(*self.at(s)))  # noqa: E731
        if value(begin) * value(end) > 0:
            # Curvatures that only touch zero between two points that are otherwise alike.
            point, state = self.at(end)
            return Event(kind, point.p, width, state, 1, self.walk.model_of), end

        def found(s: float) -> float:
            try:
                return value(s)
            except RuntimeError:
                return 0.0

        # At a fold p is stationary: its error is of second order in that of s.
        root, result = brentq(found, begin, end, xtol=1e-13 * self.reach, full_output=True)
        if root not in self.seen or abs(value(root)) > _JUMP * max(abs(value(begin)), abs(value(end))):
            return self._between(kind, of, begin, root, end), root
        point, state = self.at(root)
        near = sorted(self.seen, key=lambda s: abs(s - root))[1]
        # What is left of the function, by the slope to the nearest point that was seen.
        left, slope = abs(value(root)), abs(value(near) - value(root))
        error = width if not result.converged or slope == 0 else abs(self.at(near)[0].p - point.p) * left / slope
        error = max(error, 1e-13 * self.walk.scale)
        return Event(kind, point.p, error, state, 1, self.walk.model_of), root

    def _between(self, kind: Any, of: Callable, begin: float, root: float, end: float) -> Event:
        """The event where another branch passes through at an angle: beside it the two are told from each other.

        There the function is a coordinate of the curve, and where it is zero u and p are its interpolation.
        """
        beside = np.clip(root + self.reach * _BESIDE * np.array([-2.0, -1.0, 1.0, 2.0]), begin, end)
        places = np.unique([begin, *beside, end])
        at = [self.at(float(s)) for s in places]
        c = np.array([float(of(*each)) for each in at])

        def weights(chosen: np.ndarray) -> np.ndarray:
            """Lagrange's, at zero."""
            return np.array([np.prod([b / (b - a) for b in chosen if b != a]) for a in chosen])

        p = np.array([point.p for point, _ in at])
        inner = slice(1, -1)
        parameter = float(weights(c) @ p)
        error = abs(parameter - float(weights(c[inner]) @ p[inner]))
        u = sum(w * point.u for w, (point, _) in zip(weights(c), at, strict=True))
        state = self.walk.describe(CurvePoint(u, parameter, self.here.du, self.here.dp))
        return Event(kind, parameter, max(error, 1e-13 * self.walk.scale), state, 1, self.walk.model_of)
