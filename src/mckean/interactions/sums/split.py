"""Kernels that are not smooth at 0: a smooth far part by modes, and a near part on cell lists.

W = W·χ + W·(1 − χ) with χ(z) = step(|z|/ε): the first is smooth, periodic or made so, and goes by nonuniform FFT; the
second vanishes from ε on, and goes by the pairs within ε. This is the split of Ewald, and of Potts and Steidl (SIAM J.
Sci. Comput. 24, 2003), with a step whose transform falls as fast as the tolerance allows.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.checks import traced
from mckean.interactions.kernels import AbstractKernel, FourierSeries
from mckean.interactions.sums import direct, fourier
from mckean.interactions.sums.cells import pair_sum
from mckean.interactions.sums.fourier import Box
from mckean.interactions.sums.sum import AbstractSum, Points, at, atoms
from mckean.interactions.window import Far, Near, sharpness
from mckean.measures import AbstractMeasure, Density, Particles, dtype_of
from mckean.spaces import Torus


class Cells(AbstractSum):
    """Pairs within a radius, by cell lists: exact for a kernel that vanishes beyond it.

    **Arguments:** `radius`: R, in the unit of the coordinates; None for what `planned` finds: the distance from which
    on W and ∇W are zero.
    """

    radius: float | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        if self.radius is not None and not 0 < self.radius < math.inf:
            raise ValueError(f"the radius of a cell list must be positive and finite, but {self.radius!r} was given.")

    def refusal(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> str | None:
        if not isinstance(mu, Particles | Density):
            return f"sums over atoms, which a {type(mu).__name__} has none of"
        if isinstance(kernel, FourierSeries):
            return "needs a kernel of compact support, which a Fourier series has not"
        if isinstance(mu.domain, Torus) and self.radius is not None and self.radius > 0.5 * min(mu.domain.lengths):
            return "needs a radius of at most half the shortest side of the torus"
        return None

    def planned(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> "Cells":
        if self.radius is not None:
            return self
        radius = support(direct.of_pairs(kernel), mu, points)
        if radius is None:
            raise ValueError("Cells needs a kernel that is zero from some distance on, which this one is not.")
        return Cells(radius)

    def potential(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> Float[Array, " n"]:
        return near_potential(direct.of_pairs(kernel), mu, at(points, mu), self._known())

    def force(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> Float[Array, "n d"]:
        return near_force(direct.of_pairs(kernel), mu, at(points, mu), self._known())

    def _known(self) -> float:
        if self.radius is None:
            raise ValueError("Cells needs a radius: Cells(R), or a plan made from known positions.")
        return self.radius


class Split(AbstractSum):
    """A far part by modes and a near part on cell lists, for kernels that are not smooth, or singular, at 0.

    **Arguments:** `tolerance`: as for `NUFFT`; `reach`: ε; `box`: the periodic box of the far part on R^d, the numbers
    of modes on the torus. `planned` finds both.
    """

    tolerance: float = eqx.field(static=True, default=1e-9)
    reach: float | None = eqx.field(static=True, default=None)
    box: Box | tuple[int, ...] | None = eqx.field(static=True, default=None)

    def refusal(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> str | None:
        if not isinstance(mu, Particles | Density):
            return f"sums over atoms, which a {type(mu).__name__} has none of"
        if isinstance(kernel, FourierSeries):
            return "splits a kernel in space, and a Fourier series is smooth"
        if mu.domain.dim > 3:
            return "serves in dimensions 1, 2 and 3"
        return None

    def planned(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> "Split":
        if self.box is not None:
            return self
        plan = cheapest(direct.of_pairs(kernel), mu, points, self.tolerance)
        if plan is None:
            raise ValueError(
                f"no split of this kernel into a near and a far part meets the tolerance {self.tolerance:g}: it is not "
                "smooth away from 0, or needs too many modes."
            )
        return plan

    def complaints(self, mu: AbstractMeasure, points: Points) -> dict[str, Float[Array, ""]]:
        return fourier.outgrown(self.box, mu, points) if isinstance(self.box, Box) else {}

    def potential(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> Float[Array, " n"]:
        kernel, x, reach = direct.of_pairs(kernel), at(points, mu), self._known()
        near = near_potential(Near(kernel, reach, self._cut()), mu, x, reach)
        return near + self._far(kernel, mu, x, forces=False)[:, 0]

    def force(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> Float[Array, "n d"]:
        kernel, x, reach = direct.of_pairs(kernel), at(points, mu), self._known()
        near = near_force(Near(kernel, reach, self._cut()), mu, x, reach)
        return near + self._far(kernel, mu, x, forces=True)

    def _cut(self) -> float:
        return _cut(self.tolerance)

    def _known(self) -> float:
        if self.reach is None or self.box is None:
            raise ValueError("Split needs a plan, made from known positions: mckean.interactions.planned.")
        return self.reach

    def _far(self, kernel: AbstractKernel, mu: AbstractMeasure, x: Array, forces: bool) -> Array:
        far = Far(kernel, self._known(), self._cut())
        eps = max(0.1 * self.tolerance, fourier.nufft.least_tolerance(x.dtype))
        if isinstance(self.box, Box):
            return fourier.in_box(far, self.box, mu, x, forces, eps)
        assert isinstance(self.box, tuple), "known"
        assert isinstance(mu.domain, Torus), "refused before"
        return fourier.on_torus(far, self.box, mu, x, forces, eps)


def near_potential(kernel: AbstractKernel, mu: AbstractMeasure, x: Array, radius: float) -> Float[Array, " n"]:
    """Σ_j w_j W(x_i − y_j) over the pairs within the radius."""
    own = kernel.cell_mean(mu.grid.spacing) if isinstance(mu, Density) and kernel.singular else 0.0
    places, masses = atoms(mu)
    return pair_sum(lambda z: kernel.value(z, own), mu.domain, places, masses, x, radius)


def near_force(kernel: AbstractKernel, mu: AbstractMeasure, x: Array, radius: float) -> Float[Array, "n d"]:
    """−Σ_j w_j ∇W(x_i − y_j) over the pairs within the radius."""
    places, masses = atoms(mu)
    return -pair_sum(kernel.gradient, mu.domain, places, masses, x, radius)


def support(kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> float | None:
    """A distance, below the extent, beyond which W and ∇W are zero in every direction tried; None for none."""
    extent = _extent(mu, points)
    directions = _directions(mu.domain.dim)
    radii = extent * np.linspace(0, 1, 4001)[1:]
    if traced(kernel):
        return None
    z = jnp.asarray((radii[:, None, None] * directions).reshape(-1, mu.domain.dim), float)
    size = np.abs(np.asarray(jax.jit(jax.vmap(kernel.value))(z)))
    slope = np.abs(np.asarray(jax.jit(jax.vmap(kernel.gradient))(z))).sum(axis=1)
    alive = np.flatnonzero((size + slope).reshape(len(radii), -1).max(axis=1) > 0)
    if len(alive) == 0 or alive[-1] + 2 >= len(radii):
        return None
    # The support ends between two of the radii: a bisection that only looks at zero or not finds it.
    inside, outside = radii[alive[-1]], radii[alive[-1] + 1]
    value = jax.jit(lambda r: jnp.max(jnp.abs(jax.vmap(kernel.value)(r * jnp.asarray(directions)))))
    for _ in range(40):
        middle = 0.5 * (inside + outside)
        inside, outside = (middle, outside) if float(value(middle)) > 0 else (inside, middle)
    return float(outside) * (1 + 1e-9)


def _directions(dim: int) -> np.ndarray:
    directions = np.random.default_rng(2).normal(size=(1 if dim == 1 else 8, dim))
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def _extent(mu: AbstractMeasure, points: Points) -> float:
    return 0.5 * min(mu.domain.lengths) if isinstance(mu.domain, Torus) else fourier.extent_of(mu, points)


def candidates_within(mu: AbstractMeasure, points: Points, reach: float) -> float:
    """About how many sources are within a distance of a target, on average, from a sample of targets."""
    places, targets = np.asarray(atoms(mu)[0], float), np.asarray(at(points, mu), float)
    rng = np.random.default_rng(3)
    sample = targets[rng.choice(len(targets), min(len(targets), 64), replace=False)]
    some = places[rng.choice(len(places), min(len(places), 20_000), replace=False)]
    z = np.asarray(mu.domain.displacement(jnp.asarray(sample[:, None]), jnp.asarray(some[None])))
    share = np.mean(np.sum(z**2, axis=-1) < reach**2)
    return float(max(share, 1 / len(places)) * len(places))


def cheapest(kernel: AbstractKernel, mu: AbstractMeasure, points: Points, tolerance: float) -> Split | None:
    """The split with the least estimated cost: a shorter reach leaves fewer pairs, and needs more modes."""
    extent, dim, n = _extent(mu, points), mu.domain.dim, at(points, mu).shape[0]
    torus = isinstance(mu.domain, Torus)
    estimates = []
    for reach in extent * 0.5 ** np.arange(1.0, 14.0):
        modes = _modes_for(reach, (2 if torus else 3) * extent, tolerance)
        if modes > fourier.most_modes(dim, tolerance, dtype_of(mu)):
            break
        seconds = near_cost(n, candidates_within(mu, points, reach), dim) + fourier.cost(n, modes**dim, dim, tolerance)
        estimates.append((seconds, float(reach)))
    # The estimate of the modes is made for smooth kernels away from 0; a longer reach needs fewer.
    for reach in _tried(estimates):
        far = Far(kernel, reach, _cut(tolerance))
        if isinstance(mu.domain, Torus):
            box = fourier.torus_modes(far, mu.domain, tolerance, dtype_of(mu))
        else:
            box = fourier.smallest_box(far, dim, extent, tolerance, dtype_of(mu))
        if box is not None:
            return Split(tolerance, reach, box)
    return None


def _tried(estimates: list[tuple[float, float]]) -> list[float]:
    """The reach of least cost, and the next longer one."""
    if not estimates:
        return []
    best = min(estimates)[1]
    return [best, *sorted(reach for _, reach in estimates if reach > best)[:1]]


def _cut(tolerance: float) -> float:
    """The step's own: where W is singular or has a kink, it leaves one of this size at 0, which no modes resolve."""
    return 0.01 * tolerance


def _modes_for(reach: float, side: float, tolerance: float) -> float:
    """Modes an axis that resolve a step of length `reach`, from trials: those up to q with q·reach/2 = 1.2 b."""
    return 0.76 * sharpness(_cut(tolerance)) * side / reach


def near_cost(n: int, candidates: float, dim: int) -> float:
    """Seconds, roughly: the pair function and its cut-off, and the cells that are looked through for each candidate."""
    return (7e-9, 7e-8, 2e-7)[min(dim, 3) - 1] * n * (candidates + 4)
