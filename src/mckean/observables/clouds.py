"""Where the particles of a cloud are, and how large it is."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean.measures import AbstractMeasure, Family, Particles
from mckean.models import Equation, Model


def positions(model: Equation, mu: AbstractMeasure) -> Float[Array, "*m n d"]:
    """The positions x_i themselves, shape (n, d), length: a snapshot, which `mckean.plot.frames` gives as a measure.

    **Arguments:**

    - `model`: not used.
    - `mu`: particles; of a family the positions have the label in front, shape (m, n, d).

    **Raises:** `ValueError` for another measure.
    """
    if isinstance(mu, Family):
        return mu.each(lambda member: positions(model, member))
    if not isinstance(mu, Particles):
        raise ValueError(f"positions are those of particles, and a {type(mu).__name__} has none: sample it first.")
    return mu.positions


def pair_distance(model: Model, mu: Particles) -> Float[Array, ""]:
    """The root mean square of dist(x_i, x_{i+1}) over the cloud, in the order given and closed to a ring; length.

    For independent points this is the mean over all pairs, without bias and at a cost of n. It is zero if and only if
    all points are one.

    **Arguments:**

    - `model`: not used.
    - `mu`: particles, two at least.

    **Returns:** a number.

    **Raises:** `ValueError` for another measure.
    """
    x = _cloud(model, mu)
    return jnp.sqrt(jnp.mean(mu.space.distance(x, jnp.roll(x, 1, axis=0)) ** 2))


def radius(model: Model, mu: Particles) -> Float[Array, ""]:
    """max_i dist(x_i, x_0): the diameter of the cloud lies between this and twice this; length.

    **Arguments:**

    - `model`: not used.
    - `mu`: particles.

    **Returns:** a number.

    **Raises:** `ValueError` for another measure.
    """
    x = _cloud(model, mu)
    return jnp.max(mu.space.distance(x, x[:1]))


def _cloud(model: Model, mu: Particles) -> Float[Array, "n d"]:
    if isinstance(mu, Family):
        raise ValueError("the size of a cloud is that of one label's: observe it with family.each.")
    return positions(model, mu)
