"""The law of N particles on a grid, against closed forms of Gaussian and of rotating particles."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mckean as mk
from mckean import catalogue
from mckean.catalogue.mean_reversion import marginal_entropy, marginal_excess, variance
from mckean.catalogue.oscillators import mean_square_order
from mckean.dynamics import FiniteVolume
from mckean.dynamics.nbody import gibbs_density, liouville
from mckean.measures.products import asymmetry, entropy_of_chaos, marginal, product_grid, relative_entropy, tensor_power

CIRCLE, LINE = mk.Torus(1), mk.Euclidean(1)
STIFFNESS, STRENGTH, START, UNTIL = 1.0, 1.0, 0.4, 0.5
LINEAR = catalogue.ornstein_uhlenbeck(STIFFNESS, STRENGTH, 1.0).model


def gaussian(grid, width):
    return mk.Density.from_law(grid, mk.Gaussian(0.0, width))


def second_moments(f):
    return f.integrate(lambda x: x[:, None] * x[None, :])


def two_gaussian_particles(cells, dt):
    """Covariance of two particles, entropies of chaos for k = 1, 2, and the run."""
    grid = LINE.grid(cells, -5.0, 5.0)
    system, start = liouville(LINEAR, 2), tensor_power(gaussian(grid, START), 2)
    limit = gibbs_density(system, start.grid)
    observe = {
        "H": lambda _, f: relative_entropy(f, limit),
        "mass": lambda _, f: f.mass,
        "low": lambda _, f: f.values.min(),
    }
    scheme = FiniteVolume(time="explicit")
    run = mk.evolve(system, start, until=UNTIL, dt=dt, observe=observe, every=round(UNTIL / dt / 10), scheme=scheme)
    mu = gaussian(grid, variance(UNTIL, START, STIFFNESS, STRENGTH, 1.0))
    chaos = [float(entropy_of_chaos(run.final, mu, k)) for k in (1, 2)]
    return np.asarray(second_moments(run.final)), np.array(chaos), run


def test_two_gaussian_particles():
    """Covariance v I + ((v_c − v)/N)11ᵀ and KL (x − log(1 + x))/2; the error of order h² by halving h, dt ∝ h²."""
    v, vc = (variance(UNTIL, START, STIFFNESS, c, 1.0) for c in (STRENGTH, 0.0))
    exact = v * np.eye(2) + (vc - v) / 2
    excess = [marginal_excess(k, 2, STIFFNESS, STRENGTH, 1.0, UNTIL, START) for k in (1, 2)]
    entropies = np.array([marginal_entropy(x) / k for k, x in zip((1, 2), excess, strict=True)])
    assert entropies[1] > entropies[0] > 1e-3
    coarse, fine = two_gaussian_particles(40, 0.01), two_gaussian_particles(80, 0.0025)
    for i, truth in ((0, exact), (1, entropies)):
        first, second = coarse[i] - truth, fine[i] - truth
        # Order 2: a quarter of the error is left, and Richardson's value is better by another factor.
        np.testing.assert_allclose(first / second, 4, rtol=0.15)
        np.testing.assert_allclose((4 * fine[i] - coarse[i]) / 3, truth, atol=0.15 * np.abs(first).max())
    run = fine[2]
    assert float(asymmetry(run.final, 1)) < 1e-12
    np.testing.assert_allclose(run.observed["mass"], 1, atol=1e-12)
    assert np.min(run.observed["low"]) >= 0
    entropy = np.asarray(run.observed["H"])
    assert np.all(np.diff(entropy) < 0)
    # Bakry and Émery: H falls at the rate 2 min(a, a + c) or faster, up to h²(a + c)² of it.
    rates = -np.diff(np.log(entropy)) / np.diff(np.asarray(run.times))
    assert rates.min() >= 2 * STIFFNESS * (1 - 0.125**2 * (STIFFNESS + STRENGTH) ** 2)


@pytest.mark.parametrize("n", [2, 3])
def test_stationary_chaos_of_gaussian_particles(n):
    """x = (k/N)c/a; sums of Gaussians over nodes are exact to e^{−2π²v/h²}."""
    grid = LINE.grid(40, -6.0, 6.0)
    mu, law = gaussian(grid, 0.5), gibbs_density(liouville(LINEAR, n), product_grid(grid, n))
    for k in range(1, n + 1):
        exact = marginal_entropy(marginal_excess(k, n, STIFFNESS, STRENGTH, 1.0)) / k
        assert float(entropy_of_chaos(law, mu, k)) == pytest.approx(exact, abs=1e-7)


@pytest.mark.parametrize("n", [2, 3])
def test_kuramoto(n):
    """E e^{iΣx_j} falls at the rate N/β whatever K, π_N does not move, H(f|π_N) falls, and E r² is the exact one."""
    model, grid = catalogue.kuramoto(2.0).model, CIRCLE.grid(20)
    system, start = liouville(model, n), tensor_power(mk.Density.from_law(grid, mk.VonMises(CIRCLE, 1.0, 1.0)), n)
    limit = gibbs_density(system, start.grid)
    order = limit.integrate(lambda x: jnp.abs(jnp.mean(jnp.exp(1j * x))) ** 2)
    assert float(order) == pytest.approx(mean_square_order(n, 2.0, 1.0), abs=1e-8)
    observe = {
        "turn": lambda _, f: f.integrate(lambda x: jnp.exp(1j * jnp.sum(x))),
        "H": lambda _, f: relative_entropy(f, limit),
    }
    run = mk.evolve(system, start, until=0.5, dt=0.025, observe=observe, every=2)
    decay = np.exp(-n * np.asarray(run.times))
    np.testing.assert_allclose(run.observed["turn"], run.observed["turn"][0] * decay, atol=1e-8)
    assert np.all(np.diff(run.observed["H"]) < 0)
    assert float(run.final.mass) == pytest.approx(1, abs=1e-12)
    assert float(asymmetry(run.final, 1)) < 1e-12
    still = mk.evolve(system, limit, until=0.5, dt=0.025, observe=observe, every=2).final
    np.testing.assert_allclose(still.values, limit.values, atol=1e-7 * float(limit.values.max()))


def test_the_product_model_is_the_particle_system():
    """Drift, own and common noise of the stacked model are those of the particles, at any point of the product."""
    swirl = lambda x, mu: jnp.array([-x[1], x[0]]) * mu.integrate(lambda y: y[0])[..., None]  # noqa: E731
    sigma = lambda x, mu: 1 + 0.1 * x * mu.integrate(lambda y: y[1])  # noqa: E731
    common = (mk.Additive(jnp.array([[0.3], [0.1]])), mk.Multiplicative(lambda x, mu: jnp.stack([x, x**2], 1)))
    plane = mk.Euclidean(2)
    model = mk.Model(
        plane, confinement=mk.potentials.Quadratic(1.0), interaction=mk.kernels.Gaussian(2.0),
        drift=swirl, noise=mk.Multiplicative(sigma), common=common,
    )  # fmt: skip
    with pytest.raises(ValueError, match="at most 3"):
        liouville(model, 2)
    import mckean.dynamics.nbody as module

    cloud = mk.Particles(plane, jax.random.normal(jax.random.key(0), (2, 2)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_MOST", 4)
        system = liouville(model, 2)
    point = mk.Particles(system.space, cloud.positions.reshape(1, 4))
    both = (model, cloud, cloud.positions), (system, point, point.positions)
    drifts = [np.ravel(m.velocity(x, mu)) for m, mu, x in both]
    np.testing.assert_allclose(*drifts, rtol=1e-12)
    own = system.noise.matrix(point.positions, point)[0]
    blocks = model.noise.matrix(cloud.positions, cloud)
    np.testing.assert_allclose(own, jax.scipy.linalg.block_diag(*blocks), rtol=1e-12)
    dB = jnp.array([0.3, -1.0, 2.0])
    moves = [np.ravel(m.common_displacement(x, mu, dB)) for m, mu, x in both]
    np.testing.assert_allclose(*moves, rtol=1e-12)


def test_the_circle_of_the_plane_is_the_torus():
    """On S¹ the N-particle system is that of the angles, with a normal part of the drift that does nothing.

    W acts by the chord: by the angle, W = K(θ²/2 − 1) instead of −K cos θ, the law would be another. Noises: P_x dB⁰,
    whose calculi agree, and an Itô's field, which read as Stratonovich's would drift.
    """
    swirl, wave = (lambda x: jnp.array([-x[1], x[0]])), (lambda x: jnp.stack([-jnp.sin(x), jnp.cos(x)], axis=1))
    ring = mk.Model(
        mk.Sphere(2), confinement=lambda x: -0.4 * x[0], interaction=mk.kernels.Zonal(lambda t: -2.0 * t),
        drift=lambda x, mu: 0.7 * swirl(x) * (1 + mu.integrate(lambda y: y[1])) + x, noise=mk.Thermal(1.0),
        common=(mk.Additive(0.5), mk.Multiplicative(lambda x, mu: (x[0] * swirl(x) + x)[:, None])),
    )  # fmt: skip
    flat = mk.Model(
        CIRCLE, confinement=lambda x: -0.4 * jnp.cos(x[0]), interaction=mk.kernels.Cosine(2.0),
        drift=lambda x, mu: 0.7 * (1 + mu.integrate(lambda y: jnp.sin(y[0]))) + 0 * x, noise=mk.Thermal(1.0),
        common=(mk.Multiplicative(lambda x, mu: 0.5 * wave(x), "stratonovich"),
                mk.Multiplicative(lambda x, mu: jnp.cos(x)[:, None])),
    )  # fmt: skip
    disc, torus = mk.Sphere(2).grid(7), CIRCLE.grid(16)
    rho = [
        mk.Density.from_function(disc, lambda x: jnp.exp(x[1])),
        mk.Density.from_function(torus, lambda x: jnp.exp(jnp.sin(x[0]))),
    ]
    start = [tensor_power(one, 2) for one in rho]
    # From Itô on the sphere, and on the torus.
    systems = [liouville(mk.convert(ring, "stratonovich"), 2), mk.convert(liouville(flat, 2), "stratonovich")]
    path = mk.Brownian(jax.random.key(1))
    finals = [
        mk.evolve(system, f, until=0.06, dt=0.01, path=path).final
        for system, f in zip(systems, start, strict=True)
    ]  # fmt: skip
    scale = float(finals[1].values.max())
    np.testing.assert_allclose(finals[0].values, finals[1].values, atol=1e-12 * scale)
    assert float(jnp.abs(finals[0].values - start[0].values).max()) > 0.1 * scale
    chaos = [float(entropy_of_chaos(f, mu, 1)) for f, mu in zip(finals, rho, strict=True)]
    assert chaos[0] == pytest.approx(chaos[1], rel=1e-10)
    ring = mk.langevin(mk.Sphere(2), interaction=mk.kernels.Zonal(lambda t: -2.0 * t))
    limit = gibbs_density(liouville(ring, 2), product_grid(mk.Sphere(2).grid(9), 2))
    order = limit.integrate(lambda x: jnp.abs(jnp.mean(jnp.exp(1j * x))) ** 2)
    assert float(order) == pytest.approx(mean_square_order(2, 2.0, 1.0), abs=1e-8)


def test_products_and_marginals():
    grid = LINE.grid((12,), -3.0, 3.0)
    rho = gaussian(grid, 0.5)
    for k in (1, 2):
        np.testing.assert_allclose(marginal(tensor_power(rho, 3), k, 1).values, tensor_power(rho, k).values, atol=1e-14)
    plane = mk.Density.from_function(mk.Torus(2, (1.0, 2.0)).grid((4, 6)), lambda x: 2 + jnp.sin(2 * jnp.pi * x[0]))
    np.testing.assert_allclose(marginal(tensor_power(plane, 2), 1, 2).values, plane.values, atol=1e-14)
    assert float(asymmetry(tensor_power(plane, 2), 2)) < 1e-14
    lopsided = mk.Density.from_function(product_grid(grid, 2), lambda x: jnp.exp(-(x[0] ** 2)))
    assert float(asymmetry(lopsided, 1)) > 0.5
    shifted = mk.Density.from_function(grid, lambda x: jnp.where(x[0] > 0, 1.0, 0.0))
    assert float(relative_entropy(rho, rho)) == 0
    assert np.isinf(relative_entropy(rho, shifted))


def test_refusals():
    singular = mk.langevin(LINE, lambda x: x[0] ** 2, mk.kernels.PowerLaw(1.0, 0.0))
    for call, sentence in (
        (lambda: liouville(LINEAR, 4), "at most 3"),
        (lambda: liouville(LINEAR, 0), "at least one factor"),
        (lambda: liouville(singular, 2), "singular"),
        (lambda: liouville(mk.langevin(mk.Sphere(3)), 1), "not of"),
        (lambda: gibbs_density(LINEAR, LINE.grid(8, -1.0, 1.0)), "interaction"),
        (lambda: gibbs_density(liouville(mk.langevin(LINE), 2), mk.Euclidean(2).grid(8, -1.0, 1.0)), "no Gibbs law"),
        (
            lambda: gibbs_density(liouville(LINEAR, 2), mk.Euclidean(2).grid(24, -1.0, 1.0)),
            "a mass of 0.* lies outside",
        ),
        (lambda: marginal(gaussian(LINE.grid(8, -5.0, 5.0), 1.0), 2, 1), "not of 2"),
    ):
        with pytest.raises(ValueError, match=sentence):
            call()
