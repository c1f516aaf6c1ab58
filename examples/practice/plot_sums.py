r"""
Which sum is used, and how good is it?
======================================

The force on each of :math:`N` particles is a sum over all others,

.. math:: F_i = -\frac1N\sum_j \nabla W(x_i - x_j) ,

which takes :math:`N^2` operations as it stands. The library chooses a faster one from the kernel, the cloud and a
tolerance, says why, and measures its error.

**Slides:** The particle system
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
circle = mk.Torus(1)
cloud = mk.VonMises(circle).sample(jax.random.key(0), 20_000)
k = np.arange(1, 201)
kernel = mk.kernels.FourierSeries(k, 1 / k)  # −log|2 sin(x/2)|, cut off at 200 modes
print(mk.interactions.explain(kernel, cloud))
tolerances = 10.0 ** -np.arange(3, 10, 2)
placed = [mk.interactions.place(kernel, circle, tolerance=t) for t in tolerances]
errors = [mk.interactions.certificate(w, cloud, jax.random.key(1)).error for w in placed]

# %%
# The error is that of the force, on a sample of particles, against the direct sum. The tolerance is relative to the
# size of ∇W: where forces cancel the error relative to the force may be larger by ‖∇W‖ over ‖F‖, and no more.
point = mk.Particles(circle, cloud.positions[:1])
x = jnp.linspace(0, 2 * jnp.pi, 1001)[1:, None]
gradient = jnp.sqrt(jnp.mean(mk.interactions.force(kernel, point, x) ** 2))
force = jnp.sqrt(jnp.mean(mk.interactions.force(kernel, cloud, cloud.positions[:500]) ** 2))
assert np.all(np.array(errors) < tolerances * gradient / force), errors

# %%
ax = mk.plot.curve(tolerances, errors, kind="points", log="xy", label="measured error of the force")
mk.plot.curve(tolerances, tolerances * gradient / force, ax, kind="exact", label="tolerance, of the force")
ax.set(xlabel="tolerance, of the size of ∇W", ylabel="relative error")
plt.show()

# %%
# Change ``1 / k`` to ``1 / k**3``: ``explain`` needs fewer modes, and says so.
