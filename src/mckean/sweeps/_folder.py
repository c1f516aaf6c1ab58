"""The folder of a sweep: what it is a sweep of, written once, and what happens in it, a line at a time.

- `sweep.json`: the function by its name and digests, the table, the key, the precision, and who began it.
- `workers/NAME.jsonl`: the log of a worker, a line for each cell that it has ended.
- `claims/CELL.ATTEMPT`: a link to the log of the worker that runs a cell.
- `cells/CELL/`: what a function puts into its own folder.

Numbers and text alone: nothing in it is a program.
"""

import contextlib
import datetime
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from mckean import store
from mckean.checks import require
from mckean.sweeps import _function
from mckean.sweeps._table import Table

FORMAT = 1
_ABOUT = "sweep.json"


@dataclass(frozen=True)
class Folder:
    """A sweep on disk.

    **Arguments:**

    - `path`: where.
    - `table`: its cells.
    - `function`: the name of the function, and the digests of what decides on its values.
    - `key`: the key of its randomness, None where it has none.
    - `double`: whether it computes in double precision.
    - `made`: by which versions it was begun, and when; and when its function was repaired.
    """

    path: Path
    table: Table
    function: dict[str, Any]
    key: PRNGKeyArray | None
    double: bool
    made: dict[str, str]

    @property
    def logs(self) -> Path:
        """The folder of the workers' logs."""
        return self.path / "workers"

    @property
    def claims(self) -> Path:
        """The folder of the claims."""
        return self.path / "claims"

    def own(self, cell: int) -> Path:
        """The folder of a cell."""
        return self.path / "cells" / self.number(cell)

    def number(self, cell: int) -> str:
        """The number of a cell, which is the same when the table has grown."""
        return f"{cell:06d}"

    def require_same(self, table: Table, key: Any) -> None:
        """Raise `ValueError` unless this is a sweep over a table or its beginning, with a key, in this precision."""
        self.require_precision()
        changed = "" if table.grows(self.table) else table.difference(self.table)
        require(not changed, f"'{self.path}' holds a sweep over another table: {changed}{ELSE}.")
        require(
            _key_data(key) == _key_data(self.key), f"'{self.path}' holds a sweep with another key: key differs{ELSE}."
        )

    def change(self, function: Callable) -> str:
        """In what a function differs from that of the sweep, in words; empty where it is that."""
        return _function.difference(_function.parts(function), self.function["parts"])

    def repaired(self, function: Callable, done: int) -> "Folder":
        """The sweep with another function from now on, which is written in it, and after how many cells."""
        said = f"{self.change(function)} changed when {done} of {self.table.size} cells were done, {now()}"
        before = self.made.get("repaired")
        made = self.made | {"repaired": f"{before}; {said}" if before else said}
        return self._rewritten(function=_named(function), made=made)

    def grown(self, table: Table) -> "Folder":
        """The sweep over a table of which it has had the beginning; who works at that one is not disturbed."""
        if not table.grows(self.table):
            return self
        return self._rewritten(table=_columns(table))

    def _rewritten(self, **words: Any) -> "Folder":
        about = json.loads((self.path / _ABOUT).read_text(encoding="utf-8")) | words
        with writing(self.path):
            store.write_atomically(self.path / _ABOUT, json.dumps(about, indent=1).encode())
        return find(self.path)

    def require_precision(self) -> None:
        """Raise `ValueError` in a process of the other precision."""
        here = jax.config.values["jax_enable_x64"]
        require(
            here == self.double,
            f"'{self.path}' holds a sweep in {_precision(self.double)} precision, and this process computes in "
            f"{_precision(here)}: call jax.config.update('jax_enable_x64', {self.double}) before it.",
        )


ELSE = "; choose another folder"


def begin(path: Path, function: Callable, table: Table, key: PRNGKeyArray | None) -> Folder:
    """The folder of the sweep, made where there is none; whoever comes later finds it whole.

    **Raises:** `ValueError` for a folder of something else, of another table or key; `OSError` for one that cannot be
    written.
    """
    if not (path / _ABOUT).exists():
        held = [each for each in path.iterdir() if not each.name.startswith(".")] if path.is_dir() else []
        require(not held, f"'{path}' is there and holds no sweep{ELSE}.")
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
            _put_new(path / _ABOUT, json.dumps(_about(function, table, key), indent=1))
    folder = find(path)
    folder.require_same(table, key)
    return folder


def find(path: Path) -> Folder:
    """The sweep that a folder holds. **Raises** `ValueError` where it holds none that can be read."""
    try:
        about = json.loads((path / _ABOUT).read_text(encoding="utf-8"))
        written = about["format"]
    except FileNotFoundError as error:
        raise ValueError(f"'{path}' holds no sweep: there is no {_ABOUT} in it.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"'{path}' holds no sweep that can be read: {error}.") from error
    require(
        written == FORMAT,
        f"'{path}' holds a sweep in format {written}, of another version of mckean ({about.get('made')}); this one "
        f"reads format {FORMAT}.",
    )
    try:
        table, key = Table(about["table"]["columns"], about["table"]["product"]), about["key"]
        key = None if key is None else jax.random.wrap_key_data(jnp.asarray(key["data"], "uint32"), impl=key["kind"])
        return Folder(path, table, about["function"], key, about["double"], about["made"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"'{path}' holds no sweep that can be read: {error!r} in {_ABOUT}.") from error


def writing(path: Path) -> contextlib.AbstractContextManager[None]:
    """Where a sweep writes: what the disk refuses is one sentence, an `OSError`."""
    return store.writing(path, "; what is done stays, and the same call goes on")


def software() -> str:
    """The versions that compute."""
    python = ".".join(map(str, sys.version_info[:3]))
    return f"mckean {metadata.version('mckean')}, jax {jax.__version__}, Python {python}"


def now() -> str:
    """The time, as it is written in a sweep."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _about(function: Callable, table: Table, key: PRNGKeyArray | None) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "function": _named(function),
        "table": _columns(table),
        "key": _key_data(key),
        "double": jax.config.values["jax_enable_x64"],
        "made": {"software": software(), "begun": now()},
    }


def _columns(table: Table) -> dict[str, Any]:
    return {"product": table.product, "columns": table.columns}


def _named(function: Callable) -> dict[str, Any]:
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return {"name": name, "parts": _function.parts(function)}


def _key_data(key: Any) -> Any:
    if key is None:
        return None
    return {"kind": str(jax.random.key_impl(key)), "data": np.asarray(jax.random.key_data(key)).tolist()}


def _put_new(path: Path, text: str) -> None:
    """Write a file that is whole or not there, unless another process has done so."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(part, path)
        store.sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _precision(double: bool) -> str:
    return "double" if double else "single"
