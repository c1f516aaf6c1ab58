"""What goes wrong in a run, and how far."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float


class Fault(eqx.Enumeration):
    """What goes wrong: a sentence with one place for a number."""

    none = ""
    outgrew_plan = (
        "the cloud has spread to {:.3g} times the extent that the sum over its kernel was planned for: go on from an "
        "earlier state, for which the sum is planned anew, or sum over all pairs by mckean.interactions.Direct()"
    )


class Status(eqx.Module):
    """A fault, and a number that is positive where there is one."""

    fault: Any
    size: Float[Array, ""]


def sound(dtype: Any) -> Status:
    """No fault."""
    return Status(Fault.none, jnp.zeros((), dtype))


def status(fault: Any, size: Float[Array, ""]) -> Status:
    """A fault where the size is positive."""
    return Status(Fault.where(size > 0, fault, Fault.none), size)
