"""One carrier: what it holds is checked, planned and watched as in a run of its own, for every kind of model."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from diffrax import Heun

import mckean as mk
from mckean import couplings, energetics, environments
from mckean.couplings._synchronous import coupled
from mckean.dynamics import Carrier, CarrierScheme, together
from mckean.dynamics.pair import pair
from mckean.faults import Fault, Status, status

LINE, CIRCLE, PLANE = mk.Euclidean(1), mk.Torus(1), mk.Euclidean(2)
BOX = LINE.grid(48, -4.0, 4.0)
PATH = mk.Brownian(jax.random.key(0))
SPAN = {"until": 0.2, "dt": 0.05}


def bowl(x):
    return 0.5 * jnp.sum(x**2)


def bump(grid, shift=0.0):
    return mk.Density.from_function(grid, lambda x: jnp.exp(-jnp.sum((x - shift) ** 2)))


def wave(grid, shift=0.0):
    return mk.Density.from_function(grid, lambda x: 1 + 0.5 * jnp.cos(x[0] - shift))


def cloud(space, seed, n=12):
    return mk.Particles(space, jax.random.normal(jax.random.key(seed), (n, space.dim)) % 6.0)


POROUS = mk.Model(LINE, confinement=bowl, internal=mk.PorousMedium(2.0))
KURAMOTO = mk.langevin(CIRCLE, interaction=mk.kernels.Cosine(2.0), beta=2.0, common=mk.Additive(0.5))
COLD = mk.Model(CIRCLE, interaction=mk.kernels.Cosine(2.0), common=mk.Additive(0.5))
LINEAR = mk.langevin(LINE, bowl, mk.kernels.Quadratic(0.5), beta=2.0, common=mk.Additive(0.5))
# A model with two measures of one form for it, and a scheme.
KINDS = {
    "porous medium": (POROUS, bump(BOX), bump(BOX, 0.5), None),
    "porous medium by movements": (POROUS, bump(BOX), bump(BOX, 0.5), mk.JKO()),
    "density in an environment": (KURAMOTO, wave(CIRCLE.grid(16)), wave(CIRCLE.grid(16), 1.0), None),
    "flux-limited": (KURAMOTO, wave(CIRCLE.grid(16)), wave(CIRCLE.grid(16), 1.0), mk.FluxLimited()),
    "moments": (LINEAR, mk.Gaussian(0.0, 1.0), mk.Gaussian(1.0, 0.5), None),
    "particles in an environment": (COLD, cloud(CIRCLE, 1), cloud(CIRCLE, 2), Heun()),
}
# Forward derivatives do not go through every scheme: movements, and loops with checkpoints.
DIFFERENTIABLE = {"density in an environment", "moments", "particles in an environment"}


@pytest.mark.parametrize("kind", KINDS)
def test_two_solutions_side_by_side_are_each_the_run_alone(kind):
    model, first, second, scheme = KINDS[kind]
    run = environments.separation(model, first, second, path=PATH, scheme=scheme, **SPAN)
    for mu, end in zip((first, second), run.final.measures, strict=True):
        alone = mk.evolve(model, mu, path=PATH, scheme=scheme, **SPAN).final
        for a, b in zip(jax.tree.leaves(alone), jax.tree.leaves(end), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_the_frame_of_an_additive_noise_takes_every_gradient_flow(kind):
    """F(t) − F(0) = descent + work at every record, to rounding: both are differences of F."""
    model, mu, _, scheme = KINDS[kind]
    seen = energetics.moving_frame(model, mu, path=PATH, scheme=scheme, every=1, **SPAN)
    np.testing.assert_allclose(seen.change, seen.descent + seen.work, atol=1e-11)
    assert seen.descent[-1] < 0


@pytest.mark.parametrize("kind", sorted(DIFFERENTIABLE))
def test_a_tangent_is_the_difference_of_two_near_solutions(kind):
    """By central differences: an error of ε² and one of rounding, eps/ε; ε = 1e-5."""
    model, mu, towards, scheme = KINDS[kind]
    run = environments.linearise(model, mu, towards, path=PATH, scheme=scheme, **SPAN)
    start, size = environments.linearise(model, mu, towards, path=PATH, scheme=scheme, until=0.05, dt=0.05), 1e-5
    first = start.final.sums.first

    def end(sign):
        there = jax.tree.map(
            lambda x, eta: x if eta is None else x + sign * size * eta, mu, first, is_leaf=lambda x: x is None
        )
        return mk.evolve(model, there, path=PATH, scheme=scheme, **SPAN).final

    ahead, behind = end(1.0), end(-1.0)
    sums = run.final.sums
    for a, b, eta in zip(*(jax.tree.leaves(t) for t in (ahead, behind, sums.direction)), strict=True):
        np.testing.assert_allclose((a - b) / (2 * size), jnp.exp(sums.log_norm) * eta, atol=1e-7)


def test_couplings_plan_their_sums():
    """5000 particles with a Gaussian kernel in the plane: a fast sum, as in `evolve`, for each cloud its own."""
    model = mk.langevin(PLANE, bowl, mk.kernels.Gaussian(1.0, 1.0))
    law = mk.Density.from_law(PLANE.grid(24, -5.0, 5.0), mk.Gaussian(np.zeros(2), np.eye(2)))
    many = mk.Gaussian(np.zeros(2), np.eye(2)).sample(jax.random.key(0), 5000)
    schemes = (mk.ParticleScheme(), mk.ParticleScheme(), mk.FiniteVolume(edge_tolerance=math.inf))
    begun = CarrierScheme(schemes, together).begin(model, coupled(law, many), 0.1)
    alone = mk.ParticleScheme().begin(model, many, 0.1)
    for stepper in (begun, *begun.shared[:2]):
        assert stepper.equation.interaction.sum == alone.equation.interaction.sum != mk.interactions.Direct()


def test_a_reason_is_told_from_behind_a_carrier(monkeypatch):
    monkeypatch.setattr("mckean.dynamics.jko.quantiles._ITERATIONS", 2)
    model = mk.langevin(LINE, bowl, beta=2.0)
    mu, other = (
        mk.Lagrangian.from_density(mk.Density.from_law(LINE.grid(31, -2.0, 3.0), mk.Gaussian(x, 0.25)))
        for x in (0.4, 0.6)
    )
    with pytest.raises(mk.RunError, match=r"minimising movement was not found: the residual is \S+ times .*\(step 1, "):
        environments.separation(model, mu, other, scheme=mk.JKO(), until=0.6, dt=0.3)


def test_the_first_fault_counts_and_ends_the_run():
    """A rule that fails at its third step: no later step is made, and the fault's own number is told."""

    def fail(begun, state, path, index):
        new, found = together(begun, state, path, index)
        steps = state.sums + 1
        late = status(Fault.WALLS, steps >= 3, 0.25 * steps)
        return Carrier(new.measures, steps), found.then(late)

    model, mu, other, _ = KINDS["moments"]
    scheme = CarrierScheme((mk.Moments(), mk.Moments()), fail)
    state = Carrier(pair(mu, other).measures, jnp.zeros(()))
    with pytest.raises(mk.RunError, match=r"a mass of 0\.75 stands at the walls.*\(step 3, t = 0\.15\)"):
        mk.evolve(model, state, until=1.0, dt=0.05, path=PATH, scheme=scheme)


def test_a_carrier_of_other_measures_is_refused():
    model, mu, _, _ = KINDS["moments"]
    scheme = CarrierScheme((mk.Moments(), mk.Moments()), together)
    with pytest.raises(ValueError, match="moves a Carrier"):
        mk.evolve(model, Carrier((mu,)), until=1.0, dt=0.05, path=PATH, scheme=scheme)
    assert couplings.coupling_distance(model, pair(cloud(LINE, 0), cloud(LINE, 1)))["apart"] == 1


def test_a_status_is_the_first_that_is_bad():
    fine = status(Fault.NEGATIVE, jnp.asarray(False), jnp.asarray(0.1))
    bad = status(Fault.NEGATIVE, jnp.asarray(True), jnp.asarray(0.1))
    worse = status(Fault.WALLS, ~(jnp.asarray(jnp.nan) <= 1), jnp.asarray(jnp.nan))
    assert isinstance(fine.then(bad), Status)
    assert fine.then(bad).then(worse).fault is Fault.NEGATIVE
    assert fine.then(worse).fault is Fault.WALLS, "what is not a number passes no threshold"


@pytest.mark.parametrize("kind", ["density in an environment", "moments", "particles in an environment"])
def test_what_is_carried_keeps_the_precision_of_the_measures(kind):
    model, mu, towards, scheme = KINDS[kind]
    mu, towards = (mk.measures.cast(one, jnp.float32) for one in (mu, towards))
    tangent = environments.linearise(model, mu, towards, path=PATH, scheme=scheme, until=0.1, dt=0.05)
    frame = energetics.moving_frame(model, mu, path=PATH, scheme=scheme, until=0.1, dt=0.05)
    apart = environments.separation(model, mu, towards, path=PATH, scheme=scheme, until=0.1, dt=0.05)
    for values in (tangent.observed["log_norm"], frame.change, apart.observed["distance"]):
        assert values.dtype == jnp.float32
