r"""
Oscillators with inertia
========================

With velocities and a friction :math:`\gamma` the density of positions and velocities solves

.. math:: \partial_t f + v\,\partial_x f - \partial_x(W*\rho)\,\partial_v f
   = \gamma\,\partial_v(vf + \beta^{-1}\partial_v f) .

The steady order is that without inertia. The rate at which a small order grows is not.

**Slides:** With velocities
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import mckean as mk

jax.config.update("jax_enable_x64", True)
dt, until = 0.05, 12.0
entry = mk.catalogue.inertial_kuramoto(strength=3.0, friction=1.0)
grid = entry.model.space.grid(mk.Torus(1).grid(16), 48, 7.0)
start = mk.Density.from_function(grid, lambda z: (1 + 1e-4 * jnp.cos(z[0])) * jnp.exp(-0.5 * z[1] ** 2))
record = {"r": mk.observables.order_parameter(1)}
run = mk.evolve(entry.model, start, until=until, dt=dt, observe=record, every=4)

# %%
# Over the second half the next mode, which falls faster than :math:`e^{-t}`, is gone; the splitting is of order dt².
half = len(run.times) // 2
rate = jnp.log(run.observed["r"][-1] / run.observed["r"][half]) / (run.times[-1] - run.times[half])
exact = entry.facts["growth rate"].value
assert abs(rate - exact) < dt**2 + 2 * jnp.exp(-until / 2) / until, (rate, exact)

# %%
later = run.times - run.times[half]
ax = mk.plot.series(run, "r", log="y", label="order r of the density")
mk.plot.curve(run.times, run.observed["r"][half] * jnp.exp(exact * later), ax, kind="exact", label=r"$e^{\lambda t}$")
mk.plot.curve(run.times, run.observed["r"][0] * jnp.exp(0.5 * run.times), ax, label="without inertia")
ax.set(ylabel="order parameter r", ylim=(1e-5, 1e-1))
plt.show()

# %%
# Change ``friction`` to 8.0 and compare the rates in the time t/γ: the limit without inertia comes near.
