r"""
Opinions that hear the same news
================================

People move towards those whose opinion is near theirs, and each has doubts of its own. News moves all of them together:
a common noise. With

.. math:: dX_i = -\frac1N\sum_j \nabla W(X_i - X_j)\,dt + \sigma\,dB_i + \sigma_0\,dB^0

the opinion of the crowd is random, and its shape is not: given the news, a large crowd follows one equation.
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import mckean as mk

line = mk.Euclidean(1)
attraction = mk.kernels.BoundedConfidence(radius=1.0, strength=4.0)
model = mk.langevin(line, interaction=attraction, beta=10.0, common=mk.Additive(0.4))
crowd = mk.Density.from_function(line.grid(240, -6.0, 6.0), lambda x: jnp.exp(-((x[0] / 1.5) ** 4)))
people = crowd.sample(jax.random.key(1), 2_000)
looks = {"mean": mk.observables.mean}
span = {"until": 4.0, "dt": 0.02, "every": 5, "observe": looks}

# %%
# The same path is the same news. People and density hear it together.
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
for seed, colour in enumerate(("C0", "C1", "C2")):
    news = mk.Brownian(jax.random.key(seed))
    many = mk.evolve(model, people, path=news, **span)
    law = mk.evolve(model, crowd, path=news, **span)
    left.plot(law.times, law.observed["mean"][:, 0], colour)
    left.plot(many.times, many.observed["mean"][:, 0], colour + ".")
    right.plot(law.final.grid.axes[0], law.final.values, colour)
    right.hist(np.asarray(many.final.positions[:, 0]), 60, density=True, color=colour, alpha=0.3)
    # The mean of the crowd follows the news; its own noise and its start leave √(Var/2000) = 0.02.
    assert abs(many.observed["mean"][-1, 0] - law.observed["mean"][-1, 0]) < 0.1
left.set(xlabel="time", ylabel="mean opinion", title="lines: density, dots: people")
right.set(xlabel="opinion", ylabel="density", title="at the end, in three environments")
plt.show()
