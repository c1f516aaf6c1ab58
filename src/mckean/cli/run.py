"""`mckean run`, `mckean resume` and `mckean verify`: long runs from the shell, each in a folder."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mckean.cli.processes import join, launch
from mckean.cli.shell import FAILS, HOLDS, INTERRUPTED, configure, refuse, require_device

if TYPE_CHECKING:
    from mckean.dynamics import Trajectory


def run(
    task: Annotated[str, Parameter(name="FILE.py:NAME")],
    store: Path | None = None,
    processes: int = 1,
    cache: bool = True,
) -> int:
    """Make the run that a file describes, and keep it in a folder as it goes. The same command goes on from there.

    NAME in the file is a dictionary with the arguments of `mckean.evolve`, or a function without arguments that returns
    one. Double precision is on.

    Args:
        task: The file and the name in it, FILE.py:NAME.
        store: The folder of the run. By default it has the run's name.
        processes: How many processes work at it, as the hosts of a cluster do; mckean.shard(measure) in the file
            spreads a measure over them. Where one stops all do.
        cache: Keep compiled programs in your cache folder, so that the next run starts sooner.
    """
    try:
        path, name = _named(task)
    except ValueError as error:
        return refuse(error)
    folder = Path(name) if store is None else store
    if processes != 1:
        return _in_processes(["run", task, "--store", str(folder)], processes, cache)
    import mckean as mk

    join()
    configure(cache)

    def make():
        arguments = _arguments(path, name)
        _require_spread(arguments.get("measure"), f"'{name}'")
        return mk.evolve(**arguments, progress=_first(), store=folder)

    return _carry_out(make, folder)


def resume(folder: Path, until: float | None = None, processes: int = 1, cache: bool = True) -> int:
    """Go on with the run in a folder, to the bit as if it had not been stopped.

    A folder holds no program: where the run has a function of yours, `mckean run FILE.py:NAME` goes on with it.

    Args:
        folder: The folder of the run.
        until: A later final time. By default the run's own.
        processes: How many processes work at it; 1, 2, 4 or 8 go on with a run that was spread by mckean.shard.
        cache: Keep compiled programs in your cache folder, so that the next run starts sooner.
    """
    if processes != 1:
        later = [] if until is None else ["--until", repr(until)]
        return _in_processes(["resume", str(folder), *later], processes, cache)
    import mckean as mk
    from mckean.store import RunFolder

    join()
    configure(cache)

    def make():
        if _many():
            _require_spread(RunFolder(folder).argument("measure"), f"'{folder}'")
        return mk.resume(folder, until=until, progress=_first())

    return _carry_out(make, folder)


def _in_processes(command: list[str], processes: int, cache: bool) -> int:
    if processes < 1:
        return refuse(f"there must be a process at least, but {processes} were asked for.")
    return launch([*command, *([] if cache else ["--no-cache"])], processes)


def _many() -> bool:
    import jax

    return jax.process_count() > 1


def _first() -> bool:
    """Whether this process speaks for all."""
    import jax

    return jax.process_index() == 0


def _require_spread(measure: Any, where: str) -> None:
    """**Raises** `ValueError` where several processes would make the same run, each for itself."""
    from mckean.measures import AbstractMeasure, mesh_of

    if _many() and isinstance(measure, AbstractMeasure) and mesh_of(measure) is None:
        raise ValueError(
            f"the measure of {where} is not spread over processes: begin with mckean.shard(measure), or take one."
        )


def verify(folder: Path, cache: bool = True) -> int:
    """Compute a random part of a run once more, and say whether it has the bits that the folder holds.

    The exit status is 0 where it has, and 1 where it has not.

    Args:
        folder: The folder of the run.
        cache: Keep compiled programs in your cache folder, so that the next run starts sooner.
    """
    import mckean as mk

    configure(cache)
    try:
        require_device()
        same = mk.verify(folder)
    except (ValueError, OSError) as error:
        return refuse(error)
    print(f"a part of '{folder}' was computed again: it is {'equal to the bit' if same else 'another one'}.")
    return HOLDS if same else FAILS


def _carry_out(make: "Callable[[], Trajectory[Any]]", folder: Path) -> int:
    """Make a run, and say what became of it."""
    from mckean.collectives import HostLost
    from mckean.faults import RunError

    try:
        require_device()
        made = make()
    except KeyboardInterrupt:
        said = f"mckean: stopped; '{folder}' is whole, and the same command goes on."
        print(said, file=sys.stderr)
        return INTERRUPTED
    except RunError as error:
        refuse(error)
        return FAILS
    except (ValueError, OSError, HostLost) as error:
        return refuse(error)
    print(f"'{folder}' holds the run until {float(made.times[-1]):g}, with {len(made.times)} records.")
    return HOLDS


def _named(task: str) -> tuple[Path, str]:
    """The file and the name of a task. **Raises** `ValueError` where there are none."""
    place, colon, name = task.rpartition(":")
    if not colon or not name.isidentifier():
        raise ValueError(f"a run is named as FILE.py:NAME, not '{task}'.")
    if not Path(place).is_file():
        raise ValueError(f"there is no file '{place}'.")
    return Path(place), name


def _arguments(path: Path, name: str) -> dict[str, Any]:
    """What a file's NAME says that `evolve` is to be given. **Raises** `ValueError` where it does not."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"'{path}' is not a file of Python, whose name ends in .py.")
    module = importlib.util.module_from_spec(spec)
    # As for a script: its neighbours can be imported, and its functions find their module.
    sys.path.insert(0, str(path.parent))
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    if not hasattr(module, name):
        raise ValueError(f"there is no '{name}' in '{path}'.")
    found = getattr(module, name)
    arguments = found() if callable(found) else found
    if not isinstance(arguments, dict):
        raise ValueError(f"'{name}' must be a dictionary with the arguments of mckean.evolve, or return one.")
    taken = {"store", "progress"} & set(arguments)
    if taken:
        raise ValueError(f"'{name}' holds '{min(taken)}', which `mckean run` says itself.")
    return arguments
