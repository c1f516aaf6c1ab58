"""Fourier coefficients of functions with kinks, to rounding: by series of Legendre's polynomials between the kinks.

An interval is halved until its series of Legendre's polynomials converges, or until it is so short that what is missed
does not count, as about a kink. Of each piece, ∫P_j(t)e^{iωt}dt = 2i^j j_j(ω) over [−1, 1],
j_j the spherical Bessel functions.
"""

from collections.abc import Callable

import numpy as np

_ORDER = 20
_HALVINGS, _PIECES = 52, 600
# ω below which the nodes of the polynomials resolve e^{iωt} themselves.
_SLOW = 5.0


def cosine_coefficients(f: Callable[[np.ndarray], np.ndarray], end: float, q: np.ndarray) -> np.ndarray | None:
    """∫_0^end f(x) cos(qx) dx for each q, shape (k,).

    **Arguments:**

    - `f`: a function of many points, shape (m,), with a few kinks or jumps.
    - `end`: the end of the interval.
    - `q`: wave numbers, shape (k,).

    **Returns:** the integrals; None where f has too many kinks.
    """
    from scipy.special import spherical_jn

    pieces = _pieces(f, end)
    if pieces is None:
        return None
    centres, halves, values = pieces
    node, weight = np.polynomial.legendre.leggauss(_ORDER)
    slow = q.max(initial=0.0) * halves <= _SLOW
    x = (centres[slow, None] + halves[slow, None] * node).ravel()
    mass = (halves[slow, None] * weight * values[slow]).ravel()
    total = np.zeros(len(q))
    for block in np.array_split(np.arange(x.size), max(1, x.size * len(q) // 10**7)):
        total += np.cos(np.outer(q, x[block])) @ mass[block]
    order = np.arange(_ORDER)
    for centre, half, coefficients in zip(centres[~slow], halves[~slow], values[~slow] @ _transform().T, strict=True):
        waves = 2 * (1j**order)[:, None] * spherical_jn(order[:, None], q * half)
        total += half * np.real(np.exp(1j * q * centre) * (coefficients @ waves))
    return total


def _transform() -> np.ndarray:
    """The matrix from values at Gauss' nodes to coefficients of Legendre's polynomials."""
    node, weight = np.polynomial.legendre.leggauss(_ORDER)
    table = np.polynomial.legendre.legvander(node, _ORDER - 1)
    return (np.arange(_ORDER) + 0.5)[:, None] * table.T * weight


def _pieces(f: Callable[[np.ndarray], np.ndarray], end: float) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Centres, half widths, and values at the nodes of the pieces on which f is a polynomial, to rounding."""
    node, transform = np.polynomial.legendre.leggauss(_ORDER)[0], _transform()
    edges = np.linspace(0.0, end, 9)
    centres, halves = 0.5 * (edges[1:] + edges[:-1]), 0.5 * np.diff(edges)
    done, size, count = [], 0.0, 0
    for level in range(_HALVINGS):
        values = f((centres[:, None] + halves[:, None] * node).ravel()).reshape(-1, _ORDER)
        size = max(size, np.abs(values).max())
        tail = np.abs(values @ transform[-4:].T).max(axis=1)
        good = tail * halves <= 1e-15 * size * end
        good |= level == _HALVINGS - 1
        done.append((centres[good], halves[good], values[good]))
        count += len(centres)
        if good.all():
            return tuple(np.concatenate(part) for part in zip(*done, strict=True))  # pyright: ignore[reportReturnType]
        if count > _PIECES:
            return None
        left, half = centres[~good], 0.5 * halves[~good]
        centres, halves = np.concatenate([left - half, left + half]), np.concatenate([half, half])
    return None
