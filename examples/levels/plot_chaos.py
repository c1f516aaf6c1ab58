r"""
Particles become independent as N grows
=======================================

Two of :math:`N` particles are correlated, since each acts on the other a little. The correlation is of order
:math:`1/N`:

.. math:: \mathrm{Cov}(f(X_1), f(X_2)) \approx \frac{C}{N} .

For linear forces that start independent :math:`NC` is known, :math:`v_c - v_\perp`, from the variances of
:math:`\sqrt N\bar X` and of one particle.

**Slides:** Propagation of chaos
"""

import jax
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
a, c, until, dt = 1.0, -0.5, 1.0, 0.02
model, sizes = mk.catalogue.ornstein_uhlenbeck(a, c).model, (5, 10, 20, 40)
rate = mk.couplings.chaos_rate(
    model,
    mk.Gaussian(0.0, 1.0),
    lambda x: x[0],
    sizes=sizes,
    until=until,
    dt=dt,
    replicas=20_000,
    key=jax.random.key(0),
)

# %%
# Both variances solve v′ = −2λv + 2, with the rates a and a + c. Euler's steps add a relative λ dt.
variance = lambda rate: 1 / rate + (1 - 1 / rate) * np.exp(-2 * rate * until)  # noqa: E731
exact = (variance(a) - variance(a + c)) / np.array(sizes)
errors = rate.errors
assert np.all(np.abs(errors.value - np.abs(exact)) < 5 * errors.stderr + 2 * a * dt * np.abs(exact)), errors
assert abs(rate.slope.value + 1) < 5 * rate.slope.stderr, rate.slope

# %%
ax = mk.plot.rate(rate, exponent=-1)
ax.set(ylabel="|Cov($X_1$, $X_2$)|")
plt.show()

# %%
# Change ``c`` to 0: the particles are independent, and ``chaos_rate`` says that there is nothing to fit.
