r"""
A stationary law that is random
===============================

Particles in a bowl, in an environment that acts for ever, do not come to rest. Their law given the environment is
normal at all times, with a mean that wanders and a variance that does not:

.. math:: m \sim N\Bigl(0, \frac{\sigma_0^2}{2a}\Bigr), \qquad v = \frac{1}{\beta(a + c)} .

``pullback`` starts the law far back in time and looks at it now.

**Slides:** The invariant random measure
"""

import jax
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
a, c, common, depth, dt, replicas = 1.0, 0.5, 1.2, 6.0, 1 / 16, 1000
model = mk.langevin(mk.Euclidean(1), mk.potentials.Quadratic(a), mk.kernels.Quadratic(c), common=mk.Additive(common))
start = mk.Gaussian(1.0, 1.0)


def law(key):
    (now,) = mk.environments.pullback(model, start, depths=(depth,), dt=dt, path=mk.Brownian(key))
    return now.mean[0], now.covariance[0, 0]


means, variances = mk.statistics.replicate(law, jax.random.key(0), replicas)

# %%
# A variance of R environments has the relative error √(2/R); steps add (a dt)², the start leaves :math:`e^{-2aT}`.
exact = common**2 / (2 * a)
assert abs(means.var() / exact - 1) < 5 * np.sqrt(2 / replicas) + (a * dt) ** 2, means.var()
assert np.abs(variances - 1 / (a + c)).max() < np.exp(-2 * a * depth) + (a * dt) ** 4

# %%
ax = mk.plot.particles(mk.Particles(model.space, means[:, None]), label=f"means in {replicas} environments")
mk.plot.density(mk.Gaussian(0.0, exact), ax, label="law of the mean")
for m, v in zip(means[:3], variances[:3], strict=True):
    mk.plot.density(mk.Gaussian(m, v), ax, color="0.4", label="a stationary law" if m == means[0] else None)
ax.set(xlim=(-3, 3), ylim=(0, 1))
plt.show()

# %%
# Change ``c`` to 5: the laws become narrow, and their means wander as before.
