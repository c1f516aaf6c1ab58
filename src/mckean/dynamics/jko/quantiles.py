"""The minimising movement on the line: Newton's method for the ends of cells whose masses are fixed.

    min over x_0 < … < x_n of  Σ_i m_i [V + β⁻¹ log ρ_i + U(ρ_i)/ρ_i] + ½ΣΣ m m W + (1/6τ) Σ_i m_i (d_i² + d_i d_{i+1} +
    d_{i+1}²),    ρ_i = m_i/(x_{i+1} − x_i),    d the displacement from the old ends,

V and W at Gauss's two points of the cells. It is the scheme itself on a subset of P_2 that is flat and convex in W_2,
where W_2 is exact: what JKO proves, the energy inequality and contraction for convex F, holds as it stands, at any τ,
and mass is the cells' own. A remap onto a grid in each step would cost a diffusion of the order h²/τ; nothing is
remapped. The Hessian is tridiagonal but for that of W, whose energy and force are inside, at the new measure, and whose
Hessian is left out: Newton's method then converges at the rate τ|W″|.

Source: Blanchet, Calvez and Carrillo, SIAM J. Numer. Anal. 46 (2008); Matthes and Osberger, ESAIM M2AN 48 (2014).
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from mckean.dynamics.jko.linear import solve_symmetric
from mckean.interactions import force, potential
from mckean.measures import Particles
from mckean.measures.lagrangian import Lagrangian, gauss_points
from mckean.models import Model

_ITERATIONS = 60
_HALVINGS = 30
_RIGHT = 0.5 + 0.5 / math.sqrt(3.0)


class QuantileSolution(NamedTuple):
    """A minimiser; the root mean square of the last Newton step, length; iterations; F(μ⁺) + W₂²/2τ − F(μ), energy."""

    ends: Float[Array, " k"]
    residual: Float[Array, ""]
    iterations: Int[Array, ""]
    rise: Float[Array, ""]


def solve(model: Model, mu: Lagrangian, tau: Float[Array, ""]) -> QuantileSolution:
    """The minimiser from μ. Stops at a step of eps^{2/3} of the extent, or after 60.

    Its derivatives, in both directions and of any order, are those of the point where the gradient vanishes.
    """
    old, mass = mu.ends, mu.masses

    def find(_, x: Array) -> tuple[Array, tuple[Array, Array]]:
        x, residual, count = _descend(model, x, mass, tau)
        # As a real number, since the derivative of an integer is none.
        return x, (residual, count.astype(x.dtype))

    def tangent(hessian: Callable, y: Array) -> Array:
        bands = _bands(model, jax.lax.stop_gradient(old), jax.lax.stop_gradient(old), mass, tau)
        precondition = lambda r: _tridiagonal(bands, r)  # noqa: E731
        return solve_symmetric(hessian, y, float(jnp.finfo(y.dtype).eps) ** 0.75, 10 * y.size, precondition)

    gradient = lambda x: _gradient(model, x, old, mass, tau)  # noqa: E731
    x, (residual, count) = jax.lax.custom_root(gradient, old, find, tangent, has_aux=True)
    rise = _value(model, x, old, mass, tau) - _value(model, old, old, mass, tau)
    return QuantileSolution(x, residual, count.astype(int), jax.lax.stop_gradient(rise))


def _descend(model: Model, old: Array, mass: Array, tau: Array) -> tuple[Array, Array, Array]:
    """The minimiser, the last step over what is allowed, and how many there were."""
    value = lambda x: _value(model, x, old, mass, tau)  # noqa: E731
    rounding = 16 * jnp.finfo(old.dtype).eps

    def improve(state):
        x, _, count, now = state
        step, decrement = _newton(model, x, old, mass, tau)
        stretch, change = jnp.diff(x), jnp.diff(step)
        room = jnp.min(jnp.where(change < 0, stretch / jnp.where(change < 0, -change, 1.0), jnp.inf))
        slack = rounding * (1 + jnp.abs(now))
        enough = lambda t, v: v <= now - 1e-4 * t * decrement + slack  # noqa: E731
        first = jnp.minimum(1.0, 0.9 * room)
        part, new, _ = jax.lax.while_loop(
            lambda s: ~enough(s[0], s[1]) & (s[2] < _HALVINGS),
            lambda s: (s[0] / 2, value(x + 0.5 * s[0] * step), s[2] + 1),
            (first, value(x + first * step), 0),
        )
        size = jnp.sqrt(jnp.sum(mass * (step[1:] ** 2 + step[:-1] ** 2)) / 2)
        return x + part * step, size, count + 1, new

    tolerance = jnp.finfo(old.dtype).eps ** (2 / 3) * (old[-1] - old[0])
    x, residual, count, _ = jax.lax.while_loop(
        lambda s: (s[1] > tolerance) & (s[2] < _ITERATIONS), improve,
        (old, jnp.asarray(jnp.inf, old.dtype), jnp.asarray(0), value(old)),
    )  # fmt: skip
    return x, residual / tolerance, count


def _cell(model: Model, ends: Array, old: Array, mass: Array, tau: Array) -> Array:
    """What a cell between two ends, shape (2,), adds to the function, but for W; energy."""
    length, d = ends[1] - ends[0], ends - old
    value = (d[0] ** 2 + d[0] * d[1] + d[1] ** 2) / (6 * tau)
    if model.confinement is not None:
        value = value + 0.5 * jnp.sum(jax.vmap(model.confinement)(gauss_points(ends)))
    if model.noise is not None:
        value = value + jnp.log(mass / length) / model.beta
    if model.internal is not None:
        value = value + model.internal(mass / length) * length / mass
    return mass * value


def _pairs(ends: Array) -> Array:
    return jnp.stack([ends[:-1], ends[1:]], axis=1)


def _cloud(ends: Array, mass: Array) -> Particles:
    return Lagrangian(ends, mass).cloud()


def _value(model: Model, ends: Array, old: Array, mass: Array, tau: Array) -> Array:
    parts = jax.vmap(lambda e, o, m: _cell(model, e, o, m, tau))(_pairs(ends), _pairs(old), mass)
    total = jnp.sum(parts)
    if model.interaction is not None:
        cloud = _cloud(ends, mass)
        total = total + 0.5 * cloud.mean(potential(model.interaction, cloud, cloud.positions))
    return total


def _newton(model: Model, ends: Array, old: Array, mass: Array, tau: Array) -> tuple[Array, Array]:
    """Newton's step and its decrement −⟨gradient, step⟩."""
    gradient = _gradient(model, ends, old, mass, tau)
    step = -_tridiagonal(_bands(model, ends, old, mass, tau), gradient)
    return step, -jnp.dot(gradient, step)


def _gradient(model: Model, ends: Array, old: Array, mass: Array, tau: Array) -> Array:
    each = jax.grad(lambda e, o, m: _cell(model, e, o, m, tau))
    slope = jax.vmap(each)(_pairs(ends), _pairs(old), mass)
    if model.interaction is not None:
        cloud = _cloud(ends, mass)
        pull = -0.5 * mass * force(model.interaction, cloud, cloud.positions)[:, 0].reshape(2, -1)
        left, right = _RIGHT * pull[0] + (1 - _RIGHT) * pull[1], (1 - _RIGHT) * pull[0] + _RIGHT * pull[1]
        slope = slope + jnp.stack([left, right], axis=1)
    return jnp.pad(slope[:, 0], (0, 1)) + jnp.pad(slope[:, 1], (1, 0))


def _bands(model: Model, ends: Array, old: Array, mass: Array, tau: Array) -> tuple[Array, Array, Array]:
    """The tridiagonal part of the Hessian, without W, and positive: below, on and above its diagonal."""
    each = jax.hessian(lambda e, o, m: _cell(model, e, o, m, tau))
    bend = _convex(jax.vmap(each)(_pairs(ends), _pairs(old), mass), mass, tau)
    diagonal = jnp.pad(bend[:, 0, 0], (0, 1)) + jnp.pad(bend[:, 1, 1], (1, 0))
    beside = bend[:, 0, 1]
    return jnp.pad(beside, (1, 0)), diagonal, jnp.pad(beside, (0, 1))


def _tridiagonal(bands: tuple[Array, Array, Array], y: Array) -> Array:
    return jax.lax.linalg.tridiagonal_solve(*bands, y[:, None])[:, 0]


def _convex(bend: Array, mass: Array, tau: Array) -> Array:
    """The Hessians of the cells, raised to 1/60 of W₂²'s where V is so concave that they are less: a descent still."""
    least = (mass / (60 * tau))[:, None, None] * jnp.eye(2, dtype=mass.dtype)
    half = 0.5 * (bend[:, 0, 0] - bend[:, 1, 1])
    smallest = 0.5 * (bend[:, 0, 0] + bend[:, 1, 1]) - jnp.hypot(half, bend[:, 0, 1])
    lack = jnp.maximum(least[:, 0, 0] - smallest, 0)
    return bend + lack[:, None, None] * jnp.eye(2, dtype=mass.dtype)
