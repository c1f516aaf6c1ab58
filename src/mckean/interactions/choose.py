"""Which sum evaluates the field of a kernel. The choice is static: by the kernel, the form of the measure, the points."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean.interactions.kernels import AbstractKernel, FourierSeries, Quadratic, Unresolved
from mckean.interactions.sums import boxes, direct, modes, moments
from mckean.measures import AbstractMeasure, Density, Particles, dtype_of
from mckean.spaces import AbstractGrid, BoxGrid

Points = Float[Array, "n d"] | AbstractGrid


def at(points: Points, mu: AbstractMeasure) -> Float[Array, "n d"]:
    """The points themselves, from points or from a grid that stands for its nodes, in the measure's precision."""
    return points.nodes.astype(dtype_of(mu)) if isinstance(points, AbstractGrid) else points


def potential(kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> Float[Array, " n"]:
    """W_s*μ at points of shape (n, d), or on the nodes of a grid.

    **Raises** `ValueError` for a measure in a form that the kernel cannot act for.
    """
    return _evaluate("potential", kernel, mu, points)


def force(kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> Float[Array, "n d"]:
    """−∇W_s*μ at points of shape (n, d), or on the nodes of a grid.

    **Raises** `ValueError` for a measure in a form that the kernel cannot act for.
    """
    return _evaluate("force", kernel, mu, points)


def _evaluate(what: str, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> Array:
    if isinstance(kernel, Unresolved):
        kernel = kernel.kernel if isinstance(mu, Particles) else kernel.series
    if isinstance(kernel, FourierSeries):
        return getattr(modes, what)(mu, kernel, points)
    if isinstance(kernel, Quadratic):
        return getattr(moments, what)(mu, kernel, at(points, mu))
    if isinstance(mu, Density) and isinstance(points, BoxGrid) and points == mu.grid:
        return getattr(boxes, what)(kernel, mu)
    sources, weights = _atoms(kernel, mu)
    return getattr(direct, what)(kernel, mu.domain, sources, weights, at(points, mu))


def _atoms(kernel: AbstractKernel, mu: AbstractMeasure) -> tuple[Array, Array]:
    """The measure as weighted points."""
    if isinstance(mu, Particles):
        uniform = jnp.full(mu.n, 1 / mu.n, mu.positions.dtype)
        return mu.positions, uniform if mu.weights is None else mu.weights
    if isinstance(mu, Density):
        return mu.grid.nodes.astype(mu.values.dtype), mu.values.ravel() * mu.grid.cell_volume
    raise ValueError(
        f"the kernel {type(kernel).__name__} has no closed form for a {type(mu).__name__} measure; sample it."
    )
