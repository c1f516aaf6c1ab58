"""Models that depend on time: the model at each time, as a function of it."""

from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from mckean import interactions
from mckean.checks import array, calling, number, require, require_arguments, traced
from mckean.interactions import AbstractSum
from mckean.interactions.functions import as_module
from mckean.measures import AbstractMeasure, cast, dtype_of
from mckean.models.model import Model, require_model, with_sum
from mckean.spaces import AbstractSpace


class Schedule(eqx.Module):
    """A model that depends on time:

        dX_i = (−∇V_t(X_i) − ∇W_t*μ(X_i) + b_t(X_i, μ)) dt + σ_t(X_i, μ) dB_i + Σ_k σ_{k,t}(X_i, μ) dB⁰_k.

    Examples are an annealing, `lambda t: langevin(line, V, beta=1 + t)`, and a periodic force, `lambda t:
    langevin(line, lambda x: V(x) - jnp.cos(t) * x[0])`. `evolve` takes a schedule where it takes a model. Schemes
    evaluate it at the times of their stages and keep their order; an observable is given the model of its time.
    What asks for one model, such as an energy, takes `schedule.at(t)`.

    A W that depends on time is summed by a sum that needs no plan, for many particles in R^d the one over all pairs, or
    by the one that `interactions.place(W, space, sum=…)` names.

    **Arguments:**

    - `model`: a function of the time t that returns a `Model`, which JAX can trace. At all times the model has the same
      parts.

    **Raises:** `ValueError` for what is no such function. In a run: for a function that returns no model.
    """

    model: Any
    start: Float[Array, ""]
    sum: AbstractSum | None

    def __init__(self, model: Callable):
        form = type(model).__name__
        require(callable(model), f"a schedule is a function of time, Schedule(lambda t: langevin(…)), not a {form}.")
        require_arguments("a schedule", model, "t")
        self.model, self.start, self.sum = as_module(model), array(0.0, float), None

    def at(self, t: Float[ArrayLike, ""]) -> Model:
        """The model at a time.

        **Arguments:**

        - `t`: the time.

        **Returns:** a `Model`.

        **Raises:** `ValueError` for a function that returns no model at this time.
        """
        t = t if isinstance(t, jax.Array) else array(number("the time t", t), float)
        with calling("a schedule, t ↦ the model at t,"):
            model = self.model(t)
        require_model(model)
        model = cast(model, t.dtype)
        return model if self.sum is None else with_sum(model, self.sum)

    @property
    def initial(self) -> Model:
        """The model at the start of a run, at which the run is checked."""
        return self.at(self.start)

    @property
    def space(self) -> AbstractSpace:
        """Where the particles live."""
        return self.initial.space


Equation = Model | Schedule
"""What `evolve` solves: a model, or one that depends on time."""
_Equation = TypeVar("_Equation", bound=Model | Schedule)


def in_precision(equation: _Equation, mu: AbstractMeasure) -> _Equation:
    """The equation with its parameters in the measure's precision, so that it does not promote the state."""
    return cast(equation, dtype_of(mu))


def since(equation: Equation, start: float) -> Equation:
    """The equation of a run from a time on. **Raises** `ValueError` for what is no equation."""
    require_equation(equation)
    if isinstance(equation, Model):
        return equation
    return eqx.tree_at(lambda s: s.start, equation, jnp.asarray(start, equation.start.dtype))


def initial(equation: Equation) -> Model:
    """The model at the start of a run."""
    return equation if isinstance(equation, Model) else equation.initial


def require_equation(equation: Any) -> None:
    """Raise `ValueError` for anything but a model or a schedule."""
    if not isinstance(equation, Schedule):
        require_model(equation)


def with_planned_sums(equation: _Equation, mu: AbstractMeasure) -> _Equation:
    """The equation with its interaction summed in the way that is chosen for a known cloud; see `interactions.plan`.

    A plan is made for one W: where W depends on time there is none.
    """
    model = initial(equation)
    if mu.domain != model.space:
        return equation
    if isinstance(equation, Model) and isinstance(equation.drift, interactions.VelocityAlignment):
        planned = interactions.plan(equation.drift.weight, mu)
        equation = eqx.tree_at(lambda m: m.drift.weight, equation, planned)
    if model.interaction is None:
        return equation
    if isinstance(equation, Schedule) and _has_moving_sum(equation):
        return equation
    return with_sums_of(equation, with_sum(model, interactions.plan(model.interaction, mu).sum))


def with_sums_of(equation: _Equation, planned: Equation) -> _Equation:
    """The equation with the sum that another form of it has planned."""
    if isinstance(equation, Model) and isinstance(planned, Model):
        return eqx.tree_at(lambda m: m.interaction, equation, planned.interaction, is_leaf=lambda leaf: leaf is None)
    if isinstance(planned, Schedule):
        sum_ = planned.sum
    else:
        sum_ = None if planned.interaction is None else planned.interaction.sum
    return eqx.tree_at(lambda s: s.sum, equation, sum_, is_leaf=lambda leaf: leaf is None)


def _has_moving_sum(schedule: Schedule) -> bool:
    """Whether W depends on time, or may: what is computed from the time is followed, not what comes of it."""
    if traced(schedule):
        return True
    parts = lambda t: eqx.filter(schedule.at(t).interaction, eqx.is_array)  # noqa: E731
    program = jax.make_jaxpr(parts)(schedule.start).jaxpr
    needed = {id(v) for v in program.outvars}
    for equation in reversed(program.eqns):
        if needed & {id(v) for v in equation.outvars}:
            needed |= {id(v) for v in equation.invars}
    return id(program.invars[0]) in needed
