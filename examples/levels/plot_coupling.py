r"""
Particles beside copies of the limit
====================================

Give each particle a copy that has the same noise, but feels the law in place of the other particles. The noises cancel
in the difference, and Grönwall's inequality bounds it. For linear forces the answer is exact: in the stationary state

.. math:: E|X - Y|^2 = \frac{c^2}{N\beta\,a(a + c)(2a + c)} .

**Slides:** Coupling; Grönwall
"""

import jax
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

jax.config.update("jax_enable_x64", True)
a, c, n, dt = 1.0, 0.5, 50, 0.02
model, law = mk.catalogue.ornstein_uhlenbeck(a, c).model, mk.Gaussian(0.0, 1 / (a + c))


def run(key):
    start, noise = jax.random.split(key)
    coupled = mk.couplings.synchronous_coupling(
        model, law, law.sample(start, n), until=4.0, dt=dt, path=mk.Brownian(noise), every=4,
        observe={"terms": mk.couplings.coupling_terms, "box": mk.couplings.visited},
    )  # fmt: skip
    return coupled.times, coupled.observed["terms"], coupled.observed["box"]


(times, *_), terms, box = mk.statistics.replicate(run, jax.random.key(0), 256)

# %%
# The start leaves :math:`e^{-2at}`, Euler's steps a relative error of :math:`(2a + c)dt/2`.
exact = c**2 / (n * a * (a + c) * (2 * a + c))
late = mk.statistics.average(terms["error"][:, times >= 2].mean(1))
assert abs(late.value - exact) < 5 * late.stderr + exact * (np.exp(-2 * a * 2) + (2 * a + c) * dt / 2), late
region = box["lower"].min((0, 1)), box["upper"].max((0, 1))
bound = mk.couplings.gronwall(times, np.sqrt(terms["sampling"].mean(0)), mk.couplings.lipschitz(model, *region))
assert np.all(np.sqrt(terms["error"].mean(0)) <= bound + dt * bound)

# %%
ax = mk.plot.series(times, np.sqrt(terms["error"].mean(0)), log="y", label="root mean square of X − Y")
mk.plot.series(times, bound, ax, label="Grönwall's bound")
mk.plot.curve(times, np.full(len(times), np.sqrt(exact)), ax, kind="exact", label="exact, stationary")
ax.set(ylabel="length", ylim=(1e-3, 1))
plt.show()

# %%
# Change ``c`` to 2: the error grows with the interaction, the bound much faster.
