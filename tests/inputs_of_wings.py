"""Bad inputs of the catalogue, the energies and the wings that run things, for `inputs.py`."""

import math

import jax.numpy as jnp
import numpy as np
from inputs_of_runs import BUMP, CLOUD, DOTS, LINE, MODEL, RHO, RUN, WELL

import mckean as mk

catalogue, energy = mk.catalogue, mk.energy

REFUSED = {
    "catalogue.granular_media": {
        "a negative β": (lambda: catalogue.granular_media(beta=-1.0), "this model needs a >"),
        "no number": (lambda: catalogue.granular_media(stiffness=math.nan), "this model needs a >"),
        "no confinement": (lambda: catalogue.granular_media(stiffness=-1.0, strength=-1.0), "this model needs a >"),
    },
    "catalogue.high_dimension": {
        "nobody": (lambda: catalogue.high_dimension(0), "an overlap is that of n"),
        "half": (lambda: catalogue.high_dimension(1.5), "an overlap is that of n"),
        "no number": (lambda: catalogue.high_dimension(4, math.nan), "beta must be finite, but nan"),
    },
    "catalogue.isotropic_flow": {
        "no dimension": (lambda: catalogue.isotropic_flow(1), "the sphere S^"),
        "negative": (lambda: catalogue.isotropic_flow(3, (-1.0,)), "the coefficients of k must"),
    },
    "catalogue.keller_segel": {
        "a negative β": (lambda: catalogue.keller_segel(beta=-1.0), "χ ≥"),
        "no number": (lambda: catalogue.keller_segel(math.nan), "χ ≥"),
        "no modes": (lambda: catalogue.keller_segel(space=mk.Torus(2), reach=0), "a Fourier series needs at least"),
    },
    "catalogue.log_gas": {
        "no confinement": (lambda: catalogue.log_gas(stiffness=-1.0), "this model needs a, c, β"),
        "that attracts": (lambda: catalogue.log_gas(strength=-1.0), "this model needs a, c, β"),
        "a negative β": (lambda: catalogue.log_gas(beta=-1.0), "this model needs a, c, β"),
    },
    "catalogue.logistic_overlap": {
        "nobody": (lambda: catalogue.logistic_overlap(0), "orthonormal tokens start below one half"),
        "no number": (lambda: catalogue.logistic_overlap(4, math.nan), "alpha must be positive, but nan"),
    },
    "catalogue.morse": {
        "no dimension": (lambda: catalogue.morse(dim=0), "the dimension of a space must"),
        "no range": (lambda: catalogue.morse(repulsion_range=0.0), "Morse particles keep a distance where"),
        "no number": (lambda: catalogue.morse(attraction=math.nan), "Morse particles keep a distance where"),
        "a negative β": (lambda: catalogue.morse(beta=-1.0), "the inverse temperature beta must be"),
    },
    "catalogue.ornstein_uhlenbeck": {
        "no dimension": (lambda: catalogue.ornstein_uhlenbeck(dim=0), "the dimension of a space must"),
        "a negative β": (lambda: catalogue.ornstein_uhlenbeck(beta=-1.0), "the inverse temperature beta must be"),
        "no number": (lambda: catalogue.ornstein_uhlenbeck(stiffness=math.nan), "this model needs a >"),
        "unstable": (lambda: catalogue.ornstein_uhlenbeck(stiffness=-1.0), "this model needs a >"),
    },
    "catalogue.random_transformer": {
        "no dimension": (lambda: catalogue.random_transformer(dim=0), "the dimension of a space must"),
        "no head": (lambda: catalogue.random_transformer(heads=0), "the number of heads is a"),
        "an activation of no name": (
            lambda: catalogue.random_transformer(activation="gelu"),
            "an activation is 'relu', 'tanh' or",
        ),
        "a normalisation of no name": (
            lambda: catalogue.random_transformer(normalisation="none"),
            "the normalisation is 'post' or 'pre'",
        ),
        "no neurons": (
            lambda: catalogue.random_transformer(activation="relu", neurons=0),
            "neurons is a positive whole number",
        ),
        "no spread": (lambda: catalogue.random_transformer(spread=-1.0), "the spread of heads must"),
    },
    "catalogue.self_attention": {
        "one dimension": (lambda: catalogue.self_attention(dim=1), "the sphere S^"),
        "a negative temperature": (lambda: catalogue.self_attention(temperature=-1.0), "the temperature must"),
        "a value of another shape": (
            lambda: catalogue.self_attention(value=jnp.eye(2)),
            "the value of self-attention in R^",
        ),
        "no number": (lambda: catalogue.self_attention(beta=math.nan), "beta must be finite, but nan"),
    },
    "catalogue.simplex": {
        "nobody": (lambda: catalogue.simplex(0), "an overlap is that of n"),
        "no number": (lambda: catalogue.simplex(4, math.nan), "beta must be finite, but nan"),
    },
    "catalogue.toy_transformer": {
        "no dimension": (lambda: catalogue.toy_transformer(dim=0), "the dimension of tokens is an"),
        "a normalisation of no name": (
            lambda: catalogue.toy_transformer(normalisation="none"),
            "the normalisation is 'talk' or 'paper'",
        ),
        "another calculus": (lambda: catalogue.toy_transformer(calculus="backward"), "the calculus of a noise is"),
        "no number": (lambda: catalogue.toy_transformer(alpha=math.nan), "alpha must"),
    },
    "catalogue.transport": {
        "a negative intensity": (lambda: catalogue.transport(intensity=-1.0), "the intensity of the noise must"),
        "no temperature": (lambda: catalogue.transport(beta=0.0), "the inverse temperature beta must be"),
        "no waves": (lambda: catalogue.transport(reach=0.0), "the largest |k| of a shell"),
    },
    "couplings.coupling_distance": {
        "a cloud": (lambda: mk.couplings.coupling_distance(MODEL, CLOUD), "this is asked of"),
    },
    "couplings.coupling_terms": {
        "a cloud": (lambda: mk.couplings.coupling_terms(MODEL, CLOUD), "this is asked of"),
    },
    "couplings.visited": {
        "a cloud": (lambda: mk.couplings.visited(MODEL, CLOUD), "this is asked of"),
    },
    "couplings.distinct_means": {
        "a density": (
            lambda: mk.couplings.distinct_means(MODEL, RHO, functions=(jnp.cos,)),
            "different particles are those of a",
        ),
        "none": (lambda: mk.couplings.distinct_means(MODEL, CLOUD, functions=()), "0 functions need at least one "),
        "more than particles": (
            lambda: mk.couplings.distinct_means(MODEL, CLOUD, functions=(jnp.cos,) * 4),
            "4 functions need at least one ",
        ),
    },
    "couplings.gronwall": {
        "another number of times": (
            lambda: mk.couplings.gronwall([0.0, 1.0], [0.0], (1.0, 1.0)),
            "there is an ε for each",
        ),
        "no number": (
            lambda: mk.couplings.gronwall([0.0, 1.0], [0.0, math.nan], (1.0, 1.0)),
            "the sampling error ε must be",
        ),
        "backwards": (lambda: mk.couplings.gronwall([1.0, 0.0], [0.0, 0.0], (1.0, 1.0)), "the times of a bound are"),
    },
    "couplings.ito_decomposition": {
        "another name": (lambda: mk.couplings.ito_decomposition(RUN, "m"), "the run has no record 'm'"),
        "a cloud": (lambda: mk.couplings.ito_decomposition(CLOUD, "m"), "a record is one of a"),
    },
    "couplings.joint_cumulant": {
        "one sample": (lambda: mk.couplings.joint_cumulant({(0,): np.ones(1)}), "the means of replicas are an"),
        "a list": (lambda: mk.couplings.joint_cumulant([1.0]), "the means of replicas are an"),
    },
    "energetics.energy_balance": {
        "another number of times": (
            lambda: mk.energetics.energy_balance([0.0, 1.0], [1.0], [1.0, 1.0]),
            "Simpson's rule needs an odd number",
        ),
        "one time": (lambda: mk.energetics.energy_balance([0.0], [1.0], [1.0]), "Simpson's rule needs an odd number"),
        "no number": (
            lambda: mk.energetics.energy_balance([0.0, 1.0], [1.0, math.nan], [1.0, 1.0]),
            "Simpson's rule needs an odd number",
        ),
        "backwards": (
            lambda: mk.energetics.energy_balance([1.0, 0.0], [1.0, 1.0], [1.0, 1.0]),
            "Simpson's rule needs an odd number",
        ),
    },
    "energy.confinement_energy": {
        "of another space": (lambda: energy.confinement_energy(WELL, CLOUD), "the model lives on Euclidean"),
    },
    "energy.interaction_energy": {
        "of another space": (lambda: energy.interaction_energy(MODEL, DOTS), "the model lives on Torus"),
    },
    "energy.energy": {
        "of another space": (lambda: energy.energy(MODEL, DOTS), "the model lives on Torus"),
        "no model": (lambda: energy.energy(CLOUD, MODEL), "a model is Model"),
    },
    "energy.dissipation": {
        "of particles": (lambda: energy.dissipation(MODEL, CLOUD), "the slope ∇δF needs a density"),
        "of another space": (lambda: energy.dissipation(MODEL, BUMP), "the model lives on Torus"),
    },
    "energy.hamiltonian": {
        "of a density": (lambda: energy.hamiltonian(MODEL, RHO), "H_N is the energy of particles"),
        "of another space": (lambda: energy.hamiltonian(MODEL, DOTS), "the model lives on Torus"),
    },
    "energy.internal_energy": {
        "of particles": (
            lambda: energy.internal_energy(mk.Model(LINE, internal=mk.PorousMedium(2.0)), DOTS),
            "the internal energy needs a density",
        ),
    },
    "energy.score": {
        "of particles": (lambda: energy.score(CLOUD), "the score needs a density, and"),
    },
    "equilibrium.log_partition": {
        "a cloud": (lambda: mk.equilibrium.log_partition(MODEL, CLOUD), "log Z_N is computed from `sample_gibbs`"),
    },
}
