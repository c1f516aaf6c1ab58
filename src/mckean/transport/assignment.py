"""Exact distances between clouds of as many points each: the best assignment."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.checks import require
from mckean.measures import Particles
from mckean.spaces import AbstractSpace

MOST = 5000
"""The largest number of points: n² distances are held, 200 MB, and matched in some seconds."""
_ROWS = 256


def by_assignment(mu: Particles, nu: Particles, p: float) -> float:
    """W_p^p = min over permutations s of (1/n)Σ_i d(x_i, y_{s(i)})^p: an optimal plan of equal atoms is a permutation.

    Exact up to rounding; on any space, in any dimension.
    **Raises** `ValueError` for weights, for different numbers of points, and for more than 5000.

    Source: Birkhoff's theorem, Villani, Topics in Optimal Transportation, introduction; Crouse, IEEE Trans. Aerosp.
    Electron. Syst. 52 (2016), for the algorithm, SciPy's.
    """
    from scipy.optimize import linear_sum_assignment

    require(
        mu.weights is None and nu.weights is None and mu.n == nu.n,
        "in more than one dimension W_p is exact between clouds of as many particles each, of equal weight: for others "
        "take sinkhorn or sliced.",
        see="Exact distances in the plane",
    )
    require(
        mu.n <= MOST, f"W_p by assignment takes at most {MOST} points, not {mu.n}: beyond, take sinkhorn or sliced."
    )
    cost = _distances(mu.space, np.asarray(mu.positions, np.float64), np.asarray(nu.positions, np.float64))
    scale = float(cost.max()) or 1.0
    cost = (cost / scale) ** p
    rows, columns = linear_sum_assignment(cost)
    return scale * float(np.mean(cost[rows, columns])) ** (1 / p)


def _distances(space: AbstractSpace, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """d(x_i, y_j), shape (n, n), some rows at a time."""
    targets = jnp.asarray(y)
    pieces = [np.asarray(_block(space, jnp.asarray(x[i : i + _ROWS]), targets)) for i in range(0, len(x), _ROWS)]
    return np.concatenate(pieces).astype(np.float64)


@eqx.filter_jit
def _block(space: AbstractSpace, rows: Float[Array, "r d"], targets: Float[Array, "n d"]) -> Float[Array, "r n"]:
    return space.distance(rows[:, None], targets[None])
