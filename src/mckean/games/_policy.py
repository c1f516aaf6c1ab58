"""What players do in a linear–quadratic game, and what it costs them."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.checks import require
from mckean.measures import Gaussian

# Interpolation by so many nodes: its error is that of the step to this power.
_NODES = 6


class LinearPolicy(eqx.Module):
    """A linear rule, and what a player expects to pay under it.

        α = −K(t)(x, m, 1),   V(t, x, m) = ½(x, m, 1)ᵀP(t)(x, m, 1) + s(t)

    m is the mean of the players, which all see. V is the cost from t on of a player at x: where all play the rule, for
    a rule of `nash` or `planner`; of `response`, where it alone does.

    **Attributes:**

    - `times`: t, shape (n+1,), from 0 to the horizon in equal steps; time.
    - `gain`: K, shape (n+1, k, 2d+1).
    - `value`: P, shape (n+1, 2d+1, 2d+1), symmetric.
    - `constant`: s, shape (n+1,), cost.
    - `players`: N, or None for infinitely many.
    """

    times: Float[Array, " t"]
    gain: Float[Array, "t k n"]
    value: Float[Array, "t n n"]
    constant: Float[Array, " t"]
    players: int | None = eqx.field(static=True)

    def gain_at(self, time: Float[Array, ""] | float) -> Float[Array, "k n"]:
        """K at a time, by the polynomial of the six nearest nodes."""
        return interpolate(self.times, self.gain, jnp.asarray(time, self.times.dtype))

    def control(self, time, x: Float[Array, " d"], mean: Float[Array, " d"]) -> Float[Array, " k"]:
        """α of a player at x where the mean of all is m.

        **Arguments:**

        - `time`: t.
        - `x`: shape (d,).
        - `mean`: m, shape (d,).
        """
        return -self.gain_at(time) @ jnp.concatenate([x, mean, jnp.ones(1, x.dtype)])

    def cost(self, law: Gaussian) -> Float[Array, ""]:
        """What a player expects to pay from time 0 on, if all start independently with the law.

        **Arguments:**

        - `law`: the initial law on R^d.
        """
        require_law(law, self.value.shape[1] // 2)
        return mean_value(self.value[0], self.constant[0], law, self.players)


def interpolate(times: Float[Array, " t"], values: Float[Array, "t *k"], time: Float[Array, ""]) -> Float[Array, "*k"]:
    """Values at equidistant times, at another time, by Lagrange's polynomial of the six nearest."""
    count = min(_NODES, times.shape[0])
    place = (time - times[0]) / (times[1] - times[0])
    first = jnp.clip(jnp.floor(place).astype(int) - (count // 2 - 1), 0, times.shape[0] - count)
    node = np.arange(count)
    factors = jnp.where(np.eye(count, dtype=bool), 1.0, place - first - node)
    scale = np.prod(np.where(np.eye(count, dtype=bool), 1.0, node[:, None] - node), axis=1)
    return jnp.tensordot(jnp.prod(factors, axis=1) / scale, values[first + node], axes=1)


def mean_value(P: Array, s: Array, law: Gaussian, players: int | None) -> Float[Array, ""]:
    """E[½zᵀPz + s], z = (x, m, 1), for independent players of a Gaussian law."""
    d = (P.shape[0] - 1) // 2
    share = 0.0 if players is None else 1 / players
    z = jnp.concatenate([law.mean, law.mean, jnp.ones(1, law.mean.dtype)])
    C = law.covariance
    second = jnp.outer(z, z).at[: 2 * d, : 2 * d].add(jnp.block([[C, share * C], [share * C, share * C]]))
    return 0.5 * jnp.sum(P * second) + s


def require_law(law: object, dim: int) -> None:
    """**Raises** `ValueError` for anything but a Gaussian law on R^d."""
    require(isinstance(law, Gaussian), f"players start with a Gaussian law, not with {type(law).__name__}.")
    assert isinstance(law, Gaussian), "it is a Gaussian law"
    require(law.mean.shape == (dim,), f"the players live in R^{dim}, but their law in R^{law.mean.shape[0]}.")


def require_policy(policy: object, game) -> None:
    """**Raises** `ValueError` for anything but a linear policy of such a game."""
    require(isinstance(policy, LinearPolicy), f"a policy is one that `nash` or `planner` finds, not {policy!r}.")
    assert isinstance(policy, LinearPolicy), "it is a policy"
    d, k = game.control.shape
    shape = policy.gain.shape[1:]
    require(
        shape == (k, 2 * d + 1) and np.isclose(float(policy.times[-1]), game.horizon),
        "the policy is one of another game: its dimension or its horizon differs.",
    )
