"""Every verb of the wings on every kind of model, in cheap sizes."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp

import mckean as mk
from mckean import couplings, energetics, environments, equilibrium, games, phases

LINE, CIRCLE = mk.Euclidean(1), mk.Torus(1)
BOX, RING = LINE.grid(32, -4.0, 4.0), CIRCLE.grid(8)
KEY = jax.random.key(0)
PATH = mk.Brownian(KEY)
SPAN = {"until": 0.2, "dt": 0.1}
MANY = {"key": KEY, "replicas": 2}
LOOK = {"F": lambda model, mu: mu.integrate(lambda x: jnp.cos(x[0]))}


def bowl(x):
    return 0.5 * jnp.sum(x**2)


def bump(shift):
    return mk.Density.from_function(BOX, lambda x: jnp.exp(-jnp.sum((x - shift) ** 2)))


def wave(shift):
    return mk.Density.from_function(RING, lambda x: 1 + 0.5 * jnp.cos(x[0] - shift))


def cloud(shift):
    return mk.Particles(CIRCLE, (jax.random.normal(KEY, (8, 1)) + shift) % 6.0)


STIRRED = mk.langevin(CIRCLE, interaction=mk.kernels.Cosine(2.0), beta=2.0, common=mk.Additive(0.5))
LINEAR = mk.langevin(LINE, bowl, mk.kernels.Quadratic(0.5), beta=2.0)
POROUS = mk.Model(LINE, confinement=bowl, internal=mk.PorousMedium(2.0))
# A model, and how a measure for it is made from a shift.
KINDS = {
    "particles": (STIRRED, cloud),
    "density in an environment": (STIRRED, wave),
    "density on a box": (LINEAR, bump),
    "Gaussian": (LINEAR, lambda shift: mk.Gaussian(shift, 1.0)),
    "internal energy": (POROUS, bump),
}


def effort(x, alpha, mu):
    return jnp.sum(alpha**2) / 2


def clouds(mu):
    return jax.random.normal(KEY, (4, 4, mu.domain.dim)) % 6.0


# Each with a model, a measure and another measure.
VERBS = {
    "couplings.synchronous_coupling": lambda m, mu, nu: couplings.synchronous_coupling(
        m, mu, mu if isinstance(mu, mk.Particles) else mu.sample(KEY, 8), path=PATH, **SPAN
    ),
    "couplings.reflection_coupling": lambda m, mu, nu: couplings.reflection_coupling(m, mu, nu, path=PATH, **SPAN),
    "couplings.across_steps": lambda m, mu, nu: couplings.across_steps(m, mu, path=PATH, halvings=1, **SPAN),
    "couplings.nested": lambda m, mu, nu: couplings.nested(m, mu, 4, path=PATH, **SPAN),
    "couplings.chaos_rate": lambda m, mu, nu: couplings.chaos_rate(
        m, mu, jnp.cos, sizes=[4, 8], replicas=4, key=KEY, **SPAN
    ),
    "couplings.marginals": lambda m, mu, nu: couplings.marginals(
        m, mu, mu, k=1, sizes=[4, 8], replicas=4, key=KEY, cells=4, **SPAN
    ),
    "couplings.lipschitz": lambda m, mu, nu: couplings.lipschitz(m, -1.0, 1.0, points=9),
    "environments.separation": lambda m, mu, nu: environments.separation(m, mu, nu, path=PATH, **SPAN),
    "environments.contraction": lambda m, mu, nu: environments.contraction(m, mu, nu, **MANY, **SPAN),
    "environments.growth": lambda m, mu, nu: environments.growth(m, mu, nu, **MANY, **SPAN),
    "environments.linearise": lambda m, mu, nu: environments.linearise(m, mu, nu, path=PATH, **SPAN),
    "environments.lyapunov": lambda m, mu, nu: environments.lyapunov(m, mu, **MANY, **SPAN),
    "environments.exponents": lambda m, mu, nu: environments.exponents(m, mu, path=PATH, **SPAN),
    "environments.pullback": lambda m, mu, nu: environments.pullback(m, mu, depths=[0.1, 0.2], dt=0.1, path=PATH),
    "environments.invariant": lambda m, mu, nu: environments.invariant(m, mu, LOOK, depth=0.2, dt=0.1, **MANY),
    "environments.one_point_ergodicity": lambda m, mu, nu: environments.one_point_ergodicity(
        m, mu, jnp.ones((8, 1)), permutations=9, **MANY, **SPAN
    ),
    "energetics.ledger": lambda m, mu, nu: energetics.ledger(m, mu, path=PATH, **SPAN),
    "energetics.environment_power": lambda m, mu, nu: energetics.environment_power(m, mu),
    "energetics.moving_frame": lambda m, mu, nu: energetics.moving_frame(m, mu, path=PATH, **SPAN),
    "energetics.decay": lambda m, mu, nu: energetics.decay(m, mu, nu, **SPAN),
    "energetics.adversary": energetics.adversary,
    "energetics.convexity": lambda m, mu, nu: energetics.convexity(m, -1.0, 1.0),
    "energetics.holley_stroock": lambda m, mu, nu: energetics.holley_stroock(m, bowl, -1.0, 1.0),
    "energetics.relaxation": lambda m, mu, nu: energetics.relaxation(m, mu),
    "energetics.poincare_bounds": lambda m, mu, nu: energetics.poincare_bounds(mu),
    "energetics.log_sobolev_bounds": lambda m, mu, nu: energetics.log_sobolev_bounds(mu),
    # Where the model has a Gibbs measure the four chains are refused: tests/test_gibbs.py runs it.
    "equilibrium.sample_gibbs": lambda m, mu, nu: equilibrium.sample_gibbs(
        m, mu, 4, LOOK, key=KEY, chains=4, warmup=20, draws=20
    ),
    "equilibrium.langevin_means": lambda m, mu, nu: equilibrium.langevin_means(
        m, mu, 4, LOOK, key=KEY, dt=0.1, until=0.4, discard=0.2, replicas=2
    ),
    "equilibrium.invariance": lambda m, mu, nu: equilibrium.invariance(m, clouds(mu), LOOK, key=KEY, **SPAN),
    "equilibrium.stationarity": lambda m, mu, nu: equilibrium.stationarity(m, clouds(mu), LOOK),
    "equilibrium.gibbs_drift": lambda m, mu, nu: equilibrium.gibbs_drift(m, mu),
    "games.nash": lambda m, mu, nu: games.nash(games.Game(m, effort, horizon=0.2), steps=2),
    "games.equilibrium": lambda m, mu, nu: games.equilibrium(games.Game(m, effort), mu),
    "phases.linear_threshold": lambda m, mu, nu: phases.linear_threshold(m),
    "phases.steady_state": lambda m, mu, nu: phases.steady_state(m, mu),
    "phases.steady_states": lambda m, mu, nu: (
        phases.steady_states(m, mu.grid, key=KEY, random=0)
        if isinstance(mu, mk.Density)
        else phases.steady_states(m, RING, key=KEY, random=0)
    ),
    "phases.mountain_pass": lambda m, mu, nu: phases.mountain_pass(
        m, phases.steady_state(m, mu), phases.steady_state(m, nu)
    ),
    "phases.continuation": lambda m, mu, nu: phases.continuation(
        lambda beta: dataclasses.replace(m, noise=mk.Thermal(beta)), phases.steady_state(m, mu), 2.0, (1.9, 2.1)
    ),
    "phases.phase_diagram": lambda m, mu, nu: phases.phase_diagram(
        lambda beta, size: dataclasses.replace(m, noise=mk.Thermal(beta)),
        mu.grid if isinstance(mu, mk.Density) else RING,
        [1.9, 2.1],
        [0.0, 1.0],
        refinement=0,
    ),
    "phases.escape_times": lambda m, mu, nu: phases.escape_times(
        m,
        mu if isinstance(mu, mk.Particles) else mu.sample(KEY, 4),
        lambda model, mu: mu.positions[0, 0] > 1,
        **MANY,
        **SPAN,
    ),
    "phases.ramps": lambda m, mu, nu: phases.ramps(
        lambda beta: dataclasses.replace(m, noise=mk.Thermal(beta)),
        mu if isinstance(mu, mk.Particles) else mu.sample(KEY, 4),
        [1.9, 2.1],
        lambda model, mu: mu.positions.mean(),
        stay=0.2,
        dt=0.1,
        **MANY,
    ),
    "phases.growth_rates": lambda m, mu, nu: phases.growth_rates(m, mu),
}
# Functions of numbers, of what a run has left, of a function of a key, or of a game: no model is run.
OF_NUMBERS = {
    "couplings.coupling_distance",
    "couplings.coupling_terms",
    "couplings.distinct_means",
    "couplings.gronwall",
    "couplings.ito_decomposition",
    "couplings.joint_cumulant",
    "couplings.visited",
    "energetics.energy_balance",
    "environments.ensemble",
    "equilibrium.log_partition",
    "games.GAMES",
    "games.aim",
    "games.conditional_equilibrium",
    "games.conditional_law",
    "games.equilibria",
    "games.expectation",
    "games.exploitability",
    "games.planner",
    "games.play",
    "games.regret",
    "games.regret_rate",
    "games.response",
    "phases.coexistence",
    "phases.departures",
}
CALLS = {
    f"{verb}: {kind}": partial(lambda call, model, measure: call(model, measure(0.0), measure(0.5)), call, *of)
    for verb, call in VERBS.items()
    for kind, of in KINDS.items()
}
