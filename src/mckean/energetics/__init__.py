"""Energetics: what becomes of the free energy along a run, and how fast it falls.

- What is the free energy spent on, and what does the environment pay in? `ledger`: a `Ledger` of `Accounts`.
- What work does the environment do in the mean? `environment_power`.
- Does a run of a gradient flow keep the energy balance? `energy_balance`.
- How does the law descend, seen from a frame that moves with an additive noise? `moving_frame`: a `Descent`.
- How fast does a run return to equilibrium? `decay`: a `Decay`.
- How fast must it, before any run? `convexity`, `holley_stroock`: constants of Polyak and Łojasiewicz.
- … near the equilibrium? `relaxation`: the spectrum of the linearised flow.
- What are the Poincaré and log-Sobolev constants of a density on the line? `poincare_bounds`, `log_sobolev_bounds`.
"""

from mckean.energetics._balance import energy_balance as energy_balance
from mckean.energetics._decay import Decay as Decay
from mckean.energetics._decay import decay as decay
from mckean.energetics._frame import Descent as Descent
from mckean.energetics._frame import moving_frame as moving_frame
from mckean.energetics._inequalities import convexity as convexity
from mckean.energetics._inequalities import holley_stroock as holley_stroock
from mckean.energetics._inequalities import log_sobolev_bounds as log_sobolev_bounds
from mckean.energetics._inequalities import poincare_bounds as poincare_bounds
from mckean.energetics._inequalities import relaxation as relaxation
from mckean.energetics._ledger import Accounts as Accounts
from mckean.energetics._ledger import Ledger as Ledger
from mckean.energetics._ledger import ledger as ledger
from mckean.energetics._power import environment_power as environment_power
