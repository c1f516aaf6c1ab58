"""Measures: laws and their samplers, densities on grids, Gaussians, and the ways from one form to another."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special
from tables import CIRCLE, LAWS, LINE, OBLONG, PLANE, cloud, compiled, particles
from tables import density as density_on

import mckean as mk
from mckean.measures import dtype_of

every_law = pytest.mark.parametrize("entry", LAWS.values(), ids=LAWS.keys())


def statistics(space, x: np.ndarray) -> np.ndarray:
    """Functions that determine a law well: low Fourier modes on a torus, moments up to order two on R^d; (n, many)."""
    if isinstance(space, mk.Torus):
        turns = 2 * np.pi * x / np.asarray(space.lengths)
        phases = [k * turns[:, i] for i in range(space.dim) for k in (1, 2, 5)] + [turns.sum(1)]
        return np.stack([f(p) for p in phases for f in (np.cos, np.sin)], axis=1)
    return np.stack([*x.T, *(x[:, i] * x[:, j] for i in range(space.dim) for j in range(i + 1))], axis=1)


deposit, smooth = eqx.filter_jit(mk.deposit), eqx.filter_jit(mk.smooth)


@compiled
def integral(measure, phi):
    return measure.integrate(phi)


@compiled
def sample(measure, n: int, seed: int = 11):
    return measure.sample(jax.random.key(seed), n).positions


@compiled
def on_nodes(law, grid):
    return jnp.exp(jax.vmap(law.log_density)(grid.nodes))


@every_law
def test_samples_follow_the_density(entry):
    n = 4000
    law, grid = entry
    rho = np.asarray(on_nodes(law, grid))
    # The rectangle rule is exact to rounding for these, apart from the tails cut off at 9 standard deviations.
    assert abs(rho.sum() * grid.cell_volume - 1) <= 1e-12
    expected = rho @ statistics(law.domain, np.asarray(grid.nodes)) * grid.cell_volume
    f = statistics(law.domain, np.asarray(sample(law, n)))
    # The midpoint rule is off by h²/24 ≤ 1e-4 in the second moments of a box.
    bias = np.square(grid.spacing).max() / 24 if isinstance(grid, mk.BoxGrid) else 1e-12
    assert np.all(np.abs(f.mean(0) - expected) <= 5 * f.std(0) / np.sqrt(n) + bias)


@pytest.mark.parametrize("name", ["uniform box", "von Mises", "correlated Gaussian", "mixture"])
def test_the_first_samples_do_not_depend_on_how_many_follow(name):
    few, many = (sample(LAWS[name].law, n) for n in (40, 4000))
    np.testing.assert_array_equal(few, many[:40])


@pytest.mark.parametrize("name", ["uniform box", "von Mises, sharp"])
def test_a_law_goes_onto_a_grid(name):
    law, grid = LAWS[name]
    density = mk.Density.from_law(grid, law)
    np.testing.assert_allclose(density.values.ravel(), on_nodes(law, grid), rtol=1e-11, atol=0)


def test_a_sharp_von_mises_law_has_no_outliers():
    # κ = 1e4 is a normal law of deviation 0.01: of 4000 draws one is beyond 0.06 with probability 8e-6, and the
    # square is resolved: E 2(1 − cos) = 1/κ + O(κ⁻²), of variance 2/κ².
    angle = np.asarray(sample(LAWS["von Mises, sharp"].law, 4000)) - 1.0
    assert np.abs(angle).max() < 0.06
    assert abs(np.mean(2 * (1 - np.cos(angle))) - 1e-4) <= 5 * np.sqrt(2 / 4000) * 1e-4


def test_von_mises_samples_at_any_concentration_in_single_precision():
    # Where κ² is below rounding the textbook formulae for the proposal divide by zero, and no trial is ever accepted.
    with jax.enable_x64(False):
        law = mk.VonMises(CIRCLE, concentration=jnp.float32(1e-4))
        x = sample(law, 40)
    assert x.dtype == jnp.float32
    assert np.ptp(np.asarray(x)) > 3


def test_a_sharp_von_mises_density_in_single_precision():
    # log ρ = −κx²/2 + log(κ/2π)/2 up to κx⁴/24 and 1/8κ.
    with jax.enable_x64(False):
        law = mk.VonMises(CIRCLE, concentration=1e6)
        value = float(law.log_density(jnp.asarray([1e-3])))
    assert value == pytest.approx(-0.5 + 0.5 * np.log(1e6 / (2 * np.pi)), abs=1e-6 + 20 * 2.0**-23)


@pytest.mark.parametrize("dim", [1, 2])
def test_a_box_that_cuts_a_law_is_refused_with_the_mass(dim):
    space, law = mk.Euclidean(dim), mk.Gaussian(np.zeros(dim), np.eye(dim))
    for half in (1.0, 3.0):
        lost = 1 - special.erf(half / 2**0.5) ** dim
        # 24 cells a side: the rectangle rule is off by h²/24 times the change of slope, below a tenth of what is lost.
        with pytest.raises(ValueError, match="the box is too small: a mass of ") as refused:
            mk.Density.from_law(space.grid(24, -half, half), law)
        assert float(str(refused.value).split("mass of ")[1].split()[0]) == pytest.approx(lost, rel=0.1)
    assert mk.Density.from_law(space.grid(24, -5.0, 5.0), law).mass == pytest.approx(1)
    with pytest.raises(ValueError, match="a mass of 1 of the law lies outside"):
        mk.Density.from_law(space.grid(24, 40.0, 50.0), law)


class Series(eqx.Module):
    """Σ_k a_k cos kx + b_k sin kx."""

    a: jax.Array
    b: jax.Array

    def __call__(self, x):
        phase = jnp.arange(self.a.size) * x
        return jnp.sum(self.a * jnp.cos(phase) + self.b * jnp.sin(phase))


@given(st.lists(st.integers(-5, 5), min_size=16, max_size=16))
def test_integrals_of_trigonometric_polynomials_are_exact(coefficients):
    # ρ of degree 1 times a polynomial of degree 6 has degree 7 < 8 nodes: the rectangle rule is exact.
    grid = CIRCLE.grid(8)
    x = np.asarray(grid.axes[0])
    density = density_on(grid, (1 + 0.5 * np.sin(x)) / (2 * np.pi))
    a, b = np.asarray(coefficients[:7]), np.asarray(coefficients[7:14])
    value = integral(density, Series(jnp.asarray(a), jnp.asarray(b)))
    assert value == pytest.approx(a[0] + 0.25 * b[1], abs=1e-13)


def test_integrals_may_be_arrays():
    density = density_on(PLANE.grid(8, -1.0, 1.0), np.full((8, 8), 0.25))
    np.testing.assert_allclose(integral(density, lambda x: jnp.outer(x, x)), np.eye(2) * 63 / 192, atol=1e-15)
    np.testing.assert_allclose(integral(cloud(PLANE, 5, weighted=True), lambda x: jnp.ones(3)), 1.0, rtol=1e-15)


def test_gaussian_quadrature_is_exact_for_polynomials():
    law = mk.Gaussian([1.0, -1.0], [[1.0, 0.6], [0.6, 0.5]])
    # Moments of a correlated normal law: E(x−1)²(y+1)² = 0.5 + 2·0.36, E(x−1)⁶ = 15; E cos of a linear function.
    assert integral(law, lambda x: (x[0] - 1) ** 2 * (x[1] + 1) ** 2) == pytest.approx(1.22, rel=1e-13)
    assert integral(law, lambda x: (x[0] - 1) ** 6) == pytest.approx(15.0, rel=1e-13)
    assert integral(law, lambda x: jnp.cos(x[0] - 1)) == pytest.approx(np.exp(-0.5), rel=1e-13)


def test_a_point_mass_is_a_gaussian():
    law = mk.Gaussian(2.0, 0.0)
    np.testing.assert_array_equal(sample(law, 3), 2.0)
    assert integral(law, lambda x: x[0] ** 2) == pytest.approx(4.0, rel=1e-15)


def test_mixtures_weigh_their_components():
    a, b = mk.Gaussian(-1.0, 0.01), mk.Gaussian(3.0, 0.04)
    mixture = mk.Mixture([a, b, a], [0.25, 0.75, 0.0])
    assert integral(mixture, lambda x: x[0]) == pytest.approx(2.0, rel=1e-14)
    log_density = eqx.filter_jit(lambda law: law.log_density(jnp.asarray([2.9])))
    assert log_density(mixture) == pytest.approx(np.log(0.75) + float(log_density(b)), rel=1e-12)


def test_samples_of_a_density_follow_its_cells():
    grid = OBLONG.grid((16, 12))
    rho = np.asarray(on_nodes(LAWS["von Mises"].law, grid))
    density = density_on(grid, (rho / rho.sum() / grid.cell_volume).reshape(grid.shape))
    n = 4000
    x = sample(density, n)
    nodes = np.asarray(density.grid.nodes)
    expected = density.values.ravel() @ statistics(OBLONG, nodes) * density.grid.cell_volume
    f = statistics(OBLONG, np.asarray(x))
    # A uniform point of a cell damps the mode q by sinc(q_x h_x/2) sinc(q_y h_y/2); here modes 1, 2, 5 and (1, 1).
    dx, dy = np.sinc(np.array([1, 2, 5]) / 16), np.sinc(np.array([1, 2, 5]) / 12)
    damping = np.repeat([*dx, *dy, dx[0] * dy[0]], 2)
    assert np.all(np.abs(f.mean(0) - damping * expected) <= 5 * f.std(0) / np.sqrt(n))
    np.testing.assert_array_equal(sample(density, 40), x[:40])


def test_no_sample_falls_into_an_empty_cell():
    grid = LINE.grid(8, 0.0, 8.0)
    density = mk.Density(grid, [0.0, 0.5, 0.0, 0.0, 0.25, 0.25, 0.0, 0.0])
    x = np.asarray(sample(density, 4000))
    assert set(np.floor(x).ravel()) == {1.0, 4.0, 5.0}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("grid", [PLANE.grid((9, 7), -3.0, 3.0), OBLONG.grid((9, 7))], ids=["box", "torus"])
def test_deposit_keeps_the_mass_and_on_a_box_the_mean(grid, weighted):
    measure = cloud(grid.space, 50, weighted=weighted)
    density = deposit(measure, grid)
    # Fifty additions of numbers of size below 1.
    assert abs(density.mass - 1) <= 50 * 2e-16
    assert jnp.all(density.values >= 0)
    if isinstance(grid, mk.BoxGrid):
        mean = integral(measure, lambda x: x)
        np.testing.assert_allclose(integral(density, lambda x: x), mean, atol=200 * 2e-16)


def test_deposit_puts_a_particle_on_a_node_there_alone():
    grid = mk.Torus(1, 8.0).grid(8)
    values = deposit(particles(grid.space, np.asarray([[3.0], [7.5]])), grid).values
    np.testing.assert_array_equal(values, [0.25, 0, 0, 0.5, 0, 0, 0, 0.25])


def test_deposit_keeps_particles_in_the_outermost_half_cells():
    density = deposit(particles(LINE, np.asarray([[0.1], [3.9]])), LINE.grid(4, 0.0, 4.0))
    np.testing.assert_allclose(density.values, [0.5, 0, 0, 0.5], rtol=1e-15)


@pytest.mark.parametrize("n", [8, 9])
def test_smoothing_multiplies_every_mode_exactly(n):
    grid, width = OBLONG.grid((n, 10)), 0.3
    x, y = np.asarray(grid.nodes).T
    b = 2 * np.pi / 3
    profile = lambda s: (1 + 0.5 * s[0] * np.cos(x - b * y) + 0.4 * s[1] * np.sin(2 * x + b * y)) / OBLONG.volume  # noqa: E731
    smoothed = smooth(density_on(grid, profile([1, 1]).reshape(grid.shape)), width)
    decay = np.exp(-0.5 * width**2 * np.array([1 + b**2, 4 + b**2]))
    np.testing.assert_allclose(smoothed.values.ravel(), profile(decay), atol=1e-15)


def test_smoothing_of_a_deposit_needs_a_width_that_its_grid_resolves():
    rough = deposit(particles(CIRCLE, np.asarray([[1.0], [4.0]])), CIRCLE.grid(32))
    h = CIRCLE.grid(32).spacing[0]
    assert np.all(np.asarray(smooth(rough, 2.5 * h).values) > -1e-10)
    with pytest.raises(ValueError, match=r"leaves negative values.*smooth by two spacings or more"):
        mk.smooth(rough, 0.5 * h)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_measures_keep_the_precision_of_their_arrays(dtype):
    points = cloud(CIRCLE, 40, dtype, weighted=True)
    density = smooth(deposit(points, CIRCLE.grid(32)), 1.0)
    for measure in (points, density):
        assert dtype_of(measure) == dtype
        assert integral(measure, lambda x: jnp.cos(x[0])).dtype == dtype
    assert dtype_of(mk.Uniform(CIRCLE)) == np.float64
    assert sample(density, 40).dtype == dtype


def test_rounding_below_zero_is_no_negative_density_in_single_precision():
    # A transform and back in single precision leaves some ±1e-7 of the maximum where the density is zero.
    grid = CIRCLE.grid(256)
    values = on_nodes(mk.VonMises(CIRCLE, concentration=50.0), grid).astype(np.float32)
    assert mk.smooth(mk.Density(grid, values), 0.1).values.dtype == np.float32


GRID = LINE.grid(4, 0.0, 2.0)
FOUR = mk.Density(GRID, np.full(4, 0.5))
REFUSALS = {
    "shape": (lambda: mk.Density(GRID, np.ones(5)), r"grid of shape \(4,\) needs values of that shape, not \(5,\)"),
    "nan": (lambda: mk.Density(GRID, [0.5, np.nan, 0.5, 0.5]), r"finite, but 1 of its 4 values is not at index \(1,\)"),
    "negative": (lambda: mk.Density(GRID, [0.5, -0.1, 0.5, 1.1]), "must not be negative, but its minimum is -0.1"),
    "mass": (lambda: mk.Density(GRID, np.ones(4)), "must have mass 1, but this one has 2; .*normalises"),
    "vector": (lambda: mk.Density.from_function(GRID, lambda x: x), r"scalar function.*returned shape \(1,\)"),
    "zero": (lambda: mk.Density.from_function(GRID, lambda x: 0.0), "must be positive somewhere"),
    "sign": (lambda: mk.Density.from_function(GRID, lambda x: x[0] - 0.5), "must not be negative"),
    "infinite": (lambda: mk.Density.from_function(GRID, lambda x: 1 / jnp.abs(x[0] - 0.75)), "must be finite"),
    "other space": (lambda: mk.Density.from_law(GRID, mk.Uniform(CIRCLE)), "a law on .* cannot be put on a grid of"),
    "flat positions": (lambda: mk.Particles(PLANE, np.ones(4)), r"dimension 2 have shape \(n, 2\).*shape \(4,\)"),
    "columns": (lambda: mk.Particles(PLANE, np.ones((4, 3))), r"dimension 2 have shape \(n, 2\).*shape \(4, 3\)"),
    "no particle": (lambda: mk.Particles(PLANE, np.ones((0, 2))), "n ≥ 1"),
    "position": (lambda: mk.Particles(LINE, [[0.0], [np.inf]]), r"position must be finite, but 1 of its 2 .* \(1, 0\)"),
    "weights": (lambda: mk.Particles(LINE, np.ones((3, 1)), np.ones(2)), r"weights of shape \(3,\), not \(2,\)"),
    "weight": (lambda: mk.Particles(LINE, np.ones((2, 1)), [1.5, -0.5]), "must not be negative"),
    "weight sum": (lambda: mk.Particles(LINE, np.ones((2, 1)), [0.5, 0.6]), "sum to 1, but their sum is 1.1"),
    "nan weight": (lambda: mk.Particles(LINE, np.ones((2, 1)), [np.nan, 0.6]), "weight must be finite"),
    "gaussian shapes": (lambda: mk.Gaussian([0.0, 1.0], np.eye(3)), r"not \(2,\) and \(3, 3\)"),
    "gaussian nan": (lambda: mk.Gaussian(np.nan, 1.0), "the mean of a Gaussian must be finite, but it is not at"),
    "asymmetric": (lambda: mk.Gaussian([0.0, 0.0], [[1.0, 0.2], [0.0, 1.0]]), "symmetric"),
    "indefinite": (lambda: mk.Gaussian([0.0, 0.0], [[1.0, 2.0], [2.0, 1.0]]), "eigenvalues, but its least is -1"),
    "quadrature": (lambda: mk.Gaussian(np.zeros(4), np.eye(4)).integrate(lambda x: x[0]), "built for d ≤ 3, not 4"),
    "law integral": (lambda: mk.Uniform(CIRCLE).integrate(lambda x: x[0]), "Uniform has no quadrature"),
    "box needed": (lambda: mk.Uniform(LINE), "needs a box"),
    "no box": (lambda: mk.Uniform(CIRCLE, lower=0.0, upper=1.0), "takes no box"),
    "empty box": (lambda: mk.Uniform(LINE, lower=1.0, upper=0.0), "lower < upper"),
    "infinite box": (lambda: mk.Uniform(LINE, lower=0.0, upper=np.inf), "both finite"),
    "kappa": (lambda: mk.VonMises(CIRCLE, 0.0, -1.0), "must not be negative"),
    "kappa nan": (lambda: mk.VonMises(CIRCLE, 0.0, np.nan), "concentration of a von Mises law must be finite"),
    "mean shape": (lambda: mk.VonMises(OBLONG, np.zeros(3)), r"dimension 2 needs a mean and a concentration of shape"),
    "no component": (lambda: mk.Mixture([]), "at least one component"),
    "no law": (lambda: mk.Mixture([cloud(LINE, 2)]), "must be laws"),
    "two spaces": (lambda: mk.Mixture([mk.Uniform(CIRCLE), mk.Uniform(OBLONG)]), "must live on one space"),
    "number of weights": (lambda: mk.Mixture([mk.Uniform(CIRCLE)], [0.5, 0.5]), r"weights of shape \(1,\), not \(2,\)"),
    "mixture weights": (lambda: mk.Mixture([mk.Uniform(CIRCLE)] * 2, [1.5, -0.5]), "non-negative with sum 1"),
    "deposit space": (lambda: mk.deposit(cloud(CIRCLE, 3), GRID), "cannot be put on a grid of"),
    "deposit outside": (lambda: mk.deposit(mk.Particles(LINE, [[0.5], [3.0]]), GRID), "mass of 0.5 of the particles"),
    "smooth box": (lambda: mk.smooth(FOUR, 0.1), "smoothing works on a torus"),
    "smooth width": (
        lambda: mk.smooth(mk.Density.from_law(CIRCLE.grid(8), mk.Uniform(CIRCLE)), -0.1),
        "not be negative",
    ),
}


@pytest.mark.parametrize(("call", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
