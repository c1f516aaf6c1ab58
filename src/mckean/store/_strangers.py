"""What tells functions and classes of yours from others: their code, and all that it refers to."""

import contextlib
import dis
import functools
import hashlib
import importlib
import inspect
import sys
import sysconfig
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import jax
import numpy as np

Around = tuple[Any, ...]
"""The values that hold the one in question, the innermost last: a function may refer to itself."""

_INSTALLED = tuple(str(Path(sysconfig.get_paths()[kind])) for kind in ("stdlib", "purelib", "platlib"))


def told(value: Any, around: Around) -> tuple[str, Any]:
    """The name of a function, a class or a module, and what tells it from others, as a value that a recipe can write.

    **Raises:** `ValueError` for an object in which nothing can be seen.
    """
    if isinstance(value, ModuleType):
        return value.__name__, _source(value.__name__, getattr(value, "__file__", None))
    # Your file has one name as a program, and another where a worker imports it.
    name = getattr(value, "__qualname__", type(value).__qualname__)
    module = sys.modules.get(str(getattr(value, "__module__", None)))
    if module is not None and _installed(module):
        name = f"{module.__name__}:{name}"
        if isinstance(value, type | FunctionType) and "<" not in name:
            return name, "installed"
    if isinstance(value, FunctionType):
        return name, _function(value)
    if isinstance(value, type):
        return name, [list(value.__bases__), [[key, _peeled(part)] for key, part in _own(value)]]
    if callable(value) and hasattr(value, "__wrapped__"):
        return name, value.__wrapped__
    if type(value).__module__ == "builtins" and callable(value):
        return name, "builtin"
    if module is not None and _installed(module) and callable(value) and not hasattr(value, "__dict__"):
        return name, "installed"
    # What is written in C, as a file is, has more than Python sees.
    if hasattr(value, "__dict__") and any(isinstance(part, FunctionType) for part in vars(type(value)).values()):
        return name, [type(value), vars(value)]
    raise ValueError(
        f"a run or a result on disk is told from others by what it is made of, but nothing can be seen in {value!r}: "
        "put its numbers into arrays, or into an equinox.Module."
    )


def _function(function: FunctionType) -> list[Any]:
    return [digest_of_code(function.__code__), references(function)]


def references(function: FunctionType) -> dict[str, Any]:
    """What a function refers to by name: of its module, of the functions around it, defaults, and what it imports."""
    code, known = function.__code__, function.__globals__
    found = {name: known[name] for name in sorted(_looked_up(code, _GLOBALS)) if name in known}
    around = zip(code.co_freevars, function.__closure__ or (), strict=True)
    found |= {name: cell.cell_contents for name, cell in around if _filled(cell)}
    given = function.__defaults__ or ()
    found |= dict(zip(code.co_varnames[code.co_argcount - len(given) : code.co_argcount], given, strict=True))
    return found | (function.__kwdefaults__ or {}) | _imported(code)


def _imported(code: CodeType) -> dict[str, Any]:
    """The modules that code imports as it runs, which are not the same before and after its first run if not here."""
    found = {}
    for name in sorted(_looked_up(code, {"IMPORT_NAME"})):
        with contextlib.suppress(ImportError, ValueError):
            found[f"import {name}"] = importlib.import_module(name)
    return found


def _filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False


def digest_of_code(code: CodeType) -> str:
    """A digest of what code does; where it is written and its docstring are no part of it."""
    parts: list[Any] = [code.co_code, code.co_names, code.co_argcount, code.co_flags & ~_HAS_DOCSTRING]
    for constant in _constants(code):
        inner = digest_of_code(constant) if isinstance(constant, CodeType) else constant
        # The order of a set differs from process to process.
        parts.append(sorted(map(repr, inner)) if isinstance(inner, frozenset) else repr(inner))
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _constants(code: CodeType) -> tuple[Any, ...]:
    """The constants of code. The first is the docstring, or None, where no instruction reads it."""
    read = any(step.opcode in dis.hasconst and step.arg == 0 for step in dis.get_instructions(code))
    return code.co_consts if read else (None, *code.co_consts[1:])


def _looked_up(code: CodeType, steps: set[str]) -> set[str]:
    """The names that code and the functions in it ask for by these instructions."""
    inner = [_looked_up(constant, steps) for constant in code.co_consts if isinstance(constant, CodeType)]
    return {step.argval for step in dis.get_instructions(code) if step.opname in steps}.union(*inner)


_GLOBALS = {"LOAD_GLOBAL", "LOAD_NAME"}
# Set from Python 3.13 on.
_HAS_DOCSTRING = 1 << 26


def _own(kind: type) -> list[tuple[str, Any]]:
    """The functions and the defaults that a class writes itself; what Python adds to it tells nothing."""
    kept = [(key, part) for key, part in vars(kind).items() if key not in _ADDED]
    return sorted(
        ((k, part) for k, part in kept if callable(_peeled(part)) or _plain(part) or _constant(k, part)),
        key=lambda pair: pair[0],
    )


_ADDED = {
    "__annotations__", "__dataclass_fields__", "__dataclass_params__", "__dict__", "__doc__", "__eq__", "__hash__",
    "__init__", "__match_args__", "__module__", "__replace__", "__repr__", "__weakref__", "__qualname__",
    "__firstlineno__", "__static_attributes__",
}  # fmt: skip


def _plain(part: Any) -> bool:
    return isinstance(part, bool | int | float | complex | str)


def _constant(key: str, part: Any) -> bool:
    return isinstance(part, tuple | list | dict | np.ndarray | jax.Array) and not key.startswith("_")


def _peeled(part: Any) -> Any:
    """The function within a property, a method or a wrapper."""
    for attribute in ("__func__", "fget", "method", "__wrapped__"):
        inner = inspect.getattr_static(part, attribute, None) if not isinstance(part, type) else None
        if isinstance(inner, FunctionType):
            return inner
    return part


def _installed(module: ModuleType) -> bool:
    path = getattr(module, "__file__", None)
    return path is None or str(path).startswith(_INSTALLED)


@functools.cache
def _source(name: str, path: str | None) -> str:
    """A module that is installed is its name; one of yours its file too, a package of yours all of its files."""
    if path is None or path.startswith(_INSTALLED) or name.split(".")[0] == "mckean":
        return name
    file = Path(path)
    files = sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]
    return hashlib.sha256(b"\0".join(one.read_bytes() for one in files)).hexdigest()
