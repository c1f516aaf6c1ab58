"""What tells functions and classes of yours from others: their code, and all that it refers to."""

import contextlib
import copyreg
import dataclasses
import dis
import functools
import hashlib
import importlib
import inspect
import sys
import sysconfig
from pathlib import Path
from types import CodeType, FunctionType, MemberDescriptorType, ModuleType
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
    if isinstance(value, slice):
        return "slice", [value.start, value.stop, value.step]
    if isinstance(value, set | frozenset) and all(map(_plain, value)):
        return type(value).__name__, sorted(map(repr, value))
    if isinstance(value, np.ma.MaskedArray):
        return "MaskedArray", [np.asarray(value), np.ma.getmaskarray(value)]
    # Your file has one name as a program, and another where a worker imports it.
    name = getattr(value, "__qualname__", type(value).__qualname__)
    module = sys.modules.get(str(getattr(value, "__module__", None)))
    if module is not None and _installed(module):
        # What is wrapped has the name of the one within, and what is made in a running program that program's module.
        its_own = functools.reduce(lambda at, part: getattr(at, part, None), name.split("."), module) is value
        if isinstance(value, type | FunctionType) and its_own:
            return f"{module.__name__}:{name}", "installed"
    if isinstance(value, FunctionType):
        return name, [digest_of_code(value.__code__), references(value)]
    if isinstance(value, type):
        kinds = [] if type(value) is type else [type(value)]
        return name, [kinds, list(value.__bases__), own_parts(value)]
    if callable(value) and hasattr(value, "__wrapped__"):
        return name, _wrapped(value)
    if callable(value) and (type(value).__module__ == "builtins" or not hasattr(value, "__dict__")):
        return name, _in_c(value, module)
    # What is written in C, as a file is, has more than Python sees.
    if hasattr(value, "__dict__") and any(isinstance(part, FunctionType) for part in vars(type(value)).values()):
        return name, [type(value), held(value)]
    raise ValueError(_UNSEEN.format(value))


_UNSEEN = (
    "a run or a result on disk is told from others by what it is made of, but nothing can be seen in {!r}: "
    "put its numbers into arrays, or into an equinox.Module."
)


def held(value: Any) -> dict[str, Any]:
    """What an object holds, also in slots; a property that is kept once it is known is no part of it."""
    found, kinds = {}, type(value).__mro__
    for name, part in [pair for kind in kinds for pair in vars(kind).items() if kind is not object]:
        if isinstance(part, MemberDescriptorType):
            with contextlib.suppress(AttributeError):
                found[name] = part.__get__(value)
    kept = {name for kind in kinds for name, part in vars(kind).items() if isinstance(part, functools.cached_property)}
    return found | {name: part for name, part in getattr(value, "__dict__", {}).items() if name not in kept}


def _wrapped(value: Any) -> list[Any]:
    """The function in a wrapper of a library, and the other ones that it holds: a derivative of one's own."""
    inner, parts = value.__wrapped__, getattr(value, "__dict__", {})
    others = {name: part for name, part in parts.items() if isinstance(part, FunctionType) and part is not inner}
    return [inner, others]


def _in_c(value: Any, module: ModuleType | None) -> Any:
    """What is written in C: of a method its object, of a module's function the name alone, of others how it is copied.

    **Raises:** `ValueError` where it cannot be copied.
    """
    owner = getattr(value, "__self__", None)
    if type(value).__module__ == "builtins":
        return "builtin" if owner is None or isinstance(owner, ModuleType) else ["method", owner]
    if module is not None and getattr(module, getattr(value, "__name__", ""), None) is value:
        return "installed"
    try:
        made = copyreg.dispatch_table.get(type(value), lambda one: one.__reduce_ex__(2))(value)
    except TypeError as error:
        raise ValueError(_UNSEEN.format(value)) from error
    return "installed" if isinstance(made, str) else list(made)


def references(function: FunctionType) -> dict[str, Any]:
    """What a function refers to by name: of its module, of the functions around it, defaults, and what it imports."""
    code, known = function.__code__, function.__globals__
    found = {name: known[name] for name in sorted(_looked_up(code, _GLOBALS)) if name in known}
    around = zip(code.co_freevars, function.__closure__ or (), strict=True)
    near = {name: cell.cell_contents for name, cell in around if _filled(cell)}
    given = function.__defaults__ or ()
    near |= dict(zip(code.co_varnames[code.co_argcount - len(given) : code.co_argcount], given, strict=True))
    near |= (function.__kwdefaults__ or {}) | _imported(code)
    # An inner function may ask for a name of the module that is also one of the outer function.
    found = {f"global {name}" if name in near else name: value for name, value in found.items()} | near
    return found | _asked(found, _looked_up(code, _ATTRIBUTES))


def _asked(found: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """What code asks of modules of yours, and of functions that have attributes: it may be set as the process runs."""
    asked = {
        f"{place}.{name}": vars(holder)[name]
        for place, holder in found.items()
        if isinstance(holder, FunctionType) or (isinstance(holder, ModuleType) and not _known(holder))
        for name in sorted(names & set(vars(holder)))
    }
    # A package may hold itself.
    before = set(map(id, found.values()))
    inner = {place: part for place, part in asked.items() if isinstance(part, ModuleType) and id(part) not in before}
    return asked | (_asked(inner, names) if inner else {})


def _imported(code: CodeType) -> dict[str, Any]:
    """The modules that code imports as it runs, which are not the same before and after its first run if not here."""
    found = {}
    for name in sorted(_looked_up(code, {"IMPORT_NAME"})):
        with contextlib.suppress(ImportError, ValueError):
            found[f"import {name}"] = importlib.import_module(name)
    for package in [one for one in found.values() if hasattr(one, "__path__") and not _known(one)]:
        for name in sorted(_looked_up(code, {"IMPORT_FROM"}) - set(vars(package))):
            with contextlib.suppress(ImportError):
                importlib.import_module(f"{package.__name__}.{name}")
    return found


def _filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False


def digest_of_code(code: CodeType) -> str:
    """A digest of what code does; where it is written and its docstring are no part of it.

    The names of its arguments are, by which it may be called.
    """
    given = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    parts: list[Any] = [code.co_code, code.co_names, code.co_argcount, code.co_flags & ~_HAS_DOCSTRING]
    parts += [given, code.co_kwonlyargcount, code.co_exceptiontable]
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
_ATTRIBUTES = {"LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM"}
# Set from Python 3.13 on.
_HAS_DOCSTRING = 1 << 26


def own_parts(kind: type) -> dict[str, Any]:
    """The functions and the defaults that a class writes itself; what Python adds to it tells nothing."""
    made = getattr(vars(kind).get("__dataclass_params__"), "init", False)
    kept = {key: part for key, part in vars(kind).items() if key not in _ADDED and not (made and key == "__init__")}
    found = {key: _peeled(part) for key, part in sorted(kept.items()) if _tells(key, part)}
    return found | {f"field {name}": said for name, said in _fields(kind).items() if said}


def _fields(kind: type) -> dict[str, dict[str, Any]]:
    """How a dataclass makes and converts its fields, where that is told."""
    found = {}
    for name, one in vars(kind).get("__dataclass_fields__", {}).items():
        said = {key: part for key, part in one.metadata.items() if callable(part) or _plain(part)}
        made = one.default_factory is not dataclasses.MISSING
        found[name] = said | ({"made by": one.default_factory} if made else {})
    return found


_ADDED = {
    "__annotations__", "__dataclass_fields__", "__dataclass_params__", "__dict__", "__doc__", "__eq__", "__hash__",
    "__match_args__", "__module__", "__replace__", "__repr__", "__weakref__", "__qualname__",
    "__firstlineno__", "__static_attributes__",
}  # fmt: skip


def _plain(part: Any) -> bool:
    return isinstance(part, bool | int | float | complex | str)


def _tells(key: str, part: Any) -> bool:
    """Whether a part of a class is one that its author wrote."""
    if callable(part) or isinstance(part, _DESCRIPTORS) or callable(getattr(part, "method", None)):
        return True
    if key.startswith("__"):
        return False
    constant = isinstance(part, tuple | list | dict | set | frozenset | np.ndarray | jax.Array)
    module = sys.modules.get(type(part).__module__)
    return _plain(part) or constant or (module is not None and not _known(module))


_DESCRIPTORS = (property, classmethod, staticmethod, functools.cached_property, functools.partialmethod)


def _peeled(part: Any) -> Any:
    """The functions within a property or a method, the members of a set in order."""
    if isinstance(part, set | frozenset):
        return sorted(map(repr, part))
    if isinstance(part, property):
        return part.fget
    if isinstance(part, classmethod | staticmethod):
        return part.__func__
    if isinstance(part, functools.cached_property):
        return part.func
    if isinstance(part, functools.partialmethod):
        return [part.func, part.args, part.keywords]
    inner = inspect.getattr_static(part, "method", None) if not isinstance(part, type) else None
    return inner if isinstance(inner, FunctionType) else part


def _known(module: ModuleType) -> bool:
    """Whether a module is installed, or one of this library: told by its name."""
    return _installed(module) or module.__name__.split(".")[0] == "mckean"


def _installed(module: ModuleType) -> bool:
    """Whether a module comes with Python or a package; that of a notebook or a shell has no file, and does not."""
    path, spec = getattr(module, "__file__", None), getattr(module, "__spec__", None)
    return getattr(spec, "origin", None) in {"built-in", "frozen"} if path is None else path.startswith(_INSTALLED)


def _source(name: str, path: str | None) -> str:
    """A module that is installed is its name; one of yours its file too, a package of yours all of its files."""
    if path is None or path.startswith(_INSTALLED) or name.split(".")[0] == "mckean":
        return name
    file = Path(path)
    files = sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]
    return hashlib.sha256(b"\0".join(one.read_bytes() for one in files)).hexdigest()
