"""Estimates with their standard errors. This floor knows no model: it takes functions of a key, and arrays.

- How do I run independent replicas as one program? `replicate`; in batches on every core: `side_by_side`.
- … and for each N of a ladder? `ladder`, `samples`; batches that divide their number: `divisor`.
- What is the mean, or the root mean square, with its standard error? `average`, `root_mean_square`: an `Estimate`.
- How large is a nonlinear function of a mean, without its bias? `jackknife`: a `Jackknife`.
- How large is the supremum over times? `largest`.
- With which power of N does an error fall? `study` from runs, `fit_rate` from a `Jackknife`: a `Rate`.
- … of points that are independent? `log_slope`.
- With which rate in time does a quantity decay? `decay_rate`: an `ExponentialRate`.
- Do two samples have the same law? `energy_test`: an `EnergyTest`.
"""

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
