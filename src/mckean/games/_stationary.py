"""Stationary games on a torus: the equations of Hamilton–Jacobi–Bellman and of Fokker and Planck, solved together.

With H(x, p, μ) = min_α{L(x, α, μ) + (v + Bα)·p} and α* where the minimum is, an equilibrium of a discounted game is

    δu = ½σ²Δu + H(x, ∇u, ρ),   0 = ½σ²Δρ − ∇·((v + Bα*)ρ),   ∫ρ = 1,

and one of a game with a mean cost per time has λ in the place of δu, and ∫u = 0. A common additive noise in a game in
which only differences of positions count turns all players alike: in the frame that moves with it there is none.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.checks import calling, positive_integer, require
from mckean.games._game import Game, require_game, scalar
from mckean.measures import Density
from mckean.models import Thermal
from mckean.spaces import FourierGrid, Torus, calculus

# The most nodes for which matrices are formed.
_DENSE = 600
_NEWTON = 40


class Equilibrium(eqx.Module):
    """A stationary equilibrium of a mean-field game on a torus.

    **Attributes:**

    - `density`: ρ, the law of a player; with a common noise in the frame that moves with it.
    - `value`: u at the nodes, cost; of mean 0 where the cost is one per time.
    - `control`: α* at the nodes, shape (size, k).
    - `cost`: λ, the mean cost per time; in a discounted game ∫u dρ.
    - `residual`: the largest error of the two equations at the nodes, before the last of Newton's steps.
    - `iterations`: Newton's steps.
    """

    density: Density
    value: Float[Array, "..."]
    control: Float[Array, "n k"]
    cost: Float[Array, ""]
    residual: Float[Array, ""]
    iterations: int = eqx.field(static=True)


def stationary_equilibrium(game: Game, start: Density, *, picard: int = 20) -> Equilibrium:
    """A stationary equilibrium of a mean-field game on a torus, near a density.

    Best responses to a density that follows them half-way, then Newton's method for both equations at once; where an
    equilibrium may be moved along the torus, the shortest of Newton's steps.

    **Arguments:**

    - `game`: a game on a torus without a horizon, with an isotropic own noise. L must be strictly convex in α.
    - `start`: the density where the search begins, on a grid of at most 600 nodes: the uniform one stays uniform where
      that is an equilibrium.
    - `picard`: the number of best responses before Newton's method, 0 for none. Default: 20.

    **Returns:** an `Equilibrium`.

    **Raises:** `ValueError` for another game, a cost that is not convex in α, with the point, a common noise in a game
    that is not invariant under translations, and where Newton's method does not converge, with its residual.

    **Source:** J.-M. Lasry and P.-L. Lions, Jpn. J. Math. 2 (2007).
    """
    _require_stationary(game, start)
    picard = picard and positive_integer("picard is an integer that is not negative", picard)
    with calling("the running cost of a game"):
        y, error, count, hessian = _solve(game, start, picard)
    least = np.linalg.eigvalsh(np.asarray(hessian))[:, 0]
    where = np.asarray(start.grid.nodes[np.argmin(least)])
    require(
        least.min() > 0,
        f"the running cost is not strictly convex in α at x = {np.round(where, 4).tolist()}: the least eigenvalue of "
        f"its second derivative is {least.min():.3g}.",
    )
    u, rho, cost = y
    limit = 1e4 * float(jnp.finfo(u.dtype).eps) * start.grid.size * (1 + float(jnp.max(jnp.abs(u))))
    require(
        error <= limit and float(jnp.min(rho)) > -limit,
        f"no equilibrium was found near this density: after {int(count)} of Newton's steps the residual is "
        f"{float(error):.3g}, and the least density {float(jnp.min(rho)):.3g}; start nearer, or take more nodes.",
    )
    density = Density(start.grid, rho)
    alpha = controls(game, start.grid, u, density)[0]
    mean = cost if game.discount == 0 else calculus.integrate(start.grid, u * rho)
    return Equilibrium(density, u, alpha, mean, error, int(count))


def _require_stationary(game: Game, start: Density) -> None:
    require_game(game, Torus, horizon=False)
    require(game.horizon is None, "a stationary equilibrium is that of a game without an end: leave the horizon out.")
    require(not game.of_controls, "on a torus costs depend on the law of the players, not on that of their controls.")
    require(isinstance(start, Density), f"the search starts at a density, not at {type(start).__name__}.")
    require(start.grid.space == game.model.space, f"the game is on {game.model.space}, the density on another space.")
    require(start.grid.size <= _DENSE, f"stationary games are solved on 600 nodes at most, not on {start.grid.size}.")
    noise = game.model.noise
    isotropic = isinstance(noise, Thermal) or (noise is not None and noise.additive and np.ndim(noise.amplitude) == 0)
    require(isotropic, "the players' own noise must be isotropic: Thermal(beta), or Additive(sigma) with a number.")
    if game.model.common:
        require(all(part.additive for part in game.model.common), "a common noise on a torus must be additive.")
        require_invariant(game, start)


def require_invariant(game: Game, start: Density) -> None:
    """**Raises** `ValueError` for a game in which positions count, and not only their differences."""
    errors = _moved(game, start)
    require(
        errors <= 1e-8,
        "a common noise turns all players alike, and in the frame that moves with it there is none, only if the costs "
        f"depend on differences of positions: here they change by {float(errors):.3g} where all move.",
    )


@eqx.filter_jit
def _moved(game: Game, start: Density) -> Array:
    """How much L and v change where the density and the point move by a node."""
    grid = start.grid
    alpha = jnp.ones(game.control.shape[1])

    def fields(mu):
        paid = jax.vmap(lambda x: game.running(x, alpha, mu))(grid.nodes)
        return jnp.stack([paid, *game.model.velocity(grid.nodes, mu).T]).reshape(-1, *grid.shape)

    # A density of no symmetry.
    rho = start.values * (1 + 0.3 * jnp.cos(2 * jnp.pi * grid.nodes[:, 0] / grid.sides[0] + 0.5)).reshape(grid.shape)
    errors = []
    for axis in range(len(grid.shape)):
        one, other = fields(Density(grid, rho)), fields(Density(grid, jnp.roll(rho, 1, axis)))
        errors.append(jnp.max(jnp.abs(jnp.roll(one, 1, axis + 1) - other)))
    return jnp.max(jnp.stack(errors))


def controls(game: Game, grid: FourierGrid, u: Array, mu: Density) -> tuple[Array, Array, Array]:
    """α* at the nodes, L there, and the second derivatives of L in α."""
    slopes = calculus.gradient(grid, u)
    alpha, hessian = jax.vmap(lambda x, p: best(game, x, p, mu))(grid.nodes, slopes)
    paid = jax.vmap(lambda x, a: scalar("a running cost", game.running(x, a, mu)))(grid.nodes, alpha)
    return alpha, paid, hessian


def best(game: Game, x: Float[Array, " d"], p: Float[Array, " d"], mu: Density) -> tuple[Array, Array]:
    """α that makes L(x, α, μ) + Bα·p least, by Newton's method, and the second derivative of L in α.

    One step is enough where L is quadratic. The last one stands outside the loop, so that derivatives are those of the
    minimiser.
    """
    slope = jax.grad(lambda a: game.running(x, a, mu) + p @ (game.control @ a))

    def step(a):
        off, linear = jax.linearize(slope, a)
        hessian = jax.vmap(linear)(jnp.eye(a.size))
        return a - jnp.linalg.solve(hessian, off), hessian

    def go_on(state):
        a, before, count = state
        return (count < 30) & (jnp.max(jnp.abs(a - before)) > 1e-7 * (1 + jnp.max(jnp.abs(a))))

    zero = jnp.zeros(game.control.shape[1], p.dtype)
    start = (zero, zero + jnp.inf, 0)
    a = jax.lax.while_loop(go_on, lambda s: (step(s[0])[0], s[0], s[2] + 1), start)[0]
    return step(jax.lax.stop_gradient(a))


class Operators(eqx.Module):
    """½σ²Δ and the ∂_j as matrices on the nodes of a grid."""

    diffusion: Float[Array, "n n"]
    slopes: Float[Array, "d n n"]

    def generator(self, move: Float[Array, "n d"]) -> Float[Array, "n n"]:
        """½σ²Δ + b·∇, whose transpose is the Fokker–Planck operator, as ∂_j is antisymmetric."""
        return self.diffusion + jnp.einsum("nd,dnm->nm", move, self.slopes)


def operators(game: Game, grid: FourierGrid) -> Operators:
    """The matrices of a game on a grid."""
    noise = game.model.noise
    sigma = noise.amplitude
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
def _solve(game: Game, start: Density, picard: int) -> tuple[Any, Array, Array, Array]:
    grid, parts = start.grid, operators(game, start.grid)
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
    y, error, _, count = jax.lax.while_loop(go_on, newton, (y, big, big, 0))
    u, rho = y[:n].reshape(grid.shape), y[n:-1].reshape(grid.shape)
    return (u, rho, y[-1]), error, count, controls(game, grid, u, Density(grid, rho))[2]


def exploitability(game: Game, found: Equilibrium) -> tuple[float, float]:
    """What one player gains at most by leaving the controls of an equilibrium, with a bound of the figure's own error.

        J(α; ρ) − min_β J(β; ρ)

    The law of the others is frozen. On a grid twice as fine, without a look at the equilibrium's value, the cost of its
    control and the best response are computed anew, the latter by Howard's iteration from no control.

    **Arguments:**

    - `game`: the game.
    - `found`: an `Equilibrium`, or one with another control or density in its place.

    **Returns:** the gain, and its error: how much it differs on a grid four times as fine, and rounding.

    **Raises:** `ValueError` for anything but an `Equilibrium`, and for a grid of more than 300 nodes.
    """
    require(isinstance(found, Equilibrium), f"this is asked of an Equilibrium, not of {type(found).__name__}.")
    _require_stationary(game, found.density)
    require(found.density.grid.size * 2 <= _DENSE, "the finer grids have more nodes than are solved for: take fewer.")
    costs = [_gain(game, found, factor) for factor in (2, 3)]
    gains = [float(own - least) for own, least in costs]
    rounding = 1e3 * float(jnp.finfo(found.value.dtype).eps) * (1 + abs(float(costs[0][0])))
    return gains[0], abs(gains[1] - gains[0]) + rounding


@eqx.filter_jit
def _gain(game: Game, found: Equilibrium, factor: int) -> tuple[Array, Array]:
    old = found.density.grid
    grid = old.space.grid(tuple(factor * n for n in old.shape))
    parts = operators(game, grid)
    fine = lambda f: calculus.interpolate(old, f.reshape(old.shape), grid)  # noqa: E731
    mu = Density(grid, fine(found.density.values))
    alpha = jax.vmap(lambda a: fine(a).ravel(), 1, 1)(found.control)
    paid = jax.vmap(lambda x, a: game.running(x, a, mu))(grid.nodes, alpha)
    move = game.model.velocity(grid.nodes, mu) + alpha @ game.control.T
    own, cost = valued(parts, move, paid, game.discount)
    u, least, _ = respond(game, grid, parts, mu, 12)
    mean = lambda f: calculus.integrate(grid, f.reshape(grid.shape) * mu.values)  # noqa: E731
    forever = game.discount == 0
    return jnp.where(forever, cost, mean(own)), jnp.where(forever, least, mean(u))
