r"""
Random for one environment, not for all
=======================================

A common noise that turns a circle, :math:`dX_i = \dots + \sigma_0 dB^0`, turns the whole density. In each environment
the density is as sharp as before. In mean over environments, which is the law of one particle, it spreads:

.. math:: E\,z_1(t) = e^{-\sigma_0^2 t/2}\, z_1(0), \qquad |z_1(t)| \text{ as without the noise} .

**Slides:** The law of one particle
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
common, replicas = 0.8, 400
circle = mk.Torus(1)
rest = mk.Density.from_function(circle.grid(32), lambda x: jnp.exp(jnp.cos(x[0])))
start = mk.phases.steady_state(mk.catalogue.kuramoto(3.0).model, rest).density
model = mk.langevin(circle, interaction=mk.kernels.Cosine(3.0), common=mk.Additive(common))


def run(key):
    record = {"z": mk.observables.mode(1)}
    return mk.evolve(model, start, until=4.0, dt=0.05, path=mk.Brownian(key), observe=record, every=4).observed["z"]


z = mk.statistics.replicate(run, jax.random.key(0), replicas)
times = np.arange(z.shape[1]) * 0.2

# %%
# A mean over R environments has an error of at most :math:`r/\sqrt R`. Along each path r does not move at all.
r, mean = np.abs(z[0, 0]), z.real.mean(0)
assert np.abs(np.abs(z) - r).max() < 1e-9
assert np.abs(mean - r * np.exp(-(common**2) * times / 2)).max() < 5 * r / np.sqrt(replicas), mean

# %%
exact = r * np.exp(-(common**2) * times / 2)
ax = mk.plot.series(times, z.real, paths=10, exact=exact, label=f"Re $z_1$, mean of {replicas} environments")
mk.plot.series(times, np.abs(z), ax, label="order r in each of them")
ax.set(ylabel="mode of the density", ylim=(-0.9, 1.3))
plt.show()

# %%
# Change ``common`` to 0: nothing moves, and all environments are one.
