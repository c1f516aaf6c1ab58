"""Particles in the memory of one state: the steps of Euler's method, and no second copy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mckean as mk
from mckean.dynamics import loop

PATH, DT, EPS = mk.Brownian(jax.random.key(0)), 1e-2, np.finfo(float).eps
CIRCLE, TORUS, PLANE = mk.Torus(1), mk.Torus(2), mk.Euclidean(2)
K = mk.kernels


def cloud(space, n=512, dtype="float64"):
    return mk.Particles(space, 1.0 + jax.random.normal(jax.random.key(1), (n, space.dim), dtype))


def shaken(space):
    return mk.langevin(
        space, lambda x: jnp.cos(x[0]), lambda z: jnp.exp(jnp.cos(z[0]) + jnp.cos(z[1])), common=mk.Additive(0.3)
    )


@pytest.mark.parametrize(
    ("model", "space", "tolerance"),
    [
        (mk.langevin(CIRCLE, interaction=K.Cosine(2.0)), CIRCLE, 0.0),
        # A series that is cut where its coefficients are 1e-12 or so of the largest.
        (shaken(TORUS), TORUS, 1e-11),
        (mk.langevin(PLANE, lambda x: x @ x / 2, K.Quadratic(2.0)), PLANE, 0.0),
    ],
    ids=["one mode", "many modes", "mean"],
)
def test_it_is_eulers_method(model, space, tolerance):
    """Ten steps, each with some roundings of positions of size 2π; without the force they would be off by 1e-2."""
    start = cloud(space)
    known = mk.evolve(model, start, until=10 * DT, dt=DT, path=PATH)
    found = mk.evolve(model, cloud(space), until=10 * DT, dt=DT, path=PATH, scheme=mk.InPlace(16))
    off = np.abs(np.exp(1j * np.asarray(known.final.positions)) - np.exp(1j * np.asarray(found.final.positions)))
    assert off.max() <= 10 * 16 * 2 * np.pi * EPS + tolerance


def test_the_peak_is_below_one_state_and_a_third(monkeypatch):
    """As XLA plans it: the state, which is the memory of the start, and what comes beside it; a copy would make 2."""
    sizes, go, n = [], loop._advance_in_place, 1 << 18

    def spy(*arguments):
        plan = go.lower(*arguments).compile().compiled.memory_analysis()
        sizes.append((plan.argument_size_in_bytes - plan.alias_size_in_bytes, plan.temp_size_in_bytes))
        return go(*arguments)

    monkeypatch.setattr(loop, "_advance_in_place", spy)
    start = cloud(CIRCLE, n, "float32")
    model = mk.langevin(CIRCLE, interaction=K.Cosine(2.0))
    mk.evolve(model, start, until=DT, dt=DT, path=PATH, scheme=mk.InPlace())
    assert start.positions.is_deleted()
    ((others, beside),) = sizes
    assert (4 * n + others + beside) / (4 * n) <= 1.3


REFUSED = {
    "a drift": (mk.Model(CIRCLE, drift=lambda x, mu: -x), mk.InPlace(), r"but no drift b and no other noise"),
    "a kernel of many numbers": (mk.langevin(PLANE, None, K.Gaussian(1.0)), mk.InPlace(), r"a W of few Fourier modes"),
    "blocks that do not divide": (
        mk.langevin(CIRCLE),
        mk.InPlace(7),
        r"512 particles on 1 devices cannot be moved in 7",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    model, scheme, words = REFUSED[name]
    with pytest.raises(ValueError, match=words):
        mk.evolve(model, cloud(model.space), until=DT, dt=DT, path=PATH, scheme=scheme)
