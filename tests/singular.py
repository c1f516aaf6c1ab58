"""Kernels that are singular or have a kink at 0, and clouds for them."""

import functools
import math

import jax.numpy as jnp
import numpy as np
from tables import CIRCLE

import mckean as mk
from mckean.interactions import Interaction, place
from mckean.spaces import AbstractSpace

TORI = {1: CIRCLE, 2: mk.Torus(2, (2 * math.pi, 3.0)), 3: mk.Torus(3, 2.0)}
LONG = mk.Torus(2, (8.0, 1.0))
LOGARITHM = mk.kernels.PowerLaw(-1.0, 0.0)


def cusp(z):
    return jnp.exp(-jnp.sqrt(jnp.sum(z**2)))


def chord(z, lengths):
    """ρ, ρ² = Σ_a (L_a/π)² sin²(πz_a/L_a): the distance near 0, periodic and smooth elsewhere."""
    return jnp.sqrt(
        sum((side / math.pi * jnp.sin(math.pi * c / side)) ** 2 for c, side in zip(z, lengths, strict=True))
    )


def periodic(function, space) -> mk.kernels.Function:
    return mk.kernels.Function(lambda z: function(chord(z, space.lengths)))


IN_SPACE = {
    "logarithm": LOGARITHM,
    "power -1/2": mk.kernels.PowerLaw(-1.0, -0.5),
    "power -1": mk.kernels.PowerLaw(-1.0, -1.0),
    "power -2": mk.kernels.PowerLaw(-1.0, -2.0),
    "morse": mk.kernels.Morse(2.0, 1.0, 0.25, 1.5),
    "distance": mk.kernels.PowerLaw(1.0, 1.0),
    "cusp": mk.kernels.Function(cusp),
}
ON_TORI = {
    "periodic logarithm": lambda space: periodic(lambda r: -jnp.log(r), space),
    "periodic power -1": lambda space: periodic(lambda r: 1 / r, space),
    # e^{−L/2l} is 3e-14 on the shortest side.
    "short-ranged morse": lambda space: mk.kernels.MinimalImage(mk.kernels.Morse(2.0, 1.0, 0.02, 0.032)),
}


@functools.cache
def placed(name: str, space: AbstractSpace) -> Interaction:
    return place(IN_SPACE[name] if name in IN_SPACE else ON_TORI[name](space), space)


@functools.cache
def spread(space: AbstractSpace, n: int, kind: str = "uniform") -> mk.Particles:
    """`uniform`: all over a box, from corner to corner; `core`: normal, half of them in a core 10⁻³ wide."""
    rng = np.random.default_rng(n)
    if kind == "uniform":
        x = rng.uniform(0.0, 1.0, (n, space.dim)) * np.asarray(getattr(space, "lengths", (4.0,) * space.dim))
        x[0], x[1] = 0.0, 4.0 if not isinstance(space, mk.Torus) else 0.0
    else:
        x = (
            rng.normal(size=(n, space.dim))
            * np.where(np.arange(n) % 2 == 0, 1.0, 1e-3 if kind == "core" else 1.0)[:, None]
        )
    return mk.Particles(space, jnp.asarray(x))
