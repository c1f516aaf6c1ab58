r"""
Tokens that one noise draws together
====================================

In the toy Transformer all tokens on the sphere are moved by one Gaussian vector a layer,

.. math:: dx_i = \sqrt\kappa\, P_{x_i}dB - \tfrac12\kappa(d - 1)x_i\,dt, \qquad \kappa = \frac{\alpha}{d}|\bar x|^2 ,

and the overlap :math:`R` of two of them tends to 1: the mean of :math:`\log(1 - R)` falls by
:math:`(d - 1)E\int\kappa`.

**Slides:** The toy Transformer; Overlaps
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import mckean as mk

jax.config.update("jax_enable_x64", True)
d, n, until, dt, replicas = 3, 16, 8.0, 0.04, 512
model = mk.catalogue.toy_transformer(dim=d).model


def run(key):
    start, noise = jax.random.split(key)
    tokens = mk.Uniform(model.space).sample(start, n)
    record = {"R": mk.observables.overlaps(2), "kappa": mk.observables.kappa, "m": mk.observables.mean_overlap}
    settings = {"until": until, "dt": dt, "path": mk.Brownian(noise), "scheme": mk.Moebius()}
    return mk.evolve(model, tokens, observe=record, every=1, **settings).observed


seen = mk.statistics.replicate(run, jax.random.key(0), replicas)
gap, clock = 1 - seen["R"][:, :, 0, 1], (d - 1) * dt * seen["kappa"][:, :-1].cumsum(1)

# %%
# Moebius steps have a bias of (2/45)(α dt)² αt in this mean.
balance = mk.statistics.average(jnp.log(gap[:, -1] / gap[:, 0]) + clock[:, -1])
assert abs(balance.value) < 5 * balance.stderr + dt**2 * until, balance

# %%
times = jnp.arange(gap.shape[1]) * dt
theory = jnp.log(gap[:, 0]).mean() - jnp.append(0.0, clock.mean(0))
ax = mk.plot.series(times, jnp.log(gap), paths=12, exact=theory, label="mean of log(1 − R)")
ax.set(xlabel="time αt", ylabel="log(1 − R)", ylim=(-6, 1))
plt.show()

# %%
# Change ``mk.Moebius()`` to ``mk.GeodesicEuler()``: the tokens still meet, with an error of order dt.
