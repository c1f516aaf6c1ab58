r"""
Self-attention from a simplex
=============================

Tokens on a sphere that attend to each other, without noise, collapse to one point:

.. math:: x_i' = P_{x_i}\sum_j \frac{e^{\beta\langle x_i, x_j\rangle}}{\sum_k e^{\beta\langle x_i, x_k\rangle}}\,x_j .

Where all pairs have one overlap :math:`\gamma` they keep that form, and :math:`\gamma` solves an equation on the line.
With random weights in high dimension there is another such equation.

**Slides:** The conditional law of tokens
"""

import diffrax
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import mckean as mk

jax.config.update("jax_enable_x64", True)
n, beta, dt = 8, 4.0, 0.01
settings = {"until": 6.0, "dt": dt, "every": 10, "observe": {"x": mk.observables.positions}}
tokens = mk.Particles(mk.Sphere(n), jnp.eye(n))
model = mk.catalogue.self_attention(dim=n, beta=beta).model
run = mk.evolve(model, tokens, **settings)
overlap = jnp.einsum("td,td->t", run.observed["x"][:, 0], run.observed["x"][:, 1])


def on_the_line(entry):
    start = mk.Particles(entry.model.space, jnp.zeros((1, 1)))
    return mk.evolve(entry.model, start, scheme=diffrax.Heun(), **settings).observed["x"][:, 0, 0]


# %%
# The two runs are of order 2 or 1 in dt, at rates of at most 2β.
simplex, random = on_the_line(mk.catalogue.simplex(n, beta)), on_the_line(mk.catalogue.high_dimension(n, beta))
assert jnp.abs(overlap - simplex).max() < 2 * beta * dt, jnp.abs(overlap - simplex).max()

# %%
ax = mk.plot.overlap(run.times, simplex, label="equation on the line")
mk.plot.series(run.times, random, ax, label="random weights, high dimension")
mk.plot.curve(run.times, overlap, ax, kind="points", label=f"{n} tokens")
ax.set(xlabel="time $t$", ylabel="overlap γ")
plt.show()

# %%
# Change ``beta`` to 9: the tokens stay apart for a long time, and then meet fast.
