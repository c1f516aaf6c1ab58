"""Densities on spheres in the place of tokens: means over independent points x and y of a law ρ.

    E P_k(⟨x, e⟩) = (|S^{d−1}|/N_k) ρ_k(e),   E P_k(⟨x, y⟩) = (|S^{d−1}|/N_k) ∫ρρ_k,

ρ_k the part of degree k of ρ, and N_k the number of harmonics of that degree: the addition theorem. Both are exact on a
grid of degree L, whose densities have no part beyond L.
"""

import math
from collections.abc import Callable
from typing import TypeGuard

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from mckean.interactions.sums.zonal import coefficients, convolve
from mckean.measures import AbstractMeasure, Density
from mckean.spaces import AbstractSphericalGrid, calculus


def is_law(mu: AbstractMeasure) -> TypeGuard[Density]:
    """Whether it is a density on a sphere."""
    return isinstance(mu, Density) and isinstance(mu.grid, AbstractSphericalGrid)


def means_along(mu: Density, axis: Float[Array, " d"], degree: int) -> Float[Array, " k"]:
    """E P_k(⟨x, e⟩) for k = 0 … degree."""
    grid = _grid(mu)
    return _of_parts(mu, degree, lambda part: grid.evaluate(part, axis.astype(mu.values.dtype)[None])[0])


def means_of_pairs(mu: Density, degree: int) -> Float[Array, " k"]:
    """E P_k(⟨x, y⟩) for k = 0 … degree."""
    grid, masses = _grid(mu), _masses(mu)
    return _of_parts(mu, degree, lambda part: jnp.sum(masses * grid.synthesise(part)))


def mean_of_angle(mu: Density, profile: Callable[[Array], Array]) -> Float[Array, ""]:
    """E w(θ) of a function of the angle between x and y, elementwise, by the theorem of Funk and Hecke."""
    grid = _grid(mu)
    return jnp.sum(_masses(mu) * grid.synthesise(convolve(profile, coefficients(mu, grid))))


def mean_square(mu: Density) -> Float[Array, ""]:
    """E ⟨x, y⟩², as P_2(t) = (dt² − 1)/(d − 1)."""
    dim = mu.grid.space.dim
    return ((dim - 1) * means_of_pairs(mu, 2)[2] + 1) / dim


def _of_parts(mu: Density, degree: int, f: Callable[[Inexact[Array, "..."]], Array]) -> Float[Array, " k"]:
    grid, space = _grid(mu), mu.grid.space
    whole, degrees = grid.analyse(mu.values), grid.degrees(grid.degree)
    scales = [math.exp(space.log_volume - _log_number(k, space.dim)) for k in range(degree + 1)]
    values = jax.vmap(lambda k: f(jnp.where(degrees == k, whole, 0)))(jnp.arange(degree + 1))
    return jnp.asarray(scales, values.dtype) * values


def _masses(mu: Density) -> Float[Array, "..."]:
    return calculus.masses(mu.grid, mu.values)


def _log_number(k: int, dim: int) -> float:
    """log N_k, N_k = (2k + d − 2)/(k + d − 2) times k + d − 2 over k."""
    if k == 0:
        return 0.0
    ways = math.lgamma(k + dim - 1) - math.lgamma(k + 1) - math.lgamma(dim - 1)
    return math.log((2 * k + dim - 2) / (k + dim - 2)) + ways


def _grid(mu: Density) -> AbstractSphericalGrid:
    assert isinstance(mu.grid, AbstractSphericalGrid), "asked before"
    return mu.grid
