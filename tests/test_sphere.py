"""The sphere: its geometry, its laws, the exact step of an isotropic common noise, and the toy Transformer."""

import math

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import mckean as mk
from mckean.catalogue import toy_transformer
from mckean.dynamics.moebius import moebius
from mckean.faults import Fault
from mckean.models.ito_stratonovich import correction

DIMS = (2, 3, 8)
every_dim = pytest.mark.parametrize("d", DIMS)


def points(d: int, n: int, seed: int = 0):
    return mk.Sphere(d).uniform(jax.random.key(seed), n)


def tangent(d: int, x, seed: int = 1):
    return mk.Sphere(d).project(x, jax.random.normal(jax.random.key(seed), x.shape))


@every_dim
def test_projection_is_orthogonal_and_idempotent(d):
    x, v = points(d, 50), jax.random.normal(jax.random.key(2), (50, d))
    once = mk.Sphere(d).project(x, v)
    assert float(jnp.abs(jnp.sum(x * once, axis=1)).max()) < 1e-14
    np.testing.assert_allclose(mk.Sphere(d).project(x, once), once, atol=1e-14)
    # At points off the sphere too, as a solver's stages are.
    np.testing.assert_allclose(mk.Sphere(d).project(1.7 * x, v), once, atol=1e-14)


@every_dim
def test_exponential_and_displacement_are_inverse(d):
    space, x = mk.Sphere(d), points(d, 50)
    v = tangent(d, x)
    v = v / jnp.linalg.norm(v, axis=1, keepdims=True) * jnp.linspace(1e-6, 3.0, 50)[:, None]
    y = space.exponential(x, v)
    np.testing.assert_allclose(jnp.linalg.norm(y, axis=1), 1, atol=1e-15)
    np.testing.assert_allclose(space.displacement(y, x), v, atol=1e-13)
    np.testing.assert_allclose(space.distance(x, y), jnp.linalg.norm(v, axis=1), rtol=1e-9, atol=1e-15)
    np.testing.assert_array_equal(space.displacement(x, x), 0)
    np.testing.assert_allclose(space.exponential(x, 0 * v), x, atol=1e-15)


@every_dim
def test_distance_is_a_metric(d):
    space = mk.Sphere(d)
    x, y, z = (points(d, 200, s) for s in range(3))
    assert np.all(space.distance(x, z) <= space.distance(x, y) + space.distance(y, z) + 1e-14)
    np.testing.assert_array_equal(space.distance(x, y), space.distance(y, x))
    np.testing.assert_array_equal(space.distance(x, x), 0)
    np.testing.assert_allclose(space.distance(x, -x), math.pi, rtol=1e-15)


@every_dim
def test_parallel_transport_is_an_isometry_of_tangent_spaces(d):
    space, x, y = mk.Sphere(d), points(d, 50), points(d, 50, 5)
    v, w = tangent(d, x), tangent(d, x, 3)
    tv, tw = space.transport(x, y, v), space.transport(x, y, w)
    # The factor 1/(1 + ⟨x, y⟩) amplifies rounding near the antipode.
    allowed = 1e-14 / (1 + np.sum(np.asarray(x * y), axis=1)).min()
    assert float(jnp.abs(jnp.sum(tv * y, axis=1)).max()) < allowed
    np.testing.assert_allclose(jnp.sum(tv * tw, axis=1), jnp.sum(v * w, axis=1), atol=allowed)
    # The velocity of a geodesic is parallel along it.
    end = space.exponential(x, 0.7 * v / jnp.linalg.norm(v, axis=1, keepdims=True))
    np.testing.assert_allclose(
        space.transport(x, end, space.displacement(end, x)), -space.displacement(x, end), atol=1e-13
    )


@pytest.mark.parametrize(("d", "volume"), [(2, 2 * math.pi), (3, 4 * math.pi), (4, 2 * math.pi**2)])
def test_volume(d, volume):
    assert mk.Sphere(d).volume == pytest.approx(volume, rel=1e-14)


def test_no_zero_vector_is_normalised_in_silence():
    assert np.isnan(np.asarray(mk.Sphere(3).retract(jnp.zeros((1, 3))))).all()
    tiny = mk.Sphere(3).retract(jnp.full((1, 3), 1e-200))
    np.testing.assert_allclose(tiny, 1 / math.sqrt(3), rtol=1e-15)


REFUSED = {
    "d = 1": (lambda: mk.Sphere(1), "needs d ≥ 2"),
    "off the sphere": (
        lambda: mk.Particles(mk.Sphere(3), [[1.0, 0, 0], [0.6, 0.6, 0.0]]),
        "point 1 has length 0.848528; 1 of the 2 are off",
    ),
    "zero": (lambda: mk.Particles(mk.Sphere(2), [[0.0, 0.0]]), "the zero vector has no direction"),
    "mean": (lambda: mk.VonMisesFisher(mk.Sphere(2), [1.0, 1.0]), "must be a vector of length 1"),
    "kappa": (lambda: mk.VonMisesFisher(mk.Sphere(2), [1.0, 0.0], -1.0), "must not be negative"),
    "centre": (lambda: mk.SphericalCauchy(mk.Sphere(2), [1.0, 0.0]), "inside the unit ball"),
    "skew noise": (lambda: mk.Model(mk.Sphere(2), common=mk.Additive([1.0, 2.0])), "additive noise is isotropic"),
    "overlaps": (lambda: mk.observables.overlaps(1), "first k ≥ 2 tokens"),
}


@pytest.mark.parametrize(("call", "sentence"), REFUSED.values(), ids=REFUSED)
def test_refusals(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


LAWS = {
    "uniform": lambda d, m: mk.Uniform(mk.Sphere(d)),
    "von Mises–Fisher": lambda d, m: mk.VonMisesFisher(mk.Sphere(d), m, 3.0),
    "nearly uniform": lambda d, m: mk.VonMisesFisher(mk.Sphere(d), m, 0.0),
    "sharp": lambda d, m: mk.VonMisesFisher(mk.Sphere(d), m, 300.0),
    "Cauchy": lambda d, m: mk.SphericalCauchy(mk.Sphere(d), 0.6 * m),
}


@pytest.mark.parametrize("double", [False, True])
def test_sharp_laws_keep_their_width_in_every_precision(double):
    """On S² the gap 1 − ⟨m, x⟩ is exponential of rate κ, cut at 2: log ρ = log(κ/2π(1 − e^{−2κ})) − κ gap."""
    n, axis = 4000, np.asarray([0.6, 0.0, 0.8])
    with jax.enable_x64(double):
        eps = float(jnp.finfo(jnp.result_type(float)).eps)
        for kappa in (1e4, 3e7, 1e12):
            law = mk.VonMisesFisher(mk.Sphere(3), axis, kappa)
            x = np.asarray(law.sample(jax.random.key(0), n).positions, float)
            gap = 0.5 * np.sum((x - np.asarray(law.mean, float)) ** 2, axis=1)
            # Five standard errors, and ε of a coordinate against its deviation κ^{−1/2}.
            assert abs(kappa * gap.mean() - 1) <= 5 / math.sqrt(n) + 4 * eps * math.sqrt(kappa)
            value, at = float(law.log_density(jnp.asarray(x[0]))), math.log(kappa / (2 * math.pi))
            # Some tens of roundings of logarithms below 60, and of x.
            assert abs(value - at + kappa * gap[0]) <= 100 * eps * (60 + kappa * gap[0])
        centre = np.asarray([0.6, 0.7999, 0.0])
        law = mk.SphericalCauchy(mk.Sphere(3), centre)
        known = 1 - np.sum(np.asarray(law.centre, float) ** 2)
        assert float(law.log_density(jnp.asarray([0.0, 0.0, 1.0]))) == pytest.approx(
            2 * math.log(known / (2 - known)) - math.log(4 * math.pi), abs=100 * eps
        )


def test_the_normaliser_in_high_dimension():
    # κ → 0: the uniform law, on a sphere whose volume is below the smallest number.
    law = mk.VonMisesFisher(mk.Sphere(500), np.eye(500)[0], 1e-9)
    volume = math.log(2) + 250 * math.log(math.pi) - math.lgamma(250)
    assert mk.Sphere(500).log_volume == pytest.approx(volume, rel=1e-14)
    assert float(law.log_density(law.mean)) == pytest.approx(-volume, rel=1e-11)
    assert float(mk.Uniform(mk.Sphere(500)).log_density(law.mean)) == pytest.approx(-volume, rel=1e-14)
    # κ ≫ d: a Gaussian on the tangent space, (κ/2π)^{(d−1)/2}, up to (d − 1)(d − 3)/8κ.
    sharp = mk.VonMisesFisher(mk.Sphere(500), np.eye(500)[0], 1e9)
    assert float(sharp.log_density(sharp.mean)) == pytest.approx(249.5 * math.log(1e9 / (2 * math.pi)), abs=2e-4)


@every_dim
@pytest.mark.parametrize("name", LAWS)
def test_laws_sample_their_densities(d, name):
    """The cosine of the angle to the axis, by Kolmogorov and Smirnov's test; the density integrates to 1."""
    axis = points(d, 1, 7)[0]
    law = LAWS[name](d, axis)
    theta = np.linspace(0, np.pi, 40_001)
    other = tangent(d, axis[None])[0]
    other = other / jnp.linalg.norm(other)
    circle = jnp.asarray(np.cos(theta))[:, None] * axis + jnp.asarray(np.sin(theta))[:, None] * other
    area = 2.0 if d == 2 else mk.Sphere(d - 1).volume
    density = np.exp(np.asarray(jax.vmap(law.log_density)(circle))) * np.sin(theta) ** (d - 2) * area
    cumulative = np.concatenate([[0], np.cumsum(0.5 * (density[1:] + density[:-1]))]) * (theta[1] - theta[0])
    # The trapezoidal rule's error, h²/12 times the derivative's change.
    assert cumulative[-1] == pytest.approx(1, abs=1e-5)
    sample = np.asarray(law.sample(jax.random.key(3), 4000).positions)
    angle = np.arccos(np.clip(sample @ np.asarray(axis), -1, 1))
    p = stats.kstest(angle, lambda a: np.interp(a, theta, cumulative)).pvalue
    assert p > 1e-5
    # About the axis there is no direction: a second coordinate is symmetric.
    side = sample @ np.asarray(other)
    assert abs(side.mean()) < 5 * side.std() / math.sqrt(len(side))
    np.testing.assert_allclose(law.sample(jax.random.key(3), 40).positions, sample[:40], atol=1e-15)


numbers = st.lists(st.floats(-4, 4), min_size=3, max_size=3)


@given(v=numbers, w=numbers)
def test_moebius_maps_keep_lengths_and_cross_ratios(v, w):
    x = points(3, 6)
    y = moebius(moebius(x, jnp.asarray(v)), jnp.asarray(w))
    assert np.all(np.isfinite(y))
    # e^{|v| + |w|} is by how much the map may shrink a distance, whose digits go with it.
    allowed = 1e-15 * math.exp(np.linalg.norm(v) + np.linalg.norm(w)) * 50
    np.testing.assert_allclose(jnp.linalg.norm(y, axis=1), 1, atol=1e-13)
    assert cross_ratio(y) == pytest.approx(cross_ratio(x), rel=allowed)


def cross_ratio(x) -> float:
    distance = lambda i, j: float(jnp.sum((x[i] - x[j]) ** 2))  # noqa: E731
    return distance(0, 1) * distance(2, 3) / (distance(0, 2) * distance(1, 3))


def test_moebius_maps_are_the_flow_of_the_projected_constant_field():
    """x′ = P_x v, by diffrax, up to time 1; and back."""
    x, v = points(4, 5), jnp.asarray([0.3, -1.2, 0.5, 0.8])
    field = diffrax.ODETerm(lambda t, y, args: mk.Sphere(4).project(y, jnp.broadcast_to(v, y.shape)))
    control = diffrax.PIDController(rtol=1e-12, atol=1e-12)
    flow = diffrax.diffeqsolve(field, diffrax.Tsit5(), 0.0, 1.0, 0.01, x, stepsize_controller=control)
    assert flow.ys is not None
    np.testing.assert_allclose(moebius(x, v), flow.ys[0], atol=1e-10)
    np.testing.assert_allclose(moebius(moebius(x, v), -v), x, atol=1e-13)
    np.testing.assert_array_equal(moebius(x, 0 * v), x)
    assert np.all(np.isfinite(moebius(x, 1e6 * v)))


def test_lengths_and_cross_ratios_over_ten_thousand_steps():
    model = toy_transformer(6, 1.0).model
    tokens = mk.Particles(model.space, points(6, 8))
    path = mk.Brownian(jax.random.key(4))
    run = mk.evolve(model, tokens, until=2.0, dt=2e-4, path=path, scheme=mk.Moebius())
    np.testing.assert_allclose(jnp.linalg.norm(run.final.positions, axis=1), 1, atol=1e-12)
    assert cross_ratio(run.final.positions) == pytest.approx(cross_ratio(tokens.positions), rel=1e-12)
    # A projected step loses them at O(√dt), which is what the exact one is for.
    euler = mk.evolve(model, tokens, until=2.0, dt=2e-3, path=path)
    np.testing.assert_allclose(jnp.linalg.norm(euler.final.positions, axis=1), 1, atol=1e-12)
    assert abs(cross_ratio(euler.final.positions) / cross_ratio(tokens.positions) - 1) > 1e-4


def test_the_conversion_of_the_toy_model():
    """Itô's toy model is the Stratonovich one less (α/2d) P_i (1/n)Σ_j P_j x̄."""
    d, alpha = 5, 2.0
    model = toy_transformer(d, alpha).model
    x = points(d, 7)
    tokens, centre = mk.Particles(model.space, x), x.mean(axis=0)
    dragged = model.space.project(x, jnp.broadcast_to(centre, x.shape)).mean(axis=0)
    expected = alpha / (2 * d) * model.space.project(x, jnp.broadcast_to(dragged, x.shape))
    np.testing.assert_allclose(correction(model.common[0], True, tokens, x), expected, atol=1e-15)


def test_strong_order_and_the_two_readings():
    """On one refined path: Euler and Möbius steps of the Itô form, and Heun's of the converted one, meet at order 1/2;
    the two schemes of the Stratonovich reading at order 1, as both follow the flow of the piecewise linear path; and
    the readings stay apart."""
    ito = toy_transformer(4, 3.0).model
    other = mk.Model(ito.space, common=mk.Isotropic(ito.common[0].amplitude, "stratonovich"))
    forms = {
        "Möbius": (ito, mk.Moebius()),
        "Euler": (ito, diffrax.Euler()),
        "Heun": (mk.convert(ito, "stratonovich"), diffrax.EulerHeun()),
        "other": (other, mk.Moebius()),
        "other, Heun": (other, diffrax.EulerHeun()),
    }
    tokens = mk.Particles(ito.space, points(4, 5))

    @jax.jit
    def ends(key):
        def at(form, level):
            model, scheme = forms[form]
            path = mk.Brownian(key).refine(2**level)
            return mk.evolve(model, tokens, until=1.0, dt=0.1 / 2**level, path=path, scheme=scheme).final.positions

        return {form: [at(form, level) for level in (0, 3)] for form in forms}

    found = jax.vmap(ends)(jax.random.split(jax.random.key(6), 64))
    distance = lambda a, b: float(jnp.sqrt(jnp.mean(jnp.sum((a - b) ** 2, axis=(1, 2)))))  # noqa: E731
    orders = {("Möbius", "Euler"): 0.5, ("Möbius", "Heun"): 0.5, ("other", "other, Heun"): 1.0}
    for pair, order in orders.items():
        coarse, fine = (distance(found[pair[0]][i], found[pair[1]][i]) for i in (0, 1))
        # From dt to dt/8. 64 samples know a root mean square to 10 %, and the next order may be half as large at dt.
        assert abs(np.log(coarse / fine) / np.log(8) - order) < 0.3, pair
    apart = distance(found["Möbius"][1], found["other"][1])
    near = distance(found["Möbius"][1], found["Heun"][1])
    assert apart > 2 * near


@pytest.mark.parametrize("solver", [diffrax.Euler(), diffrax.EulerHeun(), diffrax.Heun()])
def test_own_noise_is_brownian_motion_on_the_sphere(solver):
    """E⟨x_t, x_0⟩ = e^{−(d−1)t/β}, as first harmonics have the eigenvalue −(d − 1); weak order 1."""
    d, beta, t, dt, n = 3, 2.0, 0.5, 0.01, 20_000
    model = mk.Model(mk.Sphere(d), noise=mk.Thermal(beta))
    x = points(d, n)
    run = mk.evolve(
        model, mk.Particles(model.space, x), until=t, dt=dt, path=mk.Brownian(jax.random.key(9)), scheme=solver
    )
    inner = np.sum(np.asarray(run.final.positions * x), axis=1)
    rate = (d - 1) / beta
    # A step's generator is exact to first order: the next order is relatively (rate dt)/2 over all of the time, ±.
    allowed = 5 * inner.std() / math.sqrt(n) + rate * dt * rate * t
    assert abs(inner.mean() - math.exp(-rate * t)) < allowed
    np.testing.assert_allclose(jnp.linalg.norm(run.final.positions, axis=1), 1, atol=1e-12)


def test_an_isotropic_noise_of_their_own_is_a_thermal_one():
    """On one path a(μ) = √(2/β) moves the particles as Thermal(β) does, on the sphere and in the plane."""
    for space, x in ((mk.Sphere(3), points(3, 20)), (mk.Euclidean(3), points(3, 20))):
        noises = (mk.Thermal(2.0), mk.Isotropic(lambda mu: jnp.ones(())))
        ends = [
            mk.evolve(mk.Model(space, noise=noise), mk.Particles(space, x), until=0.5, dt=0.1,
                      path=mk.Brownian(jax.random.key(2))).final.positions
            for noise in noises
        ]  # fmt: skip
        np.testing.assert_allclose(*ends, atol=1e-14)


def test_moebius_steps_watch_the_sums_of_their_interaction():
    """A cloud that spreads beyond what its sum was planned for stops the run, as with every scheme of particles."""
    sphere, nufft = mk.Sphere(3), mk.interactions.NUFFT(1e-4)
    # Planned for up to five times its extent of 0.25, on a ladder of 2^{1/4}: less than the sphere's 2.
    near = mk.Particles(sphere, sphere.retract(jnp.array([[1.0, 0.0, 0.0], [1.0, 0.26, 0.0], [1.0, 0.0, 0.26]])))
    kernel = mk.interactions.place(mk.kernels.Gaussian(5.0, 0.5), sphere, sum=nufft)
    model = mk.Model(sphere, interaction=kernel, common=mk.Isotropic(lambda mu: jnp.ones(())))
    far = mk.Particles(near.space, jnp.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]))
    stepper = mk.Moebius().begin(model, near, 0.1)
    assert not stepper.inspect(near).bad
    assert stepper.inspect(far).fault is Fault.OUTGROWN


def test_frozen_where_the_tokens_balance():
    """x̄ = 0 is frozen for ever, exactly or to rounding, and no scheme makes a run of it; with a drift it is a state."""
    model = toy_transformer(3, 5.0).model
    balanced = jnp.asarray([[1.0, 0, 0], [-1.0, 0, 0], [0, 1.0, 0], [0, -1.0, 0]])
    angles = 2 * jnp.pi * jnp.arange(5) / 5
    pentagon = jnp.stack([jnp.cos(angles), jnp.sin(angles), 0 * angles], axis=1)
    settings = {"until": 1.0, "dt": 0.1, "path": mk.Brownian(jax.random.key(0))}
    for x in (balanced, pentagon, pentagon.astype(jnp.float32)):
        for scheme in (mk.Moebius(), diffrax.Euler()):
            with pytest.raises(ValueError, match="frozen for ever"):
                mk.evolve(model, mk.Particles(model.space, x), scheme=scheme, **settings)
    driven = mk.Model(model.space, drift=mk.interactions.Attention(), common=model.common)
    for state, moved in ((model, pentagon + 1e-9), (driven, pentagon)):
        mk.Moebius().begin(state, mk.Particles(state.space, state.space.retract(moved)), 0.1)


def test_observables_of_tokens():
    x = np.asarray(points(5, 9))
    tokens, model = mk.Particles(mk.Sphere(5), x), toy_transformer(5).model
    gram = x @ x.T
    off = gram[~np.eye(9, dtype=bool)]
    assert float(mk.observables.mean_overlap(model, tokens)) == pytest.approx(off.mean(), abs=1e-14)
    assert float(mk.observables.alignment(model, tokens)) == pytest.approx(gram.mean(), abs=1e-14)
    np.testing.assert_allclose(mk.observables.overlaps(3)(model, tokens), gram[:3, :3], atol=1e-14)
    values = np.linalg.eigvalsh(x.T @ x / 9)
    rank = values.sum() ** 2 / (values**2).sum()
    assert float(mk.observables.effective_rank(model, tokens)) == pytest.approx(rank, rel=1e-12)


def test_attention_moves_tokens_along_the_sphere():
    """The drift is tangent, |x| = 1 throughout, and without noise tokens cluster."""
    space = mk.Sphere(3)
    model = mk.Model(space, drift=mk.interactions.Attention(beta=2.0))
    tokens = mk.Particles(space, points(3, 20))
    drift = model.velocity(tokens.positions, tokens)
    assert float(jnp.abs(jnp.sum(drift * tokens.positions, axis=1)).max()) < 1e-14
    run = mk.evolve(model, tokens, until=20.0, dt=0.05, scheme=diffrax.Heun())
    np.testing.assert_allclose(jnp.linalg.norm(run.final.positions, axis=1), 1, atol=1e-12)
    before, after = (float(mk.observables.mean_overlap(model, t)) for t in (tokens, run.final))
    assert after > before + 0.2
