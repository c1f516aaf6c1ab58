"""Which scripts of the gallery use a public name."""

import ast
import re
from functools import cache
from pathlib import Path

import faces

FOLDER = Path(__file__).parent.parent.parent / "examples"
MOST = 6


def links(name: str) -> list[str]:
    """Links to the scripts that use a name, the shortest first."""
    return [f"[{title}](/gallery/{page}.rst)" for page, title in _users().get(name, ())[:MOST]]


@cache
def of_slide(title: str) -> list[str]:
    """Links to the scripts that name a slide of the talk, on a line `**Slides:** one; another`."""
    found = []
    for path in sorted(FOLDER.rglob("*.py")):
        words = ast.get_docstring(ast.parse(path.read_text())) or path.stem
        named = re.search(r"^\*\*Slides?:\*\*((?:.|\n(?!\n))*)", words, re.MULTILINE)
        if named and title in [part.strip(" .") for part in " ".join(named[1].split()).split(";")]:
            page = path.relative_to(FOLDER).with_suffix("").as_posix()
            found.append(f"[{words.strip().splitlines()[0]}](/gallery/{page}.rst)")
    return found


@cache
def _users() -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for path in sorted(FOLDER.rglob("*.py"), key=lambda path: len(path.read_text())):
        tree = ast.parse(path.read_text())
        title = (ast.get_docstring(tree) or path.stem).strip().splitlines()[0]
        page = path.relative_to(FOLDER).with_suffix("").as_posix()
        for name in {faces.names().get(dotted) for dotted in _dotted(tree)} - {None}:
            found.setdefault(name, []).append((page, title))
    return found


def _dotted(tree: ast.Module) -> set[str]:
    """What stands after `mk.` in the script, whole and cut short."""
    found = set()
    for node in ast.walk(tree):
        written = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
        if written.startswith("mk."):
            found.add(written.removeprefix("mk."))
    return found
