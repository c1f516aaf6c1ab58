"""Part of chapter *uniqueness*: the same in three dimensions, at one weak and one strong intensity."""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from mckean.catalogue.linear_stability import mean_square_threshold, mean_threshold
from mckean.interactions import kernels
from mckean.measures import Density
from mckean.models import Model, TransportNoise, langevin
from mckean.spaces import Torus
from mckean.statistics import binomial_interval
from mckean.talk.claims import LEVEL, Claim, Rival
from mckean.talk.parts.stirring import Stirring, densities

SPACE = Torus(3)


@dataclass(frozen=True)
class InSpace:
    """Environments, and the runs."""

    environments: int = 24
    strength: float = 4.0
    runs: Stirring = field(default_factory=lambda: Stirring(nodes=12, until=16.0, every=256, batch=4))


def _spot(x):
    return jnp.exp(sum(jnp.cos(x[i] - 2.0) for i in range(3)))


def _model(strength: float) -> Model:
    return langevin(SPACE, interaction=kernels.Cosine(strength), common=TransportNoise.shears(SPACE))


def run_in_space(config: InSpace, key) -> list[Claim]:
    """At half the threshold of the mean the ripple grows; at one and a half of that of the mean square it decays."""
    model, n = _model(config.strength), config.environments
    weak, strong = 0.5 * mean_threshold(model), 1.5 * mean_square_threshold(model, 3)
    start = np.asarray(Density.from_function(SPACE.grid(config.runs.nodes), _spot).values)
    starts, intensities = np.broadcast_to(start, (2 * n, *start.shape)), np.repeat([weak, strong], n)
    seen = densities(model, config.runs, starts, intensities, jax.random.split(key, 2 * n))[:, [0, -1]]
    size = np.sqrt(np.mean((seen - 1 / SPACE.volume) ** 2, axis=(2, 3, 4)))
    gone = (size[:, 1] < 0.1 * size[:, 0]).reshape(2, n)
    claims = []
    for intensity, predicted, happened, verb in (
        (weak, 0.0, gone[0], "leaves a spot away from the uniform density"),
        (strong, 1.0, gone[1], "makes a spot uniform"),
    ):
        k = int(happened.sum())
        claims.append(
            Claim(
                statement=f"In three dimensions noise {verb} too: the share of environments in which it is gone at "
                f"$t = {config.runs.until:g}$, $\\kappa = {config.strength:g}$, $K = {intensity:.3g}$",
                predicted=predicted,
                measured=k / n,
                interval=binomial_interval(k, n, 1 - LEVEL),
                excludes=Rival("it depends on the environment: one half", 0.5),
                reference="Gess, Gvalani and Martini 2026",
            )
        )
    return claims
