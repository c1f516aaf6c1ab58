"""Rates of states whose drift is no gradient, against the linear equation of one Fourier mode."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

import mckean as mk
from mckean import catalogue, energetics, phases

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
    # Rounding is no wave: in a frame that moves with it the first mode would turn at another rate, by .06 here.
    rough = FLAT.values * (1 + 1e-13 * np.random.default_rng(0).normal(size=16))
    near = phases.growth_rates(sakaguchi(1.0), mk.Density(GRID, rough))
    np.testing.assert_allclose(near[:4], rates[:4], atol=1e-10)


@pytest.fixture(scope="module")
def plain():
    start = phases.steady_state(sakaguchi(1.0), FLAT, picard=0)
    return phases.continuation(sakaguchi, start, 1.0, (0.9, 1.4))


def test_the_hopf_point_of_a_phase_lag(plain):
    """K cos α = 2/β, with the frequency |ω + tan(α)/β|: neither K = 2/β nor ω alone."""
    (event,) = plain.events
    assert (event.kind, event.multiplicity) == ("Hopf", 2)
    exact = 2 / (BETA * math.cos(LAG))
    assert abs(event.parameter - exact) <= max(event.error, 1e-12)
    assert event.error < 1e-9
    assert event.frequency == pytest.approx(TURN + math.tan(LAG) / BETA, abs=1e-9)
    assert list(plain.index) == [0 if k < exact else 2 for k in plain.parameters]
    with pytest.raises(ValueError, match="from a Hopf point"):
        phases.departures(event)


def wave_by_quadrature(strength):
    """r and c of a wave that travels: in its frame ẋ = a − Kr sin x, whose law is ∫_0^{2π}exp(−β∫_x^{x+y})dy up to its
    mass, and ⟨e^{ix}⟩ = re^{−iα}, c = ω − a."""
    x = 2 * np.pi * np.arange(400) / 400
    y, weight = np.polynomial.legendre.leggauss(80)
    y, weight = np.pi * (y + 1), np.pi * weight

    def off(unknown):
        r, a = unknown
        push = a * y[:, None] + strength * r * (np.cos(x + y[:, None]) - np.cos(x))
        law = weight @ np.exp(-BETA * push)
        gap = law @ np.exp(1j * x) / law.sum() - r * np.exp(-1j * LAG)
        return [gap.real, gap.imag]

    found = optimize.root(off, [0.6, -0.4], tol=1e-13).x
    return found[0], TURN - found[1]


def test_a_wave_travels_from_the_hopf_point(plain):
    """Its order and its velocity by quadrature; the velocity of the linear wave, ω + tan(α)/β, is another."""
    (event,) = plain.events
    wave = np.asarray(jnp.cos(GRID.nodes[:, 0]))
    branch = phases.continuation(sakaguchi, event.state, event.parameter, (0.9, 1.6), along=wave, step=0.2)
    assert branch.events == []
    assert set(branch.index) == {0}
    (state,) = branch.at(1.5)
    order, velocity = wave_by_quadrature(1.5)
    # Sixteen nodes: the first mode that they lack is of the size of the tail.
    assert state.tail < 1e-2
    assert state.order == pytest.approx(order, abs=1e-3)
    assert abs(velocity - event.frequency) > 0.05


def test_the_wave_is_spectrally_exact_and_the_flow_keeps_it():
    model = sakaguchi(1.5)
    fine = phases.steady_state(model, mk.Density.from_function(CIRCLE.grid(48), lambda x: 1 + 0.5 * jnp.cos(x[0])))
    order, velocity = wave_by_quadrature(1.5)
    assert (fine.index, fine.zero_modes) == (0, 1)
    assert fine.order == pytest.approx(order, abs=1e-11)
    assert fine.velocity == pytest.approx([velocity], abs=1e-11)
    # In the frame that does not move it would be 0.4.
    assert fine.speed < 1e-6
    # Two programs: the matrix of the flow about the density, and the state's own.
    rates = phases.growth_rates(model, fine.density)
    np.testing.assert_allclose(np.sort(-rates[1:9].real), np.sort(fine.curvatures[:8].real), atol=1e-9)
    assert abs(rates[0]) < 1e-9


def test_a_wave_on_the_plane_is_solved_without_a_matrix():
    """A product: a wave that travels along x_1, and oscillators at rest along x_2, r = I_1(βKr)/I_0(βKr)."""
    plane = mk.Torus(2)

    def drift(x, mu):
        c, s = mu.integrate(jnp.cos), mu.integrate(jnp.sin)
        first = TURN + 1.5 * (s[0] * jnp.cos(x[0] - LAG) - c[0] * jnp.sin(x[0] - LAG))
        return jnp.stack([first, 1.5 * (s[1] * jnp.cos(x[1]) - c[1] * jnp.sin(x[1]))])

    model = mk.Model(plane, drift=drift, noise=mk.Thermal(BETA))
    start = lambda x: 1 + 0.4 * jnp.cos(x[0]) + 0.4 * jnp.cos(x[1])  # noqa: E731
    state = phases.steady_state(model, mk.Density.from_function(plane.grid(24), start))
    order, velocity = wave_by_quadrature(1.5)
    assert (state.index, state.zero_modes) == (0, 2)
    np.testing.assert_allclose(state.velocity, [velocity, 0.0], atol=1e-8)
    modes = np.abs(np.fft.fft2(state.density.values)) * state.density.grid.cell_volume
    still = catalogue.oscillators.order_parameter(1.5, BETA)
    assert [modes[1, 0], modes[0, 1]] == pytest.approx([order, still], abs=1e-8)


def test_rates_of_a_gradient_flow_are_those_of_its_relaxation():
    """Two programs: the symmetric form, and the matrix of the flow. The state's own translation has the rate 0."""
    model = mk.langevin(CIRCLE, interaction=mk.kernels.Cosine(3.0))
    grid = CIRCLE.grid(32)
    state = phases.steady_state(model, mk.Density.from_function(grid, lambda x: 1 + 0.5 * jnp.cos(x[0])))
    rates = phases.growth_rates(model, state.density)
    np.testing.assert_allclose(rates[:4].real, -energetics.relaxation(model, state.density)[:4], atol=1e-7)
    np.testing.assert_allclose(rates[:4].imag, 0.0, atol=1e-7)


def test_what_needs_an_energy_refuses_a_drift(plain):
    with pytest.raises(ValueError, match="a free energy, which a model with a drift"):
        phases.coexistence(plain, plain)
    with pytest.raises(ValueError, match="a mountain pass is one of a free energy"):
        phases.mountain_pass(sakaguchi(1.0), plain.states[0], plain.states[-1])
