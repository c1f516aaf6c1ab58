r"""
A bifurcation diagram
=====================

Particles in a double well attract each other. At low noise the law of a particle chooses a side; at high noise it does
not. The steady states solve

.. math:: \rho = \tfrac1Z e^{-\beta(V + W*\rho)},

and are followed as the temperature :math:`1/\beta` changes.
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
line = mk.Euclidean(1)
wells = lambda x: x[0] ** 4 / 4 - x[0] ** 2 / 2  # noqa: E731
spring = mk.interactions.place(mk.kernels.Quadratic(1.0), line)
model_of = lambda heat: mk.langevin(line, wells, spring, beta=1 / heat)  # noqa: E731
grid, within = line.grid(160, -4.0, 4.0), (0.2, 0.8)


def branch(place):
    start = mk.Density.from_function(grid, lambda x: jnp.exp(-4 * (x[0] - place) ** 2))
    state = mk.phases.steady_state(model_of(0.3), start)
    return mk.phases.continuation(model_of, state, 0.3, within)


# %%
# Three starts, three branches; dashed where a state is not stable.
fig, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
branches = [branch(place) for place in (-1.0, 0.0, 1.0)]
for one in branches:
    order = np.array([state.order[0] for state in one.states])
    ax.plot(one.parameters, order, "C0--", linewidth=1)
    ax.plot(one.parameters, np.where(one.index == 0, order, np.nan), "C0", linewidth=2)
    for event in one.events:
        ax.axvline(event.parameter, color="0.7", linestyle=":")
ax.set(xlabel="temperature 1/β", ylabel="mean of the steady state", xlim=within)
plt.show()
