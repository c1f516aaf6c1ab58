r"""
Stop, save, go on
=================

A run from 0 to 4 and another from 4 to 10 are the run from 0 to 10, **bit for bit**: the noise of a step is a function
of the key and of the step's number. So a state on disk is all that a run needs to go on.
"""

import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import mckean as mk

circle = mk.Torus(1)
model = mk.langevin(circle, interaction=mk.kernels.Cosine(3.0), beta=1.0)
cloud = mk.Particles(circle, circle.uniform(jax.random.key(0), 5_000))
look = {"r": mk.observables.order_parameter(1)}
given = {"dt": 0.02, "every": 10, "path": mk.Brownian(jax.random.key(1)), "observe": look}
file = Path(tempfile.mkdtemp()) / "state.npy"

# %%
# The first part ends at time 4, and its last state goes to disk.
part = mk.evolve(model, cloud, until=4.0, **given)
jnp.save(file, part.final.positions)

# %%
# On another day: the state comes back, and the run goes on.
state = mk.Particles(circle, jnp.load(file))
rest = mk.evolve(model, state, start=4.0, until=10.0, **given)
once = mk.evolve(model, cloud, until=10.0, **given)
assert (rest.final.positions == once.final.positions).all()

# %%
ax = mk.plot.series(once, "r", label="one run")
ax.plot(part.times, part.observed["r"], ".", label="the first part")
ax.plot(rest.times, rest.observed["r"], ".", label="the rest")
ax.legend()
plt.show()
