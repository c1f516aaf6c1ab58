"""The linear–quadratic model: V(x) = a|x|²/2, W(z) = c|z|²/2. Every level of description is Gaussian and explicit."""

import math
from functools import partial

import numpy as np

from mckean.catalogue.facts import Entry, Fact
from mckean.interactions import kernels
from mckean.measures import Gaussian
from mckean.models import energy, langevin, potentials
from mckean.spaces import Euclidean

_REFERENCE = "closed form: a linear equation in the sense of McKean; Sznitman, Topics in propagation of chaos (1991)"


def mean(time: float, start: float, stiffness: float) -> float:
    """m(t) = m_0 e^{−at}, length."""
    return start * math.exp(-stiffness * time)


def variance(time: float, start: float, stiffness: float, strength: float, beta: float) -> float:
    """v(t) of the limit, a coordinate, from v′ = −2(a + c)v + 2/β; length²."""
    rate = stiffness + strength
    limit = 1 / (beta * rate)
    return limit + (start - limit) * math.exp(-2 * rate * time)


def free_energy_gap(mean: float, variance: float, stiffness: float, strength: float, beta: float) -> float:
    """F − F* = am²/2 + (s − 1 − log s)/2β with s = β(a + c)v, energy per particle and coordinate."""
    s = beta * (stiffness + strength) * variance
    return stiffness * mean**2 / 2 + (s - 1 - math.log(s)) / (2 * beta)


def coupling_error(n: int, stiffness: float, strength: float, beta: float) -> float:
    """E D² = c²/(Nβ a(a + c)(2a + c)), stationary, of the synchronous coupling X_i − Y_i = D, a coordinate; length²."""
    a, c = stiffness, strength
    return c**2 / (n * beta * a * (a + c) * (2 * a + c))


def coupling_error_path(
    n: int, steps: int, dt: float, start: float, stiffness: float, strength: float, beta: float
) -> np.ndarray:
    """E D² after 0, …, `steps` Euler steps from independent particles of variance `start`, shape (steps+1,).

    With e = X̄ − m, D′ = −(a + c)D + ce and e′ = −ae + √(2/βN) noise, the second moments of (D, e) obey a linear
    recursion, which is exact for Euler's scheme; as dt → 0 it tends to the moments of the equations themselves.
    """
    move = np.array([[1 - (stiffness + strength) * dt, strength * dt], [0.0, 1 - stiffness * dt]])
    noise = np.diag([0.0, 2 * dt / (beta * n)])
    moments, values = np.diag([0.0, start / n]), [0.0]
    for _ in range(steps):
        moments = move @ moments @ move.T + noise
        values.append(moments[0, 0])
    return np.array(values)


def ornstein_uhlenbeck(stiffness: float = 1.0, strength: float = 0.5, beta: float = 1.0, dim: int = 1) -> Entry:
    """Ornstein–Uhlenbeck with quadratic attraction: dX_i = −aX_i dt − c(X_i − X̄) dt + √(2/β) dB_i in R^d.

    **Arguments:** `stiffness`: a > 0; `strength`: c, with a + c > 0; both energy per length²; `beta`: β > 0; `dim`: d.
    **Raises** `ValueError` unless a > 0 and a + c > 0.
    """
    if not (stiffness > 0 and stiffness + strength > 0):
        raise ValueError(f"this model needs a > 0 and a + c > 0, but a = {stiffness:g}, c = {strength:g}.")
    model = langevin(Euclidean(dim), potentials.Quadratic(stiffness), kernels.Quadratic(strength), beta=beta)
    limit = 1 / (beta * (stiffness + strength))
    displaced = Gaussian(np.full(dim, 0.7), 0.4 * np.eye(dim))
    equilibrium = Gaussian(np.zeros(dim), limit * np.eye(dim))
    gap = dim * free_energy_gap(0.7, 0.4, stiffness, strength, beta)
    facts = {
        "stationary variance": Fact("v = 1/(β(a + c)), a coordinate", limit, _REFERENCE),
        "free energy gap": Fact(
            "F − F* at mean 0.7 and variance 0.4 in each coordinate",
            gap,
            _REFERENCE,
            lambda: float(energy.free_energy(model, displaced) - energy.free_energy(model, equilibrium)),
            1e-10,
        ),
        "stationary dissipation": Fact(
            "D = 0 at equilibrium", 0.0, _REFERENCE, partial(_dissipation, model, equilibrium), 1e-10
        ),
        "Polyak–Łojasiewicz constant": Fact("min(a, a + c)", min(stiffness, stiffness + strength), _REFERENCE),
        "log-Sobolev constant": Fact("β min(a, a + c)", beta * min(stiffness, stiffness + strength), _REFERENCE),
    }
    return Entry(model, facts)


def _dissipation(model, measure) -> float:
    return float(energy.dissipation(model, measure))
