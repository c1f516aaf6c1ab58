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
# Theory: disorder is stable up to :math:`\kappa_\sharp = \pi/(1 - \sin 1)`, order down to the fold at 14.16.
onset, fold = entry.facts["critical strength"].value, 14.1643
assert abs(onset - np.pi / (1 - np.sin(1.0))) < 1e-9
between = (values > fold + 1) & (values < onset - 3)
assert np.all(loop.up[:, between] < 0.5)
assert np.all(loop.down[:, between] > 0.5)
assert np.all(loop.up[:, values > onset + 5] > 0.5)
assert np.all(loop.down[:, values < fold - 2] < 0.5)

# %%
fig, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
ax.plot(values, loop.up.T, "C0.-", label=["κ turned up"] + [None] * 3)
ax.plot(values, loop.down.T, "C1.-", label=["κ turned down"] + [None] * 3)
for place, name in ((fold, "fold"), (onset, "onset")):
    ax.axvline(place, color="0.6", linestyle="--")
    ax.text(place, 0.5, name, rotation=90, ha="right")
ax.set(xlabel="strength κ", ylabel="order parameter r")
ax.legend()

# %%
# Change ``stay`` to 0.5: the ramp is fast, and the loop looks wider than it is.
