r"""
A common noise chooses
======================

Players pay :math:`\frac12\int\alpha^2 + \frac12(X_T + g(m_T))^2`, with :math:`g = -2\tanh`: each wants to end where the
others do. Without a common noise the mean at the end solves

.. math:: m_T = \frac{m_0 - T g(m_T)}{1 + T} ,

which has three solutions for :math:`T = 3`, :math:`m_0 = 0`. With a common noise there is one equilibrium.

**Slides:** Where a common noise comes from: a mean-field game
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
horizon, starts = 3.0, np.linspace(-3, 3, 61)
g = lambda m: -2 * jnp.tanh(m[0])  # noqa: E731
still = mk.games.equilibria(mk.games.Target(g, horizon), 0.0)

# %%
# The largest solves m = 1.5 tanh m. With the noise the aim u is known in closed form, also from its own equation.
assert np.allclose(still, [-1.28783945496, 0.0, 1.28783945496], atol=1e-9), still
games = {sigma: mk.games.Target(g, horizon, common=sigma) for sigma in (1.0, 0.5, 0.2)}
aims = {sigma: np.asarray(mk.games.expectation(game, game.aim, 0.0, starts)) for sigma, game in games.items()}
known = mk.games.expectation(games[1.0], games[1.0].aim, 0.0, (1 + horizon) * np.array([0.1, 0.5, 1.0]))
assert np.allclose(known, [-0.3239004215, -1.3307598357, -1.8201073354], atol=1e-8), known

# %%
ends = np.linspace(-3, 3, 301)
every = (1 + horizon) * ends - 2 * horizon * np.tanh(ends)
ax = mk.plot.curve(every, ends, kind="exact", label="no common noise, all equilibria")
for sigma, u in aims.items():
    mk.plot.curve(starts, (starts - horizon * u) / (1 + horizon), ax, label=f"σ₀ = {sigma:g}")
ax.set(xlabel="mean at the start $m_0$ (length)", ylabel="mean of $m_T$ (length)", xlim=(-3, 3), ylim=(-2.2, 2.2))
plt.show()

# %%
# Change ``horizon`` to 0.9: below T = 1 there is one equilibrium without a noise as well.
