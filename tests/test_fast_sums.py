"""Every sum that has a tolerance, or needs a plan, equals the sum over all pairs to that tolerance.

What a fast sum gets wrong of the force of one source at displacement z is e(z); the field of masses w_j that add up to
1 is wrong by |Σ_j w_j e(x_i − y_j)|, whose square is below the mean of |e|² over the pairs. A plan leaves half a
tolerance of truncation, as a root mean square over displacements and relative to S, the size of ∇W; the transforms
there and back are each of the tolerance. That is 2½ tolerances times S in root mean square, over all displacements up
to the extent of the plan. A cloud has its own: places where e, a sum of many modes of random phase, is up to 4 times
its root mean square. So 10 tolerances times S are asserted of every cloud, S being the larger of the root mean squares
of ∇W over the cloud's pairs and over the plan's displacements. The potential adds to S times the extent, the path over
which a wrong force is integrated, the size of W itself, which the transforms carry.

Expansions leave a tenth of a tolerance between boxes that do not touch, relative to the force that is there or to its
size over the extent, whichever is larger, and pairs of boxes that touch nothing: so 10 tolerances times S here too.

Sums that are exact have rounding: of n additions and of 64 operations in a pair function, each of the size of the
largest term.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import CIRCLE, OBLONG, PLANE, PLANNED_SUMS, PlannedEntry, compiled, density, small_chunks

import mckean as mk
from mckean.interactions import Direct, Interaction, Modes, force, potential
from mckean.interactions.kernels import FourierSeries

N, M = 24, 17
CLOUDS = ("uniform", "clusters", "corners", "one place", "coincident", "far from it")


@pytest.fixture(autouse=True)
def few_rows(monkeypatch):
    small_chunks(monkeypatch)


def fields_of(entry: PlannedEntry):
    """(potential, force) by the plan of an entry; compiled once for each shape and precision."""
    kernel, plan = entry.entry.kernel, entry.plan

    @compiled
    def fields(kernel, y, w, x):
        mu, summed = mk.Particles(entry.entry.space, y, w), Interaction(kernel, entry.entry.space, sum=plan)
        return potential(summed, mu, x), force(summed, mu, x)

    return lambda y, w, x: fields(kernel, y, w, x)


@compiled
def of_all_pairs(kernel, space, x, y):
    """W and ∇W of every pair."""
    z = space.displacement(x[:, None], y[None])
    return jax.vmap(jax.vmap(kernel.value))(z), jax.vmap(jax.vmap(kernel.gradient))(z)


def scene(entry: PlannedEntry, kind: str, scale: float, seed: int, n=N):
    """Sources, masses and targets, the first few of which are sources; numbers that single precision holds exactly."""
    rng = np.random.default_rng(seed)
    space, half = entry.entry.space, 2 * scale
    dim = space.dim
    y, x = rng.uniform(-half, half, (n, dim)), rng.uniform(-half, half, (M, dim))
    if kind == "clusters":
        y = half * (0.9 * rng.choice([-1, 1], (n, 1)) * np.ones(dim) + 0.01 * rng.normal(size=(n, dim)))
    elif kind == "corners":
        y[: n // 2], x[M // 2 :] = half * rng.choice([-1, 1], (n // 2, dim)), half
    elif kind == "one place":
        y[:] = y[0]
    elif kind == "coincident":
        y[n // 2 :] = y[: n - n // 2]
    elif kind == "far from it":
        y, x[: M // 2] = 0.05 * y, half
    if isinstance(space, mk.Torus):
        lengths = np.asarray(space.lengths)
        y, x = y % lengths, x % lengths
        if kind == "corners":
            y[:3], x[-2:] = np.asarray([[0.0], [np.nextafter(np.float32(1), np.float32(0))], [0.5]]) * lengths, 0.0
    x[: min(5, n)] = y[:5]
    # Masses that add up to 1 without rounding.
    w = rng.multinomial(2**20, rng.dirichlet(np.full(n, 4.0))) / 2**20
    return y.astype(np.float32).astype(float), w, x.astype(np.float32).astype(float)


def sizes(entry: PlannedEntry, extent: float, gradients, values) -> tuple[float, float, float]:
    """S and the size of W, over the pairs and over those of uniform points in a box of the plan's extent; the largest
    ∇W of them all."""
    space, rng = entry.entry.space, np.random.default_rng(1)
    side = np.asarray(space.lengths) if isinstance(space, mk.Torus) else extent
    x, y = (side * rng.uniform(0, 1, (n, space.dim)) for n in (M, N))
    more_values, more_gradients = of_all_pairs(entry.entry.kernel, space, x, y)
    steep = max(math.sqrt(np.mean(np.sum(np.square(g), axis=-1))) for g in (gradients, more_gradients))
    high = max(math.sqrt(np.mean(np.square(v))) for v in (values, more_values))
    return steep, high, float(max(np.abs(gradients).max(), np.abs(more_gradients).max()))


def levels_extent(plan, extent: float) -> float:
    """The extent up to which the plan's modes were tried, for a cloud of this one."""
    box = getattr(plan, "box", None)
    return extent if not hasattr(box, "levels") else next(r for r, _ in box.levels if extent <= r)


def check(entry: PlannedEntry, fields, y, w, x, dtype=np.float64):
    space = entry.entry.space
    extent = float(np.ptp(np.concatenate([x, y]), axis=0).max())
    values, gradients = map(np.asarray, of_all_pairs(entry.entry.kernel, space, x, y))
    if entry.entry.kernel.singular:
        values = np.where(np.linalg.norm(gradients, axis=-1) > 0, values, 0.0)
    energy, pull = fields(*(a.astype(dtype) for a in (y, w, x)))
    assert energy.dtype == pull.dtype == dtype
    reach = levels_extent(entry.plan, extent)
    steep, high, largest = sizes(entry, reach, gradients, values)
    assert steep > 0
    wrong = np.linalg.norm(np.asarray(pull) + np.einsum("ijd,j->id", gradients, w), axis=1)
    off = np.asarray(energy) - values @ w
    eps = float(np.finfo(dtype).eps)
    if entry.tolerance == 0:
        # Lebesgue's constant of five nodes is below 2 for each coordinate, the masses of the moments' nodes below 2^d.
        slack = (len(w) + 64) * eps * 2**space.dim
        if isinstance(entry.entry.kernel, FourierSeries):
            slack += 1e-6 if dtype == np.float32 else 1e-14  # what interactions.trig states
        assert wrong.max() <= slack * largest * math.sqrt(space.dim)
        # Cells take off what W is at their radius, and put it back.
        edge = jnp.zeros(space.dim).at[0].set(getattr(entry.plan, "radius", None) or 0.0)
        level = abs(float(entry.entry.kernel.value(edge)))
        assert np.abs(off).max() <= slack * max(np.abs(values).max(), high, largest * reach, level)
        return
    assert np.sqrt(np.mean(wrong**2)) <= 10 * entry.tolerance * steep
    assert np.sqrt(np.mean(off**2)) <= 10 * entry.tolerance * (high + steep * reach)


@pytest.mark.parametrize("entry", PLANNED_SUMS.values(), ids=PLANNED_SUMS.keys())
def test_fast_sums_equal_the_sum_over_all_pairs(entry):
    fields = fields_of(entry)

    @settings(max_examples=30)
    @given(st.sampled_from(CLOUDS), st.sampled_from([0.01, 0.2, 0.9, 1.0, 2.0, 4.0, 50.0]), st.integers(0, 2**16))
    def clouds(kind, scale, seed):
        check(entry, fields, *scene(entry, kind, min(scale, entry.growth), seed))

    clouds()


# Of every sum one on R^d, and one on the torus.
SINGLE = (
    "nufft, gaussian, plane",
    "nufft, periodic gaussian",
    "modes, many modes",
    "moments, quadratic",
    "moments, function",
    "cells, plane",
    "cells, torus",
    "fmm, morse",
)


@pytest.mark.parametrize("name", SINGLE)
def test_fast_sums_in_single_precision(name):
    """With the plan of double precision, as it holds no more than numbers of modes and lengths."""
    entry = PLANNED_SUMS[name]
    fields = fields_of(entry)
    for i, kind in enumerate(CLOUDS):
        if kind == "corners" and isinstance(entry.entry.space, mk.Torus):
            # A displacement is rounded at the size of L, and across an edge there may be little else of it.
            continue
        check(entry, fields, *scene(entry, kind, 1.0, i), np.float32)


ALONE = ("nufft, many modes", "moments, function", "cells, torus", "fmm, logarithm")


@pytest.mark.parametrize("name", ALONE)
def test_one_particle_acts_on_others_and_not_on_itself(name):
    entry = PLANNED_SUMS[name]
    y, w, x = scene(entry, "uniform", 1.0, 3, n=1)
    fields = fields_of(entry)
    check(entry, fields, y, w, x)
    pull = np.asarray(fields(y, w, y)[1])
    assert np.abs(pull).max() <= 10 * max(entry.tolerance, 1e-13) * np.abs(fields(y, w, x)[1]).max()


DENSITIES = {
    "nufft, gaussian, plane": PLANE.grid((8, 9), (-2.0, -2.0), (2.0, 2.0)),
    "moments, function": PLANE.grid((8, 9), (-2.0, -2.0), (2.0, 2.0)),
    "cells, plane": PLANE.grid((8, 9), (-2.0, -2.0), (2.0, 2.0)),
    "fmm, logarithm": PLANE.grid((8, 9), (-2.0, -2.0), (2.0, 2.0)),
    "nufft, many modes": OBLONG.grid((8, 9)),
    "fmm, periodic logarithm": CIRCLE.grid(30),
}


@pytest.mark.parametrize("name", DENSITIES)
def test_densities_act_at_particles(name):
    """As by the sum over nodes; on a torus a kernel of Fourier modes meets those of the density's grid alone."""
    entry, grid = PLANNED_SUMS[name], DENSITIES[name]
    values = np.random.default_rng(5).uniform(0.0, 1.0, grid.shape)
    rho = density(grid, values / values.sum() / grid.cell_volume)
    x = jnp.asarray(np.concatenate([scene(entry, "uniform", 0.9, 4)[2], np.asarray(grid.nodes)[:2]]))
    kernel, plan = entry.entry.kernel, entry.plan
    exact_sum = Modes() if isinstance(kernel, FourierSeries) else Direct()

    @compiled
    def both(kernel, rho, x):
        return [(s.potential(kernel, rho, x), s.force(kernel, rho, x)) for s in (plan, exact_sum)]

    (energy, pull), (exact, forces) = both(kernel, rho, x)
    # The sums themselves are below the sizes of their terms: no root mean square over pairs is needed.
    tolerance = 10 * max(entry.tolerance, 1e-13)
    steep = np.abs(forces).max()
    assert np.sqrt(np.mean((pull - forces) ** 2)) <= tolerance * steep
    assert np.sqrt(np.mean((energy - exact) ** 2)) <= tolerance * (np.abs(exact).max() + 5 * steep)
