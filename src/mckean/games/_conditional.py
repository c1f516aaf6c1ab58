"""The law of a player of a linear–quadratic game, given the environment."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from mckean.checks import require
from mckean.dynamics import Trajectory
from mckean.games._game import Game
from mckean.games._policy import LinearPolicy, require_law, require_policy
from mckean.games._quadratic import Quadratic, quadratic
from mckean.measures import Gaussian
from mckean.paths import Brownian


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
