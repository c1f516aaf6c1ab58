"""How two solutions, or the points of a cloud, draw together in one environment.

By Lyapunov's top exponent λ, E log|x_t − y_t| ~ λt where λ < 0 and the points have come near; where λ > 0 they stay
apart, and the mean of the logarithm tends to a constant. A cloud that moves in one environment shows the random
attractor as it is pulled back: a point where the flow synchronises (Crauel and Flandoli, J. Dynam. Differential
Equations 10, 1998; Flandoli, Gess and Scheutzow, Probab. Theory Relat. Fields 168, 2017).
"""

from dataclasses import dataclass

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from mckean.checks import require
from mckean.dynamics import Carrier, CarrierScheme, Scheme, evolve, scheme_for, together
from mckean.dynamics.pair import pair
from mckean.environments._long_time import distance_of_pair
from mckean.measures import AbstractMeasure, Particles
from mckean.measures.norms import inner
from mckean.models import Equation, Model
from mckean.observables import pair_distance
from mckean.paths import Brownian
from mckean.statistics import Estimate, average, replicate

# A distance below so many roundings of a point's coordinates is one of rounding.
_ROUNDINGS = 1e3


@dataclass(frozen=True)
class Contraction:
    """The distance of two solutions, or of two points of a cloud, over r environments.

    **Attributes:**

    - `times`: the times of the records, shape (t,); time.
    - `distance`: shape (r, t); length for points.
    - `rounding`: a distance of at most this is an effect of rounding.
    """

    times: Float[np.ndarray, " t"]
    distance: Float[np.ndarray, "r t"]
    rounding: float

    @property
    def log_distance(self) -> Estimate:
        """E log distance at the times, with standard errors.

        **Raises:** `ValueError` where a distance has fallen to rounding.
        """
        return average(self._logarithm(slice(None)))

    def rate(self, after: float = 0.0) -> Estimate:
        """The rate (1/(T − s)) E log(distance(T)/distance(s)), with its standard error over environments; 1/time.

        **Arguments:**

        - `after`: s, time. T is the end. Default: 0.

        **Returns:** an `Estimate`.

        **Raises:** `ValueError` for s ≥ T, and for a distance that has fallen to rounding.
        """
        begin = int(np.searchsorted(self.times, after - 1e-9 * self.times[-1]))
        require(begin < len(self.times) - 1, f"a rate is measured up to t = {self.times[-1]:g}, after t = {after:g}.")
        log = self._logarithm([begin, -1])
        return average((log[:, 1] - log[:, 0]) / (self.times[-1] - self.times[begin]))

    def _logarithm(self, at) -> np.ndarray:
        chosen = self.distance[:, at]
        met = np.any(self.distance <= self.rounding, axis=0)
        first = self.times[np.argmax(met)]
        require(
            np.all(chosen > self.rounding),
            f"by t = {first:g} points have met up to rounding in some environment, and have no distance to take the "
            "logarithm of: end the run before.",
        )
        return np.log(chosen)


def contraction(
    model: Equation,
    first: AbstractMeasure,
    second: AbstractMeasure | None = None,
    *,
    until: float,
    dt: float,
    key: PRNGKeyArray,
    replicas: int,
    every: int | None = None,
    scheme: Scheme | None = None,
    batch: int | None = None,
) -> Contraction:
    """The distance of two solutions, or of the points of a cloud, over independent environments.

        E log|x_t − y_t| ~ λt   if λ < 0 and the points have come near, λ Lyapunov's top exponent

    Two particles of one cloud act on each other if the model has an interaction. Two solutions do not.

    **Arguments:**

    - `model`: any model or schedule.
    - `first`: the first solution at the start.
    - `second`: the second solution at the start. Default: None; then `first` is a cloud of two particles or more, and
      the distance is that of its points, `observables.pair_distance`.
    - `until`, `dt`, `every`, `scheme`: as for `evolve`.
    - `key`, `replicas`, `batch`: as for `replicate`; two replicas at least.

    **Returns:** a `Contraction`.

    **Raises:** `ValueError` for measures of different classes, a single measure that is not such a cloud, one
    environment, and as `evolve` does.
    """
    one = scheme_for(model, first, scheme)
    require(replicas >= 2, "standard errors over environments need at least two of them.")
    if second is None:
        cloud = isinstance(first, Particles) and first.n >= 2
        require(cloud, "what draws together is a cloud of two particles or more, or two solutions.")
        state, flow, apart = first, one, pair_distance
    else:
        state, flow, apart = pair(first, second), CarrierScheme((one, one), together), distance_of_pair
    planned = scheme_for(model, state, flow).begin(model, state, dt).equation
    run = eqx.Partial(_record, model=planned, state=state, flow=flow, apart=apart, until=until, dt=dt, every=every)
    times, distances, sizes = replicate(run, key, replicas, batch)
    return Contraction(times[0], distances, _ROUNDINGS * float(np.finfo(distances.dtype).eps * sizes.max()))


def _record(key: PRNGKeyArray, *, model, state, flow, apart, **times) -> tuple[Array, Array, Array]:
    observe = {"distance": apart, "size": _size}
    run = evolve(model, state, path=Brownian(key), scheme=flow, observe=observe, **times)
    return run.times, run.observed["distance"], run.observed["size"]


def _size(model: Model, state: AbstractMeasure) -> Float[Array, ""]:
    """The norm of the numbers that hold a measure, in the unit of the distance: what rounding is relative to."""
    mu = state.measures[0] if isinstance(state, Carrier) else state
    numbers = eqx.filter(mu, eqx.is_inexact_array)
    return jnp.sqrt(inner(mu, numbers, numbers))
