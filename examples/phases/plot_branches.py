r"""
A branch that turns back
========================

Tokens on a circle that attend to each other, :math:`W = -\kappa e^{4\cos x}/4`, do not order gradually. The branch of
ordered states

.. math:: \rho = \tfrac1Z e^{-\beta\, W*\rho}

leaves disorder backwards, turns at a fold, and only then is stable. In between two states are stable.

**Slides:** All steady states
"""

import jax
import matplotlib.pyplot as plt
import numpy as np
from scipy.special import iv

import mckean as mk

jax.config.update("jax_enable_x64", True)
sharpness, waves = 4.0, np.arange(1, 25)
weights = 2 * iv(waves, sharpness) / sharpness  # of the waves cos kx in exp(4 cos x)/4


def model_of(strength):
    return mk.langevin(mk.Torus(1), interaction=mk.kernels.FourierSeries(waves, -strength * weights), beta=1.0)


uniform = mk.Density.from_function(mk.Torus(1).grid(64), lambda x: 1 + 0 * x[0])
within = (0.36, 0.5)
flat = mk.phases.continuation(model_of, mk.phases.steady_state(model_of(0.36), uniform, 0), 0.36, within)
onset = flat.events[0]
(way,) = mk.phases.departures(onset)
branch = mk.phases.continuation(model_of, onset.state, onset.parameter, within, along=way, longest=0.15)
fold = branch.events[0]
((coexistence, _, _),) = mk.phases.coexistence(branch, flat)

# %%
# The onset is exact, and the other two were found by another method, from the equations of the Fourier modes.
# All three are right to rounding.
exact = mk.catalogue.noisy_attention(sharpness).facts["critical strength"].value
found, known = (onset.parameter, fold.parameter, coexistence), (exact, 0.387068995952, 0.391475100836)
assert np.allclose(found, known, atol=1e-9), found
assert max(branch.index) == 1  # one unstable direction, up to the fold

# %%
ax = mk.plot.branches([flat, branch], parameter="coupling κ (energy)", labels=["disorder", "order"])
mk.plot.mark(dict(zip(("onset", "fold", "same F"), found, strict=True)), ax)
plt.show()

# %%
# Change ``sharpness`` to 2.0 and ``within`` to (0.7, 1.5): the branch leaves forwards, and there is no fold.
