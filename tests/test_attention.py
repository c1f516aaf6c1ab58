"""Attention is the sum of its definition, in value and derivatives, at any temperature and without its n × m matrix."""

import math
from functools import partial

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from tables import CIRCLE, LINE, PLANE, compiled, density, particles

import mckean as mk
from mckean.interactions.attention import Attention
from mckean.interactions.field import AbstractField

EPS = 2.0**-52
evaluate = compiled(lambda field, mu, x: (field(x, mu), field.potential(x, mu)))
every_form = pytest.mark.parametrize("normalised", [True, False])


def exact(field: Attention, y, w, x):
    """(b, potential) by the definition, in NumPy and double precision, the largest exponent taken out of each row."""
    y, w, x, beta = (np.asarray(a, float) for a in (y, w, x, field.beta))
    query = x if field.query_key is None else x @ np.asarray(field.query_key, float).T
    s = beta * query @ y.T
    top = s.max(axis=1, keepdims=True)
    p = w * np.exp(s - top)
    mass = p.sum(axis=1, keepdims=True)
    mean = p @ y / mass if field.normalised else np.exp(top) * (p @ y)
    value = np.eye(y.shape[1]) if field.value is None else np.asarray(field.value, float)
    b = mean @ value.T if value.ndim else value * mean
    log_mass = (top + np.log(mass))[:, 0]
    return b, -(log_mass if field.normalised else np.exp(log_mass)) / (beta if beta else np.nan)


def rounding(field: Attention, y, x, eps=EPS) -> float:
    """A bound on the relative error of a weight e^{β⟨Ax, y⟩}, and of a sum of them: roundings of the exponent, of
    products of d terms with A and with y, and of the additions, of which the tiles take at most 1024 in a row."""
    d = y.shape[1]
    a = 1.0 if field.query_key is None else np.abs(np.asarray(field.query_key)).sum(axis=1).max()
    reach = abs(float(field.beta)) * a * d * np.abs(x).max() * np.abs(y).max()
    return eps * ((2 * d + 8) * (1 + reach) + min(len(y), 1024) + 64)


def tokens(n, m, d, seed=0, dtype=np.float64):
    """Targets, sources on both sides of 0 and weights, one of which is 0 if there are several."""
    rng = np.random.default_rng(seed)
    w = rng.uniform(0.1, 1.0, m)
    w[m // 2] *= m == 1
    x, y, w = rng.uniform(-1, 1, (n, d)), rng.uniform(-1, 1, (m, d)), w / w.sum()
    return x.astype(dtype), y.astype(dtype), w.astype(dtype)


def matrix(d, seed):
    return np.random.default_rng(seed).normal(size=(d, d))


def cloud(y, w=None):
    return particles(mk.Euclidean(y.shape[1]), y, w)


@given(
    shape=st.sampled_from([(1, 1, 1), (5, 3, 2), (6, 11, 3)]),
    beta=st.sampled_from([0.0, 1e-3, 1.0, -2.5, 40.0, 1e4]),
    matrices=st.booleans(),
    normalised=st.booleans(),
    seed=st.integers(0, 100),
)
def test_the_field_is_its_formula(shape, beta, matrices, normalised, seed):
    x, y, w = tokens(*shape, seed)
    d, beta = shape[2], beta if normalised else min(beta, 40.0)
    value, query_key = (matrix(d, seed), matrix(d, seed + 1)) if matrices else (-0.5, None)
    field = Attention(beta, value, query_key, normalised)
    got, level = evaluate(field, cloud(y, w), x)
    expected, potential = exact(field, y, w, x)
    size = np.abs(np.atleast_2d(value)).sum(axis=1).max()
    mass = 1.0 if normalised or not beta else np.abs(beta * potential).max()
    slack = 4 * rounding(field, y, x)
    np.testing.assert_allclose(got, expected, rtol=0, atol=slack * size * mass)
    if beta:
        np.testing.assert_allclose(level, potential, rtol=slack, atol=slack / abs(beta))


def test_without_parameters_and_weights_they_are_one():
    x, y, _ = tokens(4, 5, 2)
    got, level = evaluate(Attention(), cloud(y), x)
    expected, potential = exact(Attention(1.0, 1.0, np.eye(2)), y, np.full(5, 0.2), x)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e3 * EPS)
    np.testing.assert_allclose(level, potential, rtol=0, atol=1e3 * EPS)


def dense(normalised, what, beta, value, query_key, y, w, x):
    """The definition with its matrix, for JAX to differentiate."""
    s = beta * (x @ query_key.T) @ y.T
    if what == "field":
        p = jnp.exp(s) * w
        return ((p / p.sum(axis=1, keepdims=True) if normalised else p) @ y) @ value.T
    mass = jnp.exp(s) @ w
    return -(jnp.log(mass) if normalised else mass) / beta


def ours(normalised, what, beta, value, query_key, y, w, x):
    field = Attention(beta, value, query_key, normalised)
    mu = mk.Particles(mk.Euclidean(y.shape[1]), y, w)
    return field(x, mu) if what == "field" else field.potential(x, mu)


@every_form
@pytest.mark.parametrize("what", ["field", "potential"])
def test_value_and_derivatives_are_those_of_the_formula(normalised, what):
    n, m = 1031, 2101  # each takes several tiles, and the last one is not full
    x, y, w = tokens(n, m, 2)
    arguments = tuple(jnp.asarray(a) for a in (1.5, matrix(2, 1), matrix(2, 2), y, w, x))
    rng = np.random.default_rng(3)
    along = tuple(jnp.asarray(rng.uniform(-1, 1, np.shape(a))) for a in arguments)

    def everything(f, arguments, along):
        value, change = jax.jvp(f, arguments, along)
        weight = jnp.cos(jnp.arange(value.size, dtype=float)).reshape(value.shape)
        return value, change, jax.grad(lambda a: jnp.sum(weight * f(*a)))(arguments)

    results = [compiled(partial(everything, partial(f, normalised, what)))(arguments, along) for f in (ours, dense)]
    for got, expected in zip(*map(jax.tree.leaves, results), strict=True):
        # Sums of up to n·m terms, each with the error of an exponential of an exponent below 20.
        scale = EPS * (1e3 + 4 * (n + m)) * max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(got, expected, rtol=0, atol=scale)


@every_form
def test_second_derivatives_are_those_of_the_formula(normalised):
    x, y, w = tokens(3, 4, 2)
    key = jnp.asarray(matrix(2, 2))

    point = jnp.asarray(0.75), jnp.concatenate([x, y]), jnp.asarray(w)
    along = jax.tree.map(lambda a: jnp.sin(1.0 + jnp.arange(a.size, dtype=float)).reshape(a.shape), point)

    def curvature(f):
        total = lambda beta, z, w: jnp.sum(f(normalised, "potential", beta, jnp.eye(2), key, z[3:], w, z[:3]))  # noqa: E731
        return compiled(lambda a, b: jax.jvp(jax.grad(total, (0, 1, 2)), a, b)[1])(point, along)

    both = curvature(ours), curvature(dense)
    for got, expected in zip(*map(jax.tree.leaves, both), strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e4 * EPS * max(1.0, float(np.abs(expected).max())))


@every_form
def test_with_the_transpose_as_value_the_field_is_a_gradient(normalised):
    x, y, w = tokens(6, 9, 3)
    mu, x = cloud(y, w), jnp.asarray(x)
    slope = compiled(jax.grad(lambda x, field: jnp.sum(field.potential(x, mu))))
    for beta in (0.0, 0.7, -1.3):
        field = Attention(beta, matrix(3, 2).T, matrix(3, 2), normalised)
        np.testing.assert_allclose(evaluate(field, mu, x)[0], -slope(x, field), rtol=0, atol=1e4 * EPS)


@every_form
def test_at_infinite_temperature_the_potential_is_its_limit(normalised):
    x, y, w = tokens(6, 9, 2)
    query_key, mu, h = matrix(2, 2), cloud(y, w), 1e-3
    # −f(β) is Σ_k κ_k β^{k−1}/k! in the cumulants or the moments of ⟨Ax, y⟩, with |κ₃| ≤ 8r³ and |κ₄| ≤ 32r⁴ for
    # |⟨Ax, y⟩| ≤ r: centred values leave h²|f″|/2, centred differences h²|f‴|/6, both below 2h²r⁴, rounding 1e-14/h².
    reach = max(1.0, np.abs(x @ query_key.T @ y.T).max())
    within = 2 * h**2 * reach**4 + 1e-14 / h**2

    def shifted(beta):
        constant = 0.0 if normalised else 1 / beta
        return evaluate(Attention(beta, None, query_key, normalised), mu, x)[1] + constant

    low, high = shifted(-h), shifted(h)
    at = lambda beta: Attention(beta, None, query_key, normalised).potential(jnp.asarray(x), mu)  # noqa: E731
    value, slope = compiled(lambda b: jax.jvp(at, (b,), (jnp.ones(()),)))(jnp.zeros(()))
    np.testing.assert_allclose(value, (high + low) / 2, rtol=0, atol=within)
    np.testing.assert_allclose(slope, (high - low) / (2 * h), rtol=0, atol=within)
    np.testing.assert_allclose(value, -(x @ query_key.T) @ (w @ y), rtol=0, atol=64 * EPS)


def test_models_are_vectorised():
    x, y, w = tokens(4, 5, 2)
    mu, x = cloud(y, w), jnp.asarray(x)
    betas, values, keys = jnp.linspace(0, 2, 3), *(jnp.stack([matrix(2, i + k) for k in range(3)]) for i in (0, 3))
    together = jax.vmap(lambda *parameters: Attention(*parameters)(x, mu))(betas, values, keys)
    for b, v, a, got in zip(betas, values, keys, together, strict=True):
        np.testing.assert_allclose(got, exact(Attention(b, v, a), y, w, x)[0], rtol=0, atol=1e3 * EPS)


@every_form
def test_the_points_set_the_precision(normalised):
    dtype = np.float32
    x, y, w = tokens(1031, 1101, 3, dtype=dtype)
    field = Attention(jnp.asarray(2.0), jnp.asarray(matrix(3, 0)), matrix(3, 1), normalised)
    mu = cloud(y, w)
    got, potential = evaluate(field, mu, x)
    assert got.dtype == potential.dtype == dtype
    slack = 4 * rounding(field, y, x, float(np.finfo(dtype).eps)) * np.abs(matrix(3, 0)).sum(axis=1).max()
    expected, level = exact(field, y, w, x)
    np.testing.assert_allclose(got, expected, rtol=0, atol=slack * (1 if normalised else np.abs(2 * level).max()))
    np.testing.assert_allclose(potential, level, rtol=slack, atol=slack)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_at_low_temperature_a_token_follows_the_most_aligned_one(dtype):
    # Exponents up to 9e6, where single precision counts in ones. At the first target the second token weighs e^{-3e5},
    # and at the second target the first and the third weigh the same: the difference of their exponents is 0 exactly.
    y = np.asarray([[30.0, 0.0], [29.0, 0.0], [0.0, 30.0]], dtype)
    x = np.asarray([[30.0, 0.0], [30.0, 30.0]], dtype)
    mu = cloud(y)

    @compiled
    def both(field, x):
        _, pull = jax.vjp(lambda x: field.potential(x, mu), x)
        return field(x, mu), pull(jnp.ones(2, dtype))[0]

    value, slope = both(Attention(1e4), jnp.asarray(x))
    expected = np.asarray([[30.0, 0.0], [15.0, 15.0]])
    eps = 8 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(value, expected, rtol=eps)
    # The gradient multiplies and divides by β.
    np.testing.assert_allclose(slope, -expected, rtol=eps)
    # Without the denominator the sum is beyond the largest number, and says so.
    assert not np.isfinite(both(Attention(1e4, normalised=False), jnp.asarray(x))[0]).any()


@every_form
@pytest.mark.parametrize("n", [1, 3])
def test_coincident_tokens_are_quiet(normalised, n):
    x = jnp.full((n, 2), 0.5)
    field = Attention(2.0, normalised=normalised)
    # Alone, or among its like, a token sees itself: e^{β|x|²} = e.
    mass = 1.0 if normalised else math.e
    loss = lambda x: jnp.sum(field(x, mk.Particles(PLANE, x)))  # noqa: E731
    value, slope = compiled(jax.value_and_grad(loss))(x)
    np.testing.assert_allclose(value, mass * n, rtol=64 * EPS)
    # d/dx (x) = 1, and d/dx (e^{2|x|²} x) sums to e(1 + 4·(x₁ + x₂)x₁) = 3e.
    np.testing.assert_allclose(slope, 1.0 if normalised else 3 * math.e, rtol=64 * EPS)


def test_a_token_without_weight_is_not_there():
    # Its e^{β⟨x, y⟩} is e^{1000} times that of the other: taken out as the maximum, it would leave 0/0.
    y, x = jnp.asarray([[1000.0], [0.0], [-1.0]]), jnp.ones((1, 1))
    loss = lambda w, y, x: jnp.sum(Attention()(x, mk.Particles(LINE, y, w)))  # noqa: E731
    value, slopes = compiled(jax.value_and_grad(loss, (0, 1, 2)))(jnp.asarray([0.0, 0.5, 0.5]), y, x)
    other = 1 / (1 + math.e)
    np.testing.assert_allclose(value, -other, rtol=64 * EPS)
    assert all(np.isfinite(slope).all() for slope in slopes)
    # d/dy_j = p_j (1 + y_j − mean), d/dx = the variance.
    np.testing.assert_allclose(slopes[1][:, 0], [0.0, (1 - other) * (1 + other), other * other], rtol=64 * EPS)
    np.testing.assert_allclose(slopes[2], [[other * (1 - other)]], rtol=64 * EPS)


@every_form
def test_a_density_acts_by_its_nodes(normalised):
    grid = PLANE.grid((4, 5), (-1.0, -1.0), (1.0, 2.0))
    values = np.random.default_rng(0).uniform(0, 1, grid.shape)
    masses = (values / values.sum()).ravel()
    rho = density(grid, values / values.sum() / grid.cell_volume)
    x, field = tokens(5, 1, 2)[0], Attention(1.5, normalised=normalised)
    expected = exact(field, grid.nodes, masses, x)[0]
    np.testing.assert_allclose(evaluate(field, rho, x)[0], expected, rtol=0, atol=1e4 * EPS)


def test_memory_is_linear_in_the_number_of_tokens():
    def bytes_of(f, n):
        x = jax.ShapeDtypeStruct((n, 64), np.float32)
        plain = {"xla_backend_optimization_level": 0}
        return jax.jit(f).lower(x).compile(compiler_options=plain).memory_analysis().temp_size_in_bytes

    field = lambda x: Attention(2.0)(x, mk.Particles(mk.Euclidean(64), x))  # noqa: E731
    slope = jax.grad(lambda x: jnp.sum(field(x) ** 2))
    n = 8192
    for f in (field, slope, jax.grad(lambda x: jnp.sum(slope(x) ** 2))):
        small, large = bytes_of(f, n), bytes_of(f, 2 * n)
        assert large <= 2 * small
        assert large < 4 * (2 * n) ** 2 / 8  # a matrix of the pairs is eight times as much


def test_parameters_do_not_recompile():
    x, y, w = tokens(3, 4, 2)
    traced = []

    @jax.jit
    def counted(field, mu, x):
        traced.append(True)
        return field(x, mu)

    for beta in (0.0, 1.0, 2.0):
        counted(Attention(beta, value=beta), cloud(y, w), x)
    assert len(traced) == 1


PARAMETERS = {
    "beta, infinite": ({"beta": math.inf}, "beta of an attention must be finite"),
    "beta, array": ({"beta": np.ones(2)}, r"beta of an attention must be a number, not an array of shape \(2,\)"),
    "value, oblong": ({"value": np.ones((2, 3))}, r"value of an attention must be a square matrix, .* \(2, 3\)"),
    "value, vector": ({"value": np.ones(2)}, r"value of an attention must be a square matrix, .* \(2,\)"),
    "value, NaN": ({"value": [[1, math.nan], [0, 1]]}, r"value of an attention must be finite, .* at index \(0, 1\)"),
    "query_key, oblong": ({"query_key": np.ones((3, 2))}, "query_key of an attention must be a square matrix"),
    "query_key, number": ({"query_key": 2.0}, "query_key of an attention must be a matrix: a number belongs"),
    "query_key, NaN": ({"query_key": [[math.nan]]}, "query_key of an attention must be finite"),
}


@pytest.mark.parametrize(("arguments", "message"), PARAMETERS.values(), ids=PARAMETERS.keys())
def test_refused_parameters(arguments, message):
    with pytest.raises(ValueError, match=message):
        Attention(**arguments)


USES = {
    "value": (Attention(value=np.eye(3)), cloud(np.ones((2, 2))), 2, r"value .* dimension 2 has shape \(2, 2\), not"),
    "query_key": (Attention(query_key=np.eye(1)), cloud(np.ones((2, 2))), 2, r"query_key .* has shape \(2, 2\), not"),
    "points": (Attention(), cloud(np.ones((2, 2))), 3, r"points in dimension 2 have shape \(n, 2\), not \(2, 3\)"),
    "torus": (Attention(), mk.Particles(CIRCLE, np.ones((2, 1))), 1, "no meaning on a torus"),
    "no atoms": (Attention(), mk.Gaussian(0.0, 1.0), 1, "a Gaussian measure has no atoms"),
}


@pytest.mark.parametrize(("field", "mu", "dim", "message"), USES.values(), ids=USES.keys())
def test_refused_uses(field, mu, dim, message):
    for f in (field, field.potential):
        with pytest.raises(ValueError, match=message):
            f(jnp.ones((2, dim)), mu)


def test_a_field_is_an_interface():
    assert isinstance(Attention(), AbstractField)
    with pytest.raises(TypeError, match="abstract"):
        AbstractField()
