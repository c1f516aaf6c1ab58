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
cells, times = 200, (0.0, 0.1, 0.3, 1.0, 5.0)
entry = mk.catalogue.porous_medium()
grid = entry.model.space.grid(cells, -2.5, 2.5)
mu = mk.Density.from_function(grid, lambda x: jnp.where(jnp.abs(x[0] - 0.5) < 0.4, 1.0, 0.0))
laws = [mu]
for begin, end in itertools.pairwise(times):
    laws.append(mk.evolve(entry.model, laws[-1], start=begin, until=end, dt=0.01).final)

# %%
# Upwind fluxes are of first order, so that the distance to the parabola is at most a cell; the start fades as e^{−t}.
radius = entry.facts["radius"].value
parabola = mk.Density.from_function(grid, lambda x: jnp.maximum(radius**2 - x[0] ** 2, 0.0))
distance = mk.wasserstein(laws[-1], parabola)
assert distance < 5.0 / cells + 0.5 * jnp.exp(-times[-1]), distance

# %%
fig, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
for t, law in zip(times, laws, strict=True):
    ax.plot(grid.axes[0], law.values, label=f"t = {t:g}")
ax.plot(grid.axes[0], parabola.values, "k--", label="parabola")
ax.set(xlabel="position x", ylabel="density", ylim=(0, 1.3))
ax.legend()

# %%
# Change ``porous_medium()`` to ``porous_medium(exponent=4.0)``: the end is flatter, with steeper edges.
