"""Kernels without force beyond a distance: the pairs within it, by cell lists.

Where ∇W is zero W is a constant c, as it is even and what lies beyond a ball is connected: W*μ is c and the sum of
W − c over the pairs within.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.checks import traced
from mckean.faults import Status, sound
from mckean.interactions import costs
from mckean.interactions.kernels import AbstractKernel, FourierSeries
from mckean.interactions.memory import once, rung
from mckean.interactions.sums import direct
from mckean.interactions.sums.box import extent_of
from mckean.interactions.sums.cells import pair_sum
from mckean.interactions.sums.sum import AbstractSum, Points, at, atoms
from mckean.measures import AbstractMeasure, Density, Particles, dtype_of, mesh_of
from mckean.spaces import Torus


class Cells(AbstractSum):
    """Pairs within a radius, by cell lists: exact for a kernel that is constant beyond it.

    **Arguments:**

    - `radius`: R > 0, in the unit of the coordinates. Default: None, the distance that `plan` finds, beyond which ∇W is
      zero.

    **Raises:**

    - `ValueError` for a radius that is not positive and finite.
    """

    radius: float | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        if self.radius is not None and not 0 < self.radius < math.inf:
            raise ValueError(f"the radius of a cell list must be positive and finite, but {self.radius!r} was given.")

    def refusal(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> str | None:
        if not isinstance(mu, Particles | Density):
            return f"sums over atoms, which a {type(mu).__name__} has none of"
        if mesh_of(mu) is not None:
            return "serves particles on one device, but these are spread over several"
        if isinstance(kernel, FourierSeries):
            return "needs a kernel without force from some distance on, which a Fourier series is not"
        if isinstance(mu.domain, Torus) and self.radius is not None and self.radius > 0.5 * min(mu.domain.lengths):
            return "needs a radius of at most half the shortest side of the torus"
        return None

    def plan(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> "Cells":
        if self.radius is not None:
            return self
        radius = support(kernel, mu, points)
        if radius is None:
            raise ValueError("Cells needs a kernel without force from some distance on, which this one is not.")
        return Cells(radius)

    def inspect(self, mu: AbstractMeasure, points: Points) -> Status:
        return sound(dtype_of(mu))

    def potential(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> Float[Array, " n"]:
        return near_potential(kernel, mu, at(points, mu), self._require_radius())

    def force(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> Float[Array, "n d"]:
        return near_force(kernel, mu, at(points, mu), self._require_radius())

    def _require_radius(self) -> float:
        if self.radius is None:
            raise ValueError("Cells needs a radius: Cells(R), or a plan made from known positions.")
        return self.radius


def near_potential(kernel: AbstractKernel, mu: AbstractMeasure, x: Array, radius: float) -> Float[Array, " n"]:
    """Σ_j w_j W(x_i − y_j), where W is what it is at the radius for the pairs beyond."""
    own = direct.own_cell(kernel, mu)
    places, masses = atoms(mu)
    edge = kernel.value(jnp.zeros(x.shape[1], x.dtype).at[0].set(radius))
    near = pair_sum(lambda z: kernel.value(z, own) - edge, mu.domain, places, masses, x, radius)
    return near + edge * jnp.sum(masses).astype(x.dtype)


def near_force(kernel: AbstractKernel, mu: AbstractMeasure, x: Array, radius: float) -> Float[Array, "n d"]:
    """−Σ_j w_j ∇W(x_i − y_j) over the pairs within the radius."""
    places, masses = atoms(mu)
    return -pair_sum(kernel.gradient, mu.domain, places, masses, x, radius)


def support(kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> float | None:
    """A distance, below the extent, beyond which W is constant in every direction tried; None for none."""
    space = mu.domain
    extent = 0.5 * min(space.lengths) if isinstance(space, Torus) else rung(extent_of(mu, points))
    return None if traced(kernel) else _constant_from(kernel, mu.domain.dim, extent)


@once
def _constant_from(kernel: AbstractKernel, dim: int, extent: float) -> float | None:
    directions = jnp.asarray(_directions(dim), float)
    radii = extent * np.linspace(0, 1, 4001)[1:]

    @jax.jit
    def fields(r):
        """W less what it is at the extent, and ∇W, at distances in all directions."""
        z = r[:, None, None] * directions
        value, gradient = (jax.vmap(jax.vmap(f)) for f in (kernel.value, kernel.gradient))
        level = value(extent * directions[None])
        # A constant is one up to its rounding.
        change = jnp.maximum(jnp.abs(value(z) - level) - 8 * jnp.finfo(z.dtype).eps * jnp.abs(level), 0)
        return jnp.max(change + jnp.sum(jnp.abs(gradient(z)), axis=2), axis=1)

    alive = np.flatnonzero(~(np.asarray(fields(jnp.asarray(radii, float))) == 0))
    if len(alive) == 0 or alive[-1] + 2 >= len(radii):
        return None
    # It ends between two of the radii: a search that only looks at zero or not finds it.
    inside, outside = radii[alive[-1]], radii[alive[-1] + 1]
    while outside - inside > 1e-12 * outside:
        between = np.linspace(inside, outside, len(radii))
        last = np.flatnonzero(~(np.asarray(fields(jnp.asarray(between, float))) == 0))[-1]
        inside, outside = between[last], between[last + 1]
    return float(outside) * (1 + 1e-9)


def _directions(dim: int) -> np.ndarray:
    directions = np.random.default_rng(2).normal(size=(1 if dim == 1 else 8, dim))
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def candidates_within(mu: AbstractMeasure, points: Points, reach: float) -> float:
    """About how many sources are within a distance of a target, on average, from a sample of targets."""
    places, targets = np.asarray(atoms(mu)[0], float), np.asarray(at(points, mu), float)
    rng = np.random.default_rng(3)
    sample = targets[rng.choice(len(targets), min(len(targets), 64), replace=False)]
    some = places[rng.choice(len(places), min(len(places), 20_000), replace=False)]
    z = np.asarray(mu.domain.displacement(jnp.asarray(sample[:, None]), jnp.asarray(some[None])))
    share = np.mean(np.sum(z**2, axis=-1) < reach**2)
    return float(max(share, 1 / len(places)) * len(places))


def work(points: int, candidates: float, dim: int) -> costs.Work:
    """What a force consists of: the pair function and its cut-off, and the cells looked through for each candidate."""
    return {costs.CELLS[min(dim, 3) - 1]: points * (candidates + 4)}
