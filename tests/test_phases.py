"""Steady states, their stability and their branches, against closed forms and values that other methods gave.

Exact values: roots of one equation in one number by SciPy, with Bessel functions, not by the code that is tested.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import iv

import mckean as mk
from mckean import catalogue, energetics, phases

CIRCLE, PLANE, LINE = mk.Torus(1), mk.Torus(2), mk.Euclidean(1)
RING = CIRCLE.grid(64)
WAVE = np.asarray(jnp.cos(RING.nodes[:, 0]))
KEY = jax.random.key(0)


def flat(grid):
    return mk.Density.from_function(grid, lambda x: 1.0 + 0 * x[0])


def kuramoto(strength):
    return mk.langevin(CIRCLE, interaction=mk.kernels.Cosine(strength), beta=1.0)


def attention(strength):
    """W = −K e^{4cos x}/4, by its series e^{b cos x} = I_0(b) + 2Σ I_k(b) cos kx."""
    k = np.arange(1, 30)
    series = np.concatenate([[iv(0, 4.0)], 2 * iv(k, 4.0)]) / 4
    return mk.langevin(CIRCLE, interaction=mk.kernels.FourierSeries([0, *k], -strength * series), beta=1.0)


def two_waves(strength):
    """W = −κ(cos x + 2 cos 2x)."""
    return mk.langevin(
        CIRCLE, interaction=mk.kernels.FourierSeries([1, 2], -strength * jnp.array([1.0, 2.0])), beta=1.0
    )


def wells(beta):
    return mk.langevin(LINE, lambda x: jnp.sum(x**4 / 4 - x**2 / 2), mk.kernels.Quadratic(1.0), beta=beta)


@pytest.mark.parametrize("strength", [2.5, 4.0])
def test_the_order_of_oscillators_and_that_their_state_stays(strength):
    """r = I_1(Kr)/I_0(Kr), and the density of the equation is one that the scheme of the PDE keeps."""
    model = kuramoto(strength)
    state = phases.steady_state(model, mk.Density.from_function(RING, lambda x: 1 + 0.1 * jnp.cos(x[0])))
    assert state.order == pytest.approx(catalogue.oscillators.order_parameter(strength, 1.0), abs=1e-12)
    assert (state.index, state.zero_modes, state.stable) == (0, 1, True)
    assert state.residual < 1e-12
    assert state.tail < 1e-12
    later = mk.evolve(model, state.density, until=1.0, dt=0.01).final
    np.testing.assert_allclose(later.values, state.density.values, atol=1e-11)


def test_a_start_in_single_precision_is_as_good():
    model, start = kuramoto(2.5), mk.Density.from_function(RING, lambda x: 1 + 0.1 * jnp.cos(x[0]))
    state = phases.steady_state(model, mk.Density(RING, start.values.astype(jnp.float32)))
    assert state.order == pytest.approx(catalogue.oscillators.order_parameter(2.5, 1.0), abs=1e-12)
    with jax.enable_x64(False), pytest.raises(ValueError, match="jax_enable_x64"):
        phases.steady_state(model, start)


def test_a_state_narrower_than_a_cell_has_a_tail():
    """At βK = 2500 ρ is a Gaussian of the width 0.02, of which 24 nodes see nothing, though log ρ has one mode."""
    model = mk.langevin(CIRCLE, interaction=mk.kernels.Cosine(2.5), beta=1000.0)
    state = phases.steady_state(model, mk.Density.from_function(RING, lambda x: 1 + 0.1 * jnp.cos(x[0])))
    assert state.tail > 0.1


def test_thresholds_of_the_uniform_state():
    """κ_♯ = −1/(β min Ŵ): 2/β for a cosine, b/I_1(b) for attention, none for a repulsion."""
    at = lambda kernel, beta: phases.linear_threshold(mk.langevin(CIRCLE, interaction=kernel, beta=beta))  # noqa: E731
    wave = at(mk.kernels.Cosine(1.0), 4.0)
    assert (wave.factor, wave.modes) == (0.5, ((1,),))
    assert phases.linear_threshold(attention(1.0)).factor == pytest.approx(4 / iv(1, 4.0), rel=1e-13)
    assert at(mk.kernels.Cosine(-1.0), 1.0).factor == math.inf
    square = phases.linear_threshold(mk.langevin(PLANE, interaction=mk.kernels.Cosine(1.0), beta=1.0))
    assert square.factor == pytest.approx(2.0)
    assert set(square.modes) == {(1, 0), (0, 1)}


@pytest.fixture(scope="module")
def discontinuous():
    """The uniform branch of attention and the one that leaves it backwards."""
    start = phases.steady_state(attention(0.38), flat(RING), picard=0)
    plain = phases.continuation(attention, start, 0.38, (0.37, 0.45), step=0.2)
    event = plain.events[0]
    return plain, phases.continuation(attention, event.state, event.parameter, (0.3, 0.45), along=WAVE, step=0.2)


def test_a_discontinuous_transition_has_a_fold_and_a_coexistence(discontinuous):
    """Roots of the self-consistent equations of noisy attention: κ_♯, the fold, κ_c and the barrier there."""
    plain, branch = discontinuous
    assert [(e.kind, e.multiplicity) for e in plain.events] == [("branch point", 2)]
    assert plain.events[0].parameter == pytest.approx(0.4098585257494, abs=1e-10)
    (fold,) = branch.events
    assert fold.kind == "fold"
    assert fold.parameter == pytest.approx(0.3870689959520, abs=1e-11)
    assert fold.state.order == pytest.approx(0.5471280, abs=1e-5)
    assert set(branch.index) == {0, 1}
    ((strength, ordered, uniform),) = phases.coexistence(branch, plain)
    assert strength == pytest.approx(0.3914751008361, abs=1e-11)
    assert ordered.order == pytest.approx(0.6688055210, abs=1e-9)
    saddle, stable = sorted(branch.at(strength), key=lambda s: s.order)
    assert (saddle.index, stable.index) == (1, 0)
    assert saddle.free_energy - uniform.free_energy == pytest.approx(3.216286e-3, abs=1e-9)


def test_a_branch_that_loses_its_stability_without_a_fold():
    """Two clusters of W = −κ(cos x + 2cos 2x) take cos x where κ(1 + r₂) = 2, r₂ = I_1(2κr₂)/I_0(2κr₂)."""
    start = phases.steady_state(
        two_waves(1.3), mk.Density.from_function(RING, lambda x: 1 + 0.9 * jnp.cos(2 * x[0])), 0
    )
    branch = phases.continuation(two_waves, start, 1.3, (1.1, 1.4), forward=False)
    (event,) = branch.events
    assert (event.kind, event.multiplicity) == ("branch point", 1)
    assert event.parameter == pytest.approx(1.2549663488385, abs=1e-9)
    assert event.state.order == pytest.approx(0.5936682301091, abs=1e-8)


def test_two_wells_part_at_the_critical_temperature():
    """β_c = (Γ(1/4)/2Γ(3/4))², and at β = 3 the states ±m, the unstable one between them, and their free energies."""
    grid = LINE.grid(120, -3.5, 3.5)
    low, other, middle = phases.steady_states(wells(3.0), grid, key=KEY, random=0)
    assert sorted([low.order[0], other.order[0]]) == pytest.approx([-0.637324410573, 0.637324410573], abs=1e-9)
    assert (low.index, other.index, middle.index) == (0, 0, 1)
    assert 3 * (middle.free_energy - low.free_energy) == pytest.approx(0.0472490706563, abs=1e-9)
    # The same sign in the linearised flow, by other code.
    rates = energetics.relaxation(wells(3.0), middle.density)
    assert np.sum(rates < 0) == middle.index
    branch = phases.continuation(wells, middle, 3.0, (2.0, 3.1), forward=False, step=0.3)
    (event,) = branch.events
    assert event.parameter == pytest.approx((math.gamma(0.25) / (2 * math.gamma(0.75))) ** 2, abs=1e-8)


def test_all_states_of_two_cosines_are_found():
    """W = −K(cos x + cos y): (0, 0), (r, 0), (0, r), (r, r); unstable directions 4, 2, 2, 0, zero modes 0, 1, 1, 2."""
    model = mk.langevin(PLANE, interaction=mk.kernels.Cosine(3.0), beta=1.0)
    found = phases.steady_states(model, PLANE.grid(12), key=KEY, random=0)
    assert [(s.index, s.zero_modes) for s in found] == [(0, 2), (2, 1), (2, 1), (4, 0)]
    # One dimension decides: energies add up.
    step = catalogue.oscillators.free_energy_gap(3.0, 1.0)
    assert [s.free_energy - found[-1].free_energy for s in found] == pytest.approx(
        [2 * step, step, step, 0.0], abs=1e-6
    )


def test_many_nodes_are_solved_without_a_matrix():
    model = mk.langevin(PLANE, interaction=mk.kernels.Cosine(3.0), beta=1.0)
    grid = PLANE.grid(32)
    state = phases.steady_state(
        model, mk.Density.from_function(grid, lambda x: 1 + 0.4 * jnp.cos(x[0]) + 0.3 * jnp.cos(x[1]))
    )
    assert state.order == pytest.approx(catalogue.oscillators.order_parameter(3.0, 1.0), abs=1e-11)
    assert (state.index, state.zero_modes) == (0, 2)


REFUSALS = {
    "common noise": (lambda: search(mk.langevin(CIRCLE, beta=1.0, common=mk.Additive(1.0))), "leave it out"),
    "no temperature": (lambda: search(mk.Model(CIRCLE, interaction=mk.kernels.Cosine(1.0))), "temperature"),
    "other space": (lambda: phases.steady_state(kuramoto(1.0), flat(PLANE.grid(4))), "lives on"),
    "threshold on the line": (lambda: phases.linear_threshold(wells(1.0)), "one of a torus"),
    "bounds": (
        lambda: phases.continuation(kuramoto, phases.steady_state(kuramoto(1.0), flat(RING)), 1.0, (2.0, 3.0)),
        "begins within its bounds",
    ),
    "a start on another grid": (
        lambda: phases.steady_states(kuramoto(1.0), RING, key=KEY, starts=[flat(CIRCLE.grid(8))]),
        "densities on its grid",
    ),
    "steps of descent that are negative": (
        lambda: phases.steady_state(kuramoto(1.0), flat(RING), picard=-1),
        "picard is an integer",
    ),
    "not traceable": (
        lambda: phases.continuation(
            lambda p: kuramoto(float(p)), phases.steady_state(kuramoto(1.0), flat(RING)), 1.0, (0.0, 3.0)
        ),
        "place W before",
    ),
}


def search(model):
    return phases.steady_states(model, RING, key=KEY)


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name):
    call, message = REFUSALS[name]
    with pytest.raises(ValueError, match=message):
        call()


def test_coexistence_is_symmetric_and_a_branch_has_its_ends(discontinuous):
    plain, branch = discontinuous
    ((one, *_),), ((other, *_),) = phases.coexistence(branch, plain), phases.coexistence(plain, branch)
    assert one == pytest.approx(other, abs=1e-11)
    for end in (0, -1):
        assert branch.states[end] in branch.at(branch.parameters[end])


def test_an_index_counts_all_directions():
    """W = −κΣ_{k ≤ 7} cos kx at κ = 3: 1 − κ/2 < 0 for seven modes, two directions each."""
    model = mk.langevin(CIRCLE, interaction=mk.kernels.FourierSeries(range(1, 8), -3.0 * np.ones(7)), beta=1.0)
    state = phases.steady_state(model, flat(RING), picard=0)
    assert state.index == 14
    assert state.curvatures[:14] == pytest.approx(-0.5, abs=1e-12)


def test_a_branch_is_asked_where_it_lies(discontinuous):
    with pytest.raises(ValueError, match="the branch lies between"):
        discontinuous[1].at(0.1)
