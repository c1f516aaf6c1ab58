r"""
Stop, save, go on
=================

A long run is kept in a folder as it goes. Whatever ends it, Ctrl-C, a crash or the end of a cluster's time, the
same call goes on from there, and the whole is the run without a break, **bit for bit**.
"""

import tempfile
from pathlib import Path

import jax
import matplotlib.pyplot as plt

import mckean as mk

circle = mk.Torus(1)
model = mk.langevin(circle, interaction=mk.kernels.Cosine(3.0), beta=1.0)
cloud = mk.Particles(circle, circle.uniform(jax.random.key(0), 5_000))
look = {"r": mk.observables.order_parameter(1)}
given = {"dt": 0.02, "every": 10, "path": mk.Brownian(jax.random.key(1)), "observe": look}
folder = Path(tempfile.mkdtemp()) / "run"

# %%
# The first part ends at time 4. It may be on another day, and in another process, that ``resume`` reads the folder.
part = mk.evolve(model, cloud, until=4.0, store=folder, **given)
whole = mk.resume(folder, until=10.0)
print(sorted(path.name for path in folder.iterdir()))

# %%
# The same numbers as of one run without a folder. ``verify`` computes a random part of a folder anew.
once = mk.evolve(model, cloud, until=10.0, **given)
assert (whole.final.positions == once.final.positions).all()
assert (whole.observed["r"] == once.observed["r"]).all()
assert mk.verify(folder)

# %%
ax = mk.plot.series(once, "r", label="one run")
mk.plot.curve(whole.times, whole.observed["r"], ax, kind="points", label="stopped at 4, and resumed")
mk.plot.mark({"stop": 4.0}, ax)
plt.show()
