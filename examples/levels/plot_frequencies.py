r"""
Oscillators that are not all alike
==================================

Each oscillator has a frequency of its own, from the law of Cauchy with half-width :math:`\gamma`:

.. math:: \theta_i' = \omega_i + \frac{K}{N}\sum_j \sin(\theta_j - \theta_i), \qquad r = \sqrt{1 - 2\gamma/K} .

The frequency is a label that does not move: a ``Population`` has a model for each label, a ``Family`` a measure.

**Slides:** Particles that are not all alike
"""

import diffrax
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
width, n, dt = 1.0, 400, 0.05
circle = mk.Torus(1)
# Quantiles of the law of Cauchy, which have less scatter than random draws.
omega = width * jnp.tan(jnp.pi * ((jnp.arange(n) + 0.5) / n - 0.5))
start = mk.Family.split(mk.Particles(circle, jnp.zeros((n, 1))), n)


def model(strength):
    pull = mk.kernels.Cosine(strength)
    return lambda w: mk.Model(circle, interaction=pull, drift=lambda x, mu: w + 0 * x)


@jax.jit
def order(strength):
    r = {"r": mk.observables.order_parameter(1)}
    population = mk.Population(model(strength), omega)
    run = mk.evolve(population, start, until=40.0, dt=dt, scheme=diffrax.Heun(), observe=r, every=20)
    return run.observed["r"][20:].mean()


# %%
# The largest frequency left out has the share 1/N; the chance to turn once in a step is Krγdt²/6π.
strengths = np.array([2.5, 3.0, 4.0, 6.0])
found = np.array([order(k) for k in strengths])
exact = np.array([mk.catalogue.lorentzian_order(k, width) for k in strengths])
slack = 2 / n / (1 - 2 * width / strengths) / exact**2 + strengths * exact * width * dt**2 / (6 * np.pi)
assert np.all(np.abs(found - exact) < slack), (found, exact, slack)

# %%
line = np.linspace(0.5, 6.5, 200)
ax = mk.plot.curve(strengths, found, kind="points", label=f"{n} oscillators")
known = [mk.catalogue.lorentzian_order(k, width) for k in line]
mk.plot.curve(line, known, ax, kind="exact", label="√(1 − 2γ/K)")
ax.set(xlabel="coupling K (1/time)", ylabel="order parameter r")
plt.show()

# %%
# Change ``width`` to 0.5: the transition moves from K = 2 to K = 1.
