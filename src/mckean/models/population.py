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
from mckean.interactions.sums import direct
from mckean.interactions.sums.sum import atoms
from mckean.measures import AbstractMeasure, Density, Particles, configuration
from mckean.models.graph import Graph
from mckean.models.model import Model, drift_at, require_model
from mckean.spaces import AbstractSpace, AbstractSphericalGrid, BoxGrid, TangentBundle

_AXIS = "label"
# Pairs of particles that are held at once, and the most sources of a tile.
_PAIRS, _TILE = 1 << 22, 1 << 10


class Population(eqx.Module):
    """Particles with labels that do not move. A particle of label a obeys

        dX = (−∇V_a − ∇W_a*μ^a + b_a(·, μ^a)) dt + σ_a dB + Σ_k σ_{k,a} dB⁰_k,   μ^a = Σ_b w_b A(a, b) μ_b,

    μ_b the law, or the empirical measure, of the particles of label b. A label may be an own frequency, the number of a
    species or of a vertex of a graph, or a point of [0, 1]: then A is a matrix of couplings, or a graphon. In the limit
    the μ_a are densities, one for each label. `evolve` moves a `Family` of measures; a given A(a, b) of species is
    `lambda a, b: matrix[a, b]` with the labels 0, 1, …. The common noise B⁰ is one for all labels, each with fields
    σ_k of its own. What depends on time is a `Schedule(lambda t: Population(…))`.

    **Arguments:**

    - `model`: a function of a label a that returns its `Model`, which JAX can trace, such as `lambda omega:
      Model(circle, interaction=Cosine(K), drift=lambda x, mu: omega + 0 * x)`. All labels have the same parts.
    - `labels`: the labels, numbers in an array of shape (m,), or of shape (m, l).
    - `coupling`: A, a number as a function of two labels; it may be negative, and need not be symmetric. Or a `Graph`
      of the labels. Default: None, A = 1, all particles act alike.

    **Raises:** `ValueError` for what are no such functions or labels, and for a graph of another size.
    """

    model: Any
    labels: Shaped[Array, "m *l"]
    coupling: Any

    def __init__(self, model: Callable, labels, coupling: Callable | Graph | None = None):
        form = type(model).__name__
        require(callable(model), f"a population is a function of a label, lambda a: langevin(…), not a {form}.")
        require_arguments("the model of a population", model, "a")
        known = traced(labels) or (np.asarray(labels).dtype.kind in "biuf" and np.all(np.isfinite(np.asarray(labels))))
        require(known, "labels are finite numbers: those of species are 0, 1, ….")
        labels = array(labels)
        require(labels.ndim in (1, 2) and labels.size > 0, f"labels have shape (m,) or (m, l), not {labels.shape}.")
        if isinstance(coupling, Graph):
            sizes = f"the graph has {coupling.size} labels, but the population {labels.shape[0]}."
            require(coupling.size == labels.shape[0], sizes)
        elif coupling is not None:
            mend = "a coupling A is a function of two labels, such as lambda a, b: matrix[a, b], or a Graph."
            require(callable(coupling), mend)
            require_arguments("a coupling A", coupling, "a", "b")
        self.model, self.labels = as_module(model), labels
        self.coupling = as_module(coupling) if callable(coupling) else coupling

    @property
    def initial(self) -> Model:
        """The model of the first label, at which a run is checked."""
        model = self.model(self.labels[0])
        require_model(model)
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


def among(population: Population, weight: Array) -> Model:
    """The model of a label inside `over_labels`, all other labels acting on it."""
    label = population.labels[index_of_label()]
    model = population.model(label)
    field = Among(population.coupling, model.drift, model.interaction, label, weight)
    return eqx.tree_at(lambda m: (m.interaction, m.drift), model, (None, field), is_leaf=lambda v: v is None)


class Among(AbstractField):
    """−∇W_a*μ^a + b_a(x, μ^a): of the other labels it knows nothing but their places in the vmapped axis."""

    coupling: Any
    drift: Any
    interaction: Interaction | None
    label: Array
    weight: Array

    def __call__(self, x: interactions.Points, mu: AbstractMeasure) -> Float[Array, "n d"]:
        acting = self._acting(mu)
        total = drift_at(self.drift, x, acting)
        return total if self.interaction is None else total + self._pull(self.interaction, mu, acting, x)

    def _pull(
        self, interaction: Interaction, mu: AbstractMeasure, acting: AbstractMeasure, x: interactions.Points
    ) -> Float[Array, "n d"]:
        """The velocity, on a tangent bundle the acceleration, that −∇W_a*μ^a gives to points."""
        space = acting.domain
        here: Any = space.position(interactions.at(x, acting)) if isinstance(space, TangentBundle) else x
        if isinstance(self.coupling, Graph) and isinstance(mu, Particles):
            pull = self._along_edges(self.coupling, interaction, configuration(mu), here)
        else:
            pull = _force(interaction, configuration(acting), here)
        return space.join(jnp.zeros_like(pull), pull) if isinstance(space, TangentBundle) else pull

    def _along_edges(
        self, graph: Graph, interaction: Interaction, mu: Particles, x: Float[Array, "n d"]
    ) -> Float[Array, "n d"]:
        """−∇W_a*μ^a of all labels, edge by edge, and of them that of this label."""
        y, own = atoms(mu)
        kernel = interaction.given if interaction.given is not None else interaction.between(mu)
        kernels, places, sources, masses = jax.tree.map(_gather, (kernel, x, y, own * self.weight))

        def along(edge):
            a, b = edge
            return direct.force(jax.tree.map(lambda part: part[a], kernels), mu.space, sources[b], masses[b], places[a])

        # Of many particles a label, so many edges at once that their pairs fit.
        block = max(1, _PAIRS // (mu.n * min(mu.n, _TILE)))
        edges = jax.lax.map(along, (graph.acted, graph.acting), batch_size=block)
        return graph.gathered(graph.weighted(edges))[index_of_label()]

    def _acting(self, mu: AbstractMeasure) -> AbstractMeasure:
        """Σ_b w_b A(a, b) μ_b."""
        weights, graph = _gather(self.weight), self.coupling
        if not isinstance(mu, Density | Particles):
            raise ValueError(f"a population acts by Particles or a Density for each label, not {type(mu).__name__}.")
        if isinstance(graph, Graph) and isinstance(mu, Density):
            masses = weights.reshape(-1, *[1] * mu.values.ndim) * _gather(mu.values)
            return eqx.tree_at(lambda m: m.values, mu, graph.total(masses)[index_of_label()])
        if isinstance(graph, Graph):
            others, row = graph.neighbours(index_of_label())
            row = row.astype(weights.dtype) * weights[others]
        elif self.coupling is None:
            others, row = slice(None), weights
        else:
            others, labels = slice(None), _gather(self.label)
            row = weights * jax.vmap(lambda b: self.coupling(self.label, b))(labels).astype(weights.dtype)
        if isinstance(mu, Density):
            return eqx.tree_at(lambda m: m.values, mu, jnp.tensordot(row, _gather(mu.values), axes=1))
        own = jnp.full(mu.n, 1 / mu.n, row.dtype) if mu.weights is None else _gather(mu.weights)[others]
        new = _gather(mu.positions)[others].reshape(-1, mu.space.dim), (row[:, None] * own).ravel()
        return eqx.tree_at(lambda m: (m.positions, m.weights), mu, new, is_leaf=lambda v: v is None)


def _gather(part: Array) -> Array:
    """A part of each label, for all labels; it is one array for all."""
    return jax.lax.all_gather(part, _AXIS)


def _force(interaction: Interaction, rho: AbstractMeasure, x: interactions.Points) -> Float[Array, "n d"]:
    """−∇W*ρ of a measure whose mass is not 1, which a sum by mean and variance relies on."""
    kernel = interaction.between(rho)
    if isinstance(kernel, FourierSeries) or isinstance(x, AbstractSphericalGrid):
        return interactions.force(interaction, rho, x)
    if kernel.singular and isinstance(x, BoxGrid):
        # Between cells the potential is accurate, and the force of a cell on its neighbours is not.
        phi = FFT().potential(kernel, rho, x).reshape(x.shape)
        slopes = [jnp.ravel(jnp.asarray(jnp.gradient(phi, h, axis=axis))) for axis, h in enumerate(x.spacing)]
        return -jnp.stack(slopes, axis=-1)
    return Direct().force(kernel, rho, x)
