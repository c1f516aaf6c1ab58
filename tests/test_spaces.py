"""Geometries: the laws that every space obeys, and the grids."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tables import SPACES

import mckean as mk
from mckean.spaces import AbstractSpace, calculus, staggered
from mckean.spaces.grids import per_dimension

every_space = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES.keys())
every_torus = pytest.mark.parametrize(
    "space",
    [s for s in SPACES.values() if isinstance(s, mk.Torus)],
    ids=[k for k, s in SPACES.items() if s.volume < 1e9],
)
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
# Three clouds of four points of up to two coordinates, counted in turns of the torus or units of R^d. One shape for all
# examples: what takes time here is compilation.
three_clouds = st.lists(st.floats(-50, 50, width=32), min_size=24, max_size=24)


def clouds(space: AbstractSpace, numbers, dtype=np.float64):
    x = np.asarray(numbers).reshape(3, 4, 2)[..., : space.dim] * sides(space)
    return [space.retract(jnp.asarray(part, dtype)) for part in x]


def sides(space: AbstractSpace) -> np.ndarray:
    return np.asarray(space.lengths if isinstance(space, mk.Torus) else (1.0,) * space.dim)


def rounding(space: AbstractSpace) -> float:
    """What coordinates of one turn, or of size 100 on R^d, lose: a few units in the last place of each."""
    size = max(space.lengths) if isinstance(space, mk.Torus) else 100.0
    return 8 * 2.0**-52 * size * math.sqrt(space.dim)


@every_space
@every_dtype
@given(numbers=three_clouds)
@example(
    numbers=[0.0, 0.5, 0.25, 0.75, 0.5, 1.0, 1.0, 1.5] * 3
)  # half a side apart, where both ways round are shortest
def test_displacement_is_antisymmetric_to_the_bit(space, dtype, numbers):
    x, y, _ = clouds(space, numbers, dtype)
    forth, back = np.asarray(space.displacement(x, y)), np.asarray(space.displacement(y, x))
    assert forth.dtype == dtype
    np.testing.assert_array_equal(forth, -back)
    assert not isinstance(space, mk.Torus) or np.all(np.abs(forth) <= 0.5 * sides(space).astype(dtype))


@every_space
@given(numbers=three_clouds)
def test_distance_is_a_metric_and_displacement_realises_it(space, numbers):
    x, y, z = clouds(space, numbers)
    xy, yx, yz, xz, xx = (np.asarray(space.distance(a, b)) for a, b in ((x, y), (y, x), (y, z), (x, z), (x, x)))
    assert np.all(xx == 0)
    np.testing.assert_array_equal(xy, yx)
    np.testing.assert_array_equal(xy > 0, np.any(np.asarray(x) != np.asarray(y), axis=1))
    assert np.all(xz <= xy + yz + rounding(space))
    arrived = space.retract(y + space.displacement(x, y))
    assert np.all(np.asarray(space.distance(arrived, x)) <= rounding(space))


@every_torus
@every_dtype
@given(turns=st.lists(st.integers(-3000, 3000), min_size=4, max_size=4), ulps=st.integers(-3, 3))
@example(turns=[0, 1, 2, -1], ulps=-1)
def test_retraction_lands_in_the_half_open_box_near_every_edge(space, dtype, turns, ulps):
    edge = sides(space).astype(dtype)
    x = np.asarray(turns, dtype)[:, None] * edge
    x = x + ulps * np.spacing(x)
    inside = np.asarray(space.retract(jnp.asarray(x, dtype)))
    assert inside.dtype == dtype
    assert np.all((inside >= 0) & (inside < edge))


@every_torus
@every_dtype
@given(numbers=st.lists(st.floats(-1e6, 1e6, width=32), min_size=4, max_size=4))
@example(numbers=[-1e-30, -0.0, -1e-12, 1e-30])
def test_retraction_is_idempotent_and_does_not_move_the_point(space, dtype, numbers):
    x = jnp.asarray(np.repeat(np.asarray(numbers, dtype)[:, None], space.dim, axis=1))
    once = space.retract(x)
    np.testing.assert_array_equal(space.retract(once), once)
    # x − L⌊x/L⌋ keeps the absolute rounding of x, and displacement that of x in turns.
    slack = 4 * np.finfo(dtype).eps * (np.abs(np.asarray(x)) + max(space.lengths))
    assert np.all(np.abs(np.asarray(space.displacement(once, x))) <= slack)


@every_dtype
def test_the_last_points_below_the_edge_stay(dtype):
    # For x just below these sides x·fl(1/L) rounds to 1, and the turn counted too many has to be given back.
    space = mk.Torus(2, (0.9, 3.9))
    edge = sides(space).astype(dtype)
    last = edge - np.arange(1, 5, dtype=dtype)[:, None] * np.spacing(np.nextafter(edge, dtype(0)))
    np.testing.assert_array_equal(space.retract(jnp.asarray(last)), last)


@every_torus
def test_a_failed_step_stays_visible(space):
    bad = jnp.asarray([[jnp.nan] * space.dim, [jnp.inf] * space.dim, [-jnp.inf] * space.dim])
    assert jnp.all(jnp.isnan(space.retract(bad)))


def test_space_without_edges_keeps_points():
    x = jnp.asarray([[1e9, -3.0]])
    assert mk.Euclidean(2).retract(x) is x


@every_torus
def test_uniform_points_fill_the_torus_evenly(space):
    n = 20_000
    x = np.asarray(space.uniform(jax.random.key(3), n))
    assert x.shape == (n, space.dim)
    assert np.all((x >= 0) & (x < sides(space)))
    # Each of 10 bins in each coordinate holds a Binomial(n, 1/10) number, standard deviation √(0.09 n).
    for i, side in enumerate(sides(space)):
        counts, _ = np.histogram(x[:, i], bins=10, range=(0, side))
        assert np.all(np.abs(counts - n / 10) <= 5 * math.sqrt(0.09 * n))


def test_uniform_points_of_systems_of_different_size_agree():
    space = mk.Torus(2)
    large = space.uniform(jax.random.key(0), 100)
    np.testing.assert_array_equal(large[:17], space.uniform(jax.random.key(0), 17))


def test_volumes():
    assert mk.Torus(2, (2.0, 3.0)).volume == 6.0
    assert mk.Torus(1).volume == 2 * math.pi
    assert mk.Euclidean(3).volume == mk.Euclidean(3).log_volume == math.inf
    assert mk.Torus(400, 10.0).log_volume == pytest.approx(400 * math.log(10), rel=1e-14)


def test_modes_of_a_grid_are_integers_for_every_length():
    # n·fl(1/n) is not 1 for n = 49, 98, 103, …: modes formed with it miss the Nyquist mode and are no integers.
    torus = mk.Torus(2, 1.0)
    for n in (*range(4, 30), 49, 98, 103, 196, 206):
        grid = torus.grid((n, n))
        first, last = grid.modes
        np.testing.assert_array_equal(last.ravel(), np.arange(n // 2 + 1))
        np.testing.assert_array_equal(first.ravel() % n, np.arange(n))
        assert np.all(2 * np.abs(first) <= n)
        assert (grid.wavenumbers[1].ravel()[-1] == 0) == (n % 2 == 0)
        assert np.count_nonzero(grid.wavenumbers[0] == 0) == (2 if n % 2 == 0 else 1)


def test_fourier_grid_geometry():
    grid = mk.Torus(2, (2.0, 3.0)).grid((4, 6))
    assert (grid.size, grid.sides, grid.spacing, grid.cell_volume) == (24, (2.0, 3.0), (0.5, 0.5), 0.25)
    nodes = np.asarray(grid.nodes).reshape(4, 6, 2)
    np.testing.assert_array_equal(nodes[3, 5], [1.5, 2.5])
    np.testing.assert_array_equal(nodes[0, 0], [0.0, 0.0])


# f = sin(3ax − 2by) + cos(by) on a torus of sides 2 and 3, resolved by 8 × 6 nodes. Rounding of a transform of 48
# values of size 2, times the largest wavenumber 4π: 3e-14.
WAVES = mk.Torus(2, (2.0, 3.0)).grid((8, 6))
TURN = np.array([np.pi, 2 * np.pi / 3])
ROUNDING = 1e-13


def waves(x):
    return np.sin(3 * TURN[0] * x[..., 0] - 2 * TURN[1] * x[..., 1]) + np.cos(TURN[1] * x[..., 1])


def slopes(x):
    first = np.cos(3 * TURN[0] * x[..., 0] - 2 * TURN[1] * x[..., 1])
    return np.stack([3 * TURN[0] * first, -2 * TURN[1] * first - TURN[1] * np.sin(TURN[1] * x[..., 1])], axis=-1)


def nodes(grid):
    return np.asarray(grid.nodes).reshape(*grid.shape, -1)


def test_gradient_is_exact_below_nyquist_and_none_at_it():
    nyquist = np.cos(4 * TURN[0] * nodes(WAVES)[..., 0])
    values = jnp.asarray(waves(nodes(WAVES)) + nyquist)
    np.testing.assert_allclose(calculus.gradient(WAVES, values), slopes(np.asarray(WAVES.nodes)), atol=ROUNDING)


def test_divergence_is_minus_the_adjoint_of_the_gradient_and_exact():
    field = jnp.asarray(slopes(np.asarray(WAVES.nodes)))
    x = nodes(WAVES)
    square = TURN[1] ** 2
    laplacian = -(9 * TURN[0] ** 2 + 4 * square) * (waves(x) - np.cos(TURN[1] * x[..., 1]))
    laplacian = laplacian - square * np.cos(TURN[1] * x[..., 1])
    # Two derivatives: the largest wavenumber once more.
    np.testing.assert_allclose(calculus.divergence(WAVES, field), laplacian, atol=4 * np.pi * ROUNDING)
    rough, other = (jnp.asarray(np.random.default_rng(i).normal(size=WAVES.shape)) for i in range(2))
    flux = calculus.gradient(WAVES, other)
    left = calculus.integrate(WAVES, rough * calculus.divergence(WAVES, flux))
    right = -calculus.integrate(WAVES, jnp.sum(calculus.gradient(WAVES, rough) * flux, axis=1).reshape(WAVES.shape))
    # 48 terms of size up to (3·4π)², over cells of volume 1/8.
    np.testing.assert_allclose(left, right, atol=48 * 36**2 / 8 * 1e-15)


def test_multiplier_by_minus_the_squares_is_the_laplacian():
    values = jnp.asarray(waves(nodes(WAVES)))
    ours = calculus.fourier_multiplier(WAVES, values, -WAVES.square_wavenumbers)
    field = calculus.gradient(WAVES, values)
    np.testing.assert_allclose(ours, calculus.divergence(WAVES, field), atol=2 * 4 * np.pi * ROUNDING)


@pytest.mark.parametrize("axis", [0, 1])
def test_shift_moves_every_line_by_its_own_length(axis):
    lengths = np.random.default_rng(0).uniform(-3, 3, [1 if i == axis else n for i, n in enumerate(WAVES.shape)])
    x = nodes(WAVES).copy()
    x[..., axis] -= lengths
    ours = calculus.shift(WAVES, jnp.asarray(waves(nodes(WAVES))), axis, jnp.asarray(lengths))
    np.testing.assert_allclose(ours, waves(x), atol=ROUNDING)


@pytest.mark.parametrize("shape", [(8, 6), (9, 12), (16, 7), (21, 20)])
def test_interpolation_is_exact_on_a_grid_that_resolves_the_function(shape):
    other = WAVES.space.grid(shape)
    ours = calculus.interpolate(WAVES, jnp.asarray(waves(nodes(WAVES))), other)
    np.testing.assert_allclose(ours, waves(nodes(other)), atol=ROUNDING)
    back = calculus.interpolate(other, ours, WAVES)
    np.testing.assert_allclose(back, waves(nodes(WAVES)), atol=2 * ROUNDING)


@pytest.mark.parametrize("axis", [0, 1])
def test_face_average_is_that_of_a_fine_quadrature(axis):
    ours = calculus.face_average(WAVES, jnp.asarray(waves(nodes(WAVES))), axis)
    # Gauss's rule with 12 points is exact to rounding for a wave over a part of its period.
    node, weight = np.polynomial.legendre.leggauss(12)
    h = WAVES.spacing
    x = np.repeat(nodes(WAVES)[..., None, :], 12, axis=-2)
    x[..., axis] += 0.5 * h[axis]
    x[..., 1 - axis] += 0.5 * h[1 - axis] * node
    np.testing.assert_allclose(ours, waves(x) @ (0.5 * weight), atol=ROUNDING)


@pytest.mark.parametrize("grid", [WAVES, mk.Euclidean(2).grid((4, 5), (0.0, -1.0), (2.0, 4.0))], ids=["torus", "box"])
def test_face_centres_lie_between_the_two_cells_of_a_face(grid):
    for axis, h in enumerate(grid.spacing):
        faces = staggered.gradient(jnp.zeros(grid.shape), staggered.axes_of(grid))[axis].shape
        before = nodes(grid)[tuple(slice(n) for n in faces)].copy()
        before[..., axis] += 0.5 * h
        np.testing.assert_allclose(staggered.face_centres(grid, axis), before.reshape(-1, 2), atol=1e-15)


def test_box_grid_geometry():
    grid = mk.Euclidean(2).grid((4, 5), lower=(0.0, -1.0), upper=(2.0, 4.0))
    assert (grid.size, grid.sides, grid.spacing, grid.cell_volume) == (20, (2.0, 5.0), (0.5, 1.0), 0.5)
    np.testing.assert_array_equal(grid.nodes[0], [0.25, -0.5])
    np.testing.assert_array_equal(grid.nodes[-1], [1.75, 3.5])


REFUSALS = {
    "dimension": (lambda: mk.Torus(0), "an integer of at least 1, but 0"),
    "euclidean dimension": (lambda: mk.Euclidean(-2), "an integer of at least 1, but -2"),
    "length": (lambda: mk.Torus(1, 0.0), "must be positive and finite"),
    "infinite length": (lambda: mk.Torus(1, math.inf), "must be positive and finite"),
    "nan length": (lambda: mk.Torus(1, math.nan), "must be made of numbers"),
    "number of lengths": (lambda: mk.Torus(3, (1.0, 2.0)), "or 3 for dimension 3, but 2 were given"),
    "uniform on R": (lambda: mk.Euclidean(1).uniform(jax.random.key(0), 2), "no uniform law on R"),
    "few nodes": (lambda: mk.Torus(1).grid(3), "at least 4 nodes"),
    "fractional nodes": (lambda: per_dimension((8, 8.5), 2, int, "a shape"), "numbers of type int"),
    "infinite nodes": (lambda: per_dimension(math.inf, 2, int, "a shape"), "numbers of type int"),
    "grid of another dimension": (lambda: mk.FourierGrid(mk.Torus(2), (8,)), "dimension 2 needs 2 numbers of nodes"),
    "empty box": (lambda: mk.Euclidean(1).grid(8, 1.0, 1.0), "lower < upper"),
    "infinite box": (lambda: mk.Euclidean(1).grid(8, 0.0, math.inf), "both finite"),
    "corner of another dimension": (lambda: mk.Euclidean(2).grid(8, (0.0,), 1.0), "but 1 were given"),
}


@pytest.mark.parametrize(("call", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
