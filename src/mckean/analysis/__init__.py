"""Verbs that run and compare several evolutions."""

from mckean.analysis.balance import energy_balance as energy_balance
from mckean.analysis.couplings import Coupled as Coupled
from mckean.analysis.couplings import SynchronousCoupling as SynchronousCoupling
from mckean.analysis.couplings import coupling_terms as coupling_terms
from mckean.analysis.couplings import gronwall as gronwall
from mckean.analysis.couplings import lipschitz as lipschitz
from mckean.analysis.decomposition import ItoDecomposition as ItoDecomposition
from mckean.analysis.decomposition import ito_decomposition as ito_decomposition
from mckean.analysis.statistics import Estimate as Estimate
from mckean.analysis.statistics import average as average
from mckean.analysis.statistics import log_slope as log_slope
from mckean.analysis.statistics import replicate as replicate
from mckean.analysis.statistics import root_mean_square as root_mean_square
