"""Measures of one form as vectors: their differences, and the inner product and norm of these."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean.checks import require
from mckean.measures.density import Density
from mckean.measures.measure import AbstractMeasure, dtype_of
from mckean.measures.particles import Particles
from mckean.measures.placement import mesh_of
from mckean.spaces import calculus


def difference(mu: AbstractMeasure, nu: AbstractMeasure) -> Any:
    """μ − ν for two measures of one form.

    Densities differ by their values, particles by the shortest displacements from ν's to μ's, one to one.

    **Arguments:**

    - `mu`, `nu`: measures of one form and size, on one space.

    **Returns:** the tree of μ's floating arrays, with the differences in their places.

    **Raises:** `ValueError` for measures of different forms or sizes, or on different devices.
    """
    a, b = (eqx.filter(m, eqx.is_inexact_array) for m in (mu, nu))
    shapes = [[x.shape for x in jax.tree.leaves(m)] for m in (a, b)]
    require(
        type(mu) is type(nu) and mu.domain == nu.domain and shapes[0] == shapes[1],
        f"two measures are compared in one form and size, not a {type(mu).__name__} with a {type(nu).__name__} "
        f"of other arrays: {shapes[0]} and {shapes[1]}.",
    )
    require(mesh_of(mu) == mesh_of(nu), "two measures are compared on the same devices: spread both by shard, or none.")
    gap = jax.tree.map(jnp.subtract, a, b)
    if isinstance(mu, Particles) and isinstance(nu, Particles):
        gap = eqx.tree_at(lambda m: m.positions, gap, mu.space.displacement(mu.positions, nu.positions))
    return gap


def inner(measure: AbstractMeasure, eta: Any, zeta: Any) -> Float[Array, ""]:
    """⟨η, ζ⟩ of two tangents: ∫ηζ dx of densities, (1/N)Σ_i η_i·ζ_i of particles, the sum of products otherwise.

    **Arguments:**

    - `measure`: where they are tangent.
    - `eta`, `zeta`: trees as `difference` gives them.

    **Returns:** a number.
    """
    if isinstance(measure, Density):
        return calculus.integrate(measure.grid, eta.values * zeta.values)
    total = sum(
        (jnp.vdot(a, b) for a, b in zip(jax.tree.leaves(eta), jax.tree.leaves(zeta), strict=True)),
        jnp.zeros((), dtype_of(measure)),
    )
    return total / measure.n if isinstance(measure, Particles) else total


def distance(mu: AbstractMeasure, nu: AbstractMeasure) -> Float[Array, ""]:
    """‖μ − ν‖: in L² for densities, root mean square over particles one to one, (|Δm|² + |ΔΣ|²)^{1/2} for Gaussians.

    JAX can trace it, unlike `wasserstein`. For particles it is at least W_2 of their empirical measures.

    **Arguments:**

    - `mu`, `nu`: measures of one form and size, on one space.

    **Returns:** a number; for particles a length.

    **Raises:** `ValueError` for measures of different forms or sizes.
    """
    gap = difference(mu, nu)
    return jnp.sqrt(inner(mu, gap, gap))
