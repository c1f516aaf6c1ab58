"""Finite volumes: an implicit step on the line, and an explicit one in the plane against its own convolution."""

import math

from benchmarks._turns import in_turns, ratio, setup


def main(arguments: list[str]) -> None:
    jax, mk = setup()
    import jax.numpy as jnp

    from mckean.interactions import potential

    def step_of(model, start, time, dt):
        scheme = mk.FiniteVolume(time, edge_tolerance=math.inf)
        moved = jax.jit(lambda mu: scheme.begin(model, mu, dt).step(mu, None, 0)[0])
        return lambda: jax.block_until_ready(moved(start).values)

    for name, noise in (("porous medium", None), ("porous medium and heat", mk.Thermal(5.0))):
        line, kernel = mk.Euclidean(1), mk.kernels.Gaussian(-2.0, 0.7)
        model = mk.Model(
            line, confinement=mk.potentials.Quadratic(1.0), interaction=kernel, noise=noise, internal=mk.PorousMedium()
        )
        start = mk.Density.from_function(line.grid(1000, -4.0, 4.0), lambda x: jnp.maximum(1 - x[0] ** 2, 0))
        for dt in (1e-3, 0.1):
            seconds = in_turns({"step": step_of(model, start, "implicit", dt)}, 15)["step"]
            print(f"implicit, 1000 cells, {name}, dt = {dt:g}: {1e3 * min(seconds):.3g} ms")

    plane = mk.Euclidean(2)
    grid = plane.grid(256, -4.0, 4.0)
    start = mk.Density.from_function(grid, lambda x: jnp.maximum(4 - jnp.sum(x**2), 0))
    for name, noise, internal in (("heat", mk.Thermal(2.0), None), ("porous medium", None, mk.PorousMedium())):
        kernel, bowl = mk.kernels.Gaussian(1.0, 0.7), mk.potentials.Quadratic(1.0)
        model = mk.Model(plane, confinement=bowl, interaction=kernel, noise=noise, internal=internal)
        convolve = jax.jit(lambda mu, kernel=model.interaction: potential(kernel, mu, grid))
        runners = {
            "step": step_of(model, start, "explicit", 1e-5),
            "convolution": lambda convolve=convolve: jax.block_until_ready(convolve(start)),
        }
        seconds = in_turns(runners, 15)
        step, one = (1e3 * min(seconds[key]) for key in ("step", "convolution"))
        print(
            f"explicit, 256², {name}: {step:.3g} ms, a convolution {one:.3g} ms, of which a step has two: "
            f"{step / one:.2g} of one, {ratio(seconds, 'step', 'convolution'):.2g} in the middle"
        )
