"""Energy, its balance and its decay."""

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
