"""What is explored: a model whose parameters are free, from the catalogue, from a file, or as it is given."""

import importlib.util
import inspect
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp

from mckean.catalogue import MODELS, Entry
from mckean.checks import nearest, require
from mckean.models import Model

# A slider goes from a twentieth of the default to four times it.
_LEAST, _MOST = 0.05, 4.0
_BESIDE = 1.01


@dataclass(frozen=True)
class Parameter:
    """A number that a slider moves, between `low` and `high`.

    A parameter that is `fixed` is a size, an exponent or a width, by which programs differ: it is set at the start.
    """

    name: str
    default: float
    low: float
    high: float
    fixed: bool


@dataclass(frozen=True)
class Subject:
    """A model whose parameters are free: `make` is its constructor, which refuses by `ValueError`.

    `settings` are the arguments of the constructor that no slider can have: sizes, words, functions.
    """

    name: str
    parameters: Mapping[str, Parameter]
    make: Callable[..., Entry]
    settings: tuple[str, ...] = ()

    def entry(self, values: Mapping[str, float]) -> Entry:
        """The model with its facts at given parameters; the others are at their defaults."""
        given = {name: parameter.default for name, parameter in self.parameters.items()} | dict(values)
        return self.make(**given)


def subject(model: Any, chosen: Mapping[str, Any]) -> Subject:
    """A model with its parameters.

    **Arguments:**

    - `model`: a name of the catalogue, `FILE.py:name`, a `Model`, an `Entry`, or a function of numbers that returns one
      of the two.
    - `chosen`: what its constructor is given; a number that can be a slider's is where the slider starts.

    **Raises:** `ValueError` for anything else, and for what the constructor refuses.
    """
    name, found = _find(model)
    found = found.model if isinstance(found, Entry) and model is found else found
    if isinstance(found, Model):
        require(not chosen, "a model that is made has its parameters: give a function that makes it, or change them.")
        return _of_leaves(name, found)
    require(
        callable(found) and not isinstance(found, eqx.Module),
        f"the explorer takes one model: a name of the catalogue, FILE.py:name, a Model, or a function of numbers that "
        f"returns one, not a {type(found).__name__}.",
    )
    return _of_function(name, cast(Callable, found), dict(chosen))


def _find(model: Any) -> tuple[str, Any]:
    if not isinstance(model, str):
        return getattr(model, "__name__", "model"), model
    path, colon, name = model.rpartition(":")
    if colon and path.endswith(".py"):
        return name, _load(Path(path), name)
    return model, MODELS[nearest(model, MODELS, "model")]


def _load(path: Path, name: str) -> Any:
    """What a file calls by a name."""
    require(path.is_file(), f"there is no file '{path}'.")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    require(spec is not None and spec.loader is not None, f"'{path}' is not a file of Python.")
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    # Dataclasses and equinox look their module up as they are made.
    sys.modules.setdefault(path.stem, module)
    try:
        spec.loader.exec_module(module)  # type: ignore[union-attr]
    except Exception as error:
        raise ValueError(f"'{path}' does not run: {type(error).__name__}: {error}.") from error
    require(hasattr(module, name), f"'{path}' has nothing that is called '{name}'.")
    return getattr(module, name)


def _of_function(name: str, make: Callable, chosen: dict[str, Any]) -> Subject:
    free, rest, settings = {}, dict(chosen), []
    for key, one in inspect.signature(make).parameters.items():
        value = rest.get(key, one.default)
        if isinstance(value, tuple | list) and value and all(map(_is_number, value)):
            free |= {f"{key}[{index}]": float(number) for index, number in enumerate(rest.pop(key, value))}
        elif _is_number(value) and (isinstance(one.default, float) or one.annotation in (float, "float")):
            free[key] = float(rest.pop(key, value))
        else:
            settings.append(key)
            given = key in rest or one.default is not inspect.Parameter.empty
            require(given, f"the explorer must know '{key}' of {name}: give it a default, or --set {key}=….")

    def build(**values) -> Entry:
        try:
            made = make(**rest, **_grouped(values))
        except TypeError as error:
            raise ValueError(f"{name} cannot be made of {', '.join(rest | values)}: {error}.") from error
        made = Entry(made, {}) if isinstance(made, Model) else made
        require(isinstance(made, Entry), f"{name} must return one model, not a {type(made).__name__}.")
        return made

    start = build(**free).model
    fixed = {key: _differs(start, build, free, key) for key in free}
    parameters = {key: _parameter(key, value, fixed[key]) for key, value in free.items()}
    return Subject(name, parameters, build, tuple(settings))


def _of_leaves(name: str, model: Model) -> Subject:
    """A model that is made: its parameters are the single numbers that it holds."""
    leaves, tree = jax.tree_util.tree_flatten_with_path(model)
    places = {}
    for index, (path, leaf) in enumerate(leaves):
        if eqx.is_inexact_array(leaf) and leaf.ndim == 0 and bool(jnp.isfinite(leaf)):
            places[jax.tree_util.keystr(path, simple=True, separator=".")] = index

    def build(**values) -> Entry:
        changed = [leaf for _, leaf in leaves]
        for key, value in values.items():
            changed[places[key]] = jnp.asarray(value, changed[places[key]].dtype)
        return Entry(jax.tree.unflatten(tree, changed), {})

    return Subject(name, {k: _parameter(k, float(leaves[i][1]), fixed=False) for k, i in places.items()}, build)


def _grouped(values: Mapping[str, float]) -> dict[str, Any]:
    """`a[0]`, `a[1]`, … as one tuple `a`; they are in order."""
    whole: dict[str, Any] = {}
    for key, value in values.items():
        name, bracket, _ = key.partition("[")
        whole[name] = (*whole.get(name, ()), value) if bracket else value
    return whole


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _differs(start: Model, build: Callable[..., Entry], values: dict[str, float], key: str) -> bool:
    """Whether another value of a parameter gives a model that needs another program: at the slider's end, or near."""
    value = values[key]
    for other_value in (_ends(value)[1], value * _BESIDE, value / _BESIDE):
        try:
            other = build(**values | {key: other_value}).model
        except ValueError:
            continue
        return _structure(other) != _structure(start)
    return True


def _structure(model: Model) -> tuple:
    """What a program depends on: all that is no array, and the shapes of the arrays."""
    arrays, rest = eqx.partition(model, eqx.is_array)
    shapes = [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(arrays)]
    return jax.tree.leaves(rest), jax.tree.structure(arrays), shapes


def _parameter(name: str, value: float, fixed: bool) -> Parameter:
    low, high = _ends(value)
    return Parameter(name, value, low, high, fixed)


def _ends(value: float) -> tuple[float, float]:
    if value == 0:
        return 0.0, 2.0
    low, high = sorted((_LEAST * value, _MOST * value))
    return low, high
