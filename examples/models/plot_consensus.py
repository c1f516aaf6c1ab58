r"""
Search by consensus
===================

Particles search the minimum of a function :math:`f` with many valleys. Each goes to a mean that is weighted by
:math:`e^{-\alpha f}`, and is shaken in proportion to its distance from it:

.. math:: dX_i = -\lambda(X_i - m)\,dt + \sigma|X_i - m|\,dB_i,
   \qquad m = \frac{\int xe^{-\alpha f}d\mu}{\int e^{-\alpha f}d\mu} .

**Slides:** The particle system
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import mckean as mk

jax.config.update("jax_enable_x64", True)
lowest = jnp.array([1.0, -0.5])
hills = lambda x: jnp.sum((x - lowest) ** 2 + 1.5 * (1 - jnp.cos(2 * jnp.pi * (x - lowest))))  # noqa: E731
model = mk.catalogue.consensus_optimisation(hills, alpha=50.0).model
cloud = mk.Uniform(model.space, (-3.0, -3.0), (3.0, 3.0)).sample(jax.random.key(0), 400)
record = {"x": mk.observables.positions}
run = mk.evolve(model, cloud, until=10.0, dt=0.02, path=mk.Brownian(jax.random.key(1)), observe=record, every=50)

# %%
# Valleys are a distance 1 apart: the consensus is in the lowest if it is nearer than ½. The spread about m falls at the
# rate 2λ − dσ² = 1.02 in mean; that a path is above the root of that has at most its probability, e^{−5} (Markov).
x = run.observed["x"]
assert jnp.linalg.norm(x[-1].mean(0) - lowest) < 0.5, x[-1].mean(0)
spread = jnp.mean(jnp.sum((x - x.mean(1, keepdims=True)) ** 2, axis=2), axis=1)
assert spread[-1] < spread[0] * jnp.exp(-1.02 * 10 / 2), spread

# %%
side = jnp.linspace(-3, 3, 100)
height = jax.vmap(jax.vmap(hills))(jnp.stack(jnp.meshgrid(side, side), axis=-1))
with mk.plot.style():
    fig, ax = plt.subplots(figsize=(5.2, 4.2), layout="constrained")
fig.colorbar(ax.contourf(side, side, height, 20, cmap="Greys"), label="f")
for k in (0, 2, 4, 10):
    mk.plot.particles(mk.Particles(model.space, x[k]), ax, size=8, label=f"t = {run.times[k]:g}")
ax.set(xlim=(-3, 3), ylim=(-3, 3))
plt.show()

# %%
# Change ``alpha`` to 0.1: the mean hardly knows f, and the particles agree on some other place.
