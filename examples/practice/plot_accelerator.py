r"""
More particles on a GPU
=======================

The same lines run on a CPU and on a GPU: JAX takes the GPU where there is one. What changes is how many particles are
cheap, and that single precision is much faster there than double. The order parameter of :math:`N` oscillators scatters
about the limit as

.. math:: N\,\mathrm{Var}\,r = \frac{v}{1 - \beta Kv}, \qquad v = \mathrm{Var}_\rho \cos x .

**Slides:** The particle system
"""

import time

import diffrax
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

strength, steps, dt = 3.0, 100, 0.02
sizes = [1_000, 10_000, 100_000] + [10_000_000] * (jax.default_backend() == "gpu")
entry = mk.catalogue.kuramoto(strength)
r = entry.facts["order parameter"].value
law, record = mk.VonMises(mk.Torus(1), 0.0, strength * r), {"r": mk.observables.order_parameter(1)}


def run(n):
    cloud, path = law.sample(jax.random.key(n), n), mk.Brownian(jax.random.key(0))
    assert cloud.positions.dtype == jnp.float32
    begin = time.perf_counter()
    found = mk.evolve(
        entry.model, cloud, until=steps * dt, dt=dt, path=path, scheme=diffrax.Heun(), observe=record, every=5
    )
    print(
        f"N = {n}: {n * steps / (time.perf_counter() - begin):.1e} steps of a particle in a second, compilation with it"
    )
    return found.observed["r"]


# %%
# The start has the variance v/N, which grows to that of the theory. The turn of the whole adds order 1/N, Heun's steps
# order dt² at the rate K. An error that single precision would hold up does not fall with N.
off = np.array([np.sqrt(np.mean((np.asarray(run(n), float) - r) ** 2)) for n in sizes])
v = 1 - 1 / strength - r**2
scatter = np.sqrt(v / (1 - strength * v) / np.array(sizes))
assert np.all(off < 5 * scatter + (strength * dt) ** 2 + 1 / np.array(sizes)), (off, scatter)
assert off[2] < off[0], off

# %%
ax = mk.plot.curve(sizes, off, kind="points", log="xy", label="root mean square of $r_N - r$ along a run")
mk.plot.curve(sizes, scatter, ax, kind="exact", label="scatter in the long run")
ax.set(xlabel="number of particles N", ylabel="error of the order parameter")
plt.show()

# %%
# Change ``[10_000_000]`` to ``[100_000_000]`` on a GPU with 8 GB: the error falls to the order of rounding.
