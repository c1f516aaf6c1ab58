"""The reference: a page for each namespace, and for each room of `mckean`'s own names, written before Sphinx reads."""

import inspect
import re
from functools import cache
from pathlib import Path

import backlinks
import faces
from words import escaped, markdown

import mckean as mk

OWN = {
    "dynamics": "Runs and schemes",
    "store": "Runs on disk",
    "sweeps": "Sweeps",
    "models": "Models and noises",
    "spaces": "Spaces and grids",
    "paths": "Paths",
    "measures": "Measures",
    "transport": "Distances",
    "explore": "The explorer",
    "faults": "What can go wrong",
}


def write(app) -> None:
    folder = Path(app.srcdir) / "reference"
    folder.mkdir(exist_ok=True)
    texts = dict(pages())
    texts["index"] = _index(texts)
    for path in folder.glob("*.md"):
        if path.stem not in texts:
            path.unlink()
    for name, text in texts.items():
        path = folder / f"{name}.md"
        # A page that is as it was is not read again.
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def pages():
    """The pages by their names, as Markdown."""
    for room, names in _rooms().items():
        title = f"# {OWN.get(room, room.capitalize())}\n\n:::{{py:currentmodule}} mckean\n:::\n"
        yield f"mckean-{room}", title + "".join(_entry(name, name, mk) for name in names)
    for space, module in faces.namespaces().items():
        here = [name for name in faces.shown(module) if faces.names()[f"{space}.{name}"] == f"{space}.{name}"]
        title = f"# `mk.{space}`\n\n:::{{py:module}} mckean.{space}\n:::\n\n{escaped(inspect.getdoc(module) or '')}\n"
        yield space, title + "".join(_entry(name, f"{space}.{name}", module) for name in here)


@cache
def _rooms() -> dict[str, list[str]]:
    """`mckean`'s own names by the room that defines them."""
    found: dict[str, list[str]] = {}
    for name, value in faces.shown(mk).items():
        found.setdefault(value.__module__.split(".")[1], []).append(name)
    order = list(OWN)
    return dict(sorted(found.items(), key=lambda pair: order.index(pair[0]) if pair[0] in order else len(order)))


def _entry(name: str, written: str, module) -> str:
    value = getattr(module, name)
    if not callable(value):
        return f"\n::::{{py:data}} {name}\n{_data(value)}\n::::\n"
    kind = "class" if inspect.isclass(value) else "function"
    inner = "".join(_member(value, member, part) for member, part in faces.members(value).items())
    seen = "".join(f"- {link}\n" for link in backlinks.links(written))
    seen = f"\n**In the gallery:**\n\n{seen}" if seen else ""
    return f"\n:::::{{py:{kind}}} {name}{faces.parameters(value)}\n\n{markdown(value)}\n{seen}{inner}\n:::::\n"


def _member(value, name: str, part) -> str:
    bound = getattr(value, name)
    words = markdown(bound)
    if not inspect.isroutine(bound):
        return f"\n::::{{py:property}} {name}\n\n{words}\n::::\n"
    option = {classmethod: ":classmethod:\n", staticmethod: ":staticmethod:\n"}.get(type(part), "")
    return f"\n::::{{py:method}} {name}{faces.parameters(bound)}\n{option}\n{words}\n::::\n"


def _data(value) -> str:
    return f"\nThe names: {', '.join(f'`{key}`' for key in value)}.\n" if isinstance(value, dict) else ""


def _index(pages: dict[str, str]) -> str:
    own = [name for name in pages if name.startswith("mckean-")]
    rows = "".join(f"- {{doc}}`{name}`: {_brief(text)}\n" for name, text in pages.items())
    listed = "\n".join([*own, *(name for name in pages if name not in own)])
    return (
        "# Reference\n\n:::{py:module} mckean\n:::\n\nEvery public name. `import mckean as mk`; then names are written "
        f"as here.\n\n{rows}\n```{{toctree}}\n:hidden:\n\n{listed}\n```\n"
    )


def _brief(text: str) -> str:
    """The names of a page."""
    found = re.findall(r"^:{4,5}\{py:(?:class|function|data)\} (\w+)", text, re.MULTILINE)
    return ", ".join(f"`{name}`" for name in found)


def setup(app):
    app.connect("builder-inited", write, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
