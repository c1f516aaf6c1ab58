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

from mckean.transport.approximate import Approximation as Approximation
from mckean.transport.approximate import sinkhorn as sinkhorn
from mckean.transport.approximate import sliced as sliced
from mckean.transport.benamou_brenier import Geodesic as Geodesic
from mckean.transport.benamou_brenier import geodesic as geodesic
from mckean.transport.distance import wasserstein as wasserstein
from mckean.transport.empirical import empirical_distances as empirical_distances
from mckean.transport.empirical import empirical_rate as empirical_rate
from mckean.transport.empirical import fournier_guillin as fournier_guillin
from mckean.transport.empirical import mean_distance_constant as mean_distance_constant
from mckean.transport.tangent_space import Tangent as Tangent
from mckean.transport.tangent_space import h_minus_one as h_minus_one
from mckean.transport.tangent_space import helmholtz as helmholtz
from mckean.transport.tangent_space import otto as otto
from mckean.transport.tangent_space import tangent as tangent
from mckean.transport.tangent_space import wasserstein_gradient as wasserstein_gradient
