"""How far the force by a fast sum is from the direct sum."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float

from mckean.checks import positive_integer, require, require_key
from mckean.interactions.evaluation import force
from mckean.interactions.interaction import Interaction
from mckean.interactions.kernels import AbstractKernel, FourierSeries
from mckean.interactions.planning import plan
from mckean.interactions.sums.direct import Direct
from mckean.interactions.sums.modes import Modes
from mckean.interactions.sums.sum import AbstractSum
from mckean.measures import Particles, cast, configuration, dtype_of


@dataclass(frozen=True)
class Certificate:
    """The error of a force on a sample of points, against the direct sum of W as it was given, relative to the
    force's root mean square.

    **Attributes:**

    - `error`: the root mean square over the sample.
    - `largest`: the largest of the sample.
    - `points`: the number of points.
    - `sum`: the name of the sum.
    - `tolerance`: the one that was asked for, relative to the size of ∇W; None for a sum that is exact to rounding.
    """

    error: float
    largest: float
    points: int
    sum: str
    tolerance: float | None

    def __str__(self) -> str:
        return (
            f"{self.sum}: error of the force {self.error:.2g} (largest {self.largest:.2g}) of its rms, "
            f"at {self.points} points against the direct sum"
        )


def certificate(
    kernel: AbstractKernel | Callable | Interaction, mu: Particles, key: Array, points: int = 256
) -> Certificate:
    """The error of the force on a random sample of the particles that exert it, against the direct sum.

    The direct sum costs n × points pairs.

    **Arguments:**

    - `kernel`: W, as a model takes it, or `model.interaction`, with its sum if that is planned.
    - `mu`: the cloud.
    - `key`: a JAX key, for the sample.
    - `points`: the number of particles in the sample. Default: 256.

    **Returns:** the `Certificate`.

    **Raises:**

    - `ValueError` for a measure that is no cloud, no points, and another key.
    """
    require(isinstance(mu, Particles), "a certificate is for the force between particles.")
    points = positive_integer("a certificate takes a positive number of points", points)
    require_key(key)
    mu = configuration(mu)
    interaction = plan(kernel, mu)
    assert interaction.sum is not None, "planned"
    sample = jax.random.choice(key, mu.n, (min(points, mu.n),), replace=False)
    fast = np.asarray(_force(interaction, mu)[sample], float)
    # W as it was given, not a series that was made of it: that the two agree is for the certificate to say.
    inside = cast(interaction.kernel if interaction.given is None else interaction.given, dtype_of(mu))
    # A series pair by pair costs its modes for every pair; mode by mode it is as exact.
    exact_sum = Modes() if isinstance(inside, FourierSeries) else Direct()
    exact = np.asarray(_by(exact_sum, inside, mu, mu.positions[sample]), float)
    scale = math.sqrt(np.mean(np.sum(exact**2, axis=1)))
    errors = np.linalg.norm(fast - exact, axis=1) / scale if scale > 0 else np.linalg.norm(fast - exact, axis=1)
    return Certificate(
        float(np.sqrt(np.mean(errors**2))),
        float(errors.max()),
        len(sample),
        interaction.sum.name,
        getattr(interaction.sum, "tolerance", None),
    )


@eqx.filter_jit
def _force(interaction: Interaction, mu: Particles) -> Float[Array, "n d"]:
    return force(interaction, mu, mu.positions)


@eqx.filter_jit
def _by(sum_: AbstractSum, kernel: AbstractKernel, mu: Particles, x: Float[Array, "n d"]) -> Float[Array, "n d"]:
    return sum_.force(kernel, mu, x)
