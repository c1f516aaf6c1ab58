"""Inputs that a user may well give, beyond those of `inputs`: kernels, sums, measures, potentials.

Each must be refused, with these words in the sentence.
"""

import math

import jax
import jax.numpy as jnp

import mckean as mk

LINE, CIRCLE, SPHERE = mk.Euclidean(1), mk.Torus(1), mk.Sphere(3)
KEY = jax.random.key(0)
CLOUD = mk.Particles(CIRCLE, jnp.asarray([[0.1], [2.0], [3.0]]))
DOTS = mk.Particles(LINE, jnp.asarray([[0.1], [2.0], [3.0]]))
BALL = mk.Gaussian(0.0, 1.0)
RHO = mk.Density.from_function(CIRCLE.grid(8), lambda x: 1 + 0.5 * jnp.cos(x[0]))
OTHER = mk.Density.from_function(CIRCLE.grid(16), lambda x: 1 + 0.5 * jnp.cos(x[0]))
COSINE, MORSE = mk.kernels.Cosine(1.0), mk.kernels.Morse()
MODEL = mk.langevin(CIRCLE, interaction=COSINE)
PATH = mk.Brownian(KEY)
interactions, kernels = mk.interactions, mk.kernels


def run(scheme, measure=CLOUD, model=MODEL, **changes):
    return mk.evolve(model, measure, **({"until": 0.2, "dt": 0.1, "path": PATH, "scheme": scheme} | changes))


# By function: what must be refused, with words of the sentence.
REFUSED = {
    "interactions.Cells": {
        "no radius": (lambda: interactions.Cells(0.0), "the radius of a cell list"),
        "a radius that is no number": (lambda: interactions.Cells(math.nan), "the radius of a cell list"),
        "of a kernel with a force everywhere": (
            lambda: interactions.force(interactions.place(MORSE, LINE, sum=interactions.Cells()), DOTS, DOTS.positions),
            "Cells needs a kernel without force",
        ),
    },
    "interactions.Direct": {
        "its class": (lambda: interactions.place(MORSE, LINE, sum=interactions.Direct), "a kernel is summed by a"),
        "of a Gaussian": (
            lambda: interactions.force(
                interactions.place(MORSE, LINE, sum=interactions.Direct()), BALL, jnp.zeros((2, 1))
            ),
            "the sum Direct sums over atoms",
        ),
    },
    "interactions.FFT": {
        "of particles": (
            lambda: interactions.force(interactions.place(MORSE, LINE, sum=interactions.FFT()), DOTS, DOTS.positions),
            "the sum FFT serves a density",
        ),
    },
    "interactions.FMM": {
        "no tolerance": (lambda: interactions.FMM(0.0), "the tolerance of a sum lies"),
        "no number": (lambda: interactions.FMM(math.nan), "the tolerance of a sum lies"),
        "of a series": (
            lambda: interactions.force(
                interactions.place(COSINE, CIRCLE, sum=interactions.FMM()), CLOUD, CLOUD.positions
            ),
            "the sum FMM expands a kernel",
        ),
    },
    "interactions.NUFFT": {
        "no tolerance": (lambda: interactions.NUFFT(0.0), "the tolerance of a sum lies"),
        "no number": (lambda: interactions.NUFFT(math.nan), "the tolerance of a sum lies"),
        "of a singular kernel": (
            lambda: interactions.force(
                interactions.place(kernels.PowerLaw(1.0, 0.0), LINE, sum=interactions.NUFFT()), DOTS, DOTS.positions
            ),
            "the sum NUFFT needs a kernel",
        ),
    },
    "interactions.Modes": {
        "on a line": (
            lambda: interactions.force(interactions.place(MORSE, LINE, sum=interactions.Modes()), DOTS, DOTS.positions),
            "the sum Modes needs the Fourier",
        ),
    },
    "interactions.PowerSums": {
        "a negative degree": (lambda: interactions.PowerSums(-1), "the degree of a polynomial kernel"),
        "half a degree": (lambda: interactions.PowerSums(1.5), "the degree of a polynomial kernel"),
        "of no polynomial": (
            lambda: interactions.force(
                interactions.place(MORSE, LINE, sum=interactions.PowerSums()), DOTS, DOTS.positions
            ),
            "this kernel is no polynomial of",
        ),
    },
    "interactions.HegselmannKrause": {
        "no radius": (lambda: interactions.HegselmannKrause(0.0), "the radius of confidence must be"),
        "no number": (
            lambda: interactions.HegselmannKrause(1.0, math.nan),
            "the strength of a Hegselmann–Krause field",
        ),
        "wider than the circle": (
            lambda: run(None, model=mk.Model(CIRCLE, drift=interactions.HegselmannKrause(4.0)), path=None),
            "the radius of confidence on a",
        ),
    },
    "interactions.Interaction": {
        "a wide tolerance": (
            lambda: interactions.Interaction(MORSE, LINE, tolerance=2.0),
            "the tolerance of a sum lies",
        ),
        "a number for a sum": (lambda: interactions.Interaction(MORSE, LINE, sum=1.0), "a kernel is summed by a"),
        "a function": (lambda: interactions.Interaction(1.0, LINE), "an interaction holds a kernel"),
    },
    "interactions.at": {
        "a measure for points": (lambda: interactions.at(CLOUD, CLOUD), "points come first, then the measure"),
    },
    "interactions.certificate": {
        "of a density": (lambda: interactions.certificate(COSINE, RHO, KEY), "a certificate is for the force"),
        "no points": (lambda: interactions.certificate(COSINE, CLOUD, KEY, 0), "a certificate takes a positive number"),
        "a seed": (
            lambda: interactions.certificate(COSINE, CLOUD, 0),
            "randomness needs one typed key, jax.random.key",
        ),
        "a number for W": (lambda: interactions.certificate(1.0, CLOUD, KEY), "an interaction kernel must be a"),
    },
    "interactions.choose": {
        "no tolerance": (lambda: interactions.choose(MORSE, DOTS, 0.0), "the tolerance of a sum lies"),
        "of a Gaussian": (lambda: interactions.choose(MORSE, BALL), "a Gaussian measure has no points"),
        "points of another dimension": (
            lambda: interactions.choose(MORSE, DOTS, points=jnp.zeros((2, 2))),
            "points in dimension",
        ),
        "a number for W": (lambda: interactions.choose(1.0, DOTS), "an interaction kernel must be a"),
        "no measure": (lambda: interactions.choose(MORSE, DOTS.positions), "the kernel comes first, then the"),
    },
    "interactions.explain": {
        "no tolerance": (lambda: interactions.explain(MORSE, DOTS, 0.0), "the tolerance of a sum lies"),
        "of a Gaussian": (lambda: interactions.explain(MORSE, BALL), "a Gaussian measure has no points"),
        "the measure first": (lambda: interactions.explain(DOTS, MORSE), "the kernel comes first, then the"),
    },
    "interactions.inspect": {
        "a kernel": (lambda: interactions.inspect(MORSE, DOTS), "what is planned is an interaction"),
    },
    "interactions.plan": {
        "a number for W": (lambda: interactions.plan(1.0, DOTS), "an interaction kernel must be a"),
        "the measure first": (lambda: interactions.plan(DOTS, MORSE), "the kernel comes first, then the"),
    },
    "kernels.BoundedConfidence": {
        "no radius": (lambda: kernels.BoundedConfidence(0.0), "the radius of confidence must be"),
        "no number": (lambda: kernels.BoundedConfidence(1.0, math.nan), "the strength of a BoundedConfidence kernel"),
        "wider than the circle": (
            lambda: interactions.place(kernels.BoundedConfidence(4.0), CIRCLE),
            "the radius of confidence on a",
        ),
    },
    "kernels.Cosine": {
        "on a line": (lambda: interactions.place(COSINE, LINE), "the cosine kernel lives on a"),
        "no number": (lambda: interactions.place(kernels.Cosine(math.nan), CIRCLE), "the strength of a cosine kernel"),
    },
    "kernels.FourierSeries": {
        "on a line": (
            lambda: interactions.place(kernels.FourierSeries([1], [1.0]), LINE),
            "a Fourier series is a kernel",
        ),
        "half a mode": (lambda: kernels.FourierSeries([0.5], [1.0]), "the modes of a Fourier series"),
        "none": (lambda: kernels.FourierSeries([], []), "a Fourier series needs at least"),
        "no number": (lambda: kernels.FourierSeries([1], [math.nan]), "the coefficients of a Fourier series"),
    },
    "kernels.Function": {
        "a number": (lambda: kernels.Function(1.0), "an interaction kernel must be a"),
        "not periodic": (
            lambda: interactions.place(kernels.Function(lambda z: z[0] ** 2), CIRCLE),
            "the interaction kernel is",
        ),
        "of two": (
            lambda: interactions.place(kernels.Function(lambda x, y: x[0]), LINE),
            "an interaction kernel must be a",
        ),
    },
    "kernels.MinimalImage": {
        "a number": (lambda: kernels.MinimalImage(1.0), "an interaction kernel must be a"),
        "values in R": (
            lambda: interactions.place(kernels.MinimalImage(lambda z: z), CIRCLE),
            "an interaction kernel must return a",
        ),
    },
    "kernels.PowerLaw": {
        "a strength that is no number": (lambda: kernels.PowerLaw(math.nan), "the strength of a power law"),
        "an exponent that is no number": (lambda: kernels.PowerLaw(1.0, math.nan), "the exponent of a power law"),
        "on a circle": (lambda: interactions.place(kernels.PowerLaw(1.0, 1.0), CIRCLE), "the interaction kernel is"),
    },
    "kernels.Quadratic": {
        "a strength that is no number": (lambda: kernels.Quadratic(math.nan), "the strength of a quadratic kernel"),
        "on a circle": (lambda: interactions.place(kernels.Quadratic(), CIRCLE), "the interaction kernel is"),
    },
    "kernels.Zonal": {
        "a number": (lambda: kernels.Zonal(1.0), "a zonal kernel is a function of"),
        "on a line": (lambda: interactions.place(kernels.Zonal(lambda t: t), LINE), "on a sphere, not on"),
        "values in R": (lambda: interactions.place(kernels.Zonal(lambda t: t * jnp.ones(2)), SPHERE), "scalar"),
    },
    "interactions.FunkHecke": {
        "on a line": (
            lambda: interactions.force(
                interactions.place(MORSE, LINE, sum=interactions.FunkHecke()), DOTS, DOTS.positions
            ),
            "serves a density on a grid of a sphere",
        ),
        "a W that is not zonal": (
            lambda: interactions.potential(
                kernels.Function(lambda z: z[0] ** 2),
                mk.Density.from_function(SPHERE.grid(4, axis=[1.0, 0.0, 0.0]), lambda x: 1.0),
                SPHERE.grid(4, axis=[1.0, 0.0, 0.0]),
            ),
            "serves a W that depends on",
        ),
    },
    "kernels.Gaussian": {
        "strength no number": (lambda: kernels.Gaussian(math.nan), "the strength of a Gaussian kernel"),
    },
    "kernels.Morse": {
        "strength no number": (lambda: kernels.Morse(math.nan), "the repulsion of a Morse kernel"),
    },
    "measures.asymmetry": {
        "of particles": (lambda: mk.measures.asymmetry(CLOUD, 1), "the law of n particles is"),
        "no dimension": (lambda: mk.measures.asymmetry(RHO, 0), "the dimension of a particle must"),
    },
    "measures.distance": {
        "of two kinds": (lambda: mk.measures.distance(CLOUD, RHO), "two measures are compared in one"),
        "of two numbers": (
            lambda: mk.measures.distance(CLOUD, mk.Particles(CIRCLE, jnp.zeros((2, 1)))),
            "two measures are compared in one",
        ),
        "of two grids": (lambda: mk.measures.distance(RHO, OTHER), "two measures are compared in one"),
    },
    "measures.product_grid": {
        "nobody": (lambda: mk.measures.product_grid(CIRCLE.grid(8), 0), "a product has at least one"),
        "half": (lambda: mk.measures.product_grid(CIRCLE.grid(8), 1.5), "a product has at least one"),
    },
    "measures.product_space": {
        "nobody": (lambda: mk.measures.product_space(CIRCLE, 0), "a product has at least one"),
        "half": (lambda: mk.measures.product_space(CIRCLE, 1.5), "a product has at least one"),
    },
    "potentials.DoubleWell": {
        "no number": (lambda: mk.potentials.DoubleWell(math.nan), "a coefficient of a double well"),
        "on a circle": (lambda: mk.langevin(CIRCLE, mk.potentials.DoubleWell()), "the confinement is"),
    },
}
