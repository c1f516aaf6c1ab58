"""Runs in folders: going on with one, and seeing whether it is what it says."""

import contextlib
import random
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mckean.checks import require
from mckean.dynamics._evolve import Observables, begin_run, evolve, forward_derivatives
from mckean.dynamics.book import AbstractBook, Kept
from mckean.dynamics.choice import Scheme
from mckean.dynamics.loop import Plan, run_in_chunks
from mckean.dynamics.stored import pieces_of, require_versions
from mckean.dynamics.trajectory import Trajectory
from mckean.measures import AbstractMeasure, Density, Particles, mesh_of, shard
from mckean.models import Equation
from mckean.store import RunFolder, StrangerError, as_folder


def resume(
    folder: str | Path,
    *,
    until: float | None = None,
    model: Equation | None = None,
    scheme: Scheme | None = None,
    observe: Observables | None = None,
    progress: bool = False,
) -> Trajectory[Any]:
    """Go on with a run that is kept in a folder; the result is, bit for bit, that of the run without a break.

    Particles that were spread by `shard` are spread over the devices that are here, up to eight, also over those of
    several processes. For others make the call of `evolve` again, with the particles where you want them.

    A run of more particles is another run, since observables have seen all of them: `evolve` with the same path, in
    another folder. The first N have the same noise. More replicas are runs of their own, or cells of a `sweep`.

    **Arguments:**

    - `folder`: the `store` of a run of `evolve`.
    - `until`: the final time, at which the run ends now. Default: the run's own.
    - `model`, `scheme`, `observe`: as `evolve` had them, where they hold a function of yours: a folder holds no
      program. Default: those of the folder.
    - `progress`: whether to show a progress bar. Default: no.

    **Returns:** a `Trajectory`, as `evolve` does; at once, where the run has ended.

    **Raises:** `ValueError` for a folder that is not one of a run or is of other versions of the libraries, for a
    function that must be given again, and for one that is another than it was; and what `evolve` raises.
    """
    kept = RunFolder(as_folder("folder", folder))
    require_versions(kept)
    given = _given(kept, {"model": model, "scheme": scheme, "observe": observe})
    given["measure"] = _spread(given["measure"])
    plan = kept.plan
    numbers = {"start": plan["start"], "dt": plan["dt"], "every": _every(plan)}
    end = plan["until"] if until is None else until
    return evolve(**given, **numbers, until=end, progress=progress, store=folder)


def verify(
    folder: str | Path,
    *,
    model: Equation | None = None,
    scheme: Scheme | None = None,
    observe: Observables | None = None,
) -> bool:
    """Whether a random part of a run, computed once more, has the bits that the folder holds.

    The part begins at a state that is kept, and ends at the next record or, where that is sooner, at the next state.

    **Arguments:**

    - `folder`, `model`, `scheme`, `observe`: as for `resume`.

    **Returns:** whether all records and the state, where there is one, are equal.

    **Raises:** `ValueError` as `resume` does, and for a run that has not made a step.
    """
    kept = RunFolder(as_folder("folder", folder))
    require_versions(kept)
    given, ends = _given(kept, {"model": model, "scheme": scheme, "observe": observe}), kept.plan
    run, plan, made = begin_run(until=ends["until"], start=ends["start"], dt=ends["dt"], every=_every(ends), **given)
    states = kept.checkpoints()
    require(len(states) > 1, f"'{folder}' holds a run that has not made a step: there is nothing to compare.")
    place = random.randrange(len(states) - 1)
    begin, end = states[place], states[place + 1]
    record = (begin // plan.stride + 1) * plan.stride
    end = min(end, record) if observe or given["observe"] else end
    book = _Again(kept, begin)
    part = Plan(plan.first, end, plan.stride, plan.dt)
    with forward_derivatives():
        found = run_in_chunks(run, part, given["measure"], made, False, book)
    count = kept.count(end)
    same = _equal(jax.tree.map(lambda a: a[:count], found.observed), kept.records(count))
    return same and (end not in states or _equal(found.final, kept.state(end, given["measure"])))


class _Again(AbstractBook):
    """A run from a state on, which nothing keeps."""

    def __init__(self, folder: RunFolder, done: int):
        self.folder, self.done, self.lock = folder, done, contextlib.ExitStack()

    def begin(self, measure: AbstractMeasure, start: dict) -> Kept:
        return self.folder.state(self.done, measure), self.done, pieces_of(self.folder, self.done, start)

    def keep(self, kept: Kept, last: bool) -> None:
        """Nothing is kept."""


def _given(kept: RunFolder, again: dict[str, Any]) -> dict[str, Any]:
    """What the run was given, with what is given again in its place."""
    given = {}
    for name in ("model", "measure", "path", "scheme", "observe"):
        if again.get(name) is not None:
            given[name] = again[name]
            continue
        try:
            given[name] = kept.argument(name)
        except StrangerError as error:
            raise ValueError(
                f"a folder holds no program, and '{kept.folder}' not your {error}: give it again, "
                f"resume(folder, {name}=…), or from the shell by `mckean run FILE.py:NAME --store {kept.folder}`."
            ) from error
    return given


def _spread(measure: AbstractMeasure) -> AbstractMeasure:
    """What was spread over devices, spread over those of this process: on all numbers of them the bits are the same."""
    if mesh_of(measure) is None:
        return measure
    assert isinstance(measure, Particles | Density)
    parts = [measure.n] if isinstance(measure, Particles) else [n // 4 for n in measure.grid.shape[:2]]
    processes, devices = jax.process_count(), jax.devices()
    of_each = [[device for device in devices if device.process_index == p] for p in range(processes)]
    fits = [
        k // processes for k in (1, 2, 4, 8)
        if k % processes == 0 and k // processes <= min(map(len, of_each)) and all(n % k == 0 for n in parts)
    ]  # fmt: skip
    require(
        fits,
        f"the run in this folder cannot be spread over {processes} processes in equal parts: take 1, 2, 4 or 8 of "
        "them, or make the call of evolve again.",
    )
    return shard(measure, [device for some in of_each for device in some[: max(fits)]])


def _every(plan: dict[str, Any]) -> int | None:
    return None if plan["every"] is None else int(plan["every"])


def _equal(one: Any, other: Any) -> bool:
    """Whether two trees have the same bits."""
    leaves = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(_bits(a) == _bits(b) for a, b in leaves)


def _bits(leaf: Any) -> tuple[Any, ...]:
    values = np.asarray(leaf)
    return values.dtype, values.shape, values.tobytes()
