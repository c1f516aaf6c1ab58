"""Long times under a common noise: the invariant random measure, and how solutions forget where they started.

Given an environment on the whole line of times, the solution at time 0 that starts at −T tends, where the flow
contracts, to a random measure that depends on the environment alone: the pullback limit. Its law is invariant (Crauel
and Flandoli, Probab. Theory Relat. Fields 100, 1994). A run forwards in time has the same law at its end, but does not
converge: its environment goes on.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from mckean.checks import require
from mckean.dynamics import Carrier, CarrierScheme, Scheme, Trajectory, evolve, scheme_for, together
from mckean.dynamics.pair import pair
from mckean.environments._ensemble import Ensemble, ensemble
from mckean.measures import AbstractMeasure
from mckean.measures.norms import distance
from mckean.models import Equation, Model
from mckean.paths import Brownian


def pullback(
    model: Equation,
    measure: AbstractMeasure,
    *,
    depths: Sequence[float],
    dt: float,
    path: Brownian,
    until: float = 0.0,
    scheme: Scheme | None = None,
) -> list[AbstractMeasure]:
    """The pullback: μ at time t = `until` of runs from one measure at t − T, in one environment, for each depth T.

    All runs meet the same environment, which is a function of the step alone. If the flow contracts, they converge as T
    → ∞ to a random measure that depends on the environment alone.

    **Arguments:**

    - `model`: with a common noise.
    - `measure`: the initial measure of each run.
    - `depths`: the T, positive; time.
    - `until`: t, the end of all runs; time. Default: 0.
    - `dt`, `path`, `scheme`: as for `evolve`.

    **Returns:** the measures at t, one for each depth.

    **Raises:** `ValueError` for depths that are not positive, and as `evolve` does.

    **Source:** Crauel and Flandoli, Probab. Theory Relat. Fields 100 (1994).
    """
    require(len(depths) > 0 and min(depths) > 0, f"the depths of a pullback are positive times, not {tuple(depths)}.")
    run = lambda depth: evolve(model, measure, start=until - depth, until=until, dt=dt, path=path, scheme=scheme)  # noqa: E731
    return [run(depth).final for depth in depths]


def invariant(
    model: Equation,
    measure: AbstractMeasure,
    observe: Mapping[str, Callable[[Model, AbstractMeasure], Any]],
    *,
    depth: float,
    dt: float,
    key: PRNGKeyArray,
    replicas: int,
    scheme: Scheme | None = None,
    batch: int | None = None,
) -> Ensemble:
    """E f(μ_0) and Var f(μ_0) for the invariant random measure μ_0: runs from time −`depth` to 0, over environments.

    The influence of the start decays with the depth: compare two depths, or two starts.

    **Arguments:**

    - `model`: with a common noise.
    - `measure`: the initial measure of each run.
    - `observe`: the f, real functions of (model, measure) by name.
    - `depth`: positive; time.
    - `key`, `replicas`, `batch`: as for `ensemble`.
    - `dt`, `scheme`: as for `evolve`.

    **Returns:** an `Ensemble`, of a dictionary by name.

    **Raises:** `ValueError` for a depth that is not positive, and as `evolve` and `ensemble` do.

    **Source:** Crauel and Flandoli, Probab. Theory Relat. Fields 100 (1994).
    """
    require(depth > 0, f"the depth of a pullback is a positive time, not {depth}.")
    planned = scheme_for(model, measure, scheme).begin(model, measure, dt).equation
    run = eqx.Partial(
        _at_zero, model=planned, measure=measure, observe=dict(observe), depth=depth, dt=dt, scheme=scheme
    )
    return ensemble(run, key, replicas, batch)


def _at_zero(key: PRNGKeyArray, *, model, measure, observe, depth, dt, scheme) -> dict[str, Any]:
    final = evolve(model, measure, start=-depth, until=0.0, dt=dt, path=Brownian(key), scheme=scheme).final
    return {name: f(model, final) for name, f in observe.items()}


def separation(
    model: Equation,
    first: AbstractMeasure,
    second: AbstractMeasure,
    *,
    until: float,
    dt: float,
    path: Brownian | None = None,
    every: int | None = None,
    start: float = 0.0,
    scheme: Scheme | None = None,
    observe: Mapping[str, Callable[[Model, Carrier], Any]] | None = None,
) -> Trajectory[Carrier]:
    """Two solutions μ, ν in one environment, with the record "distance", ‖μ_t − ν_t‖.

    The distance is `mckean.measures.distance`: in L² for densities, one to one for particles.

    **Arguments:**

    - `model`: any model or schedule.
    - `first`, `second`: μ_0 and ν_0, measures of one class and size.
    - `start`: the initial time. Default: 0.
    - `until`, `dt`, `path`, `every`, `scheme`: as for `evolve`. Particles share their own motions too.
    - `observe`: more functions of (model, pair) by name. Default: None.

    **Returns:** the run of the pair.

    **Raises:** `ValueError` for measures of different classes, and as `evolve` does.
    """
    one = scheme_for(model, first, scheme)
    require("distance" not in (observe or {}), "an observable cannot be called 'distance', which the run records.")
    watch = {"distance": distance_of_pair, **(observe or {})}
    return evolve(
        model, pair(first, second), until=until, dt=dt, start=start, path=path,
        scheme=CarrierScheme((one, one), together), observe=watch, every=every,
    )  # fmt: skip


def distance_of_pair(model: Model, state: Carrier) -> Float[Array, ""]:
    """Observable: the distance of the two measures of a pair."""
    return distance(*state.measures)
