"""Part of chapter *long_time*: two systems of grains with the same noises approach each other."""

from dataclasses import dataclass
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mckean.catalogue.granular import granular_media
from mckean.dynamics import evolve
from mckean.measures import Particles
from mckean.models import Model
from mckean.paths import Brownian
from mckean.statistics import Estimate, decay_rate, replicate
from mckean.talk.claims import Claim, Figure, Panel, Rival, Series

_OTTO = "Carrillo, McCann and Villani, Rev. Mat. Iberoamericana 19 (2003)"


@dataclass(frozen=True)
class Grains:
    """Numbers of grains, replicas of each, end and step."""

    sizes: tuple[int, ...] = (10, 100, 1000)
    replicas: int = 64
    until: float = 3.0
    dt: float = 0.02


def run_grains(config: Grains, key) -> tuple[list[Claim], list[Figure]]:
    """The claims and the figure of this part."""
    grains = _contraction(config, key)
    return _claims(config, grains), [_figure(grains)]


def _couple(key, model: Model, size: int, until: float, dt: float):
    """(1/N)Σ|X_i − Y_i|² of two systems of granular media with the same noises, from different starts."""
    first, second, noise = jax.random.split(key, 3)
    x = 0.7 * jax.random.normal(first, (size, 1)) + 1.0
    y = 0.3 * jax.random.normal(second, (size, 1))
    ends = [
        evolve(model, Particles(model.space, z), until=until, dt=dt, path=Brownian(noise), observe=_POSITIONS, every=10)
        for z in (x, y)
    ]
    gaps = ends[0].observed["positions"] - ends[1].observed["positions"]
    return {"times": ends[0].times, "square": jnp.mean(gaps[..., 0] ** 2, axis=-1)}


def _positions(model: Model, mu: Particles):
    return mu.positions


_POSITIONS = {"positions": _positions}


def _contraction(config: Grains, key) -> dict:
    one = partial(_couple, model=granular_media().model, until=config.until, dt=config.dt)
    keys = jax.random.split(key, len(config.sizes))
    return {n: replicate(eqx.Partial(one, size=n), k, config.replicas) for n, k in zip(config.sizes, keys, strict=True)}


def _claims(config: Grains, grains: dict) -> list[Claim]:
    claims = []
    for n, record in grains.items():
        times, square = record["times"][0], record["square"]
        # H_N has curvatures of a and more: an Euler step is a contraction by 1 − a dt, as long as dt times the largest
        # is below 2 − a dt, that is for grains within 40 of each other.
        bound = square[:, :1] * (1 - config.dt) ** (2 * times / config.dt)
        worst = float((square / bound)[:, 1:].max())
        claims.append(
            Claim(
                statement=f"In each run of N = {n} grains $|X - Y|^2 \\le e^{{-2at}}|X_0 - Y_0|^2$: largest quotient",
                predicted=1.0,
                measured=worst,
                tolerance=1e-12,
                origin="rounding: exact for Euler's steps, with (1 − a dt)^{2t/dt} for e^{−2at}",
                excludes=Rival("e^{−at}", float(np.exp(times[-1]))),
                reference=_OTTO,
                relation="at most",
            )
        )
        late = times >= 0.5 * config.until
        rate = decay_rate(times[late], square[:, late])
        # What is left of the shape, Σ(X − Y)² − N(X̄ − Ȳ)², makes the rate higher, never lower, within the window.
        claims.append(
            Claim(
                statement=f"$E|X - Y|^2$ of N = {n} grains falls at the rate $2a$ at least: its rate",
                predicted=float(-2 * np.log1p(-config.dt) / config.dt),
                measured=Estimate(rate.value, (rate.high - rate.value) / 4, len(square) - 1),
                tolerance=1e-6,
                origin="rounding; Euler's own rate of the centre, −(2/dt) log(1 − a dt)",
                excludes=Rival("rate a", 1.0),
                reference=_OTTO,
                relation="at least",
            )
        )
    return claims


def _figure(grains: dict) -> Figure:
    series = [Series(r["times"][0], r["square"].mean(0), f"N = {n}") for n, r in grains.items()]
    times = next(iter(grains.values()))["times"][0]
    series.append(Series(times, series[0].y[0] * np.exp(-2 * times), r"$e^{-2at}$", kind="dashed"))
    caption = "Two systems of N grains with the same noises: the mean square distance falls at the rate 2a at every N."
    return Figure(caption, [Panel("time t", r"$\frac{1}{N}\sum_i|X_i - Y_i|^2$ (length²)", series, yscale="log")])
