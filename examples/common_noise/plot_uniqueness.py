r"""
Stirring against a phase transition
===================================

On a torus with the attraction :math:`W = -\kappa(\cos x_1 + \cos x_2)` and :math:`\kappa = 4` disorder is unstable: a
small wave grows at the rate :math:`\lambda = -1 + \kappa/2 = 1`. A transport noise of intensity :math:`K` acts on its
mean as diffusion does,

.. math:: \frac{d}{dt} E\hat\eta_q = (\lambda - K)\,E\hat\eta_q ,

and for a large :math:`K` only disorder is left.

**Slides:** Noise that leaves one steady state
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import mckean as mk

jax.config.update("jax_enable_x64", True)
intensities, dt, until = (0.0, 0.5, 4.0), 0.005, 6.0
torus = mk.Torus(2)
start = mk.Density.from_function(torus.grid(24), lambda x: 1 + 0.3 * jnp.cos(x[0]) + 0.2 * jnp.cos(x[1]))
path, record = mk.Brownian(jax.random.key(0)), {"r": mk.observables.order_parameter((1, 0))}
models = {K: mk.catalogue.transport(4.0, K, reach=2.0).model for K in intensities[1:]}
models[0.0] = mk.langevin(torus, interaction=mk.kernels.Cosine(4.0))
runs = {K: mk.evolve(models[K], start, until=until, dt=dt, path=path, observe=record, every=40) for K in intensities}

# %%
# Without noise the end is the ordered state of each axis, of Kuramoto's model at twice its threshold: the wave grows up
# to it at the rate 1, then comes to it at a rate above 2. With little noise the wave grows too. With much it is lost:
# a wave that kept its size is the nearest wrong value, and the bound lies half-way in the rate between that and theory.
r = mk.catalogue.kuramoto(4.0).facts["order parameter"].value
first, last = ({K: run.observed["r"][k] for K, run in runs.items()} for k in (0, -1))
assert abs(last[0.0] - r) < jnp.exp(-2 * (until - jnp.log(r / first[0.0]))), last[0.0]
rate = {K: mk.catalogue.transport(4.0, K, reach=2.0).facts["mean growth rate"].value for K in intensities[1:]}
assert rate[0.5] > 0 > rate[4.0]
assert last[0.5] > first[0.5]
assert last[4.0] < first[4.0] * jnp.exp(rate[4.0] * until / 2), last[4.0]

# %%
ax = None
for K, run in runs.items():
    ax = mk.plot.series(run, "r", ax, log="y", label=f"K = {K:g}")
mk.plot.curve(run.times, r + 0 * run.times, ax, kind="exact", label="ordered state, no noise")
ax.set(ylabel="order of the wave $e^{ix_1}$")
plt.show()

# %%
# Change ``reach`` to 1.0: a noise of long waves alone stirs less well, at the same intensity.
