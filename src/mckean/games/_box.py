"""Games in a box whose sides reflect: games on a torus of twice the sides, for functions that are even about each.

On the torus a point y stands for x = F(y) in the box, and S = ±1 for each coordinate says on which side of a wall it
is. With v′(y) = S v(F(y)), L′(y, α) = L(F(y), Sα) and g′ = g∘F, even u and ρ solve the equations on the torus if and
only if they solve those in the box, with ∂u/∂n = 0 and no flux through its sides. The nodes are the centres of cells.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.checks import require
from mckean.games._game import Game
from mckean.interactions import AbstractField
from mckean.measures import Density
from mckean.models import Model
from mckean.spaces import BoxGrid, Euclidean, FourierGrid, Torus


def require_box(game: Game, start: Any) -> None:
    """**Raises** `ValueError` for a game that is not solved in a box."""
    require(isinstance(game.model.space, Euclidean), f"the density is in a box, but the game on {game.model.space}.")
    require(start.grid.space == game.model.space, "the game and the box have different dimensions.")
    require(not game.model.common, "a common noise would push players through the walls of a box: take a torus.")
    require(not game.of_controls, "in a box costs depend on the law of the players, not on that of their controls.")
    B = np.asarray(game.control)
    diagonal = B.shape[0] == B.shape[1] and np.allclose(B, np.diag(np.diag(B)))
    require(diagonal, "in a box each coordinate is steered by its own control: let the control matrix be diagonal.")


def doubled(grid: BoxGrid) -> FourierGrid:
    """The grid of the torus: the origin is the first centre."""
    return Torus(len(grid.shape), tuple(2 * side for side in grid.sides)).grid(tuple(2 * n for n in grid.shape))


def reflected(game: Game, grid: BoxGrid) -> Game:
    """The game on the torus."""
    model = Model(doubled(grid).space, drift=_Reflected(game.model, grid), noise=game.model.noise)
    running = eqx.Partial(_running, game.running, grid)
    terminal = None if game.terminal is None else eqx.Partial(_terminal, game.terminal, grid)
    return Game(model, running, terminal, horizon=game.horizon, discount=game.discount, control=game.control)


class _Reflected(AbstractField):
    """S v(F(y), μ)."""

    model: Model
    grid: BoxGrid

    def __call__(self, x: Float[Array, "n d"], mu: Density) -> Float[Array, "n d"]:
        place, sign = _fold(self.grid, x)
        return sign * self.model.velocity(place, inside(self.grid, mu))


def _running(running, grid, y, alpha, mu):
    place, sign = _fold(grid, y)
    return running(place, sign * alpha, inside(grid, mu))


def _terminal(terminal, grid, y, mu):
    return terminal(_fold(grid, y)[0], inside(grid, mu))


def _fold(grid: BoxGrid, y: Float[Array, "*n d"]) -> tuple[Float[Array, "*n d"], Float[Array, "*n d"]]:
    """F and S."""
    side, lower = jnp.asarray(grid.sides), jnp.asarray(grid.lower)
    z = (y + jnp.asarray(grid.spacing) / 2) % (2 * side)
    back = z > side
    return lower + jnp.where(back, 2 * side - z, z), jnp.where(back, -1.0, 1.0)


def inside(grid: BoxGrid, mu: Density) -> Density:
    """The density in the box of one on the torus."""
    return Density(grid, 2 ** len(grid.shape) * halved(grid, mu.values))


def outside(grid: BoxGrid, mu: Float[Array, "..."]) -> Float[Array, "..."]:
    """The values of a density on the torus."""
    return mirrored(grid, mu, ()) / 2 ** len(grid.shape)


def halved(grid: BoxGrid, values: Float[Array, "..."]) -> Float[Array, "..."]:
    """The values at the centres; axes before those of the grid are kept."""
    return values[(..., *(slice(n) for n in grid.shape))]


def mirrored(grid: BoxGrid, values: Float[Array, "..."], odd: tuple[int, ...]) -> Float[Array, "..."]:
    """The values on the torus of a function that is even about the sides, but odd along some axes."""
    d = len(grid.shape)
    for axis in range(d):
        other = jnp.flip(values, axis - d)
        values = jnp.concatenate([values, -other if axis in odd else other], axis=axis - d)
    return values


def halved_control(grid: BoxGrid, alpha: Float[Array, "*t n k"]) -> Float[Array, "*t m k"]:
    """The controls at the centres."""
    lead, shape = alpha.shape[:-2], doubled(grid).shape
    whole = jnp.moveaxis(alpha, -1, 0).reshape(-1, *lead, *shape)
    return jnp.moveaxis(halved(grid, whole).reshape(-1, *lead, grid.size), 0, -1)


def mirrored_control(grid: BoxGrid, alpha: Float[Array, "*t m k"]) -> Float[Array, "*t n k"]:
    """The controls on the torus, each odd along its axis."""
    lead = alpha.shape[:-2]
    parts = [
        mirrored(grid, alpha[..., axis].reshape(*lead, *grid.shape), (axis,)).reshape(*lead, -1)
        for axis in range(alpha.shape[-1])
    ]
    return jnp.stack(parts, axis=-1)


def finer(grid: BoxGrid, factor: int) -> tuple[BoxGrid, Float[Array, "p d"]]:
    """A grid of cells so many times as small, and its centres as points of the torus."""
    fine = BoxGrid(grid.space, tuple(factor * n for n in grid.shape), grid.lower, grid.upper)
    return fine, fine.nodes - jnp.asarray(grid.lower) - jnp.asarray(grid.spacing) / 2
