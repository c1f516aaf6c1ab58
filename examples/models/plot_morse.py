r"""
Particles that keep a distance
==============================

With the potential of Morse particles repel each other when near, and attract when far:

.. math:: W(z) = C_r e^{-|z|/l_r} - C_a e^{-|z|/l_a} .

Two of them come to rest at a known distance. Many form a cluster whose shape depends on the ranges.

**Slides:** The energy
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import mckean as mk

jax.config.update("jax_enable_x64", True)
pair = mk.catalogue.morse(dim=1)
start = mk.Particles(pair.model.space, jnp.array([[0.0], [0.8]]))
end = mk.evolve(pair.model, start, until=60.0, dt=0.02).final.positions
swarm = mk.catalogue.morse(dim=2).model
cloud = mk.Gaussian(jnp.zeros(2), jnp.eye(2)).sample(jax.random.key(0), 100)
record = {"energy": mk.observables.energy}
run = mk.evolve(swarm, cloud, until=20.0, dt=0.02, observe=record, every=20)

# %%
# The rate of return of the pair is W″(r*), since each of the two feels half:
# :math:`C_re^{-r/l_r}/l_r^2 - C_ae^{-r/l_a}/l_a^2`.
rest = pair.facts["pair distance"].value
rate = jnp.exp(-2 * rest) * 4 - 0.5 * jnp.exp(-rest)
assert abs(end[1, 0] - end[0, 0] - rest) < jnp.exp(-rate * 60 / 2), end
assert jnp.all(jnp.diff(run.observed["energy"]) < 1e-12)  # steepest descent, in steps below 2 over the stiffest rate

# %%
with mk.plot.style():
    fig, (left, right) = plt.subplots(1, 2, figsize=(6.6, 3.2), layout="constrained")
mk.plot.particles(cloud, left, label="start")
mk.plot.particles(run.final, left, label="t = 20")
mk.plot.series(run, "energy", right)
right.set(ylabel="energy per particle")
plt.show()

# %%
# Change ``attraction`` of ``morse(attraction=0.9, dim=2)``: the cluster shrinks, and its core is denser.
