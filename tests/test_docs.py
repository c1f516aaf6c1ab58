"""The pages say what is true: their code runs, errors are raised as they are written, public names are listed."""

import contextlib
import io
import re
import sys
from pathlib import Path

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import refusals

import mckean as mk

DOCS = Path(__file__).parent.parent / "docs"
sys.path.insert(0, str(DOCS / "_ext"))

import faces  # noqa: E402
import reference  # noqa: E402
import words  # noqa: E402

BLOCK = re.compile(r"^```(?:python|\{code-cell\} ipython3)\n(?!:)(.*?)^```$", re.DOTALL | re.MULTILINE)
PAGES = [path for path in sorted(DOCS.glob("*.md")) if path.stem != "errors" and BLOCK.search(path.read_text())]
WINGS = sorted((DOCS / "wings").glob("*.md"))


@pytest.mark.parametrize("path", [*PAGES, *WINGS], ids=lambda path: path.stem)
def test_the_code_of_a_page_runs(path):
    import matplotlib.pyplot as plt

    names: dict = {}
    with contextlib.redirect_stdout(io.StringIO()) as said:
        for code in BLOCK.findall(path.read_text()):
            exec(compile(code, path.name, "exec"), names)
    plt.close("all")
    assert not re.search(r"\bnan\b", said.getvalue()), "a page prints what is no number"


def test_what_is_said_here_in_the_place_of_other_packages_runs():
    circle, line = mk.Torus(1), mk.Euclidean(1)
    mu, nu = (mk.Gaussian(m, 1.0).sample(jax.random.key(i), 20) for i, m in enumerate((0.0, 0.5)))
    given = {
        "model": mk.catalogue.kuramoto().model, "cloud": mk.Particles(circle, mu.positions % 6), "mu": mu, "nu": nu,
        "key": jax.random.key(2), "path": mk.Brownian(jax.random.key(3)), "t0": 0.0, "t1": 0.2, "dt0": 0.1, "d": 2,
        "space": line, "length": 1.0, "b": lambda x, mu: -x, "sigma": lambda x, mu: 1.0 + x**2, "mk": mk,
        "positions": np.ones((5, 2)) / 2, "f": lambda x: jnp.exp(-(x[0] ** 2)), "grid": line.grid(20, -4.0, 4.0),
        "kernel": mk.kernels.Cosine(1.0), "diffrax": diffrax,
        "density": mk.Density.from_function(circle.grid(16), lambda x: 1 + 0 * x[0]),
    }  # fmt: skip
    lines = re.findall(r"`(mk\.[^`…]*\([^`…]*\)[^`…]*)`", (DOCS / "elsewhere.md").read_text())
    assert len(lines) >= 10
    for code in lines:
        eval(code, given)


def test_each_section_that_an_error_names_is_there():
    """That each section's code raises its sentence is seen by refusals.py, where no checker of types stands before."""
    source = Path(faces.mk.__file__).parent
    named = {name for path in source.rglob("*.py") for name in re.findall(r'\bsee="([^"]+)"', path.read_text())}
    titles = re.findall(r"^### (.+)$", refusals.PAGE, re.MULTILINE)
    assert named <= set(titles)
    assert titles == [title for title, _, _ in refusals.SECTION.findall(refusals.PAGE)]
    assert len(titles) >= 25


def test_each_public_name_stands_in_the_reference_once():
    text = "".join(text for _, text in reference.pages())
    listed = re.findall(r"^:{4,5}\{py:(?:class|function|data)\} (\w+)", text, re.MULTILINE)
    spaces = {"": faces.mk, **faces.namespaces()}
    values = {id(value): name for module in spaces.values() for name, value in faces.shown(module).items()}
    assert sorted(listed) == sorted(values.values())


def test_signs_of_mathematics_are_no_markup():
    assert words.escaped("V + W_s*μ and W*ρ, `a*b*c`, **not**") == "V + W\\_s\\*μ and W\\*ρ, `a*b*c`, **not**"
    assert words.escaped("F is\n\n    W*μ*ν\n\nand (2^p −\n1) or") == "F is\n\n    W*μ*ν\n\nand (2\\^p −\n1\\) or"


TEXTS = {path.stem: path.read_text() for path in [*DOCS.glob("*.md"), *WINGS]} | dict(reference.pages())


@pytest.mark.parametrize("name", TEXTS)
def test_names_that_a_page_writes_are_names(name):
    """Code in prose that begins with a namespace or a class of the library, `phases.ramps` or `mk.Density.sample`."""
    known, spaces = faces.names(), set(faces.namespaces())
    prose = re.sub(r"^```.*?^```", "", TEXTS[name], flags=re.DOTALL | re.MULTILINE)
    written = re.findall(r"`(?:mk\.|mckean\.)?([A-Za-z_]\w*\.\w[\w.]*)[^`]*`", prose)
    classes = {name for name in known if name[0].isupper()}
    mine = {name for name in written if name.partition(".")[0] in spaces | classes}
    attributes = {name for name in mine if name.rpartition(".")[0] in classes}
    unknown = {n for n in mine - attributes if n not in known and not n.endswith((".py", ".json", ".md"))}
    unknown |= {n for n in attributes - set(known) if not documented(n)}
    assert unknown == set()


def documented(name: str) -> bool:
    """Whether the words of the class have a line for this attribute."""
    owner, _, attribute = name.rpartition(".")
    return f"`{attribute}`" in (faces.value_of(faces.names()[owner]).__doc__ or "")
