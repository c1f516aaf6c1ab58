"""The game of a target that depends on the mean, in which a common noise leaves one equilibrium of three.

    dX = α dt + σ dB + σ₀ dB⁰,   J = E[½∫₀ᵀα² dt + ½(X_T + g(m_T))²]

The best response is α = −(X + Y)/(1 + T − t), Y = E[g(m_T) | F_t], so that dm = −(m + Y)/(1 + T − t) dt + σ₀dB⁰. In the
clock s = 1/(1 + T − t) and with M = ms this is dM = −Y ds + σ₀ dW, s ≤ 1, and Y = u(s, M), where

    u_s − u u_x + ½σ₀²u_xx = 0,   u(1, ·) = g.

It is Burgers' equation: with G′ = g, E[φ(m_T) | M_s = x] is the mean of φ under the law of density e^{−G/σ₀²}, but for
a factor, with respect to N(x, σ₀²(1 − s)), and u that of φ = g.
"""

from collections.abc import Callable
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.checks import array, concrete, positive_integer, require, require_finite, scalar_field
from mckean.interactions.functions import as_module
from mckean.interactions.parameters import parameter

# Standard deviations beyond which a Gaussian is rounding, with room for the tilt by g.
_REACH = 14.0
_CELLS = 1024
_GAUSS = 4
_MOST = 32


class Target(eqx.Module):
    """The game of players who want to be at −g of their own mean at the end.

        dX = α dt + σ dB + σ₀ dB⁰,   J = E[½∫₀ᵀα² dt + ½(X_T + g(m_T))²]

    Where g falls with a slope below −(1 + T)/T there may be several equilibria without a common noise. With one,
    σ₀ > 0, there is one equilibrium.

    **Arguments:**

    - `aim`: g, length, a function of a point (1,) with a scalar value, smooth and of a growth that is less than linear.
    - `horizon`: T > 0, time.
    - `own`: σ ≥ 0, length/√time. It does not change the mean. Default: 1.
    - `common`: σ₀ ≥ 0, length/√time. Default: 0.

    **Raises:** `ValueError` for a g that is not scalar, a horizon that is not positive and a σ that is negative.

    **Source:** after F. Delarue and R. Foguen Tchuendom, Stoch. Process. Appl. 130 (2020), arXiv 1808.09137.
    """

    aim: Any
    horizon: Float[Array, ""] = eqx.field(converter=parameter)
    own: Float[Array, ""] = eqx.field(converter=parameter)
    common: Float[Array, ""] = eqx.field(converter=parameter)

    def __init__(self, aim: Callable, horizon: Any, *, own: Any = 1.0, common: Any = 0.0):
        require(callable(aim), f"the aim of a game is a function g of a point, not {aim!r}.")
        scalar_field(aim, 1, "the aim g of a game")
        inside = (concrete(horizon) > 0) & (concrete(horizon) < np.inf)
        require(inside, f"the horizon of a game must be positive and finite, but {horizon} was given.")
        for name, sigma in (("own", own), ("common", common)):
            require(concrete(sigma) >= 0, f"the amplitude `{name}` must not be negative, but {sigma} was given.")
            require_finite(f"the amplitude `{name}`", sigma)
        self.aim = as_module(aim)
        self.horizon, self.own, self.common = parameter(horizon), parameter(own), parameter(common)

    def values(self, m: Float[Array, "..."]) -> Float[Array, "..."]:
        """g at an array of means."""
        return jax.vmap(lambda y: self.aim(y[None]))(m.ravel()).reshape(m.shape)


def means_at_the_end(game: Target, mean: float, starts: int) -> Float[np.ndarray, " e"]:
    """The means m_T of all equilibria without a common noise, in ascending order.

    From so many starts, spread over the interval that must hold every root; a root that is known is taken out by the
    factor 1 + 1/|m − m*|.
    """
    require(game.common == 0, "with a common noise there is one equilibrium, and m_T is random: see `aim`.")
    horizon = float(game.horizon)
    require_finite("the mean", mean)
    reach = 1 + abs(mean)
    for _ in range(50):
        wide = jnp.linspace(-reach, reach, 257)
        reach = (abs(mean) + horizon * float(jnp.max(jnp.abs(game.values(wide))))) / (1 + horizon) + 1
    known = jnp.full(_MOST, jnp.inf)
    for start in np.linspace(-reach, reach, starts) + 1e-3:
        # A start leads to several roots, one after another, as each is taken out.
        while bool((tried := _deflated(game, mean, start, known))[1]):
            known = jnp.sort(known.at[-1].set(tried[0]))
            require(bool(jnp.isinf(known[-1])), f"this game has more equilibria than the {_MOST} that are kept.")
    found = np.asarray(known[jnp.isfinite(known)])
    require(found.size > 0, f"Newton's method found no equilibrium between m_T = −{reach:.3g} and {reach:.3g}.")
    return found


@eqx.filter_jit
def _deflated(game: Target, mean: Any, start: Any, known: Float[Array, " e"]) -> tuple[Array, Array]:
    """Newton's method with the known roots taken out: its end, and whether that is a new root."""

    def balance(m):
        return m - (mean - game.horizon * game.aim(m[None])) / (1 + game.horizon)

    def step(_, m):
        off, slope = jax.value_and_grad(balance)(m)
        plain = -off / slope
        gap = jnp.abs(m - known)
        # With Π(1 + 1/|m − m*|) Newton's step is multiplied by 1/(1 − step · (log Π)′).
        pull = jnp.sum(jnp.where(jnp.isfinite(known) & (gap > 0), -jnp.sign(m - known) / (gap * (gap + 1)), 0.0))
        move = plain / (1 - plain * pull)
        return m + jnp.where(jnp.isfinite(move), jnp.clip(move, -1.0, 1.0), 0.0)

    m = jax.lax.fori_loop(0, 60, step, jnp.asarray(start, float))
    right = jnp.abs(balance(m)) < 1e3 * jnp.finfo(m.dtype).eps * (1 + jnp.abs(m))
    return m, right & jnp.all(jnp.abs(m - known) > 1e-6 * (1 + jnp.abs(m)))


def expectation(game: Target, phi: Callable, time: Any, mean: Any) -> Float[Array, "..."]:
    """E[φ(m_T) | m_t = m] in the equilibrium of a target game with a common noise, by quadrature.

        E[φ(Y)e^{−G(Y)/σ₀²}]/E[e^{−G(Y)/σ₀²}],   Y = x + σ₀√(1 − s)Z,   s = 1/(1 + T − t),   x = ms

    The trapezoidal rule of such a function on the line errs by less than any power of its step, and G = ∫g is summed by
    Gauss's rule of four nodes in each of 1024 cells.

    **Arguments:**

    - `game`: a `Target` with σ₀ > 0.
    - `phi`: φ, a function of a point (1,); `game.aim` gives u, by which α = −(x + u)/(1 + T − t).
    - `time`: t, from 0 to T.
    - `mean`: m, length, a number or an array.

    **Returns:** an array of the shape of m.

    **Raises:** `ValueError` without a common noise, for a time outside [0, T], and for a g that grows too fast.
    """
    _require_noisy(game, time)
    scalar_field(phi, 1, "phi")
    mean = array(mean, float)
    require(mean.size > 0, "this is asked for one mean or more, not for none.")
    require_finite("a mean", mean)
    values, edge = _quadrature(game, as_module(phi), array(time, float), mean.ravel())
    require(
        edge <= -30,
        "the aim g falls so fast that e^{−G/σ₀²} cannot be integrated: let g grow less than linearly.",
    )
    return values.reshape(mean.shape)


def _require_noisy(game: Any, time: Any) -> None:
    require(isinstance(game, Target), f"a game of a target is Target(g, T), not {type(game).__name__}.")
    require(game.common > 0, "without a common noise there may be several equilibria: see `equilibria`.")
    inside = (concrete(time) >= 0) & (concrete(time) <= concrete(game.horizon))
    require(inside, f"the time must be between 0 and T = {game.horizon}, but {time} was given.")


@eqx.filter_jit
def _quadrature(game: Target, phi: Any, time: Array, mean: Float[Array, " n"]) -> tuple[Array, Array]:
    """The values, and the logarithm of the weight at the ends over the largest."""
    # The last stage of a run may be after the end, by rounding.
    s = 1 / jnp.maximum(1 + game.horizon - time, 1.0)
    variance = jnp.maximum(game.common**2 * (1 - s), jnp.finfo(mean.dtype).tiny ** 0.25)
    node, weight = (jnp.asarray(a, mean.dtype) for a in np.polynomial.legendre.leggauss(_GAUSS))

    def one(m):
        x, reach = m * s, _reach(game, m * s, 1 - s)
        y = x + reach * jnp.linspace(-1.0, 1.0, _CELLS + 1)
        half = reach / _CELLS
        inside = (y[:-1] + half)[:, None] + half * node
        G = jnp.concatenate([jnp.zeros(1), jnp.cumsum(half * game.values(inside) @ weight)])
        log = -((y - x) ** 2) / (2 * variance) - G / game.common**2
        log = log - jnp.max(log)
        share = jnp.exp(log) / jnp.sum(jnp.exp(log))
        return share @ jax.vmap(lambda y: phi(y[None]))(y), jnp.maximum(log[0], log[-1])

    values, edges = jax.vmap(one)(mean)
    return values, jnp.max(edges)


def _reach(game: Target, x: Array, left: Array) -> Array:
    """How far from x the terminal mean may be: (1 − s) max|g| and standard deviations of the noise."""
    noise = _REACH * game.common * jnp.sqrt(left) + 1e-7

    def wider(_, reach):
        return noise + left * jnp.max(jnp.abs(game.values(x + reach * jnp.linspace(-1.0, 1.0, 65))))

    return jax.lax.fori_loop(0, 30, wider, noise)


def aim(game: Target, time: Any, means: Any, *, cells: int = 1024) -> Float[Array, " n"]:
    """u(s, ms) at the time t by the equation itself, a solver that knows nothing of its closed form.

        u_s − u u_x + ½σ₀²u_xx = 0,   u(1, ·) = g,   s = 1/(1 + T − t)

    Differences of order 4 in x, diffrax's Tsit5 in s. Beyond the ends u goes on as a line, at a distance from which
    nothing comes back in the time.

    **Arguments:**

    - `game`: a `Target` with σ₀ > 0.
    - `time`: t, from 0 to T.
    - `means`: m, shape (n,), length.
    - `cells`: the number of cells, which must resolve layers of the width σ₀²/max|g|. Default: 1024.

    **Returns:** u, shape (n,), length.

    **Raises:** `ValueError` as `expectation` does, and for cells that do not resolve the layers.
    """
    _require_noisy(game, time)
    cells = positive_integer("the number of cells is a positive integer", cells)
    means = array(means, float)
    require(means.ndim == 1 and means.size > 0, f"the means have shape (n,), n ≥ 1, not {means.shape}.")
    # From a mean that is not finite the solver would never arrive.
    require_finite("a mean", means)
    values, ratio = _burgers(game, array(time, float), means, cells)
    require(
        ratio <= 1,
        f"layers of the width σ₀²/max|g| need cells {float(ratio):.3g} times as short: take more of them.",
    )
    return values


@eqx.filter_jit
def _burgers(game: Target, time: Array, means: Float[Array, " n"], cells: int) -> tuple[Array, Array]:
    s = 1 / (1 + game.horizon - time)
    x = means * s
    ends = jnp.stack([jnp.min(x), jnp.max(x)])
    reach = jnp.max(jax.vmap(lambda end: _reach(game, end, 1 - s))(ends))
    low, high = ends[0] - reach, ends[1] + reach
    y = jnp.linspace(low, high, cells + 1)
    h, nu = y[1] - y[0], game.common**2 / 2

    def rate(t, u, args):
        steps = jnp.arange(1.0, 3.0)
        wide = jnp.concatenate([u[0] - steps[::-1] * (u[1] - u[0]), u, u[-1] + steps * (u[-1] - u[-2])])
        flux = wide**2 / 2
        first = (flux[:-4] - 8 * flux[1:-3] + 8 * flux[3:-1] - flux[4:]) / (12 * h)
        second = (-wide[:-4] + 16 * wide[1:-3] - 30 * wide[2:-2] + 16 * wide[3:-1] - wide[4:]) / (12 * h**2)
        return -first + nu * second

    start = game.values(y)
    run = diffrax.diffeqsolve(
        diffrax.ODETerm(rate),
        diffrax.Tsit5(),
        jnp.zeros_like(s),
        1 - s,
        None,
        start,
        stepsize_controller=diffrax.PIDController(rtol=1e-7, atol=1e-8),
        max_steps=None,
        adjoint=diffrax.ForwardMode(),
    )
    assert run.ys is not None, "the last value is saved"
    u = run.ys[0]
    # Cubic interpolation keeps the order 4.
    place = (x - low) / h
    first = jnp.clip(jnp.floor(place).astype(int) - 1, 0, cells - 3)
    r = place - first
    weights = jnp.stack(
        [
            -(r - 1) * (r - 2) * (r - 3) / 6,
            r * (r - 2) * (r - 3) / 2,
            -r * (r - 1) * (r - 3) / 2,
            r * (r - 1) * (r - 2) / 6,
        ]
    )
    values = sum(w * u[first + i] for i, w in enumerate(weights))
    return jnp.asarray(values), h * jnp.max(jnp.abs(start)) / (2 * nu)
