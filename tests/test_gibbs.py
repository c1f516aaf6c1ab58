"""The Gibbs measure of N particles: its density, its samplers against exact finite-N values, its refusals."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import iv

import mckean as mk
from mckean.catalogue import kuramoto as catalogue_kuramoto
from mckean.catalogue.oscillators import gibbs_clouds, mean_square_order
from mckean.catalogue.oscillators import log_partition as exact_log_partition
from mckean.dynamics.gibbs import coupled_log_density, log_density
from mckean.equilibrium import langevin_means, log_partition, sample_gibbs
from mckean.equilibrium._partition import _integrate
from mckean.measures import Particles, Uniform
from mckean.models import Model, energy, langevin
from mckean.models.noise import Thermal

CIRCLE, LINE = mk.Torus(1), mk.Euclidean(1)
# Five standard errors of Student's t with 31 degrees of freedom are met by chance in 2e-5 of cases.
CHAINS, DEVIATIONS = 32, 5


def square(model, mu):
    return mk.observables.order_parameter(1)(model, mu) ** 2


def mean_square(model, mu):
    return jnp.mean(mu.positions) ** 2


def centre(model, mu):
    return jnp.mean(mu.positions)


@pytest.mark.parametrize("k", [0.5, 2.0, 20.0])
def test_the_partition_function_of_one_and_of_two_particles(k):
    one = math.log(2 * math.pi) + k / 2
    assert exact_log_partition(1, k, 1.0) == pytest.approx(one, abs=1e-12)
    two = 2 * math.log(2 * math.pi) + k / 2 + math.log(iv(0, k / 2))
    assert exact_log_partition(2, k / 2, 2.0) == pytest.approx(two, abs=1e-12)


def test_the_partition_function_generates_the_mean_square_order():
    """∂ log Z_N/∂k = (N/2)E r², by a difference quotient of error h²/6 times a third derivative of order N."""
    n, k, h = 30, 2.3, 1e-3
    slope = (exact_log_partition(n, k + h, 1.0) - exact_log_partition(n, k - h, 1.0)) / (2 * h)
    assert slope == pytest.approx(n / 2 * mean_square_order(n, k, 1.0), abs=n * h**2 + 1e-9 / h)


def test_at_criticality_the_mean_square_order_has_its_expansion():
    """√N E r² = 2/√π + (1/3 − 16/9π)/√N + (128/81π − 47/216)/√π N + O(N^{−3/2}): of order 3/2 is what is left."""
    n = np.array([10**2, 10**3, 10**4])
    scaled = np.array([math.sqrt(m) * mean_square_order(int(m), 2.0, 1.0) for m in n])
    terms = 2 / math.sqrt(math.pi), 1 / 3 - 16 / (9 * math.pi), (128 / (81 * math.pi) - 47 / 216) / math.sqrt(math.pi)
    remainder = scaled - sum(c / n ** (i / 2) for i, c in enumerate(terms))
    np.testing.assert_allclose(remainder[:-1] / remainder[1:], 10**1.5, rtol=0.3)


def test_exact_draws_have_the_exact_means():
    """E r², and E cos(x_1 − x_2) = (N E r² − 1)/(N − 1) too: pairs are all alike."""
    n, count = 5, 20_000
    x = np.asarray(gibbs_clouds(jax.random.key(3), count, n, 2.5, 1.0))[..., 0]
    value = mean_square_order(n, 2.5, 1.0)
    for found, exact in (
        (np.abs(np.exp(1j * x).mean(1)) ** 2, value),
        (np.cos(x[:, 0] - x[:, 1]), (n * value - 1) / (n - 1)),
    ):
        assert abs(found.mean() - exact) < 5 * found.std() / math.sqrt(count)


def test_the_gradient_of_the_log_density_is_that_of_the_energy():
    model = langevin(CIRCLE, lambda x: jnp.sin(2 * x[0]), mk.kernels.Cosine(2.0), beta=3.0)
    x = jax.random.uniform(jax.random.key(0), (5, 1), maxval=6.0, dtype=jnp.float64)
    value = lambda y: -3.0 * energy.hamiltonian(model, Particles(CIRCLE, y))  # noqa: E731
    measured = jax.jit(jax.grad(lambda y: log_density(model, Particles(CIRCLE, y))))(x)
    np.testing.assert_allclose(measured, jax.jit(jax.grad(value))(x), rtol=0, atol=1e-12)
    alone = jax.grad(coupled_log_density)(x, model, 0.0)
    np.testing.assert_allclose(alone, -6.0 * np.cos(2 * x), rtol=0, atol=1e-12)


def test_one_leapfrog_step_is_the_metropolis_adjusted_langevin_algorithm():
    n, model = 10, catalogue_kuramoto(2.0).model
    sample = sample_gibbs(
        model, Uniform(CIRCLE), n, {"r²": square}, key=jax.random.key(1), chains=CHAINS, draws=600, steps=1
    )
    found = sample["r²"]
    assert abs(found.value - mean_square_order(n, 2.0, 1.0)) < DEVIATIONS * found.stderr
    assert found.stderr < 0.03 * found.value
    assert abs(sample.acceptance[-1] - 0.574) < 0.1


STRENGTH, BETA, WELL = 1.5, 4.0, 8


def double_well():
    return langevin(LINE, lambda x: x[0] ** 4 / 4 - x[0] ** 2 / 2, mk.kernels.Quadratic(STRENGTH), beta=BETA)


def exact_double_well(n):
    """E x̄² and log Z_N, from ∫e^{−βH_N} = √(Nβθ/2π)∫e^{−Nβθm²/2}w(m)^N dm, w(m) = ∫e^{−β(V + θx²/2) + βθmx}dx."""
    x = np.linspace(-4, 4, 2001)
    m = np.linspace(-3, 3, 3001)
    own = BETA * (x**4 / 4 - x**2 / 2 + STRENGTH * x**2 / 2)
    w = np.exp(BETA * STRENGTH * m[:, None] * x - own).sum(1) * (x[1] - x[0])
    logs = n * np.log(w) - n * BETA * STRENGTH * m**2 / 2
    weight = np.exp(logs - logs.max())
    scale = math.sqrt(n * BETA * STRENGTH / (2 * math.pi))
    log_z = logs.max() + math.log(scale * weight.sum() * (m[1] - m[0]))
    # m is x̄ with a Gaussian of variance 1/(Nβθ) added.
    return float(weight @ m**2 / weight.sum()) - 1 / (n * BETA * STRENGTH), log_z


def test_exchanges_cross_the_wells_that_one_coupling_does_not():
    model, start = double_well(), mk.Gaussian(0.0, 1.0)
    observe = {"x̄": centre, "x̄²": mean_square}
    with pytest.raises(ValueError, match=r"not converged: 'x̄' has R̂ = [\d.]+ and an effective sample size of \d+ at"):
        sample_gibbs(model, start, WELL, observe, key=jax.random.key(0), chains=16, draws=200)
    ladder = (0.0, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)
    sample = sample_gibbs(
        model, start, WELL, observe, key=jax.random.key(1), chains=CHAINS, draws=800, couplings=ladder
    )
    exact, log_z = exact_double_well(WELL)
    found, partition = sample["x̄²"], log_partition(model, sample)
    assert abs(found.value - exact) < DEVIATIONS * found.stderr
    assert abs(sample["x̄"].value) < DEVIATIONS * sample["x̄"].stderr < 0.2
    allowed = DEVIATIONS * partition.estimate.stderr + 4 * partition.quadrature
    assert abs(partition.estimate.value - log_z) < allowed < 0.2
    assert np.all((sample.exchanges > 0.1) & (sample.exchanges < 1))


def test_the_ladder_integrates_cubics_exactly():
    s = np.array([0.0, 0.1, 0.4, 1.0])
    assert _integrate(s, (4 * s**3 - s)[None], (12 * s**2 - 1)[None])[0] == pytest.approx(0.5, abs=1e-14)


def test_the_bias_of_long_langevin_runs_is_measured_and_removed():
    """Euler's stationary variance of x′ = −ax is 1/βa(1 − a dt/2), and that of x̄ this over N."""
    a, dt, n = 1.0, 0.4, 4
    model = mk.catalogue.ornstein_uhlenbeck(a, 0.5, 1.0).model
    law = mk.Gaussian(0.0, 1.0)
    runs = langevin_means(
        model, law, n, {"x̄²": mean_square}, key=jax.random.key(0), dt=dt, until=400.0, discard=20.0, replicas=64
    )
    exact = 1 / (n * a)
    for found, step in ((runs.coarse["x̄²"], dt), (runs.fine["x̄²"], dt / 2)):
        assert abs(found.value - exact / (1 - a * step / 2)) < DEVIATIONS * found.stderr
    bias, extrapolated = runs.bias["x̄²"], runs.extrapolated["x̄²"]
    assert bias.value > DEVIATIONS * bias.stderr
    # With e = a dt/2: 2/(1 − e/2) − 1/(1 − e) = 1 − e²/2 + O(e³).
    left = exact * (2 / (1 - a * dt / 4) - 1 / (1 - a * dt / 2) - 1)
    assert abs(extrapolated.value - exact - left) < DEVIATIONS * extrapolated.stderr
    assert abs(left) < runs.remainder["x̄²"] + DEVIATIONS * 2 * bias.stderr * bias.value / exact


REFUSED = {
    "not a gradient": Model(CIRCLE, drift=lambda x, mu: jnp.ones(1), noise=Thermal(1.0)),
    "a common noise": langevin(CIRCLE, common=Thermal(1.0)),
    "without noise": langevin(CIRCLE, beta=math.inf),
    "only thermal": Model(CIRCLE, noise=mk.Multiplicative(lambda x, mu: 1.0 + 0 * x[0])),
    "infinite mass": langevin(LINE, interaction=lambda x: x[0] ** 2),
    "a sphere": langevin(mk.Sphere(3)),
    "internal energy": Model(CIRCLE, noise=Thermal(1.0), internal=mk.PorousMedium(2.0)),
}
WORDS = {"not a gradient": "need not be a gradient", "a common noise": "a common noise need not leave"}


@pytest.mark.parametrize("name", REFUSED)
def test_models_without_a_known_gibbs_measure_are_refused(name):
    model = REFUSED[name]
    x = model.space.retract(jnp.ones((2, model.space.dim)))
    with pytest.raises(ValueError, match=WORDS.get(name, name)):
        log_density(model, Particles(model.space, x))
    law = Uniform(CIRCLE)
    with pytest.raises(ValueError, match=WORDS.get(name, name)):
        sample_gibbs(model, law, 3, {"r²": square}, key=jax.random.key(0))
    with pytest.raises(ValueError, match=WORDS.get(name, name)):
        langevin_means(model, law, 3, {"r²": square}, key=jax.random.key(0), dt=0.1, until=1.0, discard=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"couplings": (0.0, 0.5)}, "increase to 1"),
        ({"couplings": (0.5, 0.2, 1.0)}, "increase to 1"),
        ({"chains": 2}, "at least 8"),
        ({"draws": 5}, "20 transitions"),
        ({"steps": 0}, "at least one leapfrog step"),
    ],
)
def test_budgets_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        sample_gibbs(
            catalogue_kuramoto(1.0).model, Uniform(CIRCLE), 3, {"r²": square}, key=jax.random.key(0), **options
        )


def test_weighted_particles_and_other_spaces_are_refused():
    model = catalogue_kuramoto(1.0).model
    with pytest.raises(ValueError, match="equal weight"):
        log_density(model, Particles(CIRCLE, jnp.ones((2, 1)), jnp.array([0.4, 0.6])))
    with pytest.raises(ValueError, match="but the chains start on"):
        sample_gibbs(model, mk.Gaussian(0.0, 1.0), 3, {"r²": square}, key=jax.random.key(0))
