"""Prose with TeX between dollar signs, made into HTML with MathML, which browsers read without a script."""

import re
from html import escape

from latex2mathml.converter import convert
from latex2mathml.symbols_parser import convert_symbol

_COMMAND = re.compile(r"(\\[a-zA-Z]+) ?")
_MATH = re.compile(r"\$\$(?P<display>.+?)\$\$|(?<!\\)\$(?P<inline>.+?)(?<!\\)\$", re.DOTALL)

# What the converter renders wrongly or as old markup that browsers ignore, said in a way it renders well.
_REWORDED = (
    (re.compile(r"\\(?:mathrm|mathsf|textrm)\s*\{"), r"\\text{"),
    (re.compile(r"\\(?:mathrm|mathsf)\s+(\w)"), r"\\text{\1}"),
    (re.compile(r"\\(?:boldsymbol|bm)(?![a-zA-Z])"), r"\\mathbf"),
    (re.compile(r"\\mathscr(?![a-zA-Z])"), r"\\mathcal"),
    (re.compile(r"\\(math(?:bb|bf|cal|frak))\s+(\w)"), r"\\\1{\2}"),
    (re.compile(r"\{aligned\}"), "{align*}"),
)
_MENDED = (
    (re.compile(r' xmlns="[^"]*"'), ""),
    # Relations and brackets that it takes for letters would stand without their space.
    (re.compile(r"<mi>&#x0007E;</mi>"), "<mo>&#x0223C;</mo>"),
    (re.compile(r"<mi>(&#x02(?:2[2-9A-F]|A)[0-9A-F]{1,2};)</mi>"), r"<mo>\1</mo>"),
    (re.compile(r"<mi>(&#x027E[89];)</mi>"), r'<mo stretchy="false">\1</mo>'),
    (re.compile(r"negative(?:very)*thinmathspace"), "-0.167em"),
)

_FUNCTION = re.compile(
    r"(?P<before></(?:mi|mn|msu[bp]|msubsup|mfrac|msqrt)>)?<mi>(?P<name>[a-z]{2,})</mi>"
    r"(?P<open>(?:<mrow>)?<mo[^>]*>(?:\(|&#x00028;))?"
)


def mathml(tex: str, *, display: bool = False) -> str:
    """One formula as a MathML element; what cannot be converted is shown as its TeX source."""
    source = tex.strip()
    for pattern, replacement in _REWORDED:
        source = pattern.sub(replacement, source)
    try:
        markup = convert(source, display="block" if display else "inline")
    except Exception:  # the converter's errors have no common base, and a report is not lost for a formula
        markup = "\\"
    # The converter passes an unknown command on as an identifier, backslash and all.
    if "\\" in markup:
        return f'<code class="tex">{escape(tex)}</code>'
    for pattern, replacement in _MENDED:
        markup = pattern.sub(replacement, markup)
    return _FUNCTION.sub(_function, markup)


def inline(prose: str) -> str:
    """A piece of prose as HTML without paragraphs."""
    parts, end = [], 0
    for match in _MATH.finditer(prose):
        parts.append(_text(prose[end : match.start()]))
        parts.append(_formula(match))
        end = match.end()
    return "".join([*parts, _text(prose[end:])])


def paragraphs(prose: str) -> str:
    """Prose as HTML paragraphs, which blank lines separate; displayed formulas stand between them."""
    parts = (part.strip() for part in re.split(r"\n\s*\n|(\$\$.+?\$\$)", prose, flags=re.DOTALL) if part)
    return "\n".join(_block(part) for part in parts if part)


def plain(prose: str) -> str:
    """Prose where no formula can be shown: the dollar signs go, and signs stand for the commands that have one."""
    return _COMMAND.sub(_sign, re.sub(r"(?<!\\)\$+", "", prose)).replace(r"\$", "$")


def _sign(match: re.Match[str]) -> str:
    """The sign of a command; the command itself where it has none."""
    code = convert_symbol(match[1])
    return chr(int(code, 16)) if code else match[0]


def _function(match: re.Match[str]) -> str:
    """The name of a function as an operator: x log x has a space on either side, x log(x) on the left."""
    left, right = "0.167em" if match["before"] else "0", "0" if match["open"] else "0.167em"
    name = f'<mo lspace="{left}" rspace="{right}">{match["name"]}</mo>'
    return f"{match['before'] or ''}{name}{match['open'] or ''}"


def _block(part: str) -> str:
    whole = _MATH.fullmatch(part)
    if whole and whole["display"]:
        pieces = "".join(mathml(piece, display=True) for piece in _pieces(whole["display"]))
        return f'<div class="display">{pieces}</div>'
    return f"<p>{inline(part)}</p>"


def _pieces(tex: str) -> list[str]:
    """A display parted at its wide spaces, so that a narrow page may set the pieces below one another."""
    found, depth = [""], 0
    for token in re.split(r"(\\qquad(?![a-zA-Z])|\\begin|\\end|\\left|\\right|(?<!\\)[{}])", tex):
        depth += (token in (r"\begin", r"\left", "{")) - (token in (r"\end", r"\right", "}"))
        found = [*found, ""] if token == r"\qquad" and depth == 0 else [*found[:-1], found[-1] + token]
    return [piece for piece in found if piece.strip()]


def _formula(match: re.Match[str]) -> str:
    return mathml(match["display"] or match["inline"], display=match["display"] is not None)


def _text(prose: str) -> str:
    return escape(prose.replace(r"\$", "$"))
