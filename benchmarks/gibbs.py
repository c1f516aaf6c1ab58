"""The Gibbs measure of noisy Kuramoto: time to a relative standard error of 1 % in E r², from a cold start.

Run by `python -m benchmarks gibbs`; each coupling in a process of its own, so that its compilation counts.
"""

import argparse
import json
import subprocess
import sys
import time

_STRENGTHS = (1.0, 2.0, 3.0)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks gibbs")
    parser.add_argument("--particles", type=int, default=100)
    options = parser.parse_args(arguments)
    for strength in _STRENGTHS:
        code = f"from benchmarks.gibbs import _one; _one({options.particles}, {strength})"
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        print(f"N = {options.particles}, K = {strength:g}:", json.loads(out.stdout))


def _one(n: int, strength: float) -> None:
    from benchmarks._turns import setup

    clock, cpu = time.perf_counter(), time.process_time()
    jax, mk = setup()
    from mckean.analysis.sampling import sample_gibbs
    from mckean.catalogue.oscillators import kuramoto, mean_square_order

    def square(model, mu):
        return mk.observables.order_parameter(1)(model, mu) ** 2

    law = mk.measures.Uniform(mk.Torus(1))
    sample = sample_gibbs(
        kuramoto(strength).model, law, n, {"r²": square}, key=jax.random.key(0), chains=64, draws=3000
    )
    clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
    found, exact = sample["r²"], mean_square_order(n, strength, 1.0)
    row = {
        "relative standard error": found.stderr / found.value,
        "deviation in standard errors": (found.value - exact) / found.stderr,
        "R̂": float(sample.r_hat["r²"][-1]),
        "effective sample size": float(sample.size["r²"][-1]),
        "seconds": clock,
        "seconds of CPU": cpu,
    }
    print(json.dumps({name: round(value, 4) for name, value in row.items()}))
