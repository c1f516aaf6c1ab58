"""Minima of convex functions of one variable: on the line with a proof, and on the integers."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Cost = Callable[[float], tuple[float, float]]
_TOLERANCE = 4 * np.finfo(float).eps


class Point(NamedTuple):
    """A place, the function's value there, and a subgradient."""

    x: float
    value: float
    slope: float


def minimum(cost: Cost, start: float, step: float, resolution: float) -> Point:
    """Where a non-negative convex function takes its least value, to rounding of that value.

    The tangents at a point a of negative slope and a point b of positive slope bound the function from below,
    by their value where they meet. The search ends when the best value found is within 4ε of that bound,
    relatively, or when a and b are within the resolution.

    **Arguments:** `cost`: value and a subgradient at a point; `start`: a guess; `step`: how far off it may
    well be; `resolution`: the least distance that matters.
    """
    a, b = _bracket(cost, start, step)
    turn, last = 0, np.inf
    while a.slope < 0 < b.slope:
        crossing, bound = _crossing(a, b)
        best = min(a.value, b.value)
        gap = best - max(bound, 0.0)
        middle = 0.5 * (a.x + b.x)
        if gap <= _TOLERANCE * best or b.x - a.x <= resolution or middle in (a.x, b.x):
            break
        # Secants are fast where the function is smooth, the tangents' crossing at a kink: keep what serves.
        turn, last = turn if gap < last / 16 else (turn + 1) % 4, gap
        x = (_secant(a, b, 1.0), _secant(a, b, 3.0), crossing, middle)[turn]
        x = x if a.x < x < b.x else middle
        point = Point(x, *cost(x))
        a, b = (point, b) if point.slope < 0 else (a, point)
    return a if a.value <= b.value else b


def sign_change(growth: Callable[[int], float], low: int, high: int) -> int:
    """The least integer in [low, high] at which a non-decreasing function is not negative, or else high."""
    a, b = (Point(float(j), np.nan, growth(j)) for j in (low, high - 1))
    if a.slope >= 0 or b.slope < 0:
        return low if a.slope >= 0 else high
    turn = 0
    while b.x - a.x > 1:
        x = (_secant(a, b, 1.0), _secant(a, b, 3.0), 0.5 * (a.x + b.x))[turn]
        j = int(min(max(round(x), a.x + 1), b.x - 1))
        point = Point(float(j), np.nan, growth(j))
        a, b = (point, b) if point.slope < 0 else (a, point)
        turn = (turn + 1) % 3
    return int(b.x)


def _bracket(cost: Cost, start: float, step: float) -> tuple[Point, Point]:
    """Points on both sides of the minimum, or one at it twice, by doubling steps from the start."""
    here = Point(start, *cost(start))
    sign = 1 if here.slope < 0 else -1
    while here.slope * sign < 0:
        x = here.x + sign * step
        there = Point(x, *cost(x))
        if there.slope * sign >= 0:
            return (here, there) if sign > 0 else (there, here)
        here, step = there, 2 * step
    return here, here


def _secant(a: Point, b: Point, reach: float) -> float:
    """Where the slope would vanish if it were linear, taken `reach` times as far from the end nearer to it.

    Beyond the zero, the step brings the farther end in.
    """
    near, far = (a, b) if -a.slope < b.slope else (b, a)
    return near.x + reach * (far.x - near.x) * (near.slope / (near.slope - far.slope))


def _crossing(a: Point, b: Point) -> tuple[float, float]:
    """Where the tangents at a and b meet, and their value there."""
    ahead = (b.value - a.value - b.slope * (b.x - a.x)) / (a.slope - b.slope)
    ahead = min(max(ahead, 0.0), b.x - a.x)
    return a.x + ahead, a.value + a.slope * ahead
