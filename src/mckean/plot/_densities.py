"""Densities: a curve in dimension 1, colours in dimension 2."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from mckean.checks import require
from mckean.measures import AbstractMeasure, Density, Family, Gaussian, Lagrangian, configuration
from mckean.plot._charts import VIEW, disc, equal_areas, flat, frame_of, line_name, show_axis
from mckean.plot._look import LINES, MAP, SIZE, SQUARE, canvas, colours, from_zero, legend, name_axes
from mckean.plot._marks import count
from mckean.spaces import (
    AbstractGrid,
    BoxGrid,
    CircleGrid,
    Euclidean,
    FourierGrid,
    PhaseGrid,
    SphereGrid,
    TangentBundle,
    ZonalGrid,
)

# A Gaussian is drawn as far as so many standard deviations, by so many cells.
_REACH, _CELLS = 4.5, {1: 512, 2: 128}
# Pixels across a sphere.
_PIXELS = 241
# By which a density that is drawn in steps is known from a histogram.
_STEPS = "density"


def density(
    measure: AbstractMeasure,
    ax: Axes | None = None,
    *,
    color: Any = None,
    view: tuple[float, float, float] | None = VIEW,
    label: str | None = None,
    top: float | None = None,
    bar: bool = True,
) -> Axes:
    """Draw a density: a curve in dimension 1, colours with their bar in dimension 2 and on S².

    On a line, a circle, and over ⟨e, x⟩ on a zonal grid it is a curve; cells of a box in dimension 1 are steps. On
    planes, tori, boxes and over (x, v) it is an image; of positions and velocities in dimension 2 it is the density of
    the positions. A sphere S² is seen from outside, which is one half of it, or as a map of equal areas, which is all.

    **Arguments:**

    - `measure`: a `Density`; in dimension 1 also a `Family` of them, a `Lagrangian`, and in dimension 1 and 2 a
      `Gaussian`.
    - `ax`: the axes. Default: None, those of a new figure.
    - `color`: of a curve. Default: None, the next of `COLOURS`; one for each label.
    - `view`: the direction from which S² is seen, three numbers, or None for a map. Default: (1, −1, 0.7).
    - `label`: for the legend of curves. Default: None.
    - `top`: the value at the end of the colours, or of a curve's ordinate, 1/volume. Default: None, the maximum.
    - `bar`: whether colours have a bar beside the axes. Default: True.

    **Returns:** the axes.

    **Raises:** `ValueError` for another measure, and for a density in three dimensions or more.
    """
    members = _members(measure)
    require(top is None or top > 0, f"the top of a density is positive, but {top} was given.")
    draw = _way(members[0], view)
    require(
        len(members) == 1 or draw in (_curve, _steps),
        "a family is drawn by curves, one for each label; in dimension 2 draw one label, family.member(0).",
    )
    labels = [label] if len(members) == 1 else [f"label {a}" for a in range(len(members))]
    with canvas(ax, SQUARE if draw in (_image, _disc) else SIZE) as ax:
        for member, name, paint in zip(members, labels, colours(ax, len(members), color), strict=True):
            draw(ax, member, {"label": name, "color": paint}, {"top": top, "bar": bar, "view": view})
        if len(members) <= 6 and draw in (_curve, _steps):
            legend(ax)
        return ax


def _members(measure: Any) -> list[Any]:
    members = [measure]
    if isinstance(measure, Family):
        members = [measure.member(a) for a in range(measure.size)]
    if isinstance(measure, Density) and isinstance(measure.grid, PhaseGrid) and measure.grid.space.base.dim > 1:
        members = [configuration(measure)]
    if isinstance(measure, Gaussian):
        members = [_boxed(measure)]
    require(
        all(isinstance(member, Density | Lagrangian) for member in members),
        f"a {type(members[0]).__name__} has no density that can be drawn: plot.particles draws a cloud, and deposit or "
        "smooth makes a density of it.",
    )
    return members


def _boxed(law: Gaussian) -> Density:
    dim = law.domain.dim
    require(dim <= 2, f"a density in dimension {dim} has no picture: draw a marginal of it.")
    reach = _REACH * np.sqrt(np.diag(np.asarray(law.covariance, float)))
    require(np.all(reach > 0), "a Gaussian without a variance has no density: draw a sample of it.")
    mean = np.asarray(law.mean, float)
    space, k = law.domain, dim
    if isinstance(space, TangentBundle):
        space, k = space.base, dim // 2
    assert isinstance(space, Euclidean)
    grid = space.grid(_CELLS[dim], tuple((mean - reach)[:k].tolist()), tuple((mean + reach)[:k].tolist()))
    if isinstance(law.domain, TangentBundle):
        grid = law.domain.grid(
            grid, _CELLS[dim], float(np.max(np.abs(mean) + reach, initial=0.0, where=np.arange(dim) >= k))
        )
    return Density.from_law(grid, law)


def _way(measure: Any, view: Any):
    """How a density is drawn."""
    if isinstance(measure, Lagrangian):
        return _steps
    grid = measure.grid
    if isinstance(grid, SphereGrid):
        if view is not None:
            frame_of(view)
        return _map if view is None else _disc
    if len(grid.shape) == 1:
        return _steps if isinstance(grid, BoxGrid) else _curve
    require(
        len(grid.shape) == 2,
        f"a density in dimension {len(grid.shape)} has no picture: draw a marginal of it, summed along the others.",
    )
    return _image


def _density_name(grid: AbstractGrid) -> str:
    if isinstance(grid, CircleGrid | SphereGrid):
        return rf"density $\rho$ (per {'radian' if isinstance(grid, CircleGrid) else 'steradian'})"
    if isinstance(grid, ZonalGrid):
        return r"density $\rho$ (per volume of the sphere)"
    if isinstance(grid, PhaseGrid):
        return "density $f$ (time/length²)"
    return rf"density $\rho$ ({'1/length' if len(grid.shape) == 1 else '1/length²'})"


def _curve(ax: Axes, measure: Density, look: dict, given: dict) -> None:
    grid, values = measure.grid, np.asarray(measure.values, float)
    x, period = np.asarray(grid.axes[0]), None
    if isinstance(grid, FourierGrid | CircleGrid):
        period = grid.sides[0] if isinstance(grid, FourierGrid) else 2 * np.pi
        x, values = np.append(x, period), np.append(values, values[0])
    ax.plot(x, values, linestyle=LINES[_before(ax) % len(LINES)], **look)
    name = r"$\langle e, x\rangle$" if isinstance(grid, ZonalGrid) else line_name(grid.space)
    name_axes(ax, name, _density_name(grid))
    if period is not None:
        ax.set_xlim(0, period)
    from_zero(ax, given["top"])


def _before(ax: Axes) -> int:
    """How many densities and curves there are, the outlines of histograms not among them."""
    return count(ax) + sum(patch.get_gid() == _STEPS for patch in ax.patches)


def _steps(ax: Axes, measure: Any, look: dict, given: dict) -> None:
    """Of a density that is constant on cells."""
    edges = measure.ends if isinstance(measure, Lagrangian) else _edges(measure.grid)
    look = look | {"linewidth": 1.7, "linestyle": LINES[_before(ax) % len(LINES)], "gid": _STEPS}
    ax.stairs(np.asarray(measure.values, float), np.asarray(edges, float), **look)
    name_axes(ax, "$x$ (length)", r"density $\rho$ (1/length)")
    from_zero(ax, given["top"])


def _edges(grid: BoxGrid) -> np.ndarray:
    return np.linspace(grid.lower[0], grid.upper[0], grid.shape[0] + 1)


def _image(ax: Axes, measure: Density, look: dict, given: dict) -> None:
    grid, values = measure.grid, np.asarray(measure.values, float)
    chart = flat(grid.space, None)
    extent = []
    for axis, (nodes, side, ends) in enumerate(zip(grid.axes, grid.sides, chart.ends, strict=True)):
        half = side / grid.shape[axis] / 2
        if ends is not None:
            # The first node of a torus is its end as well.
            values = np.concatenate([values, np.take(values, [0], axis)], axis)
            extent += [-half, side + half]
        else:
            extent += [nodes[0] - half, nodes[-1] + half]
    smooth = "nearest" if isinstance(grid, BoxGrid) else "bilinear"
    _colour(ax, values.T, extent, grid, given, "equal" if chart.equal else "auto", smooth)
    for ends, set_limits, (low, high) in zip(
        chart.ends, (ax.set_xlim, ax.set_ylim), (extent[:2], extent[2:]), strict=True
    ):
        set_limits(*(ends or (low, high)))
    name_axes(ax, *chart.names)


def _colour(ax: Axes, values: np.ndarray, extent: Any, grid: Any, given: dict, aspect: Any, smooth: str) -> None:
    limits = {"vmin": 0.0, "vmax": given["top"], "cmap": MAP}
    drawn = ax.imshow(
        values, origin="lower", extent=tuple(extent), aspect=aspect, interpolation=smooth, zorder=0, **limits
    )
    ax.grid(False)
    if given["bar"]:
        ax.figure.colorbar(drawn, ax=ax, label=_density_name(grid))


def _at(measure: Density, z: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """The density at points of S², linear between the nodes."""
    from scipy.interpolate import RegularGridInterpolator

    theta, phi = (np.asarray(axis, float) for axis in measure.grid.axes)
    values = np.asarray(measure.values, float)[np.argsort(theta)]
    ends = (np.full((1, len(phi)), row.mean()) for row in (values[0], values[-1]))
    first, last = ends
    values = np.concatenate([first, values, last])
    values = np.concatenate([values, values[:, :1]], axis=1)
    axes = (np.concatenate([[0.0], np.sort(theta), [np.pi]]), np.append(phi, 2 * np.pi))
    points = np.stack([np.arccos(np.clip(z, -1, 1)), longitude % (2 * np.pi)], axis=-1)
    return RegularGridInterpolator(axes, values)(points)


def _disc(ax: Axes, measure: Density, look: dict, given: dict) -> None:
    frame = frame_of(given["view"])
    u, v = np.meshgrid(*[np.linspace(-1, 1, _PIXELS)] * 2)
    inside = u**2 + v**2 <= 1
    x = np.stack([u, v, np.sqrt(np.maximum(1 - u**2 - v**2, 0))], axis=-1) @ frame
    values = np.where(inside, _at(measure, x[..., 2], np.arctan2(x[..., 1], x[..., 0])), np.nan)
    given = given | {"top": given["top"] or float(np.max(measure.values))}
    _colour(ax, values, (-1, 1, -1, 1), measure.grid, given, "equal", "nearest")
    disc(ax)
    show_axis(ax, frame)


def _map(ax: Axes, measure: Density, look: dict, given: dict) -> None:
    longitude, z = np.meshgrid(np.linspace(0, 2 * np.pi, 2 * _PIXELS), np.linspace(-1, 1, _PIXELS))
    _colour(ax, _at(measure, z, longitude), (0, 2 * np.pi, -1, 1), measure.grid, given, "auto", "nearest")
    equal_areas(ax)
