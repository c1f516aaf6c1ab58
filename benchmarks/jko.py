"""One minimising movement: 256² cells of a porous medium by the dual, 2000 cells on the line by quantiles."""

import statistics

from benchmarks._turns import in_turns, setup


def main(arguments: list[str]) -> None:
    jax, mk = setup()
    import jax.numpy as jnp

    from mckean.catalogue.porous_media import barenblatt, spreading
    from mckean.dynamics.jko.scheme import minimise

    line, plane = mk.Euclidean(1), mk.Euclidean(2)
    linear = mk.langevin(line, mk.potentials.Quadratic(1.0), beta=2.0)
    cells = mk.Lagrangian.from_density(mk.Density.from_law(line.grid(2000, -4.0, 4.0), mk.Gaussian(0.3, 0.4)))
    medium = mk.Model(plane, internal=mk.PorousMedium(2.0))
    grid = plane.grid(256, -2.5, 2.5)
    profile = barenblatt(grid, 2.0, 1.0, 1.0, scale=spreading(0.2, 0.0, 2.0, 1.0, 2))
    cases = {"plane, 256²": (medium, profile, 0.02), "line, 2000": (linear, cells, 0.1)}
    runners = {
        name: lambda case=case: jax.block_until_ready(minimise(*case[:2], jnp.asarray(case[2])))
        for name, case in cases.items()
    }
    taken = in_turns(runners, 5)
    for name, seconds in taken.items():
        state, residual, count, _ = runners[name]()
        mass = float(state.mass if name.startswith("plane") else state.masses.sum()) - 1
        print(
            f"{name}: {1e3 * min(seconds):.3g} ms at least, {1e3 * statistics.median(seconds):.3g} ms in the middle; "
            f"{int(count)} iterations, residual {float(residual):.2g} of what is allowed, mass error {mass:.1g}"
        )
