r"""
Stop and go on
==============

The step :math:`k` of a run uses the noise of the time from :math:`k\,dt` to :math:`(k + 1)dt`, wherever the run starts.
A run that is stopped at :math:`s` and goes on from there is, bit for bit, the run without a stop:

.. math:: \mu_{0 \to t} = \mu_{s \to t} \circ \mu_{0 \to s} .

**Slides:** The particle system
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import mckean as mk

jax.config.update("jax_enable_x64", True)
model = mk.catalogue.desai_zwanzig(theta=1.0, beta=4.0).model
cloud = mk.Gaussian(0.0, 0.5).sample(jax.random.key(0), 50)
settings = {"dt": 0.01, "path": mk.Brownian(jax.random.key(1)), "observe": {"x": mk.observables.positions}, "every": 10}
whole = mk.evolve(model, cloud, until=4.0, **settings)
first = mk.evolve(model, cloud, until=1.5, **settings)
second = mk.evolve(model, first.final, start=1.5, until=4.0, **settings)

# %%
# Equal, not nearly equal.
assert jnp.array_equal(whole.final.positions, second.final.positions)
assert jnp.array_equal(whole.observed["x"][15:], second.observed["x"])

# %%
ax, colours = None, mk.plot.COLOURS
for run, color, name in (
    (whole, "0.75", "without a stop"),
    (first, colours[0], "before"),
    (second, colours[1], "after"),
):
    x = run.observed["x"][:, :8, 0].T
    ax = mk.plot.series(run.times, x, ax, paths=8, band=None, color=color, label=f"{name}: mean of eight, and each")
ax.set(ylabel="position $x$ (length)", ylim=(-2, 3))
mk.plot.mark({"stop": 1.5}, ax)
plt.show()

# %%
# Change ``start=1.5`` to ``start=2.0`` and 4.0 to 4.5: the noise is another one, and so is the end.
