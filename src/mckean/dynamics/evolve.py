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

from mckean.checks import array, require, traced
from mckean.dynamics.moments import Moments
from mckean.dynamics.particles import ParticleScheme
from mckean.dynamics.scheme import AbstractScheme, tree_finite
from mckean.dynamics.spectral import Spectral
from mckean.dynamics.trajectory import MeasureT, Trajectory, reserved_names
from mckean.dynamics.volumes import FiniteVolume
from mckean.measures import AbstractMeasure, Density, Gaussian, Particles, dtype_of
from mckean.models import Model, in_precision
from mckean.paths import Brownian
from mckean.spaces import FourierGrid

Observables = Mapping[str, Callable[..., Any]]
_CHUNKS = 20
# A chunk allocates its end state afresh; over so many steps that no longer counts.
_SHORTEST_CHUNK = 8


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
    measure: MeasureT,
    *,
    until: float,
    dt: float,
    start: float = 0.0,
    path: Brownian | None = None,
    scheme: AbstractScheme | diffrax.AbstractSolver | None = None,
    observe: Observables | None = None,
    every: int | None = None,
    progress: bool = False,
) -> Trajectory[MeasureT]:
    """Move a measure by a model; how the measure is held decides what is solved.

    `Particles`: the N-particle SDE. `Density`: the McKean–Vlasov equation ∂_tρ = −∇·(ρb) + ½∂_i∂_j(a_ijρ), and with a
    common noise the stochastic Fokker–Planck equation, −Σ_k ∇·(ρσ_k)∘dB⁰_k added, given the path's environment.
    `Gaussian`: the moment equations of a linear–quadratic model. The same `path` given to two calls is a coupling; the
    same environment with other motions of the particles' own is a draw from the conditional law.

    **Arguments:** `until`: final time; `dt`: step, which divides until − start; `start`: initial time, a multiple of
    dt: a run from 0 to s continued from s to t is bitwise the run from 0 to t. `path`: the noise, needed for
    particles of a noisy model, and for every measure where the noise is common. `scheme`: a scheme, or a diffrax solver
    for particles and Gaussians. `observe`: functions of (model, measure) by name, traceable by JAX, with arrays or
    trees of arrays as values, recorded at the start and after each `every` steps, which divides the number of steps; at
    the start and the end only where it is not given. `progress`: show a bar.

    **Returns** a `Trajectory`; memory does not grow with the number of steps, apart from the records.

    **Raises** `ValueError` for arguments that do not fit together, before compilation; `RunError`, with step and
    time, when the state turns non-finite (found by replaying from the last good state) or fails the scheme's
    monitors, which are read about 20 times in a run, less often in a short one; `Interrupted` on Ctrl-C, with what was
    done up to one of these times. Under a JAX transformation (vmap, grad, jit) the whole run is one chunk, values are
    not checked before it, and a non-finite end raises JAX's own runtime error.
    """
    scheme = scheme_for(model, measure, scheme)
    observe = _checked_observers(observe, measure)
    first, steps = _steps(start, until, dt)
    stride = steps if every is None else _checked_stride(every, steps)
    model = in_precision(model, measure)
    path = _needed_path(model, measure, path)
    if path is not None and model.common:
        path.environment.check(first, steps, dt, model.environments(measure))
    model = scheme.planned(model, measure)
    scheme.check(model, measure, dt)
    run = _Run(scheme, model, path, observe, array(dt, dtype_of(measure)))
    plan = _Plan(first, steps, stride, float(dt))
    made = {
        "model": model, "scheme": scheme, "path": path, "dt": dt, "start": start, "until": until, "every": stride,
        "software": f"mckean {_version()}, jax {jax.__version__}",
    }  # fmt: skip
    attributes = tuple((name, _told(value)) for name, value in made.items())
    if traced((model, measure, path, scheme)):
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

    def chunks(self, observed: bool) -> Iterator["_Chunk"]:
        """About 20 chunks, fewer in short runs, of equal length but where nothing divides.

        Short periods are gathered, long ones are cut.
        """
        period = self.stride if observed else self.steps
        target = min(self.steps, max(_SHORTEST_CHUNK, -(-self.steps // _CHUNKS)))
        if period <= target:
            length = period * _divisor_near(self.steps // period, -(-target // period))
            for done in range(0, self.steps, length):
                yield _Chunk(done, period, min(length, self.steps - done) // period, inside=observed)
            return
        length = _divisor_near(period, target)
        for begin in range(0, self.steps, period):
            for done in range(begin, begin + period, length):
                yield _Chunk(done, min(length, begin + period - done), 1, inside=False)


@dataclass(frozen=True)
class _Chunk:
    """`records` times `stride` steps, begun after `done` steps; whether the records are taken inside."""

    done: int
    stride: int
    records: int
    inside: bool

    @property
    def end(self) -> int:
        return self.done + self.stride * self.records


def _divisor_near(n: int, target: int) -> int:
    """A divisor of n within a factor 4 of the target, so that one compilation serves all chunks; else the target."""
    near = [d for d in range(-(-target // 4), 4 * target + 1) if n % d == 0]
    return min(near, key=lambda d: abs(math.log(d / target)), default=target)


def _whole(run: _Run, plan: _Plan, measure: MeasureT, made: tuple) -> Trajectory[MeasureT]:
    start = run.seen(measure)
    at = jnp.asarray(plan.first)
    final, observed, complaints = _advance(run, measure, at, plan.stride, plan.steps // plan.stride, True)
    final = eqx.error_if(
        final, ~tree_finite(final), "the state of a run became non-finite; reduce dt or look at V and W."
    )
    for sentence, value in complaints.items():
        if sentence != _NON_FINITE:
            final = eqx.error_if(final, ~(value <= 0), sentence.replace("{:.3g}", "…"))
    observed = jax.tree.map(lambda *a: jnp.concatenate(a), _leading(start), observed)
    return Trajectory(final, jnp.asarray(plan.times(plan.steps)), observed, made)


def _in_chunks(run: _Run, plan: _Plan, measure: MeasureT, made: tuple, progress: bool) -> Trajectory[MeasureT]:
    kept = (measure, 0, [_seen_once(run, measure)])
    with _bar(progress, plan.steps) as tick:
        try:
            for chunk in plan.chunks(bool(run.observe)):
                measure, _, pieces = kept
                at = np.asarray(plan.first + chunk.done)
                # A traced count: XLA would write out a loop of one step and round it differently from longer ones.
                stride = np.asarray(chunk.stride)
                moved, observed, complaints = _advance(run, measure, at, stride, chunk.records, chunk.inside)
                _judge(run, plan, measure, chunk, complaints)
                if not chunk.inside and chunk.end % plan.stride == 0:
                    observed = _seen_once(run, moved)
                # One assignment, so that an interruption finds the state, its step and its records together.
                kept = (moved, chunk.end, [*pieces, observed] if observed else pieces)
                tick(chunk.end)
        except KeyboardInterrupt as stop:
            raise Interrupted(_kept_so_far(run, plan, *kept, made)) from stop
    return _kept_so_far(run, plan, *kept, made)


def _kept_so_far(
    run: _Run, plan: _Plan, measure: MeasureT, done: int, pieces: list, made: tuple
) -> Trajectory[MeasureT]:
    if done % plan.stride:
        pieces = [*pieces, _seen_once(run, measure)]
    return Trajectory(measure, array(plan.times(done)), _joined(pieces), made)


def _judge(run: _Run, plan: _Plan, before: AbstractMeasure, chunk: _Chunk, complaints: dict) -> None:
    """Raise where a chunk ended badly; a non-finite state is traced to its step by replaying the chunk."""
    values = {sentence: float(value) for sentence, value in complaints.items()}
    at, end = plan.first + chunk.done, plan.first + chunk.end
    if values.pop(_NON_FINITE):
        last, count = _first_bad(run, before, jnp.asarray(at), jnp.asarray(end - at))
        bad = at + int(count)
        why = run.scheme.diagnosis(run.model, last, run.dt)
        general = "the state became non-finite: reduce dt, or look at V, W and the drift"
        raise RunError(general if why is None else why, bad, bad * plan.dt)
    for sentence, value in values.items():
        if value > 0 or math.isnan(value):
            raise RunError(sentence.format(value), end, end * plan.dt)


_NON_FINITE = "non-finite"


@eqx.filter_jit
def _advance(
    run: _Run, measure: MeasureT, at, stride: int | Array | np.ndarray, records: int, observing: bool
) -> tuple[MeasureT, dict, dict]:
    """`records` times `stride` steps; the observables after each stride, if asked, and the complaints at the end."""
    prepared = run.scheme.prepare(run.model, measure, run.dt)

    def period(mu, r):
        begin = at + r * stride
        mu = jax.lax.fori_loop(0, stride, lambda k, m: run.one(prepared, m, begin + k), mu)
        return mu, run.seen(mu) if observing else {}

    final, observed = jax.lax.scan(period, measure, jnp.arange(records))
    complaints = {_NON_FINITE: jnp.where(tree_finite(final), 0.0, 1.0), **run.scheme.complaints(run.model, final)}
    return final, observed, complaints


def _seen_once(run: _Run, measure: AbstractMeasure) -> dict:
    return _seen(run, measure) if run.observe else {}


@eqx.filter_jit
def _seen(run: _Run, measure: AbstractMeasure) -> dict:
    return _leading(run.seen(measure))


@eqx.filter_jit
def _first_bad(run: _Run, measure: AbstractMeasure, at, steps) -> tuple[AbstractMeasure, Array]:
    """The last state before one is not finite, and how many steps there are to that one."""
    prepared = run.scheme.prepare(run.model, measure, run.dt)
    go_on = lambda state: tree_finite(state[1]) & (state[2] < steps)  # noqa: E731
    move = lambda state: (state[1], run.one(prepared, state[1], at + state[2]), state[2] + 1)  # noqa: E731
    last, _, count = jax.lax.while_loop(go_on, move, (measure, measure, jnp.zeros((), jnp.result_type(int))))
    return last, count


def scheme_for(model: Model, measure: AbstractMeasure, scheme) -> AbstractScheme:
    """The scheme asked for, or the one that belongs to the form of the measure."""
    if isinstance(scheme, diffrax.AbstractSolver):
        if isinstance(measure, Density):
            raise ValueError(
                f"the solver {type(scheme).__name__} moves particles, but the measure is a Density: "
                "use Spectral() on the torus, FiniteVolume() on a box."
            )
        scheme = Moments(scheme) if isinstance(measure, Gaussian) else ParticleScheme(scheme)
    if scheme is None:
        scheme = _default(model, measure)
    if not isinstance(scheme, AbstractScheme):
        raise ValueError(f"a scheme is a mckean scheme or a diffrax solver, not {scheme!r}.")
    require(
        scheme.accepts(measure),
        f"the scheme {type(scheme).__name__} moves {scheme.moves}, but the measure is {_form(measure)}.",
    )
    require(
        model.internal is None or scheme.pressure,
        f"the scheme {type(scheme).__name__} does not know an internal energy, but the model has one.",
    )
    return scheme


def _default(model: Model, measure: AbstractMeasure) -> AbstractScheme:
    if isinstance(measure, Particles):
        return ParticleScheme()
    if isinstance(measure, Gaussian):
        return Moments()
    if isinstance(measure, Density):
        periodic = isinstance(measure.grid, FourierGrid)
        return Spectral() if periodic and model.internal is None else FiniteVolume()
    raise ValueError(
        f"{_form(measure)} cannot be evolved: sample it (Particles), put it on a grid (Density), or use Gaussian."
    )


def _form(measure: Any) -> str:
    name = type(measure).__name__
    return f"{name} on a {type(measure.grid).__name__}" if isinstance(measure, Density) else name


def _steps(start: float, until: float, dt: float) -> tuple[int, int]:
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


def _told(value: Any) -> str:
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


def _leading(tree: dict) -> dict:
    return jax.tree.map(lambda a: jnp.asarray(a)[None], tree)


def _joined(pieces: list[dict]) -> dict:
    return jax.tree.map(lambda *a: jax.device_put(np.concatenate(a)), *pieces)


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
