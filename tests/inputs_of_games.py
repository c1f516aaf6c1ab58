"""Inputs that a user may well give to the games.

Each must be refused, with these words in the sentence.
"""

import jax
import jax.numpy as jnp

import mckean as mk
from mckean import games

LINE, CIRCLE, KEY = mk.Euclidean(1), mk.Torus(1), jax.random.key(0)
WALK, STIRRED = mk.Model(LINE, noise=mk.Additive(1.0)), mk.Model(LINE, common=mk.Additive(1.0))
TURNS = mk.Model(CIRCLE, noise=mk.Additive(1.0))
PULLED = mk.langevin(CIRCLE, interaction=mk.kernels.Cosine(1.0), beta=2.0)
TOSSED = mk.Model(CIRCLE, noise=mk.Additive(1.0), common=mk.Additive(0.5))
CROWDED = mk.Model(
    CIRCLE,
    noise=mk.Additive(1.0),
    common=mk.Isotropic(lambda mu: mu.integrate(lambda x: 2 + jnp.cos(x[0])), "stratonovich"),
)
RHO = mk.Density.from_function(CIRCLE.grid(8), lambda x: 1 + 0.5 * jnp.cos(x[0]))
BOXED = mk.Density.from_function(LINE.grid(4, 0.0, 1.0), lambda x: 1.0 + 0 * x[0])
REST, BALL = mk.Gaussian(0.0, 0.0), mk.Gaussian([0.0, 0.0], jnp.eye(2))


def effort(x, alpha, mu):
    return jnp.sum(alpha**2) / 2


def lazy(x, alpha, mu):
    return -effort(x, alpha, mu)


def game(running=effort, model=WALK, **given):
    return games.Game(model, running, **({"horizon": 1.0} | given))


def policy(times=2):
    t = jnp.linspace(0.0, 1.0, times)
    return games.LinearPolicy(t, jnp.zeros((times, 1, 3)), jnp.zeros((times, 3, 3)), jnp.zeros(times), None)


def forever(running=effort, model=TURNS):
    return games.Game(model, running)


def target(**given):
    return games.Target(lambda m: -jnp.tanh(m[0]), 1.0, **given)


EQUILIBRIUM = games.Equilibrium(RHO, RHO.values, jnp.zeros((8, 1)), jnp.zeros(()), jnp.zeros(()), None, 0)
KEPT = policy()


# By function: what must be refused, with words of the sentence.
REFUSED = {
    "games.Game": {
        "no model": (lambda: game(model=LINE), "moves by a model"),
        "a cost that is a number": (lambda: game(1.0), "is a function L"),
        "a cost of the point alone": (lambda: game(lambda x: 0.0), "is a function of (x, alpha, mu)"),
        "no time": (lambda: game(horizon=0.0), "must be positive"),
        "an end without a horizon": (lambda: game(terminal=lambda x, mu: 0.0, horizon=None), "give a horizon"),
        "interest": (lambda: game(discount=-1.0), "not negative"),
        "a control of another dimension": (lambda: game(control=jnp.ones((2, 1))), "(1, k)"),
    },
    "games.nash": {
        "alone": (lambda: games.nash(game(), 1), "two players at least"),
        "half a player": (lambda: games.nash(game(), 2.5), "integer"),
        "no steps": (lambda: games.nash(game(), steps=0), "positive integer"),
        "a cost that is not convex": (lambda: games.nash(game(lazy)), "not strictly convex in α"),
        "a cost of degree 4": (
            lambda: games.nash(game(lambda x, a, mu: effort(x, a, mu) + x[0] ** 4)),
            "not quadratic",
        ),
        "a cost of the spread": (
            lambda: games.nash(game(lambda x, a, mu: effort(x, a, mu) + mu.covariance[0, 0])),
            "not quadratic",
        ),
        "a cost with values in R": (lambda: games.nash(game(lambda x, a, mu: a**2)), "must return a scalar"),
        "a model that is not affine": (
            lambda: games.nash(game(model=mk.langevin(LINE, lambda x: x[0] ** 4))),
            "not affine",
        ),
        "a game without an end": (lambda: games.nash(game(horizon=None)), "give the game one"),
        "a game on a circle": (lambda: games.nash(game(model=TURNS)), "done on Euclidean"),
        "a pole": (
            lambda: games.nash(game(lambda x, a, mu: effort(x, a, mu) - 2 * x[0] ** 2), steps=20),
            "blows up at t = 0.2146",
        ),
        "no game": (lambda: games.nash(WALK), "a game is Game"),
    },
    "games.planner": {"a cost that is not convex": (lambda: games.planner(game(lazy)), "not strictly convex in α")},
    "games.response": {
        "no policy": (lambda: games.response(game(), 1.0), "`nash` or `planner` finds"),
        "of another game": (lambda: games.response(game(horizon=2.0), KEPT), "of another game"),
    },
    "games.regret": {
        "a law in the plane": (lambda: games.regret(game(), KEPT, BALL), "live in R^1"),
        "particles": (lambda: games.regret(game(), KEPT, REST.sample(KEY, 2)), "start with a Gaussian"),
    },
    "games.conditional_law": {
        "no path": (lambda: games.conditional_law(game(model=STIRRED), KEPT, REST), "give a path"),
        "a law in the plane": (lambda: games.conditional_law(game(), KEPT, BALL), "live in R^1"),
    },
    "games.play": {
        "alone": (lambda: games.play(game(), KEPT, REST, 1, key=KEY, replicas=2), "two players at least"),
        "never": (lambda: games.play(game(), KEPT, REST, 2, key=KEY, replicas=0), "positive integer"),
        "other times": (
            lambda: games.play(game(), KEPT, REST, 2, key=KEY, replicas=2, best=policy(3)),
            "the same times",
        ),
        "alone on a circle": (lambda: games.play(forever(), EQUILIBRIUM, None, 1, key=KEY, replicas=2), "two players"),
        "for ever": (lambda: games.play(forever(), EQUILIBRIUM, None, 2, key=KEY, replicas=2), "give the `time`"),
        "pulled": (
            lambda: games.play(forever(model=PULLED), EQUILIBRIUM, None, 2, key=KEY, replicas=2, time=1.0),
            "does not depend on μ",
        ),
        "on a circle with a law": (
            lambda: games.play(forever(), EQUILIBRIUM, REST, 2, key=KEY, replicas=2, time=1.0),
            "as the equilibrium does",
        ),
    },
    "games.regret_rate": {
        "alone": (lambda: games.regret_rate(game(), KEPT, REST, sizes=[1, 2], replicas=2, key=KEY), "two players"),
        "one size": (lambda: games.regret_rate(game(), KEPT, REST, sizes=[2], replicas=2, key=KEY), "two or more"),
    },
    "games.LinearPolicy": {"a law in the plane": (lambda: KEPT.cost(BALL), "live in R^1")},
    "games.Target": {
        "an aim that is a number": (lambda: games.Target(1.0, 1.0), "is a function g"),
        "an aim with values in R": (lambda: games.Target(lambda m: m, 1.0), "scalar"),
        "no time": (lambda: games.Target(lambda m: m[0], 0.0), "must be positive"),
        "no end": (lambda: games.Target(lambda m: m[0], jnp.inf), "positive and finite"),
        "a negative noise": (lambda: target(common=-1.0), "must not be negative"),
        "an infinite noise": (lambda: target(common=jnp.inf), "must be finite"),
    },
    "games.equilibria": {
        "with a common noise": (lambda: games.equilibria(target(common=1.0), 0.0), "one equilibrium"),
        "without an end": (lambda: games.equilibria(forever(), RHO), "up to a horizon"),
        "of a model": (lambda: games.equilibria(WALK, RHO), "Target(g, T) or Game"),
        "a mean that is no number": (lambda: games.equilibria(target(), jnp.nan), "must be finite"),
    },
    "games.expectation": {
        "without a common noise": (lambda: games.expectation(target(), jnp.sum, 0.0, 0.0), "several equilibria"),
        "after the end": (lambda: games.expectation(target(common=1.0), jnp.sum, 2.0, 0.0), "between 0 and T"),
        "an aim that runs away": (
            lambda: games.expectation(games.Target(lambda m: -4 * m[0], 1.0, common=1.0), jnp.sum, 0.0, 0.0),
            "less than linearly",
        ),
        "a mean that is no number": (
            lambda: games.expectation(target(common=1.0), jnp.sum, 0.0, jnp.nan),
            "a mean must be finite",
        ),
        "no mean": (lambda: games.expectation(target(common=1.0), jnp.sum, 0.0, jnp.zeros(0)), "one mean or more"),
    },
    "games.aim": {
        "two cells": (lambda: games.aim(target(common=0.1), 0.0, jnp.zeros(1), cells=8), "take more of them"),
        "a number": (lambda: games.aim(target(common=1.0), 0.0, 0.0), "shape (n,)"),
        "a mean that is no number": (lambda: games.aim(target(common=1.0), 0.0, [jnp.nan]), "a mean must be finite"),
        "no mean": (lambda: games.aim(target(common=1.0), 0.0, jnp.zeros(0)), "n ≥ 1"),
    },
    "games.Equilibrium": {
        "of another game": (lambda: games.exploitability(game(), EQUILIBRIUM), "with another horizon"),
    },
    "games.equilibrium": {
        "no steps": (lambda: games.equilibrium(game(model=TURNS), RHO, steps=0), "positive integer"),
        "with a common noise in a box": (
            lambda: games.equilibrium(game(model=STIRRED), BOXED),
            "push players through the walls",
        ),
        "on a circle from a box": (lambda: games.equilibrium(game(model=TURNS), BOXED), "in a box, but the game on"),
        "steered askew in a box": (
            lambda: games.equilibrium(game(control=jnp.ones((1, 2))), BOXED),
            "let the control matrix be diagonal",
        ),
        "for ever among controls": (
            lambda: games.equilibrium(forever(lambda x, a, mu, nu: effort(x, a, mu)), RHO),
            "up to a horizon, in `equilibrium` alone",
        ),
        "by guess": (lambda: games.equilibrium(game(model=TURNS), RHO, method="guess"), "anderson, fictitious"),
        "from particles": (lambda: games.equilibrium(forever(), RHO.sample(KEY, 2)), "starts at a density"),
        "a cost that is not convex": (
            lambda: games.equilibrium(forever(lambda x, a, mu: jnp.cos(x[0]) * effort(x, a, mu)), RHO),
            "not strictly convex in α at x = [3.1416]",
        ),
        "without noise": (lambda: games.equilibrium(forever(model=mk.Model(CIRCLE)), RHO), "isotropic"),
        "a common noise where places count": (
            lambda: games.equilibrium(
                forever(
                    lambda x, a, mu: effort(x, a, mu) + jnp.cos(x[0]),
                    mk.Model(CIRCLE, noise=mk.Additive(1.0), common=mk.Additive(1.0)),
                ),
                RHO,
            ),
            "differences of positions",
        ),
    },
    "games.conditional_equilibrium": {
        "without a common noise": (lambda: games.conditional_equilibrium(game(model=TURNS), RHO), "no common noise"),
        "without an end": (lambda: games.conditional_equilibrium(forever(model=TOSSED), RHO), "scenarios end"),
        "seven steps": (lambda: games.conditional_equilibrium(game(model=TOSSED), RHO, steps=7), "no multiple of 2"),
        "a forest": (
            lambda: games.conditional_equilibrium(game(model=TOSSED), RHO, stages=10, steps=20),
            "5.9e+04 scenarios",
        ),
        "a lattice of nothing": (
            lambda: games.conditional_equilibrium(game(model=TOSSED), RHO, laws=9),
            "needs a feature",
        ),
        "a lattice of two features": (
            lambda: games.conditional_equilibrium(game(model=TOSSED), RHO, laws=9, features=lambda mu: jnp.ones(2)),
            "is one number",
        ),
        "a lattice of four laws": (
            lambda: games.conditional_equilibrium(
                game(model=TOSSED), RHO, laws=4, features=lambda mu: mu.integrate(jnp.cos)[0]
            ),
            "odd number of laws",
        ),
        "a noise of the measure": (
            lambda: games.conditional_equilibrium(game(model=CROWDED), RHO),
            "must not depend on μ",
        ),
    },
    "games.exploitability": {
        "of a density": (lambda: games.exploitability(forever(), RHO), "asked of an Equilibrium"),
    },
}
