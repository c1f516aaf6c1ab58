"""Equilibria of mean-field games on a torus, and what a player would gain by leaving one."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.checks import calling, positive_integer, require, require_tolerance
from mckean.games._box import (
    doubled,
    finer,
    halved,
    halved_control,
    mirrored,
    mirrored_control,
    outside,
    reflected,
    require_box,
)
from mckean.games._control import controls, fourier, hessians, quadratic_in_control, require_convex, require_torus
from mckean.games._flow import densities, flow_gain, solve_flow
from mckean.games._game import Game
from mckean.games._lattice import Lattice, lattice
from mckean.games._scenarios import (
    AbstractScenarios,
    Scenarios,
    interpolation,
    require_noise,
    scenario_gain,
    scenarios,
    solve_scenarios,
)
from mckean.games._stationary import DENSE, solve_stationary, stationary_gain
from mckean.measures import Density
from mckean.spaces import BoxGrid, calculus

_METHODS = ("anderson", "fictitious")


class Equilibrium(eqx.Module):
    """An equilibrium of a mean-field game on a torus.

    In a game with a horizon the density, the value and the control have a leading axis of the times.

    **Attributes:**

    - `density`: ρ, the law of a player; with a common noise in the frame that moves with it.
    - `value`: u at the nodes, cost; of mean 0 where the cost is one per time.
    - `control`: α* at the nodes, shape (size, k).
    - `cost`: what a player pays: λ, the mean cost per time; in a discounted game ∫u dρ, with a horizon at time 0.
    - `residual`: the largest error of the two equations at the nodes before the last of Newton's steps; with a horizon
      the last change of ρ in a round, relative to the mean density.
    - `times`: t, shape (t,); None in a game without an end.
    - `iterations`: Newton's steps, or rounds.
    - `scenarios`: of `conditional_equilibrium`: the scenarios, with the increments of B⁰ in each, `environments` of
      shape (s, stages, m), and their probabilities, `weights` of shape (s,). The three fields have an axis of the
      scenarios after that of the times. Else None.
    - `gap`: of a lattice of scenarios: the largest mean ∫|ρ − ρ̂| dx of the laws to which an increment leads and of
      those with the same feature on the lattice; else None.
    """

    density: Density
    value: Float[Array, "..."]
    control: Float[Array, "... n k"]
    cost: Float[Array, ""]
    residual: Float[Array, ""]
    times: Float[Array, " t"] | None
    iterations: int = eqx.field(static=True)
    scenarios: AbstractScenarios | None = None
    gap: Float[Array, ""] | None = None


def equilibrium(
    game: Game,
    start: Density,
    *,
    picard: int = 20,
    steps: int = 200,
    tolerance: float = 1e-9,
    method: str = "anderson",
    rounds: int = 80,
) -> Equilibrium:
    """An equilibrium of a mean-field game on a torus, or in a box whose sides reflect.

        −∂_tu + δu = ½σ²Δu + H(x, ∇u, ρ),   u(T) = g(·, ρ_T),   H = min_α{L(x, α, ρ) + (v + Bα)·∇u}
        ∂_tρ = ½σ²Δρ − ∇·((v + Bα*)ρ)

    Without a horizon neither u nor ρ moves, and a cost per time λ stands for δu where δ = 0. Then the search begins
    with best responses to a density that follows them half-way, and ends with Newton's method for both equations; where
    an equilibrium may be moved along the torus, by the shortest steps. With a horizon ρ starts at the density given.
    Exponential integrators of order 2 solve both equations in turn, and Anderson's method makes the turns converge, or
    fictitious play: players answer the mean of all flows so far, which changes as one over the rounds.

    In a box ∂u/∂n = 0, with no flux through the sides: it is a game on a torus of twice the sides, for even functions.

    A common noise that is additive turns all players alike where costs depend on differences of positions only: in the
    frame that moves with it the equilibrium is that without a common noise.

    **Arguments:**

    - `game`: a game on a torus with an isotropic own noise. L must be strictly convex in α; up to a horizon it may
      depend on the law of the controls. A cost of μ is fast where it is one of integrals that do not depend on x, such
      as `mu.integrate(jnp.cos)`.
    - `start`: the density at time 0; without a horizon, where the search begins, on a grid of at most 600 nodes: the
      uniform one stays uniform where that is an equilibrium. In a box, on a `BoxGrid`, each node counts 2^d times.
    - `picard`: best responses before Newton's method, 0 for none; without a horizon. Default: 20.
    - `steps`: the number of time steps up to a horizon. Default: 200.
    - `tolerance`: the change of ρ in a round, relative to the mean density, at which rounds end, with a horizon.
      Default: 1e-9.
    - `method`: "anderson" or "fictitious", with a horizon. Default: "anderson".
    - `rounds`: the most of them, with a horizon. Default: 80.

    **Returns:** an `Equilibrium`.

    **Raises:** `ValueError` for another game, a cost that is not convex in α, with the point, a common noise in a game
    that is not invariant under translations, and where the search does not converge, with its residual.

    **Source:** J.-M. Lasry and P.-L. Lions, Jpn. J. Math. 2 (2007).
    """
    picard = picard and positive_integer("picard is an integer that is not negative", picard)
    steps = positive_integer("the number of steps is a positive integer", steps)
    require_tolerance("the tolerance of an equilibrium", tolerance)
    require(method in _METHODS, f"the method is one of {', '.join(_METHODS)}, not {method!r}.")
    rounds = positive_integer("the number of rounds is a positive integer", rounds)
    solve = lambda game, start: _solved(game, start, picard, steps, tolerance, rounds, method == "fictitious")  # noqa: E731
    if isinstance(start, Density) and isinstance(start.grid, BoxGrid):
        require_box(game, start)
        begun = Density(doubled(start.grid), outside(start.grid, start.values))
        return _in_a_box(start.grid, solve(reflected(game, start.grid), begun))
    return solve(game, start)


def _solved(
    game: Game, start: Density, picard: int, steps: int, tolerance: float, rounds: int, average: bool
) -> Equilibrium:
    require_torus(game, start, controls=game.horizon is not None)
    # Derivatives of u cost digits: in the precision that JAX has, whatever that of the density.
    start = Density(start.grid, start.values.astype(float))
    with calling("the running cost of a game"):
        if game.horizon is None:
            return _forever(game, start, picard)
        return _until(game, start, steps, tolerance, rounds, average)


def _in_a_box(grid: BoxGrid, found: Equilibrium) -> Equilibrium:
    """The part in the box of an equilibrium on the torus."""
    halves = lambda rho: Density(grid, 2 ** len(grid.shape) * halved(grid, rho))  # noqa: E731
    density = halves(found.density.values) if found.times is None else jax.vmap(halves)(found.density.values)
    value, control = halved(grid, found.value), halved_control(grid, found.control)
    return Equilibrium(density, value, control, found.cost, found.residual, found.times, found.iterations)


def _forever(game: Game, start: Density, picard: int) -> Equilibrium:
    grid = fourier(start)
    require(grid.size <= DENSE, f"stationary games are solved on {DENSE} nodes at most, not on {grid.size}.")
    (u, rho, cost), error, count, hessian = solve_stationary(game, start, picard)
    # A search that left the densities says nothing of the cost, which may be convex where ρ > 0.
    require_convex(hessian if float(jnp.min(rho)) > 0 else hessians(game, start), grid)
    limit = 1e4 * float(jnp.finfo(u.dtype).eps) * grid.size * (1 + float(jnp.max(jnp.abs(u))))

    def end(rho):
        density = Density(grid, rho)
        mean = cost if game.discount == 0 else calculus.integrate(grid, u * rho)
        return Equilibrium(density, u, controls(game, grid, u, density)[0], mean, error, None, int(count))

    if not (error <= limit and float(jnp.min(rho)) > -limit):
        raise ValueError(
            f"no equilibrium was found near this density: after {int(count)} of Newton's steps the residual is "
            f"{float(error):.3g}, the least density {float(jnp.min(rho)):.3g}, and a player gains "
            f"{_gain(game, lambda: end(rho))} by leaving; start nearer, or take more nodes."
        )
    return end(rho)


def _until(game: Game, start: Density, steps: int, tolerance: float, rounds: int, average: bool) -> Equilibrium:
    quadratic = quadratic_in_control(game, start)
    made, error, count, hessian = solve_flow(game, start, steps, tolerance, quadratic, rounds, average)
    require_convex(hessian, fourier(start))
    end = flow_equilibrium(game, start, made, error, int(count))
    require_settled(game, end, tolerance, float(jnp.min(made[1]) / jnp.max(made[1])))
    return end


def flow_equilibrium(game: Game, start: Density, made: Any, error: Array, count: int) -> Equilibrium:
    """An equilibrium from (u, ρ, α) at the times, the last change and the number of rounds."""
    u, rho, alpha = made
    cost = calculus.integrate(start.grid, u[0] * rho[0])
    times = jnp.linspace(0.0, game.end, rho.shape[0])
    return Equilibrium(densities(fourier(start), rho), u, alpha, cost, error, times, count)


def conditional_equilibrium(
    game: Game,
    start: Density,
    *,
    stages: int = 4,
    branches: int = 3,
    features: Callable | None = None,
    laws: int | None = None,
    steps: int = 40,
    tolerance: float = 1e-8,
    rounds: int = 80,
) -> Equilibrium:
    """An equilibrium of a game on a torus with any common noise, up to a horizon, in all scenarios of a tree.

        u(t−, x) = E[u(t+, Φ_ξ(x)) | F_t],   ρ(t+) the density of Φ_ξ(X),   in the middle of each of the stages

    Φ_ξ is the flow of the common noise over the increment ξ of B⁰, and ξ has the nodes of Gauss and Hermite's rule.
    With three of them, and where the equilibrium is unique, the error of the stages is of order 2 in their length.
    Between, the two equations of `equilibrium` hold, with ρ the law of a player given the increments so far.

    Where that law is known by one feature θ, scenarios that lead to the same θ are one. A lattice of laws then takes
    the place of the tree, and the stages may be many: it solves the master equation for u(t, θ, x).

    **Arguments:**

    - `game`: a game on a torus with a horizon and an isotropic own noise, and a common noise that does not depend on μ
      and has Stratonovich's calculus, or no difference between the two.
    - `start`: the density at time 0.
    - `stages`: the number of increments of B⁰. Default: 4.
    - `branches`: the nodes for each component of an increment; there are branches^(stages · components) scenarios.
      Default: 3.
    - `features`: a function of a density with values of shape (p,), such as moments or modes: conditional expectations
      are then regressions on 1 and these features of the conditional law, and a policy is a function of them. Default:
      None, the tree's exact means. `exploitability` knows the tree in both cases: it is the gap between the two.
    - `laws`: with a feature that is one number, and a noise of one component: the number of laws of the lattice, odd.
      They are those of the environments B⁰ = λ√T(1 + t/T), −4 ≤ λ ≤ 4, as if the noise had acted for as long before
      the start; that of λ = 0 starts at the density given. The feature must rise with λ, or fall. Default: None, a
      tree.
    - `steps`: the number of time steps, a multiple of 2 · stages. Default: 40.
    - `tolerance`: as for `equilibrium`. Default: 1e-8.
    - `rounds`: the most of them. Default: 80.

    **Returns:** an `Equilibrium` with `scenarios`. Its times are those of all half stages, so that the
    middle of a stage stands there twice, before and after the increment, and an end twice.

    **Raises:** `ValueError` for another game or number, for more than 2000 scenarios or 600 nodes, and where the search
    does not converge.

    **Source:** R. Carmona, F. Delarue and D. Lacker, Ann. Probab. 44 (2016), for the discretised common noise.
    """
    require_torus(game, start, frame=False)
    require_noise(game, start)
    rounds = positive_integer("the number of rounds is a positive integer", rounds)
    require_tolerance("the tolerance of an equilibrium", tolerance)
    with calling("the running cost of a game"):
        made = _made(game, start, stages, branches, features, laws, steps)
        return _in_scenarios(game, start, made, steps, tolerance, rounds)


def _made(
    game: Game, start: Density, stages: int, branches: int, features: Callable | None, laws: int | None, steps: int
) -> AbstractScenarios:
    """**Raises** `ValueError` for numbers that do not fit."""
    stages = positive_integer("the number of stages is a positive integer", stages)
    branches = positive_integer("the number of branches is a positive integer", branches)
    steps = positive_integer("the number of steps is a positive integer", steps)
    require(steps % (2 * stages) == 0, f"{steps} steps are no multiple of 2 · {stages}: each stage has two halves.")
    require(start.grid.size <= DENSE, f"such games are solved on {DENSE} nodes at most, not on {start.grid.size}.")
    if laws is None:
        return scenarios(game, start, stages, branches, features)
    require(features is not None, "a lattice needs a feature by which the conditional law is known.")
    assert features is not None, "there is a feature"
    return lattice(game, start, stages, branches, features, laws)


def _in_scenarios(
    game: Game, start: Density, made: AbstractScenarios, steps: int, tolerance: float, rounds: int
) -> Equilibrium:
    start, grid = Density(start.grid, start.values.astype(float)), fourier(start)
    quadratic, stages = quadratic_in_control(game, start), made.digits.shape[0]
    (u, flow, alpha), error, count, hessian = solve_scenarios(game, start, made, steps, tolerance, quadratic, rounds)
    require_convex(hessian, grid)
    merged = lambda a: a.reshape(-1, *a.shape[3:])  # noqa: E731
    density = jax.vmap(lambda rho: densities(grid, rho))(merged(flow))
    gap = made.largest_gap(grid, flow[:, 0, -1], flow[:, 1, 0]) if isinstance(made, Lattice) else None
    cost = calculus.integrate(grid, u[0, 0, 0, made.root] * start.values)
    times = jnp.linspace(0.0, game.end, 2 * stages + 1)
    part = jnp.linspace(0.0, 1.0, steps // (2 * stages) + 1)
    along = (times[:-1, None] + (times[1] - times[0]) * part).ravel()
    end = Equilibrium(density, merged(u), merged(alpha), cost, error, along, int(count), made, gap)
    # What is unlikely counts as little.
    over, each = tuple(range(4, flow.ndim)), lambda a: jnp.tensordot(a, made.weights, axes=1)
    least = jnp.min(each(jnp.min(flow, axis=over)) / each(jnp.max(flow, axis=over)))
    require_settled(game, end, tolerance, float(least))
    return end


def require_settled(game: Game, end: Equilibrium, tolerance: float, least: float) -> None:
    """**Raises** `ValueError` where the rounds of a search did not end, or ρ falls below 0, relative to its maximum."""
    error, count = float(end.residual), end.iterations
    require(
        np.isfinite(error),
        f"no equilibrium was found: the density became non-finite in round {count}; take more steps.",
    )
    if error > tolerance:
        raise ValueError(
            f"no equilibrium was found: after {count} rounds the density still changes by {error:.3g} of its mean in a "
            f"round, and a player gains {_gain(game, lambda: end)} by leaving; take more steps, more rounds, a shorter "
            "horizon, or a larger tolerance."
        )
    require(
        least > -1e-3,
        f"the nodes and steps do not resolve the density: it falls to {least:.3g} of its maximum; take more of both.",
    )


def _gain(game: Game, end: Callable[[], Equilibrium]) -> str:
    """The exploitability of where a search ended, which may be no density at all."""
    try:
        return f"{exploitability(game, end())[0]:.3g}"
    except ValueError:
        return "an unknown amount"


def require_horizon(game: Game, found: Equilibrium) -> None:
    """**Raises** `ValueError` for an equilibrium up to a horizon of a game without one, and the other way round."""
    require((found.times is None) == (game.horizon is None), "the equilibrium is one of a game with another horizon.")


def exploitability(game: Game, found: Equilibrium) -> tuple[float, float]:
    """What one player gains at most by leaving the controls of an equilibrium, with a bound of the figure's own error.

        J(α; ρ) − min_β J(β; ρ)

    The law of the others is frozen, and the value of the equilibrium is not looked at: what its control costs and what
    the best response costs are computed anew. Without a horizon that is on a grid twice as fine, by Howard's iteration
    from no control; with one, by both equations in steps half as long. Of a
    `conditional_equilibrium` the best response knows all increments so far, whatever its features.

    **Arguments:**

    - `game`: the game.
    - `found`: an `Equilibrium`, or one with another control or density in its place.

    **Returns:** the gain, and its error: how much it changes on a still finer grid, or in still shorter steps, and
    rounding.

    **Raises:** `ValueError` for anything but an `Equilibrium`, and one of another game.
    """
    require(isinstance(found, Equilibrium), f"this is asked of an Equilibrium, not of {type(found).__name__}.")
    require_horizon(game, found)
    if isinstance(found.density.grid, BoxGrid):
        costs = _box_costs(game, found, found.density.grid)
    elif found.scenarios is not None:
        costs = _scenario_costs(game, found)
    elif found.times is None:
        require_torus(game, found.density)
        nodes = 2 * found.density.grid.size
        require(nodes <= DENSE, "the finer grids have more nodes than are solved for: take fewer.")
        costs = [stationary_gain(game, found.density, found.control, factor) for factor in (2, 3)]
    else:
        first = jax.tree.map(lambda a: a[0], found.density)
        require_torus(game, first, controls=True)
        quadratic = quadratic_in_control(game, first)
        costs = [flow_gain(game, found.density, found.control, parts, quadratic) for parts in (2, 3)]
    gains = [float(own - least) for own, least in costs]
    rounding = 1e3 * float(jnp.finfo(found.value.dtype).eps) * (1 + abs(float(costs[0][0])))
    return gains[0], abs(gains[1] - gains[0]) + rounding


def _box_costs(game: Game, found: Equilibrium, grid: BoxGrid) -> list[tuple[Array, Array]]:
    require_box(game, found.density)
    if found.times is not None:
        whole = reflected(game, grid)
        flow = densities(doubled(grid), outside(grid, found.density.values))
        quadratic = quadratic_in_control(whole, jax.tree.map(lambda a: a[0], flow))
        control = mirrored_control(grid, found.control)
        return [flow_gain(whole, flow, control, parts, quadratic) for parts in (2, 3)]
    require(2 * doubled(grid).size <= DENSE, "the finer grids have more nodes than are solved for: take fewer.")

    def gain(factor):
        fine, points = finer(grid, factor)
        onto = interpolation(doubled(grid), points)
        rho = (onto @ outside(grid, found.density.values).ravel()).reshape(fine.shape)
        density = Density(doubled(fine), mirrored(fine, rho, ()))
        control = mirrored_control(fine, onto @ mirrored_control(grid, found.control))
        return stationary_gain(reflected(game, fine), density, control, 1)

    return [gain(factor) for factor in (2, 3)]


def _scenario_costs(game: Game, found: Equilibrium) -> list[tuple[Array, Array]]:
    made = found.scenarios
    assert made is not None, "there are scenarios"
    first = jax.tree.map(lambda a: a[0, 0], found.density)
    require_torus(game, first, frame=False)
    if isinstance(made, Scenarios):
        made = dataclasses.replace(made, features=None)
    stages = made.digits.shape[0]
    halves = lambda a: a.reshape(stages, 2, -1, *a.shape[1:])  # noqa: E731
    flow, control, quadratic = halves(found.density.values), halves(found.control), quadratic_in_control(game, first)
    return [scenario_gain(game, made, flow, control, parts, quadratic, fourier(first)) for parts in (2, 3)]
