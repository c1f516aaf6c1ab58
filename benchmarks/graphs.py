"""A step of oscillators on a sparse random graph: for each edge, and against a coupling that is a function."""

import argparse
import statistics

from benchmarks._turns import in_turns, setup


def step_on_a_graph(size: int, rate: float, steps: int, rounds: int) -> dict:
    jax, mk = setup()
    import equinox as eqx
    import numpy as np

    from mckean.dynamics.labels import FamilyScheme

    circle, labels = mk.Torus(1), (np.arange(size) + 0.5) / size
    graphon = lambda u, v: 1 - jax.numpy.maximum(u, v)  # noqa: E731
    model = lambda u: mk.Model(circle, interaction=mk.kernels.Cosine(2.0), noise=mk.Thermal(2.0))  # noqa: E731
    family = mk.Family.split(mk.Particles(circle, circle.uniform(jax.random.key(0), size)), size)
    graph = mk.Graph.sample(jax.random.key(1), graphon, labels, rate)
    whole = eqx.filter_jit(
        lambda b, mu, path: jax.lax.fori_loop(0, steps, lambda k, m: b.step(m, path, k)[0], mu).members.positions
    )

    def runner(coupling):
        begun = FamilyScheme(mk.ParticleScheme()).begin(mk.Population(model, labels, coupling), family, 1e-2)
        return lambda: jax.block_until_ready(whole(begun, family, mk.Brownian(jax.random.key(2))))

    runners = {"graph": runner(graph)}
    if size <= 4096:
        runners["function"] = runner(graphon)
    taken = in_turns(runners, rounds)
    each = {f"{name} / ms": 1e3 * statistics.median(t) / steps for name, t in taken.items()}
    edges = graph.weights.shape[0]
    return {"labels": size, "edges": edges, **each, "ns an edge": 1e6 * each["graph / ms"] / edges}


def main(arguments: list[str]) -> None:
    """Measure, and print a line a case."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks graphs")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    for size, rate in ((2000, 0.05), (10_000, 0.01), (100_000, 2e-4)):
        print(step_on_a_graph(size, rate, 10, options.rounds), flush=True)
