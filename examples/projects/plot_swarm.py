r"""
A swarm, in snapshots and in motion
===================================

Particles in the plane repel each other nearby and attract each other from afar: Morse's energy. A wind turns them.
``observe`` the positions, and the run keeps its snapshots.
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import mckean as mk

plane = mk.Euclidean(2)
morse = mk.kernels.Morse(repulsion=16.0, attraction=8.0, repulsion_range=0.4, attraction_range=1.5)
wind = lambda x, mu: jnp.stack([-x[1], x[0]])  # noqa: E731
model = mk.Model(plane, interaction=morse, drift=wind, noise=mk.Thermal(50.0))
start = mk.Gaussian(jnp.array([1.0, 0.0]), jnp.eye(2)).sample(jax.random.key(0), 300)
look = {"x": mk.observables.positions, "radius": mk.observables.radius}
path = mk.Brownian(jax.random.key(1))
run = mk.evolve(model, start, until=4.0, dt=0.01, path=path, every=10, observe=look)

# %%
# Four snapshots, as measures.
snapshots = mk.plot.frames(run)
with mk.plot.style():
    fig, axes = plt.subplots(2, 2, figsize=(5.2, 5.2), sharex=True, sharey=True, layout="constrained")
for ax, k in zip(axes.flat, (0, 2, 10, 40), strict=True):
    mk.plot.particles(snapshots[k], ax)
    ax.set(title=f"t = {run.times[k]:.1f}")
assert run.observed["x"].shape == (41, 300, 2)
assert run.observed["radius"][-1] < run.observed["radius"][0]

# %%
# The film of all.
mk.plot.animate(run, "swarm.gif")
plt.show()
