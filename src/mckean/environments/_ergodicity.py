"""Whether one point of a flow, over independent environments, has the invariant law."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from mckean.dynamics import Scheme, evolve, scheme_for
from mckean.measures import Particles
from mckean.measures.convert import require_particles
from mckean.models import Model
from mckean.paths import Brownian
from mckean.statistics import EnergyTest, energy_test, replicate


def one_point_ergodicity(
    model: Model,
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
    """Whether the first particle has at time `until`, over independent environments, the invariant law.

    It tests the law at that time, from that start. That it is invariant, that it is reached from elsewhere, or sooner,
    and that averages over time tend to it, are other questions. See `energy_test` for what is seen and what is not.

    **Arguments:**

    - `model`: any.
    - `particles`: where they start: one particle, or several that act on it.
    - `invariant`: a function of (key, n) with n independent points of that law as value, or such points, shape (m, d).
    - `until`, `dt`, `scheme`: as for `evolve`.
    - `key`, `replicas`, `batch`: as for `replicate`.
    - `permutations`: as for `energy_test`.

    **Returns:** an `EnergyTest`.

    **Raises:** `ValueError` for samples of another shape, and as `evolve` and `energy_test` do.
    """
    require_particles("ergodicity of one point", particles)
    model = scheme_for(model, particles, scheme).begin(model, particles, dt).model
    driving, drawing, dealing = jax.random.split(key, 3)
    expected = invariant(drawing, replicas) if callable(invariant) else jnp.asarray(invariant)
    run = eqx.Partial(_first_at_the_end, model=model, particles=particles, until=until, dt=dt, scheme=scheme)
    reached = jnp.asarray(replicate(run, driving, replicas, batch))
    return energy_test(reached, expected, model.space.distance, key=dealing, permutations=permutations)


def _first_at_the_end(key: PRNGKeyArray, *, model, particles, **settings) -> Float[Array, " d"]:
    return evolve(model, particles, path=Brownian(key), **settings).final.positions[0]
