"""Inputs that a user may well give, of positions with velocities: each must be refused, with these words."""

import math

import jax
import jax.numpy as jnp
import numpy as np

import mckean as mk

LINE, CIRCLE, SPHERE, PLANE = mk.Euclidean(1), mk.Torus(1), mk.Sphere(3), mk.Euclidean(2)
RING = mk.TangentBundle(CIRCLE)
GRID = RING.grid(CIRCLE.grid(8), 16, 6.0)
PAIRS = mk.Particles(RING, jnp.asarray([[0.1, 1.0], [2.0, -1.0], [3.0, 0.5]]))
CLOUD = mk.Particles(CIRCLE, jnp.asarray([[0.1], [2.0], [3.0]]))
PUFF = mk.Density.from_function(GRID, lambda z: jnp.exp(-(z[1] ** 2)))
FAST = mk.Density.from_function(GRID, lambda z: jnp.exp(-0.1 * z[1] ** 2))
SQUARE = mk.TangentBundle(PLANE).grid(PLANE.grid(4, -1.0, 1.0), 4, 1.0)
MODEL = mk.underdamped(CIRCLE, interaction=mk.kernels.Cosine(1.0))
PATH = mk.Brownian(jax.random.key(0))


def run(model=MODEL, measure=PAIRS, scheme=None):
    return mk.evolve(model, measure, until=0.2, dt=0.1, path=PATH, scheme=scheme)


def model(**parts):
    return mk.Model(RING, **parts)


def align(weight=lambda z: 1.0, space=CIRCLE):
    return mk.interactions.VelocityAlignment(weight, space)


REFUSED = {
    "TangentBundle": {
        "of a sphere": (lambda: mk.TangentBundle(SPHERE), "live on a torus or on R^d"),
        "of a number": (lambda: mk.TangentBundle(2), "live on a torus or on R^d"),
        "no speed": (lambda: RING.grid(CIRCLE.grid(8), 16, 0.0), "the largest speed"),
        "an infinite speed": (lambda: RING.grid(CIRCLE.grid(8), 16, math.inf), "the largest speed"),
        "three velocities": (lambda: RING.grid(CIRCLE.grid(8), 3, 1.0), "at least 4 nodes"),
        "a grid of another space": (lambda: RING.grid(LINE.grid(8, -1.0, 1.0), 16, 1.0), "are a grid of"),
        "a uniform law": (lambda: RING.uniform(jax.random.key(0), 3), "no uniform law of velocities"),
    },
    "PhaseGrid": {
        "a circle": (lambda: mk.PhaseGrid(CIRCLE, CIRCLE.grid(8), LINE.grid(8, -1.0, 1.0)), "one of a tangent bundle"),
        "velocities of the plane": (
            lambda: mk.PhaseGrid(RING, CIRCLE.grid(8), PLANE.grid(8, -1.0, 1.0)),
            "a box in dimension 1",
        ),
    },
    "Thermostat": {
        "no friction": (lambda: mk.Thermostat(0.0, 1.0), "friction must be positive"),
        "no temperature": (lambda: mk.Thermostat(1.0, math.inf), "beta must be positive and finite"),
        "two frictions": (lambda: mk.Thermostat(jnp.ones(2), 1.0), "must be a number"),
        "without velocities": (lambda: mk.Model(CIRCLE, noise=mk.Thermostat(1.0, 1.0)), "acts on velocities"),
        "a thermal noise in its place": (lambda: model(noise=mk.Thermal(1.0)), "comes with a friction"),
    },
    "RandomForce": {"a number": (lambda: mk.RandomForce(1.0), "made of a noise")},
    "underdamped": {
        "a negative friction": (lambda: mk.underdamped(CIRCLE, friction=-1.0), "a friction is not negative"),
        "a friction that is no number": (
            lambda: mk.underdamped(CIRCLE, friction=math.nan),
            "a friction is not negative",
        ),
        "a negative temperature": (lambda: mk.underdamped(CIRCLE, beta=-1.0), "beta must be positive"),
        "a sphere": (lambda: mk.underdamped(SPHERE), "live on a torus or on R^d"),
        "a V that is not periodic": (lambda: mk.underdamped(CIRCLE, lambda x: x[0] ** 2), "periodic"),
        "a V with values in R": (lambda: mk.underdamped(LINE, lambda x: x), "scalar"),
        "a common noise that is a number": (lambda: mk.underdamped(CIRCLE, common=[1.0]), "made of a noise"),
        "a cloud without velocities": (lambda: run(measure=CLOUD), "the model lives on"),
    },
    "BAOAB": {
        "without velocities": (
            lambda: run(mk.langevin(CIRCLE), CLOUD, mk.BAOAB()),
            "moves positions with velocities",
        ),
        "a density": (lambda: run(measure=PUFF, scheme=mk.BAOAB()), "the scheme BAOAB moves Particles, but"),
        "a noise of positions": (lambda: run(model(noise=mk.Additive(1.0))), "takes a Thermostat or no noise"),
        "a drift of positions": (lambda: run(model(drift=lambda z, mu: jnp.ones(2))), "the model's drift moves them"),
        "a common noise of positions": (lambda: run(model(common=mk.Additive(1.0))), "common noise moves them too"),
        "a noise of Itô": (
            lambda: run(model(common=mk.Multiplicative(lambda z, mu: jnp.stack([0.0, z[1]])))),
            "in the sense of Stratonovich",
        ),
    },
    "Splitting": {
        "particles": (lambda: run(scheme=mk.Splitting()), "the scheme Splitting moves Density on a phase grid"),
        "the plane": (
            lambda: run(mk.underdamped(PLANE), mk.Density(SQUARE, np.full(SQUARE.shape, 1 / 16)), mk.Splitting()),
            "built for positions in dimension 1, not 2",
        ),
        "a drift": (lambda: run(model(drift=lambda z, mu: 0 * z), PUFF), "of velocities a VelocityAlignment alone"),
        "a negativity that is no number": (lambda: mk.Splitting(negativity=math.nan), "negativity must be"),
        "an edge that is no number": (lambda: mk.Splitting(edge_tolerance=math.nan), "edge_tolerance must be"),
        "speeds beyond the grid": (lambda: run(measure=FAST), "at the edge of the grid"),
    },
    "interactions.VelocityAlignment": {
        "a weight that is a number": (lambda: align(1.0), "function|kernel"),
        "a weight that is not periodic": (lambda: align(lambda z: z[0] ** 2), "periodic"),
        "on a sphere": (lambda: align(space=SPHERE), "live on a torus or on R^d"),
        "without velocities": (lambda: run(mk.Model(CIRCLE, drift=align()), CLOUD), "whose points have velocities"),
        "points without velocities": (lambda: align()(CLOUD.positions, PAIRS), "shape"),
    },
    "measures.configuration": {
        "of a number": (lambda: mk.measures.configuration(3.0), "a measure"),
    },
    "couplings.lipschitz": {"with velocities": (lambda: mk.couplings.lipschitz(MODEL), "is no gradient")},
    "energetics.convexity": {
        "with velocities": (lambda: mk.energetics.convexity(MODEL, -1.0, 1.0), "does not descend its free energy")
    },
    "phases.steady_state": {
        "with velocities": (lambda: mk.phases.steady_state(MODEL, PUFF), "with normal velocities"),
    },
    "marginal": {"of positions": (lambda: mk.marginal(PUFF, 1, 1), "the law of positions is")},
    "deposit": {
        "speeds beyond the grid": (
            lambda: mk.deposit(mk.Particles(RING, jnp.asarray([[0.1, 9.0]])), GRID),
            "the box is too small",
        ),
    },
    "observables.mean": {
        "of angles with velocities": (lambda: mk.observables.mean(MODEL, PAIRS), "no meaning on a torus"),
    },
    "catalogue.cucker_smale": {
        "no strength": (lambda: mk.catalogue.cucker_smale(0.0), "positive"),
        "a negative exponent": (lambda: mk.catalogue.cucker_smale(exponent=-1.0), "not negative"),
    },
    "catalogue.inertial_kuramoto": {
        "no friction": (lambda: mk.catalogue.inertial_kuramoto(friction=0.0), "friction γ is a positive"),
    },
    "catalogue.locusts": {"a weak preference": (lambda: mk.catalogue.locusts(4.0), "h > 4")},
}
