"""log Z_N by thermodynamic integration in the coupling.

With Z(s) = ∫exp(−β(ΣV(x_i) + s I(x)))dx, I = (1/2N)Σ_ij W(x_i − x_j), the particles are independent at s = 0, and

    log Z_N = N log∫e^{−βV} + ∫_0^1 f ds,   f(s) = d log Z/ds = −βE_s I,   f′(s) = β² Var_s I.

Each rung of a ladder tells f and f′, for the trapezoidal rule with its first correction, whose error is of order 4:
∫_s^{s+h} f ≈ h(f(s) + f(s + h))/2 + h²(f′(s) − f′(s + h))/12 (Euler–Maclaurin).
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from mckean.checks import require
from mckean.equilibrium._sampling import GibbsSample
from mckean.models import Model
from mckean.spaces import Torus
from mckean.statistics import Estimate, average


@dataclass(frozen=True)
class LogPartition:
    """log Z_N = log∫e^{−βH_N}dx, with its errors.

    **Attributes:**

    - `estimate`: log Z_N with its statistical error.
    - `quadrature`: an estimate of the error from the finite number of couplings, by leaving out every other one.
    """

    estimate: Estimate
    quadrature: float


def log_partition(model: Model, sample: GibbsSample) -> LogPartition:
    """log Z_N, Z_N = ∫e^{−βH_N}dx, by thermodynamic integration in the coupling.

        log Z_N = N log∫e^{−βV} + ∫_0^1 f ds,   f(s) = −βE_s I,   I = (1/2N)Σ_ij W(x_i − x_j)

    **Arguments:**

    - `model`: with an interaction.
    - `sample`: from `sample_gibbs` of the model, with an odd number of couplings from 0 to 1, such as nine.

    **Returns:** a `LogPartition`.

    **Raises:** `ValueError` for another ladder, for a model without an interaction, and for one with a V in dimension 2
    or more, where ∫e^{−βV} is not computed here.
    """
    require(
        isinstance(sample, GibbsSample), f"log Z_N is computed from `sample_gibbs`, not from a {type(sample).__name__}."
    )
    ladder = sample.couplings
    good = ladder.size >= 3 and ladder.size % 2 == 1 and ladder[0] == 0
    require(good, "thermodynamic integration needs an odd number of couplings, three or more, from 0 to 1.")
    require(model.interaction is not None, "without an interaction there is nothing to integrate.")
    n, beta = sample.positions.shape[2], float(model.beta)
    alone = n * _log_partition_of_one(model)
    first, second = sample.samples["interaction"], sample.squares["interaction"]
    mean = first.mean(0)
    # What a chain adds to f and f′, linear about the mean of all chains: so it has the error of both.
    slopes, curvatures = -beta * first, beta**2 * (second - 2 * mean * first + mean**2)
    fine = _integrate(ladder, slopes, curvatures)
    coarse = _integrate(ladder[::2], slopes[:, ::2], curvatures[:, ::2])
    found = average(fine)
    value = alone + float(found.value)
    return LogPartition(Estimate(value, float(found.stderr), found.freedom), abs(float(np.mean(fine - coarse))) / 15)


def _integrate(s: np.ndarray, f: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """The integral along the last axis by the corrected trapezoidal rule."""
    h = np.diff(s)
    return (h * (f[:, 1:] + f[:, :-1]) / 2 - h**2 * np.diff(slope, axis=1) / 12).sum(axis=1)


def _log_partition_of_one(model: Model) -> float:
    """log∫e^{−βV}."""
    from scipy.integrate import quad

    space, potential = model.space, model.confinement
    if potential is None:
        return float(np.log(space.volume))
    require(
        space.dim == 1, f"∫e^(−βV) is computed in dimension 1, not {space.dim}: without V the space may be any torus."
    )
    low, high = (0.0, space.lengths[0]) if isinstance(space, Torus) else (-np.inf, np.inf)
    weight = lambda x: float(jnp.exp(-model.beta * potential(jnp.full(1, x))))  # noqa: E731
    return float(np.log(quad(weight, low, high, epsabs=0, epsrel=1e-10, limit=200)[0]))
