"""Equilibrium: the Gibbs measure of N particles, and whether a dynamics keeps it.

- What are means under the Gibbs measure? `sample_gibbs`: a `GibbsSample`, by Hamiltonian Monte Carlo.
- … by the dynamics itself, without a bias in dt? `langevin_means`: `LangevinMeans`.
- What is log Z? `log_partition`: a `LogPartition`.
- Do the steps of a scheme keep a law? `invariance`: an `Invariance` with a p-value.
- Does the equation keep it? `stationarity`, the same for the generator.
- Does an environment keep a density, in mean and along each path? `gibbs_drift`: a `GibbsDrift`.

The Gibbs measure itself, for few particles on a grid: `mckean.gibbs_density`.
"""

from mckean.equilibrium._drift import GibbsDrift, gibbs_drift
from mckean.equilibrium._invariance import Invariance, invariance, stationarity
from mckean.equilibrium._langevin import LangevinMeans, langevin_means
from mckean.equilibrium._partition import LogPartition, log_partition
from mckean.equilibrium._sampling import GibbsSample, sample_gibbs

__all__ = [
    "GibbsDrift",
    "GibbsSample",
    "Invariance",
    "LangevinMeans",
    "LogPartition",
    "gibbs_drift",
    "invariance",
    "langevin_means",
    "log_partition",
    "sample_gibbs",
    "stationarity",
]


def __dir__() -> list[str]:
    return __all__
