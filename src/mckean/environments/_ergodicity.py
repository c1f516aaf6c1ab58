"""Whether one point of a flow, over independent environments, has the invariant law."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from mckean.checks import require_key
from mckean.dynamics import Scheme, evolve, scheme_for
from mckean.measures import Particles
from mckean.measures.convert import require_particles
from mckean.models import Equation
from mckean.paths import Brownian
from mckean.statistics import EnergyTest, energy_test, replicate


def one_point_ergodicity(
    model: Equation,
    particles: Particles,
    invariant: Callable[[PRNGKeyArray, int], Array] | Array,
    *,
    until: float,
    dt: float,
    key: PRNGKeyArray,
    replicas: int,
    permutations: int = 999,
    scheme: Scheme | None = None,
    batch: int | None = None,
) -> EnergyTest:
    """A test whether the first particle has the invariant law at time `until`, over independent environments.

        E = 2 E δ(X, Y) − E δ(X, X′) − E δ(Y, Y′) = 0   for X = x_1(until), Y of the invariant law

    It tests the law at that time, from that start. It does not test whether the law is invariant, whether other starts
    reach it, or whether averages over time tend to it. `energy_test` says which differences it sees.

    **Arguments:**

    - `model`: any model or schedule.
    - `particles`: the start: one particle, or several that act on it.
    - `invariant`: a function of (key, n) that returns n independent points of the invariant law, or such points, shape
      (m, d).
    - `until`, `dt`, `scheme`: as for `evolve`.
    - `key`, `replicas`, `batch`: as for `replicate`.
    - `permutations`: as for `energy_test`.

    **Returns:** an `EnergyTest`.

    **Raises:** `ValueError` for samples of another shape, and as `evolve` and `energy_test` do.
    """
    require_particles("ergodicity of one point", particles)
    model = scheme_for(model, particles, scheme).begin(model, particles, dt).equation
    require_key(key)
    driving, drawing, dealing = jax.random.split(key, 3)
    expected = invariant(drawing, replicas) if callable(invariant) else jnp.asarray(invariant)
    run = eqx.Partial(_first_at_the_end, model=model, particles=particles, until=until, dt=dt, scheme=scheme)
    reached = jnp.asarray(replicate(run, driving, replicas, batch))
    return energy_test(reached, expected, model.space.distance, key=dealing, permutations=permutations)


def _first_at_the_end(key: PRNGKeyArray, *, model, particles, **settings) -> Float[Array, " d"]:
    return evolve(model, particles, path=Brownian(key), **settings).final.positions[0]
