"""Lyapunov spectra against closed forms, contraction, and the one-point ergodicity test."""

import math

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

import mckean as mk
from mckean.catalogue import toy_transformer
from mckean.environments import Contraction, contraction, exponents, lyapunov, one_point_ergodicity
from mckean.environments._lyapunov import frame
from mckean.observables import pair_distance, radius
from mckean.statistics import average, energy_test, replicate

LINE, PLANE, SPHERE = mk.Euclidean(1), mk.Euclidean(2), mk.Sphere(4)
A = np.array([[-0.3, 2.0], [0.0, -1.1]])


def linear(noise: float = 0.4) -> mk.Model:
    """dX = AX dt + σX dB, one motion."""
    common = mk.Multiplicative(lambda x, mu: noise * x[:, None], "ito")
    return mk.Model(PLANE, drift=lambda x, mu: jnp.asarray(A, x.dtype) @ x, common=common)


def at(space, *points) -> mk.Particles:
    return mk.Particles(space, jnp.asarray(points, float))


X = at(PLANE, [1.0, 0.5])


def test_a_linear_equation_in_one_given_environment():
    """Euler's steps are triangular, 1 + A dt + σdB: the exponents are those of their diagonal, the sum at all times."""
    dt, until, path = 0.02, 40.0, mk.Brownian(jax.random.key(3))
    seen = exponents(linear(), X, until=until, dt=dt, path=path, every=5)
    dB = np.array(jax.vmap(lambda i: path.environment.increment(i, dt, (1,)))(jnp.arange(2000)))
    diagonal = np.log(np.abs(1 + np.diag(A) * dt + 0.4 * dB)).sum(axis=0) / until
    assert seen.sum() == pytest.approx(diagonal.sum(), abs=1e-12)
    # The frame starts askew: what it turns through costs log of a cosine, once.
    np.testing.assert_allclose(seen, diagonal, atol=3 / until)
    assert seen[0] - seen[1] > 0.5


def test_particles_in_a_double_well_with_attraction():
    """A common noise alone: where the particles have met the mean has −E V″, and each difference −E V″ − θ.

    Heun's weak order 2 has an error of (|V″| dt)² of it, V″ ≤ 8 by far, of which 2λ(dt/2) − λ(dt) leaves a half.
    """
    theta, sigma = 0.7, 1.0
    density = lambda x: np.exp(-2 * (x**4 / 4 - x**2 / 2) / sigma**2)  # noqa: E731
    curvature = quad(lambda x: (3 * x**2 - 1) * density(x), -6, 6)[0] / quad(density, -6, 6)[0]
    assert curvature == pytest.approx(1.6803949087, abs=1e-9)
    model = mk.langevin(
        LINE, lambda x: x[0] ** 4 / 4 - x[0] ** 2 / 2, mk.kernels.Quadratic(theta), np.inf, mk.Additive(sigma)
    )
    seen = lyapunov(
        model, at(LINE, [0.5], [-0.2], [1.1]), until=40.0, dt=0.02, after=10.0, key=jax.random.key(1),
        replicas=200, every=5, scheme=diffrax.Heun(),
    )  # fmt: skip
    exact, rate = -curvature - theta * np.array([0, 1, 1]), seen.exponents
    assert np.all(np.abs(rate.value - exact) < 5 * rate.stderr + 2.4 * (8 * 0.02) ** 2 / 2)
    assert np.all(rate.stderr < 0.05)
    # The logarithm of the volume is a sum over the particles, of −V″ − θ + θ/n each.
    total = seen.sums
    assert total.value[-1] == pytest.approx(rate.value.sum(), rel=1e-12)
    # In most environments they have met long before growth is counted.
    assert np.median(np.abs(seen.samples[:, 1] - seen.samples[:, 2])) < 1e-5


def test_one_token_has_one_exponent():
    """−κ(d − 1)/2 in all d − 1 directions, as Möbius maps are conformal, less λ²dt/3 for steps of length dt."""
    d, alpha, dt = 4, 2.0, 0.1
    model = toy_transformer(d, alpha).model
    seen = lyapunov(
        model, at(SPHERE, [0.0, 1, 0, 0]), until=20.0, dt=dt, key=jax.random.key(2), replicas=200,
        scheme=mk.Moebius(),
    )  # fmt: skip
    exact = -0.5 * alpha / d * (d - 1)
    assert seen.samples.shape == (200, d - 1)
    np.testing.assert_allclose(seen.samples, np.broadcast_to(seen.samples[:, :1], seen.samples.shape), atol=1e-12)
    rate, bias = seen.exponents, seen.bias
    # What follows is smaller by λdt again.
    assert abs(rate.value[0] - exact) < 5 * rate.stderr[0] + (exact * dt) ** 2
    assert rate.stderr[0] < 0.02
    assert abs(bias.value[0] - exact**2 * dt / 3) < 5 * bias.stderr[0] + (exact * dt) ** 2
    assert bias.value[0] > 5 * bias.stderr[0]


def test_an_incompressible_flow_of_the_torus_does_not_contract():
    """Three waves at 60°: λ = ±K/2, as |A|v has E (v·Av)² = K/2 and E|Av|² = 2K a unit of time, isotropic in v.

    Euler's steps err by −¾K²dt in each: E(−½b² + 4a²b − 4a⁴)/2dt with a = v·A v √dt, b = |A v|² dt, to order dt. They
    keep no volume, which the bias says, and what is left without it does.
    """
    space, intensity, dt = mk.Torus(2, (4 * math.pi, 4 * math.pi / math.sqrt(3))), 0.8, 0.04
    waves = [[2, 0], [1, 1], [1, -1]]
    noise = mk.TransportNoise(space, waves, intensity=intensity)
    np.testing.assert_allclose(noise.covariance, 2 * intensity * np.eye(2), atol=1e-12)
    seen = lyapunov(
        mk.langevin(space, beta=np.inf, common=noise), at(space, [1.0, 2.0]), until=60.0, dt=dt, after=2.0,
        key=jax.random.key(4), replicas=400, every=5, scheme=diffrax.Euler(),
    )  # fmt: skip
    rate, bias, volume = seen.exponents, seen.bias, seen.sums[1]
    exact, first = 0.5 * intensity * np.array([1, -1]), -0.75 * intensity**2 * dt
    left = first**2 / exact[0]
    assert np.all(np.abs(rate.value - exact) < 5 * rate.stderr + left)
    # Where points part, runs with two steps do too: their noise is twice as large, and not common.
    assert np.all(rate.stderr < 0.012)
    assert np.all(np.abs(bias.value - first) < 5 * bias.stderr + 2 * left)
    assert abs(volume.value) < 5 * volume.stderr + 2 * left
    # Steps of dt alone would lose volume.
    lost = average(seen.coarse.sum(axis=1))
    assert abs(lost.value - 2 * first) < 5 * lost.stderr + 4 * left
    assert lost.value < -10 * lost.stderr


def test_exponents_are_replicated_and_tell_of_what_fails():
    """The same numbers as one by one; a fold is told of from inside a transformation."""
    given = {"until": 1.0, "dt": 0.1}
    together = replicate(lambda key: exponents(linear(), X, path=mk.Brownian(key), **given), jax.random.key(5), 3)
    for key, seen in zip(jax.random.split(jax.random.key(5), 3), together, strict=True):
        np.testing.assert_allclose(seen, exponents(linear(), X, path=mk.Brownian(key), **given), rtol=1e-12)
    well = mk.langevin(LINE, mk.potentials.Quadratic(8.0), beta=np.inf)
    with pytest.raises(mk.RunError, match="has shrunk to 0 beside the others"):
        replicate(lambda key: exponents(well, at(LINE, [1.0]), until=1.0, dt=0.125), jax.random.key(0), 2)


def test_lost_directions_are_said_and_not_nan():
    """A step of 1/a sends everything to one point: no exponent is left."""
    well = mk.langevin(LINE, mk.potentials.Quadratic(8.0), beta=np.inf)
    with pytest.raises(mk.RunError, match=r"shrunk to 0 beside.*step 1,"):
        exponents(well, at(LINE, [1.0]), until=1.0, dt=0.125)


OU = mk.langevin(LINE, mk.potentials.Quadratic(1.2), beta=np.inf, common=mk.Additive(0.7))


def test_contraction_rates():
    """Differences in a quadratic well fall by 1 − a dt in every Euler step: of two solutions and of a cloud."""
    options = {"until": 4.0, "dt": 0.1, "every": 10, "key": jax.random.key(0), "replicas": 3}
    exact = np.log(1 - 1.2 * 0.1) / 0.1
    for start in ((at(LINE, [0.0]), at(LINE, [1.0])), (at(LINE, [0.0], [1.0], [3.0]),)):
        seen = contraction(OU, *start, **options)
        for rate in (seen.rate(), seen.rate(after=2.0)):
            assert rate.value == pytest.approx(exact, abs=1e-9)
            assert rate.stderr == pytest.approx(0, abs=1e-9)
    assert np.exp(seen.log_distance.value[0]) == pytest.approx(np.sqrt((1 + 4 + 9) / 3), rel=1e-12)
    met = Contraction(np.array([0.0, 1.0]), np.array([[1.0, 0.1], [1.0, 0.0]]), 1e-12)
    with pytest.raises(ValueError, match="by t = 1 points have met"):
        met.rate()
    with pytest.raises(ValueError, match="after t = 4"):
        seen.rate(after=4.0)


def test_the_size_of_a_cloud():
    model = mk.Model(mk.Torus(1))
    cloud = at(mk.Torus(1), [0.1], [6.2], [0.3])
    assert float(radius(model, cloud)) == pytest.approx(0.2, abs=1e-12)
    gaps = np.array([0.1 + 2 * np.pi - 6.2, 0.3 + 2 * np.pi - 6.2, 0.2])
    assert float(pair_distance(model, cloud)) == pytest.approx(np.sqrt(np.mean(gaps**2)), abs=1e-12)
    assert float(pair_distance(model, at(SPHERE, [1, 0, 0, 0], [1, 0, 0, 0]))) == 0


def test_p_values_are_uniform_where_the_laws_are_one():
    """200 tests of 12 against 8 points: P(p ≤ a) = a for a = j/100, up to 5 standard errors of a frequency."""

    def one(i):
        keys = jax.random.split(jax.random.key(i), 3)
        x, y = SPHERE.uniform(keys[0], 12), SPHERE.uniform(keys[1], 8)
        return energy_test(x, y, SPHERE.distance, key=keys[2], permutations=99).p_value

    p = np.array([one(i) for i in range(200)])
    for a in (0.05, 0.1, 0.3, 0.5, 0.7, 0.9):
        assert abs(np.mean(p <= a + 1e-9) - a) < 5 * np.sqrt(a * (1 - a) / 200), a


def test_wrong_laws_are_rejected():
    """Also those that differ from the uniform one by an even function, which dist in place of √dist would not see."""
    keys = jax.random.split(jax.random.key(5), 3)
    x = SPHERE.uniform(keys[0], 300)
    belt = SPHERE.retract(SPHERE.uniform(keys[1], 300) * jnp.asarray([0.1, 1, 1, 1]))
    assert energy_test(x, belt, SPHERE.distance, key=keys[2]).p_value <= 1e-2


def test_one_point_of_the_toy_model_becomes_uniform():
    model = toy_transformer(4, 4.0).model
    options = {
        "until": 3.0, "dt": 0.05, "key": jax.random.key(6), "replicas": 200, "scheme": mk.Moebius(),
    }  # fmt: skip
    start = at(SPHERE, [1, 0, 0, 0])
    # ⟨x, x_0⟩ is left at e^{−4.5}, a tenth of its standard error.
    assert one_point_ergodicity(model, start, SPHERE.uniform, **options).p_value > 1e-3
    wrong = SPHERE.retract(SPHERE.uniform(jax.random.key(7), 200) + jnp.asarray([0.5, 0, 0, 0]))
    assert one_point_ergodicity(model, start, wrong, **options).p_value <= 1e-2


SETTINGS = {"until": 1.0, "dt": 0.1, "key": jax.random.key(0), "replicas": 2}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: frame(at(SPHERE, [1, 0, 0, 0]), 4), "1 to 3 exponents, not 4"),
        (lambda: lyapunov(OU, at(LINE, *[[0.1 * i] for i in range(65)]), **SETTINGS), "count=…"),
        (lambda: lyapunov(OU, at(LINE, [0.0]), **SETTINGS, every=0), "positive number of steps"),
        (lambda: lyapunov(OU, at(LINE, [0.0]), **SETTINGS, every=3), "multiples of that time"),
        (lambda: lyapunov(OU, at(LINE, [0.0]), **SETTINGS, after=1.0), "after < until"),
        (lambda: lyapunov(OU, at(LINE, [0.0]), **(SETTINGS | {"replicas": 1})), "`exponents`"),
        (lambda: lyapunov(OU, at(PLANE, [0.0, 0.0]), **SETTINGS), "lives on"),
        (lambda: exponents(OU, at(LINE, [0.0]), until=1.0, dt=0.1), "give the run a path"),
        (lambda: contraction(OU, at(LINE, [0.0]), **SETTINGS), "two particles"),
        (lambda: contraction(OU, mk.Gaussian(0.0, 1.0), **SETTINGS), "two particles"),
        (lambda: contraction(OU, at(LINE, [0.0]), at(LINE, [0.0], [1.0]), **SETTINGS), "one form and size"),
        (lambda: energy_test(jnp.ones((1, 1)), jnp.ones((3, 1)), LINE.distance, key=jax.random.key(0)), "n ≥ 2"),
        (
            lambda: energy_test(jnp.ones((4000, 1)), jnp.ones((300, 1)), LINE.distance, key=jax.random.key(0)),
            "at most 4096",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_points_meet_up_to_the_rounding_of_their_own_numbers(unit):
    """Euler's steps of x′ = −x shrink every distance by 1 − dt, in any unit of length; 10⁻¹⁴ of x is rounding."""
    model = mk.Model(LINE, confinement=mk.potentials.Quadratic(1.0), common=mk.Additive(0.0))
    times = {"until": 0.2, "dt": 0.1, "key": jax.random.key(0), "replicas": 2}
    ends = [contraction(model, at(LINE, [unit]), at(LINE, [unit * (1 + gap)]), **times) for gap in (1e-3, 1e-14)]
    assert float(ends[0].rate().value) == pytest.approx(np.log(0.9) / 0.1, rel=1e-10)
    with pytest.raises(ValueError, match="met up to rounding"):
        ends[1].rate()
