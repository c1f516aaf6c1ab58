"""Implicit steps along the lines of a grid: ρ⁺ = ρ + dt A(ρ⁺)ρ⁺, A the rates of passing through the faces.

With a pressure the rates depend on ρ⁺. Newton's method with the flux's derivatives finds an iterate x, and the answer
is (I − dt A(x))⁻¹ρ, which has ρ's mass and sign whatever x is; it differs from x, in L¹, by no more than x misses the
equation, since I − dt A is an M-matrix whose columns add up to 1.

The edge of a support moves by one cell in each iteration, and a long step carries it over many. So Newton's method
starts with a heat β⁻¹ as large as the potential's range and the pressure's diffusion, which leaves no edges, and takes
nine tenths of it away whenever it has nearly settled: about fifteen iterations suffice at any dt. Only at very long
ones, where mass passes between wells that hardly touch, it may circle. Then the step is made of shorter ones, as long
as they succeed; where even 2⁻²⁰ of it does not, the step fails.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox.internal as eqxi
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from mckean.dynamics.faces import Faces
from mckean.faults import Fault, Status, sound, status

_COOLED = 0.1
# Nearly settled: the last change in units of the mass.
_SETTLED = 0.3
_COLD = 1e-9
_ITERATIONS = 40
_SHORTEST = 2.0**-20


class Iterate(NamedTuple):
    """x; the last change in units of the mass, relative to what is allowed; the heat added; iterations."""

    values: Float[Array, "..."]
    change: Float[Array, ""]
    heat: Float[Array, ""]
    iterations: Int[Array, ""]


def implicit(
    faces: Faces, xi: Callable[[Array], Array], rho: Float[Array, "..."], dt: Float[Array, ""]
) -> tuple[Float[Array, "..."], Float[Array, ""], Status]:
    """ρ⁺, Σ −⟨ξ(ρ⁺), ρ⁺ − ρ⟩ over the steps it was made of, and whether Newton's method failed: ρ⁺ is then none."""
    if faces.internal is None:
        return *_linear_step(faces, xi, rho, rho, dt), sound(dt.dtype)

    def attempt(state):
        done, part, rho, gain, excess = state
        x, change = _settle(faces, rho, part * dt)
        new, more = _linear_step(faces, xi, x, rho, part * dt)
        failed = ~(change <= 1)
        lost = failed & (part <= _SHORTEST)
        ahead = (jnp.where(lost, 1.0, done + part), new, gain + more, jnp.where(lost, change, excess))
        stay = failed & ~lost
        done, rho, gain, excess = (jnp.where(stay, a, b) for a, b in zip((done, rho, gain, excess), ahead, strict=True))
        return done, jnp.where(stay, part / 4, jnp.minimum(2 * part, 1 - done)), rho, gain, excess

    # Fractions of the step are powers of two, and their sums exact. A loop that has a gradient all the same.
    start = (jnp.zeros_like(dt), jnp.ones_like(dt), rho, jnp.zeros_like(dt), jnp.zeros_like(dt))
    end = eqxi.while_loop(lambda s: s[0] < 1, attempt, start, kind="checkpointed", checkpoints=8)
    return end[2], end[3], status(Fault.NEWTON, ~(end[4] <= 1), end[4])


def iterate(faces: Faces, rho: Float[Array, "..."], dt: Float[Array, ""]) -> Iterate:
    """x = ρ + dt A(x)x, by Newton's method with a heat that vanishes."""
    mass, tolerance = jnp.sum(rho), jnp.finfo(rho.dtype).eps ** (2 / 3)
    climbed = jnp.cumsum(faces.push, faces.axis)
    warmth = jnp.max(faces.mixed(rho, faces.next(rho))[0]) + jnp.max(climbed) - jnp.min(climbed)

    def improve(state: Iterate) -> Iterate:
        x, _, heat, count = state
        warm = faces.add_heat(heat)
        new = jnp.maximum(x + _correction(warm, x, rho, dt, warm.slopes(x)), 0)
        new = new * (mass / jnp.sum(new))
        change = jnp.sum(jnp.abs(new - x)) / mass
        cooler = jnp.where(heat > _COLD * warmth, _COOLED * heat, 0.0)
        cooler = jnp.where(change < _SETTLED, cooler, heat)
        return Iterate(new, jnp.where(heat > 0, jnp.inf, change / tolerance), cooler, count + 1)

    start = Iterate(rho, jnp.asarray(jnp.inf, rho.dtype), warmth, jnp.asarray(0))
    return jax.lax.while_loop(lambda s: (s.change > 1) & (s.iterations < _ITERATIONS), improve, start)


def _settle(faces: Faces, rho: Array, dt: Array) -> tuple[Array, Array]:
    """x, with the derivatives of the equation's solution, and the last change relative to what is allowed."""
    fixed = jax.lax.stop_gradient((faces, rho, dt))
    found = iterate(*fixed)
    x = found.values
    return jnp.maximum(x + _correction(faces, x, rho, dt, fixed[0].slopes(x)), 0), found.change


def _linear_step(
    faces: Faces, xi: Callable[[Array], Array], x: Array, rho: Array, dt: Array
) -> tuple[Array, Float[Array, ""]]:
    """(I − dt A(x))⁻¹ρ and what it gains."""
    right, left = faces.rates(x)
    new = solve_line(dt * right, dt * left, rho, faces.axis, faces.walls)
    # The mass of a line, to rounding also where dt is so long that the matrix is nearly singular.
    before, after = (jnp.sum(values, faces.axis, keepdims=True) for values in (rho, new))
    new = new * jnp.where(after > 0, before / jnp.where(after > 0, after, 1.0), 1.0)
    level = xi(new)
    # A change without mass does not see a constant: without it the rounding of the sum is small.
    return new, -jnp.sum((level - jnp.mean(level)) * (new - rho))


def _correction(faces: Faces, x: Array, rho: Array, dt: Array, slopes: tuple[Array, Array]) -> Array:
    """Newton's step; a flux that falls with ρ_L, as where ρ is steep, is taken as constant, for an M-matrix."""
    missing = rho - x + dt * faces.into(faces.flux(x))
    right, left = (dt * jnp.maximum(jax.lax.stop_gradient(slope), 0) for slope in slopes)
    return solve_line(right, left, missing, faces.axis, faces.walls)


def solve_line(
    right: Float[Array, "..."], left: Float[Array, "..."], rho: Float[Array, "..."], axis: int, walls: bool
) -> Float[Array, "..."]:
    """(I − A)⁻¹ρ along one axis, A the rates `right` of passing through the faces behind cells, and `left` back.

    A periodic line by the formula of Sherman and Morrison, whose terms all have one sign.
    """
    p, m, rhs = (jnp.moveaxis(values, axis, -1) for values in (right, left, rho))
    lower, upper = -jnp.roll(p, 1, -1), -m
    diagonal = 1 + p + jnp.roll(m, 1, -1)
    if walls:
        answer = jax.lax.linalg.tridiagonal_solve(lower, diagonal, upper, rhs[..., None])[..., 0]
    else:
        first, last = lower[..., 0], upper[..., -1]
        pivot = diagonal[..., 0]
        diagonal = diagonal.at[..., 0].add(pivot).at[..., -1].add(first * last / pivot)
        corner = jnp.zeros_like(rhs).at[..., 0].set(-pivot).at[..., -1].set(last)
        both = jax.lax.linalg.tridiagonal_solve(lower, diagonal, upper, jnp.stack([rhs, corner], -1))
        y, z = both[..., 0], both[..., 1]
        across = lambda v: v[..., 0] - first / pivot * v[..., -1]  # noqa: E731
        answer = y - z * (across(y) / (1 + across(z)))[..., None]
    return jnp.moveaxis(answer, -1, axis)
