"""Symmetric linear equations, with derivatives in both modes."""

from collections.abc import Callable

import jax
from jax.scipy.sparse.linalg import cg
from jaxtyping import Array


def solve_symmetric(
    apply: Callable, y: Array, tolerance: float, iterations: int, precondition: Callable | None = None
) -> Array:
    """The solution of Hu = y for a symmetric positive H, or one where H is semidefinite and y in its range.

    By conjugate gradients, to a tolerance relative to |y|.
    """
    # JAX's own `cg` puts y and a zero start through one operation, so that the start counts as linear in y, too, and a
    # derivative inside of which it stands cannot be transposed.
    inner = lambda apply, y: cg(apply, y, tol=tolerance, maxiter=iterations, M=precondition)[0]  # noqa: E731
    return jax.lax.custom_linear_solve(apply, y, solve=inner, symmetric=True)
