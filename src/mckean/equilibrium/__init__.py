"""Equilibrium: the Gibbs measure of N particles, and whether a dynamics keeps it.

- What are means under the Gibbs measure? `sample_gibbs`: a `GibbsSample`, by Hamiltonian Monte Carlo.
- … by the dynamics itself, without a bias in dt? `langevin_means`: `LangevinMeans`.
- What is log Z? `log_partition`: a `LogPartition`.
- Do the steps of a scheme keep a law? `invariance`: an `Invariance` with a p-value.
- Does the equation keep it? `stationarity`, the same for the generator.
- Does an environment keep a density, in mean and along each path? `gibbs_drift`: a `GibbsDrift`.

The Gibbs measure itself, for few particles on a grid: `mckean.gibbs_density`.
"""

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
