"""Long times under a common noise: growth rates and pullback limits against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from diffrax import Heun
from scipy.linalg import expm

import mckean as mk
from mckean import catalogue, environments
from mckean.catalogue.linear_stability import (
    lattice,
    mean_rates,
    mean_square_rate,
    mean_square_system,
    mean_square_threshold,
    mean_threshold,
    rates,
    with_intensity,
)
from mckean.catalogue.oscillators import incoherent_rate
from mckean.dynamics import Spectral
from mckean.dynamics.pair import pair
from mckean.environments._linearisation import tangent
from mckean.measures.norms import difference, distance, inner

CIRCLE, LINE, TORUS = mk.Torus(1), mk.Euclidean(1), mk.Torus(2)
ATTRACTION = mk.kernels.Cosine(4.0)
SPECTRA = {
    "shears": mk.TransportNoise.shears(TORUS, 0.7),
    "shell": mk.TransportNoise.shell(TORUS, 2.0, exponent=1.0, intensity=0.7),
    "one way": mk.TransportNoise(TORUS, [[1, 2], [0, 1]], [1.0, 0.5], 0.7),
}


def ripple(grid, f):
    return mk.Density.from_function(grid, lambda x: 1 + 0.1 * f(x))


def flat(grid):
    return ripple(grid, lambda x: 0 * x[0])


def stirred(name) -> mk.Model:
    return mk.langevin(TORUS, interaction=ATTRACTION, common=SPECTRA[name])


@pytest.mark.parametrize("k", [1, 2])
def test_growth_at_the_incoherent_state(k):
    """Without noise all three rates are −k² + K/2 (k = 1 only), up to ETDRK4's (K/2 · dt)⁴/120."""
    model, grid = catalogue.kuramoto(3.0).model, CIRCLE.grid(16)
    towards = ripple(grid, lambda x: jnp.cos(k * x[0]))
    seen = environments.growth(
        model, flat(grid), towards, until=1.0, dt=0.05, every=10, key=jax.random.key(0), replicas=2
    )
    exact = incoherent_rate(k, 3.0, 1.0)
    for rate in (seen.almost_sure(), seen.moment(2), seen.moment(1, after=0.5), seen.mean()):
        assert rate.value == pytest.approx(exact, abs=(1.5 * 0.05) ** 4)
        assert rate.stderr == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(seen.overlap, 1, atol=1e-12)


def double_well(x):
    return x[0] ** 4 / 4 - x[0] ** 2 / 2


def test_synchronisation_by_noise_in_a_double_well():
    """λ = −E V″ = −1.6803949 under e^{−2V/σ²}, σ = 1; Heun's weak order 2 leaves (|V″| dt)² of it, V″ ≤ 8 by far."""
    model = mk.langevin(LINE, double_well, beta=np.inf, common=mk.Additive(1.0))
    at, towards = (mk.Particles(LINE, jnp.array([[x]])) for x in (0.5, 0.6))
    seen = environments.growth(
        model, at, towards, until=40.0, dt=0.01, every=500, key=jax.random.key(1), replicas=200, scheme=Heun()
    )
    rate = seen.almost_sure(after=5.0)
    assert abs(rate.value + 1.6803949087) < 5 * rate.stderr + 1.68 * (8 * 0.01) ** 2
    assert rate.stderr < 0.1
    # The power mean of larger power is larger, in every sample.
    assert rate.value <= seen.moment(1, after=5.0).value <= seen.moment(2, after=5.0).value
    assert 1 <= seen.effective(2) < 200


def test_tangents_are_derivatives_of_the_flow():
    """Against central differences, whose error is ε² times a third derivative of order one."""
    model = mk.langevin(CIRCLE, interaction=mk.kernels.Cosine(3.0), common=mk.Additive(0.8))
    grid, path, size = CIRCLE.grid(16), mk.Brownian(jax.random.key(3)), 1e-4
    mu, nu = (ripple(grid, f) for f in (lambda x: jnp.cos(x[0]), lambda x: jnp.sin(x[0] + 0.4)))
    options = {"until": 0.5, "dt": 0.05, "path": path}
    run = environments.linearise(model, mu, nu, **options)
    gap = difference(nu, mu)
    norm = jnp.sqrt(inner(mu, gap, gap))
    ends = [
        mk.evolve(model, mk.Density(grid, mu.values + sign * size * gap.values / norm), **options).final.values
        for sign in (1, -1)
    ]
    exact = (ends[0] - ends[1]) / (2 * size)
    measured = jnp.exp(run.final.sums.log_norm) * run.final.sums.direction.values
    np.testing.assert_allclose(measured, exact, atol=50 * size**2)
    np.testing.assert_array_equal(run.final.measures[0].values, mk.evolve(model, mu, **options).final.values)


@pytest.mark.parametrize("name", list(SPECTRA))
def test_conductances_are_those_of_the_fields(name):
    """M − diag: Σ_k |coefficient of e^{iq·x} in σ_k·∇e^{ip·x}|², from the library's own fields on a grid."""
    model, noise, grid = stirred(name), SPECTRA[name], TORUS.grid(16)
    modes, system = mean_square_system(model, 2)
    sigma = np.asarray(noise.matrix(grid.nodes, flat(grid))).reshape(16, 16, 2, -1)
    matrix = np.zeros((len(modes), len(modes)))
    for column, p in enumerate(modes):
        wave = np.exp(1j * np.asarray(grid.nodes) @ p).reshape(16, 16)
        moved = np.einsum("xyim,i,xy->xym", sigma, p, wave)
        square = np.sum(np.abs(np.fft.fft2(moved, axes=(0, 1)) / 256) ** 2, axis=-1)
        matrix[:, column] = square[tuple(modes.T)]
    diagonal = np.diag(2 * rates(model, modes) - np.einsum("mi,ij,mj->m", modes, np.asarray(noise.covariance), modes))
    np.testing.assert_allclose(system.toarray(), matrix + diagonal, atol=1e-12)
    np.testing.assert_allclose(system.toarray(), system.toarray().T, atol=1e-12)


@pytest.mark.parametrize("name", list(SPECTRA))
def test_without_diffusion_the_noise_keeps_the_norm(name):
    """β = ∞, W = 0: all columns sum to zero but those of modes that leave the box, and the top of the spectrum is 0."""
    model = mk.langevin(TORUS, beta=np.inf, common=SPECTRA[name])
    _, closed = mean_square_system(model, 6, outflow=False)
    modes, leaking = mean_square_system(model, 6)
    np.testing.assert_allclose(closed.sum(axis=0), 0, atol=1e-11)
    inside = np.abs(modes).max(axis=1) <= 4
    np.testing.assert_allclose(leaking.sum(axis=0)[inside], 0, atol=1e-11)
    assert leaking.sum(axis=0).min() < -0.1
    assert np.linalg.eigvalsh(closed.toarray())[-1] == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("name", list(SPECTRA))
def test_mean_square_rates_are_bracketed_and_vanish_at_the_threshold(name):
    model = stirred(name)
    coarse, fine = mean_square_rate(model, 6), mean_square_rate(model, 12)
    assert coarse[0] <= fine[0] + 1e-12
    assert fine[0] <= fine[1] + 1e-12
    assert fine[1] <= coarse[1] + 1e-12
    threshold = mean_square_threshold(model, 12)
    low, high = mean_square_rate(with_intensity(model, threshold), 12)
    assert low == pytest.approx(0, abs=1e-8)
    assert threshold >= mean_threshold(model) - 1e-9
    assert high - low < 0.02
    at = with_intensity(model, mean_threshold(model))
    assert mean_rates(at, lattice(TORUS, 2)).max() == pytest.approx(0, abs=1e-12)


def test_mean_square_rate_sees_a_growing_mode_beyond_the_box():
    """W = −4 cos 9x_1 grows at 81(2 − 1) without noise; a box of |k| ≤ 6 has no mode that grows."""
    kernel = mk.kernels.FourierSeries(np.array([[9, 0]]), np.array([-4.0]), TORUS.lengths)
    model = mk.langevin(TORUS, interaction=kernel, common=mk.TransportNoise.shears(TORUS, 0.1))
    (low, high), true = mean_square_rate(model, 6), mean_square_rate(model, 10)[0]
    assert low < 0 < true
    assert true <= high == pytest.approx(81.0, abs=1e-9)


def test_rates_of_one_mode_are_the_mean_square_system_to_second_order():
    """Short times: ½ d/dt log Σe from one mode is λ_q, the noise keeping the norm."""
    modes, system = mean_square_system(stirred("shell"), 6)
    start = np.all(modes == [1, 0], axis=1).astype(float)
    assert (system @ start).sum() / 2 == pytest.approx(1.0, abs=1e-12)


def test_brute_force_agrees_with_the_linear_theory():
    """E⟨η_t, η_0⟩ and E‖η_t‖² of stirred perturbations, in two long steps.

    Waves along the axes move lines by independent shifts, before the first step and after the second. So the mean is
    exact, and the mean square is that of the semigroups of the closed system in their order, up to ETDRK4's
    (κ/2 · dt)⁴/120. Half of each shift on either side of its step would add (K dt/2)(λ_(1,0) − λ_(1,1) + K) to the rate
    of the mean.
    """
    model, grid, dt = stirred("shears"), TORUS.grid(12), 0.25
    towards = ripple(grid, lambda x: jnp.cos(x[0]))
    seen = environments.growth(model, flat(grid), towards, dt=dt, until=2 * dt, key=jax.random.key(7), replicas=4000)
    modes, system = mean_square_system(model, 8)
    still = expm(np.diag(2 * rates(model, modes) * dt))
    along = [np.where(modes[:, None, axis] != modes[:, axis], system.toarray(), 0.0) for axis in (0, 1)]
    first, second = (expm((graph - np.diag(graph.sum(axis=1))) * dt) for graph in along)
    start = 0.5 * np.all(np.abs(modes) == [1, 0], axis=1)
    square = np.log((second @ first @ still @ still @ first @ second @ start).sum()) / (4 * dt)
    mean = mean_rates(model, np.array([[1, 0]]))[0]
    halves = mean + 0.5 * dt * 0.7 * (rates(model, np.array([[1, 0]]))[0] - rates(model, np.array([[1, 1]]))[0] + 0.7)
    for exact, rate in ((square, seen.moment(2)), (mean, seen.mean())):
        assert abs(rate.value - exact) < 5 * rate.stderr + (2 * dt) ** 4 / 120
    assert abs(seen.mean().value - halves) > 10 * seen.mean().stderr


OU = mk.langevin(LINE, mk.potentials.Quadratic(1.2), mk.kernels.Quadratic(0.5), beta=2.0, common=mk.Additive(0.7))


def test_pullback_converges_to_the_stationary_integral():
    """m_0 → σ₀∫e^{at}dB_t, the environment piecewise linear; starts are forgotten at the rate a, exactly."""
    path, dt, a = mk.Brownian(jax.random.key(4)), 0.1, 1.2
    depths = (1.0, 2.0, 4.0, 25.0)
    first, second = (
        environments.pullback(OU, mk.Gaussian(m, 0.3), depths=depths, dt=dt, path=path) for m in (1.0, -1.0)
    )
    k = np.arange(-250, 0)
    dB = np.array([float(path.environment.increment(int(i), dt, (1,))[0]) for i in k])
    weights = 0.7 * np.exp(a * (k + 1) * dt) * -np.expm1(-a * dt) / (a * dt)
    # Dopri5 errs by (a dt)⁵/600 a unit of its variables and step; the start is left by e^(−30).
    error = 10 * (a * dt) ** 5 / 600 / (a * dt)
    assert float(first[-1].mean[0]) == pytest.approx(weights @ dB, abs=error)
    gaps = [float(distance(x, y)) for x, y in zip(first, second, strict=True)]
    np.testing.assert_allclose(gaps[:3], 2 * np.exp(-a * np.array(depths[:3])), rtol=4 * error)
    assert float(first[-1].covariance[0, 0]) == pytest.approx(1 / (2 * 1.7), abs=1e-6)


def test_statistics_of_the_invariant_measure():
    """m ~ N(0, σ₀²/2a) and v = 1/β(a + c), without a spread."""
    observe = {"m": lambda model, mu: mu.mean[0], "v": lambda model, mu: mu.covariance[0, 0]}
    seen = environments.invariant(
        OU, mk.Gaussian(0.0, 0.3), observe, depth=8.0, dt=0.1, key=jax.random.key(6), replicas=400, batch=200
    )
    a, dt = 1.2, 0.1
    exact = 0.7**2 * dt * (np.expm1(-a * dt) / (a * dt)) ** 2 / -np.expm1(-2 * a * dt)
    assert exact == pytest.approx(0.7**2 / (2 * a), rel=(a * dt) ** 2)
    assert abs(seen.variance["m"].value - exact) < 5 * seen.variance["m"].stderr
    assert abs(seen.mean["m"].value) < 5 * seen.mean["m"].stderr
    assert seen.mean["v"].value == pytest.approx(1 / (2 * 1.7), abs=1e-6)
    assert seen.variance["v"].value < 1e-20


def test_two_solutions_in_one_environment():
    """Gaussians of one covariance draw near at the rate a; measures that are equal stay so."""
    path = mk.Brownian(jax.random.key(8))
    run = environments.separation(
        OU, mk.Gaussian(0.0, 0.3), mk.Gaussian(1.0, 0.3), until=2.0, dt=0.1, path=path, every=10
    )
    np.testing.assert_allclose(run.observed["distance"], np.exp(-1.2 * np.arange(3)), rtol=1e-6)
    model = mk.langevin(CIRCLE, interaction=mk.kernels.Cosine(3.0), common=mk.Additive(0.8))
    mu = ripple(CIRCLE.grid(16), lambda x: jnp.cos(x[0]))
    same = environments.separation(model, mu, mu, until=0.2, dt=0.05, path=path)
    assert np.all(np.asarray(same.observed["distance"]) == 0)
    np.testing.assert_array_equal(
        same.final.measures.first.values, mk.evolve(model, mu, until=0.2, dt=0.05, path=path).final.values
    )


def test_distances():
    x = mk.Particles(CIRCLE, jnp.array([[0.1], [1.0]]))
    y = mk.Particles(CIRCLE, jnp.array([[2 * jnp.pi - 0.1], [1.4]]))
    assert float(distance(x, y)) == pytest.approx(np.sqrt((0.2**2 + 0.4**2) / 2), abs=1e-12)
    grid = CIRCLE.grid(16)
    gap = float(distance(flat(grid), ripple(grid, lambda x: jnp.cos(x[0]))))
    assert gap == pytest.approx(0.1 / (2 * np.pi) * np.sqrt(np.pi), abs=1e-12)


def few(**changes) -> environments.Growth:
    given = {
        "times": np.array([0.0, 1.0]),
        "log_norm": np.zeros((4, 2)),
        "overlap": np.array([[1.0, s] for s in (1, -1) * 2]),
    }
    return environments.Growth(**(given | changes))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: few().mean(), "has no rate"),
        (lambda: few().almost_sure(after=1.0), "after t = 1"),
        (lambda: tangent(flat(CIRCLE.grid(8)), flat(CIRCLE.grid(8))), "needs a direction"),
        (lambda: distance(flat(CIRCLE.grid(8)), flat(CIRCLE.grid(10))), "one form and size"),
        (lambda: pair(mk.Gaussian(0.0, 1.0), flat(CIRCLE.grid(8))), "one form and size"),
        (
            lambda: environments.pullback(
                OU, mk.Gaussian(0.0, 1.0), depths=(), dt=0.1, path=mk.Brownian(jax.random.key(0))
            ),
            "positive times",
        ),
        (
            lambda: environments.invariant(
                OU, mk.Gaussian(0.0, 1.0), {}, depth=-1.0, dt=0.1, key=jax.random.key(0), replicas=2
            ),
            "depth",
        ),
        (lambda: rates(OU, np.array([[1]])), "belong to a torus"),
        (lambda: mean_threshold(mk.langevin(TORUS, interaction=ATTRACTION)), "one transport noise"),
        (lambda: mean_square_system(mk.langevin(TORUS, common=mk.Additive(1.0)), 2), "transport noise alone"),
        (lambda: catalogue.transport(intensity=0.0), "must be positive"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_scheme_that_refuses_does_so_before_the_run():
    model = mk.langevin(TORUS, common=mk.Multiplicative(lambda x, mu: jnp.sin(x), "ito"))
    grid = TORUS.grid(8)
    with pytest.raises(ValueError, match="Stratonovich"):
        environments.growth(
            model, flat(grid), ripple(grid, lambda x: jnp.cos(x[0])), until=1.0, dt=0.1, key=jax.random.key(0),
            replicas=2, scheme=Spectral(),
        )  # fmt: skip
