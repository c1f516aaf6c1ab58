"""What is looked at along a run: values by hand, one compilation for equal observables, and the run as a Dataset."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from schemes import BOX, CIRCLE, LINE, PLANE, linear

import mckean as mk

look = mk.observables
TORUS = mk.Torus(2, (2.0, 3.0))
FREE = mk.langevin(TORUS, beta=2.0)
SPOTS = mk.Particles(PLANE, [[1.0, -2.0], [3.0, 4.0]], [0.25, 0.75])
PATH = mk.Brownian(jax.random.key(0))


def test_moments_by_hand():
    model = mk.langevin(PLANE)
    np.testing.assert_allclose(look.mean(model, SPOTS), [2.5, 2.5], rtol=1e-15)
    np.testing.assert_allclose(look.covariance(model, SPOTS), 0.1875 * np.outer([2, 6], [2, 6]), rtol=1e-15)
    np.testing.assert_allclose(look.moment(3)(model, SPOTS), [0.25 + 0.75 * 27, -2 + 0.75 * 64], rtol=1e-15)
    np.testing.assert_allclose(look.average(lambda x: x[0] * x[1])(model, SPOTS), -0.5 + 9, rtol=1e-15)


def test_moments_of_a_gaussian_and_of_its_density():
    """On cells of width h the second moment of their centres has the error of the rectangle rule, below rounding."""
    law = mk.Gaussian(0.3, 0.16)
    model, density = linear(0.5), mk.Density.from_law(LINE.grid(64, -4.0, 4.0), law)
    for mu in (law, density):
        np.testing.assert_allclose(look.mean(model, mu), [0.3], atol=1e-12)
        np.testing.assert_allclose(look.covariance(model, mu), [[0.16]], atol=1e-12)
        np.testing.assert_allclose(look.moment(4)(model, mu), [0.3**4 + 6 * 0.09 * 0.16 + 3 * 0.16**2], atol=1e-12)
        # F = ½a E x² + ½c v − (1/2β) log(2πe v) and D = a²m² + ((a + c) − 1/βv)² v, with a = 1, c = ½, β = 2.
        assert abs(look.confinement_energy(model, mu) - 0.125) < 1e-12
        assert abs(look.interaction_energy(model, mu) - 0.04) < 1e-12
        free = 0.165 - 0.25 * math.log(2 * math.pi * math.e * 0.16)
        assert abs(look.free_energy(model, mu) - free) < 1e-12
        assert abs(look.entropy(model, mu) + 0.5 * math.log(2 * math.pi * math.e * 0.16)) < 1e-12
    slope = 0.09 + (1.5 - 0.5 / 0.16) ** 2 * 0.16
    assert abs(look.dissipation(model, law) - slope) < 1e-12
    # The faces' mean density and differences err by h²/8 of second derivatives, h = 1/8.
    assert abs(look.dissipation(model, density) - slope) < 0.05 * slope


def test_modes_have_the_sign_and_the_sides_of_the_torus():
    """z_k = e^{2πi k·x/L} for a point, and the same for particles, weighted or not, as for densities."""
    x = np.array([0.3, 1.1])
    point = mk.Particles(TORUS, x[None])
    expected = np.exp(2j * np.pi * (2 * x[0] / 2 - x[1] / 3))
    np.testing.assert_allclose(look.mode((2, -1))(FREE, point), expected, rtol=1e-13)
    pair = mk.Particles(TORUS, [x, [0.0, 0.0]], [0.25, 0.75])
    np.testing.assert_allclose(look.mode((2, -1))(FREE, pair), 0.25 * expected + 0.75, rtol=1e-13)
    np.testing.assert_allclose(look.order_parameter((2, -1))(FREE, pair), abs(0.25 * expected + 0.75), rtol=1e-13)
    wave = mk.Density.from_function(TORUS.grid(8), lambda y: 1 + jnp.cos(2 * jnp.pi * (y[0] / 2 - 2 * y[1] / 3) + 0.4))
    # ρ = (1 + cos(q·x + φ))/|T| has z_{∓k} = ½e^{±iφ}.
    np.testing.assert_allclose(look.mode((1, -2))(FREE, wave), 0.5 * np.exp(-0.4j), atol=1e-15)
    np.testing.assert_allclose(look.mode((-1, 2))(FREE, wave), 0.5 * np.exp(0.4j), atol=1e-15)
    assert look.order_parameter((1, 1))(FREE, wave) < 1e-15


def test_order_parameter_of_a_sample_is_that_of_the_density():
    """|z − ẑ| has second moment (1 − |z|²)/n; a sample from cells loses (q·h)²/24 of the mode. 5 standard errors."""
    density = mk.Density.from_function(TORUS.grid(16), lambda y: 1 + 0.8 * jnp.cos(2 * jnp.pi * (y[0] / 2 + y[1] / 3)))
    n = 40_000
    r = look.order_parameter((1, 1))
    sampled, exact = r(FREE, density.sample(jax.random.key(3), n)), r(FREE, density)
    np.testing.assert_allclose(exact, 0.4, rtol=1e-13)
    assert abs(sampled - exact) < 5 * math.sqrt((1 - 0.4**2) / n) + 0.4 * 2 * (2 * math.pi / 16) ** 2 / 24


@pytest.mark.parametrize("n", [1, 7])
def test_ito_decomposition_of_the_square(n):
    """⟨μ, x²⟩ for dX = −aX dt − c(X − X̄) dt + √(2/β) dB: drift −2a⟨x²⟩ − 2c var + 2/β, bracket (8/βN)⟨x²⟩."""
    x = np.linspace(-1.0, 2.0, n)
    parts = look.ito(lambda y: y[0] ** 2)(linear(0.5), mk.Particles(LINE, x[:, None]))
    square = np.mean(x**2)
    np.testing.assert_allclose(parts["value"], square, rtol=1e-14)
    np.testing.assert_allclose(parts["drift"], -2 * square - np.var(x) + 1, rtol=1e-13)
    np.testing.assert_allclose(parts["own"], 4 * square / n, rtol=1e-14)


def test_ito_decomposition_with_a_matrix():
    """½σσᵀ:∇²φ + b·∇φ and |σᵀ∇φ|²/N for φ = xy and a constant σ."""
    sigma = np.array([[1.0, 0.5, 0.0], [0.2, 0.0, 2.0]])
    model = mk.Model(PLANE, drift=lambda x, mu: x[::-1], noise=mk.Multiplicative(lambda x, mu: jnp.asarray(sigma)))
    x = np.array([[1.0, 2.0], [-0.5, 1.5]])
    parts = look.ito(lambda y: y[0] * y[1])(model, mk.Particles(PLANE, x))
    np.testing.assert_allclose(parts["drift"], np.mean(np.sum(x**2, 1)) + (sigma @ sigma.T)[0, 1], rtol=1e-14)
    np.testing.assert_allclose(parts["own"], np.mean(np.sum((x[:, ::-1] @ sigma) ** 2, 1)) / 2, rtol=1e-14)


def test_ito_increments_are_those_of_an_euler_step():
    """Averaged over the noise, a step of Euler changes ⟨x²⟩ by drift dt + O(dt²), with variance bracket dt + O(dt²)."""
    n, copies, dt = 3, 40_000, 1e-3
    x = np.tile([-1.0, 0.5, 2.0], copies)[:, None]
    model = mk.langevin(LINE, mk.potentials.Quadratic(1.0), beta=2.0)
    moved = mk.evolve(model, mk.Particles(LINE, x), until=dt, dt=dt, path=PATH).final.positions
    change = np.asarray(jnp.mean(moved.reshape(copies, n) ** 2 - x.reshape(copies, n) ** 2, axis=1))
    parts = look.ito(lambda y: y[0] ** 2)(model, mk.Particles(LINE, x[:n]))
    assert abs(change.mean() / dt - parts["drift"]) < 5 * change.std() / dt / math.sqrt(copies) + 2 * dt
    assert abs(change.var() / dt - parts["own"]) < parts["own"] * 5 * math.sqrt(2 / copies) + 20 * dt


def test_ito_decomposition_with_a_common_noise():
    """For φ = x² and σ_k of the environment: drift + ½⟨Σσ_k²⟩φ″, bracket Σ_k⟨μ, σ_kφ′⟩², entering M by ⟨μ, σ_kφ′⟩."""
    x = np.array([-1.0, 0.5, 2.0, 3.0])
    waves = mk.Multiplicative(lambda y, mu: jnp.stack([jnp.cos(y[0]), y[0]])[None])
    model = mk.Model(LINE, common=[mk.Additive(0.3), waves], noise=mk.Thermal(4.0))
    parts = look.ito(lambda y: y[0] ** 2)(model, mk.Particles(LINE, x[:, None]))
    fields = np.stack([0.3 + 0 * x, np.cos(x), x])
    np.testing.assert_allclose(parts["drift"], 0.5 + np.mean(np.sum(fields**2, axis=0)), rtol=1e-14)
    np.testing.assert_allclose(parts["own"], 0.5 * np.mean((2 * x) ** 2) / 4, rtol=1e-14)
    np.testing.assert_allclose(parts["fields"], np.mean(fields * 2 * x, axis=1), rtol=1e-14)
    np.testing.assert_allclose(parts["common"], np.sum(np.mean(fields * 2 * x, axis=1) ** 2), rtol=1e-14)


def test_the_two_martingales_of_a_run():
    """For φ = x Euler's scheme has no remainder: own and common part are their sums to rounding, and make up M."""
    n, steps, dt = 5, 40, 0.05
    field = mk.Multiplicative(lambda y, mu: 1 + 0.5 * jnp.cos(y[0]))
    model = mk.langevin(LINE, mk.potentials.Quadratic(1.0), beta=2.0, common=field)
    cloud = mk.Particles(LINE, np.linspace(-1, 2, n)[:, None])
    run = mk.evolve(model, cloud, until=steps * dt, dt=dt, path=PATH, every=1, observe={"x": look.ito(lambda y: y[0])})
    environment = PATH.environment.record(steps, dt, 1).increments
    parts = mk.couplings.ito_decomposition(run, "x", environment)
    own = jax.vmap(lambda k: jnp.mean(PATH.idiosyncratic.increment(k, dt, (n, 1))))(jnp.arange(steps))
    np.testing.assert_allclose(np.diff(parts.own.path), own, atol=1e-14)
    np.testing.assert_allclose(parts.own.path + parts.common.path, parts.whole.path, atol=1e-14)
    np.testing.assert_allclose(parts.own.predicted, parts.times / n, rtol=1e-12)
    with pytest.raises(ValueError, match=r"increments of shape \(40, 1\), not \(39, 1\)"):
        mk.couplings.ito_decomposition(run, "x", environment[1:])


def test_equal_observables_are_compiled_once():
    """Two calls with equal parameters make equal observables; unequal ones are other observables."""
    assert look.order_parameter(1) == look.order_parameter((1,))
    assert look.moment(2) == look.moment(2) != look.moment(3)
    traces = []

    def potential(x):
        traces.append(x)
        return jnp.cos(x[0])

    model = mk.langevin(CIRCLE, potential)
    counts = []
    for k in (1, 1, 2):
        watch = {"r": look.mode(k)}
        mk.evolve(model, mk.Particles(CIRCLE, [[1.0]]), until=0.2, dt=0.01, path=PATH, observe=watch, every=1)
        counts.append(len(traces))
    assert counts[0] == counts[1] < counts[2]


def phase(model, mu):
    return {"first": look.mode(1)(model, mu), "energy": look.energy(model, mu)}


def test_particles_as_a_dataset():
    model = mk.langevin(CIRCLE, interaction=mk.kernels.Cosine(1.5), beta=2.0)
    cloud = mk.Particles(CIRCLE, [[1.0], [2.0], [4.0]], [0.2, 0.3, 0.5])
    watch = {"phase": phase, "at": lambda model, mu: mu}
    run = mk.evolve(model, cloud, until=0.2, dt=0.01, path=PATH, observe=watch, every=10)
    data = run.to_xarray()
    assert data["phase.first.real"].dims == ("time",)
    assert data["phase.first.imag"].dtype == np.float64
    assert data["at.positions"].dims == ("time", "at.positions_axis0", "at.positions_axis1")
    assert data["final_position"].dims == ("particle", "coordinate")
    np.testing.assert_array_equal(data["final_weight"], [0.2, 0.3, 0.5])
    np.testing.assert_array_equal(data["at.positions"][-1], data["final_position"])
    np.testing.assert_allclose(data["time"], [0, 0.1, 0.2], rtol=1e-15)
    assert all(data[name].attrs["units"] == "1" for name in (*data.data_vars, "time"))
    assert (data.attrs["dt"], data.attrs["every"], data.attrs["until"]) == ("0.01", "10", "0.2")
    assert "-1.5" in data.attrs["model"]
    assert "Euler" in data.attrs["scheme"]
    assert "[" in data.attrs["path"]
    assert data.attrs["software"].startswith("mckean ")


def test_densities_and_gaussians_as_datasets():
    """An observable may be called as the final measure's arrays are."""
    grid = PLANE.grid((6, 8), (-3.0, -4.0), (3.0, 4.0))
    square = mk.Density.from_function(grid, lambda x: jnp.exp(-jnp.sum(x**2)))
    walls = mk.FiniteVolume(edge_tolerance=math.inf)
    data = mk.evolve(mk.langevin(PLANE, beta=2.0), square, until=0.02, dt=0.01, scheme=walls).to_xarray()
    assert data["final_density"].dims == ("x", "y")
    assert data["final_density"].attrs["units"] == "1/volume"
    np.testing.assert_array_equal(data["y"], grid.axes[1])
    assert data["x"].attrs["long_name"] == "centre of a cell along x"
    watch = {"mean": look.mean, "covariance": look.covariance}
    data = mk.evolve(linear(0.5), mk.Gaussian(1.0, 0.5), until=0.2, dt=0.1, observe=watch, every=1).to_xarray()
    assert data["mean"].dims == ("time", "mean_axis0")
    assert data["covariance"].shape == (3, 1, 1)
    assert data["final_mean"].dims == ("coordinate",)
    np.testing.assert_array_equal(data["final_covariance"], data["covariance"][-1])
    watch = {"density": lambda model, mu: mu.values}
    data = mk.evolve(linear(0.5), BOX, until=0.02, dt=0.01, observe=watch).to_xarray()
    np.testing.assert_array_equal(data["density"][-1], data["final_density"])


def test_a_batch_of_runs_is_not_a_dataset():
    runs = jax.vmap(lambda m: mk.evolve(linear(0.5), mk.Gaussian(m, 0.5), until=0.2, dt=0.1))(jnp.array([0.0, 1.0]))
    with pytest.raises(ValueError, match="a batch of runs"):
        runs.to_xarray()
    one = jax.tree.map(lambda a: a[1], runs).to_xarray()
    assert one["final_mean"].shape == (1,)
