"""Steady states: a branch of 100 points with its stability, states on the 2-D torus, and a 64 × 64 phase diagram.

Run by `python -m benchmarks branches`. Seconds are those of the processor, warm, in turns. The peers are a script of
NumPy's for Kuramoto's branch (Newton's method on a matrix and its eigenvalues, at given K), and SciPy's
`root(method="krylov")` on the same equation u = V + W*ρ(u), by FFT.
"""

import argparse
import statistics
import time

import numpy as np

from benchmarks._turns import setup

_NODES, _POINTS = 64, 100


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks branches")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="*", default=[128, 512])
    options = parser.parse_args(arguments)
    jax, mk = setup()
    _compare(f"Kuramoto's branch, {_POINTS} points of {_NODES} nodes", _branch(jax, mk), options.rounds)
    for n in options.sizes:
        _compare(f"a state of two cosines on {n} × {n} nodes", _states(jax, mk, n), options.rounds)
    _compare("a diagram of 64 × 64 pairs on 64 nodes: fold and coexistence", {"mckean": _diagram(mk)}, 1)


def _compare(what: str, runners: dict, rounds: int) -> None:
    taken: dict[str, list[float]] = {name: [] for name in runners}
    errors = {name: run() for name, run in runners.items()}
    for _ in range(rounds):
        for name, run in runners.items():
            start = time.process_time()
            run()
            taken[name].append(time.process_time() - start)
    own = statistics.median(taken["mckean"])
    print(what)
    for name, seconds in taken.items():
        median = statistics.median(seconds)
        print(f"  {name:24} {median:8.3f} s   {median / own:6.1f} ×   error {errors[name]:.1e}")


def _diagram(mk):
    """Tokens that attend, the last column at b = 4, whose fold and κ_c the equation of one number gives."""
    from scipy.special import iv

    from mckean import phases
    from mckean.catalogue import circle

    def attention(ratio, sharpness):
        weights = circle.attention_weights(sharpness, 24)
        return circle.on_circle(weights, 2 * ratio / weights[0], 1.0)

    def own():
        ratios, sharpness = np.linspace(0.9, 1.06, 64), np.linspace(1.0, 4.0, 64)
        found = phases.phase_diagram(attention, mk.Torus(1).grid(64), ratios, sharpness)
        lines = np.array([found.fold[-1], found.coexistence[-1]]) * 4 / iv(1, 4.0)
        return float(np.abs(lines - [0.3870689959520, 0.3914751008361]).max())

    return own


def _order(strength) -> float:
    """r = I_1(Kr)/I_0(Kr)."""
    from scipy.optimize import brentq
    from scipy.special import ive

    return float(brentq(lambda r: ive(1, strength * r) / ive(0, strength * r) - r, 1e-3, 1.0, xtol=1e-15))  # pyright: ignore[reportArgumentType]


def _branch(jax, mk) -> dict:
    from mckean import phases

    circle = mk.Torus(1)
    model_of = lambda k: mk.langevin(circle, interaction=mk.kernels.Cosine(k), beta=1.0)  # noqa: E731
    grid = circle.grid(_NODES)
    flat = mk.Density.from_function(grid, lambda x: 1.0 + 0 * x[0])
    plain = phases.continuation(model_of, phases.steady_state(model_of(1.8), flat, 0), 1.8, (1.8, 2.5))
    (event,) = plain.events
    (way,) = phases.departures(event)

    def own():
        # Steps that grow by half until they are as long as the bend allows, and then stay.
        branch = phases.continuation(
            model_of, event.state, event.parameter, (1.9, 1e3), along=way, step=0.02, longest=0.06, most=_POINTS
        )
        assert len(branch.states) == _POINTS
        return max(abs(s.order - _order(k)) for s, k in list(zip(branch.states, branch.parameters, strict=True))[5::20])

    strengths = np.linspace(2.02, 6.0, _POINTS)
    x = 2 * np.pi * np.arange(_NODES) / _NODES
    waves = np.cos(x[:, None] - x) / _NODES

    def script():
        u, worst = -0.2 * np.cos(x), 0.0
        for k in strengths:
            for _ in range(12):
                rho = np.exp(-u)
                rho /= rho.mean()
                off = u + k * waves @ rho
                # The phase is held by a border, u odd about x = 0.
                matrix = np.eye(_NODES) + k * waves @ (-np.diag(rho) + np.outer(rho, rho) / _NODES)
                border = np.block([[matrix, np.sin(x)[:, None]], [np.sin(x)[None], np.zeros((1, 1))]])
                u = u - np.linalg.solve(border, np.append(off, 0.0))[:-1]
                if np.abs(off).max() < 1e-12:
                    break
            root = np.sqrt(rho)
            np.linalg.eigvalsh(np.eye(_NODES) - k * root[:, None] * waves * root)
            worst = max(worst, abs(np.mean(rho * np.cos(x)) - _order(k))) if k in strengths[::20] else worst
        return worst

    return {"mckean": own, "NumPy": script}


def _states(jax, mk, n: int) -> dict:
    from scipy.optimize import root

    from mckean import phases

    strength, plane = 3.0, mk.Torus(2)
    model = mk.langevin(plane, interaction=mk.kernels.Cosine(strength), beta=1.0)
    start = mk.Density.from_function(plane.grid(n), lambda x: 1 + 0.4 * jax.numpy.cos(x[0]) + 0.3 * jax.numpy.cos(x[1]))
    exact = _order(strength)
    x = 2 * np.pi * np.arange(n) / n

    def equation(u):
        rho = np.exp(-(u - u.min()))
        spectrum = np.fft.rfft2(rho / rho.sum())
        kept = np.zeros_like(spectrum)
        for k in ((1, 0), (-1, 0), (0, 1)):
            kept[k] = -0.5 * strength * spectrum[k]
        return u - np.fft.irfft2(kept, u.shape) * n**2

    def krylov():
        first = -np.log(1 + 0.4 * np.cos(x)[:, None] + 0.3 * np.cos(x))
        # From the start itself it falls to the uniform state: Picard's steps lead into the basin.
        for _ in range(30):
            first = first - equation(first)
        found = root(equation, first, method="krylov", options={"fatol": 1e-10, "maxiter": 60})
        rho = np.exp(-found.x)
        return abs(np.abs(np.fft.fft2(rho / rho.sum())[1, 0]) - exact)

    return {
        "mckean": lambda: abs(phases.steady_state(model, start).order - exact),
        "SciPy, root krylov": krylov,
    }
