"""Chapter: the invariant random measure of a common noise: its mean, its width, and when it is a point."""

from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

from mckean import catalogue
from mckean.environments import invariant, pullback
from mckean.measures import Gaussian, Particles
from mckean.models import Additive, Model, langevin
from mckean.paths import Brownian
from mckean.statistics import average, replicate
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Rival, Series

_LINEAR = "dm = −am dt + σ₀dB⁰ and v′ = −2(a + c)v + 2/β"
_WELLS = "λ = −E V″ − θ under e^{−2V/σ₀²}, the law of one point; order-preserving flows contract (Crauel and Flandoli)"


@dataclass(frozen=True)
class Config:
    stiffness: float = 1.0
    attraction: float = 1.0
    beta: float = 2.0
    common: float = 1.0
    depth: float = 8.0
    environments: int = 4096
    theta: float = 0.5
    cold: float = 4.0
    particles: int = 128
    depths: tuple[float, float] = (3.0, 6.0)
    dt: float = 0.02
    pullbacks: int = 2048


def run(config: Config, key, progress) -> Result:
    linear = _linear(config, jax.random.fold_in(key, 0))
    progress(1 / 3)
    point = _pulled_back(config, np.inf, 8, jax.random.fold_in(key, 1))
    progress(2 / 3)
    spread = _pulled_back(config, config.cold, config.particles, jax.random.fold_in(key, 2))
    claims = [*_linear_claims(config, linear), *_point_claims(config, point), *_spread_claims(config, spread)]
    return Result(claims, [_figure(config, point, spread)])


def _mean(model, mu):
    return mu.mean[0]


def _variance(model, mu):
    return mu.covariance[0, 0]


def _linear(config: Config, key):
    entry = catalogue.ornstein_uhlenbeck(config.stiffness, config.attraction, config.beta)
    model = _stirred(entry.model, config.beta, config.common)
    return invariant(
        model, Gaussian(1.0, 1.0), {"mean": _mean, "variance": _variance}, depth=config.depth, dt=1 / 16, key=key,
        replicas=config.environments, batch=config.environments // 4,
    )  # fmt: skip


def _stirred(model: Model, beta: float, common: float) -> Model:
    """The model at another β, with an additive common noise."""
    pull = {"confinement": model.confinement, "interaction": model.interaction}
    return langevin(model.space, **pull, beta=beta, common=Additive(common))


def _pulled_back(config: Config, beta: float, size: int, key) -> dict[str, np.ndarray]:
    """Clouds at time 0 that start at −T on [−2, 2], for both depths T: points, radius and moments, by environment."""
    return replicate(partial(_clouds, config=config, beta=beta, size=size), key, config.pullbacks)


def _clouds(key, *, config: Config, beta: float, size: int) -> dict[str, Any]:
    model = _stirred(catalogue.desai_zwanzig(config.theta).model, beta, config.common)
    start = Particles(model.space, jnp.linspace(-2.0, 2.0, size)[:, None])
    clouds = pullback(model, start, depths=config.depths, dt=config.dt, path=Brownian(key), scheme=diffrax.Heun())
    x = jnp.stack([cast(Particles, cloud).positions[:, 0] for cloud in clouds])
    centre = x.mean(axis=1)
    return {
        "points": x,
        "square": jnp.mean((x - centre[:, None]) ** 2, axis=1),
        "virial": jnp.mean(x**4 - x**2, axis=1),
    }


def _linear_claims(config: Config, found) -> list[Claim]:
    a, rate, square = config.stiffness, config.stiffness + config.attraction, config.common**2
    mean, variance = square / (2 * a), 1 / (config.beta * rate)
    forgotten = float(np.exp(-2 * a * config.depth))
    return [
        Claim(
            statement="The mean of the invariant random measure has the variance $\\sigma_0^2/2a$, without the "
            "attraction",
            predicted=mean,
            measured=found.variance["mean"],
            tolerance=mean * ((a / 16) ** 2 + forgotten),
            origin="(a dt)² of the steps, and e^{−2aT} of the start",
            excludes=Rival("an attraction that holds the mean", square / (2 * rate)),
            reference=_LINEAR,
        ),
        Claim(
            statement="Its width is $v = 1/(\\beta(a + c))$ in every environment; mean of $v$",
            predicted=variance,
            measured=float(found.mean["variance"]),
            tolerance=forgotten,
            origin="e^{−2aT} of the start",
            excludes=Rival("the common noise as one of the particles' own", variance + square / (2 * rate)),
            reference=_LINEAR,
        ),
    ]


def _curvatures(config: Config) -> tuple[float, float]:
    """E(V″ + θ) and E|V″ + θ|³ under e^{−2V/σ₀²}."""
    x = np.linspace(-6, 6, 6001)
    weight = np.exp(-2 / config.common**2 * (x**4 / 4 - x**2 / 2))
    weight /= weight.sum()
    bend = 3 * x**2 - 1 + config.theta
    return float(weight @ bend), float(weight @ np.abs(bend) ** 3)


def _point_claims(config: Config, found) -> list[Claim]:
    bend, cube = _curvatures(config)
    shallow, deep = config.depths
    growth = np.diff(0.5 * np.log(found["square"]), axis=1)[:, 0] / (deep - shallow)
    return [
        Claim(
            statement="In a double well without noise of its own the measure is a point: the cloud pulled back from "
            "$-T$ shrinks as $e^{\\lambda T}$; $\\lambda$",
            predicted=-bend,
            measured=average(growth),
            tolerance=cube * config.dt**2 / 6,
            origin="Heun's steps, E|V″ + θ|³dt²/6",
            excludes=Rival("the common noise alone, without W", config.theta - bend),
            reference=_WELLS,
        )
    ]


def _spread_claims(config: Config, found) -> list[Claim]:
    own, common = 1 / config.cold, config.common**2 / 2
    n = found["points"].shape[-1]
    square, virial = found["square"][:, -1], found["virial"][:, -1]
    return [
        Claim(
            statement="With noise of its own the measure is a point too: its mean variance is 0",
            predicted=0.0,
            measured=average(square * n / (n - 1)),
            reference="own noise spreads what the environment does not see",
            relation="unequal",
        ),
        Claim(
            statement="Its moments balance both noises, $E\\langle xV'\\rangle + \\theta\\,E\\,\\mathrm{Var} = "
            "\\beta^{-1} + \\sigma_0^2/2$",
            predicted=own + common,
            measured=average(virial + config.theta * square),
            tolerance=(own + common) * (10 * config.dt) ** 2,
            origin="weak order 2 of Heun's steps at rates up to 10",
            excludes=Rival("the common noise without the particles' own", common),
            reference="E d⟨μ, x²⟩ = 0, for every N and W",
        ),
    ]


def _figure(config: Config, point, spread) -> Figure:
    panels = []
    for found, title in ((point, "no noise of their own"), (spread, "noises of their own")):
        series = []
        for i, depth in enumerate(config.depths):
            for j in range(6):
                x = found["points"][j, i]
                series.append(Series(x, np.full(x.size, j + 0.3 * i), "" if j else f"T = {depth:g}", kind="points"))
        panels.append(Panel("x", "environment", series, title))
    square = np.sort(spread["square"][:, -1])
    share = Series(square, np.arange(1, square.size + 1) / square.size, "environments", kind="steps")
    panels.append(Panel("variance at time 0", "share of environments", [share], "noises of their own"))
    caption = (
        "Clouds in a double well, pulled back from −T in six environments. Left: without noise of their own they are a "
        "random point. Middle: with it a random law of positive width, which still depends on the environment. Right: "
        "its variance over environments."
    )
    return Figure(caption, panels)


CHAPTER = Chapter(
    name="invariant",
    title="The invariant random measure",
    statement=(
        "A law in an environment that has blown for ever forgets where it started, and becomes a function of the "
        "environment: the invariant random measure, seen by pullback from $-T$ to 0. For $V = ax^2/2$, $W = cx^2/2$ "
        "and "
        "$\\sigma_0dB^0$ it is $N(m, v)$ with $$m \\sim N(0, \\sigma_0^2/2a), \\qquad v = \\frac1{\\beta(a + c)}.$$ "
        "Neither does the attraction hold the mean, nor the environment widen the law. In a double well without noise "
        "of its own the flow preserves order and contracts at $\\lambda = -E\\,V'' - \\theta$: the measure is a random "
        "point. With noise of its own it has a width, and its moments balance: "
        "$$E\\langle\\mu, xV'\\rangle + \\theta\\,E\\,\\mathrm{Var}_\\mu = \\beta^{-1} + \\sigma_0^2/2.$$"
    ),
    what=lambda c: (
        f"Gaussians with a = {c.stiffness:g}, c = {c.attraction:g}, β = {c.beta:g}, σ₀ = {c.common:g} from "
        f"−{c.depth:g} "
        f"in {c.environments} environments; clouds in V = x⁴/4 − x²/2 with W = θx²/2, θ = {c.theta:g}, without "
        f"noise of "
        f"their own and with β = {c.cold:g}, from −{c.depths[0]:g} and −{c.depths[1]:g} with dt = {c.dt:g} in "
        f"{c.pullbacks} environments."
    ),
    run=run,
    config=Config(),
    quick=Config(environments=1024, pullbacks=1024),
    references=(
        "H. Crauel and F. Flandoli, Attractors for random dynamical systems, Probab. Theory Relat. Fields 100, 1994.",
    ),
)
