r"""
The law of two particles
========================

The law :math:`f_t` of :math:`N` particles together solves a linear equation on the product of their spaces,

.. math:: \partial_t f = \nabla\cdot(f\,\nabla H_N) + \beta^{-1}\Delta f .

For two oscillators that is an equation on a torus. The forces on them are opposite, so that the sum of the two angles
is a free Brownian motion: :math:`E\cos(X_1 + X_2)` falls as :math:`e^{-2t}`, whatever the coupling.

**Slides:** The law of N particles
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import mckean as mk

jax.config.update("jax_enable_x64", True)
strength, dt = 3.0, 0.01
one = mk.catalogue.kuramoto(strength).model
two = mk.liouville(one, 2)
law = mk.Density.from_function(one.space.grid(32), lambda x: jnp.exp(jnp.cos(x[0] - 1)))
rest = mk.gibbs_density(two, mk.tensor_power(law, 2).grid)
record = {
    "sum": mk.observables.average(lambda x: jnp.cos(x[0] + x[1] - 2)),
    "entropy": lambda model, f: mk.relative_entropy(f, rest),
}
run = mk.evolve(two, mk.tensor_power(law, 2), until=2.0, dt=dt, observe=record, every=10)

# %%
# The relative entropy to the Gibbs measure falls, and the mean of the sum as theory says.
exact = run.observed["sum"][0] * jnp.exp(-2 * run.times)
error = jnp.abs(run.observed["sum"] - exact).max()
assert error < (strength * 16 * dt) ** 4, error  # order 4; the force moves modes up to 16 at the rate 16K
assert jnp.all(jnp.diff(run.observed["entropy"]) < 0)

# %%
with mk.plot.style():
    fig, (left, right) = plt.subplots(1, 2, figsize=(6.6, 3.2), layout="constrained")
mk.plot.density(run.final, left, bar=False)
left.set(title="density at t = 2")
mk.plot.series(run, "entropy", right, log="y", label="relative entropy")
mk.plot.series(run.times, run.observed["sum"], right, exact=exact, label="E cos($X_1 + X_2 - 2$)")
right.set(ylabel="entropy, mean", ylim=(3e-3, 20))
plt.show()

# %%
# Change ``strength`` to 0: the two particles stay independent, and the density is a product for ever.
