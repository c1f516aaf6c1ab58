"""Gibbs measures and invariance."""

from mckean.equilibrium._drift import GibbsDrift as GibbsDrift
from mckean.equilibrium._drift import gibbs_drift as gibbs_drift
from mckean.equilibrium._invariance import Invariance as Invariance
from mckean.equilibrium._invariance import invariance as invariance
from mckean.equilibrium._invariance import stationarity as stationarity
from mckean.equilibrium._langevin import LangevinMeans as LangevinMeans
from mckean.equilibrium._langevin import langevin_means as langevin_means
from mckean.equilibrium._partition import LogPartition as LogPartition
from mckean.equilibrium._partition import log_partition as log_partition
from mckean.equilibrium._sampling import GibbsSample as GibbsSample
from mckean.equilibrium._sampling import sample_gibbs as sample_gibbs
