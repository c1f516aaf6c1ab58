"""Distances between measures, geodesics and the tangent space of the Wasserstein metric."""

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
