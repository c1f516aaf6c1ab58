"""A program for eight devices made of one processor: each case by 1 and 8 of them, or more; prints what it finds."""

import json
import pathlib
import re
import tempfile

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import mckean as mk
from mckean.models import in_precision
from mckean.statistics import side_by_side

K, KEY, PATH, DT = mk.kernels, jax.random.key(1), mk.Brownian(jax.random.key(0)), 1e-2
CIRCLE, TORUS, PLANE = mk.Torus(1), mk.Torus(2), mk.Euclidean(2)
SPACE = mk.Torus(3)
COLLECTIVES = r"= .* (all-gather|all-reduce|collective-permute|all-to-all)(?:-start)?\("


def on(space, n, dtype="float64", weights=None):
    return mk.Particles(space, 1.0 + jax.random.normal(KEY, (n, space.dim), dtype), weights)


def pair(kernel, space, sum_):
    return mk.langevin(space, interaction=mk.interactions.place(kernel, space, sum=sum_))


def smooth(z):
    return jnp.exp(jnp.cos(z[0]) + jnp.cos(z[1]))


KURAMOTO = mk.langevin(CIRCLE, interaction=K.Cosine(2.0))
UNEQUAL = jax.random.dirichlet(KEY, jnp.ones(240))
STIRRED = mk.langevin(TORUS, interaction=K.Cosine(2.0), common=mk.TransportNoise.shell(TORUS, 3.0))
# The collectives of a step: one of moments needs the corners of the cloud as well.
CASES = {
    "few modes": (KURAMOTO, on(CIRCLE, 6400, "float32")),
    "weights": (KURAMOTO, on(CIRCLE, 240, weights=UNEQUAL)),
    "many modes": (pair(smooth, TORUS, mk.interactions.Modes()), on(TORUS, 1600)),
    "transform": (pair(smooth, TORUS, mk.interactions.NUFFT(1e-9)), on(TORUS, 8000)),
    "moments": (mk.langevin(PLANE, interaction=K.PowerLaw(0.1, 4.0)), on(PLANE, 1600)),
    "all pairs": (mk.langevin(PLANE, interaction=K.Gaussian(1.0, 0.5)), on(PLANE, 800)),
    "environment": (STIRRED, on(TORUS, 1600)),
}


def density(space, shape, dtype):
    made = mk.Density.from_function(space.grid(shape), lambda x: jnp.exp(jnp.cos(x[0] - 1) + jnp.sin(x[0] + x[1])))
    return mk.Density(made.grid, made.values.astype(dtype))


SHEARED = mk.langevin(TORUS, interaction=K.Cosine(2.0), common=mk.TransportNoise.shears(TORUS, 0.1))
# Densities, by slabs.
SLABS = {
    "waves along the axes": (SHEARED, density(TORUS, 32, "float64")),
    "waves": (STIRRED, density(TORUS, (32, 64), "float32")),
    "in space": (mk.langevin(SPACE, interaction=K.Cosine(2.0)), density(SPACE, (32, 32, 4), "float64")),
}


def steps(model, cloud, devices):
    """Three steps, and the collectives of one."""
    placed = cloud if devices == 0 else mk.shard(cloud, devices)
    scheme = mk.Spectral() if isinstance(cloud, mk.Density) else mk.ParticleScheme()
    begun = scheme.begin(in_precision(model, placed), placed, DT)
    go = eqx.filter_jit(lambda begun, mu, k: begun.step(mu, PATH, k)[0])
    program = go.lower(begun, placed, jnp.asarray(0)).compile()
    for k in range(3):
        placed = program(begun, placed, jnp.asarray(k))
    return np.asarray(jax.tree.leaves(placed)[0]), sorted(re.findall(COLLECTIVES, program.compiled.as_text()))


def case(model, cloud):
    (alone, _), (one, _), (eight, found) = (steps(model, cloud, devices) for devices in (0, 1, 8))
    turn = np.abs(eight - alone).max() / alone.max()
    if isinstance(cloud, mk.Particles):
        turn = np.abs(np.exp(1j * eight) - np.exp(1j * alone)).max()
    return {"equal": bool(np.array_equal(one, eight)), "collectives": found, "off": float(turn)}


def run(devices):
    r = {"r": mk.observables.order_parameter(1)}
    cloud = mk.shard(on(CIRCLE, 6400), devices)
    made = mk.evolve(KURAMOTO, cloud, until=0.2, dt=DT, path=PATH, observe=r, every=10)
    assert made.final.positions.sharding.num_devices == devices
    return np.asarray(made.final.positions), made.observed["r"]


def resumed(folder):
    """A run on four devices up to its middle, kept in a folder, from where it goes on alone."""
    cloud, r = mk.shard(on(CIRCLE, 6400), 4), {"r": mk.observables.order_parameter(1)}
    mk.evolve(KURAMOTO, cloud, until=0.1, dt=DT, path=PATH, observe=r, every=10, store=folder)
    made = mk.resume(folder, until=0.2)
    return np.asarray(made.final.positions), made.observed["r"]


def runs():
    first, *others = (run(devices) for devices in (1, 2, 4, 8))
    with tempfile.TemporaryDirectory() as folder:
        others.append(resumed(pathlib.Path(folder) / "run"))
    return [bool(np.array_equal(first[0], x) and np.array_equal(first[1], r)) for x, r in others]


def slabs(devices, folder=None):
    """A run of a density with energies and modes, which are sums over the grid; from a folder it goes on alone."""
    names = ("free_energy", "dissipation", "density")
    seen = {name: getattr(mk.observables, name) for name in names} | {"z": mk.observables.mode((1, -1))}
    rho = mk.shard(SLABS["waves along the axes"][1], devices)
    until = 0.04 if folder is None else 0.02
    made = mk.evolve(SHEARED, rho, until=until, dt=DT, path=PATH, observe=seen, every=2, store=folder)
    assert made.final.values.sharding.num_devices == devices
    made = made if folder is None else mk.resume(folder, until=0.04)
    return [np.asarray(made.final.values), *(np.asarray(leaf) for leaf in jax.tree.leaves(made.observed))]


def runs_of_densities():
    first, *others = (slabs(devices) for devices in (1, 2, 4, 8))
    with tempfile.TemporaryDirectory() as folder:
        others.append(slabs(4, pathlib.Path(folder) / "run"))
    return [all(np.array_equal(a, b) for a, b in zip(first, other, strict=True)) for other in others]


def replicas():
    """Whether each device has replicas, and whether they are those of one batch."""
    cloud = on(CIRCLE, 8)
    one = lambda key: mk.evolve(KURAMOTO, cloud, until=0.02, dt=DT, path=mk.Brownian(key)).final.positions  # noqa: E731
    together, apart = (mk.statistics.replicate(one, KEY, 8, batch) for batch in (8, 1))
    used = {device for batch in side_by_side(lambda batch: jnp.zeros(1).devices(), range(8)) for device in batch}
    return [len(used), float(np.abs(together - apart).max())]


def order_of_jax():
    """Whether JAX's own mean over devices has the same bits on 1 and 8 of them, in 16 cases."""
    x = jax.random.normal(KEY, (6400, 16), "float32")
    means = [np.asarray(jax.jit(lambda a: a.mean(axis=0))(placed_by_jax(x, devices))) for devices in (1, 8)]
    return bool(np.array_equal(*means))


def gathered():
    """The collectives of JAX's own FFT of an array in slabs."""
    x = placed_by_jax(jnp.ones((32, 32)), 8)
    return sorted(set(re.findall(COLLECTIVES, jax.jit(jnp.fft.fft2).lower(x).compile().as_text())))


def placed_by_jax(x, devices):
    mesh = jax.sharding.Mesh(np.asarray(jax.devices()[:devices]), ("i",))
    return jax.device_put(x, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("i")))


def main():
    found = {name: case(*one) for name, one in (CASES | SLABS).items()}
    found = {"cases": found, "runs": runs(), "densities": runs_of_densities(), "gathered": gathered()}
    print(json.dumps({**found, "order of JAX": order_of_jax(), "replicas": replicas()}))


if __name__ == "__main__":
    main()
