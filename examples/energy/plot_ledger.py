r"""
What the environment pays
=========================

With a common noise the free energy does not fall for ever. It obeys a balance, in which the environment does work:

.. math:: dF = -D\,dt + \sum_k \langle\nabla\delta F\cdot\sigma_k, \mu\rangle\circ dB^k .

``ledger`` keeps the account along a run.

**Slides:** What replaces the free energy
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import mckean as mk

jax.config.update("jax_enable_x64", True)
circle, dt = mk.Torus(1), 0.002
wells = lambda x: 0.5 * jnp.cos(2 * x[0])  # noqa: E731
model = mk.langevin(circle, wells, mk.kernels.Cosine(1.0), beta=2.0, common=mk.Additive(0.7))
start = mk.Density.from_function(circle.grid(32), lambda x: jnp.exp(jnp.cos(x[0] - 0.5)))
book = mk.energetics.ledger(model, start, until=4.0, dt=dt, path=mk.Brownian(jax.random.key(0)), every=10)

# %%
# The sums close at order dt, with the rates of the model, at most 10, before it.
assert jnp.abs(book.residual).max() < 10 * dt * book.accounts.dissipated[-1], book.residual
assert jnp.any(jnp.diff(book.change) > 0)  # F rises now and then, which it cannot do without the environment

# %%
mk.plot.ledger(book)
plt.show()

# %%
# Change ``wells`` to ``None``: an additive noise turns the circle, and does no work at all.
