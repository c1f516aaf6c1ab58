"""Exponential Runge–Kutta steps of order 4 for u′ = Lu + N(t, u) with a diagonal L.

Source: Cox and Matthews, J. Comput. Phys. 176 (2002), eqs. 26–29 (ETDRK4).
"""

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact


def weights(z: Float[Array, "..."], dt: Float[Array, ""]) -> dict[str, Array]:
    """The weights of a step in terms of φ_k(z), z = L dt ≤ 0."""
    phi1, phi2, phi3 = _phi(z)
    return {
        "half": jnp.exp(z / 2),
        "full": jnp.exp(z),
        "stage": 0.5 * dt * _phi(z / 2)[0],
        "first": dt * (phi1 - 3 * phi2 + 4 * phi3),
        "middle": dt * (2 * phi2 - 4 * phi3),
        "last": dt * (4 * phi3 - phi2),
    }


def step(u: Inexact[Array, "..."], rate: Callable[[float, Array], Array], c: dict[str, Any]) -> Inexact[Array, "..."]:
    """u a step later, N given by `rate`, a function of the share of the step and u."""
    n0 = rate(0.0, u)
    a = c["half"] * u + c["stage"] * n0
    na = rate(0.5, a)
    nb = rate(0.5, c["half"] * u + c["stage"] * na)
    nc = rate(1.0, c["half"] * a + c["stage"] * (2 * nb - n0))
    return c["full"] * u + c["first"] * n0 + c["middle"] * (na + nb) + c["last"] * nc


def _phi(z: Float[Array, "..."]) -> tuple[Array, Array, Array]:
    """φ_1, φ_2, φ_3 with φ_k(z) = (φ_{k−1}(z) − 1/(k−1)!)/z: by the recurrence for |z| ≥ 1, else by Taylor."""
    near = jnp.abs(z) < 1
    far = jnp.where(near, 1.0, z)
    small = jnp.where(near, z, 0.0)
    # φ_3(z) = Σ_j z^j/(j+3)!, to j = 18
    inverse_factorials = [1 / math.factorial(j + 3) for j in range(18, -1, -1)]
    series = jnp.polyval(jnp.asarray(inverse_factorials, z.dtype), small)
    up1 = jnp.expm1(far) / far
    up2 = (up1 - 1) / far
    up3 = (up2 - 0.5) / far
    phi2 = 0.5 + small * series
    phi1 = 1 + small * phi2
    return jnp.where(near, phi1, up1), jnp.where(near, phi2, up2), jnp.where(near, series, up3)
