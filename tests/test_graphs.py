"""Sparse graphs, what depends on time, and a common noise, in populations: against dense sums and exact laws."""

import math

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from schemes import CIRCLE, LINE
from scipy.integrate import solve_ivp

import mckean as mk

KEY = jax.random.key(0)
LABELS = 12
DENSE = np.where(np.random.default_rng(1).uniform(size=(LABELS, LABELS)) < 0.3, 1.5, 0.0)
PAIRS = np.argwhere(DENSE)
GRAPH = mk.Graph(LABELS, PAIRS[::-1], DENSE[tuple(PAIRS[::-1].T)])
PLACES = np.random.default_rng(2).uniform(0, 2 * np.pi, (2 * LABELS, 1))


def neighbour(i):
    """A pair energy of its own for each label, and a drift that sees the neighbours as a measure."""
    kernel = mk.kernels.Cosine(1.0 + 0.1 * i)
    return mk.Model(CIRCLE, interaction=kernel, drift=lambda x, mu: 0.2 * mu.integrate(lambda y: jnp.sin(y - x - 0.3)))


def test_a_step_on_a_graph_is_that_of_its_matrix():
    """x + dt/m Σ_j A_ij ½Σ_q (K_i sin(x_jq − x) + 0.2 sin(x_jq − x − 0.3)), two particles a label, by NumPy."""
    family = mk.Family.split(mk.Particles(CIRCLE, PLACES), LABELS)
    population = mk.Population(neighbour, jnp.arange(LABELS), GRAPH)
    moved = mk.evolve(population, family, until=0.1, dt=0.1).final.members.positions[..., 0]
    x = PLACES.reshape(LABELS, 2)
    away = x[None, :, None, :] - x[:, None, :, None]
    strength = (1 + 0.1 * np.arange(LABELS))[:, None, None, None]
    pull = (DENSE[:, :, None, None] * (strength * np.sin(away) + 0.2 * np.sin(away - 0.3))).mean(axis=(1, 3))
    np.testing.assert_allclose(moved, (x + 0.1 * pull) % (2 * np.pi), atol=1e-12)


def test_edges_of_many_particles_are_summed_in_blocks(monkeypatch):
    """Four edges at once, and some that are left, as by the matrix."""
    monkeypatch.setattr("mckean.models.population._PAIRS", 4 * 5**2)
    assert len(PAIRS) % 4
    family = mk.Family.split(mk.Particles(CIRCLE, np.random.default_rng(3).uniform(0, 6, (5 * LABELS, 1))), LABELS)
    matrix = jnp.asarray(DENSE)
    populations = [mk.Population(neighbour, jnp.arange(LABELS), by) for by in (GRAPH, lambda i, j: matrix[i, j])]
    moved = [mk.evolve(p, family, until=0.1, dt=0.1).final.members.positions for p in populations]
    np.testing.assert_allclose(*moved, atol=1e-12)


def test_densities_on_a_graph_are_those_of_its_matrix():
    family = mk.Family(
        [mk.Density.from_function(CIRCLE.grid(8), lambda x, i=i: 2 + jnp.cos(x[0] - i)) for i in range(LABELS)]
    )
    matrix = jnp.asarray(DENSE)
    on = [
        mk.evolve(
            mk.Population(neighbour, jnp.arange(LABELS), coupling), family, until=0.1, dt=0.1
        ).final.members.values
        for coupling in (GRAPH, lambda i, j: matrix[i, j])
    ]
    np.testing.assert_allclose(*on, atol=1e-13)


def distance(u, v):
    """A graphon of which the rows have different means."""
    return 1 - jnp.maximum(u, v)


def test_a_graph_of_all_pairs():
    graph = mk.Graph.sample(KEY, lambda u, v: 1.0, np.zeros(7))
    assert {*zip(np.asarray(graph.acted).tolist(), np.asarray(graph.acting).tolist(), strict=True)} == {
        (i, j) for i in range(7) for j in range(7) if i != j
    }


def test_edges_of_a_random_graph():
    """Symmetric, without loops and repeats; the edges within blocks are binomial, to 4.5 standard deviations."""
    m, rate = 600, 0.1
    labels = (np.arange(m) + 0.5) / m
    graph = mk.Graph.sample(KEY, distance, labels, rate)
    matrix = np.zeros((m, m))
    np.add.at(matrix, (np.asarray(graph.acted), np.asarray(graph.acting)), 1.0)
    assert np.array_equal(matrix, matrix.T)
    assert matrix.max() == 1
    assert not np.diag(matrix).any()
    np.testing.assert_allclose(graph.weights, 1 / rate)
    chance = np.triu(rate * np.asarray(distance(labels[:, None], labels[None])), 1)
    count = lambda a: np.triu(a, 1).reshape(4, m // 4, 4, m // 4).sum(axis=(1, 3))  # noqa: E731
    expected, spread = count(chance), np.sqrt(count(chance * (1 - chance)))
    assert np.all(np.abs(count(matrix) - expected) <= 4.5 * spread)


def mean_square(m, rate, seed, replicas):
    """m times the mean square error of Σ_j A_ij φ(X_j)/m, its standard error, and what is expected of it."""
    rng, labels = np.random.default_rng(seed), (np.arange(m) + 0.5) / m
    graphon = np.asarray(distance(labels[:, None], labels[None])) * (1 - np.eye(m))
    mean, square, errors = 0.5, 0.5**2 + 0.6**2, []
    for key in jax.random.split(jax.random.key(seed), replicas):
        phi = mean + 0.6 * rng.normal(size=m)
        graph = mk.Graph.sample(key, distance, labels, rate)
        field = np.bincount(graph.acted, np.asarray(graph.weights) * phi[np.asarray(graph.acting)], m) / m
        errors.append(m * np.mean((field - graphon.mean(axis=1) * mean) ** 2))
    return (
        np.mean(errors),
        np.std(errors) / math.sqrt(replicas - 1),
        np.mean(graphon / rate * square - graphon**2 * mean**2),
    )


@pytest.mark.parametrize("power", [0.0, -0.5])
def test_the_field_on_a_random_graph_errs_by_the_root_of_its_neighbours(power):
    """The variance of Σ_jA_ijφ_j/m is (1/m)(αW E φ²/α² − W²(Eφ)²): of order 1/(mα), with this constant.

    From m = 100 to 900, α = m^{−1/2}, it falls by 3, and not by 9 as 1/m does; with α = 1 by 9. The nearest wrong
    theory, own noise W²Var φ alone, is less than half of it.
    """
    small, large = (mean_square(m, m**power, 1, replicas) for m, replicas in ((100, 24), (900, 8)))
    for found, error, expected in (small, large):
        assert abs(found - expected) < 4.5 * error
    assert abs(large[0] / small[0] / 9 ** (-power) - 1) < 0.35
    assert large[0] > 2 * 0.6**2 / 6  # ∬W² = 1/6


def test_species_feel_one_environment_each_in_its_own_measure():
    """X_a = X_a(0) + s_aB⁰: both densities are shifted, by s_aB⁰ of one B⁰, while they spread; and particles move so.

    z_a ↦ z_a e^{−D_at + is_aB⁰}. Shifts by environments of their own, or by one s, are others.
    """
    sizes, spread, path, steps, dt = jnp.asarray([0.7, -1.3]), jnp.asarray([0.2, 0.5]), mk.Brownian(KEY), 8, 0.05
    noisy = lambda a: mk.Model(CIRCLE, noise=mk.Thermal(1 / spread[a]), common=mk.Additive(sizes[a]))  # noqa: E731
    still = lambda a: mk.Model(CIRCLE, common=mk.Additive(sizes[a]))  # noqa: E731
    bump = mk.Density.from_function(CIRCLE.grid(16), lambda x: 1 + 0.5 * jnp.cos(x[0]))
    shift = sum(float(path.environment.increment(k, jnp.asarray(dt), (1,), float)[0]) for k in range(steps))
    assert abs(shift) > 0.2
    law = mk.evolve(mk.Population(noisy, [0, 1]), mk.Family([bump] * 2), until=steps * dt, dt=dt, path=path).final
    z = law.each(lambda mu: mu.integrate(lambda x: jnp.cos(x[0])) + 1j * mu.integrate(lambda x: jnp.sin(x[0])))
    np.testing.assert_allclose(z, 0.25 * np.exp(-spread * steps * dt + 1j * sizes * shift), atol=1e-9)
    cloud = mk.Family.split(mk.Particles(CIRCLE, jnp.full((4, 1), 3.0)), 2)
    moved = mk.evolve(mk.Population(still, [0, 1]), cloud, until=steps * dt, dt=dt, path=path).final
    np.testing.assert_allclose(moved.members.positions[:, 0, 0], 3.0 + sizes * shift, atol=1e-12)


def test_couplings_that_depend_on_time():
    """dm_a = −m_a + ½Σ_b A(a, b, t)(m_b − m_a) + a cos t: two species, one on a graph whose edges come and go."""

    def at(t):
        pull = lambda a: mk.Model(  # noqa: E731
            LINE, confinement=lambda x: 0.5 * x[0] ** 2, interaction=mk.kernels.Quadratic(1.0),
            drift=lambda x, mu: a * jnp.cos(t) + 0 * x,
        )  # fmt: skip
        return mk.Population(pull, [0.0, 1.0], mk.Graph(2, [[0, 1], [1, 0]], jnp.stack([1 + jnp.sin(3 * t), 2 * t])))

    family = mk.Family.split(mk.Particles(LINE, [[1.0], [-0.5]]), 2)
    run = mk.evolve(mk.Schedule(at), family, until=2.0, dt=0.05, scheme=diffrax.Dopri5(),
                    observe={"edges": lambda model, mu: model.coupling.weights})  # fmt: skip

    def slope(t, m):
        a = 0.5 * np.array([1 + math.sin(3 * t), 2 * t])
        return [-m[0] + a[0] * (m[1] - m[0]), -m[1] + a[1] * (m[0] - m[1]) + math.cos(t)]

    exact = solve_ivp(slope, (0, 2.0), [1.0, -0.5], rtol=1e-11, atol=1e-12).y[:, -1]
    np.testing.assert_allclose(run.final.members.positions[:, 0, 0], exact, atol=1e-7)
    np.testing.assert_allclose(run.observed["edges"][-1], [1 + math.sin(6.0), 4.0])
