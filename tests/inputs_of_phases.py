"""Inputs to the wing of phases, and to its models, that a user may well give.

Each must be refused, with these words in the sentence.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import mckean as mk

LINE, CIRCLE, PLANE = mk.Euclidean(1), mk.Torus(1), mk.Euclidean(2)
KEY = jax.random.key(0)
CLOUD = mk.Particles(CIRCLE, jnp.asarray([[0.1], [2.0]]))
MODEL = mk.langevin(CIRCLE, interaction=mk.kernels.Cosine(1.0))
RHO = mk.Density.from_function(CIRCLE.grid(8), lambda x: 1 + 0.5 * jnp.cos(x[0]))
BALL = mk.Sphere(3)
EVEN = mk.Density.from_function(BALL.grid(8, axis=(0.0, 0.0, 1.0)), lambda x: 1.0 + 0 * x[0])
catalogue, phases, statistics = mk.catalogue, mk.phases, mk.statistics


def uneven(z):
    return z[0] ** 2


def waves(p, q):
    return mk.langevin(CIRCLE, interaction=mk.kernels.FourierSeries([1], [-p]), beta=q)


def diagram(**changes):
    given = {"model_of": waves, "grid": CIRCLE.grid(8), "first": [1.0, 2.0], "second": [1.0, 2.0]} | changes
    return phases.phase_diagram(given.pop("model_of"), given.pop("grid"), **given)


def escapes(**changes):
    given = {"start": CLOUD, "left": lambda m, mu: mu.positions[0, 0] > 1, "key": KEY, "replicas": 2} | changes
    return phases.escape_times(MODEL, given.pop("start"), given.pop("left"), **{"until": 0.2, "dt": 0.1, **given})


def ramp(**changes):
    given = {
        "model_of": lambda p: waves(p, 1.0),
        "start": CLOUD,
        "values": [1.0, 2.0],
        "observe": lambda m, mu: mu.positions.mean(),
    } | changes
    face = [given.pop(name) for name in ("model_of", "start", "values", "observe")]
    return phases.ramps(*face, **{"key": KEY, "replicas": 2, "stay": 0.2, "dt": 0.1, **given})


POLAR = mk.kernels.Zonal(lambda t: -t)


def unit_vectors(interaction: Any = POLAR, confinement=None, beta=1.0):
    return mk.langevin(BALL, confinement, interaction, beta=beta)


REFUSED = {
    "phases.departures": {
        "from a state": (lambda: phases.departures(phases.steady_state(MODEL, RHO)), "an event of a branch"),
    },
    "phases.mountain_pass": {
        "between densities": (lambda: phases.mountain_pass(MODEL, RHO, RHO), "between two steady states"),
        "from a state to itself": (
            lambda: phases.mountain_pass(MODEL, *[phases.steady_state(MODEL, RHO)] * 2),
            "are one",
        ),
    },
    "phases.coexistence": {"of states": (lambda: phases.coexistence(RHO, RHO), "two branches")},
    "phases.continuation": {
        "a parameter that is no leaf": (
            lambda: phases.continuation((MODEL, "strength"), phases.steady_state(MODEL, RHO), 1.0, (0.5, 2.0)),
            "interaction.kernel.coefficients, noise.beta",
        ),
        "outside its bounds": (
            lambda: phases.continuation(lambda beta: MODEL, phases.steady_state(MODEL, RHO), 1.0, (2.0, 3.0)),
            "within its bounds",
        ),
    },
    "phases.linear_threshold": {
        "a model on the line": (lambda: phases.linear_threshold(mk.langevin(LINE)), "one of a torus"),
        "no interaction": (lambda: phases.linear_threshold(mk.langevin(CIRCLE)), "without an interaction"),
        "an interaction on a sphere that is not zonal": (
            lambda: phases.linear_threshold(unit_vectors(interaction=uneven)),
            "depends on ⟨x, y⟩ alone",
        ),
    },
    "phases.steady_state": {
        "from particles": (lambda: phases.steady_state(MODEL, CLOUD), "starts at a density"),
        "with a drift on a sphere": (
            lambda: phases.steady_state(mk.Model(BALL, drift=lambda x, mu: 0 * x, noise=mk.Thermal(1.0)), EVEN),
            "need not be a gradient",
        ),
        "without a temperature": (
            lambda: phases.steady_state(mk.Model(CIRCLE, interaction=mk.kernels.Cosine(1.0)), RHO),
            "temperature",
        ),
        "an interaction on a sphere that is not zonal": (
            lambda: phases.steady_state(unit_vectors(interaction=uneven), EVEN),
            "depends on ⟨x, y⟩ alone",
        ),
        "a potential about another axis": (
            lambda: phases.steady_state(unit_vectors(confinement=lambda x: x[0]), EVEN),
            "V changes about its axis e",
        ),
        "a narrow interaction": (
            lambda: phases.steady_state(
                unit_vectors(interaction=mk.kernels.Zonal(lambda t: -jnp.exp(200 * (t - 1)))), EVEN
            ),
            "too coarse for W",
        ),
    },
    "phases.steady_states": {
        "no grid": (lambda: phases.steady_states(MODEL, 8, key=KEY), "live on a grid"),
        "a grid of another space": (
            lambda: phases.steady_states(MODEL, PLANE.grid(8, -1.0, 1.0), key=KEY),
            "lives on",
        ),
        "no key": (lambda: phases.steady_states(MODEL, CIRCLE.grid(8), key=0), "key"),
        "a fluid on a sphere": (
            lambda: phases.steady_states(
                mk.Model(BALL, interaction=POLAR, internal=mk.PorousMedium(2.0)), EVEN.grid, key=KEY
            ),
            "not of a sphere",
        ),
        "a warm fluid": (
            lambda: phases.steady_states(
                mk.Model(CIRCLE, noise=mk.Thermal(1.0), internal=mk.PorousMedium(2.0)), RHO.grid, key=KEY
            ),
            "not of both",
        ),
    },
    "phases.growth_rates": {
        "of particles": (lambda: phases.growth_rates(MODEL, CLOUD), "a density on a torus"),
        "of a density that moves": (lambda: phases.growth_rates(MODEL, RHO), "no steady state: it moves"),
        "of another circle": (lambda: phases.growth_rates(mk.langevin(mk.Torus(1, 1.0)), RHO), "but the density on"),
        "without a temperature": (
            lambda: phases.growth_rates(mk.Model(CIRCLE, interaction=mk.kernels.Cosine(1.0)), RHO),
            "add Thermal noise",
        ),
        "of an environment": (
            lambda: phases.growth_rates(mk.langevin(CIRCLE, common=mk.Additive(1.0)), RHO),
            "environments.lyapunov",
        ),
        "of many nodes": (
            lambda: phases.growth_rates(MODEL, mk.Density.from_function(CIRCLE.grid(1024), lambda x: 1.0 + 0 * x[0])),
            "at most 600",
        ),
    },
    "phases.phase_diagram": {
        "a sphere": (
            lambda: diagram(model_of=lambda p, q: unit_vectors(beta=q), grid=BALL.grid(8)),
            "one of a zonal grid",
        ),
        "one value": (lambda: diagram(first=[1.0]), "two values or more"),
        "values that fall": (lambda: diagram(second=[2.0, 1.0]), "second parameter increase"),
        "a value that is no number": (lambda: diagram(first=[1.0, math.nan]), "finite"),
        "a model": (lambda: diagram(model_of=MODEL), "a function of two parameters"),
        "a model that cannot be traced": (
            lambda: diagram(model_of=lambda p, q: mk.langevin(CIRCLE, interaction=mk.kernels.Cosine(float(p)))),
            "place W before",
        ),
        "a grid of another space": (lambda: diagram(grid=LINE.grid(8, -1.0, 1.0)), "lives on"),
        "starts on another grid": (
            lambda: diagram(grid=CIRCLE.grid(16), starts=(RHO, RHO)),
            "two densities on its grid",
        ),
        "too many nodes": (lambda: diagram(grid=CIRCLE.grid(1024)), "600 nodes at most"),
        "half a refinement": (lambda: diagram(refinement=-1), "refined 0 times"),
    },
    "phases.escape_times": {
        "a distance": (lambda: escapes(left=lambda m, mu: mu.positions[0, 0] - 1), "True or False, not a number"),
        "from a density": (lambda: escapes(start=RHO), "starts at particles"),
        "a number for the set": (lambda: escapes(left=1.0), "a function of (model, measure)"),
        "each particle by itself": (lambda: escapes(left=lambda m, mu: mu.positions[:, 0] > 1), "True or False"),
        "a seed": (lambda: escapes(key=0), "key"),
        "no step": (lambda: escapes(dt=0.0), "dt must be positive"),
        "nobody": (lambda: escapes(replicas=0), "replica"),
    },
    "phases.ramps": {
        "one value": (lambda: ramp(values=[1.0]), "two values"),
        "values that fall": (lambda: ramp(values=[2.0, 1.0]), "increase"),
        "a model": (lambda: ramp(model_of=MODEL), "as a function of its parameter"),
        "from a density": (lambda: ramp(start=RHO), "starts at particles"),
        "each particle by itself": (lambda: ramp(observe=lambda m, mu: mu.positions), "is a number"),
        "a seed": (lambda: ramp(key=0), "key"),
        "no step": (lambda: ramp(dt=0.0), "dt must be positive"),
    },
    "statistics.Lifetimes": {
        "two shapes": (lambda: statistics.Lifetimes([1.0, 2.0], [True]), "one shape"),
        "a negative time": (lambda: statistics.Lifetimes([-1.0], [True]), "negative"),
        "no number": (lambda: statistics.Lifetimes([math.nan], [True]), "finite"),
        "nothing": (lambda: statistics.Lifetimes([], []), "one shape"),
        "two ends": (lambda: statistics.Lifetimes([1.0, 2.0], [True, True]).exponential(), "three ends"),
        "no time": (lambda: statistics.Lifetimes([0.0] * 3, [True] * 3).exponential(), "a time that was watched"),
        "after all ends": (lambda: statistics.Lifetimes([1.0], [True]).after(1.0), "no life of these"),
        "no level": (lambda: statistics.Lifetimes([1.0], [True]).interval(1.0), "between 0 and 1"),
    },
    "statistics.binder_ratio": {
        "a number": (lambda: statistics.binder_ratio(1.0), "leading axis"),
        "complex samples": (lambda: statistics.binder_ratio([1j, 2.0]), "complex"),
        "no order": (lambda: statistics.binder_ratio([0.0, 0.0, 1.0]), "0/0"),
        "one sample": (lambda: statistics.binder_ratio([1.0]), "at least two"),
        "no number": (lambda: statistics.binder_ratio([1.0, math.nan]), "finite"),
    },
    "statistics.crossing": {
        "one place": (lambda: statistics.crossing([1.0], _curve([1.0]), _curve([1.0])), "two places or more"),
        "apart": (
            lambda: statistics.crossing([1.0, 2.0], _curve([1.0, 2.0]), _curve([2.0, 4.0])),
            "do not cross",
        ),
    },
    "catalogue.generalised_kuramoto": {
        "no weights": (lambda: catalogue.generalised_kuramoto([]), "weights"),
        "repulsion alone": (lambda: catalogue.generalised_kuramoto([-1.0]), "one of its weights is positive"),
        "no temperature": (lambda: catalogue.generalised_kuramoto(beta=0.0), "positive number"),
    },
    "catalogue.maier_saupe": {"a negative strength": (lambda: catalogue.maier_saupe(-1.0), "positive number")},
    "catalogue.nematic": {
        "no strength": (lambda: catalogue.nematic(0.0), "positive number"),
        "too cold": (lambda: catalogue.nematic(30.0, 2.0), "above 50"),
    },
    "catalogue.onsager": {
        "a negative strength": (lambda: catalogue.onsager(-1.0), "positive number"),
        "no modes": (lambda: catalogue.onsager(modes=1), "four modes or more"),
    },
    "catalogue.hegselmann_krause": {"a wide radius": (lambda: catalogue.hegselmann_krause(4.0), "between 0 and π")},
    "catalogue.barre_degond_zatorska": {
        "long springs": (lambda: catalogue.barre_degond_zatorska(1.0, 2.0), "0 ≤ l < R"),
        "no temperature": (lambda: catalogue.barre_degond_zatorska(beta=0.0), "positive number"),
    },
    "catalogue.noisy_attention": {
        "no sharpness": (lambda: catalogue.noisy_attention(0.0), "a sharpness lies between"),
        "a negative strength": (lambda: catalogue.noisy_attention(strength=-1.0), "positive number"),
        "half a mode": (lambda: catalogue.noisy_attention(modes=8.5), "positive integer"),
    },
    "catalogue.consensus_optimisation": {
        "no attraction": (lambda: catalogue.consensus_optimisation(rate=0.0), "λ > 0"),
        "a number for f": (lambda: catalogue.consensus_optimisation(1.0), "an objective is a function"),
        "an f with values in R^d": (lambda: catalogue.consensus_optimisation(lambda x: x), "scalar"),
    },
}


def _curve(values):
    noise = np.random.default_rng(0).normal(size=(8, len(values)))
    return statistics.jackknife(np.asarray(values) + 0.01 * (noise - noise.mean(0)))
