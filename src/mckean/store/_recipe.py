"""A value as words and arrays, from which it is made again: classes and functions by name, and no program.

What is written here is JSON. A function or a class of yours is told from others by its code, and cannot be made again:
whoever goes on with it gives it once more.
"""

import dataclasses
import enum
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from mckean import collectives
from mckean.store._names import code_at, name_of, named, place_of
from mckean.store._strangers import Around, told
from mckean.store._strangers import held as holds

_PLAIN = (bool, int, str, type(None))
_NUMBERS = "biufc"


class Recipe:
    """The arrays of values that are taken apart, and what among them cannot be made again.

    **Attributes:**

    - `arrays`: NumPy's arrays, in the order in which they were met.
    - `strangers`: the names of functions and classes of yours.
    """

    def __init__(self):
        self.arrays: list[np.ndarray] = []
        self.strangers: list[str] = []

    def words(self, value: Any, around: Around = ()) -> Any:
        """A value as JSON holds it; an array is its number."""
        if type(value) in _PLAIN:
            return value
        if isinstance(value, float | complex) and not isinstance(value, np.generic):
            return {"number": repr(value)}
        for kind, write in _WRITERS:
            if isinstance(value, kind):
                return write(self, value, around)
        name = name_of(value) if callable(value) else None
        if name is not None:
            return {"name": name}
        if any(value is outer for outer in around):
            return {"again": next(i for i, outer in enumerate(reversed(around)) if value is outer)}
        if isinstance(value, Sequence) and name_of(type(value)):
            # A sequence of the library is equal to the tuple of what it holds.
            return {"tuple": self.all(value, around)}
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return self._record(value, (*around, value))
        return self._callable(value, (*around, value))

    def all(self, values: Iterable[Any], around: Around) -> list[Any]:
        """The words of several values."""
        return [self.words(value, around) for value in values]

    def hold(self, value: Any) -> int:
        """The number of an array, which is its own also where the same array stands twice: a copy tells nothing."""
        self.arrays.append(collectives.known(numbers_of(value)))
        return len(self.arrays) - 1

    def _record(self, value: Any, around: Around) -> dict[str, Any]:
        name, kind = name_of(type(value)), type(value)
        held = [field.name for field in dataclasses.fields(value) if hasattr(value, field.name)]
        fields = {field: self.words(getattr(value, field), around) for field in held}
        if name:
            return {"class": name, "fields": fields}
        more = {key: part for key, part in holds(value).items() if key not in fields}
        fields |= {key: self.words(part, around) for key, part in more.items()}
        return self._stranger(kind, around) | {"fields": fields}

    def kind(self, value: Any, plain: type, around: Around) -> dict[str, Any]:
        """The class of a tuple, a list or a dictionary that has one of its own; it is made again as a plain one."""
        if type(value) is plain or name_of(type(value)):
            return {}
        # Whoever reads it has no need of the class, which is no stranger then.
        count, of = len(self.strangers), self.words(type(value), around)
        del self.strangers[count:]
        return {"of": of}

    def _callable(self, value: Any, around: Around) -> dict[str, Any]:
        if isinstance(value, FunctionType) and not value.__dict__ and (place := place_of(value)):
            cells = [_cell(cell) for cell in value.__closure__ or ()]
            return {"function": place, "cells": [self.all(cell, around) for cell in cells], "defaults": [
                self.words(value.__defaults__, around), self.words(value.__kwdefaults__, around)]}  # fmt: skip
        return self._stranger(value, around)

    def _stranger(self, value: Any, around: Around) -> dict[str, Any]:
        name, parts = told(value, around)
        self.strangers.append(name)
        return {"yours": name, "told": self.words(parts, around)}


def numbers_of(array: Any) -> Any:
    """An array, a random key as its numbers."""
    keyed = isinstance(array, jax.Array) and jnp.issubdtype(array.dtype, jax.dtypes.prng_key)
    return jax.random.key_data(array) if keyed else array


def _cell(cell: CellType) -> tuple[Any, ...]:
    try:
        return (cell.cell_contents,)
    except ValueError:  # not filled yet
        return ()


def _write_array(recipe: Recipe, value: jax.Array, around: Around) -> dict[str, Any]:
    if jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        return {"key": recipe.hold(value), "generator": str(jax.random.key_impl(value))}
    return {"array": recipe.hold(value)} | ({"weak": True} if value.weak_type else {})


def _write_numbers(recipe: Recipe, value: np.ndarray | np.generic, around: Around) -> dict[str, Any]:
    if isinstance(value, np.ma.MaskedArray):
        return recipe._stranger(value, around)
    if value.dtype.kind == "O":
        values = [recipe.all(np.ravel(value).tolist(), around)]
        return {"objects": list(np.shape(value)), "values": values[0]}
    return {"numbers": recipe.hold(value), "scalar": isinstance(value, np.generic)}


def _write_dict(recipe: Recipe, value: Mapping[Any, Any], around: Around) -> dict[str, Any]:
    return {"dict": [recipe.all(pair, around) for pair in value.items()]} | recipe.kind(value, dict, around)


def _write_enum(recipe: Recipe, value: enum.Enum, around: Around) -> dict[str, Any]:
    return {"member": value.name, "of": recipe.words(type(value), around)}


def _write_partial(recipe: Recipe, value: functools.partial, around: Around) -> dict[str, Any]:
    parts = recipe.all((value.func, value.args, value.keywords), (*around, value))
    return {"partial": parts, "tree": isinstance(value, jax.tree_util.Partial)}


def _write_method(recipe: Recipe, value: MethodType, around: Around) -> dict[str, Any]:
    name, around = value.__func__.__name__, (*around, value)
    said = {"method": name, "self": recipe.words(value.__self__, around)}
    # That of a parent, or one that was bound by hand, is not the object's own of this name.
    if getattr(getattr(value.__self__, name, None), "__func__", None) is value.__func__:
        return said
    recipe.strangers.append(name)
    return {"yours": name, "told": [said, recipe.words(value.__func__, around)]}


_WRITERS: Sequence[tuple[Any, Callable[[Recipe, Any, Around], Any]]] = (
    (jax.Array, _write_array),
    (np.ndarray | np.generic, _write_numbers),
    (np.dtype, lambda recipe, value, around: {"dtype": str(value) if value.kind == "V" else value.str}),
    # The numbers of a run are the same on any number of devices; particles that are not spread have other sums.
    (Mesh, lambda recipe, value, around: {"mesh": value.axis_names[0]}),
    (enum.Enum, _write_enum),
    (tuple, lambda recipe, value, around: {"tuple": recipe.all(value, around)} | recipe.kind(value, tuple, around)),
    (list, lambda recipe, value, around: {"list": recipe.all(value, around)} | recipe.kind(value, list, around)),
    (dict, _write_dict),
    (range, lambda recipe, value, around: {"range": [value.start, value.stop, value.step]}),
    (bytes, lambda recipe, value, around: {"bytes": value.hex()}),
    (ModuleType, lambda recipe, value, around: recipe._stranger(value, around)),
    (functools.partial, _write_partial),
    (MethodType, _write_method),
)


class StrangerError(ValueError):
    """A value that holds something of yours, which a folder cannot make again."""


def make(words: Any, arrays: Sequence[np.ndarray]) -> Any:
    """The value that a recipe's words say.

    **Arguments:**

    - `words`: what `Recipe.words` has returned.
    - `arrays`: the recipe's arrays.

    **Raises:** `StrangerError` for what holds a function or a class of yours; `ValueError` for a name that this version
    does not have, and for words that are not whole.
    """
    if not isinstance(words, dict):
        return words
    if "yours" in words:
        raise StrangerError(words["yours"])
    kind = next(iter(words), "")
    if kind not in _MAKERS:
        raise ValueError(f"the folder holds a '{kind}', which this version of mckean cannot read.")
    try:
        return _MAKERS[kind](words, arrays)
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"the folder holds a '{kind}' that is not whole.") from error


def _make_class(words: dict[str, Any], arrays: Sequence[np.ndarray]) -> Any:
    kind = named(words["class"])
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise ValueError(f"the folder names '{words['class']}', which is not a class of values.")
    # As JAX makes it of its leaves: it was checked when it was first made, and no code of a class runs.
    value = object.__new__(kind)
    for field in dataclasses.fields(kind):
        if field.name in words["fields"]:
            object.__setattr__(value, field.name, make(words["fields"][field.name], arrays))
    return value


def _make_function(words: dict[str, Any], arrays: Sequence[np.ndarray]) -> FunctionType:
    code, names = code_at(words["function"])
    cells = tuple(CellType(*(make(one, arrays) for one in cell)) for cell in words["cells"])
    defaults, keywords = (make(part, arrays) for part in words["defaults"])
    function = FunctionType(code, names, code.co_name, defaults, cells)
    function.__kwdefaults__ = keywords
    return function


def _make_array(words: dict[str, Any], arrays: Sequence[np.ndarray]) -> jax.Array:
    values = arrays[words["array"]]
    return weak(values) if words.get("weak") else device_array(values)


def device_array(values: np.ndarray) -> jax.Array:
    """NumPy's array as JAX's in its own precision, also where JAX's default is single."""
    with jax.enable_x64(True):
        return jax.device_put(values)


def weak(values: np.ndarray) -> jax.Array:
    """NumPy's array as JAX's, of a type that promotes nothing, as a parameter is."""
    with jax.enable_x64(values.dtype.itemsize > 4 * (1 + (values.dtype.kind == "c"))):
        entries = [jnp.asarray(entry)[None] for entry in np.ravel(values).tolist()]
        return jax.lax.concatenate(entries, 0).reshape(values.shape) if entries else jnp.asarray(values)


def _make_key(words: dict[str, Any], arrays: Sequence[np.ndarray]) -> jax.Array:
    return jax.random.wrap_key_data(jnp.asarray(arrays[words["key"]]), impl=words["generator"])


def _make_numbers(words: dict[str, Any], arrays: Sequence[np.ndarray]) -> Any:
    values = arrays[words["numbers"]]
    return values[()] if words["scalar"] else values


def _make_objects(words: dict[str, Any], arrays: Sequence[np.ndarray]) -> np.ndarray:
    made = np.empty(len(words["values"]), object)
    for index, value in enumerate(words["values"]):
        made[index] = make(value, arrays)
    return made.reshape(words["objects"])


def _make_partial(words: dict[str, Any], arrays: Sequence[np.ndarray]) -> functools.partial:
    function, arguments, keywords = (make(part, arrays) for part in words["partial"])
    kind = jax.tree_util.Partial if words["tree"] else functools.partial
    return kind(function, *arguments, **keywords)


def _make_number(words: dict[str, Any], arrays: Sequence[np.ndarray]) -> float | complex:
    text = words["number"]
    return complex(text) if "j" in text else float(text)


def _make_member(words: dict[str, Any], arrays: Sequence[np.ndarray]) -> enum.Enum:
    return make(words["of"], arrays)[words["member"]]


def _make_method(words: dict[str, Any], arrays: Sequence[np.ndarray]) -> Any:
    owner = make(words["self"], arrays)
    if not isinstance(owner, eqx.Module):
        raise ValueError("the folder names a method of something that is no value of mckean's.")
    return getattr(owner, words["method"])


_MAKERS: dict[str, Callable[[dict[str, Any], Sequence[np.ndarray]], Any]] = {
    "array": _make_array,
    "bytes": lambda words, arrays: bytes.fromhex(words["bytes"]),
    "class": _make_class,
    "dict": lambda words, arrays: {make(key, arrays): make(value, arrays) for key, value in words["dict"]},
    "dtype": lambda words, arrays: np.dtype(words["dtype"]),
    "function": _make_function,
    "key": _make_key,
    "list": lambda words, arrays: [make(part, arrays) for part in words["list"]],
    "member": _make_member,
    "method": _make_method,
    "mesh": lambda words, arrays: collectives.row_of(jax.devices()[:1]),
    "name": lambda words, arrays: named(words["name"]),
    "number": _make_number,
    "numbers": _make_numbers,
    "objects": _make_objects,
    "partial": _make_partial,
    "range": lambda words, arrays: range(*words["range"]),
    "tuple": lambda words, arrays: tuple(make(part, arrays) for part in words["tuple"]),
}
