"""Hysteresis: a parameter that moves slowly up and down while the particles follow."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from mckean.checks import require, require_finite, require_key
from mckean.dynamics import evolve
from mckean.measures import Particles
from mckean.models import Model
from mckean.paths import Brownian
from mckean.statistics import replicate


@dataclass(frozen=True, eq=False)
class Hysteresis:
    """What was observed while a parameter moved up and down again.

    **Attributes:**

    - `values`: the parameter, shape (k,), increasing.
    - `up`, `down`: the observable at the end of the stay at each value, shape (replicas, k), on the way up and on the
      way down.
    """

    values: Float[np.ndarray, " k"]
    up: Float[np.ndarray, "r k"]
    down: Float[np.ndarray, "r k"]

    @property
    def area(self) -> Float[np.ndarray, " r"]:
        """∫(down − up) dp by the trapezoidal rule, for each replica."""
        return np.trapezoid(self.down - self.up, self.values, axis=1)


def ramps(
    model_of: Callable[[Any], Model],
    start: Particles | Callable[[PRNGKeyArray], Particles],
    values: Any,
    observe: Callable[[Model, Particles], Any],
    *,
    key: PRNGKeyArray,
    replicas: int,
    stay: float,
    dt: float,
    scheme: Any = None,
    batch: int | None = None,
) -> Hysteresis:
    """Two slow ramps of a parameter, up and then down, by particles on the same noise.

    The cloud stays for a while at each value and goes on to the next one from where it is. The noise of the stay at a
    value is the same on the way up and on the way down, so that the two differ by the history alone.

    **Arguments:**

    - `model_of`: the model for a value of the parameter, a function that JAX can trace.
    - `start`: the particles at the first value, or a function of a key that draws them.
    - `values`: the parameter, shape (k,), increasing, k ≥ 2.
    - `observe`: a function of (model, measure) with a number as its value.
    - `key`: a JAX key.
    - `replicas`: how many runs.
    - `stay`: how long the cloud stays at each value; time.
    - `dt`: the step, time.
    - `scheme`: as for `evolve`. Default: None.
    - `batch`: how many runs are one program, as for `statistics.replicate`. Default: all.

    **Returns:** a `Hysteresis`.

    **Raises:** `ValueError` as `evolve` does, and for values that do not increase.
    """
    p = np.asarray(values, float)
    require(p.ndim == 1 and p.size >= 2, f"a ramp has two values of the parameter or more, not shape {p.shape}.")
    require_finite("a value of a ramp", p)
    require(np.all(np.diff(p) > 0), "the values of a ramp increase: it goes up, and then down by itself.")
    require_key(key)
    require(
        callable(model_of), f"a ramp takes the model as a function of its parameter, not a {type(model_of).__name__}."
    )
    require(callable(observe), f"what is observed is a function of (model, measure), not {observe!r}.")
    require(
        isinstance(start, Particles) or callable(start),
        f"a ramp starts at particles, or at what a function of a key draws, not at {type(start).__name__}.",
    )
    run = {"until": stay, "dt": dt, "scheme": scheme}
    one = eqx.Partial(_up_and_down, model_of=model_of, start=start, values=jnp.asarray(p), observe=observe, run=run)
    up, down = replicate(one, key, replicas, batch)
    return Hysteresis(p, up, down)


def _up_and_down(key: PRNGKeyArray, model_of, start, values, observe, run: dict) -> tuple[Any, Any]:
    first, noise = jax.random.split(key)
    cloud = start if isinstance(start, Particles) else start(first)

    def stage(cloud, at):
        p, which = at
        model = model_of(p)
        end = evolve(model, cloud, path=Brownian(jax.random.fold_in(noise, which)), **run).final
        return end, jnp.asarray(observe(model, end), float)

    numbers = jnp.arange(values.size)
    there = jnp.concatenate([values, values[::-1]]), jnp.concatenate([numbers, numbers[::-1]])
    _, seen = jax.lax.scan(stage, cloud, there)
    require(seen.ndim == 1, f"what is observed on a ramp is a number, not an array of shape {seen.shape[1:]}.")
    return seen[: values.size], seen[values.size :][::-1]
