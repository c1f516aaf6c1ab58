"""cos and sin of an angle given in turns: exact argument reduction, then a short polynomial that vectorises.

With r = t − round(t), exactly representable, and s = sin πr, c = cos πr from polynomials in r² on |r| ≤ 1/2,
sin 2πt = 2sc and cos 2πt = 1 − 2s². The absolute error is below 1e-6 in single and 1e-14 in double precision,
to which an argument of size T adds 2π·T times the rounding unit.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.polynomial import Chebyshev, Polynomial

_DEGREES = {"float32": (4, 5), "float64": (8, 9)}


def _even_polynomial(f, degree: int) -> np.ndarray:
    """Coefficients p with f(r) ≈ Σ p_k r^{2k} on |r| ≤ 1/2, by interpolation in Chebyshev nodes of r²."""
    domain = [0.0, 0.25]
    nodes = 0.125 * (1 + np.cos(np.pi * (np.arange(400) + 0.5) / 400))
    return Chebyshev.fit(nodes, f(np.sqrt(nodes)), degree, domain=domain).convert(kind=Polynomial).coef


_COEFFICIENTS = {
    dtype: (
        _even_polynomial(lambda r: np.pi * np.sinc(r), sine),
        _even_polynomial(lambda r: np.cos(np.pi * r), cosine),
    )
    for dtype, (sine, cosine) in _DEGREES.items()
}


def _horner(u: Array, coefficients: np.ndarray) -> Array:
    total = jnp.full_like(u, coefficients[-1])
    for c in coefficients[-2::-1]:
        total = total * u + jnp.asarray(c, u.dtype)
    return total


@jax.custom_jvp
def cos_sin_turns(t: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """(cos 2πt, sin 2πt), elementwise."""
    sine, cosine = _COEFFICIENTS[t.dtype.name]
    r = t - jnp.round(t)
    u = r * r
    s = r * _horner(u, sine)
    return 1 - 2 * s * s, 2 * s * _horner(u, cosine)


@cos_sin_turns.defjvp
def _cos_sin_turns_jvp(primals, tangents):
    c, s = cos_sin_turns(*primals)
    rate = 2 * jnp.pi * tangents[0]
    return (c, s), (-s * rate, c * rate)
