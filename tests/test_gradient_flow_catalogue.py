"""Closed forms of the catalogue's gradient flows against each other and against the library's energies."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

import mckean as mk
from mckean.catalogue.chemotaxis import critical_strength, keller_segel, periodic_kernel, spreading
from mckean.catalogue.granular import cooling, equilibrium, granular_media
from mckean.catalogue.porous_media import barenblatt, dilation, porous_medium, second_moment
from mckean.catalogue.porous_media import spreading as scale
from mckean.catalogue.random_matrices import equilibrium as zeros
from mckean.catalogue.random_matrices import least_energy, log_gas, mean_square, radius, semicircle
from mckean.catalogue.swarms import distance, integral, morse
from mckean.interactions import potential
from mckean.models.energy import dissipation, energy, free_energy

LINE = mk.Euclidean(1)


@pytest.mark.parametrize(("m", "d"), [(2.0, 1), (1.5, 2)])
def test_dilations_of_barenblatt_lose_free_energy_at_the_rate_of_their_dissipation(m, d):
    """dF/dt = −D along σ(t), which fixes the clock of the closed form; F by quadrature, the derivative by differences.

    A dilation has the velocity xσ′/σ, hence D = ∫|v|²ρ = σ′²M.
    """
    model = porous_medium(m, 0.7, 1.3, d).model
    grid = mk.Euclidean(d).grid({1: 4000, 2: 300}[d], (-4.0,) * d, (4.0,) * d)
    sigma = [dilation(t, 1.5, m, 1.3, d) for t in (0.3 - 1e-2, 0.3, 0.3 + 1e-2)]
    early, late = (free_energy(model, barenblatt(grid, m, 0.7, 1.3, s)) for s in (sigma[0], sigma[2]))
    speed = (sigma[2] - sigma[0]) / 2e-2
    exact = speed**2 * second_moment(m, 0.7, 1.3, d)
    # Central differences: (δt²/6) of a third derivative of order (2aq)³ ≤ 10³: 2e-2 of a rate, δt² in units of it.
    assert float(early - late) / 2e-2 == pytest.approx(exact, rel=5e-3)
    assert float(dissipation(model, barenblatt(grid, m, 0.7, 1.3, sigma[1]))) == pytest.approx(exact, rel=5e-3)


def test_barenblatt_without_drift_is_the_drifting_one_in_other_clocks():
    """σ_free(s) = e^{at}σ(t) at s = (e^{2at·q/2} − 1)/(aq): rescaling removes the drift."""
    m, a, d, t = 3.0, 0.8, 1, 0.6
    q = d * (m - 1) + 2
    s = (math.exp(a * q * t) - 1) / (a * q)
    assert scale(s, 1.4, m, a, d) == pytest.approx(math.exp(a * t) * dilation(t, 1.4, m, a, d), rel=1e-14)


def test_granular_equilibrium_is_that_of_the_library_and_grains_cool():
    still = equilibrium(1.0, 1.0, 1.0)
    model = granular_media().model
    assert float(dissipation(model, still)) < 1e-12
    moved = mk.Density.from_function(still.grid, lambda x: jnp.exp(-0.5 * x[0] ** 2))
    assert float(free_energy(model, moved)) > float(free_energy(model, still))
    assert cooling(2.0, 0.5, 3.0) == pytest.approx(0.125)


def test_semicircle_is_the_limit_of_hermite_zeros():
    """N²W_2² = 5π²/48 + O(N^{−1/3}), second moments (c/2a)(1 − 1/N), and the energies' limit with log N/2N."""
    circle = semicircle(LINE.grid(4000, -1.5, 1.5), 1.0, 1.0)
    scaled = []
    for n in (64, 256):
        x = mk.Particles(LINE, jnp.asarray(zeros(n, 1.0, 1.0)))
        scaled.append((n * mk.wasserstein(x, circle)) ** 2)
        assert float(x.integrate(lambda y: y[0] ** 2)) == pytest.approx(mean_square(1.0, 1.0, math.inf, n), rel=1e-12)
    share = 4 ** (-1 / 3)
    # What is left is below N^{−2/3} of the edge's share at the smaller N, 0.55/4.
    assert (scaled[1] - share * scaled[0]) / (1 - share) == pytest.approx(5 * math.pi**2 / 48, abs=0.55 / 4 / 16)
    assert radius(2.0, 0.5) == pytest.approx(math.sqrt(0.5))
    # The own cells that a cloud leaves out: ½∬ over a part's own mass, (c/2N)(log N + O(1)).
    gap = least_energy(1.0, 1.0) - least_energy(1.0, 1.0, 10**4)
    assert gap * 2e4 == pytest.approx(math.log(1e4), abs=2.0)


def test_keller_segel_on_a_grid_sees_its_virial():
    """2∫x·b ρ → −c with the cells' convention: order 1 in h, as neighbouring cells see differences of W."""
    errors = []
    for cells in (100, 200):
        grid = LINE.grid(cells, -5.0, 5.0)
        mu = mk.Density.from_law(grid, mk.Gaussian(0.0, 1.0))
        phi = np.asarray(potential(mk.kernels.PowerLaw(1.0, 0.0), mu, grid))
        rho, h = np.asarray(mu.values), grid.spacing[0]
        force, mass, middle = (
            -np.diff(phi) / h,
            0.5 * (rho[1:] + rho[:-1]) * h,
            0.5 * (grid.axes[0][1:] + grid.axes[0][:-1]),
        )
        errors.append(2 * np.sum(middle * force * mass) + 1.0)
    assert abs(errors[1]) < 0.05 * 0.5
    assert 0.8 < math.log2(errors[0] / errors[1]) < 1.2


def test_keller_segel_thresholds():
    assert critical_strength(2.0, mk.Euclidean(2)) == pytest.approx(4 * math.pi)
    assert spreading(8 * math.pi, 1.0, 2) == pytest.approx(0.0, abs=1e-14)
    assert spreading(1.0, 1.0, 1, 10) == pytest.approx(0.9)
    torus = mk.Torus(2)
    assert critical_strength(1.0, torus) == pytest.approx(4 * math.pi**2)
    assert keller_segel(4 * math.pi**2, space=torus)["uniform rate"] == pytest.approx(0.0, abs=1e-12)


def test_periodic_kernel_is_the_logarithm_near_its_singularity():
    """ΔW = χ(δ − 1/|T|): W(x) − W(y) of two points on an axis, against (χ/2π) log with the smooth part's −|z|²/4|T|."""
    torus = mk.Torus(2)
    kernel = periodic_kernel(2 * math.pi, torus, 200).on(torus)
    near, far = (float(kernel(jnp.array([r, 0.0]))) for r in (0.2, 0.4))
    # Isotropic part: log r − (χ/4|T|)r², anharmonic terms of order r⁴; modes cut at 200 leave 1/(200·0.2)^{3/2}.
    exact = math.log(2) - (2 * math.pi / (4 * torus.volume)) * (0.16 - 0.04)
    assert far - near == pytest.approx(exact, abs=0.4**4 + 40**-1.5)


def test_morse_particles_rest_at_a_minimum():
    given = (1.0, 0.5, 0.5, 1.0)
    model = morse(*given).model
    at = distance(*given)
    pair = lambda r: float(energy(model, mk.Particles(LINE, jnp.array([[0.0], [r]]))))  # noqa: E731
    assert pair(at) < min(pair(0.9 * at), pair(1.1 * at))
    assert integral(*given, 1) == 0
    assert integral(*given, 2) < 0 < integral(2.0, 0.5, 0.5, 1.0, 1)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: granular_media(stiffness=0.0), "needs a > 0"),
        (lambda: porous_medium(stiffness=-1.0), "needs a confinement"),
        (lambda: porous_medium(exponent=1.0), "m > 1"),
        (lambda: log_gas(strength=-1.0), "a, c, β > 0"),
        (lambda: keller_segel(space=mk.Euclidean(3)), "d = 1, 2"),
        (lambda: keller_segel(space=mk.Torus(1)), "d = 2"),
        (lambda: keller_segel(beta=math.inf), "β > 0 are needed"),
        (lambda: morse(repulsion_range=2.0), "keep a distance"),
    ],
)
def test_refusals(build, message):
    with pytest.raises(ValueError, match=message):
        build()
