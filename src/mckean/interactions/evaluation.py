"""The field of a kernel, at points, by the sum that is chosen for it."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean.checks import require
from mckean.interactions import costs
from mckean.interactions.choice import check_points, choose, positions_of
from mckean.interactions.interaction import Interaction, place
from mckean.interactions.kernels import AbstractKernel
from mckean.interactions.sums.sum import AbstractSum, Points
from mckean.measures import AbstractMeasure, cast, configuration, dtype_of
from mckean.spaces import AbstractGrid, PhaseGrid, TangentBundle


def potential(
    kernel: AbstractKernel | Callable | Interaction, mu: AbstractMeasure, points: Points
) -> Float[Array, " n"]:
    """W_s*μ(x_i) = ∫W_s(x_i − y) dμ(y) at points x_i, or on the nodes of a grid; of positions, if there are velocities.

    **Arguments:**

    - `kernel`: W, as a model takes it, or `model.interaction`.
    - `mu`: the measure that acts.
    - `points`: x, shape (n, d), or a grid; in the unit of the coordinates.

    **Returns:** shape (n,), in the unit of energy, in the precision of the points.

    **Raises:**

    - `ValueError` for a measure in a form that the kernel cannot act for, and for points of another space.
    """
    if isinstance(mu.domain, TangentBundle):
        check_points(points, mu)
        return _at_velocities(potential(kernel, configuration(mu), positions_of(mu, points)), points)
    sum_, inside, points, dtype = _evaluator(kernel, mu, points)
    return sum_.potential(inside, mu, points).astype(dtype)


def force(kernel: AbstractKernel | Callable | Interaction, mu: AbstractMeasure, points: Points) -> Float[Array, "n d"]:
    """−∇W_s*μ(x_i) = −∫∇W_s(x_i − y) dμ(y) at points x_i, or on the nodes of a grid.

    **Arguments:**

    - `kernel`: W, as a model takes it, or `model.interaction`.
    - `mu`: the measure that acts.
    - `points`: x, shape (n, d), or a grid; in the unit of the coordinates.

    **Returns:** shape (n, d), energy per length, in the precision of the points.

    **Raises:**

    - `ValueError` for a measure in a form that the kernel cannot act for, and for points of another space.
    """
    if isinstance(mu.domain, TangentBundle):
        check_points(points, mu)
        pull = _at_velocities(force(kernel, configuration(mu), positions_of(mu, points)), points)
        return mu.domain.join(pull, jnp.zeros_like(pull))
    sum_, inside, points, dtype = _evaluator(kernel, mu, points)
    return sum_.force(inside, mu, points).astype(dtype)


def _at_velocities(values: Array, points: Points) -> Array:
    """What is known at the positions of a grid, at all its nodes; velocities follow each other first."""
    return jnp.repeat(values, points.velocities.size, axis=0) if isinstance(points, PhaseGrid) else values


def _evaluator(kernel, mu: AbstractMeasure, points: Points) -> tuple[AbstractSum, AbstractKernel, Points, Any]:
    check_points(points, mu)
    dtype = points.dtype if not isinstance(points, AbstractGrid) else dtype_of(mu)
    placed = cast(place(kernel, mu.domain), dtype)
    sum_, inside = choose(placed, mu, points=points, few=costs.FEW_PAIRS).sum, placed.between(mu)
    require_serves(sum_, inside, mu, points)
    return sum_, inside, points, dtype


def require_serves(sum_: AbstractSum, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> None:
    """**Raises** `ValueError` for a sum that does not serve a kernel, a measure and points."""
    refused = sum_.refusal(kernel, mu, points)
    require(refused is None, f"the sum {sum_.name} {refused}.")
