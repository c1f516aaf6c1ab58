"""Probability measures in the forms that a computation holds them in."""

from mckean.measures.convert import deposit, smooth
from mckean.measures.density import Density
from mckean.measures.gaussian import Gaussian
from mckean.measures.lagrangian import Lagrangian
from mckean.measures.laws import AbstractLaw, Mixture, Uniform, VonMises
from mckean.measures.measure import AbstractMeasure, cast, dtype_of
from mckean.measures.norms import distance
from mckean.measures.particles import Particles
from mckean.measures.products import (
    asymmetry,
    entropy_of_chaos,
    marginal,
    product_grid,
    product_space,
    relative_entropy,
    tensor_power,
)
from mckean.measures.spherical import SphericalCauchy, VonMisesFisher

__all__ = [
    "AbstractLaw",
    "AbstractMeasure",
    "Density",
    "Gaussian",
    "Lagrangian",
    "Mixture",
    "Particles",
    "SphericalCauchy",
    "Uniform",
    "VonMises",
    "VonMisesFisher",
    "asymmetry",
    "cast",
    "deposit",
    "distance",
    "dtype_of",
    "entropy_of_chaos",
    "marginal",
    "product_grid",
    "product_space",
    "relative_entropy",
    "smooth",
    "tensor_power",
]


def __dir__() -> list[str]:
    return __all__
