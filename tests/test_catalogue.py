"""Facts: the published numbers, and each fact against the library's own energies and fields."""

import math

import pytest

import mckean as mk
from mckean import catalogue
from mckean.catalogue import desai_zwanzig, kuramoto, ornstein_uhlenbeck  # noqa: F401

PARAMETERS = {
    "kuramoto": [{"strength": 1.0}, {"strength": 2.5}, {"strength": 4.0, "beta": 0.8}, {"strength": 8.0}],
    "ornstein_uhlenbeck": [{}, {"stiffness": 2.0, "strength": -0.5, "beta": 3.0, "dim": 2}],
    "desai_zwanzig": [{"beta": 1.5}, {"beta": 3.0}, {"theta": 2.0, "beta": 5.0}],
    "toy_transformer": [{}, {"dim": 3, "alpha": 2.0, "normalisation": "paper"}],
    "random_transformer": [{"dim": 16}, {"dim": 3, "beta": 5.0}],
    "self_attention": [{}, {"dim": 5, "beta": 2.0, "normalised": False, "temperature": 0.3}, {"beta": 1e4}],
    "isotropic_flow": [{}],
    "two_tokens": [{}, {"dim": 16, "beta": 3.0}],
    "toy_pair": [{}, {"dim": 5, "alpha": 2.0, "calculus": "stratonovich"}],
    "low_temperature": [{}],
    "simplex": [{"n": 8}, {"n": 8, "beta": 3.0, "normalised": False}],
    "high_dimension": [{"n": 8}, {"n": 8, "beta": 3.0}],
    "logistic_overlap": [{}],
    "granular_media": [{}, {"stiffness": 0.5, "strength": 3.0, "beta": 4.0}],
    "porous_medium": [{"exponent": 3.0, "strength": 0.5, "stiffness": 2.0}, {"exponent": 1.5, "dim": 2}],
    "log_gas": [{"stiffness": 2.0, "strength": 0.5, "beta": 3.0}],
    "keller_segel": [{}, {"space": mk.Torus(2, (3.0, 5.0)), "strength": 50.0}],
    "morse": [{"repulsion": 2.0, "attraction": 1.0, "dim": 2, "beta": 2.0}],
    "cucker_smale": [{"common": 0.5}, {"strength": 2.0, "exponent": 0.4, "dim": 2}],
    "inertial_kuramoto": [{}, {"strength": 1.0, "friction": 3.0, "beta": 1.5}],
    "locusts": [{}],
    "generalised_kuramoto": [
        {},
        {"weights": (0.2, 1.0, 0.0, 0.6), "beta": 2.0},
        {"weights": (0.0,) * 19 + (1.0,)},
    ],
    "maier_saupe": [{}, {"strength": 3.0, "beta": 2.0}, {"strength": 2.0}],
    "onsager": [{}],
    "nematic": [{}, {"strength": 4.6, "beta": 1.0}, {"strength": 1.0, "beta": 2.0}],
    "hegselmann_krause": [{}, {"radius": 2.5, "beta": 2.0}],
    "barre_degond_zatorska": [{}, {"length": 0.0}],
    "noisy_attention": [{}, {"sharpness": 1.0, "beta": 2.0}],
    "consensus_optimisation": [{}, {"dim": 3, "anisotropic": True, "alpha": 2.0}],
    "transport": [{}, {"strength": 6.0, "intensity": 2.0, "beta": 0.5, "reach": 2.0}],
}
CASES = [
    pytest.param(name, parameters, id=f"{name}-{'-'.join(map(str, parameters.values()))}")
    for name in catalogue.MODELS
    for parameters in PARAMETERS[name]
]


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_facts_agree_with_the_library(name, parameters):
    entry = catalogue.MODELS[name](**parameters)
    recomputed = {k: f for k, f in entry.facts.items() if f.recompute is not None}
    assert recomputed
    for label, fact in recomputed.items():
        assert fact.recompute() == pytest.approx(fact.value, abs=fact.tolerance), label


@pytest.mark.parametrize(
    ("strength", "r"),
    [(2.5, 0.589707987783), (3, 0.724158717626), (4, 0.831462024754), (8, 0.930152496240), (1.9, 0.0)],
)
def test_kuramoto_order_parameter(strength, r):
    assert catalogue.kuramoto(strength)["order parameter"] == pytest.approx(r, abs=5e-13)


def test_kuramoto_scales_with_temperature():
    """K by β, rates and energies by 1/β."""
    cold, unit = catalogue.kuramoto(1.5, beta=2.0), catalogue.kuramoto(3.0)
    assert cold["order parameter"] == unit["order parameter"]
    for name in ("free energy gap", "spectral gap", "incoherent rate", "critical strength"):
        assert cold[name] == pytest.approx(unit[name] / 2, rel=1e-12)


@pytest.mark.parametrize(("strength", "gap"), [(3.0, -0.1600640016), (5.0, -0.8372620344)])
def test_kuramoto_free_energy(strength, gap):
    assert catalogue.kuramoto(strength)["free energy gap"] == pytest.approx(gap, abs=5e-11)


@pytest.mark.parametrize(("strength", "gap"), [(2.5, 0.52071795), (4.0, 2.29649684), (1.0, 0.5)])
def test_kuramoto_spectral_gap(strength, gap):
    assert catalogue.kuramoto(strength)["spectral gap"] == pytest.approx(gap, abs=5e-9)


def test_kuramoto_finite_size():
    """N = 1: r = 1 always. N = 2: by quadrature over the angle between the two. N → ∞: the mean-field root."""
    from scipy.integrate import quad

    from mckean.catalogue.oscillators import mean_square_order

    assert mean_square_order(1, 3.0, 1.0) == pytest.approx(1.0, abs=1e-6)
    weight = lambda x: math.exp(1.5 * math.cos(x))  # noqa: E731
    top = quad(lambda x: weight(x) * (1 + math.cos(x)) / 2, 0, math.pi)[0]
    assert mean_square_order(2, 3.0, 1.0) == pytest.approx(top / quad(weight, 0, math.pi)[0], abs=1e-6)
    root = catalogue.kuramoto(3.0)["order parameter"]
    assert mean_square_order(10**6, 3.0, 1.0) == pytest.approx(root**2, abs=1e-5)


@pytest.mark.parametrize(("theta", "beta"), [(1.0, 2.18843961522648), (2.0, 1.225810777586)])
def test_desai_zwanzig_critical_beta(theta, beta):
    assert catalogue.desai_zwanzig(theta)["critical beta"] == pytest.approx(beta, abs=5e-12)


@pytest.mark.parametrize(("beta", "m"), [(3.0, 0.637324410573), (5.0, 0.851478857177), (2.0, 0.0)])
def test_desai_zwanzig_magnetisation(beta, m):
    assert catalogue.desai_zwanzig(1.0, beta)["magnetisation"] == pytest.approx(m, abs=5e-12)


def test_coupling_error_tends_to_its_stationary_value():
    from mckean.catalogue.mean_reversion import coupling_error, coupling_error_path

    exact = coupling_error(100, 1.0, 0.5, 2.0)
    path = coupling_error_path(100, 40_000, 1e-3, 0.3, 1.0, 0.5, 2.0)
    # Euler's invariant second moments are those of rates a − a²dt/2: a relative error below (2a + c) dt.
    assert path[-1] == pytest.approx(exact, rel=2.5e-3)
    assert path[0] == 0


def test_entropy_of_marginals_is_of_order_k_over_n_squared():
    """Lacker's rate: x²/4 at leading order; all k = N particles together have a positive entropy; time 0 has none."""
    from mckean.catalogue.mean_reversion import marginal_entropy, marginal_excess

    x = marginal_excess(3, 10**4, 1.0, 0.5, 2.0)
    assert x == pytest.approx(3e-4 * 0.5, rel=1e-12)
    assert marginal_entropy(x) == pytest.approx(x**2 / 4, rel=1e-3)
    assert marginal_excess(2, 10, 1.0, 0.5, 2.0, time=0.0, initial=0.7) == 0
    with pytest.raises(ValueError, match="1 to N = 10 particles, not of 11"):
        marginal_excess(11, 10, 1.0, 0.5, 2.0)
    with pytest.raises(ValueError, match="without variance"):
        marginal_excess(1, 10, 1.0, 0.5, 2.0, time=0.0)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: catalogue.ornstein_uhlenbeck(stiffness=-1.0), "needs a > 0"),
        (lambda: catalogue.desai_zwanzig(theta=0.0), "θ > 0"),
        (lambda: catalogue.kuramoto(beta=-1.0), "beta must be positive"),
        (lambda: catalogue.entry("kuramotto"), "did you mean 'kuramoto'"),
    ],
)
def test_refusals(build, message):
    with pytest.raises(ValueError, match=message):
        build()
