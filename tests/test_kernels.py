"""Pair energies: symmetry, gradients, singularities, and what becomes of them on a torus."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tables import CIRCLE, KERNELS, LINE, OBLONG, PLANE, Yukawa, cloud, compiled, skew

import mckean as mk
from mckean.interactions import place
from mckean.interactions.kernels import FourierSeries
from mckean.interactions.trig import cos_sin_turns

kernels = mk.kernels
every_kernel = pytest.mark.parametrize("name", KERNELS)
PLACED = {name: entry.kernel for name, entry in KERNELS.items()}
EPS = 2.0**-52


def displacements(name, n=8):
    """Displacements at least 0.1 from 0, and from the cut of a torus, where a kernel may have kinks."""
    space = KERNELS[name].space
    x = cloud(space, 400, seed=3).positions
    z = np.asarray(space.displacement(x, jnp.zeros_like(x)))
    sides = np.asarray(getattr(space, "lengths", (math.inf,) * space.dim))
    good = (np.linalg.norm(z, axis=1) > 0.1) & np.all(np.abs(np.abs(z) - sides / 2) > 0.1, axis=1)
    return jnp.asarray(z[good][:n])


@compiled
def over(function, z):
    return jax.vmap(function)(z)


@every_kernel
def test_kernels_are_even(name):
    z = displacements(name)
    # Rounding of a phase q·z is odd in z, and so is that of every other argument.
    np.testing.assert_allclose(over(PLACED[name], z), over(PLACED[name], -z), rtol=4 * EPS, atol=1e-15)


@every_kernel
def test_gradients_are_those_of_the_even_part(name):
    kernel, z = PLACED[name], displacements(name)
    gradient = np.asarray(over(kernel.gradient, z))
    given = getattr(KERNELS[name].given, "function", kernel)
    even = lambda y: 0.5 * (given(y) + given(-y))  # noqa: E731
    # A function of a user on a torus has become a series, of tens of modes that each may be off by 3e-11.
    np.testing.assert_allclose(gradient, over(jax.grad(even), z), rtol=0, atol=1e-9)
    # Central differences: h²/6 times a third derivative, below 1e4 at distance 0.1, and rounding 1e-16·|W|/h.
    h = 1e-5
    for i, shift in enumerate(h * np.eye(z.shape[1])):
        difference = (over(kernel, z + shift) - over(kernel, z - shift)) / (2 * h)
        np.testing.assert_allclose(gradient[:, i], difference, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(over(kernel.gradient, jnp.zeros_like(z)), 0.0)


@pytest.mark.parametrize(
    ("name", "at_zero"), [("logarithm", None), ("coulomb", None), ("periodic logarithm", None), ("morse", 1.0)]
)
def test_a_singular_kernel_leaves_coincident_points_out(name, at_zero):
    kernel, zero = PLACED[name], jnp.zeros(KERNELS[name].space.dim)
    assert kernel.singular == (at_zero is None)
    assert kernel.value(zero) == (at_zero or 0.0)
    assert np.all(np.isfinite(jax.jit(jax.grad(kernel.value))(zero)))
    z = displacements(name)
    np.testing.assert_allclose(over(kernel.value, z), over(kernel, z), rtol=1e-15)


def test_points_too_close_to_have_a_distance_are_coincident():
    # |z|² underflows: without the convention the potential would be −∞ and the force NaN.
    for dtype, tiny in ((jnp.float32, 1e-30), (jnp.float64, 1e-200)):
        z = jnp.asarray([tiny], dtype)
        assert PLACED["logarithm"].value(z) == 0.0
        assert jnp.all(PLACED["logarithm"].gradient(z) == 0.0)


@pytest.mark.parametrize(("side", "dim"), [(1.0, 1), (0.3, 2)])
def test_cell_means_of_integrable_singularities(side, dim):
    # ∫log|z| over a square of side a: log a + (π/4 − 3/2 − ½ log 2); over an interval log(a/2) − 1. Gauss–Legendre with
    # eight nodes graded as t³ integrates t² log t to 1e-5.
    exact = {1: math.log(side / 2) - 1, 2: math.log(side) + math.pi / 4 - 1.5 - 0.5 * math.log(2)}[dim]
    assert kernels.PowerLaw(1.0, 0.0).cell_mean((side,) * dim) == pytest.approx(exact, abs=2e-5)


def test_the_cosine_kernel_is_minus_the_sum_of_cosines():
    z = np.asarray([[0.3, -1.1], [2.0, 0.4]])
    expected = -1.7 * (np.cos(z[:, 0]) + np.cos(2 * np.pi * z[:, 1] / 3))
    np.testing.assert_allclose(over(kernels.Cosine(1.7).on(OBLONG), jnp.asarray(z)), expected, rtol=1e-14)
    unit = kernels.Cosine(2.0).on(mk.Torus(1, 1.0))
    assert unit(jnp.asarray([0.25])) == pytest.approx(0.0, abs=1e-15)
    assert unit(jnp.asarray([0.5])) == pytest.approx(2.0, rel=1e-15)


def test_a_gaussian_on_a_torus_is_the_sum_of_its_images():
    kernel, z = PLACED["periodic gaussian"], np.asarray(displacements("periodic gaussian"))
    images = np.stack(np.meshgrid(np.arange(-3, 4), np.arange(-4, 5), indexing="ij"), axis=-1).reshape(-1, 2)
    distance = z[:, None, :] + images * np.asarray(OBLONG.lengths)
    expected = np.exp(-0.5 * (distance**2).sum(-1) / 0.8**2).sum(1)
    # Images beyond 15 widths contribute e^{−112}; modes left out e^{−37}; the rest is rounding of some 60 modes.
    np.testing.assert_allclose(over(kernel, jnp.asarray(z)), expected, rtol=0, atol=1e-14)


def test_the_series_of_a_smooth_function_is_the_function():
    kernel, z = PLACED["skew function"], displacements("skew function")
    assert isinstance(kernel, FourierSeries)
    even = lambda y: 0.5 * (skew(y) + skew(-y))  # noqa: E731
    # Modes whose |q a| is below 1e-11 of the largest, 3, are left out: some tens of them.
    np.testing.assert_allclose(over(kernel, z), over(even, z), rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "function", [lambda z: 0.0 * z[0], lambda z: 2.5, lambda z: 1e6 + jnp.cos(z[0])], ids=["zero", "constant", "offset"]
)
def test_a_constant_part_does_not_hide_that_a_series_is_resolved(function):
    kernel = place(function, CIRCLE).kernel
    assert isinstance(kernel, FourierSeries)
    assert len(kernel.modes) <= 2
    z = jnp.asarray([1.0])
    assert kernel(z) == pytest.approx(float(function(z)), rel=1e-15)


def test_a_mode_that_hides_between_the_nodes_is_found():
    # On 16 nodes cos 16x is 1 throughout, and nothing is left in the tail.
    kernel = place(lambda z: jnp.cos(z[0]) + 0.1 * jnp.cos(16 * z[0]), CIRCLE).kernel
    assert isinstance(kernel, FourierSeries)
    assert kernel.modes == ((1,), (16,))
    np.testing.assert_allclose(kernel.coefficients, [1.0, 0.1], rtol=1e-14)


def test_a_kink_is_not_resolved_and_its_series_is_close():
    series = KERNELS["onsager"].interaction.series
    assert isinstance(series, FourierSeries)
    assert PLACED["onsager"](jnp.asarray([0.3])) == pytest.approx(math.sin(0.3), rel=1e-15)
    assert PLACED["nearest image"].singular is False
    # |sin x| = 2/π − (4/π) Σ cos(2kx)/(4k²−1); sampling on 4096 nodes folds tails of relative size 1e-6 over.
    coefficients = dict(zip(series.modes, np.asarray(series.coefficients), strict=True))
    assert coefficients[(0,)] == pytest.approx(2 / math.pi, rel=1e-6)
    for k in (1, 2, 10):
        assert coefficients[(2 * k,)] == pytest.approx(-4 / math.pi / (4 * k**2 - 1), rel=1e-4)


KINKS = {  # W with a jump in its first, second and third derivative, and W'(r)
    "first": (lambda z: jnp.abs(z[0]), lambda r: 1.0),
    "Morse": (kernels.Morse(), lambda r: -2 * math.exp(-2 * r) + 0.5 * math.exp(-r)),
    "second": (lambda z: jnp.maximum(0.2 - jnp.abs(z[0]), 0.0) ** 2, lambda r: -2 * max(0.2 - r, 0.0)),
    "third": (lambda z: jnp.maximum(0.2 - jnp.abs(z[0]), 0.0) ** 3, lambda r: -3 * max(0.2 - r, 0.0) ** 2),
}


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("name", KINKS)
def test_no_precision_takes_a_kink_for_smooth(name, double):
    kernel, slope = KINKS[name]
    side = 1.0 if name != "second" else 30.0
    with jax.enable_x64(double):
        torus, eps = mk.Torus(1, side), float(jnp.finfo(jnp.result_type(float)).eps)
        placed = place(kernels.MinimalImage(kernel), torus)
        for r in (0.001, 0.02, 0.199):
            mu = mk.Particles(torus, jnp.asarray([[0.25], [0.25 + r]]))
            force = np.asarray(mk.interactions.force(placed, mu, mu.positions))[:, 0]
            # Half the mass is at the other particle. A series is as good as its tolerance, 100 ε, of the largest force
            # (ten times that is allowed); r is rounded by ε.
            exact = np.asarray([0.5, -0.5]) * slope(r)
            assert np.abs(force - exact).max() <= 1000 * eps * max(1.0, abs(slope(0)))


def test_a_certificate_compares_with_the_kernel_that_was_given():
    placed = place(lambda z: jnp.cos(z[0]) + 0.1 * jnp.cos(2 * z[0]), CIRCLE)
    wrong = dataclasses.replace(placed, kernel=kernels.FourierSeries([1], [1.0]).on(CIRCLE))
    mu, key = cloud(CIRCLE, 50, seed=1), jax.random.key(0)
    assert mk.interactions.certificate(placed, mu, key).error <= 1e-12
    assert mk.interactions.certificate(wrong, mu, key).error > 0.01


def test_the_series_of_an_integrable_singularity_is_close():
    # −log|2 sin(x/2)| = Σ cos(kx)/k. The cell at 0 counts with its mean: each mode is off by 0.145 h/π, h = 2π/4096.
    series = KERNELS["periodic logarithm"].interaction.series
    assert isinstance(series, FourierSeries)
    coefficients = dict(zip(series.modes, np.asarray(series.coefficients), strict=True))
    for k in (1, 2, 10):
        assert coefficients[(k,)] == pytest.approx(1 / k, abs=1e-4)
    assert coefficients[(0,)] == pytest.approx(0.0, abs=1e-4)


def test_minimal_images_find_out_singularities_and_leave_euclidean_space_alone():
    assert kernels.MinimalImage(lambda z: -jnp.log(jnp.abs(z[0]))).on(CIRCLE).singular
    quadratic = kernels.Quadratic(2.0)
    assert kernels.MinimalImage(quadratic).on(PLANE) is quadratic
    # Two points see W of their shortest displacement, which is what the space gives.
    near = place(kernels.MinimalImage(quadratic), CIRCLE)
    assert near.kernel is quadratic
    assert isinstance(near.series, FourierSeries)


def test_an_interaction_is_placed_once():
    placed = place(kernels.Gaussian(), PLANE, tolerance=1e-3)
    assert place(placed, PLANE) is placed
    assert mk.langevin(PLANE, interaction=placed).interaction is placed
    other = place(placed, PLANE, sum=mk.interactions.Direct())
    assert (other.kernel, other.tolerance, other.sum) == (placed.kernel, None, mk.interactions.Direct())
    with pytest.raises(ValueError, match=r"placed on Euclidean\(dim=2\) does not act on Euclidean\(dim=1\)"):
        place(placed, LINE)
    cosine = place(kernels.Cosine(2.0), CIRCLE)
    assert cosine.kernel.modes == ((1,),)
    assert cosine.series is None


def test_the_face_of_kernels_is_kernels():
    public = [name for name in dir(kernels) if not name.startswith("_")]
    assert all(issubclass(getattr(kernels, name), kernels.AbstractKernel) for name in public)


def test_a_module_keeps_its_parameters_as_arrays():
    kernel = kernels.Function(Yukawa(1.5)).on(PLANE)
    assert [leaf.shape for leaf in jax.tree.leaves(kernel)] == [()]
    assert not jax.tree.leaves(kernels.Function(lambda z: jnp.sum(z**2)).on(PLANE))


def trig_errors(turns, dtype):
    t = jnp.asarray(turns, dtype)
    c, s = cos_sin_turns(t)
    assert c.dtype == s.dtype == dtype
    # numpy's cos of a reduced argument in double precision is the reference.
    exact = np.asarray(t, np.float64)
    angle = 2 * np.pi * (exact - np.round(exact))
    return np.maximum(np.abs(np.asarray(c) - np.cos(angle)), np.abs(np.asarray(s) - np.sin(angle)))


@pytest.mark.parametrize(("dtype", "bound"), [(np.float32, 1e-6), (np.float64, 1e-14)])
def test_cosines_of_turns_keep_their_stated_error(dtype, bound):
    turns = np.concatenate([np.linspace(-1, 1, 20_001), [0.25, 0.5, 0.75, 1e6 + 0.125, -12345.625]])
    assert trig_errors(turns, dtype).max() <= bound


def test_cosines_of_turns_have_their_derivatives():
    t = jnp.asarray([0.0, 0.1, -0.4, 2.3])
    for order, sign in ((1, -1), (2, -1)):
        f = lambda u: cos_sin_turns(u)[0]  # noqa: E731
        for _ in range(order):
            f = jax.grad(f)
        expected = sign * (2 * np.pi) ** order * (np.sin if order == 1 else np.cos)(2 * np.pi * np.asarray(t))
        np.testing.assert_allclose(jax.vmap(f)(t), expected, atol=4 * np.pi**2 * 1e-14)


REFUSALS = {
    "not periodic": (lambda: kernels.Quadratic().on(CIRCLE), r"not periodic: it changes by up to .*MinimalImage\(W\)"),
    "not scalar": (lambda: kernels.Function(lambda z: z).on(PLANE), r"must return a scalar.*returned shape \(2,\)"),
    "no jax": (lambda: kernels.Function(lambda z: math.sin(z[0])).on(LINE), "a function that JAX can trace"),
    "integer": (lambda: kernels.Function(lambda z: 1).on(LINE), "a real number that can be differentiated"),
    "nan": (lambda: kernels.Function(lambda z: jnp.nan * z[0]).on(LINE), "it is NaN wherever it was tried"),
    "nan on torus": (lambda: kernels.Function(lambda z: jnp.nan * z[0]).on(CIRCLE), "NaN wherever it was tried"),
    "pole": (lambda: place(lambda z: 1 / (1 + jnp.cos(z[0])), CIRCLE), r"not at displacement \[-3.14"),
    "cosine unplaced": (lambda: kernels.Cosine()(jnp.ones(1)), "no length until it is put on a torus"),
    "cosine on R": (lambda: kernels.Cosine().on(LINE), "lives on a torus"),
    "series on R": (lambda: kernels.FourierSeries([1], [1.0]).on(LINE), "a kernel on a torus"),
    "series unplaced": (lambda: kernels.FourierSeries([1], [1.0])(jnp.ones(1)), "no length until"),
    "dimension": (lambda: kernels.FourierSeries([1], [1.0]).on(OBLONG), "do not have the dimension 2"),
    "other sides": (lambda: kernels.Cosine().on(CIRCLE).on(mk.Torus(1, 1.0)), "does not act on one of sides"),
    "two dimensions": (lambda: kernels.FourierSeries([(1,), (1, 2)], [1.0, 2.0]), "must have one dimension"),
    "coefficients": (lambda: kernels.FourierSeries([1, 2], [1.0]), "2 modes need as many coefficients"),
    "both of a pair": (lambda: kernels.FourierSeries([(1, -2), (-1, 2)], [1.0, 1.0]), "each pair of modes"),
    "fractional mode": (lambda: kernels.FourierSeries([0.5], [1.0]), "must be integers"),
    "no mode": (lambda: kernels.FourierSeries([], []), "at least one mode"),
    "coefficient": (lambda: kernels.FourierSeries([1], [jnp.nan]), "coefficients of a Fourier series must be finite"),
    "width": (lambda: kernels.Gaussian(1.0, 0.0), "must be positive and finite, but 0"),
    "range": (lambda: kernels.Morse(repulsion_range=-1.0), "repulsion range of a Morse kernel must be positive"),
    "traced": (lambda: jax.jit(_built)(1.0), "put on a torus under a JAX transformation"),
}


def _built(strength):
    """A kernel whose series is to be truncated by values that do not exist yet."""
    kernel = place(kernels.MinimalImage(kernels.Quadratic(strength)), CIRCLE).kernel
    return kernel(jnp.ones(1))


@pytest.mark.parametrize(("call", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_parameter_that_is_not_a_number_is_refused_where_it_is_given():
    """Of every energy that has numbers with defaults, each of them, also where the others are right."""
    energies = [getattr(room, name) for room in (kernels, mk.potentials) for name in room.__all__] + [mk.PorousMedium]
    given = [
        (one, field.name) for one in energies for field in dataclasses.fields(one) if isinstance(field.default, float)
    ]
    assert len(given) > 15
    for one, name in given:
        with pytest.raises(ValueError, match=r"must be finite|positive|m > 1"):
            one(**{name: math.nan})
