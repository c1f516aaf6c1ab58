"""How long particles stay near a steady state."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from mckean.checks import require, require_key
from mckean.dynamics import evolve
from mckean.measures import Particles
from mckean.models import Model
from mckean.paths import Brownian
from mckean.statistics import Lifetimes, replicate


def escape_times(
    model: Model,
    start: Particles | Callable[[PRNGKeyArray], Particles],
    left: Callable[[Model, Particles], Any],
    *,
    key: PRNGKeyArray,
    replicas: int,
    until: float,
    dt: float,
    every: int = 1,
    scheme: Any = None,
    batch: int | None = None,
) -> Lifetimes:
    """When clouds of particles leave a set for the first time, in independent runs.

        τ = inf{t : μ^N_t is outside},   min(τ, T) and whether τ ≤ T

    Runs are looked at after each `every` steps: a cloud that leaves and comes back in between counts as one that
    stayed. With boundaries of the kind x ≥ a of one particle this moves a by 0.5826 standard deviations of the noise of
    such a period (Broadie, Glasserman and Kou, Math. Finance 7, 1997).

    **Arguments:**

    - `model`: the model.
    - `start`: the particles at time 0, or a function of a key that draws them.
    - `left`: whether a cloud is outside, a function of (model, measure) with the value True or False.
    - `key`: a JAX key.
    - `replicas`: how many runs.
    - `until`: T, when the watch ends; time.
    - `dt`: the step, time.
    - `every`: the number of steps between looks. Default: 1.
    - `scheme`: as for `evolve`. Default: None.
    - `batch`: how many runs are one program, as for `statistics.replicate`. Default: all.

    **Returns:** `statistics.Lifetimes`.

    **Raises:** `ValueError` as `evolve` does, and for a start that is neither.
    """
    require_key(key)
    require(callable(left), f"whether a cloud has left is a function of (model, measure), not {left!r}.")
    require(
        isinstance(start, Particles) or callable(start),
        f"an escape starts at particles, or at what a function of a key draws, not at {type(start).__name__}.",
    )
    run = {"until": until, "dt": dt, "every": every, "scheme": scheme}
    one = eqx.Partial(_first_exit, model=model, start=start, left=left, run=run)
    times, ended = replicate(one, key, replicas, batch)
    return Lifetimes(times, ended)


def _first_exit(key: PRNGKeyArray, model: Model, start: Any, left: Callable, run: dict) -> tuple[Any, Any]:
    first, noise = jax.random.split(key)
    cloud = start if isinstance(start, Particles) else start(first)
    made = evolve(model, cloud, path=Brownian(noise), observe={"left": left}, **run)
    out = jnp.asarray(made.observed["left"])
    require(out.ndim == 1, f"whether a cloud has left is True or False, not an array of shape {out.shape[1:]}.")
    # A signed distance would count as True on both sides.
    require(out.dtype == bool, f"whether a cloud has left is True or False, not a number of type {out.dtype}.")
    return made.times[jnp.where(jnp.any(out), jnp.argmax(out), out.size - 1)], jnp.any(out)
