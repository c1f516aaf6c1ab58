r"""
Noise that brings points together
=================================

Points in two wells, :math:`V = x^4/4 - x^2/2`, all moved by one noise, meet: the Lyapunov exponent

.. math:: \lambda = -E\,V''(X) = -\frac{2}{\sigma^2}E\,V'(X)^2

is negative, whatever :math:`\sigma`. Without the noise points in two wells would stay apart for ever.

**Slides:** Synchronisation
"""

import diffrax
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
noise, dt = 1.0, 0.01
wells = lambda x: x[0] ** 4 / 4 - x[0] ** 2 / 2  # noqa: E731
model = mk.langevin(mk.Euclidean(1), wells, beta=jnp.inf, common=mk.Additive(noise))
points = mk.Particles(model.space, jnp.linspace(-2, 2, 12)[:, None])
run = mk.evolve(
    model, points, until=10.0, dt=dt, path=mk.Brownian(jax.random.key(1)), scheme=diffrax.Heun(),
    observe={"x": mk.observables.positions}, every=10,
)  # fmt: skip
one = mk.Particles(model.space, jnp.zeros((1, 1)))
found = mk.environments.lyapunov(
    model, one, until=60.0, after=10.0, dt=dt, scheme=diffrax.Heun(), key=jax.random.key(0), replicas=64, every=10
).exponents

# %%
# The stationary law is :math:`e^{-2V/\sigma^2}/Z`. Heun's steps are of order dt² at the rates of the well, about 6.
x = np.linspace(-5, 5, 4001)
law = np.exp(-2 * (x**4 / 4 - x**2 / 2) / noise**2)
exact = -np.sum((3 * x**2 - 1) * law) / law.sum()
assert abs(found.value[0] - exact) < 5 * found.stderr[0] + (6 * dt) ** 2, (found, exact)

# %%
x = run.observed["x"][..., 0].T
ax = mk.plot.series(run.times, x, paths=12, band=None, label="mean of 12 points, and the points")
ax.set(ylabel="position $x$ (length)", title=f"λ = {found.value[0]:.3f}, theory {exact:.3f}")
plt.show()

# %%
# Change ``noise`` to 0.3: points change wells seldom, and take long to meet.
