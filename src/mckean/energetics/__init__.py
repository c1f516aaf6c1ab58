"""Energetics: what becomes of the free energy along a run, and how fast it falls.

- What is the free energy spent on, and what does the environment pay in? `ledger`: a `Ledger` of `Accounts`.
- What work does the environment do in the mean? `environment_power`.
- Does a run of a gradient flow keep the energy balance? `energy_balance`.
- How does the law descend, seen from a frame that moves with an additive noise? `moving_frame`: a `Descent`.
- How fast does a run return to equilibrium? `decay`: a `Decay`.
- How fast must it, before any run? `convexity`, `holley_stroock`: constants of Polyak and Łojasiewicz.
- … and at which measure is such a constant nearly false? `adversary`.
- … near the equilibrium? `relaxation`: the spectrum of the linearised flow.
- What are the Poincaré and log-Sobolev constants of a density on the line? `poincare_bounds`, `log_sobolev_bounds`.
"""

from mckean.energetics._adversary import adversary
from mckean.energetics._balance import energy_balance
from mckean.energetics._decay import Decay, decay
from mckean.energetics._frame import Descent, moving_frame
from mckean.energetics._inequalities import convexity, holley_stroock, log_sobolev_bounds, poincare_bounds
from mckean.energetics._ledger import Accounts, Ledger, ledger
from mckean.energetics._power import environment_power
from mckean.energetics._spectrum import relaxation

__all__ = [
    "Accounts",
    "Decay",
    "Descent",
    "Ledger",
    "adversary",
    "convexity",
    "decay",
    "energy_balance",
    "environment_power",
    "holley_stroock",
    "ledger",
    "log_sobolev_bounds",
    "moving_frame",
    "poincare_bounds",
    "relaxation",
]


def __dir__() -> list[str]:
    return __all__
