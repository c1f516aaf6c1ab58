"""The stochastic Fokker–Planck equation on the torus, against what it is made of, in one run.

A step of a 2-D density under a shell of waves against the FFTs that it takes, alone; the same for shells with fewer and
more waves; 64 environments, by vmap and in batches on every core, against one at a time; a displacement of particles
under the shell against one nonuniform FFT of that size.
"""

import argparse
import json
import statistics

from benchmarks._turns import in_turns, ratio, setup

STRENGTH, BETA = 4.0, 1.0


def _model(mk, radius: float, dtype: str):
    torus = mk.Torus(2)
    noise = mk.TransportNoise.shell(torus, radius, intensity=0.5, tolerance=1e-6)
    return mk.langevin(torus, interaction=mk.kernels.Cosine(STRENGTH), beta=BETA, common=noise)


def _start(jax, mk, n: int, dtype: str):
    bump = mk.Density.from_function(mk.Torus(2).grid(n), lambda x: 1 + 0.5 * jax.numpy.cos(x[0]) * jax.numpy.sin(x[1]))
    return jax.tree.map(lambda a: a.astype(dtype), bump)


def _ffts(jax, n: int, steps: int, start):
    """The transforms of a step alone: per stage one of ρ, the force's three and the flux's two on the 3/2 grid."""
    import jax.numpy as jnp

    fine = (3 * n // 2,) * 2

    def stage(u, wide):
        rho = jnp.fft.irfftn(u * wide, fine)
        spectrum = jnp.fft.rfftn(rho)
        force = jnp.fft.irfftn(jnp.stack([spectrum, 1j * spectrum]), fine, axes=(1, 2))
        flux = jnp.fft.rfftn(force, axes=(1, 2))
        return flux[0] + flux[1]

    @jax.jit
    def run(rho):
        def step(u, _):
            noise = jnp.fft.ifftn(jnp.zeros(fine, u.dtype).at[0, 0].set(u[0, 0]))
            for _ in range(4):
                u = stage(u, 1e-3 + noise[0, 0].real)
            u = u.at[: n // 2, : n // 2].add(
                jnp.fft.rfftn(jnp.fft.irfftn(u[:n, : n // 2 + 1], (n, n)))[: n // 2, : n // 2]
            )
            return u, None

        return jax.lax.scan(step, jnp.fft.rfftn(rho, fine), jnp.arange(steps))[0]

    return lambda: jax.block_until_ready(run(start))


def step_against_ffts(n: int, radius: float, dtype: str, steps: int, rounds: int) -> dict:
    jax, mk = setup()
    model, rho, dt = _model(mk, radius, dtype), _start(jax, mk, n, dtype), 1e-4
    path = mk.Brownian(jax.random.key(0))
    settings = {"until": steps * dt, "dt": dt, "path": path}
    runners = {
        "step": lambda: jax.block_until_ready(mk.evolve(model, rho, **settings).final.values),
        "FFTs": _ffts(jax, n, steps, rho.values),
    }
    taken = in_turns(runners, rounds)
    each = {f"{name} / ms": 1e3 * statistics.median(t) / steps for name, t in taken.items()}
    waves = len(model.common[0].modes)
    return {"case": "step", "grid": n, "dtype": dtype, "waves": waves, **each, "ratio": ratio(taken, "step", "FFTs")}


def environments_together(n: int, count: int, dtype: str, steps: int, rounds: int) -> dict:
    jax, mk = setup()
    import equinox as eqx

    model, rho, dt = _model(mk, 4.0, dtype), _start(jax, mk, n, dtype), 1e-3
    keys = jax.random.split(jax.random.key(0), count)
    go = lambda key: mk.evolve(model, rho, until=steps * dt, dt=dt, path=mk.Brownian(key)).final.values  # noqa: E731
    together, one = eqx.filter_jit(jax.vmap(go)), eqx.filter_jit(go)
    runners = {
        "vmap": lambda: jax.block_until_ready(together(keys)),
        "replicate": lambda: mk.statistics.replicate(go, jax.random.key(0), count, batch=1),
        "one at a time": lambda: [jax.block_until_ready(one(key)) for key in keys],
    }
    taken = in_turns(runners, rounds)
    each = {f"{name} / ms": 1e3 * statistics.median(t) / steps for name, t in taken.items()}
    gains = {f"gain of {name}": ratio(taken, "one at a time", name) for name in ("vmap", "replicate")}
    return {"case": "environments", "grid": n, "dtype": dtype, "environments": count, **each, **gains}


def particles_against_nufft(n: int, radius: float, dtype: str, rounds: int) -> dict:
    jax, mk = setup()
    import jax.numpy as jnp

    from mckean.interactions import nufft

    noise = _model(mk, radius, dtype).common[0]
    noise = jax.tree.map(lambda a: a.astype(dtype), noise)
    x = (jax.random.uniform(jax.random.key(1), (n, 2)) * 6.28).astype(dtype)
    cloud = mk.Particles(mk.Torus(2), x)
    dB = jax.random.normal(jax.random.key(2), (noise.width(cloud, 2),), dtype)
    side = 2 * max(max(abs(c) for c in k) for k in noise.modes) + 1
    spectrum = jnp.ones((1, side, side), jnp.result_type(dtype, jnp.complex64))
    moved = jax.jit(lambda x, dB: noise.displacement(x, cloud, dB))
    alone = jax.jit(lambda x: nufft.type2(spectrum, x / (2 * jnp.pi), 1e-6))
    runners = {
        "displacement": lambda: jax.block_until_ready(moved(x, dB)),
        "NUFFT": lambda: jax.block_until_ready(alone(x)),
    }
    taken = in_turns(runners, rounds)
    each = {f"{name} / ms": 1e3 * statistics.median(t) for name, t in taken.items()}
    over = ratio(taken, "displacement", "NUFFT")
    return {"case": "particles", "n": n, "dtype": dtype, "waves": len(noise.modes), **each, "ratio": over}


def main(arguments: list[str]) -> None:
    """Measure, and print a line a case, or JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks spde")
    parser.add_argument("--grids", type=int, nargs="+", default=[256])
    parser.add_argument("--particles", type=int, default=10**6)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", metavar="FILE", help="write the rows there as well")
    options = parser.parse_args(arguments)
    rows = []

    def told(row: dict) -> None:
        rows.append(row)
        print(", ".join(f"{k}: {v:.3g}" if isinstance(v, float) else f"{k}: {v}" for k, v in row.items()), flush=True)

    for dtype in ("float64", "float32"):
        for n in options.grids:
            for radius in (2.0, 8.0, 24.0):
                told(step_against_ffts(n, radius, dtype, 100, options.rounds))
        told(environments_together(64, 64, dtype, 20, options.rounds))
        told(particles_against_nufft(options.particles, 8.0, dtype, options.rounds))
    if options.json:
        with open(options.json, "w") as file:
            json.dump(rows, file, indent=1)
