"""What moves: the snapshots of a run as measures, and as a film."""

from __future__ import annotations

import base64
import io
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import equinox as eqx
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mckean.checks import nearest, positive_integer, require
from mckean.dynamics import Trajectory
from mckean.measures import AbstractMeasure, Density, Family, Particles
from mckean.plot._clouds import heights, particles
from mckean.plot._densities import density
from mckean.plot._look import style
from mckean.spaces import Euclidean, Sphere, TangentBundle

if TYPE_CHECKING:
    from PIL.Image import Image

# Colours of a film: more than a picture of ours has, but for those between two of them at the rim of a letter.
_PALETTE = 128
_ENDINGS = (".gif", ".mp4", ".html")


def frames(trajectory: Trajectory, name: str | None = None) -> list[Any]:
    """The measures of a run at the times of its records, from a snapshot that it took.

    A run takes snapshots with `observe={"x": observables.positions}`, of a density with `observables.density`, and
    `every=` says after how many steps.

    **Arguments:**

    - `trajectory`: a run that was observed so.
    - `name`: of the observable. Default: None, the only one of the shape of a snapshot.

    **Returns:** a list of measures of the class of the final one, one for each of `trajectory.times`.

    **Raises:** `ValueError` for a run without a snapshot or with several, and for a batch of runs.
    """
    require(
        isinstance(trajectory, Trajectory), f"frames are those of a Trajectory, not of a {type(trajectory).__name__}."
    )
    require(trajectory.times.ndim == 1, "this is a batch of runs: take one, jax.tree.map(lambda a: a[i], runs).")
    final = trajectory.final
    place = _place(final)
    shape = place(final).shape
    fits = [key for key, found in trajectory.observed.items() if np.shape(found)[1:] == shape and np.ndim(found) > 1]
    if name is None:
        kind = "density" if _is_density(final) else "positions"
        require(
            bool(fits),
            f'this run took no snapshots: observe={{"x": mckean.observables.{kind}}} takes one after each stride.',
        )
        require(len(fits) == 1, f"this run took several snapshots, {', '.join(fits)}: say which, name={fits[0]!r}.")
        name = fits[0]
    nearest(name, trajectory.observed, "observable of the run")
    require(name in fits, f"the observable '{name}' is no snapshot: each of its values would have the shape {shape}.")
    return [eqx.tree_at(place, final, values) for values in trajectory.observed[name]]


def _is_density(measure: AbstractMeasure) -> bool:
    return isinstance(measure.members if isinstance(measure, Family) else measure, Density)


def _place(final: Any) -> Callable[[Any], Any]:
    """Where a measure has what a snapshot holds."""
    inner = final.members if isinstance(final, Family) else final
    require(
        isinstance(inner, Particles | Density),
        f"snapshots are those of particles or of a density on a grid, not of a {type(inner).__name__}.",
    )
    if isinstance(final, Family):
        return lambda mu: mu.members.positions if isinstance(inner, Particles) else mu.members.values
    return lambda mu: mu.positions if isinstance(inner, Particles) else mu.values


def animate(
    film: Any,
    path: str | Path,
    *,
    draw: Callable[[Any, Axes], Any] | None = None,
    name: str | None = None,
    times: Any = None,
    fps: int = 15,
    size: tuple[float, float] = (4.0, 3.6),
    dpi: int = 110,
) -> Path:
    """Save a film of a run, or of any frames: as .gif, as .mp4 or, with buttons to play it, as .html, by the ending.

    The axes and the scale of colours are those of all frames together.

    **Arguments:**

    - `film`: a `Trajectory` with snapshots, see `frames`; or a sequence of measures, or of what `draw` takes.
    - `path`: of the file. A .gif is made by pillow, an .mp4 by ffmpeg; an .html holds its pictures itself. In a .gif
      equal frames that follow each other are one, shown for as long.
    - `draw`: draws one frame, a function of (frame, axes). Default: None, `particles` or `density`.
    - `name`: of the snapshot, as for `frames`. Default: None.
    - `times`: of the frames, shown above them, shape (t,). Default: None, those of the trajectory.
    - `fps`: frames per second. Default: 15.
    - `size`: width and height, inches. Default: (4.0, 3.6).
    - `dpi`: pixels per inch. Default: 110.

    **Returns:** the path.

    **Raises:** `ValueError` for another ending, no frames, frames that cannot be drawn, and an .mp4 without ffmpeg.
    """
    path = Path(path)
    require(
        path.suffix in _ENDINGS,
        f"a film is a .gif, an .mp4 or an .html, by the ending of its file, not {path.name!r}.",
    )
    require(
        path.suffix != ".mp4" or shutil.which("ffmpeg"), "an .mp4 needs ffmpeg, which is not installed: save a .gif."
    )
    fps, dpi = (
        positive_integer(f"the {what} of a film is a positive integer", n) for what, n in (("fps", fps), ("dpi", dpi))
    )
    if isinstance(film, Trajectory):
        times, film = film.times if times is None else times, frames(film, name)
    require(
        isinstance(film, Sequence) and len(film) > 0, f"a film is a Trajectory or a sequence of frames, not {film!r}."
    )
    times = None if times is None else np.asarray(times, float)
    require(times is None or times.shape == (len(film),), f"a film of {len(film)} frames has as many times.")
    require(draw is None or callable(draw), f"a frame is drawn by a function of (frame, axes), not by {draw!r}.")
    shown = _shown(film, _default(film) if draw is None else draw, times, size, dpi)
    part = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        {".gif": _gif, ".mp4": _mp4, ".html": _page}[path.suffix](shown, part, fps)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _shown(film: Sequence, draw: Callable, times: Any, size: Any, dpi: int) -> Iterator[Figure]:
    """One figure, with one frame after another on it."""
    with style():
        figure = Figure(figsize=size, layout="constrained", dpi=dpi)
        FigureCanvasAgg(figure)
        ax = figure.add_subplot()
        for k, frame in enumerate(film):
            ax.clear()
            draw(frame, ax)
            if times is not None:
                ax.set_title(f"$t$ = {_time(times, k)}")
            figure.canvas.draw()
            # The place of the axes is that of the first frame.
            figure.set_layout_engine("none")
            yield figure


def _pictures(shown: Iterator[Figure]) -> list[Image]:
    """The frames as pictures of one palette, which is smaller than one for each and does not flicker."""
    from PIL import Image

    # The figure is one, drawn on again.
    full = [Image.fromarray(np.array(figure.canvas.buffer_rgba())).convert("RGB") for figure in shown]  # pyright: ignore
    few = full[:: max(1, len(full) // 6)]
    sheet = Image.new("RGB", (full[0].width, full[0].height * len(few)))
    for k, picture in enumerate(few):
        sheet.paste(picture, (0, k * picture.height))
    palette = sheet.quantize(_PALETTE)
    # The nearest colour is found up to 8 of 255 steps, and what is nearly white would show on a white page.
    colours = np.array(palette.getpalette()).reshape(-1, 3)
    colours[colours.min(1) >= 248] = 255
    palette.putpalette(colours.ravel().tolist())
    return [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in full]


def _gif(shown: Iterator[Figure], path: Path, fps: int) -> None:
    first, *others = _pictures(shown)
    first.save(path, "GIF", save_all=True, append_images=others, duration=round(1000 / fps), loop=0, optimize=True)


def _mp4(shown: Iterator[Figure], path: Path, fps: int) -> None:
    from matplotlib.animation import FFMpegWriter

    writer = FFMpegWriter(fps)
    for k, figure in enumerate(shown):
        if k == 0:
            writer.setup(figure, path, figure.dpi)
        writer.grab_frame()
    writer.finish()


def _page(shown: Iterator[Figure], path: Path, fps: int) -> None:
    pictures = []
    for picture in _pictures(shown):
        held = io.BytesIO()
        picture.save(held, "PNG", optimize=True)
        pictures.append("data:image/png;base64," + base64.b64encode(held.getvalue()).decode())
    page = resources.files("mckean.plot").joinpath("player.html").read_text(encoding="utf-8")
    page = page.replace("/*frames*/", ",\n".join(f'"{picture}"' for picture in pictures)).replace("/*fps*/", str(fps))
    path.write_text(page, encoding="utf-8")


def _time(times: np.ndarray, k: int) -> str:
    """With as many digits as tell two frames apart, the same number in all."""
    gap = float(np.min(np.diff(times))) if len(times) > 1 else 1.0
    digits = max(0, int(np.ceil(-np.log10(max(gap, 1e-12)) - 1e-6)))
    return f"{times[k]:.{digits}f}"


def _default(film: Sequence) -> Callable[[Any, Axes], Any]:
    """The function that draws measures of one class on axes that hold all of them."""
    first = film[0]
    require(
        all(isinstance(frame, Particles | Density | Family) for frame in film),
        f"frames are particles, densities or families of them, or draw= says how a {type(first).__name__} is drawn.",
    )
    if _is_density(first):
        top = max(float(np.max(_values(frame))) for frame in film)
        shown: list[Axes] = []

        def one(frame, ax):
            density(frame, ax, top=1.05 * top, bar=not shown)
            shown.append(ax)

        return one
    return _clouds(film)


def _values(frame: Any) -> Any:
    return _place(frame)(frame)


def _clouds(film: Sequence) -> Callable[[Any, Axes], Any]:
    space = film[0].domain
    members = [frame.member(a) for frame in film for a in range(frame.size)] if isinstance(film[0], Family) else film
    if isinstance(space, Sphere) and space.dim > 2:
        return particles
    points = np.concatenate([np.asarray(member.positions) for member in members])
    low, high = points.min(0), points.max(0)
    room = 0.04 * np.maximum(high - low, 1e-12)
    if len(low) == 1 or isinstance(space, Sphere):
        bounds = (float(low[0]), float(high[0]))
        top = max(float(np.max(heights(member, bounds)[0])) for member in members)

        def bars(frame, ax):
            particles(frame, ax, bounds=bounds)
            ax.set_ylim(0, 1.05 * top)

        return bars
    base = space.base if isinstance(space, TangentBundle) else space

    def dots(frame, ax):
        particles(frame, ax)
        ends = zip((ax.set_xlim, ax.set_ylim), range(2), strict=True)
        for set_limits, i in ends:
            # Of a torus the chart has the ends.
            if isinstance(base, Euclidean) or i >= base.dim:
                set_limits(low[i] - room[i], high[i] + room[i])

    return dots
