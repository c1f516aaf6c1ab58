"""The best control at a point of a game on a torus, and what is asked of such a game."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.checks import require
from mckean.games._game import Game, require_game, scalar
from mckean.measures import AbstractMeasure, Density, Particles
from mckean.models import Additive, Thermal
from mckean.spaces import AbstractSpace, Euclidean, FourierGrid, Torus, calculus


def require_torus(game: Game, start: Density, frame: bool = True, controls: bool = False) -> None:
    """**Raises** `ValueError` for a game that is not solved on a torus, or not from this density.

    `frame`: whether a common noise is taken away by the frame that moves with it. `controls`: whether costs may depend
    on the law of the controls.
    """
    require_game(game, Torus, horizon=False)
    require(
        controls or not game.of_controls,
        "on a torus costs may depend on the law of the controls up to a horizon, in `equilibrium` alone.",
    )
    require(isinstance(start, Density), f"the search starts at a density, not at {type(start).__name__}.")
    require(start.grid.space == game.model.space, f"the game is on {game.model.space}, the density on another space.")
    noise = game.model.noise
    isotropic = isinstance(noise, Thermal) or (isinstance(noise, Additive) and np.ndim(noise.amplitude) == 0)
    require(isotropic, "the players' own noise must be isotropic: Thermal(beta), or Additive(sigma) with a number.")
    if game.model.common and frame:
        require(
            all(part.additive for part in game.model.common),
            "a common noise that a moving frame takes away is additive: see `conditional_equilibrium`.",
        )
        change = _moved(game, start)
        require(
            change <= 1e-8,
            "a common noise turns all players alike, and in the frame that moves with it there is none, only if costs "
            f"depend on differences of positions: here they change by {float(change):.3g} where all move; "
            "`conditional_equilibrium` solves such games, up to a horizon.",
        )


@eqx.filter_jit
def _moved(game: Game, start: Density) -> Array:
    """How much L, g and v change where the density and the point move by a node."""
    grid = fourier(start)
    alpha = jnp.ones(game.control.shape[1])

    def fields(mu):
        faced = facing(game, mu, jnp.broadcast_to(alpha, (grid.size, alpha.size)))
        paid = [
            jax.vmap(lambda x: game.running(x, alpha, *seen(faced, x)))(grid.nodes),
            *game.model.velocity(grid.nodes, mu).T,
        ]
        return jnp.stack([*paid, last_cost(game, grid, mu).ravel()]).reshape(-1, *grid.shape)

    rho, errors = rough(start).values, []
    for axis in range(len(grid.shape)):
        one, other = fields(Density(grid, rho)), fields(Density(grid, jnp.roll(rho, 1, axis)))
        errors.append(jnp.max(jnp.abs(jnp.roll(one, 1, axis + 1) - other)))
    return jnp.max(jnp.stack(errors))


def rough(mu: Density) -> Density:
    """Another density, which has all modes and no symmetry: what depends on μ by any mean of it differs there."""
    share = np.random.default_rng(0).uniform(0.5, 1.5, mu.grid.shape)
    values = mu.values * jnp.asarray(share, mu.values.dtype)
    return Density(mu.grid, values / calculus.integrate(mu.grid, values))


def fourier(mu: Density) -> FourierGrid:
    """The grid of a density on a torus."""
    assert isinstance(mu.grid, FourierGrid), "a density on a torus is one on a Fourier grid"
    return mu.grid


def amplitude(game: Game) -> Float[Array, ""]:
    """σ of a game with an isotropic own noise."""
    assert isinstance(game.model.noise, Additive | Thermal), "the noise is isotropic"
    return game.model.noise.amplitude


class Faced(AbstractMeasure):
    """What a player of a game of controls faces: the law of the players, and their controls at the nodes."""

    density: Density
    control: Float[Array, "... n k"]

    @property
    def domain(self) -> AbstractSpace:
        return self.density.domain

    def integrate(self, phi: Callable[[Float[Array, " d"]], Any]) -> Any:
        return self.density.integrate(phi)


def facing(game: Game, mu: Density, control: Float[Array, "... n k"]) -> Density | Faced:
    """A density, or in a game of controls what a player faces there; or a flow of them."""
    return Faced(mu, control) if game.of_controls else mu


def law(mu: AbstractMeasure) -> AbstractMeasure:
    """The law of the players."""
    return mu.density if isinstance(mu, Faced) else mu


def seen(mu: AbstractMeasure, x: Float[Array, " d"]) -> tuple[AbstractMeasure, ...]:
    """The measures that a player at x sees: a density, and the law of the controls, or the others with itself."""
    if isinstance(mu, Faced):
        shares = mu.density.values.ravel() * mu.density.grid.cell_volume
        return mu.density, Particles(Euclidean(mu.control.shape[-1]), mu.control, shares)
    if not isinstance(mu, Particles):
        return (mu,)
    return (Particles(mu.space, jnp.concatenate([mu.positions, x[None].astype(mu.positions.dtype)])),)


def last_cost(game: Game, grid: FourierGrid, mu: AbstractMeasure) -> Array:
    """g at the nodes."""
    if game.terminal is None:
        return jnp.zeros(grid.shape)
    paid = jax.vmap(lambda x: scalar("a terminal cost", game.terminal(x, seen(mu, x)[0])))(grid.nodes)
    return paid.reshape(grid.shape)


def running_cost(game: Game, grid: FourierGrid, alpha: Float[Array, "n k"], mu: AbstractMeasure) -> Float[Array, " n"]:
    """L at the nodes under controls there."""
    pay = lambda x, a: scalar("a running cost", game.running(x, a, *seen(mu, x)))  # noqa: E731
    return jax.vmap(pay)(grid.nodes, alpha)


def require_convex(hessian: Float[Array, "n k k"], grid: FourierGrid) -> None:
    """**Raises** `ValueError` where the running cost is not strictly convex in α, with the point."""
    bends = np.asarray(hessian)
    known = np.flatnonzero(np.all(np.isfinite(bends), axis=(1, 2)))
    # A search that diverged says nothing of the cost.
    if not known.size:
        return
    least = np.linalg.eigvalsh(bends[known])[:, 0]
    where = np.asarray(grid.nodes[known[np.argmin(least)]])
    require(
        least.min() > 0,
        f"the running cost is not strictly convex in α at x = {np.round(where, 4).tolist()}: the least eigenvalue of "
        f"its second derivative is {least.min():.3g}.",
    )


@eqx.filter_jit
def hessians(game: Game, mu: Density, size: Any = 1.0) -> Float[Array, "n k k"]:
    """The second derivatives of L in α at the nodes, at α = (1, 2, …) times a size."""
    one = jnp.arange(1.0, game.control.shape[1] + 1)
    faced = facing(game, mu, jnp.broadcast_to(one, (mu.grid.size, one.size)))
    return jax.vmap(lambda x: jax.hessian(lambda a: game.running(x, a, *seen(faced, x)))(size * one))(mu.grid.nodes)


def quadratic_in_control(game: Game, mu: Density) -> bool:
    """Whether L is quadratic in α, so that one of Newton's steps is enough."""
    values = [hessians(game, mu, jnp.asarray(size)) for size in (0.0, 1.3, -0.7)]
    return all(float(jnp.max(jnp.abs(other - values[0]))) <= 1e-12 for other in values[1:])


def controls(
    game: Game, grid: FourierGrid, u: Array, mu: AbstractMeasure, quadratic: bool = False
) -> tuple[Array, Array, Array]:
    """α* at the nodes, L there, and the second derivatives of L in α."""
    slopes = calculus.gradient(grid, u)
    alpha, hessian = jax.vmap(lambda x, p: best(game, x, p, mu, quadratic))(grid.nodes, slopes)
    return alpha, running_cost(game, grid, alpha, mu), hessian


def best(
    game: Game, x: Float[Array, " d"], p: Float[Array, " d"], mu: AbstractMeasure, quadratic: bool
) -> tuple[Array, Array]:
    """α that makes L(x, α, μ) + Bα·p least, by Newton's method, and the second derivative of L in α.

    The last step stands outside the loop, so that derivatives are those of the minimiser.
    """
    faced = seen(mu, x)
    slope = jax.grad(lambda a: game.running(x, a, *faced) + p @ (game.control @ a))

    def step(a):
        off, linear = jax.linearize(slope, a)
        hessian = jax.vmap(linear)(jnp.eye(a.size))
        # A solver of LAPACK for each node costs more than all else.
        return a - (off / hessian[0] if a.size == 1 else jnp.linalg.solve(hessian, off)), hessian

    def go_on(state):
        a, before, count = state
        return (count < 30) & (jnp.max(jnp.abs(a - before)) > 1e-7 * (1 + jnp.max(jnp.abs(a))))

    zero = jnp.zeros(game.control.shape[1], p.dtype)
    if quadratic:
        return step(zero)
    start = (zero, zero + jnp.inf, 0)
    a = jax.lax.while_loop(go_on, lambda s: (step(s[0])[0], s[0], s[2] + 1), start)[0]
    return step(jax.lax.stop_gradient(a))
