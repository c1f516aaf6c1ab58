"""The wings: a question finds each name, states and schemes stay behind the face, and no name means two things."""

import ast
import inspect
import pathlib
import re
from collections import Counter

import pytest

import mckean as mk
from mckean.dynamics import AbstractScheme
from mckean.measures import AbstractMeasure

ROOT = pathlib.Path(mk.__file__).parent
WINGS = {
    name: getattr(mk, name) for name in ("couplings", "environments", "energetics", "equilibrium", "phases", "games")
}
FACES = {**WINGS, "statistics": mk.statistics, "plot": mk.plot, "sweeps": mk.sweeps}
# Their namespaces are always written: a kernel, a potential and a law of one name.
NAMESPACED = {"Gaussian", "Quadratic"}


def face(package) -> dict:
    return {n: v for n, v in vars(package).items() if not n.startswith("_") and not inspect.ismodule(v)}


@pytest.mark.parametrize("name", FACES)
def test_each_name_answers_a_question_and_each_answer_is_a_name(name):
    answers = set(re.findall(r"`(\w+)`", FACES[name].__doc__))
    assert answers == set(face(FACES[name]))


@pytest.mark.parametrize("name", WINGS)
def test_a_wing_has_few_names_and_no_states_or_schemes(name):
    assert 8 <= len(face(WINGS[name])) <= 19
    classes = [v for v in face(WINGS[name]).values() if inspect.isclass(v)]
    assert not [c for c in classes if issubclass(c, AbstractMeasure | AbstractScheme)]


@pytest.mark.parametrize("name", FACES)
def test_modules_are_private(name):
    modules = {path.stem for path in (ROOT / name).glob("*.py")} - {"__init__"}
    assert all(module.startswith("_") for module in modules)


def test_no_public_class_has_the_name_of_another():
    trees = [ast.parse(path.read_text()) for path in ROOT.rglob("*.py") if "talk" not in path.parts]
    names = Counter(node.name for tree in trees for node in tree.body if isinstance(node, ast.ClassDef))
    assert {n for n, count in names.items() if count > 1 and not n.startswith("_")} - NAMESPACED == set()
