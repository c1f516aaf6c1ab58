"""How the environment of a common noise moves a law, and derivatives in that direction.

Along its fields the environment moves a law by the second-order operator ½Σ_k 𝒜_k𝒜_k of Stratonovich's calculus, 𝒜_k
the derivative in the direction A_k(ρ) = −∇·(ρσ_k[ρ]), under which ρ flows by σ_k.
"""

from collections.abc import Callable
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean import interactions
from mckean.measures import AbstractMeasure, Density, Particles, dtype_of
from mckean.models.model import Model
from mckean.models.noise import AbstractNoise
from mckean.spaces import calculus
from mckean.spaces.calculus import SpectralGrid


def total_over_motions(model: Model, mu: AbstractMeasure, rate: Callable, zero: Any) -> Any:
    """Σ_k rate(e_k) over the environment's motions, one at a time: memory does not grow with their number."""
    if not model.common:
        return zero
    width = model.motions(mu)

    def add(k, total):
        return jax.tree.map(jnp.add, total, rate(jax.nn.one_hot(k, width, dtype=dtype_of(mu))))

    return jax.lax.fori_loop(0, width, add, zero)


def tangent(model: Model, mu: Particles | Density, unit: Float[Array, " m"]) -> Array:
    """How Σ_kσ_k unit_k moves a measure: the velocities of particles, −∇·(ρσ) of a density."""
    if isinstance(mu, Particles):
        return jnp.broadcast_to(model.common_displacement(mu.positions, mu, unit), mu.positions.shape)
    velocity = jnp.broadcast_to(model.common_displacement(mu.grid, mu, unit), (mu.grid.size, mu.domain.dim))
    return -calculus.divergence(cast(SpectralGrid, mu.grid), mu.values.reshape(-1, 1) * velocity)


def derivative(model: Model, mu: Particles | Density, unit: Float[Array, " m"], f: Callable) -> Any:
    """The derivative of f at μ in the direction in which the environment's field moves μ."""
    where = lambda m: m.positions if isinstance(m, Particles) else m.values  # noqa: E731
    at = lambda values: f(eqx.tree_at(where, mu, values))  # noqa: E731
    return jax.jvp(at, (where(mu),), (tangent(model, mu, unit),))[1]


def require_movable(mu: AbstractMeasure) -> Particles | Density:
    if isinstance(mu, Particles) or (isinstance(mu, Density) and isinstance(mu.grid, SpectralGrid)):
        return mu
    raise ValueError(
        "how an environment moves a law is known here for particles and for a density on a torus or a sphere, not for "
        f"a {type(mu).__name__}{' on a box' if isinstance(mu, Density) else ''}."
    )


def spreading(noise: AbstractNoise, mu: Density) -> Float[Array, "n d"]:
    """½∇·(σσᵀρ) at the nodes: minus the flux of a noise in the sense of Itô, of which the tangent part counts."""
    grid = cast(SpectralGrid, mu.grid)
    stress = 0.5 * noise.diffusion(interactions.at(grid, mu), mu) * mu.values.reshape(-1, 1, 1)
    return jnp.stack([calculus.divergence(grid, row).ravel() for row in jnp.moveaxis(stress, 1, 0)], axis=-1)
