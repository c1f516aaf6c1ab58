"""Zonal statistics of tokens: means of P_k(⟨x, y⟩), P_k the zonal polynomials of S^{d−1}.

P_k is Gegenbauer's C_k^{(d/2 − 1)} with P_k(1) = 1: Chebyshev's T_k for d = 2, Legendre's for d = 3. The pair mean
(1/n²)Σ_ij P_k(R_ij) is Σ_m |(1/n)Σ_i Y_km(x_i)|²/N_k over an orthogonal basis of the N_k spherical harmonics of degree
k with Σ_m Y_km² = N_k: how much of degree k is in the tokens' law. Independent uniform tokens have 1/n in mean.

Of a density they are means over independent points of its law; one of degree L has 0 for k > L.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.checks import require, traced
from mckean.measures import AbstractMeasure
from mckean.models import Model
from mckean.observables.laws import is_law, means_along, means_of_pairs
from mckean.observables.pairs import over_pairs
from mckean.observables.tokens import alike, tokens_of


def gegenbauer(degree: int, dim: int, t: Float[Array, "*n"]) -> Float[Array, "k *n"]:
    """The zonal polynomials P_0 … P_degree of S^{d−1}, by (k + d − 2)P_{k+1} = (2k + d − 2)tP_k − kP_{k−1}.

    **Arguments:**

    - `degree`: the last k.
    - `dim`: d ≥ 2.
    - `t`: in [−1, 1], any shape.

    **Returns:** an array with k as leading axis.
    """
    return jnp.stack([jnp.ones_like(t), *_recurrence(degree, dim, t)])


def zonal(axis, *, degree: int) -> Callable[[Model, AbstractMeasure], Float[Array, " k"]]:
    """The zonal means (1/n)Σ_i P_k(⟨x_i, e⟩) for k = 0 … degree, P_k the zonal polynomials of S^{d−1} with P_k(1) = 1.

    **Arguments:**

    - `axis`: e, a vector of length 1, shape (d,).
    - `degree`: the last k, at least 1.

    **Returns:** a function of (model, measure), of shape (degree + 1,).

    **Raises:** `ValueError` for a degree that is no integer ≥ 1, and an axis that is no unit vector. When used: for one
    of another dimension.
    """
    _check(degree)
    axis = jnp.asarray(axis, float)
    unit = traced(axis) or (axis.ndim == 1 and abs(float(np.linalg.norm(axis)) - 1) < 1e-5)
    require(unit, "the axis of zonal statistics is a vector of length 1.")
    return eqx.Partial(_along, axis=axis, degree=degree)


def zonal_pairs(degree: int) -> Callable[[Model, AbstractMeasure], Float[Array, " k"]]:
    """The zonal means of pairs (1/n²)Σ_ij P_k(R_ij) for k = 0 … degree, i = j among them; of a density ∬P_k dμdμ.

    All are ≥ 0, and 1 for tokens that are one.

    **Arguments:**

    - `degree`: the last k, at least 1.

    **Returns:** a function of (model, measure), of shape (degree + 1,).

    **Raises:** `ValueError` for a degree that is no integer ≥ 1.
    """
    _check(degree)
    return eqx.Partial(_of_pairs, degree=degree)


def _check(degree: int) -> None:
    whole = isinstance(degree, int) and not isinstance(degree, bool) and degree >= 1
    require(whole, f"zonal statistics have a highest degree ≥ 1, not {degree!r}.")


def _check_axis(axis: Float[Array, " d"], dim: int) -> None:
    require(axis.shape == (dim,), f"an axis in dimension {dim} has shape ({dim},), not {axis.shape}.")


def _recurrence(degree: int, dim: int, t: Array) -> list[Array]:
    """P_1 … P_degree."""
    values = [jnp.ones_like(t), t]
    for k in range(1, degree):
        values.append(((2 * k + dim - 2) * t * values[-1] - k * values[-2]) / (k + dim - 2))
    return values[1 : degree + 1]


def _along(model: Model, mu: AbstractMeasure, *, axis: Float[Array, " d"], degree: int) -> Float[Array, " k"]:
    if is_law(mu):
        _check_axis(axis, mu.grid.space.dim)
        return means_along(mu, axis, degree)
    tokens = tokens_of(mu)
    dim = tokens.space.dim
    _check_axis(axis, dim)
    t = jnp.matmul(tokens.positions, axis.astype(tokens.positions.dtype), precision=jax.lax.Precision.HIGHEST)
    return tokens.mean(gegenbauer(degree, dim, t).T)


def _of_pairs(model: Model, mu: AbstractMeasure, *, degree: int) -> Float[Array, " k"]:
    if is_law(mu):
        return means_of_pairs(mu, degree)
    tokens = alike(mu)
    x, n = tokens.positions, tokens.n

    def add(total, overlaps, pairs, i, j):
        values = _recurrence(degree, tokens.space.dim, overlaps)
        return total + jnp.stack([jnp.sum(jnp.where(pairs, p, 0.0)) for p in values]) / float(n) ** 2

    off = over_pairs(x, jnp.zeros(degree, x.dtype), add)
    return jnp.concatenate([jnp.ones(1, x.dtype), 1 / n + 2 * off])
