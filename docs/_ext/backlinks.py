"""Which scripts of the gallery use a public name."""

import ast
from functools import cache
from pathlib import Path

import faces

FOLDER = Path(__file__).parent.parent.parent / "examples"
MOST = 6


def links(name: str) -> list[str]:
    """Links to the scripts that use a name, the shortest first."""
    return [f"[{title}](/gallery/{page}.rst)" for page, title in _users().get(name, ())[:MOST]]


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
