"""All equilibria that can be found of a game that has several, by Newton's method with deflation."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from mckean.checks import calling, number, positive_integer, require
from mckean.games._control import fourier, quadratic_in_control, require_convex, require_torus
from mckean.games._equilibrium import Equilibrium, flow_equilibrium
from mckean.games._flow import densities, respond, spread
from mckean.games._game import Game
from mckean.games._target import Target, means_at_the_end
from mckean.measures import Density
from mckean.spaces import FourierGrid, calculus

# The most equilibria that are kept, Newton's steps, and what counts as one: a change of ρ relative to its mean.
_MOST = 8
_NEWTON = 20
_RIGHT = 1e-9
_APART = 1e-3


def equilibria(
    game: Target | Game, start: float | Density, *, starts: int | None = None, steps: int = 200
) -> Float[np.ndarray, " e"] | list[Equilibrium]:
    """All equilibria that are found of a game up to a horizon, by Newton's method with deflation.

        m_T = (m₀ − T g(m_T))/(1 + T) of a `Target`,   ρ = Φ(ρ) of a `Game` on a torus

    Φ leads from what players expect of the law's flow to the law of those who answer it. A root that is known is taken
    out of the equation by the factor 1 + 1/|ρ − ρ*|², and the search begins anew from each start until none leads to
    another root.

    **Arguments:**

    - `game`: a `Target` with σ₀ = 0, or a game as for `equilibrium` with a horizon.
    - `start`: m₀, length; of a game on a torus the density at time 0.
    - `starts`: the number of starts: spread over the interval that must hold every m_T; of a game on a torus all move
      along its diagonal, by shares of the side between −½ and ½. Default: None, 21 or 5.
    - `steps`: the number of time steps on a torus. Default: 200.

    **Returns:** the values of m_T in ascending order; of a game on a torus each `Equilibrium`, in the order in which
    they are found.

    **Raises:** `ValueError` with a common noise in a `Target`, where m_T is random; for another game; and where no root
    is found.

    **Source:** P. E. Farrell, Á. Birkisson and S. W. Funke, SIAM J. Sci. Comput. 37 (2015).
    """
    require(isinstance(game, Target | Game), f"a game is Target(g, T) or Game(…), not {type(game).__name__}.")
    starts = starts if starts is None else positive_integer("the number of starts is a positive integer", starts)
    if isinstance(game, Target):
        return means_at_the_end(game, number("the mean", start), starts or 21)
    assert isinstance(start, Density), "it is looked at below"
    return _flows(game, start, starts or 5, positive_integer("the number of steps is a positive integer", steps))


def _flows(game: Game, start: Density, starts: int, steps: int) -> list[Equilibrium]:
    require_torus(game, start)
    require(game.horizon is not None, "several equilibria are looked for up to a horizon: give the game one.")
    start = Density(start.grid, start.values.astype(float))
    grid, found = fourier(start), []
    known = jnp.full((_MOST, steps + 1, *grid.shape), jnp.inf)
    with calling("the running cost of a game"):
        quadratic = quadratic_in_control(game, start)
        far = np.linspace(-0.5, 0.5, starts + 2)[1:-1]
        for share in far[np.argsort(np.abs(far), kind="stable")]:
            while True:
                made, error, count, hessian, new = _deflated(game, start, share, known, steps, quadratic)
                if not bool(new):
                    break
                require(len(found) < _MOST, f"this game has more equilibria than the {_MOST} that are kept.")
                require_convex(hessian, grid)
                known = known.at[len(found)].set(made[1])
                found.append(flow_equilibrium(game, start, made, error, int(count)))
    require(bool(found), f"Newton's method found no equilibrium from {starts} starts: take more steps, or more starts.")
    return found


@eqx.filter_jit
def _deflated(
    game: Game, start: Density, share: Any, known: Float[Array, "e t ..."], steps: int, quadratic: bool
) -> tuple[Any, Array, Array, Array, Bool[Array, ""]]:
    """(u, ρ, α) at the end of Newton's method, its residual, the steps, L's second derivatives, and whether it is new.

    The step δ is taken 1/(1 − ∇log M·δ) times, M = Π(1 + 1/|ρ − ρ*|²).
    """
    grid, h = fourier(start), jnp.asarray(game.end / steps)
    mean = 1 / (grid.cell_volume * grid.size)

    def answer(flow):
        u, alphas, hessian = respond(game, grid, densities(grid, flow), h, quadratic)
        return spread(game, grid, start.values, flow, alphas, h), (u, flow, alphas), hessian

    there = jnp.isfinite(known.reshape(_MOST, -1)[:, 0])

    def squares(flow):
        # Relative to the mean density, so that the factor is one of pure numbers.
        off = jnp.where(there.reshape(-1, *[1] * flow.ndim), flow - known, mean)
        return jnp.mean((off / mean) ** 2, axis=tuple(range(1, known.ndim)))

    def log_factor(flow):
        return jnp.sum(jnp.where(there, jnp.log1p(1 / squares(flow)), 0.0))

    def newton(state):
        flow, _, count = state
        image, linear = jax.linearize(lambda flow: answer(flow)[0], flow)
        off = image - flow
        step = jax.scipy.sparse.linalg.gmres(lambda v: v - linear(v), off, tol=1e-4, restart=25, maxiter=2)[0]
        pull = jax.jvp(log_factor, (flow,), (step,))[1]
        scale = 1 / (1 - pull)
        step = step * jnp.clip(jnp.where(jnp.isfinite(scale), scale, 1.0), -5.0, 5.0)
        most = jnp.max(jnp.abs(step)) / jnp.max(jnp.abs(flow))
        return flow + step / jnp.maximum(most, 1.0), jnp.max(jnp.abs(off)) / mean, count + 1

    go_on = lambda state: (state[1] > _RIGHT) & (state[2] < _NEWTON) & ~jnp.isnan(state[1])  # noqa: E731
    begun = (_drift(grid, start.values, share, steps), jnp.asarray(jnp.inf), jnp.asarray(0))
    flow, _, count = jax.lax.while_loop(go_on, newton, begun)
    image, made, hessian = answer(flow)
    error = jnp.max(jnp.abs(image - flow)) / mean
    apart = jnp.all(~there | (squares(flow) > _APART**2))
    return made, error, count, hessian, (error < 10 * _RIGHT) & apart


def _drift(grid: FourierGrid, rho: Array, share: Any, steps: int) -> Array:
    """A flow in which all move along the diagonal by a share of the sides."""

    def moved(part):
        values = rho
        for axis, side in enumerate(grid.sides):
            values = calculus.shift(grid, values, axis, jnp.full([1] * rho.ndim, part * share * side))
        return values

    return jax.vmap(moved)(jnp.linspace(0.0, 1.0, steps + 1))
