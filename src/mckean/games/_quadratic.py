"""Linear–quadratic games: their matrices, and the equations of Riccati's kind that solve them.

With z = (x, m, 1), m the mean of the players, w = (z, α, ᾱ), ᾱ the mean of their controls, a game whose model is affine
and whose costs are quadratic is

    dz = (A₀z + (B; 0; 0)α + (0; B; 0)ᾱ) dt + noise,   L = ½wᵀFw,   g = ½zᵀGz.

Among N players who use α = −Kz the mean of the controls is ᾱ = −KJ̄z, J̄z = (m, m, 1). One player who departs has a
weight of 1/N in it: ᾱ = α/N + Λz, Λ = −KJ, Jz = (m − x/N, (1 − 1/N)m, 1 − 1/N). So V = ½zᵀPz + s solves

    −P′ = 𝒜ᵀP + P𝒜 + Q − δP,   −s′ = ½tr(PS) − δs,

where 𝒜 and Q are those of all controls in use and S is the covariance of the noise of z in unit time. α is optimal
where r_α + 𝓑ᵀPz = 0, 𝓑 = (B; B/N; 0), r_α the derivative of L in the player's own α. With 1/N = 0 all this is the
mean-field game, and V solves its master equation.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.checks import calling, require, require_finite, traced
from mckean.games._game import Game, require_game, require_players, scalar
from mckean.measures import Gaussian
from mckean.spaces import Euclidean


class Quadratic(eqx.Module):
    """The matrices of a linear–quadratic game; `share` is 1/N."""

    free: Float[Array, "n n"]
    control: Float[Array, "d k"]
    running: Float[Array, "w w"]
    end: Float[Array, "n n"]
    own: Float[Array, "d d"]
    common: Float[Array, "d m"]
    discount: Float[Array, ""]
    share: Float[Array, ""]

    @property
    def dim(self) -> int:
        return self.control.shape[0]

    def blocks(self) -> list[list[Array]]:
        """F by z, α and ᾱ."""
        n, k = self.free.shape[0], self.control.shape[1]
        rows = jnp.split(self.running, [n, n + k])
        return [list(jnp.split(row, [n, n + k], axis=1)) for row in rows]

    def means(self) -> Float[Array, "n n"]:
        """J̄."""
        one, zero = jnp.eye(self.dim), jnp.zeros((self.dim, self.dim))
        return _with_one(jnp.block([[zero, one], [zero, one]]), 1.0)

    def others(self) -> Float[Array, "n n"]:
        """J."""
        one, zero = jnp.eye(self.dim), jnp.zeros((self.dim, self.dim))
        rest = 1 - self.share
        return _with_one(jnp.block([[-self.share * one, one], [zero, rest * one]]), rest)

    def marginal(self, P: Float[Array, "n n"]) -> Float[Array, "k n"]:
        """D, the part of r_α + 𝓑ᵀPz that is linear in z."""
        d, F = self.dim, self.blocks()
        return F[1][0] + self.share * F[2][0] + self.control.T @ (P[:d] + self.share * P[d : 2 * d])

    def curvatures(self) -> tuple[Float[Array, "k k"], Float[Array, "k k"]]:
        """The parts of r_α that are linear in α and in ᾱ."""
        F = self.blocks()
        return F[1][1] + self.share * F[2][1], F[1][2] + self.share * F[2][2]

    def nash(self, P: Float[Array, "n n"]) -> Float[Array, "k n"]:
        """K that is optimal where all play it: E K + F K J̄ = D."""
        d, D, (E, F) = self.dim, self.marginal(P), self.curvatures()
        own = jnp.linalg.solve(E, D[:, :d])
        rest = jnp.linalg.solve(E + F, jnp.concatenate([D[:, d : 2 * d] - F @ own, D[:, 2 * d :]], axis=1))
        return jnp.concatenate([own, rest], axis=1)

    def best(self, P: Float[Array, "n n"], K: Float[Array, "k n"]) -> Float[Array, "k n"]:
        """The optimal gain of one player where all others play K."""
        E, F = self.curvatures()
        return jnp.linalg.solve(E + self.share * F, self.marginal(P) - F @ K @ self.others())

    def curvature(self) -> Float[Array, "k k"]:
        """The second derivative of L in a player's own α."""
        E, F = self.curvatures()
        return E + self.share * F

    def motion(self, own: Float[Array, "k n"], K: Float[Array, "k n"]) -> Float[Array, "n n"]:
        """𝒜 of a player with the gain `own` among others with K."""
        mean = -K @ self.others() - self.share * own
        return self.free + jnp.concatenate(
            [-self.control @ own, self.control @ mean, jnp.zeros((1, self.free.shape[0]))]
        )

    def value_rate(self, P: Array, s: Array, own: Array, K: Array) -> tuple[Array, Array]:
        """(−P′, −s′) of the cost of the gain `own` among others with K."""
        A = self.motion(own, K)
        w = jnp.concatenate([jnp.eye(A.shape[0]), -own, -K @ self.others() - self.share * own])
        rate = A.T @ P + P @ A + w.T @ self.running @ w - self.discount * P
        return rate, 0.5 * jnp.sum(P * self.noise()) - self.discount * s

    def adjoint_rate(self, p: Float[Array, "n n"], K: Float[Array, "k n"]) -> Float[Array, "n n"]:
        """−p′, where a player takes the others' controls, not their rules, as given, and all play K."""
        w = jnp.concatenate([jnp.eye(self.free.shape[0]), -K, -K @ self.means()])
        along = jnp.concatenate(self.blocks()[0], axis=1) @ w
        return p @ self.motion(K, K) + self.free.T @ p + along - self.discount * p

    def noise(self) -> Float[Array, "n n"]:
        """S."""
        both = self.common @ self.common.T
        mean = both + self.share * self.own
        return _with_one(jnp.block([[both + self.own, mean], [mean, mean]]), 0.0)

    def deviation(self) -> "Regulator":
        """A planner's problem for x − m, which is apart from that of m: the crossed terms have mean 0."""
        d, F = self.dim, self.blocks()
        cost = jnp.block([[F[0][0][:d, :d], F[0][1][:d]], [F[1][0][:, :d], F[1][1]]])
        return Regulator(self.free[:d, :d], self.control, cost, self.end[:d, :d], self.discount)

    def team(self) -> "Regulator":
        """A planner's problem for (m, 1)."""
        (d, k), n = self.control.shape, self.free.shape[0]
        lift = jnp.concatenate([jnp.eye(d, n - d), jnp.eye(n - d)])
        whole = jnp.zeros((n + 2 * k, n - d + k)).at[:n, : n - d].set(lift)
        whole = whole.at[n : n + k, n - d :].set(jnp.eye(k)).at[n + k :, n - d :].set(jnp.eye(k))
        control = jnp.concatenate([self.control, jnp.zeros((1, k))])
        cost, end = whole.T @ self.running @ whole, lift.T @ self.end @ lift
        return Regulator(self.free[d:, d:], control, cost, end, self.discount)


class Regulator(eqx.Module):
    """A linear–quadratic problem of one who decides alone: y′ = Ay + Bα, cost ½∫(y, α)ᵀF(y, α) + ½yᵀGy."""

    free: Float[Array, "n n"]
    control: Float[Array, "n k"]
    running: Float[Array, "w w"]
    end: Float[Array, "n n"]
    discount: Float[Array, ""]

    def best(self, P: Float[Array, "n n"]) -> Float[Array, "k n"]:
        """K = R⁻¹(H + BᵀP)."""
        n = self.free.shape[0]
        return jnp.linalg.solve(self.running[n:, n:], self.running[n:, :n] + self.control.T @ P)

    def rate(self, P: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """−P′ = AᵀP + PA + Q − KᵀRK − δP."""
        n, K = self.free.shape[0], self.best(P)
        linear = self.free.T @ P + P @ self.free + self.running[:n, :n]
        return linear - K.T @ self.running[n:, n:] @ K - self.discount * P


def _with_one(matrix: Array, corner) -> Array:
    n = matrix.shape[0]
    return jnp.zeros((n + 1, n + 1)).at[:n, :n].set(matrix).at[n, n].set(corner)


def quadratic(game: Game, players: int | None) -> Quadratic:
    """The matrices of a game, by derivatives at 0.

    **Raises:** `ValueError` for a game that is not linear–quadratic on R^d with a horizon, and for a cost that is not
    convex in α.
    """
    require_game(game, Euclidean)
    share = require_players(players)
    model = game.model
    parts = (*model.common, *(() if model.noise is None else (model.noise,)))
    require(all(part.additive for part in parts), "a linear–quadratic game has additive noises.")
    require(model.internal is None, "an internal energy acts on densities: a linear–quadratic game has none.")
    with calling("the costs of a game"):
        made, errors = _matrices(game, jnp.asarray(share))
    require_convex(made)
    for name, error in zip(("motion", "running cost", "terminal cost"), errors, strict=True):
        want = "affine" if name == "motion" else "quadratic"
        require_finite(f"the {name} of the game", error)
        require(
            error <= 1e5 * float(jnp.finfo(error.dtype).eps),
            f"the {name} of this game is not {want} in the points, the controls and their means: on a torus "
            "`equilibrium` solves such games.",
        )
    return made


def require_convex(made: Quadratic) -> None:
    """**Raises** `ValueError` for a cost that is not convex in a player's own control."""
    hessian = made.curvature()
    if traced(hessian):
        return
    values, vectors = np.linalg.eigh(np.asarray(hessian + hessian.T) / 2)
    direction = ", ".join(f"{x:.3g}" for x in vectors[:, 0])
    require(
        values[0] > 0,
        f"the running cost is not strictly convex in α: its second derivative along ({direction}) is {values[0]:.3g}, "
        "for every x.",
    )


@eqx.filter_jit
def _matrices(game: Game, share: Float[Array, ""]) -> tuple[Quadratic, tuple[Array, Array, Array]]:
    """The matrices, and how far the functions are from them at random arguments, relative to their size."""
    d, k = game.control.shape
    one = jnp.eye(d)

    def motion(z):
        return game.model.velocity(z[None, :d], Gaussian(z[d:], spread[0]))[0]

    def running(w):
        x, m, alpha, mean = jnp.split(w, [d, 2 * d, 2 * d + k])
        laws = (Gaussian(m, spread[0]), *((Gaussian(mean, spread[1]),) if game.of_controls else ()))
        return scalar("a running cost", game.running(x, alpha, *laws))

    def terminal(z):
        return (
            jnp.zeros(())
            if game.terminal is None
            else scalar("a terminal cost", game.terminal(z[:d], Gaussian(z[d:], spread[0])))
        )

    # A Gaussian stands for the law, of which only the mean may matter: another covariance must change nothing.
    spread = (one, jnp.eye(k))
    A, a = jax.jacfwd(motion)(jnp.zeros(2 * d)), motion(jnp.zeros(2 * d))
    F, G = _form(running, 2 * (d + k), 2 * d), _form(terminal, 2 * d, 2 * d)
    probe = jnp.asarray(np.random.default_rng(0).normal(size=(4, 2 * (d + k))))
    spread = (2 * one, 2 * jnp.eye(k))
    errors = (
        _far(motion, lambda z: A @ z + a, probe[:, : 2 * d]),
        _far(running, lambda w: _half(F, jnp.insert(w, 2 * d, 1.0)), probe),
        _far(terminal, lambda z: _half(G, jnp.append(z, 1.0)), probe[:, : 2 * d]),
    )
    free = jnp.zeros((2 * d + 1, 2 * d + 1)).at[:d].set(jnp.concatenate([A, a[:, None]], axis=1))
    free = free.at[d : 2 * d, d : 2 * d].set(A[:, :d] + A[:, d:]).at[d : 2 * d, 2 * d].set(a)
    at, law = jnp.zeros((1, d)), Gaussian(jnp.zeros(d), one)
    own = jnp.zeros((d, d)) if game.model.noise is None else game.model.noise.diffusion(at, law)[0]
    fields = [part.matrix(at, law)[0] for part in game.model.common]
    common = jnp.concatenate([jnp.zeros((d, 0)), *fields], axis=1)
    return Quadratic(free, game.control, F, G, own, common, game.discount, share), errors


def _form(function, size: int, place: int) -> Array:
    """The symmetric matrix of a quadratic function, with the constant 1 as an argument at a place."""
    zero = jnp.zeros(size)
    hessian, slope, value = jax.hessian(function)(zero), jax.grad(function)(zero), function(zero)
    whole = jnp.insert(jnp.insert(hessian, place, slope, axis=0), place, jnp.insert(slope, place, 2 * value), axis=1)
    return whole


def _half(matrix: Array, w: Array) -> Array:
    return 0.5 * w @ matrix @ w


def _far(function, model, points: Array) -> Array:
    values, wanted = jax.vmap(function)(points), jax.vmap(model)(points)
    return jnp.max(jnp.abs(values - wanted)) / (1 + jnp.max(jnp.abs(wanted)))
