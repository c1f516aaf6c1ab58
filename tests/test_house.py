"""The house: abstract or final, no shadow, no circle, files and functions of a size, and words for every public name.

Each rule lists what breaks it.
"""

import ast
import importlib
import inspect
from collections.abc import Iterator
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest

import mckean as mk

ROOT = Path(mk.__file__).parent
LONGEST_FILE, LONGEST_FUNCTION = 400, 60
# What every class writes for itself.
MACHINERY = {"__init__", "__post_init__", "__check_init__"}
IDIOMS = (
    "as it likes",
    "at hand",
    "be had",
    "for what `",
    "for whatever",
    "is none",
    "is said",
    "said of",
    "says the same",
    "see the module",
    "that are none",
    "the default, for",
    "told",
    "where nothing is said",
)


@cache
def modules() -> dict[str, Path]:
    """The files of the package by the dotted names of their modules."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def nodes(module: str) -> list[ast.AST]:
    return list(ast.walk(ast.parse(modules()[module].read_text())))


@cache
def classes() -> dict[type, set[str]]:
    """Every class at the top of a module, with the methods and properties that its own text defines."""
    found = {}
    for module in modules():
        for node in nodes(module):
            value = (
                getattr(importlib.import_module(module), node.name, None) if isinstance(node, ast.ClassDef) else None
            )
            if inspect.isclass(value) and isinstance(node, ast.ClassDef):
                methods = {part.name for part in node.body if isinstance(part, ast.FunctionDef)}
                found[value] = methods - MACHINERY
    return found


def ancestors(one: type) -> list[type]:
    return [base for base in one.__mro__[1:] if base in classes()]


def parents_that_are_not_abstract() -> set[str]:
    parents = {base for one in classes() for base in ancestors(one)}
    return {base.__name__ for base in parents if not base.__name__.lstrip("_").startswith("Abstract")}


def concrete_methods_that_are_overridden() -> set[str]:
    return {
        f"{one.__name__}.{name}"
        for one, methods in classes().items()
        for base in ancestors(one)
        for name in methods & classes()[base] - getattr(base, "__abstractmethods__", frozenset())
    }


def modules_that_are_shadowed() -> set[str]:
    """Those whose name in their package stands for something else."""
    found = set()
    for module in modules():
        parent, _, name = module.rpartition(".")
        itself = importlib.import_module(module)
        if parent and getattr(importlib.import_module(parent), name) is not itself:
            found.add(module)
    return found


def import_circles() -> set[str]:
    """Also those by an import within a function, or for types alone."""
    graph = {module: set(imports(module)) for module in modules()}
    reach = {module: reachable(graph, module) for module in graph}
    circles = [{other for other in reach[module] if module in reach[other]} for module in graph]
    return {" ".join(sorted(circle)) for circle in circles if circle}


def imports(module: str) -> Iterator[str]:
    for node in nodes(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules())
        elif isinstance(node, ast.ImportFrom) and node.module in modules():
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in modules() else node.module


def reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    found, ahead = set(), [start]
    while ahead:
        new = graph[ahead.pop()] - found
        found |= new
        ahead.extend(new)
    return found


def files_that_are_long() -> set[str]:
    lengths = {module: len(path.read_text().splitlines()) for module, path in modules().items()}
    return {module for module, length in lengths.items() if length > LONGEST_FILE}


def functions_that_are_long() -> set[str]:
    return {
        f"{module}.{node.name}"
        for module in modules()
        for node in nodes(module)
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION
    }


def public_names_without_words() -> set[str]:
    """Without a sentence, or without the list of two arguments or more."""
    return {name for name, value in public().items() if not documented(value)}


def public() -> dict[str, object]:
    """The functions and classes of `mckean` and of its namespaces, by the names that a user writes."""
    shown = dict(names(mk))
    found = {f"mk.{name}": value for name, value in shown.items() if not inspect.ismodule(value)}
    for space, namespace in shown.items():
        if inspect.ismodule(namespace):
            found |= {f"mk.{space}.{name}": value for name, value in names(namespace)}
    return {name: value for name, value in found.items() if callable(value)}


def names(namespace: ModuleType) -> Iterator[tuple[str, object]]:
    yield from ((name, getattr(namespace, name)) for name in namespace.__all__)


def documented(value) -> bool:
    words = inspect.getdoc(value) or ""
    if inspect.isclass(value) and (inspect.isabstract(value) or "**Attributes:**" in words):
        return "." in words
    return "." in words and (len(inspect.signature(value).parameters) < 2 or "**Arguments:**" in words)


def public_words_that_are_idioms() -> set[str]:
    """Phrases of which a reader with English as a second language must think twice."""
    return {f"{name}: {idiom}" for name, value in public().items() for idiom in IDIOMS if idiom in words(value)}


def words(value) -> str:
    """The text of `help`, on one line: that of a class has those of its methods and properties."""
    parts = [value]
    if inspect.isclass(value):
        parts += [part for name, part in inspect.getmembers(value, has_words) if not name.startswith("_")]
    return " ".join(" ".join(inspect.getdoc(part) or "" for part in parts).split())


def has_words(part) -> bool:
    return inspect.isroutine(part) or isinstance(part, property | cached_property)


RULES = (
    parents_that_are_not_abstract,
    concrete_methods_that_are_overridden,
    modules_that_are_shadowed,
    import_circles,
    files_that_are_long,
    functions_that_are_long,
    public_names_without_words,
    public_words_that_are_idioms,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_nothing_breaks_the(rule):
    assert sorted(rule()) == []


def test_a_namespace_shows_its_names_only():
    for namespace in (mk, *(value for _, value in names(mk) if inspect.ismodule(value))):
        assert dir(namespace) == sorted(namespace.__all__)
        shown = {name: value for name, value in names(namespace) if inspect.ismodule(value)}
        assert not shown or namespace in (mk, mk.interactions)


def test_the_version_is_that_of_what_is_installed():
    assert mk.__version__ == metadata.version("mckean")


def test_an_observable_takes_two_arguments_and_its_maker_one():
    """So that each is refused in the place of the other; the list of each kind is in the docstring."""
    plain, made = mk.observables.__doc__.split("Made by a call")
    for name, function in names(mk.observables):
        kinds = [p.kind for p in inspect.signature(function).parameters.values()]
        positional = kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD)
        assert (positional == 2) == (f"`{name}`" in plain)
        assert (positional == 1) == (f"`{name}(" in made)
