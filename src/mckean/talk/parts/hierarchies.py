"""Steady states on the circle by another method: the equations of their Fourier coefficients.

For W = −κΣ_k w_k cos kx, β = 1, and an even steady state, r_j = ⟨cos jx⟩, the equation ρ′ = −ρ(W*ρ)′ against sin jx is

    j r_j = (κ/2) Σ_k k w_k r_k (r_{j−k} − r_{j+k}),   r_0 = 1, r_{−j} = r_j.

The free energy is F = −log ∫e^{κΣ_k w_k r_k cos kx}dx + (κ/2)Σ_k w_k r_k². Solved by SciPy, without the library.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Transition:
    """A discontinuous transition of W = −κΣw_k cos kx: the fold, where F is equal, and the barrier there."""

    fold: float
    coexistence: float
    barrier: float
    barrier_without_half: float


def transition(weights: np.ndarray) -> Transition:
    """The transition of the branch that is followed in s = r_1, which goes through the fold without a turn."""
    from scipy.optimize import brentq, fsolve
    from scipy.special import ive

    size = weights.size

    def state(s: float) -> tuple[np.ndarray, float]:
        """r and κ for r_1 = s, from the density e^{a cos x} with this r_1."""
        a = brentq(lambda a: ive(1, a) / ive(0, a) - s, 1e-9, 50.0)
        start = np.append(ive(np.arange(2, size + 1), a) / ive(0, a), 0.4)
        of = lambda y: _defect(np.concatenate([[s], y[:-1]]), y[-1], weights)  # noqa: E731
        found = np.asarray(fsolve(of, start, xtol=1e-13))
        return np.concatenate([[s], found[:-1]]), float(found[-1])

    def slope(s: float) -> float:
        """dκ/ds by differences of order 4."""
        h = 2e-3
        return float(np.dot([1, -8, 8, -1], [state(s + k * h)[1] for k in (-2, -1, 1, 2)])) / (12 * h)

    energy = lambda s: _free_energy(*state(s), weights)  # noqa: E731
    turn = float(brentq(slope, 0.3, 0.7, xtol=1e-10))  # pyright: ignore[reportArgumentType]
    ordered = float(brentq(energy, turn, 0.85, xtol=1e-13))  # pyright: ignore[reportArgumentType]
    strength = state(ordered)[1]
    saddle = float(brentq(lambda s: state(s)[1] - strength, 0.05, turn, xtol=1e-13))  # pyright: ignore[reportArgumentType]
    r = state(saddle)[0]
    barriers = (_free_energy(r, strength, weights, share) for share in (0.5, 1.0))
    return Transition(state(turn)[1], strength, *barriers)


def _defect(r: np.ndarray, kappa: float, weights: np.ndarray) -> np.ndarray:
    size = r.size
    whole = np.concatenate([r[::-1], [1.0], r, np.zeros(size)])
    at = lambda j: whole[size + j]  # noqa: E731
    j, k = np.arange(1, size + 1)[:, None], np.arange(1, weights.size + 1)[None]
    pull = np.sum(k * weights * at(k) * (at(j - k) - at(j + k)), axis=1)
    return j[:, 0] * r - 0.5 * kappa * pull


def _free_energy(r: np.ndarray, kappa: float, weights: np.ndarray, share: float = 0.5) -> float:
    """F − F(uniform); `share` is that of the pairs, ½."""
    x = 2 * np.pi * np.arange(400) / 400
    k = np.arange(1, weights.size + 1)
    order = weights * r[: weights.size]
    exponent = kappa * np.cos(np.outer(x, k)) @ order
    # ∫ρ log ρ = ⟨exponent⟩ − log Z, and the energy of pairs is −share κ Σ w r².
    partition = np.mean(np.exp(exponent))
    return float((1 - share) * kappa * np.sum(order * r[: weights.size]) - np.log(partition))
