"""A step of a density on a sphere, against the transforms that it takes, in one run.

A stage takes ρ and ∇(W*ρ) to the nodes of a grid of degree 3L/2, and the flux back; that is what is counted. A step has
four. A zonal step in dimension 64 is beside it.
"""

import argparse
import statistics

from benchmarks._turns import in_turns, ratio, setup

STRENGTH, BETA = 1.5, 2.0


def _start(jax, mk, grid, dtype: str):
    pole = mk.Density.from_function(grid, lambda x: jax.numpy.exp(x[-1]))
    return jax.tree.map(lambda a: a.astype(dtype), pole)


def step_against_transforms(grid_of, degree: int, dtype: str, steps: int, rounds: int) -> dict:
    jax, mk = setup()
    import equinox as eqx

    grid = grid_of(mk, degree)
    rho, fine = _start(jax, mk, grid, dtype), grid.of_degree(3 * degree // 2)
    model = mk.langevin(grid.space, interaction=mk.kernels.Zonal(lambda t: -STRENGTH * t * t), beta=BETA)

    def transforms(_, u):
        for _ in range(4):
            u = u + 1e-3 * fine.divergence(fine.synthesise(u).reshape(-1, 1) * fine.gradient(u), degree)
        return u

    alone = jax.jit(lambda values: jax.lax.fori_loop(0, steps, transforms, grid.analyse(values)))
    begun = mk.Harmonics().begin(model, rho, 1e-3)
    whole = eqx.filter_jit(lambda b, mu: jax.lax.fori_loop(0, steps, lambda k, m: b.step(m, None, k)[0], mu).values)
    runners = {
        "step": lambda: jax.block_until_ready(whole(begun, rho)),
        "transforms": lambda: jax.block_until_ready(alone(rho.values)),
    }
    taken = in_turns(runners, rounds)
    each = {f"{name} / ms": 1e3 * statistics.median(t) / steps for name, t in taken.items()}
    case = {"dim": grid.space.dim, "degree": degree, "dtype": dtype}
    return {**case, **each, "ratio": ratio(taken, "step", "transforms")}


def _sphere(mk, degree: int):
    return mk.Sphere(3).grid(degree)


def _zonal(mk, degree: int):
    return mk.Sphere(64).grid(degree, axis=[0.0] * 63 + [1.0])


def main(arguments: list[str]) -> None:
    """Measure, and print a line a case."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks spheres")
    parser.add_argument("--degrees", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args(arguments)
    for grid_of in (_sphere, _zonal):
        for degree in options.degrees:
            # In dimension 64 single precision holds low degrees alone.
            for dtype in ("float64", "float32") if grid_of is _sphere else ("float64",):
                row = step_against_transforms(grid_of, degree, dtype, 100, options.rounds)
                print(", ".join(f"{k}: {v:.3g}" if isinstance(v, float) else f"{k}: {v}" for k, v in row.items()))
