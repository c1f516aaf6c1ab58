"""Probability measures. The class of a measure decides which equation `evolve` solves.

- N particles, with weights or without: `Particles`.
- A density on a grid: `Density`; on the line by its quantiles: `Lagrangian`.
- Laws with a formula, which can be sampled: `Gaussian`, `Uniform`, `Mixture`, `VonMises`, `VonMisesFisher`,
  `SphericalCauchy`.
- From particles to a density: `deposit`, `smooth`.
- The distance of two measures of one class, point by point: `distance`. Of any two: see `mckean.transport`.
- Laws of several particles: `tensor_power`, `marginal`, `product_space`, `product_grid`.
- … and how far they are from independent, or from exchangeable: `relative_entropy`, `entropy_of_chaos`, `asymmetry`.
- For a measure of your own: `AbstractMeasure`, `AbstractLaw`, `cast`, `dtype_of`.
"""

from mckean.measures.convert import deposit as deposit
from mckean.measures.convert import smooth as smooth
from mckean.measures.density import Density as Density
from mckean.measures.gaussian import Gaussian as Gaussian
from mckean.measures.lagrangian import Lagrangian as Lagrangian
from mckean.measures.laws import AbstractLaw as AbstractLaw
from mckean.measures.laws import Mixture as Mixture
from mckean.measures.laws import Uniform as Uniform
from mckean.measures.laws import VonMises as VonMises
from mckean.measures.measure import AbstractMeasure as AbstractMeasure
from mckean.measures.measure import cast as cast
from mckean.measures.measure import dtype_of as dtype_of
from mckean.measures.norms import distance as distance
from mckean.measures.particles import Particles as Particles
from mckean.measures.products import asymmetry as asymmetry
from mckean.measures.products import entropy_of_chaos as entropy_of_chaos
from mckean.measures.products import marginal as marginal
from mckean.measures.products import product_grid as product_grid
from mckean.measures.products import product_space as product_space
from mckean.measures.products import relative_entropy as relative_entropy
from mckean.measures.products import tensor_power as tensor_power
from mckean.measures.spherical import SphericalCauchy as SphericalCauchy
from mckean.measures.spherical import VonMisesFisher as VonMisesFisher
