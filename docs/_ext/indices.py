"""Indices and powers in prose, X_i and N^{−1/2}, shown as such."""

import re

from docutils import nodes
from sphinx import addnodes

# One sign, or braces; two letters only for pairs of indices.
_INDEX = re.compile(r"(?<=[^\s_^])([_^])(ij|[^\W\d_]|\d+|[♯∞⊥]|\{(?:[^{}]|\{[^{}]*\})*\})")
_KINDS = {"_": nodes.subscript, "^": nodes.superscript}
_LEFT = (
    nodes.literal
    | nodes.FixedTextElement
    | nodes.math
    | nodes.math_block
    | nodes.title
    | nodes.raw
    | addnodes.desc_signature
)


def show(app, doctree) -> None:
    for text in list(doctree.findall(nodes.Text)):
        if _INDEX.search(text) and not _within(text):
            text.parent.replace(text, parts(text.astext()))


def parts(text: str) -> list[nodes.Node]:
    found, end = [], 0
    for match in _INDEX.finditer(text):
        if match.start() > end:
            found.append(nodes.Text(text[end : match.start()]))
        inner = match[2].removeprefix("{").removesuffix("}")
        found.append(_KINDS[match[1]]("", "", *parts(inner)))
        end = match.end()
    return [*found, nodes.Text(text[end:])] if text[end:] else found


def _within(node: nodes.Node) -> bool:
    """Whether a node is in what is shown as it is written."""
    while node is not None:
        if isinstance(node, _LEFT):
            return True
        node = node.parent
    return False


def setup(app):
    app.connect("doctree-read", show)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
