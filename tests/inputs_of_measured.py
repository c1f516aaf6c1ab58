"""Inputs that a user may well give, beyond those of `inputs`: observables, statistics, transport.

Each must be refused, with these words in the sentence.
"""

import math

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
OTHER = mk.Density.from_function(CIRCLE.grid(16), lambda x: 1 + 0.5 * jnp.cos(x[0]))
COSINE, MORSE = mk.kernels.Cosine(1.0), mk.kernels.Morse()
MODEL = mk.langevin(CIRCLE, interaction=COSINE)
WELL = mk.langevin(LINE, mk.potentials.Quadratic())
PATH = mk.Brownian(KEY)
statistics, transport, observables = mk.statistics, mk.transport, mk.observables


def run(scheme, measure=CLOUD, model=MODEL, **changes):
    return mk.evolve(model, measure, **({"until": 0.2, "dt": 0.1, "path": PATH, "scheme": scheme} | changes))


# By function: what must be refused, with words of the sentence.
REFUSED = {
    "observables.alignment": {
        "on a circle": (lambda: observables.alignment(MODEL, CLOUD), "overlaps are those of tokens, particles"),
        "of a density": (lambda: observables.alignment(MODEL, RHO), "overlaps are those of tokens, particles"),
    },
    "observables.attention_energy": {
        "no number": (lambda: observables.attention_energy(math.nan), "the energy E_β is that of"),
        "on a circle": (
            lambda: observables.attention_energy(1.0)(MODEL, CLOUD),
            "overlaps are those of tokens, particles",
        ),
    },
    "observables.log_attention_energy": {
        "no number": (lambda: observables.log_attention_energy(math.nan), "the energy E_β is that of"),
        "zero": (lambda: observables.log_attention_energy(0.0), "the energy E_β is that of"),
        "on a circle": (
            lambda: observables.log_attention_energy(1.0)(MODEL, CLOUD),
            "overlaps are those of tokens, particles",
        ),
    },
    "observables.average": {
        "a number": (lambda: observables.average(1.0), "what is averaged is a function"),
        "a function of two": (
            lambda: observables.average(lambda x, mu: 1.0)(MODEL, CLOUD),
            "what is averaged is a function",
        ),
    },
    "observables.ito": {
        "a number": (lambda: observables.ito(1.0), "what is averaged is a function"),
        "of a Gaussian": (lambda: observables.ito(lambda x: x[0])(WELL, BALL), "the Itô decomposition is that of"),
    },
    "observables.confinement_energy": {
        "of another space": (lambda: observables.confinement_energy(WELL, CLOUD), "the model lives on Euclidean"),
    },
    "observables.interaction_energy": {
        "of another space": (lambda: observables.interaction_energy(MODEL, DOTS), "the model lives on Torus"),
    },
    "observables.energy": {
        "of another space": (lambda: observables.energy(MODEL, DOTS), "the model lives on Torus"),
    },
    "observables.dissipation": {
        "of particles": (lambda: observables.dissipation(MODEL, CLOUD), "the slope ∇δF needs a density"),
    },
    "observables.effective_rank": {
        "on a circle": (lambda: observables.effective_rank(MODEL, CLOUD), "overlaps are those of tokens, particles"),
        "of a Gaussian": (lambda: observables.effective_rank(MODEL, BALL), "overlaps are those of tokens, particles"),
    },
    "observables.kappa": {
        "on a circle": (lambda: observables.kappa(MODEL, CLOUD), "κ is that of an isotropic"),
    },
    "observables.overlap_variance": {
        "on a circle": (lambda: observables.overlap_variance(MODEL, CLOUD), "overlaps are those of tokens, particles"),
        "of a density": (lambda: observables.overlap_variance(MODEL, RHO), "overlaps are those of tokens, particles"),
    },
    "observables.pair_distance": {
        "of a density": (lambda: observables.pair_distance(MODEL, RHO), "positions are those of particles, and"),
    },
    "observables.radius": {
        "of a density": (lambda: observables.radius(MODEL, RHO), "positions are those of particles, and"),
    },
    "statistics.decay_rate": {
        "two times": (lambda: statistics.decay_rate([0.0, 1.0], [1.0]), "2 times need as many values, n"),
        "one": (lambda: statistics.decay_rate([0.0], [1.0]), "a rate of decay needs at"),
        "no number": (
            lambda: statistics.decay_rate([0.0, 1.0, 2.0], np.full((4, 3), np.nan)),
            "a rate of decay needs at",
        ),
        "negative": (lambda: statistics.decay_rate([0.0, 1.0, 2.0], -np.ones((4, 3))), "a rate of decay needs at"),
    },
    "statistics.energy_test": {
        "no permutations": (
            lambda: statistics.energy_test(
                jnp.zeros((4, 1)), jnp.zeros((4, 1)), LINE.distance, key=KEY, permutations=0
            ),
            "a p-value needs at least one",
        ),
        "another dimension": (
            lambda: statistics.energy_test(jnp.zeros((4, 1)), jnp.zeros((4, 2)), LINE.distance, key=KEY),
            "two samples have shapes",
        ),
        "no number": (
            lambda: statistics.energy_test(jnp.full((4, 1), jnp.nan), jnp.zeros((4, 1)), LINE.distance, key=KEY),
            "a point of a sample must",
        ),
        "a seed": (
            lambda: statistics.energy_test(jnp.zeros((4, 1)), jnp.zeros((4, 1)), LINE.distance, key=0),
            "randomness needs one typed key, jax.random.key",
        ),
    },
    "statistics.fit_rate": {
        "one size": (
            lambda: statistics.fit_rate([4], statistics.jackknife(np.random.default_rng(0).random((8, 1)))),
            "a slope needs two or more",
        ),
        "another number of sizes": (
            lambda: statistics.fit_rate([4, 8, 16], statistics.jackknife(np.random.default_rng(0).random((8, 2)))),
            "3 sizes need as many errors, n",
        ),
        "a negative size": (
            lambda: statistics.fit_rate([-4, 8], statistics.jackknife(np.random.default_rng(0).random((8, 2)))),
            "the sizes of a slope must",
        ),
    },
    "statistics.ladder": {
        "from nothing": (lambda: statistics.ladder(0, 8), "a rung of a ladder is"),
        "downwards": (lambda: statistics.ladder(8, 4), "a ladder rises from"),
        "no rungs": (lambda: statistics.ladder(4, 8, 0), "a ladder has at least two"),
        "half": (lambda: statistics.ladder(1.5, 8), "a rung of a ladder is"),
    },
    "statistics.largest": {
        "one sample": (
            lambda: statistics.largest(statistics.jackknife, np.ones((1, 3))),
            "a standard error needs at least",
        ),
        "no number": (lambda: statistics.largest(statistics.jackknife, np.full((8, 3), np.nan)), "a sample is"),
    },
    "statistics.samples": {
        "no sizes": (lambda: statistics.samples(lambda n, k: jnp.ones(()), [], KEY), "a ladder is made of numbers"),
        "no replicas": (
            lambda: statistics.samples(lambda n, k: jnp.ones(()), [4], KEY, 0),
            "there must be a replica at",
        ),
        "a seed": (
            lambda: statistics.samples(lambda n, k: jnp.ones(()), [4], 0),
            "randomness needs one typed key, jax.random.key",
        ),
        "a size of nothing": (
            lambda: statistics.samples(lambda n, k: jnp.ones(()), [0], KEY),
            "a ladder is made of positive",
        ),
        "half a size": (
            lambda: statistics.samples(lambda n, k: jnp.ones(()), [1.5], KEY),
            "a ladder is made of positive",
        ),
    },
    "statistics.study": {
        "one size": (
            lambda: statistics.study(lambda n, k: jax.random.normal(k), [4], KEY, 4),
            "a slope needs two or more",
        ),
        "one replica": (
            lambda: statistics.study(lambda n, k: jax.random.normal(k) ** 2, [4, 8], KEY, 1),
            "a standard error needs at least",
        ),
        "no root": (
            lambda: statistics.study(lambda n, k: jax.random.normal(k) ** 2, [4, 8], KEY, 4, root=0),
            "the root of a mean is",
        ),
    },
    "transport.empirical_rate": {
        "one size": (lambda: transport.empirical_rate(BALL, [4], KEY, 4), "a slope needs two or more"),
        "one replica": (lambda: transport.empirical_rate(BALL, [4, 8], KEY, 1), "a standard error needs at least"),
        "an order below 1": (
            lambda: transport.empirical_rate(BALL, [4, 8], KEY, 4, p=0.5),
            "the order p of a distance",
        ),
    },
    "transport.geodesic": {
        "of particles": (lambda: transport.geodesic(CLOUD, CLOUD), "a geodesic on a grid joins"),
        "on two grids": (lambda: transport.geodesic(RHO, OTHER), "a geodesic joins densities on one"),
        "no times": (lambda: transport.geodesic(RHO, RHO, times=0), "a geodesic needs at least"),
        "no tolerance": (lambda: transport.geodesic(RHO, RHO, tolerance=0.0), "the tolerance must be positive, but"),
        "no iterations": (lambda: transport.geodesic(RHO, RHO, max_iterations=0), "at least one iteration is needed"),
        "a tolerance that is no number": (
            lambda: transport.geodesic(RHO, RHO, tolerance=math.nan),
            "the tolerance must be positive, but",
        ),
    },
    "transport.tangent": {
        "a rate of another shape": (lambda: transport.tangent(RHO, jnp.zeros(7)), "a rate of change needs the"),
        "a rate with mass": (lambda: transport.tangent(RHO, jnp.ones(8)), "a rate of change keeps the"),
        "of particles": (lambda: transport.tangent(CLOUD, jnp.zeros(3)), "the tangent space is computed at"),
        "no number": (lambda: transport.tangent(RHO, jnp.full(8, jnp.nan)), "a rate of change must be"),
    },
    "transport.h_minus_one": {
        "a rate with mass": (lambda: transport.h_minus_one(RHO, jnp.ones(8)), "a rate of change keeps the"),
        "of particles": (lambda: transport.h_minus_one(CLOUD, jnp.zeros(3)), "the tangent space is computed at"),
        "no number": (lambda: transport.h_minus_one(RHO, jnp.full(8, jnp.nan)), "a rate of change must be"),
    },
    "transport.otto": {
        "a rate with mass": (lambda: transport.otto(RHO, jnp.ones(8), jnp.ones(8)), "a rate of change keeps the"),
        "two shapes": (lambda: transport.otto(RHO, jnp.zeros(8), jnp.zeros(7)), "a rate of change needs the"),
        "of particles": (lambda: transport.otto(CLOUD, jnp.zeros(3), jnp.zeros(3)), "the tangent space is computed at"),
    },
    "transport.helmholtz": {
        "a number": (lambda: transport.helmholtz(RHO, 1.0), "a field is a function or"),
        "values of another shape": (
            lambda: transport.helmholtz(RHO, lambda x: jnp.zeros(2)),
            "a field maps a point to",
        ),
        "of particles": (lambda: transport.helmholtz(CLOUD, lambda x: x), "the tangent space is computed at"),
    },
    "transport.wasserstein_gradient": {
        "of particles": (
            lambda: transport.wasserstein_gradient(lambda mu: 0.0, CLOUD),
            "the tangent space is computed at",
        ),
        "values in R": (
            lambda: transport.wasserstein_gradient(lambda mu: mu.values, RHO),
            "a functional is a number for",
        ),
        "a number": (lambda: transport.wasserstein_gradient(1.0, RHO), "a functional is a function of"),
    },
}
