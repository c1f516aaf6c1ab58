r"""
The free energy and its dissipation
===================================

The limit equation lowers the free energy, and the rate is a square:

.. math:: F(\rho) = \int V\rho + \tfrac12\iint W\rho\rho + \beta^{-1}\int\rho\log\rho,
   \qquad \frac{dF}{dt} = -D = -\int |\nabla\delta F|^2 d\rho .

Here each particle sits in two wells on a circle, and is pulled to the others.

**Slides:** The free energy
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import mckean as mk

jax.config.update("jax_enable_x64", True)
circle, dt = mk.Torus(1), 0.01
model = mk.langevin(circle, lambda x: 0.5 * jnp.cos(2 * x[0]), mk.kernels.Cosine(2.0), beta=2.0)
start = mk.Density.from_function(circle.grid(64), lambda x: jnp.exp(jnp.cos(x[0] - 0.3)))
record = {"F": mk.observables.free_energy, "D": mk.observables.dissipation}
run = mk.evolve(model, start, until=4.0, dt=dt, observe=record, every=1)
energy, rate = run.observed["F"], run.observed["D"]

# %%
# The integral is by Simpson's rule, of order 4 in dt times the rate of the second mode, which is 8 or less.
balance = mk.energetics.energy_balance(run.times, energy, rate)
assert jnp.abs(balance).max() < (8 * dt) ** 4 * rate[0], balance
assert jnp.all(jnp.diff(energy) < 0)

# %%
ax = mk.plot.series(run.times, energy - energy[0], label="F(t) − F(0)")
mk.plot.series(run.times, rate, ax, label="dissipation D")
mk.plot.curve(run.times[::2], energy[::2] - energy[0] - balance, ax, kind="exact", label="−∫D dt")
ax.set(ylabel="energy per particle, and per time")
plt.show()

# %%
# Change ``jnp.cos(x[0] - 0.3)`` to ``jnp.cos(x[0])``: the start is a ridge between two wells, and F falls in two steps.
