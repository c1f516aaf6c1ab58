"""N players on a torus with the control of a mean-field equilibrium: what they pay, and a bound of what one may gain.

The others do not see a player who departs, where v does not depend on μ. So they move as they do, and whatever it knows
it cannot gain more than one who knows all their motion in advance:

    regret ≤ E[J(α; X²,…,Xᴺ) − min_β J(β; X²,…,Xᴺ)].

Given the motion of the others both costs are those of one player, equations on the torus: nothing is drawn for it.
"""

from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from mckean.checks import require
from mckean.dynamics import evolve
from mckean.games._control import fourier, quadratic_in_control, require_torus, rough
from mckean.games._flow import appraise, respond
from mckean.games._game import Game
from mckean.interactions import AbstractField
from mckean.measures import Density, Particles
from mckean.models import Additive, Model
from mckean.paths import Brownian
from mckean.spaces import Euclidean, FourierGrid, calculus


class Crowd(eqx.Module):
    """N players of a game on a torus: their start, their controls at the times, or one for all, and the steps."""

    game: Game
    start: Density
    control: Float[Array, "t n k"]
    dt: float = eqx.field(static=True)
    players: int = eqx.field(static=True)
    steps: int = eqx.field(static=True)
    quadratic: bool = eqx.field(static=True)


def crowd(game: Game, start: Density, control: Array, end: float, steps: int, players: int) -> Crowd:
    """**Raises** `ValueError` for a game in which the motion of the others depends on that of a player."""
    require_torus(game, start)
    grid = fourier(start)
    apart = jnp.abs(game.model.velocity(grid.nodes, start) - game.model.velocity(grid.nodes, rough(start)))
    require(
        jnp.max(apart) <= 1e-10,
        "players on a torus play here where v does not depend on μ: let their costs depend on it, not their motion.",
    )
    return Crowd(game, start, control, end / steps, players, steps, quadratic_in_control(game, start))


class _Walking(AbstractField):
    """The players, how far the common noise has turned them, what they paid, and the time, as points of R^{2d+2}."""

    crowd: Crowd

    def __call__(self, x: Float[Array, "n w"], mu: Particles) -> Float[Array, "n w"]:
        game, grid = self.crowd.game, fourier(self.crowd.start)
        d, time = len(grid.shape), x[0, -1]
        x, turned = x[:, :d], x[:, d : 2 * d]
        control = self.crowd.control
        place = jnp.clip(jnp.round(time / self.crowd.dt).astype(int), 0, control.shape[0] - 1)
        alpha = _at_points(grid, control[place], x - turned)
        seen = Particles(game.model.space, x)
        paid = jax.vmap(lambda x, a: game.running(x, a, seen))(x, alpha) * jnp.exp(-game.discount * time)
        move = game.model.velocity(x, seen) + alpha @ game.control.T
        return jnp.concatenate([move, jnp.zeros_like(x), paid[:, None], jnp.ones_like(paid)[:, None]], axis=1)


def _at_points(grid: FourierGrid, values: Float[Array, "n k"], x: Float[Array, "p d"]) -> Float[Array, "p k"]:
    """The trigonometric interpolants of values at the nodes, at points."""
    spectrum = jnp.fft.fftn(values.reshape(*grid.shape, -1), axes=range(len(grid.shape))).reshape(values.shape)
    phases = jnp.ones((x.shape[0], 1))
    for axis, (n, side) in enumerate(zip(grid.shape, grid.sides, strict=True)):
        wave = 2 * jnp.pi / side * jnp.fft.fftfreq(n, 1 / n)
        turn = jnp.exp(1j * x[:, axis, None] * wave)
        phases = (phases[:, :, None] * turn[:, None, :]).reshape(x.shape[0], -1)
    return jnp.real(phases @ spectrum) / grid.size


def stroll(crowd: Crowd, key: PRNGKeyArray) -> tuple[Array, Array]:
    """One play: what a player pays, and with a horizon what one who knows the others' motion would gain, else 0."""
    game, grid, n = crowd.game, fourier(crowd.start), crowd.players
    d = len(grid.shape)
    drawn, noise = jax.random.split(key)
    # Cells a quarter as wide, as a draw spreads over its cell.
    fine = grid.space.grid(tuple(4 * size for size in grid.shape))
    x = Density(fine, calculus.interpolate(grid, crowd.start.values, fine)).sample(drawn, n).positions
    space = Euclidean(2 * d + 2)
    model = Model(
        space,
        drift=_Walking(crowd),
        noise=Additive(_padded(game.model.noise, crowd.start, d)),
        common=tuple(Additive(_padded(part, crowd.start, 2 * d)) for part in game.model.common),
    )
    run = evolve(
        model,
        Particles(space, jnp.concatenate([x, jnp.zeros((n, d + 2))], axis=1)),
        until=crowd.steps * crowd.dt,
        dt=crowd.dt,
        path=Brownian(noise),
        scheme=diffrax.Heun(),
        observe={"x": lambda model, mu: mu.positions[1:, :d] - mu.positions[1:, d : 2 * d]},
        every=1,
    )
    end = run.final.positions
    cost = jnp.mean(end[:, 2 * d])
    if game.horizon is None:
        return cost / (crowd.steps * crowd.dt), jnp.zeros(())
    if game.terminal is not None:
        seen = Particles(game.model.space, end[:, :d])
        last = jnp.mean(jax.vmap(lambda x: game.terminal(x, seen))(seen.positions))
        cost = cost + jnp.exp(-game.discount * game.end) * last
    h = jnp.asarray(crowd.dt)
    others = jax.vmap(lambda x: Particles(game.model.space, x))(run.observed["x"])
    own = appraise(game, grid, others, crowd.control, h)
    least = respond(game, grid, others, h, crowd.quadratic)[0][0]
    return cost, calculus.integrate(grid, (own - least) * crowd.start.values)


def _padded(noise: Any, mu: Density, rows: int) -> Float[Array, "w m"]:
    """The matrix of an additive noise in R^{2d+2}: of the players alone, or of the frame as well."""
    dim = mu.grid.space.dim
    one = noise.matrix(jnp.zeros((1, dim)), mu)[0]
    whole = jnp.concatenate([one] * (rows // dim))
    return jnp.concatenate([whole, jnp.zeros((2 * dim + 2 - rows, one.shape[1]))])
