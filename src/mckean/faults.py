"""What can go wrong in a run: a fault, which is a sentence with a place for one number, and that number.

A run under a transformation of JAX cannot raise. It tells whoever watches: `watch` wraps a function so that what went
wrong in its runs is an output beside its value, and `value_of` raises it on the host. Where nobody watches, a run
raises by a callback to the host, which costs compilation and keeps the program out of JAX's cache on disk.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import get_opaque_trace_state
from jaxtyping import Array, Bool, Float, Int


class Fault(enum.Enum):
    """The faults of schemes and sums; the value of each is its sentence."""

    NONE = ""
    NON_FINITE = "the state became non-finite: reduce dt, or look at V, W and the drift"
    UNDEFINED = (
        "V or W is not finite at a share of {:.3g} of the particles, which have stepped over a barrier or out of its "
        "domain: reduce dt, or let V and W be finite everywhere"
    )
    UNDERSHOOT = (
        "the density fell below zero, to −{:.3g} of its maximum: the grid is too coarse for it; take more nodes"
    )
    NEGATIVE = "the density fell below zero, by {:.3g}: dt exceeds the bound of explicit finite volumes"
    WALLS = (
        "a mass of {:.3g} stands at the walls of the box, which is too small for it: take a larger box, or "
        "edge_tolerance=math.inf for walls that reflect"
    )
    EDGE = (
        "a mass of {:.3g} stands at the edge of the grid, at its largest speeds or farthest positions: take a larger "
        "one"
    )
    SIDEWAYS = (
        "the drift or the common noise moves positions, by {:.3g}, which this scheme moves by their velocities alone: "
        "their first d components must be 0"
    )
    ACROSS = (
        "the velocity points across the meridians of the zonal grid, by {:.3g} of its size: V, W and b may depend on "
        "⟨e, x⟩ and ⟨x, y⟩ alone; else take a grid of S¹ or S², or particles"
    )
    NEWTON = (
        "Newton's method for the pressure did not settle, nor did it in shorter steps: its last change is {:.3g} times "
        "what is allowed; reduce dt"
    )
    MINIMISER = (
        "the minimising movement was not found: the residual is {:.3g} times what is allowed; take a shorter step"
    )
    ASCENT = "F(μ⁺) + W₂²/2τ exceeds F(μ) by {:.3g}; take a shorter step"
    FOLDED = (
        "a direction of the frame has shrunk to {:.3g} beside the others, and is lost: orthonormalise more often, or "
        "reduce dt, at which the scheme's step may no longer be one to one"
    )
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


class RunError(ArithmeticError):
    """A run that was stopped because its state is not to be trusted.

    **Attributes:**

    - `step`, `time`: where; the end of a run that a transformation of JAX has made.
    """

    def __init__(self, message: str, step: int, time: float):
        super().__init__(f"{message} (step {step}, t = {time:g}).")
        self.add_note('See "Runs that stop" in docs/errors.md.')
        self.step, self.time = step, time


class Failure(eqx.Module):
    """What went wrong in a run, if anything did, and the step and the time at its end."""

    status: Status
    step: Int[Array, ""]
    time: Float[Array, ""]


# The transformation that is watched, and the failures of the runs in it.
_watched: ContextVar[tuple[Any, list[Failure]] | None] = ContextVar("watched", default=None)


def watch(function: Callable) -> Callable:
    """The function with (value, failure) as its result: the first `Failure` of the runs that it makes."""

    def watched(*arguments):
        found: list[Failure] = [Failure(sound(float), jnp.zeros((), jnp.result_type(int)), jnp.zeros(()))]
        token = _watched.set((get_opaque_trace_state(convention="nnx"), found))
        try:
            value = function(*arguments)
        finally:
            _watched.reset(token)
        first = found[0]
        for other in found[1:]:
            kept = first.status.bad
            first = Failure(
                first.status.then(other.status),
                jnp.where(kept, first.step, other.step),
                jnp.where(kept, first.time, other.time),
            )
        return value, first

    return watched


def tell(failure: Failure) -> bool:
    """Tell of a run's failure; False where nobody watches, or only from outside another transformation."""
    watcher = _watched.get()
    if watcher is None or watcher[0] != get_opaque_trace_state(convention="nnx"):
        return False
    watcher[1].append(failure)
    return True


def value_of(result: tuple[Any, Failure]) -> Any:
    """The value of a function that was watched, or of any number of its calls, on the host.

    **Raises:** `RunError` for the first run that failed.
    """
    value, failure = result
    codes = np.ravel(failure.status.code)
    if codes.any():
        first = int(np.flatnonzero(codes)[0])
        one = jax.tree.map(lambda leaf: np.ravel(leaf)[first], failure)
        raise RunError(one.status.sentence, int(one.step), float(one.time))
    return value


def sentence(error: BaseException) -> str:
    """The one line of an error that says the cause; our own errors are sentences already."""
    text = str(error).strip()
    # Equinox wraps the sentence given to `error_if` in pages on how to debug.
    if wrapped := re.search(r"EquinoxRuntimeError: (.+)", text):
        return wrapped[1]
    first = text.splitlines()[0] if text else "no reason given"
    return first if isinstance(error, ValueError | ArithmeticError) else f"{type(error).__name__}: {first}"
