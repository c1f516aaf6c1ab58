r"""
Charges on a line find the zeros of Hermite's polynomial
========================================================

The energy of :math:`N` particles is

.. math:: H_N = \sum_i V(x_i) + \frac{1}{2N}\sum_{i,j} W(x_i - x_j) .

Without noise each particle follows :math:`-\nabla_{x_i} H_N`, so that the energy falls. With :math:`V = x^2/2` and
:math:`W = -\log|x|` it falls to its minimum, at the zeros of the polynomial :math:`H_N` over :math:`\sqrt N`.

**Slides:** The energy
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
n, until = 10, 16.0
model = mk.catalogue.log_gas().model
start = mk.Particles(model.space, jnp.linspace(0.5, 3.0, n)[:, None])
record = {"x": mk.observables.positions, "energy": mk.observables.energy}
run = mk.evolve(model, start, until=until, dt=0.01, observe=record, every=10)

# %%
# The force on each particle is the gradient of the energy. ``energy`` is per particle, hence the factor N.
gradient = jax.grad(lambda x: -n * mk.observables.energy(model, mk.Particles(model.space, x)))(start.positions)
assert jnp.allclose(gradient, model.force(start.positions, start), atol=1e-12)  # rounding
zeros = np.polynomial.hermite.hermroots([0.0] * n + [1.0]) / np.sqrt(n)
error = np.abs(np.sort(run.final.positions[:, 0]) - zeros).max()
assert error < 3 * np.exp(-until) + 1e-12, error  # the slowest rate is that of the mean, 1, from a distance below 3
assert np.all(np.diff(run.observed["energy"]) <= 1e-14)

# %%
ax = mk.plot.series(run.times, run.observed["x"][..., 0].T, paths=n, band=None, label="mean of the particles, and each")
for k, zero in enumerate(zeros):
    mk.plot.curve(
        [0, 6], [zero, zero], ax, kind="exact", number=0, label=None if k else "zeros of Hermite's polynomial"
    )
ax.set(ylabel="position $x$ (length)", xlim=(0, 6))
plt.show()

# %%
# Change ``strength`` of ``log_gas(strength=4.0)``: all distances double.
