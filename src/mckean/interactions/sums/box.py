"""Periodic boxes in which a kernel on R^d is the sum of its modes, to a tolerance, over the extent of a cloud.

A box is centred on the cloud, of side L. All displacements lie in |z_a| ≤ E, the extent that the box is for. There the
periodic kernel must be W. If |W| is negligible from a distance R on, L = max(E + R, 2R) and W is sampled as it is; else
L = 2E(1 + τ) and W is multiplied in each coordinate by a window that falls from 1 at E to 0 at L/2 (Potts and Steidl,
SIAM J. Sci. Comput. 24, 2003, regularise at the boundary to the same end). Its modes come from an FFT of its samples.
How many modes that takes is tried out, not trusted to a formula.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.interactions import window
from mckean.interactions.kernels import AbstractKernel
from mckean.interactions.memory import once, rung
from mckean.interactions.sums.sum import Points, at, atoms
from mckean.measures import AbstractMeasure, cast, dtype_of

# The largest transforms: modes of all axes together, and of one.
LARGEST, LARGEST_AXIS = 1 << 23, 1 << 17
# Modes of an axis that are tried first.
FEWEST = 15
# Growth of the extent that a plan allows for, and the levels that it does so in.
_GROWTH = (1.25, 2.5, 5.0)


@dataclass(frozen=True)
class Box:
    """The static part of a periodic box: its sides for the extents that it serves, and how many modes each takes.

    `levels`: pairs (largest extent, modes an axis), ascending; `decay`: R where W is negligible beyond it, else None;
    `margin`: τ, the width of the window over the extent; `tolerance`: that of the window.
    """

    levels: tuple[tuple[float, int], ...]
    decay: float | None
    margin: float
    tolerance: float

    def side(self, extent):
        """L for an extent E, a number or an array."""
        if self.decay is None:
            return 2 * (1 + self.margin) * extent
        larger = jnp.maximum if isinstance(extent, jax.Array) else max
        return larger(extent + self.decay, 2 * self.decay)

    def periodic(self, kernel: AbstractKernel, extent):
        """The kernel times the window, a function of a displacement in the box."""
        if self.decay is not None:
            return kernel.value

        def windowed(z):
            cut = window.step((1 + self.margin - jnp.abs(z) / extent) / self.margin, self.tolerance)
            return kernel.value(z) * jnp.prod(cut)

        return windowed


def corners(places: Array, x: Array) -> tuple[Array, Array]:
    places, x = jax.lax.stop_gradient((places, x))
    low = jnp.minimum(jnp.min(places, axis=0), jnp.min(x, axis=0))
    return low, jnp.maximum(jnp.max(places, axis=0), jnp.max(x, axis=0))


def coefficients(periodic, side: Array, shape: tuple[int, ...]) -> Float[Array, "*m"]:
    """Ŵ_k for k from −K to K along each axis, from samples at the nodes of the box."""
    sides = jnp.broadcast_to(side, (len(shape),))
    axes = [jnp.asarray(np.fft.fftfreq(m), side.dtype) * length for m, length in zip(shape, sides, strict=True)]
    nodes = jnp.stack([a.ravel() for a in jnp.meshgrid(*axes, indexing="ij")], axis=-1)
    values = jax.vmap(periodic)(nodes).reshape(shape)
    return jnp.fft.fftshift(jnp.fft.fftn(values).real) / values.size


def extent_of(mu: AbstractMeasure, points: Points) -> float:
    places = [np.asarray(a, float) for a in (atoms(mu)[0], at(points, mu))]
    low, high = (np.stack([bound(a, axis=0) for a in places]) for bound in (np.min, np.max))
    return float((high.max(axis=0) - low.min(axis=0)).max())


def box_for(kernel: AbstractKernel, mu: AbstractMeasure, points: Points, tolerance: float) -> Box:
    """The box with the fewest modes that meets the tolerance at displacements up to the extent, tried out."""
    dim, extent = mu.domain.dim, rung(extent_of(mu, points))
    box = smallest_box(kernel, dim, extent, tolerance, dtype_of(mu))
    if box is None:
        most = most_modes(dim, tolerance, dtype_of(mu))
        raise ValueError(
            f"this kernel needs more than {most:.0f} modes an axis for a tolerance of {tolerance:g} over an extent "
            f"of {extent:.4g}: give a larger tolerance, or take another sum."
        )
    return box


@once
def smallest_box(kernel: AbstractKernel, dim: int, extent: float, tolerance: float, dtype: Any) -> Box | None:
    """As `box_for`, for growth of the extent as far as modes allow; None where no box meets the tolerance."""
    trial = Trial(kernel, dim, tolerance, dtype)
    levels: list[tuple[float, int]] = []
    chosen: Box | None = None
    for growth in _GROWTH:
        reach = growth * extent
        start = levels[-1][1] if levels else FEWEST
        candidates = trial.boxes(reach) if chosen is None else [chosen]
        found = [(modes, box) for box in candidates if (modes := trial.modes(box, reach, start)) is not None]
        if not found:
            break
        modes, chosen = min(found, key=lambda pair: pair[0])
        levels.append((reach, modes))
    if chosen is None or not levels:
        return None
    return Box(tuple(levels), chosen.decay, chosen.margin, chosen.tolerance)


class Trial:
    """Tries boxes out: the field of one source by its modes against ∇W, at random displacements."""

    def __init__(self, kernel: AbstractKernel, dim: int, tolerance: float, dtype: Any):
        # In the best precision that there is: the rounding of the run's own is not the box's.
        kernel = cast(kernel, jnp.result_type(float))
        self.kernel, self.dim, self.tolerance = kernel, dim, tolerance
        self.most = most_modes(dim, tolerance, dtype)
        self.gradient = jax.jit(jax.vmap(kernel.gradient))
        self.value = jax.jit(jax.vmap(kernel.value))

    def boxes(self, extent: float) -> list[Box]:
        """Boxes to be tried over an extent, without modes yet."""
        found = [Box((), None, margin, 0.1 * self.tolerance) for margin in (0.5, 1.0)]
        decay = self._decay(extent)
        return [Box((), decay, 0.0, 0.1 * self.tolerance), *found[:1]] if decay is not None else found

    def modes(self, box: Box, extent: float, start: int) -> int | None:
        """The fewest modes an axis, of those tried, that meet the tolerance."""
        z = self._displacements(extent)
        exact = np.asarray(self.gradient(jnp.asarray(z)), float)
        scale = math.sqrt(np.mean(np.sum(exact**2, axis=1)))
        if not np.isfinite(scale):
            return None
        if scale == 0:
            return start
        # Where the force is larger than elsewhere, the error counts by the force that is there.
        size = np.maximum(scale, np.linalg.norm(exact, axis=1))
        tried: list[tuple[int, float]] = []
        periodic = jax.jit(jax.vmap(box.periodic(self.kernel, extent)))
        side = float(box.side(extent))
        for modes in _sizes(start, self.most):
            field = self.by_modes(_coefficients(periodic, side, modes, self.dim), (side,) * self.dim, z)
            error = math.sqrt(np.mean(np.sum((field - exact) ** 2, axis=1) / size**2))
            if error <= 0.5 * self.tolerance:
                return modes
            tried.append((modes, error))
            if self._hopeless(tried):
                return None
        return None

    def _hopeless(self, tried: list[tuple[int, float]]) -> bool:
        """Whether the error falls as a power of the modes, that of a kernel which is not smooth, too slowly to end.

        That of a smooth kernel stands still and then falls faster and faster: only an order that has stopped growing
        over two doublings is taken for one.
        """
        modes, error = tried[-1]
        halves = [(m, e) for m, e in tried if 2 * m <= modes]
        quarters = [(m, e) for m, e in tried if 4 * m <= modes]
        if not quarters or error > 0.2:
            return False
        (m, middle), (first, start) = halves[-1], quarters[-1]
        order, before = _order(m, middle, modes, error), _order(first, start, m, middle)
        if order > 1.25 * before + 0.25:
            return False
        return order < 0.5 or modes * (error / self.tolerance) ** (1 / order) > 4 * self.most

    def by_modes(self, field: np.ndarray, sides, z: np.ndarray) -> np.ndarray:
        """∇ of the series at displacements."""
        modes = len(field)
        turns = 2 * np.pi * np.arange(-(modes // 2), modes // 2 + 1)
        q = [turns / side for side in sides]
        waves = [np.exp(1j * np.outer(z[:, a], q[a])) for a in range(self.dim)]
        columns = []
        for axis in range(self.dim):
            factors = [w * (1j * q[axis]) if a == axis else w for a, w in enumerate(waves)]
            total = factors[0] @ field.reshape(modes, -1)
            for factor in factors[1:]:
                total = np.einsum("pi,pij->pj", factor, total.reshape(len(z), modes, -1))
            columns.append(np.real(total.reshape(len(z))))
        return np.stack(columns, axis=-1)

    def _displacements(self, extent: float) -> np.ndarray:
        """Half of them all over the box, half at lengths of every size."""
        rng = np.random.default_rng(0)
        wide = rng.uniform(-1, 1, (128, self.dim))
        near = rng.normal(size=(128, self.dim))
        near *= 10.0 ** rng.uniform(-3, 0, (128, 1)) / np.linalg.norm(near, axis=1, keepdims=True)
        return extent * np.concatenate([wide, near])

    def _decay(self, extent: float) -> float | None:
        """A distance, below the extent, from which on W and ∇W are negligible in every direction tried."""
        rng = np.random.default_rng(1)
        directions = rng.normal(size=(32, self.dim))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        radii = extent * math.sqrt(self.dim) * np.geomspace(1e-3, 2.0, 400)
        z = jnp.asarray((radii[:, None, None] * directions).reshape(-1, self.dim))
        slope = np.linalg.norm(np.asarray(self.gradient(z), float), axis=1).reshape(len(radii), -1).max(axis=1)
        level = np.abs(np.asarray(self.value(z), float)).reshape(len(radii), -1).max(axis=1)
        small = (slope <= 0.01 * self.tolerance * slope.max()) & (level <= 0.01 * self.tolerance * level.max())
        last = np.flatnonzero(~small)
        if len(last) == 0 or last[-1] + 1 >= len(radii):
            return None
        return float(radii[last[-1] + 1]) if radii[last[-1] + 1] < extent else None


def _order(coarse: int, error: float, fine: int, less: float) -> float:
    """p where the error goes as modes^{−p}."""
    return math.log(max(error, 1e-300) / max(less, 1e-300)) / math.log(fine / coarse)


_BLOCK = 1 << 14


def _coefficients(periodic, side, modes: int, dim: int) -> np.ndarray:
    """`coefficients` of a known kernel; in blocks of one shape, so that all numbers of modes share a compilation."""
    axes = [np.fft.fftfreq(modes)] * dim
    nodes = np.stack([a.ravel() for a in np.meshgrid(*axes, indexing="ij")], axis=-1) * side
    blocks = np.pad(nodes, [(0, -len(nodes) % _BLOCK), (0, 0)], mode="edge").reshape(-1, _BLOCK, dim)
    values = np.concatenate([np.asarray(periodic(jnp.asarray(block, float)), float) for block in blocks])
    values = values[: len(nodes)].reshape((modes,) * dim)
    return np.fft.fftshift(np.fft.fftn(values).real) / values.size


def most_modes(dim: int, tolerance: float, dtype) -> float:
    """Modes an axis that are affordable, and that the rounding of positions in the box leaves accurate."""
    affordable = min(LARGEST ** (1 / dim) + 0.5, LARGEST_AXIS)
    # A position is rounded by ε/2 turns of the box, and the phase of mode K by πKε, K half the modes.
    return min(affordable, 4 * tolerance / float(jnp.finfo(dtype).eps)) if dtype == jnp.float32 else affordable


def _sizes(start: int, most: float) -> Iterator[int]:
    """Odd numbers of modes whose prime factors are 3, 5 and 7, a fifth apart or more, up to the most."""
    last = 0
    for m in sorted({3**a * 5**b * 7**c for a in range(15) for b in range(10) for c in range(8)}):
        if m > most:
            return
        if m >= start and m >= 1.2 * last:
            yield m
            last = m
