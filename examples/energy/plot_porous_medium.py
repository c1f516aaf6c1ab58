r"""
Water in sand
=============

With the energy :math:`\int\rho^2` in the place of the entropy the flow is the porous medium equation,

.. math:: \partial_t\rho = \Delta\rho^2 + \nabla\cdot(x\rho) .

It has a front: the density is 0 beyond it. In the long run it is a parabola, :math:`\rho = (R^2 - x^2)_+/4` with
:math:`R = 3^{1/3}`.

**Slides:** Minimising movements
"""

import itertools

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import mckean as mk

jax.config.update("jax_enable_x64", True)
cells, dt, times = 200, 0.01, (0.0, 0.1, 0.3, 1.0, 5.0)
entry = mk.catalogue.porous_medium()
grid = entry.model.space.grid(cells, -2.5, 2.5)
mu = mk.Density.from_function(grid, lambda x: jnp.where(jnp.abs(x[0] - 0.5) < 0.4, 1.0, 0.0))
laws = [mu]
for begin, end in itertools.pairwise(times):
    laws.append(mk.evolve(entry.model, laws[-1], start=begin, until=end, dt=dt).final)

# %%
# All of F is convex along geodesics, and the bowl with the constant 1: the distance to the end falls as e^{-t}, by
# implicit steps as (1 + dt)^{-k}. Cells rest where 2ρ + x²/2 is constant at their centres, which moves mass within a
# cell. The normal law of the same variance, at which a flow of the entropy would end, is further away.
radius = entry.facts["radius"].value
parabola = mk.Density.from_function(grid, lambda x: jnp.maximum(radius**2 - x[0] ** 2, 0.0))
start, end, normal = (mk.wasserstein(law, parabola) for law in (laws[0], laws[-1], mk.Gaussian(0.0, radius**2 / 5)))
assert end < start * (1 + dt) ** (-times[-1] / dt) + 5.0 / cells < normal, (start, end, normal)

# %%
ax = None
for t, law in zip(times, laws, strict=True):
    ax = mk.plot.density(law, ax, label=f"t = {t:g}")
mk.plot.curve(grid.axes[0], parabola.values, ax, kind="exact", label="parabola")
ax.set(ylim=(0, 1.4), xlim=(-2, 2))
plt.show()

# %%
# Change ``porous_medium()`` to ``porous_medium(exponent=4.0)``: the end is flatter, with steeper edges.
