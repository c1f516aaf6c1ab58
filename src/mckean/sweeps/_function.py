"""A function of a sweep: by which name another process finds it, and what tells it from one that was changed."""

import ast
import dataclasses
import functools
import hashlib
import importlib
import importlib.util
import inspect
import json
import sys
import sysconfig
import textwrap
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mckean.checks import require
from mckean.interactions.functions import global_names, references

# The module as which a worker imports the file of a program: what stands under `if __name__ == "__main__"` is left out.
_MAIN = "__mckean_sweep__"
# What is the same for everyone who has the same versions: told by its name.
_LIBRARIES = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib"))

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

    Layout, comments and docstrings do not count. What an object of a class that is no dataclass holds is not seen, nor
    is what a library computes.
    """
    plain = inspect.unwrap(function)
    if not isinstance(plain, FunctionType):
        return {"it": _digest(_said(plain, ()))}
    found = {"its code": _digest(_code(plain))}
    return found | {name: _digest(_said(value, (plain,))) for name, value in _references(plain).items()}


def difference(mine: dict[str, str], other: dict[str, str]) -> str:
    """What has changed, in words; empty where nothing has."""
    changed = [name for name in (*mine, *other) if mine.get(name) != other.get(name)]
    return changed[0] if changed else ""


def _references(function: FunctionType) -> dict[str, Any]:
    """What a function refers to by name: globals, cells and defaults."""
    known = function.__globals__
    found = {name: known[name] for name in sorted(global_names(function.__code__)) if name in known}
    names = {"cell": function.__code__.co_freevars, "default": _with_defaults(function)}
    for (kind, place), value in references(function).items():
        found[names[kind][place] if kind in names else place] = value
    return found


def _with_defaults(function: FunctionType) -> tuple[str, ...]:
    code = function.__code__
    return code.co_varnames[code.co_argcount - len(function.__defaults__ or ()) : code.co_argcount]


def _code(value: Any) -> str:
    """The text of a function or a class, without its layout; of a lambda among others, its instructions."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(value)))
    except (OSError, TypeError, SyntaxError):
        return _instructions(value.__code__) if isinstance(value, FunctionType) else value.__qualname__
    if isinstance(value, FunctionType) and value.__name__ == "<lambda>":
        lambdas = [node for node in ast.walk(tree) if isinstance(node, ast.Lambda)]
        return ast.unparse(lambdas[0]) if len(lambdas) == 1 else _instructions(value.__code__)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def _instructions(code: CodeType) -> str:
    inner = [_instructions(part) if isinstance(part, CodeType) else repr(part) for part in code.co_consts]
    return repr((code.co_code, code.co_names, code.co_varnames, inner))


def _said(value: Any, around: tuple[Any, ...]) -> Any:
    """A value in plain terms, the same in every process: a number by its digits, an array by a digest, and so on."""
    if any(value is outer for outer in around):
        return "itself"
    around = (*around, value)
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        value = jax.random.key_data(value)
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        array = np.asarray(value)
        return [str(array.dtype), array.shape, hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()]
    if isinstance(value, dict):
        return [[repr(name), _said(part, around)] for name, part in value.items()]
    if isinstance(value, list | tuple):
        return [_said(part, around) for part in value]
    if isinstance(value, set | frozenset):
        return sorted(map(repr, value))
    if isinstance(value, functools.partial):
        return ["partial", _said(value.func, around), _said(value.args, around), _said(value.keywords, around)]
    value = inspect.unwrap(value) if callable(value) else value
    if isinstance(value, FunctionType | type):
        return _said_of_function(value, around)
    if dataclasses.is_dataclass(value):
        fields = [[field.name, _said(getattr(value, field.name, None), around)] for field in dataclasses.fields(value)]
        return [type(value).__qualname__, fields]
    if isinstance(value, ModuleType):
        return value.__name__
    return repr(value) if type(value).__module__ == "builtins" and not callable(value) else type(value).__qualname__


def _said_of_function(value: Any, around: tuple[Any, ...]) -> Any:
    file = getattr(sys.modules.get(value.__module__ or ""), "__file__", None) or ""
    library = (value.__module__ or "").partition(".")[0] in ("mckean", "builtins") or file.startswith(_LIBRARIES)
    if library:
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, type):
        return _code(value)
    return [_code(value), [[name, _said(part, around)] for name, part in _references(value).items()]]


def _digest(said: Any) -> str:
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]
