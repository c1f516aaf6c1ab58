"""Quadratic kernels: the field depends on two moments of the measure, exactly, in O(n)."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean.interactions.kernels import Quadratic
from mckean.measures import AbstractMeasure, Gaussian, Particles


def _mean(mu: AbstractMeasure) -> Float[Array, " d"]:
    if isinstance(mu, Particles):
        return mu.mean(mu.positions)
    if isinstance(mu, Gaussian):
        return mu.mean
    return mu.integrate(lambda x: x)


def _spread(mu: AbstractMeasure, centre: Float[Array, " d"]) -> Float[Array, ""]:
    """∫|y − centre|² dμ."""
    if isinstance(mu, Gaussian):
        return jnp.trace(mu.covariance)
    return mu.integrate(lambda y: jnp.sum((y - centre) ** 2))


def potential(mu: AbstractMeasure, kernel: Quadratic, points: Float[Array, "n d"]) -> Float[Array, " n"]:
    """(c/2)(|x − m|² + ∫|y − m|²dμ), m the mean of μ."""
    mean = _mean(mu)
    return 0.5 * kernel.strength * (jnp.sum((points - mean) ** 2, axis=-1) + _spread(mu, mean))


def force(mu: AbstractMeasure, kernel: Quadratic, points: Float[Array, "n d"]) -> Float[Array, "n d"]:
    """−c(x − m)."""
    return -kernel.strength * (points - _mean(mu))
