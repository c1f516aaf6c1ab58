"""Pictures: every kind of measure by every function, axes with names, what is where, colours, no figure left."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from pictures import (
    CASES,
    CIRCLE,
    CLOUDS,
    DENSITIES,
    LINE,
    LIVES,
    MANY,
    S2,
    TORUS,
    T,
    account,
    branch,
    cloud,
    family,
    fitted,
    geodesic,
    law,
    run,
    state,
)  # fmt: skip

import mckean as mk
from mckean import plot, statistics
from mckean.phases import Branch, Event

matplotlib.use("Agg")
from matplotlib import pyplot

pytestmark = pytest.mark.usefixtures("no_figure_is_left")


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
    plot.density(rho, plot.particles(mu, ax, label="particles"), label="limit")
    assert ax.get_xlabel() == "phase"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["particles", "limit"]
    low, high = ax.get_ylim()
    assert low == 0
    assert high >= float(jnp.max(rho.values))
    pyplot.close(figure)


@pytest.mark.parametrize("first", ["cloud", "plane", "law", "run", "lives"])
@pytest.mark.parametrize("second", ["cloud", "plane", "law", "curve", "points", "run", "lives", "branch"])
def test_two_pictures_on_the_same_axes_have_two_colours(first, second):
    """The first two of the library, whatever is drawn; a colour that the user gives is taken as well."""
    draw = {
        "cloud": lambda ax, **given: plot.particles(cloud(CIRCLE), ax, **given),
        "plane": lambda ax, **given: plot.particles(cloud(S2), ax, **given),
        "law": lambda ax, **given: plot.density(law(CIRCLE.grid(8)), ax, **given),
        "curve": lambda ax: plot.curve(T, T, ax, error=0.1),
        "points": lambda ax: plot.curve(T, T, ax, error=0.1, kind="points"),
        "run": lambda ax, **given: plot.series(T, T, ax, **given),
        "lives": lambda ax, **given: plot.lifetimes(LIVES, ax, **given),
        "branch": lambda ax: plot.branches(branch(), ax),
    }
    for given, left in (({}, 1), ({"color": plot.COLOURS[1]}, 0)):
        figure, ax = pyplot.subplots()
        draw[first](ax, **given)
        before = painted(ax)
        draw[second](ax)
        assert painted(ax) - before == {plot.COLOURS[left]}
        pyplot.close(figure)


def painted(ax):
    """The colours of the library that are seen on the axes."""
    points = [paint for marks in ax.collections for paint in marks.get_facecolor()]
    seen = [*(line.get_color() for line in ax.lines), *(patch.get_edgecolor() for patch in ax.patches), *points]
    return {to_hex(paint).upper() for paint in seen} & set(plot.COLOURS)


def test_a_histogram_is_a_density():
    """Its integral is 1, for each label, also with weights, and a bin has the mass of the particles in it."""
    weights = [0.1, 0.2, 0.3, 0.4]
    mu = mk.Particles(LINE, jnp.asarray([[0.0], [0.1], [0.2], [8.0]]), jnp.asarray(weights))
    ax = plot.particles(mu)
    values, edges, _ = ax.patches[0].get_data()
    assert np.sum(values * np.diff(edges)) == pytest.approx(1)
    assert values[0] * (edges[1] - edges[0]) == pytest.approx(0.6)
    pyplot.close(ax.get_figure())


@pytest.mark.parametrize("apart", [0.0, 3e-16, 1e-15, 1e-9])
def test_a_cloud_that_has_come_together_has_a_histogram(apart):
    """Also where its ends are neighbouring numbers, between which there is no room for bins."""
    ax = plot.particles(mk.Particles(LINE, jnp.asarray([[1.0], [1.0 + apart]])))
    values, edges, _ = ax.patches[0].get_data()
    assert np.sum(values * np.diff(edges)) == pytest.approx(1)
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


def test_colours_may_be_arrays_and_theory_is_none_of_the_curves():
    """As `viridis(numpy.linspace(0, 1, 3))` gives them; a curve that follows has the first dashes that are free."""
    x = np.linspace(0.1, 1.0, 5)
    ax = plot.curve(x, x, kind="exact")
    for paint in matplotlib.colormaps["viridis"](np.linspace(0, 1, 3)):
        plot.curve(x, x, ax, color=paint)
    dashes = [line.get_linestyle() for line in ax.lines]
    assert dashes[1] == "-" != dashes[2]
    pyplot.close(ax.figure)


def test_a_log_axis_marks_what_it_can_show():
    ax = plot.mark({"never": 0.0, "onset": 0.5}, plot.curve([0.1, 1.0], [1.0, 2.0], log="x"))
    assert [text.get_text() for text in ax.texts] == ["onset"]
    ax.figure.canvas.draw()
    pyplot.close(ax.figure)


def test_refusals_that_only_the_picture_knows():
    wide = dataclasses.replace(state(0.5), order=np.ones(2))
    flat = Branch(np.array([1.0, 2.0]), [wide, wide], [], lambda p: p)
    for call, words in (
        (lambda: plot.branches(flat), "one number, not an array"),
        (lambda: plot.branches(branch(), labels=["a", "b"]), "as many labels"),
        (lambda: plot.geodesic(geodesic(LINE.grid(16, -2.0, 2.0)), times=1), "two or more"),
        (lambda: plot.density(family(*[law(TORUS.grid(8))] * 2)), "draw one label"),
        (lambda: plot.mark({"onset": "2"}), "a place that is marked is a number"),
    ):
        with pytest.raises(ValueError, match=words):
            call()


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
