"""Distances between measures, geodesics and the tangent space of the Wasserstein metric."""

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
