"""What is looked at in tokens on the sphere: overlaps R_ij = ⟨x_i, x_j⟩, without a matrix of all pairs."""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean.checks import require
from mckean.measures import AbstractMeasure, Particles
from mckean.models import Model
from mckean.spaces import Sphere


def mean_overlap(model: Model, mu: AbstractMeasure) -> Float[Array, ""]:
    """The mean of R_ij over i ≠ j, (n|x̄|² − 1)/(n − 1). **Raises** `ValueError` but for two or more tokens."""
    tokens = _tokens(mu)
    require(tokens.n >= 2, "a mean overlap is that of two tokens or more.")
    return (tokens.n * alignment(model, mu) - 1) / (tokens.n - 1)


def alignment(model: Model, mu: AbstractMeasure) -> Float[Array, ""]:
    """|x̄|², the mean of R_ij over all i and j. **Raises** `ValueError` but for tokens on a sphere."""
    tokens = _tokens(mu)
    return jnp.sum(tokens.mean(tokens.positions) ** 2)


def overlaps(first: int) -> Callable[[Model, AbstractMeasure], Float[Array, "k k"]]:
    """R_ij of the first k tokens. **Raises** `ValueError` unless k is an integer ≥ 2, and, when used, k ≤ n."""
    whole = isinstance(first, int) and not isinstance(first, bool) and first >= 2
    require(whole, f"overlaps are those of the first k ≥ 2 tokens, but k = {first!r} was given.")
    return eqx.Partial(_overlaps, first=first)


def effective_rank(model: Model, mu: AbstractMeasure) -> Float[Array, ""]:
    """(Σλ)²/Σλ² for the eigenvalues λ of Σ_i x_ix_iᵀ/n: from 1, all tokens on a line, to d, an isotropic cloud."""
    tokens = _tokens(mu)
    second = (tokens.positions.T @ tokens.positions) / tokens.n
    return jnp.trace(second) ** 2 / jnp.sum(second**2)


def _overlaps(model: Model, mu: AbstractMeasure, *, first: int) -> Float[Array, "k k"]:
    tokens = _tokens(mu)
    require(first <= tokens.n, f"there are {tokens.n} tokens, and not {first}.")
    x = tokens.positions[:first]
    return x @ x.T


def _tokens(mu: AbstractMeasure) -> Particles:
    if not isinstance(mu, Particles) or not isinstance(mu.space, Sphere):
        raise ValueError(f"overlaps are those of tokens, particles on a sphere, not of a {type(mu).__name__}.")
    return mu
