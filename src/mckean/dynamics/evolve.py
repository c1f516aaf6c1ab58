"""The only time loop of the house: a curve in the space of probability measures."""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mckean.checks import require, traced
from mckean.dynamics.moments import Moments
from mckean.dynamics.particles import ParticleScheme
from mckean.dynamics.scheme import AbstractScheme, tree_finite
from mckean.dynamics.spectral import Spectral
from mckean.dynamics.trajectory import Trajectory
from mckean.dynamics.volumes import FiniteVolume
from mckean.measures import AbstractMeasure, Density, Gaussian, Particles, dtype_of
from mckean.models import Model, in_precision
from mckean.paths import Brownian
from mckean.spaces import FourierGrid

Observables = Mapping[str, Callable[[Model, AbstractMeasure], Any]]
_CHUNKS = 20


class RunError(ArithmeticError):
    """A run that was stopped because its state is not to be trusted; `step` and `time` say where."""

    def __init__(self, message: str, step: int, time: float):
        super().__init__(f"{message} (step {step}, t = {time:g}).")
        self.step, self.time = step, time


class Interrupted(KeyboardInterrupt):
    """A run that was interrupted; `trajectory` is what it had done, from which `evolve` can go on."""

    def __init__(self, trajectory: Trajectory):
        super().__init__(f"interrupted at time {float(trajectory.times[-1]):g}")
        self.trajectory = trajectory


def evolve(
    model: Model,
    measure: AbstractMeasure,
    *,
    until: float,
    dt: float,
    start: float = 0.0,
    path: Brownian | None = None,
    scheme: AbstractScheme | diffrax.AbstractSolver | None = None,
    observe: Observables | None = None,
    every: int | None = None,
    progress: bool = False,
) -> Trajectory:
    """Move a measure by a model; how the measure is held decides what is solved.

    `Particles`: the N-particle SDE. `Density`: the McKean–Vlasov equation ∂_tρ = −∇·(ρb) + ½∂_i∂_j(a_ijρ).
    `Gaussian`: the moment equations of a linear–quadratic model. The same `path` given to two calls is a coupling.

    **Arguments:** `until`: final time; `dt`: step, which divides until − start; `start`: initial time, a multiple of
    dt: a run from 0 to s continued from s to t is bitwise the run from 0 to t. `path`: the noise, needed for particles
    of a noisy model. `scheme`: a scheme, or a diffrax solver for particles and Gaussians. `observe`: functions of
    (model, measure) by name, traceable by JAX, recorded at the start and after each `every` steps, which divides the
    number of steps; at the start and the end only where it is not given. `progress`: show a bar.

    **Returns** a `Trajectory`; memory does not grow with the number of steps, apart from the records.

    **Raises** `ValueError` for arguments that do not fit together, before compilation; `RunError`, with step and time,
    when the state turns non-finite (found by replaying from the last good state) or fails the scheme's monitors, which
    are read about 20 times in a run; `Interrupted` on Ctrl-C, with what was done. Under a JAX transformation (vmap,
    grad, jit) the whole run is one chunk, values are not checked before it, and a non-finite end raises JAX's own
    runtime error.
    """
    scheme = _scheme_for(measure, scheme)
    first, steps = _steps(start, until, dt)
    stride = steps if every is None else _checked_stride(every, steps)
    model = in_precision(model, measure)
    path = _needed_path(model, measure, path)
    scheme.check(model, measure, dt)
    run = _Run(scheme, model, path, dict(observe or {}), jnp.asarray(dt, dtype_of(measure)))
    plan = _Plan(first, steps, stride, dt)
    made = {
        "model": model, "scheme": scheme, "path": path, "dt": dt, "start": start, "until": until, "every": stride,
        "software": f"mckean {_version()}, jax {jax.__version__}",
    }  # fmt: skip
    attributes = tuple((name, str(value)) for name, value in made.items())
    if traced((model, measure, path)):
        return _whole(run, plan, measure, attributes)
    return _in_chunks(run, plan, measure, attributes, progress)


class _Run(eqx.Module):
    """What is compiled: everything but the counts."""

    scheme: AbstractScheme
    model: Model
    path: Brownian | None
    observe: dict
    dt: Array

    def seen(self, measure: AbstractMeasure) -> dict:
        return {name: f(self.model, measure) for name, f in self.observe.items()}

    def one(self, prepared: Any, measure: AbstractMeasure, index) -> AbstractMeasure:
        return self.scheme.step(self.model, measure, prepared, self.path, index, self.dt)


@dataclass(frozen=True)
class _Plan:
    """The counts: index of the first step, number of steps, steps between records."""

    first: int
    steps: int
    stride: int
    dt: float

    def times(self, done: int) -> np.ndarray:
        """Times of the records after `done` steps, and of the end where it is not one."""
        at = np.arange(0, done + 1, self.stride)
        return (self.first + (at if done % self.stride == 0 else np.append(at, done))) * self.dt

    def chunks(self, observed: bool) -> Iterator[tuple[int, int, int]]:
        """(steps done before, stride, records) of chunks of equal length, but for the last where nothing divides."""
        stride = self.stride if observed else 1
        length = stride * _chunk_length(self.steps // stride)
        for done in range(0, self.steps, length):
            now = min(length, self.steps - done)
            yield done, (stride if observed else now), (now // stride if observed else 1)


def _chunk_length(n: int) -> int:
    """About n/20, and a divisor of n if there is one near, so that one compilation serves all chunks."""
    target = -(-n // _CHUNKS)
    near = [d for d in range(-(-target // 4), 4 * target + 1) if n % d == 0]
    return min(near, key=lambda d: abs(d - target), default=target)


def _whole(run: _Run, plan: _Plan, measure: AbstractMeasure, made: tuple) -> Trajectory:
    start = run.seen(measure)
    at = jnp.asarray(plan.first)
    final, observed, _ = _advance(run, measure, at, plan.stride, plan.steps // plan.stride)
    final = eqx.error_if(
        final, ~tree_finite(final), "the state of a run became non-finite; reduce dt or look at V and W."
    )
    return Trajectory(final, jnp.asarray(plan.times(plan.steps)), _joined([_leading(start), observed]), made)


def _in_chunks(run: _Run, plan: _Plan, measure: AbstractMeasure, made: tuple, progress: bool) -> Trajectory:
    pieces, done = [_leading(_seen(run, measure))], 0
    with _bar(progress, plan.steps) as tick:
        try:
            for before, stride, records in plan.chunks(bool(run.observe)):
                at = jnp.asarray(plan.first + before)
                moved, observed, complaints = _advance(run, measure, at, stride, records)
                _judge(run, plan, measure, before, stride * records, complaints)
                measure, done = moved, before + stride * records
                pieces.append(observed)
                tick(done)
        except KeyboardInterrupt as stop:
            raise Interrupted(Trajectory(measure, jnp.asarray(plan.times(done)), _joined(pieces), made)) from stop
    return Trajectory(measure, jnp.asarray(plan.times(plan.steps)), _joined(pieces), made)


def _judge(run: _Run, plan: _Plan, before: AbstractMeasure, done: int, steps: int, complaints: dict) -> None:
    """Raise where a chunk ended badly; a non-finite state is traced to its step by replaying the chunk."""
    values = {sentence: float(value) for sentence, value in complaints.items()}
    at = plan.first + done
    if values.pop(_NON_FINITE):
        bad = at + int(_first_bad(run, before, jnp.asarray(at), jnp.asarray(steps)))
        raise RunError("the state became non-finite: reduce dt, or look at V, W and the drift", bad, bad * plan.dt)
    for sentence, value in values.items():
        if value > 0 or math.isnan(value):
            raise RunError(sentence.format(value), at + steps, (at + steps) * plan.dt)


_NON_FINITE = "non-finite"


@eqx.filter_jit
def _advance(run: _Run, measure: AbstractMeasure, at, stride: int, records: int) -> tuple[AbstractMeasure, dict, dict]:
    """`records` times `stride` steps, with the observables after each stride and the complaints at the end."""
    prepared = run.scheme.prepare(run.model, measure, run.dt)

    def period(mu, r):
        index = at + r * stride + jnp.arange(stride)
        mu, _ = jax.lax.scan(lambda m, k: (run.one(prepared, m, k), None), mu, index)
        return mu, run.seen(mu)

    final, observed = jax.lax.scan(period, measure, jnp.arange(records))
    complaints = {_NON_FINITE: jnp.where(tree_finite(final), 0.0, 1.0), **run.scheme.complaints(final)}
    return final, observed, complaints


@eqx.filter_jit
def _seen(run: _Run, measure: AbstractMeasure) -> dict:
    return run.seen(measure)


@eqx.filter_jit
def _first_bad(run: _Run, measure: AbstractMeasure, at, steps) -> Array:
    """How many steps from `measure` until the state is not finite."""
    prepared = run.scheme.prepare(run.model, measure, run.dt)
    go_on = lambda state: tree_finite(state[0]) & (state[1] < steps)  # noqa: E731
    move = lambda state: (run.one(prepared, state[0], at + state[1]), state[1] + 1)  # noqa: E731
    return jax.lax.while_loop(go_on, move, (measure, jnp.zeros((), jnp.result_type(int))))[1]


def _scheme_for(measure: AbstractMeasure, scheme) -> AbstractScheme:
    """The scheme asked for, or the one that belongs to the form of the measure."""
    if isinstance(scheme, diffrax.AbstractSolver):
        if isinstance(measure, Density):
            raise ValueError(
                f"the solver {type(scheme).__name__} moves particles, but the measure is a Density: use Spectral() on the torus, "
                "FiniteVolume() on a box."
            )
        scheme = Moments(scheme) if isinstance(measure, Gaussian) else ParticleScheme(scheme)
    if scheme is None:
        scheme = _default(measure)
    if not isinstance(scheme, AbstractScheme):
        raise ValueError(f"a scheme is a mckean scheme or a diffrax solver, not {scheme!r}.")
    require(
        scheme.accepts(measure),
        f"the scheme {type(scheme).__name__} moves {scheme.moves}, but the measure is {_form(measure)}.",
    )
    return scheme


def _default(measure: AbstractMeasure) -> AbstractScheme:
    if isinstance(measure, Particles):
        return ParticleScheme()
    if isinstance(measure, Gaussian):
        return Moments()
    if isinstance(measure, Density):
        return Spectral() if isinstance(measure.grid, FourierGrid) else FiniteVolume()
    raise ValueError(
        f"{_form(measure)} cannot be evolved: sample it (Particles), put it on a grid (Density), or use Gaussian."
    )


def _form(measure: Any) -> str:
    name = type(measure).__name__
    return f"{name} on a {type(measure.grid).__name__}" if isinstance(measure, Density) else name


def _steps(start: float, until: float, dt: float) -> tuple[int, int]:
    """The index of the first step and the number of steps."""
    require(not traced((start, until, dt)), "start, until and dt are numbers, not traced values.")
    require(math.isfinite(dt) and dt > 0, f"the step dt must be positive, but {dt} was given.")
    require(
        math.isfinite(until) and until > start,
        f"the run must end after its start, but until = {until:g}, start = {start:g}.",
    )
    counts = []
    for name, span in (("start", start), ("until − start", until - start)):
        count = round(span / dt)
        require(abs(count * dt - span) <= 1e-9 * max(abs(span), dt), f"dt = {dt:g} must divide {name} = {span:g}.")
        counts.append(count)
    return counts[0], counts[1]


def _checked_stride(every: int, steps: int) -> int:
    require(
        isinstance(every, int) and every >= 1,
        f"every must be a positive number of steps, but {every!r} was given.",
    )
    require(steps % every == 0, f"every = {every} must divide the number of steps, {steps}.")
    return every


def _needed_path(model: Model, measure: AbstractMeasure, path: Brownian | None) -> Brownian | None:
    require(path is None or isinstance(path, Brownian), f"a path is Brownian(key), not {path!r}.")
    needed = model.noise is not None and not isinstance(measure, Density | Gaussian)
    require(
        path is not None or not needed,
        "this model has noise: give the run a path, path=Brownian(jax.random.key(seed)).",
    )
    return path if needed else None


def _leading(tree: dict) -> dict:
    return jax.tree.map(lambda a: jnp.asarray(a)[None], tree)


def _joined(pieces: list[dict]) -> dict:
    return jax.tree.map(lambda *a: jnp.concatenate(a), *pieces)


@contextlib.contextmanager
def _bar(show: bool, total: int) -> Iterator[Callable[[int], None]]:
    if not show:
        yield lambda done: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("evolve"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns) as bar:
        task = bar.add_task("evolve", total=total)
        yield lambda done: bar.update(task, completed=done)


def _version() -> str:
    from importlib.metadata import version

    return version("mckean")
