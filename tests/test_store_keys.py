"""Keys see what makes other numbers: each pair here differs in one thing, and none of them may have one key."""

import dataclasses
import functools
import operator
import subprocess
import sys
import types
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import numpy as np
import pytest

from mckean.store import digest
from mckean.sweeps._function import parts

SETTINGS = types.ModuleType("settings_of_mine")
UNSEEN = np.random.default_rng(0)


def program(text: str, number: float):
    """What a program calls `f`, with its NUMBER."""
    names = {"__name__": "of_mine", **globals()}
    exec(text.replace("NUMBER", repr(number)), names)
    return names["f"]


def program_of(text: str) -> Callable[[float], object]:
    return functools.partial(program, text)


def times(number: float):
    """A decorator."""

    def decorate(function):
        @functools.wraps(function)
        def scaled(*given):
            return number * function(*given)

        return scaled

    return decorate


@dataclasses.dataclass
class Spring:
    k: float

    def __call__(self, x):
        return self.k * x


class Stiffer(Spring):
    def __init__(self, k, scale):
        self.k, self.scale = k, scale


class Slotted:
    __slots__ = ("k",)


class Holder(Slotted):
    def __init__(self, k):
        self.k = k

    def __call__(self, x):
        return self.k * x


def set_module(number):
    SETTINGS.K = number  # type: ignore[attr-defined]
    return lambda x: SETTINGS.K * x


def with_attribute(number):
    def f(x):
        return f.scale * x

    f.scale = number
    return f


def named_tuple(number):
    class Law(NamedTuple):
        a: float = 1.0

    Law.__call__ = lambda self, x: number * x
    return Law()


def derivative(number):
    energy = jax.custom_jvp(lambda x: x)
    energy.defjvp(lambda p, t: (p[0], number * t[0]))
    return energy


def of_class(body: str):
    """A function that makes an object of a class with this body."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return program_of(f"class A:\n{lines}    def __call__(self, x): return x\ndef f(x): return A()(x)")


PAIRS = {
    "a set module": set_module,
    "an attribute of a function": with_attribute,
    "a decorated function of a library": lambda s: times(s)(jax.numpy.sin),
    "a decorated method": of_class("@times(NUMBER)\ndef g(self, x): return x"),
    "a constant with an underscore": of_class("_w = np.array([NUMBER])"),
    "a set": of_class("w = {NUMBER}"),
    "a property that is kept": of_class("@functools.cached_property\ndef g(self): return NUMBER"),
    "a part of a method": of_class("g = functools.partialmethod(print, NUMBER)"),
    "how an object is made": of_class("def __init__(self): self.k = NUMBER"),
    "how a field is made": program_of(
        "@dataclasses.dataclass\nclass A:\n    k: list = dataclasses.field(default_factory=lambda: NUMBER)\n"
        "def f(x): return A().k"
    ),
    "how a field is converted": program_of(
        "class A(eqx.Module):\n    k: float = eqx.field(converter=lambda k: NUMBER * k)\ndef f(x): return A(x).k"
    ),
    "a derivative of one's own": derivative,
    "more than its fields": lambda s: Stiffer(1.0, s),
    "what is in slots": Holder,
    "a tuple that is a function": named_tuple,
    "an item": lambda s: operator.itemgetter(int(s)),
    "a table's method": lambda s: {0: s}.get,
    "an array's method": lambda s: np.array([s]).dot,
    "a method bound by hand": lambda s: types.MethodType(times(s)(lambda self, x: x), Spring(1.0)),
    "a table of several types": lambda s: np.zeros(1, [("a", "i4" if s == 2.0 else "f4")]),
    "a mask": lambda s: np.ma.array([1.0, 2.0], mask=[s == 2.0, False]),
    "a slice": lambda s: slice(int(s)),
    "a global beside one of the same name": program_of(
        "k = NUMBER\ndef f(x, k=1.0):\n    def g():\n        global k\n        return k\n    return g() * k * x"
    ),
    "names of arguments": lambda s: functools.partial(
        program(f"def f(x, {'a, b' if s == 2.0 else 'b, a'}): return {'a - b' if s == 2.0 else 'b - a'}", s),
        a=3.0, b=1.0,
    ),
    "where an error is caught": lambda s: program(
        "def f(x):\n    try:\n        y = 1 / x\n    except ZeroDivisionError:\n        y = 2\n    return y"
        if s == 2.0 else
        "def f(x):\n    y = 1 / x\n    try:\n        pass\n    except ZeroDivisionError:\n        y = 2\n    return y",
        s,
    ),
}  # fmt: skip


@pytest.mark.parametrize("make", PAIRS.values(), ids=PAIRS)
def test_no_two_have_one_key(make):
    assert digest(make(2.0)) == digest(make(2.0)) != digest(make(3.0))


def test_a_function_of_a_shell_or_a_notebook_is_told_by_its_code():
    """There the program has no file."""
    found = set()
    for number in (2, 3):
        text = f"from mckean.store import digest\ndef f(x): return {number} * x\nprint(digest(f))"
        found.add(subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout)
    assert len(found) == 2


def beside_unseen(number):
    return program(f"def g(x): UNSEEN; return {number} * x\ndef f(x): return g(x)", number)


def class_beside_unseen(number):
    return program(f"class A:\n    def g(self): UNSEEN; return {number}\ndef f(x): return A().g()", number)


@pytest.mark.parametrize("make", [beside_unseen, class_beside_unseen, lambda s: times(s)(Spring(1.0).__call__)])
def test_a_sweep_sees_a_helper_beside_what_cannot_be_seen(make):
    assert parts(make(2.0)) == parts(make(2.0)) != parts(make(3.0))


def test_a_module_that_is_made_anew_is_another_one(tmp_path):
    """As a notebook does with a file that was changed."""
    import importlib

    sys.path.insert(0, str(tmp_path))
    try:
        (tmp_path / "made_anew.py").write_text("def g(x): return 2 * x")
        import made_anew  # type: ignore[import-not-found]

        def f(x):
            return made_anew.g(x)

        before = digest(f)
        (tmp_path / "made_anew.py").write_text("def g(x): return 3 * x + 0")
        importlib.reload(made_anew)
        assert digest(f) != before
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop("made_anew", None)


def test_a_property_that_is_known_changes_no_key():
    class Law(eqx.Module):
        k: float

        @functools.cached_property
        def square(self):
            return self.k**2

    plain = program("class A:\n    k = NUMBER\n    @functools.cached_property\n    def g(self): return 1\n"
                    "    def __call__(self, x): return self.g\nf = A()", 2.0)  # fmt: skip
    for one, use in ((Law(2.0), lambda law: law.square), (plain, lambda law: law(1.0))):
        before = digest(one)
        use(one)
        assert digest(one) == before
