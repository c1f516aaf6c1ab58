r"""
The Gibbs measure of N oscillators
==================================

In the long run :math:`N` particles have the law

.. math:: \pi_N = \frac{1}{Z_N} e^{-\beta H_N} .

For oscillators the mean of :math:`r^2` under it is known for every :math:`N`. Hamiltonian Monte Carlo draws from it at
several couplings at once, from 0 to the full one.

**Slides:** The Gibbs measure
"""

import jax
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
n, strength, shares = 20, 4.0, (0.25, 0.5, 0.75, 1.0)
model = mk.catalogue.kuramoto(strength).model
square = {"r²": lambda model, mu: mk.observables.order_parameter(1)(model, mu) ** 2}
sample = mk.equilibrium.sample_gibbs(
    model, mk.Uniform(model.space), n, square, key=jax.random.key(0), couplings=shares, chains=32, draws=1000
)

# %%
# Five standard errors, which come from the chains.
found, strengths = sample.means["r²"], strength * np.array(shares)
exact = np.array([mk.catalogue.mean_square_order(n, k, 1.0) for k in strengths])
assert np.all(np.abs(found.value - exact) < 5 * found.stderr), (found, exact)

# %%
line = np.linspace(0.1, strength, 60)
ax = mk.plot.curve(strengths, found, kind="points", label="Hamiltonian Monte Carlo")
known = [mk.catalogue.mean_square_order(n, k, 1.0) for k in line]
mk.plot.curve(line, known, ax, kind="exact", label=f"exact, N = {n}")
ax.set(xlabel="coupling βK", ylabel="E r²")
mk.plot.mark({"transition of the limit": 2.0}, ax)
plt.show()

# %%
# Change ``n`` to 200: below the transition E r² falls tenfold, above it hardly at all.
