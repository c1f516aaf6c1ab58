"""What a model's pieces are made of: numbers that may be differentiated, and functions inside a pytree."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mckean.checks import require_real


def parameter(value) -> Array:
    """A physical parameter: a weakly typed array, so that it neither recompiles nor promotes the state's dtype."""
    require_real("a parameter", value)
    return jnp.asarray(value) if isinstance(value, (jax.Array, np.ndarray)) else jnp.asarray(float(value))


class Static(eqx.Module):
    """A plain callable inside a pytree."""

    function: Callable = eqx.field(static=True)

    def __call__(self, *arguments):
        return self.function(*arguments)


def as_module(function: Callable) -> Any:
    """A callable as part of a pytree: a module keeps its arrays as parameters, any other callable is static."""
    return function if isinstance(function, eqx.Module) else Static(function)
