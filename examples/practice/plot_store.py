r"""
A run on disk
=============

A long run should not be lost with its process. With ``store`` it is kept in a folder as it goes. The same call, made
again, finds what is there: a run that is whole is read, and one that broke off at :math:`s` goes on from there,

.. math:: \mu_{0 \to t} = \mu_{s \to t} \circ \mu_{0 \to s} .

**Slides:** The particle system
"""

import tempfile

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import mckean as mk

jax.config.update("jax_enable_x64", True)
model = mk.catalogue.kuramoto(3.0).model
cloud = mk.Uniform(model.space).sample(jax.random.key(0), 1000)
record = {"r": mk.observables.order_parameter(1)}
settings = {"until": 4.0, "dt": 0.01, "path": mk.Brownian(jax.random.key(1)), "observe": record, "every": 10}
plain = mk.evolve(model, cloud, **settings)
with tempfile.TemporaryDirectory() as folder:
    first = mk.evolve(model, cloud, store=f"{folder}/run", **settings)
    again = mk.evolve(model, cloud, store=f"{folder}/run", **settings)

# %%
# Equal to the bit: the run without a folder, the one that was kept, and the one that was read.
for run in (first, again):
    assert jnp.array_equal(run.final.positions, plain.final.positions)
    assert jnp.array_equal(run.observed["r"], plain.observed["r"])

# %%
ax = mk.plot.series(plain, "r", label="without a folder")
mk.plot.curve(again.times, again.observed["r"], ax, kind="points", label="read from the folder")
ax.set(ylabel="order parameter r")
plt.show()

# %%
# Change ``folder`` to a place of your own, stop the script with Ctrl-C, and start it again.
