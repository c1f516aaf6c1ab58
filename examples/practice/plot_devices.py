r"""
One run on several devices
==========================

Particles can be spread over devices. The noise of a particle is a function of (key, step, particle), and a field of
few modes needs one sum over all of them in a step, of as many numbers as there are modes:

.. math:: r_ke^{i\psi_k} = \frac1N\sum_j e^{ikx_j} .

The order of this sum is fixed, so that the run does not depend on the number of devices, to the bit.

**Slides:** The particle system
"""

import contextlib

import jax
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

# Eight devices of one CPU, unless JAX has begun with another number; all below is the same with one.
with contextlib.suppress(RuntimeError):
    jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_enable_x64", True)
strength, n = 3.0, 4096
model = mk.catalogue.kuramoto(strength).model
cloud = mk.Uniform(model.space).sample(jax.random.key(0), n)
record = {"r": mk.observables.order_parameter(1)}
settings = {"until": 4.0, "dt": 0.02, "path": mk.Brownian(jax.random.key(1)), "observe": record, "every": 10}
counts = [k for k in (1, 2, 4, 8) if k <= jax.device_count()]
plain = mk.evolve(model, cloud, **settings)
runs = [mk.evolve(model, mk.shard(cloud, k), **settings) for k in counts]

# %%
# Equal, not nearly equal. A cloud that is not spread is summed in another order, which errs by Nε at most; the
# attraction lets a difference grow at the rate K/2 at most.
rounding = n * np.finfo(float).eps * np.exp(strength / 2 * settings["until"])
for run in runs:
    assert np.array_equal(run.final.positions, runs[0].final.positions)
    assert np.array_equal(run.observed["r"], runs[0].observed["r"])
    assert np.abs(run.observed["r"] - plain.observed["r"]).max() < rounding

# %%
ax = mk.plot.series(plain, "r", label="not spread")
for k, run in zip(counts, runs, strict=True):
    at = slice(counts.index(k), None, len(counts))
    mk.plot.curve(run.times[at], run.observed["r"][at], ax, kind="points", label=f"{k} device{'s' * (k > 1)}")
ax.set(ylabel="order parameter r")
plt.show()

# %%
# Change ``4096`` to 4100, which is no multiple of 8: ``mk.shard`` says what to do.
