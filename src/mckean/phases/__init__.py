"""Phases: the steady states of a model, which of them are stable, and how they change with a parameter.

- Which steady state is reached from a density? `steady_state`: a `SteadyState`.
- Which are there? `steady_states`, from many starts.
- When does the uniform state lose its stability? `linear_threshold`.
- How does a state go on as a parameter changes, through folds, past branch points and where it begins to turn (Hopf)?
  `continuation`: a `Branch` with its `Event`s.
- How fast do perturbations of a state grow, also where the drift is no gradient? `growth_rates`.
- Which branches leave a branch point, and how? `departures`.
- Over which saddle leads the way from one state to another, and how high is it? `mountain_pass`.
- Where have two branches the same free energy? `coexistence`.
- What is there over two parameters, and on which lines does that change? `phase_diagram`: a `PhaseDiagram`.
- How long do particles stay near a state? `escape_times`.
- Which state do they keep while a parameter moves up and down? `ramps`: a `Hysteresis`.
"""

from mckean.phases._branch import Branch, coexistence, continuation
from mckean.phases._departures import departures
from mckean.phases._diagram import PhaseDiagram, phase_diagram
from mckean.phases._escapes import escape_times
from mckean.phases._pass import mountain_pass
from mckean.phases._ramps import Hysteresis, ramps
from mckean.phases._rates import growth_rates
from mckean.phases._states import SteadyState, steady_state, steady_states
from mckean.phases._threshold import linear_threshold
from mckean.phases._walk import Event

__all__ = [
    "Branch",
    "Event",
    "Hysteresis",
    "PhaseDiagram",
    "SteadyState",
    "coexistence",
    "continuation",
    "departures",
    "escape_times",
    "growth_rates",
    "linear_threshold",
    "mountain_pass",
    "phase_diagram",
    "ramps",
    "steady_state",
    "steady_states",
]


def __dir__() -> list[str]:
    return __all__
