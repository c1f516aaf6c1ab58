r"""
All Lyapunov exponents of a random flow
=======================================

A random vector field on the sphere with the covariance :math:`k(\langle x, y\rangle)`, the same in all directions,
moves all points at once. Its top exponent is

.. math:: \lambda_1 = \frac{d - 3}{2}\,k'(1) - \frac{d - 1}{2}\,k(1) ,

and the sum of all of them is the mean rate at which volumes shrink.

**Slides:** Synchronisation
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
entry, dt = mk.catalogue.isotropic_flow(dim=4), 0.01
point = mk.Particles(entry.model.space, jnp.eye(4)[:1])
found = mk.environments.lyapunov(
    entry.model, point, until=6.0, after=1.0, dt=dt, key=jax.random.key(0), replicas=256, every=2
).exponents

# %%
# Five standard errors, and weak order 1 of the steps at the rates of the flow, up to 6.
top, total = entry.facts["top exponent"].value, entry.facts["sum of exponents"].value
assert abs(found.value[0] - top) < 5 * found.stderr[0] + 6 * dt * abs(top), found
assert abs(found.value.sum() - total) < 5 * found.stderr.sum() + 6 * dt * abs(total), found

# %%
place = np.arange(1, 4)
ax = mk.plot.curve(place, found, kind="points", label="measured")
spaced = top + (total - 3 * top) / 3 * (place - 1)
mk.plot.curve(place, spaced, ax, kind="exact", label="evenly spaced, from the two known numbers")
ax.set(xlabel="number i", ylabel="exponent λ$_i$ (1/time)", xticks=place)
plt.show()

# %%
# Change ``dim=4`` to 3 and ``np.arange(1, 4)`` to ``np.arange(1, 3)``: two exponents, the top one −k(1).
