"""Films: the snapshots of a run as measures, a frame for each, as .gif, .html and .mp4; the pictures of the README."""

import pathlib
import re

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import pytest
from pictures import CIRCLE, LINE, PHASE, PLANE, S2, TORUS, cloud, family, law, run
from PIL import Image

import mckean as mk
from mckean import plot

matplotlib.use("Agg")
pytestmark = pytest.mark.usefixtures("no_figure_is_left")

README = pathlib.Path(__file__).parent.parent / "README.md"


def test_frames_are_the_measures_of_the_run():
    """The last one is the final measure, to the bit, and the first the start."""
    for measure, shot in ((cloud(CIRCLE, 5), mk.observables.positions), (law(CIRCLE.grid(8)), mk.observables.density)):
        made = run(measure, shot=shot)
        frames = plot.frames(made)
        assert len(frames) == made.times.size == 4
        for known, found in ((measure, frames[0]), (made.final, frames[-1])):
            assert jax.tree.structure(known) == jax.tree.structure(found)
            assert all(np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (known, found)), strict=True))


def test_a_family_takes_snapshots_too():
    model = mk.Population(lambda w: mk.Model(CIRCLE, drift=lambda x, mu: w + 0 * x), jnp.arange(2.0))
    for member, shot in ((cloud(CIRCLE, 5), mk.observables.positions), (law(CIRCLE.grid(8)), mk.observables.density)):
        made = mk.evolve(model, family(member, member), until=0.2, dt=0.1, observe={"x": shot}, every=1)
        first, *_, last = plot.frames(made)
        assert isinstance(last, mk.Family)
        assert all(np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (made.final, last)), strict=True))
        assert float(mk.measures.distance(first.member(0), member)) == 0


def count(path):
    with Image.open(path) as film:
        return getattr(film, "n_frames", 1)


@pytest.mark.parametrize(
    "measure",
    [cloud(LINE), cloud(PLANE), cloud(TORUS), cloud(S2), cloud(PHASE), family(cloud(CIRCLE), cloud(CIRCLE)),
     law(CIRCLE.grid(8)), law(TORUS.grid(8))],
    ids=lambda mu: f"{type(mu).__name__}-{type(mu.domain).__name__}{mu.domain.dim}",
)  # fmt: skip
def test_a_film_has_a_frame_for_each_measure(measure, tmp_path):
    moved = jax.tree.map(lambda a: a, measure)
    made = plot.animate([measure, moved, measure], tmp_path / "film.gif", times=[0.0, 0.5, 1.0], fps=10, dpi=40)
    # Equal frames are joined by the writer of the file, so that these differ by the time above them.
    assert count(made) == 3
    with Image.open(made) as film:
        assert film.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_a_run_is_filmed_as_a_page_of_its_own(tmp_path):
    made = run(cloud(CIRCLE, 20), x=mk.observables.positions)
    page = plot.animate(made, tmp_path / "film.html", dpi=40).read_text()
    assert page.count("data:image/png;base64,") == 4
    assert "http" not in re.sub(r'base64,[^"]*', "", page)


def test_frames_are_drawn_as_the_user_says(tmp_path):
    seen = []

    def draw(number, ax):
        seen.append(number)
        ax.plot([0, 1], [0, number])

    made = plot.animate([1, 2, 3], tmp_path / "film.gif", draw=draw, dpi=40)
    assert count(made) == 3
    assert set(seen) == {1, 2, 3}


def test_a_film_that_fails_leaves_no_file(tmp_path):
    def draw(number, ax):
        if number == 2:
            raise FloatingPointError("two")

    with pytest.raises(FloatingPointError):
        plot.animate([1, 2], tmp_path / "film.gif", draw=draw)
    assert list(tmp_path.iterdir()) == []


def test_an_mp4_needs_ffmpeg(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ValueError, match=r"needs ffmpeg, which is not installed: save a \.gif\.$"):
        plot.animate([cloud(PLANE)], tmp_path / "film.mp4")


def test_an_mp4_has_every_frame(tmp_path, monkeypatch):
    """By a program of the name that keeps the frames which it is given: three of the same size, four bytes a pixel."""
    fake = tmp_path / "ffmpeg"
    fake.write_text('#!/bin/sh\nfor last; do :; done\ncat > "$last"\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    made = plot.animate([cloud(PLANE) for _ in range(3)], tmp_path / "film.mp4", size=(2.0, 1.0), dpi=40)
    assert made.stat().st_size == 3 * 80 * 40 * 4


def test_the_pictures_of_the_readme_are_there_and_small():
    """Each is made by a function of docs/pictures.py, and none of its pictures is left out."""
    text = README.read_text(encoding="utf-8")
    shown = re.findall(r"!\[[^\]]{20,}\]\(docs/([\w.]+)\)", text)
    script = (README.parent / "docs" / "pictures.py").read_text(encoding="utf-8")
    made = re.findall(r'"([\w]+\.(?:png|gif))": ', script)
    assert sorted(shown) == sorted(made)
    assert [name.partition(".")[2] for name in sorted(shown)].count("gif") == 1
    assert len(shown) == 5
    for name in shown:
        path = README.parent / "docs" / name
        assert path.stat().st_size < (600_000 if name.endswith(".gif") else 150_000)
        assert (count(path) > 10) == name.endswith(".gif")
