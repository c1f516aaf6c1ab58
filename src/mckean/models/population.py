"""Particles that are not all alike: a model for each label, and how strongly the labels act on one another."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped

from mckean import interactions
from mckean.checks import array, require, require_arguments, traced
from mckean.interactions import FFT, AbstractField, Direct, Interaction
from mckean.interactions.functions import as_module
from mckean.interactions.kernels import FourierSeries
from mckean.measures import AbstractMeasure, Density, Particles, configuration
from mckean.models.model import Model, drift_at, require_model
from mckean.spaces import AbstractSpace, AbstractSphericalGrid, BoxGrid, TangentBundle

_AXIS = "label"


class Population(eqx.Module):
    """Particles with labels that do not move. A particle of label a obeys

        dX = (−∇V_a(X) − ∇W_a*μ^a(X) + b_a(X, μ^a)) dt + σ_a(X) dB,   μ^a = Σ_b w_b A(a, b) μ_b,

    μ_b the law, or the empirical measure, of the particles of label b. A label may be an own frequency, the number of a
    species or of a vertex of a graph, or a point of [0, 1]: then A is a matrix of couplings, or a graphon. In the limit
    the μ_a are densities, one for each label. `evolve` moves a `Family` of measures; a given A(a, b) of species is
    `lambda a, b: matrix[a, b]` with the labels 0, 1, ….

    **Arguments:**

    - `model`: a function of a label a that returns its `Model`, which JAX can trace, such as `lambda omega:
      Model(circle, interaction=Cosine(K), drift=lambda x, mu: omega + 0 * x)`. All labels have the same parts.
    - `labels`: the labels, numbers in an array of shape (m,), or of shape (m, l).
    - `coupling`: A, a number as a function of two labels; it may be negative, and need not be symmetric. Default: None,
      A = 1, all particles act alike.

    **Raises:** `ValueError` for what are no such functions or labels. In a run: for a common noise.
    """

    model: Any
    labels: Shaped[Array, "m *l"]
    coupling: Any

    def __init__(self, model: Callable, labels, coupling: Callable | None = None):
        form = type(model).__name__
        require(callable(model), f"a population is a function of a label, lambda a: langevin(…), not a {form}.")
        require_arguments("the model of a population", model, "a")
        known = traced(labels) or (np.asarray(labels).dtype.kind in "biuf" and np.all(np.isfinite(np.asarray(labels))))
        require(known, "labels are finite numbers: those of species are 0, 1, ….")
        labels = array(labels)
        require(labels.ndim in (1, 2) and labels.size > 0, f"labels have shape (m,) or (m, l), not {labels.shape}.")
        if coupling is not None:
            require(callable(coupling), "a coupling A is a function of two labels, such as lambda a, b: matrix[a, b].")
            require_arguments("a coupling A", coupling, "a", "b")
        self.model, self.labels = as_module(model), labels
        self.coupling = None if coupling is None else as_module(coupling)

    @property
    def initial(self) -> Model:
        """The model of the first label, at which a run is checked."""
        model = self.model(self.labels[0])
        require_model(model)
        require(not model.common, "the particles of a population have noise of their own, not a common one.")
        return model

    @property
    def space(self) -> AbstractSpace:
        """Where the particles live."""
        return self.initial.space


def over_labels(f: Callable, *trees: Any) -> Any:
    """f for all labels at once, of the parts of trees whose arrays have the label as their first axis."""
    each = eqx.filter_vmap(f, in_axes=eqx.if_array(0), out_axes=eqx.if_array(0), axis_name=_AXIS)
    return each(*trees)


def index_of_label() -> Array:
    """Which label it is, inside `over_labels`."""
    return jax.lax.axis_index(_AXIS)


def among(population: Population, label: Array, weight: Array) -> Model:
    """The model of a label inside `over_labels`, all other labels acting on it."""
    model = population.model(label)
    field = _Among(model.drift, model.interaction, population.coupling, label, weight)
    return eqx.tree_at(lambda m: (m.interaction, m.drift), model, (None, field), is_leaf=lambda v: v is None)


class _Among(AbstractField):
    """−∇W_a*μ^a + b_a(x, μ^a): of the other labels it knows nothing but their places in the vmapped axis."""

    drift: Any
    interaction: Interaction | None
    coupling: Any
    label: Array
    weight: Array

    def __call__(self, x: interactions.Points, mu: AbstractMeasure) -> Float[Array, "n d"]:
        acting = self._acting(mu)
        total = drift_at(self.drift, x, acting)
        return total if self.interaction is None else total + self._pull(self.interaction, acting, x)

    def _pull(self, interaction: Interaction, acting: AbstractMeasure, x: interactions.Points) -> Float[Array, "n d"]:
        """The velocity, on a tangent bundle the acceleration, that −∇W_a*μ^a gives to points."""
        space, rho = acting.domain, configuration(acting)
        here = space.position(interactions.at(x, acting)) if isinstance(space, TangentBundle) else x
        kernel = interaction.between(rho)
        # The mass of μ^a is not 1, which a sum by mean and variance relies on.
        if isinstance(kernel, FourierSeries) or isinstance(here, AbstractSphericalGrid):
            pull = interactions.force(interaction, rho, here)
        elif kernel.singular and isinstance(here, BoxGrid):
            # Between cells the potential is accurate, and the force of a cell on its neighbours is not.
            phi = FFT().potential(kernel, rho, here).reshape(here.shape)
            slopes = [jnp.ravel(jnp.asarray(jnp.gradient(phi, h, axis=axis))) for axis, h in enumerate(here.spacing)]
            pull = -jnp.stack(slopes, axis=-1)
        else:
            pull = Direct().force(kernel, rho, here)
        return space.join(jnp.zeros_like(pull), pull) if isinstance(space, TangentBundle) else pull

    def _acting(self, mu: AbstractMeasure) -> AbstractMeasure:
        """Σ_b w_b A(a, b) μ_b."""
        gather = lambda part: jax.lax.all_gather(part, _AXIS)  # noqa: E731
        row = gather(self.weight)
        if self.coupling is not None:
            row = row * jax.vmap(lambda b: self.coupling(self.label, b))(gather(self.label)).astype(row.dtype)
        if isinstance(mu, Density):
            return eqx.tree_at(lambda m: m.values, mu, jnp.tensordot(row, gather(mu.values), axes=1))
        if not isinstance(mu, Particles):
            raise ValueError(f"a population acts by Particles or a Density for each label, not {type(mu).__name__}.")
        own = jnp.full(mu.n, 1 / mu.n, row.dtype) if mu.weights is None else gather(mu.weights)
        new = gather(mu.positions).reshape(-1, mu.space.dim), (row[:, None] * own).ravel()
        return eqx.tree_at(lambda m: (m.positions, m.weights), mu, new, is_leaf=lambda v: v is None)
