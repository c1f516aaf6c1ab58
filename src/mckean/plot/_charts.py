"""Where a point of a space lies on the page, the same for particles and for densities."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle

from mckean.checks import require
from mckean.plot._look import FAINT, name_axes
from mckean.spaces import AbstractSpace, Sphere, TangentBundle, Torus

# From in front, to the left and from above.
VIEW = (1.0, -1.0, 0.7)


@dataclass(frozen=True)
class Chart:
    """Two coordinates of a flat space: which, their names, their ends on a torus, and whether lengths are equal."""

    coordinates: tuple[int, ...]
    names: tuple[str, ...]
    ends: tuple[tuple[float, float] | None, ...]
    equal: bool

    def frame(self, ax: Axes) -> None:
        """Names, ends and proportions of the axes."""
        name_axes(ax, *self.names)
        if self.equal:
            ax.set_aspect("equal")
        for limits, set_limits in zip(self.ends, (ax.set_xlim, ax.set_ylim), strict=True):
            if limits is not None:
                set_limits(*limits)


def flat(space: AbstractSpace, coordinates: tuple[int, int] | None) -> Chart:
    """The chart of two coordinates. **Raises** `ValueError` for more than two, if it is not said which."""
    dim = space.dim
    chosen = tuple(range(dim)) if coordinates is None else tuple(coordinates)
    require(
        len(chosen) == 2,
        f"a picture has two coordinates, but {space} has {dim}: choose two of them, coordinates=(0, 1).",
    )
    require(
        all(isinstance(i, int) and 0 <= i < dim for i in chosen) and chosen[0] != chosen[1],
        f"coordinates are two different numbers from 0 to {dim - 1}, not {chosen}.",
    )
    base = space.base if isinstance(space, TangentBundle) else space
    names, ends = [], []
    for i in chosen:
        speed = i >= base.dim
        number = f"_{i % base.dim + 1}" if base.dim > 1 else ""
        names.append(f"velocity $v{number}$ (length/time)" if speed else f"$x{number}$ (length)")
        if isinstance(space, Sphere):
            names[-1] = f"$x{number}$"
        ends.append((0.0, base.lengths[i]) if isinstance(base, Torus) and not speed else None)
    same = all((i >= base.dim) == (chosen[0] >= base.dim) for i in chosen)
    return Chart(chosen, tuple(names), tuple(ends), same)


def line_name(space: AbstractSpace) -> str:
    """The name of the coordinate of a space in dimension 1."""
    return r"angle $\theta$ (radian)" if isinstance(space, Sphere) else "$x$ (length)"


def angles(x: np.ndarray) -> np.ndarray:
    """θ in [0, 2π) of points of the circle S¹."""
    return np.arctan2(x[:, 1], x[:, 0]) % (2 * np.pi)


def frame_of(view: tuple[float, float, float]) -> np.ndarray:
    """Unit vectors to the right, up and towards the eye, as rows; the third coordinate points up on the page."""
    eye = np.asarray(view, float)
    require(
        eye.shape == (3,) and np.all(np.isfinite(eye)) and np.linalg.norm(eye) > 0,
        f"a view is a direction of three numbers from which a sphere is seen, or None for a map, not {view!r}.",
    )
    eye = eye / np.linalg.norm(eye)
    up = np.array([0.0, 0.0, 1.0]) if abs(eye[2]) < 0.999 else np.array([0.0, 1.0, 0.0])
    right = np.cross(up, eye)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(eye, right), eye])


def disc(ax: Axes) -> None:
    """The rim of a sphere that is seen from far away; the axes have no scale, as the frame is turned."""
    ax.set_aspect("equal")
    ax.set_xlim(-1.06, 1.06)
    ax.set_ylim(-1.06, 1.06)
    ax.add_patch(Circle((0, 0), 1.0, fill=False, edgecolor=FAINT, linewidth=1.0, zorder=1.5))
    ax.grid(False)
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)


def show_axis(ax: Axes, frame: np.ndarray) -> None:
    """The axis of x₃, as far as it stands out of the sphere, so that a view has an up."""
    x, y = frame[:, 2][:2]
    length = np.hypot(x, y)
    if length > 0.2:
        ax.annotate(
            "$x_3$", (x / length * 1.0, y / length * 1.0), (x / length * 1.16, y / length * 1.16), ha="center",
            va="center", color=FAINT, arrowprops={"arrowstyle": "<-", "color": FAINT}, annotation_clip=False,
        )  # fmt: skip


def equal_areas(ax: Axes) -> None:
    """The map of S² by longitude and height, on which equal areas are equal (Lambert)."""
    name_axes(ax, r"longitude $\varphi$ (radian)", "height $x_3$")
    ax.set_xlim(0, 2 * np.pi)
    ax.set_ylim(-1, 1)
    ax.set_xticks([0, np.pi / 2, np.pi, 3 * np.pi / 2, 2 * np.pi], ["0", "π/2", "π", "3π/2", "2π"])
