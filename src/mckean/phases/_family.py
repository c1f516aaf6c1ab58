"""Models that differ in one parameter."""

from collections.abc import Callable
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp

from mckean.checks import refusal, require
from mckean.models import Model
from mckean.models.model import require_model


class ParameterFamily(eqx.Module):
    """The models that have p, or p times what it is, in the place of one leaf."""

    model: Model
    place: int = eqx.field(static=True)

    def __call__(self, p: Any) -> Model:
        leaves, tree = jax.tree.flatten(self.model)
        given = leaves[self.place]
        leaves[self.place] = p if given.ndim == 0 else p * given
        return jax.tree.unflatten(tree, leaves)


class FunctionFamily(eqx.Module):
    """The models that a function makes of p, traced: what its functions refer to is a parameter of the model, so that
    the models of all p share their programs."""

    function: Callable[[Any], Model]

    def __call__(self, p: Any) -> Model:
        try:
            return _made(self.function, jnp.asarray(p, float))
        except Exception as error:
            raise refusal(
                "the model cannot be built from a parameter that JAX traces: place W before, "
                "W = mckean.interactions.place(kernel, space), and let β be the parameter, or coefficients of a "
                "series.",
                see="A model of a parameter that JAX traces",
            ) from error


@eqx.filter_jit
def _made(function: Callable[[Any], Model], p: Any) -> Model:
    return function(p)


def family(model_of: Any) -> Callable[[Any], Model]:
    """The model for a parameter, of a function, or of a model and the name of one of its leaves.

    **Raises:** `ValueError` for what is neither, and for a name that is no leaf, with those that are.
    """
    if not isinstance(model_of, tuple):
        if not callable(model_of) or isinstance(model_of, Model):
            raise ValueError(
                "a family of models is a function of the parameter, or a model and the name of a leaf: "
                '(model, "noise.beta").'
            )
        return FunctionFamily(cast(Callable[[Any], Model], model_of))
    require(len(model_of) == 2, "a family of models is a model and the name of one leaf, not more.")
    model, name = model_of
    require_model(model)
    leaves = jax.tree_util.tree_flatten_with_path(model)[0]
    names = [
        jax.tree_util.keystr(path, simple=True, separator=".") if eqx.is_inexact_array(leaf) else ""
        for path, leaf in leaves
    ]
    known = ", ".join(filter(None, names))
    require(name in filter(None, names), f"{name!r} is no parameter of the model: those that it has are {known}.")
    return ParameterFamily(model, names.index(name))
