"""Input that is refused, or right, where no checker of types stands before the library; run as a script it names what
is not."""

import math
import re
from collections.abc import Callable
from pathlib import Path

import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

import mckean as mk  # noqa: E402

LINE, CIRCLE, KEY = mk.Euclidean(1), mk.Torus(1), jax.random.key(0)
DOTS, NORMAL = mk.Particles(LINE, jnp.linspace(-1.0, 1.0, 5)[:, None]), mk.Gaussian(0.0, 1.0)
WELL = mk.langevin(LINE, lambda x: 0.5 * x[0] ** 2, beta=math.inf)
LEGACY = jax.random.PRNGKey(0)
BOX = LINE.grid(16, -4.0, 4.0)
RING = mk.Particles(CIRCLE, jnp.linspace(0.0, 6.0, 5)[:, None])
BUMP = mk.Density.from_function(CIRCLE.grid(8), lambda x: 1 + 0.1 * jnp.cos(x[0]))
CORE = lambda z: jnp.where(jnp.abs(z[0]) < 1.6, z[0] ** 2, jnp.nan)  # noqa: E731
ENTRY = "asks for more than the entries of a point of shape (1,)"
TYPED, TRACE = "one typed key, jax.random.key(seed)", "must be a function that JAX can trace"


def run(model=WELL, measure=DOTS, **options):
    return mk.evolve(model, measure, **({"until": 1.0, "dt": 0.25, "path": mk.Brownian(KEY)} | options))


def times(**options):
    return run(**options).times.tolist()


def see(f, name="f"):
    return run(observe={name: f})


REFUSED: dict[str, tuple[Callable, str]] = {
    "entry": (lambda: run(mk.catalogue.kuramoto()), "not Entry, which holds facts beside its model: give its .model"),
    "no model": (lambda: run(None), "a model is Model(…) or langevin(…), not NoneType."),
    "complex dt": (lambda: run(dt=0.25j), "the step dt must be a real number, but 0.25j"),
    "text": (lambda: run(until="1"), "until must be a real number, but '1'"),
    "float every": (lambda: run(every=2.0), "every must be a positive number of steps, but 2.0"),
    "endless": (lambda: run(dt=2.0**-64), "a run counts its steps from time 0 up to 9223372036854775807, but there"),
    "observe": (lambda: run(observe=mk.observables.mean), "observe takes functions by name"),
    "of a measure": (lambda: see(lambda mu: 1.0), "is a function of (model, measure), but this one is of (mu)"),
    "factory": (lambda: see(mk.observables.moment), "is a function of (model, measure), but this one is of (power)"),
    "if in an observable": (lambda: see(lambda model, mu: 1.0 if mu.positions[0, 0] > 0 else 0.0), TRACE),
    "float in an observable": (lambda: see(lambda model, mu: float(mu.positions[0, 0])), TRACE),
    "words": (lambda: see(lambda model, mu: "a"), "the observable 'f' must return numbers, but it returned 'a'."),
    "if in a potential": (lambda: mk.langevin(LINE, lambda x: x[0] if x[0] > 0 else -x[0]), TRACE),
    "if in a drift": (lambda: run(mk.Model(LINE, drift=lambda x, mu: x if x[0] > 0 else -x)), TRACE),
    "NumPy in a drift": (lambda: run(mk.Model(LINE, drift=lambda x, mu: np.sin(np.asarray(x)))), TRACE),
    "if in a noise": (lambda: run(mk.Model(LINE, noise=mk.Multiplicative(lambda x, mu: 1 if x[0] > 0 else 2))), TRACE),
    "if in a density": (lambda: mk.Density.from_function(BOX, lambda x: 1.0 if x[0] > 0 else 2.0), TRACE),
    "drift of a point": (lambda: mk.Model(LINE, drift=lambda x: x), "(x, mu), but this one is of (x);"),
    "noise of a point": (lambda: mk.Multiplicative(lambda x: x), "is a function of (x, mu), but this one is of (x)."),
    "amplitude": (lambda: mk.Isotropic(lambda x, mu: x), "is a function of (mu), but this one is of (x, mu)."),
    "entry of V": (lambda: mk.langevin(LINE, lambda x: x[1] ** 2), ENTRY),
    "entry of W": (lambda: mk.langevin(LINE, None, lambda z: z[1] ** 2), ENTRY),
    "entry of b": (lambda: run(mk.Model(LINE, drift=lambda x, mu: x[1] * x)), ENTRY),
    "entry of b, moments": (lambda: run(mk.Model(LINE, drift=lambda x, mu: x[1] * x), NORMAL), ENTRY),
    "entry of sigma": (lambda: run(mk.Model(LINE, noise=mk.Multiplicative(lambda x, mu: x[1]))), ENTRY),
    "entry of phi": (lambda: DOTS.integrate(lambda x: x[1]), ENTRY),
    "entry of a density": (lambda: mk.Density.from_function(BOX, lambda x: x[1] ** 2), ENTRY),
    "b that jumps": (lambda: run(mk.Model(CIRCLE, drift=lambda x, mu: -x), RING), "b(x, mu) is not periodic"),
    "b that jumps, density": (lambda: run(mk.Model(CIRCLE, drift=lambda x, mu: -x), BUMP), "is not periodic"),
    "sigma that jumps": (lambda: run(mk.Model(CIRCLE, noise=mk.Multiplicative(lambda x, mu: x)), RING), "not periodic"),
    "V beyond its domain": (lambda: run(mk.langevin(LINE, lambda x: -jnp.log(0.7 - x[0]))), "V is not finite at 1 of"),
    "W beyond its domain": (lambda: run(mk.langevin(LINE, None, CORE)), "W between two points is not finite at"),
    "mean of NaN": (lambda: mk.statistics.average([1.0, math.nan, 2.0]), "a sample must be finite, but 1 of its 3"),
    "root of NaN": (lambda: mk.statistics.root_mean_square([1.0, math.nan]), "a sample must be finite"),
    "slope of NaN": (
        lambda: mk.statistics.log_slope([1.0, math.nan], mk.statistics.average(np.array([[1.0, 2], [2, 3]]))),
        "needs positive values and errors at positive places",
    ),
    "test of NaN": (
        lambda: mk.statistics.energy_test(np.ones((3, 1)), np.full((3, 1), math.nan), LINE.distance, key=KEY),
        "a point of a sample must be finite",
    ),
    "decay of NaN": (lambda: mk.statistics.decay_rate(np.arange(6.0), np.full(6, math.inf)), "must be finite"),
    "power": (lambda: jax.grad(lambda m: mk.PorousMedium(m)(1.0))(2.0), "exponent of a porous medium is a number, not"),
    "parameter": (lambda: mk.potentials.Quadratic(math.nan), "the stiffness of a quadratic potential must be finite"),
    "points": (lambda: mk.interactions.force(mk.kernels.Gaussian(), DOTS, jnp.full((2, 1), math.nan)), "a point"),
    "directions": (lambda: mk.models.directions(mk.Particles(mk.Euclidean(2), np.zeros((1, 2)))), "has no direction."),
    "degenerate": (lambda: mk.Gaussian(0.0, 0.0).log_density(jnp.zeros(1)), "singular has no density."),
    "walls": (lambda: mk.FiniteVolume(edge_tolerance=math.nan), "edge_tolerance must be a number that is not negative"),
    "walls of JKO": (lambda: mk.JKO(edge_tolerance=math.nan), "edge_tolerance must be a number"),
    "negativity": (lambda: mk.Spectral(negativity=math.nan), "negativity must be a number that is not negative"),
    "shell": (lambda: mk.TransportNoise.shell(mk.Torus(3), 200.0), "at most 1048576 modes, but one of a cube of 401^3"),
    "no shell": (lambda: mk.TransportNoise.shell(mk.Torus(2), math.nan), "the largest |k| of a shell is"),
    "path": (lambda: mk.Brownian(LEGACY), TYPED),
    "sample": (lambda: NORMAL.sample(LEGACY, 3), TYPED),
    "sample of a number": (lambda: mk.VonMises(CIRCLE).sample(0, 3), TYPED),
    "keys": (lambda: NORMAL.sample(jax.random.split(KEY), 3), TYPED),
    "replicas": (lambda: mk.statistics.replicate(lambda key: 1.0, 0, 4), TYPED),
    "ensemble": (lambda: mk.environments.ensemble(lambda key: 1.0, LEGACY, 4), TYPED),
    "samples": (lambda: mk.statistics.samples(lambda n, key: 1.0, [2, 4], LEGACY, 4), TYPED),
    "no points": (lambda: NORMAL.sample(KEY, 0), "the number of points is a positive integer, but 0"),
    "half a point": (lambda: NORMAL.sample(KEY, 1.5), "the number of points is a positive integer, but 1.5"),
    "complex position": (lambda: mk.Particles(LINE, np.ones((2, 1)) * 1j), "a particle's position must be real"),
    "complex weight": (lambda: mk.Particles(LINE, np.ones((2, 1)), np.array([0.5 + 1j, 0.5 - 1j])), "must be real"),
    "complex density": (lambda: mk.Density(BOX, np.full(16, 0.125 + 1j)), "a density must be real"),
    "complex function": (lambda: mk.Density.from_function(BOX, lambda x: 1 + 1j * x[0]), "a density must be real"),
    "complex mean": (lambda: mk.Gaussian(1 + 2j, 1.0), "the mean of a Gaussian must be real"),
    "complex parameter": (lambda: mk.Additive(1j), "a parameter must be real"),
    "complex temperature": (lambda: mk.langevin(LINE, beta=1j), "the inverse temperature beta must be real"),
    "many points": (lambda: NORMAL.sample(KEY, 10**12), "this machine has"),
    "many draws": (lambda: mk.Density.from_function(BOX, lambda x: 1.0).sample(KEY, 2**40), "this machine has"),
    "many nodes": (lambda: mk.measures.tensor_power(mk.Density.from_function(BOX, lambda x: 1.0), 16), "16^16 nodes"),
}  # fmt: skip
RIGHT: dict[str, tuple[Callable, object]] = {
    "a large shell": (
        lambda: len(mk.TransportNoise.shell(mk.Torus(2), 200.0).modes),
        sum(2 * math.isqrt(200**2 - k**2) + 1 for k in range(-200, 201)) // 2,
    ),
    "start from a record": (lambda: times(start=run(until=0.5).times[-1]), [0.5, 1.0]),
    "dt as an array": (lambda: times(dt=jnp.asarray(0.25)), [0.0, 1.0]),
    "NumPy's integers": (lambda: times(every=np.int64(2)), [0.0, 0.5, 1.0]),
    "JAX's integers": (lambda: times(every=jnp.asarray(2)), [0.0, 0.5, 1.0]),
    "NumPy's number of points": (lambda: NORMAL.sample(KEY, np.int64(3)).n, 3),
    "late steps": (lambda: times(start=2.0**33, until=2.0**33 + 1), [2.0**33, 2.0**33 + 1]),
    "a plain amplitude": (
        lambda: float(run(mk.Model(LINE, noise=mk.Isotropic(lambda mu: 0.3))).final.positions[0, 0]),
        float(run(mk.Model(LINE, noise=mk.Additive(0.3))).final.positions[0, 0]),
    ),
}  # fmt: skip


PAGE = (Path(__file__).parent.parent / "docs" / "errors.md").read_text()
SECTION = re.compile(r"^### ([^\n]+)\n\n```python\n(.*?)```\n\n```text\n(.*?)\n```\n", re.DOTALL | re.MULTILINE)


def unlike_the_page():
    """A line for each section of docs/errors.md whose code does not raise its sentence, with a note that names it."""
    names: dict = {}
    exec(PAGE.split("```")[1].removeprefix("python"), names)
    for title, code, sentence in SECTION.findall(PAGE):
        try:
            exec(code, dict(names))
            yield f"{title}: accepted"
        except (ValueError, mk.RunError) as error:
            said, notes = " ".join(str(error).split()), getattr(error, "__notes__", [])
            section = "Runs that stop" if isinstance(error, mk.RunError) else title
            if said != sentence or f'See "{section}" in docs/errors.md.' not in notes:
                yield f"{title}: {said} {notes}"


def faults():
    """A line for each entry of the tables that does not hold."""
    yield from unlike_the_page()
    for name, (call, message) in REFUSED.items():
        try:
            yield f"{name}: accepted, {call()!r}"
        except ValueError as error:
            sentence = str(error)
            if message not in sentence or "\n" in sentence or not sentence.endswith("."):
                yield f"{name}: {sentence}"
        except Exception as error:
            yield f"{name}: {type(error).__name__}, {error}"
    for name, (call, value) in RIGHT.items():
        try:
            if (found := call()) != value:
                yield f"{name}: {found!r}, not {value!r}"
        except Exception as error:
            yield f"{name}: {type(error).__name__}, {error}"


if __name__ == "__main__":
    for fault in faults():
        print(fault)
