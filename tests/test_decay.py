"""Measured rates of decay, and the constants that are known before a run."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

import mckean as mk
from mckean import catalogue
from mckean.catalogue.mean_reversion import free_energy_gap, mean, variance
from mckean.energetics import (
    adversary,
    convexity,
    decay,
    holley_stroock,
    log_sobolev_bounds,
    poincare_bounds,
    relaxation,
)
from mckean.statistics import decay_rate

LINE, CIRCLE = mk.Euclidean(1), mk.Torus(1)
TIMES = np.linspace(0, 6, 61)


def test_rate_of_a_sum_of_exponentials_holds_the_slowest():
    two = decay_rate(TIMES, np.exp(-TIMES) + 3 * np.exp(-3 * TIMES))
    assert two.holds(1.0)
    assert not two.holds(1.05)
    assert two.value > 1 > two.low
    pure = decay_rate(TIMES, 0.1 * np.exp(-0.7 * TIMES))
    assert pure.value == pytest.approx(0.7, abs=1e-13)
    assert pure.high - pure.low < 1e-12


def test_rate_over_replicas_covers_the_truth():
    """Multiplicative errors exp(0.1 x) of one sign along a replica, so that the slope's error is 0.1 of a replica's."""
    rng = np.random.default_rng(0)
    tilt = 0.1 * rng.normal(size=(400, 1))
    measured = decay_rate(TIMES[:21], np.exp(-(1 + tilt) * TIMES[:21]))
    # E e^{−τt} = e^{t²/200}: the mean's slope is 1 − t/100 on average over the window [0, 2], 0.99.
    assert measured.holds(0.99)
    assert not measured.holds(1.05)
    # Four standard errors of 0.1/√400, up to the spread of an estimated one.
    assert measured.high - measured.value == pytest.approx(4 * 0.005, rel=0.2)


@pytest.mark.parametrize(
    ("times", "values", "message"),
    [
        (TIMES, np.exp(-TIMES) - 0.1, "positive values"),
        (TIMES[:5], np.ones(5), "at least six"),
        (TIMES[::-1], np.ones(61), "must increase"),
        (TIMES, np.ones(60), "need as many values"),
        (TIMES, np.ones((1, 61)), "two replicas"),
        (TIMES, -np.ones((3, 61)), "positive means"),
    ],
)
def test_rate_refuses(times, values, message):
    with pytest.raises(ValueError, match=message):
        decay_rate(times, values)


def test_decay_of_ornstein_uhlenbeck():
    """F − F*, D and W_2 by the closed forms; rates 2a, 2a, a; no λ above a."""
    model = catalogue.ornstein_uhlenbeck(1.0, 0.5, 1.0).model
    flow = decay(model, mk.Gaussian(1.0, 0.3), mk.Gaussian(0.0, 2 / 3), until=5.0, dt=0.05)
    m = [mean(t, 1.0, 1.0) for t in flow.times]
    v = [variance(t, 0.3, 1.0, 0.5, 1.0) for t in flow.times]
    # The moments are stepped with errors far below 1e-6.
    assert flow.gap == pytest.approx(
        [free_energy_gap(a, b, 1.0, 0.5, 1.0) for a, b in zip(m, v, strict=True)], rel=1e-6
    )
    w = np.hypot(m, np.sqrt(v) - math.sqrt(2 / 3))
    assert flow.distance == pytest.approx(w, rel=1e-6)
    d = np.square(m) + (1.5 - 1 / np.array(v)) ** 2 * v
    assert flow.dissipation == pytest.approx(d, rel=1e-6)
    assert flow.inequality == pytest.approx(1.0, abs=1e-7)
    assert flow.inequality >= 1 - 1e-7
    rates = flow.rates(begin=2.0)
    for name, exact in {"gap": 2.0, "dissipation": 2.0, "distance": 1.0}.items():
        assert rates[name].value == pytest.approx(exact, abs=1e-6), name


def test_decay_refuses_what_is_no_equilibrium():
    model = catalogue.ornstein_uhlenbeck().model
    with pytest.raises(ValueError, match="not the state of least free"):
        decay(model, mk.Gaussian(0.1, 2 / 3), mk.Gaussian(0.5, 0.3), until=0.5, dt=0.05)
    density = mk.Density.from_law(LINE.grid(20, -3.0, 3.0), mk.Gaussian(0.0, 0.3))
    with pytest.raises(ValueError, match="two measures of one kind"):
        decay(model, mk.Gaussian(0.1, 2 / 3), density, until=0.5, dt=0.05)


@pytest.mark.parametrize("beta", [1.0, 2.5])
@pytest.mark.parametrize(("strength", "nodes", "gap"), [(2.5, 64, 0.52071795), (4.0, 65, 2.29649684)])
def test_gap_of_synchronised_oscillators(strength, nodes, gap, beta):
    """On a circle the linearisation is spectrally accurate; the rotation has rate 0. The gap to 8 digits is FACTS', for
    K = `strength`/β over β."""
    entry = catalogue.kuramoto(strength / beta, beta)
    still = mk.Density.from_law(CIRCLE.grid(nodes), mk.VonMises(CIRCLE, 0.0, strength * entry["order parameter"]))
    rates = relaxation(entry.model, still)
    assert rates.size == nodes - 1
    assert abs(rates[0]) < 1e-9
    assert rates[1] == pytest.approx(gap / beta, abs=5e-9)
    assert rates[1] == pytest.approx(entry["spectral gap"], abs=1e-9)


def test_instability_of_the_uniform_state_has_negative_rates():
    """−(1 − K/2) twice, then k²."""
    uniform = mk.Density.from_function(CIRCLE.grid(16), lambda x: 1.0 + 0 * x[0])
    rates = relaxation(catalogue.kuramoto(3.0).model, uniform)
    assert rates[:4] == pytest.approx([-0.5, -0.5, 4.0, 4.0], abs=1e-12)


@pytest.mark.parametrize("cells", [79, 80])
def test_relaxation_on_the_line_is_exact(cells):
    """Ornstein–Uhlenbeck: a for the mean, k(a + c) for the Hermite function k ≥ 2, at any β. A W that is frozen
    would have a + c for the mean, and cells of order 2 are 1e-2 off here."""
    model = catalogue.ornstein_uhlenbeck(1.0, 0.5, 2.0).model
    reach = 8 * math.sqrt(1 / 3)
    still = mk.Density.from_law(LINE.grid(cells, -reach, reach), mk.Gaussian(0.0, 1 / 3))
    assert relaxation(model, still)[:4] == pytest.approx([1.0, 3.0, 4.5, 6.0], abs=1e-8)


@pytest.mark.parametrize(
    ("centre", "rates"), [(0.637324410573, [0.29551257, 2.66194105, 4.8924]), (0.0, [-0.13701128])]
)
def test_relaxation_in_two_wells(centre, rates):
    """The stable and the unstable state at θ = 1, β = 3: FACTS' values, of 8 and of 5 digits."""
    weight = lambda x: jnp.exp(-3 * (x[0] ** 4 / 4 - centre * x[0]))  # noqa: E731
    still = mk.Density.from_function(LINE.grid(80, -3.5, 3.5), weight)
    found = relaxation(catalogue.desai_zwanzig(1.0, 3.0).model, still)
    assert found[: len(rates)] == pytest.approx(rates, abs=2e-5)
    assert found[: min(2, len(rates))] == pytest.approx(rates[:2], abs=6e-9)


def test_relaxation_between_walls_is_of_order_two():
    """∂_th = β⁻¹h″ with walls: (kπ/L)²/β."""
    model, exact = mk.langevin(LINE, beta=2.0), np.pi**2 * np.array([1.0, 4.0, 9.0]) / 2
    errors = [
        relaxation(model, mk.Density.from_function(LINE.grid(n, 0.0, 1.0), lambda x: 1.0 + 0 * x[0]))[:3] - exact
        for n in (20, 40)
    ]
    assert np.log2(errors[0] / errors[1]) == pytest.approx([2.0] * 3, abs=0.05)


def test_relaxation_on_a_square_has_the_rates_of_its_sides():
    """W = −K(cos x + cos y): each axis relaxes on its own: at (r, 0), K = 2.5, with 0 and .52071795 along x, and with
    −(1 − K/2) along y, twice."""
    order = catalogue.oscillators.order_parameter(2.5, 1.0)
    model = mk.langevin(mk.Torus(2), interaction=mk.kernels.Cosine(2.5), beta=1.0)
    still = mk.Density.from_function(mk.Torus(2).grid((22, 6)), lambda x: jnp.exp(2.5 * order * jnp.cos(x[0])))
    assert relaxation(model, still)[:4] == pytest.approx([-0.25, -0.25, 0.0, 0.52071795], abs=1e-7)


@pytest.mark.parametrize("shape", [(6, 8), (7, 9), (6, 9)])
def test_relaxation_on_a_rectangle_knows_each_wave_once(shape):
    """At the uniform state of a torus with sides 2π and 3, W = cos x, β = 2, the rates are |q|²/β, but 1 at q = (±1,
    0), for each q of the grid once: the last wave of an even number of nodes along x is no constant in x."""
    torus = mk.Torus(2, (2 * math.pi, 3.0))
    series = mk.kernels.FourierSeries(np.array([[1, 0]]), jnp.array([1.0]))
    flat = mk.Density.from_function(torus.grid(shape), lambda x: 1.0 + 0 * x[0])
    waves = [np.fft.fftfreq(n, 1 / n) * 2 * math.pi / side for n, side in zip(shape, torus.lengths, strict=True)]
    exact = 0.5 * np.add.outer(waves[0] ** 2, waves[1] ** 2)
    exact[[1, -1], 0] = 1.0
    found = relaxation(mk.langevin(torus, interaction=series, beta=2.0), flat)
    np.testing.assert_allclose(found, np.sort(exact.ravel())[1:], rtol=1e-10)


def test_convexity_is_sharp_for_gaussians():
    """a + min(c, 0), and without V the constant of W about a fixed centre."""
    for c in (0.5, -0.3):
        entry = catalogue.ornstein_uhlenbeck(1.0, c)
        assert convexity(entry.model, -2.0, 2.0) == pytest.approx(entry["Polyak–Łojasiewicz constant"], abs=1e-12)
    free = mk.langevin(mk.Euclidean(2), interaction=mk.kernels.Quadratic(0.7))
    assert convexity(free, -2.0, 2.0) == pytest.approx(0.7, abs=1e-12)
    # On the line a kernel that is convex on each side of 0 only is enough: geodesics keep the order.
    gas = mk.langevin(LINE, mk.potentials.Quadratic(2.0), mk.kernels.PowerLaw(-1.0, 0.0), beta=math.inf)
    assert convexity(gas, -2.0, 2.0) == pytest.approx(2.0, abs=1e-12)
    plane = mk.langevin(mk.Euclidean(2), mk.potentials.Quadratic(2.0), mk.kernels.PowerLaw(-1.0, 0.0))
    with pytest.raises(ValueError, match="no convexity"):
        convexity(plane, -2.0, 2.0)


def _wavy(x):
    return 0.5 * x[0] ** 2 + 0.8 * jnp.sin(3 * x[0])


def test_perturbed_constant_is_a_lower_bound():
    """A convex V₀ with a bounded wave: below the gap/β, which it equals where nothing is added."""
    reach = 7.0
    model = mk.langevin(LINE, _wavy, beta=1.0)
    still = mk.Density.from_function(LINE.grid(300, -reach, reach), lambda x: jnp.exp(-_wavy(x)))
    bound = holley_stroock(model, mk.potentials.Quadratic(1.0), -reach, reach)
    assert bound == pytest.approx(math.exp(-1.6), rel=1e-3)
    assert bound < relaxation(model, still)[0]
    low, high = log_sobolev_bounds(still)
    assert bound <= high
    assert low <= relaxation(model, still)[0]
    plain = catalogue.ornstein_uhlenbeck(1.3, 0.0, 2.0).model
    quiet = mk.langevin(LINE, plain.confinement, beta=2.0)
    assert holley_stroock(quiet, mk.potentials.Quadratic(1.3), -3.0, 3.0) == pytest.approx(1.3, rel=1e-12)
    # Colder, the wave counts β times, and γ/β is still above: κ₀/β = a.
    cold = mk.langevin(LINE, _wavy, beta=2.0)
    assert holley_stroock(cold, mk.potentials.Quadratic(1.0), -reach, reach) == pytest.approx(math.exp(-3.2), rel=2e-3)
    # Repelling oscillators: W of positive type with oscillation 2K about the uniform state, of constant 1.
    for beta in (1.0, 2.0):
        model = mk.langevin(CIRCLE, interaction=mk.kernels.Cosine(-1.0), beta=beta)
        assert holley_stroock(model, None) == pytest.approx(math.exp(-2 * beta) / beta, rel=1e-5)


def test_criteria_on_the_line_hold_the_gaussian_constants():
    """γ = κ = 1/v, between bounds that are suprema: by quadrature in the place of cells, up to a few h²."""
    hardy = _gaussian_criterion(lambda q: q)
    above, below = (_gaussian_criterion(lambda q, c=c: q * np.log1p(c / q)) for c in (math.e**2, 0.5))
    for v in (1.0, 0.25):
        reach = 7 * math.sqrt(v)
        still = mk.Density.from_law(LINE.grid(2000, -reach, reach), mk.Gaussian(0.0, v))
        gap, log_sobolev = np.array(poincare_bounds(still)) * v, np.array(log_sobolev_bounds(still)) * v
        np.testing.assert_allclose(gap, [1 / (4 * hardy), 2 / hardy], rtol=1e-3)
        np.testing.assert_allclose(log_sobolev, [1 / (2 * above), 2 / below], rtol=1e-3)
        assert gap[0] <= 1 <= gap[1]
        assert log_sobolev[0] <= 1 <= log_sobolev[1]


def _gaussian_criterion(weight) -> float:
    """sup over x of the weight of 1 − Φ(x) times ∫_0^x dy/φ(y)."""
    from scipy.integrate import cumulative_simpson
    from scipy.stats import norm

    x = np.linspace(0, 6, 6001)
    return float(np.max(weight(norm.sf(x)) * cumulative_simpson(1 / norm.pdf(x), x=x, initial=0)))


def test_criterion_of_two_exponentials():
    """π = e^{−|x|}/2 has γ = 1/4 and B = sup (1 − e^{−x}) = 1: the lower bound 1/4B is attained."""
    grid = LINE.grid(4000, -20.0, 20.0)
    still = mk.Density.from_function(grid, lambda x: jnp.exp(-jnp.abs(x[0])))
    assert poincare_bounds(still)[0] == pytest.approx(0.25, rel=2e-2)


@pytest.mark.parametrize(("strength", "sharp"), [(0.5, 1.0), (-0.5, 0.5)])
def test_an_adversary_of_gaussians_finds_the_sharp_constant(strength, sharp):
    """With attraction a, by translations; with repulsion a + c, by dilations s without end, up to (log s)/s."""
    model = catalogue.ornstein_uhlenbeck(1.0, strength, 2.0).model
    found, _ = adversary(model, mk.Gaussian(0.7, 0.4), mk.Gaussian(0.0, 1 / (2 * (1 + strength))))
    assert found == pytest.approx(sharp, abs=1e-6)


def test_an_adversary_among_densities_is_between_a_bound_and_the_gap():
    """The quotient at the adversary is what F and D say, below the spectral gap, and above e^{−β osc}."""
    grid = LINE.grid(60, -5.0, 5.0)
    model = mk.langevin(LINE, _wavy, beta=1.0)
    still = mk.Density.from_function(grid, lambda x: jnp.exp(-_wavy(x)))
    start = mk.Density.from_function(grid, lambda x: jnp.exp(-((x[0] - 1) ** 2)))
    found, mu = adversary(model, start, still)
    gap = float(mk.energy.free_energy(model, mu) - mk.energy.free_energy(model, still))
    assert found == pytest.approx(float(mk.energy.dissipation(model, mu)) / (2 * gap), rel=1e-6)
    assert math.exp(-1.6) < found <= relaxation(model, still)[0]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: convexity(catalogue.desai_zwanzig().model, -2.0, 2.0), "no convexity: D²V ≥ -1"),
        (lambda: convexity(catalogue.kuramoto().model, -1.0, 1.0), "a torus has no convex V"),
        (lambda: holley_stroock(catalogue.kuramoto(1.0).model, None), "not known to be convex"),
        (lambda: holley_stroock(mk.langevin(LINE, _wavy), _wavy, -2.0, 2.0), "not uniformly convex"),
        (lambda: holley_stroock(mk.langevin(LINE, _wavy, beta=math.inf), _wavy, -2.0, 2.0), "needs a noise"),
        (
            lambda: adversary(catalogue.ornstein_uhlenbeck().model, mk.Gaussian(0.0, 1.0), mk.Gaussian(1.0, 1.0)),
            "not still",
        ),
    ],
)
def test_constants_refuse_without_their_hypotheses(build, message):
    with pytest.raises(ValueError, match=message):
        build()
