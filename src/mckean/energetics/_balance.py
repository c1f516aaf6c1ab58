"""The energy balance of a gradient flow, F(μ_t) − F(μ_0) = −∫D(μ_s) ds, checked along a run."""

import numpy as np
from jaxtyping import Float

from mckean.checks import require


def energy_balance(times, free_energy, dissipation) -> Float[np.ndarray, " half"]:
    """F(t) − F(0) + ∫_0^t D ds at every second record: zero for an exact gradient flow.

    The integral is by Simpson's rule, of order 4 in the step between records.

    **Arguments:**

    - `times`: equidistant, shape (t,), t odd and at least 3.
    - `free_energy`: F, shape (t,), energy.
    - `dissipation`: D, shape (t,), energy per time.

    **Returns:** shape ((t + 1)/2,), energy.

    **Raises:** `ValueError` for another number of records.
    """
    times, free_energy, dissipation = (np.asarray(a, float) for a in (times, free_energy, dissipation))
    require(times.size >= 3 and times.size % 2 == 1, "Simpson's rule needs an odd number of records, three at least.")
    step = times[1] - times[0]
    pairs = step / 3 * (dissipation[:-2:2] + 4 * dissipation[1:-1:2] + dissipation[2::2])
    spent = np.concatenate([[0.0], np.cumsum(pairs)])
    return free_energy[::2] - free_energy[0] + spent
