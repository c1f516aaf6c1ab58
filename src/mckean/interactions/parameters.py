"""Physical parameters: numbers that may be differentiated."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mckean.checks import require_real


def parameter(value) -> Array:
    """A physical parameter: a weakly typed array, so that it neither recompiles nor promotes the state's dtype."""
    require_real("a parameter", value)
    return jnp.asarray(value) if isinstance(value, (jax.Array, np.ndarray)) else jnp.asarray(float(value))
