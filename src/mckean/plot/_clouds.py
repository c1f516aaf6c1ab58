"""Particles, where they are."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from mckean.checks import positive_integer, require
from mckean.measures import Family, Particles
from mckean.plot._charts import VIEW, Chart, angles, disc, equal_areas, flat, frame_of, line_name, show_axis
from mckean.plot._look import SIZE, SQUARE, canvas, colours, from_zero, legend, name_axes
from mckean.spaces import AbstractSpace, Sphere, TangentBundle, Torus

# Each particle of a small cloud has a tick; more than so many ticks are one bar.
_TICKS = 200
# As many arrows can be seen.
_ARROWS = 600
_MANY = 2000


def particles(
    measure: Particles | Family,
    ax: Axes | None = None,
    *,
    color: Any = None,
    size: float | None = None,
    limit: int = 5000,
    coordinates: tuple[int, int] | None = None,
    view: tuple[float, float, float] | None = VIEW,
    label: str | None = None,
    bounds: tuple[float, float] | None = None,
) -> Axes:
    """Draw particles where they are: a histogram in dimension 1, points in dimension 2 and on S².

    On a line or a circle the histogram is that of the density, and a small cloud has a tick for each particle. With
    velocities they are points (x, v) on the phase plane in dimension 1, and arrows in dimension 2. A family has a
    colour for each label. A sphere S² is seen from outside, the particles behind it pale, or as a map of equal areas.

    **Arguments:**

    - `measure`: `Particles`, or a `Family` of them.
    - `ax`: the axes. Default: None, those of a new figure.
    - `color`: one of matplotlib's colours, for all. Default: None, the next of `COLOURS`; one for each label.
    - `size`: the area of a point, in points². Default: None, by their number. Weights change it.
    - `limit`: how many points are drawn at most, the first ones; a histogram has all. Default: 5000.
    - `coordinates`: which two, for d > 2; counted from 0. Default: None, all.
    - `view`: the direction from which S² is seen, three numbers, or None for a map. Default: (1, −1, 0.7).
    - `label`: for the legend. Default: None.
    - `bounds`: the ends of a histogram on the line, length. Default: None, those of the particles.

    **Returns:** the axes.

    **Raises:** `ValueError` for another measure, and for more than two dimensions without `coordinates`.
    """
    clouds = _members(measure)
    limit = positive_integer("the limit of a picture is a positive number of particles", limit)
    require(size is None or size > 0, f"the size of a point is positive, in points², but {size} was given.")
    draw = _way(clouds[0].space, coordinates, view)
    labels = [label] if len(clouds) == 1 else [f"label {a}" for a in range(len(clouds))]
    with canvas(ax, SIZE if draw in (_histogram, _on_map) else SQUARE) as ax:
        for cloud, name, paint in zip(clouds, labels, colours(ax, len(clouds), color), strict=True):
            look = {"label": name, "color": paint}
            draw(ax, cloud, look, {"size": size, "limit": max(1, limit // len(clouds)), "bounds": bounds})
        if len(clouds) <= 6:
            legend(ax, beside=isinstance(draw, _On))
        return ax


def _members(measure: Any) -> list[Particles]:
    members = [measure]
    if isinstance(measure, Family):
        members = [measure.member(a) for a in range(measure.size)]
    require(
        all(isinstance(member, Particles) for member in members),
        f"particles are drawn of Particles, or of a Family of them, not of a {type(members[0]).__name__}; "
        "plot.density draws a density.",
    )
    return members


def _way(space: AbstractSpace, coordinates: Any, view: Any):
    """How clouds on a space are drawn."""
    if coordinates is None and isinstance(space, Sphere):
        require(
            space.dim <= 3,
            f"tokens on S^{space.dim - 1} have no picture: draw their overlaps with plot.overlap, or two coordinates, "
            "coordinates=(0, 1).",
        )
        if space.dim == 2:
            return _histogram
        return _on_map if view is None else _On(frame_of(view))
    if space.dim == 1:
        return _histogram
    if isinstance(space, TangentBundle) and space.base.dim == 2 and coordinates is None:
        return _arrows
    return _Points(flat(space, coordinates))


def _numbers(cloud: Particles) -> tuple[np.ndarray, np.ndarray]:
    x = np.asarray(cloud.positions, float)
    weights = np.full(len(x), 1 / len(x)) if cloud.weights is None else np.asarray(cloud.weights, float)
    return x, weights


def edges_of(space: AbstractSpace, x: np.ndarray, bounds: tuple[float, float] | None) -> np.ndarray:
    """The ends of the bins: more of them for more particles, as fast as n^{1/3}."""
    if isinstance(space, Torus):
        bounds = (0.0, space.lengths[0])
    elif isinstance(space, Sphere):
        bounds = (0.0, 2 * np.pi)
    low, high = (float(x.min()), float(x.max())) if bounds is None else bounds
    require(low <= high, f"the bounds of a histogram are in increasing order, not {bounds}.")
    # Bins between neighbouring numbers would have no width.
    if high - low <= 1e4 * np.spacing(max(abs(low), abs(high))):
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, int(np.clip(2.5 * len(x) ** (1 / 3), 8, 120)) + 1)


def heights(cloud: Particles, bounds: tuple[float, float] | None) -> tuple[np.ndarray, np.ndarray]:
    """The histogram of a cloud in dimension 1, as a density, and the ends of its bins."""
    x, weights = _numbers(cloud)
    along = angles(x) if isinstance(cloud.space, Sphere) else x[:, 0]
    edges = edges_of(cloud.space, along, bounds)
    return np.histogram(along, edges, weights=weights)[0] / np.diff(edges), edges


def _histogram(ax: Axes, cloud: Particles, look: dict, given: dict) -> None:
    height, edges = heights(cloud, given["bounds"])
    ax.stairs(height, edges, fill=True, alpha=0.3, color=look["color"])
    ax.stairs(height, edges, linewidth=1.2, **look)
    if cloud.n <= _TICKS:
        x = _numbers(cloud)[0]
        along = angles(x) if isinstance(cloud.space, Sphere) else x[:, 0]
        ticks = {"marker": "|", "linestyle": "none", "markersize": 9, "markeredgewidth": 0.9}
        ax.plot(
            along, np.zeros(cloud.n), color=look["color"], clip_on=False, transform=ax.get_xaxis_transform(), **ticks
        )
    unit = "per radian" if isinstance(cloud.space, Sphere) else "1/length"
    name_axes(ax, line_name(cloud.space), rf"density $\rho$ ({unit})")
    from_zero(ax)
    if isinstance(cloud.space, Torus):
        ax.set_xlim(0, cloud.space.lengths[0])
    elif isinstance(cloud.space, Sphere):
        ax.set_xlim(0, 2 * np.pi)


def _marks(cloud: Particles, given: dict) -> tuple[np.ndarray, dict[str, Any]]:
    """The positions of those that are drawn, and the look of their points."""
    x, weights = _numbers(cloud)
    count = min(given["limit"], len(x))
    area = given["size"] or float(np.clip(9000 / count, 3.0, 30.0))
    areas = area if cloud.weights is None else area * weights[:count] * len(x)
    return x[:count], {"s": areas, "linewidths": 0, "rasterized": count > _MANY}


class _Points:
    """Points by two coordinates."""

    def __init__(self, chart: Chart):
        self.chart = chart

    def __call__(self, ax: Axes, cloud: Particles, look: dict, given: dict) -> None:
        x, marks = _marks(cloud, given)
        i, j = self.chart.coordinates
        ax.scatter(x[:, i], x[:, j], alpha=0.6, **marks, **look)
        self.chart.frame(ax)


class _On:
    """Points on S², seen from far away."""

    def __init__(self, frame: np.ndarray):
        self.frame = frame

    def __call__(self, ax: Axes, cloud: Particles, look: dict, given: dict) -> None:
        x, marks = _marks(cloud, given)
        u, v, depth = self.frame @ x.T
        areas = np.broadcast_to(marks.pop("s"), depth.shape)
        front = depth >= 0
        ax.scatter(u[~front], v[~front], s=areas[~front], alpha=0.2, color=look["color"], **marks)
        ax.scatter(u[front], v[front], s=areas[front], alpha=0.85, **marks, **look)
        disc(ax)
        show_axis(ax, self.frame)


def _on_map(ax: Axes, cloud: Particles, look: dict, given: dict) -> None:
    x, marks = _marks(cloud, given)
    ax.scatter(angles(x), x[:, 2], alpha=0.6, **marks, **look)
    equal_areas(ax)


def _arrows(ax: Axes, cloud: Particles, look: dict, given: dict) -> None:
    """Positions with arrows as long as the velocities, up to one scale."""
    z = _numbers(cloud)[0][: min(given["limit"], _ARROWS)]
    arrows = {"angles": "xy", "width": 0.004, "headwidth": 3.5, "headlength": 4.5}
    ax.quiver(z[:, 0], z[:, 1], z[:, 2], z[:, 3], **arrows, **look)
    assert isinstance(cloud.space, TangentBundle)
    flat(cloud.space.base, None).frame(ax)
