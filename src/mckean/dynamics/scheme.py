"""What a scheme is: numerics, without physics. It begins with a model, a measure and a step, and then it steps."""

import abc
import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int

from mckean.checks import array, require
from mckean.faults import Fault, Status, status
from mckean.measures import AbstractMeasure, Density, Particles, dtype_of
from mckean.models import Equation, Isotropic, Model, Schedule, differs
from mckean.paths import Brownian
from mckean.spaces import calculus

Course = Callable[[Any], Model]
"""The model as a function of the time since the begin of a step."""


class AbstractScheme(eqx.Module):
    """A one-step method, μ_{n+1} = Φ(μ_n), for measures of one class.

    `begin` checks the model, the measure and the step, and plans the sums. It returns the `Stepper` that moves the
    measure. A scheme has no memory: a step depends on the measure, the path and the index of the step alone. So a run
    can stop and go on at any step.
    """

    moves: eqx.AbstractClassVar[str]
    """The class of measures that it moves, in words."""

    @property
    @abc.abstractmethod
    def order(self) -> int:
        """The order in time for smooth dynamics without noise."""

    @property
    @abc.abstractmethod
    def pressure(self) -> bool:
        """Whether the scheme moves a density of a model with an internal energy."""

    @abc.abstractmethod
    def accepts(self, measure: AbstractMeasure) -> bool:
        """Whether the scheme moves measures of this class."""

    @abc.abstractmethod
    def begin(self, equation: Equation, measure: Any, dt: float) -> "Stepper":
        """Check an equation, a measure and a step, and make the stepper.

        **Arguments:**

        - `equation`: a model, or a schedule, which is checked at its start; in the precision of the measure.
        - `measure`: the initial measure, of the class that the scheme moves. The sums are planned for it.
        - `dt`: the step, time.

        **Returns:** the `Stepper`.

        **Raises:** `ValueError`, before compilation, for a model, a measure or a step that the scheme cannot take.
        """

    @abc.abstractmethod
    def advance(
        self, begun: "Stepper", measure: Any, path: Brownian | None, index: Int[ArrayLike, ""]
    ) -> tuple[Any, Status]:
        """The measure at (index + 1)·dt from that at index·dt, and the status of the step."""

    @abc.abstractmethod
    def inspect(self, begun: "Stepper", measure: Any) -> Status:
        """The status of a finite measure, read about 20 times in a run; it costs a step at most."""


class Stepper(eqx.Module):
    """A scheme that has begun.

    `equation`: as the scheme evaluates it, with the sums that are planned; `dt`: the step; `shared`: what the steps
    have in common, a pytree that does not depend on the state.
    """

    scheme: AbstractScheme
    equation: Equation
    dt: Float[Array, ""]
    shared: Any = None

    def at(self, index: Int[ArrayLike, ""], after: Float[ArrayLike, ""] = 0.0) -> Any:
        """The model, or the population, at the time index·dt + `after`."""
        if not isinstance(self.equation, Schedule):
            return self.equation
        return self.equation.at(jnp.asarray(index, self.dt.dtype) * self.dt + after)

    def during(self, index: Int[ArrayLike, ""], after: Float[ArrayLike, ""] = 0.0) -> Course:
        """The model in the course of a step, or of the part of it that begins at index·dt + `after`."""
        if isinstance(self.equation, Schedule):
            return lambda t: self.at(index, after + t)
        model = self.at(index)
        return lambda t: model

    def step(self, measure: Any, path: Brownian | None, index: Int[ArrayLike, ""]) -> tuple[Any, Status]:
        """The measure one step later, and what went wrong."""
        return self.scheme.advance(self, measure, path, index)

    def inspect(self, measure: Any) -> Status:
        """What makes a finite measure untrustworthy."""
        return self.scheme.inspect(self, measure)


def step_length(measure: AbstractMeasure, dt: float) -> Float[Array, ""]:
    """dt as an array in the measure's precision."""
    return array(dt, dtype_of(measure))


def require_same_space(model: Model, measure: AbstractMeasure) -> None:
    """Raise `ValueError` where the measure lives elsewhere than the model."""
    require(
        measure.domain == model.space,
        f"the model lives on {model.space}, but the measure on {measure.domain}.",
        see="Model and measure live on different spaces",
    )


def require_stratonovich(model: Model) -> None:
    """Raise `ValueError` unless the common noise can be taken as a velocity that is frozen over a step."""
    for part in model.common:
        require(
            not differs(part, "stratonovich"),
            "the stochastic Fokker–Planck equation is solved in the sense of Stratonovich, but the model's common "
            'noise is meant in that of Itô: mckean.convert(model, "stratonovich") says the same.',
        )


def require_motion(model: Model, measure: Particles | Density, dt: float) -> None:
    """Raise `ValueError` where a noise with an amplitude of the measure is all that moves it, and that vanishes.

    As with x̄ = 0 in the toy Transformer: such a state never moves again. Up to rounding: a step that is lost in the
    digits of the positions is none.
    """
    parts = model.common
    if model.has_velocity or model.noise is not None or not parts:
        return
    if not all(isinstance(part, Isotropic) for part in parts):
        return
    amplitude = jnp.stack([part.at(measure) for part in parts if isinstance(part, Isotropic)])
    reach = jnp.max(jnp.abs(measure.positions)) if isinstance(measure, Particles) else 1.0
    lost = 8 * float(jnp.finfo(dtype_of(measure)).eps) * reach
    require(
        jnp.any(jnp.abs(amplitude) * math.sqrt(dt) > lost),
        "the state is frozen for ever: the amplitude of the common noise is zero there, as κ is where the tokens' mean "
        "is 0, and nothing else moves them; start elsewhere.",
    )


def undershoot(density: Density, negativity: float) -> Status:
    """Whether a density falls further below 0 than this share of its maximum, and how far."""
    depth = -jnp.min(density.values) / jnp.max(density.values)
    return status(Fault.UNDERSHOOT, ~(depth <= negativity), depth)


def with_unit_mass(density: Density, values: Float[Array, "..."]) -> Density:
    """The density with new values, whose mass is 1 up to rounding.

    A step keeps mass up to a rounding that has a sign; measured against 1, and not against the step before, it does not
    add up over millions of steps.
    """
    return eqx.tree_at(lambda m: m.values, density, values / calculus.integrate(density.grid, values))


tree_finite = lambda tree: jnp.all(  # noqa: E731
    jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree) if eqx.is_inexact_array(leaf)])
)
"""Whether every floating leaf is finite."""
