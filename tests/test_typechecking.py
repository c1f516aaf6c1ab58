"""What the tests rely on: shapes and types of the library's functions are checked in the process of a test."""

import importlib

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
import typechecking
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import TypeCheckError, install_import_hook

import mckean as mk
from mckean.interactions.sums import direct
from mckean.models.population import Among

REFUSED = (BeartypeCallHintViolation, TypeCheckError)
SAMPLE = """
import equinox as eqx
from jaxtyping import Array, Float


def pull(x: Float[Array, "n d"], w: Float[Array, " n"]) -> Float[Array, " d"]:
    return w @ x if x.shape[1] < 3 else w


@eqx.filter_jit
def compiled(x: Float[Array, "n d"], w: Float[Array, " n"]) -> Float[Array, " d"]:
    return w @ x


def outer(x):
    def inner(x: Float[Array, " n"]) -> float:
        return 1.0

    return inner(x)


class Cloud(eqx.Module):
    x: Float[Array, "n d"]
    w: Float[Array, " n"]

    def moved(self, by: Float[Array, " d"]) -> "Cloud":
        return Cloud(self.x + by, self.w)

    @property
    def mean(self) -> Float[Array, " d"]:
        return self.x

    @classmethod
    def at(cls, x: Float[Array, "n d"], w: Float[Array, " n"]) -> "Cloud":
        return eqx.tree_at(lambda c: c.w, cls(x, x[:, 0]), w)

    @staticmethod
    def size(x: Float[Array, "n d"]) -> int:
        return 1.5
"""
X, W = jnp.ones((3, 2)), jnp.ones(3)
CASES = {
    "a shape": lambda s: s.pull(X, jnp.ones(4)),
    "a type": lambda s: s.pull(X, "w"),
    "an array of integers": lambda s: s.pull(X, jnp.ones(3, int)),
    "a shape that is returned": lambda s: s.pull(jnp.ones((4, 3)), jnp.ones(4)),
    "a shape under jit": lambda s: s.compiled(X, jnp.ones(4)),
    "a type under jit": lambda s: s.compiled(X, "w"),
    "within a function": lambda s: s.outer(X),
    "a shape of a field": lambda s: s.Cloud(X, jnp.ones(4)),
    "a type of a field": lambda s: s.Cloud(X, 1.0),
    "a shape of a method": lambda s: s.Cloud(X, W).moved(X),
    "a property": lambda s: s.Cloud(X, W).mean,
    "a shape of a classmethod": lambda s: s.Cloud.at(X, jnp.ones(4)),
    "a type of a staticmethod": lambda s: s.Cloud.size(X),
}
LIBRARY = {
    "a shape": lambda: direct.force(mk.kernels.Cosine(1.0), mk.Torus(1), W[:, None], jnp.ones(4), W[:, None]),
    "a type": lambda: mk.Graph.sample("key", lambda u, v: 1.0, np.zeros(3)),
    "a method": lambda: mk.Gaussian(0.0, 1.0).log_density(jnp.zeros((2, 2))),
    "a field": lambda: Among(None, None, "interaction", W, W),
}  # fmt: skip


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample")
    (folder / "sample_of_types.py").write_text(SAMPLE)
    with pytest.MonkeyPatch.context() as patch, install_import_hook("sample_of_types", "typechecking.checker"):
        patch.syspath_prepend(folder)
        yield importlib.import_module("sample_of_types")


@pytest.mark.parametrize("name", CASES)
def test_what_does_not_fit_is_refused(sample, name):
    with pytest.raises(REFUSED):
        CASES[name](sample)


def test_what_fits_is_let_through(sample):
    assert sample.pull(X, W).shape == sample.compiled(X, W).shape == (2,)
    assert sample.outer(W) == 1
    assert isinstance(sample.Cloud(X, W).moved(jnp.ones(2)), eqx.Module)


@pytest.mark.parametrize("name", LIBRARY)
def test_the_library_is_checked(name):
    with pytest.raises(REFUSED):
        LIBRARY[name]()


def test_a_type_that_is_a_string_is_known_when_it_is_needed():
    @typechecking.checker
    def twice(x: "int") -> "Late":
        return Late() if x else 0

    class Late:
        pass

    with pytest.raises(REFUSED):
        twice("x")
