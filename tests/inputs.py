"""Inputs that a user may well give, over the public API, by the name of what is called.

Each is right or refused in one sentence: `CALLS` has both, and `REFUSED` says which must be refused, and with what in
the sentence.
"""

import math

import inputs_of_explore
import inputs_of_games
import inputs_of_measured
import inputs_of_phases
import inputs_of_plots
import inputs_of_runs
import inputs_of_sums
import inputs_of_sweeps
import inputs_of_velocities
import inputs_of_wings
import jax
import jax.numpy as jnp
import numpy as np

import mckean as mk

LINE, CIRCLE, PLANE, SPHERE = mk.Euclidean(1), mk.Torus(1), mk.Euclidean(2), mk.Sphere(3)
KEY = jax.random.key(0)
CLOUD = mk.Particles(CIRCLE, jnp.asarray([[0.1], [2.0], [3.0]]))
DOTS = mk.Particles(LINE, jnp.asarray([[0.1], [2.0], [3.0]]))
RHO = mk.Density.from_function(CIRCLE.grid(8), lambda x: 1 + 0.5 * jnp.cos(x[0]))
MODEL = mk.langevin(CIRCLE, interaction=mk.kernels.Cosine(1.0))
PATH = mk.Brownian(KEY)


def run(**changes):
    given = {"until": 0.2, "dt": 0.1, "path": PATH} | changes
    return mk.evolve(given.pop("model", MODEL), given.pop("measure", CLOUD), **given)


# By function: what must be refused, with words of the sentence.
REFUSED = {
    "evolve": {
        "no step": (lambda: run(dt=0.0), "dt must be positive"),
        "a step backwards": (lambda: run(dt=-0.1), "dt must be positive"),
        "a step that is no number": (lambda: run(dt=math.nan), "dt must be positive"),
        "a step that does not divide": (lambda: run(dt=0.15), "must divide"),
        "an end before the start": (lambda: run(until=-1.0), "end after its start"),
        "an infinite end": (lambda: run(until=math.inf), "end after its start"),
        "half a stride": (lambda: run(every=0.5), "every must be"),
        "no stride": (lambda: run(every=0), "every must be"),
        "a stride that does not divide": (lambda: run(every=3), "must divide"),
        "a bare observable": (lambda: run(observe=mk.observables.mean), "takes functions by name"),
        "an observable that is a number": (lambda: run(observe={"r": 1.0}), "must be a function"),
        "an observable of the measure alone": (lambda: run(observe={"m": lambda mu: 0.0}), "(model, measure)"),
        "a maker of observables": (lambda: run(observe={"r": mk.observables.order_parameter}), "made by a call"),
        "a maker with two parameters": (lambda: run(observe={"c": mk.observables.clusters}), "made by a call"),
        "the name of a coordinate": (lambda: run(observe={"time": lambda m, mu: 0.0}), "cannot be called"),
        "a measure of another space": (lambda: run(measure=DOTS), "the model lives on"),
        "a scheme of densities": (lambda: run(scheme=mk.Spectral()), "moves Density"),
        "a folder of something else": (lambda: run(store="/proc"), "is not the folder of a run"),
        "a number for a folder": (lambda: run(store=3), "`store` takes the path of a folder, not 3"),
        "a folder in a program": (jax.jit(lambda: run(store="x").final), "under a transformation"),
    },
    "resume": {"no folder": (lambda: mk.resume("/nowhere"), "is not the folder of a run")},
    "verify": {"no folder": (lambda: mk.verify("/nowhere"), "is not the folder of a run")},
    "load": {"no folder": (lambda: mk.load("/nowhere"), "is not the folder of a value")},
    "dataset": {"no folder": (lambda: mk.dataset("/nowhere"), "is not the folder of a value")},
    "save": {
        "a function": (lambda: mk.save(lambda x: x, "/nowhere"), "holds no program"),
        "a folder that is taken": (lambda: mk.save(1.0, "/proc"), "is not empty"),
    },
    "store.digest": {"what cannot be seen": (lambda: mk.store.digest(iter("x")), "nothing can be seen")},
    "Model": {
        "the measure before the points": (lambda: MODEL.velocity(CLOUD, CLOUD.positions), "points come first"),
        "a potential at a measure": (lambda: MODEL.potential(CLOUD, CLOUD.positions), "points come first"),
        "no space": (lambda: mk.Model(1), "lives on a space"),
        "a noise that is a number": (lambda: mk.Model(LINE, noise=1.0), "must be a noise"),
        "a common noise that is a number": (lambda: mk.Model(LINE, common=[1.0]), "must be a noise"),
        "a drift that is a number": (lambda: mk.Model(LINE, drift=1.0), "must be a function"),
        "an internal energy that is a number": (lambda: mk.Model(LINE, internal=2.0), "internal energy"),
    },
    "langevin": {
        "a cold that is negative": (lambda: mk.langevin(LINE, beta=-1.0), "positive"),
        "no temperature": (lambda: mk.langevin(LINE, beta=0.0), "positive"),
        "a temperature that is no number": (lambda: mk.langevin(LINE, beta=math.nan), "positive"),
        "two temperatures": (lambda: mk.langevin(LINE, beta=jnp.ones(2)), "must be a number"),
        "a V with values in R": (lambda: mk.langevin(LINE, lambda x: x), "scalar"),
        "a W with values in R": (lambda: mk.langevin(LINE, interaction=lambda z: z), "scalar"),
        "a V that is not periodic": (lambda: mk.langevin(CIRCLE, lambda x: x[0] ** 2), "periodic"),
        "a V that is a number": (lambda: mk.langevin(LINE, 1.0), "function"),
    },
    "Torus": {
        "no dimension": (lambda: mk.Torus(0), "dimension"),
        "a length of nothing": (lambda: mk.Torus(1, 0.0), "sides"),
        "a negative length": (lambda: mk.Torus(1, -1.0), "sides"),
    },
    "Euclidean": {"no dimension": (lambda: mk.Euclidean(0), "dimension")},
    "Sphere": {"no dimension": (lambda: mk.Sphere(0), "dimension")},
    "Particles": {
        "no particles": (lambda: mk.Particles(LINE, jnp.zeros((0, 1))), "n ≥ 1"),
        "points of another dimension": (lambda: mk.Particles(PLANE, jnp.zeros((3, 1))), "shape"),
        "a flat list": (lambda: mk.Particles(LINE, jnp.zeros(3)), "shape"),
        "a position that is no number": (lambda: mk.Particles(LINE, jnp.asarray([[jnp.nan]])), "finite"),
        "weights that do not sum to 1": (lambda: mk.Particles(LINE, jnp.zeros((2, 1)), jnp.ones(2)), "sum"),
        "a negative weight": (lambda: mk.Particles(LINE, jnp.zeros((2, 1)), jnp.asarray([2.0, -1.0])), "negative"),
    },
    "Gaussian": {
        "a negative variance": (lambda: mk.Gaussian(0.0, -1.0), "covariance"),
        "a mean that is no number": (lambda: mk.Gaussian(math.nan, 1.0), "finite"),
        "another space": (lambda: mk.Gaussian(0.0, 1.0, mk.Torus(1)), "lives on R^d or on TangentBundle(Euclidean(k))"),
    },
    "Thermal": {"a negative β": (lambda: mk.Thermal(-1.0), "positive")},
    "observables.moment": {
        "no power": (lambda: mk.observables.moment(0), "positive integer"),
        "half a power": (lambda: mk.observables.moment(0.5), "positive integer"),
    },
    "observables.mode": {"half a mode": (lambda: mk.observables.mode(0.5), "integer")},
    "observables.order_parameter": {"half a mode": (lambda: mk.observables.order_parameter(0.5), "integer")},
    "observables.mean": {"on a circle": (lambda: mk.observables.mean(MODEL, CLOUD), "no meaning on a torus")},
    "observables.covariance": {"on a circle": (lambda: mk.observables.covariance(MODEL, CLOUD), "no meaning")},
    "observables.entropy": {"of particles": (lambda: mk.observables.entropy(MODEL, CLOUD), "densit")},
    "observables.positions": {"of a density": (lambda: mk.observables.positions(MODEL, RHO), "sample it first")},
    "observables.density": {"of particles": (lambda: mk.observables.density(MODEL, CLOUD), "deposit or smooth")},
    "observables.clusters": {
        "a wide angle": (lambda: mk.observables.clusters(4.0), "between 0 and π"),
        "no sizes": (lambda: mk.observables.clusters(0.1, largest=0), "largest"),
    },
    "observables.overlap_histogram": {"no bins": (lambda: mk.observables.overlap_histogram(0), "positive number")},
    "wasserstein": {
        "two spaces": (lambda: mk.wasserstein(CLOUD, DOTS), "space"),
        "an order below 1": (lambda: mk.wasserstein(CLOUD, CLOUD, p=0.5), "order"),
    },
    "sliced": {
        "on a circle": (lambda: mk.sliced(CLOUD, CLOUD, KEY), "R^d"),
        "one direction": (lambda: mk.sliced(DOTS, DOTS, KEY, directions=1), "two of them"),
        "an order below 1": (lambda: mk.sliced(DOTS, DOTS, KEY, p=0.5), "order"),
        "a Gaussian": (lambda: mk.sliced(DOTS, mk.Gaussian(0.0, 1.0), KEY), "between particles and densities"),
    },
    "sinkhorn": {"no ε": (lambda: mk.sinkhorn(DOTS, DOTS, epsilon=0.0), "regularisation")},
    "statistics.average": {"one sample": (lambda: mk.statistics.average([1.0]), "at least two")},
    "statistics.jackknife": {
        "one sample": (lambda: mk.statistics.jackknife([1.0]), "at least two"),
        "not a number": (lambda: mk.statistics.jackknife([1.0, np.nan]), "not finite"),
    },
    "transport.fournier_guillin": {"no dimension": (lambda: mk.transport.fournier_guillin(0, 1.0), "dimension")},
    "catalogue.critical_beta": {"no θ": (lambda: mk.catalogue.critical_beta(0.0), "θ > 0")},
    "catalogue.critical_strength": {"no β": (lambda: mk.catalogue.critical_strength(0.0), "positive")},
    "catalogue.mean_square_order": {
        "no particles": (lambda: mk.catalogue.mean_square_order(0, 1.0, 1.0), "positive integer"),
        "half a particle": (lambda: mk.catalogue.mean_square_order(1.5, 1.0, 1.0), "positive integer"),
        "a strength that repels": (lambda: mk.catalogue.mean_square_order(2, -1.0, 1.0), "positive"),
    },
    "catalogue.poisson_kernel_order": {
        "a point": (lambda: mk.catalogue.poisson_kernel_order(1.0, 1.0, 1.0, np.zeros(3), 0.1), "|z| < 1"),
        "no step": (lambda: mk.catalogue.poisson_kernel_order(0.5, 1.0, 1.0, np.zeros(3), 0.0), "positive"),
        "no environment": (lambda: mk.catalogue.poisson_kernel_order(0.5, 1.0, 1.0, np.full(3, np.nan), 0.1), "finite"),
    },
    "catalogue.mean_square_threshold": {
        "without its noise": (lambda: mk.catalogue.mean_square_threshold(MODEL), "transport noise")
    },
    "catalogue.mean_threshold": {"without its noise": (lambda: mk.catalogue.mean_threshold(MODEL), "transport noise")},
    "catalogue.meeting_probability": {
        "on a circle": (lambda: mk.catalogue.meeting_probability(MODEL, 0.0), "on the line"),
        "an overlap above 1": (
            lambda: mk.catalogue.meeting_probability(mk.catalogue.two_tokens(3, 1.0).model, 1.5),
            "between −1 and 1",
        ),
    },
    "catalogue.expected_overlap": {
        "on a circle": (lambda: mk.catalogue.expected_overlap(MODEL, 0.0, [1.0]), "on the line"),
        "a met pair": (
            lambda: mk.catalogue.expected_overlap(mk.catalogue.two_tokens(3, 1.0).model, 1.0, [1.0]),
            "between −1 and 1",
        ),
        "times that fall": (
            lambda: mk.catalogue.expected_overlap(mk.catalogue.two_tokens(3, 1.0).model, 0.0, [1.0, 0.5]),
            "times increase",
        ),
    },
    "catalogue.toy_pair": {
        "one dimension": (lambda: mk.catalogue.toy_pair(1), "d ≥ 2"),
        "another calculus": (lambda: mk.catalogue.toy_pair(3, calculus="backward"), "calculus"),
    },
    "catalogue.entry": {"a misspelt name": (lambda: mk.catalogue.entry("kuramotto"), "kuramoto")},
    "environments.ensemble": {
        "nothing": (lambda: mk.environments.ensemble(lambda k: jnp.ones(()), KEY, 0), "at least one"),
        "a batch that does not divide": (
            lambda: mk.environments.ensemble(lambda k: jnp.ones(()), KEY, 3, 2),
            "must divide",
        ),
    },
    "Density": {
        "values of another shape": (lambda: mk.Density(CIRCLE.grid(8), jnp.ones(7)), "shape"),
        "a mass that is not 1": (lambda: mk.Density(CIRCLE.grid(8), jnp.ones(8)), "mass"),
        "a value that is no number": (lambda: mk.Density(CIRCLE.grid(8), jnp.full(8, jnp.nan)), "finite"),
        "a negative function": (
            lambda: mk.Density.from_function(CIRCLE.grid(8), lambda x: jnp.cos(x[0])),
            "not positive",
        ),
        "no mass": (lambda: mk.Density.from_function(CIRCLE.grid(8), lambda x: 0.0 * x[0]), "mass"),
        "a function with values in R": (lambda: mk.Density.from_function(CIRCLE.grid(8), lambda x: x), "scalar"),
        "a law of another space": (lambda: mk.Density.from_law(CIRCLE.grid(8), mk.Gaussian(0.0, 1.0)), "cannot be put"),
        "no nodes": (lambda: CIRCLE.grid(0), "node"),
        "half a node": (lambda: CIRCLE.grid(1.5), "type int"),
        "a box without room": (lambda: LINE.grid(8, 1.0, 1.0), "lower|upper|below"),
        "a box without cells": (lambda: LINE.grid(0, 0.0, 1.0), "at least 4 nodes"),
    },
    "Uniform": {"without an end": (lambda: mk.Uniform(LINE, 1.0, 0.0), "lower|upper|below")},
    "VonMises": {
        "a negative concentration": (lambda: mk.VonMises(CIRCLE, 0.0, -1.0), "concentration"),
        "on a line": (lambda: mk.VonMises(LINE, 0.0, 1.0), "torus"),
    },
    "VonMisesFisher": {
        "a negative concentration": (lambda: mk.VonMisesFisher(SPHERE, [0.0, 0.0, 1.0], -1.0), "concentration"),
        "a mean that is no direction": (
            lambda: mk.VonMisesFisher(SPHERE, [0.0, 0.0, 0.0], 1.0),
            "length|unit|direction",
        ),
    },
    "Mixture": {
        "nothing": (lambda: mk.Mixture([], []), "component"),
        "weights that do not sum to 1": (
            lambda: mk.Mixture([mk.Gaussian(0.0, 1.0)] * 2, [1.0, 1.0]),
            "sum",
        ),
        "a number for a law": (lambda: mk.Mixture([1.0], [1.0]), "law"),
    },
    "deposit": {"on another space": (lambda: mk.deposit(DOTS, CIRCLE.grid(8)), "space|on")},
    "shard": {"a law": (lambda: mk.shard(mk.Gaussian(0.0, 1.0)), "particles and densities are spread over devices")},
    "smooth": {"by a negative width": (lambda: mk.smooth(RHO, -1.0), "width|positive|negative")},
    "relative_entropy": {
        "of particles": (lambda: mk.relative_entropy(CLOUD, CLOUD), "densit"),
        "on two grids": (
            lambda: mk.relative_entropy(RHO, mk.Density.from_function(CIRCLE.grid(16), lambda x: 1 + 0 * x[0])),
            "grid",
        ),
    },
    "kernels.Gaussian": {"no width": (lambda: mk.kernels.Gaussian(1.0, 0.0), "width")},
    "kernels.Morse": {"no range": (lambda: mk.kernels.Morse(repulsion_range=0.0), "must be positive")},
    "potentials.Quadratic": {
        "a centre of another dimension": (
            lambda: mk.langevin(LINE, mk.potentials.Quadratic(centre=jnp.zeros(2))),
            "centre",
        )
    },
    "Additive": {"an amplitude that is no number": (lambda: mk.Additive(math.nan), "finite")},
    "Multiplicative": {"a number": (lambda: mk.Multiplicative(1.0), "function")},
    "TransportNoise": {
        "a negative intensity": (lambda: mk.TransportNoise.shell(mk.Torus(2), upper=2.0, intensity=-1.0), "intensity"),
        "no waves": (lambda: mk.TransportNoise.shell(mk.Torus(2), upper=0.5), "wave|mode|shell"),
        "on a line": (lambda: mk.TransportNoise.shell(LINE, upper=2.0), "torus"),
    },
    "PorousMedium": {"a power of 1": (lambda: mk.PorousMedium(1.0), "m > 1|exponent|power|1")},
    "Brownian": {"a seed": (lambda: mk.Brownian(0), "key")},
    "InPlace": {"no blocks": (lambda: mk.InPlace(0), "number of blocks is a positive integer")},
    "RandomBatch": {"batches of one": (lambda: mk.RandomBatch(1), "batch|2|two")},
    "convert": {"to another calculus": (lambda: mk.convert(MODEL, "backward"), "ito|Itô")},
    "gibbs_density": {
        "of a model without one": (
            lambda: mk.gibbs_density(mk.Model(CIRCLE), CIRCLE.grid(8)),
            "Gibbs|thermal|noise|temp",
        )
    },
    "liouville": {"no particles": (lambda: mk.liouville(MODEL, 0), "at least one factor")},
    "tensor_power": {"no power": (lambda: mk.tensor_power(RHO, 0), "positive|power|at least|1")},
    "marginal": {"of nobody": (lambda: mk.marginal(mk.tensor_power(RHO, 2), 0, 1), "1|particle")},
    "entropy_of_chaos": {"of nobody": (lambda: mk.entropy_of_chaos(mk.tensor_power(RHO, 2), RHO, 0), "1|particle")},
    "interactions.force": {
        "points of another dimension": (
            lambda: mk.interactions.force(mk.kernels.Cosine(1.0), CLOUD, jnp.zeros((2, 3))),
            "shape",
        ),
        "a number for W": (lambda: mk.interactions.force(1.0, CLOUD, CLOUD.positions), "function|kernel"),
        "of a Gaussian": (
            lambda: mk.interactions.force(mk.kernels.Morse(1.0), mk.Gaussian(0.0, 1.0), jnp.zeros((2, 1))),
            "Gaussian",
        ),
    },
    "statistics.replicate": {
        "a batch that does not divide": (
            lambda: mk.statistics.replicate(lambda k: jnp.ones(()), KEY, 3, 2),
            "must divide",
        )
    },
    "statistics.join": {"of nothing": (lambda: mk.statistics.join([]), "one estimate at least")},
    "statistics.combine": {
        "weights of another number": (
            lambda: mk.statistics.combine([1.0], mk.statistics.Estimate(np.ones(2), np.ones(2), 7)),
            "as many weights",
        )
    },
    "statistics.binomial_interval": {
        "more successes than trials": (lambda: mk.statistics.binomial_interval(3, 2), "no count of successes"),
        "a level of 95": (lambda: mk.statistics.binomial_interval(1, 2, 95), "between 0 and 1"),
    },
    "catalogue.pair_covariance": {"one particle": (lambda: mk.catalogue.pair_covariance(1, 1.0, 1.0), "2|two")},
    "statistics.log_slope": {
        "one point": (
            lambda: mk.statistics.log_slope([1.0], mk.statistics.Estimate(np.ones(1), np.ones(1), 7)),
            "two points",
        )
    },
    "statistics.root_mean_square": {"one sample": (lambda: mk.statistics.root_mean_square([1.0]), "at least two")},
    "statistics.divisor": {"of nothing": (lambda: mk.statistics.divisor(0, 1), "positive|at least|1")},
    "transport.empirical_distances": {
        "one replica": (lambda: mk.transport.empirical_distances(mk.Gaussian(0.0, 1.0), [4], KEY, replicas=1), "two")
    },
    "transport.mean_distance_constant": {
        "on a circle": (lambda: mk.transport.mean_distance_constant(RHO), "on the line")
    },
    "observables.zonal": {
        "an axis of no length": (lambda: mk.observables.zonal([0.0, 0.0], degree=1), "length 1"),
        "no degree": (lambda: mk.observables.zonal([1.0, 0.0], degree=0), "degree"),
    },
    "observables.zonal_pairs": {"no degree": (lambda: mk.observables.zonal_pairs(0), "degree")},
    "observables.overlaps": {"of nobody": (lambda: mk.observables.overlaps(0), "token|positive|1")},
    "observables.mean_overlap": {"on a circle": (lambda: mk.observables.mean_overlap(MODEL, CLOUD), "sphere|token")},
    "catalogue.kuramoto": {"no temperature": (lambda: mk.catalogue.kuramoto(beta=0.0), "positive")},
    "catalogue.desai_zwanzig": {"no θ": (lambda: mk.catalogue.desai_zwanzig(theta=-1.0), "θ > 0")},
    "catalogue.porous_medium": {"a power of 1": (lambda: mk.catalogue.porous_medium(1.0), "1")},
    "catalogue.two_tokens": {"in no dimension": (lambda: mk.catalogue.two_tokens(1, 1.0), "dim|d ≥|2")},
    "catalogue.low_temperature": {"at the end": (lambda: mk.catalogue.low_temperature(1.0), "overlap")},
    "couplings.nested": {
        "of a density": (lambda: mk.couplings.nested(MODEL, RHO, n=2, until=0.1, dt=0.1), "sample it first"),
        "all of them": (lambda: mk.couplings.nested(MODEL, CLOUD, n=3, until=0.1, dt=0.1), "has 1 to 2"),
    },
    "environments.lyapunov": {
        "of a density": (
            lambda: mk.environments.lyapunov(MODEL, RHO, until=0.1, dt=0.1, key=KEY, replicas=2),
            "that of particles",
        )
    },
    "equilibrium.gibbs_drift": {"of particles": (lambda: mk.equilibrium.gibbs_drift(MODEL, CLOUD), "deposit it first")},
    "energy.entropy": {"of particles": (lambda: mk.energy.entropy(CLOUD), "densit")},
    "energy.free_energy": {"of particles": (lambda: mk.energy.free_energy(MODEL, CLOUD), "densit")},
    "energy.potential": {"of particles": (lambda: mk.energy.potential(MODEL, CLOUD), "densit")},
    "energy.first_variation": {"of particles": (lambda: mk.energy.first_variation(MODEL, CLOUD), "densit")},
    "energy.slope": {"of particles": (lambda: mk.energy.slope(MODEL, CLOUD), "densit")},
    "directions": {"of a Gaussian": (lambda: mk.directions(mk.Gaussian(0.0, 1.0)), "those of particles")},
    "Heads": {"a β that is no number": (lambda: mk.Heads(math.nan), "finite|number")},
    "Neurons": {
        "no neurons": (lambda: mk.Neurons(neurons=0), "positive whole number"),
        "an activation of no name": (lambda: mk.Neurons("gelu"), "'relu', 'tanh' or a function"),
    },
    "interactions.Attention": {
        "two β": (lambda: mk.interactions.Attention(jnp.ones(2)), "must be a number"),
        "the measure before the points": (
            lambda: mk.interactions.Attention()(DOTS, DOTS.positions),
            "points",
        ),
        "on a circle": (lambda: mk.interactions.Attention()(CLOUD.positions, CLOUD), "no meaning on a torus"),
    },
    "interactions.place": {"a number": (lambda: mk.interactions.place(1.0, LINE), "function|kernel")},
    "interactions.potential": {
        "points of another dimension": (
            lambda: mk.interactions.potential(mk.kernels.Cosine(1.0), CLOUD, jnp.zeros((2, 3))),
            "shape",
        )
    },
    "energetics.poincare_bounds": {"of particles": (lambda: mk.energetics.poincare_bounds(CLOUD), "density")},
    "energetics.log_sobolev_bounds": {"of particles": (lambda: mk.energetics.log_sobolev_bounds(CLOUD), "density")},
}
FURTHER = (
    inputs_of_explore,
    inputs_of_games,
    inputs_of_measured,
    inputs_of_phases,
    inputs_of_plots,
    inputs_of_runs,
    inputs_of_sums,
    inputs_of_sweeps,
    inputs_of_velocities,
    inputs_of_wings,
)
for further in FURTHER:
    for function, cases in further.REFUSED.items():
        REFUSED[function] = REFUSED.get(function, {}) | cases
CALLS = {f"{function}: {name}": call for function, cases in REFUSED.items() for name, (call, _) in cases.items()}
