"""Chebyshev expansions of a kernel between two boxes that are far from each other.

For x = c + (h/2)u and y = c′ + (h/2)v in boxes of sides h with centres c and c′,

    W(x − y) ≈ Σ_{αβ} A_{αβ} T_α(u) T_β(v),    T_α(u) = Π_a T_{α_a}(u_a),

over the multi-indices with |α|₂ < p: those whose coefficients are of one size for a kernel that is as smooth in all
directions (Trefethen, Proc. AMS 145, 2017). A follows from the values of W at Chebyshev nodes. The moments of a box,
Σ_j w_j T_β(v_j), and the coefficients of a field in it, go from a box to its children and back exactly.

Source: Fong and Darve, J. Comput. Phys. 228 (2009).
"""

import itertools
from functools import cached_property
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.interactions.kernels import AbstractKernel, AbstractRadialKernel, PowerLaw
from mckean.interactions.memory import once
from mckean.spaces import AbstractSpace, Torus


class Basis:
    """The products of Chebyshev polynomials of a total order, in some dimension.

    **Arguments:** `dim`: d; `order`: p ≥ 1, the bound of |α|₂.
    """

    def __init__(self, dim: int, order: int):
        self.dim, self.order = dim, order
        degrees = np.stack(np.meshgrid(*[np.arange(order)] * dim, indexing="ij"), axis=-1).reshape(-1, dim)
        self.degrees = degrees[np.sum(degrees**2, axis=1) < order**2]
        self.place = np.ravel_multi_index(tuple(self.degrees.T), (order,) * dim)
        """Where each product is among all of degrees below p along each axis."""

    @property
    def size(self) -> int:
        return len(self.degrees)

    @cached_property
    def nodes(self) -> np.ndarray:
        return np.cos(np.pi * (np.arange(self.order) + 0.5) / self.order)

    @cached_property
    def analysis(self) -> np.ndarray:
        """The matrix from values at the nodes to coefficients, on one axis."""
        matrix = 2 / self.order * np.cos(np.outer(np.arange(self.order), np.arccos(self.nodes)))
        matrix[0] /= 2
        return matrix

    @cached_property
    def halves(self) -> np.ndarray:
        """T_i((v − 1)/2), T_i((v + 1)/2) and T_i(v) as combinations of T_k(v), shape (3, p, p)."""
        values = [np.polynomial.chebyshev.chebvander(x, self.order - 1) for x in
                  ((self.nodes - 1) / 2, (self.nodes + 1) / 2, self.nodes)]  # fmt: skip
        return np.stack([(self.analysis @ v).T for v in values])

    def shift(self, which: Array, dtype) -> Array:
        """T_α of the parent's coordinate by T_β of the child's: `which` of `halves` for each axis."""
        out = jnp.ones((self.size, self.size), dtype)
        for axis in range(self.dim):
            degree = self.degrees[:, axis]
            out = out * jnp.asarray(self.halves, dtype)[which[axis]][degree[:, None], degree[None]]
        return out

    def permute(self, axes) -> np.ndarray:
        """Where the multi-index with its axes in other orders is, (orders, size)."""
        lookup = {tuple(k): i for i, k in enumerate(self.degrees)}
        return np.asarray([[lookup[tuple(k[list(a)])] for k in self.degrees] for a in axes])

    def dense(self, coefficients: Array) -> Array:
        """(…, size) as (…, p, …, p), with zeros."""
        flat = np.full(self.order**self.dim, self.size)
        flat[self.place] = np.arange(self.size)
        padded = jnp.concatenate([coefficients, jnp.zeros_like(coefficients[..., :1])], axis=-1)
        return padded[..., flat].reshape(*coefficients.shape[:-1], *(self.order,) * self.dim)

    def polynomials(self, u: Array) -> list[Array]:
        """T_0 … T_{p−1} of coordinates in [−1, 1]."""
        found = [jnp.ones_like(u), u]
        while len(found) < self.order:
            found.append(2 * u * found[-1] - found[-2])
        return found[: self.order]

    def slopes(self, u: Array) -> list[Array]:
        """Their derivatives."""
        second, found = [jnp.ones_like(u), 2 * u], [jnp.zeros_like(u)]
        for k in range(1, self.order):
            found.append(k * second[k - 1])
            second.append(2 * u * second[-1] - second[-2])
        return found[: self.order]


class Displacements:
    """The displacements of boxes that are far from each other, in boxes, up to reflections and the order of the axes.

    A_{αβ}(σPo) = Π_a σ_a^{α_a + β_a} A_{Pα Pβ}(o) for a kernel with these symmetries, in boxes with equal sides.

    **Arguments:** `basis`; `reflects`, `turns`: whether W is the same under reflections of the axes, and under their
    permutations.
    """

    def __init__(self, basis: Basis, reflects: bool, turns: bool):
        dim = basis.dim
        every = np.asarray(list(itertools.product(range(-3, 4), repeat=dim)))
        every = every[np.abs(every).max(axis=1) >= 2]
        self.number = np.full((7,) * dim, -1)
        """Which of them a displacement is, at o + 3; −1 for those of boxes that touch."""
        self.number[tuple(every.T + 3)] = np.arange(len(every))
        self.flips = (every < 0) & reflects
        """Which axes are reflected, by displacement."""
        self.kinds, self.kind = np.unique(np.abs(every) if reflects else every, axis=0, return_inverse=True)
        """Those that differ by more than a reflection; which of them a displacement is."""
        self.kind = self.kind.ravel()
        turned = reflects and turns
        axes = (
            np.argsort(-self.kinds, axis=1, kind="stable") if turned else np.tile(np.arange(dim), (len(self.kinds), 1))
        )
        sorted_ = np.take_along_axis(self.kinds, axes, axis=1)
        self.standard, self.origin = np.unique(sorted_, axis=0, return_inverse=True)
        """Those whose coefficients are computed; which of them gives those of a kind."""
        self.origin = self.origin.ravel()
        self.permutation = basis.permute(axes)
        """α ↦ Pα, by kind."""
        self.reflects = reflects


def displacements(kernel: AbstractKernel, space: AbstractSpace, basis: Basis) -> Displacements:
    """Those between far boxes of a space, by what the kernel's symmetries leave of them."""
    return Displacements(basis, *symmetries(kernel, space))


@once
def symmetries(kernel: AbstractKernel, space: AbstractSpace) -> tuple[bool, bool]:
    """Whether W is the same under reflections of the axes, and, in boxes with equal sides, under their permutations.

    A function without parameters is tried; one with parameters may lose a symmetry that it has at one value of them.
    """
    equal = not isinstance(space, Torus) or bool(np.ptp(space.lengths) == 0)
    if isinstance(kernel, AbstractRadialKernel):
        return True, equal
    if jax.tree.leaves(eqx.filter(kernel, eqx.is_inexact_array)):
        return False, False
    sides = np.asarray(space.lengths) if isinstance(space, Torus) else np.ones(space.dim)
    z = np.random.default_rng(0).uniform(-0.5, 0.5, (64, space.dim)) * sides
    reflected = [z * np.where(np.arange(space.dim) == axis, -1, 1) for axis in range(space.dim)]
    turned = [z[:, list(axes)] for axes in itertools.permutations(range(space.dim))]
    with jax.ensure_compile_time_eval():
        value = lambda z: np.asarray(jax.vmap(kernel.value)(jnp.asarray(z, float)), float)  # noqa: E731
        known = value(z)
        slack = 1e3 * float(jnp.finfo(jnp.result_type(float)).eps) * np.abs(known).max()
        same = [[np.abs(value(other) - known).max() <= slack for other in others] for others in (reflected, turned)]
    return bool(all(same[0])), bool(all(same[0]) and all(same[1])) and equal


def transfers(
    kernel: AbstractKernel,
    space: AbstractSpace,
    basis: Basis,
    displacements: np.ndarray,
    sides: Float[Array, " d"],
    constant: bool = True,
) -> Float[Array, "k size size"]:
    """A for displacements in boxes of the given sides, from target to source's centre."""
    dim, p = basis.dim, basis.order
    dtype = sides.dtype
    nodes, matrix = jnp.asarray(basis.nodes, dtype), jnp.asarray(basis.analysis, dtype)
    difference = 0.5 * (nodes[:, None] - nodes[None])

    def one(displacement):
        columns = []
        for axis in range(dim):
            shape = [p if i % dim == axis else 1 for i in range(2 * dim)]
            z = (sides[axis] * (displacement[axis] + difference)).reshape(shape)
            columns.append(jnp.broadcast_to(z, (p,) * (2 * dim)).ravel())
        found = coefficients_of(values_of(kernel, space, columns), basis, matrix)
        # No force comes of the constant, beside which little else may be left to rounding.
        return found if constant else found.at[0, 0].set(0.0)

    return jax.lax.map(one, jnp.asarray(displacements, dtype))


def coefficients_of(values: Any, basis: Basis, analysis: Any) -> Any:
    """A from the values of W at all pairs of nodes, (p^2d,), target first; in NumPy or JAX, as the values are."""
    p = basis.order
    for _ in range(2 * basis.dim):
        # The transformed axis goes to the end; after all of them the order is the old one.
        values = values.reshape(p, -1).T @ analysis.T
    return values.reshape(p**basis.dim, p**basis.dim)[basis.place][:, basis.place]


def principal(coefficients: Array, basis: Basis, which: Displacements) -> tuple[Array, Array]:
    """Orthonormal combinations of the T_α in which far boxes act on each other, and their sizes; the largest first.

    The left singular vectors of A(o)/‖A(o)‖ side by side, for all displacements o; where W is symmetric under
    reflections, of those T_α that have the same parities, so that each combination is even or odd along every axis.
    """
    size = jnp.sqrt(jnp.sum(coefficients**2, axis=(1, 2), keepdims=True))
    coefficients = coefficients / jnp.where(size > 0, size, 1.0)
    parity = basis.degrees % 2 @ 2 ** np.arange(basis.dim) if which.reflects else np.zeros(basis.size, int)
    vectors, sizes = [], []
    for one in np.unique(parity):
        rows = np.flatnonzero(parity == one)
        # A kind is one of those that were computed with its axes in another order.
        order = which.permutation
        turned = coefficients[which.origin[:, None, None], order[:, rows, None], order[:, None]]
        triangle = jnp.linalg.qr(turned.swapaxes(1, 2).reshape(-1, len(rows)), mode="r")
        _, found, right = jnp.linalg.svd(triangle, full_matrices=False)
        vectors.append(jnp.zeros((basis.size, len(rows)), right.dtype).at[rows].set(right.T))
        sizes.append(found)
    together = jnp.concatenate(sizes)
    order = jnp.argsort(-together)
    return jnp.concatenate(vectors, axis=1)[:, order], together[order]


def values_of(kernel: AbstractKernel, space: AbstractSpace, columns: list[Array]) -> Array:
    """W at displacements that are not 0, given by columns."""
    z = space.displacement(jnp.stack(columns, axis=-1), jnp.zeros(space.dim, columns[0].dtype))
    if isinstance(kernel, AbstractRadialKernel):
        return kernel.profile(jnp.sum(z**2, axis=-1))
    return jax.vmap(kernel.value)(z)


def homogeneous(kernel: AbstractKernel, space: AbstractSpace) -> bool:
    """Whether W(λz) is λ^p W(z), or that and a constant."""
    return isinstance(kernel, PowerLaw) and not isinstance(space, Torus)
