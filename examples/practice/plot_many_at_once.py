r"""
Many parameters as one program
==============================

Parameters of a model are arrays. ``jax.vmap`` runs a model for many values at once, and compiles one program. Here the
order of oscillators is found for 40 couplings, and compared with

.. math:: r = \frac{I_1(\beta Kr)}{I_0(\beta Kr)} .

**Slides:** Phase transition
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
circle, until = mk.Torus(1), 20.0
start = mk.Density.from_function(circle.grid(32), lambda x: jnp.exp(jnp.cos(x[0])))


def order(strength):
    model = mk.langevin(circle, interaction=mk.kernels.Cosine(strength), beta=1.0)
    return jnp.abs(mk.observables.mode(1)(model, mk.evolve(model, start, until=until, dt=0.05).final))


strengths = jnp.linspace(0.1, 5.0, 40)
found = jax.jit(jax.vmap(order))(strengths)

# %%
# Away from the transition the run has come to rest: the rate of return is above :math:`|K/2 - 1|`,
# and twice that above it.
exact = np.array([mk.catalogue.kuramoto(k).facts["order parameter"].value for k in np.asarray(strengths)])
left = jnp.exp(-jnp.abs(strengths / 2 - 1) * until)
assert jnp.all(jnp.abs(found - exact) < 1.5 * left + 1e-6), found - exact

# %%
ax = mk.plot.curve(strengths, found, kind="points", label=f"runs up to t = {until:g}")
mk.plot.curve(strengths, exact, ax, kind="exact", label="limit t → ∞")
ax.set(xlabel="coupling K (energy)", ylabel="order parameter r")
plt.show()

# %%
# Change ``until`` to 5.0: near K = 2 the runs are far from their end, which is called critical slowing down.
