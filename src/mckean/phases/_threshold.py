"""The point of linear stability of the uniform state on a torus and on a sphere."""

from dataclasses import dataclass

import jax
import numpy as np

from mckean.checks import require
from mckean.interactions.kernels import FourierSeries
from mckean.models import Model, require_model
from mckean.phases import _spheres as spheres
from mckean.spaces import Sphere, Torus

# Coefficients that are the least one up to rounding.
_SAME = 1e-10
# The degrees of W on a sphere among which the least Ŵ is looked for: more while it is one of the upper half.
_FIRST, _LAST = 32, 512


@dataclass(frozen=True)
class LinearThreshold:
    """How much stronger W has to be for the uniform state to lose its stability.

    **Attributes:**

    - `factor`: κ with κŴ(k) = −1/β − P′(ρ_0) for the least of all Ŵ(k) = L^{−d}∫W_s cos(q_k·x) dx: the uniform state
      of κW is stable below it; dimensionless. Infinite where no Ŵ(k) is negative.
      On S^{d−1} it is that of Ŵ(l) = |S^{d−1}|^{−1}∫W(⟨x, y⟩)P_l(⟨x, y⟩)dy, P_l the zonal polynomial with P_l(1) = 1.
    - `modes`: the k for which it is least, one of each pair ±k; on a sphere the degrees, as (l,).
    """

    factor: float
    modes: tuple[tuple[int, ...], ...]


def linear_threshold(model: Model) -> LinearThreshold:
    """The multiple κ of W at which the uniform state of a model on a torus or a sphere without a V loses its stability.

        κ_♯ = −(1/β + P′(ρ_0))/min_{k ≠ 0} Ŵ(k),   Ŵ(k) = L^{−d}∫W_s cos(q_k·x) dx,   q_k = 2πk/L

    A density e^{iq_k·x} grows at the rate −|q_k|²(1/β + P′(ρ_0) + κŴ(k)) about the uniform one, ρ_0 = L^{−d}, P the
    pressure of an internal energy. On a sphere a harmonic of degree l grows at −l(l + d − 2)(1/β + P′(ρ_0) + κŴ(l)),
    Ŵ(l) = |S^{d−1}|^{−1}∫W(⟨x, y⟩)P_l(⟨x, y⟩)dy (Funk and Hecke).

    **Arguments:**

    - `model`: on a torus or a sphere, with a W, and a `Thermal` noise, an internal energy or both, without a V and a
      drift.

    **Returns:** a `LinearThreshold`. On a torus the coefficients are those of the model's own Fourier series, exact for
    a `Cosine` and a `FourierSeries`, to rounding for a smooth W, and by quadrature between them for a W with kinks in
    dimension 1; on a sphere they are by Gauss's rule.

    **Raises:** `ValueError` for another model, and says why; `RuntimeError` on a sphere where Ŵ still falls at l = 512.

    **Source:** Carrillo, Gvalani, Pavliotis and Schlichting, arXiv 1806.01719, Theorem 1.3.
    """
    require_model(model)
    require(
        isinstance(model.space, Torus | Sphere),
        f"the uniform state is one of a torus or a sphere, but the model lives on {model.space}.",
    )
    require(model.interaction is not None, "without an interaction W the uniform state is stable for ever.")
    plain = model.confinement is None and model.drift is None
    require(
        plain,
        "this is the threshold of W alone: leave out V, and the drift b, which continuation takes.",
    )
    require(not model.common, "a common noise has a threshold of its own: leave it out.")
    spread = model.noise is not None or model.internal is not None
    require(spread, "without a temperature no multiple of W is small enough.")
    assert model.interaction is not None, "required above"
    modes, weights = _weights_of_degrees(model) if isinstance(model.space, Sphere) else _weights_of_modes(model)
    least = weights.min()
    if not least < 0:
        return LinearThreshold(float("inf"), ())
    which = np.flatnonzero(weights <= least * (1 - _SAME))
    return LinearThreshold(-_diffusivity(model) / float(least), tuple(tuple(int(c) for c in modes[i]) for i in which))


def _diffusivity(model: Model) -> float:
    """1/β + P′(ρ_0) at the uniform density."""
    heat = 1 / float(model.beta)
    return heat if model.internal is None else heat + float(jax.grad(model.internal.pressure)(1 / model.space.volume))


def _weights_of_modes(model: Model) -> tuple[np.ndarray, np.ndarray]:
    """The modes k of a torus, shape (m, d), and their Ŵ(k), infinite for k = 0."""
    assert model.interaction is not None, "required before"
    kernel = model.interaction.kernel
    series = kernel if isinstance(kernel, FourierSeries) else model.interaction.series
    assert series is not None, "a kernel on a torus has a series"
    modes = np.asarray(series.modes)
    # W = Σ a_k cos: half of a coefficient belongs to each of ±k.
    half = 0.5 * np.asarray(series.coefficients, np.float64)
    return modes, np.where(np.all(modes == 0, axis=1), np.inf, half)


def _weights_of_degrees(model: Model) -> tuple[np.ndarray, np.ndarray]:
    """The degrees l ≥ 1 of a sphere, shape (m, 1), and their Ŵ(l); what is rounding of the largest is 0."""
    spheres.require_zonal_kernel(model)
    degree = _FIRST
    while True:
        weights = spheres.weights(model, degree)
        weights = np.where(np.abs(weights) <= 1e-13 * np.abs(weights).max(), 0.0, weights)[1:]
        if 2 * (int(np.argmin(weights)) + 1) <= degree:
            return np.arange(1, degree + 1)[:, None], weights
        if degree >= _LAST:
            raise RuntimeError(f"the least Ŵ(l) was not found up to the degree {degree}: W is too narrow.")
        degree *= 2
