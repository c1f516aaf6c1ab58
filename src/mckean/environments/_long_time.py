"""Long times under a common noise: the invariant random measure, and how solutions forget where they started.

Given an environment on the whole line of times, the solution at time 0 that starts at −T tends, where the flow
contracts, to a random measure that depends on the environment alone: the pullback limit. Its law is invariant (Crauel
and Flandoli, Probab. Theory Relat. Fields 100, 1994). A run forwards in time has the same law at its end, but does not
converge: its environment goes on.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import diffrax
import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from mckean.checks import require
from mckean.dynamics import AbstractScheme, Trajectory, evolve
from mckean.dynamics.evolve import scheme_for
from mckean.dynamics.pair import Pair, SideBySide
from mckean.environments._ensemble import Ensemble, ensemble
from mckean.measures import AbstractMeasure
from mckean.measures.norms import distance
from mckean.models import Model
from mckean.paths import Brownian


def pullback(
    model: Model,
    measure: AbstractMeasure,
    *,
    depths: Sequence[float],
    dt: float,
    path: Brownian,
    until: float = 0.0,
    scheme: AbstractScheme | diffrax.AbstractSolver | None = None,
) -> list[AbstractMeasure]:
    """μ at `until` of the runs that start from `measure` at `until` − T, in one environment, for each depth T.

    The environment is a function of the step alone, so that every run meets the same one as it nears the end.
    **Raises** `ValueError` for depths that are not positive, and for whatever `evolve` refuses.
    """
    require(len(depths) > 0 and min(depths) > 0, f"the depths of a pullback are positive times, not {tuple(depths)}.")
    run = lambda depth: evolve(model, measure, start=until - depth, until=until, dt=dt, path=path, scheme=scheme)  # noqa: E731
    return [run(depth).final for depth in depths]


def invariant(
    model: Model,
    measure: AbstractMeasure,
    observe: Mapping[str, Callable[[Model, AbstractMeasure], Any]],
    *,
    depth: float,
    dt: float,
    key: PRNGKeyArray,
    replicas: int,
    scheme: AbstractScheme | diffrax.AbstractSolver | None = None,
    batch: int | None = None,
) -> Ensemble:
    """Statistics of the invariant random measure: observables at time 0 of runs from −`depth`, over environments.

    What is left of the start decays with the depth: compare two depths, or two starts.
    **Arguments:** `observe`: real functions of (model, measure) by name; others as for `pullback` and `ensemble`.
    **Raises** `ValueError` for a depth that is not positive, and for whatever `evolve` and `ensemble` refuse.
    """
    require(depth > 0, f"the depth of a pullback is a positive time, not {depth}.")
    scheme_for(model, measure, scheme).check(model, measure, dt)
    run = eqx.Partial(_at_zero, model=model, measure=measure, observe=dict(observe), depth=depth, dt=dt, scheme=scheme)
    return ensemble(run, key, replicas, batch)


def _at_zero(key: PRNGKeyArray, *, model, measure, observe, depth, dt, scheme) -> dict[str, Any]:
    final = evolve(model, measure, start=-depth, until=0.0, dt=dt, path=Brownian(key), scheme=scheme).final
    return {name: f(model, final) for name, f in observe.items()}


def separation(
    model: Model,
    first: AbstractMeasure,
    second: AbstractMeasure,
    *,
    until: float,
    dt: float,
    path: Brownian | None = None,
    every: int | None = None,
    start: float = 0.0,
    scheme: AbstractScheme | diffrax.AbstractSolver | None = None,
    observe: Mapping[str, Callable[[Model, Pair], Any]] | None = None,
) -> Trajectory[Pair]:
    """Two solutions in one environment; `observed["distance"]` is how far apart they are, in the sense of `distance`.

    **Arguments:** as for `evolve`; `observe`: further functions of (model, pair). **Returns** the run of the `Pair`.
    **Raises** `ValueError` for measures of different forms, and for whatever `evolve` refuses.
    """
    beside = SideBySide(scheme_for(model, first, scheme))
    watched = {"distance": _apart, **(observe or {})}
    pair = Pair(first, second)
    return evolve(model, pair, until=until, dt=dt, start=start, path=path, scheme=beside, observe=watched, every=every)


def _apart(model: Model, pair: Pair) -> Float[Array, ""]:
    return distance(pair.first, pair.second)
