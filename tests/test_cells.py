"""The sum over cell lists is the sum over all pairs within the radius, and so are its derivatives.

Both add at most n terms, with 64 roundings in a pair's; on a torus a displacement is rounded at the size of a side. The
pair function jumps at the radius: a pair that the cells lose, or count twice, is seen.
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mckean as mk
from mckean.interactions.sums import cells
from mckean.interactions.sums.cells import pair_sum
from mckean.spaces import AbstractSpace

N, M = 40, 27
SPACES: dict[str, AbstractSpace] = {
    "circle": mk.Torus(1, 6.0),
    "oblong torus": mk.Torus(2, (6.0, 4.0)),
    "3-torus": mk.Torus(3, (6.0, 4.0, 5.0)),
    "line": mk.Euclidean(1),
    "plane": mk.Euclidean(2),
    "space": mk.Euclidean(3),
}
KINDS = ("uniform", "clusters", "edges", "corners", "one place", "escaped", "far from it")
RADII = (1.01, 0.01, 0.31, 1.71, 2.51, 4.01, 50.0)  # no distance of points on the edges


class Pull(eqx.Module):
    """A pair function without symmetry: |p_k| ≤ 1.5a, |∇p_k| ≤ 2a."""

    strength: jax.Array

    def __call__(self, z):
        return self.strength * (jnp.exp(-jnp.sum(z**2)) * z + jnp.cos(z))


PULL = Pull(jnp.asarray(0.7))


@pytest.fixture(autouse=True)
def few_lanes(monkeypatch):
    """Several chunks, and a padded one, also for few targets."""
    monkeypatch.setattr(cells, "_LANES", 16)


def by_pairs(pair, space, y, w, x, radius):
    z = space.displacement(x[:, None], y[None])
    near = jnp.sum(z**2, axis=-1) < radius**2
    values = jax.vmap(jax.vmap(pair))(jnp.where(near[..., None], z, 0.0))
    near = near.reshape(*near.shape, *[1] * (values.ndim - 2))
    return jnp.sum(jnp.where(near, w.reshape(-1, *[1] * (values.ndim - 2)) * values, 0.0), axis=1)


@functools.cache
def sums(space):
    """(by cells, by pairs), compiled once for each shape and precision."""
    fast = jax.jit(lambda y, w, x, radius: pair_sum(PULL, space, y, w, x, radius))
    slow = jax.jit(lambda y, w, x, radius: by_pairs(PULL, space, y, w, x, radius))
    return fast, slow


def scene(space, kind, seed, n=N, m=M):
    """Sources, weights, some of them 0 and some negative, and targets, the first few of which are sources."""
    rng = np.random.default_rng(seed)
    lengths = np.asarray(getattr(space, "lengths", (6.0,) * space.dim))
    y, x = (rng.uniform(0, 1, (k, space.dim)) * lengths for k in (n, m))
    if kind == "clusters":
        centres = rng.uniform(0, 1, (3, space.dim)) * lengths
        y = centres[rng.integers(0, 3, n)] + 0.05 * rng.normal(size=y.shape)
    if kind == "edges":
        # On a torus of side 6 and with the radius 1.01, five rows of cells have side 1.2, and twenty columns 0.3.
        y, x = (np.floor(a / lengths * 20) * lengths / 20 for a in (y, x))
    if kind == "corners":
        y, x = (np.round(a / lengths) * lengths for a in (y, x))
    if kind == "one place":
        y = np.broadcast_to(y[:1], y.shape)
    if kind == "escaped":
        y[-1] = 1e6
    if kind == "far from it":
        x = x + 3 * lengths
    x[: m // 3] = y[rng.integers(0, n, m // 3)]
    y, x = (np.asarray(space.retract(jnp.asarray(a))) for a in (y, x))
    return y, rng.integers(-2, 3, n) / n, x


# Sums of some tens of terms of at most some tens, each with some tens of roundings: 10⁴ roundings of a double.
close = functools.partial(np.testing.assert_allclose, rtol=0, atol=2e-12)


def tolerance(space, y, w, x, radius, eps):
    slack = (len(y) + 64) * eps * 1.5 * 0.7 * np.sum(np.abs(w))
    # On R^d the differences of coordinates are exact but for their own rounding.
    size = max(space.lengths) if isinstance(space, mk.Torus) else radius
    return slack + 8 * eps * size * 2 * 0.7 * np.sum(np.abs(w))


# The circle has its turn among the derivatives.
@pytest.mark.parametrize("name", [name for name in SPACES if name != "circle"])
@settings(max_examples=60)
@given(
    kind=st.sampled_from(KINDS),
    radius=st.sampled_from(RADII),
    seed=st.integers(0, 2**16),
)
def test_equals_the_sum_over_all_pairs(name, kind, radius, seed):
    space = SPACES[name]
    fast, slow = sums(space)
    y, w, x = scene(space, kind, seed)
    np.testing.assert_allclose(
        fast(y, w, x, radius), slow(y, w, x, radius), rtol=0, atol=tolerance(space, y, w, x, radius, 2**-52)
    )


@pytest.mark.parametrize("name", ["oblong torus", "plane"])
@settings(max_examples=60)
@given(kind=st.sampled_from(KINDS), radius=st.sampled_from(RADII[:4]), seed=st.integers(0, 2**16))
def test_keeps_single_precision(name, kind, radius, seed):
    space = SPACES[name]
    y, w, x = (np.asarray(a, np.float32) for a in scene(space, kind, seed))
    values = sums(space)[0](y, w, x, np.float32(radius))
    assert values.dtype == np.float32
    # Pairs at the radius, to the rounding of their distance, may count or not. Those half a side apart are beyond it:
    # their shortest displacement may be either of two.
    y, w, x = (jnp.asarray(a, float) for a in (y, w, x))
    at_radius = jnp.abs(space.distance(x[:, None], y[None]) - radius) < 1e-5
    exact = sums(space)[1](y, w, x, radius)
    slack = tolerance(space, y, w, x, radius, 2.0**-23) + 1.5 * 0.7 * (at_radius @ np.abs(w))
    assert np.all(np.abs(values - exact) <= slack[:, None])


def test_one_particle():
    y, w, x = scene(SPACES["plane"], "one place", 3, 1, 1)
    fast, slow = sums(SPACES["plane"])
    np.testing.assert_allclose(fast(y, w, x, 2.0), slow(y, w, x, 2.0), rtol=0, atol=1e-15)


def test_sources_as_targets():
    # The same array for both is sorted once.
    space = SPACES["oblong torus"]
    both = jax.jit(lambda y, w, radius: pair_sum(PULL, space, y, w, y, radius))
    for kind in KINDS:
        y, w, _ = scene(space, kind, 5, M, M)
        np.testing.assert_allclose(both(y, w, 1.01), sums(space)[1](y, w, y, 1.01), rtol=0, atol=1e-14)


@functools.cache
def derivatives(space, function):
    """The sum, with its jvp and its vjp in all that it depends on."""

    def both(arguments, tangents, cotangent, radius):
        of = lambda strength, y, w, x: function(Pull(strength), space, y, w, x, radius)  # noqa: E731
        return jax.jvp(of, arguments, tangents), jax.vjp(of, *arguments)[1](cotangent)

    return jax.jit(both)


@pytest.mark.parametrize("name", ["circle", "plane"])
def test_derivatives_are_those_of_the_sum_over_all_pairs(name):
    space = SPACES[name]
    for seed, kind in enumerate(KINDS):
        rng = np.random.default_rng(seed)
        y, w, x = scene(space, kind, seed)
        arguments = (jnp.asarray(0.7), *(jnp.asarray(a) for a in (y, w, x)))
        tangents = jax.tree.map(lambda a, rng=rng: jnp.asarray(rng.normal(size=a.shape)), arguments)
        g = jnp.asarray(rng.normal(size=x.shape))
        (value, push), pull = derivatives(space, pair_sum)(arguments, tangents, g, 1.3)
        expected = derivatives(space, by_pairs)(arguments, tangents, g, 1.3)
        jax.tree.map(close, ((value, push), pull), expected)
        # Of each other: the transpose.
        assert np.vdot(g, push) == pytest.approx(sum(map(np.vdot, pull, tangents)), abs=1e-12)


def test_a_vectorised_gradient_in_one_argument_and_its_own_derivative():
    space = SPACES["line"]
    clouds = jnp.stack([jnp.asarray(scene(space, kind, 7, 12)[0]) for kind in ("uniform", "clusters", "corners")])

    def energy(function, y):
        potential = function(lambda z: jnp.exp(-jnp.sum(z**2)), space, y, jnp.full(12, 1 / 12), y, 1.3)
        return jnp.sum(potential**2)

    def results(function):
        slope = jax.grad(functools.partial(energy, function))
        both = jax.vmap(lambda y: jax.jvp(slope, (y,), (jnp.sin(y),)))
        return jax.jit(both)(clouds)

    found = results(pair_sum)
    assert [part.shape for part in found] == [clouds.shape] * 2
    jax.tree.map(close, found, results(by_pairs))


def test_values_of_any_shape_of_a_function_that_ends_at_the_radius():
    # √(1 − |z|²) is NaN beyond 1, and its derivative is infinite there; with a table, whose entries are integers.
    space, table = SPACES["plane"], jnp.arange(6)

    def pair(z):
        return jnp.sqrt(1 - jnp.sum(z**2)) * table.reshape(3, 2)

    y, w, x = (jnp.asarray(a) for a in scene(space, "uniform", 11))
    g = jnp.cos(jnp.arange(6.0 * M)).reshape(M, 3, 2)

    @functools.partial(jax.jit, static_argnums=0)
    def both(function, x):
        value, pull = jax.vjp(lambda x: function(pair, space, y, w, x, 1.0), x)
        return value, pull(g)[0]

    (value, slope), expected = both(pair_sum, x), both(by_pairs, x)
    assert value.shape == g.shape
    np.testing.assert_allclose(value, expected[0], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(slope, expected[1], rtol=1e-10, atol=1e-12)


def test_a_position_that_is_not_finite_is_seen():
    y, w, x = scene(SPACES["plane"], "uniform", 13)
    fast, _ = sums(SPACES["plane"])
    sound = fast(y, w, x, 1.0)
    for bad in (np.nan, np.inf):
        target, source = x.copy(), y.copy()
        target[4, 1] = source[-1, 0] = bad
        np.testing.assert_array_equal(np.isnan(fast(y, w, target, 1.0)).any(axis=1), np.arange(M) == 4)
        np.testing.assert_array_equal(fast(y, w, target, 1.0)[5:], sound[5:])
        assert np.all(np.isnan(fast(source, w, x, 1.0)))


@pytest.mark.parametrize(("n", "bits"), [(1, 0), (1, 20), (2, 31), (1000, 3), (1000, 31)])
def test_orders_stably(n, bits):
    keys = np.random.default_rng(n).integers(0, 2**bits, n) // 3 * 3
    np.testing.assert_array_equal(cells.sort_order(jnp.asarray(keys, jnp.int32), bits), np.argsort(keys, kind="stable"))


# Clouds, and how many candidates a particle has: in three rows of width R along (2 + 2/4)R of them, 7.5R² times the
# density; where cells have to be wider to cover the cloud, in three rows of three of about 4000 cells; and in as many
# as 3 by 11 cells of those for the part of a cloud that the grid is folded on.
CROWDS = {
    "uniform": (lambda rng: rng.uniform(0, 30, (1000, 2)), 7.5 * 1000 / 30**2),
    "spread": (lambda rng: rng.uniform(0, 1e5, (1000, 2)), 3 * 3 * 1000 / 4000),
    "escaped": (lambda rng: np.concatenate([rng.uniform(0, 30, (999, 2)), [[1e6, -1e7]]]), 7.5 * 1000 / 30**2 + 8.25),
    "two clouds": (
        lambda rng: rng.uniform(0, 20, (1000, 2)) + rng.choice([0, 1e5], (1000, 1)),
        7.5 * 500 / 20**2 + 3 * 11 * 1000 / 4000,
    ),
}


@jax.jit
def candidates(x):
    plane, radius = SPACES["plane"], jnp.asarray(1.0)
    return jnp.sum(cells._pairs(plane, x, cells._cells(plane, x, radius), True).length)


@pytest.mark.parametrize(("crowd", "expected"), CROWDS.values(), ids=CROWDS.keys())
def test_work_does_not_depend_on_how_far_the_cloud_reaches(crowd, expected):
    x = jnp.asarray(crowd(np.random.default_rng(17)))
    # Each particle is its own candidate, and where there is one there are more: clumps are counted by their members.
    assert candidates(x) / len(x) <= 1 + expected


REFUSALS = {
    "zero": (mk.Euclidean(1), 0.0, "positive and finite, not 0.0"),
    "infinite": (mk.Torus(1), np.inf, "positive and finite, not inf"),
    "nan": (mk.Torus(1), np.nan, "positive and finite, not nan"),
}


@pytest.mark.parametrize(("space", "radius", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_refusals(space, radius, message):
    with pytest.raises(ValueError, match=message):
        pair_sum(PULL, space, jnp.ones((2, 1)), jnp.ones(2), jnp.ones((2, 1)), radius)
