"""What a folder may name: classes and functions of this library, and of those that it is built on.

A name that stands in a folder of a stranger is looked up here alone. No class is called to make its values, and no
function that is named touches a file.
"""

import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module, util
from types import CodeType, FunctionType
from typing import Any

_ROOMS = {
    "catalogue", "couplings", "dynamics", "energetics", "environments", "equilibrium", "faults", "games",
    "interactions", "measures", "models", "observables", "paths", "phases", "spaces", "statistics", "transport",
}  # fmt: skip
# The verbs that write; whoever is named cannot call for them.
_CLOSED = {"mckean.dynamics._evolve", "mckean.dynamics.stored", "mckean.dynamics._resume"}
_LIBRARIES = ("diffrax", "equinox", "lineax", "optimistix")
_JAX = ("jax.numpy", "jax.nn", "jax.lax", "jax.scipy.special", "jax.random")
_FILES = {"save", "savez", "load", "fromfile", "fromstring", "frompyfunc", "from_dlpack"}
_NAME = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def name_of(value: Any) -> str | None:
    """The name, "module:name", under which a module that may be named has this very value; None where none has it."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", getattr(value, "__name__", None))
    if not isinstance(module, str) or not isinstance(name, str):
        return None
    places = [f"{one}:{name}" for one in (_JAX if module.split(".")[0] in {"jax", "jaxlib"} else (module,))]
    return next((place for place in places if _look_up(place) is value), None)


def named(name: str) -> Any:
    """The value of a name. **Raises** `ValueError` where it is none that a folder may name."""
    value = _look_up(name)
    if value is None:
        raise ValueError(f"the folder names '{name}', which this version of mckean does not have.")
    return value


def place_of(function: FunctionType) -> str | None:
    """The place, "module:name#number", of a function that is written within another one of the library."""
    module, code = function.__module__, function.__code__
    if not isinstance(module, str) or not _may_hold_functions(module):
        return None
    alike = _codes(module).get(code.co_qualname, [])
    return next((f"{module}:{code.co_qualname}#{i}" for i, other in enumerate(alike) if other == code), None)


def code_at(place: str) -> tuple[CodeType, dict[str, Any]]:
    """The code at a place, and the names of its module. **Raises** `ValueError` where there is none."""
    module, _, rest = place.partition(":")
    name, _, number = rest.rpartition("#")
    alike = _codes(module).get(name, []) if _may_hold_functions(module) else []
    if not number.isdecimal() or int(number) >= len(alike):
        raise ValueError(f"the folder names '{place}', which this version of mckean does not have.")
    return alike[int(number)], vars(import_module(module))


def _look_up(name: str) -> Any:
    module, _, path = name.partition(":")
    if not _NAME.fullmatch(name) or not _may_be_named(module) or path in _FILES:
        return None
    try:
        value: Any = import_module(module)
        for part in path.split("."):
            value = getattr(value, part)
    except (ImportError, AttributeError):
        return None
    return value if _belongs(value, module, path) else None


def _belongs(value: Any, module: str, path: str) -> bool:
    """Whether a value may be named so: a module has others' names too, such as `os`, and libraries write files."""
    if module in _JAX:
        home = str(getattr(value, "__module__", None) or type(value).__module__)
        return "." not in path and callable(value) and home.split(".")[0] in {"jax", "jaxlib"}
    if getattr(value, "__module__", None) != module or getattr(value, "__qualname__", path) != path:
        return False
    return isinstance(value, type) or (callable(value) and module.startswith("mckean."))


def _may_be_named(module: str) -> bool:
    return module in _JAX or module.split(".")[0] in _LIBRARIES or _may_hold_functions(module)


def _may_hold_functions(module: str) -> bool:
    root, *inner = module.split(".")
    return root == "mckean" and bool(inner) and inner[0] in _ROOMS and module not in _CLOSED


@cache
def _codes(module: str) -> dict[str, list[CodeType]]:
    """All code in a module by name, read from its file and not run."""
    found: dict[str, list[CodeType]] = {}
    try:
        spec = util.find_spec(module)
    except ImportError:
        return found
    code = spec.loader.get_code(module) if spec and spec.loader and hasattr(spec.loader, "get_code") else None  # pyright: ignore[reportAttributeAccessIssue]
    for inner in _within(code) if code else ():
        found.setdefault(inner.co_qualname, []).append(inner)
    return found


def _within(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _within(constant)
