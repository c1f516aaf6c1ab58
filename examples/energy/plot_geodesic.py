r"""
The shortest way between two densities
======================================

The distance :math:`W_2` is the least action of a flow from one density to the other:

.. math:: W_2^2(\mu, \nu) = \min\int_0^1\!\!\int \frac{|m|^2}{\rho}\,dx\,dt, \qquad \partial_t\rho + \nabla\cdot m = 0 .

Between normal laws the least action is known, and all densities on the way are normal.

**Slides:** Wasserstein's distance as an action
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import mckean as mk

jax.config.update("jax_enable_x64", True)
cells = 32
plane = mk.Euclidean(2)
grid = plane.grid(cells, -4.0, 4.0)
laws = [
    mk.Gaussian([-1.2, -0.6], jnp.diag(jnp.array([0.3, 0.8]))),
    mk.Gaussian([1.2, 0.6], jnp.diag(jnp.array([0.8, 0.3]))),
]
path = mk.transport.geodesic(*(mk.Density.from_law(grid, law) for law in laws), times=16, tolerance=1e-3)

# %%
# The exact distance is that of the means and of the standard deviations. If the shape stayed it would be that of the
# means alone: the bound is half-way between the two.
exact, means = mk.wasserstein(*laws), jnp.hypot(2.4, 1.2)
assert abs(path.distance - exact) < (exact - means) / 2, (path.distance, exact, means)
assert path.energy.std() / path.energy.mean() < 0.01  # constant speed, to ten times the tolerance

# %%
mk.plot.geodesic(path)
plt.show()

# %%
# Change ``[-1.2, -0.6]`` to ``[-1.2, 0.6]``: the means are nearer, and so are the densities.
