"""N players of a linear–quadratic game in motion, and what they pay and regret."""

from collections.abc import Sequence
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from mckean.checks import positive_integer, require
from mckean.dynamics import evolve
from mckean.games._crowd import crowd, stroll
from mckean.games._equilibrium import Equilibrium, require_horizon
from mckean.games._game import Game, require_players
from mckean.games._linear import response
from mckean.games._policy import LinearPolicy, interpolate, require_law, require_policy
from mckean.games._quadratic import quadratic
from mckean.interactions import AbstractField
from mckean.measures import Gaussian, Particles
from mckean.models import Additive, Model
from mckean.paths import Brownian
from mckean.spaces import Euclidean
from mckean.statistics import Rate, average, fit_rate, jackknife, replicate, samples


class _Steered(AbstractField):
    """The players with what they paid, what they lost, and the time, (x, C, R, t), as points of R^{d+3}."""

    game: Game
    times: Float[Array, " t"]
    gain: Float[Array, "t k n"]
    first: Float[Array, "t k n"]
    best: Float[Array, "t k n"]
    curvature: Float[Array, "k k"]

    def __call__(self, x: Float[Array, "n d"], mu: Particles) -> Float[Array, "n d"]:
        game = self.game
        (d, k), time = game.control.shape, x[0, -1]
        x = x[:, :d]
        m = jnp.mean(x, axis=0)
        z = jnp.concatenate([x, jnp.broadcast_to(m, x.shape), jnp.ones((x.shape[0], 1))], axis=1)
        gain, first, best = (interpolate(self.times, K, time) for K in (self.gain, self.first, self.best))
        alpha = (-z @ gain.T).at[0].set(-first @ z[0])
        controls = (Gaussian(jnp.mean(alpha, axis=0), jnp.eye(k)),) if game.of_controls else ()
        paid = jax.vmap(lambda x, a: game.running(x, a, Gaussian(m, jnp.eye(d)), *controls))(x, alpha)
        off = z @ (best - gain).T
        lost = 0.5 * jnp.einsum("nk,kl,nl->n", off, self.curvature, off)
        factor = jnp.exp(-game.discount * time)
        move = game.model.velocity(x, Particles(game.model.space, x)) + alpha @ game.control.T
        return jnp.concatenate([move, factor * paid[:, None], factor * lost[:, None], jnp.ones_like(x[:, :1])], axis=1)


def play(
    game: Game,
    policy: LinearPolicy | Equilibrium,
    law: Gaussian | None,
    players: int,
    *,
    key: PRNGKeyArray,
    replicas: int,
    first: LinearPolicy | None = None,
    best: LinearPolicy | None = None,
    time: float | None = None,
    steps: int = 200,
) -> dict[str, Any]:
    """A game as N players play it, with what they pay.

        J(K) − J(K*) = E∫₀ᵀ e^{−δt} ½|(K − K*)z|²_R dt,   along plays in which all keep K
        J(α) − inf J ≤ E[J(α; X²,…,Xᴺ) − min_β J(β; X²,…,Xᴺ)],   on a torus

    The players move by `evolve`, with Heun's method and the times of the policy as steps, so that means are wrong by
    O(dt²). The identity gives the regret of K, where K* is the best response to it, without the noise of two costs.
    On a torus the bound is what one would gain who knew the motion of all others in advance.

    **Arguments:**

    - `game`: as for `nash`.
    - `policy`: what the players play: a rule with the gain K, or the control of an `Equilibrium` on a torus, in the
      frame that moves with the common noise.
    - `law`: the law with which they start independently; None on a torus, that of the equilibrium.
    - `players`: N.
    - `key`: a JAX key.
    - `replicas`: the number of independent plays, each in an environment of its own.
    - `first`: what the first player plays instead. Default: None, as all do.
    - `best`: a policy with the gain K*, such as the `response` to K. Default: None, the policy itself.
    - `time`, `steps`: how long a game without an end is played, and in how many steps. Default: None, 200.

    **Returns:** a dictionary: `cost`, what the first player pays where it departs, or a player where none does, and
    `gap`, the right side of the identity for a player, both an `Estimate`; `means`, the mean of the players at the
    times of the policy, shape (r, t, d). On a torus `cost`, without an end the mean cost per time, and up to a horizon
    `bound`, the right side of the bound.

    **Raises:** `ValueError` for another game, policy or law; on a torus for a v that depends on μ, as then the others
    answer a player who departs; `RunError` for a run that fails.
    """
    if isinstance(policy, Equilibrium):
        given = (law, first, best)
        require(all(one is None for one in given), "on a torus all players start as the equilibrium does, and play it.")
        return _on_a_torus(game, policy, players, key, replicas, time, steps)
    require(players is not None, "a play has a number of players, an integer of at least 2.")
    field = _steered(game, policy, players, first, best)
    require_law(law, game.control.shape[0])
    replicas = positive_integer("the number of plays is a positive integer", replicas)
    own, costs, gaps, means = replicate(eqx.Partial(_one_play, field, law, players), key, replicas)
    return {"cost": average(costs if first is None else own), "gap": average(gaps), "means": means}


def _on_a_torus(
    game: Game, found: Equilibrium, players: int, key: PRNGKeyArray, replicas: int, time: float | None, steps: int
) -> dict[str, Any]:
    require_players(players)
    require(players is not None, "a play has a number of players, an integer of at least 2.")
    require_horizon(game, found)
    replicas = positive_integer("the number of plays is a positive integer", replicas)
    if game.horizon is None:
        require(float(game.discount) == 0, "without an end a play measures a cost per time: the discount must be 0.")
        require(time is not None and 0 < time < np.inf, "this game has no end: give the `time` that it is played.")
        assert time is not None, "it is given"
        steps = positive_integer("the number of steps is a positive integer", steps)
        made = crowd(game, found.density, found.control[None], time, steps, players)
    else:
        first = jax.tree.map(lambda a: a[0], found.density)
        made = crowd(game, first, found.control, game.end, found.control.shape[0] - 1, players)
    costs, bounds = replicate(eqx.Partial(stroll, made), key, replicas)
    return {"cost": average(costs)} | ({} if game.horizon is None else {"bound": average(bounds)})


def regret_rate(
    game: Game, policy: LinearPolicy, law: Gaussian, *, sizes: Sequence[int], replicas: int, key: PRNGKeyArray
) -> Rate:
    """With which power of N the regret of a policy falls in a linear–quadratic game, from plays of N players.

        E∫₀ᵀ e^{−δt} ½|(K − K*)z|²_R dt ∝ N^s,   s = −2 for the policy of the mean-field game

    K* is the gain of the best response among N, so that each play gives the regret without the noise of two costs:
    see `play`. `regret` is the same number by its equation.

    **Arguments:**

    - `game`: as for `nash`.
    - `policy`: what all players play, with the gain K.
    - `law`: the law with which they start independently.
    - `sizes`: the ladder of N, each at least 2.
    - `replicas`: the number of independent plays for each N, as many as sizes at least.
    - `key`: a JAX key.

    **Returns:** a `Rate`: the regrets with their standard errors, and s with its interval.

    **Raises:** `ValueError` as `regret` and `play` do, and for a regret that is lost in its noise: one of 0 too.
    """
    require_policy(policy, game)
    require_law(law, game.control.shape[0])
    fields = {n: _steered(game, policy, n, None, response(game, policy, n)) for n in sizes}
    return fit_rate(sizes, jackknife(samples(eqx.Partial(_one_regret, fields, law), sizes, key, replicas)))


def _one_regret(fields: dict[int, "_Steered"], law: Gaussian, players: int, key: PRNGKeyArray) -> Array:
    return _one_play(fields[players], law, players, key)[2]


def _steered(
    game: Game, policy: LinearPolicy, players: int, first: LinearPolicy | None, best: LinearPolicy | None
) -> _Steered:
    made = quadratic(game, players)
    for one in (policy, first, best):
        if one is not None:
            require_policy(one, game)
    own, least = (policy.gain if one is None else one.gain for one in (first, best))
    require(
        all(gain.shape == policy.gain.shape for gain in (own, least)), "the policies of a play have the same times."
    )
    return _Steered(game, policy.times, policy.gain, own, least, made.curvature())


def _one_play(field: _Steered, law: Gaussian, players: int, key: PRNGKeyArray) -> tuple[Array, Array, Array, Array]:
    game, d = field.game, law.mean.shape[0]
    steps = field.times.shape[0] - 1
    dt = game.end / steps
    start, noise = jax.random.split(key)
    x = law.sample(start, players).positions
    space = Euclidean(d + 3)
    pad = lambda part: Additive(jnp.zeros((d + 3, _matrix(part, d).shape[1])).at[:d].set(_matrix(part, d)))  # noqa: E731
    own = game.model.noise
    model = Model(
        space,
        drift=field,
        noise=None if own is None else pad(own),
        common=tuple(pad(part) for part in game.model.common),
    )
    run = evolve(
        model,
        Particles(space, jnp.concatenate([x, jnp.zeros((players, 3))], axis=1)),
        until=steps * dt,
        dt=dt,
        path=Brownian(noise),
        scheme=diffrax.Heun(),
        observe={"mean": lambda model, mu: jnp.mean(mu.positions[:, :d], axis=0)},
        every=1,
    )
    end = run.final.positions
    cost, m = end[:, d], jnp.mean(end[:, :d], axis=0)
    if game.terminal is not None:
        last = jax.vmap(lambda x: game.terminal(x, Gaussian(m, jnp.eye(d))))(end[:, :d])
        cost = cost + jnp.exp(-game.discount * game.end) * last
    return cost[0], jnp.mean(cost), jnp.mean(end[:, d + 1]), run.observed["mean"]


def _matrix(noise: Any, dim: int) -> Float[Array, "d m"]:
    return noise.matrix(jnp.zeros((1, dim)), Gaussian(jnp.zeros(dim), jnp.eye(dim)))[0]
