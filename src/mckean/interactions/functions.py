"""Functions of the user's as parts of a pytree: what they close over is a parameter where it is traced, and two that
are written alike are one.

JAX compiles anew for each new function object. A `lambda` in a loop is one at each turn, though its code and what it
refers to are the same. Where all of that is immutable, the first such function stands for the later ones.
"""

import builtins
import dis
import functools
import sys
from collections.abc import Callable
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, ModuleType
from typing import Any

import equinox as eqx
import jax
import numpy as np

from mckean.checks import traced
from mckean.spaces import AbstractSpace

_MOST = 512
# Larger arrays are not compared.
_LARGEST = 1 << 16
_LIBRARIES = {"jax", "jaxlib", "numpy", "scipy", "equinox", "diffrax", "mckean", *sys.stdlib_module_names}


class Static(eqx.Module):
    """A plain callable inside a pytree."""

    function: Callable = eqx.field(static=True)

    def __call__(self, *arguments, **keywords):
        return self.function(*arguments, **keywords)


class Closure(eqx.Module):
    """A function that refers to traced values, which are its parameters.

    **Arguments:**

    - `function`: the function.
    - `places`: which of its cells and defaults hold them.
    - `values`: what stands there.
    """

    function: Any = eqx.field(static=True)
    places: tuple[tuple[str, Any], ...] = eqx.field(static=True)
    values: tuple[Any, ...]

    def __call__(self, *arguments, **keywords):
        held = references(self.function) | dict(zip(self.places, self.values, strict=True))
        return _with(self.function, held, self.function.__globals__)(*arguments, **keywords)


def as_module(function: Callable) -> Any:
    """A callable as part of a pytree: a module keeps its arrays as parameters, a function the traced values that it
    refers to, and any other callable is static.

    A function written anew with the same code, and the same immutable things to refer to, is the earlier one.
    """
    if isinstance(function, eqx.Module | jax.tree_util.Partial):
        return function
    opened = _opened(function, ())
    if opened is not function:
        return opened
    return Static(_first_alike(function) if isinstance(function, FunctionType) else function)


def references(function: FunctionType) -> dict[tuple[str, Any], Any]:
    """What a function refers to, but for the names of its module, by place."""
    held: dict[tuple[str, Any], Any] = {}
    for index, cell in enumerate(function.__closure__ or ()):
        try:
            held["cell", index] = cell.cell_contents
        except ValueError:  # not filled yet
            continue
    held |= {("default", index): value for index, value in enumerate(function.__defaults__ or ())}
    return held | {("keyword", name): value for name, value in (function.__kwdefaults__ or {}).items()}


def _with(function: FunctionType, held: dict[tuple[str, Any], Any], names: dict[str, Any]) -> FunctionType:
    """A copy of a function that refers to other things."""
    cells = [CellType(held["cell", i]) if ("cell", i) in held else c for i, c in enumerate(function.__closure__ or ())]
    defaults = tuple(held["default", index] for index in range(len(function.__defaults__ or ())))
    made = FunctionType(function.__code__, names, function.__name__, defaults, tuple(cells))
    made.__kwdefaults__ = {name: held["keyword", name] for name in function.__kwdefaults__ or {}}
    return made


def _opened(value: Any, around: tuple[Any, ...]) -> Any:
    """A function with its traced values as parameters; any other value, and a function without them, as it is."""
    if type(value) is functools.partial:
        function = _opened(value.func, around)
        known = function is value.func and not traced((value.args, value.keywords))
        return value if known else eqx.Partial(function, *value.args, **value.keywords)
    if not isinstance(value, FunctionType) or any(value is outer for outer in around):
        return value
    new = {}
    for place, content in references(value).items():
        opened = _opened(content, (*around, value))
        # A list is where values are gathered, of earlier calls too.
        if opened is not content or (traced(content) and not isinstance(content, list)):
            new[place] = opened
    return Closure(value, tuple(new), tuple(new.values())) if new else value


class _Unknown(Exception):
    """Something that may change, or cannot be compared."""


_known: dict[Any, FunctionType] = {}


def _first_alike(function: FunctionType) -> FunctionType:
    """The first function with this code and the same immutable things to refer to; else the function."""
    if _of_library(function) and not function.__closure__:
        return function
    try:
        key, frozen = _frozen(function, ())
    except _Unknown:
        return function
    # Chapters of the talk run in threads of one process.
    if key not in _known and len(_known) >= _MOST:
        _known.pop(next(iter(list(_known))), None)
    return _known.setdefault(key, frozen)


def _frozen(function: FunctionType, around: tuple[Any, ...]) -> tuple[Any, FunctionType]:
    """What tells a function from others, and a copy that no later assignment reaches.

    A cell is shared with the function around it, and a name with its module: either may hold something else when JAX
    calls the function again.
    """
    if function.__dict__ or any(function is outer for outer in around):
        raise _Unknown
    around = (*around, function)
    held = {place: _fixed(value, around) for place, value in references(function).items()}
    if sum(kind == "cell" for kind, _ in held) < len(function.__closure__ or ()):
        raise _Unknown
    known = function.__globals__
    if any(name not in known and not hasattr(builtins, name) for name in global_names(function.__code__)):
        # It is defined later, or never.
        raise _Unknown
    names = {name: _fixed(known[name], around) for name in _names(function.__code__) if name in known}
    # An attribute that its module imports when it is first asked for (`jnp.maximum`) looks for the builtins here.
    values = {"__name__": function.__module__, "__builtins__": builtins}
    values |= {name: value for name, (_, value) in names.items()}
    copy = _with(function, {place: value for place, (_, value) in held.items()}, values)
    keys = [(place, key) for place, (key, _) in held.items()], [(name, key) for name, (key, _) in names.items()]
    return (function.__code__, function.__module__, tuple(keys[0]), tuple(keys[1])), copy


def global_names(code: CodeType) -> set[str]:
    """The names that code and the functions in it look up in their module; `_names` has those of attributes too."""
    inner = [global_names(c) for c in code.co_consts if isinstance(c, CodeType)]
    return {i.argval for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL"}.union(*inner)


def _names(code: CodeType) -> list[str]:
    """The names that code and the functions in it may look up."""
    inner = [name for c in code.co_consts if isinstance(c, CodeType) for name in _names(c)]
    return sorted({*code.co_names, *inner})


def _fixed(value: Any, around: tuple[Any, ...]) -> tuple[Any, Any]:
    """What tells an immutable value from others, and the value. **Raises** `_Unknown` for any other value."""
    if value is None or isinstance(value, bool | int | str | bytes | np.dtype):
        return (type(value), value), value
    if isinstance(value, float | complex | np.generic):
        return (type(value), repr(value)), value
    if isinstance(value, tuple) and type(value) is tuple:
        parts = [_fixed(part, around) for part in value]
        return (tuple, tuple(key for key, _ in parts)), tuple(part for _, part in parts)
    if isinstance(value, jax.Array) and not traced(value) and value.dtype.kind in "biufc" and value.size <= _LARGEST:
        return ("array", value.dtype, value.shape, value.weak_type, np.asarray(value).tobytes()), value
    if isinstance(value, AbstractSpace):
        return ("space", value), value
    if isinstance(value, ModuleType) and value.__name__.partition(".")[0] in _LIBRARIES:
        return ("module", value.__name__), value
    if isinstance(value, FunctionType) and (value.__closure__ or not _of_library(value)):
        return _frozen(value, around)
    named = isinstance(value, FunctionType | BuiltinFunctionType | type | np.ufunc) or _is_jax(value)
    if named and _of_library(value):
        return ("library", id(value)), value
    raise _Unknown


def _is_jax(value: Any) -> bool:
    """Whether it is a function of JAX's own, such as jnp.cos."""
    return callable(value) and type(value).__module__.partition(".")[0] in {"jax", "jaxlib"}


def _of_library(value: Any) -> bool:
    return str(getattr(value, "__module__", None)).partition(".")[0] in _LIBRARIES
