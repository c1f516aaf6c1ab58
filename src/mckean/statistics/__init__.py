"""Estimates with their standard errors. This floor knows no model: it takes functions of a key, and arrays.

- How do I run independent replicas as one program? `replicate`; in batches on every core: `side_by_side`.
- … and for each N of a ladder? `ladder`, `samples`; batches that divide their number: `divisor`.
- What is the mean, or the root mean square, with its standard error? `average`, `root_mean_square`: an `Estimate`.
- What is a sum of independent estimates, or a row of them? `combine`, `join`.
- What is the probability of a success, from k of n trials? `binomial_interval`.
- How large is a nonlinear function of a mean, without its bias? `jackknife`: a `Jackknife`.
- How large is the supremum over times? `largest`.
- With which power of N does an error fall? `study` from runs, `fit_rate` from a `Jackknife`: a `Rate`.
- … of points that are independent? `log_slope`.
- With which rate in time does a quantity decay? `decay_rate`: an `ExponentialRate`.
- How long do lives last of which some were not seen to end? `Lifetimes`.
- Where is a transition, from order parameters of two sizes? `binder_ratio`, `crossing`.
- Do two samples have the same law? `energy_test`: an `EnergyTest`.
"""

from mckean.statistics._binder import binder_ratio, crossing
from mckean.statistics._decay import ExponentialRate, decay_rate
from mckean.statistics._energy_test import EnergyTest, energy_test
from mckean.statistics._estimates import (
    Estimate,
    average,
    binomial_interval,
    combine,
    join,
    log_slope,
    root_mean_square,
)
from mckean.statistics._ladders import divisor, ladder, samples, study
from mckean.statistics._lifetimes import Lifetimes
from mckean.statistics._rates import Jackknife, Rate, fit_rate, jackknife, largest
from mckean.statistics._replicas import replicate, side_by_side

__all__ = [
    "EnergyTest",
    "Estimate",
    "ExponentialRate",
    "Jackknife",
    "Lifetimes",
    "Rate",
    "average",
    "binder_ratio",
    "binomial_interval",
    "combine",
    "crossing",
    "decay_rate",
    "divisor",
    "energy_test",
    "fit_rate",
    "jackknife",
    "join",
    "ladder",
    "largest",
    "log_slope",
    "replicate",
    "root_mean_square",
    "samples",
    "side_by_side",
    "study",
]


def __dir__() -> list[str]:
    return __all__
