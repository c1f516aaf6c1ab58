"""Labels that fit: text broken into lines without breaking a formula."""

import re

_ATOM = re.compile(r"(?:\$[^$]*\$|\S)+")
_COMMAND = re.compile(r"\\[a-zA-Z]+")


def wrap(label: str, width: int) -> str:
    """`label` in lines of about `width` visible characters; a formula is never split."""
    lines, room = [[]], width
    for word in _ATOM.findall(label):
        length = _visible(word)
        if lines[-1] and length + 1 > room:
            lines.append([])
            room = width
        lines[-1].append(word)
        room -= length + 1
    return "\n".join(" ".join(line) for line in lines)


def _visible(word: str) -> int:
    """How many characters of a word will be seen: a TeX command is one sign, and its markup is none."""
    return len(re.sub(r"[${}_^\\]", "", _COMMAND.sub("x", word)))
