"""A density on a sphere and particles in one environment: the conditional law, its mean, and the Möbius family."""

import math
from functools import partial

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mckean as mk
from mckean.dynamics import Harmonics, Moebius
from mckean.dynamics.scheme import AbstractScheme

SPHERE, T, FLOW = mk.Sphere(3), 0.5, (0.5, 0.3, 0.2)
GRID = SPHERE.grid(14)
START = mk.Density.from_law(GRID, mk.VonMisesFisher(SPHERE, [0.0, 0.6, 0.8], 3.0))


def atoms(mu: mk.Density) -> mk.Particles:
    """The nodes with their masses: ∫φ∘Φ dμ for a smooth flow Φ of them is exact as quadrature is."""
    volume = jnp.asarray(np.broadcast_to(mu.grid.cell_volume, mu.grid.shape))
    masses = (mu.values * volume).ravel()
    return mk.Particles(mu.domain, mu.grid.nodes, masses / jnp.sum(masses))


@partial(eqx.filter_jit, compiler_options={"xla_backend_optimization_level": 0})
def ends(scheme: AbstractScheme, model: mk.Model, mu, steps: int, keys) -> jax.Array:
    """∫x dμ and ∫(3x_2² − 1)/2 dμ at T, one row for each environment."""
    begun = scheme.begin(model, mu, T / steps)

    def run(key):
        move = lambda k, m: begun.step(m, mk.Brownian(key), k)[0]  # noqa: E731
        end = jax.lax.fori_loop(0, steps, move, mu)
        return end.integrate(lambda x: jnp.append(x, 1.5 * x[2] ** 2 - 0.5))

    return jax.lax.map(run, keys, batch_size=16)


@pytest.fixture(scope="module")
def flowing():
    """By number of steps: the density's end and the particles', in 96 environments."""
    model, keys = mk.Model(SPHERE, common=mk.IsotropicFlow(SPHERE, FLOW)), jax.random.split(jax.random.key(5), 96)
    schemes = ((Harmonics(), START), (mk.ParticleScheme(diffrax.EulerHeun()), atoms(START)))
    return {n: [np.asarray(ends(s, model, mu, n, keys)) for s, mu in schemes] for n in (8, 32)}


def test_the_density_is_the_law_of_particles_given_the_environment(flowing):
    """Heun's steps differ from the flow of a held velocity at order 1: a quarter of a step makes a quarter of that.

    The standard error of a root mean square over 96 · 4 values, some of them alike, is 5 % or less.
    """
    coarse, fine = (float(np.sqrt(np.mean((a - b) ** 2))) for a, b in (flowing[8], flowing[32]))
    spread = flowing[8][0].std(axis=0).mean()
    assert coarse < 0.2 * spread, "the environments differ by far more than the levels of description"
    assert 4 * math.exp(-5 * 0.05 * math.sqrt(2)) < coarse / fine < 4 * math.exp(5 * 0.05 * math.sqrt(2)) * 1.3


def test_the_mean_of_the_spde_is_the_heat_flow(flowing):
    """E f̂_l(t) = e^{−l(l + 1)k(1)t/2} f̂_l(0), as Σ_k σ_kσ_kᵀ = k(1)P: the environment alone would keep f̂_l at rest."""
    end = flowing[32][0]
    first = np.asarray(START.integrate(lambda x: jnp.append(x, 1.5 * x[2] ** 2 - 0.5)))
    rates = np.array([2, 2, 2, 6]) * sum(FLOW) / 2
    error = end.std(axis=0) / math.sqrt(len(end))
    # Weak order 1 in steps of T/32: the mean over a step errs by (l(l + 1)k dt)²/8 of itself at most.
    bias = T * rates**2 * (T / 32) / 2 * np.abs(first)
    off = np.abs(end.mean(axis=0) - np.exp(-rates * T) * first)
    assert np.all(off < 5 * error + bias), (off, error, bias)
    assert np.any(np.abs(end.mean(axis=0) - first) > 5 * error + bias), "an environment without the mean's decay"


def leaning(mu):
    return jnp.sqrt(0.3 + jnp.sum(mu.integrate(lambda x: x) ** 2))


@pytest.mark.parametrize("grid", [mk.Sphere(2).grid(40), SPHERE.grid(28)], ids=["circle", "sphere"])
def test_moebius_maps_keep_the_spherical_cauchy_laws(grid):
    """ρ^{−1/(d−1)} stays an affine function of x, and the conditional law is that of particles, at any dt."""
    d, steps = grid.space.dim, 4
    centre = np.arange(1, d + 1) * 0.1
    mu = mk.Density.from_law(grid, mk.SphericalCauchy(grid.space, centre))
    model = mk.Model(grid.space, common=mk.Isotropic(leaning))

    @partial(eqx.filter_jit, compiler_options={"xla_backend_optimization_level": 0})
    def end(mu, path):
        begun = Moebius().begin(model, mu, 0.05)
        return jax.lax.fori_loop(0, steps, lambda k, m: begun.step(m, path, k)[0], mu)

    path = mk.Brownian(jax.random.key(2))
    law, cloud = end(mu, path), end(atoms(mu), path)
    flat = np.asarray(law.values).ravel() ** (-1 / (d - 1))
    affine = np.column_stack([np.ones(grid.size), grid.nodes])
    fit = np.linalg.lstsq(affine, flat)[0]
    gap = np.linalg.norm(fit[1:]) / fit[0]
    reach = (1 - math.sqrt(1 - gap**2)) / gap
    # Coefficients of a Cauchy law fall as |w|^l, here from |w| ≤ reach.
    tail = 20 * grid.degree * max(reach, np.linalg.norm(centre)) ** grid.degree
    assert tail < 1e-3
    np.testing.assert_allclose(affine @ fit, flat, atol=tail * flat.max())
    np.testing.assert_allclose(law.integrate(lambda x: x), cloud.integrate(lambda x: x), atol=tail)
    assert np.linalg.norm(law.integrate(lambda x: x) - mu.integrate(lambda x: x)) > 0.05, "it moves"


def test_two_schemes_of_one_environment_meet():
    """Harmonics hold a velocity over a step, whose flow is the Möbius map: only Runge and Kutta's error is between."""
    model = mk.Model(SPHERE, common=mk.Isotropic(lambda mu: jnp.asarray(0.4), "stratonovich"))
    keys, others = (jax.random.split(jax.random.key(seed), 4) for seed in (8, 9))
    held, mapped = ends(Harmonics(), model, START, 8, keys), ends(Moebius(), model, START, 8, keys)
    assert float(jnp.max(jnp.abs(held - mapped))) < 1e-4
    assert float(jnp.min(jnp.max(jnp.abs(ends(Moebius(), model, START, 8, others) - held), axis=1))) > 1e-2


def test_heads_move_a_density_as_they_move_its_atoms():
    """The field of shared heads with a μ that is a density or the nodes with their masses, at the same points."""
    heads, dB = mk.Heads(2.0), jax.random.normal(jax.random.key(1), (9,))
    x = SPHERE.uniform(jax.random.key(3), 5)
    np.testing.assert_allclose(heads.displacement(x, START, dB), heads.displacement(x, atoms(START), dB), atol=1e-12)
