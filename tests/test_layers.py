"""Random layers: heads, neurons, the network as a scheme, geodesic steps, and the equations that they follow."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from orders import assert_strong_order, ends

import mckean as mk
from mckean.catalogue.random_layers import arc_cosine
from mckean.dynamics.layers import modified
from mckean.dynamics.moebius import moebius
from mckean.interactions import Attention

D = 4
SPHERE, SPACE = mk.Sphere(D), mk.Euclidean(D)
X = SPHERE.uniform(jax.random.key(0), 6)
TOKENS = mk.Particles(SPHERE, X)
PATH = mk.Brownian(jax.random.key(1))


def softmax(q, y):
    weights = np.exp(q @ y.T - (q @ y.T).max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True) @ y


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_heads_are_attention_with_gaussian_values():
    """Against a layer written out: values from the increments, softmax in NumPy; and the fields' matrix."""
    a = np.random.default_rng(0).normal(size=(3, D, D))
    heads = mk.Heads(1.5, a, intensity=2.0)
    dB = np.random.default_rng(1).normal(size=3 * D * D)
    x = np.asarray(X)
    values = dB.reshape(3, D, D)
    expected = np.sqrt(2.0 / (3 * D)) * sum(
        softmax(1.5 * x @ a[m].T, x) @ values[m].T for m in range(3)
    )  # fmt: skip
    np.testing.assert_allclose(heads.displacement(X, TOKENS, jnp.asarray(dB)), expected, rtol=1e-12)
    matrix = heads.matrix(X, TOKENS)
    np.testing.assert_allclose(matrix @ dB, expected, rtol=1e-12, atol=1e-14)
    # Σ_k σ_k(x)σ_k(y)ᵀ = (c/d) s(x, y) I.
    covariance = np.einsum("iak,jbk->ijab", matrix, matrix)
    gram = np.asarray(heads.gram(X, TOKENS))
    np.testing.assert_allclose(covariance, 2.0 / D * gram[:, :, None, None] * np.eye(D), atol=1e-14)


def test_random_heads_have_the_covariance_of_their_quadrature():
    """E F_a(x)F_b(y) = (c/d) E_A⟨m_A(x), m_A(y)⟩ δ_ab, whatever the number of heads in a step."""
    heads = mk.Heads(1.0, spread=2.0, heads=2)
    draws = 40_000
    dB = jax.random.normal(jax.random.key(2), (draws, heads.width(TOKENS, D)))
    moved = np.asarray(jax.jit(jax.vmap(lambda b: heads.displacement(X[:2], TOKENS, b)))(dB))
    nodes = mk.Heads.quadrature(1.0, D, 4000, 2.0, jax.random.key(3))
    means = np.asarray(nodes.barycentres(X[:2], TOKENS))
    for i, j in ((0, 0), (0, 1)):
        products = moved[:, i] * moved[:, j]
        inner = np.sum(means[:, i] * means[:, j], axis=1) / D
        error = np.hypot(products.std(axis=0) / np.sqrt(draws), inner.std() / np.sqrt(len(inner)))
        assert np.all(np.abs(products.mean(axis=0) - inner.mean()) < 5 * error)
    across = moved[:, 0, 0] * moved[:, 1, 1]
    assert abs(across.mean()) < 5 * across.std() / np.sqrt(draws)
    # The weights are a function of the increments: the same step is the same layer.
    np.testing.assert_array_equal(
        heads.displacement(X, TOKENS, dB[0]), eqx.filter_jit(heads.displacement)(X, TOKENS, dB[0])
    )  # fmt: skip


def test_neurons_have_the_arc_cosine_kernel():
    neurons = mk.Neurons("relu", 8, gain=1.3)
    draws = 40_000
    dB = jax.random.normal(jax.random.key(4), (draws, neurons.width(TOKENS, D)))
    moved = np.asarray(jax.jit(jax.vmap(lambda b: neurons.displacement(X[:3], TOKENS, b)))(dB))
    for i, j in ((0, 0), (0, 1), (1, 2)):
        products = np.mean(moved[:, i] * moved[:, j], axis=1)
        expected = float(arc_cosine(jnp.sum(X[i] * X[j]), 1.3)) / D
        assert abs(products.mean() - expected) < 5 * products.std() / np.sqrt(draws)


@pytest.mark.parametrize("normalisation", ["post", "pre"])
def test_a_layer_of_the_network(normalisation):
    """Attention, then neurons, each with its residual and normalisation, against the formula."""
    heads, neurons = mk.Heads(2.0), mk.Neurons("tanh", 5)
    parts = [heads, neurons]
    if normalisation == "post":
        model, start, norm = mk.Model(SPHERE, common=parts), TOKENS, unit
    else:
        start = mk.Particles(SPACE, 3.0 * X)
        model, norm = mk.Model(SPACE, common=[mk.PreNormalised(part) for part in parts]), lambda x: x
    dt = 0.3
    end = mk.evolve(model, start, until=dt, dt=dt, path=PATH, scheme=mk.Layers()).final.positions
    dB = PATH.environment.increment(0, dt, (D * D + 5 * D,))
    x = np.asarray(start.positions)
    x = norm(x + np.sqrt(1 / D) * softmax(2 * unit(x), unit(x)) @ np.asarray(dB[: D * D]).reshape(D, D).T)
    seen = mk.Particles(SPHERE, unit(x))
    x = norm(x + np.asarray(neurons.displacement(seen.positions, seen, dB[D * D :])))
    np.testing.assert_allclose(end, x, rtol=1e-12)


def test_one_part_is_eulers_method():
    """With one noise and no drift the network is an Euler step of its homogenised limit, up to the radial part."""
    model = mk.Model(SPHERE, common=mk.Heads(1.0))
    ends = [mk.evolve(model, TOKENS, until=1.0, dt=0.001, path=PATH, scheme=s).final.positions
            for s in (mk.Layers(), mk.ParticleScheme())]  # fmt: skip
    # Strong order 1/2: the steps differ by −⟨x, v⟩P_xv of mean zero and size dt.
    assert float(jnp.abs(ends[0] - ends[1]).max()) < 5 * np.sqrt(0.001)
    np.testing.assert_allclose(jnp.linalg.norm(ends[0], axis=1), 1, atol=1e-14)


def test_orders_without_noise_on_the_sphere():
    """Two-sided, against Tsitouras' method: Euler 1, geodesic Euler 1, layers 1, Heun 2; layers to their own flow, 2.

    Exponents e = p + O(h): twice their change from level to level covers the rest.
    """
    model = mk.Model(SPHERE, drift=Attention(1.5))
    steps = [0.1, 0.05, 0.025]
    end = lambda model, h, scheme: mk.evolve(model, TOKENS, until=1.0, dt=h, scheme=scheme).final.positions  # noqa: E731
    exact = end(model, 0.0125, diffrax.Tsit5())
    errors = {
        (name, order): [end(model, h, scheme) - exact for h in steps]
        for name, scheme, order in (
            ("Euler", diffrax.Euler(), 1), ("geodesic", mk.GeodesicEuler(), 1), ("layers", mk.Layers(), 1),
            ("Heun", diffrax.Heun(), 2),
        )
    }  # fmt: skip
    errors["layers, modified", 2] = [
        end(model, h, mk.Layers()) - end(modified(model, h), 0.0125, diffrax.Tsit5()) for h in steps
    ]
    for (name, order), error in errors.items():
        e = -np.diff(np.log2([float(jnp.linalg.norm(x)) for x in error]))
        assert abs(e[1] - order) < min(2 * abs(e[1] - e[0]) + 1e-3, 0.2), (name, e)


def push(x, mu):
    """One constant field of R^d, whose tangent part drives the tokens: its flow is a Möbius map of B."""
    return jnp.asarray([[0.6], [0.0], [-0.8], [0.0]])


def test_strong_orders_with_noise_on_the_sphere():
    """One field: x = Möbius(x_0, B e) in the sense of Stratonovich. Heun's step 1; Itô's Euler steps 1/2."""
    model = mk.Model(SPHERE, common=mk.Multiplicative(push, "stratonovich"))
    levels = (16, 32, 64)
    for scheme, form, order in (
        (mk.ParticleScheme(diffrax.EulerHeun()), model, 1.0),
        (mk.ParticleScheme(), mk.convert(model, "ito"), 0.5),
        (mk.GeodesicEuler(), mk.convert(model, "ito"), 0.5),
    ):
        found, total = ends(scheme, form, TOKENS, levels, 2000)
        exact = jax.vmap(lambda b: moebius(X, push(X, TOKENS) @ b))(jnp.asarray(total))
        errors = [np.sqrt(np.sum(np.asarray(end.positions - exact) ** 2, axis=(1, 2))) for end in found]
        assert_strong_order(errors, order)


def test_no_softmax_overflows():
    """β = 10⁶ leaves each token with itself, in double and single precision."""
    x = X.astype(jnp.float32)
    for points in (X, x):
        heads = mk.Heads(1e6)
        np.testing.assert_allclose(heads.barycentres(points, mk.Particles(SPHERE, points))[0], points, atol=1e-5)
    run = mk.evolve(mk.Model(SPHERE, common=mk.Heads(1e6, spread=1.0, heads=3)), TOKENS, until=0.1, dt=0.01, path=PATH)
    np.testing.assert_allclose(jnp.linalg.norm(run.final.positions, axis=1), 1, atol=1e-14)


def test_directions_keep_weights():
    cloud = mk.Particles(SPACE, 2.0 * X, jnp.arange(1.0, 7.0) / 21)
    seen = mk.directions(cloud)
    assert seen.space == SPHERE
    np.testing.assert_allclose(seen.positions, X, rtol=1e-15)
    np.testing.assert_array_equal(seen.weights, cloud.weights)


REFUSED = {
    "beta": (lambda: mk.Heads(jnp.ones(2)), "beta of a layer must be a number"),
    "infinite beta": (lambda: mk.Heads(np.inf), "must be finite"),
    "two laws": (lambda: mk.Heads(1.0, np.eye(D), 1.0), "a query_key that is given, or a spread, not both"),
    "alike": (lambda: mk.Heads(1.0, heads=3), "one head"),
    "no heads": (lambda: mk.Heads(1.0, spread=1.0, heads=0), "positive whole number"),
    "shape": (lambda: mk.Heads(1.0, np.ones((2, 3))), r"shape \(d, d\)"),
    "dimension": (lambda: mk.Heads(1.0, np.eye(3)).displacement(X, TOKENS, jnp.zeros(9)), "in dimension 4"),
    "intensity": (lambda: mk.Heads(1.0, intensity=-1.0), "must not be negative"),
    "fields": (lambda: mk.Heads(1.0, spread=1.0).matrix(X, TOKENS), "draw A in every step"),
    "activation": (lambda: mk.Neurons("gelu"), "'relu', 'tanh' or a function"),
    "neurons": (lambda: mk.Neurons(neurons=0), "positive whole number"),
    "fields of neurons": (lambda: mk.Neurons().matrix(X, TOKENS), "drawn in every step"),
    "directions": (lambda: mk.directions(mk.Gaussian(jnp.zeros(2), jnp.eye(2))), "those of particles"),
    "own noise": (
        lambda: mk.Layers().begin(mk.Model(SPHERE, noise=mk.Thermal(1.0)), TOKENS, 0.1),
        "no noise of their own",
    ),
    "Stratonovich layers": (
        lambda: mk.Layers().begin(mk.Model(SPHERE, common=mk.Multiplicative(push, "stratonovich")), TOKENS, 0.1),
        "in that of Stratonovich",
    ),
    "Stratonovich geodesics": (
        lambda: mk.GeodesicEuler().begin(mk.Model(SPHERE, common=mk.Multiplicative(push, "stratonovich")), TOKENS, 0.1),
        "Stratonovich",
    ),
}


@pytest.mark.parametrize(("call", "sentence"), REFUSED.values(), ids=REFUSED)
def test_refusals(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
