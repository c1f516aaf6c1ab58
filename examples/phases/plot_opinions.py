r"""
Opinions with a memory
======================

People move towards those whose opinion is within a distance of 1, and the pull has the strength :math:`\kappa`,

.. math:: W(x) = -\tfrac{\kappa}{2}\bigl((1 - |x|)_+\bigr)^2 .

As :math:`\kappa` is turned up slowly they agree late, and as it is turned down they part late: at one :math:`\kappa`
the cloud may be in either state. Both ways use the same noise.

**Slides:** Phase diagrams
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
circle, values = mk.Torus(1), np.linspace(11.0, 27.0, 17)
entry, k = mk.catalogue.hegselmann_krause(), np.arange(1, 25)
weights = 2 / (np.pi * k**2) * (1 - np.sin(k) / k)  # the Fourier series of ½((1 − |x|)₊)²
model_of = lambda strength: mk.langevin(circle, None, mk.kernels.FourierSeries(k, -strength * weights))  # noqa: E731
start = lambda key: mk.Uniform(circle).sample(key, 1000)  # noqa: E731
loop = mk.phases.ramps(
    model_of, start, values, mk.observables.order_parameter(1), key=jax.random.key(0), replicas=4, stay=5.0, dt=0.02
)

# %%
# Disorder is stable up to :math:`\kappa_\sharp = \pi/(1 - \sin 1)`, order down to the fold at 14.16. At κ = 17 the
# square of r is exponential on the way up, with a mean of :math:`1/N(1 - \kappa/\kappa_\sharp)` at most, and above 14
# times that with the chance e⁻¹⁴. On the way down r is normal about that of the steady state, with a variance of
# 1/Nc at most, c the least curvature, and Euler's steps move it by the share κ dt/2 of 1 − r.
onset, fold, kappa, n = entry.facts["critical strength"].value, 14.1643, 17.0, 1000
assert abs(onset - np.pi / (1 - np.sin(1.0))) < 1e-9
peak = mk.Density.from_function(circle.grid(64), lambda x: jnp.exp(4 * jnp.cos(x[0])))
state, at = mk.phases.steady_state(model_of(kappa), peak), values == kappa
assert np.all(loop.up[:, at] ** 2 < 14 / n / (1 - kappa / onset)), loop.up[:, at]
slack = 5 / np.sqrt(n * min(c for c in state.curvatures if c > 1e-6)) + kappa * 0.02 / 2 * (1 - state.order)
assert np.all(np.abs(loop.down[:, at] - state.order) < slack), (loop.down[:, at], state.order, slack)
assert np.sqrt(14 / n / (1 - kappa / onset)) < state.order - slack  # one state at each κ is excluded

# %%
ax = None
for name, order in (("κ turned up", loop.up), ("κ turned down", loop.down)):
    ax = mk.plot.curve(values, mk.statistics.average(order), ax, kind="points", label=f"{name}, mean of 4")
ax.set(xlabel="strength κ (energy)", ylabel="order parameter r")
ax.legend(loc="lower right")
mk.plot.mark({"fold": fold, "onset": onset}, ax)
plt.show()

# %%
# Change ``stay`` to 0.5: the ramp is fast, and the loop looks wider than it is.
