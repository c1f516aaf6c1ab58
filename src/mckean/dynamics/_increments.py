"""What drives a step: the particles' own motions, and those of the environment."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int

from mckean.measures import AbstractMeasure, Particles
from mckean.models import Model
from mckean.paths import Brownian


class Increments(NamedTuple):
    """What drives one step: each particle's own motions, and the environment's; None where there are none."""

    own: Float[Array, "n m"] | None
    common: Float[Array, " m"] | None


def increments(
    model: Model, measure: AbstractMeasure, path: Brownian | None, index: Int[ArrayLike, ""], dt: Float[Array, ""]
) -> Increments:
    """The increments of one step; a measure that is not made of particles has those of the environment alone."""
    if path is None:
        return Increments(None, None)
    own = common = None
    if model.noise is not None and isinstance(measure, Particles):
        n, d = measure.positions.shape
        own = path.idiosyncratic.increment(index, dt, (n, model.noise.width(measure, d)), dt.dtype)
    if model.common:
        common = common_increment(model, measure, path, index, dt)
    return Increments(own, common)


def common_increment(
    model: Model, measure: AbstractMeasure, path: Brownian | None, index: Int[ArrayLike, ""], dt: Float[Array, ""]
) -> Float[Array, " m"]:
    """The increment of the environment over one step. **Raises:** `ValueError` without a path."""
    if path is None:
        raise ValueError("a model with a common noise needs a path: path=Brownian(jax.random.key(seed)).")
    return _once(path.environment.increment(index, dt, (model.motions(measure),), dt.dtype))


def _once(drawn: Float[Array, " m"]) -> Float[Array, " m"]:
    """The same numbers, through a loop: XLA would fuse the draw with its uses, and draw anew for every particle."""
    halves = jnp.pad(drawn, (0, drawn.size % 2)).reshape(2, -1)
    return jax.lax.map(lambda half: half * jnp.ones((), drawn.dtype), halves).ravel()[: drawn.size]
