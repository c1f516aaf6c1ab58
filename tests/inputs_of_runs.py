"""Inputs that a user may well give, beyond those of `inputs`: schemes, grids, laws, catalogue, couplings, energies.

Each must be refused, with these words in the sentence.
"""

import math
from functools import partial

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

import mckean as mk

LINE, CIRCLE, SPHERE = mk.Euclidean(1), mk.Torus(1), mk.Sphere(3)
KEY = jax.random.key(0)
CLOUD = mk.Particles(CIRCLE, jnp.asarray([[0.1], [2.0], [3.0]]))
DOTS = mk.Particles(LINE, jnp.asarray([[0.1], [2.0], [3.0]]))
BALL = mk.Gaussian(0.0, 1.0)
RHO = mk.Density.from_function(CIRCLE.grid(8), lambda x: 1 + 0.5 * jnp.cos(x[0]))
BUMP = mk.Density.from_function(LINE.grid(32, -6.0, 6.0), lambda x: jnp.exp(-(x[0] ** 2)))
COSINE, MORSE = mk.kernels.Cosine(1.0), mk.kernels.Morse()
MODEL = mk.langevin(CIRCLE, interaction=COSINE)
WELL = mk.langevin(LINE, mk.potentials.Quadratic())
PATH = mk.Brownian(KEY)
catalogue, energy = mk.catalogue, mk.energy


def run(scheme, measure=CLOUD, model=MODEL, **changes):
    return mk.evolve(model, measure, **({"until": 0.2, "dt": 0.1, "path": PATH, "scheme": scheme} | changes))


CAPS = SPHERE.grid(4, axis=[1.0, 0.0, 0.0])
GLOBE = mk.Density(SPHERE.grid(4), jnp.full((5, 10), 1 / SPHERE.volume))
RUN = mk.evolve(MODEL, CLOUD, until=0.2, dt=0.1, path=PATH)
SAMPLE = partial(mk.Graph.sample, KEY)
TWO, PAIR = mk.Population(lambda a: MODEL, [0, 1]), mk.Family([CLOUD, CLOUD])
# What asks for one model.
ONE_MODEL = {
    "energy": lambda s: energy.free_energy(s, RHO),
    "convert": lambda s: mk.convert(s, "ito"),
    "liouville": lambda s: mk.liouville(s, 2),
    "moving_frame": lambda s: mk.energetics.moving_frame(s, RHO, until=0.2, dt=0.1),
    "decay": lambda s: mk.energetics.decay(s, RHO, RHO, until=0.2, dt=0.1),
    "relaxation": lambda s: mk.energetics.relaxation(s, RHO),
    "gibbs_drift": lambda s: mk.equilibrium.gibbs_drift(s, RHO),
    "sample_gibbs": lambda s: mk.equilibrium.sample_gibbs(s, RHO, 4, {}, key=KEY),
    "linear_threshold": mk.phases.linear_threshold,
    "steady_state": lambda s: mk.phases.steady_state(s, RHO),
}
# By function: what must be refused, with words of the sentence.
REFUSED = {
    "BoxGrid": {
        "no room": (lambda: mk.BoxGrid(LINE, (8,), (1.0,), (0.0,)), "a box needs lower"),
        "an end that is no number": (lambda: LINE.grid(8, math.nan, 1.0), "the lower corner of a box"),
        "an infinite end": (lambda: LINE.grid(8, 0.0, math.inf), "a box needs lower"),
        "ends of another dimension": (lambda: LINE.grid(8, (0.0, 0.0), (1.0, 1.0)), "the lower corner of a box"),
        "nodes of another dimension": (lambda: LINE.grid((8, 8), 0.0, 1.0), "the shape of a grid needs"),
        "a torus": (lambda: mk.BoxGrid(CIRCLE, (8,), (0.0,), (1.0,)), "a box is a part of"),
    },
    "FourierGrid": {
        "nodes of another dimension": (lambda: CIRCLE.grid((8, 8)), "the shape of a grid needs"),
        "a negative number of nodes": (lambda: CIRCLE.grid(-3), "a grid needs at least"),
        "a line": (lambda: mk.FourierGrid(LINE, (8,)), "a Fourier grid is one of"),
    },
    "CircleGrid": {
        "of the sphere": (lambda: mk.CircleGrid(SPHERE, 8), "this grid is one of Sphere(2)"),
        "no degree": (lambda: mk.Sphere(2).grid(0), "the degree of a grid of harmonics"),
    },
    "SphereGrid": {
        "of the plane": (lambda: mk.SphereGrid(mk.Euclidean(3), 8), "a grid of harmonics is one of a sphere"),
        "half a degree": (lambda: SPHERE.grid(8.5), "the degree of a grid of harmonics"),
        "a higher dimension": (lambda: mk.Sphere(8).grid(8), "grid(degree, axis=e)"),
        "cells of one size": (
            lambda: mk.transport.geodesic(GLOBE, GLOBE, times=4),
            "the grids of a torus or of a box",
        ),
        "finite volumes": (lambda: run(mk.FiniteVolume(), GLOBE, mk.langevin(SPHERE)), "the scheme FiniteVolume moves"),
    },
    "ZonalGrid": {
        "a long axis": (lambda: SPHERE.grid(8, axis=[1.0, 1.0, 0.0]), "the axis of a zonal grid"),
        "an axis of another dimension": (lambda: SPHERE.grid(8, axis=[1.0, 0.0]), "the axis of a zonal grid"),
        "of the circle": (lambda: mk.Sphere(2).grid(8, axis=[1.0, 0.0]), "there is no need of an axis"),
        "a density across": (lambda: mk.Density.from_function(CAPS, lambda x: 1 + x[1]), "a zonal grid holds"),
        "a law across": (
            lambda: mk.Density.from_law(CAPS, mk.VonMisesFisher(SPHERE, [0.0, 1.0, 0.0])),
            "a zonal grid holds",
        ),
        "a cloud": (lambda: mk.deposit(mk.Particles(SPHERE, [[0.0, 0.0, 1.0]]), CAPS), "a cloud is not zonal"),
        "its atoms": (
            lambda: mk.interactions.Attention()(CAPS.nodes, mk.Density.from_function(CAPS, lambda x: 1.0)),
            "a zonal density acts by its harmonics",
        ),
    },
    "Harmonics": {
        "particles": (lambda: run(mk.Harmonics()), "the scheme Harmonics moves Density on"),
        "a negativity that is no number": (lambda: mk.Harmonics(negativity=math.nan), "negativity must be a number"),
        "a noise of the state": (
            lambda: run(mk.Harmonics(), GLOBE, mk.Model(SPHERE, noise=mk.Multiplicative(lambda x, mu: 1.0))),
            "the own noise of a density on a sphere",
        ),
        "a common noise of Itô": (
            lambda: run(mk.Harmonics(), GLOBE, mk.Model(SPHERE, common=mk.Heads())),
            'mckean.convert(model, "stratonovich")',
        ),
        "a velocity across": (
            lambda: run(
                mk.Harmonics(), mk.Density.from_function(CAPS, lambda x: 1.0), mk.langevin(SPHERE, lambda x: x[1])
            ),
            "the velocity must be zonal",
        ),
        "a degree beyond its precision": (
            lambda: run(
                mk.Harmonics(),
                mk.measures.cast(
                    mk.Density.from_function(mk.Sphere(64).grid(32, axis=[1.0] + [0.0] * 63), lambda x: 1.0),
                    jnp.float32,
                ),
                mk.langevin(mk.Sphere(64)),
            ),
            "is beyond the precision of float32",
        ),
        "a common noise across": (
            lambda: run(
                mk.Harmonics(),
                mk.Density.from_function(CAPS, lambda x: 1.0),
                mk.Model(SPHERE, common=mk.IsotropicFlow(SPHERE, [1.0])),
            ),
            "a common noise turns the axis",
        ),
    },
    "FiniteVolume": {
        "particles": (lambda: run(mk.FiniteVolume()), "the scheme FiniteVolume moves Density on"),
        "time of no name": (
            lambda: run(mk.FiniteVolume(time="backward"), BUMP, WELL),
            "time is 'implicit' or 'explicit', but",
        ),
        "an edge that is no number": (
            lambda: mk.FiniteVolume(edge_tolerance=math.nan),
            "edge_tolerance must be a number that",
        ),
        "a negative edge": (lambda: mk.FiniteVolume(edge_tolerance=-1.0), "edge_tolerance must be a number that"),
    },
    "FluxLimited": {
        "particles": (lambda: run(mk.FluxLimited()), "the scheme FluxLimited moves Density on"),
        "a box": (lambda: run(mk.FluxLimited(), BUMP, WELL), "the scheme FluxLimited moves Density on"),
    },
    "GeodesicEuler": {
        "a density": (lambda: run(mk.GeodesicEuler(), RHO), "the scheme GeodesicEuler moves Particles, but"),
    },
    "Isotropic": {
        "a number": (lambda: mk.Isotropic(1.0), "an isotropic noise needs an amplitude"),
        "another calculus": (lambda: mk.Isotropic(lambda mu: 1.0, "backward"), "the calculus of a noise is"),
        "a function of two": (lambda: mk.Isotropic(lambda x, mu: 1.0), "the amplitude a of an isotropic"),
    },
    "IsotropicFlow": {
        "on a line": (lambda: mk.IsotropicFlow(LINE, [1.0]), "an isotropic flow of this kind"),
        "a negative coefficient": (lambda: mk.IsotropicFlow(SPHERE, [-1.0]), "the coefficients of k must"),
        "a coefficient that is no number": (lambda: mk.IsotropicFlow(SPHERE, [math.nan]), "a coefficient of k must be"),
        "none": (lambda: mk.IsotropicFlow(SPHERE, []), "the coefficients are numbers c_"),
    },
    "JKO": {
        "particles": (lambda: run(mk.JKO()), "the scheme JKO moves a Gaussian"),
        "an edge that is no number": (lambda: mk.JKO(edge_tolerance=math.nan), "edge_tolerance must be a number that"),
        "a torus": (lambda: run(mk.JKO(), RHO), "the scheme JKO moves a Gaussian"),
    },
    "Lagrangian": {
        "ends out of order": (lambda: mk.Lagrangian([0.0, 2.0, 1.0], [0.5, 0.5]), "the ends of cells must increase"),
        "masses of another number": (lambda: mk.Lagrangian([0.0, 1.0], [0.5, 0.5]), "n cells have n masses and"),
        "masses that do not sum to 1": (
            lambda: mk.Lagrangian([0.0, 1.0, 2.0], [0.5, 1.0]),
            "the masses of cells must be",
        ),
        "an end that is no number": (lambda: mk.Lagrangian([0.0, math.nan, 2.0], [0.5, 0.5]), "an end of a cell must"),
        "a negative mass": (lambda: mk.Lagrangian([0.0, 1.0, 2.0], [1.5, -0.5]), "the masses of cells must be"),
    },
    "Layers": {
        "without layers": (lambda: run(mk.Layers()), "tokens share the weights of a"),
        "a density": (lambda: run(mk.Layers(), RHO), "the scheme Layers moves Particles, but"),
    },
    "Moebius": {
        "on a circle": (lambda: run(mk.Moebius()), "Möbius maps move particles on a"),
        "a density": (lambda: run(mk.Moebius(), RHO), "the scheme Moebius moves Particles"),
    },
    "Moments": {
        "particles": (lambda: run(mk.Moments()), "the scheme Moments moves Gaussian, but"),
        "a solver with noise": (
            lambda: run(mk.Moments(diffrax.EulerHeun()), BALL, WELL),
            "moments follow an ordinary differential equation",
        ),
        "a number": (lambda: run(mk.Moments(1.0), BALL, WELL), "particles are moved by a diffrax"),
    },
    "ParticleScheme": {
        "a number": (lambda: run(mk.ParticleScheme(1.0)), "particles are moved by a diffrax"),
        "an implicit solver": (
            lambda: run(mk.ParticleScheme(diffrax.ImplicitEuler())),
            "the solver ImplicitEuler is implicit: its",
        ),
        "an area": (lambda: run(mk.ParticleScheme(diffrax.SPaRK())), "the solver SPaRK needs a Lévy"),
        "no noise in it": (lambda: run(mk.ParticleScheme(diffrax.Tsit5())), "the solver Tsit"),
        "a density": (lambda: run(mk.ParticleScheme(), RHO), "the scheme ParticleScheme moves Particles, but"),
    },
    "Schedule": {
        "a model": (lambda: mk.Schedule(MODEL), "a schedule is a function of time"),
        "a function of nothing": (lambda: mk.Schedule(lambda: MODEL), "a schedule is a function of (t)"),
        "no model": (lambda: run(None, model=mk.Schedule(lambda t: t)), "a model is Model(…) or"),
        "an if": (lambda: run(None, model=mk.Schedule(lambda t: MODEL if t > 1 else WELL)), "the model lives on"),
        "an if of a traced time": (
            lambda: run(None, model=mk.Schedule(lambda t: MODEL if t < 1 else None)),
            "must be a function that JAX can trace",
        ),
        "a time that is none": (lambda: mk.Schedule(lambda t: MODEL).at("now"), "the time t must be a real"),
        "a function of time alone": (lambda: run(None, model=lambda t: MODEL), "one that depends on time is Schedule("),
        **{
            f"in {name}": (
                lambda call=call: call(mk.Schedule(lambda t: MODEL)),
                "give the one of a time, schedule.at(t)",
            )
            for name, call in ONE_MODEL.items()
        },
        "a V of time": (lambda: mk.langevin(LINE, lambda x, t: t * x[0]), "one that depends on time is Schedule("),
        "a b of time": (lambda: mk.Model(LINE, drift=lambda x, mu, t: t * x), "one that depends on time is Schedule("),
        "a temperature of time": (
            lambda: mk.langevin(LINE, beta=lambda t: 1 + t),
            "one that depends on time is in Schedule(",
        ),
    },
    "catalogue.lorentzian_order": {
        "a negative width": (lambda: catalogue.lorentzian_order(1.0, -1.0), "a width γ of frequencies"),
        "an infinite strength": (lambda: catalogue.lorentzian_order(math.inf, 1.0), "a strength K is a finite number"),
    },
    "catalogue.chimera": {
        "a disparity of 2": (lambda: catalogue.chimera(2.0, 1.5), "a chimera has 0 < A < 1"),
        "where there is none": (lambda: catalogue.chimera(0.9, 0.5), "no chimera is found"),
    },
    "Population": {
        "a model": (lambda: mk.Population(MODEL, [0.0]), "a population is a function of a label"),
        "a function of nothing": (
            lambda: mk.Population(lambda: MODEL, [0.0]),
            "the model of a population is a",
        ),
        "no label": (lambda: mk.Population(lambda a: MODEL, []), "labels have shape (m,)"),
        "labels that are words": (lambda: mk.Population(lambda a: MODEL, ["red", "blue"]), "labels are finite numbers"),
        "an infinite label": (lambda: mk.Population(lambda a: MODEL, [math.inf]), "labels are finite numbers"),
        "a matrix": (lambda: mk.Population(lambda a: MODEL, [0, 1], np.eye(2)), "a coupling A is a function of two"),
        "a coupling of one": (
            lambda: mk.Population(lambda a: MODEL, [0, 1], lambda a: a),
            "a coupling A is a function",
        ),
        "a graph of another size": (
            lambda: mk.Population(lambda a: MODEL, [0, 1], mk.Graph(3, [[0, 1]])),
            "the graph has 3 labels, but the population 2",
        ),
        "no model": (lambda: run(None, PAIR, mk.Population(lambda a: a, [0, 1])), "a model is Model(…) or"),
        "a cloud": (lambda: run(None, model=TWO), "a Population moves a Family"),
        "in energy": (lambda: energy.free_energy(TWO, RHO), "give the one of a label, population.model(a)"),
    },
    "Graph": {
        "no edge": (lambda: mk.Graph(2, []), "a graph has edges, integers of shape (e, 2)"),
        "a matrix": (lambda: mk.Graph(2, np.eye(2)), "a graph has edges, integers of shape (e, 2)"),
        "another vertex": (lambda: mk.Graph(2, [[0, 2]]), "the vertices of a graph are its labels, 0 to 1"),
        "no label": (lambda: mk.Graph(0, [[0, 1]]), "the number of labels of a graph is a positive"),
        "a weight too many": (lambda: mk.Graph(2, [[0, 1]], [1.0, 2.0]), "1 edges have weights of shape (1,)"),
        "an infinite weight": (lambda: mk.Graph(2, [[0, 1]], [math.inf]), "the weight of an edge"),
        "a complex weight": (lambda: mk.Graph(2, [[0, 1]], [1j]), "the weight of an edge must be real"),
    },
    "Graph.sample": {
        "a rate of 2": (
            lambda: SAMPLE(lambda u, v: u * v, [0.5, 1.0], 2.0),
            "the rate α of a graph lies",
        ),
        "a W of 2": (
            lambda: SAMPLE(lambda u, v: 2.0, [0.5, 1.0]),
            "a graphon W has values between 0 and 1",
        ),
        "a W of 0": (lambda: SAMPLE(lambda u, v: 0.0, [0.5, 1.0]), "the graph has no edge"),
        "a W of two numbers": (
            lambda: SAMPLE(lambda u, v: u * v, np.ones((3, 2))),
            "is a number, not an array of shape",
        ),
        "a W that is not symmetric": (lambda: SAMPLE(lambda u, v: u, [0.5, 1.0]), "a graphon W is symmetric"),
        "a W with an if": (lambda: SAMPLE(lambda u, v: 1.0 if u < v else 0.5, [0.5, 1.0]), "that JAX can trace"),
        "a label alone": (lambda: SAMPLE(lambda u, v: u * v, 0.5), "labels have shape (m,) or"),
        "a tiny rate": (lambda: SAMPLE(lambda u, v: 1.0, np.zeros(100), 1e-18), "the graph has no edge"),
        "a W of one": (lambda: SAMPLE(lambda u: u, [0.5, 1.0]), "a graphon W"),
        "a number": (lambda: SAMPLE(0.5, [0.5, 1.0]), "a graphon W is a function of two labels"),
        "a seed": (lambda: mk.Graph.sample(0, lambda u, v: u * v, [0.5, 1.0]), "key"),
    },
    "Family": {
        "a cloud": (lambda: mk.Family(CLOUD), "a family has Particles or a Density for each label"),
        "nothing": (lambda: mk.Family([]), "a family has Particles or a Density for each"),
        "Gaussians": (lambda: mk.Family([BALL]), "a family has Particles or a Density for each"),
        "clouds of two sizes": (
            lambda: mk.Family([CLOUD, mk.Particles(CIRCLE, [[0.0]])]),
            "the members of a family have one form",
        ),
        "weights of another number": (lambda: mk.Family([RHO, RHO], [1.0]), "2 labels have weights of shape (2,)"),
        "negative weights": (lambda: mk.Family([RHO, RHO], [2.0, -1.0]), "the weights of labels must not be"),
        "a split that leaves some": (lambda: mk.Family.split(CLOUD, 2), "3 particles cannot be split among 2"),
        "of another size": (lambda: run(None, mk.Family([CLOUD]), TWO), "the population has 2 labels, but the family"),
        "of a model": (lambda: run(None, PAIR), "a Family is moved by a Population"),
    },
    "PreNormalised": {
        "a number": (lambda: mk.PreNormalised(1.0), "what is normalised before is a"),
        "another calculus": (lambda: mk.PreNormalised(mk.Heads(1.0), "backward"), "the calculus of a noise is"),
    },
    "Record": {
        "a row": (lambda: mk.Record(jnp.zeros(3), 0.1), "a recorded environment has increments of"),
        "no step": (lambda: mk.Record(jnp.zeros((3, 1)), 0.0), "the step of a recorded environment"),
        "a step that is no number": (
            lambda: mk.Record(jnp.zeros((3, 1)), math.nan),
            "the step of a recorded environment",
        ),
        "an increment that is no number": (
            lambda: mk.Record(jnp.full((3, 1), jnp.nan), 0.1),
            "a recorded environment must be finite",
        ),
    },
    "Spectral": {
        "a box": (lambda: run(mk.Spectral(), BUMP, WELL), "the scheme Spectral moves Density on"),
        "a negativity that is no number": (
            lambda: mk.Spectral(negativity=math.nan),
            "negativity must be a number that",
        ),
        "a negative one": (lambda: mk.Spectral(negativity=-1.0), "negativity must be a number that"),
    },
    "SphericalCauchy": {
        "on a line": (lambda: mk.SphericalCauchy(LINE, [0.0]), "the spherical Cauchy law lives on"),
        "beyond the ball": (lambda: mk.SphericalCauchy(SPHERE, [2.0, 0.0, 0.0]), "the centre of a spherical Cauchy"),
        "of another dimension": (lambda: mk.SphericalCauchy(SPHERE, [0.5]), "the centre w has shape"),
        "no number": (lambda: mk.SphericalCauchy(SPHERE, [math.nan, 0.0, 0.0]), "the centre of a spherical Cauchy"),
    },
}
