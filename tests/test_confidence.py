"""Bounded confidence against all pairs in NumPy: the force of its energy, and the average of Hegselmann and Krause."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tables import CIRCLE, LINE, OBLONG, PLANE, cloud, compiled, density

import mckean as mk
from mckean.interactions import HegselmannKrause, costs
from mckean.interactions.sums import cells

RADIUS, STRENGTH = 0.7, 1.5
FIELD, KERNEL = HegselmannKrause(RADIUS, STRENGTH), mk.kernels.BoundedConfidence(RADIUS, STRENGTH)
field = compiled(lambda field, mu, x: field(x, mu))


def by_pairs(space, y, w, x):
    """K Σ_j w_j (y_j − x_i) over neighbours, and the mass of these."""
    z = y[None] - x[:, None]
    if isinstance(space, mk.Torus):
        side = np.asarray(space.lengths)
        z = (z + side / 2) % side - side / 2
    near = np.sum(z**2, axis=-1) < RADIUS**2
    return STRENGTH * np.einsum("ij,j,ijd->id", near, w, z), near @ w


@pytest.fixture(params=["all pairs", "cells", "all pairs, of many"])
def way(request, monkeypatch):
    """The cells in several chunks; all pairs where the estimate says so, among many."""
    monkeypatch.setattr(cells, "_LANES", 16)
    if request.param != "all pairs":
        monkeypatch.setattr(costs, "FEW_PAIRS", 0)
        seconds = 0.0 if request.param == "cells" else 1.0
        monkeypatch.setattr(costs, "CELLS", tuple(costs.Unit(seconds, f"{d}") for d in range(3)))
    return request.param


@pytest.mark.parametrize("space", [PLANE, OBLONG], ids=["plane", "torus"])
def test_the_average_is_that_of_all_pairs_in_numpy(space, way):
    mu = cloud(space, 60, weighted=True)
    x = np.concatenate([np.asarray(mu.positions)[:9], np.full((1, 2), 1e3)])
    pull, mass = by_pairs(space, np.asarray(mu.positions), np.asarray(mu.weights), x)
    expected = np.where(mass[:, None] > 0, pull / np.where(mass > 0, mass, 1)[:, None], 0)
    # Sums of 60 terms below R, each of some roundings of a coordinate.
    for points, known in ((x[:9], expected[:9]), (x, expected)) if space is PLANE else ((x[:9], expected[:9]),):
        np.testing.assert_allclose(field(FIELD, mu, points), known, rtol=0, atol=1e-12)
    # Not the average over all: the masses of neighbours are no 1.
    assert np.abs(expected - pull).max() > 0.1
    both = compiled(lambda mu: FIELD(mu.positions, mu))(mu)
    np.testing.assert_allclose(both[:9], expected[:9], rtol=0, atol=1e-12)


def test_the_force_of_the_energy_is_that_of_all_pairs_in_numpy():
    for space in (PLANE, OBLONG):
        mu = cloud(space, 60, weighted=True)
        x, w = np.asarray(mu.positions), np.asarray(mu.weights)
        expected, mass = by_pairs(space, x, w, x)
        for sum_ in (mk.interactions.Direct(), mk.interactions.Cells()):
            placed = mk.interactions.place(KERNEL, space, sum=sum_)
            np.testing.assert_allclose(mk.interactions.force(placed, mu, mu.positions), expected, rtol=0, atol=1e-12)
            # W is not zero at infinity: those beyond count with KR²/2.
            level = mk.interactions.potential(placed, mu, mu.positions)
            near = np.asarray(level) - 0.5 * STRENGTH * RADIUS**2 * (1 - mass)
            assert np.all((near >= -1e-12) & (near <= 0.5 * STRENGTH * RADIUS**2 * mass + 1e-12))


def test_a_density_acts_by_its_nodes():
    grid = LINE.grid(40, -2.0, 2.0)
    values = np.exp(-(grid.nodes[:, 0] ** 2))
    rho = density(grid, values / (values.sum() * grid.cell_volume))
    x = np.asarray([[-1.9], [0.33], [5.0]])
    pull, mass = by_pairs(LINE, np.asarray(grid.nodes), np.asarray(rho.values) * grid.cell_volume, x)
    expected = np.where(mass[:, None] > 0, pull / np.where(mass > 0, mass, 1)[:, None], 0)
    np.testing.assert_allclose(field(FIELD, rho, x), expected, rtol=0, atol=1e-13)


def test_two_parties_agree_among_themselves_at_the_rate_of_the_normalised_average():
    """x_i ← x_i + K dt (mean of its party − x_i): by (1 − K dt)^n. With 1/N for the average a party of a half has the
    rate K/2."""
    parties = jnp.asarray([[0.0], [0.2], [5.0], [5.4]])
    mu, dt = mk.Particles(LINE, parties), 0.1
    for model, rate in (
        (mk.Model(LINE, drift=FIELD), STRENGTH),
        (mk.Model(LINE, interaction=KERNEL), STRENGTH / 2),
    ):
        end = np.asarray(mk.evolve(model, mu, until=1.0, dt=dt).final.positions)[:, 0]
        left = (1 - rate * dt) ** 10
        np.testing.assert_allclose(end, [0.1 - 0.1 * left, 0.1 + 0.1 * left, 5.2 - 0.2 * left, 5.2 + 0.2 * left])


def test_derivatives_exist_where_nobody_is_near(way):
    mu = cloud(PLANE, 20)
    slope = jax.jit(jax.grad(lambda x: jnp.sum(FIELD(x, mu) ** 2)))(jnp.asarray([[50.0, 50.0], [0.1, 0.2]]))
    assert np.all(np.isfinite(slope))
    np.testing.assert_array_equal(slope[0], 0.0)


REFUSALS = {
    "radius": (lambda: HegselmannKrause(0.0), "positive and finite"),
    "strength": (lambda: HegselmannKrause(1.0, jnp.nan), "finite"),
    "wide": (lambda: HegselmannKrause(4.0)(jnp.zeros((1, 1)), cloud(CIRCLE, 3)), "at most half its shortest side"),
    "wide kernel": (lambda: mk.langevin(CIRCLE, interaction=mk.kernels.BoundedConfidence(4.0)), "at most half"),
    "dimension": (lambda: FIELD(jnp.zeros((1, 3)), cloud(PLANE, 3)), r"shape \(n, 2\)"),
    "Gaussian": (lambda: FIELD(jnp.zeros((1, 1)), mk.Gaussian(0.0, 1.0)), "sample it"),
}


@pytest.mark.parametrize(("call", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
