r"""
Tokens in high dimension
========================

As the dimension grows the mean overlap of tokens in the toy Transformer loses its noise:

.. math:: m' = \alpha m(1 - m), \qquad R_{ij}(t) = 1 - (1 - R_{ij}(0))\frac{1 - m(t)}{1 - m(0)} .

From orthonormal tokens, :math:`m = 1/n`, half of the collapse takes the time :math:`\log(n - 1)/\alpha`.

**Slides:** High dimension
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
n, until, dt, replicas = 8, 6.0, 0.05, 64
limit = mk.catalogue.logistic_overlap(n).model


def run(key, d):
    tokens = mk.Particles(mk.Sphere(d), jnp.eye(n, d))
    record = {"m": mk.observables.mean_overlap}
    settings = {"until": until, "dt": dt, "path": mk.Brownian(key), "scheme": mk.Moebius()}
    return mk.evolve(mk.catalogue.toy_transformer(dim=d).model, tokens, observe=record, every=4, **settings).observed[
        "m"
    ]


start = mk.Particles(limit.space, jnp.full((1, 1), 1 / n))
curve = mk.evolve(limit, start, until=until, dt=0.01, observe={"m": mk.observables.positions}, every=20)
m = curve.observed["m"][:, 0, 0]
# The mean over all pairs, those of a token with itself among them, which ``mean_overlap`` leaves out.
found = {
    d: (1 + (n - 1) * mk.statistics.replicate(lambda k, d=d: run(k, d), jax.random.key(d), replicas)) / n
    for d in (8, 32, 128)
}

# %%
# The limit is a logistic function, with Euler's steps of order dt. In d dimensions the rate is less by (2 + R)/d at
# most, which delays a curve of slope ¼ by 3T/d; its bend adds the square of the spread, which is of order 1/√d.
exact = 1 / (1 + (n - 1) * np.exp(-curve.times))
spread = {d: z.std(0).max() for d, z in found.items()}
allowed = 3 * until / 4 / 128 + spread[128] ** 2 + 5 * spread[128] / np.sqrt(replicas)
assert np.abs(m - exact).max() < 0.01
assert np.abs(found[128].mean(0) - exact).max() < allowed
assert spread[128] < spread[32] < spread[8], spread

# %%
ax = None
for d, z in found.items():
    ax = mk.plot.series(curve.times, z, ax, band="spread", level=0.8, label=f"d = {d}, mean and 80 % of runs")
mk.plot.curve(curve.times, exact, ax, kind="exact", label="d = ∞")
ax.set(xlabel="time αt", ylabel="mean overlap m")
plt.show()

# %%
# Change ``n`` to 4: the collapse begins sooner, by log(7/3).
