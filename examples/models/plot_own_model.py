r"""
A model of your own in the plane
================================

A model takes any functions that JAX can trace: a potential :math:`V`, a pair energy :math:`W`, and a drift
:math:`b(x, \mu)` that need not be a gradient. Here particles sit in a flat bowl, attract each other, and are carried
around the origin,

.. math:: dX = \bigl(-\nabla V(X) - \nabla W*\mu(X) + \omega JX\bigr)dt + \sqrt{2/\beta}\,dB .

A turn does not change the Gibbs measure of a round bowl, whatever :math:`\omega`.

**Slides:** The particle system
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import mckean as mk

jax.config.update("jax_enable_x64", True)
omega, beta, n, dt, until = 2.0, 2.0, 4000, 0.01, 3.0
model = mk.Model(
    mk.Euclidean(2),
    confinement=lambda x: 0.5 * jnp.sum(x**2),
    interaction=lambda z: 0.25 * jnp.sum(z**2),
    drift=lambda x, mu: omega * jnp.array([-x[1], x[0]]),
    noise=mk.Thermal(beta),
)
cloud = mk.Gaussian(jnp.array([2.0, 0.0]), 0.05 * jnp.eye(2)).sample(jax.random.key(0), n)
record = {"x": mk.observables.positions, "mean": mk.observables.mean, "cov": mk.observables.covariance}
run = mk.evolve(model, cloud, until=until, dt=dt, path=mk.Brownian(jax.random.key(1)), observe=record, every=20)

# %%
# The mean turns and falls as :math:`e^{-t}`; the variance goes to :math:`1/\beta(1 + \frac12)`. Five standard errors,
# and Euler's steps, which err by dt times the square of the rates, :math:`1 + \omega^2`.
t = run.times
turn = 2 * jnp.exp(-t)[:, None] * jnp.stack([jnp.cos(omega * t), jnp.sin(omega * t)], axis=1)
assert jnp.abs(run.observed["mean"] - turn).max() < 5 / jnp.sqrt(n * beta) + (1 + omega**2) * dt
variance = jnp.trace(run.observed["cov"][-1]) / 2
assert abs(variance * 1.5 * beta - 1) < 5 / jnp.sqrt(n) + (1 + omega**2) * dt + jnp.exp(-2 * 1.5 * until), variance

# %%
fig, ax = plt.subplots(figsize=(5, 4.5), layout="constrained")
for k in (0, 3, 15):
    ax.plot(*run.observed["x"][k, :1000].T, ".", markersize=2, label=f"t = {t[k]:.1f}")
ax.plot(*turn.T, "k--", label="mean, theory")
ax.set(xlabel="$x_1$", ylabel="$x_2$", aspect="equal")
ax.legend()

# %%
# Change ``confinement`` to ``lambda x: 0.5 * x[0] ** 2 + 2 * x[1] ** 2``: the bowl is not round, and the turn matters.
