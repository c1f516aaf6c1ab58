"""Tables that are made from the code and from what was measured: schemes by the tests' table, theorems by the talk.

Pages write them as `{schemes}`, `{catalogue}` and `{theorems}`, and they are made as the pages are read.
"""

import json
import re
from pathlib import Path

import backlinks
import diffrax
import schemes
from sphinx.util.docutils import SphinxDirective

import mckean as mk
from mckean.dynamics.labels import FamilyScheme

HERE = Path(__file__).resolve().parent.parent
MEASURED = HERE / "measured.json"

# What a step costs, and when to take the scheme: what the code does not say.
WORK = {
    "Euler": "1 force", "ItoMilstein": "1 force, 1 derivative of σ", "Heun": "2 forces", "Midpoint": "2 forces",
    "Ralston": "2 forces", "EulerHeun": "1 force, 2 σ", "StratonovichMilstein": "1 force, 1 derivative of σ",
    "Bosh3": "3 forces", "Tsit5": "6 forces", "Dopri5": "6 forces", "Dopri8": "13 forces",
    "GeodesicEuler": "1 force", "Moebius": "2 forces, 1 exact map", "Layers": "1 sum for each part",
    "BAOAB": "2 forces", "RandomBatch": "1 force among p particles", "Splitting": "8 FFTs of the phase grid",
    "Spectral": "4 fields, each with FFTs on 3/2 of the nodes", "Harmonics": "4 fields, each with a transform",
    "FiniteVolume implicit": "1 field, 1 tridiagonal solve a dimension", "FiniteVolume explicit": "2 fields",
    "FluxLimited": "2 fields, 2 parts for each cell that is crossed", "Moments": "6 small matrices",
}  # fmt: skip
WHEN = {
    "Euler": "the default for particles; Itô and additive noise", "ItoMilstein": "Itô noise σ(x), strong order 1",
    "Heun": "additive or Stratonovich noise; the ledger", "Midpoint": "as Heun", "Ralston": "as Heun",
    "EulerHeun": "Stratonovich noise, the cheapest", "StratonovichMilstein": "Stratonovich noise σ(x)",
    "Bosh3": "no noise", "Tsit5": "no noise, smooth forces", "Dopri5": "no noise, smooth forces",
    "Dopri8": "no noise, to rounding", "GeodesicEuler": "the sphere, Itô noise",
    "Moebius": "one common isotropic noise on a sphere: norms and cross-ratios are kept",
    "Layers": "a Transformer, layer by layer", "BAOAB": "velocities: the default; long runs and their averages",
    "RandomBatch": "kernels without a fast sum", "Splitting": "velocities, d = 1: the default for a density",
    "Spectral": "a smooth density on a torus: the default", "Harmonics": "a density on a sphere: the default",
    "FiniteVolume implicit": "a box: the default. Long times, steady states, the second law at any dt",
    "FiniteVolume explicit": "a box, accurate in time", "FluxLimited": "a rough density in a rough environment: ρ ≥ 0",
    "Moments": "linear–quadratic models: exact but for the time step",
}  # fmt: skip


class Table(SphinxDirective):
    """Markdown that a function makes, read in the place of the directive."""

    def run(self):
        text = self.make()
        for source in (schemes.__file__, __file__, MEASURED, HERE / "slides.md"):
            self.env.note_dependency(str(source))
        return self.parse_text_to_nodes(text, allow_section_headings=True)


class Schemes(Table):
    def make(self) -> str:
        rows: dict[str, tuple] = {}
        for entry in schemes.TABLE:
            if not isinstance(entry.scheme, FamilyScheme):
                name = scheme_name(entry.scheme)
                moves = rows.get(name, ({}, 0))[0]
                rows[name] = (moves | {held(entry.measure): None}, entry.order)
        lines = [
            f"| {code(name)} | {', '.join(moves)} | {order} | {calculus(name)} | {WORK[name]} | {WHEN[name]} |"
            for name, (moves, order) in rows.items()
        ]
        head = "| scheme | moves | order | calculus | work in a step | for |\n|" + " --- |" * 6
        return "\n".join([head, *lines])


class Catalogue(Table):
    def make(self) -> str:
        lines = []
        for name, make in mk.catalogue.MODELS.items():
            model = make().model
            first = (make.__doc__ or "").strip().splitlines()[0].split(":")[0].rstrip(".")
            lines.append(f"| `catalogue.{name}` | {cell(first)} | {model.space} |")
        return "\n".join(["| model | what it is | space |\n| --- | --- | --- |", *lines])


class Theorems(Table):
    def make(self) -> str:
        known = json.loads(MEASURED.read_text()) if MEASURED.exists() else {"claims": [], "made": ""}
        parts = [f"Numbers: {known['made']}\n" if known["made"] else "No number was recorded for this build.\n"]
        for line in (HERE / "slides.md").read_text().splitlines():
            if line.startswith("## "):
                parts.append(f"\n{line}\n")
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            if len(cells) == 5 and cells[0] != "slide" and not cells[0].startswith("---"):
                parts.append(theorem(cells, known["claims"]))
        return "\n".join(parts)


def theorem(cells: list[str], claims: list[dict]) -> str:
    title, equation, told, functions, slip = cells
    chapters = re.findall(r"\*(\w+)\*", told)
    rows = [claim for chapter in chapters for claim in claims if claim["chapter"] == chapter]
    lines = [f"\n### {title}\n", f"{equation}\n", f"Code: {functions}. Chapters: {told}.\n"]
    lines += [f"Slip of the slide: {slip}.\n"] if slip else []
    lines += [f"Gallery: {', '.join(shown)}.\n"] if (shown := backlinks.of_slide(title)) else []
    if rows:
        lines.append("| claim | predicted | measured | verdict |\n| --- | --- | --- | --- |")
        lines += [f"| {cell(c['statement'])} | {c['predicted']} | {c['measured']} | {c['verdict']} |" for c in rows]
    else:
        lines.append("Not measured in this build.")
    return "\n".join(lines) + "\n"


def cell(text: str) -> str:
    return text.replace("|", r"\vert " if "$" in text else r"\|")


def scheme_name(scheme) -> str:
    if isinstance(scheme, mk.ParticleScheme):
        return type(scheme.solver).__name__
    if isinstance(scheme, mk.FiniteVolume):
        return f"FiniteVolume {scheme.time}"
    return type(scheme).__name__


def code(name: str) -> str:
    if hasattr(diffrax, name):
        return f"`diffrax.{name}()`"
    return '`FiniteVolume(time="explicit")`' if name == "FiniteVolume explicit" else f"`{name.split()[0]}`"


def held(measure) -> str:
    grid = f" on a `{type(measure.grid).__name__}`" if isinstance(measure, mk.Density) else ""
    return f"`{type(measure).__name__}`{grid}"


def calculus(name: str) -> str:
    solver = getattr(diffrax, name, None)
    if solver is None:
        return FIXED.get(name.split()[0], "own: Itô; common: Stratonovich")
    found = [word for word, base in BASES.items() if issubclass(solver, base)]
    return ", ".join(found) or "no noise"


FIXED = {
    "GeodesicEuler": "Itô",
    "Layers": "Itô",
    "Moebius": "both",
    "RandomBatch": "that of its solver",
    "BAOAB": "Itô",
}
BASES = {"Itô": diffrax.AbstractItoSolver, "Stratonovich": diffrax.AbstractStratonovichSolver}


def setup(app):
    app.add_directive("schemes", Schemes)
    app.add_directive("catalogue", Catalogue)
    app.add_directive("theorems", Theorems)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
