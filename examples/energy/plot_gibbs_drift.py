r"""
Which noise keeps the Gibbs law?
================================

A noise that is common to all particles moves their law along every path. It may keep the Gibbs law
:math:`\rho_\beta \propto e^{-\beta V}` in mean, or not:

.. math:: \nabla\cdot(\rho_\beta\nabla V) + \tfrac12\sum_k \nabla\cdot(\sigma_k\nabla\cdot(\sigma_k\rho_\beta)) = 0 .

A common noise in the place of the thermal one keeps it. One beside the thermal noise heats the law.

**Slides:** Which measures an environment keeps
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
beta, amplitude, n = 2.0, 0.7, 256
circle, wells = mk.Torus(1), lambda x: 0.5 * jnp.cos(2 * x[0])
state = mk.Density.from_function(circle.grid(n), lambda x: jnp.exp(-beta * wells(x)))
models = {
    "own thermal": mk.langevin(circle, wells, beta=beta),
    "common thermal": mk.langevin(circle, wells, beta=jnp.inf, common=mk.Additive((2 / beta) ** 0.5)),
    "own thermal,\ncommon additive": mk.langevin(circle, wells, beta=beta, common=mk.Additive(amplitude)),
}
rates = {name: mk.equilibrium.gibbs_drift(model, state) for name, model in models.items()}

# %%
# Under the last noise the rate is :math:`\frac{\sigma_0^2}{2}\int|\rho''|`. A sum over nodes h apart is exact but for
# the corners, where it errs by h²/4 times the slope at most. Without the factor ½ the rate would be twice that.
x = np.linspace(0, 2 * np.pi, 100_000)
rho = np.exp(-beta * np.cos(2 * x) / 2)
second = ((beta * np.sin(2 * x)) ** 2 + 2 * beta * np.cos(2 * x)) * rho / np.trapezoid(rho, x)
corners = np.abs(np.gradient(second, x))[1:][np.diff(np.sign(second)) != 0]
exact, error = (
    0.5 * amplitude**2 * a for a in (np.trapezoid(np.abs(second), x), corners.sum() * (2 * np.pi / n) ** 2 / 4)
)
assert rates["own thermal"].averaged < 1e-9
assert rates["common thermal"].averaged < 1e-9
found = rates["own thermal,\ncommon additive"].averaged
assert abs(found - exact) < error < exact, (found, exact, error)

# %%
place = np.arange(len(models))
with mk.plot.style():
    fig, ax = plt.subplots(figsize=(5.2, 3.4), layout="constrained")
ax.bar(place - 0.2, [r.averaged for r in rates.values()], 0.4, label="in mean")
ax.bar(place + 0.2, [r.pathwise for r in rates.values()], 0.4, label="along each path", hatch="//")
ax.set_xticks(place, models)
ax.set(ylabel="rate at which ρ is left (1/time)")
ax.legend()
plt.show()

# %%
# Change ``wells`` to ``lambda x: 0.0 * x[0]``: the uniform law is kept by all three, in mean and along each path.
