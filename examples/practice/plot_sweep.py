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


def order(K, replica, key):
    start, noise = jax.random.split(key)
    entry, law = mk.catalogue.kuramoto(K, beta=1.0), mk.VonMises(mk.Torus(1), 0.0, 1.0)
    look = {"r": mk.observables.order_parameter(1)}
    path = mk.Brownian(noise)
    run = mk.evolve(entry.model, law.sample(start, 500), until=20.0, dt=0.02, path=path, observe=look, every=25)
    return {"r": run.observed["r"][20:].mean()}


# %%
# Each combination is a cell, and each cell has a key of its own. ``workers=2`` would run it in two processes.
table = {"K": np.linspace(1.0, 4.0, 7), "replica": range(4)}
folder = f"{tempfile.mkdtemp()}/order"
study = mk.sweep(order, table, folder, key=jax.random.key(0))
again = mk.sweep(order, table, folder, key=jax.random.key(0))
assert study.identical(again)

# %%
K = np.linspace(2.0, 4.0, 200)
r = np.ones_like(K)
for _ in range(2000):
    r = ive(1, K * r) / ive(0, K * r)
mean = study["r"].mean("replica")
limit = np.interp(study["K"].values[4:], K, r)
# Well above K = 2 the particles differ from the limit by O(1/N), by O(dt) of their steps, and by a standard error.
assert np.all(np.abs(mean.values[4:] - limit) < 0.05), (mean.values, limit)
fig, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
ax.plot(study["K"], study["r"], ".", color="0.6")
ax.plot(study["K"], mean, "o", label="500 particles, mean of 4")
ax.plot(K, r, "k", label="limit N → ∞")
ax.set(xlabel="coupling K", ylabel="order parameter r")
ax.legend()

# %%
# Change ``range(4)`` to ``range(16)``: the means scatter half as much about the limit.
