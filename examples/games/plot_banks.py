r"""
Banks that lend to each other
=============================

Each of :math:`N` banks pays to borrow, and pays to be off the mean:

.. math:: dX^i = (a(\bar X - X^i) + \alpha^i)dt + \sigma(\sqrt{1 - \rho^2}\,dW^i + \rho\,dW^0) .

Costs are quadratic, and the rule :math:`\alpha = (q + (1 - \frac1N)\eta)(\bar X - X)` is known. A bank that keeps to
the rule of infinitely many loses of order :math:`N^{-2}` by it.

**Slides:** Where a common noise comes from: a mean-field game
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
a, q, eps, c, rho, until = 1.0, 0.5, 2.0, 0.3, 0.4, 1.5
noise, common = mk.Additive(np.sqrt(1 - rho**2)), mk.Additive(rho)
model = mk.Model(mk.Euclidean(1), interaction=mk.kernels.Quadratic(a), noise=noise, common=common)


def running(x, alpha, mu):
    gap = mu.mean - x
    return jnp.sum(alpha**2 / 2 - q * alpha * gap + eps / 2 * gap**2)


game = mk.games.Game(model, running, lambda x, mu: c / 2 * jnp.sum((mu.mean - x) ** 2), horizon=until)
ten, limit = mk.games.nash(game, 10), mk.games.nash(game)

# %%
# Known values of η at time 0, from Riccati's equation; the steps are of order 8.
eta = (ten.gain[0, 0, 0] - q) / (1 - 1 / 10), limit.gain[0, 0, 0] - q
assert np.allclose(eta, (0.5000962698, 0.4994782255), atol=1e-9), eta
sizes = np.array([5, 10, 20, 40, 80])
loss = np.array([mk.games.regret(game, limit, mk.Gaussian(0.0, 0.0), int(n)) for n in sizes])
assert abs(np.log2(loss[-1] / loss[-2]) + 2) < 2 / 40, loss  # corrections of relative order 1/N

# %%
ax = mk.plot.curve(sizes, loss, kind="points", log="xy", label="regret of the rule of infinitely many")
mk.plot.curve(sizes, 0.0282 / sizes**2, ax, kind="exact", label="0.0282 N$^{-2}$")
ax.set(xlabel="number of banks N", ylabel="cost")
plt.show()

# %%
# Change ``rho`` to 0.9: a common shock changes no rule, and the regret shrinks with the own noise.
