r"""
An error that grows with time
=============================

Above the transition the limit has a circle of stationary states, one for each phase :math:`\psi`. Nothing holds the
phase of :math:`N` particles, which diffuses:

.. math:: N\,\mathrm{Var}\,\psi_t \approx \frac{2}{\beta}\,\frac{t}{1 - I_0(\beta Kr)^{-2}} .

No estimate of the error of the limit can be uniform in time there.

**Slides:** Uniform in time, or not
"""

import jax
import matplotlib.pyplot as plt
import numpy as np
from scipy.special import iv

import mckean as mk

jax.config.update("jax_enable_x64", True)
strength, n, replicas, dt = 4.0, 200, 512, 0.05
entry = mk.catalogue.kuramoto(strength)
kr = strength * entry.facts["order parameter"].value
law = mk.VonMises(mk.Torus(1), 0.0, kr)


def run(key):
    start, noise = jax.random.split(key)
    record = {"z": mk.observables.mode(1)}
    cloud, path = law.sample(start, n), mk.Brownian(noise)
    return mk.evolve(entry.model, cloud, until=10.0, dt=dt, path=path, observe=record, every=10).observed["z"]


times = np.arange(21) * 10 * dt
phase = np.unwrap(np.angle(mk.statistics.replicate(run, jax.random.key(0), replicas)), axis=1)

# %%
# A variance of R runs has the relative error √(2/R). The law is off by 1/N, and Euler's steps by K dt/2 relatively.
grown = n * (phase[:, -1] - phase[:, 4]).var() / (times[-1] - times[4])
exact = 2 / (1 - iv(0, kr) ** -2)
assert abs(grown / exact - 1) < 5 * np.sqrt(2 / replicas) + strength * dt / 2, (grown, exact)

# %%
label = f"mean of {replicas} runs, and 68 % of them"
ax = mk.plot.series(times, phase, paths=30, band="spread", level=0.6827, label=label)
for sign, name in ((1, "±√(Dt/N), theory"), (-1, None)):
    mk.plot.curve(times, sign * np.sqrt(exact * times / n), ax, kind="exact", number=0, label=name)
ax.set(ylabel="phase ψ (radian)")
plt.show()

# %%
# Change ``strength`` to 2.2: near the transition the phase moves faster.
