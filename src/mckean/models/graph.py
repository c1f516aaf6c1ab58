"""Sparse graphs of labels: which label acts on which, by their edges alone."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from mckean.checks import (
    array,
    calling,
    number,
    positive_integer,
    require,
    require_arguments,
    require_finite,
    require_key,
    require_memory,
    require_real,
    traced,
)
from mckean.interactions.functions import as_module

_BLOCK = 1 << 16


class Graph(eqx.Module):
    """The coupling A(a, b) of m labels, numbered 0, 1, …, that is zero but on the edges of a graph.

    A `Population` takes it for its coupling. A step with pair energies then costs O(edges) time, and O(labels + edges)
    memory. A drift b(x, μ) is given the neighbours as a cloud of the size of the largest neighbourhood.

    **Arguments:**

    - `size`: m, the number of labels.
    - `pairs`: the edges (a, b), b acts on a; integers of shape (e, 2). An undirected graph has (b, a) as well. The
      weights of an edge that is given twice are added.
    - `weights`: A on the edges, shape (e,). Default: None, 1.

    **Raises:** `ValueError` for a graph without edges, vertices that are no labels, and weights of another shape or
    that are not finite.
    """

    size: int = eqx.field(static=True)
    degree: int = eqx.field(static=True)
    """The largest number of labels that act on one."""
    acted: Int[Array, " e"]
    """The labels that are acted on, in increasing order."""
    acting: Int[Array, " e"]
    weights: Float[Array, " e"]
    starts: Int[Array, " m"]
    """Where the edges of each label begin."""
    counts: Int[Array, " m"]

    def __init__(self, size: int, pairs, weights=None):
        size = positive_integer("the number of labels of a graph is a positive integer", size)
        require(not traced(pairs), "the edges of a graph are known numbers, and no tracers; its weights may vary.")
        pairs = np.asarray(pairs)
        whole = pairs.ndim == 2 and pairs.shape[1] == 2 and len(pairs) > 0 and pairs.dtype.kind in "iu"
        require(whole, f"a graph has edges, integers of shape (e, 2), e ≥ 1, not {pairs.dtype} of {pairs.shape}.")
        require(pairs.min() >= 0 and pairs.max() < size, f"the vertices of a graph are its labels, 0 to {size - 1}.")
        weights = np.ones(len(pairs)) if weights is None else weights
        require_real("the weight of an edge", weights)
        require_finite("the weight of an edge", weights)
        require(np.shape(weights) == (len(pairs),), f"{len(pairs)} edges have weights of shape ({len(pairs)},).")
        order = np.lexsort((pairs[:, 1], pairs[:, 0]))
        counts = np.bincount(pairs[:, 0], minlength=size)
        self.size, self.degree = size, int(counts.max())
        self.acted, self.acting = (array(side.astype(np.int32)) for side in pairs[order].T)
        self.weights = array(weights, float)[order] if traced(weights) else array(np.asarray(weights, float)[order])
        self.starts, self.counts = (array(x.astype(np.int32)) for x in (np.cumsum(counts) - counts, counts))

    @classmethod
    def sample(cls, key: Array, graphon: Callable, labels, rate: float = 1.0) -> "Graph":
        """A W-random graph: each pair of labels a ≠ b is an edge, both ways, with probability αW(u_a, u_b).

        The weight of an edge is 1/α, so that the means are those of the coupling W. The mean over the neighbours of a
        label is off by O((mα)^{−1/2}). It takes O(α m²) time, and O(m + edges) memory.

        **Arguments:**

        - `key`: JAX's random key.
        - `graphon`: W, a function of two labels, symmetric, with values between 0 and 1, which JAX can trace.
        - `labels`: u, shape (m,), or (m, l).
        - `rate`: α, 0 < α ≤ 1, the density of the graph, which may fall with m. Default: 1, a dense graph.

        **Raises:** `ValueError` for another rate, a W with other values or not symmetric, and where no edge is drawn.

        **Source:** Lovász, Large Networks and Graph Limits (2012), ch. 10; for α < 1 Borgs, Chayes, Cohn and Zhao,
        Trans. Amer. Math. Soc. 372 (2019).
        """
        require_key(key)
        require(callable(graphon), "a graphon W is a function of two labels, lambda u, v: 1 - jnp.maximum(u, v).")
        require_arguments("a graphon W", graphon, "u", "v")
        rate, labels = number("the rate of a graph", rate), array(labels)
        require(0 < rate <= 1, f"the rate α of a graph lies between 0 and 1, but {rate:g} was given.")
        require(labels.ndim in (1, 2), f"labels have shape (m,) or (m, l), not {labels.shape}.")
        m = labels.shape[0]
        require_memory(f"up to {rate * m * m:.3g} edges", rate * m * m)
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())
        first, second = _pairs_at_rate(rng, m, rate)
        chance = _on_pairs(graphon, labels, first, second)
        right = chance.size == 0 or (chance.min() >= 0 and chance.max() <= 1)
        require(right, "a graphon W has values between 0 and 1, the probabilities of edges; its size is the rate.")
        back = _on_pairs(graphon, labels, second[:_BLOCK], first[:_BLOCK])
        even = np.allclose(back, chance[:_BLOCK], atol=1e-5)
        require(
            even, "a graphon W is symmetric, W(u, v) = W(v, u): of a directed graph give the edges, Graph(m, pairs)."
        )
        kept = rng.uniform(size=chance.size) < chance
        require(kept.any(), "the graph has no edge: take more labels, or a larger rate.")
        edges = np.stack([first[kept], second[kept]], axis=1)
        return cls(m, np.concatenate([edges, edges[:, ::-1]]), np.full(2 * len(edges), 1 / rate))

    def total(self, values: Float[Array, "m ..."]) -> Float[Array, "m ..."]:
        """Σ_b A(a, b) v_b for each label a."""
        return self.gathered(self.weighted(values[self.acting]))

    def weighted(self, values: Float[Array, "e ..."]) -> Float[Array, "e ..."]:
        """Values on the edges times A."""
        return values * self.weights.astype(values.dtype).reshape(-1, *[1] * (values.ndim - 1))

    def gathered(self, values: Float[Array, "e ..."]) -> Float[Array, "m ..."]:
        """The sum of values on the edges, over those that act on each label."""
        return jax.ops.segment_sum(values, self.acted, self.size, indices_are_sorted=True)

    def neighbours(self, a: Int[Array, ""]) -> tuple[Int[Array, " k"], Float[Array, " k"]]:
        """The labels that act on a and their weights; beyond their number, any label with weight 0."""
        slot = jnp.arange(self.degree)
        edge = jnp.minimum(self.starts[a] + slot, self.acting.shape[0] - 1)
        return self.acting[edge], jnp.where(slot < self.counts[a], self.weights[edge], 0)


def _pairs_at_rate(rng: np.random.Generator, m: int, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Each of the pairs i < j < m with a probability, by the distances from one to the next, which are geometric.

    Batagelj and Brandes, Phys. Rev. E 71 (2005). Pairs are counted by rows: i(2m − i − 1)/2 come before row i.
    """
    number, place, found = m * (m - 1) // 2, -1, []
    while place < number:
        # At a tiny rate the sum of some gaps would be larger than an integer may be.
        gaps = np.minimum(rng.geometric(rate, int(rate * number * 0.1) + 1000), number + 1)
        steps = place + np.cumsum(gaps)
        found.append(steps)
        place = int(steps[-1])
    at = np.concatenate(found) if found else np.zeros(0, np.int64)
    at = at[at < number]
    rows = np.arange(m, dtype=np.int64)
    before = rows * (2 * m - rows - 1) // 2
    i = np.searchsorted(before, at, side="right") - 1
    # Of the empty last row and the row before it, which begin after the same pair, the search finds the last.
    i = np.minimum(i, m - 2)
    return i, at - before[i] + i + 1


def _on_pairs(graphon: Callable, labels: Array, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """W at pairs, in blocks of few sizes, so that few programs serve."""
    held, n, values = as_module(graphon), len(first), []
    with calling("a graphon W"):
        one = jax.eval_shape(lambda u: jnp.asarray(graphon(u, u)), jax.ShapeDtypeStruct(labels.shape[1:], labels.dtype))
    require(one.shape == (), f"a graphon W of two labels is a number, not an array of shape {one.shape}.")
    size = min(_BLOCK, 1 << n.bit_length())
    for k in range(0, n, size):
        i, j = (np.resize(side[k : k + size], size) for side in (first, second))
        values.append(np.asarray(_values(held, labels, jnp.asarray(i), jnp.asarray(j)))[: n - k])
    return np.concatenate(values) if values else np.zeros(0)


@eqx.filter_jit
def _values(graphon: Callable, labels: Array, first: Array, second: Array) -> Float[Array, " e"]:
    return jax.vmap(lambda i, j: jnp.asarray(graphon(labels[i], labels[j]), float))(first, second)
