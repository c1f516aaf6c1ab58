"""Distances in more than one dimension: by assignment, by Sinkhorn's divergence, over slices."""

import math
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mckean as mk
from mckean.transport.approximate import Approximation

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import ot

PLANE, SQUARE, SPHERE = mk.Euclidean(2), mk.Torus(2, 1.0), mk.Sphere(3)


def cloud(space, n, seed):
    return mk.Particles(space, space.retract(jax.random.normal(jax.random.key(seed), (n, space.dim))))


@pytest.mark.parametrize("space", [PLANE, SQUARE, SPHERE], ids=["plane", "torus", "sphere"])
@pytest.mark.parametrize("p", [1, 2, 3.3])
def test_assignment_against_pot(space, p):
    x, y = cloud(space, 40, 0), cloud(space, 40, 1)
    cost = np.asarray(space.distance(x.positions[:, None], y.positions[None])) ** p
    mass = np.full(40, 1 / 40)
    assert mk.wasserstein(x, y, p) == pytest.approx(ot.emd2(mass, mass, cost) ** (1 / p), rel=1e-12)


def test_translating_a_cloud_moves_it_by_the_shift():
    x = cloud(PLANE, 300, 0)
    y = mk.Particles(PLANE, x.positions[::-1] + jnp.asarray([3.0, 4.0]))
    assert mk.wasserstein(x, y, 1) == pytest.approx(5.0, rel=1e-14)
    assert mk.wasserstein(x, y, 10) == pytest.approx(5.0, rel=1e-14)
    assert mk.wasserstein(x, mk.Particles(PLANE, x.positions[::-1])) == 0.0


def entropic(mean, first, second, epsilon):
    """S_ε of two isotropic Gaussians in the plane, by the closed form of each term.

    With s = ε/2 and D = √(4AB + s²): |a − b|² + tr(A + B − D) + s log det(D + s), up to a constant (Janati, Muzellec,
    Peyré and Cuturi, NeurIPS 2020).
    """

    def term(a, b):
        root = math.sqrt(4 * a * b + (epsilon / 2) ** 2)
        return 2 * (a + b - root) + epsilon * math.log(root + epsilon / 2)

    return mean**2 + term(first, second) - 0.5 * (term(first, first) + term(second, second))


def normal(grid, mean, variance):
    return mk.Density.from_law(grid, mk.Gaussian([mean, 0.0], variance * np.eye(2)))


def test_sinkhorn_on_a_grid_is_the_closed_form_and_its_bias_is_of_second_order():
    # Atoms at the nodes of a Gaussian: sums over nodes are spectrally exact at six standard deviations and h = 0.2.
    grid = PLANE.grid((64, 48), (-5.0, -4.8), (7.8, 4.8))
    mu, nu = normal(grid, 0.0, 0.5), normal(grid, 1.5, 0.25)
    exact = math.sqrt(1.5**2 + 2 * (math.sqrt(0.5) - 0.5) ** 2)
    near, far = (math.sqrt(entropic(1.5, 0.5, 0.25, epsilon)) for epsilon in (0.2, 0.4))
    found = mk.sinkhorn(mu, nu, 0.2)
    # The marginals are off by 1e-7, times the largest potential.
    assert found.value == pytest.approx(near, abs=1e-5)
    assert found.error == pytest.approx(abs(far - near) / 3, abs=1e-5)
    # Of second order: what the error says is what it is, but for the fourth.
    assert abs(near - exact) / found.error == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(("space", "sizes"), [(PLANE, (60, 60)), (mk.Euclidean(5), (40, 40)), (SQUARE, (25, 50))])
def test_the_error_of_sinkhorn_covers_between_clouds(space, sizes):
    """Against the assignment of n unit masses; an atom of a smaller cloud has some of them, or none."""
    for seed, epsilon in enumerate(space.dim * np.asarray([0.15, 0.25, 0.5])):
        rng = np.random.default_rng(seed)
        x, y = (rng.normal(size=(k, space.dim)) * (1 + 0.5 * i) + i for i, k in enumerate(sizes))
        many = np.arange(sizes[0]) if sizes[0] == sizes[1] else rng.integers(0, sizes[0], sizes[1])
        mu = mk.Particles(space, x, np.bincount(many, minlength=sizes[0]) / sizes[1])
        nu = mk.Particles(space, y)
        exact = mk.wasserstein(mk.Particles(space, x[many]), nu, 2)
        found = mk.sinkhorn(mu, nu, epsilon)
        assert abs(found.value - exact) <= found.error + 1e-6
        # The bounds of W_2² are off by ε log n at most, the entropy of ν: the root by the root of that.
        assert found.error <= abs(found.value - exact) + math.sqrt(epsilon * math.log(sizes[1]))


def test_sinkhorn_knows_the_space():
    x = cloud(SQUARE, 200, 0)
    shifted = mk.Particles(SQUARE, x.positions + jnp.asarray([0.9, 0.0]))
    # Over the edge it is 0.1, and every measure that is moved as a whole has S_ε = |shift|² but for the wrapping.
    assert mk.sinkhorn(x, shifted, 1e-3).value < 0.11
    assert mk.sinkhorn(x, x).value == pytest.approx(0.0, abs=1e-6)
    grid = SQUARE.grid(24)
    bump = lambda c: mk.Density.from_function(grid, lambda x: jnp.exp(8 * jnp.cos(2 * jnp.pi * (x[0] - c))))  # noqa: E731
    assert mk.sinkhorn(bump(0.05), bump(0.95), 1e-2).value == pytest.approx(0.1, abs=2e-3)


def test_slices_of_a_translation_have_the_projected_lengths():
    x = mk.Particles(PLANE, cloud(PLANE, 50, 0).positions)
    y = mk.Particles(PLANE, x.positions + jnp.asarray([3.0, 4.0]))
    found = mk.sliced(x, y, jax.random.key(0), directions=400)
    # W_2² on a line is ⟨θ, s⟩², of mean |s|²/2 and standard deviation |s|²/√8.
    assert abs(found.value**2 - 12.5) <= 5 * 25 / math.sqrt(8 * 400)
    assert found.stderr == pytest.approx(25 / math.sqrt(8 * 400) / (2 * math.sqrt(12.5)), rel=0.2)
    assert float(mk.sliced(x, x, jax.random.key(0), p=1)) == 0.0


REFUSALS = {
    "weights": (
        lambda: mk.wasserstein(mk.Particles(PLANE, np.zeros((2, 2)), [0.5, 0.5]), cloud(PLANE, 2, 0)),
        "equal weight",
    ),
    "sizes": (lambda: mk.wasserstein(cloud(PLANE, 3, 0), cloud(PLANE, 2, 0)), "as many particles each"),
    "too many": (lambda: mk.wasserstein(cloud(PLANE, 5001, 0), cloud(PLANE, 5001, 0)), "at most 5000 points, not 5001"),
    "epsilon": (lambda: mk.sinkhorn(cloud(PLANE, 2, 0), cloud(PLANE, 2, 0), 0.0), "must be positive, not 0.0"),
    "form": (lambda: mk.sinkhorn(cloud(PLANE, 2, 0), mk.Gaussian(np.zeros(2), np.eye(2))), "not a Gaussian: sample it"),
    "slices": (lambda: mk.sliced(cloud(SQUARE, 2, 0), cloud(SQUARE, 2, 0), jax.random.key(0)), "are those of R"),
    "order": (lambda: mk.sliced(cloud(PLANE, 2, 0), cloud(PLANE, 2, 0), jax.random.key(0), p=0.5), "at least 1"),
    "one direction": (
        lambda: mk.sliced(cloud(PLANE, 2, 0), cloud(PLANE, 2, 0), jax.random.key(0), directions=1),
        "needs two of them",
    ),
    "spaces": (lambda: mk.sinkhorn(cloud(PLANE, 2, 0), cloud(SQUARE, 2, 0)), "needs one space"),
}


@pytest.mark.parametrize(("call", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_sinkhorn_that_does_not_converge_is_an_error(monkeypatch):
    monkeypatch.setattr("mckean.transport.approximate._ITERATIONS", 10)
    with pytest.raises(RuntimeError, match=r"off by .* after .* iterations"):
        mk.sinkhorn(cloud(PLANE, 30, 0), cloud(PLANE, 30, 1), 1e-4)


def test_an_approximation_is_a_number():
    assert float(Approximation(2.0, 0.1)) == 2.0
