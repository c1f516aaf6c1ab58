"""The gallery: an example is short, says what it shows, has one figure and an assertion, and uses public names."""

import ast
import re
import runpy
from functools import cache
from pathlib import Path

import matplotlib
import pytest

import mckean as mk

matplotlib.use("Agg")

HERE = Path(__file__).parent.parent
EXAMPLES = sorted((HERE / "examples").rglob("plot_*.py"))
# The projects are pages of their own, with rules of their own.
GALLERY = [path for path in EXAMPLES if path.parent.name != "projects"]
MOST = 40
# Of the levels, the energy, the phases and the practice, what compiles least.
RUN = (
    "levels/plot_energy.py",
    "energy/plot_gibbs_drift.py",
    "games/plot_three_equilibria.py",
    "practice/plot_resume.py",
)


def name(path):
    return str(path.relative_to(HERE / "examples"))


@cache
def tree(path):
    return ast.parse(path.read_text())


def lines_of_code(path):
    """Lines that hold code: neither empty, nor a comment, nor of the docstring."""
    text = path.read_text().splitlines()
    skipped = tree(path).body[0].end_lineno
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in text[skipped:])


def called(path):
    """Dotted names of what is called."""
    calls = (node.func for node in ast.walk(tree(path)) if isinstance(node, ast.Call))
    return [ast.unparse(function) for function in calls]


def test_there_are_forty():
    assert len(GALLERY) >= 40


def test_every_folder_has_a_header():
    assert all((folder / "GALLERY_HEADER.rst").exists() for folder in {path.parent for path in EXAMPLES})


@pytest.mark.parametrize("path", GALLERY, ids=name)
def test_an_example_has_its_parts(path):
    words = ast.get_docstring(tree(path))
    title, line, *rest = words.splitlines()
    assert title
    assert line == "=" * len(title)
    assert ".. math::" in words
    assert any(row.startswith("**Slides:**") for row in rest)
    assert lines_of_code(path) <= MOST
    assert any(isinstance(node, ast.Assert) for node in ast.walk(tree(path)))
    assert called(path).count("plt.subplots") <= 1
    assert "plt.figure" not in called(path)
    assert any(f.startswith("mk.plot.") for f in called(path))
    assert called(path).count("plt.show") == 1
    *_, last = re.split(r"^# %%$", path.read_text(), flags=re.MULTILINE)
    assert re.match(r"\n# Change ``", last)
    assert all(row.startswith("#") for row in last.strip().splitlines())


@pytest.mark.parametrize("path", GALLERY, ids=name)
def test_an_example_uses_public_names(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom):
            assert not node.module.startswith("mckean")
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith("mckean.") for alias in node.names)
        if isinstance(node, ast.Attribute):
            assert not node.attr.startswith("_")
            first, *names = ast.unparse(node).split(".")
            if first == "mk" and all(map(str.isidentifier, names)):
                owner = mk
                for one in names:
                    assert not isinstance(owner, type(mk)) or one in dir(owner), f"{ast.unparse(node)} is not public"
                    owner = getattr(owner, one)


def test_every_model_of_the_catalogue_is_shown():
    text = "\n".join(path.read_text() for path in EXAMPLES)
    assert [model for model in mk.catalogue.MODELS if not re.search(rf"catalogue\.{model}\(|\"{model}\"", text)] == []


def test_every_slide_of_the_talk_is_shown():
    """And no example names a slide that is not there."""
    rows = re.findall(r"^\| ([^|]*?) \|", (HERE / "docs" / "slides.md").read_text(), re.MULTILINE)
    slides = {row.removesuffix(" (not on the slides)") for row in rows} - {"slide", "---"}
    shown = {}
    for path in GALLERY:
        named = re.search(r"^\*\*Slides:\*\* (.*)$", ast.get_docstring(tree(path)), re.MULTILINE).group(1)
        shown |= {slide.strip(): path for slide in named.split(";")}
    assert set(shown) == slides


@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive")
@pytest.mark.parametrize("short", RUN)
def test_an_example_runs(short):
    import matplotlib.pyplot as plt

    runpy.run_path(str(HERE / "examples" / short), run_name="__main__")
    figures = plt.get_fignums()
    plt.close("all")
    assert len(figures) == 1
