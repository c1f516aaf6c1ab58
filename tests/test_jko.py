"""Minimising movements: closed forms, exact transport, mass, the energy inequality, and what is refused."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mckean as mk
from mckean.catalogue.porous_media import barenblatt, radius, spreading
from mckean.dynamics.jko import JKO, dual, gaussian
from mckean.dynamics.jko.scheme import minimise
from mckean.faults import Fault
from mckean.measures.lagrangian import Lagrangian
from mckean.spaces.staggered import axes_of
from mckean.transport.ctransform import c_transform

LINE, PLANE, CIRCLE = mk.Euclidean(1), mk.Euclidean(2), mk.Torus(1)
LINEAR = mk.langevin(LINE, mk.potentials.Quadratic(1.0), mk.kernels.Quadratic(0.5), beta=2.0)
BOWL = mk.langevin(LINE, mk.potentials.Quadratic(1.0), beta=2.0)
START = mk.Gaussian(0.7, 0.4)


def closed_form(steps, tau, a=1.0, c=0.5, beta=2.0):
    """m⁺ = m/(1 + aτ), s⁺ = (s + √(s² + 4τk/β))/2k, k = 1 + τ(a + c): mean and variance after the steps."""
    m, s, k = 0.7, math.sqrt(0.4), 1 + tau * (a + c)
    for _ in range(steps):
        m, s = m / (1 + tau * a), (s + math.sqrt(s * s + 4 * tau * k / beta)) / (2 * k)
    return m, s * s


def test_gaussian_steps_obey_the_closed_form_and_the_optimality_condition():
    """FACTS in one dimension; in three, with V and S that do not commute, the map back from X must be P X P = S."""
    end = mk.evolve(LINEAR, START, until=1.0, dt=0.1, scheme=JKO()).final
    np.testing.assert_allclose([end.mean[0], end.covariance[0, 0]], closed_form(10, 0.1), rtol=1e-13)
    a = np.random.default_rng(1).normal(size=(2, 3, 3))
    hessian, cov = (m @ m.T + 0.1 * np.eye(3) for m in a)
    model = mk.langevin(mk.Euclidean(3), lambda x: 0.5 * x @ jnp.asarray(hessian) @ x, beta=2.0)
    tau, beta = 0.3, 2.0
    new, _, _, excess = minimise(model, mk.Gaussian(np.ones(3), cov), jnp.asarray(tau))
    x = np.asarray(new.covariance)
    p = np.eye(3) + tau * hessian - tau / beta * np.linalg.inv(x)
    np.testing.assert_allclose(p @ x @ p, cov, rtol=0, atol=1e-12)
    assert np.linalg.eigvalsh(p).min() > 0
    np.testing.assert_allclose((np.eye(3) + tau * hessian) @ new.mean, np.ones(3), atol=1e-12)
    assert float(excess) < -1e-3


def test_lagrangian_cells_are_the_density_exactly():
    grid = LINE.grid(40, -3.0, 3.0)
    density = mk.Density.from_function(grid, lambda x: jnp.maximum(1 - x[0] ** 2, 0.0))
    cells = Lagrangian.from_density(density)
    assert cells.masses.size < 40
    np.testing.assert_allclose(cells.density(grid).values, density.values, rtol=0, atol=1e-14)
    assert mk.wasserstein(cells, density) < 1e-7
    shifted = Lagrangian(1.7 * cells.ends + 0.3, cells.masses)
    d = np.asarray(shifted.ends - cells.ends)
    exact = math.sqrt(float((cells.masses * (d[1:] ** 2 + d[1:] * d[:-1] + d[:-1] ** 2)).sum() / 3))
    assert mk.wasserstein(shifted, cells) == pytest.approx(exact, rel=1e-12)
    draws = cells.sample(jax.random.key(0), 4000).positions
    assert abs(float(jnp.mean(draws))) < 5 * 0.45 / math.sqrt(4000)


def test_quantile_steps_converge_to_the_gaussian_ones_at_order_two_in_the_cells():
    """From equal cells over ±5 standard deviations, with W inside; and energy falls by at least W₂²/2τ."""
    gaps = []
    for n in (50, 100):
        mu = Lagrangian.from_density(mk.Density.from_law(LINE.grid(n, -2.5, 3.9), START))
        run = mk.evolve(LINEAR, mu, until=0.5, dt=0.1, scheme=JKO(), observe={"F": mk.observables.free_energy}, every=1)
        assert np.diff(np.asarray(run.observed["F"])).max() < -1e-3
        mean = float(run.final.integrate(lambda x: x[0]))
        gaps.append(float(run.final.integrate(lambda x: x[0] ** 2)) - mean**2 - closed_form(5, 0.1)[1])
    assert mean == pytest.approx(closed_form(5, 0.1)[0], rel=1e-4)
    assert abs(math.log2(gaps[0] / gaps[1]) - 2) < 0.15


def second_moment(mu):
    return float(mu.integrate(lambda x: jnp.sum(x**2)))


solve = eqx.filter_jit(dual.solve)
PLANE_BOWL = mk.langevin(PLANE, mk.potentials.Quadratic(1.0), beta=2.0)
MEDIUM = mk.Model(PLANE, internal=mk.PorousMedium(2.0))


def test_the_dual_step_of_a_gaussian_on_a_grid_converges_at_order_two():
    """Against the closed form in the plane: change of ∫|x|²ρ, and F(μ⁺) + W₂²/2τ − F(μ)."""
    start = mk.Gaussian(jnp.array([0.5, 0.0]), 0.3 * jnp.eye(2))
    tau = jnp.asarray(0.1)
    k = 1.1
    s = (math.sqrt(0.3) + math.sqrt(0.3 + 2 * 0.1 * k)) / (2 * k)
    exact, rise = 2 * s * s + (0.5 / k) ** 2, gaussian.move(PLANE_BOWL, start, tau)[1]
    gaps = []
    for n in (64, 128):
        mu = mk.Density.from_law(PLANE.grid(n, -4.0, 4.0), start)
        found = solve(PLANE_BOWL, mu, tau)
        new = mk.Density(mu.grid, found.values)
        assert float(found.residual) <= 0.1
        assert abs(float(new.mass) - 1) < 1e-12
        gaps.append(second_moment(new) - exact)
        # The change itself is 0.17; the variance of a cell is h²/12.
        assert abs(float(found.rise - rise)) < (8 / n) ** 2 / 12 * abs(float(rise)) / 0.3
    assert abs(math.log2(gaps[0] / gaps[1]) - 2) < 0.3


def test_the_dual_step_dilates_barenblatts_profile():
    """The minimiser from ρ is its dilation by s with 2E s⁻³ = M(s − 1)/τ, E = ∫ρ², M = ∫|x|²ρ; order h²/R²."""
    mu = barenblatt(PLANE.grid(64, -2.5, 2.5), 2.0, 1.0, 1.0, scale=spreading(0.2, 0.0, 2.0, 1.0, 2))
    power, moment, tau = float(jnp.sum(mu.values**2)) * mu.grid.cell_volume, second_moment(mu), 0.1
    s = max(np.roots([1, -1, 0, 0, -2 * power * tau / moment]).real)
    found = solve(MEDIUM, mu, jnp.asarray(tau))
    new = mk.Density(mu.grid, found.values)
    allowed = (5 / 64) ** 2
    assert abs(second_moment(new) / moment - s**2) < allowed * (s**2 - 1)
    rise = power * (s**-2 - 1) + moment * (s - 1) ** 2 / (2 * tau)
    assert abs(float(found.rise) / rise - 1) < allowed
    assert abs(float(new.mass) - 1) < 1e-12
    assert float(found.residual) < 1


BELL = mk.Density.from_function(LINE.grid(64, -4.0, 4.0), lambda x: jnp.exp(-(x[0] ** 2)))


@pytest.mark.parametrize("exponent", [1.5, 2.0])
def test_dilations_are_found_for_each_exponent(exponent):
    """The minimiser from a profile is its dilation, s = 1 + τqPs^{−q−1}/M with q = m − 1 and P = ∫U.

    The ascent stops at 10⁻² of the distance moved, s − 1; nodes err by (h/R)².
    """
    tau, q, pressure = 0.05, exponent - 1, mk.PorousMedium(exponent)
    mu = barenblatt(BELL.grid, exponent, 1.0, 1.0, scale=1.2)
    power, moment, s = float(jnp.sum(pressure(mu.values))) * mu.grid.cell_volume, second_moment(mu), 1.0
    for _ in range(100):
        s = 1 + tau * q * power * s ** (-q - 1) / moment
    found = solve(mk.Model(LINE, internal=pressure), mu, jnp.asarray(tau))
    assert float(found.residual) <= 1
    allowed = (0.125 / 1.2 / radius(exponent, 1.0, 1.0, 1)) ** 2 + 1e-2
    assert abs(second_moment(mk.Density(mu.grid, found.values)) / moment - s**2) < allowed * (s**2 - 1)


@pytest.mark.parametrize("tau", [0.01, 0.02, 0.05])
def test_a_bell_spreads_on_a_box_as_its_quantiles_do(tau):
    """Tails next to nothing, where the level of mass 1 is found to rounding. Beside cells with exact transport.

    The mean square grows by what the quantiles say, up to 10⁻² of the distance moved, and h² relatively.
    """
    model = mk.Model(LINE, internal=mk.PorousMedium(2.0))
    found = solve(model, BELL, jnp.asarray(tau))
    assert float(found.residual) <= 1
    cells = Lagrangian.from_density(BELL)
    exact, _, _, rise = minimise(model, cells, jnp.asarray(tau))
    grown = [
        second_moment(end) - second_moment(mu)
        for end, mu in ((mk.Density(BELL.grid, found.values), BELL), (exact, cells))
    ]
    assert abs(grown[0] / grown[1] - 1) < 0.125**2 + 1e-2
    assert abs(float(found.rise / rise) - 1) < 0.125**2 + 1e-2


def test_a_porous_medium_in_a_bowl_is_carried_to_its_middle():
    """The mean of a step is m/(1 + τ); F falls in each step and mass stays 1."""
    model = mk.Model(PLANE, confinement=mk.potentials.Quadratic(1.0), internal=mk.PorousMedium(2.0))
    grid = PLANE.grid(96, -2.5, 2.5)
    mu = mk.Density.from_function(grid, lambda x: jnp.maximum(0.4 - jnp.sum((x - jnp.array([0.5, 0.2])) ** 2), 0))
    run = mk.evolve(model, mu, until=0.15, dt=0.05, scheme=JKO(), observe={"F": mk.observables.free_energy}, every=1)
    mean = np.asarray(run.final.integrate(lambda x: x))
    assert np.abs(mean - np.array([0.5, 0.2]) / 1.05**3).max() < (5 / 96) ** 2
    assert np.diff(np.asarray(run.observed["F"])).max() < 0
    assert abs(float(run.final.mass) - 1) < 1e-12


def test_equilibria_on_a_grid_do_not_move_and_mass_at_the_walls_is_refused():
    grid = PLANE.grid(64, -4.0, 4.0)
    gibbs = mk.Density.from_function(grid, lambda x: jnp.exp(-jnp.sum(x**2)))
    found = solve(PLANE_BOWL, gibbs, jnp.asarray(0.1))
    np.testing.assert_allclose(found.values, gibbs.values, rtol=0, atol=1e-12)
    even = mk.Density.from_function(grid, lambda x: 1.0)
    stepper = JKO().begin(PLANE_BOWL, gibbs, 0.1)
    found = stepper.inspect(even)
    assert found.fault is Fault.WALLS
    assert float(found.size) == pytest.approx(4 / 64)  # a corner is at two walls
    assert not stepper.inspect(gibbs).bad


def test_carried_mass_is_the_derivative_of_the_c_transform():
    """Mass exact, the mean that of T = y + τa for φ = a·x away from the walls, and no spreading but the spline's."""
    n, tau, a = 64, 0.3, 0.37
    axes = axes_of(LINE.grid(n, 0.0, 64.0))
    y = jnp.arange(n) + 0.5
    mu = jnp.exp(-((y - 30) ** 2) / 8)
    mu = mu / mu.sum()
    pull = jax.vjp(lambda c: c_transform(c, axes, jnp.asarray(tau)), a * y)[1]
    carried = -pull(mu)[0]
    mean = float(carried @ y)
    assert float(carried.sum()) == pytest.approx(1, abs=1e-13)
    assert float(carried.min()) >= 0
    assert mean == pytest.approx(float(mu @ y) + tau * a, abs=1e-9)
    spread = float(carried @ (y - mean) ** 2) - float(mu @ (y - mu @ y) ** 2)
    assert spread == pytest.approx(0.25, abs=1e-12)


def test_what_is_refused():
    cells = Lagrangian.from_density(mk.Density.from_law(LINE.grid(50, -3.0, 4.0), START))
    box = mk.Density.from_law(PLANE.grid(16, -4.0, 4.0), mk.Gaussian(jnp.zeros(2), jnp.eye(2) / 2))
    down = mk.langevin(LINE, mk.potentials.Quadratic(-3.0), beta=2.0)
    hole = mk.Density.from_function(LINE.grid(30, -1.0, 1.0), lambda x: jnp.where(jnp.abs(x[0]) > 0.5, 1.0, 0.0))
    round_ = mk.Density.from_function(CIRCLE.grid(16), lambda x: 1 + 0.5 * jnp.cos(x[0]))
    cases = [
        (down, START, 0.5, "not bounded below: in the mean its curvature is -3"),
        (mk.langevin(LINE, lambda x: -jnp.sum(x**4), beta=2.0), cells, 0.5, "not bounded below: .* at x ="),
        (mk.langevin(LINE, interaction=mk.kernels.PowerLaw(1.0, 0.0), beta=2.0), cells, 0.1, "a W that is finite at 0"),
        (mk.Model(PLANE, confinement=mk.potentials.Quadratic(1.0)), box, 0.1, "under entropy or under a porous medium"),
        (mk.langevin(CIRCLE), round_, 0.1, "or a Density on a box"),
        (LINEAR, START, -0.1, "must be positive"),
        (mk.Model(LINE, drift=lambda x, mu: x), cells, 0.1, "needs a gradient flow"),
    ]
    for model, measure, dt, message in cases:
        with pytest.raises(ValueError, match=message):
            mk.evolve(model, measure, until=abs(dt), dt=dt, scheme=JKO())
    with pytest.raises(ValueError, match="vanishes between"):
        Lagrangian.from_density(hole)


def test_a_step_that_is_not_found_says_by_how_much(monkeypatch):
    """With two iterations where the method needs more: the error has the residual, the iterations and the step."""
    monkeypatch.setattr("mckean.dynamics.jko.quantiles._ITERATIONS", 2)
    cells = Lagrangian.from_density(mk.Density.from_law(LINE.grid(31, -2.0, 3.0), START))
    with pytest.raises(mk.RunError, match=r"the residual is .* times what is allowed.*step 1, t = 0\.3"):
        mk.evolve(BOWL, cells, until=0.6, dt=0.3, scheme=JKO())


@pytest.mark.parametrize("interaction", [None, mk.kernels.Quadratic(0.5)], ids=["V", "V and W"])
def test_cells_on_the_line_move_in_single_precision(interaction):
    """Next to double precision: the same step to the tolerance of Newton's method, eps^{2/3} of the extent, 2."""
    model = mk.langevin(LINE, mk.potentials.Quadratic(1.0), interaction)
    ends, masses = np.linspace(-1, 1, 9), np.full(8, 0.125)
    single = Lagrangian(ends.astype("float32"), masses.astype("float32"))
    found = [
        mk.evolve(model, mu, until=0.1, dt=0.1, scheme=JKO()).final.ends for mu in (single, Lagrangian(ends, masses))
    ]
    assert [x.dtype for x in found] == ["float32", "float64"]
    np.testing.assert_allclose(*found, rtol=0, atol=2 * float(jnp.finfo("float32").eps) ** (2 / 3))


class Bowl(eqx.Module):
    stiffness: jax.Array

    def __call__(self, x):
        return 0.5 * self.stiffness * jnp.sum(x**2)


def enclosed(theta):
    """The stiffness is in a closure, which no tree of parameters shows."""
    return mk.langevin(LINE, lambda x: 0.5 * theta[0] * x[0] ** 2, mk.kernels.Quadratic(0.5), beta=theta[1])


def porous(theta):
    return mk.Model(LINE, confinement=Bowl(theta[0]), internal=mk.PorousMedium(1.5, theta[1]))


def on_box(theta):
    """A bell whose centre is a parameter."""
    values = jnp.exp(-((jnp.asarray(BELL.grid.nodes)[:, 0] - theta[2]) ** 2))
    return mk.Density(BELL.grid, values / (jnp.sum(values) * BELL.grid.cell_volume))


def in_cells(theta):
    ends, masses = jnp.linspace(-2.0, 2.0, 17) * (1 + 0.1 * theta[2]) + theta[2], jnp.arange(1.0, 17.0)
    return Lagrangian(ends, masses / jnp.sum(masses))


DERIVATIVES = {"box": (enclosed, on_box), "box, edge": (porous, on_box), "cells": (enclosed, in_cells)}


@pytest.mark.parametrize("name", DERIVATIVES)
def test_derivatives_of_two_steps(name, monkeypatch):
    """By V, by β or s, and by the start, in both modes: central differences of minimisers that are found well.

    What passes through the ascent alone was a thousandth of it.
    """
    model, start = DERIVATIVES[name]
    for goal in ("_SMOOTH_GOAL", "_EDGE_GOAL"):
        monkeypatch.setattr(f"mckean.dynamics.jko.dual.{goal}", 1e-9)
    theta, width = jnp.array([1.0, 2.0, 0.3]), 1e-2

    def mean(theta):
        run = mk.evolve(model(theta), start(theta), until=0.2, dt=0.1, scheme=JKO(edge_tolerance=1.0))
        return run.final.integrate(lambda x: x[0] ** 2 + x[0])

    @jax.jit
    def both(theta):
        value, forward = jax.linearize(mean, theta)
        return value, jax.vmap(forward)(jnp.eye(3)), jax.linear_transpose(forward, theta)(jnp.ones(()))[0]

    _, forward, backward = both(theta)
    moved = [[both(theta + sign * width * e)[0] for sign in (1, -1)] for e in jnp.eye(3)]
    plain = np.array([(up - down) / (2 * width) for up, down in moved])
    np.testing.assert_allclose(forward, backward, rtol=1e-6)
    # The third derivatives are of the size of the first.
    np.testing.assert_allclose(backward, plain, rtol=4 * width**2, atol=4 * width**2 * np.abs(plain).max())
    assert np.abs(plain).min() > 40 * width**2


def test_derivatives_of_a_gaussian_step_where_eigenvalues_are_equal():
    """Of the root mean square and the mean of a round law in the plane, by a, β and its variance: the closed form's."""

    def closed(theta):
        a, beta, variance = theta
        k = 1 + 0.1 * a
        s = (jnp.sqrt(variance) + jnp.sqrt(variance + 0.4 * k / beta)) / (2 * k)
        return s**2 + 0.5 / k

    def stepped(theta):
        model = mk.langevin(PLANE, Bowl(theta[0]), beta=theta[1])
        new, _ = gaussian.move(model, mk.Gaussian(jnp.array([0.5, 0.0]), theta[2] * jnp.eye(2)), jnp.asarray(0.1))
        return new.covariance[1, 1] + new.mean[0]

    theta = jnp.array([1.0, 2.0, 0.3])
    for derivative in (jax.jacrev, jax.jacfwd):
        np.testing.assert_allclose(jax.jit(derivative(stepped))(theta), jax.jit(jax.grad(closed))(theta), rtol=1e-9)
