"""Which sum evaluates the field of a kernel: a static choice by the kernel, the form of the measure, and the points."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean.interactions.kernels import AbstractKernel, FourierSeries, PowerLaw, Quadratic, Unresolved
from mckean.interactions.sums import boxes, direct, modes, moments
from mckean.measures import AbstractMeasure, Density, Particles, cast, dtype_of
from mckean.spaces import AbstractGrid, BoxGrid, Torus

Points = Float[Array, "n d"] | AbstractGrid


def at(points: Points, mu: AbstractMeasure) -> Float[Array, "n d"]:
    """The points themselves, from points or from a grid that stands for its nodes, in the measure's precision."""
    return points.nodes.astype(dtype_of(mu)) if isinstance(points, AbstractGrid) else points


def potential(kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> Float[Array, " n"]:
    """W_s*μ at points of shape (n, d), or on the nodes of a grid, in the precision of the points.

    **Raises** `ValueError` for a measure in a form that the kernel cannot act for, and for points of another space.
    """
    return _evaluate("potential", kernel, mu, points)


def force(kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> Float[Array, "n d"]:
    """−∇W_s*μ at points of shape (n, d), or on the nodes of a grid, in the precision of the points.

    **Raises** `ValueError` for a measure in a form that the kernel cannot act for, and for points of another space.
    """
    return _evaluate("force", kernel, mu, points)


def _evaluate(what: str, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> Array:
    _check_points(points, mu)
    x = at(points, mu)
    if isinstance(kernel, Unresolved):
        kernel = kernel.kernel if isinstance(mu, Particles) else kernel.series
    kernel = cast(kernel, x.dtype)
    if isinstance(kernel, FourierSeries):
        return getattr(modes, what)(mu, kernel, points)
    # On a torus the distance is that of the nearest image, and the moments say nothing about it.
    if isinstance(kernel, Quadratic) and not isinstance(mu.domain, Torus):
        return getattr(moments, what)(mu, kernel, x).astype(x.dtype)
    if isinstance(kernel, PowerLaw) and isinstance(mu, Density) and kernel.exponent <= -mu.domain.dim:
        raise ValueError(
            f"|z|^{kernel.exponent:g} is not integrable in dimension {mu.domain.dim}: a density has infinite energy."
        )
    if isinstance(mu, Density) and isinstance(points, BoxGrid) and points == mu.grid:
        return getattr(boxes, what)(kernel, mu)
    sources, weights = _atoms(kernel, mu)
    own = kernel.cell_mean(mu.grid.spacing) if isinstance(mu, Density) and kernel.singular else 0.0
    options = {"at_zero": own} if what == "potential" else {}
    return getattr(direct, what)(kernel, mu.domain, sources.astype(x.dtype), weights.astype(x.dtype), x, **options)


def _check_points(points: Points, mu: AbstractMeasure) -> None:
    if isinstance(points, AbstractGrid):
        if points.space != mu.domain:
            raise ValueError(f"a measure on {mu.domain} does not act on a grid of {points.space}.")
    elif points.ndim != 2 or points.shape[1] != mu.domain.dim:
        raise ValueError(f"points in dimension {mu.domain.dim} have shape (n, {mu.domain.dim}), not {points.shape}.")


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
