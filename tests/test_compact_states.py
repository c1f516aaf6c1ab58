"""Steady states of an internal energy, which end where the density is 0, against closed forms."""

import dataclasses
import math

import jax.numpy as jnp
import numpy as np
import pytest

import mckean as mk
from mckean import phases

CIRCLE, LINE = mk.Torus(1), mk.Euclidean(1)
# ∂_tρ = πΔρ² + ∇·(ρ∇W*ρ), W = −4cos: ρ = (cos x)_+/2.
HALF = mk.Model(CIRCLE, interaction=mk.kernels.Cosine(4.0), internal=mk.PorousMedium(2.0, math.pi))


def near(grid, width=1.0):
    return mk.Density.from_function(grid, lambda x: jnp.exp(-(x[0] ** 2) / width))


def wave(grid):
    return mk.Density.from_function(grid, lambda x: 1 + 0.5 * jnp.cos(x[0]))


def test_a_fluid_in_a_well_is_a_parabola():
    """V = x²/2, U = ρ²/2: ρ = (R² − x²)/2 for |x| < R, R³ = 3/2 (Barenblatt's profile); the discrete one has the same
    ρ + V = λ on its support, so that the values at the nodes are off by λ alone, of second order in h."""
    model = mk.Model(LINE, confinement=lambda x: 0.5 * jnp.sum(x**2), internal=mk.PorousMedium(2.0, 0.5))
    grid, edge = LINE.grid(64, -2.0, 2.0), 1.5 ** (1 / 3)
    state = phases.steady_state(model, near(grid))
    x, rho = np.asarray(grid.axes[0]), np.asarray(state.density.values)
    inside = rho > 0
    np.testing.assert_allclose(rho[inside] + x[inside] ** 2 / 2, rho.max() + np.min(x**2) / 2, atol=1e-13)
    # A cell that the edge cuts, of slope R, has the mass Rh²/2 at most, and there are two over 2R.
    np.testing.assert_allclose(rho, np.maximum(edge**2 - x**2, 0) / 2, atol=grid.spacing[0] ** 2 / 2)
    assert (state.index, state.zero_modes, state.residual < 1e-13, state.speed < 1e-11) == (0, 0, True, True)
    np.testing.assert_allclose(state.curvatures, 1.0, atol=1e-12)


@pytest.mark.parametrize("n", [64, 68])
def test_a_fluid_on_the_circle_gathers_on_half_of_it(n):
    """For W = −K cos, U = sρ²: ρ = (Kr/2s)(cos x − cos a)_+ with K = 2s/(a − sin a cos a); at a = π/2, s = π, K = 4:
    r = π/4, F = 0, and the least curvature 1 − (K/2s)(π/2 − 4/π) = 8/π², off by h².

    Both edges lie at nodes: whether w = 1/2s counts there, which is rounding, must not change it by 4h/π³.
    """
    grid = CIRCLE.grid(n)
    state = phases.steady_state(HALF, wave(grid))
    # The trapezoid's error of ∫f over the support, whose slope jumps by 1 at both ends, is h²/6.
    allowed = (2 * math.pi / n) ** 2 / 6
    assert state.order == pytest.approx(math.pi / 4, abs=allowed)
    assert state.free_energy == pytest.approx(0.0, abs=allowed)
    assert state.curvatures[0] == pytest.approx(8 / math.pi**2, abs=allowed)
    assert (state.index, state.zero_modes, state.speed < 1e-10) == (0, 1, True)


def test_where_the_uniform_fluid_loses_its_stability():
    """K_♯ = 2(1/β + P′(ρ_0)), P′ = 2sρ_0 = 1 for s = π: not 2P′(ρ_0)ρ_0, and not that of the noise alone."""
    assert phases.linear_threshold(HALF).factor == pytest.approx(0.5, rel=1e-13)
    warm = dataclasses.replace(HALF, noise=mk.Thermal(2.0))
    assert phases.linear_threshold(warm).factor == pytest.approx(0.75, rel=1e-13)
    flat = mk.Density.from_function(CIRCLE.grid(64), lambda x: 1.0 + 0 * x[0])
    at = lambda k: phases.steady_state(dataclasses.replace(HALF, interaction=k), flat, 0)  # noqa: E731
    below, above = (at(mk.interactions.place(mk.kernels.Cosine(k), CIRCLE)) for k in (1.9, 2.1))
    assert (below.index, above.index) == (0, 2)
    # 1 + βŴ with 1/P′ for β.
    assert above.curvatures[:2] == pytest.approx(1 - 2.1 / 2, abs=1e-12)


def test_the_scheme_moves_what_is_no_state():
    """(1 + ε cos x)/2π grows at K/2 − 1 about the uniform state, and a state does not move."""
    model, grid = mk.langevin(CIRCLE, interaction=mk.kernels.Cosine(3.0)), CIRCLE.grid(64)
    state = phases.steady_state(model, wave(grid))
    assert state.speed < 1e-11
    off = mk.Density.from_function(grid, lambda x: 1 + 1e-3 * jnp.cos(x[0]))
    assert dataclasses.replace(state, density=off).speed == pytest.approx(0.5e-3, rel=0.01)


def test_a_support_of_two_parts_has_no_index():
    """Between two wells so deep that no fluid is at 0 no mass moves."""
    model = mk.Model(LINE, confinement=lambda x: 20 * jnp.sum((x**2 - 1) ** 2), internal=mk.PorousMedium(2.0, 0.5))
    with pytest.raises(RuntimeError, match="2 parts"):
        phases.steady_state(model, near(LINE.grid(64, -2.0, 2.0), 4.0))
