"""Code in prose that is a public name becomes a link to the reference, on every page."""

import re

import faces
from docutils import nodes
from sphinx import addnodes

_CALL = re.compile(r"^((?:mk\.|mckean\.)?[\w.]+?)(?:\(.*\))?$", re.DOTALL)


def link(app, doctree) -> None:
    for literal in list(doctree.findall(nodes.literal)):
        target = _target(literal)
        if target:
            reference = addnodes.pending_xref(
                "", refdomain="py", reftype="obj", reftarget=f"mckean.{target}", refexplicit=True, refwarn=True
            )
            reference["refdoc"] = app.env.docname
            literal.replace_self(reference)
            reference += literal


def _target(literal: nodes.literal) -> str | None:
    match = _CALL.match(literal.astext())
    written = nodes.reference | addnodes.pending_xref | addnodes.desc_signature
    if not match or isinstance(literal.parent, written):
        return None
    text = match[1].removeprefix("mk.").removeprefix("mckean.")
    space, own = _place(literal)
    if own and text in re.findall(r"\w+", own[1]):
        return None
    tries = [f"{own[0]}.{text}"] if own else []
    tries += [f"{own[0].rpartition('.')[0]}.{text}"] if own else []
    tries += [f"{space}.{text}"] if space else []
    for name in [*tries, text]:
        target = faces.names().get(name.lstrip("."))
        if target:
            return None if own and target == own[0] else target
    return None


def _place(node) -> tuple[str, tuple[str, str] | None]:
    """The namespace of the page, and the name and the signature of the entry around a node."""
    space = ""
    document = node.document
    for index in document.findall(addnodes.index):
        for entry in index["entries"]:
            if entry[2].startswith("module-mckean."):
                space = entry[2].removeprefix("module-mckean.")
    while node is not None:
        if isinstance(node, addnodes.desc) and node.children:
            signature = node.children[0]
            name = (signature.get("module") or "mckean") + "." + signature.get("fullname", "")
            return space, (name.removeprefix("mckean").lstrip("."), signature.astext())
        node = node.parent
    return space, None


def setup(app):
    app.connect("doctree-read", link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
