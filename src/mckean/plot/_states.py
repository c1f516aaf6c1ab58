"""Steady states over one parameter and over two, and the way between two densities."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from mckean.checks import require, require_finite
from mckean.phases import Branch, PhaseDiagram, SteadyState
from mckean.plot._charts import flat, line_name
from mckean.plot._look import COLOURS, INK, MAP, SIZE, SQUARE, canvas, colours, name_axes, shades
from mckean.spaces import BoxGrid
from mckean.transport import Geodesic

# How far an event may lie off a segment, by the way over it; and a curvature that is zero.
_NEAR, _FLAT = 3.0, 1e-6
_DASHED = (0, (3, 1.6))
_COORDINATES = {"order": "order parameter", "free_energy": "free energy $F$ (energy per particle)"}
_EVENTS = {"fold": ("s", "fold"), "branch point": ("o", "branch point")}
# Of the phases of a diagram, dark enough to be told apart in greyscale too.
_PHASES = {0: ("#F3F3F3", "disordered"), 1: ("#F3D9A4", "both stable"), 2: ("#9CC9E8", "ordered"), -1: ("#FFFFFF", "")}


def branches(
    branches: Branch | Sequence[Branch],
    ax: Axes | None = None,
    *,
    coordinate: str | Callable[[SteadyState], Any] = "order",
    parameter: str = "parameter",
    labels: Sequence[str] | None = None,
) -> Axes:
    """Draw branches of steady states over their parameter: stable ones solid, others dashed, events marked.

    **Arguments:**

    - `branches`: a `Branch`, as `phases.continuation` returns it, or several.
    - `ax`: the axes. Default: None, those of a new figure.
    - `coordinate`: what is drawn of a state: "order", "free_energy", or a function of a `SteadyState` whose value is a
      number. Default: "order".
    - `parameter`: the name of the parameter, for the axis. Default: "parameter".
    - `labels`: a name for each branch, for the legend. Default: None.

    **Returns:** the axes.

    **Raises:** `ValueError` for what is no branch, and for a coordinate that is not one finite number.
    """
    several = [branches] if isinstance(branches, Branch) else list(branches) if isinstance(branches, Sequence) else []
    require(
        bool(several) and all(isinstance(branch, Branch) for branch in several),
        "branches are one Branch or several, as phases.continuation returns them.",
    )
    require(
        callable(coordinate) or coordinate in _COORDINATES,
        f'the coordinate of a state is "order", "free_energy" or a function of the state, not {coordinate!r}.',
    )
    require(labels is None or len(labels) == len(several), f"{len(several)} branches take as many labels.")
    of = coordinate if callable(coordinate) else lambda state: getattr(state, coordinate)
    curves = [_curve(branch, of) for branch in several]
    stable = [_stability(branch) for branch in several]
    with canvas(ax) as ax:
        handles = []
        for i, (branch, y, paint) in enumerate(zip(several, curves, colours(ax, len(several)), strict=True)):
            for piece, solid in _pieces(branch, y, of):
                ax.plot(*piece.T, color=paint, linestyle="-" if solid else _DASHED)
            if labels is not None:
                handles.append(Line2D([], [], color=paint, label=labels[i]))
            for event in branch.events:
                marker = _EVENTS[event.kind][0]
                look = {"marker": marker, "markersize": 6, "markerfacecolor": "white", "linestyle": "none"}
                ax.plot(event.parameter, _value(of, event.state), markeredgecolor=INK, zorder=3, **look)
        kinds = {event.kind for branch in several for event in branch.events}
        flat_ = [one for branch in stable for one in branch]
        handles += [Line2D([], [], color=INK, label="stable")] if any(flat_) else []
        handles += [Line2D([], [], color=INK, linestyle=_DASHED, label="not stable")] if not all(flat_) else []
        handles += [_event(kind) for kind in _EVENTS if kind in kinds]
        name_axes(ax, parameter, _COORDINATES.get(coordinate, "coordinate") if isinstance(coordinate, str) else "state")
        ax.legend(handles=handles, loc="best", frameon=True, framealpha=0.8, edgecolor="none")
        return ax


def _event(kind: str) -> Line2D:
    marker, label = _EVENTS[kind]
    look = {"markersize": 6, "markerfacecolor": "white", "markeredgecolor": INK, "linestyle": "none"}
    return Line2D([], [], marker=marker, label=label, **look)


def _value(of: Callable, state: SteadyState) -> float:
    found = np.asarray(of(state), float)
    require(
        found.size == 1,
        f"the coordinate of a state is one number, not an array of shape {found.shape}: give a function of the state.",
    )
    require_finite("the coordinate of a state", found)
    return float(found.reshape(()))


def _curve(branch: Branch, of: Callable) -> np.ndarray:
    return np.array([_value(of, state) for state in branch.states])


def _pieces(branch: Branch, y: np.ndarray, of: Callable):
    """The curve in pieces of one stability, which meet where it changes: at an event, where one is near."""
    curve = np.stack([branch.parameters, y], axis=1)
    stable = _stability(branch)
    events = np.array([[event.parameter, _value(of, event.state)] for event in branch.events]).reshape(-1, 2)
    scale = np.maximum(np.ptp(curve, axis=0), 1e-300)
    piece = [curve[0]]
    for i in range(1, len(curve)):
        if stable[i] != stable[i - 1]:
            ends = curve[i - 1 : i + 1]
            away = np.linalg.norm((events[:, None] - ends) / scale, axis=-1).sum(axis=1)
            near = len(events) and away.min() <= _NEAR * np.linalg.norm((ends[1] - ends[0]) / scale)
            meet = events[np.argmin(away)] if near else ends.mean(axis=0)
            yield np.array([*piece, meet]), stable[i - 1]
            piece = [meet]
        piece.append(curve[i])
    yield np.array(piece), stable[-1]


def _stability(branch: Branch) -> list[bool]:
    """Whether each point is stable; one of no curvature, where a branch leaves another, is what its neighbour is."""
    stable = [state.stable for state in branch.states]
    flat = [abs(float(np.min(np.real(state.curvatures)))) < _FLAT for state in branch.states]
    for ahead, at in ((1, range(len(stable) - 2, -1, -1)), (-1, range(1, len(stable)))):
        for i in at:
            if flat[i] and not flat[i + ahead]:
                stable[i] = stable[i + ahead]
    return stable


def phase_diagram(diagram: PhaseDiagram, ax: Axes | None = None, *, field: str = "phase") -> Axes:
    """Draw a phase diagram: which states are stable over two parameters, and the lines where that changes.

    **Arguments:**

    - `diagram`: as `phases.phase_diagram` returns it; an unfinished one is white where nothing is known.
    - `ax`: the axes. Default: None, those of a new figure.
    - `field`: "phase", or "order" and "gap" as colours with a bar. Default: "phase".

    **Returns:** the axes, the second parameter along x and the first along y.

    **Raises:** `ValueError` for what is no `PhaseDiagram`, and for another field.
    """
    require(
        isinstance(diagram, PhaseDiagram),
        f"a diagram is a PhaseDiagram, as phases.phase_diagram returns it, not a {type(diagram).__name__}.",
    )
    names = {"phase": "", "order": "order parameter", "gap": "difference of $F$ (energy per particle)"}
    require(field in names, f'the field of a phase diagram is "phase", "order" or "gap", not {field!r}.')
    q, p, values = diagram.second, diagram.first, np.asarray(getattr(diagram, field), float)
    with canvas(ax, (5.2, 4.0)) as ax:
        handles: list[Any] = []
        look = {"shading": "nearest", "rasterized": True, "zorder": 0}
        if field == "phase":
            order = sorted(_PHASES)
            found = [int(phase) for phase in np.unique(values)]
            paints = ListedColormap([_PHASES[phase][0] for phase in order])
            ax.pcolormesh(q, p, values, cmap=paints, vmin=-1.5, vmax=2.5, **look)
            handles = [
                Patch(facecolor=_PHASES[k][0], edgecolor="#BBBBBB", label=_PHASES[k][1]) for k in found if k >= 0
            ]
        else:
            drawn = ax.pcolormesh(q, p, values, cmap=MAP, **look)
            ax.figure.colorbar(drawn, ax=ax, label=names[field])
        ax.grid(False)
        # Seen on dark colours too.
        rim = withStroke(linewidth=3.5, foreground="white", alpha=0.8)
        for i, (name, line) in enumerate((("threshold", "-"), ("coexistence", (0, (5, 2.2))), ("fold", (0, (1, 1.2))))):
            along = np.asarray(getattr(diagram, name), float)
            if np.any(np.isfinite(along)):
                marker = "o" if np.isfinite(along).sum() == 1 else None
                handles += ax.plot(q, along, color=(INK, COLOURS[1], COLOURS[0])[i], linestyle=line, marker=marker,
                                   markersize=4, label=name, path_effects=[rim])  # fmt: skip
        name_axes(ax, diagram.names[1], diagram.names[0])
        ax.legend(handles=handles, loc="best", frameon=True, framealpha=0.85, edgecolor="none")
        return ax


def geodesic(geodesic: Geodesic, ax: Axes | None = None, *, times: int = 5) -> Axes:
    """Draw the densities along a geodesic, dark at its start and light at its end.

    In dimension 1 they are curves, in dimension 2 the lines where each is half of its maximum.

    **Arguments:**

    - `geodesic`: as `transport.geodesic` returns it.
    - `ax`: the axes. Default: None, those of a new figure.
    - `times`: how many densities, equally far apart in time, with both ends. Default: 5.

    **Returns:** the axes.

    **Raises:** `ValueError` for what is no `Geodesic`, for fewer than two times, and in dimension 3.
    """
    require(
        isinstance(geodesic, Geodesic),
        f"a geodesic is a Geodesic, as transport.geodesic returns it, not a {type(geodesic).__name__}.",
    )
    dim, last = len(geodesic.grid.shape), len(geodesic.values) - 1
    require(dim <= 2, f"a geodesic in dimension {dim} has no picture.")
    require(isinstance(times, int) and times >= 2, f"the densities of a geodesic are two or more, not {times}.")
    chosen = np.unique(np.rint(np.linspace(0, last, times)).astype(int))
    grid, values = geodesic.grid, np.asarray(geodesic.values, float)
    with canvas(ax, SIZE if dim == 1 else SQUARE) as ax:
        handles = []
        for k, paint in zip(chosen, shades(len(chosen)), strict=True):
            label = f"$t$ = {k / last:.3g}"
            if dim == 1:
                handles += ax.plot(grid.axes[0], values[k], color=paint, label=label)
            else:
                ax.contour(*grid.axes, values[k].T, levels=[0.5 * values[k].max()], colors=[paint])
                handles.append(Line2D([], [], color=paint, label=label))
        if dim == 1:
            name_axes(ax, line_name(grid.space), r"density $\rho$ (1/length)")
            ax.set_ylim(bottom=min(0.0, float(values.min())))
        else:
            flat(grid.space, None).frame(ax)
            if isinstance(grid, BoxGrid):
                ax.set_xlim(grid.lower[0], grid.upper[0])
                ax.set_ylim(grid.lower[1], grid.upper[1])
        beside: Any = {"loc": "upper left", "bbox_to_anchor": (1.02, 1.0)} if dim == 2 else {"loc": "best"}
        ax.legend(handles=handles, **beside)
        return ax
