"""Pictures: every kind of measure by every function, axes with names, what is where, colours, films, no figure left."""

import dataclasses
import pathlib
import re

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

import mckean as mk
from mckean import plot, statistics
from mckean.energetics import Accounts, Ledger
from mckean.phases import Branch, Event, PhaseDiagram, SteadyState
from mckean.transport import Geodesic

matplotlib.use("Agg")
from matplotlib import pyplot

README = pathlib.Path(__file__).parent.parent / "README.md"
LINE, CIRCLE, PLANE, TORUS, S1, S2 = (
    mk.Euclidean(1), mk.Torus(1), mk.Euclidean(2), mk.Torus(2, (1.0, 2.0)), mk.Sphere(2), mk.Sphere(3),
)  # fmt: skip
PHASE, FLOCK = mk.TangentBundle(CIRCLE), mk.TangentBundle(PLANE)
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def no_figure_is_left():
    """A test closes what it asks for; what is refused, and every film, closes its own."""
    yield
    left = pyplot.get_fignums()
    pyplot.close("all")
    assert left == []


def cloud(space, n=30, weights=None):
    x = RNG.normal(size=(n, space.dim))
    x = x / np.linalg.norm(x, axis=1, keepdims=True) if isinstance(space, mk.Sphere) else x
    return mk.Particles(space, x, weights)


def law(grid, f=lambda x: 1 + 0.5 * jnp.cos(x[0])):
    return mk.Density.from_function(grid, f)


def family(*members):
    return mk.Family(list(members))


def thin(z):
    return jnp.exp(-jnp.sum(z**2))


# A measure, more arguments, and words of the names of both axes.
CLOUDS = {
    "line": (cloud(LINE), {}, "$x$ (length)", "1/length"),
    "many on a line": (cloud(LINE, 3000), {}, "$x$ (length)", "1/length"),
    "weights on a line": (cloud(LINE, 4, [0.1, 0.2, 0.3, 0.4]), {}, "$x$ (length)", "1/length"),
    "one point": (cloud(LINE, 1), {}, "$x$ (length)", "1/length"),
    "torus of one side": (cloud(CIRCLE), {}, "$x$ (length)", "1/length"),
    "circle": (cloud(S1), {}, "radian", "per radian"),
    "plane": (cloud(PLANE), {}, "$x_1$ (length)", "$x_2$ (length)"),
    "weights on a plane": (cloud(PLANE, 2, [0.2, 0.8]), {}, "$x_1$ (length)", "$x_2$ (length)"),
    "torus": (cloud(TORUS), {}, "$x_1$ (length)", "$x_2$ (length)"),
    "two of three": (cloud(mk.Euclidean(3)), {"coordinates": (2, 0)}, "$x_3$ (length)", "$x_1$ (length)"),
    "two of a sphere": (cloud(mk.Sphere(5)), {"coordinates": (0, 4)}, "$x_1$", "$x_5$"),
    "sphere": (cloud(S2), {}, "", ""),
    "sphere from the pole": (cloud(S2), {"view": (0.0, 0.0, 1.0)}, "", ""),
    "map of a sphere": (cloud(S2), {"view": None}, "longitude", "height"),
    "phase plane": (cloud(PHASE), {}, "$x$ (length)", "velocity $v$ (length/time)"),
    "flock": (cloud(FLOCK), {}, "$x_1$ (length)", "$x_2$ (length)"),
    "velocities of a flock": (cloud(FLOCK), {"coordinates": (2, 3)}, "velocity $v_1$", "velocity $v_2$"),
    "labels on a circle": (family(cloud(CIRCLE), cloud(CIRCLE)), {}, "$x$ (length)", "1/length"),
    "labels on a plane": (family(cloud(PLANE), cloud(PLANE)), {}, "$x_1$ (length)", "$x_2$ (length)"),
    "many labels": (family(*[cloud(S2)] * 8), {}, "", ""),
}
DENSITIES = {
    "torus of one side": (law(CIRCLE.grid(16)), {}, "$x$ (length)", "(1/length)"),
    "box of the line": (law(LINE.grid(16, -1.0, 1.0)), {}, "$x$ (length)", "(1/length)"),
    "quantiles": (mk.Lagrangian.from_density(law(LINE.grid(16, -1.0, 1.0))), {}, "$x$ (length)", "(1/length)"),
    "Gaussian": (mk.Gaussian(0.0, 1.0), {}, "$x$ (length)", "(1/length)"),
    "Gaussian on a plane": (mk.Gaussian(jnp.zeros(2), jnp.eye(2)), {}, "$x_1$ (length)", "$x_2$ (length)"),
    "circle": (law(S1.grid(8)), {}, "radian", "per radian"),
    "zonal": (law(mk.Sphere(6).grid(8, axis=(1.0, *[0.0] * 5)), lambda x: 1 + 0.5 * x[0]), {}, "e, x", "sphere"),
    "torus": (law(TORUS.grid(8)), {}, "$x_1$ (length)", "$x_2$ (length)"),
    "box": (law(PLANE.grid(8, -1.0, 1.0)), {}, "$x_1$ (length)", "$x_2$ (length)"),
    "phase grid": (law(PHASE.grid(CIRCLE.grid(8), 8, 4.0), thin), {}, "$x$ (length)", "velocity $v$ (length/time)"),
    "phase grid of a plane": (
        law(FLOCK.grid(PLANE.grid(4, -3.0, 3.0), 4, 4.0), thin), {}, "$x_1$ (length)", "$x_2$ (length)",
    ),
    "sphere": (law(S2.grid(8)), {}, "", ""),
    "map of a sphere": (law(S2.grid(8)), {"view": None}, "longitude", "height"),
    "labels": (family(law(CIRCLE.grid(16)), law(CIRCLE.grid(16))), {}, "$x$ (length)", "(1/length)"),
}  # fmt: skip


def state(order, index=0):
    curvatures = np.array([1.0 - 2 * index])
    return SteadyState(law(CIRCLE.grid(8)), -order, 1e-12, 1e-12, 0.0, order, curvatures, index, 0, mk.Model(CIRCLE))


def branch():
    """A fold at 1, from which a stable curve and one that is not go on."""
    r = np.linspace(0.0, 1.0, 12)
    states = [state(x, int(x < 0.5)) for x in r]
    p = 1 + (r - 0.5) ** 2
    return Branch(p, states, [Event("fold", 1.0, 1e-9, state(0.5), 1, lambda p: p)], lambda p: p)


def diagram():
    phase = np.array([[0, 0, -1], [1, 0, -1], [2, 2, -1]])
    nan = np.nan
    values = {"order": phase / 2.0, "gap": -phase / 2.0, "residual": np.zeros((3, 3))}
    lines = {"threshold": np.array([2.0, 2.5, nan]), "fold": np.array([1.5, nan, nan])}
    first, second = np.array([1.0, 2.0, 3.0]), np.array([0.5, 1.0, 2.0])
    return PhaseDiagram(("kappa", "beta"), first, second, phase=phase, **values, **lines,
                        coexistence=np.array([1.8, nan, nan]), columns=[])  # fmt: skip


def account(replicas=()):
    t = np.linspace(0, 1, 5)
    term = np.broadcast_to(t, (*replicas, 5)) + 0.01 * RNG.normal(size=(*replicas, 5))
    zero = np.zeros_like(term)
    return Ledger(np.broadcast_to(t, term.shape), -term + 1e-6, Accounts(term, zero, zero, zero, zero, zero))


def geodesic(grid):
    values = jnp.stack([law(grid, lambda x, s=s: jnp.exp(-jnp.sum((x - s) ** 2))).values for s in (-0.5, 0.0, 0.5)])
    return Geodesic(grid, values, (), jnp.ones(2), 0.0, 0.0, 0)


def fitted():
    samples = RNG.normal(size=(20, 3)) ** 2 / np.array([10.0, 100.0, 1000.0])
    return statistics.fit_rate([10, 100, 1000], statistics.jackknife(samples, 2))


T = np.linspace(0.0, 1.0, 6)
MANY = RNG.normal(size=(9, 6))
PRINTED = statistics.average(MANY)
LIVES = statistics.Lifetimes([1.0, 2.0, 3.0, 4.0], [True, False, True, False])
OTHERS = {
    "series": (plot.series, (T, T), {"exact": lambda t: t}, "time $t$", "value"),
    "series of replicas": (plot.series, (T, MANY), {"label": "mean", "exact": 0.0}, "time $t$", "value"),
    "spread of replicas": (plot.series, (T, MANY), {"band": "spread", "level": 0.5}, "time $t$", "value"),
    "replicas without a band": (plot.series, (T, MANY), {"band": None}, "time $t$", "value"),
    "series of estimates": (plot.series, (T, PRINTED), {"exact": T}, "time $t$", "value"),
    "overlap": (plot.overlap, (T, np.abs(MANY) / 9), {"exact": 0.5}, "depth $s$", r"overlap $\langle x_i, x_j"),
    "rate": (plot.rate, (fitted(),), {"exponent": -0.5}, "number of particles $N$", "error"),
    "ledger": (plot.ledger, (account(),), {}, "time $t$", "energy per particle"),
    "ledgers": (plot.ledger, (account((4,)),), {}, "time $t$", "energy per particle"),
    "lifetimes": (plot.lifetimes, (LIVES,), {}, "time $t$", "share of lives"),
    "branch": (plot.branches, (branch(),), {"parameter": "strength $K$"}, "strength $K$", "order parameter"),
    "energies": (plot.branches, ([branch()] * 2,), {"coordinate": "free_energy", "labels": "ab"}, "", "free energy"),
    "coordinate": (plot.branches, (branch(),), {"coordinate": lambda s: s.order**2}, "parameter", "state"),
    "phases": (plot.phase_diagram, (diagram(),), {}, "beta", "kappa"),
    "gap": (plot.phase_diagram, (diagram(),), {"field": "gap"}, "beta", "kappa"),
    "geodesic": (plot.geodesic, (geodesic(LINE.grid(16, -2.0, 2.0)),), {"times": 3}, "$x$ (length)", "(1/length)"),
    "geodesic on a plane": (plot.geodesic, (geodesic(PLANE.grid(8, -2.0, 2.0)),), {}, "$x_1$ (length)", "$x_2$"),
    "curve": (plot.curve, (T, T), {"error": 0.1}, "", ""),
    "points": (plot.curve, (T, PRINTED), {"kind": "points"}, "", ""),
    "steps": (plot.curve, (np.linspace(0, 1, 7), T), {"kind": "steps", "error": T}, "", ""),
}  # fmt: skip
CASES = {f"{name}: {kind}": (getattr(plot, name), (mu,), given, x, y)
         for name, kinds in (("particles", CLOUDS), ("density", DENSITIES)) for kind, (mu, given, x, y) in kinds.items()
         } | OTHERS  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_picture_has_named_axes_in_a_figure_of_its_own_or_on_the_users(name):
    before = dict(matplotlib.rcParams)
    draw, subjects, given, x, y = CASES[name]
    own = draw(*subjects, **given)
    figure, (ax, other) = pyplot.subplots(1, 2)
    given_back = draw(*subjects, ax, **given)
    assert given_back is ax
    assert not other.has_data()
    for drawn in (own, ax):
        assert x in drawn.get_xlabel()
        assert y in drawn.get_ylabel()
        assert drawn.has_data()
    assert own.get_figure() is not figure
    own.get_figure().canvas.draw()
    pyplot.close(own.get_figure())
    pyplot.close(figure)
    assert dict(matplotlib.rcParams) == before


def test_names_that_axes_have_are_kept_and_two_pictures_lie_over_each_other():
    mu, rho = CLOUDS["torus of one side"][0], DENSITIES["torus of one side"][0]
    figure, ax = pyplot.subplots()
    ax.set_xlabel("phase")
    plot.density(rho, plot.particles(mu, ax, label="particles"), label="limit", color=plot.COLOURS[1])
    assert ax.get_xlabel() == "phase"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["particles", "limit"]
    low, high = ax.get_ylim()
    assert low == 0
    assert high >= float(jnp.max(rho.values))
    pyplot.close(figure)


def test_a_histogram_is_a_density():
    """Its integral is 1, for each label, also with weights, and a bin has the mass of the particles in it."""
    weights = [0.1, 0.2, 0.3, 0.4]
    mu = mk.Particles(LINE, jnp.asarray([[0.0], [0.1], [0.2], [8.0]]), jnp.asarray(weights))
    ax = plot.particles(mu)
    values, edges, _ = ax.patches[0].get_data()
    assert np.sum(values * np.diff(edges)) == pytest.approx(1)
    assert values[0] * (edges[1] - edges[0]) == pytest.approx(0.6)
    pyplot.close(ax.get_figure())


def test_an_image_stands_upright():
    """Mass at small x₁ and large x₂ is at the left and at the top; its first node is the last one of a torus."""
    grid = TORUS.grid((8, 16))
    rho = law(grid, lambda x: jnp.exp(-20 * ((x[0] - 0.25) ** 2 + (x[1] - 1.5) ** 2)))
    ax = plot.density(rho)
    image = ax.images[0]
    rows, columns = image.get_array().shape
    row, column = np.unravel_index(np.argmax(image.get_array()), (rows, columns))
    left, right, bottom, top = image.get_extent()
    assert image.origin == "lower"
    assert left + (column + 0.5) / columns * (right - left) == pytest.approx(0.25)
    assert bottom + (row + 0.5) / rows * (top - bottom) == pytest.approx(1.5)
    assert (ax.get_xlim(), ax.get_ylim()) == ((0.0, 1.0), (0.0, 2.0))
    pyplot.close(ax.get_figure())


@pytest.mark.parametrize("view", [(1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (1.0, -1.0, 0.7)])
def test_a_sphere_is_seen_from_outside(view):
    """The point of the view is in the middle, in front; the north is up; a turn to the left by hand is to the right."""
    eye = np.asarray(view) / np.linalg.norm(view)
    east = np.cross([0.0, 0.0, 1.0], eye)
    east /= np.linalg.norm(east)
    points = mk.Particles(S2, jnp.asarray(np.stack([eye, east, [0.0, 0.0, 1.0], -eye])))
    ax = plot.particles(points, view=view)
    behind, front = (np.asarray(marks.get_offsets()) for marks in ax.collections)
    assert behind == pytest.approx(np.zeros((1, 2)), abs=1e-12)
    assert front[:2] == pytest.approx(np.array([[0.0, 0.0], [1.0, 0.0]]), abs=1e-12)
    assert front[2][1] == pytest.approx(np.sqrt(1 - eye[2] ** 2))
    # The density is where the particles are: its largest value is at the view, and others are smaller by its cosine.
    rho = law(S2.grid(32), lambda x: jnp.exp(2 * x @ jnp.asarray(eye)))
    disc = plot.density(rho, view=view)
    values = np.asarray(disc.images[0].get_array().filled(np.nan))
    middle = values[120, 120]
    # The linear interpolation between nodes h = π/33 apart errs by f″h²/8 along each coordinate, f″ ≤ 6f.
    error = 2 * 6 * (np.pi / 33) ** 2 / 8
    assert middle == pytest.approx(np.nanmax(values), rel=error)
    for aside in (values[120, 180], values[180, 120], values[120, 60]):
        assert aside == pytest.approx(middle * np.exp(2 * (np.sqrt(0.75) - 1)), rel=2 * error)
    assert np.isnan(values[0, 0])
    pyplot.close(ax.get_figure())
    pyplot.close(disc.get_figure())


def test_a_band_holds_what_it_says():
    """Student's interval of the mean, or the quantiles of the replicas; not one for the other."""
    for band, ends in (
        ("interval", statistics.average(MANY).interval(0.9)),
        ("spread", np.quantile(MANY, [0.05, 0.95], 0)),
    ):
        ax = plot.series(T, MANY, band=band, level=0.9)
        ys = ax.collections[0].get_paths()[0].vertices[:, 1]
        assert (ys.min(), ys.max()) == pytest.approx((np.min(ends[0]), np.max(ends[1])))
        assert ax.lines[0].get_ydata() == pytest.approx(MANY.mean(0))
        pyplot.close(ax.get_figure())


def test_stable_states_are_solid_and_others_dashed_and_they_meet_at_the_event():
    ax = plot.branches(branch())
    dashed, solid, event = ax.lines
    assert (dashed.get_linestyle(), solid.get_linestyle()) == ("--", "-")
    assert (max(dashed.get_ydata()), min(solid.get_ydata())) == (0.5, 0.5)
    assert (event.get_xdata()[0], event.get_ydata()[0]) == (1.0, 0.5)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["stable", "not stable", "fold"]
    pyplot.close(ax.get_figure())


def test_a_ledger_shows_what_is_not_zero_and_its_closing_error():
    known = account()
    ax = plot.ledger(known)
    labels = [line.get_label() for line in ax.lines]
    assert labels[:2] == ["change of F", "dissipated"]
    assert len(labels) == 3
    assert re.fullmatch(r"closing error, at most .*", labels[2])
    assert ax.lines[1].get_ydata() == pytest.approx(-np.asarray(known.accounts.dissipated))
    pyplot.close(ax.get_figure())


def test_a_rate_is_drawn_with_its_interval():
    """The wedge has the ends of the interval as slopes; a wrong exponent lies outside it."""
    rate = fitted()
    ax = plot.rate(rate, exponent=-2.0)
    low, high = rate.interval()
    wedge = ax.collections[-1].get_paths()[0].vertices
    fit, theory = (np.asarray(line.get_ydata()) for line in ax.lines if len(line.get_ydata()) == 100)
    n = np.geomspace(10, 1000, 100)
    at_end = wedge[np.isclose(wedge[:, 0], 1000.0), 1]
    pivot = float(rate.curve([100.0])[0])
    assert (at_end.min(), at_end.max()) == pytest.approx((pivot * 10**low, pivot * 10**high))
    assert fit == pytest.approx(rate.curve(n))
    assert theory[-1] < at_end.min()
    pyplot.close(ax.get_figure())


@pytest.mark.parametrize("axis", [10.0, 1e-7])
def test_a_log_axis_has_few_labels(axis):
    figure, ax = pyplot.subplots()
    ax.set_xscale("log")
    plot.curve(axis * np.array([1.0, 3.0, 30.0]), T[:3], ax)
    figure.canvas.draw()
    low, high = ax.get_xlim()
    assert 2 <= sum(low <= tick <= high for tick in ax.get_xticks()) <= 7
    pyplot.close(figure)


# Linear RGB as it is seen without one of three kinds of cones: Machado, Oliveira and Fernandes, IEEE Trans. Vis.
# Comput. Graph. 15 (2009).
VISIONS = {
    "all": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
# The sRGB standard, IEC 61966-2-1: XYZ of its primaries over its white point.
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
# A difference that is just noticed, in CIELAB: Mahy, Van Eycken and Oosterlinck, Color Res. Appl. 19 (1994).
NOTICED = 2.3


def nearest(colours, vision):
    """The least distance of two of the colours in CIELAB."""
    rgb = np.array([to_rgb(colour) for colour in colours])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    t = np.clip(linear @ np.asarray(vision).T, 0, 1) @ (XYZ / XYZ.sum(1, keepdims=True)).T
    f = np.where(t > 216 / 24389, np.cbrt(t), (24389 / 27 * t + 16) / 116)
    lab = np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
    return apart[np.triu_indices(len(lab), 1)].min()


def test_colours_are_told_apart_with_any_colour_vision():
    """By five noticed differences; matplotlib's own first six are not."""
    assert min(nearest(plot.COLOURS, vision) for vision in VISIONS.values()) > 5 * NOTICED
    tableau = matplotlib.rcParamsDefault["axes.prop_cycle"].by_key()["color"][: len(plot.COLOURS)]
    assert min(nearest(tableau, vision) for vision in VISIONS.values()) < 5 * NOTICED


def run(measure, **observe):
    model = mk.langevin(measure.domain, interaction=mk.kernels.Cosine(1.0), beta=1.0)
    path = mk.Brownian(jax.random.key(0))
    return mk.evolve(model, measure, until=0.3, dt=0.1, path=path, observe=observe, every=1)


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


def test_refusals_that_only_the_picture_knows():
    wide = dataclasses.replace(state(0.5), order=np.ones(2))
    flat = Branch(np.array([1.0, 2.0]), [wide, wide], [], lambda p: p)
    for call, words in (
        (lambda: plot.branches(flat), "one number, not an array"),
        (lambda: plot.branches(branch(), labels=["a", "b"]), "as many labels"),
        (lambda: plot.geodesic(geodesic(LINE.grid(16, -2.0, 2.0)), times=1), "two or more"),
        (lambda: plot.density(family(*[law(TORUS.grid(8))] * 2)), "draw one label"),
    ):
        with pytest.raises(ValueError, match=words):
            call()


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


def test_a_branch_that_leaves_another_is_dashed_from_the_start_and_no_piece_jumps_to_a_far_event():
    """The first state has no curvature: it is neither stable nor the end of a piece at the fold."""
    r = np.array([0.0, 0.2, 0.4, 0.6, 0.8])
    p = 1 + (r - 0.5) ** 2
    marginal = dataclasses.replace(state(0.0), curvatures=np.array([1e-13]))
    states = [marginal, state(0.2, 1), state(0.4, 1), state(0.6), state(0.8)]
    fold = Event("fold", 1.0, 1e-9, state(0.5), 1, lambda p: p)
    ax = plot.branches(Branch(p, states, [fold], lambda p: p))
    dashed, solid, _ = ax.lines
    assert (dashed.get_linestyle(), list(dashed.get_ydata())) == ("--", [0.0, 0.2, 0.4, 0.5])
    assert (solid.get_linestyle(), list(solid.get_ydata())) == ("-", [0.5, 0.6, 0.8])
    pyplot.close(ax.get_figure())


def test_an_mp4_has_every_frame(tmp_path, monkeypatch):
    """By a program of the name that keeps the frames which it is given: three of the same size, four bytes a pixel."""
    fake = tmp_path / "ffmpeg"
    fake.write_text('#!/bin/sh\nfor last; do :; done\ncat > "$last"\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    made = plot.animate([cloud(PLANE) for _ in range(3)], tmp_path / "film.mp4", size=(2.0, 1.0), dpi=40)
    assert made.stat().st_size == 3 * 80 * 40 * 4


def test_a_batch_of_runs_is_drawn_by_its_mean():
    """As `vmap` returns it: times and observables have the replicas in front."""
    made = jax.vmap(lambda x: run(mk.Particles(CIRCLE, x), r=mk.observables.order_parameter(1)))(jnp.ones((3, 5, 1)))
    ax = plot.series(made, "r")
    assert ax.lines[0].get_ydata() == pytest.approx(np.asarray(made.observed["r"]).mean(0))
    assert ax.get_ylabel() == "r"
    pyplot.close(ax.get_figure())


def test_components_of_an_observable_are_curves_of_their_own():
    made = run(cloud(CIRCLE, 5), z=lambda model, mu: jnp.stack([jnp.mean(mu.positions), jnp.max(mu.positions)]))
    ax = plot.series(made, "z")
    assert [line.get_label() for line in ax.lines] == ["z 1", "z 2"]
    assert len({line.get_color() for line in ax.lines}) == 2
    assert ax.lines[1].get_ydata() == pytest.approx(np.asarray(made.observed["z"])[:, 1])
    pyplot.close(ax.get_figure())
