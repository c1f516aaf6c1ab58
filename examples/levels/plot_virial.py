r"""
Spread or collapse
==================

In the plane :math:`N` particles attract each other by a logarithm, :math:`W = c\log|x|`, as cells do that follow what
they secrete. The mean square of their distance to the centre has a rate that depends on two numbers alone:

.. math:: \frac{dQ}{dt} = \Bigl(1 - \frac1N\Bigr)\Bigl(\frac{2d}{\beta} - c\Bigr), \qquad c = \chi/2\pi .

They spread for :math:`\chi < 8\pi`, and collapse above.

**Slides:** Singular interactions
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
n, replicas, until, dt, strengths = 50, 256, 0.2, 0.002, np.array([4.0, 6.0, 8.0, 10.0]) * np.pi


def spread(strength):
    def run(key):
        start, noise = jax.random.split(key)
        model = mk.catalogue.keller_segel(strength).model
        cloud = mk.Gaussian(jnp.zeros(2), jnp.eye(2)).sample(start, n)
        ends = (cloud, mk.evolve(model, cloud, until=until, dt=dt, path=mk.Brownian(noise)).final)
        before, after = (jnp.sum(jnp.var(mu.positions, axis=0)) for mu in ends)
        return (after - before) / until

    return mk.statistics.average(mk.statistics.replicate(run, jax.random.key(0), replicas))


# %%
# Five standard errors. Euler's steps add dt E|b|² for the attraction b: c² log(4/3)/2 of it is that of the whole cloud,
# and c² log(p)/4N, for the p = 3·10⁷ pairs that are met in all steps, that of two particles which nearly meet.
found = mk.statistics.join([spread(float(s)) for s in strengths])
exact = (1 - 1 / n) * (4 - strengths / (2 * np.pi))
bias = dt * (strengths / (2 * np.pi)) ** 2 * (np.log(4 / 3) / 2 + np.log(3e7) / (4 * n))
assert np.all(np.abs(found.value - exact) < 5 * found.stderr + bias), (found, exact)

# %%
ax = mk.plot.curve(strengths / np.pi, found, kind="points", label=f"{n} particles")
mk.plot.curve(strengths / np.pi, exact, ax, kind="exact", label="theory")
ax.set(xlabel="strength χ/π", ylabel="rate of the mean square, dQ/dt")
mk.plot.mark({"no spread": 8.0}, ax)
plt.show()

# %%
# Change ``n`` to 2: one pair alone spreads at half the rate.
