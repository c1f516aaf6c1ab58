r"""
Stirring does not smooth, diffusion does
========================================

A random incompressible flow :math:`\xi` carries a density about:

.. math:: \partial_t\rho = \Delta\rho + \sqrt{2K}\,\nabla\cdot(\rho\circ\xi) .

Along each path it does not change :math:`\|\rho\|^2`; only the diffusion does, at the rate :math:`-2\|\nabla\rho\|^2`.
In mean it acts as more diffusion: :math:`E\hat\rho_k` falls as :math:`e^{-|k|^2(1 + K)t}`.

**Slides:** Transport noise
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
intensity, until, dt, replicas = 1.0, 0.4, 0.01, 200
model = mk.catalogue.transport(strength=0.0, intensity=intensity).model
start = mk.Density.from_function(model.space.grid(24), lambda x: 1 + 0.9 * jnp.cos(x[0]))


def run(key):
    record = {"rho": mk.observables.density, "z": mk.observables.mode((1, 0))}
    run = mk.evolve(model, start, until=until, dt=dt, path=mk.Brownian(key), observe=record, every=4)
    return run.observed["rho"][-1], run.observed["z"]


rho, z = mk.statistics.replicate(run, jax.random.key(0), replicas, 50)

# %%
# Five standard errors of the mean, and order dt² of the steps at the rate 1 + K.
times, mean = np.arange(z.shape[1]) * 4 * dt, mk.statistics.average(z.real)
exact = 0.45 * np.exp(-(1 + intensity) * times)
slack = 5 * mean.stderr + ((1 + intensity) * dt) ** 2
assert np.all(np.abs(mean.value - exact) < slack), mean
assert np.all(rho.max((1, 2)) <= start.values.max() + 1e-6)  # no path rises above the start

# %%
with mk.plot.style():
    fig, (left, right) = plt.subplots(1, 2, figsize=(6.6, 3.2), layout="constrained")
mk.plot.density(mk.Density(start.grid, rho[0]), left, bar=False)
left.set(title=f"density at t = {until:g}, one path")
mk.plot.series(times, z.real, right, paths=20, exact=exact, log="y", label="mean over paths")
right.set(ylabel="Re $z_{(1, 0)}$", ylim=(0.1, 0.6))
plt.show()

# %%
# Change ``intensity`` to 4: the mean falls faster, though no path does.
