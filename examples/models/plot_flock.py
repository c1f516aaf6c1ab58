r"""
A flock
=======

Birds adapt their velocities to those of the others:

.. math:: dx_i = v_i\,dt, \qquad dv_i = \frac{K}{N}\sum_j (v_j - v_i)\,dt .

The mean velocity stays, and the differences to it fall as :math:`e^{-Kt}`.

**Slides:** With velocities
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import mckean as mk

jax.config.update("jax_enable_x64", True)
strength, n, dt = 1.0, 40, 0.01
entry = mk.catalogue.cucker_smale(strength, dim=2)
birds = mk.Gaussian(jnp.array([0.0, 0.0, 1.0, 0.5]), jnp.diag(jnp.array([1.0, 1.0, 0.5, 0.5])))
cloud = mk.Particles(entry.model.space, birds.sample(jax.random.key(0), n).positions)
record = {"z": mk.observables.positions}
run = mk.evolve(entry.model, cloud, until=4.0, dt=dt, observe=record, every=5)

# %%
# The steps are of order 2 or better, at the rate K, over a time of 4.
x, v = run.observed["z"][..., :2], run.observed["z"][..., 2:]
mean = v.mean(1)
assert jnp.abs(mean - mean[0]).max() < 1e-12
spread = jnp.sqrt(jnp.mean((v - mean[:, None]) ** 2, axis=(1, 2)))
rate = -jnp.log(spread[-1] / spread[0]) / 4
assert abs(rate - entry.facts["flocking rate"].value) < strength * dt, rate

# %%
ax = mk.plot.particles(run.final, label="birds at t = 4")
ax.plot(x[..., 0], x[..., 1], color=mk.plot.COLOURS[1], linewidth=0.6)
plt.show()

# %%
# Change ``strength`` to 0.2: the flock spreads before it agrees.
