r"""
Rods in space
=============

Rods that like to be parallel have the interaction of Maier and Saupe, :math:`W = -\kappa P_2(\langle x, y\rangle)`, on
the sphere. Their order :math:`S = \langle P_2\rangle` jumps, as that of a liquid crystal does:

.. math:: S = \frac{Z'(A)}{Z(A)}, \qquad A = \beta\kappa S, \qquad Z(A) = \int_{-1}^1 e^{AP_2(s)}ds .

Disorder is stable up to 5, order from 4.4877 on, and both have the same free energy at 4.5415.

**Slides:** All steady states
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
strengths = np.array([4.5, 4.6, 4.8, 5.0, 5.5, 6.0, 7.0])
grid = mk.Sphere(3).grid(32, axis=(0.0, 0.0, 1.0))
start = mk.Density.from_function(grid, lambda x: jnp.exp(4 * x[2] ** 2))
entries = [mk.catalogue.nematic(k) for k in strengths]
states = [mk.phases.steady_state(entry.model, start) for entry in entries]

# %%
# Both are right to rounding, also their free energies: the difference changes its sign between 4.5 and 4.6.
order = np.array([state.order for state in states])
exact = np.array([entry.facts["order parameter"].value for entry in entries])
assert np.abs(order - exact).max() < 1e-9, order - exact
gap = np.array([state.free_energy for state in states]) + np.log(4 * np.pi)
assert np.allclose(gap, [entry.facts["free energy gap"].value for entry in entries], atol=1e-9), gap
assert gap[0] > 0 > gap[1]

# %%
s, weights = np.polynomial.legendre.leggauss(60)
p2, a = 1.5 * s**2 - 0.5, np.linspace(-1.0, 8.0, 300)[:, None]
curve = (np.exp(a * p2) * p2) @ weights / (np.exp(a * p2) @ weights)
ax = mk.plot.curve(a[:, 0] / curve, curve, kind="exact", label="all ordered states")
mk.plot.curve(strengths, order, ax, kind="points", label="steady states found")
ax.set(xlabel="strength βκ", ylabel="order S", xlim=(4.2, 7.2))
mk.plot.mark({"same F": entries[0].facts["coexistence"].value}, ax)
plt.show()

# %%
# Change ``start`` to ``jnp.exp(-4 * x[2] ** 2)``: the rods lie in a plane, S is negative, and that state is unstable.
