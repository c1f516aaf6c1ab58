"""What `evolve` solves: a model, one for each label of a population, or one that depends on time."""

from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from mckean import interactions
from mckean.checks import require, traced
from mckean.measures import AbstractMeasure, Family, cast, dtype_of
from mckean.models.model import Model, require_model, with_sum
from mckean.models.population import Among, Population, among
from mckean.models.schedule import Course, Schedule

Equation = Model | Schedule | Population
"""What `evolve` solves."""
_Equation = TypeVar("_Equation", bound=Model | Schedule | Population)


def in_precision(equation: _Equation, mu: AbstractMeasure) -> _Equation:
    """The equation with its parameters in the measure's precision, so that it does not promote the state."""
    return cast(equation, dtype_of(mu))


def since(equation: Equation, start: float) -> Equation:
    """The equation of a run from a time on. **Raises** `ValueError` for what is no equation."""
    require_equation(equation)
    if not isinstance(equation, Schedule):
        return equation
    return eqx.tree_at(lambda s: s.start, equation, jnp.asarray(start, equation.start.dtype))


def initial(equation: Equation) -> Model:
    """The model at which a run is checked: at its start, of the first label."""
    return equation if isinstance(equation, Model) else equation.initial


def require_equation(equation: Any) -> None:
    """Raise `ValueError` for anything but a model, a schedule or a population."""
    if not isinstance(equation, Schedule | Population):
        require_model(equation)


def population_of(equation: Equation) -> Population | None:
    """The population, at the start of a run if it depends on time; None for the equation of one model."""
    first = equation.at(equation.start) if isinstance(equation, Schedule) else equation
    return first if isinstance(first, Population) else None


def of_label(equation: Equation, weight: Array) -> Model | Schedule:
    """The equation of a label inside `over_labels`, all other labels acting on it."""
    if isinstance(equation, Population):
        return among(equation, weight)
    assert isinstance(equation, Schedule)
    return eqx.tree_at(lambda s: s.start, Schedule(Course(equation, weight)), equation.start)


def coupled(tree: Any, equation: Equation | None) -> Any:
    """What holds the equations of labels, with what all labels share; None leaves that out, which has no label axis."""

    def fill(part: Any) -> Any:
        if isinstance(part, Course):
            return eqx.tree_at(lambda p: p.whole, part, equation, is_leaf=none)
        shared = equation.coupling if isinstance(equation, Population) else None
        return eqx.tree_at(lambda p: p.coupling, part, shared, is_leaf=none)

    none, shares = (lambda v: v is None), (lambda v: isinstance(v, Among | Course))
    return jax.tree.map(lambda part: fill(part) if shares(part) else part, tree, is_leaf=shares)


def require_match(equation: Equation, mu: AbstractMeasure) -> None:
    """Raise `ValueError` unless populations and families of measures come together, and alone."""
    several = population_of(equation) is not None
    require(
        not (several and hasattr(mu, "measures")),
        "several measures that move together are of one model, and not of a Population: give the model of a label, "
        "population.model(a).",
    )
    require(
        several == isinstance(mu, Family),
        "a Population moves a Family, a measure for each label, and a Family is moved by a Population.",
    )


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
    return with_sums_of(equation, with_sum(model, interactions.plan(model.interaction, mu).sum))


def with_sums_of(equation: _Equation, planned: Equation) -> _Equation:
    """The equation with the sum that another form of it has planned."""
    none = lambda leaf: leaf is None  # noqa: E731
    if isinstance(equation, Model) and isinstance(planned, Model):
        return eqx.tree_at(lambda m: m.interaction, equation, planned.interaction, is_leaf=none)
    interaction = initial(planned).interaction
    if isinstance(equation, Schedule) and interaction is not None and not _has_moving_sum(equation):
        return eqx.tree_at(lambda s: s.sum, equation, interaction.sum, is_leaf=none)
    return equation


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
