"""Phases: the steady states of a model, which of them are stable, and how they change with a parameter.

- Which steady state is reached from a density? `steady_state`: a `SteadyState`.
- Which are there? `steady_states`, from many starts.
- When does the uniform state lose its stability? `linear_threshold`: a `LinearThreshold`.
- How does a state go on as a parameter changes, through folds and past branch points? `continuation`: a `Branch` with
  its `Event`s.
- Where have two branches the same free energy? `coexistence`.
"""

from mckean.phases._branch import Branch, Event, coexistence, continuation
from mckean.phases._states import SteadyState, steady_state, steady_states
from mckean.phases._threshold import LinearThreshold, linear_threshold

__all__ = [
    "Branch",
    "Event",
    "LinearThreshold",
    "SteadyState",
    "coexistence",
    "continuation",
    "linear_threshold",
    "steady_state",
    "steady_states",
]


def __dir__() -> list[str]:
    return __all__
