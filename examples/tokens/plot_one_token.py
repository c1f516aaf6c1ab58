r"""
The law of one token
====================

A token of the toy Transformer that starts uniform on the sphere is uniform at all times, though all tokens draw
together. One that starts at a point forgets it on the clock :math:`\int\kappa`, as a Brownian motion on the
sphere does:

.. math:: E\Bigl[\langle x_t, x_0\rangle\, e^{\frac{d - 1}{2}\int_0^t\kappa}\Bigr] = 1 .

**Slides:** The law of one token
"""

import jax
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
d, n, dt, replicas = 3, 8, 0.04, 2000
model = mk.catalogue.toy_transformer(dim=d).model


def run(key):
    start, noise = jax.random.split(key)
    tokens = mk.Uniform(model.space).sample(start, n)
    record = {"x": lambda model, mu: mu.positions[0], "kappa": mk.observables.kappa}
    settings = {"until": 2.0, "dt": dt, "path": mk.Brownian(noise), "scheme": mk.Moebius()}
    return mk.evolve(model, tokens, observe=record, every=1, **settings).observed


seen = mk.statistics.replicate(run, jax.random.key(0), replicas)
x, clock = seen["x"], dt * seen["kappa"][:, :-1].sum(1)
turned = np.einsum("rd,rd->r", x[:, -1], x[:, 0])

# %%
# Five standard errors. Moebius steps have a bias of order (2d + 1)/12 α dt of the clock.
product = mk.statistics.average(turned * np.exp((d - 1) / 2 * clock))
assert abs(product.value - 1) < 5 * product.stderr + (2 * d + 1) / 12 * dt * clock.mean(), product
height = mk.statistics.average(1.5 * x[:, -1, 0] ** 2 - 0.5)
assert abs(height.value) < 5 * height.stderr, height  # the mean of P₂ under the uniform law is 0

# %%
line = mk.Euclidean(1)
ax = mk.plot.particles(mk.Particles(line, x[:, -1, :1]), bounds=(-1.0, 1.0), label="height of a token")
mk.plot.particles(mk.Particles(line, turned[:, None]), ax, bounds=(-1.0, 1.0), label="overlap with its start")
mk.plot.curve([-1, 1], [0.5, 0.5], ax, kind="exact", label="uniform on S² (Archimedes)")
ax.set(xlabel="coordinate at αt = 2", ylabel="density")
plt.show()

# %%
# Change ``n`` to 1: then κ is constant, and a single token is a Brownian motion.
