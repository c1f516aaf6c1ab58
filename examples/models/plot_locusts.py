r"""
Locusts turn round
==================

Locusts on a ring like to march with the mean velocity :math:`\bar v`:

.. math:: dv_i = (G(\bar v) - v_i)\,dt + \sqrt{2/\beta}\,dB_i, \qquad G(u) = \frac{h + 1}{5}u - \frac{h}{125}u^3 .

The limit has two states, :math:`\bar v = \pm5\sqrt{(h - 4)/h}`. A small swarm goes from one to the other.

**Slides:** With velocities; Metastability
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import mckean as mk

jax.config.update("jax_enable_x64", True)
dt = 0.05
entry = mk.catalogue.locusts(preference=6.0, beta=2.0)
speed = lambda model, mu: jnp.mean(mu.positions[:, 1])  # noqa: E731


def march(n, key, until):
    start = mk.Particles(entry.model.space, jnp.tile(jnp.array([0.0, 0.5]), (n, 1)))
    path = mk.Brownian(jax.random.key(key))
    return mk.evolve(entry.model, start, until=until, dt=dt, path=path, observe={"v": speed}, every=4)


# %%
# The mean velocity of N locusts scatters about the state with the variance :math:`2/\beta N` over twice the rate of
# return, .8; steps have the order dt times that rate.
runs = {20: march(20, 0, 120.0), 5000: march(5000, 1, 120.0)}
target, n = entry.facts["speed"].value, 5000
late = runs[n].observed["v"][runs[n].times > 20]
assert jnp.abs(late - target).max() < 6 * jnp.sqrt(1 / (n * 2 * 0.8)) + 0.8 * dt, late

# %%
ax = None
for n, run in runs.items():
    ax = mk.plot.series(run, "v", ax, label=f"{n} locusts")
for sign, name in ((-1, "the two states"), (1, None)):
    mk.plot.curve([0, 120], [sign * target] * 2, ax, kind="exact", number=0, label=name)
ax.set(ylabel="mean velocity (length/time)")
plt.show()

# %%
# Change ``preference`` to 4.5 in both places: the two states are near, and the swarm turns often.
