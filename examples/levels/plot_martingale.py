r"""
The fluctuations of a mean and their bracket
============================================

For a test function :math:`\varphi` the mean :math:`\langle\mu^N, \varphi\rangle` is a drift plus a martingale, whose
bracket falls as :math:`1/N`:

.. math:: d\langle M\rangle = \frac{2}{\beta N}\langle\mu^N, |\nabla\varphi|^2\rangle\,dt .

The sum of the squares of the steps of :math:`M` is compared with it along the same runs.

**Slides:** The martingale part
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
n, strength, dt, replicas = 100, 1.5, 0.01, 64
model, law = mk.catalogue.kuramoto(strength).model, mk.VonMises(mk.Torus(1))


def run(key):
    start, noise = jax.random.split(key)
    record = {"phi": mk.observables.ito(lambda x: jnp.cos(x[0]))}
    cloud = law.sample(start, n)
    return mk.evolve(model, cloud, until=1.0, dt=dt, path=mk.Brownian(noise), observe=record, every=1)


part = mk.couplings.ito_decomposition(mk.statistics.replicate(run, jax.random.key(0), replicas), "phi").whole

# %%
# A step of length dt has a bias of (3/β + 2K) dt, by Itô and Taylor's expansion.
quotient = mk.statistics.average(part.realised[:, -1] / part.predicted[:, -1])
assert abs(quotient.value - 1) < 5 * quotient.stderr + (3 + 2 * strength) * dt, quotient

# %%
times, bracket = np.linspace(0, 1, part.path.shape[1]), np.sqrt(part.predicted.mean(0))
label = f"mean of {replicas} runs, and 68 % of them"
ax = mk.plot.series(times, part.path, paths=20, band="spread", level=0.6827, label=label)
for sign, name in ((1, "±√bracket, predicted"), (-1, None)):
    mk.plot.curve(times, sign * bracket, ax, kind="exact", number=0, label=name)
ax.set(ylabel="martingale part of ⟨μ, cos⟩")
plt.show()

# %%
# Change ``n`` to 400: the paths shrink by a factor of two.
