r"""
A phase transition
==================

Oscillators that attract each other with the strength :math:`K` are in disorder up to :math:`\beta K = 2`. Above it
they have the order :math:`r` that solves

.. math:: r = \frac{I_1(\beta Kr)}{I_0(\beta Kr)} .

``steady_state`` finds the state that a density leads to, whatever the model.

**Slides:** Phase transition
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from scipy.special import i0e, i1e

import mckean as mk

jax.config.update("jax_enable_x64", True)
strengths = np.array([0.5, 1.0, 1.5, 2.1, 2.3, 2.6, 3.0, 4.0, 6.0])
start = mk.Density.from_function(mk.Torus(1).grid(64), lambda x: jnp.exp(jnp.cos(x[0])))
states = [mk.phases.steady_state(mk.catalogue.kuramoto(k).model, start) for k in strengths]
order = np.array([state.order for state in states])

# %%
# Newton's method stops at rounding, and the least curvature above the transition is that at K = 2.1, about 0.1.
exact = np.array([mk.catalogue.kuramoto(k).facts["order parameter"].value for k in strengths])
assert np.abs(order - exact).max() < 1e-10, order - exact
assert mk.phases.linear_threshold(mk.catalogue.kuramoto(1.0).model).factor == 2.0

# %%
kr = np.linspace(1e-3, 6, 400)
r = i1e(kr) / i0e(kr)
ax = mk.plot.curve(strengths, order, kind="points", label="steady states found")
mk.plot.curve(kr / r, r, ax, kind="exact", label="r = I₁(βKr)/I₀(βKr)")
ax.set(xlabel="coupling βK", ylabel="order parameter r", xlim=(0, 6.2))
plt.show()

# %%
# Change ``start`` to the constant ``1 + 0 * x[0]``: the uniform state is found at each K, also where it is unstable.
