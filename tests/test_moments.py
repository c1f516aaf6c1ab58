"""Gaussian laws: closed forms, and the three levels of description against one another."""

import itertools
import math

import diffrax
import jax
import numpy as np
import pytest
from schemes import PLANE, linear, swirl
from scipy.linalg import expm

import mckean as mk

# Drift −ax − c(x − m), in the plane with a rotation; noise √(2/β) dB. Rates of the mean and of the spread about it.
A, C, BETA, T = 1.0, 0.5, 2.0, 1.0
TURN = np.array([[0.0, -1.0], [1.0, 0.0]])
WHIRL = mk.Model(
    PLANE,
    confinement=mk.potentials.Quadratic(A),
    interaction=mk.kernels.Quadratic(C),
    drift=swirl,
    noise=mk.Thermal(BETA),
)


def spread(rate, start, t=T):
    """v′ = −2 rate v + 2/β."""
    limit = 1 / (BETA * rate)
    return limit + (start - limit) * math.exp(-2 * rate * t)


def test_ornstein_uhlenbeck():
    """m e^{−at} and the variance's closed form, at every record."""
    watch = {"m": mk.observables.mean, "v": mk.observables.covariance}
    run = mk.evolve(linear(C), mk.Gaussian(0.7, 0.4), until=T, dt=0.02, observe=watch, every=10)
    np.testing.assert_allclose(run.observed["m"][:, 0], [0.7 * math.exp(-A * t) for t in run.times], rtol=1e-10)
    np.testing.assert_allclose(run.observed["v"][:, 0, 0], [spread(A + C, 0.4, t) for t in run.times], rtol=1e-10)


@pytest.mark.parametrize(("solver", "order"), [(diffrax.Euler(), 1), (diffrax.Heun(), 2), (diffrax.Dopri5(), 5)])
def test_order(solver, order):
    """By the differences of runs whose steps are halved; the exponent is off by a multiple of dt: extrapolate it."""
    runs = [mk.evolve(linear(C), mk.Gaussian(0.7, 0.4), until=2.0, dt=0.5**k, scheme=solver) for k in range(1, 6)]
    errors = [abs(float((a.final.mean - b.final.mean)[0])) for a, b in itertools.pairwise(runs)]
    exponents = np.log2(np.divide(errors[:-1], errors[1:]))
    last = abs(exponents[-1] - exponents[-2])
    assert abs(2 * exponents[-1] - exponents[-2] - order) < last < 0.3


def test_rotation_in_the_plane():
    """m(t) = e^{(−a + R)t}m and Σ(t) = e^{Jt}(Σ − Σ_∞)e^{Jᵀt} + Σ_∞ with J = −(a + c) + R, R generating rotations."""
    mean, covariance = np.array([1.0, 0.2]), np.array([[0.5, 0.1], [0.1, 0.2]])
    end = mk.evolve(WHIRL, mk.Gaussian(mean, covariance), until=T, dt=0.02).final
    flow = expm((TURN - (A + C) * np.eye(2)) * T)
    limit = np.eye(2) / (BETA * (A + C))
    np.testing.assert_allclose(end.mean, expm((TURN - A * np.eye(2)) * T) @ mean, rtol=1e-9)
    np.testing.assert_allclose(end.covariance, flow @ (covariance - limit) @ flow.T + limit, atol=1e-9)


@pytest.mark.parametrize("dim", [1, 2])
def test_particles_follow_the_moments(dim):
    """Euler's moments are a recursion, which gives the bias. 5 standard errors."""
    n, steps = 20_000, 50
    h = T / steps
    model, turn = (linear(C), np.zeros((1, 1))) if dim == 1 else (WHIRL, TURN)
    start = np.array([0.7, -0.3])[:dim]
    law = mk.Gaussian(start, 0.4 * np.eye(dim))
    limit = mk.evolve(model, law, until=T, dt=h).final
    path = mk.Brownian(jax.random.key(5))
    x = np.asarray(mk.evolve(model, law.sample(jax.random.key(6), n), until=T, dt=h, path=path).final.positions)
    flow = np.eye(dim) + h * (turn - A * np.eye(dim))
    bias = np.abs(np.linalg.matrix_power(flow, steps) @ start - limit.mean)
    assert np.all(np.abs(x.mean(0) - limit.mean) < bias + 5 * math.sqrt(spread(A, 0.4) / n))
    scale, v = (1 - (A + C) * h) ** 2 + (h**2 if dim == 2 else 0), 0.4
    for _ in range(steps):
        v = scale * v + 2 * h / BETA
    variance = np.asarray(limit.covariance)[0, 0]
    assert np.all(np.abs(x.var(0) - variance) < abs(v - variance) + 5 * v * math.sqrt(2 / n))
    if dim == 2:
        assert abs(np.cov(x.T)[0, 1]) < 5 * v / math.sqrt(n)


def test_densities_follow_the_moments():
    """On a box the error of order 2 is about a third of the change from the grid of half the size."""
    law = mk.Gaussian(np.array([0.7, -0.3]), 0.4 * np.eye(2))
    limit = mk.evolve(WHIRL, law, until=T, dt=0.02).final
    ends = []
    for n in (16, 32):
        start = mk.Density.from_law(PLANE.grid(n, -5.0, 5.0), law)
        watch = {"mean": mk.observables.mean, "covariance": mk.observables.covariance}
        run = mk.evolve(WHIRL, start, until=T, dt=T * 4 / n**2, scheme=mk.FiniteVolume("explicit"), observe=watch)
        ends.append([run.observed[name][-1] for name in watch])
    for coarse, fine, exact in zip(*ends, (limit.mean, limit.covariance), strict=True):
        change = np.abs(np.asarray(fine - coarse)).max()
        assert np.abs(np.asarray(fine - exact)).max() < 0.5 * change < 0.05
