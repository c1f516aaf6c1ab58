r"""
Particles beside their limit
============================

Each of :math:`N` oscillators is pulled to the others and shaken by a noise of its own,

.. math:: dX_i = \frac{K}{N}\sum_j \sin(X_j - X_i)\,dt + \sqrt{2/\beta}\,dB_i .

As :math:`N` grows their empirical measure tends to the solution of one equation, the limit. One model serves both:
what ``evolve`` solves depends on the class of the measure.

**Slides:** The particle system
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import mckean as mk

strength, n, until = 3.0, 2000, 2.0
model = mk.catalogue.kuramoto(strength).model
law = mk.Density.from_function(model.space.grid(64), lambda x: 1 + jnp.cos(x[0]))
record = {"r": mk.observables.order_parameter(1)}

# %%
# The limit is a density. The particles are drawn from it, and need a path for their noise.
limit = mk.evolve(model, law, until=until, dt=0.01, observe=record, every=10)
cloud = law.sample(jax.random.key(0), n)
particles = mk.evolve(model, cloud, until=until, dt=0.01, path=mk.Brownian(jax.random.key(1)), observe=record, every=10)

# %%
# The start has a sampling error of :math:`1/\sqrt{2N}`. It grows no faster than :math:`e^{(K/2 - 1)t}`.
error = jnp.exp((strength / 2 - 1) * limit.times) / jnp.sqrt(2 * n)
gap = jnp.abs(particles.observed["r"] - limit.observed["r"])
assert jnp.all(gap <= 5 * error), gap  # five standard errors

# %%
ax = mk.plot.curve(limit.times, limit.observed["r"], error=error, label="limit equation, ± 1/√(2N)")
mk.plot.curve(particles.times, particles.observed["r"], ax, kind="points", label=f"{n} particles")
ax.set(xlabel="time $t$", ylabel="order parameter r")
plt.show()

# %%
# Change ``n`` to 50: the particles leave the curve, and the band grows by a factor of six.
