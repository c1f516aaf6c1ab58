r"""
Opinions that hear the same news
================================

People move towards those whose opinion is near theirs, and each has doubts of its own. News moves all of them together:
a common noise. With

.. math:: dX_i = -\frac1N\sum_j \nabla W(X_i - X_j)\,dt + \sigma\,dB_i + \sigma_0\,dB^0

the opinion of the crowd is random. Given the news, a large crowd follows one equation.

**Slides:** Common noise; Conditional propagation of chaos
"""

import jax
import matplotlib.pyplot as plt

import mckean as mk

line = mk.Euclidean(1)
attraction = mk.kernels.BoundedConfidence(radius=1.0, strength=6.0)
model = mk.langevin(line, interaction=attraction, beta=10.0, common=mk.Additive(0.4))
law = mk.Mixture([mk.Gaussian(-1.5, 0.2), mk.Gaussian(0.0, 0.1), mk.Gaussian(1.5, 0.2)])
crowd, people = mk.Density.from_law(line.grid(240, -6.0, 6.0), law), law.sample(jax.random.key(1), 2_000)
span = {"until": 3.0, "dt": 0.02, "every": 5, "observe": {"mean": mk.observables.mean}}

# %%
# The same path is the same news. People and density hear it together.
with mk.plot.style():
    fig, (left, right) = plt.subplots(1, 2, figsize=(6.6, 3.2), layout="constrained")
for seed, color in enumerate(mk.plot.COLOURS[:2]):
    news = mk.Brownian(jax.random.key(seed))
    many = mk.evolve(model, people, path=news, **span)
    limit = mk.evolve(model, crowd, path=news, **span)
    mk.plot.series(limit, "mean", left, color=color, label=f"news {seed + 1}")
    mk.plot.curve(many.times, many.observed["mean"][:, 0], left, kind="points", color=color)
    mk.plot.particles(many.final, right, color=color)
    mk.plot.density(limit.final, right, color=color)
    # The means part by the people's own noise and start: a few times √(Var/2000) = 0.03.
    assert abs(many.observed["mean"][-1, 0] - limit.observed["mean"][-1, 0]) < 0.15
left.set(ylabel="mean opinion", title="lines: density; dots: people")
right.set(xlabel="opinion", title="at the end", xlim=(-1.5, 2))
plt.show()
