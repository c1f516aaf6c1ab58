r"""
Layers of a network, and their limit
====================================

A deep Transformer with random weights is a random walk of its tokens on a sphere. With steps of size :math:`\eta` the
network of :math:`L` layers runs to the time :math:`s = L\eta^2/H`, and tends to an SDE: a common noise and no other.

**Slides:** Layers as steps
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
limit, layers, ax = mk.GeodesicEuler(), mk.Layers(), None
for eta, scheme, label in ((1.0, layers, "12 layers"), (0.5, layers, "48 layers"), (0.25, limit, "the limit")):
    times, mean = overlap(eta, scheme)
    ax = mk.plot.series(times, mean, ax, label=label)
    assert np.all(np.diff(mean.value[:: len(times) // 3]) > 0)  # tokens gather
ax.set(xlabel="time s = layers × η²/H", ylabel="mean overlap of the tokens")
plt.show()
