r"""
Descent by steps that minimise
==============================

The flow of steepest descent is the limit of steps that each minimise

.. math:: \mu_{n+1} = \arg\min_\mu\; F(\mu) + \frac{W_2^2(\mu, \mu_n)}{2\tau} .

For normal laws in a bowl a step is known: :math:`m^+ = m/(1 + a\tau)`, and a quadratic equation for the standard
deviation. Its error is of order :math:`\tau`.

**Slides:** Minimising movements
"""

import jax
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
a, c, until = 1.0, 0.5, 2.0
model, start = mk.catalogue.ornstein_uhlenbeck(a, c).model, mk.Gaussian(1.0, 0.1)
taus = np.array([0.5, 0.25, 0.125, 0.0625])
record = {"m": mk.observables.mean}
runs = [mk.evolve(model, start, until=until, dt=t, scheme=mk.JKO(), observe=record, every=1) for t in taus]

# %%
# The mean after k steps is exact to rounding, and the error of the last one is :math:`a^2T\tau/2` to first order.
for tau, run in zip(taus, runs, strict=True):
    steps = np.arange(len(run.times))
    assert np.allclose(run.observed["m"][:, 0], (1 + a * tau) ** -steps, atol=1e-12)
errors = np.array([run.final.mean[0] - np.exp(-a * until) for run in runs])
orders = np.log2(errors[:-1] / errors[1:])
assert np.all(np.abs(orders - 1) < a * taus[:-1]), orders

# %%
ax, times = None, np.linspace(0, until, 100)
for tau, run in zip(taus[:3], runs[:3], strict=True):
    ax = mk.plot.curve(run.times, run.observed["m"][:, 0], ax, kind="points", label=f"steps of τ = {tau:g}")
mk.plot.curve(times, np.exp(-a * times), ax, kind="exact", label="flow, $e^{-at}$")
ax.set(xlabel="time $t$", ylabel="mean m (length)")
plt.show()

# %%
# Change ``a`` to 10: the steps stay stable at any τ, since each one is implicit.
