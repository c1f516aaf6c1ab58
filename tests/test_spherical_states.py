"""Steady states on spheres against their equations in one number, which SciPy integrates and solves.

Maier and Saupe's W = −P₂(⟨x, y⟩) on S²: ρ ∝ e^{bP₂(t)} with b = βS, S = ⟨P₂⟩, whence β = b/⟨P₂⟩_b all along the branch.
"""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq, minimize_scalar
from scipy.special import ive

import mckean as mk
from mckean import phases
from mckean.catalogue import oscillators

S2 = mk.Sphere(3)
NEMATIC = mk.interactions.place(mk.kernels.Zonal(lambda t: 0.5 - 1.5 * t**2), S2)
AXIS = S2.grid(20, axis=(0.0, 0.0, 1.0))


def nematic(beta):
    return mk.langevin(S2, interaction=NEMATIC, beta=beta)


def flat(grid):
    return mk.Density.from_function(grid, lambda x: 1.0 + 0 * x[0])


def p2(t):
    return 1.5 * t**2 - 0.5


def mean_of(b):
    """log of Z/Z_0, and S."""
    z = quad(lambda t: math.exp(b * p2(t)), 0, 1, epsabs=1e-14)[0]
    return math.log(z), quad(lambda t: p2(t) * math.exp(b * p2(t)), 0, 1, epsabs=1e-14)[0] / z


def beta_of(b):
    return b / mean_of(b)[1]


def root(f, low, high):
    return float(brentq(f, low, high, xtol=1e-14))  # pyright: ignore[reportArgumentType]


def gap(b):
    """β(F − F_uniform) = βS²/2 − log(Z/Z_0)."""
    log_z, s = mean_of(b)
    return 0.5 * b * s - log_z


def test_thresholds_by_degree():
    """κ_♯ = −1/(β min Ŵ(l)): 5/β for −P₂, d/β for −⟨x, y⟩, and 32/πβ for the area that two rods exclude."""
    at = lambda w, d: phases.linear_threshold(  # noqa: E731
        mk.langevin(mk.Sphere(d), interaction=mk.kernels.Zonal(w), beta=0.5)
    )
    assert at(lambda t: 0.5 - 1.5 * t**2, 3).factor == pytest.approx(10.0, rel=1e-12)
    assert at(lambda t: 0.5 - 1.5 * t**2, 3).modes == ((2,),)
    for dim in (2, 3, 7):
        polar = at(lambda t: -t, dim)
        assert (polar.factor, polar.modes) == (pytest.approx(2.0 * dim, rel=1e-12), ((1,),))
    # |sin| has ∫√(1 − t²)P₂ dt = −π/16 on [−1, 1].
    sine = at(lambda t: jnp.sqrt(jnp.maximum((1 - t) * (1 + t), 0.0)), 3)
    assert (sine.factor, sine.modes) == (pytest.approx(64 / math.pi, rel=1e-9), ((2,),))
    assert at(lambda t: t, 3).factor == math.inf


@pytest.fixture(scope="module")
def rods():
    """The ordered branch, down to its fold and on through the uniform state, and the uniform one."""
    start = phases.steady_state(nematic(5.3), mk.Density.from_function(AXIS, lambda x: jnp.exp(5 * x[2] ** 2)))
    ordered = phases.continuation(nematic, start, 5.3, (4.3, 5.4), forward=False, step=0.3)
    uniform = phases.steady_state(nematic(4.4), flat(AXIS), picard=0)
    return ordered, phases.continuation(nematic, uniform, 4.4, (4.3, 5.3), step=0.3)


def test_rods_in_space_order_discontinuously(rods):
    """The fold is the least β = b/⟨P₂⟩_b; at κ_c the gap is zero; the branch crosses the uniform one at 5."""
    ordered, uniform = rods
    fold, crossing = ordered.events
    least = minimize_scalar(beta_of, bounds=(0.5, 3.0), method="bounded", options={"xatol": 1e-9})
    assert (fold.kind, crossing.kind) == ("fold", "branch point")
    assert fold.parameter == pytest.approx(least.fun, abs=1e-10)
    ((beta, first, second),) = phases.coexistence(ordered, uniform)
    b = root(gap, 1.5, 3.0)
    assert beta == pytest.approx(beta_of(b), abs=1e-10)
    assert (first.order, second.order) == (pytest.approx(mean_of(b)[1], abs=1e-9), pytest.approx(0.0, abs=1e-9))
    # Below the crossing rods lie along the axis, S > 0, and beyond it across.
    assert abs(crossing.parameter - 5) <= 2 * crossing.error + 1e-10
    assert crossing.error < 1e-6
    assert (ordered.order[0] > 0.6, ordered.order[-1] < 0, *ordered.index[[0, -1]]) == (True, True, 0, 0)
    assert [e.parameter for e in uniform.events] == [pytest.approx(5.0, abs=1e-11)]


def test_how_rods_leave_the_uniform_state(rods):
    """⟨P₂⟩_b = b/5 + b²/35 + …: β = 5 − 25S/7, and log ρ changes by 5S P₂."""
    size = float(np.sqrt(np.mean(p2(np.asarray(AXIS.axes[0])) ** 2)))
    found = phases.departures(rods[1].events[0])
    assert sorted(one.slope for one in found) == pytest.approx([-5 / 7 / size, 5 / 7 / size], rel=1e-6)


def test_the_pass_between_order_and_disorder(rods):
    """The saddle is the other b with the same β; its gap is the barrier."""
    ordered, uniform = rods
    ((beta, first, second),) = phases.coexistence(ordered, uniform)
    saddle = phases.mountain_pass(nematic(beta), second, first)
    b = root(lambda b: beta_of(b) - beta, 0.05, 1.4)
    assert beta * (saddle.free_energy - second.free_energy) == pytest.approx(gap(b), abs=1e-10)
    assert saddle.order == pytest.approx(mean_of(b)[1], abs=1e-8)


def test_the_order_of_unit_vectors_in_twenty_dimensions():
    """W = −⟨x, y⟩: r = A_d(βr), A_d = I_{d/2}/I_{d/2−1}; the slope of the equation is the curvature along it."""
    dim, beta, space = 20, 30.0, mk.Sphere(20)
    model = mk.langevin(space, interaction=mk.kernels.Zonal(lambda t: -t), beta=beta)
    grid = space.grid(16, axis=np.eye(dim)[0])
    state = phases.steady_state(model, mk.Density.from_function(grid, lambda x: jnp.exp(x[0])))
    ratio = lambda x: ive(dim / 2, x) / ive(dim / 2 - 1, x)  # noqa: E731
    r = root(lambda r: ratio(beta * r) - r, 0.1, 1.0)
    assert state.order == pytest.approx(r, abs=1e-9)
    # 1 − βA′(βr), A′ = 1 − (d − 1)A/x − A².
    assert state.curvatures[0] == pytest.approx(1 - beta * (1 - (dim - 1) / beta - r**2), abs=1e-8)
    assert (state.index, state.zero_modes) == (0, 0)


def test_an_index_among_zonal_densities_is_not_that_on_the_sphere():
    """Rods across an axis are a minimum among zonal densities; on S² they turn into the plane in two ways."""
    across = lambda x: jnp.exp(-0.9 * x[2] ** 2)  # noqa: E731
    states = [
        phases.steady_state(nematic(5.5), mk.Density.from_function(grid, across), picard=0)
        for grid in (AXIS, S2.grid(7))
    ]
    assert [(s.index, s.zero_modes) for s in states] == [(0, 0), (2, 2)]
    b = root(lambda b: beta_of(b) - 5.5, -1.5, -0.1)
    assert states[0].order == pytest.approx(mean_of(b)[1], abs=1e-9)
    # The reduced equation's slope 1 − β Var(P₂), and −β⟨(x₁² − x₂²)²⟩·3/4 for what turns into the plane.
    weight = lambda f: quad(lambda t: f(t) * math.exp(b * p2(t)), 0, 1)[0] / math.exp(mean_of(b)[0])  # noqa: E731
    assert states[0].curvatures[0] == pytest.approx(
        1 - 5.5 * (weight(lambda t: p2(t) ** 2) - mean_of(b)[1] ** 2), abs=1e-9
    )
    planar = 1 - 5.5 * 0.75 * weight(lambda t: 0.5 * (1 - t**2) ** 2)
    assert states[1].curvatures[:2] == pytest.approx(planar, abs=1e-4)


def test_a_circle_of_unit_vectors_is_a_torus():
    circle = mk.Sphere(2)
    model = mk.langevin(circle, interaction=mk.kernels.Zonal(lambda t: -t), beta=3.0)
    start = mk.Density.from_function(circle.grid(20), lambda x: jnp.exp(x[0] + 0.5 * x[1]))
    state = phases.steady_state(model, start)
    assert state.order == pytest.approx(oscillators.order_parameter(3.0, 1.0), abs=1e-10)
    assert (state.index, state.zero_modes) == (0, 1)


@pytest.mark.parametrize("normalised", [True, False])
def test_stationary_states_of_noisy_attention(normalised):
    """With Z(x) = ∫e^{β⟨x, y⟩}dμ, attention is ∇log Z/β, and ∇Z/β without its denominator. At the temperature T

        ρ ∝ Z^{1/βT},   or   ρ ∝ e^{Z/βT},

    solved on S¹ by iteration on NumPy's sums. One is not stationary for the other, and moves at the rate
    Tρ″ − (ρw′)′, w = log Z/β or Z/β, by NumPy's transforms. Both have |(log ρ)″| ≤ e^β/T = 25, so that the
    modes beyond 64 have a share of about e^{−64²/50}.
    """
    beta, heat, grid = 2.0, 0.3, mk.Sphere(2).grid(64)
    theta = np.asarray(grid.axes[0])
    kernel = np.exp(beta * np.cos(theta[:, None] - theta)) * grid.cell_volume
    weight = lambda z, kind: (np.log(z) if kind else z) / beta  # noqa: E731
    states = {}
    for kind in (True, False):
        rho = np.exp(np.cos(theta))
        for _ in range(400):
            exponent = weight(kernel @ (rho / rho.sum() / grid.cell_volume), kind) / heat
            rho = np.exp(exponent - exponent.max())
        states[kind] = rho / rho.sum() / grid.cell_volume
    model = mk.catalogue.self_attention(2, beta, normalised=normalised, temperature=heat).model

    def moved(rho, time, steps):
        return mk.evolve(model, mk.Density(grid, rho), until=time, dt=time / steps).final.values - rho

    here, other = states[normalised], states[not normalised]
    assert here.max() > 1.5 / (2 * np.pi)
    # A state is a fixed point of the scheme: what moves it is a rounding of each node's value in each of 40 steps.
    assert float(jnp.abs(moved(here, 0.2, 40)).max()) < 40 * grid.size * np.finfo(float).eps * here.max()
    wave = np.fft.fftfreq(theta.size, 1 / theta.size)
    slope = lambda f: np.real(np.fft.ifft(1j * wave * np.fft.fft(f)))  # noqa: E731
    rate = slope(heat * slope(other) - other * slope(weight(kernel @ other, normalised)))
    # In a time t the rate of a mode k changes by a share Tk²t/2 or so: .1 % for k = 18, where e^{−k²/50} is small.
    np.testing.assert_allclose(moved(other, 1e-5, 1) / 1e-5, rate, atol=1e-3 * np.abs(rate).max())
    assert np.abs(rate).max() > 0.3
