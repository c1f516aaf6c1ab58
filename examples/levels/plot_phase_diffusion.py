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
fig, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
ax.plot(times, phase[:30].T, color="C0", alpha=0.4, linewidth=0.8)
ax.plot(times, phase.std(0), "C1", linewidth=2, label=f"standard deviation of {replicas} runs")
ax.plot(times, np.sqrt(exact * times / n), "k--", label="√(Dt/N), theory")
ax.set(xlabel="time t", ylabel="phase ψ")
ax.legend()

# %%
# Change ``strength`` to 2.2: near the transition the phase moves faster.
