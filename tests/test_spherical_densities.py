"""Densities on spheres: their grids against SciPy's harmonics and JAX's derivatives, their flow against exact laws."""

import math
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import iv, sph_harm_y

import mckean as mk
from mckean import energetics, interactions
from mckean.dynamics import Harmonics
from mckean.spaces import AbstractSphericalGrid, calculus

CIRCLE, SPHERE, HIGH = mk.Sphere(2), mk.Sphere(3), mk.Sphere(64)
# Not along a coordinate.
AXIS = np.where(np.arange(64) == 1, 0.8, np.where(np.arange(64) == 5, -0.6, 0.0))
GRIDS: dict[str, AbstractSphericalGrid] = {
    "circle": CIRCLE.grid(7),
    "sphere": SPHERE.grid(7),
    "zonal, 3": SPHERE.grid(7, axis=[0.0, 0.6, 0.8]),
    "zonal, 64": HIGH.grid(7, axis=AXIS),
}
every_grid = pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)


def coefficients(grid: AbstractSphericalGrid) -> jax.Array:
    """Any function of the grid's degree."""
    rng, shape = np.random.default_rng(3), jax.eval_shape(grid.analyse, jnp.zeros(grid.shape)).shape
    c = rng.normal(size=shape)
    if isinstance(grid, mk.ZonalGrid):
        return jnp.asarray(c)
    c = c + 1j * rng.normal(size=shape)
    if len(shape) == 1:
        return jnp.asarray(c).at[0].set(0.7)
    return jnp.asarray(np.tril(np.where(np.arange(shape[1]) == 0, c.real, c)))


def by_scipy(c: jax.Array, x: jax.Array) -> np.ndarray:
    """Σ f̂_lm Y_lm at points of S², the orders ±m together."""
    theta, phi = np.arccos(np.clip(x[:, 2], -1, 1)), np.arctan2(x[:, 1], x[:, 0])
    orders = [(k, m) for k in range(len(c)) for m in range(k + 1)]
    return sum((1 if m == 0 else 2) * np.real(c[k, m] * sph_harm_y(k, m, theta, phi)) for k, m in orders)


# One program for each grid, as operation by operation every shape would be compiled.
@partial(eqx.filter_jit, compiler_options={"xla_backend_optimization_level": 0})
def transforms(grid, c, x):
    """Values at nodes and at points, the way back, on a finer grid too, gradients, and the Laplacian."""
    fine, degree = grid.of_degree(11), grid.degree
    at = lambda y: grid.evaluate(c, (y / jnp.linalg.norm(y))[None])[0]  # noqa: E731
    values, few = grid.synthesise(c), grid.nodes[::7]
    back = grid.analyse(values), fine.analyse(fine.synthesise(c), degree)
    slopes = grid.gradient(c)[::7], jax.vmap(jax.grad(at))(few)
    return (
        values,
        (grid.evaluate(c, grid.nodes), grid.evaluate(c, x)),
        back,
        slopes,
        fine.divergence(fine.gradient(c), 7),
    )


@every_grid
def test_transforms(grid):
    """There and back, against SciPy's harmonics, JAX's derivatives and the eigenvalues −l(l + d − 2).

    Those of a flat space, −l², are far off.
    """
    c, d = coefficients(grid), grid.space.dim
    x = grid.space.uniform(jax.random.key(0), 30)
    values, at, back, (slope, expected), laplacian = transforms(grid, c, x)
    scale, largest = float(jnp.max(jnp.abs(values))), float(jnp.max(jnp.abs(c)))
    np.testing.assert_allclose(at[0], values.ravel(), atol=1e-12 * scale)
    for again in back:
        np.testing.assert_allclose(again, c, atol=1e-12 * largest)
    np.testing.assert_allclose(slope, expected, atol=1e-11 * float(jnp.max(jnp.abs(expected))))
    k = grid.degrees(grid.degree)
    np.testing.assert_allclose(laplacian, -k * (k + d - 2) * c, atol=1e-11 * (7 + d) * largest)
    if isinstance(grid, mk.SphereGrid):
        np.testing.assert_allclose(at[1], by_scipy(c, x), atol=1e-12)


@every_grid
def test_a_sample_has_the_moments_of_its_density(grid):
    """Piecewise constant on 4L + 1 nodes, it lacks (l/4L)²π²/24 < 1 % of a moment of degree l ≤ 2."""
    d, pole = grid.space.dim, jnp.asarray(getattr(grid, "axis", np.eye(grid.space.dim)[0]))
    assert np.broadcast_to(grid.cell_volume, grid.shape).sum() == pytest.approx(grid.space.volume, rel=1e-12)
    mu = mk.Density.from_function(grid, lambda x: (1 + 0.5 * math.sqrt(d) * (x @ pole)) ** 2)
    drawn = np.asarray(mu.sample(jax.random.key(1), 20_000).positions)
    along = drawn @ np.asarray(pole)
    # ρ ∝ (1 + s/2)² with s = √d⟨e, x⟩, E s² = 1 and E s⁴ = 3d/(d + 2) under the uniform law.
    exact = 1 / (1.25 * math.sqrt(d)), (1 + 0.25 * 3 * d / (d + 2)) / (1.25 * d)
    for power in (1, 2):
        values = along**power
        assert float(mu.integrate(lambda x, p=power: (x @ pole) ** p)) == pytest.approx(exact[power - 1], rel=1e-10)
        error = values.std() / math.sqrt(values.size)
        assert abs(values.mean() - exact[power - 1]) < 5 * error + 0.01 * exact[power - 1]
    across = drawn - along[:, None] * np.asarray(pole)
    assert float(np.linalg.norm(across.mean(axis=0))) < 5 / math.sqrt(20_000)
    np.testing.assert_array_equal(mu.sample(jax.random.key(1), 7).positions, drawn[:7])


KERNELS = {
    "gaussian": mk.kernels.Gaussian(1.0, 0.7),
    "zonal": mk.kernels.Zonal(lambda t: jnp.exp(t) * t),
    "function": mk.kernels.Function(lambda z: jnp.cos(jnp.sum(z**2))),
}


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_a_zonal_kernel_acts_by_degrees_as_it_does_by_nodes(kernel):
    grid = SPHERE.grid(20)
    mu = mk.Density.from_law(grid, mk.VonMisesFisher(SPHERE, [0.0, 0.6, 0.8], 2.0))
    assert isinstance(interactions.choose(kernel, mu).sum, interactions.FunkHecke)
    for by, tangent in ((interactions.potential, lambda v: v), (interactions.force, _tangent(grid))):
        np.testing.assert_allclose(by(kernel, mu, grid), tangent(by(kernel, mu, grid.nodes)), atol=1e-9)


def _tangent(grid):
    return lambda v: grid.space.project(grid.nodes, v)


@pytest.mark.parametrize("grid", [SPHERE.grid(12), SPHERE.grid(12, axis=[0.0, 0.0, 1.0])], ids=["sphere", "zonal"])
def test_the_logarithm_is_greens_function(grid):
    """∫log|x − y| Y_l dy = −2πY_l/(l(l + 1)) on S², though it is singular; 1/l² would be that of a plane."""
    mu = mk.Density.from_function(grid, lambda x: 1 + 0.5 * x[2] + 0.3 * x[2] ** 2 + 0.1 * x[2] ** 3)
    u = interactions.potential(mk.kernels.PowerLaw(1.0, 0.0), mu, grid)
    k = np.asarray(grid.degrees(3), float)[1:]
    c, rho = grid.analyse(u.reshape(grid.shape), 3), grid.analyse(mu.values, 3)
    np.testing.assert_allclose(c[1:], -2 * math.pi / (k * (k + 1)) * rho[1:], atol=1e-12)


@pytest.mark.parametrize("normalised", [True, False], ids=["SA", "USA"])
def test_attention_acts_by_degrees_as_it_does_by_nodes(normalised):
    """Also at β = 0 and for β < 0; with a V the normal part of the mean counts."""
    grid = SPHERE.grid(20)
    mu = mk.Density.from_law(grid, mk.VonMisesFisher(SPHERE, [0.0, 0.6, 0.8], 2.0))
    for beta, value in ((0.0, None), (2.0, np.diag([1.0, -2.0, 0.5])), (-1.0, 2.0)):
        field = interactions.Attention(beta, value, normalised=normalised)
        np.testing.assert_allclose(field(grid, mu), field(grid.nodes, mu), atol=1e-10)


@every_grid
def test_heat_has_its_exact_rates(grid):
    """e^{−l(l + d − 2)t/β} for each degree, which is not e^{−l²t/β}."""
    d = grid.space.dim
    pole = getattr(grid, "axis", np.eye(d)[0])
    mu = mk.Density.from_law(grid, mk.VonMisesFisher(grid.space, pole, 0.3 * d))
    begun = Harmonics().begin(mk.langevin(grid.space, beta=2.0), mu, 0.01)
    after = _run(begun, mu, 30)
    k, c = grid.degrees(grid.degree), grid.analyse(mu.values)
    np.testing.assert_allclose(
        grid.analyse(after.values), jnp.exp(-k * (k + d - 2) * 0.3 / 2) * c, atol=1e-12 * float(jnp.max(jnp.abs(c)))
    )
    assert float(after.mass) == pytest.approx(1, abs=1e-14)


@partial(eqx.filter_jit, compiler_options={"xla_backend_optimization_level": 0})
def _run(begun, mu, n):
    return jax.lax.fori_loop(0, n, lambda k, m: begun.step(m, None, k)[0], mu)


def tilt(x):
    return x[2] + 0.3 * x[0] * x[1]


def maier_saupe(t):
    return -1.5 * t * t


CROWD = mk.langevin(SPHERE, tilt, mk.kernels.Zonal(maier_saupe), beta=1.5)


def test_order_four_from_both_sides():
    """With V, attention and heat: half a step divides the error by 16, up to its next order."""
    grid = SPHERE.grid(10)
    model = mk.Model(SPHERE, confinement=tilt, drift=interactions.Attention(1.5), noise=mk.Thermal(1.5))
    mu = mk.Density.from_law(grid, mk.VonMisesFisher(SPHERE, [0.0, 0.6, 0.8], 1.0))
    begun = lambda n: Harmonics().begin(model, mu, 0.4 / n)  # noqa: E731
    ends = [_run(begun(n), mu, n).values for n in (16, 32, 64, 256)]
    errors = [float(jnp.max(jnp.abs(end - ends[-1]))) for end in ends[:-1]]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.all((orders > 3.7) & (orders < 4.3)), orders


def test_the_free_energy_falls_by_its_dissipation_and_rests_at_the_equilibrium():
    """dF/dt = −D, with the tangent part of the slope alone: the normal part of ∇V would count in R³."""
    grid = SPHERE.grid(12)
    mu = mk.Density.from_law(grid, mk.VonMisesFisher(SPHERE, [0.0, 0.6, 0.8], 1.0))
    kept = energetics.ledger(CROWD, mu, until=0.1, dt=0.01, every=10)
    change = float(kept.change[-1])
    assert change < 0
    # Trapezoidal sums of D close at O(dt²): D″T dt²/12, D of rates 2l(l + 1)/β up to l = 2.
    assert abs(change + float(kept.accounts.dissipated[-1])) < (2 * 6 / 1.5 * 0.01) ** 2 / 12 * abs(change)
    # Picard's iteration of ρ ∝ e^{−β(V + W*ρ)}, which the flow does not know.
    for _ in range(100):
        u = mk.energy.potential(CROWD, mu)
        rho = jnp.exp(-1.5 * (u - jnp.min(u)))
        mu = mk.Density(grid, 0.7 * rho / calculus.integrate(grid, rho) + 0.3 * mu.values)
    after = _run(Harmonics().begin(CROWD, mu, 0.02), mu, 50)
    # What the series has at its last degree is as much as it lacks beyond; a sum over some tens of orders.
    tail = float(jnp.max(jnp.abs(grid.analyse(mu.values)[-1])))
    assert float(jnp.max(jnp.abs(after.values - mu.values))) < 30 * tail < 1e-5


def test_a_zonal_density_is_one_of_the_sphere():
    """In S² the flow of a zonal density by attention is that on the whole grid, node by node."""
    axis = [0.0, 0.0, 1.0]
    model = mk.Model(SPHERE, confinement=lambda x: x[2], drift=interactions.Attention(2.0), noise=mk.Thermal(4.0))
    ends = []
    for grid in (SPHERE.grid(16), SPHERE.grid(16, axis=axis)):
        mu = mk.Density.from_law(grid, mk.VonMisesFisher(SPHERE, axis, 1.0))
        ends.append(_run(Harmonics().begin(model, mu, 0.02), mu, 10))
    whole, zonal = ends
    t = whole.grid.nodes[:, 2]
    x = jnp.stack([jnp.sqrt(1 - t**2), jnp.zeros_like(t), t], axis=1)
    expected = zonal.grid.evaluate(zonal.grid.analyse(zonal.values), x)
    np.testing.assert_allclose(whole.values.ravel(), expected, atol=1e-12)


def test_in_dimension_64_the_gibbs_law_rests():
    """V = −h⟨e, x⟩ and W = −J⟨x, y⟩ rest at a von Mises–Fisher law with κ = β(h + JA(κ)), A its mean.

    With h alone, κ = βh, the law moves.
    """
    kappa, beta, pull, axis = 30.0, 10.0, 2.0, jnp.asarray(AXIS)
    law = mk.VonMisesFisher(HIGH, AXIS, kappa)
    mu = mk.Density.from_law(HIGH.grid(48, axis=AXIS), law)
    mean = float(mu.integrate(lambda x: x @ axis))
    assert mean == pytest.approx(iv(32, kappa) / iv(31, kappa), rel=1e-12)
    field = kappa / beta - pull * mean

    def after(strength):
        """How far the law moves in L¹."""
        model = mk.langevin(HIGH, lambda x: -field * (x @ axis), mk.kernels.Zonal(_Line(strength)), beta)
        moved = _run(Harmonics().begin(model, mu, 0.005), mu, 40).values - mu.values
        return float(calculus.integrate(mu.grid, jnp.abs(moved)))

    # The law's own values carry rounding of its peak, e^{κ(1 − A)} higher than where its mass is.
    assert after(pull) < 1e-15 * math.exp(kappa * (1 - mean)) * 100
    assert after(0.0) > 0.05


class _Line(eqx.Module):
    strength: jax.Array = eqx.field(converter=jnp.asarray)

    def __call__(self, t):
        return -self.strength * t


def test_sinkhorn_between_a_point_and_a_density_has_the_geodesic_distance():
    """W_2² = ∫θ² dμ from the pole, θ the angle, within the error that is stated; chords are too short by more."""
    mu = mk.Density.from_function(SPHERE.grid(6), lambda x: (1 - 0.9 * x[2]) ** 2)
    found = mk.sinkhorn(mk.Particles(SPHERE, [[0.0, 0.0, 1.0]]), mu, epsilon=0.1)
    t = mu.grid.nodes[:, 2]
    angle, chord = (
        math.sqrt(float(calculus.integrate(mu.grid, mu.values * d.reshape(mu.grid.shape))))
        for d in (jnp.arccos(t) ** 2, 2 - 2 * t)
    )
    assert abs(found.value - angle) <= 1.001 * found.error < 0.5 * (angle - chord)


@pytest.mark.parametrize("grid", [CIRCLE.grid(16), SPHERE.grid(16)], ids=["circle", "sphere"])
def test_a_deposit_is_smoothed_by_its_von_mises_fisher_law(grid):
    """Degree l by I_{l + d/2 − 1}(κ)/I_{d/2 − 1}(κ), κ = L²/30; its mass is 1, and it is positive."""
    d, kappa = grid.space.dim, 16**2 / 30
    cloud = grid.space.uniform(jax.random.key(0), 50)
    weights = jnp.arange(1.0, 51) / 1275
    law = mk.deposit(mk.Particles(grid.space, cloud, weights), grid)
    assert float(jnp.min(law.values)) > 0
    assert float(law.mass) == pytest.approx(1, abs=1e-14)
    for k, phi in ((1, lambda x: x[0]), (2, lambda x: x[0] * x[1])):
        exact = float(weights @ jax.vmap(phi)(cloud)) * iv(k + d / 2 - 1, kappa) / iv(d / 2 - 1, kappa)
        # e^{−15} of a law is beyond the degrees of the grid.
        assert abs(float(law.integrate(phi)) - exact) < 1e-5
    warm = mk.smooth(law, 0.3)
    np.testing.assert_allclose(
        warm.integrate(lambda x: x), math.exp(-0.045 * (d - 1)) * law.integrate(lambda x: x), atol=1e-13
    )


def test_the_dissipation_of_particles_is_of_the_tangent_slope():
    """∇x_3 on S² has the square 1 − x_3²; in R³ it would be 1."""
    cloud = mk.Particles(SPHERE, SPHERE.uniform(jax.random.key(0), 5))
    exact = float(jnp.mean(1 - cloud.positions[:, 2] ** 2))
    assert float(mk.energy.dissipation(mk.Model(SPHERE, confinement=_height), cloud)) == pytest.approx(exact, rel=1e-12)


def _height(x):
    return x[2]
