"""Steady states on a torus that carry a current: those of a drift that is no gradient, and waves that travel.

In the frame of a velocity c a state with the velocities v[ρ] = −∇V − ∇W_s*ρ + b[ρ] has ∇·(ρ(v − c) − β⁻¹∇ρ) = 0. With
ρ = e^{−βu}/Z the current is ρ(v − c + ∇u), and division by ρ and the inverse of Δ give

    u = S(u),   S(u) = Δ⁻¹(β∇u·(v + ∇u − c) − ∇·v),

whose DS is compact, as it gains a derivative. Without b it is solved by u = V + W_s*ρ. c is the velocity with
∫∂_ju Δ(u − S(u)) = 0 for each direction in which a moved state is a state: a fixed point is a wave that travels at c,
and steady where c is 0.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.measures import Density
from mckean.models import Model
from mckean.phases import _law as law
from mckean.spaces import FourierGrid, calculus

# How much b may change, relative to its size, where its state is moved along: rounding.
_FLAT = 1e-9
# A direction in which u is flat, by the square of its slope relative to all.
_LEAST = 1e-12
# Flow that moves less than this share of the slowest wave's rate is left to Newton's method.
_SLOW = 1e-3


def effective_potential(model: Model, rho: Density) -> Float[Array, "..."]:
    """u with ρ = e^{−βu}/Z and the mean 0."""
    values = rho.values.astype(float)
    u = -jnp.log(jnp.maximum(values, jnp.finfo(values.dtype).tiny)) / model.beta
    return u - jnp.mean(u)


def image(model: Model, grid: FourierGrid, u: Float[Array, "..."], axes: tuple[int, ...]) -> Float[Array, "..."]:
    """S(u)."""
    slope, own = _parts(model, grid, u)
    c = _velocity(model, grid, u, slope, own, axes)
    return _inverse(grid, own - model.beta * (slope @ c).reshape(grid.shape))


@eqx.filter_jit
def velocity(model: Model, grid: FourierGrid, u: Float[Array, "..."], axes: tuple[int, ...]) -> Float[Array, " d"]:
    """c."""
    return _velocity(model, grid, u, *_parts(model, grid, u), axes)


def _parts(model: Model, grid: FourierGrid, u: Array) -> tuple[Array, Array]:
    """∇u, and β∇u·(v + ∇u) − ∇·v."""
    v = model.velocity(grid, law.density(model, grid, u))
    slope = calculus.gradient(grid, u)
    return slope, model.beta * jnp.sum(slope * (v + slope), axis=1).reshape(grid.shape) - calculus.divergence(grid, v)


def _velocity(model: Model, grid: FourierGrid, u: Array, slope: Array, own: Array, axes: tuple[int, ...]) -> Array:
    if not axes:
        return jnp.zeros(slope.shape[1], u.dtype)
    moves = jnp.where(np.isin(np.arange(slope.shape[1]), axes), slope, 0.0)
    # Δ(u − S(u)) = Δu − own + βc·∇u.
    excess = calculus.fourier_multiplier(grid, u, -jnp.asarray(grid.square_wavenumbers, u.dtype)) - own
    gram, right = model.beta * moves.T @ moves, -moves.T @ excess.ravel()
    # A direction in which u is flat has the velocity 0; the last step has the derivative of the exact solution.
    least = jnp.maximum(_LEAST * jnp.trace(gram), jnp.finfo(u.dtype).eps ** 1.5 * u.size / model.beta)
    sizes, turn = jnp.linalg.eigh(jax.lax.stop_gradient(gram))
    flat = sizes <= least
    inverse = turn * jnp.where(flat, 0.0, 1 / jnp.where(flat, 1.0, sizes)) @ turn.T
    first = jax.lax.stop_gradient(inverse @ right)
    return first + inverse @ (right - gram @ first)


def _inverse(grid: FourierGrid, values: Array) -> Array:
    """Δ⁻¹ of the part without mean."""
    square = np.asarray(grid.square_wavenumbers)
    symbol = np.where(square > 0, -1 / np.where(square > 0, square, 1.0), 0.0)
    return calculus.fourier_multiplier(grid, values, jnp.asarray(symbol, values.dtype))


@eqx.filter_jit
def descend(model: Model, grid: FourierGrid, u: Float[Array, "..."], axes: tuple[int, ...], most: int) -> Array:
    """The flow of the law in its own frame, with the diffusion implicit: steps of β⁻¹/max|v|², at most a tenth of the
    time of the slowest wave."""
    square = jnp.asarray(grid.square_wavenumbers, u.dtype)
    slowest = min((2 * np.pi / side) ** 2 for side in grid.sides) / model.beta

    def step(state):
        u, _, count = state
        rho = law.density(model, grid, u)
        v = model.velocity(grid, rho) - velocity(model, grid, u, axes)
        dt = jnp.minimum(0.1 / slowest, 0.5 / (model.beta * jnp.max(jnp.sum(v**2, axis=1)) + slowest))
        moved = rho.values - dt * calculus.divergence(grid, rho.values.reshape(-1, 1) * v)
        later = calculus.fourier_multiplier(grid, moved, 1 / (1 + dt * square / model.beta))
        speed = jnp.max(jnp.abs(later - rho.values)) / (dt * jnp.max(rho.values))
        return effective_potential(model, Density(grid, later)), speed, count + 1

    go_on = lambda s: (s[2] < most) & (s[1] > _SLOW * slowest)  # noqa: E731
    return jax.lax.while_loop(go_on, step, (u, jnp.asarray(jnp.inf, u.dtype), 0))[0]


@eqx.filter_jit
def _changes(model: Model, grid: FourierGrid) -> tuple[Array, Array]:
    """By how much b changes where the state is moved by a node along each axis, and the size of b."""
    x = np.stack(np.meshgrid(*(np.arange(n) / n for n in grid.shape), indexing="ij"))
    phase = sum((i + 1) * 2 * np.pi * a for i, a in enumerate(x))
    values = np.exp(np.cos(phase) + 0.5 * np.sin(2 * np.pi * x[-1] + 0.3) + 0.3 * np.cos(4 * np.pi * x[0]))
    values = jnp.asarray(values / (values.sum() * grid.cell_volume))
    drift = lambda rho: model.velocity(grid, Density(grid, rho)) - model.force(grid, Density(grid, rho))  # noqa: E731
    here = drift(values).reshape(*grid.shape, -1)
    moved = [drift(jnp.roll(values, 1, axis)).reshape(here.shape) for axis in range(len(grid.shape))]
    off = jnp.stack([jnp.max(jnp.abs(b - jnp.roll(here, 1, axis))) for axis, b in enumerate(moved)])
    return off, jnp.max(jnp.abs(here))


def symmetric_axes(model: Model, grid: FourierGrid) -> tuple[int, ...]:
    """The axes along which b moves with the law."""
    off, size = (np.asarray(a) for a in _changes(model, grid))
    return tuple(int(i) for i in np.flatnonzero(off <= _FLAT * (1 + size)))
