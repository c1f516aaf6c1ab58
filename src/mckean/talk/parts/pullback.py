"""Part of chapter *synchronisation*: clouds pulled back to random attractors, and the two flows that move them."""

import math
from dataclasses import dataclass
from typing import cast

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import ive

from mckean.environments import pullback
from mckean.measures import Particles
from mckean.models import Additive, Model, TransportNoise, langevin
from mckean.observables import pair_distance
from mckean.paths import Brownian
from mckean.spaces import Torus
from mckean.statistics import average, replicate
from mckean.talk.claims import Claim, Figure, Panel, Rival, Series

BY_NOISE = "λ = −E V″ under the stationary law e^{−2V/σ²} of one point"
# The waves (2, 0), (1, 1), (1, −1) of this torus have length 1 and stand at 60° to each other.
HEXAGON = Torus(2, (4 * math.pi, 4 * math.pi / math.sqrt(3)))


@dataclass(frozen=True)
class Pullback:
    particles: int = 400
    depths: tuple[float, ...] = (1.0, 4.0, 8.0, 16.0, 32.0)
    environments: int = 128


def run_pullback(config: Pullback, well: float, intensity: float, key) -> tuple[list[Claim], Figure]:
    clouds = _clouds(config, {"meeting": cosine_wells(well, Torus(2)), "stirred": incompressible_waves(intensity)}, key)
    claims = [_limit_claim(config, well, jax.random.fold_in(key, 1)), _spread_claim(config, clouds, intensity)]
    return claims, _figure(config, clouds)


@dataclass(frozen=True)
class _Cosines:
    """−h Σ_i cos x_i: equal where h is, so that equal models are compiled once."""

    height: float

    def __call__(self, x):
        return -self.height * jnp.sum(jnp.cos(x))


def incompressible_waves(intensity: float) -> Model:
    """Points carried by three incompressible waves at 60° to each other, of intensity K, length²/time."""
    noise = TransportNoise(HEXAGON, [[2, 0], [1, 1], [1, -1]], intensity=intensity)
    return langevin(HEXAGON, beta=math.inf, common=noise)


def cosine_wells(well: float, space: Torus) -> Model:
    """dX = −∇V dt + dB with one noise for all points, V = −h Σ_i cos x_i."""
    return langevin(space, _Cosines(well), beta=math.inf, common=Additive(1.0))


def cosine_mean(height: float) -> float:
    """E cos x = I₁(a)/I₀(a) under a density ∝ e^{a cos x}, a the height."""
    return float(ive(1, height) / ive(0, height))


def cosine_exponent(well: float) -> float:
    """−E V″ = −h E cos x under e^{2h cos x}, σ = 1; 1/time."""
    return -well * cosine_mean(2 * well)


def cosine_gap(well: float) -> float:
    """The rate at which the law of one point forgets its start, −½∂² + h sin x ∂ on the circle; 1/time."""
    k = np.arange(-24, 25)
    # On e^{ikx}: ½k² on the diagonal, and h sin x ∂ takes e^{ikx} to ½hk(e^{i(k+1)x} − e^{i(k−1)x}).
    generator = np.diag(0.5 * k**2) + np.diag(0.5 * well * k[:-1], -1) - np.diag(0.5 * well * k[1:], 1)
    return float(np.sort(np.linalg.eigvals(generator).real)[1])


def _clouds(config: Pullback, flows: dict[str, Model], key) -> dict[str, tuple[Model, Particles, list[Particles]]]:
    """A flow, a uniform cloud, and where it is at time 0 if it starts at −T, in one environment, for each depth T."""
    seed, noise = jax.random.split(key)
    clouds = {}
    for name, model in flows.items():
        cloud = Particles(model.space, model.space.uniform(seed, config.particles))
        settings = {"depths": config.depths, "dt": 0.02, "path": Brownian(noise), "scheme": diffrax.Heun()}
        clouds[name] = (model, cloud, pullback(model, cloud, **settings))
    return clouds


def _limit_claim(config: Pullback, well: float, key) -> Claim:
    """Starts at −8, −16 and −24: at time 0 they differ by what e^{λt} leaves of one and the same difference in law."""
    step, dt = 8.0, 0.02
    point = Particles(Torus(1), jnp.full((1, 1), 1.8))
    run = eqx.Partial(_pulled, model=cosine_wells(well, Torus(1)), point=point, step=step, dt=dt)
    x = replicate(run, key, config.environments)
    near, far = (np.abs(np.angle(np.exp(1j * (x[:, i + 1] - x[:, i])))) for i in (0, 1))
    rate, forgetting = cosine_exponent(well), math.exp(-cosine_gap(well) * step)
    return Claim(
        statement=f"A point that starts in the well $h = {well:g}$ at time $-T$ has a limit at time 0 as "
        f"$T\\to\\infty$: the rate at which $E\\log|x_0^{{-T-8}} - x_0^{{-T}}|$ falls from $T = {step:g}$ to "
        f"${2 * step:g}$, 1/time",
        predicted=rate,
        measured=average(np.log(far / near) / step),
        tolerance=abs(rate) * ((well * dt) ** 2 + forgetting),
        origin="weak order 2, (h dt)², and what the law of a point knows of its start at T; relatively",
        excludes=Rival("forward in time: no limit", 0.0),
        reference=BY_NOISE,
    )


def _pulled(key, *, model: Model, point: Particles, step: float, dt: float):
    depths = (step, 2 * step, 3 * step)
    clouds = pullback(model, point, depths=depths, dt=dt, path=Brownian(key), scheme=diffrax.Heun())
    return jnp.stack([cast(Particles, cloud).positions[0, 0] for cloud in clouds])


def _spread_claim(config: Pullback, clouds, intensity: float) -> Claim:
    depth, dt = config.depths[-1], 0.02
    x = np.asarray(clouds["stirred"][-1][-1].positions)
    square = np.asarray(HEXAGON.distance(jnp.asarray(x), jnp.asarray(np.roll(x, 1, axis=0)))) ** 2
    uniform = sum(side**2 for side in HEXAGON.lengths) / 12
    return Claim(
        statement=f"A cloud in incompressible waves that starts at $-{depth:g}$ is spread over the torus at time 0: "
        "the mean square distance of two of its points, length²",
        predicted=uniform,
        measured=average(square),
        tolerance=intensity * dt * uniform,
        origin="the flow keeps volume, its Heun steps but for Kdt",
        excludes=Rival("the cloud shrinks to a point", 0.0),
        reference="(L₁² + L₂²)/12 for independent uniform points, which stay so in every environment",
    )


def _figure(config: Pullback, clouds) -> Figure:
    panels = []
    for name, title in (("meeting", "a flow that synchronises"), ("stirred", "a flow that does not")):
        series = []
        for i in sorted({0, 1, len(config.depths) - 1}):
            x = np.asarray(clouds[name][-1][i].positions)
            series.append(Series(x[:, 0], x[:, 1], f"from t = −{config.depths[i]:g}", kind="points"))
        panels.append(Panel("$x_1$", "$x_2$", series, title))
    sizes = []
    for name, title in (("meeting", "synchronises"), ("stirred", "does not")):
        model, start, pulled = clouds[name]
        size = [float(pair_distance(model, cloud)) for cloud in (start, *pulled)]
        sizes.append(Series([0.0, *config.depths], size, title, kind="points"))
    panels.append(Panel("depth T", "spread of the cloud at time 0, length", sizes, yscale="log"))
    caption = (
        "The random attractor by pullback: a uniform cloud that starts at −T, seen at time 0 in one environment. Left "
        "it shrinks to a random point as T grows; in the middle, where volume is kept, it stays spread over the torus."
    )
    return Figure(caption, panels)
