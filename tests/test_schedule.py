"""Models that depend on time: full order, exact laws, a ledger that closes, and no cost where there is no time."""

import math

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from schemes import CIRCLE, LINE, PLANE, SPHERE, leaning, swirl
from scipy.integrate import solve_ivp

import mckean as mk
from mckean import couplings, energetics, environments
from mckean.dynamics.particles import solve
from mckean.models import with_planned_sums

PATH = mk.Brownian(jax.random.key(0))


def stiffness(t):
    return 1 + 0.5 * np.sin(3 * t) if isinstance(t, float) else 1 + 0.5 * jnp.sin(3 * t)


def centre(t):
    return math.cos(2 * t) if isinstance(t, float) else jnp.cos(2 * t)


def temperature(t):
    """1/β."""
    return 0.5 + 0.4 * math.sin(2 * t + 0.3) if isinstance(t, float) else 0.5 + 0.4 * jnp.sin(2 * t + 0.3)


def bowl(t):
    return mk.potentials.Quadratic(stiffness(t), centre(t))


LINEAR = mk.Schedule(lambda t: mk.langevin(LINE, bowl(t), mk.kernels.Quadratic(0.5 * stiffness(t)), 1 / temperature(t)))
DESCENT = mk.Schedule(lambda t: mk.Model(LINE, confinement=bowl(t), interaction=mk.kernels.Quadratic(0.3)))


def turning(t):
    """Everything on the circle that may depend on time, in an own noise that does not depend on the point."""
    wave = lambda x: stiffness(t) * jnp.cos(x[0])  # noqa: E731
    breeze = lambda x, mu: centre(t) * (1 + 0.3 * jnp.sin(x))  # noqa: E731
    kernel = mk.kernels.Cosine(1 + temperature(t))
    return mk.Model(CIRCLE, confinement=wave, interaction=kernel, drift=breeze, noise=mk.Thermal(1 / temperature(t)))


def rippling(t):
    """An own noise that depends on the point and on time."""
    ripple = lambda x, mu: 0.6 + 0.2 * jnp.cos(x - 3 * t)  # noqa: E731
    return mk.Model(CIRCLE, interaction=mk.kernels.Cosine(1 + temperature(t)), noise=mk.Multiplicative(ripple))


def warming(t):
    return mk.langevin(CIRCLE, beta=1 / temperature(t))


def sliding(t):
    return mk.Model(LINE, confinement=bowl(t), noise=mk.Thermal(1 / temperature(t)))


def leading(t):
    """On the sphere, towards a point that moves; the common noise has no amplitude, so that the order is that of b."""
    pull = lambda x, mu: jnp.stack([centre(t), stiffness(t), 0.5 + 0 * t])  # noqa: E731
    return mk.Model(SPHERE, drift=pull, common=mk.Isotropic(lambda mu: 0.0 * leaning(mu)))


def layered(t):
    return mk.Model(SPHERE, drift=lambda x, mu: jnp.stack([centre(t), stiffness(t), 0.5 + 0 * t]))


RING = mk.Density.from_function(CIRCLE.grid(24), lambda x: jnp.exp(jnp.cos(x[0] - 0.5)))
BOX = mk.Density.from_function(LINE.grid(32, -5.0, 5.0), lambda x: jnp.exp(-((x[0] - 0.3) ** 2)))
DOTS = mk.Particles(LINE, jnp.asarray([[-1.0], [0.2], [0.9]]))
TOKENS = mk.Particles(SPHERE, SPHERE.uniform(jax.random.key(3), 4))
EXPLICIT, IMPLICIT = (mk.FiniteVolume(time, edge_tolerance=math.inf) for time in ("explicit", "implicit"))

# The schedule, the measure, the scheme, its order, and the longest of the steps.
ORDERS = {
    "Euler": (DESCENT, DOTS, mk.ParticleScheme(), 1, 1 / 32),
    "Heun": (DESCENT, DOTS, mk.ParticleScheme(diffrax.Heun()), 2, 1 / 16),
    "Dopri5": (DESCENT, DOTS, mk.ParticleScheme(diffrax.Dopri5()), 5, 1 / 8),
    "GeodesicEuler": (mk.Schedule(layered), TOKENS, mk.GeodesicEuler(), 1, 1 / 32),
    "Layers": (mk.Schedule(layered), TOKENS, mk.Layers(), 1, 1 / 32),
    "Moebius": (mk.Schedule(leading), TOKENS, mk.Moebius(), 2, 1 / 16),
    "Moments": (LINEAR, mk.Gaussian(0.7, 0.4), mk.Moments(), 5, 1 / 8),
    "Spectral": (mk.Schedule(turning), RING, mk.Spectral(), 4, 1 / 16),
    "Spectral, a noise that depends on the point": (mk.Schedule(rippling), RING, mk.Spectral(), 4, 1 / 16),
    "FluxLimited, heat alone": (mk.Schedule(warming), RING, mk.FluxLimited(), 2, 1 / 8),
    "FiniteVolume, explicit": (mk.Schedule(sliding), BOX, EXPLICIT, 2, 1 / 32),
    "FiniteVolume, implicit": (mk.Schedule(sliding), BOX, IMPLICIT, 1, 1 / 32),
    "JKO": (LINEAR, mk.Gaussian(0.7, 0.4), mk.JKO(), 1, 1 / 32),
}


@pytest.mark.parametrize("name", ORDERS)
def test_each_scheme_keeps_its_order(name):
    """The distances of runs with dt, dt/2 and dt/4 fall by 2^p. A model frozen over each step would give p = 1."""
    schedule, measure, scheme, order, dt = ORDERS[name]
    assert scheme.order == order
    far, near = couplings.across_steps(schedule, measure, until=1.0, dt=dt, path=PATH, scheme=scheme)
    # The next term of the error changes the exponent by O(dt); a neighbouring order is 1 away.
    assert abs(math.log2(far / near) - order) < 0.4


def exact(rate, start, until):
    return solve_ivp(rate, (0, until), start, method="DOP853", rtol=1e-12, atol=1e-13).y[:, -1]


def test_moments_are_those_of_the_equation_of_mean_and_variance():
    """m′ = −a(t)(m − c(t)), v′ = −2(a + a/2)v + 2/β(t), by SciPy; the model frozen at its start has another law."""
    until = 2.0

    def rate(t, y):
        a = stiffness(float(t))
        return [-a * (y[0] - centre(float(t))), -3 * a * y[1] + 2 * temperature(float(t))]

    m, v = exact(rate, [0.7, 0.4], until)
    run = mk.evolve(LINEAR, mk.Gaussian(0.7, 0.4), until=until, dt=0.02, observe={"v": lambda model, mu: model.beta})
    np.testing.assert_allclose([run.final.mean[0], run.final.covariance[0, 0]], [m, v], atol=1e-9)
    np.testing.assert_allclose(run.observed["v"], [1 / temperature(0.0), 1 / temperature(until)], rtol=1e-12)
    # Particles: 5 standard errors of mean and variance, and the bias of Heun's steps, of weak order 2.
    n = 20_000
    cloud = mk.Gaussian(0.7, 0.4).sample(jax.random.key(1), n)
    x = mk.evolve(LINEAR, cloud, until=until, dt=0.02, path=PATH, scheme=diffrax.Heun()).final.positions
    near = 5 * np.array([math.sqrt(v / n), v * math.sqrt(2 / n)]) + 1e-3
    assert np.all(np.abs([float(jnp.mean(x)) - m, float(jnp.var(x)) - v]) < near)
    still = mk.evolve(LINEAR.at(0.0), mk.Gaussian(0.7, 0.4), until=until, dt=0.02).final
    assert np.all(np.abs([float(still.mean[0]) - m, float(still.covariance[0, 0]) - v]) > 2 * near)


def test_density_is_that_of_the_hierarchy_of_modes():
    """For V = a cos x and W = −K cos x the modes of ρ obey an equation of their own,

        z_k′ = −(k²/β)z_k − (ka/2)(z_{k−1} − z_{k+1}) + (kK/2)(z_1z_{k−1} − z̄_1z_{k+1}),   z_k = ∫e^{ikx}ρ dx,

    solved by SciPy with 24 modes.
    """

    def schedule(t):
        wave = lambda x: stiffness(t) * jnp.cos(x[0])  # noqa: E731
        return mk.langevin(CIRCLE, wave, mk.kernels.Cosine(1 + temperature(t)), 1 / temperature(t))

    k = np.arange(1, 25)

    def rate(t, y):
        z = np.concatenate([[1.0], y[:24] + 1j * y[24:], [0.0]])
        a, heat = stiffness(float(t)), temperature(float(t))
        pull = (1 + heat) * (z[1] * z[:-2] - np.conj(z[1]) * z[2:]) - a * (z[:-2] - z[2:])
        new = -heat * k**2 * z[1:-1] + 0.5 * k * pull
        return np.concatenate([new.real, new.imag])

    rho = mk.Density.from_function(CIRCLE.grid(64), lambda x: jnp.exp(jnp.cos(x[0] - 0.5)))
    modes = lambda mu: np.fft.ifft(np.asarray(mu.values))[1:25] * 2 * np.pi  # noqa: E731
    z = modes(rho)
    y = exact(rate, np.concatenate([z.real, z.imag]), 1.0)
    final = mk.evolve(mk.Schedule(schedule), rho, until=1.0, dt=1 / 128).final
    np.testing.assert_allclose(modes(final), y[:24] + 1j * y[24:], atol=2e-8)


def test_a_run_goes_on_and_looks_at_the_model_of_its_time():
    """From 0 to 1 and on to 2, bit for bit the run from 0 to 2; a start at −1 is another time."""
    cloud = mk.Gaussian(0.0, 1.0).sample(jax.random.key(1), 6)
    times = {"dt": 1 / 16, "path": PATH, "observe": {"c": lambda model, mu: model.confinement.centre}, "every": 4}
    whole = mk.evolve(LINEAR, cloud, until=2.0, **times)
    part = mk.evolve(LINEAR, cloud, until=1.0, **times)
    rest = mk.evolve(LINEAR, part.final, start=1.0, until=2.0, **times)
    np.testing.assert_array_equal(rest.final.positions, whole.final.positions)
    np.testing.assert_allclose(whole.observed["c"], np.cos(2 * whole.times), rtol=1e-12)
    np.testing.assert_allclose(rest.observed["c"], whole.observed["c"][4:], rtol=1e-12)
    early = mk.evolve(LINEAR, cloud, start=-1.0, until=0.0, **times)
    np.testing.assert_allclose(early.observed["c"], np.cos(2 * early.times), rtol=1e-12, atol=1e-15)


def test_a_pullback_ends_on_the_periodic_solution_at_its_time():
    """dx = −(x − cos ωt)dt: from far back x(t) = (cos ωt + ω sin ωt)/(1 + ω²), whatever the start, at the time t."""
    force = mk.Schedule(lambda t: mk.Model(LINE, confinement=mk.potentials.Quadratic(1.0, jnp.cos(2 * t))))
    (end,) = environments.pullback(
        force, DOTS, depths=[24.0], until=0.75, dt=1 / 32, path=PATH, scheme=mk.ParticleScheme(diffrax.Dopri5())
    )
    np.testing.assert_allclose(end.positions, (math.cos(1.5) + 2 * math.sin(1.5)) / 5, atol=1e-8)


LEDGERS = {
    "density": (mk.Schedule(turning), RING, None),
    "Gaussian": (LINEAR, mk.Gaussian(0.7, 0.4), None),
    "particles": (DESCENT, DOTS, None),
}


@pytest.mark.parametrize("name", LEDGERS)
def test_the_ledger_closes_with_the_work_of_the_schedule(name):
    """At order 2 in dt, as trapezoidal sums of smooth functions do; without ∂_tF it does not close at all."""
    schedule, measure, scheme = LEDGERS[name]
    coarse, fine = (energetics.ledger(schedule, measure, until=1.0, dt=dt, scheme=scheme) for dt in (1 / 32, 1 / 64))
    assert abs(math.log2(coarse.residual[-1] / fine.residual[-1]) - 2) < 0.3
    assert abs(fine.accounts.schedule[-1]) > 100 * abs(fine.residual[-1])


def test_a_quench_costs_what_the_energies_differ_by():
    """The stiffness jumps from 1 to 3 between two steps: the work is ∫x²dμ at that time, (3 − 1)/2 of it, exactly."""
    quench = mk.Schedule(lambda t: mk.langevin(LINE, mk.potentials.Quadratic(jnp.where(t < 0.51, 1.0, 3.0)), beta=2.0))
    mu = mk.Gaussian(0.0, 0.5)  # the equilibrium before the jump
    book = energetics.ledger(quench, mu, until=1.0, dt=1 / 64)
    # The step of the jump moves with the new stiffness from its second stage on, so that μ there is known up to O(dt).
    assert abs(float(book.accounts.schedule[-1]) - 0.5) < 2 / 64
    assert abs(float(book.residual[-1])) < 2 / 64


def resonance(beta, omega, points=160):
    """|χ|: the response of ⟨x⟩ to a weak force cos ωt in V = x⁴/4 − x²/2, by the modes of the Fokker–Planck operator.

        χ = β Σ_k g_k λ_k/(λ_k + iω),   g_k = (∫xψ_kψ_0)²,

    λ_k the rates of relaxation, ψ_k the modes of the symmetric form of the operator, on differences of order 2.
    """
    x, h = np.linspace(-3.2, 3.2, points, retstep=True)
    v = x**4 / 4 - x**2 / 2
    up = np.exp(-0.5 * beta * (v[1:] - v[:-1])) / (beta * h * h)
    down = np.exp(0.5 * beta * (v[1:] - v[:-1])) / (beta * h * h)
    rates = np.diag(np.r_[up, 0] + np.r_[0, down]) - np.diag(np.sqrt(up * down), 1) - np.diag(np.sqrt(up * down), -1)
    lam, psi = np.linalg.eigh(rates)
    g = (psi.T @ (x * psi[:, 0])) ** 2
    return abs(beta * np.sum(g[1:] * lam[1:] / (lam[1:] + 1j * omega)))


def test_stochastic_resonance():
    """A weak periodic force on a double well moves ⟨x⟩ most at a temperature between cold and hot.

    The amplitude of the density's answer over a period is the linear response of the modes; a response that followed
    the force without delay, |χ| at ω = 0, would fall from cold to hot.
    """
    omega, force, grid = 0.1, 0.02, LINE.grid(64, -3.2, 3.2)
    betas, period = (12.0, 5.0, 1.2), 2 * math.pi / omega
    well = lambda x: x[0] ** 4 / 4 - x[0] ** 2 / 2  # noqa: E731

    def answer(beta):
        tilted = lambda t: mk.langevin(LINE, lambda x: well(x) - force * jnp.cos(omega * t) * x[0], beta=beta)  # noqa: E731
        run = mk.evolve(
            mk.Schedule(tilted), mk.Density.from_function(grid, lambda x: jnp.exp(-beta * well(x))), every=16,
            until=3 * period, dt=period / 2048, scheme=mk.FiniteVolume(), observe={"m": mk.observables.mean},
        )  # fmt: skip
        return run.times[-128:], run.observed["m"][-128:, 0]

    times, means = jax.vmap(answer)(jnp.asarray(betas))
    measured = 2 / force * np.abs(np.mean(means * np.exp(-1j * omega * times), axis=1))
    # Differences of order 2 in h = 0.1, steps of order 1 in ω dt = 0.003, and a force that is not infinitely weak.
    np.testing.assert_allclose(measured, [resonance(beta, omega) for beta in betas], rtol=0.03)
    assert measured[1] > 1.2 * max(measured[0], measured[2])
    still = [resonance(beta, 0.0) for beta in betas]
    assert still == sorted(still, reverse=True)


def kuramoto():
    return mk.langevin(CIRCLE, interaction=mk.kernels.Cosine(2.0), beta=1.0)


def program(step, *arguments):
    return jax.jit(step).lower(*arguments).as_text()


def test_a_model_without_time_has_the_program_that_it_had():
    """A Kuramoto step is Euler's, with no trace of a time; without noise the index of the step is no input at all."""
    cloud = mk.Particles(CIRCLE, jnp.linspace(0.0, 6.0, 10)[:, None])
    begun = mk.ParticleScheme().begin(kuramoto(), cloud, 0.01)
    model = begun.equation

    def step(x, k):
        mu = mk.Particles(CIRCLE, x)
        noise = mk.dynamics.increments(model, mu, PATH, k, begun.dt)
        return solve(diffrax.Euler(), lambda t: model, mu, noise, begun.dt)

    def taken(x, k):
        return begun.step(mk.Particles(CIRCLE, x), PATH, k)[0].positions

    texts = [program(f, cloud.positions, 3).replace(f.__name__, "f") for f in (taken, step)]
    assert texts[0] == texts[1]
    cold = mk.Model(CIRCLE, interaction=mk.kernels.Cosine(2.0))
    grown = mk.Schedule(lambda t: mk.Model(CIRCLE, interaction=mk.kernels.Cosine(t)))
    inputs = []
    for equation in (cold, grown):
        one = mk.ParticleScheme().begin(equation, cloud, 0.01)
        text = program(
            lambda x, k, one=one: one.step(mk.Particles(CIRCLE, x), None, k)[0].positions, cloud.positions, 3
        )
        inputs.append(text.split("@main(")[1].split(") ->")[0].count("%arg"))
    assert inputs == [1, 2]


def test_sums_are_planned_where_the_interaction_stays():
    """3000 particles in the plane: one plan for a W that stays; one that grows from 0 is summed without a plan."""
    many = mk.Gaussian(np.zeros(2), np.eye(2)).sample(jax.random.key(0), 3000)
    stays = mk.Schedule(lambda t: mk.Model(PLANE, drift=lambda x, mu: t * swirl(x, mu), interaction=gaussian(1.0)))
    grows = mk.Schedule(lambda t: mk.Model(PLANE, interaction=gaussian(t)))
    planned = with_planned_sums(stays, many).at(0.5).interaction.sum
    assert planned == with_planned_sums(stays.at(0.5), many).interaction.sum != mk.interactions.Direct()
    assert with_planned_sums(grows, many).at(0.5).interaction.sum is None


def gaussian(strength):
    return mk.kernels.Gaussian(strength, 1.0)


def test_a_parameter_of_a_schedule_has_derivatives():
    """Two Euler steps of dx = −θt x dt from 1: (1 − θ·0·h)(1 − θh²), whose derivative is −h²."""

    def end(theta):
        schedule = mk.Schedule(lambda t: mk.Model(LINE, confinement=mk.potentials.Quadratic(theta * t)))
        return mk.evolve(schedule, mk.Particles(LINE, jnp.ones((1, 1))), until=0.5, dt=0.25).final.positions[0, 0]

    values, slopes = jax.jit(jax.vmap(jax.value_and_grad(end)))(jnp.asarray([1.0, 2.0]))
    np.testing.assert_allclose(values, [1 - 1 / 16, 1 - 2 / 16], rtol=1e-14)
    np.testing.assert_allclose(slopes, -1 / 16, rtol=1e-14)


SPHERE = mk.Sphere(3)
CAPS = SPHERE.grid(4, axis=(0.0, 0.0, 1.0))


def late(drift, noise=None):
    """A drift sin(t)b, which is not there at the start."""
    space = SPHERE if noise is not None else mk.TangentBundle(LINE)
    return mk.Schedule(lambda t: mk.Model(space, drift=lambda x, mu: jnp.sin(t) * jnp.asarray(drift), noise=noise))


def test_a_scheme_does_not_lose_what_a_schedule_brings_later():
    """BAOAB moves positions by velocities alone, and a zonal grid has no field across its meridians: refused, not 0."""
    still = mk.Particles(mk.TangentBundle(LINE), jnp.zeros((2, 2)))
    with pytest.raises(mk.RunError, match="moves positions"):
        mk.evolve(late([1.0, 0.0]), still, until=0.2, dt=0.1)
    pushed = mk.evolve(late([0.0, 1.0]), still, until=1.0, dt=0.01).final.positions
    np.testing.assert_allclose(pushed[0], [1 - np.sin(1.0), 1 - np.cos(1.0)], atol=1e-4)
    caps = mk.Density.from_function(CAPS, lambda x: jnp.exp(x[2]))
    with pytest.raises(mk.RunError, match="across the meridians"):
        mk.evolve(late([1.0, 0.0, 0.0], mk.Thermal(1.0)), caps, until=0.2, dt=0.1)
    mk.evolve(late([0.0, 0.0, 1.0], mk.Thermal(1.0)), caps, until=0.2, dt=0.1)


def waves(amplitude):
    return mk.Multiplicative(lambda x, mu: amplitude * jnp.sin(x)[:, None], "stratonovich")


GROWING = {
    "sphere": (SPHERE.grid(8), lambda t: mk.Isotropic(lambda mu: 0.4 * t, "stratonovich")),
    "torus": (CIRCLE.grid(32), lambda t: waves(0.5 * t)),
}


@pytest.mark.parametrize("name", GROWING)
def test_a_run_in_a_noise_that_grows_goes_on_as_it_began(name):
    """Steps are cut for the noise of their time. That of the start is none, that of the run which goes on is not."""
    grid, noise = GROWING[name]
    schedule = mk.Schedule(lambda t: mk.langevin(grid.space, beta=2.0, common=noise(t)))
    rho = mk.Density.from_function(grid, lambda x: 1 + 0.1 * jnp.sin(x[0]))
    begin = {"dt": 0.25, "path": PATH}
    whole = mk.evolve(schedule, rho, until=2.0, **begin).final
    half = mk.evolve(schedule, rho, until=1.0, **begin).final
    on = mk.evolve(schedule, half, start=1.0, until=2.0, **begin).final
    np.testing.assert_array_equal(on.values, whole.values)
