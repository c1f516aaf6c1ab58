"""Brownian paths: refinement, laws, independence, prefixes; and the JAX behaviour that they rest on."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st

import mckean as mk
from mckean.paths.counter import normal

PATH = mk.Brownian(jax.random.key(7))
SHAPE = (40, 2)
# What a sum of g increments of size √dt loses: an ulp of each partial sum.
EPS = 2.0**-52


def increments(stream, steps, dt, shape=SHAPE, dtype=float):
    """The increments over several of the first 24 steps, stacked. All are drawn: one compilation serves many tests."""
    return np.asarray(_increments(stream, jnp.asarray(dt, float), shape, dtype))[list(steps)]


@eqx.filter_jit
def _increments(stream, dt, shape, dtype):
    return jax.vmap(lambda k: stream.increment(k, dt, shape, dtype))(jnp.arange(24))


def streams(path):
    return {"idiosyncratic": path.idiosyncratic, "environment": path.environment}


@pytest.mark.parametrize("name", ["idiosyncratic", "environment"])
@pytest.mark.parametrize(("refine", "coarsen"), [(1, 3), (4, 3)])
def test_every_resolution_shows_the_same_path(name, refine, coarsen):
    # In units of the base step the changed path has steps coarsen/refine: `coarsen` of one are `refine` of the other.
    changed = PATH.refine(refine).coarsen(coarsen)
    base = increments(streams(PATH)[name], range(6), 1.0).reshape(6 // coarsen, coarsen, *SHAPE)
    number = 6 // coarsen * refine
    other = increments(streams(changed)[name], range(number), coarsen / refine).reshape(-1, refine, *SHAPE)
    # Some refine·coarsen additions and halvings of numbers below 10.
    np.testing.assert_allclose(other.sum(1), base.sum(1), rtol=0, atol=10 * 4 * refine * coarsen * EPS)


@given(st.integers(0, 4), st.integers(1, 12), st.integers(0, 3))
def test_refining_then_coarsening_changes_nothing(before, grouping, halvings):
    path = PATH.refine(2**before).coarsen(grouping)
    there_and_back = path.refine(2**halvings).coarsen(2**halvings)
    assert there_and_back.idiosyncratic.halvings == path.idiosyncratic.halvings
    assert there_and_back.idiosyncratic.grouping == path.idiosyncratic.grouping
    back_and_there = path.coarsen(2**halvings).refine(2**halvings)
    assert jax.tree.structure(back_and_there) == jax.tree.structure(path)


def test_a_path_coarsened_by_an_odd_number_can_be_refined():
    coarse, fine = PATH.coarsen(3), PATH.coarsen(3).refine(2)
    whole = increments(coarse.idiosyncratic, range(2), 3.0)
    halves = increments(fine.idiosyncratic, range(4), 1.5)
    np.testing.assert_allclose(halves.reshape(2, 2, *SHAPE).sum(1), whole, rtol=0, atol=10 * 4 * 6 * EPS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_increments_have_the_law_of_brownian_motion(dtype):
    n, dt = 10_000, 0.3
    x = increments(PATH.refine(2).idiosyncratic, range(4), dt, (n,), dtype)
    assert x.dtype == dtype
    # Five standard errors of a mean, variance, fourth moment (variance 96 dt⁴) and covariance of n draws of N(0, dt).
    assert np.all(np.abs(x.mean(1)) <= 5 * math.sqrt(dt / n))
    assert np.all(np.abs((x**2).mean(1) - dt) <= 5 * dt * math.sqrt(2 / n))
    assert np.all(np.abs((x**4).mean(1) - 3 * dt**2) <= 5 * dt**2 * math.sqrt(96 / n))
    # The two halves of a step (0 with 1, 2 with 3) as well as neighbouring steps are independent.
    covariance = x @ x.T / n
    assert np.all(np.abs(covariance[~np.eye(4, dtype=bool)]) <= 5 * dt / math.sqrt(n))


def test_the_environment_is_one_in_all_precisions():
    changed = PATH.coarsen(3)
    double = increments(changed.environment, range(24), 0.25, (3,))
    single = increments(changed.environment, range(24), 0.25, (3,), np.float32)
    np.testing.assert_array_equal(single, double.astype(np.float32))
    with jax.enable_x64(False):
        alone = increments(changed.environment, range(24), 0.25, (3,))
    assert alone.dtype == np.float32
    np.testing.assert_array_equal(alone, single)


def test_clouds_of_two_precisions_move_in_one_environment():
    model = mk.Model(mk.Euclidean(1), common=mk.Additive([[1.0]]))
    ends = [
        mk.evolve(
            model, mk.Particles(model.space, np.zeros((2, 1), dtype)), until=1.0, dt=0.1, path=PATH
        ).final.positions
        for dtype in (np.float32, np.float64)
    ]
    # Ten additions of numbers below 4, each rounded by 2⁻²³ of them at most.
    np.testing.assert_allclose(ends[0], ends[1], rtol=0, atol=10 * 4 * 2.0**-23)


def test_steps_do_not_repeat_after_32_bits():
    stream, near = PATH.idiosyncratic, np.asarray([-5, 3, 2**31 - 1])
    steps = np.concatenate([near + k * 2**32 for k in (-1, 0, 1, 2)])
    drawn = np.asarray(jax.jit(jax.vmap(lambda k: stream.increment(k, 1.0, (1,))))(steps))[:, 0]
    assert len(set(drawn)) == len(steps)
    # Where 32 bits are enough they are what they are without double precision's long integers.
    short = np.asarray(jax.jit(jax.vmap(lambda k: stream.increment(k, 1.0, (1,))))(near.astype(np.int32)))[:, 0]
    np.testing.assert_array_equal(short, drawn[3:6])


def test_streams_are_independent():
    n = 10_000
    path = PATH.refine(2)
    own, common = (increments(s, [0, 1], 1.0, (n,)) for s in (path.idiosyncratic, path.environment))
    assert np.all(np.abs(own @ common.T / n) <= 5 / math.sqrt(n))


@pytest.mark.parametrize("path", [PATH, PATH.refine(2).coarsen(3)])
def test_the_first_particles_of_a_larger_system_have_the_same_noise(path):
    # Rests on JAX's default generator, which counts: a change of that default must not go unseen.
    few, many = (increments(path.idiosyncratic, [0, 5], 0.1, (n, 2)) for n in (SHAPE[0], 1000))
    np.testing.assert_array_equal(few, many[:, : SHAPE[0]])


def test_a_path_is_a_function_of_its_key():
    again, other = mk.Brownian(jax.random.key(7)), mk.Brownian(jax.random.key(8))
    for name, stream in streams(PATH).items():
        x = increments(stream, [0, 3], 0.1)
        np.testing.assert_array_equal(increments(streams(again)[name], [0, 3], 0.1), x)
        assert np.all(increments(streams(other)[name], [0, 3], 0.1) != x)


def test_an_environment_can_be_shared():
    sibling = mk.Brownian(jax.random.key(99), environment=PATH.environment)
    x, y = (increments(p.environment, [0, 3], 0.1) for p in (PATH, sibling))
    np.testing.assert_array_equal(x, y)
    x, y = (increments(p.idiosyncratic, [0, 3], 0.1) for p in (PATH, sibling))
    assert np.all(x != y)
    fine, expected = sibling.coarsen(3).refine(2), PATH.coarsen(3).refine(2)
    x, y = (increments(p.environment, [4, 5], 0.1) for p in (fine, expected))
    np.testing.assert_array_equal(x, y)


def test_own_motions_may_be_kept_in_another_environment():
    other = mk.Brownian(jax.random.key(99))
    mixed = PATH.within(other.environment)
    for one, expected in ((mixed.environment, other.environment), (mixed.idiosyncratic, PATH.idiosyncratic)):
        np.testing.assert_array_equal(increments(one, [0, 3], 0.1), increments(expected, [0, 3], 0.1))


def test_steps_before_time_zero_are_refined_like_those_after():
    coarse, fine = PATH.environment, PATH.refine(4).environment
    before = np.array([fine.increment(k, 0.25, (5,)) for k in range(-8, 0)])
    whole = np.array([coarse.increment(k, 1.0, (5,)) for k in (-2, -1)])
    np.testing.assert_allclose(before.reshape(2, 4, 5).sum(1), whole, rtol=0, atol=10 * 4 * 4 * EPS)


def test_a_recorded_environment():
    """The increments that were given, and their sums; what does not fill a longer step is left out."""
    given = np.random.default_rng(0).normal(size=(7, 2))
    path = mk.Brownian(jax.random.key(7), environment=mk.Record(given, 0.1))
    np.testing.assert_array_equal([path.environment.increment(k, 0.1, (2,)) for k in range(7)], given)
    longer = path.coarsen(3)
    assert longer.environment.increments.shape == (2, 2)
    assert longer.environment.dt == pytest.approx(0.3)
    np.testing.assert_allclose(longer.environment.increments, given[:6].reshape(2, 3, 2).sum(1), rtol=1e-15)
    # The particles' own motions are grouped along, and are those of the key.
    own = (longer.idiosyncratic, PATH.coarsen(3).idiosyncratic)
    np.testing.assert_array_equal(*(increments(stream, [0, 1], 0.3) for stream in own))
    assert path.environment.increment(0, 0.1, (2,), np.float32).dtype == np.float32
    path.refine(1)


def test_an_increment_does_not_depend_on_how_it_is_asked_for():
    # Eagerly, one by one; and compiled, several at a time, where constants may be multiplied out: two ulps.
    stream = PATH.idiosyncratic
    one = np.stack([stream.increment(k, 0.1, SHAPE) for k in (3, 4)])
    np.testing.assert_allclose(one, increments(stream, [3, 4], 0.1), rtol=2 * EPS)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mk.Brownian(jax.random.PRNGKey(0)), r"one typed key"),
        (lambda: PATH.refine(3), r"refined by a power of two, but the factor 3"),
        (lambda: PATH.refine(0), r"refined by a power of two, but the factor 0"),
        (lambda: PATH.coarsen(0), r"coarsened by a positive integer, but 0"),
        (lambda: mk.Record(np.zeros(3), 0.1), r"has increments of shape \(t, m\), not \(3,\)\."),
        (lambda: mk.Record(np.full((3, 1), np.nan), 0.1), r"a recorded environment must be finite, but 3 of"),
        (lambda: mk.Record(np.zeros((3, 1)), 0.0), r"step of a recorded environment must be positive, but 0\.0"),
        (
            lambda: PATH.within(mk.Record(np.zeros((3, 1)), 0.1)).refine(2),
            r"a recorded environment has no finer steps than those that were recorded: coarsen it\.",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(), (1,), (7, 3), (1000, 2)])
def test_normal_is_jax_random_normal(shape, dtype, compiled):
    ours = jax.jit(normal, static_argnums=(1, 2)) if compiled else normal
    for seed in range(3):
        key = jax.random.key(seed)
        drawn, expected = ours(key, shape, dtype), jax.random.normal(key, shape, dtype)
        assert drawn.dtype == expected.dtype
        assert drawn.shape == shape
        # The same bits; a fused multiply–add may round the uniform number u once less, by half an ulp of 1, which the
        # inverse error function magnifies by its slope (√π/2) exp(z²/2); a few ulps for its own rounding.
        eps = np.finfo(dtype).eps
        allowed = eps * (np.exp(np.asarray(expected, float) ** 2 / 2) * 1.3 + 8 * np.abs(expected))
        assert np.all(np.abs(np.asarray(drawn, float) - np.asarray(expected, float)) <= allowed)


def threefry(key, index: int) -> tuple[int, int]:
    """Threefry-2x32-20 of a 64-bit counter in Python's integers, round by round (SC 2011, table 2)."""
    mask, rotations = 0xFFFFFFFF, (13, 15, 26, 6, 17, 29, 16, 24)
    words = [int(word) for word in jax.random.key_data(key)]
    words.append(words[0] ^ words[1] ^ 0x1BD11BDA)
    x, y = index >> 32, index & mask
    for turn in range(20):
        if turn % 4 == 0:
            x, y = (x + words[turn // 4 % 3]) & mask, (y + words[(turn // 4 + 1) % 3] + turn // 4) & mask
        x = (x + y) & mask
        r = rotations[turn % 8]
        y = (y << r | y >> (32 - r)) & mask ^ x
    return (x + words[2]) & mask, (y + words[0] + 5) & mask


def reference_normal(key, indices) -> np.ndarray:
    """√2 erf⁻¹(2u − 1) for the 23 uppermost bits u of the two words together."""
    bits = np.asarray([(a ^ b) >> 9 for a, b in (threefry(key, int(i)) for i in indices)])
    return math.sqrt(2) * scipy.special.erfinv(2 * (bits / 2**23) - 1)


def test_a_draw_of_more_than_32_bits_of_entries():
    """Near 2³² and beyond, in parts and as the end of one draw, of which no more is made than what is looked at."""
    key, size = jax.random.key(7), 15
    far = jax.jit(lambda part: normal(key, (5, 3), "float32", part))
    for part in (2**32 // size, 2**33 // size + 1):
        drawn, indices = np.asarray(far(part)).ravel(), part * size + np.arange(size)
        # Single precision: a half ulp of u near 1, magnified by the slope of erf⁻¹, as above.
        allowed = np.finfo("float32").eps * (np.exp(drawn.astype(float) ** 2 / 2) * 1.3 + 8 * np.abs(drawn))
        assert np.all(np.abs(drawn - reference_normal(key, indices)) <= allowed)
        # A counter of 32 bits would begin anew.
        assert np.abs(drawn - reference_normal(key, indices % 2**32)).max() > 0.1 or indices[-1] < 2**32
    rows = 2**31 + 7
    end = jax.jit(lambda: normal(key, (rows, 3), "float32")[-4:]).lower().compile()
    assert end.memory_analysis().temp_size_in_bytes < 2**20
    drawn = np.asarray(end()).ravel()
    allowed = np.finfo("float32").eps * (np.exp(drawn.astype(float) ** 2 / 2) * 1.3 + 8 * np.abs(drawn))
    assert np.all(np.abs(drawn - reference_normal(key, 3 * rows - 12 + np.arange(12))) <= allowed)


def test_the_parts_of_a_draw_are_its_rows():
    stream = PATH.refine(2).idiosyncratic
    whole = stream.increment(5, 0.1, (12, 2))
    parts = [jax.jit(lambda p: stream.increment(5, 0.1, (3, 2), part=p))(p) for p in range(4)]
    # Compiled in one piece and operation by operation: the last operations round apart.
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=8 * EPS)


@pytest.mark.parametrize("generator", ["rbg", "unsafe_rbg"])
def test_normal_with_another_generator_is_that_generators(generator):
    key = jax.random.key(0, impl=generator)
    np.testing.assert_array_equal(normal(key, (5,)), jax.random.normal(key, (5,)))


def test_compiled_matrix_products_of_many_particles_are_right():
    # jax 0.10.2 gets rows of this wrong on CPU, silently, when a map over particles of a matrix–vector product is
    # followed by a reduction. Compared with numpy and with the uncompiled call.
    x = np.random.default_rng(0).normal(size=(20_000, 3))
    matrix = np.random.default_rng(1).normal(size=(3, 3))
    function = jax.vmap(lambda row: jnp.sum((jnp.asarray(matrix) @ row) ** 2))
    exact = ((x @ matrix.T) ** 2).sum(1)
    # Nine products and sums, then three squares: all terms of the last sum are positive, so that only the cancellation
    # within a matrix–vector product matters, bounded by |A||x|.
    tolerance = 20 * EPS * ((np.abs(x) @ np.abs(matrix).T) ** 2).sum(1)
    for result in (function(jnp.asarray(x)), jax.jit(function)(jnp.asarray(x))):
        assert np.all(np.abs(np.asarray(result) - exact) <= tolerance)
