"""Particles and Gaussians in a common environment: orders, closed forms, conditional draws, recorded environments."""

import re

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from orders import assert_strong_order, ends
from schemes import CIRCLE, CLOUD, LINE, PLANE, crowd, ripple
from tables import OBLONG, cloud

import mckean as mk

PATH, OTHER = mk.Brownian(jax.random.key(11)), mk.Brownian(jax.random.key(12))
ENVIRONMENTS, LEVELS = 400, (16, 32, 64, 128)
KEYS = jax.random.split(jax.random.key(3), 4)
FEW = cloud(LINE, 3)
S = 0.6


def grow(x, mu):
    return S * x


def along_the_mean(x, mu):
    return S * mu.integrate(lambda y: y)


def exponential(x, b):
    """dX = S X ∘ dB⁰, particle by particle."""
    return x * jnp.exp(S * b)


def mean_exponential(x, b):
    """dX_i = S X̄ ∘ dB⁰: all move alike, X̄ as a Stratonovich exponential."""
    return x + x.mean() * (jnp.exp(S * b) - 1)


def rotation(x, mu):
    """sin x: dX = sin X ∘ dB⁰ on the circle."""
    return jnp.sin(x)


def rotated(x, b):
    """tan(X/2) grows by e^{B⁰}."""
    return 2 * jnp.arctan(jnp.tan(x / 2) * jnp.exp(b))


# Fields that depend on x, on μ, and on the circle; the exact solution of the Stratonovich equation.
EXACT = {
    "x": (LINE, grow, exponential),
    "mean": (LINE, along_the_mean, mean_exponential),
    "circle": (CIRCLE, rotation, rotated),
}


@pytest.mark.parametrize(("calculus", "order"), [("stratonovich", 1.0), ("ito", 0.5)])
@pytest.mark.parametrize("name", EXACT)
def test_strong_order_in_a_common_environment(name, calculus, order):
    """One motion commutes with itself: order 1 of EulerHeun, ½ of Euler for the same equation in Itô's form."""
    space, sigma, exact = EXACT[name]
    model = mk.Model(space, common=mk.Multiplicative(sigma, "stratonovich"))
    start = cloud(space, 3, seed=1)
    solver = diffrax.EulerHeun() if calculus == "stratonovich" else diffrax.Euler()
    runs, b = ends(mk.ParticleScheme(solver), mk.convert(model, calculus), start, LEVELS, ENVIRONMENTS)
    wanted = jax.vmap(lambda b: exact(start.positions, b))(b[:, 0])
    errors = [jnp.sqrt(jnp.mean(space.distance(run.positions, wanted) ** 2, axis=1)) for run in runs]
    assert_strong_order(errors, order)


@pytest.mark.parametrize("start", [FEW, mk.Gaussian(0.7, 0.4)], ids=["particles", "Gaussian"])
def test_strong_order_with_additive_common_noise(start):
    """Order 1 of Euler for particles, and of the mean of a Gaussian, against steps 8 times as short."""
    model = mk.Model(
        LINE, confinement=mk.potentials.Quadratic(1.0), interaction=mk.kernels.Quadratic(0.5), common=mk.Additive(0.8)
    )
    scheme = mk.Moments() if isinstance(start, mk.Gaussian) else mk.ParticleScheme()
    (*runs, fine), _ = ends(scheme, model, start, (*LEVELS, 8 * LEVELS[-1]), ENVIRONMENTS)
    place = lambda mu: mu.mean if isinstance(mu, mk.Gaussian) else mu.positions[..., 0]  # noqa: E731
    assert_strong_order([jnp.linalg.norm(place(run) - place(fine), axis=1) for run in runs], 1.0)


ADDITIVE = mk.langevin(LINE, beta=2.0, common=mk.Additive(0.5))
MOVED = mk.Model(
    CIRCLE,
    interaction=mk.kernels.Cosine(0.8),
    noise=mk.Multiplicative(ripple, "stratonovich"),
    common=(mk.Additive(0.3), mk.Multiplicative(crowd, "stratonovich")),
)
HEUN = diffrax.EulerHeun()
SPAN = {"until": 0.4, "dt": 0.02}


def test_the_environment_and_the_own_motions_are_drawn_apart():
    """X_i(t) = X_i(0) + B_i(t) + σ₀B⁰(t): freezing the one and redrawing the other moves only what belongs to it."""
    mixed = PATH.within(OTHER.environment)
    a, b, c = (np.asarray(mk.evolve(ADDITIVE, FEW, path=p, **SPAN).final.positions) for p in (PATH, OTHER, mixed))
    # The same own motions in two environments: all particles are shifted alike.
    shift = c - a
    np.testing.assert_allclose(shift, np.broadcast_to(shift[0], shift.shape), rtol=0, atol=1e-14)
    environment = [sum(float(p.environment.increment(k, 0.02, (1,))[0]) for k in range(20)) for p in (PATH, OTHER)]
    assert shift[0, 0] == pytest.approx(0.5 * (environment[1] - environment[0]), abs=1e-14)
    # One environment and two draws of the own motions: the difference is that of the draws alone.
    own = [sum(np.asarray(p.idiosyncratic.increment(k, 0.02, (3, 1))) for k in range(20)) for p in (PATH, OTHER)]
    np.testing.assert_allclose(c - b, own[0] - own[1], rtol=0, atol=1e-14)
    sibling = mk.Brownian(jax.random.key(11), environment=OTHER.environment)
    np.testing.assert_array_equal(mk.evolve(ADDITIVE, FEW, path=sibling, **SPAN).final.positions, c)


def test_the_first_particles_keep_their_noise():
    """Without interaction the first 5 of 12 particles are bitwise the 5-particle system, in one environment."""
    model = mk.Model(
        CIRCLE,
        noise=mk.Multiplicative(ripple, "stratonovich"),
        common=(mk.Additive(0.3), mk.Multiplicative(ripple, "stratonovich")),
    )
    few = mk.Particles(CIRCLE, CLOUD.positions[:5])
    many, first = (mk.evolve(model, mu, path=PATH, scheme=HEUN, **SPAN).final for mu in (CLOUD, few))
    np.testing.assert_array_equal(many.positions[:5], first.positions)


def test_environments_may_be_mapped_over():
    """A conditional law in many environments at once, the particles' own motions held; and a recorded one likewise."""
    environments = eqx.filter_vmap(lambda key: mk.Brownian(key).environment)(KEYS)

    def end(environment):
        run = mk.evolve(MOVED, CLOUD, path=PATH.within(environment), scheme=HEUN, **SPAN)
        return run.final.positions

    one_by_one = [end(mk.Brownian(key).environment) for key in KEYS]
    np.testing.assert_allclose(eqx.filter_vmap(end)(environments), one_by_one, rtol=0, atol=1e-13)
    records = jnp.stack([record(mk.Brownian(key), 2).increments for key in KEYS])
    mapped = jax.vmap(lambda dB: end(eqx.tree_at(lambda r: r.increments, RECORD, dB)))(records)
    np.testing.assert_allclose(mapped, one_by_one, rtol=0, atol=1e-13)


def record(path, motions, dt=0.02, steps=20) -> mk.Record:
    """The first steps of a path's environment, written down."""
    return mk.Record(jnp.stack([path.environment.increment(k, dt, (motions,)) for k in range(steps)]), dt)


RECORD = record(PATH, 2)


@pytest.mark.parametrize("grouping", [1, 4])
def test_a_recorded_environment_gives_the_run_it_was_taken_from(grouping):
    """At the steps of the record and at longer ones."""
    path = mk.Brownian(jax.random.key(11), environment=RECORD)
    span = SPAN | {"dt": 0.02 * grouping}
    drawn, given = (
        mk.evolve(MOVED, CLOUD, path=p.coarsen(grouping), scheme=HEUN, **span).final.positions for p in (PATH, path)
    )
    np.testing.assert_allclose(given, drawn, rtol=0, atol=1e-13)
    late = mk.evolve(MOVED, CLOUD, path=path, scheme=HEUN, start=0.2, until=0.4, dt=0.02).final.positions
    assert jnp.abs(late - drawn).max() > 0.01


DIFFUSIVE = mk.langevin(CIRCLE, common=mk.Multiplicative(ripple))
STRATONOVICH = mk.langevin(CIRCLE, common=mk.Multiplicative(ripple, "stratonovich"))
BUMP = mk.Density.from_function(CIRCLE.grid(8), lambda x: 1 + 0.5 * jnp.cos(x[0]))
NORMAL = mk.Gaussian(0.0, 1.0)
REFUSED = {
    "no path": (ADDITIVE, FEW, {"path": None}, "this model has noise: give the run a path"),
    "no path for a density": (
        STRATONOVICH,
        BUMP,
        {"path": None},
        "this model has a common noise: give the run a path, path=Brownian(jax.random.key(seed)).",
    ),
    "Milstein": (
        DIFFUSIVE,
        CLOUD,
        {"scheme": diffrax.ItoMilstein()},
        "the solver ItoMilstein with a common noise needs a Lévy area",
    ),
    "Milstein, additive": (
        ADDITIVE,
        FEW,
        {"scheme": diffrax.StratonovichMilstein()},
        "the solver StratonovichMilstein with a common noise needs a Lévy area",
    ),
    "Euler": (
        STRATONOVICH,
        CLOUD,
        {"scheme": diffrax.Euler()},
        'the model\'s common noise is meant in the sense of Stratonovich: mckean.convert(model, "ito") says the same',
    ),
    "Heun": (
        DIFFUSIVE,
        CLOUD,
        {"scheme": diffrax.Heun()},
        'the model\'s common noise is meant in the sense of Ito: mckean.convert(model, "stratonovich") says the same',
    ),
    "ODE": (
        ADDITIVE,
        FEW,
        {"scheme": diffrax.Tsit5()},
        "is for ordinary differential equations, but this model has noise.",
    ),
    "Itô density": (
        DIFFUSIVE,
        BUMP,
        {},
        "is solved in the sense of Stratonovich, but the model's common noise is meant in that of Itô: "
        'mckean.convert(model, "stratonovich") says the same.',
    ),
    "Itô Gaussian": (
        mk.Model(LINE, common=mk.Multiplicative(grow)),
        NORMAL,
        {},
        "common noise is meant in that of Itô",
    ),
    "not affine": (
        mk.Model(LINE, common=mk.Multiplicative(lambda x, mu: jnp.sin(x), "stratonovich")),
        NORMAL,
        {},
        "the moments of this model do not close: its common noise is not affine in x. Use particles or a density.",
    ),
    "record, motions": (
        STRATONOVICH,
        CLOUD,
        {"path": PATH.within(RECORD), "scheme": HEUN},
        "the model's common noise has 1 motions, but the environment has 2.",
    ),
    "record, step": (
        MOVED,
        CLOUD,
        {"path": PATH.within(RECORD), "scheme": HEUN, "dt": 0.01},
        "the environment was recorded in steps of 0.02, but the run's are dt = 0.01.",
    ),
    "record, end": (
        MOVED,
        CLOUD,
        {"path": PATH.within(RECORD), "scheme": HEUN, "start": 0.2, "until": 0.6},
        "the environment covers the steps 0 to 20, but the run those from 10 to 30.",
    ),
    "record, start": (
        MOVED,
        CLOUD,
        {"path": PATH.within(RECORD), "scheme": HEUN, "start": -0.2, "until": 0.2},
        "the environment covers the steps 0 to 20, but the run those from -10 to 10.",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_runs_that_are_refused(name):
    model, measure, options, message = REFUSED[name]
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        mk.evolve(model, measure, **({"path": PATH} | SPAN | options))
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(".")


def test_additive_noise_means_the_same_in_both_calculi():
    """Euler and EulerHeun are one scheme for it; waves on the torus too, up to their order."""
    one, other = (mk.evolve(ADDITIVE, FEW, path=PATH, scheme=s, **SPAN).final for s in (diffrax.Euler(), HEUN))
    np.testing.assert_allclose(one.positions, other.positions, rtol=0, atol=1e-14)
    waves = mk.Model(OBLONG, common=mk.TransportNoise.shears(OBLONG, 0.1))
    mu = cloud(OBLONG, 6)
    # For each step Euler and Heun differ by ½Σ_{k≠l}(∇σ_k σ_l)ΔB_kΔB_l: the area that is not drawn is not the same.
    gaps = [
        OBLONG.distance(
            *(
                mk.evolve(waves, mu, path=PATH.refine(f), scheme=s, until=0.4, dt=0.02 / f).final.positions
                for s in (diffrax.Euler(), HEUN)
            )
        )
        for f in (1, 16)
    ]
    assert 0 < gaps[1].max() < 0.5 * gaps[0].max()


def test_common_noise_takes_memory_in_proportion_to_particles():
    """Many waves are one transform, not a matrix of n·d·m numbers, for both solvers."""
    waves = mk.TransportNoise.shell(OBLONG, 6.0)
    model, n = mk.Model(OBLONG, common=waves), 5000

    def end(x):
        return mk.evolve(model, mk.Particles(OBLONG, x), until=0.1, dt=0.1, path=PATH, scheme=HEUN).final.positions

    analysis = jax.jit(end).lower(jnp.zeros((n, 2))).compile().memory_analysis()
    assert analysis.temp_size_in_bytes < 0.25 * 8 * 2 * n * waves.width(CLOUD, 2)


def test_covariance_given_an_additive_environment_is_that_without():
    """dm = −am dt + σ₀dB⁰, v′ = −2(a + c)v + 2/β: the environment moves the mean alone, and no own noise as well."""
    bowl, pull, shift = mk.potentials.Quadratic(1.0), mk.kernels.Quadratic(0.5), mk.Additive(0.8)
    quiet, noisy = (mk.langevin(LINE, bowl, pull, beta=2.0, common=common) for common in ((), shift))
    laws = [mk.evolve(m, mk.Gaussian(0.7, 0.4), until=1.0, dt=0.05, path=PATH).final for m in (quiet, noisy)]
    np.testing.assert_allclose(laws[1].covariance, laws[0].covariance, rtol=1e-13)
    assert jnp.abs(laws[1].mean - laws[0].mean).max() > 0.01
    own = mk.Model(LINE, confinement=bowl, interaction=pull, noise=mk.Additive(1.0))
    same = mk.evolve(own, mk.Gaussian(0.7, 0.4), until=1.0, dt=0.05, path=PATH).final
    np.testing.assert_allclose(same.covariance, laws[0].covariance, rtol=1e-13)


def test_affine_fields_carry_gaussians_to_gaussians():
    """dX = −X dt + 0.3X ∘ dB⁰: X(1) = X(0)e^{−1 + 0.3B⁰}, so is the mean; with W the spread decays faster. Exactly."""
    affine = mk.Multiplicative(lambda x, mu: 0.3 * x, "stratonovich")
    bowl = mk.potentials.Quadratic(1.0)
    model = mk.Model(LINE, confinement=bowl, interaction=mk.kernels.Quadratic(0.5), common=affine)
    end = mk.evolve(model, mk.Gaussian(0.7, 0.4), until=1.0, dt=1 / 16, path=PATH).final
    dB = np.array([PATH.environment.increment(k, 1 / 16, (1,))[0] for k in range(16)])
    for value, start, rate in ((end.mean[0], 0.7, -1 / 16 + 0.3 * dB), (end.covariance[0, 0], 0.4, -3 / 16 + 0.6 * dB)):
        # A step of Dopri5 multiplies by e^z up to (1/600 − 1/720)z⁶ and higher terms.
        assert float(value) == pytest.approx(start * np.exp(rate.sum()), rel=np.sum(np.abs(rate) ** 6) / 720)


def test_particles_follow_the_moments_in_one_environment():
    """An affine field that depends on μ, an additive one and own noise in the plane; not in another environment."""
    turn = jnp.array([[0.0, -0.4], [0.4, 0.0]])

    def field(x, mu):
        return (turn @ x + 0.3 * mu.integrate(lambda y: y))[:, None]

    model = mk.langevin(
        PLANE,
        mk.potentials.Quadratic(1.0),
        mk.kernels.Quadratic(0.5),
        beta=2.0,
        common=(mk.Additive(jnp.array([0.5, 0.2])), mk.Multiplicative(field, "stratonovich")),
    )
    law, n, steps = mk.Gaussian(jnp.array([0.7, -0.3]), jnp.array([[0.4, 0.1], [0.1, 0.3]])), 20_000, 128
    start = law.sample(jax.random.key(6), n)
    limits, clouds = [], []
    for k in (1, 2):
        path, span = PATH.refine(k), {"until": 1.0, "dt": 1 / (steps * k)}
        limits.append(mk.evolve(model, law, path=path, **span).final)
        clouds.append(np.asarray(mk.evolve(model, start, path=path, scheme=HEUN, **span).final.positions))
    x, limit = clouds[1], limits[1]
    # Both are of order 1 at least in the step: what halving it changes bounds what is left.
    bias = np.abs((clouds[1].mean(0) - limits[1].mean) - (clouds[0].mean(0) - limits[0].mean))
    error = np.sqrt(np.diagonal(np.asarray(limit.covariance)) / n)
    assert np.all(np.abs(x.mean(0) - limit.mean) < 2 * bias + 5 * error)
    change = np.abs((np.cov(clouds[1].T) - limits[1].covariance) - (np.cov(clouds[0].T) - limits[0].covariance))
    scale = float(np.max(np.asarray(limit.covariance)))
    assert np.all(np.abs(np.cov(x.T) - limit.covariance) < 2 * change + 5 * scale * np.sqrt(2 / n))
    elsewhere = mk.evolve(model, law, path=OTHER, until=1.0, dt=1 / steps).final
    assert np.max(np.abs(x.mean(0) - elsewhere.mean)) > 20 * error.max()


def test_runs_may_begin_before_time_zero():
    """Steps of negative index have increments of their own: a run from −1 to 1 is one to 0 and one from there."""
    model = mk.langevin(LINE, mk.potentials.DoubleWell(), beta=2.0, common=mk.Additive(0.5))
    span = {"dt": 0.05, "path": PATH}
    whole = mk.evolve(model, FEW, start=-1.0, until=1.0, **span).final.positions
    first = mk.evolve(model, FEW, start=-1.0, until=0.0, **span).final
    np.testing.assert_array_equal(mk.evolve(model, first, until=1.0, **span).final.positions, whole)
    steps = np.arange(-20, 20)
    dB = np.array([PATH.environment.increment(k, 0.05, (1,))[0] for k in steps])
    assert len(np.unique(dB)) == 40
