"""Inputs of sweeps that a user may well give. Each must be refused, with these words in the sentence."""

import math
import pathlib
import tempfile

import jax
import sweeping

import mckean as mk

HOME = pathlib.Path(tempfile.mkdtemp())
KEY = jax.random.key(0)
(HOME / "other").mkdir()
(HOME / "other" / "thesis.tex").touch()
(HOME / "file").touch()


def sweep(table, f=lambda K: K, folder="new", **changes):
    return mk.sweep(f, table, HOME / folder, **changes)


ONE = {"K": [1.0]}
# By function: what must be refused, with words of the sentence.
REFUSED = {
    "sweep": {
        "no parameter": (lambda: sweep({}), "no parameter"),
        "a number for a folder": (lambda: mk.sweep(abs, ONE, 3), "`folder` takes the path of a folder, not 3"),  # pyright: ignore[reportArgumentType]
        "a number for a list": (lambda: sweep({"K": 1.0}), "write [1.0]"),
        "an empty list": (lambda: sweep({"K": []}), "has no value"),
        "a value twice": (lambda: sweep({"K": [1.0, 1.0]}), "has a value twice"),
        "a row twice": (lambda: sweep([{"K": 1.0}, {"K": 1.0}]), "two rows of the table are one cell, K = 1"),
        "rows of two kinds": (lambda: sweep([{"K": 1.0}, {"beta": 1.0}]), "row 1 of the table has the parameters beta"),
        "a number for a table": (lambda: sweep(3), "a dictionary of lists"),
        "no number": (lambda: sweep({"K": [math.nan]}), "not a finite number"),
        "numbers and words": (lambda: sweep({"K": [1.0, "one"]}), "numbers or words, not both"),
        "models": (lambda: sweep({"K": [mk.Torus(1)]}), "from which the function makes the rest"),
        "a name of the sweep's": (lambda: sweep({"folder": [1.0]}), "a meaning of its own"),
        "a name with a dash": (lambda: sweep({"K-1": [1.0]}), "named as an argument"),
        "a function of something else": (lambda: sweep(ONE, lambda beta: beta), "called with K by name"),
        "no function": (lambda: sweep(ONE, 1.0), "a function of the table's parameters"),
        "a key that f does not take": (lambda: sweep(ONE, key=KEY), "takes none"),
        "no key": (lambda: sweep(ONE, lambda K, key: K), "takes a key"),
        "a number for a key": (lambda: sweep(ONE, lambda K, key: K, key=3), "one typed key"),
        "no worker": (lambda: sweep(ONE, workers=0), "positive integer"),
        "a lambda for two workers": (lambda: sweep(ONE, workers=2), "at the top of a file"),
        "a folder of something else": (lambda: sweep(ONE, folder="other"), "holds no sweep"),
        "a file": (lambda: sweep(ONE, folder="file/s"), "is a file"),
    },
    "sweeps.join": {
        "no name": (lambda: mk.sweeps.join("study.py", HOME / "there"), "FILE.py:NAME"),
        "no file": (lambda: mk.sweeps.join("study.py:f", HOME / "there"), "there is no file"),
        "no such name": (lambda: mk.sweeps.join("sweeping:f", HOME / "there"), "there is no function 'sweeping:f'"),
        "another function": (lambda: mk.sweeps.join("sweeping:deadly", HOME / "there"), "another function"),
        "no sweep": (lambda: mk.sweeps.join("sweeping:scaled", HOME / "other"), "there is no sweep.json"),
    },
    "sweeps.open_sweep": {"no sweep": (lambda: mk.sweeps.open_sweep(HOME / "none"), "there is no sweep.json")},
    "sweeps.submit": {
        "no job": (
            lambda: mk.sweeps.submit(sweeping.scaled, ONE, HOME / "new", jobs=0),
            "called with|positive integer",
        ),
        "a lambda": (lambda: mk.sweeps.submit(lambda K: K, ONE, HOME / "new", jobs=1), "at the top of a file"),
        "another cluster": (
            lambda: mk.sweeps.submit(sweeping.scaled, ONE | {"beta": [1.0]}, HOME / "new", jobs=1, cluster="cloud"),
            "cluster is 'slurm' or 'local'",
        ),
    },
}
mk.sweep(sweeping.scaled, ONE | {"beta": [1.0]}, HOME / "there")
