r"""
A density in a random wind
==========================

Given a common noise :math:`\sigma_k dB^k` the density of the limit solves a stochastic equation,

.. math:: d\rho = \nabla\cdot(\rho\nabla(V + W*\rho))dt + \beta^{-1}\Delta\rho\,dt
   - \sum_k\nabla\cdot(\rho\sigma_k)\circ dB^k .

Particles with the same path move in the same wind. Here the wind is stronger on one side of the circle.

**Slides:** The stochastic Fokker–Planck equation
"""

import diffrax
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import mckean as mk

jax.config.update("jax_enable_x64", True)
circle, n, dt = mk.Torus(1), 20_000, 0.005
wind = mk.Multiplicative(lambda x, mu: 0.7 + 0.5 * jnp.sin(x), "stratonovich")
model = mk.langevin(circle, interaction=mk.kernels.Cosine(2.5), beta=2.0, common=wind)
start = mk.Density.from_function(circle.grid(64), lambda x: 1 + 0.5 * jnp.cos(x[0]))
settings = {"until": 2.0, "dt": dt, "path": mk.Brownian(jax.random.key(5))}
record = {"z": mk.observables.mode(1)}
density = mk.evolve(model, start, observe=record, every=20, **settings)
# The noise is Stratonovich's, and Heun's scheme is one that converges to it.
particles = start.sample(jax.random.key(1), n)
cloud = mk.evolve(model, particles, scheme=diffrax.Heun(), observe=record, every=20, **settings)

# %%
# Errors of the start, :math:`1/\sqrt{2N}` in each part of z, grow at the rate :math:`(\beta K/2 - 1)/\beta` at most;
# Euler and Heun's steps add order dt, times the strength of the pull.
growth = jnp.exp((2.5 / 2 - 0.5) * 2.0)
error = jnp.abs(cloud.observed["z"] - density.observed["z"]).max()
assert error < 5 * growth / jnp.sqrt(2 * n) + 2.5 * dt, error

# %%
ax = mk.plot.particles(cloud.final, label=f"{n} particles")
mk.plot.density(density.final, ax, label="stochastic equation")
mk.plot.density(start, ax, label="at the start")
ax.set(title="at t = 2")
plt.show()

# %%
# Change ``jax.random.key(5)`` to another number: the density ends elsewhere, and the particles with it.
