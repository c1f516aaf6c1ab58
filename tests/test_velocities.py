"""Particles with velocities: BAOAB, the splitting of Vlasov, Fokker and Planck's equation, thermostats, alignment.

The exact results are those of linear systems, by matrix exponentials and of Hermite functions.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm, solve_discrete_lyapunov

import mckean as mk
from mckean.dynamics import Increments
from mckean.dynamics.baoab import BAOAB, step
from mckean.dynamics.particles import with_positions
from mckean.energetics import energy_balance, ledger
from mckean.measures import configuration

LINE, CIRCLE, PLANE = mk.Euclidean(1), mk.Torus(1), mk.Euclidean(2)
PHASE, RING = mk.TangentBundle(LINE), mk.TangentBundle(CIRCLE)
PATH = mk.Brownian(jax.random.key(0))
STIFFNESS, STRENGTH, FRICTION, BETA, SHAKE = 1.5, 0.7, 0.8, 2.0, 0.6


def swarm(space, n, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1.0, 1.0, (n, space.dim)) + 2.0
    return mk.Particles(mk.TangentBundle(space), jnp.asarray(np.concatenate([x, rng.normal(size=x.shape)], axis=1)))


def oscillators(friction=FRICTION):
    """Two particles on springs, to the origin and to each other, under a common random force."""
    bowl, spring = mk.potentials.Quadratic(STIFFNESS), mk.kernels.Quadratic(STRENGTH)
    return mk.underdamped(LINE, bowl, spring, friction=friction, beta=BETA, common=mk.Additive(SHAKE))


def jacobians(model, cloud, h, common):
    """M and N of a step z ← Mz + Nξ of BAOAB on a linear model, by its derivatives; ξ standard normal."""
    begun, n = BAOAB().begin(model, cloud, h), cloud.n

    def move(z, own, shared):
        noise = Increments(own.reshape(n, 1), shared if common else None)
        return step(lambda t: begun.at(0), with_positions(cloud, z.reshape(n, 2)), noise, begun.dt).positions.ravel()

    at = (jnp.zeros(2 * n), jnp.zeros(n), jnp.zeros(common))
    by_state, *by_noise = (np.asarray(j) for j in jax.jit(jax.jacfwd(move, (0, 1, 2)))(*at))
    return by_state, np.concatenate(by_noise, axis=1) * math.sqrt(h)


def linear_flow(time):
    """The covariance from a point after a time, by the matrix exponential of Σ′ = AΣ + ΣAᵀ + NNᵀ."""
    pull = STIFFNESS * np.eye(2) + STRENGTH * (np.eye(2) - 0.5)
    A, N = np.zeros((4, 4)), np.zeros((4, 3))
    for i in range(2):
        A[2 * i, 2 * i + 1], A[2 * i + 1, 2 * i + 1] = 1.0, -FRICTION
        A[2 * i + 1, [0, 2]] = -pull[i]
        N[2 * i + 1, i], N[2 * i + 1, 2] = math.sqrt(2 * FRICTION / BETA), SHAKE
    both = np.block([[-A, N @ N.T], [np.zeros((4, 4)), A.T]])
    whole = expm(both * time)
    return whole[4:, 4:].T @ whole[:4, 4:]


def test_weak_order_of_baoab_is_two():
    """Errors of the exact second moments, of two particles under own and common noise, fall by four a halving."""
    exact, errors = linear_flow(1.0), []
    for steps in (8, 16, 32):
        by_state, by_noise = jacobians(oscillators(), swarm(LINE, 2), 1.0 / steps, 1)
        covariance = np.zeros((4, 4))
        for _ in range(steps):
            covariance = by_state @ covariance @ by_state.T + by_noise @ by_noise.T
        errors.append(np.abs(covariance - exact).max())
    ratios = np.divide(errors[:-1], errors[1:])
    assert np.all(np.abs(ratios - 4) < 0.3), (errors, ratios)
    assert errors[-1] > 1e-6


def test_baoab_keeps_the_variance_of_harmonic_positions():
    """1/βω² at h = 0.9/ω, and (1 − h²ω²/4)/β for velocities; O in the outer place would divide the first by that."""
    omega, h = 2.0, 0.45
    model = mk.underdamped(LINE, mk.potentials.Quadratic(omega**2), friction=FRICTION, beta=BETA)
    by_state, by_noise = jacobians(model, swarm(LINE, 1), h, 0)
    law = solve_discrete_lyapunov(by_state, by_noise @ by_noise.T)
    shrunk = 1 - h**2 * omega**2 / 4
    np.testing.assert_allclose(law, np.diag([1 / (BETA * omega**2), shrunk / BETA]), atol=1e-14)
    assert abs(law[0, 0] - 1 / (BETA * omega**2 * shrunk)) > 0.02, "that of OBABO"


def test_a_run_is_its_steps():
    """What the tests above take apart is what `evolve` does: the invariant law stays, within 4.5 standard errors."""
    omega, h, n = 2.0, 0.45, 20_000
    model = mk.underdamped(LINE, mk.potentials.Quadratic(omega**2), friction=FRICTION, beta=BETA)
    variances = np.array([1 / (BETA * omega**2), (1 - h**2 * omega**2 / 4) / BETA])
    start = np.random.default_rng(1).normal(size=(n, 2)) * np.sqrt(variances)
    final = mk.evolve(model, mk.Particles(PHASE, start), until=20 * h, dt=h, path=PATH).final
    found = np.var(np.asarray(final.positions), axis=0)
    assert np.all(np.abs(found / variances - 1) < 4.5 * math.sqrt(2 / n)), found / variances


def test_newton_keeps_momentum_and_energy():
    """γ = 0 is the leapfrog: momentum to rounding, and an energy that errs by O(h²) without drift."""
    model = mk.underdamped(LINE, interaction=mk.kernels.Quadratic(1.0), friction=0.0)
    cloud = swarm(LINE, 16)
    assert model.noise is None
    look = {"p": lambda m, mu: mu.integrate(lambda z: z[1]), "E": mk.energy.energy}
    spans = []
    for h in (0.1, 0.05):
        seen = mk.evolve(model, cloud, until=20.0, dt=h, observe=look, every=1).observed
        assert np.ptp(seen["p"]) < 1e-13
        spans.append(np.ptp(seen["E"]))
    assert 3.8 < spans[0] / spans[1] < 4.2


def test_friction_without_noise():
    """β = ∞: v decays as e^{−γt}, by Heun's step: order 2 from both sides."""
    model = mk.underdamped(LINE, friction=FRICTION, beta=math.inf)
    cloud = swarm(LINE, 3)
    exact = np.asarray(cloud.positions)[:, 1] * math.exp(-FRICTION)
    errors = [np.abs(mk.evolve(model, cloud, until=1.0, dt=h).final.positions[:, 1] - exact).max() for h in (0.1, 0.05)]
    assert 3.7 < errors[0] / errors[1] < 4.3


# ---------------------------------------------------------------------------------------------------------------------
# The equation of Vlasov, Fokker and Planck.

GRID = RING.grid(CIRCLE.grid(16), 48, 6.0)


def wave(x):
    return 0.5 * jnp.cos(x[0])


def puff(grid=GRID):
    """Far from equilibrium: displaced, moving, and colder than the bath."""
    return mk.Density.from_function(grid, lambda z: jnp.exp(0.8 * jnp.cos(z[0] - 1) - 0.8 * (z[1] - 0.5) ** 2))


def kinetic(common=(), friction=FRICTION):
    return mk.underdamped(CIRCLE, wave, mk.kernels.Cosine(1.5), friction=friction, beta=BETA, common=common)


def test_order_of_the_splitting_is_two():
    """Differences at halved steps fall by four."""
    a, b, c = (mk.evolve(kinetic(), puff(), until=0.8, dt=h).final.values for h in (0.1, 0.05, 0.025))
    assert 3.7 < float(jnp.abs(a - b).max() / jnp.abs(b - c).max()) < 4.3


@pytest.mark.parametrize("alignment", [0.0, 0.6])
def test_gaussian_laws_stay_gaussian(alignment):
    """On the line with springs: mean and covariance by the matrix exponential, with errors that fall by four.

    The spring to the mean, and the alignment with the mean velocity, act on the spread and not on the mean itself.
    The moment equations have no error but their solver's.
    """
    field = mk.interactions.VelocityAlignment(lambda z: alignment + 0 * z[0], LINE) if alignment else None
    parts = {"confinement": mk.potentials.Quadratic(STIFFNESS), "interaction": mk.kernels.Quadratic(STRENGTH)}
    model = mk.Model(PHASE, drift=field, noise=mk.Thermostat(FRICTION, BETA), **parts)
    centre, spread = np.array([0.8, -0.5]), np.array([[0.5, 0.1], [0.1, 0.4]])
    precision = jnp.asarray(np.linalg.inv(spread))
    grid = PHASE.grid(LINE.grid(48, -6.0, 6.0), 48, 6.0)
    law = mk.Density.from_function(grid, lambda z: jnp.exp(-0.5 * (z - centre) @ precision @ (z - centre)))
    mean, apart = (
        np.array([[0, 1], [-k, -c]]) for k, c in ((STIFFNESS, FRICTION), (STIFFNESS + STRENGTH, FRICTION + alignment))
    )
    exact_mean = expm(mean) @ centre
    both = expm(np.block([[-apart, np.diag([0, 2 * FRICTION / BETA])], [np.zeros((2, 2)), apart.T]]))
    flow = both[2:, 2:].T
    exact_spread = flow @ spread @ flow.T + flow @ both[:2, 2:]
    errors = []
    for h in (0.1, 0.05):
        final = mk.evolve(model, law, until=1.0, dt=h).final
        first = np.asarray(final.integrate(lambda z: z))
        second = np.asarray(final.integrate(lambda z: jnp.outer(z, z))) - np.outer(first, first)
        errors.append([np.abs(first - exact_mean).max(), np.abs(second - exact_spread).max()])
    ratios = np.divide(*errors)
    assert np.all(np.abs(ratios - 4) < 0.3), (errors, ratios)
    assert np.abs(expm(apart) @ centre - exact_mean).max() > 0.05, "a spring to the origin"
    towards = lambda z, mu: alignment * jnp.stack([0 * z[1], mu.mean[1] - z[1]])  # noqa: E731
    linear = mk.Model(PHASE, drift=towards, noise=mk.Thermostat(FRICTION, BETA), **parts)
    closed = mk.evolve(linear, mk.Gaussian(centre, spread, PHASE), until=1.0, dt=0.05).final
    np.testing.assert_allclose(closed.mean, exact_mean, atol=1e-8)
    np.testing.assert_allclose(closed.covariance, exact_spread, atol=1e-8)


@pytest.mark.parametrize("strength", [0.4, -0.4])
def test_a_constant_alignment_without_a_bath_is_exact(strength):
    """Velocities come together, or part where ψ < 0, as e^{−ψt} about their mean, which stays."""
    grid = RING.grid(CIRCLE.grid(4), 64, 8.0)
    law = mk.Density.from_function(grid, lambda z: jnp.exp(-((z[1] - 0.7) ** 2)))
    model = mk.Model(RING, drift=mk.interactions.VelocityAlignment(lambda z: strength + 0 * z[0], CIRCLE))
    f = mk.evolve(model, law, until=0.5, dt=0.1).final
    first, second = (float(f.integrate(lambda z, k=k: z[1] ** k)) for k in (1, 2))
    assert abs(first - 0.7) < 1e-10
    assert abs(second - first**2 - 0.5 * math.exp(-strength)) < 1e-10


def test_order_of_the_splitting_with_an_alignment_is_two():
    """ψ = 1 + 0.8 cos and a flow that shears: differences at halved steps fall by four.

    With the target of the velocities frozen at the begin of a step they would fall by two. The momentum is kept,
    ∫∫ψ(x − y)(w − v)dμdμ = 0, up to the terms of third order in a step, of which a sum of T/h has the size h²T/6.
    """
    field = mk.interactions.VelocityAlignment(lambda z: 1 + 0.8 * jnp.cos(z[0]), CIRCLE)
    model = mk.Model(RING, drift=field)
    sheared = lambda z: jnp.exp(0.8 * jnp.cos(z[0] - 1) - 0.8 * (z[1] - jnp.sin(z[0])) ** 2)  # noqa: E731
    law = mk.Density.from_function(GRID, sheared)
    a, b, c = (mk.evolve(model, law, until=0.4, dt=h).final for h in (0.1, 0.05, 0.025))
    assert 3.7 < float(jnp.abs(a.values - b.values).max() / jnp.abs(b.values - c.values).max()) < 4.3
    before, after = (float(f.integrate(lambda z: z[1])) for f in (law, a))
    assert abs(after - before) < 0.1**2 * 0.4 / 6


def test_mass_equilibrium_and_the_second_law():
    """Mass to rounding; F falls by what D takes, to O(h²); the end is the Gibbs law at the order parameter's root."""
    look = {"F": mk.energy.free_energy, "D": mk.energy.dissipation}
    residues = []
    for h in (0.05, 0.025):
        run = mk.evolve(kinetic(), puff(), until=1.0, dt=h, observe=look, every=1)
        assert abs(float(run.final.mass) - 1) < 1e-13
        assert np.all(np.diff(run.observed["F"]) < 0)
        balance = energy_balance(run.times, run.observed["F"], run.observed["D"])
        residues.append(np.abs(balance).max())
    spent = float(run.observed["F"][0] - run.observed["F"][-1])
    # Both the integral by Simpson and the curve of the scheme: the latter errs by O(h²).
    assert residues[1] < 2e-3 * spent
    assert residues[0] / residues[1] > 3.5
    assert float(run.observed["D"][0]) > 0.1, "far from equilibrium"


def test_a_thermostat_alone_is_the_semigroup():
    """V = W = 0 at rest in x: after any step, however long, moments of the velocity are exact to rounding."""
    model = mk.underdamped(CIRCLE, friction=2.0, beta=BETA)
    start = mk.Density.from_function(GRID, lambda z: jnp.exp(-1.5 * (z[1] - 0.7) ** 2))
    mean, square = start.integrate(lambda z: z[1]), start.integrate(lambda z: z[1] ** 2)
    for h in (0.01, 1.0):
        final = mk.evolve(model, start, until=h, dt=h).final
        kept = math.exp(-2.0 * h)
        assert abs(final.integrate(lambda z: z[1]) - kept * mean) < 1e-11
        expected = kept**2 * square + (1 - kept**2) / BETA
        assert abs(final.integrate(lambda z: z[1] ** 2) - expected) < 1e-10


@pytest.mark.parametrize("strength", [1.0, 4.0])
def test_the_uniform_state_grows_at_the_rate_of_linear_response(strength):
    """ε e^{iθ} decays below K_c = 2/β and grows above, at the catalogue's rate; the overdamped one differs."""
    entry = mk.catalogue.inertial_kuramoto(strength, 1.0, 1.0)
    grid = RING.grid(CIRCLE.grid(8), 64, 9.0)
    start = mk.Density.from_function(grid, lambda z: (1 + 1e-4 * jnp.cos(z[0])) * jnp.exp(-0.5 * z[1] ** 2))
    look = {"r": mk.observables.order_parameter(1)}
    run = mk.evolve(entry.model, start, until=8.0, dt=0.05, observe=look, every=20)
    r = np.asarray(run.observed["r"])
    found = math.log(r[-1] / r[-3]) / 2
    # The other Hermite modes have died out as e^{−t} beside it, and the step errs by h² in rates of order 1.
    assert abs(found - entry["growth rate"]) < 5e-3, found
    overdamped = mk.catalogue.kuramoto(strength, 1.0)["incoherent rate"]
    assert abs(overdamped - entry["growth rate"]) > 0.1


def test_particles_follow_the_density_in_an_environment():
    """⟨cos x⟩ and ⟨v⟩ of 4000 particles and of the density, moved by one environment, within 4.5 standard errors."""
    n, model = 4000, kinetic(mk.Multiplicative(lambda x, mu: 2.0 * jnp.cos(x)))
    law = puff()
    options = {"until": 1.0, "dt": 0.05, "path": PATH}
    limit, cloud = (mk.evolve(model, mu, **options).final for mu in (law, law.sample(jax.random.key(1), n)))
    other = mk.evolve(model, law, **(options | {"path": mk.Brownian(jax.random.key(5))})).final

    def look(z):
        return jnp.stack([jnp.cos(z[0]), jnp.sin(z[0]), z[1]])

    errors = np.asarray(cloud.integrate(look) - limit.integrate(look))
    # ½ and the spread of v bound the standard deviations; the steps' own O(h²) is ten times less.
    bound = 4.5 * np.array([0.71, 0.71, 0.9]) / math.sqrt(n)
    assert np.all(np.abs(errors) < bound), errors
    assert np.max(np.abs(np.asarray(other.integrate(look) - limit.integrate(look))) / bound) > 3, "another environment"


def test_the_ledger_closes_with_friction():
    """dE = −γ⟨v²⟩dt + work of own and common noise, at O(h); with |v|² + |f|² for γ|v|² it would not."""
    found = ledger(kinetic(mk.Additive(0.5)), swarm(CIRCLE, 64), until=0.4, dt=0.01, path=PATH, scheme=BAOAB())
    assert abs(float(found.residual[-1])) < 0.02 * float(found.accounts.dissipated[-1])


def test_the_ledger_of_a_density_with_velocities_is_that_of_its_free_energy():
    """Velocities N(u, 1/β), equally hot: ∇_vδF = u and D = γu², which decays as u² = u_0²e^{−2γt}, F − F* = ½u².

    E alone would have a heat of γ/β beside it, and an E with no heat a D of γ(u² + 1/β).
    """
    model = mk.underdamped(CIRCLE, friction=0.8, beta=2.0)
    grid = mk.TangentBundle(CIRCLE).grid(CIRCLE.grid(8), 48, 6.0)
    f = mk.Density.from_function(grid, lambda z: jnp.exp(-((z[1] - 0.5) ** 2)))
    found = ledger(model, f, until=0.4, dt=0.02)
    fall = 0.125 * math.expm1(-2 * 0.8 * 0.4)
    np.testing.assert_allclose(found.change[-1], fall, rtol=1e-9)
    # The trapezoidal rule is off by (2γdt)²/12 of the whole.
    np.testing.assert_allclose(found.accounts.dissipated[-1], -fall, rtol=1.01 * 0.032**2 / 12)
    assert found.accounts.own[-1] == 0


# ---------------------------------------------------------------------------------------------------------------------
# VelocityAlignment.


def test_positions_of_a_measure():
    law = puff()
    rho = configuration(law)
    assert rho.grid == CIRCLE.grid(16)
    assert float(rho.mass) == pytest.approx(1, abs=1e-14)
    # At the seam of the circle, between its last node and its first.
    dot = mk.deposit(mk.Particles(RING, jnp.asarray([[2 * math.pi - 0.1, 0.3]])), GRID)
    np.testing.assert_allclose(
        dot.integrate(lambda z: jnp.stack([jnp.cos(z[0]), z[1]])), [math.cos(0.1), 0.3], atol=0.02
    )
    plain = mk.Density.from_function(CIRCLE.grid(8), lambda x: 1 + 0 * x[0])
    assert configuration(plain) is plain


def test_energies_are_those_of_positions_with_motion():
    model, cloud = kinetic(), swarm(CIRCLE, 30)
    z = np.asarray(cloud.positions)
    pairs = -1.5 * np.mean(np.cos(z[:, :1] - z[:, 0])) / 2
    assert float(mk.energy.energy(model, cloud)) == pytest.approx(
        np.mean(0.5 * z[:, 1] ** 2 + 0.5 * np.cos(z[:, 0])) + pairs, abs=1e-14
    )
    force = np.asarray(model.velocity(cloud.positions, cloud))
    mean = np.mean(np.sin(z[:, :1] - z[:, 0]), axis=1)
    exact = 0.5 * np.sin(z[:, 0]) - 1.5 * mean - FRICTION * z[:, 1]
    np.testing.assert_allclose(force, np.stack([z[:, 1], exact], axis=1), atol=1e-13)


def test_sums_are_planned_for_the_positions():
    """W and ψ by the moments that a run plans, against all pairs."""
    kernel, cloud = mk.kernels.Quadratic(1.0), swarm(LINE, 300)
    assert mk.interactions.certificate(kernel, cloud, jax.random.key(2)).error < 1e-13
    model = mk.Model(PHASE, drift=mk.interactions.VelocityAlignment(kernel, LINE))
    planned = mk.models.with_planned_sums(model, cloud)
    assert isinstance(planned.drift.weight.sum, mk.interactions.PowerSums)
    some = cloud.positions[:16]
    exact = mk.interactions.VelocityAlignment(mk.interactions.place(kernel, LINE, sum=mk.interactions.Direct()), LINE)
    np.testing.assert_allclose(planned.drift(some, cloud), exact(some, cloud), atol=1e-13)


def test_alignment_of_a_density():
    """ψ*j − vψ*ρ on a phase grid, ψ = 1 + cos: by its two modes."""
    field = mk.interactions.VelocityAlignment(lambda z: 1 + jnp.cos(z[0]), CIRCLE)
    law, points = puff(), jnp.asarray([[0.3, 1.0], [2.0, -0.5]])
    moments = np.asarray(law.integrate(lambda z: jnp.outer(jnp.stack([1.0, z[1]]), jnp.exp(1j * z[0]))))
    means = np.asarray(law.integrate(lambda z: jnp.stack([1.0, z[1]])))
    x, v = np.asarray(points).T
    weight = means[:, None] + np.real(moments.squeeze()[:, None] * np.exp(-1j * x))
    np.testing.assert_allclose(field(points, law)[:, 1], weight[1] - v * weight[0], atol=1e-13)
