r"""
One model, held in three ways
=============================

Particles in a bowl that also pull at each other have in the limit the equation

.. math:: \partial_t\rho = \nabla\cdot(\rho\,\nabla(V + W*\rho)) + \beta^{-1}\Delta\rho .

With :math:`V = ax^2/2` and :math:`W = cx^2/2` a normal law stays normal: its mean is :math:`m_0e^{-at}`, and its
variance has the rate :math:`2(a + c)`. A ``Gaussian`` solves for these two numbers, a ``Density`` for a function.

**Slides:** The McKean–Vlasov equation
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import mckean as mk

jax.config.update("jax_enable_x64", True)
a, c, n, dt = 1.0, 0.5, 4000, 0.01
model = mk.catalogue.ornstein_uhlenbeck(stiffness=a, strength=c).model
start, grid = mk.Gaussian(1.5, 0.1), model.space.grid(200, -6.0, 6.0)
settings = {"until": 1.0, "dt": dt, "path": mk.Brownian(jax.random.key(0))}
moments = mk.evolve(model, start, **settings).final
density = mk.evolve(model, mk.Density.from_law(grid, start), **settings).final
cloud = mk.evolve(model, start.sample(jax.random.key(1), n), **settings).final

# %%
# The moments are exact to the order of their solver. Cells of size h add :math:`h^2/12` to a variance, and a step of
# first order dt of its change. The mean of the particles has the variance :math:`1/\beta aN` at most, their variance
# the relative error :math:`\sqrt{2/N}`; both have an error dt from Euler's steps.
mean, variance = 1.5 * jnp.exp(-a), 2 / 3 + (0.1 - 2 / 3) * jnp.exp(-2 * (a + c))
assert abs(moments.mean[0] - mean) < dt**2
assert abs(moments.covariance[0, 0] - variance) < dt**2
assert abs(mk.wasserstein(density, moments)) < 12.0 / 200 + dt
assert abs(cloud.positions.mean() - mean) < 5 * jnp.sqrt(1 / (a * n)) + dt
assert abs(cloud.positions.var() - variance) < 5 * jnp.sqrt(2 / n) * variance + 2 * dt

# %%
ax = mk.plot.particles(cloud, label=f"{n} particles")
mk.plot.density(density, ax, label="density, 200 cells")
mk.plot.density(moments, ax, label="normal law of the moments")
ax.set(title="at t = 1", xlim=(-3, 4), ylim=(0, 0.75))
plt.show()

# %%
# Change ``c`` to −0.5: the particles push each other away, and the law becomes wider.
