"""Geodesics of W₂ on grids, against Gaussians, the line, the circle, and what every geodesic satisfies."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mckean as mk
from mckean.measures import Density
from mckean.spaces import BoxGrid, Euclidean, FourierGrid, Torus
from mckean.transport.benamou_brenier import _nearest, geodesic


def _gaussian(grid, mean, width):
    mean, width = jnp.asarray(mean), jnp.asarray(width)
    return Density.from_function(grid, lambda x: jnp.exp(-0.5 * jnp.sum(((x - mean) / width) ** 2)))


def _plane(n):
    return BoxGrid(Euclidean(2), (n, n), (-4.0, -4.0), (4.0, 4.0))


def test_prox_solves_its_cubic_and_is_the_minimum():
    rng = np.random.default_rng(0)
    rho, m = jnp.asarray(rng.normal(size=4000) * 3), jnp.asarray(rng.normal(size=4000) * 10 ** rng.uniform(-6, 1, 4000))
    for gamma in (0.05, 1.0, 20.0):
        root, (flux,) = _nearest(rho, (m,), gamma)
        inside = root > 1e-9
        cubic = (root - rho) * (root + gamma) ** 2 - 0.5 * gamma * m**2
        size = (root + jnp.abs(rho)) * (root + gamma) ** 2
        assert float(jnp.max(jnp.where(inside, jnp.abs(cubic) / size, 0.0))) < 1e-9
        assert bool(jnp.all(jnp.where(inside, True, (rho * gamma**2 + 0.5 * gamma * m**2 <= 1e-6))))

        def value(r, f, gamma=gamma):
            return gamma * f**2 / (2 * r) + 0.5 * ((r - rho) ** 2 + (f - m) ** 2)

        for dr, df in ((1e-3, 0.0), (-1e-3, 0.0), (0.0, 1e-3), (0.0, -1e-3)):
            near = value(root * (1 + dr), flux + df)
            assert bool(jnp.all(jnp.where(inside, near >= value(root, flux) - 1e-9, True)))


def _half_minus_variance(mu):
    x, weights = np.asarray(mu.grid.nodes), np.asarray(mu.values).ravel() * mu.grid.cell_volume
    return -0.5 * weights @ np.sum((x - weights @ x) ** 2, axis=1)


def _affine_gap(run, middle, shift, width, change):
    """|v − (b − a) − (s₂ − s₁)x/s| at t = ½ relative to |b − a|, in L²(μ)."""
    half = len(run.energy) // 2
    v = 0.5 * (run.velocity[half - 1] + run.velocity[half])
    gap = v - (shift + change * run.grid.nodes.reshape(v.shape) / width)
    return float(jnp.sqrt(jnp.sum(middle.values[..., None] * gap**2) * run.grid.cell_volume)) / np.linalg.norm(shift)


def test_gaussians_in_the_plane_follow_bures_at_order_two_with_constant_speed():
    mean, first, second = np.array([0.9, 0.5]), np.array([0.55, 0.75]), np.array([0.75, 0.5])
    exact, tolerance = np.sqrt(4 * mean @ mean + np.sum((second - first) ** 2)), 6e-5
    curve, deviation = [], []
    for n in (16, 32):
        grid = _plane(n)
        run = geodesic(_gaussian(grid, -mean, first), _gaussian(grid, mean, second), times=n // 2, tolerance=tolerance)
        middle = _gaussian(grid, 0 * mean, 0.5 * (first + second))
        # The mean of two faces errs by h²/8 and τ²/8 of second derivatives, 1/w² of a field of width w. The action is
        # stationary under translations: there the first order vanishes.
        small = ((grid.spacing[0] / 0.5) ** 2 + (2 / n * exact / 0.5) ** 2) / 8
        assert abs(run.distance / exact - 1) < small**2 + tolerance
        assert float(jnp.std(run.energy) / jnp.mean(run.energy)) < small**2 + tolerance
        # In the plane the two second derivatives of a Gaussian are 2/w² in L²(μ).
        assert _affine_gap(run, middle, 2 * mean, 0.5 * (first + second), second - first) < 2 * small
        assert run.residual <= tolerance
        # The fields of the action are ≥ 0 and a tenth of the tolerance away; m has the size of ρ in the solver's units.
        between = 0.5 * (run.values[1:] + run.values[:-1])
        negative = jnp.linalg.norm(jnp.minimum(between, 0)) / jnp.linalg.norm(between)
        assert float(negative) < 0.1 * tolerance * np.sqrt(2)
        # ½∬W for W = −|z|²/2 is concave at every time, though the density far away has no energy to speak of.
        concave = [_half_minus_variance(run.density(k)) for k in range(n // 2 + 1)]
        bend = np.diff(concave, 2) * (n // 2) ** 2
        # Its second difference is −|s₂ − s₁|² at every time: what varies is of order h² and τ², 2/w² as above.
        assert np.ptp(bend) < 2 * small * np.sum((second - first) ** 2)
        assert run.continuity < 1e-11
        np.testing.assert_allclose(jnp.sum(run.values, axis=(1, 2)) * grid.cell_volume, 1, rtol=1e-11)
        curve.append(float(jnp.sum(jnp.abs(run.density(n // 4).values - middle.values)) * grid.cell_volume))
        deviation.append(small)
    # What is left of the iteration is some ten times its tolerance in ρ_t.
    allowed = np.log2(1 + deviation[0]) + 10 * tolerance / curve[1] / np.log(2)
    assert abs(np.log2(curve[0] / curve[1]) - 2) < allowed < 0.6


def test_the_line_splits_mass_as_the_quantiles_do():
    grid = BoxGrid(Euclidean(1), (96,), (-4.0,), (4.0,))
    mu = _gaussian(grid, [0.0], [0.5])
    nu = Density.from_function(grid, lambda x: jnp.exp(-4 * (x[0] - 1.5) ** 2) + 0.5 * jnp.exp(-4 * (x[0] + 1.5) ** 2))
    run, exact = geodesic(mu, nu, times=32, tolerance=1e-4), mk.wasserstein(mu, nu)
    small = grid.spacing[0] ** 2 * 8 / 8  # h²/8w², w² = 1/8
    assert abs(run.distance / exact - 1) < small
    u = (np.arange(20_000) + 0.5) / 20_000
    points = jnp.asarray(0.75 * _quantile(mu, u) + 0.25 * _quantile(nu, u))
    assert mk.wasserstein(run.density(8), mk.Particles(Euclidean(1), points[:, None])) < small * exact


def _quantile(mu, u):
    heights = np.concatenate([[0.0], np.cumsum(np.asarray(mu.values)) * mu.grid.spacing[0]])
    return np.interp(u, heights, np.linspace(mu.grid.lower[0], mu.grid.upper[0], len(heights)))


def test_the_circle_is_crossed_on_the_short_side_and_single_precision_is_kept():
    grid = FourierGrid(Torus(1, 1.0), (64,))

    def bump(centre):
        values = np.exp(10 * np.cos(2 * np.pi * (np.asarray(grid.nodes[:, 0]) - centre)))
        return Density(grid, jnp.asarray(values / values.mean(), jnp.float32))

    run = geodesic(bump(0.1), bump(0.9), times=16)
    assert run.values.dtype == run.velocity.dtype == jnp.float32
    # h²/8w² of a peak of width w = 1/2π√10.
    assert abs(run.distance / mk.wasserstein(bump(0.1), bump(0.9)) - 1) < (2 * np.pi / 64) ** 2 * 10 / 8
    assert int(jnp.argmax(run.values[8])) in (63, 0, 1)
    assert float(jnp.mean(run.momentum[0])) < 0


def test_equal_ends_and_bad_input():
    grid = BoxGrid(Euclidean(1), (16,), (-4.0,), (4.0,))
    mu, nu = _gaussian(grid, [0.0], [0.7]), _gaussian(grid, [1.0], [0.7])
    assert geodesic(mu, mu, times=4).distance < 1e-6
    back, there = geodesic(nu, mu, times=4), geodesic(mu, nu, times=4)
    np.testing.assert_allclose(back.distance, there.distance, rtol=1e-4)
    with pytest.raises(RuntimeError, match=r"residual .* after 20 iterations"):
        geodesic(mu, nu, times=4, tolerance=1e-9, max_iterations=5)
    with pytest.raises(ValueError, match="outside jit"):
        jax.jit(lambda m: geodesic(m, nu).values)(mu)
    other = BoxGrid(Euclidean(1), (16,), (-4.0,), (4.5,))
    with pytest.raises(ValueError, match="one grid"):
        geodesic(mu, _gaussian(other, [0.0], [0.7]))
    with pytest.raises(ValueError, match="at least 2 steps"):
        geodesic(mu, nu, times=1)
    with pytest.raises(ValueError, match="tolerance"):
        geodesic(mu, nu, tolerance=0.0)
    heavy = Density(grid, mu.values * (1 + 9e-6))
    with pytest.raises(ValueError, match="one mass"):
        geodesic(heavy, Density(grid, mu.values * (1 - 9e-6)))
