"""Exponents with intervals: coverage, level, power, and one program for a ladder."""

import jax
import numpy as np
import pytest

from mckean import statistics

_SIZES = np.array([10.0, 40.0, 160.0, 640.0])


def _studies(case: str, trials: int, r: int = 32) -> list[statistics.Rate]:
    """Synthetic studies of a quantity N^{−1/2}."""
    rng, found = np.random.default_rng(0), []
    for _ in range(trials):
        noise = rng.standard_normal((r, 4))
        if case == "root mean square":
            errors = statistics.jackknife(noise**2 / _SIZES, root=2)
        elif case == "supremum over a plateau":
            times = noise[..., None] + rng.standard_normal((r, 4, 6))
            errors = statistics.largest(statistics.jackknife, (1 + 0.2 * times) / np.sqrt(_SIZES)[:, None])
        else:
            spread = np.array([0.05, 0.1, 0.2, 0.4]) if case == "unequal noise" else 0.2
            errors = statistics.jackknife((1 + spread * noise) / np.sqrt(_SIZES))
        found.append(statistics.fit_rate(_SIZES, errors))
    return found


@pytest.mark.parametrize("case", ["mean", "unequal noise", "root mean square", "supremum over a plateau"])
def test_intervals_cover_the_exponent_and_misfit_keeps_its_level(case):
    """Nominal 95 % covers in 93 to 97 % of cases, as 4000 studies say with two of their standard errors to spare.

    The misfit falls below 5 % in 5 ± 3 % of cases: the law of T² is that of Gaussian logarithms.
    """
    found = _studies(case, 4000)
    stderr = np.sqrt(0.95 * 0.05 / len(found))
    kept = np.mean([rate.verdict(-0.5) for rate in found])
    assert abs(kept - 0.95) < 0.02 - 2 * stderr
    assert abs(np.mean([rate.misfit < 0.05 for rate in found]) - 0.05) < 0.03


def test_a_supremum_is_not_biased_by_the_noise():
    """θ = (0, −1, −0.9, …) along ten times, with a standard error of 0.35: sup|θ| = 1, a plain maximum is above."""
    theta = np.array([0.0, -1.0, *[-0.9] * 8])
    draws = theta + np.random.default_rng(5).standard_normal((8, 4000, 10))
    found = statistics.largest(statistics.jackknife, draws).estimate.value
    assert found.mean() + 5 * found.std() / np.sqrt(found.size) > 0.9
    assert found.mean() < 1 + 5 * found.std() / np.sqrt(found.size)
    assert np.abs(draws.mean(0)).max(-1).mean() > 1.2


def test_fit_is_exact_and_removes_the_bias_of_logarithms():
    """A power law without noise; and E log of a mean of r exponentials is ψ(r) − log r ≈ −1/2r, which cancels."""
    exact = statistics.fit_rate(_SIZES, statistics.jackknife(np.tile(3 * _SIZES**-0.7, (5, 1))))
    assert exact.slope.value == pytest.approx(-0.7, abs=1e-12)
    assert exact.prefactor == pytest.approx(3.0, rel=1e-12)
    assert exact.curve([100.0])[0] == pytest.approx(3 * 100**-0.7, rel=1e-12)
    assert exact.verdict(exact.slope.value)
    draws = np.random.default_rng(1).exponential(size=(8, 4000))
    logs = statistics.jackknife(draws).map(np.log).estimate.value
    # What is left is 1/12r² − 1/12(r − 1)² times r: below 1/r².
    assert abs(logs.mean()) < 1 / 64 + 5 * logs.std() / np.sqrt(logs.size)
    assert logs.mean() > -1 / 16 + 5 * logs.std() / np.sqrt(logs.size)


def test_a_floor_is_taken_off_before_the_logarithm():
    """|m|² = 1 in 400 dimensions from 16 draws, whose noise adds a half: log 1.5 − 1/3 = 0.07 where the jackknife comes
    after the logarithm, and within 5σ of 0 where it comes before as well; what is left is of the order of 0.07⁴."""
    noise = np.random.default_rng(6).standard_normal((16, 400, 400))
    squares = statistics.jackknife(1 / 20 + noise / np.sqrt(50)).map(lambda m: np.sum(m**2, axis=-1))
    plain, free = (each.map(np.log).estimate.value for each in (squares, squares.unbiased))
    assert abs(free.mean()) < 5 * free.std() / 20
    assert plain.mean() > 0.05


def test_runs_on_shared_noise_have_a_narrower_interval():
    """The same noise at all sizes moves all points alike, and leaves the slope."""
    noise = 1 + 0.3 * np.random.default_rng(2).standard_normal((64, 1))
    rate = statistics.fit_rate(_SIZES, statistics.jackknife(noise / np.sqrt(_SIZES)))
    assert rate.slope.stderr < 1e-12
    assert rate.slope.value == pytest.approx(-0.5, abs=1e-12)


def test_noisy_points_count_less():
    """The slope's standard error is within 10 % of the least that any weights give, 0.6 of that of equal weights."""
    found = np.mean([rate.slope.stderr for rate in _studies("unequal noise", 200)])
    deviations = np.array([0.05, 0.1, 0.2, 0.4]) / np.sqrt(32)
    weights, x = deviations**-2, np.log(_SIZES)
    least = 1 / np.sqrt(weights @ (x - weights @ x / weights.sum()) ** 2)
    assert 0.9 * least < found < 1.1 * least


def test_a_bend_is_a_misfit():
    noise = np.random.default_rng(3).standard_normal((64, 4))
    bent = statistics.fit_rate(_SIZES, statistics.jackknife((1 + 0.1 * noise) * (_SIZES**-0.5 + 5 / _SIZES)))
    assert bent.misfit < 1e-6


def _squares(n, key):
    """At two times, squares of means of n with variances 1/n and 4/n: the second is the larger."""
    return jax.random.normal(key, (2, n)).mean(1) ** 2 * np.array([1.0, 4.0])


_LADDER = statistics.ladder(10, 160, 3)


def test_study_accepts_the_exponent_and_rejects_wrong_ones():
    rate = statistics.study(_squares, _LADDER, jax.random.key(0), 256, root=2)
    assert rate.sizes.tolist() == [10, 40, 160]
    assert abs(rate.slope.value + 0.5) < 5 * rate.slope.stderr
    assert np.all(np.abs(rate.errors.value - 2 / np.sqrt(rate.sizes)) < 5 * rate.errors.stderr)
    assert not rate.verdict(-1.0)
    assert not rate.verdict(-0.25)


def test_samples_depend_neither_on_the_other_sizes_nor_on_the_batch():
    key = jax.random.key(0)
    every = statistics.samples(_squares, _LADDER, key, 256)
    assert every.shape == (256, 3, 2)
    np.testing.assert_allclose(every[:, 1:2], statistics.samples(_squares, (40,), key, 256, batch=1), rtol=1e-13)
    assert np.unique(every).size == every.size


def _number(n, key):
    return jax.random.uniform(key)


def test_no_two_runs_share_their_noise():
    assert np.unique(statistics.samples(_number, (1, 2, 3), jax.random.key(2), 64)).size == 3 * 64


def test_ladder():
    assert statistics.ladder(16, 4096) == (16, 64, 256, 1024, 4096)
    assert statistics.ladder(10, 20) == (10, 14, 20)
    assert statistics.ladder(10, 1000, 2) == (10, 1000)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: statistics.fit_rate([10, 20], statistics.jackknife(np.ones((1, 2)))), "two replicas"),
        (lambda: statistics.fit_rate([10, 10], statistics.jackknife(np.ones((4, 2)))), "different sizes"),
        (lambda: statistics.fit_rate([10, 20, 40], statistics.jackknife(np.ones((4, 2)))), "as many errors"),
        (
            lambda: statistics.fit_rate([10, 20], statistics.jackknife([[1.0, 1.0], [1.0, -3.0]])),
            "N = 20 is lost in its noise",
        ),
        (lambda: statistics.jackknife([1.0, np.nan]), "not finite"),
        (lambda: statistics.fit_rate([1, 2], statistics.jackknife(np.ones((4, 2)))).interval(95), "between 0 and 1"),
        (lambda: statistics.ladder(10, 10), "rises"),
        (lambda: statistics.samples(_squares, (0, 10), jax.random.key(0)), "numbers of particles"),
        (lambda: statistics.samples(_squares, (10,), jax.random.key(0), 4, batch=0), "one replica at least"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
