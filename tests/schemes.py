"""The table of schemes: to be in it is to take part in every test of conformance.

Each entry is a model with one parameter, a measure, and a scheme that moves it. The sizes are small and the models few,
since compilation dominates; the functions are the module's, so that equal models are compiled once.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import diffrax
import jax
import jax.numpy as jnp

import mckean as mk

CIRCLE, LINE, PLANE = mk.Torus(1), mk.Euclidean(1), mk.Euclidean(2)


@dataclass(frozen=True)
class Entry:
    """`make(theta)` is the model; `order` is what the scheme must declare; `noisy`: whether it draws from the path.

    `variant`: the code is another entry's with other numbers, and is not transformed again, which is slow to compile.
    """

    name: str
    make: Callable[[Any], mk.Model]
    measure: Any
    scheme: mk.AbstractScheme
    order: int
    noisy: bool = False
    variant: bool = False
    dt: float = 0.01
    theta: float = 0.8

    # Made at once: made when first asked for, it could be made under a transformation and hold its tracers.
    model: mk.Model = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "model", self.make(self.theta))

    def run(self, steps: int, **options) -> mk.Trajectory:
        return self.run_of(self.model, self.measure, steps, **options)

    def run_of(self, model, measure, steps: int, first: int = 0, key=None, **options) -> mk.Trajectory:
        path = mk.Brownian(jax.random.key(7) if key is None else key) if self.noisy else None
        span = {"start": first * self.dt, "until": (first + steps) * self.dt, "dt": self.dt}
        return mk.evolve(model, measure, path=path, scheme=self.scheme, **span, **options)


def probe(mu) -> jax.Array:
    """∫Σ_i sin(x_i + 0.3) dμ: a smooth number, periodic on the circle."""
    return mu.integrate(lambda x: jnp.sum(jnp.sin(x + 0.3)))


def wave(x):
    return 0.5 * jnp.sum(jnp.cos(x)) + 0.2 * jnp.sum(jnp.sin(2 * x))


def ripple(x, mu):
    return 0.5 + 0.2 * jnp.cos(x)


def crowd(x, mu):
    """A coefficient that depends on the measure."""
    return 0.4 + 0.2 * jnp.cos(x[0]) * mu.integrate(lambda y: jnp.cos(y[0]))


def swirl(x, mu):
    return jnp.stack([-x[1], x[0]])


def thermal(theta):
    return mk.langevin(CIRCLE, confinement=wave, interaction=mk.kernels.Cosine(theta), beta=2.0)


def frozen(theta):
    return mk.Model(CIRCLE, confinement=wave, interaction=mk.kernels.Cosine(theta))


def ito(theta):
    return mk.Model(CIRCLE, confinement=wave, interaction=mk.kernels.Cosine(theta), noise=mk.Multiplicative(ripple))


def stratonovich(theta):
    noise = mk.Multiplicative(ripple, "stratonovich")
    return mk.Model(CIRCLE, confinement=wave, interaction=mk.kernels.Cosine(theta), noise=noise)


def crowded(theta):
    return mk.Model(CIRCLE, interaction=mk.kernels.Cosine(theta), noise=mk.Multiplicative(crowd))


def wells(theta):
    return mk.langevin(LINE, mk.potentials.DoubleWell(), mk.kernels.Gaussian(theta, 0.7), beta=2.0)


def linear(theta):
    return mk.langevin(LINE, mk.potentials.Quadratic(1.0), mk.kernels.Quadratic(theta), beta=2.0)


def turning(theta):
    kernel = mk.kernels.Gaussian(theta, 0.7)
    bowl = mk.potentials.Quadratic(1.0)
    return mk.Model(PLANE, confinement=bowl, interaction=kernel, drift=swirl, noise=mk.Thermal(2.0))


def on_torus(dim):
    """Sides that differ from 2π and from each other."""
    space = mk.Torus(dim, (2 * jnp.pi, 2.0, 3.0)[:dim]) if dim > 1 else CIRCLE
    turn = 2 * jnp.pi / jnp.asarray(space.lengths)

    def periodic(x):
        return 0.3 * jnp.sum(jnp.cos(turn * x))

    def make(theta):
        return mk.langevin(space, confinement=periodic, interaction=mk.kernels.Cosine(theta), beta=2.0)

    return make, mk.Density.from_function(space.grid(8), lambda x: 1 + 0.5 * jnp.sin(turn[0] * x[0]))


CLOUD = mk.Particles(CIRCLE, 2 * jnp.pi * jax.random.uniform(jax.random.key(1), (12, 1)))
WEIGHTED = mk.Particles(CIRCLE, CLOUD.positions, jnp.arange(1.0, 13.0) / 78)
BUMP = mk.Density.from_function(CIRCLE.grid(16), lambda x: jnp.exp(jnp.cos(x[0] - 0.5)))
BOX = mk.Density.from_function(LINE.grid(24, -4.0, 4.0), lambda x: jnp.exp(-2 * (x[0] - 0.3) ** 2))
SQUARE = mk.Density.from_function(
    PLANE.grid(12, -4.0, 4.0), lambda x: jnp.exp(-2 * (x[0] - 0.3) ** 2 - (x[1] + 0.2) ** 2)
)

STRATONOVICH = [
    (diffrax.Heun, 2, False),
    (diffrax.Midpoint, 2, True),
    (diffrax.Ralston, 2, True),
    (diffrax.EulerHeun, 1, True),
    (diffrax.StratonovichMilstein, 1, True),
]
ODE = [(diffrax.Dopri5, 5, False), (diffrax.Tsit5, 5, True), (diffrax.Bosh3, 3, True), (diffrax.Dopri8, 8, True)]
IMPLICIT, EXPLICIT = (mk.FiniteVolume(time, edge_tolerance=math.inf) for time in ("implicit", "explicit"))


TABLE = [
    Entry("Euler", thermal, WEIGHTED, mk.ParticleScheme(), 1, noisy=True),
    Entry("Euler-ito", ito, CLOUD, mk.ParticleScheme(), 1, noisy=True, variant=True),
    Entry("ItoMilstein", ito, CLOUD, mk.ParticleScheme(diffrax.ItoMilstein()), 1, noisy=True),
    *(
        Entry(s.__name__, stratonovich, CLOUD, mk.ParticleScheme(s()), p, True, variant)
        for s, p, variant in STRATONOVICH
    ),
    *(Entry(s.__name__, frozen, CLOUD, mk.ParticleScheme(s()), p, variant=variant) for s, p, variant in ODE),
    Entry("RandomBatch", thermal, WEIGHTED, mk.RandomBatch(5), 1, noisy=True),
    Entry("Spectral-1", *on_torus(1), mk.Spectral(), 4),
    Entry("Spectral-2", *on_torus(2), mk.Spectral(), 4, variant=True),
    Entry("Spectral-3", *on_torus(3), mk.Spectral(), 4, variant=True),
    Entry("Spectral-crowded", crowded, BUMP, mk.Spectral(), 4),
    Entry("FiniteVolume-implicit-1", wells, BOX, IMPLICIT, 1, dt=0.05),
    Entry("FiniteVolume-explicit-1", wells, BOX, EXPLICIT, 2, variant=True, dt=0.005),
    Entry("FiniteVolume-implicit-2", turning, SQUARE, IMPLICIT, 1, variant=True, dt=0.05),
    Entry("FiniteVolume-explicit-2", turning, SQUARE, EXPLICIT, 2),
    Entry("Moments", linear, mk.Gaussian(0.7, 0.4), mk.Moments(), 5, dt=0.05),
]
