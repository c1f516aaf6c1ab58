"""Estimates with their standard errors: averages, resampling, fits, replicas. It knows no model."""

from mckean.statistics._decay import ExponentialRate as ExponentialRate
from mckean.statistics._decay import decay_rate as decay_rate
from mckean.statistics._energy_test import EnergyTest as EnergyTest
from mckean.statistics._energy_test import energy_test as energy_test
from mckean.statistics._estimates import Estimate as Estimate
from mckean.statistics._estimates import average as average
from mckean.statistics._estimates import log_slope as log_slope
from mckean.statistics._estimates import root_mean_square as root_mean_square
from mckean.statistics._ladders import divisor as divisor
from mckean.statistics._ladders import ladder as ladder
from mckean.statistics._ladders import samples as samples
from mckean.statistics._ladders import study as study
from mckean.statistics._rates import Jackknife as Jackknife
from mckean.statistics._rates import Rate as Rate
from mckean.statistics._rates import fit_rate as fit_rate
from mckean.statistics._rates import jackknife as jackknife
from mckean.statistics._rates import largest as largest
from mckean.statistics._replicas import replicate as replicate
from mckean.statistics._replicas import side_by_side as side_by_side
