r"""
The law, given the environment
==============================

With a common noise particles do not become independent: they share an environment. Given this environment they do, and
their empirical measure tends to a random measure,

.. math:: \mu_t = \mathrm{Law}(X_t \mid B^0), \qquad E\,W_1(\mu^N_t, \mu_t) \sim N^{-1/2} .

``Brownian(key, path.environment)`` draws other particles in the same environment.

**Slides:** Conditional propagation of chaos
"""

import jax
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
line, dt = mk.Euclidean(1), 0.01
model = mk.langevin(line, mk.potentials.Quadratic(1.0), mk.kernels.Quadratic(0.5), common=mk.Additive(1.0))
law, path = mk.Gaussian(0.0, 0.3), mk.Brownian(jax.random.key(3))
given = mk.evolve(model, law, until=1.0, dt=dt, path=path).final


def cloud(key, n):
    start, own = jax.random.split(key)
    run = mk.evolve(model, law.sample(start, n), until=1.0, dt=dt, path=mk.Brownian(own, path.environment))
    return run.final


# %%
# For a normal law of variance v the mean of :math:`\sqrt N W_1` is at most :math:`1.2884\sqrt v`, but the mean of
# the particles relaxes more slowly than they do, which adds up to the square root of its variance. Steps add dt.
sizes = (100, 400, 1600, 6400)
keys = jax.random.split(jax.random.key(0), 16)
errors = np.array([[mk.wasserstein(cloud(k, n), given, 1) for k in keys] for n in sizes])
v = float(given.covariance[0, 0])
low, high = 1.2884 * np.sqrt(v), 1.2884 * np.sqrt(v) + 1
scaled = (errors.mean(1) - dt) * np.sqrt(sizes), (errors.mean(1) + dt) * np.sqrt(sizes)
slack = 5 * errors.std(1) * np.sqrt(sizes) / 4
assert np.all(scaled[0] < high + slack), scaled
assert np.all(scaled[1] > low - slack), scaled

# %%
ax = None
for k in keys[:2]:
    ax = mk.plot.particles(cloud(k, 6400), ax, label="6400 particles given B⁰")
mk.plot.density(given, ax, label="law given B⁰")
ax.set(title="at t = 1", ylim=(0, 0.75))
plt.show()

# %%
# Change ``mk.Brownian(own, path.environment)`` to ``mk.Brownian(own)``: each cloud has its own environment, and moves.
