r"""
Without own noise there is no sampling error
============================================

Where tokens have no noise of their own, their empirical measure solves the equation of the limit exactly. Only the
error of the start is left, and the environment carries it on:

.. math:: \max_i E\sup_t|x_i - \bar x_i|^2 + E\sup_t W_2^2 \le \frac{C_T}{n}\sum_i E|x_i(0) - \bar x_i(0)|^2 .

If each token is taken twice the measure is the same, and so must be the run.

**Slides:** The conditional law of tokens
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import mckean as mk

jax.config.update("jax_enable_x64", True)
sphere, n = mk.Sphere(3), 12
model = mk.catalogue.self_attention(dim=3, beta=2.0, common=mk.Heads(beta=1.0, spread=1.0, heads=2)).model
start = mk.VonMisesFisher(sphere, jnp.array([1.0, 0, 0]), 2.0).sample(jax.random.key(0), n)
twice = mk.Particles(sphere, jnp.concatenate([start.positions] * 2))
shift = jnp.array([0.0, 0.02, 0.01])
moved = [mk.Particles(sphere, sphere.retract(start.positions + s * shift)) for s in (1.0, 0.5)]
record = {"x": mk.observables.positions}
settings = {"until": 3.0, "dt": 0.02, "path": mk.Brownian(jax.random.key(1)), "observe": record, "every": 5}
runs = [mk.evolve(model, tokens, scheme=mk.GeodesicEuler(), **settings) for tokens in (start, twice, *moved)]

# %%
# The copies move as the originals do, to rounding. The error is in proportion to that of the start: of half of it there
# is half. With a sampling error the quotient would be nearer to 1; with the root of the start's error, √2. What is
# not linear adds a share of the order of the distance, which is near 0.1.
x, both, near, nearer = (run.observed["x"] for run in runs)
assert jnp.abs(both[:, :n] - x).max() < 1e-9
distance, half = (jnp.sqrt(jnp.mean(jnp.sum((y - x) ** 2, axis=2), axis=1)) for y in (near, nearer))
assert jnp.all(jnp.abs(distance / half - 2) < (2 - jnp.sqrt(2)) / 2), distance / half

# %%
ax = mk.plot.series(runs[0].times, distance, log="y", label="distance of the clouds")
mk.plot.series(runs[0].times, half, ax, label="from half of the start's error")
mk.plot.curve(runs[0].times, distance / 2, ax, kind="exact", label="half of the distance")
ax.set(ylabel="root mean square distance of tokens")
plt.show()

# %%
# Change ``mk.Brownian`` of one run to another key: the clouds are no longer in one environment, and part.
