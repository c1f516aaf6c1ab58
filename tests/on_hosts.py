"""A program for several processes: a run over all their devices. The first one prints what came of it.

Arguments: the number of steps; a folder, where each process writes its number in the system.
"""

import hashlib
import os
import pathlib
import sys

import jax
import numpy as np

import mckean as mk

steps, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
(folder / str(jax.process_index())).write_text(str(os.getpid()))
model = mk.langevin(mk.Torus(1), interaction=mk.kernels.Cosine(2.0))
cloud = mk.shard(mk.Particles(mk.Torus(1), jax.random.uniform(jax.random.key(1), (640, 1)) * 6))
path, observe = mk.Brownian(jax.random.key(0)), {"r": mk.observables.order_parameter(1)}
data = mk.evolve(model, cloud, until=steps * 0.01, dt=0.01, path=path, observe=observe, every=10).to_xarray()
print(cloud.mesh.size, hashlib.md5(data.final_position.values.tobytes() + np.asarray(data.r).tobytes()).hexdigest())
