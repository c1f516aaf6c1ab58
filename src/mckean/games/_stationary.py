"""Stationary games on a torus: the equations of Hamilton–Jacobi–Bellman and of Fokker and Planck, solved together.

With H(x, p, μ) = min_α{L(x, α, μ) + (v + Bα)·p} and α* where the minimum is, an equilibrium of a discounted game is

    δu = ½σ²Δu + H(x, ∇u, ρ),   0 = ½σ²Δρ − ∇·((v + Bα*)ρ),   ∫ρ = 1,

and one of a game with a mean cost per time has λ in the place of δu, and ∫u = 0.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean.games._control import amplitude, controls, fourier, running_cost
from mckean.games._game import Game
from mckean.measures import Density
from mckean.spaces import FourierGrid, calculus

# The most nodes for which matrices are formed.
DENSE = 600
_NEWTON = 40


class Operators(eqx.Module):
    """½σ²Δ and the ∂_j as matrices on the nodes of a grid."""

    diffusion: Float[Array, "n n"]
    slopes: Float[Array, "d n n"]

    def generator(self, move: Float[Array, "n d"]) -> Float[Array, "n n"]:
        """½σ²Δ + b·∇, whose transpose is the Fokker–Planck operator, as ∂_j is antisymmetric."""
        return self.diffusion + jnp.einsum("nd,dnm->nm", move, self.slopes)


def operators(game: Game, grid: FourierGrid) -> Operators:
    """The matrices of a game on a grid."""
    sigma = amplitude(game)
    unit = jnp.eye(grid.size).reshape(-1, *grid.shape)
    symbol = -jnp.asarray(grid.square_wavenumbers)
    laplacian = jax.vmap(lambda f: calculus.fourier_multiplier(grid, f, symbol).ravel())(unit).T
    slopes = jax.vmap(lambda f: calculus.gradient(grid, f))(unit)
    return Operators(sigma**2 / 2 * laplacian, jnp.moveaxis(slopes, (0, 1, 2), (2, 1, 0)))


def respond(game: Game, grid: FourierGrid, parts: Operators, mu: Density, rounds: int) -> tuple[Array, Array, Array]:
    """u, λ and the stationary law of the best response to a density, by Howard's iteration from no control."""
    drift = game.model.velocity(grid.nodes, mu)

    def improve(_, state):
        alpha, paid, _ = controls(game, grid, state[0].reshape(grid.shape), mu)
        move = drift + alpha @ game.control.T
        return *valued(parts, move, paid, game.discount), move

    u, cost, move = jax.lax.fori_loop(0, rounds, improve, (jnp.zeros(grid.size), jnp.zeros(()), drift))
    return u, cost, stationary(grid, parts, move)


def valued(parts: Operators, move: Array, paid: Array, discount: Array) -> tuple[Array, Array]:
    """u and λ of a policy: δu + λ = (½σ²Δ + b·∇)u + L, with ∫u = 0 where δ = 0, else λ = 0."""
    n = paid.shape[0]
    matrix = discount * jnp.eye(n) - parts.generator(move)
    last = jnp.where(discount == 0, jnp.append(jnp.ones(n) / n, 0.0), jnp.append(jnp.zeros(n), 1.0))
    whole = jnp.concatenate([jnp.concatenate([matrix, jnp.ones((n, 1))], axis=1), last[None]])
    y = jnp.linalg.solve(whole, jnp.append(paid, 0.0))
    return y[:n], y[n]


def stationary(grid: FourierGrid, parts: Operators, move: Array) -> Array:
    """The density that a drift leaves: its mass is 1, and the rows of the equation sum to 0."""
    n = grid.size
    matrix = parts.generator(move).T + jnp.ones((n, n)) * grid.cell_volume
    return jnp.linalg.solve(matrix, jnp.ones(n))


@eqx.filter_jit
def solve_stationary(game: Game, start: Density, picard: int) -> tuple[Any, Array, Array, Array]:
    """(u, ρ, λ), the residual, Newton's steps, and the second derivatives of L in α at the nodes."""
    grid = fourier(start)
    parts = operators(game, grid)
    n = grid.size

    def follow(_, state):
        rho = state[0]
        u, cost, new = respond(game, grid, parts, Density(grid, rho.reshape(grid.shape)), 8)
        return jnp.where(picard > 0, (rho + new) / 2, rho), u, cost

    begun = (start.values.ravel(), jnp.zeros(n), jnp.zeros(()))
    rho, u, cost = jax.lax.fori_loop(0, max(picard, 1), follow, begun)

    def equations(y):
        u, rho, cost = y[:n], y[n:-1], y[-1]
        mu = Density(grid, rho.reshape(grid.shape))
        alpha, paid, _ = controls(game, grid, u.reshape(grid.shape), mu)
        generator = parts.generator(game.model.velocity(grid.nodes, mu) + alpha @ game.control.T)
        bellman = generator @ u + paid - game.discount * u - cost
        planck = generator.T @ rho + jnp.sum(rho) * grid.cell_volume - 1
        return jnp.concatenate([bellman, planck, jnp.where(game.discount == 0, jnp.mean(u), cost)[None]])

    def newton(state):
        y, now, _, count = state
        off, linear = jax.linearize(equations, y)
        step = jnp.linalg.lstsq(jax.vmap(linear, out_axes=1)(jnp.eye(y.size)), off, rcond=1e-9)[0]
        return y - step, jnp.max(jnp.abs(off)), now, count + 1

    def go_on(state):
        _, now, before, count = state
        return (count < _NEWTON) & ((now > 1e-8) | (now < before / 4)) & ~jnp.isnan(now)

    y, big = jnp.concatenate([u, rho, cost[None]]), jnp.asarray(jnp.inf)
    y, error, _, count = jax.lax.while_loop(go_on, newton, (y, big, big, jnp.asarray(0)))
    u, rho = y[:n].reshape(grid.shape), y[n:-1].reshape(grid.shape)
    return (u, rho, y[-1]), error, count, controls(game, grid, u, Density(grid, rho))[2]


@eqx.filter_jit
def stationary_gain(game: Game, density: Density, control: Array, factor: int) -> tuple[Array, Array]:
    """What a control costs and what the best one does, both on a grid so many times as fine; the density is frozen."""
    old = fourier(density)
    grid = old.space.grid(tuple(factor * n for n in old.shape))
    parts = operators(game, grid)
    fine = lambda f: calculus.interpolate(old, f.reshape(old.shape), grid)  # noqa: E731
    mu = Density(grid, fine(density.values))
    alpha = jax.vmap(lambda a: fine(a).ravel(), 1, 1)(control)
    paid = running_cost(game, grid, alpha, mu)
    move = game.model.velocity(grid.nodes, mu) + alpha @ game.control.T
    own, cost = valued(parts, move, paid, game.discount)
    u, least, _ = respond(game, grid, parts, mu, 12)
    mean = lambda f: calculus.integrate(grid, f.reshape(grid.shape) * mu.values)  # noqa: E731
    forever = game.discount == 0
    return jnp.where(forever, cost, mean(own)), jnp.where(forever, least, mean(u))
