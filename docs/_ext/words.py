"""Docstrings as Markdown: what is meant as a sign, as in W*μ, is not read as markup."""

import inspect
import re

_CODE = re.compile(r"(```.*?```|`[^`]*`)", re.DOTALL)
_SIGNS = re.compile(r"(?<!\*)\*(?!\*)|[_<$\[\]~^{}|]")


def markdown(value) -> str:
    """The docstring of a value, with the signs of its prose escaped."""
    return escaped(inspect.getdoc(value) or "")


def escaped(text: str) -> str:
    blocks, code = [], False
    for block in re.split(r"(\n\s*\n)", text):
        # An indented block is code; so is the next one, as long as it is indented as far.
        code = block.startswith("    ") and not block.lstrip().startswith("- ")
        blocks.append(block if code or not block.strip() else _prose(block))
    return "".join(blocks)


def _prose(block: str) -> str:
    parts = _CODE.split(block)
    text = "".join(part if part.startswith("`") else _SIGNS.sub(r"\\\g<0>", part) for part in parts)
    # A line of a formula that begins with a number and a bracket is no list.
    return re.sub(r"^(\s*\d+)([.)]) ", r"\1\\\2 ", text, flags=re.MULTILINE)
