"""Part of the chapter *games*: a common noise leaves one equilibrium of three."""

from dataclasses import dataclass

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.optimize import brentq

from mckean.dynamics import evolve
from mckean.games import Target, aim, equilibria, expectation
from mckean.interactions import AbstractField
from mckean.measures import Gaussian, Particles
from mckean.models import Additive, Model
from mckean.paths import Brownian
from mckean.spaces import Euclidean
from mckean.statistics import average, replicate
from mckean.talk.claims import Claim, Panel, Rival, Series

_SOURCE = "after Delarue and Foguen Tchuendom, arXiv 1808.09137"
_DEPTH, _HORIZON = 2.0, 3.0


@dataclass(frozen=True)
class Config:
    players: int = 200
    own: float = 0.5
    replicas: int = 1200
    steps: int = 120
    place: int = 34
    noises: tuple[float, ...] = (1.0, 0.5, 0.2)


def _fall(m):
    return -_DEPTH * jnp.tanh(m[0])


class _Aimed(AbstractField):
    """Players who steer at −u of their own mean, with the time as their second coordinate."""

    game: Target

    def __call__(self, x: Float[Array, "n d"], mu: Particles) -> Float[Array, "n d"]:
        time = x[0, 1]
        u = expectation(self.game, self.game.aim, time, jnp.mean(x[:, 0]))
        move = -(x[:, :1] + u) / (1 + self.game.horizon - time)
        return jnp.concatenate([move, jnp.ones_like(move)], axis=1)


def _end(key, game: Target, start: Float[Array, ""], config: Config):
    """g of the players' mean at the end."""
    axis = jnp.asarray([[1.0], [0.0]])
    space = Euclidean(2)
    model = Model(space, drift=_Aimed(game), noise=Additive(game.own * axis), common=Additive(game.common * axis))
    law = Gaussian(jnp.stack([start, 0.0]), jnp.zeros((2, 2)))
    drawn, noise = jax.random.split(key)
    dt = _HORIZON / config.steps
    cloud = law.sample(drawn, config.players)
    run = evolve(model, cloud, until=_HORIZON, dt=dt, path=Brownian(noise), scheme=diffrax.Heun())
    return _fall(jnp.mean(run.final.positions[:, :1], axis=0))


def run(config: Config, key) -> tuple[list[Claim], Panel]:
    plain, game = Target(_fall, _HORIZON), Target(_fall, _HORIZON, own=config.own, common=1.0)
    roots = np.asarray(equilibria(plain, 0.0))
    exact = brentq(lambda m: m - _HORIZON * _DEPTH / (1 + _HORIZON) * np.tanh(m), 0.5, 3.0, xtol=1e-14)
    means = np.linspace(-3.0, 3.0, 61)
    wide = np.sqrt(1 + config.own**2 / config.players)
    formula, half, other = (_aims(sigma, means) for sigma in (1.0, np.sqrt(0.5), wide))
    solved = np.asarray(aim(game, 0.0, means))
    start = eqx.Partial(_end, game=game, start=jnp.asarray(means[config.place]), config=config)
    ends = average(replicate(start, key, config.replicas))
    upper = float(_fall(jnp.asarray(equilibria(plain, float(means[config.place])))[-1:]))
    claims = [
        Claim(
            statement="Without a common noise the game of the target $-g(m_T)$, $g = -2\\tanh$, $T = 3$, $m_0 = 0$ has "
            "three equilibria; the largest $m_T$",
            predicted=float(np.asarray(exact)),
            measured=float(roots[-1]) if len(roots) == 3 else np.nan,
            tolerance=1e-12,
            origin="rounding of Newton's method",
            excludes=Rival("one equilibrium, m_T = 0", 0.0),
            reference=_SOURCE,
        ),
        Claim(
            statement="With $\\sigma_0 = 1$ there is one, $u$ of Burgers' equation: largest difference of a solver of "
            "the equation from the closed form",
            predicted=0.0,
            measured=float(np.abs(solved - formula).max()),
            tolerance=1e-4,
            origin="the order 4 of the differences: 16 times the change from half the cells",
            excludes=Rival("half the viscosity", float(np.abs(half - formula).max())),
            reference=_SOURCE,
        ),
        Claim(
            statement=f"$N = {config.players}$ players who steer at $u$ of their mean end, in mean over environments, "
            "where they steer: $E\\,g(\\bar X_T) = u$",
            predicted=float(formula[config.place]),
            measured=ends,
            tolerance=2 * float(np.abs(formula - other)[config.place]) + (_HORIZON / config.steps) ** 2,
            origin="the players' own noise in their mean, σ²/N beside σ₀², twice; and Heun's dt²",
            excludes=Rival("the upper of the equilibria without a common noise", upper),
            reference=_SOURCE,
        ),
    ]
    return claims, _panel(config, means)


def _aims(sigma: float, means) -> np.ndarray:
    """u at the start, by the closed form."""
    game = Target(_fall, _HORIZON, common=sigma)
    return np.asarray(expectation(game, game.aim, 0.0, means))


def _panel(config: Config, means) -> Panel:
    """E m_T against m₀: an S of three equilibria, and what a noise selects."""
    ends = np.linspace(-3.0, 3.0, 301)
    # m₀ = (1 + T)m_T + T g(m_T), read backwards; u is a martingale, so that E m_T = (m₀ − Tu)/(1 + T).
    starts = (1 + _HORIZON) * ends - _HORIZON * _DEPTH * np.tanh(ends)
    inside = np.abs(starts) <= 3
    series = [Series(starts[inside], ends[inside], "$\\sigma_0 = 0$, all equilibria", kind="dashed")]
    for sigma in config.noises:
        end = (means - _HORIZON * _aims(sigma, means)) / (1 + _HORIZON)
        series.append(Series(means, end, f"$\\sigma_0 = {sigma:g}$"))
    return Panel("mean at the start $m_0$ (length)", "mean at the end $E\\,m_T$ (length)", series, "A noise selects")
