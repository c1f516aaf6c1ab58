r"""
A bifurcation diagram
=====================

Particles in a double well attract each other. At low noise the law of a particle chooses a side; at high noise it does
not. The steady states solve

.. math:: \rho = \tfrac1Z e^{-\beta(V + W*\rho)},

and are followed as the temperature :math:`1/\beta` changes.

**Slides:** All steady states
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import mckean as mk

jax.config.update("jax_enable_x64", True)
line = mk.Euclidean(1)
wells = lambda x: x[0] ** 4 / 4 - x[0] ** 2 / 2  # noqa: E731
spring = mk.interactions.place(mk.kernels.Quadratic(1.0), line)
model_of = lambda heat: mk.langevin(line, wells, spring, beta=1 / heat)  # noqa: E731
grid, within = line.grid(160, -4.0, 4.0), (0.2, 0.8)


def branch(place):
    start = mk.Density.from_function(grid, lambda x: jnp.exp(-4 * (x[0] - place) ** 2))
    state = mk.phases.steady_state(model_of(0.21), start)
    return mk.phases.continuation(model_of, state, 0.21, within)


# %%
# Two starts, two branches: a symmetric one, and one that goes through both sides. Dashed where a state is not stable.
branches = [branch(place) for place in (0.0, 1.0)]
ax = mk.plot.branches(branches, coordinate=lambda state: state.order[0], parameter="temperature 1/β")
ax.set(ylabel="mean of the steady state", xlim=within)
plt.show()

# %%
# Both branches meet where the symmetric state loses its stability: at :math:`\\beta\\langle x^2\\rangle = 1`, which is
# 2.18844. Cells of size h = 0.05 move the place by order h², relatively. Without the attraction there is none.
crossing, turn = (branches[k].events[0].parameter for k in (0, 1))
assert abs(crossing * 2.18844 - 1) < 0.05**2, crossing
assert abs(turn * 2.18844 - 1) < 0.05**2, turn
