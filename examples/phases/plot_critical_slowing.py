r"""
Slow near the transition
========================

Particles in two wells, :math:`V = x^4/4 - x^2/2`, with the attraction :math:`W = x^2/2`, choose a side below a critical
temperature. There the slowest rate of return to equilibrium is 0:

.. math:: \beta_c\,\langle x^2\rangle_0 = 1, \qquad
   \beta_c = \Bigl(\frac{\Gamma(1/4)}{2\,\Gamma(3/4)}\Bigr)^2 = 2.18844 .

``relaxation`` gives the rates of the equation linearised about a state.

**Slides:** Convergence to equilibrium
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from scipy.special import gamma

import mckean as mk

jax.config.update("jax_enable_x64", True)
cells, critical = 240, (gamma(0.25) / (2 * gamma(0.75))) ** 2
grid = mk.Euclidean(1).grid(cells, -4.0, 4.0)
start = mk.Density.from_function(grid, lambda x: jnp.exp(-2 * (x[0] - 1) ** 2))
betas = np.array([1.0, 1.5, 2.0, critical, 2.4, 3.0, 4.0])
models = [mk.catalogue.desai_zwanzig(1.0, beta).model for beta in betas]
states = [mk.phases.steady_state(model, start) for model in models]
rates = np.array([mk.energetics.relaxation(m, s.density)[0] for m, s in zip(models, states, strict=True)])

# %%
# The grid is of order h². At β = 3 the rate is .29551257, from an eigenvalue problem solved elsewhere.
h = 8.0 / cells
assert abs(mk.catalogue.critical_beta(1.0) - critical) < 1e-12
assert abs(rates[betas == 3.0][0] - 0.29551257) < h**2, rates
assert abs(rates[betas == critical][0]) < h, rates  # there the state itself is off by a root of h², so that h counts

# %%
ax = mk.plot.curve(betas, rates, kind="points", label="slowest rate of return (1/time)")
mk.plot.curve(betas, [abs(state.order[0]) for state in states], ax, kind="points", label="mean |m| (length)")
ax.set(xlabel="inverse temperature β (1/energy)", ylabel="rate, length")
mk.plot.mark({"$β_c$": critical}, ax)
plt.show()

# %%
# Change ``start`` to a density that is even in x: the state is the symmetric one, and its rate is negative beyond βc.
