"""Statistics over all pairs of tokens, R_ij = ⟨x_i, x_j⟩, in tiles: O(n²d) work in the memory of the tokens and a tile.

A cluster is a connected component of the graph that joins i and j where R_ij ≥ cos δ: single linkage at the angle δ.
Two tokens of a cluster may be far apart; two clusters are nowhere nearer than δ.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from mckean.checks import require
from mckean.interactions.attention import softmax_mean
from mckean.measures import AbstractMeasure
from mckean.models import Model
from mckean.observables.laws import is_law, mean_of_angle
from mckean.observables.tokens import alike

_TILE = 1024


def overlap_histogram(bins: int = 50) -> Callable[[Model, AbstractMeasure], Float[Array, " bins"]]:
    """The law of R_ij = ⟨x_i, x_j⟩ over i ≠ j: the share of pairs in equal intervals of [−1, 1].

    **Arguments:**

    - `bins`: the number of intervals. Default: 50.

    **Returns:** a function of (model, measure), of shape (bins,).

    **Raises:** `ValueError` for a number that is no positive integer. When used: for fewer than two tokens.
    """
    require(_whole(bins) and bins >= 1, f"a histogram has a positive number of bins, not {bins!r}.")
    return eqx.Partial(_histogram, bins=bins)


def clusters(angle: float, *, largest: int = 8) -> Callable[[Model, AbstractMeasure], dict[str, Array]]:
    """The clusters of tokens: connected components of the graph that joins i and j if ⟨x_i, x_j⟩ ≥ cos δ.

    In single precision angles below 4e-4 are not resolved, in double below 2e-8: R_ij is rounded.

    **Arguments:**

    - `angle`: δ, radians, 0 < δ ≤ π.
    - `largest`: k ≥ 1, how many sizes are given. Default: 8.

    **Returns:** a function of (model, measure) with the fields "number", of clusters, and "sizes", the k largest, shape
    (k,), 0 if there are fewer.

    **Raises:** `ValueError` for other numbers.

    **Source:** labels are the least index of a component, spread to neighbours and shortened by pointer jumping
    (Shiloach and Vishkin, J. Algorithms 3, 1982).
    """
    require(0 < angle <= np.pi, f"the angle of clusters is between 0 and π, but {angle} was given.")
    require(_whole(largest) and largest >= 1, f"the sizes are those of the k ≥ 1 largest clusters, not {largest!r}.")
    return eqx.Partial(_clusters, bound=jnp.cos(jnp.asarray(angle)), largest=largest)


def log_attention_energy(beta) -> Callable[[Model, AbstractMeasure], Float[Array, ""]]:
    """The logarithm of the energy of attention, log E_β with E_β = (1/2βn²) Σ_ij e^{β(R_ij − 1)}; finite at any β.

    Of a density E_β = (1/2β) ∬e^{β(⟨x, y⟩ − 1)} dμdμ. The flow without the softmax's denominator (USA) climbs E_β.
    In A mathematical perspective on Transformers (Geshkovski, Letrouit, Polyanskiy and Rigollet) the energy is e^β E_β,
    whose logarithm is β more than this; with the factor e^{−β}, as in Dynamic metastability in the self-attention model
    (arXiv 2410.06833), E_β ≤ 1/2β.

    **Arguments:**

    - `beta`: β > 0.

    **Returns:** a function of (model, measure).

    **Raises:** `ValueError` for another β.
    """
    require(np.ndim(beta) == 0 and beta > 0, f"the energy E_β is that of a β > 0, but {beta} was given.")
    return eqx.Partial(_log_energy, beta=jnp.asarray(beta, float))


def attention_energy(beta) -> Callable[[Model, AbstractMeasure], Float[Array, ""]]:
    """The energy of attention E_β = (1/2βn²) Σ_ij e^{β(R_ij − 1)}, between 0 and 1/2β.

    `log_attention_energy` says how other conventions differ.

    **Arguments:**

    - `beta`: β > 0.

    **Returns:** a function of (model, measure).

    **Raises:** `ValueError` for another β.
    """
    log_energy = log_attention_energy(beta)
    return lambda model, mu: jnp.exp(log_energy(model, mu))


def over_pairs(x: Float[Array, "n d"], start: Any, add: Callable) -> Any:
    """Fold add(state, R, pairs, i, j) over tiles R of the overlaps of tokens from i and from j on, each pair once.

    `pairs` says which entries of the tile are pairs of tokens with the first index below the second.
    """
    n = x.shape[0]
    count = -(-n // _TILE)
    size = tile_size(n)
    padded = jnp.pad(x, ((0, count * size - n), (0, 0)))
    order = jnp.arange(size)

    def one(state, tile):
        i, j = tile
        rows, columns = (jax.lax.dynamic_slice_in_dim(padded, k, size) for k in (i, j))
        overlaps = jnp.matmul(rows, columns.T, precision=jax.lax.Precision.HIGHEST)
        first, second = i + order[:, None], j + order[None]
        return add(state, overlaps, (first < second) & (second < n), i, j), None

    tiles = tuple(jnp.asarray(size * k) for k in np.triu_indices(count))
    return jax.lax.scan(one, start, tiles)[0]


def tile_size(n: int) -> int:
    """The side of a tile, with as little padding as their number allows."""
    return -(-n // -(-n // _TILE))


def _whole(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)


def _histogram(model: Model, mu: AbstractMeasure, *, bins: int) -> Float[Array, " bins"]:
    tokens = alike(mu)
    require(tokens.n >= 2, "a law of overlaps is that of two tokens or more.")
    x = tokens.positions

    def add(share, overlaps, pairs, i, j):
        at = jnp.clip((0.5 * bins * (overlaps + 1)).astype(int), 0, bins - 1)
        # Counts of one tile are exact; of all they would outgrow an integer, or the digits of single precision.
        counts = jnp.zeros(bins, int).at[at.ravel()].add(pairs.ravel())
        return share + counts.astype(x.dtype) / (0.5 * tokens.n * (tokens.n - 1))

    return over_pairs(x, jnp.zeros(bins, x.dtype), add)


def _log_energy(model: Model, mu: AbstractMeasure, *, beta: Float[Array, ""]) -> Float[Array, ""]:
    if is_law(mu):
        beta = beta.astype(mu.values.dtype)
        return jnp.log(mean_of_angle(mu, lambda angle: jnp.exp(-2 * beta * jnp.sin(angle / 2) ** 2)) / (2 * beta))
    tokens = alike(mu)
    x = tokens.positions
    beta = beta.astype(x.dtype)
    inner, _ = softmax_mean(beta * x, x, x[:, :0], jnp.full(tokens.n, 1 / tokens.n, x.dtype))
    return jax.nn.logsumexp(inner - beta) - jnp.log(2 * beta * tokens.n)


def _clusters(model: Model, mu: AbstractMeasure, *, bound: Float[Array, ""], largest: int) -> dict[str, Array]:
    tokens = alike(mu)
    labels = components(tokens.positions, bound.astype(tokens.positions.dtype))
    sizes = jnp.zeros_like(labels).at[labels].add(1)
    sorted_sizes = jax.lax.top_k(sizes, min(largest, tokens.n))[0]
    return {"number": jnp.sum(sizes > 0), "sizes": jnp.pad(sorted_sizes, (0, largest - len(sorted_sizes)))}


def components(x: Float[Array, "n d"], bound: Float[Array, ""]) -> Int[Array, " n"]:
    """The least index in each token's component of the graph R_ij ≥ bound."""
    every = jnp.arange(x.shape[0])

    def grow(state):
        labels, _ = state
        # The root of each component takes over the least label that any of its tokens sees.
        hooked = labels.at[labels].min(_least_near(x, bound, labels))
        settled = jax.lax.while_loop(lambda at: jnp.any(at != at[at]), lambda at: at[at], hooked)
        return settled, jnp.any(settled != labels)

    return jax.lax.while_loop(lambda state: state[1], grow, (every, jnp.asarray(True)))[0]


def _least_near(x: Float[Array, "n d"], bound: Float[Array, ""], labels: Int[Array, " n"]) -> Int[Array, " n"]:
    """The least label of a token and its neighbours."""
    n, size = x.shape[0], tile_size(x.shape[0])
    padded = jnp.pad(labels, (0, -n % size), constant_values=n)

    def spread(least, near: Bool[Array, "a b"], of, by):
        there = jax.lax.dynamic_slice_in_dim(padded, by, size)
        here = jax.lax.dynamic_slice_in_dim(least, of, size)
        found = jnp.min(jnp.where(near, there[None], n), axis=1)
        return jax.lax.dynamic_update_slice_in_dim(least, jnp.minimum(here, found), of, 0)

    def add(least, overlaps, pairs, i, j):
        near = pairs & (overlaps >= bound)
        return spread(spread(least, near, i, j), near.T, j, i)

    return over_pairs(x, padded, add)[:n]
