"""The point of linear stability of the uniform state on a torus."""

from dataclasses import dataclass

import numpy as np

from mckean.checks import require
from mckean.interactions.kernels import FourierSeries
from mckean.models import Model, require_model
from mckean.spaces import Torus

# Coefficients that are the least one up to rounding.
_SAME = 1e-10


@dataclass(frozen=True)
class LinearThreshold:
    """How much stronger W has to be for the uniform state to lose its stability.

    **Attributes:**

    - `factor`: κ with κβŴ(k) = −1 for the least of all Ŵ(k) = L^{−d}∫W_s cos(q_k·x) dx: the uniform state of κW is
      stable below it; dimensionless. Infinite where no Ŵ(k) is negative.
    - `modes`: the k for which it is least, one of each pair ±k.
    """

    factor: float
    modes: tuple[tuple[int, ...], ...]


def linear_threshold(model: Model) -> LinearThreshold:
    """The multiple κ of W at which the uniform state of a model on a torus without a V loses its stability.

        κ_♯ = −1/(β min_{k ≠ 0} Ŵ(k)),   Ŵ(k) = L^{−d}∫W_s cos(q_k·x) dx,   q_k = 2πk/L

    A density e^{iq_k·x} grows at the rate −|q_k|²(1/β + κŴ(k)) about the uniform one.

    **Arguments:**

    - `model`: on a torus, with a W and a `Thermal` noise, without a V, a drift and an internal energy.

    **Returns:** a `LinearThreshold`. The coefficients are those of the model's own Fourier series, exact for a `Cosine`
    and a `FourierSeries`, to rounding for a smooth W, and by quadrature between them for a W with kinks in dimension 1.

    **Raises:** `ValueError` for another model, and says why.

    **Source:** Carrillo, Gvalani, Pavliotis and Schlichting, arXiv 1806.01719, Theorem 1.3.
    """
    require_model(model)
    require(
        isinstance(model.space, Torus), f"the uniform state is one of a torus, but the model lives on {model.space}."
    )
    require(model.interaction is not None, "without an interaction W the uniform state is stable for ever.")
    plain = model.confinement is None and model.drift is None and model.internal is None
    require(plain, "this is the threshold of W alone: leave out V, the drift b and the internal energy.")
    require(not model.common, "a common noise has a threshold of its own: leave it out.")
    require(model.noise is not None, "without a temperature no multiple of W is small enough.")
    assert model.interaction is not None, "required above"
    kernel = model.interaction.kernel
    series = kernel if isinstance(kernel, FourierSeries) else model.interaction.series
    assert series is not None, "a kernel on a torus has a series"
    modes = np.asarray(series.modes)
    # W = Σ a_k cos: half of a coefficient belongs to each of ±k.
    weights = np.where(np.all(modes == 0, axis=1), np.inf, 0.5 * np.asarray(series.coefficients, np.float64))
    least = weights.min()
    if not least < 0:
        return LinearThreshold(float("inf"), ())
    which = np.flatnonzero(weights <= least * (1 - _SAME))
    return LinearThreshold(
        float(-1 / (float(model.beta) * least)), tuple(tuple(int(c) for c in modes[i]) for i in which)
    )
