r"""
Clocks that pay to be apart
===========================

Each player turns a clock at a cost, and pays where it is far from the others:

.. math:: dX = \alpha\,dt + \sigma\,dB, \qquad \text{cost} = \tfrac12\alpha^2 + \kappa(1 - r\cos X) .

They fall in step above :math:`\kappa = \sigma^4/2`, at half the coupling of clocks that are only pulled, since they
look ahead. At :math:`\kappa = \sigma = 1` the order is :math:`r = 0.6795`, from Mathieu's equation.

**Slides:** Where a common noise comes from: a mean-field game
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
circle, strengths = mk.Torus(1), np.array([0.3, 0.6, 1.0, 2.0])
model = mk.Model(circle, noise=mk.Additive(1.0))
start = mk.Density.from_function(circle.grid(32), lambda x: 1 + 0.5 * jnp.cos(x[0]))


def solve(kappa):
    def cost(x, alpha, mu):
        c, s = mu.integrate(lambda y: jnp.cos(y[0])), mu.integrate(lambda y: jnp.sin(y[0]))
        return jnp.sum(alpha**2) / 2 + kappa * (1 - c * jnp.cos(x[0]) - s * jnp.sin(x[0]))

    return mk.games.equilibrium(mk.games.Game(model, cost), start, picard=80)


found = [solve(kappa) for kappa in strengths]
order = np.array([abs(complex(e.density.integrate(lambda x: jnp.exp(1j * x[0])))) for e in found])

# %%
# Newton's method stops at rounding.
assert abs(order[2] - 0.6795355005) < 1e-8, order
assert abs(found[2].cost - 0.6942539126) < 1e-8, found[2].cost
assert order[0] < 1e-8
assert np.all(order[1:] > 0.1)

# %%
line = np.linspace(0.1, 2.2, 60)
pulled = [mk.catalogue.kuramoto(k, 2.0).facts["order parameter"].value for k in line]
ax = mk.plot.curve(strengths, order, kind="points", label="game")
mk.plot.curve(line, pulled, ax, label="pulled, with the same noise")
ax.set(xlabel="strength κ (energy)", ylabel="order r")
mk.plot.mark({"game": 0.5, "pulled": 1.0}, ax)
plt.show()

# %%
# Change ``mk.Additive(1.0)`` to ``mk.Additive(0.8)``: the threshold falls with the fourth power of the noise.
