"""Densities on a box: orders in time and space, discrete modes, Gibbs states, positivity and free energy at any dt."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pde
import pytest
from schemes import BOX, EXPLICIT, IMPLICIT, LINE, PLANE, linear, wells

import mckean as mk

A, C, BETA, T = 1.0, 0.5, 2.0, 0.5
GRIDS = [LINE.grid(n, -5.0, 5.0) for n in (20, 40, 80)]


def moved(model, mu, until, steps, scheme=IMPLICIT, **options):
    return mk.evolve(model, mu, until=until, dt=until / steps, scheme=scheme, **options)


def assert_order(errors, order, power):
    """Errors at h, h/2, h/4, …: the exponent from one to the next is off by a multiple of h^power: extrapolate it."""
    exponents = np.log2(np.divide(errors[:-1], errors[1:]))
    last = abs(exponents[-1] - exponents[-2])
    assert abs(exponents[-1] + (exponents[-1] - exponents[-2]) / (2**power - 1) - order) < last < 0.3


@pytest.mark.parametrize(("scheme", "order", "steps"), [(IMPLICIT, 1, 16), (EXPLICIT, 2, 64)])
def test_order_in_time(scheme, order, steps):
    """A double well with an attractive kernel: by the differences of runs whose steps are halved."""
    ends = [moved(wells(-0.8), BOX, 0.4, steps * n, scheme).final.values for n in (1, 2, 4, 8, 16)]
    assert_order([float(jnp.linalg.norm(a - b)) for a, b in itertools.pairwise(ends)], order, 1)


def gaussian(mean, variance):
    return lambda x: jnp.exp(-0.5 * (x[0] - mean) ** 2 / variance)


def relaxed(start):
    """The linear model at time T; the steps are ∝ h², so that time errs by h⁴."""
    return moved(linear(C), start, T, start.grid.size**2 // 25, EXPLICIT).final


def test_order_in_space_against_ornstein_uhlenbeck():
    """Mean m e^{−at} and v′ = −2(a + c)v + 2/β of a Gaussian."""
    limit = 1 / (BETA * (A + C))
    mean, variance = 0.7 * math.exp(-A * T), limit + (0.4 - limit) * math.exp(-2 * (A + C) * T)
    errors = []
    for grid in GRIDS:
        exact = mk.Density.from_function(grid, gaussian(mean, variance)).values
        end = relaxed(mk.Density.from_function(grid, gaussian(0.7, 0.4)))
        errors.append(float(jnp.linalg.norm(end.values - exact)) / math.sqrt(grid.size))
    assert_order(errors, 2, 2)


class McKean(pde.PDEBase):
    """∂ρ = ∂((ax + c(x − m))ρ) + β⁻¹∂²ρ, m the mean of ρ, by py-pde's central differences."""

    def evolution_rate(self, state, t=0):
        absorbing, x = {"x": {"value": 0}}, state.grid.axes_coords[0]
        drift = A * x + C * (x - np.sum(x * state.data) / np.sum(state.data))
        flux = pde.ScalarField(state.grid, drift * state.data)
        return flux.gradient(absorbing, backend="scipy")[0] + state.laplace(absorbing, backend="scipy") / BETA


def test_order_in_space_against_py_pde():
    """From two bumps; both methods are of order 2, and so is their difference."""
    gaps = []
    for grid in GRIDS:
        start = mk.Density.from_function(grid, lambda x: gaussian(-1.0, 0.2)(x) + 2 * gaussian(1.2, 0.3)(x))
        field = pde.ScalarField(pde.CartesianGrid([[-5, 5]], grid.size), np.asarray(start.values))
        oracle = McKean().solve(field, T, dt=1e-3, solver="runge-kutta", backend="scipy", tracker=None)
        gaps.append(np.linalg.norm(np.asarray(relaxed(start).values) - oracle.data) / math.sqrt(grid.size))
    assert_order(gaps, 2, 2)


@pytest.mark.parametrize(("scheme", "dt"), [(IMPLICIT, 0.3), (EXPLICIT, 0.01)])
def test_modes_between_walls(scheme, dt):
    """cos(πx/2)cos(πy/6) is an eigenvector of the discrete Laplacian without flux: a step multiplies it."""
    grid, beta, q = PLANE.grid((8, 12), (0.0, 0.0), (2.0, 6.0)), 4.0, (math.pi / 2, math.pi / 6)
    start = mk.Density.from_function(grid, lambda x: 1 + 0.5 * jnp.cos(q[0] * x[0]) * jnp.cos(q[1] * x[1]))
    end = moved(mk.langevin(PLANE, beta=beta), start, 4 * dt, 4, scheme).final
    rates = [(2 / h * math.sin(k * h / 2)) ** 2 / beta for k, h in zip(q, grid.spacing, strict=True)]
    z = dt * sum(rates)
    factor = 1 - z + z**2 / 2 if scheme is EXPLICIT else 1 / ((1 + dt * rates[0]) * (1 + dt * rates[1]))
    exact = start.values.mean() + factor**4 * (start.values - start.values.mean())
    np.testing.assert_allclose(end.values, exact, rtol=1e-14)


def saddle(x):
    """A potential that is no sum over coordinates."""
    return 0.25 * jnp.sum(x**2) ** 2 - 0.5 * jnp.sum(x**2) + 0.3 * x[0] * x[1]


@pytest.mark.parametrize("grid", [LINE.grid(24, -3.0, 3.0), PLANE.grid(12, -3.0, 3.0)], ids=["line", "plane"])
def test_gibbs_states_are_kept(grid):
    """e^{−βV} does not move, at any step."""
    potential = saddle if grid.space == PLANE else mk.potentials.DoubleWell()
    model = mk.langevin(grid.space, potential, beta=3.0)
    gibbs = mk.Density.from_function(grid, lambda x: jnp.exp(-3 * potential(x)))
    for until, steps, scheme in ((1.0, 100, IMPLICIT), (100.0, 10, IMPLICIT), (0.1, 100, EXPLICIT)):
        end = moved(model, gibbs, until, steps, scheme).final
        np.testing.assert_allclose(end.values, gibbs.values, rtol=0, atol=1e-14)


@pytest.mark.parametrize("dt", [1e-3, 0.1, 10.0, 1e3])
def test_implicit_steps_are_positive_and_lose_free_energy_at_any_length(dt):
    """From two bumps: attraction, repulsion, and a repulsion that would overshoot if its field were frozen."""
    bumps = lambda x: jnp.exp(-50 * (x[0] - 0.5) ** 2) + 0.3 * jnp.exp(-8 * (x[0] + 1.5) ** 2)  # noqa: E731
    start = mk.Density.from_function(BOX.grid, bumps)
    for strength in (-5.0, 1.0, 20.0):
        run = moved(wells(strength), start, 20 * dt, 20, every=1, observe={"F": mk.observables.free_energy})
        energies = np.asarray(run.observed["F"])
        assert np.diff(energies).max() < 1e-14 * np.abs(energies).max()
        assert energies[0] - energies[-1] > 1e-3
        assert run.final.values.min() >= 0
        assert abs(float(run.final.mass) - 1) < 1e-15


def test_damping_ends_where_the_free_energy_does():
    """The steps that were cut short lead to the state that short steps lead to.

    F comes to rest within the 10⁻¹⁴|F| of its own rounding, and ½Σ(δρ)²h/βρ is at most what F is off.
    """
    model = wells(20.0)
    ends = [moved(model, BOX, t, steps).final for t, steps in ((300.0, 300), (30.0, 3000))]
    energies = [float(mk.energy.free_energy(model, end)) for end in ends]
    rounding = 1e-14 * abs(energies[0])
    assert abs(energies[0] - energies[1]) < rounding
    near = math.sqrt(2 * rounding * float(model.beta) * float(ends[0].values.max()) / BOX.grid.cell_volume)
    np.testing.assert_allclose(ends[0].values, ends[1].values, rtol=0, atol=near)


def test_explicit_steps_are_bounded():
    """Without drift an inner cell empties at the rate 2/(βh²); the message has the bound, and at the bound ρ ≥ 0."""
    grid = LINE.grid(16, 0.0, 4.0)
    spike = mk.Density(grid, jnp.zeros(16).at[5].set(4.0))
    model, bound = mk.langevin(LINE, beta=2.0), 0.25**2
    with pytest.raises(ValueError, match=r"dt = 0.0626 is unstable .* must not exceed 0.0625\."):
        moved(model, spike, 0.0626, 1, EXPLICIT)
    assert moved(model, spike, 8 * bound, 8, EXPLICIT).final.values.min() >= 0


def test_transport_without_noise_is_upwind():
    """V = x/2 moves the mean by −t/2 exactly, by either scheme, and keeps the density positive."""
    start = mk.Density.from_function(LINE.grid(40, -6.0, 6.0), gaussian(2.0, 0.2))
    model = mk.langevin(LINE, lambda x: 0.5 * x[0], beta=math.inf)
    for scheme in (IMPLICIT, EXPLICIT):
        end = moved(model, start, 1.0, 10, scheme).final
        np.testing.assert_allclose(end.integrate(lambda x: x) - start.integrate(lambda x: x), -0.5, atol=1e-8)
        assert end.values.min() >= 0


PATH = mk.Brownian(jax.random.key(5))
SHIFT = mk.langevin(LINE, mk.potentials.Quadratic(A), mk.kernels.Quadratic(C), beta=BETA, common=mk.Additive(0.8))
# Shifts along a direction, and rotations.
WHIRL = mk.langevin(
    PLANE,
    mk.potentials.Quadratic(A),
    mk.kernels.Quadratic(C),
    beta=BETA,
    common=[
        mk.Additive(jnp.array([[0.5], [0.2]])),
        mk.Multiplicative(lambda x, mu: jnp.stack([-x[1], x[0]])[:, None], "stratonovich"),
    ],
)
OVAL = mk.Gaussian(jnp.array([0.6, -0.2]), jnp.array([[0.5, 0.1], [0.1, 0.3]]))


@pytest.mark.parametrize(
    ("model", "start", "cells", "steps", "time"),
    [(SHIFT, mk.Gaussian(0.7, 0.4), 60, 64, "explicit"), (WHIRL, OVAL, 24, 16, "implicit")],
    ids=["shift", "whirl"],
)
def test_common_noise_against_the_gaussian_law(model, start, cells, steps, time):
    """On one path, with dt ∝ h²: the order is 2 in h, as the noise's in dt is 1."""
    errors, scheme = [], mk.FiniteVolume(time, edge_tolerance=math.inf)
    for refined in (1, 2):
        grid, path = model.space.grid(cells * refined, -4.5, 4.5), PATH.refine(refined**2)
        law = moved(model, start, 0.5, steps * refined**2, None, path=path).final
        exact = mk.Density.from_law(grid, law).values
        end = moved(model, mk.Density.from_law(grid, start), 0.5, steps * refined**2, scheme, path=path).final
        errors.append(float(jnp.linalg.norm(end.values - exact) / jnp.linalg.norm(exact)))
    assert abs(np.log2(errors[0] / errors[1]) - 2) < 0.3


def test_a_common_shift_is_nearly_rigid():
    """Under a unit additive noise alone a law widens by less than a hundredth of h E|ΔB|/dt, as by upwinding."""
    grid, dt = LINE.grid(120, -6.0, 6.0), 0.01
    model = mk.langevin(LINE, beta=math.inf, common=mk.Additive(1.0))
    start = mk.Density.from_function(grid, gaussian(0.0, 0.3))
    end = moved(model, start, 1.0, 100, path=PATH).final
    shift = float(PATH.coarsen(100).environment.increment(0, 1.0, (1,))[0])
    np.testing.assert_allclose(end.integrate(lambda x: x[0]), shift, atol=1e-4)
    widening = float(end.integrate(lambda x: (x[0] - shift) ** 2) - start.integrate(lambda x: x[0] ** 2))
    assert 0 < widening < 0.01 * grid.spacing[0] * math.sqrt(2 / (math.pi * dt))


@pytest.mark.parametrize("dt", [0.01, 10.0])
def test_common_noise_in_steps_of_any_length(dt):
    """From a spike, with fields that compress and one that sees the measure: mass and positivity are kept."""

    def crowd(x, mu):
        return jnp.sin(3 * x) * (1 + mu.integrate(lambda y: jnp.tanh(y[0])))

    common = [mk.Additive(1.0), mk.Multiplicative(crowd, "stratonovich")]
    model = mk.langevin(PLANE, saddle, mk.kernels.Gaussian(5.0, 0.7), beta=20.0, common=common)
    grid = PLANE.grid(12, -3.0, 3.0)
    spike = mk.Density(grid, jnp.zeros(grid.shape).at[5, 6].set(4.0))
    end = moved(model, spike, 10 * dt, 10, path=PATH).final
    assert end.values.min() >= 0
    assert abs(float(end.mass) - 1) < 1e-13


def test_a_common_noise_of_ito_is_refused():
    model = mk.langevin(LINE, common=mk.Multiplicative(lambda x, mu: 0.5 * x))
    with pytest.raises(ValueError, match="solved in the sense of Stratonovich, but the model's common noise is meant"):
        moved(model, BOX, 1.0, 20, path=PATH)
