"""Isotropic Brownian flows of the sphere: the field's covariance, both calculi, all exponents."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mckean as mk
from mckean.catalogue.brownian_flows import euler_bias, isotropic_flow, spectrum
from mckean.environments import lyapunov
from mckean.models.flows import IsotropicFlow
from mckean.models.ito_stratonovich import correction
from mckean.statistics import average

SPACE = mk.Sphere(3)
FLOW = IsotropicFlow(SPACE, [0.5, 0.0, 0.3, 0.2])


def points(n: int, seed: int = 0):
    return SPACE.uniform(jax.random.key(seed), n)


def test_covariance_of_the_fields_is_k_of_the_overlap():
    x = points(6)
    mu = mk.Particles(SPACE, x)
    sigma = FLOW.matrix(x, mu)
    assert sigma.shape == (6, 3, FLOW.width(mu, 3)) == (6, 3, 3 + 27 + 81)
    t = np.asarray(x @ x.T)
    k = 0.5 + 0.3 * t**2 + 0.2 * t**3
    np.testing.assert_allclose(FLOW.covariance(jnp.asarray(t)), k, atol=1e-15)
    covariance = np.einsum("nak,mbk->nmab", sigma, sigma)
    np.testing.assert_allclose(covariance, k[:, :, None, None] * np.eye(3), atol=1e-13)
    np.testing.assert_allclose(FLOW.diffusion(x, mu), np.einsum("nak,nbk->nab", sigma, sigma), atol=1e-13)
    assert float(FLOW.slope) == pytest.approx(0.6 + 0.6, abs=1e-15)


@pytest.mark.parametrize("coefficients", [[0.0, 1.0], [0.5, 0.0, 0.3, 0.2]])
def test_displacements_contract_the_tensors(coefficients, monkeypatch):
    flow, x = IsotropicFlow(SPACE, coefficients), points(7)
    mu = mk.Particles(SPACE, x)
    dB = jax.random.normal(jax.random.key(1), (flow.width(mu, 3),))
    expected = flow.matrix(x, mu) @ dB
    np.testing.assert_allclose(flow.displacement(x, mu, dB), expected, atol=1e-13)
    # In tiles of fewer points than there are.
    monkeypatch.setattr("mckean.models.flows._TILE", 3 * 3 ** (len(coefficients) - 1))
    np.testing.assert_allclose(flow.displacement(x, mu, dB), expected, atol=1e-13)


def test_both_calculi_agree():
    """The correction by automatic differentiation of the fields, which knows nothing of the proof."""
    x = points(5)
    assert FLOW.ito_is_stratonovich
    np.testing.assert_allclose(correction(FLOW, True, mk.Particles(SPACE, x), x), 0, atol=1e-13)


def test_taylor_coefficients_of_a_covariance():
    flow = IsotropicFlow.from_function(SPACE, lambda t: jnp.exp(t) + t**2, degree=7, tolerance=1e-4)
    np.testing.assert_allclose(flow.weights, [1, 1, 1.5, 1 / 6, 1 / 24, 1 / 120, 1 / 720, 1 / 5040], rtol=1e-12)
    even = IsotropicFlow.from_function(SPACE, lambda t: 2.0 + t**4, degree=5)
    assert even.degrees == (0, 4)


@pytest.mark.parametrize(("dim", "coefficients"), [(2, (0.5, 0.2)), (5, (1.0, 0.0, 1.0))])
def test_facts_from_the_fields(dim, coefficients):
    entry = isotropic_flow(dim, coefficients)
    for name, fact in entry.facts.items():
        assert fact.recompute is not None
        assert fact.recompute() == pytest.approx(fact.value, abs=fact.tolerance), name


def test_every_exponent():
    """On S³ with k = ½ + t: against the law of one Euler step, of dt and in 2λ(dt/2) − λ(dt)."""
    exact, dt = spectrum(4, 1.5, 1.0), 0.04
    assert exact == pytest.approx([-1.75, -2.75, -3.75])
    model = isotropic_flow(4, (0.5, 1.0)).model
    start = mk.Particles(model.space, jnp.eye(4)[:1])
    seen = lyapunov(
        model, start, until=40.0, dt=dt, key=jax.random.key(1), replicas=256, after=0.8, every=2,
        scheme=diffrax.Euler(),
    )  # fmt: skip
    (bias, error), (half, other) = euler_bias(4, 1.5, 1.0, dt), euler_bias(4, 1.5, 1.0, dt / 2, seed=1)
    long = average(seen.coarse)
    assert np.all(np.abs(long.value - exact - bias) < 5 * np.hypot(long.stderr, error))
    left, rate = 2 * half - bias, seen.exponents
    assert np.all(np.abs(rate.value - exact - left) < 5 * np.hypot(rate.stderr, np.hypot(2 * other, error)))
    assert np.all(rate.stderr < 0.02 * np.abs(exact))
    assert np.all(np.abs(left) < np.abs(bias) / 2)


def test_the_bias_of_euler_steps():
    """That of the top exponent is 8.3 dt for k = ½ + t on S³: log|Av| expanded to the fourth order in √dt."""
    k, slope, m, dt = 1.5, 1.0, 3, 0.002
    both, across = k + slope, (m - 1) * slope + k
    second = (
        -0.75 * both**2 + 1.5 * both * across - 0.5 * (both * k + (m - 1) * slope * k)
        - 0.25 * ((m**2 - 1) * slope**2 + 2 * (m - 1) * slope * k + 3 * k**2) + 0.25 * m * (m + 2) * k**2
    )  # fmt: skip
    bias, error = euler_bias(m + 1, k, slope, dt, samples=100_000)
    # The next order is smaller by about m(k + k′)dt.
    assert abs(bias[0] - second * dt) < 5 * error[0] + second * dt * m * both * dt
    assert 5 * error[0] < 0.1 * second * dt
    twice, other = euler_bias(m + 1, k, slope, 2 * dt, samples=100_000, seed=1)
    np.testing.assert_array_less(
        np.abs(twice - 2 * bias), 5 * np.hypot(other, 2 * error) + np.abs(bias).max() * 8 * m * both * dt
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: IsotropicFlow(SPACE, [1.0, -0.1]), "not be negative"),
        (lambda: IsotropicFlow(SPACE, [0.0, 0.0]), "at rest"),
        (lambda: IsotropicFlow(SPACE, [np.nan]), "finite"),
        (lambda: IsotropicFlow(mk.Sphere(64), [0.0, 0.0, 0.0, 1.0]), "Brownian motions"),
        (lambda: IsotropicFlow.from_function(SPACE, jnp.cos), "coefficient -0.5 of t\\^2"),
        (lambda: IsotropicFlow.from_function(SPACE, lambda t: jnp.exp(4 * t), degree=4), "left"),
        (lambda: IsotropicFlow.from_function(SPACE, jnp.log), "finite"),
        (lambda: mk.Model(mk.Sphere(4), common=FLOW), "its noise on"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
