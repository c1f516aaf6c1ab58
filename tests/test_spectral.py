"""Densities on the torus: order 4 in time, spectral accuracy in space, exact modes and exact stationary states."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from schemes import CIRCLE
from scipy.special import i0e, i1e

import mckean as mk

KURAMOTO = mk.langevin(CIRCLE, interaction=mk.kernels.Cosine(3.0), beta=1.0)
MATRIX = np.array([[0.7, 0.3], [0.0, 0.5]])


def bump(n):
    return mk.Density.from_function(CIRCLE.grid(n), lambda x: jnp.exp(jnp.cos(x[0] - 0.5)))


def moved(model, mu, until, steps):
    return mk.evolve(model, mu, until=until, dt=until / steps).final


def modes(mu) -> np.ndarray:
    return np.fft.rfftn(mu.values) / mu.grid.size


def test_order_four_in_time():
    """For e = Ch⁴(1 + ah + …) the exponent between h and h/2 is off by a multiple of h: extrapolation removes it."""
    fine = moved(KURAMOTO, bump(32), 1.0, 1024).values
    errors = [float(jnp.max(jnp.abs(moved(KURAMOTO, bump(32), 1.0, n).values - fine))) for n in (16, 32, 64, 128)]
    exponents = np.log2(np.divide(errors[:-1], errors[1:]))
    last = abs(exponents[-1] - exponents[-2])
    assert abs(2 * exponents[-1] - exponents[-2] - 4) < last < 0.2


def test_spectral_accuracy_in_space():
    """The algebraic order between grids grows without bound: the error falls faster than any power of the spacing."""
    fine = modes(moved(KURAMOTO, bump(32), 1.0, 64))[:3]
    sizes = [6, 10, 14, 18]
    errors = [np.abs(modes(moved(KURAMOTO, bump(n), 1.0, 64))[:3] - fine).max() for n in sizes]
    orders = -np.diff(np.log(errors)) / np.diff(np.log(sizes))
    assert np.all(np.diff(orders) > 4)
    assert orders[-1] > 25


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_modes_of_advection_and_diffusion(dim):
    """ρ̂_k(t) = ρ̂_k(0) exp(−(|q|²/β + iq·c)t), up to Runge and Kutta's error of the advection."""
    space = mk.Torus(dim, (5.0, 2.0, 3.0)[:dim])
    c, t, beta = np.array([0.4, -0.3, 0.2])[:dim], 0.5, 8.0
    q = 2 * np.pi / np.array(space.lengths)

    def start(x):
        return 2 + jnp.cos(q[-1] * x[-1]) + jnp.sin(jnp.sum(q * x))

    model = mk.Model(space, drift=lambda x, mu: jnp.asarray(c), noise=mk.Thermal(beta))
    grid = space.grid((8, 6, 10)[:dim])
    before = mk.Density.from_function(grid, start)
    after = moved(model, before, t, 100)
    wave = np.broadcast_arrays(*grid.wavenumbers)
    phase = sum(component * speed for component, speed in zip(wave, c, strict=True))
    factor = np.exp(-(sum(component**2 for component in wave) / beta + 1j * phase) * t)
    # A step of 1/200 errs by (q·c dt)⁵/120 for a mode, 100 steps add up.
    error = 100 * (np.abs(q) @ np.abs(c) * t / 100) ** 5 / 120
    assert np.abs(modes(after) - factor * modes(before)).max() < error + 1e-15


def test_translation():
    """A constant drift alone moves the density along, ρ(t, x) = ρ(0, x − ct), up to (kc dt)⁵/120 a step."""
    model = mk.Model(CIRCLE, drift=lambda x, mu: jnp.ones_like(x))
    end = moved(model, bump(32), math.pi, 400)
    np.testing.assert_allclose(end.values, jnp.roll(bump(32).values, 16), atol=400 * (4 * math.pi / 400) ** 5 / 120)


def test_correlated_noise_mixes_derivatives():
    """A constant σ gives ρ̂_k(t) = ρ̂_k(0) exp(−½ q·σσᵀq t), the mixed derivatives included."""
    plane = mk.Torus(2, (2 * math.pi, 3.0))
    model = mk.Model(plane, noise=mk.Multiplicative(lambda x, mu: jnp.asarray(MATRIX)))
    turn = 2 * math.pi / 3
    before = mk.Density.from_function(
        plane.grid(8), lambda x: 2 + jnp.cos(x[0] + turn * x[1]) + jnp.sin(x[0] - turn * x[1])
    )
    after = moved(model, before, 0.5, 200)
    wave = np.stack(np.broadcast_arrays(*before.grid.wavenumbers))
    rate = 0.5 * np.einsum("i...,ij,j...->...", wave, MATRIX @ MATRIX.T, wave)
    assert np.abs(modes(after) - np.exp(-0.5 * rate) * modes(before)).max() < 1e-11
    assert abs(modes(after)[1, 1]) < 0.8 * abs(modes(after)[-1, 1])


def test_products_do_not_alias():
    """b = cos 3x and 2πρ = 1 + ½ cos 2x: of bρ the modes 1 and 3 are kept; 5, which 8 nodes take for 3, is not."""
    start = mk.Density.from_function(CIRCLE.grid(8), lambda x: 1 + 0.5 * jnp.cos(2 * x[0]))
    end = moved(mk.Model(CIRCLE, drift=lambda x, mu: jnp.cos(3 * x)), start, 1e-5, 1)
    rate = (modes(end) - modes(start)) * 2 * math.pi / 1e-5
    # −ik times the coefficients ⅛ and ½ of e^{ix} and e^{3ix}, up to the change of the rate over the step.
    np.testing.assert_allclose(rate[:4], [0, -0.125j, 0, -1.5j], atol=1e-4)


def test_synchronised_state_is_kept_to_rounding():
    """ρ ∝ e^{βKr cos x} with r = I₁(βKr)/I₀(βKr) is stationary: it does not move in 2000 steps, or in 2 long ones."""
    r = 1.0
    for _ in range(200):
        r = i1e(3 * r) / i0e(3 * r)
    state = mk.Density.from_function(CIRCLE.grid(48), lambda x: jnp.exp(3 * r * jnp.cos(x[0])))
    for until, steps in ((20.0, 2000), (0.2, 2)):
        assert jnp.max(jnp.abs(moved(KURAMOTO, state, until, steps).values - state.values)) < 1e-14


def test_multiplicative_noise_has_its_stationary_density():
    """For dX = b dt + σ dB (Itô) with b = (σ²ρ)′/2ρ the flux of ρ = e^{cos x}/Z vanishes: runs end there, and stay."""

    def sigma(x, mu):
        return 1 + 0.3 * jnp.sin(x)

    def drift(x, mu):
        s = 1 + 0.3 * jnp.sin(x)
        return 0.3 * jnp.cos(x) * s - 0.5 * s**2 * jnp.sin(x)

    model = mk.Model(CIRCLE, drift=drift, noise=mk.Multiplicative(sigma))
    target = mk.Density.from_function(CIRCLE.grid(32), lambda x: jnp.exp(jnp.cos(x[0])))
    assert jnp.max(jnp.abs(moved(model, target, 1.0, 100).values - target.values)) < 1e-14
    uniform = mk.Density.from_function(CIRCLE.grid(32), lambda x: 1.0 + 0 * x[0])
    early, late = (moved(model, uniform, t, steps).values for t, steps in ((10.0, 1000), (60.0, 6000)))
    assert 1e-4 < jnp.max(jnp.abs(early - target.values)) < 0.05
    assert jnp.max(jnp.abs(late - target.values)) < 1e-12
