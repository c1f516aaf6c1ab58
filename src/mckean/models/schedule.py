"""Models that depend on time: the model at each time, as a function of it."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, ArrayLike, Float

from mckean.checks import array, calling, number, require, require_arguments
from mckean.interactions import AbstractSum
from mckean.interactions.functions import as_module
from mckean.measures import cast
from mckean.models.model import Model, require_model, with_sum
from mckean.models.population import Population, among
from mckean.spaces import AbstractSpace


class Schedule(eqx.Module):
    """A model that depends on time:

        dX_i = (−∇V_t(X_i) − ∇W_t*μ(X_i) + b_t(X_i, μ)) dt + σ_t(X_i, μ) dB_i + Σ_k σ_{k,t}(X_i, μ) dB⁰_k.

    Examples are an annealing, `lambda t: langevin(line, V, beta=1 + t)`, and a periodic force, `lambda t:
    langevin(line, lambda x: V(x) - jnp.cos(t) * x[0])`. `evolve` takes a schedule where it takes a model. Schemes
    evaluate it at the times of their stages and keep their order; an observable is given the model of its time.
    What asks for one model, such as an energy, takes `schedule.at(t)`. A population that depends on time, with its
    couplings, is `lambda t: Population(…)`.

    A W that depends on time is summed by a sum that needs no plan, for many particles in R^d the one over all pairs, or
    by the one that `interactions.place(W, space, sum=…)` names.

    **Arguments:**

    - `model`: a function of the time t that returns a `Model`, or a `Population`, which JAX can trace. At all times it
      has the same parts and labels.

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

    def at(self, t: Float[ArrayLike, ""]) -> Any:
        """The model at a time.

        **Arguments:**

        - `t`: the time.

        **Returns:** a `Model`, or a `Population`.

        **Raises:** `ValueError` for a function that returns no model at this time.
        """
        t = t if isinstance(t, jax.Array) else array(number("the time t", t), float)
        with calling("a schedule, t ↦ the model at t,"):
            model = self.model(t)
        if not isinstance(model, Population):
            require_model(model)
        model = cast(model, t.dtype)
        return with_sum(model, self.sum) if isinstance(model, Model) and self.sum is not None else model

    @property
    def initial(self) -> Model:
        """The model at the start of a run, of the first label, at which the run is checked."""
        first = self.at(self.start)
        return first.initial if isinstance(first, Population) else first

    @property
    def space(self) -> AbstractSpace:
        """Where the particles live."""
        return self.initial.space


class Course(eqx.Module):
    """The model of a label as a function of time, inside `over_labels`."""

    whole: Schedule
    weight: Array

    def __call__(self, t: Float[Array, ""]) -> Model:
        return among(self.whole.at(t), self.weight)
