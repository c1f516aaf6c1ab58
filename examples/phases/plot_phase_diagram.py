r"""
A phase diagram
===============

Oscillators with a second harmonic, :math:`W = -\kappa(\cos x + w\cos 2x)`, lose their disorder at :math:`\kappa = 2`
for all :math:`w < 1`. How they do it depends on :math:`w`: continuously where

.. math:: \hat W(2)/\hat W(1) = w < \tfrac12 ,

and with a jump beyond, where order and disorder are both stable on an interval.

**Slides:** Phase diagrams
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
circle = mk.Torus(1)
strengths, shares = np.linspace(1.6, 2.4, 9), np.array([0.2, 0.4, 0.6, 0.75, 0.9])


def model_of(strength, share):
    kernel = mk.kernels.FourierSeries([1, 2], -strength * jnp.stack([1.0 + 0 * share, share]))
    return mk.langevin(circle, interaction=kernel, beta=1.0)


diagram = mk.phases.phase_diagram(model_of, circle.grid(32), strengths, shares)

# %%
# The lines are solved to rounding. The same model is in the catalogue, with its onset.
known = mk.catalogue.generalised_kuramoto(weights=(1.0, 0.9)).facts["critical strength"].value
assert np.allclose(diagram.threshold, known, atol=1e-9), diagram.threshold
assert np.array_equal(np.isfinite(diagram.fold), shares > 0.5), diagram.fold
assert np.all(diagram.fold[shares > 0.5] < known)

# %%
ax = mk.plot.phase_diagram(diagram, field="order")
ax.set(xlabel="share w of the second harmonic", ylabel="coupling κ (energy)")
plt.show()

# %%
# Change ``shares`` to ``np.linspace(0.45, 0.55, 5)``: the fold appears at ½, with a range that is hardly seen.
