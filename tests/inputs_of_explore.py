"""Inputs that a user may well give to the explorer.

Each must be refused, with these words in the sentence.
"""

import base64
import json
import math
import zlib

import mckean as mk
from mckean import explore

MODEL = mk.langevin(mk.Torus(1), interaction=mk.kernels.Cosine(1.0))
SMALL = explore.Session("kuramoto", particles=7)


def state(**parts):
    """The text of a state with other parts."""
    text = explore.fragment(SMALL)
    document = json.loads(zlib.decompress(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))
    return base64.urlsafe_b64encode(zlib.compress(json.dumps(document | parts).encode())).decode().rstrip("=")


TOKENS = {"model": "toy_transformer", "parameters": {"dim": 10**12}}

REFUSED = {
    "explore.Session": {
        "an unknown model": (lambda: explore.Session("kuramotto"), "did you mean 'kuramoto'"),
        "no file": (lambda: explore.Session("mine.py:model"), "there is no file"),
        "a number": (lambda: explore.Session(3.0), "takes one model"),
        "a model that depends on time": (lambda: explore.Session(mk.Schedule(lambda t: MODEL)), "takes one model"),
        "a function that returns no model": (lambda: explore.Session(lambda: 3.0), "must return one model"),
        "a function of what is unknown": (lambda: explore.Session(lambda space: MODEL), "must know 'space'"),
        "parameters of a model that is made": (lambda: explore.Session(MODEL, {"beta": 1.0}), "has its parameters"),
        "no parameter of the model": (lambda: explore.Session("kuramoto", {"gamma": 1.0}), "gamma"),
        "a cold that is negative": (lambda: explore.Session("kuramoto", {"beta": -1.0}), "positive"),
        "no particles": (lambda: explore.Session(particles=0), "number of particles"),
        "too many particles": (lambda: explore.Session(particles=10**15), "GiB"),
        "no step": (lambda: explore.Session(dt=0.0), "dt must be positive"),
        "a step that is no number": (lambda: explore.Session(dt=math.nan), "dt must be positive"),
        "a seed that is negative": (lambda: explore.Session(seed=-1), "a seed is an integer"),
        "no steps": (lambda: SMALL.advance(0), "positive number of steps"),
        "an unknown parameter": (lambda: SMALL.set("gamma", 1.0), "there is no parameter"),
        "a parameter that is no number": (lambda: SMALL.set("beta", math.nan), "must be finite"),
        "an environment below nothing": (lambda: SMALL.set("environment", -1.0), "not negative"),
        "half a seed": (lambda: SMALL.redraw(0.5), "a seed is an integer"),
        "a halt of nothing": (lambda: SMALL.halt("all"), "'cloud' or 'limit'"),
    },
    "explore.code": {"of a model": (lambda: explore.code(MODEL), "asked of a Session")},
    "explore.fragment": {
        "of a model": (lambda: explore.fragment(MODEL), "asked of a Session"),
        "of a model without a name": (lambda: explore.fragment(explore.Session(MODEL, particles=7)), "with a name"),
    },
    "explore.restore": {
        "of nothing": (lambda: explore.restore(""), "no state"),
        "of a session": (lambda: explore.restore(SMALL), "no state"),
        "of another text": (lambda: explore.restore("eJwDAAAAAAE"), "no state"),
        "of a history without a verb": (lambda: explore.restore(state(events=[[0, [], 1]])), "no state"),
        "of another history": (lambda: explore.restore(state(events=[[0, "advance", 1]])), "no state"),
        "of more tokens than there is room": (lambda: explore.restore(state(**TOKENS)), "GiB"),
        "of another file": (lambda: explore.restore(state(model="other.py:model")), "start the explorer with it"),
    },
    "explore.record": {
        "of a model": (lambda: explore.record(MODEL, frames=2), "asked of a Session"),
        "no frames": (lambda: explore.record(SMALL, frames=0), "number of frames"),
        "no steps": (lambda: explore.record(SMALL, frames=1, steps=0), "number of steps"),
        "no particles": (lambda: explore.record(SMALL, frames=1, shown=0), "number of particles"),
    },
    "explore.player": {
        "of a session": (lambda: explore.player(SMALL, "run.html"), "frames that `record` returns"),
        "of bytes": (lambda: explore.player(b"run", "run.html"), "frames that `record` returns"),
    },
    "explore.serve": {
        "of a model": (lambda: explore.serve(MODEL), "asked of a Session"),
        "another port": (lambda: explore.serve(SMALL, port=10**6), "a port is an integer"),
    },
    "explore.widget": {"of a model": (lambda: explore.widget(MODEL), "asked of a Session")},
}
