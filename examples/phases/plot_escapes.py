r"""
How long do particles stay in a well?
=====================================

In two wells with attraction the limit has two stable states. A cloud of :math:`N` particles leaves one of them after a
time of order

.. math:: \tau \approx e^{N\beta\Delta F} .

For one particle the rate is known exactly: the spectral gap of its generator, 0.27088 at :math:`\beta = 3`.

**Slides:** Metastability
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
beta, dt, until, replicas = 3.0, 0.02, 40.0, 400
model = mk.catalogue.desai_zwanzig(theta=1.0, beta=beta).model


def lives(n):
    # Looks at each step miss what comes back in between, which moves the edge by 0.5826 standard deviations of a step.
    edge = 0.5826 * np.sqrt(2 * dt / (n * beta))
    start = mk.Particles(model.space, jnp.ones((n, 1)))
    out = lambda model, mu: jnp.mean(mu.positions) < edge  # noqa: E731
    return mk.phases.escape_times(model, start, out, key=jax.random.key(n), replicas=replicas, until=until, dt=dt)


# %%
# Counted from t = 2 on, when the start is forgotten. Euler's steps err by dt times the rate of the well, 2.
found = {n: lives(n) for n in (1, 4, 16)}
late = found[1].times > 2.0
rest = mk.statistics.Lifetimes(found[1].times[late] - 2.0, found[1].ended[late])
low, high = rest.interval(0.99999)
assert low * (1 - 2 * dt) < 0.27088313 < high * (1 + 2 * dt), (low, rest.rate, high)

# %%
ax, times = None, np.linspace(0, 15, 50)
for n, life in found.items():
    ax = mk.plot.lifetimes(life, ax, exponential=False, label=f"N = {n}")
mk.plot.curve(times, np.exp(-0.27088313 * times), ax, kind="exact", label="exact rate of N = 1")
ax.set(yscale="log", ylim=(1e-2, 1), xlim=(0, until))
plt.show()

# %%
# Change ``beta`` to 4: the lives of one particle are twice as long, those of sixteen no longer end.
