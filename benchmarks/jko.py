"""One minimising movement of 2000 cells on the line by quantiles."""

import statistics

from benchmarks._turns import in_turns, setup


def main(arguments: list[str]) -> None:
    jax, mk = setup()
    import jax.numpy as jnp

    from mckean.dynamics.jko.scheme import minimise

    line = mk.Euclidean(1)
    model = mk.langevin(line, mk.potentials.Quadratic(1.0), beta=2.0)
    cells = mk.Lagrangian.from_density(mk.Density.from_law(line.grid(2000, -4.0, 4.0), mk.Gaussian(0.3, 0.4)))
    step = lambda: jax.block_until_ready(minimise(model, cells, jnp.asarray(0.1)))  # noqa: E731
    seconds = in_turns({"step": step}, 9)["step"]
    _, residual, count, _ = step()
    print(
        f"2000 cells: {1e3 * min(seconds):.3g} ms at least, {1e3 * statistics.median(seconds):.3g} ms in the middle; "
        f"{int(count)} Newton steps, residual {float(residual):.2g} of what is allowed"
    )
