"""Every way of summing equals the sum over all pairs, to the rounding that its arithmetic allows."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tables import CIRCLE, KERNELS, LINE, PLANE, SUMS, SumEntry, cloud, compiled, density, particles

import mckean as mk
from mckean.interactions import force, place, potential
from mckean.interactions.kernels import FourierSeries
from mckean.interactions.sums.convolution import narrow
from mckean.spaces import AbstractGrid

TRIG = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-14}  # what interactions.trig states


def measure(space, form, dtype, weighted):
    """A cloud of particles, or a lively density on a grid."""
    if not isinstance(form, AbstractGrid):
        return cloud(space, form, dtype, weighted)
    values = np.random.default_rng(5).uniform(0.0, 1.0, form.shape)
    return density(form, (values / values.sum() / form.cell_volume).astype(dtype))


def atoms(mu) -> tuple[np.ndarray, np.ndarray]:
    """Places and masses, in double precision."""
    if isinstance(mu, mk.Particles):
        weights = np.full(mu.n, 1 / mu.n) if mu.weights is None else mu.weights
        return np.asarray(mu.positions, float), np.asarray(weights, float)
    return np.asarray(mu.grid.nodes), np.asarray(mu.values, float).ravel() * mu.grid.cell_volume


@compiled
def by_pairs(kernel, space, own, y, w, x):
    """(Σ_j w_j W(x_i − y_j), −Σ_j w_j ∇W(x_i − y_j)) and the same sums of absolute values."""
    z = space.displacement(x[:, None], y[None])
    values = jax.vmap(jax.vmap(lambda d: kernel.value(d, own)))(z)
    gradients = jax.vmap(jax.vmap(kernel.gradient))(z)
    pull = lambda g: jnp.einsum("ijd,j->id", g, w)  # noqa: E731
    return (values @ w, -pull(gradients)), (jnp.abs(values) @ w, pull(jnp.abs(gradients)))


def tolerances(entry: SumEntry, kernel, mu, sizes, dtype):
    """How far the sums may be from the exact ones, from what they add up and from the precision of each term."""
    eps = float(np.finfo(dtype).eps)
    if isinstance(kernel, FourierSeries):
        # Every mode adds a_k (cos cos + sin sin): means of terms below 1, with the error of the trigonometry, and of
        # their phases, which are sums of d products below |k|.
        a, k = np.abs(np.asarray(kernel.coefficients)), np.abs(np.asarray(kernel.modes)).sum(1)
        q = np.abs(kernel.wavenumbers)
        each = 4 * (TRIG[np.dtype(dtype)] + 2 * math.pi * k * 4 * eps) + 2 * len(a) * eps + 64 * eps
        return (a * each).sum(), (a[:, None] * q * each[:, None]).sum(0)
    # n additions, and 64 roundings in a pair function; positions on R^d have exact differences.
    slack = (len(atoms(mu)[1]) + 64) * eps
    if isinstance(entry.entry.space, mk.Torus):
        # There a displacement is rounded at the size of L: times ∇W and ∇²W, which are below L and 1 in the table.
        shift = 8 * eps * max(entry.entry.space.lengths)
        return slack * sizes[0] + shift * max(entry.entry.space.lengths), slack * sizes[1] + shift
    if isinstance(mu, mk.Density) and entry.points is None:
        # A convolution by FFT mixes all sizes: log₂M roundings of |stencil|·|ρ|.
        return tuple(slack * 8 * np.max(size) * math.log2(4 * mu.grid.size) for size in sizes)
    return slack * sizes[0], slack * sizes[1]


@eqx.filter_jit
def fields(kernel, mu, points):
    return potential(kernel, mu, points), force(kernel, mu, points)


# Weights in single precision only: their use does not depend on the precision, and compilation is what costs.
@pytest.mark.parametrize(("dtype", "weighted"), [(np.float64, False), (np.float32, True)], ids=["double", "single"])
@pytest.mark.parametrize("entry", SUMS.values(), ids=SUMS.keys())
def test_sums_equal_the_sum_over_all_pairs(entry, dtype, weighted):
    space, kernel = entry.entry.space, entry.entry.kernel
    mu = measure(space, entry.measure, dtype, weighted)
    points = entry.points
    if points is None:
        points = mu.grid if isinstance(mu, mk.Density) else mu.positions
    elif not isinstance(points, AbstractGrid):
        points = cloud(space, points, dtype, seed=9).positions
    x = np.asarray(points.nodes if isinstance(points, AbstractGrid) else points, float)
    own = kernel.cell_mean(mu.grid.spacing) if kernel.singular and isinstance(mu, mk.Density) else 0.0
    (energies, forces), sizes = jax.tree.map(np.asarray, by_pairs(kernel, space, own, *atoms(mu), x))
    of_energy, of_force = tolerances(entry, kernel, mu, sizes, dtype)
    energy, pull = fields(entry.entry.interaction, mu, points)
    assert energy.dtype == pull.dtype == dtype
    assert np.all(np.abs(np.asarray(energy) - energies) <= of_energy)
    assert np.all(np.abs(np.asarray(pull) - forces) <= of_force)


def test_a_density_brings_no_mode_beyond_its_own_grid():
    # Of the modes 1, 2 and 3 a grid of six nodes resolves the first two; the third is its Nyquist mode.
    kernel = mk.kernels.FourierSeries([1, 2, 3], [1.0, 0.5, 2.0]).on(CIRCLE)
    grid = CIRCLE.grid(6)
    x = grid.axes[0]
    rho = density(grid, (1 + 0.3 * np.cos(x) + 0.2 * np.sin(2 * x) + 0.1 * np.cos(3 * x)) / (2 * np.pi))
    for points in (grid, CIRCLE.grid(16), CIRCLE.grid(16).nodes):
        y = np.asarray(points.nodes if isinstance(points, AbstractGrid) else points)[:, 0]
        energy, pull = fields(kernel, rho, points)
        np.testing.assert_allclose(energy, 0.15 * np.cos(y) + 0.05 * np.sin(2 * y), atol=1e-13)
        np.testing.assert_allclose(pull[:, 0], 0.15 * np.sin(y) - 0.1 * np.cos(2 * y), atol=1e-13)


def test_an_unresolved_kernel_acts_through_the_modes_of_a_density():
    # W = |sin| against 1 + cos(2x)/2: the modes 0 and 2 of the series, 2/π and −4/3π, times 1 and 1/4 twice.
    grid = CIRCLE.grid(32)
    rho = density(grid, (1 + 0.5 * np.cos(2 * grid.axes[0])) / (2 * np.pi))
    energy, _ = fields(KERNELS["onsager"].interaction, rho, grid)
    expected = 2 / math.pi - 0.25 * 4 / (3 * math.pi) * np.cos(2 * grid.axes[0])
    np.testing.assert_allclose(energy, expected, atol=1e-6)  # the tails folded over on 4096 nodes


@pytest.mark.parametrize("n", [32, 64])
def test_a_singular_density_has_the_energy_of_its_integral(n):
    # ∬ log|x − y| over the unit square is −3/2. The own cell has its mean; the other cells' midpoints leave 0.145 h.
    rho = density(LINE.grid(n, 0.0, 1.0), np.ones(n))
    on_grid, at_nodes = (fields(mk.kernels.PowerLaw(1.0, 0.0), rho, points)[0] for points in (rho.grid, rho.grid.nodes))
    assert np.mean(on_grid) == pytest.approx(-1.5, abs=0.145 / n)
    np.testing.assert_allclose(on_grid, at_nodes, rtol=1e-12)


def test_the_minimal_image_of_a_quadratic_is_not_its_moments():
    # Particles at 0.1 and L − 0.1 are 0.2 apart.
    pair = particles(CIRCLE, np.asarray([[0.1], [2 * math.pi - 0.1]]))
    interaction = place(mk.kernels.MinimalImage(mk.kernels.Quadratic(1.0)), CIRCLE)
    _, pull = fields(interaction, pair, pair.positions)
    np.testing.assert_allclose(pull, [[-0.1], [0.1]], rtol=1e-13)


def test_padding_of_tiles_has_no_interaction():
    # 513 particles make two tiles, the second padded. At a made-up place near a particle a steep kernel overflows, and
    # 0·∞ is NaN: in single precision |z|⁻¹² does so within 6e-4.
    x = jnp.asarray(1e-4 + np.arange(513)[:, None], jnp.float32)
    kernel = mk.kernels.PowerLaw(-1.0, -12.0)
    energy = lambda y: jnp.sum(potential(kernel, mk.Particles(LINE, y), y))  # noqa: E731
    value, slope = jax.jit(jax.value_and_grad(energy))(x)
    assert np.isfinite(value)
    assert np.all(np.isfinite(slope))


def test_coincident_particles_do_not_push_one_another():
    x = jnp.asarray([[0.5], [0.5], [0.5]])
    for name in ("logarithm", "periodic logarithm", "kuramoto"):
        entry = KERNELS[name]
        trio = particles(entry.space, x)
        energy, pull = fields(entry.interaction, trio, x)
        np.testing.assert_allclose(pull, 0.0, atol=1e-15)
        np.testing.assert_allclose(energy, -2.0 if name == "kuramoto" else 0.0, rtol=1e-15)


def test_forces_agree_across_the_edge_of_a_torus():
    x = jnp.asarray([[0.0], [1e-12], [2 * math.pi - 1e-12]])
    for name in ("kuramoto", "onsager"):
        energy, _ = fields(KERNELS[name].interaction, cloud(CIRCLE, 9), x)
        np.testing.assert_allclose(energy, energy[0], atol=1e-11)


def test_the_points_set_the_precision():
    rho, x = density(PLANE.grid(6, -2.0, 2.0), np.full((6, 6), 1 / 16)), cloud(PLANE, 5, np.float32).positions
    for kernel in (KERNELS["quadratic"].kernel, mk.kernels.Morse(jnp.asarray(2.0, jnp.float64))):
        assert all(field.dtype == np.float32 for field in jax.eval_shape(fields, kernel, rho, x))


def test_a_kernel_is_placed_where_it_acts():
    """What a user writes, and the same placed beforehand."""
    mu = cloud(CIRCLE, 5)
    for kernel in (mk.kernels.FourierSeries([1], [-2.0]), mk.kernels.Cosine(2.0), lambda z: -2.0 * jnp.cos(z[0])):
        found = fields(place(kernel, CIRCLE), mu, mu.positions)
        for one, other, exact in zip(
            (potential(kernel, mu, mu.positions), force(kernel, mu, mu.positions)), found,
            fields(KERNELS["kuramoto"].interaction, mu, mu.positions), strict=True,
        ):  # fmt: skip
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-14)
            np.testing.assert_allclose(one, exact, rtol=0, atol=1e-13)


REFUSALS = {
    "no closed form": (mk.kernels.Morse(), mk.Gaussian(0.0, 1.0), np.ones((2, 1)), "has no closed form for a Gaussian"),
    "quadrature": (mk.kernels.Quadratic(), mk.Uniform(LINE, 0.0, 1.0), np.ones((2, 1)), "Uniform has no quadrature"),
    "law": (KERNELS["kuramoto"].kernel, mk.VonMises(CIRCLE), np.ones((2, 1)), "not a VonMises"),
    "dimension": (mk.kernels.Morse(), cloud(PLANE, 3), np.ones((2, 1)), r"dimension 2 have shape \(n, 2\), not"),
    "grid": (mk.kernels.Morse(), cloud(PLANE, 3), LINE.grid(4, 0.0, 1.0), "does not act on a grid of"),
    "torus": (KERNELS["kuramoto"].kernel, cloud(mk.Torus(1, 1.0), 3), np.ones((2, 1)), "Fourier series on a torus of"),
    "placed elsewhere": (
        KERNELS["kuramoto"].interaction,
        cloud(mk.Torus(1, 1.0), 3),
        np.ones((2, 1)),
        r"that is placed on Torus\(.* does not act on Torus",
    ),
    "infinite": (
        mk.kernels.PowerLaw(1.0, -1.0),
        mk.Density(LINE.grid(4, 0.0, 1.0), np.ones(4)),
        LINE.grid(4, 0.0, 1.0),
        "not integrable in dimension 1",
    ),
}


@pytest.mark.parametrize(("kernel", "mu", "points", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_refusals(kernel, mu, points, message):
    points = points if isinstance(points, AbstractGrid) else jnp.asarray(points)
    for field in (potential, force):
        with pytest.raises(ValueError, match=message):
            field(kernel, mu, points)


@pytest.mark.parametrize(("dim", "n"), [(1, 64), (2, 24)])
def test_a_kernel_narrower_than_a_cell_counts_with_its_mean(dim, n):
    """N(0, 1) against A e^{−|z|²/2w²}: (2πw²)^{d/2} N(0, 1 + w²), which the centres alone miss by h/w√(2π)."""
    space = mk.Euclidean(dim)
    grid = space.grid(n, -6.0, 6.0)
    h = grid.spacing[0]
    mu = mk.Density.from_function(grid, lambda x: jnp.exp(-0.5 * jnp.sum(x**2)))
    x = np.asarray(grid.nodes)
    for width in (0.03, 0.25 * h, 0.5 * h):
        kernel, square = mk.kernels.Gaussian(1.0, width), 1 + width**2
        exact = (width**2 / square) ** (dim / 2) * np.exp(-0.5 * (x**2).sum(axis=1) / square)
        # h²/24 Δ for ρ, constant on a cell, and as much for W̄; differences over 2h add h²/6 of ρ‴, which is ≤ 3ρ(0).
        value = np.asarray(mk.interactions.potential(kernel, mu, grid))
        assert np.abs(value - exact).max() <= dim * h**2 / 12 * exact.max()
        force = np.asarray(mk.interactions.force(kernel, mu, grid))
        assert np.abs(force - exact[:, None] * x / square).max() <= (dim / 12 + 1 / 2) * h**2 * exact.max()
    with pytest.raises(ValueError, match=r"narrower than a cell .* it is 1 at the centre and 0\.\d+ on average"):
        mk.interactions.potential(kernel, mu, jnp.zeros((1, dim)))


def test_a_kernel_that_cells_resolve_is_taken_at_their_centres():
    for kernel in (mk.kernels.Quadratic(), mk.kernels.PowerLaw(1.0, 1.0), mk.kernels.Gaussian(1.0, 0.7)):
        assert not narrow(kernel, (1.0,), float)[0]
    for kernel in (mk.kernels.Gaussian(1.0, 0.5), mk.kernels.Morse(1.0, 0.0, 0.2, 1.0)):
        assert narrow(kernel, (1.0,), float)[0]
