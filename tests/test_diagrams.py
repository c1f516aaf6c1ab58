"""Phase diagrams: the lines against closed forms and against roots by other methods."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import iv

import mckean as mk
from mckean import catalogue, phases
from mckean.catalogue import circle, double_well
from mckean.phases import _diagram

CIRCLE, LINE = mk.Torus(1), mk.Euclidean(1)
RING = CIRCLE.grid(48)
RATIOS = np.linspace(0.9, 1.1, 16)


def attention(ratio, sharpness):
    """κ in units of the threshold 2/w_1."""
    weights = circle.attention_weights(sharpness, 20)
    return circle.on_circle(weights, ratio * 2 / weights[0], 1.0)


@pytest.fixture(scope="module")
def diagram():
    return phases.phase_diagram(attention, RING, RATIOS, [1.0, 4.0])


def test_a_continuous_and_a_discontinuous_column(diagram):
    """κ_♯ = b/I_1(b) in both; at b = 4 a fold and a coexistence below it, by the self-consistent equations (SciPy's
    roots); at b = 1, where I_2/I_1 < ½, none."""
    assert diagram.names == ("ratio", "sharpness")
    np.testing.assert_allclose(diagram.threshold, 1.0, atol=1e-11)
    assert np.isnan([diagram.fold[0], diagram.coexistence[0]]).all()
    sharp = 4 / iv(1, 4.0)
    assert diagram.fold[1] * sharp == pytest.approx(0.3870689959520, abs=1e-10)
    assert diagram.coexistence[1] * sharp == pytest.approx(0.3914751008361, abs=1e-10)
    assert diagram.residual.max() < 1e-9
    # Codes are in their order along a column, and both states are stable from the fold to the threshold alone.
    assert (np.diff(diagram.phase, axis=0) >= 0).all()
    np.testing.assert_array_equal(diagram.phase[:, 1] == 1, (diagram.fold[1] < RATIOS) & (RATIOS < 1))
    np.testing.assert_array_equal(diagram.gap[:, 1] < 0, diagram.coexistence[1] < RATIOS)


def test_it_is_an_xarray_of_both_parameters(diagram):
    data = diagram.to_xarray()
    assert dict(data.sizes) == {"ratio": 16, "sharpness": 2}
    assert float(data.fold.sel(sharpness=4.0)) == diagram.fold[1]


def test_two_wells_have_their_critical_line():
    """βθ∫x²ρ_0 = 1, and the magnetisation beyond it: cells of width h are off by O(h²) of a smooth density only in the
    tails, which are rounding."""
    grid = LINE.grid(80, -3.5, 3.5)
    well = jax.tree_util.Partial(lambda x: jnp.sum(x**4 / 4 - x**2 / 2))

    def wells(beta, theta):
        return mk.langevin(LINE, well, mk.kernels.Quadratic(theta), beta=beta)

    found = phases.phase_diagram(wells, grid, np.linspace(1.0, 3.0, 9), [1.0, 2.0], refinement=0)
    exact = [catalogue.critical_beta(theta) for theta in (1.0, 2.0)]
    np.testing.assert_allclose(found.threshold, exact, atol=1e-8)
    assert np.isnan(found.fold).all()
    assert found.order[-1] == pytest.approx([double_well.magnetisation(3.0, t) for t in (1.0, 2.0)], abs=1e-8)
    # β(F − F₀), the depth of a well per particle: by quadrature over the self-consistent laws.
    assert 3.0 * found.gap[-1, 0] == pytest.approx(-0.0472490706563, abs=1e-9)


def test_two_wells_have_no_coexistence_at_any_temperature():
    """The transition is continuous: where both states are there the ordered one has less energy, also for a weak θ."""
    grid = LINE.grid(64, -3.0, 3.0)
    well = jax.tree_util.Partial(lambda x: jnp.sum(x**4 / 4 - x**2 / 2))

    def wells(beta, theta):
        return mk.langevin(LINE, well, mk.kernels.Quadratic(theta), beta=beta)

    found = phases.phase_diagram(wells, grid, np.linspace(2.0, 12.0, 6), [0.5, 1.0], refinement=0)
    assert (found.phase[-1] == 2).all()
    assert (found.gap[found.phase == 2] < -1e-4).all()
    assert np.isnan(found.coexistence).all()


def test_rods_on_a_sphere_have_three_lines():
    """Maier and Saupe's W = −κP₂ at two β: κβ = 5, the fold and the coexistence by roots of one equation (SciPy's); the
    circle's 4 is another threshold."""
    ball = mk.Sphere(3)

    def rods(strength, beta):
        kernel = mk.kernels.Zonal(lambda t: -strength * (1.5 * t**2 - 0.5))
        return mk.langevin(ball, interaction=kernel, beta=beta)

    grid, strengths = ball.grid(24, axis=(0.0, 0.0, 1.0)), np.linspace(2.0, 6.0, 17)
    found = phases.phase_diagram(rods, grid, strengths, [1.0, 2.0], refinement=2)
    np.testing.assert_allclose(found.threshold, [5.0, 2.5], rtol=1e-10)
    np.testing.assert_allclose(found.fold * [1.0, 2.0], 4.48765759766, rtol=1e-10)
    np.testing.assert_allclose(found.coexistence * [1.0, 2.0], 4.54145899205, rtol=1e-10)


def test_an_interrupted_diagram_is_gone_on_with(monkeypatch, diagram):
    @contextlib.contextmanager
    def pressed():
        yield lambda: True

    monkeypatch.setattr(_diagram, "asked_to_stop", pressed)
    with pytest.raises(_diagram.Unfinished) as stop:
        phases.phase_diagram(attention, RING, RATIOS, [1.0, 4.0])
    part = stop.value.diagram
    np.testing.assert_array_equal(part.phase[:, 1], -1)
    np.testing.assert_array_equal(part.phase[:, 0], diagram.phase[:, 0])
    monkeypatch.undo()
    computed = []
    column = _diagram.column
    monkeypatch.setattr(_diagram, "column", lambda *of: computed.append(of[2]) or column(*of))
    whole = phases.phase_diagram(attention, RING, RATIOS, [1.0, 4.0], known=part)
    assert computed == [4.0]
    np.testing.assert_array_equal(whole.order, diagram.order)
    np.testing.assert_array_equal(whole.fold, diagram.fold)
