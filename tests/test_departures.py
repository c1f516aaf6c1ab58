"""Branches that leave branch points, passes between states, and kernels with kinks, against what is known by hand.

Values of Hegselmann and Krause's kernel and of noisy attention are roots of the equations of their coefficients.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import iv

import mckean as mk
from mckean import catalogue, phases
from mckean.phases import _curvature, _equation

CIRCLE, PLANE = mk.Torus(1), mk.Torus(2)
# Small enough for a matrix, which compiles faster than Krylov's method.
RING, SQUARE = CIRCLE.grid(32), PLANE.grid(10)


def flat(grid):
    return mk.Density.from_function(grid, lambda x: 1.0 + 0 * x[0])


def on_circle(*weights):
    """W = −κΣ_kw_k cos kx; weights are parameters of one program."""
    return eqx.Partial(_on_circle, weights=jnp.array(weights))


def _on_circle(strength, weights):
    modes = range(1, len(weights) + 1)
    return mk.langevin(CIRCLE, interaction=mk.kernels.FourierSeries(modes, -strength * weights), beta=1.0)


def on_plane(strength):
    return mk.langevin(PLANE, interaction=mk.kernels.Cosine(strength), beta=1.0)


ATTENTION = on_circle(*(2 * iv(np.arange(1, 16), 4.0) / 4))


def first_event(model_of, grid, below, above):
    start = phases.steady_state(model_of(below), flat(grid), picard=0)
    return phases.continuation(model_of, start, below, (below, above)).events[0]


@pytest.mark.parametrize("second", [-0.7, 0.2, 0.49, 0.51, 0.8])
def test_a_transition_is_continuous_below_a_half(second):
    """Where Ŵ(2)/Ŵ(1) = w, κ = 2 + (1 − 2w)/(1 − w)·s²/2, s the root mean square of log ρ: forwards iff w < ½.

    A Landau theory without the second mode has κ = 2 + s²/2 for every w.
    """
    (found,) = phases.departures(first_event(on_circle(1.0, second), RING, 1.9, 2.2))
    assert found.supercritical == (second < 0.5)
    assert found.bend == pytest.approx(0.5 * (1 - 2 * second) / (1 - second), rel=1e-9, abs=1e-9)
    assert found.slope == 0
    assert np.abs(np.fft.rfft(found.direction))[[0, 2, 3, 4]] == pytest.approx(0, abs=1e-9)


def test_waves_of_a_square_leave_alone_and_together():
    """(r, 0), (0, r) and (r, r), each supercritical; alone with s²/2, and together half as far: two waves share s²."""
    event = first_event(on_plane, SQUARE, 1.8, 2.5)
    assert event.multiplicity == 4
    found = phases.departures(event)
    assert sorted(d.bend for d in found) == pytest.approx([0.25, 0.5, 0.5], abs=1e-9)
    assert all(d.supercritical for d in found)
    both = min(found, key=lambda d: d.bend)
    branch = phases.continuation(on_plane, event.state, event.parameter, (1.9, 2.6), along=both, step=0.4)
    end = branch.states[-1]
    # Ten nodes alias I_9 to I_1, and the least curvature is about .3.
    order = catalogue.oscillators.order_parameter(branch.parameters[-1], 1.0)
    reach = branch.parameters[-1] * order
    assert end.order == pytest.approx(order, abs=10 * iv(9, reach) / iv(0, reach))
    assert (end.index, end.zero_modes) == (0, 2)


def test_waves_in_resonance_leave_with_a_slope():
    """W = −κ(cos x + cos y + cos(x + y)): three equal waves have the cubic term, and only one departs on each side."""
    modes = [(1, 0), (0, 1), (1, 1)]
    model_of = lambda k: mk.langevin(PLANE, interaction=mk.kernels.FourierSeries(modes, -k * jnp.ones(3)))  # noqa: E731
    event = first_event(model_of, PLANE.grid(8), 1.8, 2.5)
    found = phases.departures(event)
    sloped = [d for d in found if d.slope != 0]
    # a: log ρ = a(cos x + cos y + cos(x + y)); ∂_aF = 0 at order 2: (1 − κ/2)a = a²/2·…, as below.
    assert sorted(d.supercritical for d in sloped) == [False, True]
    # ⟨cos x⟩ = a/2 + a²/4 + … of e^{a(cos x + cos y + cos(x + y))}, = a/κ: κ = 2 − a + …, s² = 3a²/2.
    assert sorted(d.slope for d in sloped) == pytest.approx([-np.sqrt(2 / 3), np.sqrt(2 / 3)], abs=1e-8)
    # Single waves do not feel it.
    assert sorted(d.bend for d in found if d.slope == 0) == pytest.approx([0.5] * 3, abs=1e-6)


def test_two_clusters_leave_for_one():
    """At κ(1 + r₂) = 2 a branch of one cluster leaves, and its first point fits its bend."""
    model_of = on_circle(1.0, 2.0)
    start = phases.steady_state(model_of(1.3), mk.Density.from_function(RING, lambda x: 1 + 0.9 * jnp.cos(2 * x[0])), 0)
    (event,) = phases.continuation(model_of, start, 1.3, (1.1, 1.4), forward=False).events
    (found,) = phases.departures(event)
    branch = phases.continuation(model_of, event.state, event.parameter, (1.1, 1.4), along=found, step=0.02, most=2)
    change = np.log(branch.states[1].density.values / event.state.density.values)
    size = np.mean(change * found.direction)
    # The next term of p is of order s⁴.
    assert branch.parameters[1] - event.parameter == pytest.approx(found.bend * size**2, rel=0.02)
    assert abs(found.bend) > 1e-3


def test_a_fold_and_branch_points_within_one_step():
    """W = −κ(attention in x + c cos y): states that are flat in y cease to be stable at κ = 2/c, beside the fold in x.

    Who sees a fold alone, by the sign of the tangent, or an index alone, misses the others.
    """
    k = np.arange(1, 8)
    modes, weights = [*((j, 0) for j in k), (0, 1)], np.append(2 * iv(k, 4.0) / 4, 2 / 0.3872)
    model_of = lambda s: mk.langevin(PLANE, interaction=mk.kernels.FourierSeries(modes, -s * jnp.array(weights)))  # noqa: E731
    grid = PLANE.grid((16, 4))
    start = phases.steady_state(model_of(0.39), mk.Density.from_function(grid, lambda x: jnp.exp(2 * jnp.cos(x[0]))))
    branch = phases.continuation(model_of, start, 0.39, (0.386, 0.3905), forward=False, step=0.3)
    assert [e.kind for e in branch.events] == ["branch point", "fold", "branch point"]
    before, fold, after = branch.events
    assert [before.parameter, after.parameter] == pytest.approx([0.3872] * 2, abs=1e-9)
    # Seven of the modes of attention.
    assert fold.parameter == pytest.approx(0.3870689959520, abs=3e-5)
    assert (before.multiplicity, after.multiplicity) == (2, 2)


def test_the_pass_between_two_states():
    """Δ of noisy attention at K_c, from both sides; the energy of pairs without its ½ would give another one."""
    model = ATTENTION(0.3914751008361)
    low = phases.steady_state(model, flat(RING), 0)
    # Moved, which is undone.
    high = phases.steady_state(model, mk.Density.from_function(RING, lambda x: jnp.exp(2 * jnp.cos(x[0] - 1.0))))
    saddle = phases.mountain_pass(model, low, high)
    assert (saddle.index, saddle.zero_modes) == (1, 1)
    assert saddle.free_energy - low.free_energy == pytest.approx(3.216286e-3, abs=5e-10)
    back = phases.mountain_pass(model, high, low)
    assert back.free_energy == pytest.approx(saddle.free_energy, abs=1e-13)
    with pytest.raises(RuntimeError, match="falls all the way"):
        phases.mountain_pass(on_circle(1.0)(4.0), *_both(on_circle(1.0)(4.0)))


def _both(model):
    return phases.steady_state(model, flat(RING), 0), phases.steady_state(
        model, mk.Density.from_function(RING, lambda x: 1 + 0.5 * jnp.cos(x[0]))
    )


KINKS = {
    "Hegselmann–Krause, h = 1": (
        lambda x: -0.5 * jnp.maximum(1.0 - jnp.abs(x[0]), 0.0) ** 2,
        np.pi / (1 - np.sin(1.0)),
    ),
    "Hegselmann–Krause, h = 2": (
        lambda x: -0.5 * jnp.maximum(2.0 - jnp.abs(x[0]), 0.0) ** 2,
        np.pi / (2 - np.sin(2.0)),
    ),
    "Onsager": (lambda x: jnp.abs(jnp.sin(x[0])), 1.5 * np.pi),
    # Of a jump, Ŵ(1) = −(1/2π)·2 sin 1.
    "a jump": (lambda x: -1.0 * (jnp.abs(x[0]) < 1.0), np.pi / np.sin(1.0)),
}


@pytest.mark.parametrize("name", KINKS)
def test_thresholds_of_kernels_with_kinks_are_exact(name):
    """κ_♯ to 1e-12; 4096 samples err by 1e-7 for a kink, and by 1e-4 for a jump."""
    function, exact = KINKS[name]
    model = mk.langevin(CIRCLE, interaction=mk.kernels.MinimalImage(function), beta=1.0)
    assert phases.linear_threshold(model).factor == pytest.approx(exact, rel=1e-12)


def test_confidence_that_is_bounded_folds():
    """Hegselmann and Krause's kernel at h = 1, as a density meets it: its fold and its order at κ_c."""
    whole = mk.interactions.place(mk.kernels.MinimalImage(KINKS["Hegselmann–Krause, h = 1"][0]), CIRCLE).series
    assert whole is not None, "a kink has no short series"
    # The modes of a grid of 96 nodes are all that a density on it meets; the first one is a constant.
    assert whole.modes[47] == (47,)
    model_of = on_circle(*-whole.coefficients[1:48])
    grid = CIRCLE.grid(96)
    start = phases.steady_state(
        model_of(14.8823149908), mk.Density.from_function(grid, lambda x: jnp.exp(3 * jnp.cos(x[0])))
    )
    assert start.order == pytest.approx(0.88789815, abs=5e-9)
    branch = phases.continuation(model_of, start, 14.8823149908, (14.0, 14.9), forward=False, step=0.2)
    assert branch.events[0].parameter == pytest.approx(14.16428952, abs=6e-9)


def test_a_parameter_may_be_a_leaf():
    """β of a cosine of strength 2 at β_c = 1, and the multiple of its coefficients."""
    model = mk.langevin(CIRCLE, interaction=mk.kernels.Cosine(2.0), beta=0.9)
    start = phases.steady_state(model, flat(RING), picard=0)
    for name, begin in (("noise.beta", 0.9), ("interaction.kernel.coefficients", 1.0)):
        (event,) = phases.continuation((model, name), start, begin, (0.8, 1.4)).events
        assert event.parameter == pytest.approx(1.0 if name == "noise.beta" else 1 / 0.9, abs=1e-10)


def test_a_grid_that_is_too_coarse_says_how_many_nodes():
    with pytest.raises(ValueError, match=r"too coarse for W.*take \(13,\) nodes"):
        phases.steady_state(ATTENTION(0.38), flat(CIRCLE.grid(8)))


def test_curvatures_of_a_block_count_degenerate_ones():
    """At the uniform state of two cosines 1 − K/2 four times; at (r, 0) as the matrix of the modes has them."""
    model = on_plane(3.0)
    rho, none = flat(SQUARE), np.zeros((2, SQUARE.size))
    left = _curvature.hessian(model, rho, none).left
    assert _curvature._least(model, rho, left, SQUARE.size - 3).values[:5] == pytest.approx(
        [-0.5] * 4 + [1.0], abs=1e-8
    )
    order = 3 * catalogue.oscillators.order_parameter(3.0, 1.0)
    rho = mk.Density.from_function(SQUARE, lambda x: jnp.exp(order * jnp.cos(x[0])))
    moves = np.asarray(_equation.tangents(SQUARE, -order * jnp.cos(SQUARE.nodes[:, 0]).reshape(SQUARE.shape), (0, 1)))
    whole = _curvature.hessian(model, rho, moves)
    block = _curvature._least(model, rho, whole.left, SQUARE.size - 3)
    assert block.values[:3] == pytest.approx(whole.values[:3], abs=1e-8)
    assert int(np.sum(block.values < -1e-7)) == 2
