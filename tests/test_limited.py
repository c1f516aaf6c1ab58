"""Densities on the torus that stay positive: orders, exact modes, mass, positivity and extrema on rough data."""

import itertools
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from schemes import BUMP, CIRCLE, ito, thermal, wave

import mckean as mk
from mckean.dynamics.advection import transport

SQUARE = mk.Torus(2)
PATH = mk.Brownian(jax.random.key(3))
LIMITED = mk.FluxLimited()
SHELL = mk.TransportNoise.shell(SQUARE, 4, intensity=5.0)


def moved(model, mu, until, steps, path=PATH, scheme=LIMITED):
    return mk.evolve(model, mu, until=until, dt=until / steps, path=path, scheme=scheme).final


def away(mu, other) -> float:
    """Distance in L², relatively."""
    return float(jnp.linalg.norm(mu.values - other.values) / jnp.linalg.norm(other.values))


def hump(x):
    return jnp.exp(jnp.cos(x[0] - 1) + 0.5 * jnp.sin(x[-1]))


def block(x):
    """A step density, zero outside a square."""
    return jnp.where(jnp.all((x > 2) & (x < 4)), 1.0, 0.0)


def raised(x):
    return 0.1 + block(x)


def smooth(n):
    return mk.Density.from_function(SQUARE.grid(n), hump)


@pytest.mark.parametrize("walls", [True, False])
def test_transport_is_positive_for_any_displacement(walls):
    """Cells full and empty at random, moved by several cells this way and that; the walls let nothing through."""
    rng = np.random.default_rng(0)
    rho = jnp.asarray(np.where(rng.random((12, 9)) < 0.5, 0.0, rng.random((12, 9))))
    u = [jnp.asarray(rng.normal(scale=0.5, size=rho.shape)) for _ in range(2)]
    end = jax.jit(lambda rho: transport(rho, u, (0.1, 0.2), walls))(rho)
    assert end.min() >= 0
    np.testing.assert_allclose(end.sum(), rho.sum(), rtol=1e-14)
    assert jnp.abs(end - rho).max() > 0.1


def test_transport_without_divergence_keeps_extrema():
    """Displacements that are differences of a rough stream function at the corners of the cells."""
    rng = np.random.default_rng(1)
    rho, psi = (jnp.asarray(scale * rng.normal(size=(12, 9))) for scale in (1.0, 0.01))
    h = (0.1, 0.2)
    u = [(psi - jnp.roll(psi, 1, 1)) / h[1], -(psi - jnp.roll(psi, 1, 0)) / h[0]]
    end = jax.jit(lambda rho: transport(rho, u, h, False))(rho)
    assert rho.min() - 1e-14 < end.min()
    assert end.max() < rho.max() + 1e-14
    assert 0.1 < end.std() / rho.std() < 0.9


def test_order_two_in_time():
    """By the differences of runs whose steps are halved; where the limiter changes branch, the slope is not smooth."""
    start = mk.Density.from_function(CIRCLE.grid(32), hump)
    ends = [moved(thermal(0.8), start, 0.8, n).values for n in (16, 32, 64, 128)]
    gaps = [float(jnp.linalg.norm(a - b)) for a, b in itertools.pairwise(ends)]
    assert np.all(np.abs(np.log2(np.divide(gaps[:-1], gaps[1:])) - 2) < 0.2)


def test_order_two_in_space_against_an_exact_shear():
    """cos y and sin y along x move ρ to ρ(x − a(y), y), a the sum of all displacements, whatever the steps."""
    noise = mk.TransportNoise(SQUARE, [(0, 1)], intensity=0.5)
    model = mk.langevin(SQUARE, beta=math.inf, common=noise)
    total = PATH.coarsen(16).environment.increment(0, 1.0, (2,))
    errors = []
    for n in (24, 48):
        start = smooth(n)
        x = start.grid.nodes
        origin = x - noise.matrix(x, start) @ total
        values = jax.vmap(hump)(origin).reshape(start.grid.shape)
        exact = mk.Density(start.grid, values / (values.sum() * start.grid.cell_volume))
        errors.append(away(moved(model, start, 1.0, 16), exact))
    assert abs(np.log2(errors[0] / errors[1]) - 2) < 0.3


def test_agreement_with_the_spectral_scheme():
    """One environment, confinement, attraction, heat; dt ∝ h², so that the order is 2 in h, the noise's 1 in dt."""
    noise = mk.TransportNoise.shell(SQUARE, 1.5, intensity=0.5)
    model = mk.langevin(SQUARE, lambda x: 0.3 * jnp.cos(x[0] + x[1]), mk.kernels.Cosine(1.5), beta=2.0, common=noise)
    gaps = []
    for n, steps, path in ((20, 32, PATH), (40, 128, PATH.refine(4))):
        ends = [moved(model, smooth(n), 0.5, steps, path, scheme) for scheme in (LIMITED, mk.Spectral())]
        gaps.append(away(*ends))
    assert abs(np.log2(gaps[0] / gaps[1]) - 2) < 0.3


@pytest.mark.parametrize("dim", [1, 3])
def test_modes_of_heat(dim):
    """A mode decays at the rate of the Laplacian of differences, exactly, at any step."""
    space, beta = mk.Torus(dim, (5.0, 2.0, 3.0)[:dim]), 2.0
    grid = space.grid((8, 6, 10)[:dim])
    q = 2 * np.pi / np.array(space.lengths)
    start = mk.Density.from_function(grid, lambda x: 1 + 0.9 * jnp.prod(jnp.cos(q * x)))
    end = moved(mk.langevin(space, beta=beta), start, 0.3, 2)
    rate = np.sum((2 / np.array(grid.spacing) * np.sin(q * np.array(grid.spacing) / 2)) ** 2) / beta
    exact = start.values.mean() + math.exp(-0.3 * rate) * (start.values - start.values.mean())
    np.testing.assert_allclose(end.values, exact, rtol=1e-14)


@pytest.mark.parametrize("steps", [1, 10, 200])
@pytest.mark.parametrize("beta", [math.inf, 50.0])
def test_stirring_rough_data_keeps_extrema(steps, beta):
    """ρ stays between the extrema of a step density, whatever the steps; without diffusion to the last digits."""
    start = mk.Density.from_function(SQUARE.grid(24), raised)
    end = moved(mk.langevin(SQUARE, beta=beta, common=SHELL), start, 0.5, steps)
    low, high = float(start.values.min()), float(start.values.max())
    assert low - 1e-14 < end.values.min()
    assert end.values.max() < high + 1e-14
    assert end.values.std() < 0.9 * start.values.std()
    assert abs(float(end.mass) - 1) < 1e-13


def test_uniform_densities_are_kept():
    space = mk.Torus(3, (2 * math.pi, 2.0, 3.0))
    noise = mk.TransportNoise.shell(space, 2, intensity=0.5)
    start = mk.Density.from_function(space.grid((8, 6, 7)), lambda x: 1.0 + 0 * x[0])
    end = moved(mk.langevin(space, beta=math.inf, common=noise), start, 1.0, 50)
    # 50 steps of about 20 parts: 1000 roundings of 1e-16 times the two cells that pass.
    np.testing.assert_allclose(end.values, start.values, rtol=1e-12)


@pytest.mark.parametrize("beta", [math.inf, 5.0])
@pytest.mark.parametrize("dt", [0.01, 2.0])
def test_positive_at_any_step(dt, beta):
    """A density that is zero somewhere, a strong attraction, compression and stirring."""

    def squeeze(x, mu):
        return jnp.sin(x) * (1 + mu.integrate(lambda y: jnp.cos(y[0])))

    noises = [SHELL, mk.Multiplicative(squeeze, "stratonovich")]
    model = mk.langevin(SQUARE, wave, mk.kernels.Cosine(20.0), beta=beta, common=noises)
    end = moved(model, mk.Density.from_function(SQUARE.grid(16), block), 10 * dt, 10)
    assert end.values.min() >= 0
    assert abs(float(end.mass) - 1) < 1e-13


def test_fields_that_see_the_measure_are_taken_at_the_midpoint():
    """At a quarter of the step the two schemes are at least twice as close: of another calculus they would not be."""

    def crowd(x, mu):
        return 0.6 * jnp.cos(x[0] - 1) * (0.5 + mu.integrate(lambda y: jnp.cos(y[0])))

    model = mk.langevin(CIRCLE, beta=2.0, common=mk.Multiplicative(crowd, "stratonovich"))
    start = mk.Density.from_function(CIRCLE.grid(64), hump)
    gaps = []
    for steps, path in ((8, PATH), (32, PATH.refine(4))):
        gaps.append(away(*(moved(model, start, 1.0, steps, path, scheme) for scheme in (LIMITED, mk.Spectral()))))
    assert gaps[1] < 0.5 * gaps[0] < 0.01


@pytest.mark.parametrize(
    ("model", "measure", "message"),
    [
        (ito(0.8), BUMP, "the flux-limited scheme takes thermal noise or none of the particles' own"),
        (mk.langevin(CIRCLE, common=mk.Multiplicative(lambda x, mu: jnp.sin(x))), BUMP, "solved in the sense of Strat"),
        (thermal(0.8), smooth(8), "the model lives on Torus(dim=1"),
    ],
    ids=["own noise", "Itô", "other space"],
)
def test_refusals(model, measure, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        moved(model, measure, 1.0, 10)


def test_a_negative_density_is_refused():
    """As a spectral run may leave it; made at once, a density refuses to be negative itself."""
    values = BUMP.values.at[0].set(-1e-4)
    with pytest.raises(ValueError, match="keeps a density positive, but this one is negative somewhere"):
        moved(thermal(0.8), jax.tree.map(lambda leaf: values, BUMP), 1.0, 10)


def test_a_displacement_that_is_not_finite_is_found():
    """It is seen in the state after the step, and does not keep the loop over its parts from ending."""
    model = mk.langevin(CIRCLE, common=mk.Multiplicative(lambda x, mu: 1 / jnp.sin(x), "stratonovich"))
    with pytest.raises(mk.RunError, match=r"the state became non-finite.*\(step 1, "):
        moved(model, BUMP, 1.0, 10)
