"""Environments: the law of particles, given a common noise.

- Do two solutions meet in one environment? `separation` shows it along one run.
- … and how fast, over many environments? `contraction`: a `Contraction`, of two solutions or of the points of a cloud.
- Does a small perturbation of a solution grow? `growth`: its rates over environments, a `Growth`.
- … along one run? `linearise`.
- What are all Lyapunov exponents of the particles? `lyapunov`: a `Spectrum`.
- … in one given environment? `exponents`.
- Where is the solution now, if it started long ago? `pullback`.
- What is the invariant random measure like? `invariant`: an `Ensemble`.
- Does one particle reach the invariant law? `one_point_ergodicity`: a p-value.
- How far apart are two measures of one form, point by point? `mckean.measures.distance`.
- What are mean and variance over environments of anything else? `ensemble`: an `Ensemble`.

Solutions meet where the top Lyapunov exponent is negative, and the rate of `contraction` tends to it as they come near.
"""

from mckean.environments._contraction import Contraction, contraction
from mckean.environments._ensemble import Ensemble, ensemble
from mckean.environments._ergodicity import one_point_ergodicity
from mckean.environments._linearisation import Growth, growth, linearise
from mckean.environments._long_time import invariant, pullback, separation
from mckean.environments._lyapunov import Spectrum, exponents, lyapunov

__all__ = [
    "Contraction",
    "Ensemble",
    "Growth",
    "Spectrum",
    "contraction",
    "ensemble",
    "exponents",
    "growth",
    "invariant",
    "linearise",
    "lyapunov",
    "one_point_ergodicity",
    "pullback",
    "separation",
]


def __dir__() -> list[str]:
    return __all__
