"""Bad inputs over the public API, from outside: each is refused at the call, in one sentence that names the fault."""

import re
from functools import reduce

import pytest
from inputs import CALLS, REFUSED
from not_asked import NOT_ASKED
from outside import outcomes
from test_house import public
from verbs import VERBS

import mckean as mk

WORDS = {f"{function}: {name}": words for function, cases in REFUSED.items() for name, (_, words) in cases.items()}


@pytest.fixture(scope="module")
def made():
    return outcomes("inputs")


@pytest.mark.parametrize("name", CALLS)
def test_it_is_refused_in_one_sentence(made, name):
    assert made[name]["kind"] == "refused", made[name]
    words = WORDS[name] if "|" in WORDS[name] else re.escape(WORDS[name])
    assert re.search(words, made[name]["said"]), made[name]


def test_what_is_public_takes_part():
    """By what it is, not by its name: `mckean.Density` is `mckean.measures.Density`."""
    asked = {id(reduce(getattr, name.split("."), mk)) for name in (*REFUSED, *VERBS)}
    left = {name.removeprefix("mk.") for name, value in public().items() if id(value) not in asked}
    assert left == NOT_ASKED
