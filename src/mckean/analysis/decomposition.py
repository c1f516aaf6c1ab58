"""The Itô decomposition of ⟨μ^N, φ⟩, formed from a recorded run."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mckean.checks import require
from mckean.dynamics import Trajectory


@dataclass(frozen=True)
class ItoDecomposition:
    """⟨μ_t, φ⟩ − ⟨μ_0, φ⟩ = ∫drift ds + M_t on the recorded times; arrays of shape (…, t).

    `realised` is Σ(ΔM)², `predicted` is ∫d⟨M⟩ as the theory gives it along the same run.
    """

    times: Float[np.ndarray, " t"]
    drift: Float[np.ndarray, "... t"]
    martingale: Float[np.ndarray, "... t"]
    realised: Float[np.ndarray, "... t"]
    predicted: Float[np.ndarray, "... t"]


def ito_decomposition(trajectory: Trajectory, name: str) -> ItoDecomposition:
    """Integrate what `observables.ito(phi)` recorded at every step under `name`; leading replica axes are kept.

    Left-point sums, as Itô's integral and Euler's scheme have them: ΔM = Δ⟨μ, φ⟩ − drift Δt. With a step Δt the
    realised bracket differs from the predicted one by O(Δt) in mean, beside its own fluctuation.
    **Raises** `ValueError` if nothing was recorded under that name.
    """
    require(name in trajectory.observed, f"the run has no record '{name}'.")
    record = {key: np.asarray(value) for key, value in trajectory.observed[name].items()}
    times = np.asarray(trajectory.times)
    times = times[0] if times.ndim == 2 else times
    step = np.diff(times)
    drift = _running(record["drift"][..., :-1] * step)
    martingale = record["value"] - record["value"][..., :1] - drift
    return ItoDecomposition(
        times,
        drift,
        martingale,
        _running(np.diff(martingale, axis=-1) ** 2),
        _running(record["bracket"][..., :-1] * step),
    )


def _running(increments: np.ndarray) -> np.ndarray:
    """Cumulative sums along the last axis, from 0."""
    zero = np.zeros((*increments.shape[:-1], 1))
    return np.concatenate([zero, np.cumsum(increments, axis=-1)], axis=-1)
