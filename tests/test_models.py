"""Models: the drift is the gradient of the energy, and what may be done to a model leaves it so."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tables import CIRCLE, KERNELS, LINE, OBLONG, PLANE, cloud, skew

import mckean as mk
from mckean.models import energy, in_precision
from mckean.models.potentials import as_potential

every_kernel = pytest.mark.parametrize("name", KERNELS)
POTENTIALS = {LINE: mk.potentials.DoubleWell(1.0, 2.0), PLANE: mk.potentials.Quadratic(0.5, jnp.asarray([1.0, -1.0]))}
EPS = 2.0**-52


def driven_by(name: str) -> mk.Model:
    """A model with the kernel, in a potential where the space has one."""
    entry = KERNELS[name]
    confinement = skew if entry.space is OBLONG else POTENTIALS.get(entry.space)
    return mk.langevin(entry.space, confinement, entry.interaction, beta=2.0)


@eqx.filter_jit
def drift(model, x):
    return model.velocity(x, mk.Particles(model.space, x))


@eqx.filter_jit
def slope_of_hamiltonian(model, x):
    return jax.grad(lambda y: energy.hamiltonian(model, mk.Particles(model.space, y)))(x)


@every_kernel
def test_the_drift_is_minus_the_gradient_of_the_hamiltonian(name):
    model, x = driven_by(name), cloud(KERNELS[name].space, 6).positions
    force = np.asarray(drift(model, x))
    # Two ways to add up a few dozen terms, each of size below 10 times the largest component, and the error of the
    # polynomials for cos and sin, 1e-14, times wavenumbers below 30.
    np.testing.assert_allclose(slope_of_hamiltonian(model, x), -force, rtol=0, atol=3e-13 * (10 + np.abs(force).max()))


@pytest.mark.parametrize("name", ["skew function", "coulomb"])
def test_particles_are_exchangeable(name):
    model, x = driven_by(name), cloud(KERNELS[name].space, 6).positions
    order = np.asarray([3, 0, 5, 1, 4, 2])
    force = np.asarray(drift(model, x))
    np.testing.assert_allclose(drift(model, x[order]), force[order], rtol=0, atol=100 * EPS * (1 + np.abs(force).max()))


@pytest.mark.parametrize("name", ["kuramoto", "many modes", "onsager", "nearest image"])
def test_interactions_on_a_torus_are_invariant_under_translation(name):
    space = KERNELS[name].space
    model, x = mk.langevin(space, interaction=KERNELS[name].interaction), cloud(space, 6).positions
    moved = space.retract(x + jnp.asarray([1.234, -0.77])[: space.dim])
    # The shift is rounded at the size of L, and the gradient of the force is below 20.
    np.testing.assert_allclose(drift(model, moved), drift(model, x), rtol=0, atol=20 * 100 * EPS + 1e-13)


def test_the_interaction_exerts_no_total_force():
    for name in ("skew module", "many modes", "coulomb"):
        space = KERNELS[name].space
        force = np.asarray(drift(mk.langevin(space, interaction=KERNELS[name].interaction), cloud(space, 6).positions))
        np.testing.assert_allclose(force.sum(0), 0.0, atol=100 * EPS * np.abs(force).max() + 1e-13)


def test_a_drift_that_is_no_gradient_is_added():
    rotation = lambda x, mu: jnp.asarray([-x[1], x[0]]) * mu.n  # noqa: E731
    x = cloud(PLANE, 4).positions
    model = mk.Model(PLANE, drift=rotation)
    np.testing.assert_array_equal(drift(model, x), 4 * np.stack([-x[:, 1], x[:, 0]], axis=1))


def test_a_kernel_serves_as_a_potential():
    x = jnp.asarray([0.3, -0.8])
    assert as_potential(mk.kernels.Gaussian(2.0, 0.5), PLANE)(x) == pytest.approx(2 * math.exp(-2 * 0.73), rel=1e-14)
    # A confinement is not symmetrised, and on a torus the nearest image of the origin is meant.
    assert as_potential(mk.kernels.Function(lambda z: jnp.sin(z[0])), CIRCLE)(x[:1]) == pytest.approx(math.sin(0.3))
    well = as_potential(mk.kernels.MinimalImage(mk.kernels.Quadratic(1.0)), CIRCLE)
    assert well(jnp.asarray([2 * math.pi - 0.2])) == pytest.approx(0.02, rel=1e-12)


def test_potentials_have_their_stated_values():
    x = jnp.asarray([1.0, 2.0])
    assert mk.potentials.Quadratic(3.0, jnp.asarray([0.0, 1.0]))(x) == 3.0
    assert mk.potentials.DoubleWell(2.0, 1.0)(x) == 0.5 * 25 - 0.5 * 5


def test_three_temperatures_are_one_compilation():
    traces = []

    @eqx.filter_jit
    def value(model, x):
        traces.append(None)
        return model.velocity(x.positions, x).sum() + model.noise.amplitude

    x = cloud(CIRCLE, 4)
    for beta, strength in ((1.0, 2.0), (2.0, 0.5), (5, 1)):
        value(mk.langevin(CIRCLE, interaction=mk.kernels.Cosine(strength), beta=beta), x)
    assert len(traces) == 1


def test_models_may_be_mapped_over_their_parameters():
    betas, strengths = jnp.asarray([0.5, 1.0, 4.0]), jnp.asarray([1.0, -2.0, 3.0])
    density = mk.Density.from_law(CIRCLE.grid(16), mk.VonMises(CIRCLE, 1.0, 1.0))

    def model(beta, strength):
        return mk.langevin(CIRCLE, interaction=mk.kernels.Cosine(strength), beta=beta)

    batch = eqx.filter_vmap(model)(betas, strengths)
    free_energy = eqx.filter_jit(energy.free_energy)
    values = eqx.filter_jit(eqx.filter_vmap(energy.free_energy, in_axes=(eqx.if_array(0), None)))(batch, density)
    one_by_one = [free_energy(model(b, k), density) for b, k in zip(betas, strengths, strict=True)]
    np.testing.assert_allclose(values, one_by_one, rtol=1e-13)
    # A user's module in a potential, built within the map: what cannot be checked there is passed over.
    wells = eqx.filter_vmap(lambda a: mk.langevin(LINE, mk.potentials.Quadratic(a)))(strengths)
    np.testing.assert_array_equal(wells.confinement.stiffness, strengths)


def test_noise_has_its_amplitude():
    x = cloud(PLANE, 3)
    model = mk.langevin(PLANE, beta=8.0)
    np.testing.assert_array_equal(model.noise.matrix(x.positions, x), np.broadcast_to(0.5 * np.eye(2), (3, 2, 2)))
    assert model.noise.additive
    assert mk.langevin(PLANE, beta=math.inf).noise is None
    assert mk.langevin(PLANE, beta=math.inf).beta == math.inf


@pytest.mark.parametrize(
    ("sigma", "expected"),
    [
        (lambda x, mu: x[0], [[0.5, 0], [0, 0.5]]),
        (lambda x, mu: x, [[0.5, 0], [0, 2.0]]),
        (lambda x, mu: x[:, None] * jnp.ones(3), [[0.5] * 3, [2.0] * 3]),
    ],
    ids=["isotropic", "diagonal", "matrix"],
)
def test_multiplicative_noise_takes_three_shapes(sigma, expected):
    x = mk.Particles(PLANE, [[0.5, 2.0]])
    noise = mk.Multiplicative(sigma, "stratonovich")
    matrix = noise.matrix(x.positions, x)
    np.testing.assert_array_equal(matrix[0], expected)
    width = len(expected[0])
    assert noise.width(x, 2) == width
    np.testing.assert_array_equal(noise.apply(matrix, jnp.ones((1, width)))[0], np.sum(expected, axis=1))


def test_a_model_takes_the_precision_of_the_measure():
    x = cloud(PLANE, 3, np.float32)
    model = in_precision(driven_by("morse"), x)
    assert {leaf.dtype for leaf in jax.tree.leaves(model)} == {np.dtype(np.float32)}
    for mu in (x, cloud(PLANE, 3)):
        assert drift(driven_by("morse"), mu.positions).dtype == mu.positions.dtype
        assert energy.energy(mk.Model(PLANE), mu).dtype == mu.positions.dtype


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_complex_parameter_stays_complex(dtype):
    """Re(ic e^{ix}) is −c sin x, and 0 where the imaginary part is lost."""
    field = jax.tree_util.Partial(lambda c, x, mu: jnp.real(c * jnp.exp(1j * x)).astype(x.dtype), jnp.asarray(1j))
    x = cloud(CIRCLE, 3, dtype)
    model = in_precision(mk.Model(CIRCLE, drift=field), x)
    assert jax.tree.leaves(model.drift)[0].dtype == (np.complex128 if dtype is np.float64 else np.complex64)
    np.testing.assert_allclose(drift(model, x.positions), -np.sin(x.positions), rtol=4 * np.finfo(dtype).eps)


X = cloud(PLANE, 2)
REFUSALS = {
    "negative beta": (lambda: mk.langevin(LINE, beta=-1.0), "must be positive, but -1"),
    "zero beta": (lambda: mk.langevin(LINE, beta=0.0), "must be positive"),
    "nan beta": (lambda: mk.langevin(LINE, beta=math.nan), "must be positive, but nan"),
    "minus infinity": (lambda: mk.langevin(LINE, beta=-math.inf), "must be positive, but -inf"),
    "many betas": (lambda: mk.langevin(LINE, beta=jnp.ones(3)), r"must be a number, not an array of shape \(3,\)"),
    "vector V": (lambda: mk.langevin(PLANE, lambda x: x), r"a confinement must return a scalar.*shape \(2,\)"),
    "integer V": (lambda: mk.langevin(PLANE, lambda x: 0), "a real number that can be differentiated"),
    "aperiodic V": (lambda: mk.langevin(CIRCLE, mk.potentials.Quadratic()), "the confinement is not periodic"),
    "nan V": (lambda: mk.langevin(CIRCLE, lambda x: jnp.nan * x[0]), "the confinement must be finite"),
    "no JAX": (lambda: mk.langevin(LINE, lambda x: math.sin(x[0])), "must be a function that JAX can trace"),
    "centre": (lambda: mk.langevin(LINE, mk.potentials.Quadratic(1.0, jnp.ones(2))), "centre of a quadratic potential"),
    "nan W": (lambda: mk.langevin(PLANE, interaction=lambda z: jnp.nan * z[0]), "NaN wherever it was tried"),
    "vector W": (lambda: mk.langevin(PLANE, interaction=lambda z: z), r"kernel must return a scalar.*shape \(2,\)"),
    "aperiodic W": (lambda: mk.langevin(CIRCLE, interaction=mk.kernels.Morse()), "not periodic.*MinimalImage"),
    "V no function": (lambda: mk.Model(LINE, confinement=3.0), "must be a function of a point, not 3"),
    "drift no function": (lambda: mk.Model(LINE, drift=3.0), "a drift must be a function"),
    "scalar drift": (lambda: drift(mk.Model(LINE, drift=lambda x, mu: x[0]), cloud(LINE, 2).positions), r"not \(\)"),
    "internal energy": (lambda: mk.Model(LINE, internal=lambda r: r), "an internal energy is one such as PorousMedium"),
    "exponent": (lambda: mk.PorousMedium(1.0), "needs an exponent m > 1, but 1.0"),
    "medium": (lambda: mk.PorousMedium(2.0, -1.0), "strength of a porous medium is positive, not -1"),
    "noise": (lambda: mk.Model(LINE, noise=1.0), "must be a noise, not 1.0"),
    "temperature": (lambda: mk.Model(LINE, noise=mk.Multiplicative(lambda x, mu: x)).beta, "has no temperature"),
    "sigma shape": (
        lambda: mk.Multiplicative(lambda x, mu: jnp.ones(3)).matrix(X.positions, X),
        r"shape \(2, m\), not",
    ),
    "weighted H": (lambda: energy.hamiltonian(mk.Model(PLANE), cloud(PLANE, 2, weighted=True)), "equal weight"),
}


@pytest.mark.parametrize(("call", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_points_come_first_as_in_the_users_own_b():
    model = mk.Model(PLANE, drift=lambda x, mu: x - mu.positions[0])
    np.testing.assert_array_equal(model.velocity(X.positions, X), X.positions - X.positions[0])
