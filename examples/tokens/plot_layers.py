r"""
Layers of a random Transformer and their limit
==============================================

A layer with random weights moves each token and puts it back on the sphere,

.. math:: x_i \leftarrow N\Bigl(x_i + \frac{\eta}{H}\sum_h V_h\, m_{A_h}(x_i)\Bigr) .

Many thin layers act as a noise that is common to all tokens. In the clock :math:`s = L\eta^2/H` the tokens follow a
stochastic equation that knows neither :math:`\eta` nor the number :math:`H` of heads.

**Slides:** Layers as steps; The homogenised Transformer
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
d, n, heads, eta, dt, until, replicas = 16, 6, 4, 0.2, 0.02, 2.0, 96
model = mk.catalogue.random_transformer(dim=d, beta=1.0, heads=heads, spread=1.0).model
tokens = mk.Particles(model.space, jnp.eye(n, d))


def run(key, scheme, dt, every):
    record = {"m": mk.observables.mean_overlap}
    path = mk.Brownian(key)
    return mk.evolve(model, tokens, until=until, dt=dt, path=path, scheme=scheme, observe=record, every=every).observed[
        "m"
    ]


layers = mk.statistics.replicate(lambda k: run(k, mk.Layers(), eta**2 / heads, 20), jax.random.key(0), replicas)
limit = mk.statistics.replicate(lambda k: run(k, mk.GeodesicEuler(), dt, 10), jax.random.key(1), replicas)

# %%
# Five standard errors, and the weak order 1 of both, over the time T and at rates of order 1: a layer is a step
# :math:`\eta^2/H` of the clock.
one, other = mk.statistics.average(layers), mk.statistics.average(limit)
gap, error = np.abs(one.value - other.value), np.hypot(one.stderr, other.stderr)
assert np.all(gap < 5 * error + (eta**2 / heads + dt) * until), gap

# %%
depth = np.linspace(0, until, len(one.value))
ax = mk.plot.overlap(depth, other, label="limit, with its interval")
label = f"{round(until * heads / eta**2)} layers, {heads} heads"
mk.plot.curve(depth, one, ax, kind="points", label=label)
ax.set(xlabel="clock s = Lη²/H", ylabel="mean overlap of the tokens", ylim=(-0.02, 1.05))
plt.show()

# %%
# Change ``eta`` to 0.5: six times fewer layers, and a gap that the error bars no longer hide.
