r"""
A swarm, in snapshots and in motion
===================================

Particles in the plane attract each other from afar and repel each other nearby (Morse's energy), and a wind turns them.
Observe the positions, and a run keeps its snapshots.
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
from matplotlib.animation import FuncAnimation

import mckean as mk

plane = mk.Euclidean(2)
morse = mk.kernels.Morse(repulsion=2.0, attraction=1.0, repulsion_range=0.4, attraction_range=1.5)
turn = lambda x, mu: jnp.stack([-x[1], x[0]])  # noqa: E731
model = mk.Model(plane, interaction=morse, drift=turn, noise=mk.Thermal(200.0))
start = mk.Gaussian(jnp.array([1.0, 0.0]), jnp.eye(2)).sample(jax.random.key(0), 300)
run = mk.evolve(
    model, start, until=6.0, dt=0.02, path=mk.Brownian(jax.random.key(1)), every=10,
    observe={"x": mk.observables.positions, "radius": mk.observables.radius},
)  # fmt: skip

# %%
# Snapshots are an array of shape (times, particles, 2).
snapshots = run.observed["x"]
fig, axes = plt.subplots(1, 4, figsize=(10, 2.8), sharex=True, sharey=True, layout="constrained")
for ax, k in zip(axes, (0, 5, 10, 30), strict=True):
    ax.plot(*snapshots[k].T, ".", markersize=3)
    ax.set(title=f"t = {run.times[k]:.1f}", aspect="equal", xlim=(-3.5, 3.5), ylim=(-3.5, 3.5))

# %%
# The animation.
fig, ax = plt.subplots(figsize=(4, 4), layout="constrained")
(dots,) = ax.plot([], [], ".", markersize=3)
ax.set(aspect="equal", xlim=(-3.5, 3.5), ylim=(-3.5, 3.5))
motion = FuncAnimation(fig, lambda k: dots.set_data(*snapshots[k].T), frames=len(snapshots), interval=60)
plt.show()
assert snapshots.shape == (31, 300, 2)
assert run.observed["radius"][-1] < run.observed["radius"][0]
