r"""
A fluctuation that does not average out
=======================================

A noise that is common to all particles moves their mean by the same amount, however many they are. The bracket of a
mean has two parts, and the second does not fall with :math:`N`:

.. math:: d\langle M\rangle = \frac{2}{\beta N}\langle\mu^N, |\nabla\varphi|^2\rangle dt
   + \sum_k\langle\mu^N, \sigma_k\cdot\nabla\varphi\rangle^2 dt .

**Slides:** Common noise
"""

import jax
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
a, common, until, dt, replicas = 1.0, 0.5, 2.0, 0.02, 1000
line, law = mk.Euclidean(1), mk.Gaussian(0.0, 0.5)
model = mk.langevin(line, mk.potentials.Quadratic(a), mk.kernels.Quadratic(0.5), common=mk.Additive(common))


def end(key, n):
    start, noise = jax.random.split(key)
    return mk.evolve(model, law.sample(start, n), until=until, dt=dt, path=mk.Brownian(noise)).final.positions.mean()


# %%
# The mean has the rate a: its variance is known, and a variance of R runs has the relative error √(2/R).
sizes = (1, 10, 100, 1000)
found = [np.var(mk.statistics.replicate(lambda key, n=n: end(key, n), jax.random.key(n), replicas)) for n in sizes]
fade = np.exp(-2 * a * until)
exact = np.array([fade * 0.5 / n + (2 / n + common**2) * (1 - fade) / (2 * a) for n in sizes])
assert np.all(np.abs(found / exact - 1) < 5 * np.sqrt(2 / replicas) + a * dt), found

# %%
error = np.array(found) * np.sqrt(2 / replicas)
ax = mk.plot.curve(sizes, found, error=error, kind="points", log="xy", label=f"{replicas} runs")
mk.plot.curve(sizes, exact, ax, kind="exact", label="exact")
alone = np.full(len(sizes), common**2 * (1 - fade) / (2 * a))
mk.plot.curve(sizes, alone, ax, label="common noise alone")
ax.set(xlabel="number of particles N", ylabel="variance of the mean at t = 2 (length²)")
plt.show()

# %%
# Change ``common`` to 0: the variance falls as 1/N without end.
