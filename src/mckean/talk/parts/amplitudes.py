"""Steady states on the circle by another method: the amplitude of the first mode is given, and κ is found.

For W = −κΣ_k w_k cos kx and β = 1 a steady state is ρ ∝ e^{Σ_k c_k cos kx} with c_k = κw_kr_k, r_k = ⟨cos kx⟩. With c_1
= A held, κ = A/w_1r_1, and the other c_k by iteration: along A the branch goes through its fold without a turn. Solved
by NumPy, without the library.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

_NODES = 256
_STEPS = 2000


@dataclass(frozen=True)
class Transition:
    """The fold, where F is equal, and κ_♯."""

    fold: float
    coexistence: float
    threshold: float


def state(weights: np.ndarray, amplitude: float) -> tuple[float, float, float]:
    """κ, r_1 and F − F(uniform) of the state with c_1 = A."""
    x = 2 * np.pi * np.arange(_NODES) / _NODES
    waves = np.cos(np.outer(np.arange(1, weights.size + 1), x))
    c = np.zeros(weights.size)
    c[0] = amplitude
    for _ in range(_STEPS):
        exponent = c @ waves
        rho = np.exp(exponent - exponent.max())
        r = waves @ rho / rho.sum()
        kappa = amplitude / (weights[0] * r[0])
        new = kappa * weights * r
        if np.abs(new - c).max() < 1e-15 * amplitude:
            break
        c = new
    energy = 0.5 * kappa * weights @ r**2 - np.log(np.mean(np.exp(c @ waves)))
    return float(kappa), float(r[0]), float(energy)


def transition(weights: np.ndarray, largest: float) -> Transition:
    """The discontinuous transition of w, whose fold and coexistence have A up to `largest`."""
    from scipy.optimize import minimize_scalar, root_scalar

    strength = lambda a: state(weights, a)[0]  # noqa: E731
    found: Any = minimize_scalar(strength, bounds=(0.05, largest), method="bounded", options={"xatol": 1e-7})
    level = root_scalar(lambda a: state(weights, a)[2], bracket=(found.x, largest), xtol=1e-13).root
    return Transition(float(found.fun), state(weights, float(level))[0], 2 / float(weights[0]))


def saddle(weights: np.ndarray, kappa: float, fold: float) -> tuple[float, float]:
    """r_1 of the saddle and of the stable state at κ, between the fold, at A = `fold`, and κ_♯."""
    from scipy.optimize import root_scalar

    gap = lambda a: state(weights, a)[0] - kappa  # noqa: E731
    low, high = (float(root_scalar(gap, bracket=ends, xtol=1e-12).root) for ends in ((1e-3, fold), (fold, 40.0)))
    return state(weights, low)[1], state(weights, high)[1]
