r"""
How fast grains come to rest
============================

If the dissipation is at least :math:`2\lambda(F - F^*)`, the free energy falls to its least value like
:math:`e^{-2\lambda t}`. Grains on a line with :math:`V = ax^2/2` and :math:`W = c|x|^3/3` have :math:`\lambda = a`:

.. math:: D \ge 2a(F - F^*), \qquad F - F^* \le e^{-2at}(F_0 - F^*) .

The attraction is convex. It does not slow the return, nor speed it up in the end.

**Slides:** Convergence to equilibrium
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
a, cells, dt = 1.0, 200, 0.02
model = mk.catalogue.granular_media(stiffness=a).model
grid = model.space.grid(cells, -6.0, 6.0)
start = mk.Density.from_function(grid, lambda x: jnp.exp(-4 * (x[0] - 2) ** 2) + 0.3 * jnp.exp(-4 * (x[0] + 1) ** 2))
still = mk.phases.steady_state(model, start).density
run = mk.energetics.decay(model, start, still, until=4.0, dt=dt, every=5)

# %%
# The bound comes from convexity alone. Cells of size h change the inequality by order h², implicit steps the rate.
rate = mk.energetics.convexity(model, -6.0, 6.0)
assert rate == a
assert run.inequality > a - (12 / cells) ** 2, run.inequality
assert np.all(run.gap <= run.gap[0] * np.exp(-2 * a * run.times) * (1 + 4 * a * dt * run.times))

# %%
ax = mk.plot.series(run.times, run.gap, log="y", label="F − F*")
mk.plot.series(run.times, run.dissipation, ax, label="dissipation D")
mk.plot.series(run.times, run.distance, ax, label="distance W₂ to the end")
mk.plot.curve(run.times, run.gap[0] * np.exp(-2 * a * run.times), ax, kind="exact", label="$e^{-2at}$")
ax.set(ylabel="energy, energy per time, length")
plt.show()

# %%
# Change ``start`` to a density with the mean 0: then the slowest mode is absent, and all curves fall faster.
