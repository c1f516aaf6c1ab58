r"""
Two clouds in one noise
=======================

Where all noise is common, two clouds of particles solve the limit equation exactly, and

.. math:: W_1(\mu_t, \nu_t) \le e^{2Lt}\, W_1(\mu_0, \nu_0)

holds along every path, with :math:`L` the Lipschitz constant of the force. With noises of their own it cannot hold: two
clouds that start at one point are at distance 0, and then are not.

**Slides:** Dobrushin's estimate
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
strength, n, seed = 1.0, 200, 0
circle, pull = mk.Torus(1), mk.kernels.Cosine(strength)
common = mk.langevin(circle, interaction=pull, beta=jnp.inf, common=mk.Additive(0.7))
own = mk.langevin(circle, interaction=pull, beta=1.0)
first, second = (mk.VonMises(circle, m).sample(jax.random.key(seed + 1), n) for m in (0.0, 0.5))
point = mk.Particles(circle, jnp.zeros((n, 1)))


def distances(model, one, other, paths):
    times = [0.1 * k for k in range(1, 16)]
    ends = [
        [mk.evolve(model, mu, until=t, dt=0.02, path=path).final for t in times]
        for mu, path in zip((one, other), paths, strict=True)
    ]
    return np.array([0.0, *times]), np.array(
        [mk.wasserstein(one, other, 1), *(mk.wasserstein(x, y, 1) for x, y in zip(*ends, strict=True))]
    )


# %%
# In one environment both clouds get the same path. With own noises the two clouds get different ones.
path, other = mk.Brownian(jax.random.key(seed)), mk.Brownian(jax.random.key(seed + 2))
times, shared = distances(common, first, second, (path, path))
_, apart = distances(own, point, point, (path, other))
assert np.all(shared <= np.exp(2 * strength * times) * shared[0])
assert apart[0] == 0
assert np.all(apart[1:] > 0)

# %%
ax = mk.plot.series(times, shared, label="one common noise")
mk.plot.series(times, apart, ax, label="own noises, both from one point")
mk.plot.curve(times, shared[0] * np.exp(2 * strength * times), ax, kind="exact", label="the bound $e^{2Lt}$")
ax.set(ylabel="distance W₁ (length)", ylim=(0, 2))
plt.show()

# %%
# Change ``strength`` to −1: the particles flee from each other, and the distance of the clouds grows.
