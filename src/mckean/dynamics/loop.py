"""The one loop over time: what is compiled, in chunks, and how a chunk is judged."""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from mckean import collectives
from mckean.checks import array, calling, require
from mckean.dynamics.book import AbstractBook, Kept, NoBook
from mckean.dynamics.in_place import InPlace
from mckean.dynamics.interruption import asked_to_stop
from mckean.dynamics.made import Made
from mckean.dynamics.progress import bar
from mckean.dynamics.scheme import Stepper, tree_finite
from mckean.dynamics.survey import warn_of_lost_steps
from mckean.dynamics.trajectory import MeasureT, Trajectory, require_names
from mckean.faults import FAULTS, Failure, Fault, RunError, Status, sound, status, tell
from mckean.measures import AbstractMeasure, mesh_of
from mckean.models import initial
from mckean.paths import Brownian

_CHUNKS = 20
# A chunk allocates its end state afresh; over so many steps that no longer counts.
_SHORTEST_CHUNK = 8
# Between looks at what a run has done: an interruption waits no longer, and a look costs next to nothing.
_SECONDS = 1.0
# Records of a chunk, which passes over the room for those that it does not make.
_MOST_RECORDS = 4096


class Interrupted(KeyboardInterrupt):
    """A run that was interrupted by Ctrl-C.

    **Attributes:**

    - `trajectory`: the run up to then, a `Trajectory`; `evolve` can go on from its `final`.
    """

    def __init__(self, trajectory: Trajectory):
        super().__init__(f"interrupted at time {float(trajectory.times[-1]):g}")
        self.trajectory = trajectory


class StoreError(OSError):
    """A run whose folder cannot be written any more, as on a full disk.

    **Attributes:**

    - `trajectory`: the run up to then, a `Trajectory`. The same call goes on from the folder once there is room.
    """

    def __init__(self, reason: str, trajectory: Trajectory):
        super().__init__(reason)
        self.trajectory = trajectory


class Run(eqx.Module):
    """What is compiled: everything but the counts."""

    stepper: Stepper
    path: Brownian | None
    observe: dict

    def record(self, measure: AbstractMeasure, index: Any) -> dict:
        """The values of the observables after so many steps from time 0.

        They see the model of that time, and of all labels.
        """
        model = self.stepper.at(index)
        return {name: _observe(name, f, model, measure) for name, f in self.observe.items()}

    @property
    def in_place(self) -> bool:
        """Whether a chunk uses up the state that it begins with."""
        return isinstance(self.stepper.scheme, InPlace)

    def sound(self) -> Status:
        """No fault."""
        return sound(self.stepper.dt.dtype)


def _observe(name: str, f: Callable, model: Any, measure: AbstractMeasure) -> Any:
    with calling(f"the observable '{name}'"):
        values = f(model, measure)
    for leaf in jax.tree.leaves(values):
        require(
            np.asarray(leaf).dtype.kind in "biufc" if not isinstance(leaf, jax.Array) else True,
            f"the observable '{name}' must return numbers, but it returned {leaf!r}.",
        )
    return values


@dataclass(frozen=True)
class Plan:
    """The counts: index of the first step, number of steps, steps between records."""

    first: int
    steps: int
    stride: int
    dt: float

    def times(self, done: int) -> np.ndarray:
        """Times of the records after `done` steps, and of the end where it is not one."""
        at = np.arange(0, done + 1, self.stride)
        return (self.first + (at if done % self.stride == 0 else np.append(at, done))) * self.dt


@dataclass(frozen=True)
class Chunk:
    """So many `steps`, begun after `done` steps; whether the records on the way are taken inside."""

    done: int
    steps: int
    inside: bool

    @property
    def end(self) -> int:
        return self.done + self.steps


class Pace:
    """How long the next chunk is: a twentieth of the run at most, and about a second.

    Lengths are traced, so that none of them compiles anew, and a chunk may end in the midst of a period. The first two
    are of one step: one that compiles, and one that tells how long a step takes. Periods that are long are recorded
    between chunks, the others inside.
    """

    def __init__(self, plan: Plan, observed: bool):
        self.plan, self.period = plan, plan.stride if observed else plan.steps
        self.target = min(plan.steps, max(_SHORTEST_CHUNK, -(-plan.steps // _CHUNKS)))
        self.inside = observed and self.period <= self.target
        # The room is compiled: a power of two serves runs of many lengths.
        self.most = 1 << min(_MOST_RECORDS, max(1, self.target // self.period)).bit_length() - 1
        self.chunks, self.allowed = 0, 1

    def next(self, done: int) -> Chunk:
        """The chunk that begins after so many steps."""
        room = (self.most if self.inside else 1) * self.period - done % self.period
        return Chunk(done, min(self.allowed, room, self.plan.steps - done), self.inside)

    def learn(self, chunk: Chunk, seconds: float) -> None:
        """What the time of a chunk, which did not compile, says of the next."""
        self.chunks += 1
        if self.chunks > 1:
            self.allowed = max(1, min(self.target, int(_SECONDS * chunk.steps / max(seconds, 1e-9))))


def run_whole(run: Run, plan: Plan, measure: MeasureT, made: Made) -> Trajectory[MeasureT]:
    """The run under a transformation of JAX: one chunk. A bad end is told to who watches, else JAX's own error."""
    start = run.record(measure, plan.first)
    require_names(_leading(start))
    final, observed, found = _advance_whole(run, measure, plan.first, plan.steps, plan.stride)
    end = plan.first + plan.steps
    if not tell(Failure(found, jnp.asarray(end, jnp.result_type(int)), jnp.asarray(end * plan.dt))):
        sentences = [fault.value.replace("{:.3g}", "…") for fault in FAULTS]
        final = eqx.branched_error_if(final, found.bad, found.code, sentences)
    observed = jax.tree.map(lambda *a: jnp.concatenate(a), _leading(start), observed)
    return Trajectory(final, jnp.asarray(plan.times(plan.steps)), observed, made)


def run_in_chunks(
    run: Run, plan: Plan, measure: MeasureT, made: Made, progress: bool, book: AbstractBook
) -> Trajectory[MeasureT]:
    """The run chunk by chunk, each judged; an interruption loses no more than the chunk under way."""
    whole, mesh = None, mesh_of(measure)
    try:
        with asked_to_stop(not isinstance(book, NoBook)) as asked, bar("evolve", progress, plan.steps) as tick:
            warn_of_lost_steps(initial(run.stepper.equation), measure, plan.dt, plan.steps)
            pace, start = Pace(plan, bool(run.observe)), record_once(run, measure, plan.first)
            require_names(start)
            with collectives.together(mesh):
                kept = book.begin(measure, start)
            try:
                while kept[1] < plan.steps:
                    chunk, begun = pace.next(kept[1]), time.perf_counter()
                    with collectives.together(mesh):
                        kept = _advance_by(run, plan, chunk, pace.most, kept)
                        # Hosts make the same chunks, and stop together.
                        pace.learn(chunk, collectives.largest(time.perf_counter() - begun, mesh))
                        tick(chunk.end)
                        book.keep(kept, last=False)
                        if collectives.largest(asked(), mesh):
                            raise KeyboardInterrupt
                book.keep(kept, last=True)
            except BaseException as stop:
                if collectives.over_hosts(mesh) and not isinstance(stop, KeyboardInterrupt | RunError | OSError):
                    # The others do not know of it, and would not take part.
                    raise
                with collectives.together(mesh):
                    _keep_what_is_there(book, kept, stop)
                    if isinstance(stop, KeyboardInterrupt):
                        raise Interrupted(_so_far(run, plan, *kept, made)) from stop
                    if isinstance(stop, OSError):
                        raise StoreError(str(stop), _so_far(run, plan, *kept, made)) from stop
                raise
            whole = _so_far(run, plan, *kept, made)
        # Pressed after the last look, as the records were joined.
        if asked():
            raise Interrupted(whole)
        return whole
    except KeyboardInterrupt as stop:
        # Pressed when Ctrl-C was Python's again.
        if whole is None or isinstance(stop, Interrupted):
            raise
        raise Interrupted(whole) from stop


def _keep_what_is_there(book: AbstractBook, kept: Kept, stop: BaseException) -> None:
    """Keep what there is of a run that ends early. Why it ends is told, also where the folder cannot be written."""
    # A chunk in place that has failed has used up the state before it.
    if any(isinstance(leaf, jax.Array) and leaf.is_deleted() for leaf in jax.tree.leaves(kept[0])):
        return
    try:
        book.keep(kept, last=True)
    except OSError as error:
        if str(error) != str(stop):
            stop.add_note(str(error))


def _advance_by(run: Run, plan: Plan, chunk: Chunk, most: int, kept: Kept) -> Kept:
    """The state, the number of steps and the records after a chunk: one value, so that an interruption finds all."""
    measure, done, pieces = kept
    at, begun = np.asarray(plan.first + done), done % plan.stride
    # Traced counts: XLA would write out a loop of one step and round it differently from longer ones.
    counts = (begun, chunk.steps, plan.stride) if chunk.inside else (0, chunk.steps, chunk.steps)
    room = Room(most, pieces[0]) if chunk.inside else Room(1, {})
    go = _advance_in_place if run.in_place else _advance
    new, observed, count, found = go((run, at, tuple(map(np.asarray, counts)), room), measure)
    _judge(run, plan, measure, chunk, int(count), found)
    records = (begun + chunk.steps) // plan.stride
    if chunk.inside:
        # A copy: a view would keep the room of all records alive.
        observed = jax.tree.map(lambda a: np.array(collectives.known(a)[:records]), observed)
    elif records:
        observed = record_once(run, new, plan.first + chunk.end)
    return new, chunk.end, [*pieces, observed] if observed and records else pieces


def _so_far(run: Run, plan: Plan, measure: MeasureT, done: int, pieces: list, made: Made) -> Trajectory[MeasureT]:
    if done % plan.stride:
        pieces = [*pieces, record_once(run, measure, plan.first + done)]
    times, observed = plan.times(done), _join(pieces)
    _warn_of_none(times, observed)
    return Trajectory(measure, array(times), observed, made)


def _warn_of_none(times: np.ndarray, observed: dict) -> None:
    """Say once of each observable that it is not a number, and when first."""
    for name, tree in observed.items():
        values = [np.asarray(leaf).reshape(len(times), -1) for leaf in jax.tree.leaves(tree)]
        lost = np.any([np.isnan(v).any(axis=1) for v in values if v.dtype.kind in "fc"], axis=0)
        if np.any(lost):
            first = times[np.argmax(lost)]
            warnings.warn(f"the observable '{name}' is not a number at t = {first:g}.", RuntimeWarning, stacklevel=5)


def _judge(run: Run, plan: Plan, before: AbstractMeasure, chunk: Chunk, count: int, found: Status) -> None:
    """Raise where a chunk ended badly, `count` steps from its beginning.

    A non-finite state is traced to its step by replaying the chunk; the last finite one may tell more.
    """
    if not found.bad:
        return
    first = plan.first + chunk.done
    if found.fault is Fault.NON_FINITE and not run.in_place:
        last, steps = _first_bad(run, before, np.asarray(first), np.asarray(chunk.steps))
        count, found = int(steps), run.stepper.inspect(last).then(found)
    raise RunError(found.sentence, first + count, (first + count) * plan.dt)


def advance(run: Run, measure: MeasureT, first: int, steps: int) -> tuple[MeasureT, int, Status]:
    """The measure so many steps later, by the program of a run that records nothing, bit for bit.

    **Arguments:**

    - `run`: what moves it, without observables.
    - `measure`: at the begin of the step `first`.
    - `first`, `steps`: which steps; none of their numbers compiles anew.

    **Returns:** the measure, the number of steps that were made, and what went wrong at the last of them.
    """
    counts = (np.asarray(0), np.asarray(steps), np.asarray(steps))
    new, _, count, found = _advance((run, np.asarray(first), counts, Room(1, {})), measure)
    return new, int(count), found


class Room(eqx.Module):
    """For how many records a chunk has room; one in the form of the first, which is made if `like` is not empty."""

    most: int = eqx.field(static=True)
    like: dict


_What = tuple[Run, Any, tuple[Any, Any, Any], Room]


def _make(what: _What, measure: MeasureT) -> tuple[MeasureT, dict, Int[Array, ""], Status]:
    """A chunk: its end, the observables at the end of each period, how many steps were made, and what went wrong.

    It ends at a step that fails. `at` is the index of the first step. `counts` are the steps that the period has had
    before, those to be made, and those of a period. Records that are not made are zeros.
    """
    run, at, (begun, steps, stride), room = what

    def move(state):
        mu, count, _ = state
        mu, found = run.stepper.step(mu, run.path, at + count)
        return mu, count + 1, found

    def period(state, r):
        due = (r + 1) * stride - begun
        go_on = lambda state: (state[1] < jnp.minimum(steps, due)) & ~state[2].bad  # noqa: E731
        state = jax.lax.while_loop(go_on, move, state)
        seen = lambda mu: jax.tree.map(jnp.asarray, run.record(mu, at + state[1]))  # noqa: E731
        none = lambda mu: jax.tree.map(lambda a: jnp.zeros(a.shape[1:], a.dtype), room.like)  # noqa: E731
        return state, jax.lax.cond(state[1] == due, seen, none, state[0]) if room.like else {}

    start = (measure, jnp.zeros_like(at), run.sound())
    (final, count, found), observed = jax.lax.scan(period, start, jnp.arange(room.most))
    return final, observed, count, found.then(_look(run, final))


_advance = eqx.filter_jit(_make)
_advance_in_place = eqx.filter_jit(_make, donate="all-except-first")


@eqx.filter_jit
def _advance_whole(run: Run, measure: MeasureT, first: int, steps: int, stride: int) -> tuple[MeasureT, dict, Status]:
    """All steps, whatever befalls: their number is known before, so that they can be differentiated backwards."""

    def period(state, r):
        def move(k, state):
            mu, found = state
            mu, new = run.stepper.step(mu, run.path, first + r * stride + k)
            return mu, found.then(new)

        state = jax.lax.fori_loop(0, stride, move, state)
        return state, run.record(state[0], first + (r + 1) * stride)

    (final, found), observed = jax.lax.scan(period, (measure, run.sound()), jnp.arange(steps // stride))
    return final, observed, found.then(_look(run, final))


def _look(run: Run, final: AbstractMeasure) -> Status:
    """What is wrong with the end of a chunk."""
    lost = status(Fault.NON_FINITE, ~tree_finite(final), jnp.zeros_like(run.stepper.dt))
    return lost.then(run.stepper.inspect(final))


def record_once(run: Run, measure: AbstractMeasure, index: int) -> dict:
    return _record(run, measure, np.asarray(index)) if run.observe else {}


@eqx.filter_jit
def _record(run: Run, measure: AbstractMeasure, index: Any) -> dict:
    return _leading(run.record(measure, index))


@eqx.filter_jit
def _first_bad(run: Run, measure: AbstractMeasure, at, steps) -> tuple[AbstractMeasure, Array]:
    """The last state before one is not finite, and how many steps there are to that one."""
    go_on = lambda state: tree_finite(state[1]) & (state[2] < steps)  # noqa: E731
    move = lambda state: (state[1], run.stepper.step(state[1], run.path, at + state[2])[0], state[2] + 1)  # noqa: E731
    last, _, count = jax.lax.while_loop(go_on, move, (measure, measure, jnp.zeros((), jnp.result_type(int))))
    return last, count


def _leading(tree: dict) -> dict:
    return jax.tree.map(lambda a: jnp.asarray(a)[None], tree)


def _join(pieces: list[dict]) -> dict:
    return jax.tree.map(lambda *a: jax.device_put(np.concatenate([collectives.known(piece) for piece in a])), *pieces)
