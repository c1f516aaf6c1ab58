"""Expansions tried out on pairs of boxes, to find the order and the rank that a tolerance takes."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from numpy.polynomial import chebyshev

from mckean.checks import traced
from mckean.interactions.kernels import AbstractKernel
from mckean.interactions.memory import once
from mckean.interactions.multipole.expansions import (
    Basis,
    coefficients_of,
    displacements,
    homogeneous,
    principal,
    symmetries,
    transfers,
)
from mckean.interactions.multipole.tree import Shape
from mckean.measures import cast
from mckean.spaces import AbstractSpace, Torus

_LARGEST_ORDER = (40, 26, 14)
# Levels that are tried: beyond, W does not look different, and its differences are lost to rounding.
_LEVELS = 14


@once
def expansion_for(
    kernel: AbstractKernel, space: AbstractSpace, extent: float, tolerance: float
) -> tuple[int, int] | None:
    """The least order whose expansions meet the tolerance for boxes of every size, and its rank; None for none.

    `extent`: that of the cloud on R^d; on a torus its longest side counts.
    """
    if traced(kernel):
        return None
    # In double precision, whatever that of the run: rounding is not the expansion's error.
    with jax.enable_x64(True):
        return _expansion_for(kernel, space, extent, tolerance)


def _expansion_for(
    kernel: AbstractKernel, space: AbstractSpace, extent: float, tolerance: float
) -> tuple[int, int] | None:
    kernel = cast(kernel, jnp.result_type(float))
    extent = max(space.lengths) if isinstance(space, Torus) else extent
    found = _Trial(kernel, space, extent).order(tolerance)
    if found is None:
        return None
    order, sides = found
    basis = Basis(space.dim, order)
    which = displacements(kernel, space, basis)
    if space.dim == 3 and not which.reflects:
        # Their principal combinations would cost more than they save.
        return order, basis.size

    @jax.jit
    def sizes(side):
        return principal(transfers(kernel, space, basis, which.standard, side, constant=False), basis, which)[1]

    ranks = []
    for side in sides:
        rest = np.cumsum(np.asarray(sizes(jnp.asarray(side)))[::-1] ** 2)[::-1]
        ranks.append(int(np.sum(rest > (_RANK * tolerance) ** 2 * rest[0])))
    # One more for the constant, which a potential needs.
    return order, min(max(ranks) + 1, basis.size)


# What the least order and rank may leave, in tolerances: certified errors are relative to the force, which may be
# smaller than the forces that it is the sum of.
_ORDER, _RANK = 0.1, 2e-4


class _Trial:
    """Expansions tried out: the error of the force of one source, for boxes of every size in an extent.

    A root mean square over places in pairs of boxes, relative to the force that is there or to its mean size over the
    whole extent, whichever is larger.
    """

    def __init__(self, kernel: AbstractKernel, space: AbstractSpace, extent: float):
        self.kernel, self.space, self.extent = kernel, space, extent
        self.value, self.gradient = jax.jit(jax.vmap(kernel.value)), jax.jit(jax.vmap(kernel.gradient))
        rng, dim = np.random.default_rng(0), space.dim
        wide = space.displacement(jnp.asarray(rng.uniform(-1, 1, (256, dim)) * extent), jnp.zeros(dim))
        # The mean of |∇W|: what the forces on a particle add up to.
        self.scale = float(np.mean(np.linalg.norm(np.asarray(self.gradient(wide), float), axis=1)))
        near = {1: [(2,)], 2: [(2, 0), (2, 1), (2, 2)], 3: [(2, 0, 0), (2, 1, 1), (2, 2, 1)]}[dim]
        if not symmetries(kernel, space)[1]:
            near = sorted({turned for one in near for turned in itertools.permutations(one)})
        self.displacements = np.asarray([(-1) ** rng.integers(2, size=dim) * np.asarray(o) for o in near], float)

    def error(self, basis: Basis, side: np.ndarray) -> float:
        rng, evaluate = np.random.default_rng(1), (self.value, self.gradient)
        far = self.displacements
        if isinstance(self.space, Torus):
            counts = np.round(np.asarray(self.space.lengths) / side)
            far = far[np.abs((far + counts // 2) % counts - counts // 2).max(axis=1) >= 2]
        if len(far) == 0:
            return 0.0
        return _one_error(evaluate, self.space, basis, far, side, self.scale, rng)

    def sides(self) -> list[np.ndarray]:
        """Those of the boxes of all levels that may act by expansions."""
        if homogeneous(self.kernel, self.space):
            return [np.full(self.space.dim, self.extent / 8)]
        if isinstance(self.space, Torus):
            return list(np.asarray(self.space.lengths) / Shape(self.space, _LEVELS, 1, 1).counts[2:])
        return [np.full(self.space.dim, self.extent * 0.5**level) for level in range(_LEVELS)]

    def order(self, tolerance: float) -> tuple[int, list[np.ndarray]] | None:
        """The least order that meets the tolerance, and the sides at which it takes most; None for none."""
        if self.scale == 0:
            # Nothing acts at a distance.
            return None
        sides, dim = self.sides(), self.space.dim
        hard = sorted(sides, key=lambda side: -self.error(Basis(dim, 4), side))[:3]
        errors: list[float] = []
        for order in range(3, _LARGEST_ORDER[dim - 1] + 1):
            basis = Basis(dim, order)
            errors.append(max(self.error(basis, side) for side in hard))
            if errors[-1] <= _ORDER * tolerance:
                # What is hard at a low order need not be at this one.
                worst = max(sides, key=lambda side: self.error(basis, side))
                if self.error(basis, worst) <= _ORDER * tolerance:
                    return order, hard
                hard = [*hard[:2], worst]
            # Where W is smooth the error falls by 3 or more with each order, where it has a kink by next to nothing.
            elif len(errors) > 4 and not errors[-1] < 0.3 * errors[-5]:
                return None
        return None


def _one_error(
    evaluate, space: AbstractSpace, basis: Basis, displacements, side: np.ndarray, scale: float, rng
) -> float:
    dim, p = basis.dim, basis.order
    u, v = (rng.uniform(-1, 1, (len(displacements), 48, dim)) for _ in range(2))
    nodes = np.stack(np.meshgrid(*[basis.nodes] * dim, indexing="ij"), axis=-1).reshape(-1, dim)
    z = displacements[:, None, None] + 0.5 * (nodes[:, None] - nodes[None])
    values = _in_blocks(evaluate[0], space, side * z.reshape(-1, dim)).reshape(len(displacements), -1)
    matrix = np.stack([coefficients_of(one, basis, basis.analysis) for one in values])
    matrix[:, 0, 0] = 0
    at_u, at_v = chebyshev.chebvander(u, p - 1), chebyshev.chebvander(v, p - 1)
    columns = lambda tables: np.prod([t[..., basis.degrees[:, a]] for a, t in enumerate(tables)], axis=0)  # noqa: E731
    field = np.einsum("kab,kib->kia", matrix, columns([at_v[:, :, a] for a in range(dim)]))
    error = np.zeros(u.shape)
    slope = np.stack([chebyshev.chebval(u, chebyshev.chebder(np.eye(p)[k])) for k in range(p)], axis=-1)
    for a in range(dim):
        tables = [slope[:, :, b] if a == b else at_u[:, :, b] for b in range(dim)]
        error[..., a] = 2 / side[a] * np.sum(field * columns(tables), axis=-1)
    at = side * (displacements[:, None] + 0.5 * (u - v))
    exact = _in_blocks(evaluate[1], space, at.reshape(-1, dim)).reshape(u.shape)
    size = np.maximum(np.linalg.norm(exact, axis=-1), scale)
    return float(np.sqrt(np.mean(np.sum((error - exact) ** 2, axis=-1) / size**2)))


_BLOCK = 1 << 15


def _in_blocks(function, space: AbstractSpace, z: np.ndarray) -> np.ndarray:
    """A function of displacements, in blocks of one shape so that it is compiled once."""
    blocks = np.pad(z, [(0, -len(z) % _BLOCK), (0, 0)], mode="edge").reshape(-1, _BLOCK, z.shape[1])
    zero = jnp.zeros(z.shape[1])
    values = [np.asarray(function(space.displacement(jnp.asarray(block), zero)), float) for block in blocks]
    return np.concatenate(values)[: len(z)]
