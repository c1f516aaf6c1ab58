"""The verb: a curve in the space of probability measures."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from mckean.checks import require, traced
from mckean.dynamics.choice import Scheme, scheme_for
from mckean.dynamics.loop import Plan, Run, run_in_chunks, run_whole
from mckean.dynamics.trajectory import MeasureT, Trajectory, reserved_names
from mckean.measures import AbstractMeasure, Particles
from mckean.models import Model, in_precision
from mckean.paths import Brownian

Observables = Mapping[str, Callable[..., Any]]


def evolve(
    model: Model,
    measure: MeasureT,
    *,
    until: float,
    dt: float,
    start: float = 0.0,
    path: Brownian | None = None,
    scheme: Scheme | None = None,
    observe: Observables | None = None,
    every: int | None = None,
    progress: bool = False,
) -> Trajectory[MeasureT]:
    """Move a measure by a model; how the measure is held decides what is solved.

    `Particles`: the N-particle SDE. `Density`: the McKean–Vlasov equation ∂_tρ = −∇·(ρb) + ½∂_i∂_j(a_ijρ), and with a
    common noise the stochastic Fokker–Planck equation, −Σ_k ∇·(ρσ_k)∘dB⁰_k added, given the path's environment.
    `Gaussian`: the moment equations of a linear–quadratic model. The same `path` given to two calls is a coupling; the
    same environment with other motions of the particles' own is a draw from the conditional law.

    **Arguments:**

    - `model`, `measure`: what is solved, and where it starts.
    - `until`: the final time; `dt`: the step, which divides until − start.
    - `start`: the initial time, a multiple of dt, 0 by default. A run from 0 to s that goes on from s to t is bitwise
      the run from 0 to t.
    - `path`: the noise. Particles of a noisy model need it, and every measure where the noise is common.
    - `scheme`: a scheme, or a diffrax solver for particles and Gaussians; by default the one that belongs to the form
      of the measure.
    - `observe`: functions of (model, measure) by name. JAX must be able to trace them; values are arrays or trees of
      arrays. They are recorded at the start and after each `every` steps.
    - `every`: steps between records, a divisor of the number of steps; by default the start and the end are recorded.
    - `progress`: whether to show a bar.

    **Returns:** a `Trajectory`. Memory does not grow with the number of steps, apart from the records.

    **Raises:**

    - `ValueError` for arguments that do not fit together, before compilation.
    - `RunError`, with step and time, where a step fails, the state turns non-finite (found by replaying from the last
      good state), or a monitor of the scheme is not content. Monitors are read about 20 times in a run.
    - `Interrupted` on Ctrl-C, with what was done up to the last of these times.

    Under a transformation of JAX (vmap, grad, jit) the whole run is one chunk, values are not checked before it, and a
    bad end raises JAX's own runtime error.
    """
    scheme = scheme_for(model, measure, scheme)
    observe = _checked_observers(observe, measure)
    first, steps = _count_steps(start, until, dt)
    stride = steps if every is None else _checked_stride(every, steps)
    model = in_precision(model, measure)
    path = _needed_path(model, measure, path)
    if path is not None and model.common:
        path.environment.check(first, steps, dt, model.motions(measure))
    run = Run(scheme.begin(model, measure, dt), path, observe)
    plan = Plan(first, steps, stride, float(dt))
    made = {
        "model": run.model, "scheme": scheme, "path": path, "dt": dt, "start": start, "until": until, "every": stride,
        "software": f"mckean {_version()}, jax {jax.__version__}",
    }  # fmt: skip
    attributes = tuple((name, _describe(value)) for name, value in made.items())
    if traced((model, measure, path, scheme)):
        return run_whole(run, plan, measure, attributes)
    return run_in_chunks(run, plan, measure, attributes, progress)


def _count_steps(start: float, until: float, dt: float) -> tuple[int, int]:
    """The index of the first step and the number of steps."""
    require(not any(traced(v) for v in (start, until, dt)), "start, until and dt are numbers, not traced values.")
    require(math.isfinite(dt) and dt > 0, f"the step dt must be positive, but {dt} was given.")
    require(
        math.isfinite(until) and until > start,
        f"the run must end after its start, but until = {until:g}, start = {start:g}.",
    )
    # A run may go on from a recorded time, which has been rounded to JAX's default precision.
    rounding = float(jnp.finfo(jnp.result_type(float)).eps) * max(abs(start), abs(until))
    counts = []
    for name, span in (("start", start), ("until − start", until - start)):
        count = round(span / dt)
        require(
            abs(count * dt - span) <= 1e-9 * max(abs(span), dt) + rounding,
            f"dt = {dt:g} must divide {name} = {span:g}.",
        )
        counts.append(count)
    require(counts[1] >= 1, f"dt = {dt:g} must divide until − start = {until - start:g}.")
    return counts[0], counts[1]


def _checked_stride(every: int, steps: int) -> int:
    require(
        isinstance(every, int) and not isinstance(every, bool) and every >= 1,
        f"every must be a positive number of steps, but {every!r} was given.",
    )
    require(steps % every == 0, f"every = {every} must divide the number of steps, {steps}.")
    return every


def _checked_observers(observe: Observables | None, measure: AbstractMeasure) -> dict:
    observe = dict(observe or {})
    for name, f in observe.items():
        require(callable(f), f"the observable '{name}' must be a function of (model, measure), not {f!r}.")
        require(
            isinstance(name, str) and name not in reserved_names(measure) and not name.startswith("final_"),
            f"an observable cannot be called {name!r}, which names a coordinate or the final measure of a run.",
        )
    return observe


def _describe(value: Any) -> str:
    """What a value is, with the numbers that it holds, for the record of how a run was made."""
    return str(value) if isinstance(value, str) or traced(value) else eqx.tree_pformat(value, short_arrays=False)


def _needed_path(model: Model, measure: AbstractMeasure, path: Brownian | None) -> Brownian | None:
    require(path is None or isinstance(path, Brownian), f"a path is Brownian(key), not {path!r}.")
    # A law holds its own noise in its equation; particles, also where they are a part of the state, draw theirs.
    parts = jax.tree.leaves(measure, is_leaf=lambda part: isinstance(part, Particles))
    own = model.noise is not None and any(isinstance(part, Particles) for part in parts)
    needed = own or bool(model.common)
    require(
        path is not None or not needed,
        f"this model has {'noise' if own else 'a common noise'}: give the run a path, "
        "path=Brownian(jax.random.key(seed)).",
    )
    return path if needed else None


def _version() -> str:
    from importlib.metadata import version

    return version("mckean")
