"""Probability measures. The class of a measure decides which equation `evolve` solves.

- N particles, with weights or without: `Particles`.
- A density on a grid: `Density`; on the line by its quantiles: `Lagrangian`.
- Laws with a formula, which can be sampled: `Gaussian`, `Uniform`, `Mixture`, `VonMises`, `VonMisesFisher`,
  `SphericalCauchy`.
- From particles to a density: `deposit`, `smooth`.
- Of positions and velocities: `configuration`, the law of the positions.
- The distance of two measures of one class, point by point: `distance`. Of any two: see `mckean.transport`.
- Laws of several particles: `tensor_power`, `marginal`, `product_space`, `product_grid`.
- … and how far they are from independent, or from exchangeable: `relative_entropy`, `entropy_of_chaos`, `asymmetry`.
- On several devices: `shard`.
- For a measure of your own: `AbstractMeasure`, `AbstractLaw`, `cast`, `dtype_of`.
"""

from mckean.measures.bundle import configuration
from mckean.measures.convert import deposit, smooth
from mckean.measures.density import Density
from mckean.measures.family import Family
from mckean.measures.gaussian import Gaussian
from mckean.measures.lagrangian import Lagrangian
from mckean.measures.laws import AbstractLaw, Mixture, Uniform, VonMises
from mckean.measures.measure import AbstractMeasure, cast, dtype_of
from mckean.measures.norms import distance
from mckean.measures.particles import Particles
from mckean.measures.placement import at_home as at_home
from mckean.measures.placement import mesh_of as mesh_of
from mckean.measures.placement import require_one_device as require_one_device
from mckean.measures.placement import shard
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
    "Family",
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
    "configuration",
    "deposit",
    "distance",
    "dtype_of",
    "entropy_of_chaos",
    "marginal",
    "product_grid",
    "product_space",
    "relative_entropy",
    "shard",
    "smooth",
    "tensor_power",
]


def __dir__() -> list[str]:
    return __all__
