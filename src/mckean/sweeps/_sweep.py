"""The verb: a function over a table of parameters, by any number of workers, into a folder."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
from jaxtyping import PRNGKeyArray

from mckean.checks import positive_integer, require, require_key
from mckean.dynamics.progress import bar
from mckean.store import as_folder
from mckean.sweeps import _function
from mckean.sweeps._attempts import Attempts
from mckean.sweeps._crew import Crew
from mckean.sweeps._dataset import assemble
from mckean.sweeps._folder import ELSE, Folder, begin, find
from mckean.sweeps._log import Log, Reader
from mckean.sweeps._table import as_table, words
from mckean.sweeps._work import require_call, work

if TYPE_CHECKING:
    import xarray as xr

ParameterTable = Mapping[str, Sequence] | Sequence[Mapping[str, Any]]


def sweep(
    f: Callable,
    table: ParameterTable,
    folder: str | Path,
    *,
    key: PRNGKeyArray | None = None,
    workers: int = 1,
    retry: bool = False,
    progress: bool = False,
) -> xr.Dataset:
    """f at each row of a table of parameters, kept in a folder: what is done is never done again.

    The same call goes on with a sweep that was stopped, and opens one that is finished. Made by several processes at
    once, on this machine or on others that see the folder, it shares the cells between them. A worker that is killed
    loses the cell that it was running, which another runs anew. Ctrl-C loses that cell alone.

    **Arguments:**

    - `f`: a function of the parameters by name. It gives a number, an array, an `Estimate`, a `Trajectory`, an xarray
      `Dataset`, or a dictionary of them by name. If it has an argument `folder`, it gets a folder for the cell, where
      it keeps what is large; the cell's next attempt finds there what the last one left.
    - `table`: a dictionary of lists, `{"K": [1.0, 2.0], "beta": [1.0, 4.0]}`: each combination is a cell; or a list of
      dictionaries, one for each cell. Values are numbers or words. It may grow at its end, by values of its first
      parameter or by rows: what is done stays. So more replicas are more values of a first parameter `replica`.
    - `folder`: where; it is made.
    - `key`: of all randomness. Each cell's `key` is folded from it and from the cell's parameters, so that it depends
      on no worker, no order and no other cell. Default: f takes no key.
    - `workers`: how many processes run cells. With one it is this process, which takes any f. More are new processes,
      each with its share of the cores, which import f from its file. Default: 1.
    - `retry`: whether cells that failed are run again. f may have been repaired meanwhile: what is done stays, and the
      Dataset says in its attribute `repaired` what has changed, and after how many cells. Default: no.
    - `progress`: whether to show a progress bar. Default: no.

    **Returns:** an xarray `Dataset` with the parameters of a product as its dimensions, and those of rows as
    coordinates of the dimension `cell`. `failure` has the sentence with which a cell failed, and `seconds` its time.
    Where a cell failed, and beyond the end of an array that is shorter than in other cells, there is NaN.

    **Raises:** `ValueError` for a folder that holds another sweep (it says whether f or the table has changed), and for
    an f that other processes cannot find. `OSError` for a folder that cannot be written; what is done stays.
    `KeyboardInterrupt` on Ctrl-C, when all workers have stopped.

    **Warns:** of cells that failed, with the first sentence; and of an f that was repaired.
    """
    path, cells = as_folder("folder", folder), as_table(table)
    _function.reach(f, path)
    require_call(f, cells, key is not None)
    if key is not None:
        require_key(key)
    workers = positive_integer("the number of workers is a positive integer", workers)
    found = f if workers == 1 else _function.target(f)
    whole = _with_function(begin(path, f, cells, key), f, retry).grown(cells)
    return _finish(whole, found, workers, retry, progress)


def join(
    target: str, folder: str | Path, *, workers: int = 1, retry: bool = False, progress: bool = False
) -> xr.Dataset:
    """Work on a sweep that was begun elsewhere, until all its cells have ended.

    This process computes in the precision of the sweep from then on.

    **Arguments:**

    - `target`: its function, as `FILE.py:NAME` or `MODULE:NAME`. The folder says nothing that would be run.
    - `folder`: where it is.
    - `workers`, `retry`, `progress`: as for `sweep`.

    **Returns:** what `sweep` returns.

    **Raises:** `ValueError` for another function than that of the sweep, and for a folder that holds none.
    """
    workers = positive_integer("the number of workers is a positive integer", workers)
    found = find(as_folder("folder", folder))
    jax.config.update("jax_enable_x64", found.double)
    if target.rpartition(":")[0].endswith(".py"):
        place, _, name = target.rpartition(":")
        target = f"{Path(place).absolute()}:{name}"
    function = _function.load(target, found.path)
    found = _with_function(found, function, retry)
    require_call(function, found.table, found.key is not None)
    return _finish(found, function if workers == 1 else target, workers, retry, progress)


def open_sweep(folder: str | Path) -> xr.Dataset:
    """What a sweep has given so far. It runs nothing, and takes no part in the sweep.

    **Arguments:**

    - `folder`: where it is.

    **Returns:** what `sweep` returns; `failure` says of a cell that is not done that it is not.

    **Raises:** `ValueError` for a folder that holds no sweep that this version can read.
    """
    found = find(as_folder("folder", folder))
    return assemble(found, Attempts(found, keep=True).refresh().records)


def _with_function(folder: Folder, f: Callable, retry: bool) -> Folder:
    """The sweep, of which f is the function, or is from now on: where cells failed, and are to be run again.

    **Raises:** `ValueError` for another function in any other case.
    """
    changed = folder.change(f)
    if not changed:
        return folder
    cells = Attempts(folder).refresh()
    failed, done = len(cells.failed), len(cells.records) - len(cells.failed)
    mend = f"; retry=True runs the {failed} that failed with it as it is now" if failed else ""
    require(
        retry and failed,
        f"'{folder.path}' holds a sweep of another function: {changed} has changed{mend}{ELSE}, or undo it.",
    )
    require(
        not Reader(folder).anyone(),
        f"others run cells of '{folder.path}' with the function as it was, before {changed} has changed: stop them.",
    )
    warnings.warn(
        f"{changed} has changed: the {done} cells of '{folder.path}' that are done keep what they have, and the other "
        f"{folder.table.size - done} are run with the function as it is now.",
        stacklevel=3,
    )
    return folder.repaired(f, done)


def _finish(folder: Folder, f: Callable | str, workers: int, retry: bool, progress: bool) -> xr.Dataset:
    """Run what is left, if anything is, and open the whole."""
    cells = Attempts(folder, keep=True).refresh()
    if not cells.complete or (retry and cells.failed):
        # What is finished may lie where nothing can be written.
        with Log(folder) as log, bar("cells", progress, folder.table.size) as say:
            for cell in cells.failed if retry else ():
                log.append({"cell": cell, "attempt": cells.records[cell]["attempt"], "free": True})
            try:
                if isinstance(f, str):
                    Crew(folder, f, workers).run(log, say)
                else:
                    work(f, folder, log, say)
            except KeyboardInterrupt as stop:
                done = len(cells.refresh().records)
                raise KeyboardInterrupt(
                    f"{done} of {folder.table.size} cells of '{folder.path}' are done; the same call goes on."
                ) from stop
        cells.refresh()
    if failed := cells.failed:
        first = next(iter(failed))
        warnings.warn(
            f"{len(failed)} of {folder.table.size} cells of '{folder.path}' failed; the first, "
            f"{words(folder.table.cells[first])}: {failed[first]}",
            stacklevel=3,
        )
    return assemble(folder, cells.records)


def submit(
    f: Callable,
    table: ParameterTable,
    folder: str | Path,
    *,
    jobs: int,
    key: PRNGKeyArray | None = None,
    cluster: str = "slurm",
    **resources: Any,
) -> list[Any]:
    """Begin a sweep, and hand its cells to jobs of Slurm; `sweep` or `open_sweep` opens what they have done.

    It needs the package submitit, `pip install 'mckean[slurm]'`. Its files are beside the folder of the sweep.

    **Arguments:**

    - `f`, `table`, `folder`, `key`: as for `sweep`. Other processes must find f.
    - `jobs`: how many, each a worker.
    - `cluster`: `"slurm"`, or `"local"` for processes of this machine. Default: slurm.
    - `resources`: of each job, by submitit's names: `timeout_min=60, cpus_per_task=8, slurm_partition="gpu"`.

    **Returns:** submitit's jobs.

    **Raises:** `ValueError` where submitit or Slurm is missing; the other errors are those of `sweep`.
    """
    path, cells = as_folder("folder", folder).absolute(), as_table(table)
    _function.reach(f, path)
    require_call(f, cells, key is not None)
    jobs = positive_integer("the number of jobs is a positive integer", jobs)
    require(cluster in ("slurm", "local"), f"cluster is 'slurm' or 'local', not {cluster!r}.")
    target = _function.target(f)
    try:
        import submitit  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ValueError("jobs are handed to Slurm by submitit: pip install 'mckean[slurm]'.") from error
    _with_function(begin(path, f, cells, key), f, retry=False).grown(cells)
    try:
        executor = submitit.AutoExecutor(path.with_name(f"{path.name}-jobs"), cluster=cluster)
        executor.update_parameters(**resources)
    except (RuntimeError, NameError, TypeError) as error:
        raise ValueError(f"submitit refused the jobs: {error}") from error
    with executor.batch():
        return [executor.submit(join, target, path) for _ in range(jobs)]
