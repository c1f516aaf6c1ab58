r"""
How near are N points to their law?
===================================

The empirical measure of :math:`N` independent points is not their law. On the line

.. math:: \sqrt N\, E\,W_1(\mu^N, \mu) \to \sqrt{2/\pi}\int \sqrt{F(1 - F)}\,dx ,

with :math:`F` the distribution function. For the normal law the constant is 1.288379.

**Slides:** The empirical measure
"""

import jax
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
law, sizes = mk.Gaussian(0.0, 1.0), (100, 400, 1600, 6400)
rate = mk.transport.empirical_rate(law, sizes, jax.random.key(0), replicas=128, p=1)
constant = mk.transport.mean_distance_constant(law)

# %%
# The constant is that of the limit. At finite N it is off by less than :math:`1/\sqrt N`, relatively.
scaled = rate.errors.value * np.sqrt(sizes)
allowed = 5 * rate.errors.stderr * np.sqrt(sizes) + constant / np.sqrt(sizes)
assert abs(constant - 1.288379190) < 1e-6
assert np.all(np.abs(scaled - constant) < allowed), scaled
assert abs(rate.slope.value + 0.5) < 5 * rate.slope.stderr + 0.01, rate.slope

# %%
ax = mk.plot.rate(rate, exponent=-0.5)
ax.set(xlabel="number of points N", ylabel="E W₁(μᴺ, μ) (length)")
plt.show()

# %%
# Change ``p`` to 2: the normal law has tails, and the exponent of E W₂² is no longer that of the theorem.
