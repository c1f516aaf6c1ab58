"""Ensembles of environments: the stream against all samples at once; errors that only environments make smaller."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mckean as mk
from mckean.environments import ensemble
from mckean.environments._ensemble import gather, merge

A, BETA, SIGMA, DT, STEPS = 1.0, 2.0, 0.7, 0.05, 20


def drawn(key):
    x = 100 + jax.random.gamma(key, 2.0, (3,))
    return {"x": x, "square": jnp.sum(x**2)}


def test_the_stream_is_the_statistics_of_all_samples():
    key, n = jax.random.key(2), 60
    seen = ensemble(drawn, key, n, batch=12)
    samples = jax.vmap(lambda i: drawn(jax.random.fold_in(key, i)))(jnp.arange(n))
    assert seen.count == n
    for name, x in samples.items():
        x = np.asarray(x)
        mean, variance = seen.mean[name], seen.variance[name]
        np.testing.assert_allclose(mean.value, x.mean(axis=0), rtol=1e-14)
        np.testing.assert_allclose(mean.stderr, x.std(axis=0, ddof=1) / np.sqrt(n), rtol=1e-9)
        np.testing.assert_allclose(variance.value, x.var(axis=0, ddof=1), rtol=1e-9)
        fourth = np.mean((x - x.mean(axis=0)) ** 4, axis=0)
        expected = np.sqrt((fourth - x.var(axis=0, ddof=1) ** 2 * (n - 3) / (n - 1)) / n)
        np.testing.assert_allclose(variance.stderr, expected, rtol=1e-8)


def test_merging_is_that_of_sets():
    """Any order and any cut: mean and the three sums of powers are those of the whole."""
    x = np.random.default_rng(0).gamma(2.0, size=(100, 2))
    parts = [gather(x[a:b]) for a, b in ((0, 1), (1, 30), (30, 37), (37, 100))]
    left = merge(merge(merge(parts[0], parts[1]), parts[2]), parts[3])
    right = merge(parts[3], merge(parts[2], merge(parts[1], parts[0])))
    whole = gather(x)
    for field in ("centre", "second", "third", "fourth"):
        for other in (left, right):
            np.testing.assert_allclose(getattr(other, field), getattr(whole, field), rtol=1e-12)


def test_the_error_of_the_variance_covers_the_truth():
    """Over many ensembles of n uniform numbers the deviations in units of the stated error have variance 1 + O(1/n)."""
    n, many = 400, 2000
    seen = gather(np.random.default_rng(1).uniform(size=(n, many))).variance
    deviations = (seen.value - 1 / 12) / seen.stderr
    assert np.var(deviations) == pytest.approx(1, abs=5 * np.sqrt(2 / many) + 10 / n)
    assert abs(np.mean(deviations)) < 5 / np.sqrt(many) + 2 / np.sqrt(n)


def _mean_at_end(key, n):
    line = mk.Euclidean(1)
    model = mk.langevin(line, mk.potentials.Quadratic(A), mk.kernels.Quadratic(0.5), BETA, common=mk.Additive(SIGMA))
    start = mk.Particles(line, jnp.zeros((n, 1)))
    return mk.evolve(model, start, until=STEPS * DT, dt=DT, path=mk.Brownian(key)).final.positions.mean()


@pytest.mark.parametrize("n", [10, 1000])
def test_errors_scale_with_environments_and_not_with_particles(n):
    """m_T has the variance (σ₀² + 2/βN) dt Σ_j (1 − a dt)^{2j} under Euler's scheme: N shrinks its second part only."""
    run = eqx.Partial(_mean_at_end, n=n)
    few, many = (ensemble(run, jax.random.key(5), e, batch=100) for e in (100, 400))
    exact = (SIGMA**2 + 2 / (BETA * n)) * DT * np.sum((1 - A * DT) ** (2 * np.arange(STEPS)))
    assert abs(many.variance.value - exact) < 5 * many.variance.stderr
    assert abs(many.mean.value) < 5 * many.mean.stderr
    # A standard deviation of e samples is known to 1/√(2e), relatively.
    for seen in (few, many):
        assert seen.mean.stderr * np.sqrt(seen.count / exact) == pytest.approx(1, abs=5 / np.sqrt(2 * seen.count))


@pytest.mark.parametrize(
    ("run", "count", "batch", "message"),
    [
        (drawn, 5, 2, "must divide"),
        (drawn, 0, None, "at least one"),
        (lambda key: 1j * jax.random.normal(key), 2, None, "real numbers"),
        (lambda key: jnp.log(-jnp.ones(())) + 0 * jax.random.normal(key), 2, None, "not finite"),
    ],
)
def test_refusals(run, count, batch, message):
    with pytest.raises(ValueError, match=message):
        ensemble(run, jax.random.key(0), count, batch)


def test_one_environment_has_no_error():
    alone = ensemble(drawn, jax.random.key(0), 1)
    with pytest.raises(ValueError, match="two environments"):
        _ = alone.mean


def test_an_ensemble_shows_its_moments():
    many = ensemble(lambda key: {"x": jax.random.normal(key)}, jax.random.key(0), 4)
    assert repr(many) == f"Ensemble(count=4, mean={many.mean}, variance={many.variance})"
    one = ensemble(lambda key: jnp.ones(()), jax.random.key(0), 1)
    assert repr(one) == f"Ensemble(count=1, centre={one.centre})"
