"""Conditional laws under a common noise."""

from mckean.environments._contraction import Contraction as Contraction
from mckean.environments._contraction import contraction as contraction
from mckean.environments._ensemble import Ensemble as Ensemble
from mckean.environments._ensemble import ensemble as ensemble
from mckean.environments._ergodicity import one_point_ergodicity as one_point_ergodicity
from mckean.environments._linearisation import Growth as Growth
from mckean.environments._linearisation import growth as growth
from mckean.environments._linearisation import linearise as linearise
from mckean.environments._long_time import invariant as invariant
from mckean.environments._long_time import pullback as pullback
from mckean.environments._long_time import separation as separation
from mckean.environments._lyapunov import Spectrum as Spectrum
from mckean.environments._lyapunov import exponents as exponents
from mckean.environments._lyapunov import lyapunov as lyapunov
