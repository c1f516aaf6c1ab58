r"""
Stop and go on
==============

The step :math:`k` of a run uses the noise of the time from :math:`k\,dt` to :math:`(k + 1)dt`, wherever the run starts.
A run that is stopped at :math:`s` and goes on from there is, bit for bit, the run without a stop:

.. math:: \mu_{0 \to t} = \mu_{s \to t} \circ \mu_{0 \to s} .

**Slides:** The particle system
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import mckean as mk

jax.config.update("jax_enable_x64", True)
model = mk.catalogue.desai_zwanzig(theta=1.0, beta=4.0).model
cloud = mk.Gaussian(0.0, 0.5).sample(jax.random.key(0), 50)
settings = {"dt": 0.01, "path": mk.Brownian(jax.random.key(1)), "observe": {"x": mk.observables.positions}, "every": 10}
whole = mk.evolve(model, cloud, until=4.0, **settings)
first = mk.evolve(model, cloud, until=1.5, **settings)
second = mk.evolve(model, first.final, start=1.5, until=4.0, **settings)

# %%
# Equal, not nearly equal.
assert jnp.array_equal(whole.final.positions, second.final.positions)
assert jnp.array_equal(whole.observed["x"][15:], second.observed["x"])

# %%
fig, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
ax.plot(whole.times, whole.observed["x"][:, :8, 0], "0.8", linewidth=3)
ax.plot(first.times, first.observed["x"][:, :8, 0], "C0", linewidth=0.8)
ax.plot(second.times, second.observed["x"][:, :8, 0], "C1", linewidth=0.8)
ax.axvline(1.5, color="k", linestyle="--")
ax.set(xlabel="time t", ylabel="position x", title="grey: without a stop; colours: stopped at t = 1.5")

# %%
# Change ``start=1.5`` to ``start=2.0`` and 4.0 to 4.5: the noise is another one, and so is the end.
