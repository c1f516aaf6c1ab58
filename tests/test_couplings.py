"""Couplings: against exact second moments, exact meeting times, and the marginal laws that they must not change."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

import mckean as mk
from mckean import catalogue, couplings, statistics
from mckean.catalogue.mean_reversion import coupling_error_path
from mckean.couplings import (
    across_steps,
    coupling_distance,
    lipschitz,
    nested,
    reflection_coupling,
    synchronous_coupling,
    visited,
)
from mckean.couplings._synchronous import CoupledMeasures
from mckean.dynamics import Carrier, FluxLimited, evolve

A, C, BETA, START = 1.0, 0.5, 2.0, 0.3
LINE = mk.Euclidean(1)


def _coupling(key, model, law, n):
    cloud, noise = jax.random.split(key)
    run = synchronous_coupling(
        model, law, law.sample(cloud, n), until=1.0, dt=0.05, path=mk.Brownian(noise),
        observe={"t": couplings.coupling_terms, "box": visited}, every=5,
    )  # fmt: skip
    return {**run.observed["t"], **run.observed["box"]}


def _within(measured, exact, deviations: float = 5.0):
    np.testing.assert_array_less(np.abs(measured.value - exact), deviations * measured.stderr)


def _linear(strength, common=0.0):
    return mk.langevin(
        LINE, mk.potentials.Quadratic(A), mk.kernels.Quadratic(strength), BETA, common=mk.Additive(common)
    )


@pytest.mark.parametrize("common", [0.0, 0.7])
def test_coupling_error_of_the_linear_model_is_exact(common):
    """E D² against Euler's own second moments at every record, the same with an additive common noise or without."""
    n = 10
    one = eqx.Partial(_coupling, model=_linear(C, common), law=mk.Gaussian(0.0, START), n=n)
    record = statistics.replicate(one, jax.random.key(5), 400)
    measured = statistics.average(record["error"][:, 1:])
    _within(measured, coupling_error_path(n, 20, 0.05, START, A, C, BETA)[5::5])
    assert not record["error"][:, 0].any()
    # X − Y is the same for all i: the field's two terms are those of a common shift, c² D², and (X̄ − Ȳ)² c².
    np.testing.assert_allclose(record["space"], C**2 * record["error"], rtol=1e-9, atol=1e-30)
    np.testing.assert_allclose(record["measure"], C**2 * record["error"], rtol=1e-9, atol=1e-30)


def test_terms_are_the_sums_over_pairs():
    """Mean squares of the three terms, with b(x, y) = −K sin(x − y) written out, and the mean of b by quadrature."""
    circle, strength, n = mk.Torus(1), 1.3, 7
    law = mk.Density.from_law(circle.grid(24), mk.VonMises(circle, 0.4, 1.0))
    x, y = np.random.default_rng(0).uniform(0, 2 * np.pi, (2, n))
    state = Carrier(CoupledMeasures(mk.Particles(circle, x[:, None]), mk.Particles(circle, y[:, None]), law))
    found = couplings.coupling_terms(catalogue.kuramoto(strength).model, state)
    b = lambda first, second: -strength * np.sin(first[:, None] - second)  # noqa: E731
    nodes, masses = np.asarray(law.grid.nodes)[:, 0], np.asarray(law.values) * law.grid.cell_volume
    terms = {
        "space": np.mean(b(x, x) - b(y, x), axis=1),
        "measure": np.mean(b(y, x) - b(y, y), axis=1),
        "sampling": np.mean(b(y, y), axis=1) - b(y, nodes) @ masses,
        "error": np.angle(np.exp(1j * (x - y))),
    }
    for name, term in terms.items():
        assert found[name] == pytest.approx(np.mean(term**2), rel=1e-10), name


def test_without_interaction_the_coupling_is_perfect():
    one = eqx.Partial(_coupling, model=_linear(0.0, 0.7), law=mk.Gaussian(0.0, START), n=10)
    record = statistics.replicate(one, jax.random.key(0), 400)
    assert all(not np.any(record[name]) for name in ("error", "confinement", "space", "measure", "sampling"))
    assert np.all(record["lower"] < record["upper"])


def test_conditional_copies_follow_their_environment():
    """The law of the copies by an SPDE and a scheme of choice: their empirical moments are the density's.

    Of n copies ⟨sin⟩ has the standard error ≤ 1/√n in each environment; the schemes' own differences are 10 times less.
    """
    circle, n = mk.Torus(1), 2000
    model = mk.langevin(circle, interaction=mk.kernels.Cosine(1.0), common=mk.Additive(1.0))
    start = mk.VonMises(circle, 0.0, 2.0)
    law = mk.Density.from_law(circle.grid(64), start)
    cloud, path = start.sample(jax.random.key(1), n), mk.Brownian(jax.random.key(2))
    run = synchronous_coupling(model, law, cloud, until=0.5, dt=0.02, path=path, scheme=FluxLimited())
    sine = lambda mu: float(mu.integrate(lambda x: jnp.sin(x[0])))  # noqa: E731
    end = run.final.measures
    assert abs(sine(end.law)) > 0.2, "the environment has moved the law"
    assert abs(sine(end.copies) - sine(end.law)) < 5 / np.sqrt(n)


def test_lipschitz_constants():
    well = catalogue.desai_zwanzig(theta=2.0).model
    assert lipschitz(well, -2.0, 2.0) == pytest.approx((1.0, 2.0), abs=1e-12)
    # Away from the barrier the well is convex: −V″ ≤ 1 − 3x² on [1, 2].
    assert lipschitz(well, 1.0, 2.0)[0] == pytest.approx(-2.0, abs=1e-12)
    circle = catalogue.kuramoto(strength=3.0).model
    assert lipschitz(circle) == pytest.approx((0.0, 3.0), abs=1e-12)
    # A force that pushes apart is as steep as one that pulls: ℓ_W is no curvature but its size.
    assert lipschitz(_linear(-0.4), -1.0, 1.0) == pytest.approx((-A, 0.4), abs=1e-12)


def test_gronwall_solves_its_equation():
    """e′ = Le + ε with constant ε is ε(e^{Lt} − 1)/L; the trapezoidal rule errs by (L dt)²/12, relatively."""
    times = np.linspace(0, 2, 201)
    bound = couplings.gronwall(times, np.full(201, 0.3), (-0.5, 1.0))
    np.testing.assert_allclose(bound, 0.3 * np.expm1(1.5 * times) / 1.5, rtol=(1.5 * 0.01) ** 2 / 12 * 1.1)


def _met(model, first, second, until, dt, seed=0, every=None):
    clouds = (mk.Particles(model.space, x) for x in (first, second))
    return reflection_coupling(
        model, *clouds, until=until, dt=dt, path=mk.Brownian(jax.random.key(seed)),
        observe={"gap": coupling_distance}, every=every,
    )  # fmt: skip


def test_reflected_brownian_motions_meet_as_in_continuous_time():
    """P(τ > t) = erf(r/(2√2σ√t)) in the plane, at steps of any length, here up to half the distance; binomial error."""
    n, r, beta = 20_000, 1.0, 2.0
    start = jnp.zeros((n, 2))
    run = _met(mk.langevin(mk.Euclidean(2), beta=beta), start, start + jnp.array([0.6, 0.8]), 1.0, 0.25, every=1)
    times, apart = run.times[1:], run.observed["gap"]["apart"]
    assert apart[0] == 1
    exact = special.erf(r / (2 * np.sqrt(2) * np.sqrt(2 / beta) * np.sqrt(times)))
    np.testing.assert_array_less(np.abs(apart[1:] - exact), 4.5 * np.sqrt(exact * (1 - exact) / n))


def test_reflection_on_the_circle_meets_on_either_side():
    """From antipodes: P(τ > t) = Σ_{k odd} (4/πk) sin(kπ/2) exp(−2(kπσ/L)²t).

    Within a step the bridge may touch 0, not L: 2σ√dt = 0.4 against L/2 makes what that misses nil.
    """
    circle, n, until = mk.Torus(1), 20_000, 1.0
    start = jnp.zeros((n, 1))
    run = _met(mk.langevin(circle, beta=1.0), start, start + np.pi, until, 0.02)
    k = np.arange(1, 40, 2)
    exact = np.sum(4 / (np.pi * k) * np.sin(k * np.pi / 2) * np.exp(-2 * (k / 2) ** 2 * 2.0 * until))
    assert abs(run.observed["gap"]["apart"][-1] - exact) < 4.5 * np.sqrt(exact * (1 - exact) / n)


def test_reflection_leaves_both_laws_as_they_are():
    """X is the run on the path; Y has the law of one: the exact moments of the Ornstein–Uhlenbeck recursion."""
    n, beta, dt, steps, y0 = 20_000, 1.0, 0.1, 10, 1.5
    model = mk.langevin(LINE, mk.potentials.Quadratic(1.0), beta=beta)
    first, second = jnp.zeros((n, 1)), jnp.full((n, 1), y0)
    run = _met(model, first, second, steps * dt, dt, seed=3)
    alone = evolve(model, mk.Particles(LINE, first), until=steps * dt, dt=dt, path=mk.Brownian(jax.random.key(3)))
    x, y = (np.asarray(p.positions)[:, 0] for p in run.final.measures)
    np.testing.assert_allclose(x, alone.final.positions[:, 0], atol=1e-13)
    shrink = (1 - dt) ** 2
    variance = 2 * dt / beta * (1 - shrink**steps) / (1 - shrink)
    assert abs(y.mean() - y0 * (1 - dt) ** steps) < 4.5 * np.sqrt(variance / n)
    assert abs(y.var() - variance) < 4.5 * variance * np.sqrt(2 / n)
    # The fourth moment would show a wrong mixture of the meeting and the mirrored: its standard error is √(96/n) s⁴.
    assert abs(np.mean((y - y.mean()) ** 4) - 3 * variance**2) < 4.5 * variance**2 * np.sqrt(96 / n)
    assert 0 < run.observed["gap"]["apart"][-1] < 0.5


def test_met_particles_part_by_the_mean_field_alone():
    """Particles and copies start as one: without interaction they stay so, exactly; with one they part, and meet."""
    law = mk.Gaussian(0.0, START)
    for model, parts in ((_linear(0.0), False), (_linear(C), True)):
        cloud = law.sample(jax.random.key(0), 200)
        run = reflection_coupling(
            model, cloud, cloud, law=law, until=1.0, dt=0.05, path=mk.Brownian(jax.random.key(1)),
            observe={"gap": coupling_distance}, every=1,
        )  # fmt: skip
        apart = run.observed["gap"]["apart"]
        assert bool(apart.max() > 0) == parts
        assert apart.max() < 0.5


def _nested(key, model, n):
    cloud, noise = jax.random.split(key)
    particles = mk.Gaussian(0.0, START).sample(cloud, n)
    run = nested(model, particles, n // 4, until=1.0, dt=0.05, path=mk.Brownian(noise), every=5)
    return run.observed["distance"] ** 2


def test_nested_systems_of_the_linear_model_are_exact():
    """E(X_i^N − X_i^n)² is that of N = 1 times (1/n − 1/N), by Euler's own moments at every record."""
    n = 16
    one = eqx.Partial(_nested, model=catalogue.ornstein_uhlenbeck(A, C, BETA).model, n=n)
    measured = statistics.average(statistics.replicate(one, jax.random.key(7), 400)[:, 1:])
    _within(measured, coupling_error_path(1, 20, 0.05, START, A, C, BETA)[5::5] * (4 / n - 1 / n))


def test_strong_order_across_steps():
    """Additive noise: order 1. For x′ = −x + noise, (e_dt − e_{dt/2}) halves up to a relative O(dt) ≤ dt = 0.1."""
    model = mk.langevin(LINE, mk.potentials.Quadratic(1.0), beta=1.0)
    start = mk.Gaussian(0.0, 1.0).sample(jax.random.key(0), 4000)
    gaps = across_steps(model, start, until=1.0, dt=0.1, path=mk.Brownian(jax.random.key(1)), halvings=2)
    # Gaussian gaps: their root mean squares have relative errors √(1/2n) each.
    assert gaps[0] / gaps[1] == pytest.approx(2.0, rel=0.1 + 5 * np.sqrt(1 / 4000))


def _pair(space, n=3, m=3):
    return mk.Gaussian(0.0, 1.0), mk.Particles(space, jnp.zeros((n, 1))), mk.Particles(space, jnp.zeros((m, 1)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lipschitz(catalogue.desai_zwanzig().model), "need a region"),
        (lambda: lipschitz(mk.Model(LINE, drift=lambda x, mu: -x), -1, 1), "further drift"),
        (lambda: synchronous_coupling(_linear(C), *_pair(LINE, 3, 4), until=1.0, dt=0.1), "one copy"),
        (lambda: synchronous_coupling(_linear(C), *_pair(mk.Torus(1)), until=1.0, dt=0.1), "cannot follow"),
        (lambda: nested(mk.langevin(LINE), _pair(LINE)[1], 3, until=1.0, dt=0.1), "1 to 2"),
        (lambda: _met(mk.Model(LINE, noise=mk.Additive(1.0)), jnp.zeros((3, 1)), jnp.ones((3, 1)), 1, 0.1), "thermal"),
        (
            lambda: across_steps(
                mk.langevin(LINE), _pair(LINE)[1], until=1, dt=0.1, path=mk.Brownian(jax.random.key(0)), halvings=0
            ),
            "halving",
        ),
    ],
)  # fmt: skip
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_steps_are_compared_on_many_paths():
    model = mk.langevin(LINE, mk.potentials.Quadratic(1.0), beta=1.0)
    start = mk.Gaussian(0.0, 1.0).sample(jax.random.key(0), 50)
    gaps = lambda key: across_steps(model, start, until=0.2, dt=0.1, path=mk.Brownian(key), halvings=1)  # noqa: E731
    many = statistics.replicate(gaps, jax.random.key(1), 2)
    for found, key in zip(many, jax.random.split(jax.random.key(1), 2), strict=True):
        np.testing.assert_allclose(found, gaps(key), rtol=1e-12)
