"""The energy ledger: it closes at O(dt) and no faster, its parts are what theory says, and so are the rates."""

import math

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from schemes import CIRCLE, LINE

import mckean as mk
from mckean import energetics, equilibrium, models, observables, statistics
from mckean.energetics import Accounts

TORUS = mk.Torus(2)
ATTRACTION = mk.kernels.Cosine(1.0)
LEFT, RIGHT = 0.01, 0.01 / 16


def wells(x):
    return 0.5 * jnp.cos(2 * x[0]) + 0.1 * jnp.sin(x[0])


def wells_2d(x):
    return wells(x) + jnp.cos(x[1])


def crowd(x, mu):
    """A field with a divergence, which depends on the measure."""
    return 0.4 * jnp.sin(x) + 0.5 * mu.integrate(lambda y: jnp.cos(y[0]))


def push(x, mu):
    return 0.3 * jnp.cos(x)


def ripple(x, mu):
    return 0.5 + 0.3 * jnp.sin(x)


def affine(x, mu):
    return 0.3 + 0.4 * x


def bump(x):
    return jnp.exp(jnp.sum(jnp.cos(x - 0.5)))


BUMP = mk.Density.from_function(CIRCLE.grid(32), bump)
BUMP_2D = mk.Density.from_function(TORUS.grid(16), bump)
CLOUD = BUMP.sample(jax.random.key(5), 30)
SHELL = models.TransportNoise.shell(TORUS, 1.5, intensity=0.2)
CROWD = models.Multiplicative(crowd, "stratonovich")
RIPPLE = models.Multiplicative(ripple, "stratonovich")
ADDED = mk.langevin(CIRCLE, wells, ATTRACTION, beta=2.0, common=models.Additive(0.7))

CASES = {
    "density, additive": (ADDED, BUMP),
    "density, transport": (mk.langevin(TORUS, wells_2d, ATTRACTION, beta=1.0, common=SHELL), BUMP_2D),
    "density, multiplicative": (
        mk.Model(CIRCLE, confinement=wells, interaction=ATTRACTION, drift=push, noise=mk.Thermal(2.0), common=CROWD),
        BUMP,
    ),
    "particles, thermal and additive": (
        mk.langevin(
            LINE, mk.potentials.DoubleWell(), mk.kernels.Quadratic(1.0), beta=2.0, common=models.Additive(0.5)
        ),
        mk.Gaussian(0.3, 0.2).sample(jax.random.key(1), 30),
    ),
    "particles, multiplicative": (
        mk.Model(CIRCLE, confinement=wells, interaction=ATTRACTION, drift=push, noise=RIPPLE, common=CROWD),
        CLOUD,
    ),
    "Gaussian, multiplicative": (
        mk.langevin(
            LINE, mk.potentials.Quadratic(1.0), mk.kernels.Quadratic(0.5), beta=2.0,
            common=models.Multiplicative(affine, "stratonovich"),
        ),
        mk.Gaussian(0.7, 0.2),
    ),
}  # fmt: skip


def kept(model, mu, dt, seed, until=0.1, **options):
    return energetics.ledger(model, mu, until=until, dt=dt, path=mk.Brownian(jax.random.key(seed)), **options)


def exponent(rms: dict) -> statistics.Estimate:
    """The exponent of dt in the root mean square of independent samples, by dt."""
    value = np.array([e.value for e in rms.values()])
    return statistics.log_slope(list(rms), statistics.Estimate(value, np.array([e.stderr for e in rms.values()]), 31))


def assert_order(found: statistics.Estimate, order: float):
    # Relative corrections rate·dt at the longer step, 10 being the largest rate of these models' low modes.
    tilt = math.log1p(10 * LEFT) / math.log(LEFT / RIGHT)
    assert found.stderr < 0.09
    assert abs(found.value - order) < 4.5 * found.stderr + tilt


@pytest.mark.parametrize("name", CASES)
def test_the_ledger_closes_at_order_dt(name):
    model, mu = CASES[name]
    runs = {dt: [kept(model, mu, dt, 1000 * i + seed) for seed in range(32)] for i, dt in enumerate((LEFT, RIGHT))}
    rms = {dt: statistics.root_mean_square([run.residual[-1] for run in of_dt]) for dt, of_dt in runs.items()}
    assert_order(exponent(rms), 1.0)
    ends = {part: np.abs([getattr(run.accounts, part)[-1] for run in runs[RIGHT]]).max() for part in Accounts._fields}
    moving = {part for part, size in ends.items() if size > 1e-14}
    expected = {"dissipated", "work"}
    expected |= {"entropy"} if "multiplicative" in name and "particles" not in name else set()
    expected |= {"driven"} if model.drift is not None else set()
    expected |= {"own"} if "particles" in name else set()
    assert moving == expected
    # What is left is small beside each account that is not zero.
    assert all(rms[RIGHT].value < 0.05 * ends[part] for part in moving)


def landscape(model, mu):
    slope, curvature = jax.grad(wells), jax.hessian(wells)
    return {
        "F": observables.free_energy(model, mu),
        "D": observables.dissipation(model, mu),
        "slope": mu.integrate(slope)[0],
        "curvature": mu.integrate(lambda x: jnp.trace(curvature(x))),
    }


def test_left_point_sums_close_at_half_the_order():
    """Itô's form, dF = (−D + (σ₀²/2)⟨ΔV⟩)dt + σ₀⟨∇V⟩·dB, is as true, and of order ½ by its sums."""
    rms, bare = {}, []
    for i, dt in enumerate((LEFT, RIGHT)):
        n = round(0.1 / dt)

        def run(key, dt=dt, n=n):
            path = mk.Brownian(key)
            run = mk.evolve(ADDED, BUMP, until=0.1, dt=dt, path=path, observe={"of": landscape}, every=1)
            dB = jax.vmap(lambda k: path.environment.increment(k, dt, (1,)))(jnp.arange(n))[:, 0]
            return {**run.observed["of"], "dB": dB}

        of = statistics.replicate(run, jax.random.key(i), 32)
        change = of["F"][:, -1] - of["F"][:, 0]
        work, heat = 0.7 * of["slope"][:, :-1] * of["dB"], 0.5 * 0.7**2 * of["curvature"][:, :-1] * dt
        left = change + dt * of["D"][:, :-1].sum(1) - work.sum(1) - heat.sum(1)
        rms[dt] = statistics.root_mean_square(left)
        bare.append(np.mean(left + heat.sum(1)))
    assert_order(exponent(rms), 0.5)
    # Without its correction the left-point sum does not close at all.
    assert bare[1] == pytest.approx(heat.sum(1).mean(), abs=5 * rms[RIGHT].value / np.sqrt(32) + 1e-3)
    assert abs(bare[1]) > 10 * rms[RIGHT].value / np.sqrt(32)
    # And the same records, by trapezoids, are the ledger's.
    key = jax.random.split(jax.random.key(1), 32)[0]
    ledger = energetics.ledger(ADDED, BUMP, until=0.1, dt=RIGHT, path=mk.Brownian(key))
    mid = {name: 0.5 * (of[name][0, 1:] + of[name][0, :-1]) for name in ("D", "slope")}
    assert float(ledger.accounts.work[-1]) == pytest.approx(0.7 * mid["slope"] @ of["dB"][0], abs=1e-13)
    assert float(ledger.accounts.dissipated[-1]) == pytest.approx(RIGHT * mid["D"].sum(), rel=1e-12)
    assert float(ledger.change[-1]) == pytest.approx(change[0], abs=1e-13)


def test_without_an_environment_it_is_the_energy_balance():
    """And no path is asked for, since a law holds its own noise in its equation. The trapezoid's order is 2."""
    model = mk.langevin(CIRCLE, wells, ATTRACTION, beta=2.0)
    ends = []
    for dt in (0.01, 0.005):
        run = energetics.ledger(model, BUMP, until=0.2, dt=dt)
        flow = mk.evolve(
            model, BUMP, until=0.2, dt=dt, every=1,
            observe={"F": observables.free_energy, "D": observables.dissipation},
        )  # fmt: skip
        balance = energetics.energy_balance(flow.times, flow.observed["F"], flow.observed["D"])
        ends.append(float(run.residual[-1]))
        assert abs(balance[-1]) < 1e-6 < abs(ends[-1])
        np.testing.assert_allclose(run.accounts.dissipated[-1], np.trapezoid(flow.observed["D"], flow.times))
        assert not any(np.any(part) for part in run.accounts[1:])
    assert np.log2(ends[0] / ends[1]) == pytest.approx(2, abs=0.05)


def test_heat_of_a_noise_that_is_not_thermal():
    """E of a density under an Itô noise of its own: the balance with −½⟨∇δE·∇·(aρ)/ρ⟩ closes at the trapezoid's 2."""
    own = models.Multiplicative(lambda x, mu: 0.5 + 0.3 * jnp.sin(x))
    model = mk.Model(CIRCLE, confinement=wells, interaction=ATTRACTION, drift=push, noise=own)
    ends = [energetics.ledger(model, BUMP, until=0.2, dt=dt) for dt in (0.01, 0.005)]
    assert np.log2(ends[0].residual[-1] / ends[1].residual[-1]) == pytest.approx(2, abs=0.05)
    assert abs(ends[1].accounts.own[-1]) > 0.01
    # N particles agree with their limit, here in mean over 20 runs of 400.
    ito = models.convert(model, "stratonovich")
    heat = [
        float(kept(ito, BUMP.sample(jax.random.key(100 + seed), 400), 0.005, seed, until=0.2).accounts.own[-1])
        for seed in range(20)
    ]
    of = statistics.average(heat)
    # The sample of nodes and cells smears by h²/24 of a second derivative, below 1e-3 here.
    assert abs(of.value - ends[1].accounts.own[-1]) < 4.5 * of.stderr + 1e-3 * 0.2


def test_mean_power_of_an_additive_noise_in_a_quadratic_well():
    """E work = (σ₀²a/2)t; of trapezoidal sums exactly (σ₀²a/2)t(1 − e^{−a dt})/(a dt), as B⁰ is made a polygon."""
    a, sigma, dt = 1.5, 0.8, 0.05
    model = mk.langevin(LINE, mk.potentials.Quadratic(a), beta=1.0, common=models.Additive(sigma))
    start = mk.Gaussian(0.4, 0.3)
    run = eqx.Partial(lambda key: energetics.ledger(model, start, until=1.0, dt=dt, path=mk.Brownian(key)))
    power = statistics.average(statistics.replicate(run, jax.random.key(2), 512).power)
    exact = 0.5 * sigma**2 * a * (1 - math.exp(-a * dt)) / (a * dt)
    assert power.stderr < 0.1 * exact
    assert abs(power.value - exact) < 4.5 * power.stderr


def test_environment_power_of_an_additive_and_of_a_transport_noise():
    """(σ₀²/2)⟨ΔV⟩, whatever W and β; and K⟨ΔV⟩, as the covariance of the shell is 2K times the identity."""
    for mu in (BUMP, CLOUD):
        exact = 0.5 * 0.7**2 * float(landscape(ADDED, BUMP)["curvature"])
        if mu is CLOUD:
            exact = 0.5 * 0.7**2 * float(mu.integrate(lambda x: jax.hessian(wells)(x)[0, 0]))
        assert float(energetics.environment_power(ADDED, mu)) == pytest.approx(exact, abs=1e-12)
    model = mk.langevin(TORUS, wells_2d, beta=1.0, common=SHELL)
    exact = 0.2 * float(BUMP_2D.integrate(lambda x: jnp.trace(jax.hessian(wells_2d)(x))))
    assert float(energetics.environment_power(model, BUMP_2D)) == pytest.approx(exact, rel=1e-10)


def test_environment_power_is_half_the_second_derivative_along_the_fields():
    """½ d²/ds² E along dx/ds = σ(x, μ), for a field that depends on the measure, by central differences."""
    model, mu = CASES["particles, multiplicative"]
    field = diffrax.ODETerm(lambda t, y, args: CROWD.matrix(y, mk.Particles(CIRCLE, y))[:, :, 0])
    step = 0.02

    def at(s):
        y = diffrax.Dopri5().step(field, 0.0, s, mu.positions, None, (True, field.vf(0, mu.positions, None)), False)[0]
        return float(observables.energy(model, mk.Particles(CIRCLE, y)))

    second = (at(step) - 2 * at(0.0) + at(-step)) / step**2
    # (s²/24) of a fourth derivative, of order 1.
    assert float(energetics.environment_power(model, mu)) == pytest.approx(0.5 * second, abs=step**2)


def gibbs(beta, nodes=64):
    return mk.Density.from_function(CIRCLE.grid(nodes), lambda x: jnp.exp(-beta * wells(x)))


def test_thermal_noise_leaves_the_gibbs_measure_in_place_and_other_noise_does_not():
    """The particles' own and the environment's count alike in mean; along a path only own noise is harmless."""
    beta, state = 2.0, gibbs(2.0)
    own = equilibrium.gibbs_drift(mk.langevin(CIRCLE, wells, beta=beta), state)
    assert float(own.averaged) < 1e-12
    assert float(own.pathwise) == 0
    thermal = models.Additive(math.sqrt(2 / beta))
    common = equilibrium.gibbs_drift(mk.langevin(CIRCLE, wells, beta=math.inf, common=thermal), state)
    assert float(common.averaged) < 1e-12
    # Σ_k∫(∇·(σ_kρ))²/ρ = σ₀²β²∫V′²ρ.
    force = float(state.integrate(lambda x: jax.grad(wells)(x)[0] ** 2))
    assert float(common.pathwise) == pytest.approx(2 * beta * force, rel=1e-10)
    other = models.Multiplicative(ripple)
    left = equilibrium.gibbs_drift(mk.Model(CIRCLE, confinement=wells, noise=other), state)
    assert float(left.averaged) > 0.05


def test_gibbs_drift_of_common_fields():
    x = np.linspace(0, 2 * np.pi, 20000, endpoint=False)[:, None]
    state, beta = gibbs(2.0), 2.0
    rho = np.asarray(jax.vmap(lambda y: jnp.exp(-beta * wells(y)))(jnp.asarray(x)))
    rho = rho / rho.mean() / (2 * np.pi)
    spectral = lambda f: np.fft.irfft(1j * np.arange(10001) * np.fft.rfft(f), 20000)  # noqa: E731
    ell1 = lambda f: np.abs(f).mean() * 2 * np.pi  # noqa: E731
    sigma = {"additive": 0.7 + 0 * x[:, 0], "multiplicative": np.asarray(0.5 + 0.3 * np.sin(x[:, 0]))}
    for part, values in ((models.Additive(0.7), sigma["additive"]), (RIPPLE, sigma["multiplicative"])):
        drift = equilibrium.gibbs_drift(mk.langevin(CIRCLE, wells, beta=beta, common=part), state)
        exact = 0.5 * ell1(spectral(values * spectral(values * rho)))
        # |·| has corners, where the rectangle rule of 64 nodes is of order 2: h² times the slopes there.
        assert float(drift.averaged) == pytest.approx(exact, rel=4 * (2 * np.pi / 64) ** 2)
        pathwise = (spectral(values * rho) ** 2 / rho).mean() * 2 * np.pi
        assert float(drift.pathwise) == pytest.approx(pathwise, rel=1e-6)
        model = mk.langevin(CIRCLE, wells, beta=beta, common=part)
        # At equilibrium δF is constant: the environment's power is ½β⁻¹ times the second variation of the entropy.
        assert float(energetics.environment_power(model, state)) == pytest.approx(0.5 * pathwise / beta, rel=1e-6)


def test_what_leaves_a_law_in_place():
    uniform = mk.Density.from_function(CIRCLE.grid(16), lambda x: 1.0 + 0 * x[0])
    flat = mk.Density.from_function(TORUS.grid(16), lambda x: 1.0 + 0 * x[0])
    constant = models.Multiplicative(lambda x, mu: 0.2 * jnp.exp(2 * wells(x)) * jnp.ones(1), "stratonovich")
    for model, state in (
        (mk.langevin(CIRCLE, common=models.Additive(0.7)), uniform),
        (mk.langevin(TORUS, interaction=ATTRACTION, common=SHELL), flat),
        (mk.langevin(CIRCLE, wells, beta=2.0, common=constant), gibbs(2.0)),
    ):
        drift = equilibrium.gibbs_drift(model, state)
        assert float(drift.averaged) < 1e-11
        assert float(drift.pathwise) < 1e-20
    moved = equilibrium.gibbs_drift(mk.langevin(TORUS, wells_2d, common=SHELL), BUMP_2D)
    assert min(float(moved.averaged), float(moved.pathwise)) > 0.1
    # cos x and sin x leave the uniform law in mean, since Σσ_kσ_k′ = 0, and destroy it along a path at Σ⟨σ_k′²⟩ = a².
    wheel = models.Multiplicative(lambda x, mu: 0.6 * jnp.stack([jnp.cos(x), jnp.sin(x)], -1), "stratonovich")
    turned = equilibrium.gibbs_drift(mk.langevin(CIRCLE, common=wheel), uniform)
    assert float(turned.averaged) < 1e-14
    assert float(turned.pathwise) == pytest.approx(0.36, rel=1e-12)


def shifted(mu: mk.Density, s: float) -> np.ndarray:
    """ρ(x − s) by the modes of a density on the circle."""
    spectrum = np.fft.rfft(mu.values)
    return np.fft.irfft(spectrum * np.exp(-1j * np.arange(len(spectrum)) * s), mu.grid.size)


def test_moving_frame_is_a_gradient_flow_of_the_random_landscape():
    """The law of the laboratory to rounding; F never rises where the landscape stands still; order 2, not 1."""
    path, ends = mk.Brownian(jax.random.key(3)), []
    for halvings in (0, 2):
        fine, dt = path.refine(2**halvings), 0.02 / 2**halvings
        frame = energetics.moving_frame(ADDED, BUMP, until=0.4, dt=dt, path=fine, every=1)
        ends.append(float(frame.residual[-1]))
        np.testing.assert_allclose(frame.change, frame.descent + frame.work, atol=1e-13)
        assert np.all(np.diff(frame.descent) < 0)
    assert np.log(ends[0] / ends[1]) / np.log(4) == pytest.approx(2, abs=0.1)
    lab = mk.evolve(ADDED, BUMP, until=0.4, dt=dt, path=fine).final
    # The unpaired mode of an even grid does not turn with the others; its size is the allowance.
    unpaired = 2 * abs(np.fft.rfft(lab.values)[-1]) / BUMP.grid.size
    assert np.abs(shifted(frame.final, float(frame.shift[-1, 0])) - lab.values).max() < 1e-12 + 4 * unpaired
    ledger = energetics.ledger(ADDED, BUMP, until=0.4, dt=dt, path=fine)
    assert float(frame.change[-1]) == pytest.approx(float(ledger.change[-1]), abs=1e-12)


def test_moving_frame_of_particles_and_of_a_box():
    """Without noise of their own particles follow the landscape; in a box V = ax²/2 gives the closed form's mean."""
    path = mk.Brownian(jax.random.key(4))
    cold = mk.langevin(LINE, mk.potentials.DoubleWell(), mk.kernels.Quadratic(1.0), math.inf, models.Additive(0.5))
    cloud = mk.Gaussian(0.3, 0.2).sample(jax.random.key(1), 20)
    apart = []
    for halvings in (0, 4):
        fine, dt = path.refine(2**halvings), 0.02 / 2**halvings
        frame = energetics.moving_frame(cold, cloud, until=0.4, dt=dt, path=fine)
        lab = mk.evolve(cold, cloud, until=0.4, dt=dt, path=fine, scheme=diffrax.Heun()).final.positions
        apart.append(float(jnp.max(jnp.abs(frame.final.positions + frame.shift[-1] - lab))))
    assert 8 < apart[0] / apart[1] < 32
    linear = mk.langevin(LINE, mk.potentials.Quadratic(1.0), beta=4.0, common=models.Additive(0.5))
    start, fine = mk.Gaussian(0.3, 0.25), path.refine(4)
    box = energetics.moving_frame(
        linear, mk.Density.from_law(LINE.grid(160, -5.0, 5.0), start), until=0.4, dt=0.005, path=fine
    )
    exact = mk.evolve(linear, start, until=0.4, dt=0.005, path=fine).final.mean
    mean = observables.mean(linear, box.final) + box.shift[-1]
    # Order 1 of the implicit step: (a dt/2)·t of a mean of order 1; h²/6·t in space.
    np.testing.assert_allclose(mean, exact, atol=0.4 * (0.005 / 2 + (10 / 160) ** 2 / 6))


def test_the_start_the_records_and_the_precision():
    """A ledger may start at any time; its records are nested; it is held in the measure's precision, and batched."""
    run = kept(ADDED, BUMP, 0.01, 1, until=0.1, start=-0.1, every=5)
    assert run.times.shape == run.residual.shape == (5,)
    np.testing.assert_allclose(run.times, [-0.1, -0.05, 0, 0.05, 0.1], atol=1e-15)
    whole = kept(ADDED, BUMP, 0.01, 1, until=0.1, start=-0.1)
    assert float(whole.accounts.work[-1]) == float(run.accounts.work[-1])
    paid = float(run.accounts.work[-1] + run.accounts.entropy[-1])
    assert float(run.power) == pytest.approx(paid / 0.2, rel=1e-12)
    single = mk.Density(BUMP.grid, BUMP.values.astype(jnp.float32))
    coarse = kept(ADDED, single, 0.01, 1, until=0.1)
    assert coarse.change.dtype == coarse.accounts.work.dtype == jnp.float32
    both = statistics.replicate(lambda key: energetics.ledger(ADDED, BUMP, until=0.02, dt=0.01, path=mk.Brownian(key)),
                              jax.random.key(0), 2)  # fmt: skip
    assert both.residual.shape == (2, 2)
    assert both.power.shape == (2,)


ITO = mk.Model(CIRCLE, noise=models.Multiplicative(ripple))
BOX = mk.Density.from_function(LINE.grid(16, -4.0, 4.0), lambda x: jnp.exp(-(x[0] ** 2)))
PLAIN = mk.langevin(LINE, mk.potentials.Quadratic(1.0), common=models.Additive(0.5))
PATH = mk.Brownian(jax.random.key(0))
SPAN = {"until": 0.1, "dt": 0.05, "path": PATH}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: energetics.ledger(ITO, CLOUD, **SPAN), 'Stratonovich integral.*convert.model, "stratonovich"'),
        (lambda: energetics.ledger(PLAIN, BOX, **SPAN), "kept on a torus or a sphere; on a box"),
        (lambda: energetics.ledger(ADDED, BUMP, until=0.1, dt=0.05), "common noise: give the run a path"),
        (lambda: energetics.ledger(ADDED, BUMP, scheme=diffrax.Heun(), **SPAN), "moves particles"),
        (lambda: energetics.ledger(ADDED, CLOUD, scheme=mk.Spectral(), **SPAN), "but the measure is Particles"),
        (lambda: energetics.ledger(ADDED, CLOUD, until=0.1, dt=0.03, path=PATH), "must divide"),
        (lambda: energetics.environment_power(PLAIN, BOX), "not for a Density on a box"),
        (lambda: energetics.environment_power(PLAIN, mk.Gaussian(0.0, 1.0)), "not for a Gaussian"),
        (lambda: energetics.environment_power(mk.Model(CIRCLE, common=ITO.noise), BUMP), "sense of Stratonovich"),
        (lambda: equilibrium.gibbs_drift(mk.Model(CIRCLE, noise=RIPPLE), BUMP), "sense of Itô"),
        (lambda: energetics.moving_frame(CASES["density, multiplicative"][0], BUMP, **SPAN), "additive common noise"),
        (lambda: energetics.moving_frame(mk.Model(CIRCLE, drift=push), BUMP, **SPAN), "another drift"),
        (lambda: energetics.moving_frame(ADDED, CLOUD, **SPAN), "none of their own"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
