"""A geodesic of W₂ at 64² × 32, between Gaussians in the plane, against Bures' distance."""

import time

from benchmarks._turns import setup


def main(arguments: list[str]) -> None:
    jax, mk = setup()
    import jax.numpy as jnp
    import numpy as np

    mean, first, second = np.array([0.9, 0.5]), np.array([0.55, 0.75]), np.array([0.75, 0.5])
    exact = np.sqrt(4 * mean @ mean + np.sum((second - first) ** 2))
    grid = mk.Euclidean(2).grid(64, -4.0, 4.0)

    def bump(centre, width):
        return mk.Density.from_function(grid, lambda x: jnp.exp(-0.5 * jnp.sum(((x - centre) / width) ** 2)))

    mu, nu = bump(-mean, first), bump(mean, second)
    for tolerance in (1e-3, 3e-4, 1e-4):
        for kind in ("compiled and run", "run"):
            wall, cpu = time.perf_counter(), time.process_time()
            found = mk.transport.geodesic(mu, nu, times=32, tolerance=tolerance)
            jax.block_until_ready(found.values)
            print(
                f"64² × 32, tolerance {tolerance:g}, {kind}: {time.perf_counter() - wall:.3g} s, "
                f"{time.process_time() - cpu:.3g} s of CPU, {found.iterations} iterations, "
                f"W₂ off by {abs(found.distance / exact - 1):.1e}, continuity {found.continuity:.0e}"
            )
