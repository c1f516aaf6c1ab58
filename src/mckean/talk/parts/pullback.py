"""Part of chapter *synchronisation*: clouds pulled back to random attractors, and the two flows that move them."""

import math
from dataclasses import dataclass

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import ive

from mckean.environments import pullback
from mckean.measures import Particles
from mckean.models import Additive, Model, TransportNoise, langevin
from mckean.observables import pair_distance, radius
from mckean.paths import Brownian
from mckean.spaces import Torus
from mckean.talk.claims import Claim, Figure, Panel, Series

BY_NOISE = "λ = −E V″ under the stationary law e^{−2V/σ²} of one point"
# The waves (2, 0), (1, 1), (1, −1) of this torus have length 1 and stand at 60° to each other.
_HEXAGON = Torus(2, (4 * math.pi, 4 * math.pi / math.sqrt(3)))


@dataclass(frozen=True)
class Pullback:
    particles: int = 400
    depths: tuple[float, ...] = (1.0, 4.0, 8.0, 16.0, 32.0)


def run_pullback(config: Pullback, well: float, intensity: float, key) -> tuple[list[Claim], Figure]:
    clouds = _clouds(config, {"meeting": cosine_wells(well, Torus(2)), "stirred": incompressible_waves(intensity)}, key)
    return _claims(config, clouds, cosine_exponent(well), intensity), _figure(config, clouds)


@dataclass(frozen=True)
class _Cosines:
    """−h Σ_i cos x_i: equal where h is, so that equal models are compiled once."""

    height: float

    def __call__(self, x):
        return -self.height * jnp.sum(jnp.cos(x))


def incompressible_waves(intensity: float) -> Model:
    """Points carried by three incompressible waves at 60° to each other, of intensity K, length²/time."""
    noise = TransportNoise(_HEXAGON, [[2, 0], [1, 1], [1, -1]], intensity=intensity)
    return langevin(_HEXAGON, beta=math.inf, common=noise)


def cosine_wells(well: float, space: Torus) -> Model:
    """dX = −∇V dt + dB with one noise for all points, V = −h Σ_i cos x_i."""
    return langevin(space, _Cosines(well), beta=math.inf, common=Additive(1.0))


def cosine_exponent(well: float) -> float:
    """−E V″ = −h E cos x = −h I₁(2h)/I₀(2h) for each coordinate, σ = 1; 1/time."""
    return -well * float(ive(1, 2 * well) / ive(0, 2 * well))


def _clouds(config: Pullback, flows: dict[str, Model], key) -> dict[str, tuple[Model, Particles, list[Particles]]]:
    """A flow, a uniform cloud, and where it is at time 0 if it starts at −T, in one environment, for each depth T."""
    seed, noise = jax.random.split(key)
    clouds = {}
    for name, model in flows.items():
        cloud = Particles(model.space, model.space.uniform(seed, config.particles))
        settings = {"depths": config.depths, "dt": 0.02, "path": Brownian(noise), "scheme": diffrax.Heun()}
        clouds[name] = (model, cloud, pullback(model, cloud, **settings))
    return clouds


def _claims(config: Pullback, clouds, exponent: float, intensity: float) -> list[Claim]:
    depth, dt = config.depths[-1], 0.02
    model, start, pulled = clouds["meeting"]
    bound = float(radius(model, start)) * math.exp(0.5 * exponent * depth)
    x = np.asarray(clouds["stirred"][-1][-1].positions)
    square = np.asarray(_HEXAGON.distance(jnp.asarray(x), jnp.roll(jnp.asarray(x), 1, axis=0))) ** 2
    uniform = sum(side**2 for side in _HEXAGON.lengths) / 12
    return [
        Claim(
            statement=f"−h(cos x₁ + cos x₂): radius of the cloud pulled back from −{depth:g}",
            predicted=bound,
            measured=float(radius(model, pulled[-1])),
            origin="the first radius times e^{λT/2}: half of the exponent for what fluctuates",
            reference=BY_NOISE,
            relation="at most",
        ),
        Claim(
            statement=f"incompressible waves: mean square distance of two points of a cloud pulled back from −{depth:g}",
            predicted=uniform,
            measured=float(square.mean()),
            stderr=float(square.std(ddof=1) / math.sqrt(len(square))),
            tolerance=intensity * dt * uniform,
            origin="the flow keeps volume, its Heun steps but for Kdt",
            reference="(L₁² + L₂²)/12 for independent uniform points, which stay so in every environment",
        ),
    ]


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
