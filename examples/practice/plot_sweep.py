r"""
A study in a folder
===================

``mk.sweep`` runs a function over a table of parameters and keeps what each cell gave. The same call goes on after an
interrupt, and opens what is finished. Here: the order parameter of noisy Kuramoto oscillators,

.. math:: r = \Bigl|\int e^{ix}\,d\mu\Bigr|, \qquad r = \frac{I_1(Kr)}{I_0(Kr)} \text{ in the limit, at } \beta = 1.

**Slides:** Phase transition
"""

import tempfile

import jax
import matplotlib.pyplot as plt
import numpy as np
from scipy.special import ive

import mckean as mk

jax.config.update("jax_enable_x64", True)
n, dt = 500, 0.02


def order(K, replica, key):
    start, noise = jax.random.split(key)
    entry, law = mk.catalogue.kuramoto(K, beta=1.0), mk.VonMises(mk.Torus(1), 0.0, 1.0)
    look = {"r": mk.observables.order_parameter(1)}
    path = mk.Brownian(noise)
    run = mk.evolve(entry.model, law.sample(start, n), until=20.0, dt=dt, path=path, observe=look, every=25)
    return {"r": run.observed["r"][20:].mean()}


# %%
# Each combination is a cell, and each cell has a key of its own. ``workers=2`` would run it in two processes.
table = {"K": np.linspace(1.0, 4.0, 7), "replica": range(4)}
folder = f"{tempfile.mkdtemp()}/order"
study = mk.sweep(order, table, folder, key=jax.random.key(0))
again = mk.sweep(order, table, folder, key=jax.random.key(0))
assert study.identical(again)

# %%
# Well above K = 2: five standard errors, which the cells share, and 1/N. A step dt acts as a temperature that is higher
# by the share K dt/2, or as a coupling that is lower by it.
K = np.linspace(2.0, 4.0, 200)
r = np.ones_like(K)
for _ in range(2000):
    r = ive(1, K * r) / ive(0, K * r)
mean = study["r"].mean("replica")
strong, error = study["K"].values[4:], np.sqrt(study["r"][4:].var("replica", ddof=1).mean() / 4).item()
low, high = (np.interp(k, K, r) for k in (strong * (1 - strong * dt / 2), strong))
assert np.all(mean[4:] > low - 5 * error - 1 / n), (mean.values, low)
assert np.all(mean[4:] < high + 5 * error + 1 / n), (mean.values, high)

# %%
ax = mk.plot.curve(study["K"], mk.statistics.average(study["r"].values.T), kind="points", label=f"{n} particles")
mk.plot.curve(K, r, ax, kind="exact", label="limit N → ∞")
ax.set(xlabel="coupling K (energy)", ylabel="order parameter r")
plt.show()

# %%
# Change ``range(4)`` to ``range(16)``: the means scatter half as much about the limit.
