"""Lifetimes, escapes, ramps and Binder's ratio against exact laws."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from diffrax import Heun

import mckean as mk
from mckean import phases, statistics
from mckean.catalogue import double_well, oscillators

LINE, CIRCLE = mk.Euclidean(1), mk.Torus(1)
KEY = jax.random.key(0)
WELL = mk.potentials.DoubleWell()


def test_survival_by_hand():
    """Ends at 1 and 3, one life that went on after 2: S = 3/4, then 3/4·1/2 of the two that are left at 3."""
    lives = statistics.Lifetimes([1.0, 2.0, 3.0, 4.0], [True, False, True, False])
    times, share, low, high = lives.survival()
    at = dict(zip(times, share, strict=True))
    assert (at[1.0], at[3.0], at[4.0]) == pytest.approx((3 / 4, 3 / 8, 3 / 8))
    assert np.all((low <= share) & (share <= high) | np.isnan(low))
    assert (lives.ends, lives.rate) == (2, 0.2)
    # From 1.5 on half a unit, 1.5 and 2.5 are left, and one end: not 1/9, without the shift.
    late = lives.after(1.5)
    assert (late.ends, late.rate) == (1, pytest.approx(1 / 4.5))
    for time, why in ((-1.0, "must not be negative"), (4.0, "no life of these lasts longer than 4")):
        with pytest.raises(ValueError, match=why):
            lives.after(time)


def test_the_interval_of_a_rate_has_its_level():
    """The watch ends with the sixth end of ten. In 2000 tries the lower end of an interval of 90 % fails in 5 %, as 2λS
    has 2d degrees of freedom, and the upper end in less."""
    rng = np.random.default_rng(0)
    below = above = 0
    for _ in range(2000):
        t = np.sort(rng.exponential(0.5, 10))
        low, high = statistics.Lifetimes(np.minimum(t, t[5]), t <= t[5]).interval(0.9)
        below, above = below + (low > 2.0), above + (high < 2.0)
    # P(2λS ≤ χ²-quantile of 2d) is the level itself, at the lower end; the upper one has 2d + 2.
    assert abs(below - 100) < 4.5 * math.sqrt(2000 * 0.05 * 0.95)
    assert above < 100


def test_exponential_lives_are_told_from_others():
    """The p-value is uniform; for lives of a Gamma law of shape 4 it is small."""
    rng = np.random.default_rng(1)
    watch = lambda t: statistics.Lifetimes(np.minimum(t, 1.5), t < 1.5).exponential()  # noqa: E731
    values = [watch(rng.exponential(1.0, 60)) for _ in range(200)]
    assert abs(np.mean(values) - 0.5) < 4.5 / math.sqrt(12 * 200)
    assert watch(rng.gamma(4.0, 0.25, 60)) < 1e-3


def test_one_particle_leaves_its_well_in_the_mean_time_of_the_integral():
    """E τ = β∫e^{βV}∫e^{−βV}: 41.034280 at β = 8; by quadrature here at β = 3, to a boundary moved by 0.5826√(2h/β).
    Eyring and Kramers' 2π/√(V″(−1)|V″(0)|) e^{β/4}, twice that to the far side, is rejected."""
    assert double_well.passage_time(8.0) == pytest.approx(41.0342802688, abs=1e-8)
    beta, dt = 3.0, 0.01
    model = mk.langevin(LINE, WELL, beta=beta)
    lives = phases.escape_times(
        model, mk.Particles(LINE, -jnp.ones((1, 1))), lambda m, mu: mu.positions[0, 0] >= 1.0,
        key=KEY, replicas=1000, until=60.0, dt=dt, scheme=Heun(),
    )  # fmt: skip
    shift = 0.5826 * math.sqrt(2 * dt / beta)
    exact = double_well.passage_time(beta, -1.0, 1.0 + shift)
    # A life that was not seen to end goes on for E τ(from −1) at most, as the well is the slowest place.
    mean = statistics.average(lives.times)
    missing = exact * float(np.mean(~lives.ended))
    assert mean.value - 4.5 * mean.stderr < exact < mean.value + missing + 4.5 * mean.stderr
    kramers = 2 * 2 * math.pi / math.sqrt(2.0) * math.exp(beta / 4)
    assert abs(kramers - mean.value) > 4.5 * mean.stderr + missing


def test_ramps_differ_by_their_history_alone():
    """A quadratic well follows its centre: x̄ lags behind by its speed times the time of relaxation, up and down alike,
    and the area of the loop is 2·(lag)·(range) but for its ends. The noise is the same, and drops out."""
    values, stay, n = np.linspace(0.0, 2.0, 21), 1.0, 4

    def model_of(centre):
        return mk.langevin(LINE, mk.potentials.Quadratic(1.0, centre), beta=1.0)

    loop = phases.ramps(
        model_of, mk.Particles(LINE, jnp.zeros((n, 1))), values, lambda m, mu: mu.positions.mean(),
        key=KEY, replicas=3, stay=stay, dt=0.1,
    )  # fmt: skip
    # Linear: without its noise, x ← c + (x − c)k with k = (1 − h)^10, and the noise adds the same to both ways' stays.
    k = 0.9**10
    x, seen = 0.0, []
    for c in [*values, *values[::-1]]:
        x = c + (x - c) * k
        seen.append(x)
    bare = np.array(seen[21:][::-1]) - np.array(seen[:21])
    # What the noise of earlier stays leaves is k times the last one: it is from different stays on the two ways.
    middle = slice(5, 16)
    spread = k * math.sqrt(2 * 2 / n) * 4.5
    assert np.abs((loop.down - loop.up)[:, middle] - bare[middle]).max() < spread
    assert bare[10] == pytest.approx(2 * 0.1 * k / (1 - k), rel=1e-2)
    assert loop.area.shape == (3,)


def test_binder_ratio_of_oscillators_at_the_transition():
    """Exact draws of 200 oscillators at K = 2 have the ratio of this N, and not the 2 of a Gaussian."""
    clouds = oscillators.gibbs_clouds(jax.random.key(3), 4000, 200, 2.0, 1.0)
    r = np.abs(np.exp(1j * np.asarray(clouds)[..., 0]).mean(axis=1))
    found = statistics.binder_ratio(r).estimate
    exact = oscillators.binder_ratio(200, 2.0, 1.0)
    assert abs(found.value - exact) < 4.5 * found.stderr
    assert abs(found.value - 2.0) > 4.5 * found.stderr
    # By Laplace's method the ratio has a term in N^{−1/2}: the last two terms' coefficients agree.
    gaps = [math.sqrt(n) * (math.pi / 2 - oscillators.binder_ratio(n, 2.0, 1.0)) for n in (10**4, 10**6)]
    assert gaps[0] == pytest.approx(gaps[1], rel=1e-2)
    assert oscillators.binder_ratio(1, 2.0, 1.0) == pytest.approx(1.0, abs=1e-8)
    assert oscillators.binder_ratio(10**5, 0.01, 1.0) == pytest.approx(2.0, abs=1e-3)


def test_curves_of_two_sizes_cross():
    """Lines 2 − x + 1 and 1 + x cross at 1, and the standard error is that of independent noise of 0.1/√r: with slopes
    ∓1 the place moves by half of the difference."""
    rng = np.random.default_rng(2)
    x = np.array([0.0, 1.0, 2.0])
    noise = lambda: 0.1 * rng.normal(size=(400, 3))  # noqa: E731
    found = statistics.crossing(x, statistics.jackknife(3 - x + noise()), statistics.jackknife(1 + x + noise()))
    assert abs(found.value - 1.0) < 4.5 * found.stderr
    assert found.stderr == pytest.approx(0.5 * 0.1 * math.sqrt(2 / 3) / 20, rel=0.2)
