"""A function of a sweep: by which name another process finds it, and what tells it from one that was changed."""

import dataclasses
import enum
import functools
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import jax

from mckean import store
from mckean.checks import require

# The module as which a worker imports the file of a program: what stands under `if __name__ == "__main__"` is left out.
_MAIN = "__mckean_sweep__"

# The folder whose function is looked for in a file that is being imported.
_wanted: ContextVar[Path | None] = ContextVar("wanted", default=None)


class _Reached(BaseException):
    """The call of a sweep in a file that is imported for it: what comes after it is not of interest."""

    def __init__(self, function: Callable):
        self.function = function


def reach(function: Callable, folder: Path) -> None:
    """Let `load` know that the file it imports has come to the sweep in this folder."""
    if _wanted.get() == folder.absolute():
        raise _Reached(function)


def target(function: Any) -> str:
    """`FILE.py:NAME` or `MODULE:NAME`, by which another process finds a function.

    **Raises:** `ValueError` for one that it cannot find.
    """
    name, module = getattr(function, "__qualname__", ""), getattr(function, "__module__", None) or ""
    place = module
    if module == "__main__":
        file = getattr(sys.modules["__main__"], "__file__", None)
        place = str(Path(file).absolute()) if file and Path(file).suffix == ".py" else ""
    found = functools.reduce(lambda at, part: getattr(at, part, None), name.split("."), sys.modules.get(module))
    require(
        place and name and found is function,
        f"several workers need a function that other processes find: write `def {name.rpartition('.')[2] or 'f'}(…)` "
        "at the top of a file, not in a notebook, a lambda or another function; or take workers=1, this process alone.",
    )
    return f"{place}:{name}"


def load(target: str, folder: Path) -> Callable:
    """The function that a target names. A file is run up to its call of the sweep in this folder, or to its end.

    **Raises:** `ValueError` where there is none.
    """
    place, _, name = target.rpartition(":")
    require(place and name, f"a function is FILE.py:NAME or MODULE:NAME, not '{target}'.")
    token = _wanted.set(folder.absolute())
    try:
        module = _import_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
        function: Any = functools.reduce(getattr, name.split("."), module)
    except _Reached as reached:
        function = reached.function
        require(
            getattr(function, "__qualname__", "") == name,
            f"'{place}' sweeps another function than {name} in this folder.",
        )
    except (ImportError, AttributeError) as error:
        raise ValueError(f"there is no function '{target}': {error}.") from error
    finally:
        _wanted.reset(token)
    require(callable(function), f"'{target}' is not a function.")
    return function


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ImportError(f"there is no file '{path}'")
    spec = importlib.util.spec_from_file_location(_MAIN, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[_MAIN] = module
    spec.loader.exec_module(module)
    return module


def parts(function: Callable) -> dict[str, str]:
    """Digests of what decides on a function's values, by name: its code, and each thing that it refers to.

    Layout, comments and docstrings do not count, nor what a library computes. Of an object that may change as the
    function runs, such as a file or a counter of yours, the class counts.
    """
    plain = function if isinstance(function, FunctionType) else inspect.unwrap(function)
    return _parts(plain, ()) if isinstance(plain, FunctionType) else {"it": _seen(plain, ())}


def _parts(function: FunctionType, around: tuple[Any, ...]) -> dict[str, str]:
    around = (*around, function)
    held = {name: value for name, value in store.references(function).items() if value is not function}
    return {"its code": store.digest_of_code(function.__code__)} | {
        name: _seen(value, around) for name, value in held.items()
    }


def _seen(value: Any, around: tuple[Any, ...]) -> str:
    lasting = (
        callable(value) or dataclasses.is_dataclass(value) or isinstance(value, enum.Enum | ModuleType | jax.Array)
    )
    seen = value if lasting or not hasattr(value, "__dict__") else type(value)
    try:
        return store.digest(seen)
    except ValueError:
        # Something in it cannot be seen, such as a file; all else can.
        if any(seen is outer for outer in around):
            return "itself"
        if isinstance(seen, FunctionType):
            return store.digest(_parts(seen, around))
        if not isinstance(seen, type):
            return _seen(type(seen), around)
        return store.digest({name: _seen(part, (*around, seen)) for name, part in store.own_parts(seen).items()})


def difference(mine: dict[str, str], other: dict[str, str]) -> str:
    """What has changed, in words; empty where nothing has."""
    changed = [name for name in (*mine, *other) if mine.get(name) != other.get(name)]
    return changed[0] if changed else ""
