r"""
Layers of a network, and their limit
====================================

A deep Transformer with random weights is a random walk of its tokens on a sphere. With steps of size :math:`\eta` the
network of :math:`L` layers runs to the time :math:`s = L\eta^2/H`, and tends to an SDE: a common noise and no other.
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

heads, replicas = 4, 128
network = mk.catalogue.random_transformer(dim=16, beta=1.0, heads=heads, spread=1.0).model
tokens = mk.Particles(network.space, jnp.eye(8, 16))
look = {"overlap": mk.observables.mean_overlap}


def overlap(eta, scheme):
    run = lambda key: mk.evolve(  # noqa: E731
        network, tokens, until=3.0, dt=eta**2 / heads, path=mk.Brownian(key), scheme=scheme, observe=look, every=1
    )
    runs = mk.statistics.replicate(run, jax.random.key(0), replicas)
    return runs.times[0], mk.statistics.average(runs.observed["overlap"])


# %%
# Twelve layers, 48 layers, and the limit.
fig, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
cases = ((1.0, mk.Layers(), "12 layers", "o"), (0.5, mk.Layers(), "48 layers", "."), (0.25, None, "the limit", "-"))
for eta, scheme, label, mark in cases:
    times, mean = overlap(eta, scheme or mk.GeodesicEuler())
    ax.plot(times, mean.value, mark, label=label)
    ax.fill_between(times, mean.value - 2 * mean.stderr, mean.value + 2 * mean.stderr, alpha=0.2)
    assert np.all(np.diff(mean.value[:: len(times) // 3]) > 0)  # tokens gather
ax.set(xlabel="time s = layers × η²/H", ylabel="mean overlap of the tokens")
ax.legend()
plt.show()
