"""Equilibria, planners and best responses of linear–quadratic games."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.checks import array, positive_integer
from mckean.games._game import Game
from mckean.games._policy import LinearPolicy, mean_value, require_law, require_policy
from mckean.games._quadratic import Quadratic, quadratic
from mckean.games._riccati import solve
from mckean.measures import Gaussian

_STEPS = 200


def nash(game: Game, players: int | None = None, *, open_loop: bool = False, steps: int = _STEPS) -> LinearPolicy:
    """The symmetric Nash equilibrium of a linear–quadratic game on R^d, of N players or in the mean-field limit.

        0 = r_α + 𝓑ᵀPz,   −P′ = 𝒜ᵀP + P𝒜 + Q − δP,   P(T) = G

    z = (x, m, 1). In closed loop a player knows that the others react to what it does; in open loop it takes their
    controls as given. With infinitely many players the two agree, and V(t, x, m) solves the master equation, with a
    common noise or without: such a noise changes the constant s alone.

    **Arguments:**

    - `game`: a game on R^d with a horizon, an affine v, additive noises, and costs that are quadratic in points,
      controls and their means. L and g are given Gaussian laws, of which they may use the mean.
    - `players`: N ≥ 2; the mean is that of all N. Default: None, the mean-field game.
    - `open_loop`: whether controls are functions of the noise, not of the state. Default: no.
    - `steps`: the number of equal steps between the times that are kept. The error at these is that of rounding.
      Default: 200.

    **Returns:** a `LinearPolicy`.

    **Raises:** `ValueError` for another game, a cost that is not convex in α, and where the Riccati equation blows up,
    with the time: then there is no equilibrium of this form up to the horizon.

    **Source:** R. Carmona, J.-P. Fouque and L.-H. Sun, Commun. Math. Sci. 13 (2015), for the form and for banks.
    """
    made = quadratic(game, players)
    steps = positive_integer("the number of steps is a positive integer", steps)
    times = array(np.linspace(0.0, game.end, steps + 1), made.free.dtype)
    end = (made.end, made.end, jnp.zeros(()))
    p, P, s = solve(eqx.Partial(_nash_rates, made, open_loop), end, times, "an equilibrium with a linear rule")
    return LinearPolicy(times, _at_each(_nash_gain, made, p), P, s, players)


@eqx.filter_jit
def _at_each(gain: Any, made: Quadratic, *values: Any) -> Float[Array, "t k n"]:
    """The gain at each of the times."""
    return jax.vmap(lambda *one: gain(made, *one))(*values)


def _nash_gain(made: Quadratic, p: Array) -> Array:
    return made.nash(p)


def _nash_rates(made: Quadratic, open_loop: bool, t: Array, y: Any) -> tuple[Array, Array, Array]:
    p, P, s = y
    K = made.nash(p)
    value, constant = made.value_rate(P, s, K, K)
    return made.adjoint_rate(p, K) if open_loop else value, value, constant


def planner(game: Game, *, steps: int = _STEPS) -> LinearPolicy:
    """The rule for all that makes the mean cost of infinitely many players least: mean-field control.

    x − m and m are apart: two Riccati equations, one with the costs of x alone, the other with those of x = m, α = ᾱ.
    The price of anarchy is `nash(game).cost(law) / planner(game).cost(law)`.

    **Arguments:**

    - `game`: as for `nash`.
    - `steps`: as for `nash`. Default: 200.

    **Returns:** a `LinearPolicy`; its value is what a player pays where all play it.

    **Raises:** `ValueError` as `nash` does.
    """
    made = quadratic(game, None)
    steps = positive_integer("the number of steps is a positive integer", steps)
    times = array(np.linspace(0.0, game.end, steps + 1), made.free.dtype)
    end = (made.deviation().end, made.team().end, made.end, jnp.zeros(()))
    own, mean, P, s = solve(eqx.Partial(_planner_rates, made), end, times, "a planner's linear rule")
    return LinearPolicy(times, _at_each(_planner_gain, made, own, mean), P, s, None)


def _planner_gain(made: Quadratic, own: Array, mean: Array) -> Array:
    own, mean = made.deviation().best(own), made.team().best(mean)
    d = own.shape[1]
    return jnp.concatenate([own, mean[:, :d] - own, mean[:, d:]], axis=1)


def _planner_rates(made: Quadratic, t: Array, y: Any) -> tuple[Array, Array, Array, Array]:
    own, mean, P, s = y
    K = _planner_gain(made, own, mean)
    return made.deviation().rate(own), made.team().rate(mean), *made.value_rate(P, s, K, K)


def response(game: Game, policy: LinearPolicy, players: int | None = None) -> LinearPolicy:
    """The best response of one player where all others play a policy.

        r_α(z, −K*z, ᾱ) + 𝓑ᵀPz = 0,   −P′ = 𝒜ᵀP + P𝒜 + Q − δP,   P(T) = G

    **Arguments:**

    - `game`: as for `nash`.
    - `policy`: what the others play.
    - `players`: N. Default: None: one among infinitely many.

    **Returns:** a `LinearPolicy`, whose value is that of the player who responds.

    **Raises:** `ValueError` as `nash` does: the player may gain without bound.
    """
    return _respond(game, policy, players)[0]


def regret(game: Game, policy: LinearPolicy, law: Gaussian, players: int | None = None) -> Float[Array, ""]:
    """What one of N players gains at most by leaving a policy that all others keep.

        E[½z₀ᵀΔz₀ + s],   −Δ′ = 𝒜ᵀΔ + Δ𝒜 + (K − K*)ᵀR(K − K*) − δΔ,   Δ(T) = 0

    K* is the gain of the best response. Nothing is lost to the difference of two costs, however small it is. For the
    policy of the mean-field game it falls as N⁻².

    **Arguments:**

    - `game`: as for `nash`.
    - `policy`: the policy.
    - `law`: the law with which the players start independently.
    - `players`: N. Default: None, infinitely many: 0 in an equilibrium of the mean-field game.

    **Returns:** a number ≥ 0, cost.

    **Raises:** `ValueError` as `nash` does, and for a law on another space.
    """
    require_policy(policy, game)
    require_law(law, game.control.shape[0])
    _, gap, constant = _respond(game, policy, players)
    return mean_value(gap[0], constant[0], law, players)


def _respond(game: Game, policy: LinearPolicy, players: int | None) -> tuple[LinearPolicy, Array, Array]:
    made = quadratic(game, players)
    require_policy(policy, game)
    zero = jnp.zeros(())
    end = (made.end, zero, jnp.zeros_like(made.end), zero)
    P, s, gap, constant = solve(eqx.Partial(_response_rates, made, policy), end, policy.times, "a best response")
    gain = _at_each(_response_gain, made, P, policy.gain)
    return LinearPolicy(policy.times, gain, P, s, players), gap, constant


def _response_gain(made: Quadratic, P: Array, K: Array) -> Array:
    return made.best(P, K)


def _response_rates(made: Quadratic, policy: LinearPolicy, t: Array, y: Any) -> tuple[Array, Array, Array, Array]:
    P, s, gap, constant = y
    K = policy.gain_at(t)
    own = made.best(P, K)
    A = made.motion(K, K)
    more = A.T @ gap + gap @ A + (K - own).T @ made.curvature() @ (K - own) - made.discount * gap
    return *made.value_rate(P, s, own, K), more, 0.5 * jnp.sum(gap * made.noise()) - made.discount * constant
