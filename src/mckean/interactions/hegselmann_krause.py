"""Bounded confidence with a normalised average: particles that move towards the mean of those within a distance."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean.checks import require, require_finite
from mckean.interactions import costs
from mckean.interactions.field import AbstractField
from mckean.interactions.kernels._catalogue import require_radius
from mckean.interactions.parameters import parameter
from mckean.interactions.sums import compact, direct
from mckean.interactions.sums.cells import pair_sum
from mckean.interactions.sums.sum import Points, at, atoms
from mckean.measures import AbstractMeasure, require_one_device
from mckean.spaces import AbstractSpace, Euclidean, Torus

# So many points tell what share of the measure's atoms is within the radius.
_SAMPLE = 64


class HegselmannKrause(AbstractField):
    """The field towards the mean of the neighbours within a distance R,

        b(x, μ) = K ∫_{|y − x| < R} (y − x) dμ(y) / μ(|y − x| < R),

    and 0 where there are none. On a torus y − x is the shortest displacement. It is no gradient of a pair energy: for
    the sum without the denominator take `kernels.BoundedConfidence`. Pairs are summed by cell lists where these are
    estimated to cost less, else all of them. A density acts by its nodes and their masses. Derivatives take the set of
    neighbours as it is.

    **Arguments:**

    - `radius`: R > 0, a number, in the unit of the coordinates. Default: 1.
    - `strength`: K, 1/time. Default: 1.

    **Raises:**

    - `ValueError` for a radius that is not positive and finite, a strength that is not finite; when used, for a radius
      above half the shortest side of a torus, points of another dimension, and a measure that is neither particles nor
      a density.

    **Source:** Hegselmann and Krause, J. Artif. Soc. Soc. Simul. 5 (2002); Motsch and Tadmor, SIAM Rev. 56 (2014).
    """

    radius: float = eqx.field(static=True, default=1.0)
    strength: Float[Array, ""] = eqx.field(converter=parameter, default=1.0)

    def __check_init__(self):
        require_radius(self.radius)
        require_finite("the strength of a Hegselmann–Krause field", self.strength)

    def __call__(self, x: Points, mu: AbstractMeasure) -> Float[Array, "n d"]:
        """b(x_i, μ) at points of shape (n, d) or on the nodes of a grid, in the precision of the points."""
        require_one_device("HegselmannKrause averages", mu)
        x, dim = at(x, mu), mu.domain.dim
        require_radius(self.radius, mu.domain)
        require(x.ndim == 2 and x.shape[1] == dim, f"points in dimension {dim} have shape (n, {dim}), not {x.shape}.")
        y, w = atoms(mu)
        y, w = y if y.dtype == x.dtype else y.astype(x.dtype), jnp.where(w < 0, 0.0, w).astype(x.dtype)
        total = _within(mu.domain, self.radius, y, w, x)
        mass = total[:, dim:]
        near = mass > 0
        return self.strength.astype(x.dtype) * jnp.where(near, -total[:, :dim] / jnp.where(near, mass, 1.0), 0.0)


def _within(space: AbstractSpace, radius: float, y: Array, w: Array, x: Array) -> Float[Array, "n k"]:
    """Σ_j w_j (x_i − y_j) and Σ_j w_j over the j with |x_i − y_j| < R."""
    dim, pairs = x.shape[1], x.shape[0] * y.shape[0]

    def all_pairs(y, w, x):
        def pair(*z):
            near = sum(c * c for c in z) < radius**2
            return tuple(jnp.where(near, c, 0.0) for c in (*z, jnp.ones_like(z[0])))

        return direct.sum_tiles(pair, space, y, w, x)

    def by_cells(y, w, x):
        return pair_sum(lambda z: jnp.append(z, 1.0), space, y, w, x, radius)

    if pairs <= costs.FEW_PAIRS or not isinstance(space, Euclidean | Torus):
        return all_pairs(y, w, x)
    some = jax.lax.stop_gradient(x[:: max(1, x.shape[0] // _SAMPLE)])
    z = space.displacement(some[:, None], jax.lax.stop_gradient(y)[None])
    share = jnp.mean(jnp.sum(z**2, axis=-1) < radius**2)
    # An estimate is linear in the number of neighbours.
    fewest, each = (costs.seconds(compact.work(x.shape[0], m, dim)) for m in (0.0, 1.0))
    every = costs.seconds({costs.PAIR_DOUBLE: pairs * 4.0 * (dim + 1)})
    return jax.lax.cond(fewest + (each - fewest) * share * y.shape[0] < every, by_cells, all_pairs, y, w, x)
