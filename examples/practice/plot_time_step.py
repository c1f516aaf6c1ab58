r"""
How long may a step be?
=======================

The same Brownian path can be used with several time steps: ``path.refine(k)`` makes steps k times shorter on it. For
a noise that does not depend on the state Euler's scheme has the strong order 1,

.. math:: E|X^{dt}_T - X_T| \approx C\,dt .

**Slides:** The particle system
"""

import jax
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
model, n, longest = mk.catalogue.kuramoto(3.0).model, 2000, 0.1
cloud, path = mk.VonMises(mk.Torus(1)).sample(jax.random.key(0), n), mk.Brownian(jax.random.key(1))
factors = np.array([1, 2, 4, 8, 64])
ends = [mk.evolve(model, cloud, until=1.0, dt=longest / k, path=path.refine(int(k))).final.positions for k in factors]
errors = np.array([np.sqrt(np.mean(np.sin((x - ends[-1]) / 2) ** 2) * 4) for x in ends[:-1]])

# %%
# The reference is 8 times finer than the last, which moves the order by less than 1/7; the next order in dt,
# of relative size K dt, moves it as well.
steps = longest / factors[:-1]
order = np.log2(errors[:-1] / errors[1:])
assert np.all(np.abs(order - 1) < 1 / 7 + 3 * steps[:-1]), order

# %%
ax = mk.plot.curve(steps, errors, kind="points", log="xy", label="error at t = 1, root mean square")
mk.plot.curve(steps, errors[0] * steps / steps[0], ax, kind="exact", label="order 1")
mk.plot.curve(steps, errors[0] * np.sqrt(steps / steps[0]), ax, kind="exact", label="order ½, which is wrong")
ax.set(xlabel="time step dt", ylabel="error (radian)")
plt.show()

# %%
# Change ``path.refine(int(k))`` to ``path``: each step has a noise of its own, and the errors do not fall at all.
