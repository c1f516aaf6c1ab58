"""The public names, as a user writes them."""

import inspect
from collections import Counter
from functools import cache, cached_property

import mckean as mk

FUNCTIONS = (property, cached_property, classmethod, staticmethod, type(lambda: None))


def namespaces() -> dict[str, object]:
    """The namespaces of `mckean` by their names."""
    return {name: getattr(mk, name) for name in mk.__all__ if hasattr(getattr(mk, name), "__all__")}


def shown(module) -> dict[str, object]:
    """The names of a face that are no modules."""
    pairs = ((name, getattr(module, name)) for name in module.__all__ if not name.startswith("_"))
    return {name: value for name, value in pairs if not inspect.ismodule(value)}


@cache
def names() -> dict[str, str]:
    """Every way to write a public name, without `mckean.`, and the one under which it stands in the reference."""
    found, places = {}, {}
    for space, module in {"": mk, **namespaces()}.items():
        for name, value in shown(module).items():
            written = f"{space}.{name}".lstrip(".")
            found[written] = places.setdefault(id(value), written)
    for name in sorted(set(found.values())):
        found |= {f"{name}.{member}": f"{name}.{member}" for member in members(value_of(name))}
    found |= {space: space for space in namespaces()}
    # A class is known by its name alone, as no two have one.
    last = {name: name.rpartition(".")[2] for name in set(found.values())}
    alone = Counter(last.values())
    found |= {short: name for name, short in last.items() if short[0].isupper() and alone[short] == 1}
    return found


def value_of(name: str):
    value = mk
    for part in name.split("."):
        value = getattr(value, part)
    return value


def members(value) -> dict[str, object]:
    """The public methods and properties of a class that have words of this library."""
    found = {}
    for name in dir(value) if inspect.isclass(value) else ():
        part = inspect.getattr_static(value, name)
        if name.startswith("_") or not isinstance(part, FUNCTIONS) or not inspect.getdoc(getattr(value, name)):
            continue
        if any(name in vars(base) and base.__module__.startswith("mckean") for base in value.__mro__):
            found[name] = part
    return found


def parameters(value) -> str:
    """The signature without types, which the words say better."""
    if not callable(value):
        return ""
    try:
        signature = inspect.signature(value)
    except ValueError:
        return ""
    given = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values() if p.name != "self"]
    return str(signature.replace(parameters=given, return_annotation=inspect.Signature.empty))
