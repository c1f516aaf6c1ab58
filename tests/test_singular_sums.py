"""Kernels that are singular or have a kink at 0 are summed in nearly linear time, on R^d and on tori, and rightly.

What an expansion gets wrong of the force of one source is below the tolerance relative to the force that is there, or
to its size over the extent. So the error at a particle is below the tolerance relative to Σ_j w_j|∇W(x − y_j)|, which
is below the root mean square of ∇W over its pairs.
"""

import dataclasses
import functools
import math
import warnings
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from singular import IN_SPACE, LOGARITHM, LONG, ON_TORI, TORI, periodic, placed, spread
from tables import LINE, PLANE, ROOM, compiled, density, small_chunks

import mckean as mk
from mckean.interactions import FMM, Direct, choose, costs, explain, place, plan, planning
from mckean.interactions.sums import box, direct, fmm
from mckean.interactions.sums.sum import AbstractSum
from mckean.spaces import AbstractSpace

FEW, MANY, MOST = 1000, 100_000, 1_000_000
# In dimension 3 a plan at 1e-9 takes as long as all others.
PLANS = [
    (name, space, tolerance)
    for spaces, names in (((LINE, PLANE, ROOM), IN_SPACE), (TORI.values(), ON_TORI))
    for space in spaces
    for name in names
    for tolerance in (1e-3, 1e-6, 1e-9)
    if (space.dim, tolerance) in ((1, 1e-9), (2, 1e-6)) or (space.dim == 3 and tolerance == 1e-3 and "-1" in name)
]


@pytest.mark.parametrize(("name", "space", "tolerance"), PLANS, ids=[f"{n}, {s}, {t}" for n, s, t in PLANS])
def test_no_step_takes_all_pairs_of_many_particles(name, space, tolerance):
    kernel, few = placed(name, space).kernel, spread(space, FEW)
    expansion = FMM(tolerance).plan(kernel, few, few.positions).expansion
    cost = lambda n: min(fmm.cost(kernel, space, n, expansion, leaf, float) for leaf in fmm._LEAVES)  # noqa: E731
    # All pairs of 10⁵ take seconds. Ten times as many points: a level or two more, each with its coefficients.
    assert cost(MANY) < direct.cost(kernel, MANY**2, space.dim, float)
    assert cost(MOST) <= 13 * cost(MANY)


@pytest.mark.parametrize("space", [LINE, TORI[2]], ids=["line", "torus"])
def test_a_million_particles_are_planned(space):
    name = "logarithm" if space is LINE else "periodic logarithm"
    many = spread(space, MOST)
    choice = choose(placed(name, space), many, 1e-6)
    assert isinstance(choice.sum, FMM)
    assert choice.sum.depth >= math.log2(MOST / choice.sum.leaf) / space.dim
    assert choice.sum.tolerance == 1e-6


@pytest.mark.parametrize("lengths", [(8.0, 1.0), (1.0, 8.0)])
def test_tori_with_sides_of_all_ratios_are_planned(lengths):
    torus = mk.Torus(len(lengths), lengths)
    kernel, mu = place(periodic(lambda r: -jnp.log(r), torus), torus).kernel, spread(torus, 100)
    assert FMM(1e-3).plan(kernel, mu, mu.positions).expansion is not None


def test_the_logarithm_in_the_plane_is_planned_for_every_cloud_and_tolerance():
    """Its plan was lost at 1e-6 and beyond, so that 20 000 particles took all pairs."""
    for n in (100, 20_000):
        mu = spread(PLANE, n, "normal")
        for tolerance in (1e-3, 1e-6, 1e-9):
            interaction = place(LOGARITHM, PLANE, tolerance)
            if n == 100:
                assert FMM(tolerance).plan(LOGARITHM, mu, mu.positions).expansion is not None
                continue
            assert "expansions of order" in explain(interaction, mu)
            chosen = plan(interaction, mu).sum
            assert isinstance(chosen, FMM)
            assert chosen.tolerance == tolerance


def test_a_box_is_found_where_the_error_stands_still_before_it_falls():
    """√(|z|² + 0.01) has a kink until modes resolve a width of 0.1: its error falls as a power first."""
    kernel = mk.kernels.Function(lambda z: jnp.sqrt(jnp.sum(z**2) + 0.01))
    found = box.smallest_box(kernel, 1, 4.0, 1e-9, float)
    assert found is not None
    assert [modes for _, modes in found.levels] == sorted(modes for _, modes in found.levels)
    # Beyond the resolution of the width it falls as e^{−0.1·πm/L}, L at most four extents of 5: −log(1e-9) = 21.
    assert found.levels[0][1] <= 2 * 21 * 20 / (math.pi * 0.1)
    assert box.smallest_box(mk.kernels.Morse(), 1, 4.0, 1e-9, float) is None


class Run(NamedTuple):
    """A cloud, or a density, whose force is compared with that over all pairs."""

    name: str
    space: AbstractSpace
    tolerance: float
    kind: str = "uniform"
    n: int = 1000


RUNS = {
    "logarithm, core, 1e-9": Run("logarithm", PLANE, 1e-9, "core"),
    "morse, 1e-6": Run("morse", PLANE, 1e-6, "normal"),
    "cusp, 1e-9": Run("cusp", LINE, 1e-9, "core"),
    "power -2, 1e-3": Run("power -2", LINE, 1e-3, "normal"),
    "coulomb, room, 1e-3": Run("power -1", ROOM, 1e-3, "normal"),
    "periodic logarithm, long torus, 1e-6": Run("periodic logarithm", LONG, 1e-6),
}


@compiled
def by_pairs(kernel, space, y, w, x):
    """−Σ_j w_j∇W(x_i − y_j), and Σ_j w_j|∇W(x_i − y_j)|."""
    slope = lambda z: (g := kernel.gradient(z), jnp.linalg.norm(g))  # noqa: E731
    at = lambda x: jax.vmap(lambda y: slope(space.displacement(x, y)))(y)  # noqa: E731
    fields = jax.lax.map(lambda x: jax.tree.map(lambda f: jnp.tensordot(w, f, 1), at(x)), x)
    return -fields[0], fields[1]


def rms(values) -> float:
    return math.sqrt(np.mean(np.square(values)))


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS.keys())
def test_runs_meet_the_tolerance(run):
    kernel, mu = placed(run.name, run.space).kernel, spread(run.space, run.n, run.kind)
    plan = FMM(run.tolerance).plan(kernel, mu, mu.positions)
    fast = jax.jit(lambda mu: plan.force(kernel, mu, mu.positions))(mu)
    exact, size = by_pairs(kernel, run.space, mu.positions, jnp.full(run.n, 1 / run.n), mu.positions)
    wrong = np.linalg.norm(np.asarray(fast) - exact, axis=1)
    assert rms(wrong) <= run.tolerance * rms(size)
    # A particle with a near neighbour has a large force: most have none, and their errors are not hidden by it.
    assert np.median(wrong) <= run.tolerance * np.median(size)


def test_a_density_acts_at_points():
    grid = PLANE.grid(32, -2.0, 2.0)
    x, y = grid.nodes.T
    values = np.exp(-(x**2) - 2 * y**2).reshape(32, 32)
    rho = density(grid, values / values.sum() / grid.cell_volume)
    points = jnp.asarray(np.random.default_rng(3).uniform(-2, 2, (200, 2)))
    plan = FMM(1e-6).plan(LOGARITHM, rho, points)

    @compiled
    def both(rho):
        return [(s.potential(LOGARITHM, rho, points), s.force(LOGARITHM, rho, points)) for s in (plan, Direct())]

    (energy, pull), (exact, forces) = both(rho)
    assert rms(pull - forces) <= 1e-6 * rms(forces)
    # The potential of a source is wrong by the force's error over the extent.
    assert rms(energy - exact) <= 1e-6 * (rms(exact) + 4 * rms(forces))


@pytest.fixture
def few_rows(monkeypatch):
    small_chunks(monkeypatch)


def small(kernel, mu, tolerance, **rest) -> AbstractSum:
    """A plan whose leaves are so small that a few points take several levels."""
    return dataclasses.replace(FMM(tolerance).plan(kernel, mu, mu.positions), **{"depth": 5, "leaf": 3} | rest)


def test_laws_of_the_forces_between_particles(few_rows):
    """Σ m_i F_i = 0; a permutation goes along; a place of a source that is not finite is seen everywhere."""
    n, tolerance = 60, 1e-6
    kernel, mu = LOGARITHM, spread(PLANE, n, "core")
    plan = small(kernel, mu, tolerance)
    weights = jnp.asarray(np.random.default_rng(1).dirichlet(np.ones(n)))

    @compiled
    def pulls(x, w):
        return plan.force(kernel, mk.Particles(PLANE, x, w), x)

    pull = np.asarray(pulls(mu.positions, weights))
    exact, size = map(np.asarray, by_pairs(kernel, PLANE, mu.positions, weights, mu.positions))
    slack = tolerance * np.max(size)
    np.testing.assert_allclose(pull, exact, rtol=0, atol=slack)
    assert np.abs(weights @ pull).max() <= slack
    order = np.random.default_rng(2).permutation(n)
    # The same sums in another order: boxes are the same, groups of a leaf are not.
    np.testing.assert_allclose(pulls(mu.positions[order], weights[order]), pull[order], rtol=0, atol=1e-11 * size.max())
    for bad in (np.nan, np.inf):
        assert np.all(np.isnan(pulls(mu.positions.at[7, 1].set(bad), weights)))


def test_a_target_that_is_not_finite_is_nan_alone(few_rows):
    mu = spread(LINE, 40, "core")
    plan = small(LOGARITHM, mu, 1e-3)
    x = jnp.linspace(-2.0, 2.0, 9)[:, None]
    pulls = compiled(lambda x: plan.force(LOGARITHM, mu, x))
    sound, with_nan = pulls(x), pulls(x.at[4].set(jnp.nan))
    np.testing.assert_array_equal(np.isnan(with_nan[:, 0]), np.arange(9) == 4)
    np.testing.assert_allclose(with_nan[np.arange(9) != 4], sound[np.arange(9) != 4], rtol=1e-3)


def test_derivatives_of_forces_between_particles(few_rows):
    """In the places, at once as targets and as sources, in masses and in a parameter; and once more, over all pairs."""
    n, tolerance = 30, 1e-6
    mu = spread(LINE, n, "normal")
    kernel = mk.kernels.Morse(2.0, 1.0, 0.25, 1.5)
    plan = small(kernel, mu, tolerance)
    g = jnp.asarray(np.random.default_rng(0).normal(size=(n, 1)))
    w = jnp.full(n, 1 / n)

    def loss(sum_, theta, x, w):
        kernel = mk.kernels.Morse(2.0, 1.0, theta, 1.5)
        return jnp.sum(g * sum_.force(kernel, mk.Particles(LINE, x, w), x))

    @compiled
    def derivatives(theta, x, w):
        found = []
        for sum_ in (plan, Direct()):
            of = functools.partial(loss, sum_)
            slopes = jax.grad(of, argnums=(0, 1, 2))(theta, x, w)
            along = jax.jvp(of, (theta, x, w), (jnp.ones(()), g, w))[1]
            twice = jax.jvp(jax.grad(lambda x: of(theta, x, w)), (x,), (g,))[1]  # noqa: B023
            found.append((*slopes, along, twice))
        return found

    fast, exact = derivatives(jnp.asarray(0.25), mu.positions, w)

    # A derivative brings down a degree over the side of a box: 100 tolerances, as for other sums, of the largest terms.
    @compiled
    def of_parameter(x):
        change = lambda z: jax.jvp(lambda t: mk.kernels.Morse(2.0, 1.0, t, 1.5).gradient(z), (0.25,), (1.0,))[1]  # noqa: E731
        return jnp.abs(g[:, 0]) @ jnp.abs(jax.vmap(jax.vmap(change))(x[:, None] - x[None]))[..., 0] @ w

    size = float(of_parameter(mu.positions))
    for k, (one, other) in enumerate(zip(fast, exact, strict=True)):
        assert np.all(np.isfinite(one))
        largest = max(size if k in (0, 3) else 0.0, np.abs(other).max())
        assert np.abs(np.asarray(one) - other).max() <= 100 * tolerance * largest


def warnings_of(model, mu) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mk.evolve(model, mu, until=0.01, dt=0.01, path=mk.Brownian(jax.random.key(0)))
    return [str(w.message) for w in caught]


def test_a_run_over_all_pairs_that_nobody_asked_for_warns_once(monkeypatch):
    monkeypatch.setattr(costs, "SLOW", 1e-3)
    monkeypatch.setattr(planning, "_TOLERANCES", (1e-6, 1e-3))
    torus, n = mk.Torus(1), 2100
    mu = spread(torus, n)
    model = lambda kernel: mk.Model(torus, interaction=kernel, noise=mk.Thermal(1.0))  # noqa: E731
    # A kink on the cut locus as large as the force itself.
    kernel = mk.kernels.MinimalImage(LOGARITHM)
    (message,) = warnings_of(model(kernel), mu)
    assert f"a step takes {n**2:.2g} pairs, about " in message
    assert " s; no tolerance up to 0.1 would do" in message
    # One of e^{−π/0.3} = 3e-5 of the largest force: 1e-9 sees it, 1e-3 does not.
    (message,) = warnings_of(model(mk.kernels.MinimalImage(mk.kernels.Morse(2.0, 0.0, 0.3, 1.0))), mu)
    assert "meets the tolerance 1e-09" in message
    assert "would do: mckean.interactions.place(kernel, space, tolerance=1e-0" in message
    # Where expansions serve there is nothing to warn of.
    assert not warnings_of(model(periodic(lambda r: -jnp.log(r), torus)), mu)
    assert not warnings_of(model(place(kernel, torus, sum=Direct())), mu)


@pytest.mark.parametrize("dim", [1, 2])
def test_without_double_precision_expansions_are_found_and_right(dim):
    """The trial is in double precision: in single, its rounding passed for a kernel that is not smooth."""
    with jax.enable_x64(False):
        kernel = mk.kernels.Morse() if dim == 1 else mk.kernels.PowerLaw(-1.0, 0.0)
        x = np.random.default_rng(3).normal(size=(20_000, dim)).astype(np.float32)
        mu = mk.Particles(mk.Euclidean(dim), jnp.asarray(x))
        assert choose(kernel, mu).sum.name == "FMM"
        assert mk.interactions.certificate(kernel, mu, jax.random.key(0)).error <= 1e-5
