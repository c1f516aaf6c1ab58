"""Relative entropy and total variation between the law of k of N particles and μ^{⊗k}, from replicas, on the line
or a circle.

The line is cut into M cells of equal μ-probability, so that μ^{⊗k} has M^{−k} in each of the M^k products. The share of
all k-tuples of different particles of a run that lies in a product is a polynomial in the run's M numbers of particles
in the cells; its mean p over runs estimates P^k without bias. Then

    H = Σ p log(p M^k),   χ² = M^k Σ(p − M^{−k})²,   TV = Σ_{A}(p − M^{−k}), A = {p > M^{−k}},

and H(P^k | μ^{⊗k}) = H(P^k | (P^1)^{⊗k}) + k H(P^1 | μ), of which the first part, how the particles depend on each
other, has the least noise: that of P^1, of order 1/rN against 1/N², is in the second.

All are those of the coarse laws, hence not above those of the laws themselves, and short of them by a relative
O(M^{−2}) for smooth densities. In H and χ² noise adds a floor of order 1/r: the jackknife over groups of runs removes
it, from χ² exactly and from H up to 1/r². For TV, which has no such expansion where p = M^{−k}, A is chosen by one half
of the runs and its probability taken from the other: the mean is not above TV, and below it where |p − M^{−k}| is
within the noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from scipy import special

from mckean.analysis.chaos import recorded
from mckean.analysis.rates import Rate, Resampled, fit_rate, resampled
from mckean.analysis.studies import divisor, samples
from mckean.checks import require
from mckean.measures import AbstractLaw, AbstractMeasure, Particles
from mckean.models import Model
from mckean.spaces import Euclidean, Torus
from mckean.transport.quantiles import quantiles

_GROUPS = 64
_PRODUCTS = 4096


@dataclass(frozen=True)
class Marginals:
    """Distances of P^k from μ^{⊗k} on cells, for each N of a ladder: shape (len(sizes),) each.

    `entropy` H(P^k | μ^{⊗k}), `dependence` H(P^k | (P^1)^{⊗k}), `square` χ², `variation` the total variation.
    """

    sizes: tuple[int, ...]
    entropy: Resampled
    dependence: Resampled
    square: Resampled
    variation: Resampled

    def rate(self) -> Rate:
        """The exponent of the relative entropy in N: −2 by Lacker (arXiv 2105.02983)."""
        return fit_rate(self.sizes, self.entropy)

    def rate_of_dependence(self) -> Rate:
        """The exponent of the part in which k ≥ 2 particles depend on each other; −2 as well, with less noise."""
        return fit_rate(self.sizes, self.dependence)


def marginals(
    model: Model,
    law: AbstractLaw,
    limit: AbstractMeasure,
    *,
    k: int,
    sizes: Sequence[int],
    until: float,
    dt: float,
    replicas: int,
    key: PRNGKeyArray,
    cells: int = 8,
    scheme: Any = None,
    progress: bool = False,
) -> Marginals:
    """Distances of the law of k of N particles at time `until` from μ^{⊗k}, μ = `limit` at that time.

    **Arguments:** `law`: of the independent particles at time 0; `limit`: a density or a Gaussian, as `evolve` gives
    it; `k`: 1, 2 or 3; `cells`: M. Others as for `chaos_rate`.
    **Raises** `ValueError` where there is no estimator: in another dimension than 1, for k > 3, for k > N and for more
    than 4096 products of cells; for fewer than four replicas; for whatever `evolve` refuses.
    """
    _check(model, limit, k, min(sizes, default=0), cells, replicas)
    run = eqx.Partial(
        recorded, model=model, law=law, observe={"numbers": eqx.Partial(occupation, edges=_edges(limit, cells))},
        until=until, dt=dt, every=None, scheme=scheme,
    )  # fmt: skip
    numbers = samples(run, sizes, key, replicas, progress=progress)["numbers"][:, :, 0]
    return distances(sizes, numbers, k)


def occupation(model: Model, mu: Particles, *, edges: Float[Array, " m"]) -> Float[Array, " m+1"]:
    """Observable: the numbers of particles between the edges, in dimension 1."""
    below = jnp.sum(mu.positions < edges, axis=0, dtype=mu.positions.dtype)
    return jnp.diff(below, prepend=0.0, append=jnp.asarray(len(mu.positions), below.dtype))


def distances(sizes: Sequence[int], numbers: Any, k: int) -> Marginals:
    """Distances from the numbers of particles in M cells of equal probability, shape (r, len(sizes), M)."""
    numbers = np.asarray(numbers, np.float64)
    r, _, m = numbers.shape
    groups = 2 * divisor(r // 2, _GROUPS // 2)
    grouped = numbers[: r - r % groups].reshape(groups, -1, len(sizes), m)
    p = np.stack([_tuples(grouped[:, :, i], int(n), k) for i, n in enumerate(sizes)], axis=1)
    even = m**-k
    chosen = np.stack([p[1::2].mean(0), p[::2].mean(0)]) > even
    gain = np.sum((p - even) * np.tile(chosen, (groups // 2, 1, 1)), axis=-1)
    mean = resampled(p)
    entropy = mean.map(lambda q: np.sum(special.xlogy(q, q / even), axis=-1))
    square = mean.map(lambda q: np.sum((q - even) ** 2, axis=-1) / even)
    dependence = mean.map(lambda q: np.sum(special.xlogy(q, q / _independent(q, m, k)), axis=-1))
    return Marginals(tuple(sizes), entropy, dependence, square, resampled(gain))


def _independent(p: np.ndarray, m: int, k: int) -> np.ndarray:
    """(p^1)^{⊗k} of the marginal of one particle, 1 where it is 0."""
    one = p.reshape(*p.shape[:-1], m, -1).sum(-1)
    product = one
    for _ in range(k - 1):
        product = (product[..., None] * one[..., None, :]).reshape(*p.shape[:-1], -1)
    return np.where(product > 0, product, 1.0)


def _tuples(numbers: np.ndarray, n: int, k: int) -> np.ndarray:
    """The share of k-tuples of different particles in each product of cells, a mean of each group, shape (g, M^k)."""
    g, r, m = numbers.shape
    one = numbers.mean(1)
    if k == 1:
        return one / n
    two = np.einsum("gra,grb->gab", numbers, numbers) / r
    same = np.eye(m)
    if k == 2:
        return (two - same * one[:, None]).reshape(g, -1) / (n * (n - 1))
    three = np.einsum("gra,grb,grc->gabc", numbers, numbers, numbers, optimize=True) / r
    three = three + 2 * np.einsum("ab,bc,gc->gabc", same, same, one)
    for pattern in ("ab,gac->gabc", "ac,gab->gabc", "bc,gab->gabc"):
        three = three - np.einsum(pattern, same, two)
    return three.reshape(g, -1) / (n * (n - 1) * (n - 2))


def _edges(limit: AbstractMeasure, cells: int) -> Float[Array, " m"]:
    """The levels 1/M, …, (M − 1)/M of the law's quantile function."""
    law, u = quantiles(limit), np.arange(1, cells) / cells
    return jnp.asarray(law.at(law.piece(u), u))


def _check(model: Model, limit: AbstractMeasure, k: int, smallest: int, cells: int, replicas: int) -> None:
    space = model.space
    require(
        space.dim == 1 and isinstance(space, (Euclidean, Torus)) and 1 <= k <= 3,
        f"laws of {k} particles on {space} are not estimated: those of 1, 2 and 3 are, on the line and the circle. "
        "Elsewhere see chaos_rate for correlations of observables, catalogue.ornstein_uhlenbeck for Gaussian models, "
        "and measures.entropy_of_chaos for N·d ≤ 3 on a grid.",
    )
    require(smallest >= k, f"the marginal of {k} particles needs as many: the smallest size is {smallest}.")
    require(limit.domain == space, f"the limit lives on {limit.domain}, but the model on {space}.")
    require(not model.common, "with a common noise the limit is random: there is no one law to compare with.")
    require(cells >= 2 and cells**k <= _PRODUCTS, f"{cells} cells have {cells**k} products; take 2 to {_PRODUCTS}.")
    require(replicas >= 4, f"two halves of two replicas at least, not {replicas} in all.")
