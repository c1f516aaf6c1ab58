r"""
The speed of a density
======================

A density that moves has a velocity that is a gradient: :math:`\partial_t\rho = -\nabla\cdot(\rho\nabla\psi)`. Its
length in Otto's metric is

.. math:: |\partial_t\rho|^2 = \int |\nabla\psi|^2 d\rho .

Along the flow of steepest descent of F the squared speed is the dissipation. The speed is found here from the density
alone, without the model.

**Slides:** Otto's calculus
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import mckean as mk

jax.config.update("jax_enable_x64", True)
n, dt = 128, 0.01
model = mk.catalogue.kuramoto(3.0).model
start = mk.Density.from_function(model.space.grid(n), lambda x: jnp.exp(jnp.cos(x[0]) + 0.5 * jnp.sin(2 * x[0])))
record = {"rho": mk.observables.density, "D": mk.observables.dissipation}
run = mk.evolve(model, start, until=2.0, dt=dt, observe=record, every=1)

# %%
# Central differences give the rate; ``h_minus_one`` solves for :math:`\psi` and measures its gradient.
rates = (run.observed["rho"][2:] - run.observed["rho"][:-2]) / (2 * dt)
seen = slice(9, None, 10)
speeds = [
    mk.transport.h_minus_one(mk.Density(start.grid, rho), rate)
    for rho, rate in zip(run.observed["rho"][1:-1][seen], rates[seen], strict=True)
]
exact = run.observed["D"][1:-1][seen]

# %%
# Differences across cells are off by (kh)²/12 for a mode k, and modes up to 4 matter; those in time by (λdt)²/6.
allowed = (4 * 2 * jnp.pi / n) ** 2 / 12 + (16 * dt) ** 2 / 6
quotient = jnp.array(speeds) ** 2 / exact
assert jnp.abs(quotient - 1).max() < allowed, (quotient, allowed)

# %%
ax = mk.plot.series(run, "D", log="y", label="dissipation D of the model")
mk.plot.curve(run.times[1:-1][seen], jnp.array(speeds) ** 2, ax, kind="points", label="squared speed of the density")
ax.set(ylabel="energy per time")
plt.show()

# %%
# Change ``model`` to ``mk.catalogue.kuramoto(0.0).model``: for the heat equation D is Fisher's information.
