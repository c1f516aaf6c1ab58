"""Energies against closed forms: Ornstein–Uhlenbeck, Kuramoto; the first variation and the dissipation."""

import math
from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import ive
from tables import CIRCLE, KERNELS, LINE, OBLONG, PLANE, cloud, compiled, density, particles, skew

import mckean as mk
from mckean.models import energy

A, C, BETA = 0.7, 0.4, 1.5  # stiffness, strength of attraction, inverse temperature
OU = mk.langevin(LINE, mk.potentials.Quadratic(A), mk.kernels.Quadratic(C), beta=BETA)
MEAN, VARIANCE = 0.6, 0.8
BOX = (-9.0, 9.0)  # more than nine standard deviations of everything below

free_energy, dissipation = eqx.filter_jit(energy.free_energy), eqx.filter_jit(energy.dissipation)
first_variation, interaction_energy = eqx.filter_jit(energy.first_variation), eqx.filter_jit(energy.interaction_energy)
hamiltonian, slope = eqx.filter_jit(energy.hamiltonian), eqx.filter_jit(energy.slope)


@compiled
def pair_energies(kernel, mu):
    z = mu.space.displacement(mu.positions[:, None], mu.positions[None])
    return jax.vmap(jax.vmap(kernel.value))(z)


def ou_excess(mean, variance):
    """F − F* of a Gaussian: a m²/2 + (s − 1 − log s)/2β, s = β(a + c)v."""
    s = BETA * (A + C) * variance
    return 0.5 * A * mean**2 + (s - 1 - math.log(s)) / (2 * BETA)


def on_box(n, mean=MEAN, variance=VARIANCE):
    grid = LINE.grid(n, *BOX)
    weight = np.exp(-((grid.axes[0] - mean) ** 2) / (2 * variance))
    return density(grid, weight / weight.sum() / grid.cell_volume)


def test_free_energy_of_a_gaussian_is_the_closed_form():
    equilibrium = mk.Gaussian(0.0, 1 / (BETA * (A + C)))
    excess = free_energy(OU, mk.Gaussian(MEAN, VARIANCE)) - free_energy(OU, equilibrium)
    assert excess == pytest.approx(ou_excess(MEAN, VARIANCE), rel=1e-13)


def test_free_energy_on_a_grid_is_that_of_the_gaussian():
    # Midpoints integrate a Gaussian times polynomials to rounding when h is below half a standard deviation.
    on_grid, exact = free_energy(OU, on_box(128)), free_energy(OU, mk.Gaussian(MEAN, VARIANCE))
    assert on_grid == pytest.approx(float(exact), rel=1e-12)


def test_free_energy_in_two_dimensions():
    model = mk.langevin(PLANE, mk.potentials.Quadratic(A), mk.kernels.Quadratic(C), beta=BETA)
    law = mk.Gaussian([0.6, -0.2], [[0.8, 0.0], [0.0, 0.5]])
    expected = sum(
        float(free_energy(OU, mk.Gaussian(m, v))) for m, v in ((0.6, 0.8), (-0.2, 0.5))
    )  # coordinates of a product law do not know of one another
    assert free_energy(model, law) == pytest.approx(expected, rel=1e-13)


def on_circle(n, mean, kappa):
    """The von Mises density, normalised on its grid."""
    grid = CIRCLE.grid(n)
    weight = np.exp(kappa * (np.cos(grid.axes[0] - mean) - 1))
    return density(grid, weight / weight.sum() / grid.cell_volume)


def kuramoto_state(k):
    """(κ, r) of the synchronised state at β = 1: κ = Kr with r = I₁(κ)/I₀(κ)."""
    kappa = brentq(lambda x: k * ive(1, x) / ive(0, x) - x, 0.1, k, xtol=1e-14)
    return kappa, kappa / k


@pytest.mark.parametrize(("k", "excess"), [(3.0, -0.1600640016), (5.0, -0.8372620344)])
@pytest.mark.parametrize("beta", [1.0, 2.5])
def test_free_energy_of_synchronised_oscillators(k, excess, beta):
    kappa, r = kuramoto_state(k)
    model = mk.langevin(CIRCLE, interaction=mk.kernels.Cosine(k / beta), beta=beta)
    synchronised, uniform = (float(free_energy(model, on_circle(64, 2.0, c))) for c in (kappa, 0.0))
    assert beta * (synchronised - uniform) == pytest.approx(excess, abs=6e-11)  # the digits given
    assert beta * uniform == pytest.approx(-math.log(2 * math.pi), rel=1e-13)
    assert excess == pytest.approx(0.5 * k * r**2 - math.log(ive(0, kappa)) - kappa, abs=6e-11)


def test_interaction_energy_is_half_the_double_sum():
    for name, weighted in (("skew module", False), ("skew module", True), ("coulomb", False), ("cosines", True)):
        entry = KERNELS[name]
        mu = cloud(entry.space, 5, weighted=weighted)
        pairs = np.asarray(pair_energies(entry.kernel, mu))
        w = np.full(5, 0.2) if mu.weights is None else np.asarray(mu.weights)
        value = interaction_energy(mk.langevin(entry.space, interaction=entry.interaction), mu)
        assert value == pytest.approx(0.5 * w @ pairs @ w, abs=1e-13)


def test_hamiltonian_is_extensive():
    # N particles doubled in place: V doubles, and so does (1/2N) ΣΣ W, the diagonal being in.
    x = cloud(PLANE, 4).positions
    model = mk.langevin(PLANE, mk.potentials.Quadratic(1.0), mk.kernels.Morse())
    once, twice = (hamiltonian(model, particles(PLANE, y)) for y in (x, np.concatenate([x, x])))
    assert twice == pytest.approx(2 * float(once), rel=1e-14)


@pytest.mark.parametrize("name", ["kuramoto", "skew function", "morse", "logarithm"])
def test_first_variation_is_the_derivative_of_the_free_energy(name):
    space = KERNELS[name].space
    grid = space.grid(8) if isinstance(space, mk.Torus) else space.grid(8, -2.0, 2.0)
    confinement = skew if space is OBLONG else None
    model = mk.langevin(space, confinement, KERNELS[name].interaction, beta=2.0)
    rng = np.random.default_rng(1)
    rho, eta = rng.uniform(0.5, 1.5, grid.shape), rng.uniform(-0.2, 0.2, grid.shape)
    rho, eta = rho / rho.sum() / grid.cell_volume, (eta - eta.mean()) / rho.sum() / grid.cell_volume
    h = 1e-3
    up, down = (free_energy(model, density(grid, rho + s * h * eta)) for s in (1, -1))
    variation = np.sum(np.asarray(first_variation(model, density(grid, rho))) * eta) * grid.cell_volume
    # The energy is quadratic, so that only the entropy has a third derivative: ∫η³/ρ² /β, with |η| < 0.4ρ.
    third = np.sum(np.abs(eta) ** 3 / rho**2) * grid.cell_volume / 2.0
    assert abs((up - down) / (2 * h) - variation) <= h**2 / 6 * third + 1e-15 * 100 / h


def test_the_first_variation_of_an_equilibrium_is_constant():
    k = 3.0
    kappa, _ = kuramoto_state(k)
    model = mk.langevin(CIRCLE, interaction=mk.kernels.Cosine(k))
    state = on_circle(64, 1.0, kappa)
    assert np.ptp(first_variation(model, state)) <= 1e-13
    assert dissipation(model, state) <= 1e-25


def ou_dissipation(mean, variance):
    """∇δF is affine, with slope (a + c) − 1/βv and value a m at the mean."""
    return (A * mean) ** 2 + ((A + C) - 1 / (BETA * variance)) ** 2 * variance


def test_dissipation_of_a_gaussian_is_the_closed_form():
    assert dissipation(OU, mk.Gaussian(MEAN, VARIANCE)) == pytest.approx(ou_dissipation(MEAN, VARIANCE), rel=1e-12)


def test_dissipation_on_a_box_is_of_second_order():
    exact = ou_dissipation(MEAN, VARIANCE)
    errors = [abs(float(dissipation(OU, on_box(n))) - exact) for n in (64, 128, 256)]
    # Δξ/h is exact at the face for a quadratic ξ; the mean of two cells is off by h²/8 of a second derivative, and then
    # by h⁴/384 of a fourth, smaller by h²/48 ≤ 2e-3.
    for coarse, fine in pairwise(errors):
        assert math.log2(coarse / fine) == pytest.approx(2, abs=0.02)
    assert errors[-1] <= 0.01 * exact


@pytest.mark.parametrize("kappa", [0.5, 4.0, 60.0])
def test_dissipation_on_the_torus_is_spectral(kappa):
    # ∇δF = (Kr − κ/β) sin, and E sin² = r/κ. At κ = 60 the density spans 52 orders of magnitude: its score is not known
    # in the far tail, where noise of size 1e-16 divided by ρ must not enter.
    k, beta, r = 2.0, 1.5, ive(1, kappa) / ive(0, kappa)
    model = mk.langevin(CIRCLE, interaction=mk.kernels.Cosine(k), beta=beta)
    state = on_circle(128, 0.5, kappa)
    assert dissipation(model, state) == pytest.approx((k * r - kappa / beta) ** 2 * r / kappa, rel=1e-10)


def test_without_noise_particles_dissipate():
    model = mk.langevin(PLANE, mk.potentials.Quadratic(2.0), beta=math.inf)
    mu = cloud(PLANE, 5, weighted=True)
    assert dissipation(model, mu) == pytest.approx(4 * float(mu.integrate(lambda x: jnp.sum(x**2))), rel=1e-14)
    assert free_energy(model, mu) == pytest.approx(float(energy.energy(model, mu)), rel=1e-14)


def test_entropy_takes_zero_density():
    half = density(LINE.grid(4, 0.0, 4.0), np.asarray([0.5, 0.5, 0.0, 0.0]))
    assert energy.entropy(half) == pytest.approx(math.log(0.5), rel=1e-15)


def test_dissipation_of_a_gaussian_with_velocities():
    """γ∫|v + β⁻¹∂_v log f|² = γ(E v² − 2/β + β⁻²(Σ⁻¹)_vv), and dF/dt = −D: of velocities alone."""
    spread, friction = np.array([[0.5, 0.1], [0.1, 0.4]]), 0.8
    law = mk.Gaussian([0.3, 0.1], spread, mk.TangentBundle(LINE))
    springs = mk.potentials.Quadratic(A), mk.kernels.Quadratic(C)
    model = mk.underdamped(LINE, *springs, friction=friction, beta=BETA)
    exact = friction * (0.41 - 2 / BETA + np.linalg.inv(spread)[1, 1] / BETA**2)
    np.testing.assert_allclose(energy.dissipation(model, law), exact, rtol=1e-12)
    ends = [law, mk.evolve(model, law, until=1e-3, dt=1e-3).final]
    first, last = (float(energy.free_energy(model, mu)) for mu in ends)
    middle = np.mean([float(energy.dissipation(model, mu)) for mu in ends])
    # The trapezoidal rule errs by h²D″/12 in the rate, and D″ has the size of D and squared rates.
    np.testing.assert_allclose((first - last) / 1e-3, middle, rtol=1e-5)


POROUS = mk.Model(LINE, confinement=mk.potentials.Quadratic(1.0), internal=mk.PorousMedium(2.0, 0.25))


def barenblatt(n):
    """V + U′ = x²/2 + ρ/2 = R²/2 where ρ > 0: ρ = (R² − x²)₊, of mass 4R³/3 = 1, as exact averages over cells."""
    radius = 0.75 ** (1 / 3)
    grid = LINE.grid(n, -1.5, 1.5)
    edges = np.clip(np.linspace(-1.5, 1.5, n + 1), -radius, radius)
    return radius, density(grid, np.diff(radius**2 * edges - edges**3 / 3) / grid.cell_volume)


def test_a_barenblatt_profile_is_the_equilibrium_of_a_porous_medium():
    gaps, slopes = [], []
    for n in (100, 200, 400):
        radius, mu = barenblatt(n)
        # ∫x²ρ/2 + ∫ρ²/4 over the profile.
        exact = 2 * (radius**5 / 3 - radius**5 / 5) / 2 + (16 / 15) * radius**5 / 4
        gaps.append(abs(float(free_energy(POROUS, mu)) - exact))
        slopes.append(float(dissipation(POROUS, mu)))
        inside = np.asarray(mu.values) > 0.1
        # An average over a cell differs from the value at its centre by h²/24 of ρ″ = −2, the same everywhere.
        assert np.ptp(np.asarray(energy.first_variation(POROUS, mu))[inside]) <= 1e-13
        assert gaps[-1] <= (3 / n) ** 2
    # Only the cells at the two fronts have a slope: ρ̄ξ′² h ~ h·h²·h, ξ = x²/2 + ρ/2 off by O(h) over a face there.
    assert slopes[-1] <= 8 * radius**3 * (3 / 400) ** 2


def test_the_first_variation_of_an_internal_energy_is_its_derivative():
    model = mk.Model(CIRCLE, internal=mk.PorousMedium(3.0, 0.7))
    grid, rng, h = CIRCLE.grid(8), np.random.default_rng(2), 1e-3
    rho, eta = rng.uniform(0.5, 1.5, 8), rng.uniform(-0.2, 0.2, 8)
    rho, eta = rho / rho.sum() / grid.cell_volume, (eta - eta.mean()) / rho.sum() / grid.cell_volume
    up, down = (free_energy(model, density(grid, rho + s * h * eta)) for s in (1, -1))
    variation = np.sum(np.asarray(first_variation(model, density(grid, rho))) * eta) * grid.cell_volume
    # U‴ = 3s for U = sρ³/2.
    third = 3 * 0.7 * abs(np.sum(eta**3)) * grid.cell_volume
    assert abs((up - down) / (2 * h) - variation) <= 1.01 * h**2 / 6 * third + 1e-15 * 100 / h


def test_a_porous_medium_has_the_pressure_of_its_energy():
    medium, rho = mk.PorousMedium(2.5, 0.7), jnp.linspace(0.0, 3.0, 7)
    np.testing.assert_allclose(medium.pressure(rho), rho * medium.derivative(rho) - medium(rho), atol=1e-13)
    np.testing.assert_allclose(medium.derivative(rho[1:]), jax.vmap(jax.grad(medium))(rho[1:]), rtol=1e-13)


def test_the_slope_of_an_internal_energy_on_the_torus_is_spectral():
    # ∇U′ = 2sρ′ for m = 2.
    model = mk.Model(CIRCLE, internal=mk.PorousMedium(2.0, 0.7))
    mu = mk.Density.from_function(CIRCLE.grid(16), lambda x: 1 + 0.5 * jnp.cos(x[0]))
    exact = -2 * 0.7 * 0.5 * np.sin(mu.grid.nodes) / (2 * math.pi)
    np.testing.assert_allclose(slope(model, mu), exact, atol=1e-14)


REFUSALS = {
    "internal energy": (lambda: free_energy(POROUS, cloud(LINE, 3)), "the internal energy needs a density"),
    "dissipation of a Gaussian": (lambda: dissipation(POROUS, mk.Gaussian(0.0, 1.0)), "needs a density on a grid"),
    "entropy": (lambda: energy.entropy(cloud(LINE, 3)), "the entropy needs a density.*deposit or smooth"),
    "free energy": (lambda: free_energy(OU, cloud(LINE, 3)), "the entropy needs a density"),
    "first variation": (lambda: energy.first_variation(OU, cloud(LINE, 3)), "the first variation needs a density"),
    "dissipation": (lambda: dissipation(OU, cloud(LINE, 3)), "needs a density"),
    "slope on a box": (lambda: slope(OU, on_box(8)), "pointwise on a torus and a sphere; on a box, use dissipation"),
}


@pytest.mark.parametrize(("call", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
