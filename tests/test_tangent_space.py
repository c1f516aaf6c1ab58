"""The tangent space of W₂ at a density: exact potentials, projections, gradients of functionals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mckean as mk
from mckean.interactions.kernels import Cosine
from mckean.measures import Density
from mckean.models import energy
from mckean.spaces import BoxGrid, Euclidean, FourierGrid, Torus
from mckean.spaces.staggered import axes_of, divergence, gradient, onto_cells, onto_faces, poisson
from mckean.transport.tangent_space import (
    h_minus_one,
    helmholtz,
    inner,
    on_faces,
    otto,
    tangent,
    variation,
    wasserstein_gradient,
)


def _box(d, n=12):
    return BoxGrid(Euclidean(d), (n, n + 1, n - 2)[:d], (-2.0,) * d, (2.0, 1.5, 2.5)[:d])


def _grids():
    return [_box(3, 8), FourierGrid(Torus(2), (8, 9))]


def _bump(grid):
    return Density.from_function(grid, lambda x: jnp.exp(jnp.sum(jnp.cos(x)) + 0.3 * jnp.sin(x[0])))


def _gaussian(n):
    grid = BoxGrid(Euclidean(1), (n,), (-6.0,), (6.0,))
    return Density.from_function(grid, lambda x: jnp.exp(-0.5 * x[0] ** 2))


@pytest.mark.parametrize("grid", _grids(), ids=str)
def test_gradient_and_divergence_are_adjoint_and_poisson_inverts_them(grid):
    axes, rng = axes_of(grid), np.random.default_rng(0)
    f = jnp.asarray(rng.normal(size=grid.shape))
    faces = tuple(jnp.asarray(rng.normal(size=part.shape)) for part in gradient(f, axes))
    flow = sum(jnp.sum(a * b) for a, b in zip(gradient(f, axes), faces, strict=True))
    np.testing.assert_allclose(flow, -jnp.sum(f * divergence(faces, axes)), rtol=1e-11)
    means = sum(jnp.sum(a * b) for a, b in zip(onto_faces((f,) * len(axes), axes), faces, strict=True))
    np.testing.assert_allclose(means, sum(jnp.sum(f * part) for part in onto_cells(faces, axes)), rtol=1e-11)
    for shift in (0.0, 0.7):
        phi = poisson(f, axes, shift)
        back = shift * phi - divergence(gradient(phi, axes), axes)
        np.testing.assert_allclose(back, f - (f.mean() if shift == 0 else 0), atol=1e-11)


def test_potential_on_the_line_is_the_integral_of_the_rate():
    # On the line μψ' = −∫s holds on each face exactly, whatever the density: 8 decades here.
    mu = _gaussian(200)
    rate = mu.values * (mu.grid.nodes[:, 0] ** 3 - 0.4)
    rate = rate - mu.values * jnp.sum(rate) / jnp.sum(mu.values)
    found = tangent(mu, rate)
    (weight,) = onto_faces((mu.values,), axes_of(mu.grid))
    flux = -np.cumsum(rate)[:-1] * mu.grid.spacing[0]
    np.testing.assert_allclose(weight * found.field[0], flux, atol=1e-9 * np.abs(flux).max())
    exact = np.sqrt(np.sum(flux**2 / weight) * mu.grid.spacing[0])
    np.testing.assert_allclose(found.norm, exact, rtol=1e-8)


@pytest.mark.parametrize("grid", _grids(), ids=str)
def test_helmholtz_is_an_orthogonal_projection(grid):
    mu, d = _bump(grid), grid.space.dim
    side = jnp.asarray(grid.sides)
    field = on_faces(mu, lambda x: jnp.sin(2 * jnp.pi * jnp.roll(x / side, 1)) + 0.2 * jnp.cos(2 * jnp.pi * x / side))
    found = helmholtz(mu, field)
    rest = tuple(a - b for a, b in zip(field, found.field, strict=True))
    square = float(inner(mu, field, field))
    assert abs(float(inner(mu, rest, found.field))) <= 1e-8 * square
    assert float(inner(mu, found.field, found.field)) <= square * (1 + 1e-12)
    if d > 1:
        assert float(inner(mu, rest, rest)) > 0.05 * square
    again = helmholtz(mu, found.field)
    np.testing.assert_allclose(again.potential, found.potential, atol=1e-7 * float(jnp.abs(found.potential).max()))
    np.testing.assert_allclose(found.norm**2, inner(mu, found.field, found.field), rtol=1e-8)
    other = _bump(grid).values * (grid.nodes[:, 0].reshape(grid.shape) ** 2)
    other = other - other.mean()
    np.testing.assert_allclose(otto(mu, found.rate, other), otto(mu, other, found.rate), rtol=1e-7)


def test_wasserstein_gradient_is_that_of_the_free_energy():
    model = mk.langevin(Torus(2), lambda x: jnp.cos(x[0]), Cosine(strength=0.8), beta=2.0)
    errors = []
    for n in (16, 32):
        mu = _bump(FourierGrid(Torus(2), (n, n)))
        found = variation(lambda m: energy.free_energy(model, m), mu)
        np.testing.assert_allclose(found, energy.first_variation(model, mu), atol=1e-10)
        faces = gradient(found, axes_of(mu.grid))
        exact = energy.slope(model, mu).reshape(n, n, 2)
        means = jnp.stack(onto_cells(faces, axes_of(mu.grid)), axis=-1)
        errors.append(float(jnp.max(jnp.abs(means - exact))))
    # Order 2: 4 within the next order, (qh)² with q = 2 at h = 2π/16.
    assert 3 < errors[0] / errors[1] < 5


def test_velocity_of_a_flow_is_minus_the_gradient():
    mu = _bump(_box(2))
    faces = wasserstein_gradient(lambda m: jnp.sum(m.values**2) * m.grid.cell_volume, mu)
    found = helmholtz(mu, tuple(-part for part in faces))
    for a, b in zip(found.field, faces, strict=True):
        np.testing.assert_allclose(a, -b, atol=1e-7)


def test_norm_is_differentiable_in_the_density():
    grid = FourierGrid(Torus(1), (16,))
    mu = _bump(grid)
    rate = jnp.cos(grid.nodes[:, 0])
    change = jnp.sin(2 * grid.nodes[:, 0]) * 0.05

    def square(e):
        return h_minus_one(Density(grid, mu.values + e * change), rate) ** 2

    slope = jax.grad(square)(0.0)
    # d|s|² = −∫|∇ψ|² dδμ.
    found = tangent(mu, rate)
    (weight,) = onto_faces((change,), axes_of(grid))
    exact = -jnp.sum(weight * found.field[0] ** 2) * grid.cell_volume
    np.testing.assert_allclose(slope, exact, rtol=1e-6)


def test_bad_rates_are_refused():
    mu = _gaussian(32)
    with pytest.raises(ValueError, match="keeps the mass"):
        tangent(mu, mu.values)
    with pytest.raises(ValueError, match="shape"):
        tangent(mu, jnp.zeros(31))
    with pytest.raises(ValueError, match="components of shapes"):
        helmholtz(mu, (jnp.zeros(32),))
    with pytest.raises(ValueError, match="density on a grid"):
        variation.__wrapped__(jnp.sum, mk.Particles(Euclidean(1), jnp.zeros((3, 1))))
    half = Density.from_function(mu.grid, lambda x: jnp.where(jnp.abs(x[0]) > 3, 1.0, 0.0))
    with pytest.raises(ValueError, match="vanish where"):
        tangent(half, jnp.sin(mu.grid.nodes[:, 0] * 2 * jnp.pi / 12))
    with pytest.raises(RuntimeError, match="residual"):
        tangent(half, half.values * jnp.sign(mu.grid.nodes[:, 0]))
    with pytest.raises(ValueError, match="finite"):
        wasserstein_gradient(lambda m: jnp.sum(m.values * jnp.log(m.values)), half)
