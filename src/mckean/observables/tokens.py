"""What is looked at in tokens on the sphere: overlaps R_ij = ⟨x_i, x_j⟩, without a matrix of all pairs.

A density on a sphere is the law of tokens without number: a mean over pairs i ≠ j is that over independent points.
"""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean.checks import require
from mckean.measures import AbstractMeasure, Particles
from mckean.models import Isotropic, Model
from mckean.observables.laws import is_law, mean_square, means_of_pairs
from mckean.spaces import Sphere


def mean_overlap(model: Model, mu: AbstractMeasure) -> Float[Array, ""]:
    """The mean overlap of ⟨x_i, x_j⟩ over i ≠ j, (n|x̄|² − 1)/(n − 1); of a density |x̄|², as of independent points.

    **Arguments:**

    - `model`: the model; not used.
    - `mu`: two or more tokens of equal weight, particles on a sphere, or a density there.

    **Raises:** `ValueError` for other measures.
    """
    if is_law(mu):
        return alignment(model, mu)
    tokens = alike(mu)
    require(tokens.n >= 2, "a mean overlap is that of two tokens or more.")
    return (tokens.n * alignment(model, mu) - 1) / (tokens.n - 1)


def alignment(model: Model, mu: AbstractMeasure) -> Float[Array, ""]:
    """The alignment |x̄|², the mean of ⟨x_i, x_j⟩ over all i and j.

    **Arguments:**

    - `model`: the model; not used.
    - `mu`: tokens, particles on a sphere, or a density there.

    **Raises:** `ValueError` for other measures.
    """
    if is_law(mu):
        return means_of_pairs(mu, 1)[1]
    tokens = tokens_of(mu)
    return jnp.sum(tokens.mean(tokens.positions) ** 2)


def overlap_variance(model: Model, mu: AbstractMeasure) -> Float[Array, ""]:
    """The variance of R_ij = ⟨x_i, x_j⟩ over i ≠ j.

    With C the covariance of the tokens, over all i and j it is v = 2x̄ᵀCx̄ + tr C²; off the diagonal it is (v − (tr
    C)²/(n − 1)) n/(n − 1). It costs O(nd²), and tokens that nearly coincide keep their digits. Of a density it is v,
    the variance of ⟨x, y⟩ of independent points.

    **Arguments:**

    - `model`: the model; not used.
    - `mu`: two or more tokens of equal weight, particles on a sphere, or a density there.

    **Raises:** `ValueError` for other measures.
    """
    if is_law(mu):
        return jnp.maximum(mean_square(mu) - alignment(model, mu) ** 2, 0.0)
    tokens = alike(mu)
    require(tokens.n >= 2, "a variance of overlaps is that of two tokens or more.")
    centre = tokens.mean(tokens.positions)
    apart = tokens.positions - centre
    covariance = (apart.T @ apart) / tokens.n
    every = 2 * centre @ covariance @ centre + jnp.sum(covariance**2)
    rest = tokens.n - 1
    return jnp.maximum(every - jnp.trace(covariance) ** 2 / rest, 0.0) * tokens.n / rest


def kappa(model: Model, mu: AbstractMeasure) -> Float[Array, ""]:
    """The strength κ of the isotropic common noise, its amplitude squared; 1/time on a sphere.

    **Arguments:**

    - `model`: the model.
    - `mu`: the measure.

    **Raises:** `ValueError` for a model without such a noise.
    """
    parts = [part for part in model.common if isinstance(part, Isotropic)]
    require(
        parts, "κ is that of an isotropic common noise, Model(space, common=Isotropic(amplitude)), and none is there."
    )
    return sum((part.at(mu) ** 2 for part in parts), jnp.zeros(()))


def overlaps(first: int) -> Callable[[Model, AbstractMeasure], Float[Array, "k k"]]:
    """The overlaps R_ij = ⟨x_i, x_j⟩ of the first k tokens, shape (k, k).

    **Arguments:**

    - `first`: k ≥ 2, an integer.

    **Returns:** a function of (model, measure).

    **Raises:** `ValueError` for another k. When used: for fewer tokens, and for other measures.
    """
    whole = isinstance(first, int) and not isinstance(first, bool) and first >= 2
    require(whole, f"overlaps are those of the first k ≥ 2 tokens, but k = {first!r} was given.")
    return eqx.Partial(_overlaps, first=first)


def effective_rank(model: Model, mu: AbstractMeasure) -> Float[Array, ""]:
    """The effective rank (Σλ)²/Σλ² for the eigenvalues λ of Σ_i x_ix_iᵀ/n, or of ∫xxᵀdμ.

    It goes from 1, all tokens on a line, to d, an isotropic cloud.

    **Arguments:**

    - `model`: the model; not used.
    - `mu`: tokens, particles on a sphere, or a density there.

    **Raises:** `ValueError` for other measures.
    """
    if is_law(mu):
        return 1 / mean_square(mu)
    tokens = tokens_of(mu)
    second = (tokens.positions.T @ tokens.positions) / tokens.n
    return jnp.trace(second) ** 2 / jnp.sum(second**2)


def _overlaps(model: Model, mu: AbstractMeasure, *, first: int) -> Float[Array, "k k"]:
    tokens = tokens_of(mu)
    require(first <= tokens.n, f"there are {tokens.n} tokens, and not {first}.")
    x = tokens.positions[:first]
    return x @ x.T


def tokens_of(mu: AbstractMeasure) -> Particles:
    """The measure, if it is made of particles on a sphere. **Raises** `ValueError` for another."""
    if not isinstance(mu, Particles) or not isinstance(mu.space, Sphere):
        raise ValueError(f"overlaps are those of tokens, particles on a sphere, not of a {type(mu).__name__}.")
    return mu


def alike(mu: AbstractMeasure) -> Particles:
    """Tokens on a sphere of equal weight, as pairs i ≠ j are counted. **Raises** `ValueError` for others."""
    tokens = tokens_of(mu)
    require(tokens.weights is None, "statistics over pairs of tokens are those of tokens of equal weight.")
    return tokens
