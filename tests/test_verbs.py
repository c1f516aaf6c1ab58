"""Every verb of the wings on every kind of model: a result in numbers, or a refusal in one sentence."""

import inspect

import pytest
from outside import outcomes
from verbs import CALLS, OF_NUMBERS, VERBS

import mckean as mk


@pytest.fixture(scope="module")
def made():
    return outcomes("verbs")


@pytest.mark.parametrize("name", CALLS)
def test_it_is_right_or_refused_in_one_sentence(made, name):
    assert made[name]["kind"] != "inside", made[name]
    assert made[name].get("finite", True), made[name]


def test_every_verb_takes_part():
    wings = ("couplings", "environments", "energetics", "equilibrium", "phases", "games")
    names = {f"{wing}.{name}": getattr(getattr(mk, wing), name) for wing in wings for name in dir(getattr(mk, wing))}
    assert {name for name, value in names.items() if not inspect.isclass(value)} == set(VERBS) | OF_NUMBERS
