r"""
Do two tokens meet, or part?
============================

The overlap :math:`R = \tanh u` of two tokens is a diffusion on the line. At low temperature, in the time :math:`t/d`,

.. math:: dR = -R(1 - R^2)\,dt + \sqrt2\,(1 - R^2)\,dB, \qquad P(R_\infty = 1) = \frac12 + \frac{\arcsin R_0}{\pi} ,

so that tokens may end at opposite points. At finite temperature in :math:`d = 3`, and in the toy model, they meet.

**Slides:** Overlaps
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
starts, n = np.array([-0.8, -0.4, 0.0, 0.4, 0.8]), 4000
cold = mk.catalogue.low_temperature().model


def share(overlap, key):
    pairs = mk.Particles(cold.space, jnp.full((n, 1), jnp.arctanh(overlap)))
    ends = mk.evolve(cold, pairs, until=8.0, dt=0.02, path=mk.Brownian(key)).final
    return jnp.mean(ends.positions > 0)


found = np.array([share(r, jax.random.key(i)) for i, r in enumerate(starts)])

# %%
# A share of n has the standard error √(p(1 − p)/n) ≤ 1/2√n; Euler's steps add order dt.
exact = mk.catalogue.meeting_probability(cold, starts)
assert np.allclose(exact, 0.5 + np.arcsin(starts) / np.pi, atol=1e-6)
assert np.abs(found - exact).max() < 5 / (2 * np.sqrt(n)) + 0.02, found

# %%
times, line = np.linspace(0, 10, 60), np.linspace(-0.999, 0.999, 200)
with mk.plot.style():
    fig, (left, right) = plt.subplots(1, 2, figsize=(6.6, 3.2), layout="constrained")
mk.plot.curve(starts, found, left, error=1 / (2 * np.sqrt(n)), kind="points", label=f"{n} pairs")
mk.plot.curve(line, 0.5 + np.arcsin(line) / np.pi, left, kind="exact", label="½ + arcsin R₀ / π")
left.set(xlabel="overlap at the start R₀", ylabel="probability to meet")
for entry, name in ((mk.catalogue.two_tokens(), "attention, β = 1"), (mk.catalogue.toy_pair(), "toy model")):
    mk.plot.series(times, mk.catalogue.expected_overlap(entry.model, -0.5, times), right, label=name)
right.set(ylabel="mean overlap from −0.5")
plt.show()

# %%
# Change ``two_tokens()`` to ``two_tokens(beta=4.0)``: the opposite point attracts, and not all pairs meet.
