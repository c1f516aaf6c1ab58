"""Steps along a curve of steady states, G(u, p) = u − S(u; p) = 0, by its arc length.

With y = (u, p) and the tangent τ of the curve, the next point solves

    G(y) + Σ_jc_jt_j = 0,   ⟨t_j, δu⟩ = 0,   ⟨τ, y − y_0⟩ = s,

where t_j span the translations of u (Keller's pseudo-arclength with phase conditions). At a fold τ_p changes its sign;
at a branch point a curvature of F does, and τ_p does not.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean.phases import _equation as equation
from mckean.spaces import AbstractGrid

_STEPS = 12


def image(model_of: Callable, grid: AbstractGrid, u: Array, p: Array, axes: tuple[int, ...]) -> Array:
    return equation.image(model_of(p), grid, u, axes)


def inner(beta: Any, du: Array, dv: Array, dp: Any, dq: Any, scale: float) -> Array:
    """⟨τ, σ⟩: the mean over nodes of changes of log ρ, and changes of the parameter in units of its scale."""
    return beta**2 * jnp.mean(du * dv) + dp * dq / scale**2


def norm(beta: Any, du: Array, dp: Array, scale: float) -> Array:
    return jnp.sqrt(inner(beta, du, du, dp, dp, scale))


def system(model_of: Callable, grid: AbstractGrid, u: Array, p: Array, axes: tuple[int, ...]):
    """S(u; p), the linear operator I − DS, −∂S/∂p and the translations."""
    flat = lambda v, q: image(model_of, grid, v.reshape(grid.shape), q, axes).ravel()  # noqa: E731
    value, linear = jax.linearize(flat, u.ravel(), p)
    zero = jnp.zeros_like(p)
    operator = lambda h: h - linear(h, zero)  # noqa: E731
    return value, operator, -linear(jnp.zeros(u.size, u.dtype), jnp.ones_like(p)), equation.tangents(grid, u, axes)


def solve_bordered(
    operator: Any, slope: Array, moves: Array, row: Array, last: Array, right: tuple
) -> tuple[Array, Array]:
    """x and q with A x + q·slope + Σc_jt_j = f, ⟨t_j, x⟩ = 0 and ⟨row, x⟩ + last·q = g."""
    k = len(moves)
    corner = jnp.zeros((k + 1, k + 1), row.dtype).at[:k, :k].set(equation.empty_rows(moves)).at[k, k].set(last)
    rows, columns = jnp.concatenate([moves, row[None]]), jnp.concatenate([moves, slope[None]])
    f, g = right
    x, c = equation.bordered(operator, columns, rows, corner, (f, jnp.zeros(k + 1, row.dtype).at[k].set(g)))
    return x, c[k]


@eqx.filter_jit
def tangent(model_of, grid, u, p, du, dp, axes, scale) -> tuple[Float[Array, "..."], Float[Array, ""]]:
    """The unit tangent at a point, at an acute angle to (du, dp)."""
    beta = model_of(p).beta
    _, operator, slope, moves = system(model_of, grid, u, p, axes)
    row = beta**2 * du.ravel() / u.size
    x, q = solve_bordered(operator, slope, moves, row, dp / scale**2, (jnp.zeros(u.size, u.dtype), 1.0))
    size = norm(beta, x, q, scale)
    return (x / size).reshape(grid.shape), q / size


@eqx.filter_jit
def advance(model_of, grid, u0, p0, du, dp, length, bend, axes, scale):
    """The point at a distance along the tangent: u, p, the residual, its tangent, and the cosine of the two.

    `bend`: how far, in u and p, the point is thought to lie off the tangent; Newton's method starts there.
    """

    def step(state):
        u, p, _, before, count = state
        beta = model_of(p).beta
        value, operator, slope, moves = system(model_of, grid, u.reshape(grid.shape), p, axes)
        off = value - u
        ahead = inner(beta, du.ravel(), u - u0.ravel(), dp, p - p0, scale) - length
        row = beta**2 * du.ravel() / u.size
        x, q = solve_bordered(operator, slope, moves, row, dp / scale**2, (off, -ahead))
        now = beta * jnp.max(jnp.abs(off))
        steady = equation.keep(now + jnp.abs(ahead), beta * u, jnp.ones((), u.dtype))
        return u + steady * x, p + steady * q, before, now, count + 1

    def go_on(state):
        _, _, before, now, count = state
        return (count < _STEPS) & ((now > 1e-9) | (now < 0.25 * before)) & jnp.isfinite(now)

    big = jnp.asarray(jnp.finfo(u0.dtype).max, u0.dtype)
    start = ((u0 + length * du + bend[0]).ravel(), p0 + length * dp + bend[1], big, big / 10, 0)
    u, p, *_ = jax.lax.while_loop(go_on, step, start)
    u = u.reshape(grid.shape)
    beta = model_of(p).beta
    residual = beta * jnp.max(jnp.abs(u - image(model_of, grid, u, p, axes)))
    new_u, new_p = tangent(model_of, grid, u, p, du, dp, axes, scale)
    return u, p, residual, new_u, new_p, inner(beta, du, new_u, dp, new_p, scale)
