"""Rates of states whose drift is no gradient, against the linear equation of one Fourier mode."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

import mckean as mk
from mckean import energetics, phases

CIRCLE = mk.Torus(1)
GRID = CIRCLE.grid(16)
FLAT = mk.Density.from_function(GRID, lambda x: 1.0 + 0 * x[0])
LAG, TURN, BETA = 0.5, 0.3, 2.0


def sakaguchi(strength, turn=TURN):
    """ẋ = ω + K∫sin(y − x + α)dμ(y), with a phase lag."""
    drift = lambda x, mu: turn + strength * mu.integrate(lambda y: jnp.sin(y - x + LAG))  # noqa: E731
    return mk.Model(CIRCLE, drift=drift, noise=mk.Thermal(BETA))


def test_a_mode_turns_and_grows():
    """λ_1 = (K/2)e^{iα} + iω − 1/β, λ_k = ikω − k²/β: the lag turns the mode, and weakens it by cos α."""
    rates = phases.growth_rates(sakaguchi(1.0), FLAT)
    first = 0.5 * np.exp(1j * LAG) + 1j * TURN - 1 / BETA
    second = 2j * TURN - 4 / BETA
    np.testing.assert_allclose(rates[:4], [first, first.conjugate(), second, second.conjugate()], atol=1e-12)
    assert rates.shape == (15,)


@pytest.mark.parametrize("turn", [TURN, -1.0])
def test_the_hopf_point_of_a_phase_lag(turn):
    """K cos α = 2/β, with the frequency |ω + tan(α)/β|: neither K = 2/β nor ω alone, nor the sum of two moduli."""
    strength, frequency = phases.hopf_point(lambda p: sakaguchi(p, turn), FLAT, (0.5, 3.0))
    assert strength == pytest.approx(2 / (BETA * math.cos(LAG)), abs=1e-11)
    assert frequency == pytest.approx(abs(turn + math.tan(LAG) / BETA), abs=1e-11)


def test_rates_of_a_gradient_flow_are_those_of_its_relaxation():
    """Two programs: the symmetric form, and the matrix of the flow. The state's own translation has the rate 0."""
    model = mk.langevin(CIRCLE, interaction=mk.kernels.Cosine(3.0))
    grid = CIRCLE.grid(32)
    state = phases.steady_state(model, mk.Density.from_function(grid, lambda x: 1 + 0.5 * jnp.cos(x[0])))
    rates = phases.growth_rates(model, state.density)
    np.testing.assert_allclose(rates[:4].real, -energetics.relaxation(model, state.density)[:4], atol=1e-7)
    np.testing.assert_allclose(rates[:4].imag, 0.0, atol=1e-7)


def test_a_branch_of_a_model_without_energy_is_refused():
    state = phases.steady_state(mk.langevin(CIRCLE, interaction=mk.kernels.Cosine(1.0)), FLAT)
    with pytest.raises(ValueError, match=r"phases.hopf_point where it turns"):
        phases.continuation(sakaguchi, state, 1.0, (0.5, 2.0))
