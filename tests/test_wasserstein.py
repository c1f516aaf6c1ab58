"""Exact Wasserstein distances: against brute force, POT, closed forms and the axioms of a metric."""

import warnings
from itertools import pairwise

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from scipy.linalg import sqrtm
from scipy.optimize import linear_sum_assignment
from scipy.special import gamma, ive

from mckean.measures import Density, Gaussian, Particles, VonMises
from mckean.spaces import Euclidean, Torus
from mckean.transport import wasserstein
from mckean.transport.ordering import ascending, order
from mckean.transport.pieces import mean_power, mean_slope
from mckean.transport.quantiles import quantiles

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import ot

EPS = np.finfo(float).eps
LINE, CIRCLE = Euclidean(1), Torus(1, 1.0)
SPACES = pytest.mark.parametrize("space", [LINE, CIRCLE], ids=["line", "circle"])
ORDERS = pytest.mark.parametrize("p", [1, 1.5, 2, 3.3, 10])


def cloud(space, x, weights=None):
    return Particles(space, np.asarray(x, float).reshape(-1, 1), weights)


def by_assignment(space, x, k, y, m, p):
    """W_p between Σ k_i δ_{x_i}/K and Σ m_j δ_{y_j}/K, integers of one sum K: the best of all assignments."""
    d = np.abs(np.repeat(x, k)[:, None] - np.repeat(y, m)[None, :])
    cost = (np.minimum(d, 1 - d) if isinstance(space, Torus) else d) ** p
    return cost[linear_sum_assignment(cost)].mean() ** (1 / p)


def integer_weights(rng, n, total):
    return 1 + rng.multinomial(total - n, np.full(n, 1 / n))


@SPACES
@ORDERS
@pytest.mark.parametrize("sizes", [(1, 1), (1, 5), (4, 4), (24, 24), (24, 8), (3, 8)])
def test_unweighted_clouds_against_all_assignments(space, p, sizes):
    rng = np.random.default_rng(sum(sizes))
    n, m = sizes
    x, y = rng.random(n), rng.random(m) ** 2
    expected = by_assignment(space, x, np.full(n, n * m // n), y, np.full(m, n * m // m), p)
    # The p-th powers carry a few ε each, and their mean as many again as there are terms, at the most.
    assert wasserstein(cloud(space, x), cloud(space, y), p) == pytest.approx(expected, rel=n * m * 4 * EPS)


@SPACES
@ORDERS
@pytest.mark.parametrize("sizes", [(2, 3), (7, 5), (20, 20), (31, 9)])
def test_weighted_clouds_against_all_assignments(space, p, sizes):
    rng = np.random.default_rng(10 * sum(sizes))
    n, m = sizes
    x, y = rng.random(n), rng.random(m) ** 2
    k, j = integer_weights(rng, n, 64), integer_weights(rng, m, 64)
    expected = by_assignment(space, x, k, y, j, p)
    result = wasserstein(cloud(space, x, k / 64), cloud(space, y, j / 64), p)
    assert result == pytest.approx(expected, rel=64 * 8 * EPS)


@ORDERS
@pytest.mark.parametrize("weighted", [False, True])
def test_line_against_pot(p, weighted):
    rng = np.random.default_rng(2)
    x, y, a, b = rng.normal(size=300), rng.normal(size=211), rng.random(300), rng.random(211)
    a, b = (a / a.sum(), b / b.sum()) if weighted else (None, None)
    expected = ot.wasserstein_1d(x, y, a, b, p=p) ** (1 / p)
    # Levels differ by the rounding of sums of 300 weights: that much mass may go as far as the range.
    slack = 300 * EPS * 8**p
    assert abs(wasserstein(cloud(LINE, x, a), cloud(LINE, y, b), p) ** p - expected**p) <= slack


@pytest.mark.parametrize("p", [1, 1.5, 2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_circle_against_pot(p, weighted):
    rng = np.random.default_rng(3)
    x, y, a, b = rng.random(120), rng.random(97) ** 2, rng.random(120), rng.random(97)
    a, b = (a / a.sum(), b / b.sum()) if weighted else (None, None)
    expected = float(ot.wasserstein_circle(x, y, a, b, p=p)[0])
    result = wasserstein(cloud(CIRCLE, x, a), cloud(CIRCLE, y, b), p) ** p
    # POT stops within 1e-7 of the best shift, and a unit of shift changes the cost by p at the most.
    assert result <= expected + 300 * EPS
    assert result >= expected - 1e-7 * p


def measures(space):
    """Clouds of up to six atoms with weights in sixteenths: their levels are exact, only positions round."""
    place = st.floats(0, 0.9375, allow_subnormal=False)
    atoms = st.lists(st.tuples(place, st.integers(1, 8)), min_size=1, max_size=6)

    def build(pairs):
        x, k = zip(*pairs, strict=True)
        # The last atom takes what is missing, or the first ones what there is.
        k = np.diff(np.minimum(np.concatenate([[0], np.cumsum(k)]), 16))
        k[-1] += 16 - k.sum()
        return cloud(space, x, k / 16)

    return atoms.map(build)


TOLERANCE = 100 * EPS  # positions of size 1: each |d| within 4ε, the sums of some 30 powers within 50ε


@SPACES
@given(data=st.data(), p=st.sampled_from([1, 1.5, 2, 4]))
def test_metric_axioms(space, data, p):
    a, b, c = (data.draw(measures(space)) for _ in range(3))
    ab = wasserstein(a, b, p)
    assert wasserstein(a, a, p) == 0
    assert ab == pytest.approx(wasserstein(b, a, p), abs=TOLERANCE)
    assert ab <= wasserstein(a, c, p) + wasserstein(c, b, p) + TOLERANCE
    assert ab <= (0.5 if space == CIRCLE else 1) + TOLERANCE


@SPACES
@given(data=st.data(), p=st.sampled_from([1, 1.5, 2, 4]), shift=st.floats(0, 1))
def test_translating_both_changes_nothing_and_translating_one_moves_by_the_shift(space, data, p, shift):
    a, b = data.draw(measures(space)), data.draw(measures(space))
    a_moved, b_moved = (Particles(space, m.positions + shift, m.weights) for m in (a, b))
    assert wasserstein(a_moved, b_moved, p) == pytest.approx(wasserstein(a, b, p), abs=TOLERANCE)
    if space == LINE:
        assert wasserstein(a, a_moved, p) == pytest.approx(shift, abs=TOLERANCE)
    else:
        assert wasserstein(a, a_moved, p) <= min(shift, 1 - shift) + TOLERANCE


@SPACES
@given(data=st.data())
def test_grows_with_p(space, data):
    a, b = data.draw(measures(space)), data.draw(measures(space))
    values = [wasserstein(a, b, p) for p in (1, 1 + 1e-9, 1.5, 2, 3, 30)]
    assert all(low <= high + TOLERANCE for low, high in pairwise(values))
    # d W_p/dp is of the order of one on a unit range, so the median formula (p = 1) and the search must meet.
    assert values[1] <= values[0] + 1e-8


def test_coincident_clusters_at_high_order_do_not_underflow():
    x, y = np.repeat([0.1, 0.6], 3), np.repeat([0.1, 0.6], 2) + 1e-9
    for space in (LINE, CIRCLE):
        for p in (1, 2, 40, 700):
            assert wasserstein(cloud(space, x), cloud(space, y), p) == pytest.approx(1e-9, abs=4 * EPS)


@ORDERS
def test_uniform_density_against_one_atom_on_the_circle(p):
    uniform = Density.from_function(CIRCLE.grid(32), lambda x: jnp.ones(()))
    expected = 0.5 * (1 + p) ** (-1 / p)  # (2∫₀^{1/2} t^p dt)^{1/p}
    for atom in (0.0, 0.37):
        # Sums over 4096 cells.
        assert wasserstein(uniform, cloud(CIRCLE, [atom]), p) == pytest.approx(expected, rel=4096 * EPS)
        assert wasserstein(cloud(CIRCLE, [atom]), uniform, p) == pytest.approx(expected, rel=4096 * EPS)
    assert wasserstein(uniform, uniform, p) == 0


@ORDERS
@pytest.mark.parametrize("n", [1, 7, 1000])
def test_uniform_density_against_regular_atoms_on_the_line(p, n):
    box = Density.from_function(LINE.grid(10, 0.0, 1.0), lambda x: jnp.ones(()))
    atoms = cloud(LINE, (np.arange(n) + 0.5) / n)
    expected = (1 + p) ** (-1 / p) / (2 * n)
    # Distances of 1/2n are differences of positions of size 1.
    assert wasserstein(box, atoms, p) == pytest.approx(expected, abs=8 * EPS + 1000 * EPS * expected)


@ORDERS
def test_translated_densities_on_the_line(p):
    rng = np.random.default_rng(5)
    values = rng.random(57) * (rng.random(57) > 0.3)
    values /= values.sum() * (2 / 57)
    first, second = (Density(LINE.grid(57, low, low + 2.0), values) for low in (-1.0, -0.25))
    assert wasserstein(first, second, p) == pytest.approx(0.75, rel=100 * EPS)
    assert wasserstein(first, first, p) == 0


@pytest.mark.parametrize("kappa", [0.5, 2.0, 8.0])
def test_von_mises_against_uniform_by_quadrature(kappa):
    grid = Torus(1).grid(128)
    law = Density.from_law(grid, VonMises(grid.space, jnp.pi, kappa))
    uniform = Density.from_function(grid, lambda x: jnp.ones(()))
    # W_2² = ∫(x − L F(x))² ρ dx, as no shift is best by symmetry about π; periodic, so the mean is spectral.
    x = np.linspace(0, 2 * np.pi, 2000, endpoint=False)
    k = np.arange(1, 80)[:, None]
    ratio = ive(k, kappa) / ive(0, kappa)
    density = (1 + 2 * (ratio * np.cos(k * (x - np.pi))).sum(0)) / (2 * np.pi)
    gap = -2 * (ratio * np.sin(k * (x - np.pi)) / k).sum(0)
    expected = np.sqrt(2 * np.pi * np.mean(gap**2 * density))
    score = kappa * np.sqrt(2 * np.pi * np.mean(np.sin(x - np.pi) ** 2 * density))
    bound = (2 * np.pi / 4096) ** 2 / 8 * score
    assert abs(wasserstein(law, uniform) - expected) <= 1.1 * bound


@pytest.mark.parametrize(("nodes", "mode"), [(4, 2), (5, 2), (64, 7), (64, 32), (5000, 2500)])
def test_cells_of_a_fourier_density_hold_the_exact_masses(nodes, mode):
    """ρ = 1 + cos(2πkx)/2 on [0, 1), also where k is the highest mode of the grid."""
    values = 1 + np.cos(2 * np.pi * mode * np.arange(nodes) / nodes) / 2
    q = quantiles(Density(CIRCLE.grid(nodes), values))
    expected = q.right + np.sin(2 * np.pi * mode * q.right) / (4 * np.pi * mode)
    if 2 * mode == nodes == q.size:
        # From a crest to a trough: the highest mode adds nothing over a cell of its own grid.
        expected = q.right
    np.testing.assert_allclose(q.levels[1:], expected, atol=q.size * EPS)


def test_rotating_both_densities_on_the_circle_changes_nothing():
    grid = CIRCLE.grid(64)
    first = Density.from_law(grid, VonMises(CIRCLE, 0.2, 3.0))
    second = Density.from_law(grid, VonMises(CIRCLE, 0.55, 1.0))
    rolled = [Density(grid, jnp.roll(m.values, 13)) for m in (first, second)]
    for p in (1, 2, 2.5):
        assert wasserstein(*rolled, p) == pytest.approx(wasserstein(first, second, p), rel=4096 * EPS)


@SPACES
def test_density_and_its_quantiles_meet(space):
    """Atoms in the middle of n levels of equal mass are within one level's width, wherever there is mass."""
    grid = LINE.grid(64, 0.0, 1.0) if space == LINE else CIRCLE.grid(64)
    density = Density.from_function(grid, lambda x: 2 + jnp.sin(2 * jnp.pi * x[0]))
    n = 1000
    fine = np.linspace(0, 1, 20001)
    cdf = fine + (1 - np.cos(2 * np.pi * fine)) / (4 * np.pi)
    atoms = np.interp((np.arange(n) + 0.5) / n, cdf, fine)
    # ρ ≥ 1/2, so that a level of mass 1/n is at most 2/n wide. A box has constant cells, which moves mass by
    # h²|ρ′|/8ρ ≤ πh²/4 in a cell, and their masses by the midpoint rule, another h²|ρ′(x)−ρ′(0)|/24ρ ≤ πh²/6.
    slack = (np.pi / 4 + np.pi / 6) / 64**2 if space == LINE else 0
    for p in (1, 2, 7):
        assert wasserstein(density, cloud(space, atoms), p) <= 1 / n + slack


def test_a_sample_approaches_its_law_at_the_known_rate():
    """√N E W_1 → √(2/π) π/8 for the uniform law on [0, 1]."""
    box = Density.from_function(LINE.grid(4, 0.0, 1.0), lambda x: jnp.ones(()))
    rng = np.random.default_rng(7)
    scaled = [np.sqrt(4000) * wasserstein(cloud(LINE, rng.random(4000)), box, 1) for _ in range(200)]
    error = np.std(scaled) / np.sqrt(len(scaled))
    assert abs(np.mean(scaled) - np.sqrt(2 / np.pi) * np.pi / 8) <= 4 * error


def test_gaussians_by_the_formula_of_bures():
    rng = np.random.default_rng(8)
    a, b = rng.normal(size=(3, 3)), rng.normal(size=(3, 3))
    s, t, m = a @ a.T, b @ b.T, rng.normal(size=3)
    root = sqrtm(s)
    expected = m @ m + np.trace(s + t - 2 * np.real(sqrtm(root @ t @ root)))
    result = wasserstein(Gaussian(m, s), Gaussian(np.zeros(3), t))
    # The condition number of root·t·root, squared root of a matrix, is what the formula itself loses.
    assert result**2 == pytest.approx(expected, rel=1e3 * EPS * np.linalg.cond(s) * np.linalg.cond(t))
    assert wasserstein(Gaussian(m, s), Gaussian(m, s)) <= 100 * EPS * np.sqrt(np.trace(s) * np.linalg.cond(s))


def test_close_gaussians_do_not_cancel():
    narrow, wide = Gaussian(1.0, 1.0), Gaussian(1.0, (1 + 1e-9) ** 2)
    assert wasserstein(narrow, wide) == pytest.approx(1e-9, abs=4 * EPS)
    point = Gaussian([0.0, 0.0], np.zeros((2, 2)))
    assert wasserstein(point, Gaussian([3.0, 4.0], np.zeros((2, 2)))) == pytest.approx(5, rel=4 * EPS)


@pytest.mark.parametrize("p", [1, 2, 3.5, 10])
def test_gaussian_on_the_line_against_an_atom(p):
    moment = (2 ** (p / 2) * gamma((p + 1) / 2) / np.sqrt(np.pi)) ** (1 / p)
    result = wasserstein(Gaussian(1.0, 4.0), cloud(LINE, [1.0]), p)
    assert result == pytest.approx(2 * moment, rel=1.2e-8)
    assert wasserstein(Gaussian(1.0, 4.0), Gaussian(-2.0, 4.0), p) == pytest.approx(3, rel=1e-12)
    assert wasserstein(Gaussian(1.0, 0.0), cloud(LINE, [3.0]), p) == 2


def test_single_precision_and_zero_weights():
    rng = np.random.default_rng(9)
    x = rng.random((50, 1)).astype(np.float32)
    single, double = Particles(Torus(1), jnp.asarray(x)), Particles(Torus(1), jnp.asarray(x, float))
    assert wasserstein(single, double, 3) == 0
    padded = cloud(LINE, [0.0, 1.0, 1e12], [0.5, 0.5, 0.0])
    assert wasserstein(padded, cloud(LINE, [0.25, 1.25]), 60) == pytest.approx(0.25, rel=8 * EPS)


def refusals():
    atom, density = cloud(CIRCLE, [0.1]), Density.from_function(CIRCLE.grid(64), lambda x: jnp.ones(()))
    step = Density.from_function(CIRCLE.grid(64), lambda x: jnp.where(x[0] < 0.3, 1.0, 0.0))
    plane = Particles(Torus(2), np.zeros((3, 2)))
    flat = Density.from_function(Torus(2).grid(8), lambda x: jnp.ones(()))
    normal = Gaussian([0.0, 0.0], np.eye(2))
    return [
        ((atom, cloud(LINE, [0.1])), "needs one space"),
        ((atom, atom, 0.5), "must be finite and at least 1"),
        ((atom, atom, float("nan")), "must be finite and at least 1"),
        ((atom, atom, float("inf")), "must be finite and at least 1"),
        ((density, VonMises(CIRCLE, 0.0, 1.0)), r"put it on a grid with Density\.from_law"),
        ((plane, flat), "for the line and the circle.*a Particles and a Density"),
        ((normal, normal, 3), "for the line and the circle"),
        ((step, density), "negative between its nodes.*smooth the density"),
    ]


@pytest.mark.parametrize(("arguments", "message"), refusals())
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=message):
        wasserstein(*arguments)


def test_refuses_to_be_traced():
    with pytest.raises(ValueError, match="outside jit"):
        jax.jit(lambda x: wasserstein(Particles(LINE, x), Particles(LINE, x)))(jnp.zeros((2, 1)))


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0, 2.0, 3.0, 7.0])
def test_mean_powers(p):
    # ∫₀¹ s^p, the same from −1 to 1, constants; Simpson's rule where the ends differ by 1e-5 (error 1e-22).
    a = np.array([0.0, -1.0, -2.0, 1.0, 0.0, 3.0])
    b = np.array([1.0, 1.0, -2.0, 1 + 1e-5, 0.0, -3e-300])
    close = (1 + 4 * (1 + 5e-6) ** p + (1 + 1e-5) ** p) / 6
    expected = [1 / (p + 1), 1 / (p + 1), 2.0**p, close, 0.0**p, 3.0**p / (p + 1)]
    np.testing.assert_allclose(mean_power(a, b, p), expected, rtol=8 * EPS)
    if p >= 1:
        slope = p * (1 + 4 * (1 + 5e-6) ** (p - 1) + (1 + 1e-5) ** (p - 1)) / 6
        expected = [1.0, 0.0, -p * 2.0 ** (p - 1), slope, 0.0, 3.0 ** (p - 1)]
        np.testing.assert_allclose(mean_slope(a, b, p), expected, rtol=8 * EPS)


@pytest.mark.parametrize("kind", ["uniform", "normal", "cauchy", "ties", "constant", "sorted", "few"])
def test_sorting(kind):
    rng, n = np.random.default_rng(11), 100_003
    x = {
        "uniform": lambda: rng.random(n),
        "normal": lambda: rng.normal(size=n),
        "cauchy": lambda: rng.standard_cauchy(n),
        "ties": lambda: rng.integers(0, 5000, n) / 7,
        "constant": lambda: np.full(n, 0.1),
        "sorted": lambda: np.sort(rng.random(n)),
        "few": lambda: rng.random(10),
    }[kind]()
    np.testing.assert_array_equal(ascending(x), np.sort(x))
    np.testing.assert_array_equal(order(x), np.argsort(x, kind="stable"))


@pytest.mark.parametrize("weighted", [False, True])
def test_large_clouds_on_the_circle(weighted):
    """50 000 regular atoms rotated by an irrational part of their spacing: all move by that much."""
    n = 50_000
    grid = (np.arange(n) + 0.3) / n
    weights = np.tile([0.5, 1.5], n // 2) / n if weighted else None
    shift = (np.sqrt(2) - 1) / n
    moved = cloud(CIRCLE, np.random.default_rng(12).permutation(grid) + shift) if not weighted else None
    moved = moved or cloud(CIRCLE, grid + shift, weights)
    for p in (1, 2, 3):
        # Positions of size one: each distance is within 4ε; weights: levels within nε of mass, 1/n away.
        slack = 8 * EPS + (n * EPS * n ** -float(p) if weighted else 0) ** (1 / p)
        assert wasserstein(cloud(CIRCLE, grid, weights), moved, p) == pytest.approx(shift, abs=slack)
