"""Couplings and propagation of chaos."""

from mckean.couplings._chaos import chaos_rate as chaos_rate
from mckean.couplings._chaos import distinct_means as distinct_means
from mckean.couplings._chaos import joint_cumulant as joint_cumulant
from mckean.couplings._decomposition import ItoDecomposition as ItoDecomposition
from mckean.couplings._decomposition import ito_decomposition as ito_decomposition
from mckean.couplings._gronwall import gronwall as gronwall
from mckean.couplings._gronwall import lipschitz as lipschitz
from mckean.couplings._gronwall import visited as visited
from mckean.couplings._marginals import Marginals as Marginals
from mckean.couplings._marginals import marginals as marginals
from mckean.couplings._reflection import coupling_distance as coupling_distance
from mckean.couplings._reflection import reflection_coupling as reflection_coupling
from mckean.couplings._resolution import across_steps as across_steps
from mckean.couplings._resolution import nested as nested
from mckean.couplings._synchronous import coupling_terms as coupling_terms
from mckean.couplings._synchronous import synchronous_coupling as synchronous_coupling
