"""Part of chapter *uniqueness*: small perturbations of the uniform density, by NumPy, beside the library's solutions.

    ∂_tη = Δη + ΔW*η/|T| − Σ_k σ_k·∇η ∘ dB_k/dt,   W = −κ(cos x₁ + cos x₂), |T| = (2π)²,

on few nodes: shears move Fourier modes of lines by a phase, and the rest is a matrix. The steps have the law of those
of `Spectral`: the shears along both axes, then the rest, and in the next step all in the reverse order.
"""

from dataclasses import dataclass

import jax
import numpy as np

from mckean.catalogue.linear_stability import mean_square_system, rates, with_intensity
from mckean.models import Model
from mckean.statistics import Estimate
from mckean.talk.parts.stirring import SPECTRA

# On 10² nodes λ differs by 2e-4 from that on 16², where K is about the threshold.
_NODES = 10


@dataclass(frozen=True)
class Tangents:
    """Environments and time for exponents; growth counts after a time, when the start is forgotten."""

    environments: int = 256
    until: float = 9.0
    after: float = 1.125
    dt: float = 1 / 16


def exponents(config: Tangents, strength: float, spectrum: str, intensities, key) -> np.ndarray:
    """The rate of log‖η‖ from `after` to `until`, η_0 = cos x₁, shape (environments, intensities)."""
    seed = np.asarray(jax.random.key_data(key)).ravel()
    columns = [_growth(config, strength, spectrum, k, np.random.default_rng(seed)) for k in intensities]
    return np.stack(columns, axis=1)


def _growth(config: Tangents, strength: float, spectrum: str, intensity: float, rng) -> np.ndarray:
    n, m, dt = config.environments, _NODES, config.dt
    x = 2 * np.pi * np.arange(m) / m
    numbers = np.arange(len(SPECTRA[spectrum])) + 1
    theta = np.array(SPECTRA[spectrum]) / np.linalg.norm(SPECTRA[spectrum])
    waves = np.sqrt(2 * intensity * dt) * theta[:, None, None] * np.stack(
        [np.cos(numbers[:, None] * x), np.sin(numbers[:, None] * x)], axis=1
    )  # fmt: skip
    waves = waves.reshape(-1, m)
    heat = np.fft.ifft(
        np.exp(-(np.fft.fftfreq(m, 1 / m) ** 2) * dt)[:, None] * np.fft.fft(np.eye(m), axis=0), axis=0
    ).real
    # What the attraction adds to the modes (±1, 0) and (0, ±1), as a kernel of one variable.
    attract = (np.exp((strength / 2 - 1) * dt) - np.exp(-dt)) * 2 * np.cos(x[:, None] - x) / m**2

    def rest(eta):
        rows, columns = eta.sum(axis=2) @ attract, eta.sum(axis=1) @ attract
        return heat @ eta @ heat + rows[:, :, None] + columns[:, None, :]

    eta = np.broadcast_to(np.cos(x)[:, None], (n, m, m))
    log, begun = np.zeros(n), np.zeros(n)
    for i in range(round(config.until / dt)):
        first, second = (rng.standard_normal((n, len(waves))) @ waves for _ in range(2))
        if i % 2 == 0:
            eta = rest(_shear(_shear(eta.swapaxes(1, 2), first).swapaxes(1, 2), second))
        else:
            eta = _shear(_shear(rest(eta), second).swapaxes(1, 2), first).swapaxes(1, 2)
        size = np.sqrt(np.mean(eta**2, axis=(1, 2)))
        log, eta = log + np.log(size), eta / size[:, None, None]
        if i + 1 == round(config.after / dt):
            begun = log
    return (log - begun) / (config.until - config.after)


def _shear(eta: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """η(…, x − s) along the last axis, s of shape (n, m) a function of the other coordinate."""
    m = eta.shape[-1]
    k = np.arange(m // 2)
    modes = np.exp(-2j * np.pi * np.outer(np.arange(m), k) / m)
    f = eta @ modes
    turn = np.exp(-1j * shift)
    for j in k[1:]:
        f[..., j] *= turn**j
    return (f @ (np.where(k == 0, 1, 2)[:, None] * modes.conj().T)).real / m


def threshold(intensities, growth: np.ndarray) -> Estimate:
    """The root of the mean of λ(K) by a parabola, with the jackknife's standard error over environments.

    **Arguments:**

    - `intensities`: three K about the root.
    - `growth`: λ by environment and K, shape (r, 3).
    """

    def root(mean: np.ndarray) -> float:
        return float(np.polyfit(mean, intensities, 2)[-1])

    n, total = len(growth), growth.sum(axis=0)
    left_out = np.array([root((total - row) / (n - 1)) for row in growth])
    return Estimate(root(total / n), float(np.sqrt((n - 1) * left_out.var())), n - 1)


def mean_square_of_steps(model: Model, intensity: float, until: float, dt: float) -> tuple[float, float]:
    """½ log E‖η_t‖²/‖η_0‖² from η_0 = cos x₁: exactly, and for the scheme's steps.

    The closed system for E|η̂_q|² is the sum of two graphs, along which the shears of either axis move it, and of 2λ_q.
    The scheme goes through their semigroups one after the other, and back.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.linalg import expm_multiply

    at = with_intensity(model, intensity)
    modes, system = mean_square_system(at, 8)
    edges = system.tocoo()
    parts = []
    # Waves along the second axis shear along the first.
    for axis in (1, 0):
        kept = modes[edges.row, axis] != modes[edges.col, axis]
        graph = csr_array((edges.data[kept], (edges.row[kept], edges.col[kept])), shape=system.shape)
        parts.append(graph - csr_array(np.diag(np.asarray(graph.sum(axis=1)).ravel())))
    still = np.exp(2 * rates(at, modes) * dt)
    start = 0.5 * np.all(np.abs(modes) == [1, 0], axis=1)
    stepped = start
    for i in range(round(until / dt)):
        for part in parts if i % 2 == 0 else ():
            stepped = expm_multiply(part * dt, stepped)
        stepped = still * stepped
        for part in reversed(parts) if i % 2 else ():
            stepped = expm_multiply(part * dt, stepped)
    exact = expm_multiply(system * until, start)
    return float(0.5 * np.log(exact.sum())), float(0.5 * np.log(stepped.sum()))
