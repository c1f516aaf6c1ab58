"""The Itô decomposition of ⟨μ^N, φ⟩, formed from a recorded run."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mckean.checks import require
from mckean.dynamics import Trajectory


@dataclass(frozen=True)
class Martingale:
    """One part of M on the recorded times, shape (…, t).

    **Attributes:**

    - `path`: the part itself.
    - `realised`: Σ(ΔM)², from 0.
    - `predicted`: ∫d⟨M⟩ as the theory gives it along the same run, from 0.
    """

    path: Float[np.ndarray, "... t"]
    realised: Float[np.ndarray, "... t"]
    predicted: Float[np.ndarray, "... t"]


@dataclass(frozen=True)
class ItoDecomposition:
    """⟨μ_t, φ⟩ − ⟨μ_0, φ⟩ = ∫drift ds + M_t on the recorded times; arrays of shape (…, t).

    **Attributes:**

    - `times`: shape (t,).
    - `drift`: ∫drift ds.
    - `whole`: M, a `Martingale`.
    - `own`, `common`: the parts of M that the particles' own motions and the environment drive. None where the
      environment's increments are not known.
    """

    times: Float[np.ndarray, " t"]
    drift: Float[np.ndarray, "... t"]
    whole: Martingale
    own: Martingale | None
    common: Martingale | None


def ito_decomposition(trajectory: Trajectory, name: str, environment=None) -> ItoDecomposition:
    """The parts of ⟨μ_t, φ⟩ − ⟨μ_0, φ⟩ = ∫drift ds + M_t, from a record of `observables.ito(phi)` at every step.

    The sums are left-point sums, as in Itô's integral and Euler's scheme: ΔM = Δ⟨μ, φ⟩ − drift Δt. The environment
    drives the part Σ_k ⟨μ, σ_k·∇φ⟩ ΔB⁰_k of it. With a step Δt the mean of the realised bracket differs from the
    prediction by O(Δt).

    **Arguments:**

    - `trajectory`: the run, or many runs with replicas along leading axes.
    - `name`: the name of the record.
    - `environment`: the increments of the run's environment, shape (…, t − 1, m), from `path.environment.recorded`.
      Default: None; then M is not split.

    **Returns:** an `ItoDecomposition`.

    **Raises:** `ValueError` if there is no record of that name, or the increments are not t − 1.
    """
    require(isinstance(trajectory, Trajectory), f"a record is one of a run, not of a {type(trajectory).__name__}.")
    require(name in trajectory.observed, f"the run has no record '{name}'.")
    record = {key: np.asarray(value) for key, value in trajectory.observed[name].items()}
    times = np.asarray(trajectory.times)
    times = times[0] if times.ndim == 2 else times
    step = np.diff(times)
    drift = _cumulative(record["drift"][..., :-1] * step)
    path = record["value"] - record["value"][..., :1] - drift
    brackets = {part: _cumulative(record[part][..., :-1] * step) for part in ("own", "common")}
    whole = _martingale(path, brackets["own"] + brackets["common"])
    if environment is None:
        return ItoDecomposition(times, drift, whole, None, None)
    fields, increments = record["fields"][..., :-1, :], np.asarray(environment)
    require(
        increments.shape == fields.shape,
        f"the environment of this run has increments of shape {fields.shape}, not {increments.shape}.",
    )
    shared = _cumulative(np.sum(fields * increments, axis=-1))
    parts = {"own": path - shared, "common": shared}
    own, common = (_martingale(parts[part], brackets[part]) for part in ("own", "common"))
    return ItoDecomposition(times, drift, whole, own, common)


def _martingale(path: np.ndarray, predicted: np.ndarray) -> Martingale:
    return Martingale(path, _cumulative(np.diff(path, axis=-1) ** 2), predicted)


def _cumulative(increments: np.ndarray) -> np.ndarray:
    """Cumulative sums along the last axis, from 0."""
    zero = np.zeros((*increments.shape[:-1], 1))
    return np.concatenate([zero, np.cumsum(increments, axis=-1)], axis=-1)
