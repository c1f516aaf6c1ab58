r"""
When does disorder end? Seven models
====================================

On a circle of length :math:`2\pi` the uniform state loses its stability where

.. math:: \kappa_\sharp = -\frac{1}{\beta\min_k \hat W(k)}, \qquad \hat W(k) = \frac{1}{2\pi}\int W\cos kx\,dx .

The models of the catalogue know their threshold in closed form. ``linear_threshold`` finds it for any kernel.

**Slides:** Phase transition
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
names = (
    "kuramoto", "generalised_kuramoto", "maier_saupe", "onsager", "hegselmann_krause", "barre_degond_zatorska",
    "noisy_attention",
)  # fmt: skip
entries = {name: mk.catalogue.entry(name, strength=1.0) for name in names}
found = {name: mk.phases.linear_threshold(entry.model) for name, entry in entries.items()}

# %%
# Both are exact, the one by a formula and the other by quadrature.
for name, entry in entries.items():
    assert np.isclose(found[name].factor, entry.facts["critical strength"].value, rtol=1e-9), name

# %%
# Each W is drawn at its own threshold: what the wells have in common is one Fourier coefficient.
x, origin = jnp.linspace(-jnp.pi, jnp.pi, 200), mk.Particles(mk.Torus(1), jnp.zeros((1, 1)))
with mk.plot.style():
    fig, ax = plt.subplots(figsize=(5.2, 4.8), layout="constrained")
for name, entry in entries.items():
    energy = found[name].factor * mk.interactions.potential(entry.model.interaction, origin, x[:, None])
    mk.plot.curve(x, energy - energy.mean(), ax, label=f"{name}: {found[name].factor:.3f}")
ax.set(xlabel="distance $x$ (radian)", ylabel="W at the threshold, less its mean (energy)", ylim=(-12, 11))
plt.show()

# %%
# Change ``strength=1.0`` to 2.0: the factor is that by which W must still grow, so that all of them halve.
