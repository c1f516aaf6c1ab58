"""Relative entropy, total variation and W_2 between the law of k of N particles and μ^{⊗k}, from replicas, on the line
or a circle.

The line is cut into M cells of equal μ-probability, so that μ^{⊗k} has M^{−k} in each of the M^k products. The share of
all k-tuples of different particles of a run that lies in a product is a polynomial in the run's M numbers of particles
in the cells; its mean p over runs estimates P^k without bias. Then

    H = Σ p log(p M^k),   χ² = M^k Σ(p − M^{−k})²,   TV = Σ_{A}(p − M^{−k}), A = {p > M^{−k}},

and H(P^k | μ^{⊗k}) = H(P^k | (P^1)^{⊗k}) + k H(P^1 | μ), of which the first part, how the particles depend on each
other, has the least noise: that of P^1, of order 1/rN against 1/N², is in the second.

These are those of the coarse laws, hence not above those of the laws themselves, and short of them by a relative
O(M^{−2}) for smooth densities. W_2² is taken to leading order in P^k − μ^{⊗k} = q,

    W_2² ≈ ‖q‖²_{Ḣ^{−1}(μ^{⊗k})} = ∫ψq, −∇·(μ^{⊗k}∇ψ) = q

(Peyre, ESAIM Control Optim. Calc. Var. 24, 2018), with differences between the medians of neighbouring cells: a W_p of
laws on the medians themselves would be of order |q|^{1/p}, not |q|. What lies beyond the outer medians of the line is
missing: for Gaussians and M = 8, 13 % of the W_2² of correlated pairs, and half of that of a change of variance, k = 1.

In H, χ² and W_2² noise adds a floor of order 1/r: the jackknife over groups of runs removes it, exactly from the two
which are quadratic and up to 1/r² from H. For TV, which has no such expansion where p = M^{−k}, A is chosen by one half
of the runs and its probability taken from the other: the mean is not above TV, and below it where |p − M^{−k}| is
within the noise; where all of it is, the standard error is a quarter too low, as each half has chosen for the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from mckean.checks import require
from mckean.couplings._chaos import run_from_law
from mckean.measures import AbstractLaw, AbstractMeasure, Particles
from mckean.measures.convert import require_law
from mckean.models import Equation, Model, initial, require_equation
from mckean.spaces import Euclidean, Torus
from mckean.statistics import Jackknife, Rate, divisor, fit_rate, jackknife, largest, samples
from mckean.transport.quantiles import quantiles

_GROUPS = 64
_PRODUCTS = 4096


@dataclass(frozen=True)
class Marginals:
    """Distances of P^k, the law of k of N particles, from μ^{⊗k} on cells, for each N of a ladder.

    **Attributes:** each distance is a `Jackknife` of shape (len(sizes),).

    - `sizes`: the ladder of N.
    - `entropy`: the relative entropy H(P^k | μ^{⊗k}), dimensionless.
    - `dependence`: the part H(P^k | (P^1)^{⊗k}) of it, dimensionless.
    - `square`: χ² = M^k Σ(p − M^{−k})², dimensionless.
    - `transport`: W_2² to leading order, length squared.
    - `variation`: the total variation Σ(p − M^{−k})⁺, between 0 and 1.
    """

    sizes: tuple[int, ...]
    entropy: Jackknife
    dependence: Jackknife
    square: Jackknife
    transport: Jackknife
    variation: Jackknife

    def rate(self, distance: Literal["entropy", "dependence", "square", "transport", "variation"] = "entropy") -> Rate:
        """The exponent s in distance ∝ N^s: in theory −2, and −1 for the variation.

        For k ≥ 2 the dependence has the least noise. The variation is too small where it is near its noise; this bends
        the line.

        **Arguments:**

        - `distance`: the name of an attribute. Default: "entropy".

        **Returns:** a `Rate`.

        **Source:** Lacker, arXiv 2105.02983.
        """
        return fit_rate(self.sizes, getattr(self, distance))


def marginals(
    model: Equation,
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
    every: int | None = None,
    scheme: Any = None,
    progress: bool = False,
) -> Marginals:
    """Distances of P^k, the law of k of N particles at time `until`, from μ^{⊗k}, on M cells of equal μ-probability.

        H = Σ p log(p M^k),   χ² = M^k Σ(p − M^{−k})²,   TV = Σ(p − M^{−k})⁺,   W_2² ≈ ‖P^k − μ^{⊗k}‖²_{Ḣ^{−1}(μ^{⊗k})}

    p is the probability of each of the M^k products of cells. The distances on cells are not above those of the laws
    themselves, and below them by a relative O(M^{−2}) for smooth densities.

    **Arguments:**

    - `model`: the N particles, on the line or a circle; without a common noise.
    - `law`: of the independent particles at time 0.
    - `limit`: μ at time `until`, a density or a Gaussian from `evolve`.
    - `k`: 1, 2 or 3.
    - `sizes`: the ladder of N, each k at least.
    - `cells`: M, with M^k ≤ 4096. Default: 8.
    - `every`: steps between records, for a stationary `limit`: the `largest` distance over the records counts. Default:
      None, only the end.
    - `until`, `dt`, `scheme`: as for `evolve`.
    - `replicas`, `key`, `progress`: as for `samples`; eight replicas at least.

    **Returns:** the `Marginals`.

    **Raises:** `ValueError` for a space of another dimension than 1, for k > 3, for k > N, for too many cells or too
    few replicas; and as `evolve` does.

    **Source:** the W_2² to leading order, Peyre, ESAIM Control Optim. Calc. Var. 24 (2018).
    """
    require_law(law)
    require_equation(model)
    _check(initial(model), limit, k, min(sizes, default=0), cells, replicas)
    run = eqx.Partial(
        run_from_law, model=model, law=law, observe={"numbers": eqx.Partial(occupation, edges=_edges(limit, cells))},
        until=until, dt=dt, every=every, scheme=scheme,
    )  # fmt: skip
    numbers = samples(run, sizes, key, replicas, progress=progress)["numbers"]
    return distances(sizes, numbers, k, median_gaps(limit, cells))


def occupation(model: Model, mu: Particles, *, edges: Float[Array, " m"]) -> Float[Array, " m+1"]:
    """Observable: the numbers of particles between the edges, in dimension 1."""
    below = jnp.sum(mu.positions < edges, axis=0, dtype=mu.positions.dtype)
    return jnp.diff(below, prepend=0.0, append=jnp.asarray(len(mu.positions), below.dtype))


def distances(sizes: Sequence[int], numbers: Any, k: int, gaps: Any) -> Marginals:
    """Distances from the numbers of particles in M cells of equal probability, shape (r, len(sizes), times, M).

    The `largest` along times. `gaps`: from the median of each cell to that of the next, shape (M − 1,), on a circle
    (M,).
    """
    from scipy.special import xlogy

    numbers = np.asarray(numbers, np.float64)
    r, _, times, m = numbers.shape
    groups = 2 * divisor(r // 2, _GROUPS // 2)
    grouped = numbers[: r - r % groups].reshape(groups, -1, len(sizes), times, m)
    shares = [[_tuples(grouped[:, :, i, t], int(n), k) for t in range(times)] for i, n in enumerate(sizes)]
    p = np.moveaxis(np.array(shares), 2, 0)
    even, gaps = m**-k, np.asarray(gaps, np.float64)
    chosen = np.stack([p[1::2].mean(0), p[::2].mean(0)]) > even
    gain = np.sum((p - even) * np.tile(chosen, (groups // 2, 1, 1, 1)), axis=-1)
    entropy = lambda q: np.sum(xlogy(q, q / even), axis=-1)  # noqa: E731
    dependence = lambda q: np.sum(xlogy(q, q / _independent(q, m, k)), axis=-1)  # noqa: E731
    square = lambda q: np.sum((q - even) ** 2, axis=-1) / even  # noqa: E731
    cost = lambda q: transport_cost(q - even, gaps, k)  # noqa: E731
    taken = lambda f: largest(lambda x: jackknife(x).map(f).unbiased, p)  # noqa: E731
    return Marginals(
        tuple(sizes), taken(entropy), taken(dependence), taken(square), taken(cost), largest(jackknife, gain)
    )


def transport_cost(q: np.ndarray, gaps: np.ndarray, k: int) -> np.ndarray:
    """W_2² to leading order, ∫ψq, for q of shape (…, M^k) and total 0, in the square of the unit of `gaps`.

    −∇·(μ^{⊗k}∇) is a sum over the axes of the Laplacian of M cells whose edges conduct (1/M)/gap², whose eigenvectors
    make it diagonal.
    """
    edges = len(gaps)
    m = round(q.shape[-1] ** (1 / k))
    step = np.eye(m)[np.arange(1, edges + 1) % m] - np.eye(m)[:edges]
    values, vectors = np.linalg.eigh(step.T @ (step / (m * gaps**2)[:, None]))
    total, modes = values, q.reshape(*q.shape[:-1], *[m] * k)
    for axis in range(k):
        modes = np.moveaxis(np.moveaxis(modes, axis - k, -1) @ vectors, -1, axis - k)
        total = total if axis == 0 else (total[:, None] + values).ravel()
    # The first mode is the mass of q, zero.
    squares = modes.reshape(*q.shape[:-1], -1)[..., 1:] ** 2
    return np.asarray(np.sum(squares / total[1:], axis=-1) * m ** (k - 1))


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
    return jnp.asarray(_levels(limit, np.arange(1, cells) / cells))


def median_gaps(limit: AbstractMeasure, cells: int) -> np.ndarray:
    """From the median of each cell of equal probability to that of the next; on a circle, back to the first as well."""
    medians = _levels(limit, (np.arange(cells) + 0.5) / cells)
    space = limit.domain
    return np.diff(medians, append=medians[:1] + space.lengths[0]) if isinstance(space, Torus) else np.diff(medians)


def _levels(limit: AbstractMeasure, u: np.ndarray) -> np.ndarray:
    law = quantiles(limit)
    return law.at(law.piece(u), u)


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
    require(replicas >= 8, f"two halves of four replicas at least, not {replicas} in all.")
