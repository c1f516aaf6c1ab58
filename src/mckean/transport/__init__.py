"""Optimal transport: distances between measures, geodesics, and the tangent space of the Wasserstein metric.

- How far apart are two measures, exactly? `wasserstein`.
- … approximately, in any dimension? `sinkhorn`, `sliced`: an `Approximation`.
- What is the shortest curve from one density to another? `geodesic`: a `Geodesic`.
- Which velocity gives a density this rate of change? `tangent`: a `Tangent`; its length `h_minus_one`, its inner
  product `otto`.
- What is the gradient part of a velocity? `helmholtz`.
- What is the Wasserstein gradient of a functional? `wasserstein_gradient`.
- How far are N independent points from their law? `empirical_distances`, `empirical_rate`, and in theory
  `fournier_guillin`, `mean_distance_constant`.
"""

from mckean.transport.approximate import Approximation, sinkhorn, sliced
from mckean.transport.benamou_brenier import Geodesic, geodesic
from mckean.transport.distance import wasserstein
from mckean.transport.empirical import empirical_distances, empirical_rate, fournier_guillin, mean_distance_constant
from mckean.transport.tangent_space import Tangent, h_minus_one, helmholtz, otto, tangent, wasserstein_gradient

__all__ = [
    "Approximation",
    "Geodesic",
    "Tangent",
    "empirical_distances",
    "empirical_rate",
    "fournier_guillin",
    "geodesic",
    "h_minus_one",
    "helmholtz",
    "mean_distance_constant",
    "otto",
    "sinkhorn",
    "sliced",
    "tangent",
    "wasserstein",
    "wasserstein_gradient",
]


def __dir__() -> list[str]:
    return __all__
