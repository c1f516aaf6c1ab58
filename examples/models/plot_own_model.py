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
# The mean turns at the rates -1 + iω. Euler's k steps multiply it by a power, and a variance v becomes q v + 2 dt/β:
# both are exact for them. Five standard errors are left. If the pull acted on the mean too it would fall at the rate
# 1.5; without it the variance would be 1/β.
t = run.times
steps = 2 * (1 + (-1 + 1j * omega) * dt) ** jnp.rint(t / dt)
error = jnp.abs(run.observed["mean"] @ jnp.array([1, 1j]) - steps)
assert error.max() < 5 / jnp.sqrt(n * beta) < jnp.abs(2 * jnp.exp(-1.5 * t) - jnp.abs(steps)).max(), error
q = (1 - 1.5 * dt) ** 2 + (omega * dt) ** 2
rest = 2 * dt / beta / (1 - q)
exact, found = rest + (0.05 - rest) * q ** (until / dt), jnp.trace(run.observed["cov"][-1]) / 2
assert abs(found / exact - 1) < 5 / jnp.sqrt(n) < 1 / (beta * exact) - 1, (found, exact)
turn = 2 * jnp.exp(-t)[:, None] * jnp.stack([jnp.cos(omega * t), jnp.sin(omega * t)], axis=1)

# %%
ax, snapshots = None, mk.plot.frames(run)
for k in (0, 3, 15):
    ax = mk.plot.particles(snapshots[k], ax, limit=1000, size=4, label=f"t = {t[k]:.1f}")
mk.plot.curve(*turn.T, ax, kind="exact", label="mean, theory")
plt.show()

# %%
# Change ``confinement`` to ``lambda x: 0.5 * x[0] ** 2 + 2 * x[1] ** 2``: the bowl is not round, and the turn matters.
