"""Part of chapter *tokens*: particles, density and stochastic density on S² of one model, in the same environments."""

from dataclasses import dataclass
from functools import partial

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

from mckean.dynamics import evolve
from mckean.interactions import kernels
from mckean.measures import AbstractMeasure, Density, Particles, VonMisesFisher
from mckean.models import IsotropicFlow, Model, Thermal
from mckean.paths import Brownian
from mckean.spaces import Sphere, SphereGrid
from mckean.statistics import average, fit_rate, jackknife, replicate, root_mean_square
from mckean.talk.claims import Claim, Figure, Panel, Rival, Series

_SPACE = Sphere(3)
# c_0 and c_1 of the covariances of the flows, whose sums are k(1): the stronger one moves what does not attract.
_FLOW, _STRONG = (0.2, 0.1), (0.6, 0.4)


@dataclass(frozen=True)
class Config:
    """How the three levels are run."""

    degree: int = 10
    strength: float = 1.0
    beta: float = 2.0
    concentration: float = 1.0
    sizes: tuple[int, ...] = (16, 64, 256)
    environments: int = 32
    until: float = 0.5
    steps: int = 16


def run_levels(config: Config, key) -> tuple[list[Claim], Figure]:
    """The claims on the three levels, and their figure."""
    seen = replicate(partial(_environment, config=config), key, config.environments, 16)
    return [_rate(config, seen, "spde"), _rate(config, seen, "pde"), _mean(config, seen)], _figure(config, seen)


def _features(model, mu: AbstractMeasure):
    """∫x dμ and ∫xxᵀ dμ."""
    return mu.integrate(lambda x: jnp.concatenate([x, jnp.outer(x, x).ravel()]))


def _environment(key, config: Config):
    """Features over time: of n particles and the density, in a flow and without; and what stays of ∫x of others.

    All particles are one program, and all densities are another.
    """
    start, own, noise = jax.random.split(key, 3)
    law = VonMisesFisher(_SPACE, [0.0, 0.0, 1.0], config.concentration)
    grid, many = SphereGrid(_SPACE, config.degree), config.sizes[-1]
    x, counts = law.sample(start, many).positions, jnp.asarray(config.sizes)[:, None]
    weights = (jnp.arange(many) < counts) / counts
    path = Brownian(own, Brownian(noise).environment)
    settings = {"until": config.until, "dt": config.until / config.steps, "every": 1, "path": path}

    def move(flow, strength, mu, scheme=None):
        pull, heat = kernels.Zonal(lambda t: -strength * t), Thermal(config.beta)
        model = Model(_SPACE, interaction=pull, noise=heat, common=IsotropicFlow(_SPACE, flow))
        return evolve(model, mu, scheme=scheme, observe={"f": _features}, **settings).observed["f"]

    def cloud(flow, w):
        return move(flow, config.strength, Particles(_SPACE, x, w), diffrax.EulerHeun())

    flows = jnp.asarray([_FLOW, (0.0, 0.0)] + [_STRONG] * 4)
    strengths = jnp.asarray([config.strength] * 2 + [0.0] * 4)
    tilts = [lambda x, i=i: 1 + (0.5 * x[i] if i < 3 else 0 * x[0]) for i in range(4)]
    starts = [Density.from_law(grid, law)] * 2 + [Density.from_function(grid, tilt) for tilt in tilts]
    values = jnp.stack([rho.values for rho in starts])
    seen = jax.vmap(lambda flow, k, rho: move(flow, k, Density(grid, rho)))(flows, strengths, values)
    clouds = jax.vmap(lambda flow: jax.vmap(lambda w: cloud(flow, w))(weights))(flows[:2])
    # The equation is linear here: less what moves a uniform density, a tilt of ½⟨e, x⟩ begins with ∫⟨e, x⟩ = 1/6.
    stays = 6 * jnp.mean(jnp.diagonal(seen[2:5, :, :3] - seen[5, :, :3], axis1=0, axis2=2), axis=1)
    levels = [{"particles": clouds[i], "density": seen[i]} for i in range(2)]
    return {"spde": levels[0], "pde": levels[1], "passive": stays}


def _gap(seen) -> np.ndarray:
    """sup_t of the distance in the test functions, shape (environments, sizes)."""
    return np.max(np.linalg.norm(seen["particles"] - seen["density"][:, None], axis=-1), axis=-1)


def _rate(config: Config, seen, level: str) -> Claim:
    where = {
        "spde": "and the density of the stochastic equation in the same flow",
        "pde": "and the density of the mean-field equation, without a flow,",
    }[level]
    gap, sizes, dt = _gap(seen[level]), np.array(config.sizes), config.until / config.steps
    span = np.log(sizes[-1] / sizes[0])
    # Weak order 1 of the particles' steps: rates of x are 2/β, K and k(1), and a mean errs by rate² T dt/2 at most.
    rates = 2 / config.beta + config.strength + (sum(_FLOW) if level == "spde" else 0.0)
    bias = 0.5 * (0.5 * rates**2 * config.until * dt) ** 2 * sizes[-1] / _variance(config.concentration) / span
    return Claim(
        statement=(
            f"On $S^2$ the empirical measure of $n$ particles with a noise of their own {where} differ by a power of "
            "$1/n$: the exponent"
        ),
        predicted=0.5,
        measured=fit_rate(1 / sizes, jackknife(gap**2, root=2)).slope,
        tolerance=float(1 / (sizes[0] * span) + bias),
        origin="corrections 1/n at the smallest n, and the steps of the particles at the largest",
        excludes=Rival("that of a bias, 1", 1.0),
        reference="propagation of chaos, given the environment",
    )


def _variance(concentration: float) -> float:
    """E|x − Ex|² + E|xxᵀ − E xxᵀ|² of the initial law: n times the mean square distance at time 0, the least."""
    mean = 1 / np.tanh(concentration) - 1 / concentration
    along = 1 - 2 * mean / concentration
    return float(2 - mean**2 - along**2 - (1 - along) ** 2 / 2)


def _mean(config: Config, seen) -> Claim:
    flow, own, dt = sum(_STRONG), 2 / config.beta, config.until / config.steps
    return Claim(
        statement=(
            r"The mean over flows of the stochastic density solves the heat equation of $\beta^{-1}+k(1)/2$, $k$ the "
            r"covariance of the flow: what is left of $\int x\,d\rho$ at the end"
        ),
        predicted=float(np.exp(-(own + flow) * config.until)),
        measured=average(seen["passive"][:, -1]),
        # The mean of a step is 1 − k dt + (k dt)²/2 up to (k dt)²/2, in each of T/dt steps.
        tolerance=0.5 * config.until * flow**2 * dt,
        origin="weak order 1 in the steps of the environment",
        excludes=Rival("the heat of the own noise alone", float(np.exp(-own * config.until))),
        reference="Itô's formula: Σσσᵀ = k(1)P",
    )


def _figure(config: Config, seen) -> Figure:
    sizes = np.array(config.sizes)
    rate = []
    for level, label in (("spde", "in a flow"), ("pde", "without")):
        gap = root_mean_square(_gap(seen[level]))
        rate.append(Series(1 / sizes, gap.value, label, gap.stderr, "points"))
    rate.append(Series(1 / sizes, gap.value[0] * np.sqrt(sizes[0] / sizes), r"$n^{-1/2}$", kind="dashed"))
    times, mean = np.linspace(0, config.until, config.steps + 1), average(seen["passive"])
    decay = np.exp(-(sum(_STRONG) + 2 / config.beta) * times)
    fall = [
        *(Series(times, one) for one in seen["passive"][:4]),
        Series(times, mean.value, "mean", mean.stderr),
        Series(times, decay, "heat equation", kind="dashed"),
    ]
    caption = (
        "One model on S² at three levels: particles, the density of their law, and the density given a random flow. "
        "Left: how far n particles are from the density, with the flow and without. Right: what is left of the mean "
        "position of a density in four flows, and its mean over flows, which the heat equation of both noises gives."
    )
    panels = [
        Panel("$1/n$", "distance, root mean square of sup over t", rate, "", "log", "log"),
        Panel("time t", r"$\int x\,d\rho$, relative to the start", fall),
    ]
    return Figure(caption, panels)
