"""A smooth step whose transform falls as fast as a given error allows, to cut kernels off."""

import functools
import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.polynomial import Chebyshev


@functools.cache
def _coefficients(tolerance: float) -> np.ndarray:
    """c_k with Σ_k c_k T_{2k+1}(s) ≈ ∫₀ˢφ / 2∫₀¹φ on |s| ≤ 1, φ(s) = exp(b(√(1 − s²) − 1))."""
    b = sharpness(tolerance)
    bump = Chebyshev.interpolate(lambda s: np.exp(b * (np.sqrt(np.maximum(1 - s * s, 0)) - 1)), 40 + 2 * math.ceil(b))
    half = bump.integ(lbnd=0)
    odd = (half / (2 * half(1.0))).coef[1::2]
    return odd[: np.flatnonzero(np.abs(odd) > 0.01 * tolerance)[-1] + 1]


def step(t: Float[Array, "..."], tolerance: float) -> Float[Array, "..."]:
    """0 for t ≤ 0, 1 for t ≥ 1, between them the integral of the "exponential of semicircle" bump of this tolerance."""
    s = 2 * jnp.clip(t, 0.0, 1.0) - 1
    # Clenshaw's recurrence for Chebyshev polynomials of odd degree.
    twice, first, second = 4 * s * s - 2, jnp.zeros_like(s), jnp.zeros_like(s)
    for c in _coefficients(tolerance)[::-1]:
        first, second = twice * first - second + jnp.asarray(c, s.dtype), first
    value = 0.5 + s * (first - second)
    return jnp.where(t <= 0, 0.0, jnp.where(t >= 1, 1.0, value))


def sharpness(tolerance: float) -> float:
    """b with e^{−b} = tolerance, at most what double precision resolves."""
    return round(min(34.0, max(2.0, -math.log(tolerance))), 3)
