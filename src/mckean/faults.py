"""What can go wrong in a run: a fault, which is a sentence with a place for one number, and that number."""

from __future__ import annotations

import enum

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Fault(enum.Enum):
    """The faults of schemes and sums; the value of each is its sentence."""

    NONE = ""
    NON_FINITE = "the state became non-finite: reduce dt, or look at V, W and the drift"
    UNDERSHOOT = (
        "the density fell below zero, to −{:.3g} of its maximum: the grid is too coarse for it; take more nodes"
    )
    NEGATIVE = "the density fell below zero, by {:.3g}: dt exceeds the bound of explicit finite volumes"
    WALLS = (
        "a mass of {:.3g} stands at the walls of the box, which is too small for it: take a larger box, or "
        "edge_tolerance=math.inf for walls that reflect"
    )
    NEWTON = (
        "Newton's method for the pressure did not settle, nor did it in shorter steps: its last change is {:.3g} times "
        "what is allowed; reduce dt"
    )
    MINIMISER = (
        "the minimising movement was not found: the residual is {:.3g} times what is allowed; take a shorter step"
    )
    ASCENT = "F(μ⁺) + W₂²/2τ exceeds F(μ) by {:.3g}; take a shorter step"
    OUTGROWN = (
        "the cloud has spread to {:.3g} times the extent that the sum over its kernel was planned for: go on from an "
        "earlier state, for which the sum is planned anew, or sum over all pairs by mckean.interactions.Direct()"
    )


FAULTS = tuple(Fault)
"""The faults in the order of their codes; the first is none."""


class Status(eqx.Module):
    """What is said of a step or a state: `code`, the place of its fault among `FAULTS`, and `size`, the fault's number.

    All is well where the code is 0.
    """

    code: Int[Array, ""]
    size: Float[Array, ""]

    @property
    def bad(self) -> Bool[Array, ""]:
        """Whether there is a fault."""
        return self.code != 0

    @property
    def fault(self) -> Fault:
        """The fault, of a status whose values are known."""
        return FAULTS[int(self.code)]

    @property
    def sentence(self) -> str:
        """The fault in words, of a status whose values are known."""
        return self.fault.value.format(float(self.size))

    def then(self, other: Status) -> Status:
        """This status where it is bad, else the other."""
        size = jnp.where(self.bad, self.size, other.size.astype(self.size.dtype))
        return Status(jnp.where(self.bad, self.code, other.code), size)


def sound(dtype) -> Status:
    """No fault."""
    return status(Fault.NONE, jnp.zeros((), bool), jnp.zeros((), dtype))


def status(fault: Fault, bad: Bool[Array, ""], size: Float[Array, ""]) -> Status:
    """The fault with its number where `bad`, else none.

    A threshold is written so that a number that is none is bad: `~(x <= bound)`.
    """
    return Status(jnp.where(bad, FAULTS.index(fault), 0).astype("int32"), size)
