"""Models of the catalogue with a transition on the circle, and consensus: series against W itself, particles, rates."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import iv

import mckean as mk
from mckean import catalogue
from mckean.catalogue import circle, consensus

SPRING = lambda x: 0.5 * (x - 0.25) ** 2 - 0.5 * 0.75**2  # noqa: E731
# w, and W on [0, reach].
SERIES = {
    "bounded confidence": (circle.bounded_confidence_weights(1.2, 8), lambda x: -0.5 * (1.2 - x) ** 2, 1.2),
    "springs": (circle.spring_weights(1.0, 0.25, 8), SPRING, 1.0),
    "attention": (circle.attention_weights(3.0, 8), lambda x: -math.exp(3.0 * math.cos(x)) / 3.0, math.pi),
    "excluded area": (circle.onsager_weights(8), lambda x: abs(math.sin(x)), math.pi),
}


@pytest.mark.parametrize("name", SERIES)
def test_the_series_is_that_of_the_pair_energy(name):
    """w_k = −(2/π)∫_0^π W cos kx dx; attention's series is by a transform of 32 nodes, with I_24(3)/3 beside w_8."""
    weights, energy, reach = SERIES[name]
    exact = [-2 / np.pi * quad(lambda x, k=k: energy(x) * math.cos(k * x), 0, reach)[0] for k in range(1, 9)]
    np.testing.assert_allclose(weights, exact, atol=1e-10)


@pytest.mark.parametrize(("radius", "sign"), [(2.13, -1), (2.15, 1)])
def test_where_opinions_order_continuously(radius, sign):
    assert np.sign(catalogue.hegselmann_krause(radius)["onset"]) == sign


def test_single_precision_has_the_same_facts():
    with jax.enable_x64(False):
        single = catalogue.hegselmann_krause(1.0)
    assert single.facts.keys() == catalogue.hegselmann_krause(1.0).facts.keys()
    assert single["onset"] == pytest.approx(catalogue.hegselmann_krause(1.0)["onset"], rel=1e-4)


@pytest.mark.parametrize(("sharpness", "sign"), [(2.4, 1), (2.5, -1)])
def test_where_attention_orders_continuously(sharpness, sign):
    """I_2(b)/I_1(b) = ½ in between (Mun and Rosenzweig), and not I_{5/2}/I_{3/2} = ⅓ of tokens on S²."""
    assert np.sign(catalogue.noisy_attention(sharpness)["onset"]) == sign
    assert np.sign(0.5 - iv(2, sharpness) / iv(1, sharpness)) == sign


@pytest.mark.parametrize("anisotropic", [False, True])
def test_the_spread_of_few_particles_in_consensus(anisotropic):
    """With α = 0 a step of Euler's multiplies E(1/N)Σ|X_i − X̄|² by (1 − λh)² + σ²h(1 − 1/N)·(d or 1), exactly; the
    limit's rate, which has no 1/N, is rejected."""
    n, dim, replicas, dt, steps = 3, 2, 4000, 0.05, 10
    model = catalogue.consensus_optimisation(alpha=0.0, noise=0.8, dim=dim, anisotropic=anisotropic).model
    start = jnp.asarray(np.random.default_rng(1).normal(size=(n, dim)))

    def spread(model, mu):
        return jnp.mean(jnp.sum((mu.positions - mu.positions.mean(0)) ** 2, axis=1))

    def one(key):
        cloud = mk.Particles(model.space, start)
        run = mk.evolve(model, cloud, until=steps * dt, dt=dt, path=mk.Brownian(key))
        return spread(model, run.final)

    found = mk.statistics.average(mk.statistics.replicate(one, jax.random.key(0), replicas))
    before = float(spread(model, mk.Particles(model.space, start)))
    kicks = 0.8**2 * dt * (1 if anisotropic else dim)
    expected, limit = (before * ((1 - dt) ** 2 + kicks * share) ** steps for share in (1 - 1 / n, 1.0))
    assert abs(found.value - expected) < 5 * found.stderr
    assert abs(found.value - limit) > 5 * found.stderr
    small = consensus.spread_rate(1.0, 0.8, dim, anisotropic, n)
    assert small == pytest.approx(-2 + 0.64 * (1 if anisotropic else 2) * 2 / 3)


def test_consensus_looks_for_the_minimum():
    """Rastrigin's function has its minimum at 0 and local ones beside it; the mean of all particles is far from it."""

    def rastrigin(x):
        return jnp.sum(x**2 + 2.5 * (1 - jnp.cos(2 * jnp.pi * x)))

    model = catalogue.consensus_optimisation(rastrigin, alpha=50.0, noise=0.7, anisotropic=True).model
    cloud = mk.Gaussian([1.0, 1.0], 2.0 * np.eye(2)).sample(jax.random.key(1), 400)
    end = mk.evolve(model, cloud, until=8.0, dt=0.05, path=mk.Brownian(jax.random.key(2))).final
    assert float(jnp.abs(end.positions.mean(0)).max()) < 0.1
    assert float(jnp.linalg.norm(cloud.positions.mean(0))) > 1.0


def test_a_point_of_consensus_at_a_large_alpha_is_the_best_particle():
    """e^{−αf} is below the smallest number for all of them."""
    x = jnp.asarray([[3.0], [2.0], [5.0]])
    centre = consensus.Consensus(consensus.bowl, 1e4)
    assert float(centre(mk.Particles(mk.Euclidean(1), x))[0]) == 2.0
