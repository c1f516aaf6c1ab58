"""Estimates and what is formed from runs: against closed forms, and against themselves where the truth is known."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import stdtrit

import mckean as mk
from mckean import catalogue, couplings, energetics, statistics
from mckean.dynamics import evolve


def test_average_has_the_textbook_error():
    samples = np.array([[1.0, 2.0], [3.0, 2.0], [5.0, 2.0]])
    estimate = statistics.average(samples)
    np.testing.assert_allclose(estimate.value, [3, 2])
    np.testing.assert_allclose(estimate.stderr, [2 / np.sqrt(3), 0])


def test_log_slope_is_exact_on_a_power_law():
    x = np.array([10.0, 100.0, 1000.0])
    slope = statistics.log_slope(x, statistics.Estimate(3 * x**-0.7, 0.1 * x**-0.7, np.inf))
    assert slope.value == pytest.approx(-0.7, abs=1e-12)
    # Equal errors 1/30 of log y, at abscissae log 10 apart: σ/√Σ(x − x̄)².
    assert slope.stderr == pytest.approx(1 / 30 / (np.log(10) * np.sqrt(2)), rel=1e-12)


def test_log_slope_covers_the_truth():
    """Over many noisy power laws the deviations in units of the stated error have variance 1."""
    rng = np.random.default_rng(0)
    x, n = np.array([1e2, 1e3, 1e4, 1e5]), 4000
    relative = np.array([0.02, 0.01, 0.03, 0.02])
    deviations = []
    for _ in range(n):
        y = x**-0.5 * (1 + relative * rng.normal(size=4))
        slope = statistics.log_slope(x, statistics.Estimate(y, relative * x**-0.5, np.inf))
        deviations.append((slope.value + 0.5) / slope.stderr)
    # The variance of n normals has standard error √(2/n) = 0.022; relative errors of 3 % add less than 0.01.
    assert np.var(deviations) == pytest.approx(1, abs=5 * np.sqrt(2 / n) + 0.01)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: statistics.log_slope([1.0], statistics.Estimate(np.ones(1), np.ones(1), 7)), "two points"),
        (
            lambda: statistics.log_slope([1, 2], statistics.Estimate(np.array([1, -1]), np.ones(2), 7)),
            "positive values",
        ),
        (lambda: statistics.average(np.ones((1, 3))), "two replicas"),
        (lambda: statistics.replicate(lambda k: k, jax.random.key(0), 5, batch=2), "must divide"),
        (lambda: energetics.energy_balance(np.arange(4), np.ones(4), np.ones(4)), "odd number"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def _final_mean(key, beta, n):
    model = catalogue.ornstein_uhlenbeck(beta=2.0).model
    start = mk.Gaussian(1.0, 0.3).sample(key, n)
    return evolve(model, start, until=0.2, dt=0.1, path=mk.Brownian(jax.random.fold_in(key, 1))).final.positions.mean()


def test_replicas_equal_single_runs_and_batches():
    one = eqx.Partial(_final_mean, beta=2.0, n=50)
    key = jax.random.key(3)
    together = statistics.replicate(one, key, 4)
    in_batches = statistics.replicate(one, key, 4, batch=2)
    singly = [float(one(k)) for k in jax.random.split(key, 4)]
    np.testing.assert_allclose(together, singly, rtol=1e-12)
    np.testing.assert_allclose(in_batches, together, rtol=1e-12)


def test_ito_decomposition_of_a_linear_observable_is_the_mean_of_the_noise():
    """φ(x) = x without forces: the martingale is (√(2/β)/N) Σ B_i, its bracket 2t/(βN) exactly."""
    line, beta, n = mk.Euclidean(1), 2.0, 7
    model = mk.langevin(line, beta=beta)
    path = mk.Brownian(jax.random.key(0))
    start = mk.Particles(line, jnp.zeros((n, 1)))
    run = evolve(
        model, start, until=1.0, dt=0.01, path=path, every=1, observe={"x": mk.observables.ito(lambda x: x[0])}
    )
    parts = couplings.ito_decomposition(run, "x")
    noise = sum(path.idiosyncratic.increment(k, 0.01, (n, 1)) for k in range(100))
    assert parts.whole.path[-1] == pytest.approx(float(noise.mean()), abs=1e-13)
    np.testing.assert_allclose(parts.whole.predicted, 2 * parts.times / (beta * n), rtol=1e-12)
    np.testing.assert_allclose(parts.drift, 0, atol=1e-15)
    # The realised bracket is its prediction times χ²_100/100.
    assert parts.whole.realised[-1] == pytest.approx(parts.whole.predicted[-1], rel=5 * np.sqrt(2 / 100))
    with pytest.raises(ValueError, match="no record"):
        couplings.ito_decomposition(run, "y")


def test_energy_balance_is_simpson():
    times = np.linspace(0, 1, 11)
    dissipation = 4 * times**3
    np.testing.assert_allclose(energetics.energy_balance(times, 2 - times**4, dissipation), 0, atol=1e-15)
    assert energetics.energy_balance(times, 2 + times**4, dissipation)[-1] == pytest.approx(2)


def test_an_estimate_is_its_value_where_a_number_is_asked_for():
    one = statistics.Estimate(0.40512, 0.0301, 7)
    assert str(one) == "0.405 ± 0.030"
    assert repr(one) == "Estimate(0.405 ± 0.030)"
    assert float(one) == 0.40512
    assert 0.4 < one <= 0.40512
    assert not one >= 1
    many = statistics.average([[1.0, 2.0], [3.0, 2.0], [5.0, 2.0]])
    assert str(many) == "[3.0 ± 1.2, 2]"
    np.testing.assert_array_equal(np.sqrt(many) + np.asarray(many), np.sqrt(many.value) + many.value)
    assert len(many) == 2
    assert many[0] == statistics.Estimate(3.0, many.stderr[0], many.freedom, 0.0)
    assert [e.value for e in many] == [3.0, 2.0]
    assert np.all((many > 2.5) == [True, False])
    of = statistics.jackknife([[1.0], [2.0], [4.0]])
    np.testing.assert_array_equal(of.stderr, of.estimate.stderr)


@pytest.mark.parametrize(
    "law", ["squares", "waiting times", "logarithms of squares", "sums of both signs", "Gaussians"]
)
def test_means_of_skewed_samples_have_the_level_that_is_said(law):
    """Of 40 000 means of 100 samples the share beyond Student's quantile of level 10⁻³ is that, within a factor of two.

    By Student's law alone it is 7 times as large for squares, and 4 times for waiting times.
    """
    rng, runs, r = np.random.default_rng(1), 40_000, 100
    draw, true, scale = {
        "squares": (lambda: rng.normal(size=(r, runs)) ** 2, 1.0, None),
        "waiting times": (lambda: rng.exponential(size=(r, runs)), 1.0, None),
        "logarithms of squares": (lambda: rng.normal(size=(r, runs)) ** 2, 0.0, (np.log, lambda v: 1 / v)),
        "sums of both signs": (lambda: rng.normal(size=(r, runs)) ** 2 - rng.exponential(size=(r, runs)), 0.0, None),
        "Gaussians": (lambda: rng.normal(size=(r, runs)), 0.0, None),
    }[law]
    found = statistics.average(draw())
    found = found if scale is None else found.map(*scale)
    low, high = found.interval(1 - 1e-3)
    # 5 standard deviations of the count.
    missed, spread = np.mean((true < low) | (true > high)), 5 * np.sqrt(1e-3 / runs)
    assert missed <= 1e-3 * 2 + spread
    beyond = np.abs(found.score(true)) > -stdtrit(r - 1, 5e-4)
    assert 0.5e-3 - spread <= np.mean(beyond) <= 2e-3 + spread
    if law == "squares":
        plain = np.abs(found.value - true) > -stdtrit(r - 1, 5e-4) * found.stderr
        assert np.mean(plain) > 3e-3


def test_the_skewness_of_an_estimate_follows_what_is_done_with_it():
    """Of the mean of r squares κ = √8/√r; √ takes (3/4)√2/√r off, log (3/2)√2/√r; two alike in a difference cancel."""
    r = 400_000
    mean = statistics.average(np.random.default_rng(0).normal(size=r) ** 2)
    unit = np.sqrt(2 / r)
    # The error of the sample's skewness, over √r, by Gaussian variables' moments up to the twelfth: 38/r.
    close = pytest.approx
    assert mean.skewness == close(2 * unit, abs=5 * 38 / r)
    root, log = mean.map(np.sqrt, lambda v: 0.5 / np.sqrt(v)), mean.map(np.log, lambda v: 1 / v)
    assert root.skewness == close(mean.skewness - 0.75 * mean.stderr / mean.value, rel=1e-4)
    assert log.skewness == close(mean.skewness - 1.5 * mean.stderr / mean.value, rel=1e-4)
    assert mean.map(np.negative, lambda v: -np.ones_like(v)).skewness == close(-mean.skewness)
    pair = statistics.join([mean, mean])
    assert statistics.combine([1.0, -1.0], pair).skewness == close(0.0, abs=1e-12)
    assert statistics.combine([1.0, 1.0], pair).skewness == close(mean.skewness / np.sqrt(2))
    assert pair[1].skewness == mean.skewness


def test_an_interval_and_a_score_say_the_same():
    """The end beyond Student's is where the score is Student's quantile; too skewed for any end, it is infinite."""
    one = statistics.Estimate(2.0, 0.1, 50.0, 0.2)
    low, high = one.interval(0.999)
    t = -stdtrit(50, 5e-4)
    assert one.score(high) == pytest.approx(-t, rel=1e-9)
    assert low == pytest.approx(2.0 - 0.1 * t, rel=1e-9)
    other = statistics.Estimate(2.0, 0.1, 50.0, -0.2)
    assert other.interval(0.999) == pytest.approx((4 - high, 4 - low), rel=1e-9)
    assert statistics.Estimate(2.0, 0.1, 50.0, 3.0).interval(0.999)[1] == np.inf
    assert statistics.Estimate(2.0, 0.0, np.inf, 0.0).interval() == (2.0, 2.0)
