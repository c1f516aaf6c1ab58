"""The table of schemes: to be in it is to take part in every test of conformance.

Each entry is a model with one parameter, a measure, and a scheme that moves it. The sizes are small and the models few,
since compilation dominates; the functions are the module's, so that equal models are compiled once.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp

import mckean as mk
from mckean.dynamics.labels import FamilyScheme
from mckean.interactions.parameters import parameter
from mckean.models import Equation

CIRCLE, LINE, PLANE = mk.Torus(1), mk.Euclidean(1), mk.Euclidean(2)
OBLONG = mk.Torus(2, (2 * math.pi, 2.0))
SPHERE = mk.Sphere(3)


@dataclass(frozen=True)
class Entry:
    """`make(theta)` is the model; `order` is what the scheme must declare; `noisy`: whether it draws from the path.

    `variant`: the code is another entry's with other numbers, and is not transformed again, which is slow to compile.
    """

    name: str
    make: Callable[[Any], Equation]
    measure: Any
    scheme: mk.AbstractScheme
    order: int
    noisy: bool = False
    variant: bool = False
    dt: float = 0.01
    theta: float = 0.8

    # Made at once: made when first asked for, it could be made under a transformation and hold its tracers.
    model: Equation = field(init=False)

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


def breeze(x, mu):
    return 0.4 * jnp.sin(x)


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


def in_environment(theta):
    """Own and common noise, the latter additive and dependent on the measure."""
    common = (mk.Additive(0.3), mk.Multiplicative(crowd, "stratonovich"))
    own = mk.Multiplicative(ripple, "stratonovich")
    return mk.Model(CIRCLE, confinement=wave, interaction=mk.kernels.Cosine(theta), noise=own, common=common)


def carried(theta):
    """Thermal noise, and an environment that is shifted exactly, and one that sees the measure."""
    common = (mk.Additive(0.3), mk.Multiplicative(crowd, "stratonovich"))
    return mk.langevin(CIRCLE, wave, mk.kernels.Cosine(theta), beta=2.0, common=common)


def shaken(theta):
    """Affine fields, one of which depends on the measure."""
    field = mk.Multiplicative(affine, "stratonovich")
    bowl = mk.potentials.Quadratic(1.0)
    return mk.langevin(LINE, bowl, mk.kernels.Quadratic(theta), beta=2.0, common=(mk.Additive(0.5), field))


def affine(x, mu):
    return 0.3 * x + 0.2 * mu.integrate(lambda y: y)


def seasonal(theta):
    """Everything that may depend on time: V, W, b, and both noises."""

    def at(t):
        gust = mk.Multiplicative(lambda x, mu: 0.3 * jnp.cos(x - t), "stratonovich")
        tide = lambda x: jnp.sin(t) * wave(x)  # noqa: E731
        kernel, wind = mk.kernels.Cosine(theta * (1 + t)), lambda x, mu: 0.3 * jnp.cos(2 * t) + 0 * x
        noise, common = mk.Thermal(2 + jnp.cos(t)), (mk.Additive(0.2 + 0.1 * t), gust)
        return mk.Model(CIRCLE, confinement=tide, interaction=kernel, drift=wind, noise=noise, common=common)

    return mk.Schedule(at)


def linked(theta):
    """Labels on a graph whose models and edges depend on time, and whose particles feel one environment unequally."""

    def at(t):
        def model(a):
            kernel, wind = mk.kernels.Cosine(theta * (1 + t)), lambda x, mu: 0.3 * a * mu.integrate(jnp.cos)
            gust = mk.Additive(0.2 + 0.1 * a)
            return mk.Model(CIRCLE, confinement=wave, interaction=kernel, drift=wind, noise=mk.Thermal(2), common=gust)

        return mk.Population(model, LABELS, mk.Graph(3, EDGES, jnp.asarray([1.0, 0.5, 2.0, 0.7]) + t))

    return mk.Schedule(at)


def wells(theta):
    return mk.langevin(LINE, mk.potentials.DoubleWell(), mk.kernels.Gaussian(theta, 0.7), beta=2.0)


def linear(theta):
    return mk.langevin(LINE, mk.potentials.Quadratic(1.0), mk.kernels.Quadratic(theta), beta=2.0)


def turning(theta):
    kernel = mk.kernels.Gaussian(theta, 0.7)
    bowl = mk.potentials.Quadratic(1.0)
    return mk.Model(PLANE, confinement=bowl, interaction=kernel, drift=swirl, noise=mk.Thermal(2.0))


def pressed(theta):
    """Heat and pressure on the circle."""
    kernel, pressure = mk.kernels.Cosine(theta), mk.PorousMedium(2.0, 0.5)
    return mk.Model(CIRCLE, confinement=wave, interaction=kernel, noise=mk.Thermal(2.0), internal=pressure)


def stirred(theta):
    """On a square, by waves that do not commute."""
    space = mk.Torus(2)
    common = mk.TransportNoise.shell(space, 1.5, intensity=0.5)
    return mk.langevin(space, interaction=mk.kernels.Cosine(theta), beta=2.0, common=common)


def windy(theta):
    """In one dimension, by a shift and by a field that depends on the point."""
    gust = mk.Multiplicative(breeze, "stratonovich")
    kernel = mk.kernels.Gaussian(theta, 0.7)
    return mk.langevin(LINE, mk.potentials.DoubleWell(), kernel, beta=2.0, common=[mk.Additive(0.5), gust])


def attentive(theta):
    """On the sphere, by attention, and by a noise common to all that grows as tokens align."""
    return mk.Model(SPHERE, drift=mk.interactions.Attention(theta), common=mk.Isotropic(leaning))


def tilted(theta):
    """On the sphere, of a density, with own noise and isotropic flow."""
    return mk.langevin(SPHERE, tilt, mk.kernels.Zonal(Squared(theta)), 2.0, mk.IsotropicFlow(SPHERE, [0.0, 0.1]))


def tilt(x):
    return x[0] - 0.3 * x[1] * x[2]


class Squared(eqx.Module):
    strength: Any = eqx.field(converter=parameter)

    def __call__(self, t):
        return -self.strength * t**2


def rise(x):
    return 0.5 * x[0]


def along_axis(theta):
    return mk.langevin(mk.Sphere(5), rise, mk.kernels.Zonal(Squared(theta)), beta=2.0)


def leaning(mu):
    return 0.3 + jnp.sum(mu.integrate(lambda x: x) ** 2)


def network(theta):
    return mk.Model(SPHERE, common=(mk.Heads(theta), mk.Neurons("tanh", 4)))


def on_torus(dim, common=lambda space: ()):
    """Sides that differ from 2π and from each other."""
    space = mk.Torus(dim, (2 * jnp.pi, 2.0, 3.0)[:dim]) if dim > 1 else CIRCLE
    turn = 2 * jnp.pi / jnp.asarray(space.lengths)

    def periodic(x):
        return 0.3 * jnp.sum(jnp.cos(turn * x))

    def make(theta):
        kernel = mk.kernels.Cosine(theta)
        return mk.langevin(space, confinement=periodic, interaction=kernel, beta=2.0, common=common(space))

    return make, mk.Density.from_function(space.grid(8), lambda x: 1 + 0.5 * jnp.sin(turn[0] * x[0]))


def shears(space):
    return mk.TransportNoise.shears(space, 0.1)


def shell(space):
    return mk.TransportNoise.shell(space, 2.0, intensity=0.1)


def waves(theta):
    """Enough waves for a transform."""
    return mk.langevin(OBLONG, interaction=mk.kernels.Cosine(theta), beta=2.0, common=shell(OBLONG))


def kinetic(theta):
    """With velocities, in an environment that is a random force."""
    gust = mk.Multiplicative(breeze)
    return mk.underdamped(CIRCLE, wave, mk.kernels.Cosine(theta), friction=1.5, beta=2.0, common=gust)


def aligned(theta):
    field = mk.interactions.VelocityAlignment(lambda z: theta * (1 + jnp.cos(z[0])), CIRCLE)
    return mk.Model(mk.TangentBundle(CIRCLE), confinement=wave, drift=field, noise=mk.Thermostat(1.5, 2.0))


def swinging(theta):
    return mk.underdamped(LINE, mk.potentials.Quadratic(1.0), mk.kernels.Quadratic(theta), friction=0.5, beta=2.0)


LABELS = jnp.asarray([0.0, 0.5, 1.5])
EDGES = [[0, 1], [2, 0], [2, 1], [1, 2]]
CLOUD = mk.Particles(CIRCLE, 2 * jnp.pi * jax.random.uniform(jax.random.key(1), (12, 1)))
WEIGHTED = mk.Particles(CIRCLE, CLOUD.positions, jnp.arange(1.0, 13.0) / 78)
DRIFTERS = mk.Particles(OBLONG, OBLONG.uniform(jax.random.key(2), 12))
TOKENS = mk.Particles(SPHERE, SPHERE.uniform(jax.random.key(3), 12))
MOVERS = mk.Particles(mk.TangentBundle(CIRCLE), jax.random.normal(jax.random.key(4), (12, 2)))
PUFF = mk.Density.from_function(
    mk.TangentBundle(CIRCLE).grid(CIRCLE.grid(8), 32, 6.0), lambda z: jnp.exp(jnp.cos(z[0]) - (z[1] - 0.5) ** 2)
)
BUMP = mk.Density.from_function(CIRCLE.grid(16), lambda x: jnp.exp(jnp.cos(x[0] - 0.5)))
FLOCK, BUMPS = mk.Family.split(CLOUD, 3, [0.5, 0.2, 0.3]), mk.Family([BUMP] * 3, [0.5, 0.2, 0.3])
SWING = mk.Gaussian([0.7, 0.1], [[0.4, 0.1], [0.1, 0.6]], mk.TangentBundle(LINE))
SLOPE = mk.Density.from_function(mk.Torus(2).grid(8), lambda x: 1 + 0.5 * jnp.sin(x[0]))
GLOBE = mk.Density.from_function(SPHERE.grid(6), lambda x: jnp.exp(0.5 * x[2] - 0.3 * x[0]))
CAPS = mk.Density.from_function(mk.Sphere(5).grid(6, axis=[1.0, 0, 0, 0, 0]), lambda x: jnp.exp(0.5 * x[0]))
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
    Entry("EulerHeun-environment", in_environment, WEIGHTED, mk.ParticleScheme(diffrax.EulerHeun()), 1, noisy=True),
    Entry("EulerHeun-seasonal", seasonal, WEIGHTED, mk.ParticleScheme(diffrax.EulerHeun()), 1, True, True),
    Entry("Heun-linked", linked, FLOCK, FamilyScheme(mk.ParticleScheme(diffrax.Heun())), 2, True, True),
    Entry("Euler-waves", waves, DRIFTERS, mk.ParticleScheme(), 1, noisy=True),
    Entry("GeodesicEuler", attentive, TOKENS, mk.GeodesicEuler(), 1, noisy=True, variant=True),
    Entry("Moebius", attentive, TOKENS, mk.Moebius(), 2, noisy=True),
    Entry("Layers", network, TOKENS, mk.Layers(), 1, noisy=True, variant=True),
    Entry("BAOAB", kinetic, MOVERS, mk.BAOAB(), 2, noisy=True),
    Entry("Splitting", kinetic, PUFF, mk.Splitting(), 2, noisy=True),
    Entry("Splitting-aligned", aligned, PUFF, mk.Splitting(), 2, variant=True),
    Entry("RandomBatch", thermal, WEIGHTED, mk.RandomBatch(5), 1, noisy=True),
    Entry("Spectral-1", *on_torus(1), mk.Spectral(), 4),
    Entry("Spectral-2", *on_torus(2), mk.Spectral(), 4, variant=True),
    Entry("Spectral-3", *on_torus(3), mk.Spectral(), 4, variant=True),
    Entry("Spectral-crowded", crowded, BUMP, mk.Spectral(), 4),
    Entry("Spectral-carried", carried, BUMP, mk.Spectral(), 4, noisy=True),
    Entry("Spectral-seasonal", seasonal, BUMP, mk.Spectral(), 4, noisy=True, variant=True),
    Entry("Spectral-linked", linked, BUMPS, FamilyScheme(mk.Spectral()), 4, True, True),
    Entry("Spectral-shears", *on_torus(2, shears), mk.Spectral(), 4, noisy=True, variant=True),
    Entry("Spectral-shell", *on_torus(2, shell), mk.Spectral(), 4, noisy=True),
    Entry("Spectral-waves-3", *on_torus(3, shears), mk.Spectral(), 4, noisy=True, variant=True),
    Entry("Harmonics", tilted, GLOBE, mk.Harmonics(), 4, noisy=True),
    Entry("Harmonics-zonal", along_axis, CAPS, mk.Harmonics(), 4, variant=True),
    Entry("FiniteVolume-implicit-1", wells, BOX, IMPLICIT, 1, dt=0.05),
    Entry("FiniteVolume-explicit-1", wells, BOX, EXPLICIT, 2, variant=True, dt=0.005),
    Entry("FiniteVolume-implicit-2", turning, SQUARE, IMPLICIT, 1, variant=True, dt=0.05),
    Entry("FiniteVolume-explicit-2", turning, SQUARE, EXPLICIT, 2),
    Entry("FiniteVolume-windy", windy, BOX, IMPLICIT, 1, noisy=True, dt=0.05),
    Entry("FiniteVolume-pressed", pressed, BUMP, IMPLICIT, 1, dt=0.05),
    Entry("FluxLimited-1", *on_torus(1), mk.FluxLimited(), 2, variant=True),
    Entry("FluxLimited-stirred", stirred, SLOPE, mk.FluxLimited(), 2, noisy=True, dt=0.05),
    Entry("Moments", linear, mk.Gaussian(0.7, 0.4), mk.Moments(), 5, dt=0.05),
    Entry("Moments-swinging", swinging, SWING, mk.Moments(), 5, variant=True, dt=0.05),
    Entry("Moments-shaken", shaken, mk.Gaussian(0.7, 0.4), mk.Moments(), 5, dt=0.05, noisy=True),
]
