"""Noise fields: displacement and matrix agree, waves are incompressible shears of the stated covariance, refusals."""

import math
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tables import CIRCLE, OBLONG, PLANE, cloud, compiled

import mckean as mk
from mckean.interactions.nufft import least_tolerance
from mckean.models.ito_stratonovich import correction

SQUARE, CUBE, ROOM = mk.Torus(2), mk.Torus(3), mk.Torus(3, (2 * math.pi, 2.0, 3.0))
MATRIX = np.array([[0.7, 0.3, 0.1], [0.0, 0.5, -0.2]])
K = 0.7
# Of each kind one with few waves, which are summed, and one with many, for which a transform is taken.
WAVES = {
    "shears": mk.TransportNoise.shears(OBLONG, K),
    "shears in space": mk.TransportNoise.shears(ROOM, K),
    "shell": mk.TransportNoise.shell(SQUARE, 3.0, exponent=1.5, intensity=K),
    "shell, oblong": mk.TransportNoise.shell(OBLONG, 2.5, intensity=K),
    "shell in space": mk.TransportNoise.shell(CUBE, 2.0, intensity=K),
    "shell in a room": mk.TransportNoise.shell(ROOM, 1.5, exponent=-0.5, intensity=K),
    "directed": mk.TransportNoise(OBLONG, [(0, 1), (0, 1), (0, 2)], [1.0, 2.0, 0.5], K, [(2, 0), (-1, 0), (1, 0)]),
}
ISOTROPIC = ("shears", "shears in space", "shell", "shell in space")
every_wave = pytest.mark.parametrize("name", WAVES)
EPS = {np.float32: 1.2e-7, np.float64: 2.3e-16}


def motions(noise, space, dtype=np.float64):
    rng = np.random.default_rng(3)
    return jnp.asarray(rng.normal(size=noise.width(cloud(space, 4), space.dim)), dtype)


def reach(noise, dB) -> float:
    """Σ_p |c_p|, which bounds the displacement."""
    return float(jnp.sum(jnp.abs(noise.amplitudes) * jnp.linalg.norm(dB.reshape(-1, 2), axis=1)))


@pytest.mark.parametrize(("name", "dtype"), [*((name, np.float64) for name in WAVES), ("shell", np.float32)])
def test_displacement_is_the_matrix_times_the_increments(name, dtype):
    """At particles, and on grids that hold the waves and that do not; trigonometry or a transform errs by a little."""
    noise = mk.measures.cast(WAVES[name], dtype)
    space = noise.space
    mu, dB = cloud(space, 30, dtype), motions(noise, space, dtype)
    both = compiled(lambda x, points: (noise.displacement(x, mu, dB), noise.matrix(points, mu) @ dB))
    for x in (mu.positions, space.grid((7, 8, 9)[: space.dim]), space.grid(4)):
        moved, expected = both(x, jnp.asarray(x.nodes, dtype) if isinstance(x, mk.FourierGrid) else x)
        assert moved.dtype == dtype
        # In single precision an angle of so many turns is rounded first.
        tolerance = 10 * max(noise.tolerance, least_tolerance(dtype)) + 100 * EPS[dtype]
        np.testing.assert_allclose(moved, expected, rtol=0, atol=tolerance * reach(noise, dB))


@pytest.mark.parametrize("name", ["shell", "shell in space"])
def test_waves_on_a_grid_that_holds_them_are_exact(name):
    """By an FFT, whose error is that of rounding."""
    noise = WAVES[name]
    dB, grid, mu = motions(noise, noise.space), noise.space.grid(8), cloud(noise.space, 4)
    moved, expected = compiled(lambda: (noise.displacement(grid, mu, dB), noise.matrix(grid.nodes, mu) @ dB))()
    np.testing.assert_allclose(moved, expected, rtol=0, atol=1e-13 * reach(noise, dB))


@every_wave
def test_transport_noise_is_divergence_free(name):
    """The trace of the Jacobian, through the sum of waves or the transform, whose error is multiplied by |q|."""
    noise, space = WAVES[name], WAVES[name].space
    mu, dB = cloud(space, 6), motions(noise, space)
    # Rows do not act on each other: the derivative along e_i of component i, for all points at once.
    move = lambda x: noise.displacement(x, mu, dB)  # noqa: E731
    along = [jnp.broadcast_to(e, mu.positions.shape) for e in jnp.eye(space.dim)]
    slopes = compiled(lambda x: jnp.stack([jax.jvp(move, (x,), (e,))[1] for e in along], axis=2))(mu.positions)
    divergence = jnp.trace(slopes, axis1=1, axis2=2)
    steepest = 2 * np.pi * np.abs(np.asarray(noise.modes) / np.asarray(space.lengths)).sum(1).max()
    assert jnp.max(jnp.abs(divergence)) < 10 * noise.tolerance * steepest * reach(noise, dB)
    assert jnp.max(jnp.abs(slopes)) > 0.1


@every_wave
def test_covariance(name):
    """Σ_k σ_k(x)σ_k(x)ᵀ is the same at all x: of trace 2Kd, and 2K I for a spectrum with the symmetry of the cube."""
    noise, d = WAVES[name], WAVES[name].space.dim
    mu = cloud(noise.space, 9)
    sigma = compiled(lambda: noise.matrix(mu.positions, mu))()
    product = np.einsum("nik,njk->nij", sigma, sigma)
    np.testing.assert_allclose(product, np.broadcast_to(noise.covariance, product.shape), rtol=0, atol=1e-13)
    assert float(jnp.trace(noise.covariance)) == pytest.approx(2 * K * d, rel=1e-14)
    if name in ISOTROPIC:
        np.testing.assert_allclose(noise.covariance, 2 * K * np.eye(d), rtol=0, atol=1e-14)
    else:
        assert float(jnp.abs(noise.covariance - 2 * K * np.eye(d)).max()) > 0.1


@every_wave
def test_transport_noise_means_the_same_in_both_calculi(name):
    """½Σ_k (σ_k·∇)σ_k = 0, as every wave is a shear: to the rounding of products below 2K|q|θ²."""
    noise, mu = WAVES[name], cloud(WAVES[name].space, 5)
    assert noise.ito_is_stratonovich
    for common in (False, True):
        change = compiled(lambda common=common: correction(noise, common, mu, mu.positions))()
        assert jnp.max(jnp.abs(change)) < 1e-12


@given(
    st.integers(2, 3).flatmap(
        lambda d: st.tuples(
            st.lists(st.tuples(*[st.integers(-4, 4)] * d).filter(any), min_size=3, max_size=3),
            st.tuples(*[st.sampled_from([1.0, 2.0, 2 * math.pi])] * d),
            st.tuples(*[st.floats(0.1, 5.0)] * 3),
        )
    )
)
def test_any_waves_are_shears_of_the_stated_intensity(drawn):
    """a·q = 0 and |a| = 1; Σθ² = d, so that the trace of the covariance is 2Kd; or the modes recur, and are refused."""
    modes, sides, weights = drawn
    space = mk.Torus(len(sides), sides)
    if len({max(k, tuple(-c for c in k)) for k in modes}) < 3:
        with pytest.raises(ValueError, match="each pair ±k of modes is given once"):
            mk.TransportNoise(space, modes, weights, K)
        return
    noise = mk.TransportNoise(space, modes, weights, K)
    q, a = 2 * np.pi * np.asarray(noise.modes) / np.asarray(sides), np.asarray(noise.directions)
    assert len(a) == 3 * (space.dim - 1)
    np.testing.assert_allclose(np.sum(a * q, axis=1), 0, atol=1e-14 * np.abs(q).max())
    np.testing.assert_allclose(np.linalg.norm(a, axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(np.trace(noise.covariance), 2 * K * space.dim, rtol=1e-13)
    # The directions of one mode are orthogonal to each other.
    if space.dim == 3:
        np.testing.assert_allclose(np.sum(a[::2] * a[1::2], axis=1), 0, atol=1e-14)


def test_a_shell_has_the_modes_between_its_radii():
    """Of the 12 modes of the square with 1 < |k| ≤ √5, six up to sign; θ ∝ |k|^{−exponent}."""
    noise = mk.TransportNoise.shell(SQUARE, upper=2.3, lower=1.1, exponent=2.0)
    length = np.linalg.norm(noise.modes, axis=1)
    assert sorted(np.round(length**2)) == [2, 2, 4, 4, 5, 5, 5, 5]
    np.testing.assert_allclose(noise.weights * length**2, (noise.weights * length**2)[0], rtol=1e-14)
    assert len(mk.TransportNoise.shell(CUBE, 1.0).modes) == 6  # three modes with two waves each


def test_shears_lie_along_the_axes():
    assert mk.TransportNoise.shears(OBLONG).is_shear
    assert mk.TransportNoise.shears(ROOM).is_shear
    assert WAVES["directed"].is_shear
    assert not WAVES["shell"].is_shear
    assert mk.Additive(1.0).is_shear
    assert mk.Thermal(1.0).is_shear
    assert not mk.Multiplicative(lambda x, mu: 1.0).is_shear


@pytest.mark.parametrize("name", ["shears", "shell, oblong"])
def test_derivatives_of_a_displacement(name):
    """With respect to K, the points and the increments: by the transform, and through the matrix."""
    noise, space = WAVES[name], WAVES[name].space
    mu, dB = cloud(space, 6), motions(noise, space)

    def through(move):
        return lambda intensity, x, dB: jnp.sum(
            jnp.sin(move(eqx.tree_at(lambda n: n.intensity, noise, intensity), x, dB))
        )

    def matrix(n, x, dB):
        return n.matrix(x, mu) @ dB

    def displacement(n, x, dB):
        return n.displacement(x, mu, dB)

    ours, expected = (
        jax.jit(jax.grad(through(f), argnums=(0, 1, 2)))(noise.intensity, mu.positions, dB)
        for f in (displacement, matrix)
    )
    for a, b in zip(ours, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=100 * noise.tolerance * (1 + np.abs(b).max()) * reach(noise, dB))


def test_noise_may_be_mapped_over_its_intensity():
    """The displacement grows like √K, from 0."""
    intensities, mu = jnp.array([0.0, 0.5, 2.0]), cloud(OBLONG, 6)
    one = mk.TransportNoise.shell(OBLONG, 2.0)
    dB = motions(one, OBLONG)
    make = lambda k: mk.TransportNoise.shell(OBLONG, 2.0, intensity=k)  # noqa: E731
    moved = jax.vmap(lambda k: make(k).displacement(mu.positions, mu, dB))(intensities)
    expected = jnp.sqrt(intensities)[:, None, None] * one.displacement(mu.positions, mu, dB)
    np.testing.assert_allclose(moved, expected, rtol=0, atol=1e-12 * reach(one, dB))


ADDITIVE = {
    "number": (0.4, 0.4 * np.eye(2)),
    "array of no dimension": (np.array(0.4), 0.4 * np.eye(2)),
    "integers": ([1, 2], np.diag([1.0, 2.0])),
    "diagonal": (np.array([0.4, -0.1]), np.diag([0.4, -0.1])),
    "matrix": (MATRIX, MATRIX),
}


@pytest.mark.parametrize("name", ADDITIVE)
def test_an_additive_noise_moves_particles_by_brownian_motions(name):
    """X(t) = X(0) + σ₀B_i(t) + σ₀B⁰(t), with as many motions as σ₀ has columns, for any number of steps."""
    amplitude, matrix = ADDITIVE[name]
    noise = mk.Additive(amplitude)
    width, mu = matrix.shape[1], cloud(PLANE, 5)
    assert noise.width(mu, 2) == width
    np.testing.assert_array_equal(noise.matrix(mu.positions, mu), np.broadcast_to(matrix, (5, 2, width)))
    path = mk.Brownian(jax.random.key(2))
    own = sum(np.asarray(path.idiosyncratic.increment(k, 0.1, (5, width))) for k in range(4))
    shared = sum(np.asarray(path.environment.increment(k, 0.1, (width,))) for k in range(4))
    for parts, moves in (
        ({"noise": noise}, own @ matrix.T),
        ({"common": noise}, matrix @ shared),
        ({"noise": noise, "common": noise}, own @ matrix.T + matrix @ shared),
    ):
        end = mk.evolve(mk.Model(PLANE, **parts), mu, until=0.4, dt=0.1, path=path).final
        np.testing.assert_allclose(end.positions, mu.positions + moves, rtol=0, atol=4 * 10 * EPS[np.float64])


def test_parts_of_a_common_noise_have_motions_of_their_own():
    """σ_1 … σ_m one after the other, in the order given; at points and on a grid."""
    waves, additive = WAVES["shears"], mk.Additive(MATRIX)
    multiplicative = mk.Multiplicative(lambda x, mu: jnp.stack([jnp.cos(x), jnp.sin(x)], axis=1), "stratonovich")
    parts = (additive, waves, multiplicative)
    model, mu = mk.Model(OBLONG, common=parts), cloud(OBLONG, 4)
    assert model.motions(mu) == 3 + 4 + 2
    dB = jnp.asarray(np.random.default_rng(0).normal(size=9))
    for x in (mu.positions, OBLONG.grid(6)):
        points = x.nodes if isinstance(x, mk.FourierGrid) else x
        whole = jnp.concatenate([part.matrix(points, mu) for part in parts], axis=2) @ dB
        np.testing.assert_allclose(model.common_displacement(x, mu, dB), whole, rtol=0, atol=1e-13)


INVALID = {
    "amplitude, cube": (lambda: mk.Additive(np.ones((2, 2, 2))), "has shape (), (d,) or (d, m), not (2, 2, 2)."),
    "amplitude, nan": (lambda: mk.Additive([0.1, math.nan]), "amplitude of an additive noise must be finite"),
    "circle": (lambda: mk.TransportNoise.shears(CIRCLE), "divergence-free waves need a torus of dimension 2 or 3"),
    "four": (lambda: mk.TransportNoise(mk.Torus(4), [(1, 0, 0, 0)]), "a torus of dimension 2 or 3, not 4."),
    "zero mode": (lambda: mk.TransportNoise(OBLONG, [(1, 0), (0, 0)]), "the mode 0 is no wave"),
    "recurs": (lambda: mk.TransportNoise(OBLONG, [(1, 2), (-1, -2)]), "each pair ±k of modes is given once, but"),
    "real modes": (
        lambda: mk.TransportNoise(OBLONG, np.array([(1.5, 0.0)])),
        "modes are integer wave vectors, shape (p, 2)",
    ),
    "no modes": (lambda: mk.TransportNoise(OBLONG, np.zeros((0, 2), int)), "array of shape (0, 2)"),
    "modes of space": (lambda: mk.TransportNoise(OBLONG, [(1, 0, 0)]), "shape (p, 2), but an array of shape (1, 3)"),
    "weights": (lambda: mk.TransportNoise(OBLONG, [(1, 0)], [1.0, 2.0]), "1 modes need 1 weights, not an array of"),
    "no weight": (lambda: mk.TransportNoise(OBLONG, [(1, 0)], [0.0]), "the weights of modes must be positive."),
    "weight, nan": (lambda: mk.TransportNoise(OBLONG, [(1, 0)], [math.nan]), "the weights of modes must be positive."),
    "K": (lambda: mk.TransportNoise(OBLONG, [(1, 0)], intensity=-1.0), "must not be negative, but -1.0 was given."),
    "K, nan": (lambda: mk.TransportNoise.shears(OBLONG, math.nan), "the intensity of a transport noise must be finite"),
    "K, several": (lambda: mk.TransportNoise.shears(OBLONG, jnp.ones(2)), "transport noise must be a number."),
    "tolerance": (lambda: mk.TransportNoise(OBLONG, [(1, 0)], tolerance=0.0), "lies between 0 and 1, but 0.0"),
    "compressible": (
        lambda: mk.TransportNoise(OBLONG, [(1, 0), (0, 1)], directions=[(0, 1), (1, 1)]),
        "is divergence-free, but the direction of wave 1 makes an angle with it: a·q/|q| = 0.707.",
    ),
    "no direction": (
        lambda: mk.TransportNoise(OBLONG, [(1, 0)], directions=[(0, 0)]),
        "the direction of a wave must be a finite vector, not zero.",
    ),
    "one direction": (
        lambda: mk.TransportNoise(OBLONG, [(1, 0), (0, 1)], directions=[(0, 1)]),
        "the directions of 2 waves have shape (2, 2), not (1, 2).",
    ),
    "empty shell": (
        lambda: mk.TransportNoise.shell(SQUARE, 1.3, lower=1.1),
        "no mode of the torus has 1.1 ≤ |k| ≤ 1.3.",
    ),
    "shell below 1": (lambda: mk.TransportNoise.shell(SQUARE, 0.6), "no mode of the torus has 1 ≤ |k| ≤ 0.6."),
    "other space": (
        lambda: mk.Model(mk.Torus(2), common=mk.TransportNoise.shears(OBLONG)),
        "the model lives on Torus(dim=2",
    ),
    "own, other space": (
        lambda: mk.Model(CIRCLE, noise=mk.TransportNoise.shears(OBLONG)),
        "but its noise on Torus(dim=2",
    ),
    "no noise": (lambda: mk.Model(CIRCLE, common=[0.3]), "a model's noise must be a noise, not 0.3."),
    "function": (lambda: mk.Model(CIRCLE, noise=jnp.cos), "a model's noise must be a noise, not"),
}


@pytest.mark.parametrize("name", INVALID)
def test_refusals(name):
    call, message = INVALID[name]
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        call()
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(".")


@pytest.mark.parametrize("place", ["noise", "common"])
@pytest.mark.parametrize(
    ("noise", "message"),
    [
        (mk.Additive(np.ones(3)), "an additive noise has an amplitude that is a number, shape (2,) or shape (2, m)"),
        (mk.Additive(np.ones((3, 1))), "a number, shape (2,) or shape (2, m), not (3, 1)."),
        (
            mk.Multiplicative(lambda x, mu: jnp.ones(3)),
            "sigma(x, mu) must return a number, shape (2,) or shape (2, m), not (3,).",
        ),
    ],
)
def test_shapes_that_do_not_fit_the_space(noise, message, place):
    """Known only where the space is: when used, before anything runs."""
    model, path = mk.Model(PLANE, **{place: noise}), mk.Brownian(jax.random.key(0))
    with pytest.raises(ValueError, match=re.escape(message)):
        mk.evolve(model, cloud(PLANE, 3), until=0.1, dt=0.1, path=path)
