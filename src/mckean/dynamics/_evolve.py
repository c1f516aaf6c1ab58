"""The verb: a curve in the space of probability measures."""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike, Int, Real

from mckean.checks import (
    number,
    positive_integer,
    require,
    require_arguments,
    require_memory,
    traced,
    under_transformation,
)
from mckean.dynamics.book import NoBook
from mckean.dynamics.choice import Scheme, scheme_for
from mckean.dynamics.loop import Plan, Run, run_in_chunks, run_whole
from mckean.dynamics.made import Made
from mckean.dynamics.stored import RunBook
from mckean.dynamics.trajectory import MeasureT, Trajectory, reserved_names
from mckean.interactions.functions import as_module
from mckean.measures import AbstractMeasure, Particles
from mckean.models import Equation, Model, in_precision, initial, since
from mckean.paths import Brownian
from mckean.store import as_folder

Observables = Mapping[str, Callable[..., Any]]


def evolve(
    model: Equation,
    measure: MeasureT,
    *,
    until: Real[ArrayLike, ""],
    dt: Real[ArrayLike, ""],
    start: Real[ArrayLike, ""] = 0.0,
    path: Brownian | None = None,
    scheme: Scheme | None = None,
    observe: Observables | None = None,
    every: Int[ArrayLike, ""] | None = None,
    progress: bool = False,
    store: str | Path | None = None,
) -> Trajectory[MeasureT]:
    """Solve the equation of a model, from an initial measure. The class of the measure says which equation.

    `Particles`: the SDE dX_i = b(X_i, μ) dt + σ(X_i, μ) dB_i + Σ_k σ_k(X_i, μ) dB⁰_k. `Density`: the McKean–Vlasov
    equation ∂_tρ = −∇·(ρb) + ½∂_i∂_j(a_ijρ), and with a common noise the stochastic Fokker–Planck equation, which adds
    −Σ_k ∇·(ρσ_k)∘dB⁰_k. `Gaussian`: the moment equations of a linear–quadratic model. Two calls with the same `path`
    are a coupling. Two with the same environment but other motions of the particles are draws from the conditional law.

    **Arguments:**

    - `model`: the equation: a model, or one that depends on time, `Schedule(lambda t: …)`.
    - `measure`: the initial measure.
    - `until`: the final time.
    - `dt`: the step, time. It divides until − start.
    - `start`: the initial time, a multiple of dt. Default: 0. A run from 0 to s and another from s to t give, bit for
      bit, the run from 0 to t, if their sums are planned once, by `interactions.plan`.
    - `path`: the noise. Particles of a model with noise need it; so does any measure if the model has a common noise.
    - `scheme`: a scheme, or a diffrax solver for particles and Gaussians. Default: the scheme of the measure's class.
    - `observe`: functions of (model, measure) by name, which JAX can trace; values are arrays or trees of arrays. One
      that is written in the call, and refers to what may change (a list, NumPy's arrays), compiles at each call.
    - `every`: steps between records, a divisor of their number. Default: records at the start and the end only.
    - `progress`: whether to show a progress bar. Default: no.
    - `store`: a folder in which the run is kept as it goes. The same call goes on from what is there, bit for bit, and
      a later `until` extends it; SIGTERM ends it as Ctrl-C does. Default: none.

    **Returns:** a `Trajectory`. Memory grows with the records, not with the steps.

    **Raises:**

    - `ValueError` for arguments that do not fit together, before compilation, and for a folder of another run.
    - `OSError` for a folder that cannot be made, and `StoreError`, with the run up to then, for one that cannot be
      written any more, in one sentence; what was there before stays whole.
    - `RunError`, with step and time, for a step that fails or a state that becomes non-finite. The run looks for both
      20 times at least, and about every second.
    - `Interrupted` on Ctrl-C, with the run up to the next of these times.
    - `RuntimeError` in a run over several hosts of which one has stopped.

    **Warns:** of steps near the spacing of numbers in single precision, and of observables that are not a number.

    Inside vmap, grad or jit nothing is checked before the run, and a failure raises JAX's own runtime error.
    """
    given = {"model": model, "measure": measure, "path": path, "scheme": scheme, "observe": observe}
    return _evolve(given, {"until": until, "start": start, "dt": dt, "every": every}, progress, store)


def _evolve(given: dict[str, Any], numbers: dict[str, Any], progress: bool, store: str | Path | None) -> Trajectory:
    run, plan, made = begin_run(**given, **numbers)
    with forward_derivatives():
        whole = _in_one_program(run, given["measure"])
        book = _book(store, whole, given, numbers, plan, made)
        with book.lock:
            moves = run_whole if whole else partial(run_in_chunks, progress=progress, book=book)
            return moves(run, plan, given["measure"], made)


def _book(
    store: str | Path | None, whole: bool, given: dict[str, Any], numbers: dict[str, Any], plan: Plan, made: Made
) -> NoBook | RunBook:
    """Where the run is kept."""
    if store is None:
        return NoBook()
    require(not whole, "a run under a transformation of JAX cannot be kept in a folder: leave `store` out.")
    known = {name: None if value is None else number(name, value) for name, value in numbers.items()}
    # A scheme that is left out is that of the measure's class, and a run that spells it out is the same run.
    scheme = scheme_for(since(given["model"], number("start", numbers["start"])), given["measure"], given["scheme"])
    # A run that ends later is the same run.
    same = {name: value for name, value in known.items() if name != "until"}
    # In whatever order observables are named, they are the same; an empty table is none.
    observe = dict(sorted((given["observe"] or {}).items())) or None
    return RunBook(
        as_folder("store", store), {**given, "scheme": scheme, "observe": observe, **same}, plan, known, made
    )


def begin_run(
    *, model: Equation, measure: Any, until: Any, dt: Any, start: Any, path: Any, scheme: Any, observe: Any, every: Any
) -> tuple[Run, Plan, Made]:
    """The arguments of a run, checked: what is compiled, its counts, and how it was made in words."""
    start, until, dt, begin, steps = _count_steps(start, until, dt)
    scheme = scheme_for(since(model, start), measure, scheme)
    observe = _check_observables(observe, measure)
    stride = steps if every is None else _check_stride(every, steps)
    model = in_precision(since(model, start), measure)
    path = _choose_path(initial(model), measure, path, (begin, steps, dt))
    run, plan = Run(scheme.begin(model, measure, dt), path, observe), Plan(begin, steps, stride, dt)
    return run, plan, _describe_run(run, scheme=scheme, path=path, dt=dt, start=start, until=until, every=stride)


@contextlib.contextmanager
def forward_derivatives() -> Iterator[None]:
    """A run that may have tangents. **Raises** `ValueError` for a scheme that defines only its reverse derivative.

    JAX finds that out as it traces or compiles the run.
    """
    try:
        yield
    except TypeError as error:
        if "custom_vjp" not in str(error):
            raise
        raise ValueError(
            "a step of this scheme has no forward derivative, which jvp and tangents need: take grad or vjp."
        ) from error


def _in_one_program(run: Run, measure: AbstractMeasure) -> bool:
    """Under a transformation, also where no tracer is seen: a function may hold one."""
    return traced((run, measure)) or under_transformation()


def _count_steps(start: Any, until: Any, dt: Any) -> tuple[float, float, float, int, int]:
    """The three as Python's numbers, the index of the first step, and the number of steps."""
    start, until, dt = number("start", start), number("until", until), number("the step dt", dt)
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
            see="dt divides the run",
        )
        counts.append(count)
    require(counts[1] >= 1, f"dt = {dt:g} must divide until − start = {until - start:g}.", see="dt divides the run")
    most = int(jnp.iinfo(jnp.result_type(int)).max)
    require(
        abs(counts[0]) + counts[1] <= most,
        f"a run counts its steps from time 0 up to {most}, but there are {until / dt:.3g} of dt = {dt:g} up to "
        f"{until:g}: take a longer step, or let the run start at 0.",
    )
    return start, until, dt, counts[0], counts[1]


def _check_stride(every: Int[ArrayLike, ""], steps: int) -> int:
    every = positive_integer("every must be a positive number of steps", every)
    require_memory(f"{steps // every} records", steps // every)
    require(
        steps % every == 0,
        f"every = {every} must divide the number of steps, {steps}.",
        see="every divides the steps",
    )
    return every


def _check_observables(observe: Observables | None, measure: AbstractMeasure) -> dict:
    require(
        observe is None or isinstance(observe, Mapping),
        f'observe takes functions by name, {{"mean": mckean.observables.mean}}, not {observe!r}.',
    )
    observe = dict(observe or {})
    for name, f in observe.items():
        require(callable(f), f"the observable '{name}' must be a function of (model, measure), not {f!r}.")
        mend = "; one with parameters is made by a call, as order_parameter(1) is"
        see = "An observable with parameters"
        require_arguments(f"the observable '{name}'", f, "model", "measure", mend=mend, see=see)
        require(
            isinstance(name, str) and name not in reserved_names(measure) and not name.startswith("final_"),
            f"an observable cannot be called {name!r}, which names a coordinate or the final measure of a run.",
        )
    return jax.tree.map(lambda part: as_module(part) if isinstance(part, FunctionType | partial) else part, observe)


def _describe_run(run: Run, **made: Any) -> Made:
    return Made(model=run.stepper.equation, **made, software=f"mckean {_version()}, jax {jax.__version__}")


def _choose_path(
    model: Model, measure: AbstractMeasure, path: Brownian | None, steps: tuple[int, int, float]
) -> Brownian | None:
    require(path is None or isinstance(path, Brownian), f"a path is Brownian(key), not {path!r}.")
    # A law holds its own noise in its equation; particles, also where they are a part of the state, draw theirs.
    parts = jax.tree.leaves(measure, is_leaf=lambda part: isinstance(part, Particles))
    own = model.noise is not None and any(isinstance(part, Particles) for part in parts)
    needed = own or bool(model.common)
    require(
        path is not None or not needed,
        f"this model has {'noise' if own else 'a common noise'}: give the run a path, "
        "path=Brownian(jax.random.key(seed)).",
        see="A model with noise needs a path",
    )
    if path is not None and model.common:
        path.environment.check(*steps, model.motions(measure))
    return path if needed else None


def _version() -> str:
    from importlib.metadata import version

    return version("mckean")
