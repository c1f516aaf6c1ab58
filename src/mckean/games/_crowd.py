"""The players of a linear–quadratic game in motion: their conditional law, and N of them."""

from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from mckean.checks import positive_integer, require
from mckean.dynamics import Trajectory, evolve
from mckean.games._game import Game
from mckean.games._policy import LinearPolicy, interpolate, require_law, require_policy
from mckean.games._quadratic import Quadratic, quadratic
from mckean.interactions import AbstractField
from mckean.measures import Gaussian, Particles
from mckean.models import Additive, Model
from mckean.paths import Brownian
from mckean.spaces import Euclidean
from mckean.statistics import average, replicate


def conditional_law(
    game: Game, policy: LinearPolicy, law: Gaussian, path: Brownian | None = None
) -> Trajectory[Gaussian]:
    """The law of a player given the environment, in a linear–quadratic game of infinitely many who play a policy.

        dm = (v(m) − BK(m, m, 1)) dt + σ₀ dB⁰,   Σ′ = A_KΣ + ΣA_Kᵀ + σσᵀ,   A_K = A − BK_x

    It is Gaussian, and its covariance does not depend on the environment. Between two times of the policy the
    environment moves with constant velocity, as in every law of the library.

    **Arguments:**

    - `game`: as for `nash`.
    - `policy`: what all play. Its times are the steps of the path.
    - `law`: the initial law of the players.
    - `path`: its environment. Default: None, for a game without a common noise.

    **Returns:** a `Trajectory` with the `mean` and the `covariance` at the times of the policy, and the last law.

    **Raises:** `ValueError` for another game, policy or law, and for a common noise without a path.
    """
    made = quadratic(game, None)
    require_policy(policy, game)
    d, width = made.common.shape
    require_law(law, d)
    steps, dt = policy.times.shape[0] - 1, float(policy.times[1] - policy.times[0])
    if width:
        require(path is not None, "this game has a common noise: give a path, Brownian(jax.random.key(seed)).")
        assert path is not None, "a common noise has a path"
        path.environment.check(0, steps, dt, width)
    means, covariances = _moments(made, policy, law, path)
    observed = {"mean": means, "covariance": covariances}
    end = Gaussian(means[-1], (covariances[-1] + covariances[-1].T) / 2)
    return Trajectory(end, policy.times, observed, (("game", type(game).__name__), ("dt", f"{dt:g}")))


@eqx.filter_jit
def _moments(made: Quadratic, policy: LinearPolicy, law: Gaussian, path: Brownian | None) -> tuple[Array, Array]:
    (d, width), solver = made.common.shape, diffrax.Dopri8()
    dt = policy.times[1] - policy.times[0]

    def step(y, k):
        push = jnp.zeros(d)
        if width and path is not None:
            push = made.common @ path.environment.increment(k, dt, (width,), dt.dtype) / dt

        def rates(t, y, args):
            m, C = y
            K = policy.gain_at(t)
            A = made.free[:d, :d] - made.control @ K[:, :d]
            one = jnp.concatenate([m, m, jnp.ones(1)])
            return (made.free[:d] - made.control @ K) @ one + push, A @ C + C @ A.T + made.own

        term, t = diffrax.ODETerm(rates), policy.times[k]
        y, *_ = solver.step(term, t, t + dt, y, None, solver.init(term, t, t + dt, y, None), False)
        return y, y

    start = (law.mean, law.covariance)
    _, along = jax.lax.scan(step, start, jnp.arange(policy.times.shape[0] - 1))
    whole = jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest]), start, along)
    return whole[0], whole[1]


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
    policy: LinearPolicy,
    law: Gaussian,
    players: int,
    *,
    key: PRNGKeyArray,
    replicas: int,
    first: LinearPolicy | None = None,
    best: LinearPolicy | None = None,
) -> dict[str, Any]:
    """A linear–quadratic game as N players play it, with what they pay.

        J(K) − J(K*) = E∫₀ᵀ e^{−δt} ½|(K − K*)z|²_R dt,   along plays in which all keep K

    The players move by `evolve`, with Heun's method and the times of the policy as steps, so that means are wrong by
    O(dt²). The identity gives the regret of K, where K* is the best response to it, without the noise of two costs.

    **Arguments:**

    - `game`: as for `nash`.
    - `policy`: what the players play, with the gain K.
    - `law`: the law with which they start independently.
    - `players`: N.
    - `key`: a JAX key.
    - `replicas`: the number of independent plays, each in an environment of its own.
    - `first`: what the first player plays instead. Default: None, as all do.
    - `best`: a policy with the gain K*, such as the `response` to K. Default: None, the policy itself.

    **Returns:** a dictionary: `cost`, what the first player pays where it departs, or a player where none does, and
    `gap`, the right side of the identity for a player, both an `Estimate`; `means`, the mean of the players at the
    times of the policy, shape (r, t, d).

    **Raises:** `ValueError` for another game, policy or law; `RunError` for a run that fails.
    """
    made = quadratic(game, players)
    for one in (policy, first, best):
        if one is not None:
            require_policy(one, game)
    require(players is not None, "a play has a number of players, an integer of at least 2.")
    require_law(law, made.dim)
    own, least = (policy.gain if one is None else one.gain for one in (first, best))
    require(
        all(gain.shape == policy.gain.shape for gain in (own, least)), "the policies of a play have the same times."
    )
    field = _Steered(game, policy.times, policy.gain, own, least, made.curvature())
    steps = policy.times.shape[0] - 1
    run = eqx.Partial(_one_play, field, law, players, game.end / steps, steps)
    replicas = positive_integer("the number of plays is a positive integer", replicas)
    own, costs, gaps, means = replicate(run, key, replicas)
    return {"cost": average(costs if first is None else own), "gap": average(gaps), "means": means}


def _one_play(
    field: _Steered, law: Gaussian, players: int, dt: float, steps: int, key: PRNGKeyArray
) -> tuple[Array, Array, Array, Array]:
    game, d = field.game, law.mean.shape[0]
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
