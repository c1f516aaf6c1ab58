"""A small run, which the tests keep in folders."""

import jax
import jax.numpy as jnp
import numpy as np

import mckean as mk

CIRCLE = mk.Torus(1)


def given(until: float = 0.4, **changes) -> dict:
    """A small run with noise, with a complex observable and a real one."""
    model = mk.langevin(CIRCLE, interaction=mk.kernels.Cosine(strength=2.0), beta=2.0)
    x = (jnp.arange(6.0)[:, None] * 1.1) % 6.28
    return {
        "model": model, "measure": mk.Particles(CIRCLE, x), "until": until, "dt": 0.01,
        "path": mk.Brownian(jax.random.key(3)), "every": 2,
        "observe": {"r": mk.observables.order_parameter(1), "z": mk.observables.mode(2)},
    } | changes  # fmt: skip


def bits(tree) -> list:
    return [(np.asarray(leaf).dtype, np.asarray(leaf).tobytes()) for leaf in jax.tree.leaves(tree)]
