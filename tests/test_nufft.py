"""Nonuniform FFTs against the sums that they stand for, by the library and in JAX alone.

What FINUFFT promises, and the JAX path aims at, is an error below the tolerance relative to the ℓ² norm, for
strengths of random signs: there a mode is itself of the size ‖c‖₂. The rigorous bound, for each mode and any
strengths, is by ‖c‖₁ (Barnett, Appl. Comput. Harmon. Anal. 51, 2021). Its constants, of order 1 in the width of the
kernel, and a width that is a whole number, are allowed a factor of 10; so a root mean square is held to 10 tolerances
times ‖c‖₂, and the largest error to 10 times ‖c‖₁. Derivatives bring down 2πk, and with it the tolerance.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tables import compiled

from mckean.interactions import nufft

SHAPES = {1: (41,), 2: (9, 15), 3: (5, 9, 7)}
TOLERANCES = {"float64": (1e-3, 1e-6, 1e-9, 1e-13), "float32": (1e-3, 1e-6)}
BOTH = pytest.mark.parametrize("library", [True, False], ids=["finufft", "plain"])
N = 60


@pytest.fixture
def backend(library, monkeypatch):
    if library and not nufft._available():
        pytest.skip("jax-finufft is not installed.")
    monkeypatch.setattr(nufft, "_available", lambda: library)


def problem(dim, dtype="float64", seed=0):
    """Turns in and outside of [0, 1), on its edges and at ±1/2; real strengths; two arrays of coefficients."""
    rng = np.random.default_rng(seed)
    turns = rng.uniform(-2.5, 3.5, (N, dim))
    turns[:8] = np.asarray([0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 1 - 2**-24, 2**-30])[:, None]
    c = rng.normal(size=N)
    f = rng.normal(size=(2, *SHAPES[dim])) + 1j * rng.normal(size=(2, *SHAPES[dim]))
    complex_type = np.result_type(dtype, np.complex64)
    return jnp.asarray(turns.astype(dtype)), jnp.asarray(c.astype(dtype)), jnp.asarray(f.astype(complex_type))


def waves(turns):
    """e^{2πik·t}, shape (n, modes), and 2πk, shape (modes, d), in double precision."""
    dim = turns.shape[1]
    axes = [np.arange(-(m // 2), m // 2 + 1) for m in SHAPES[dim]]
    k = 2 * math.pi * np.stack([a.ravel() for a in np.meshgrid(*axes, indexing="ij")], axis=-1)
    # The turn is reduced before it is multiplied by 2π: as it is periodic, that is exact.
    turns = np.asarray(turns, float)
    return np.exp(1j * (turns - np.round(turns)) @ k.T), k


def flat(a):
    return np.asarray(a, complex).ravel()


def near(value, exact, unit, largest):
    """Root mean square within ten `unit`s, and every entry within ten `largest`."""
    error = np.abs(np.ravel(value) - np.ravel(exact))
    assert np.sqrt(np.mean(error**2)) <= 10 * unit
    assert error.max() <= 10 * largest


@BOTH
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_both_types_are_their_sums(backend, library, dim, dtype):
    turns, c, f = problem(dim, dtype)
    wave, _ = waves(turns)

    @compiled
    def transforms(turns, c, f):
        return [(nufft.type1(c, turns, SHAPES[dim], t), nufft.type2(f, turns, t)) for t in TOLERANCES[dtype]]

    given, c, f_flat = (turns, c, f), np.asarray(c, float), np.asarray(f, complex).reshape(2, -1)
    first, second = c @ wave.conj(), f_flat @ wave.T
    f_l1, f_l2 = np.abs(f_flat).sum(1).max(), np.linalg.norm(f_flat, axis=1).max()
    for tolerance, (to_modes, to_points) in zip(TOLERANCES[dtype], transforms(*given), strict=True):
        assert to_modes.dtype == to_points.dtype == f.dtype
        near(to_modes, first, tolerance * np.linalg.norm(c), tolerance * np.abs(c).sum())
        near(to_points, second, tolerance * f_l2, tolerance * f_l1)


@BOTH
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_derivatives_are_those_of_the_sums(backend, library, dim):
    tolerance = 1e-8
    turns, c, f = problem(dim)
    turns, moved, changed = turns[8:], *problem(dim, seed=1)[:2]
    c, moved, changed = c[8:], moved[8:], changed[8:]
    wave, k = waves(turns)
    rise = np.asarray(moved) @ k.T

    @compiled
    def both(turns, c, f, moved, changed, other):
        one = lambda t, c: nufft.type1(c, t, SHAPES[dim], tolerance)  # noqa: E731
        two = lambda t, f: nufft.type2(f, t, tolerance)  # noqa: E731
        pushed = jax.jvp(one, (turns, c), (moved, changed))[1], jax.jvp(two, (turns, f), (moved, other))[1]
        loss = lambda t, c, f: jnp.real(jnp.vdot(f[0], one(t, c))) + jnp.real(jnp.vdot(c, two(t, f)[0]))  # noqa: E731
        return *pushed, *jax.grad(loss, argnums=(0, 1, 2))(turns, c, f)

    first, second, by_turns, by_strengths, by_modes = both(turns, c, f[:1], moved, changed, f[1:])
    c, changed, f0, other = np.asarray(c), np.asarray(changed), flat(f[0]), flat(f[1])
    # The tangent moves points at a rate of up to |2πk·ṫ|: c·ṫ are strengths, and 2πk f coefficients, of their own.
    size = np.abs(rise).max()
    exact = changed @ wave.conj() - 1j * c @ (rise * wave.conj())
    near(first, exact, tolerance * size * np.linalg.norm(c), tolerance * size * np.abs(c).sum())
    exact = wave @ other + 1j * (rise * wave) @ f0
    near(second, exact, tolerance * size * np.linalg.norm(f0), tolerance * size * np.abs(f0).sum())
    # The loss is Re Σ c_j f_k* e^{−} + Re Σ c_j f_k e^{+}: twice the same, as c is real.
    exact = 2 * c[:, None] * np.real(1j * (wave * f0) @ k)
    unit = 2 * tolerance * np.abs(k).max() * np.abs(c).max()
    near(by_turns, exact, unit * np.linalg.norm(f0), unit * np.abs(f0).sum())
    exact = 2 * np.real(wave @ f0)
    near(by_strengths, exact, 2 * tolerance * np.linalg.norm(f0), 2 * tolerance * np.abs(f0).sum())
    # JAX's gradient in a complex number is the conjugate of the steepest ascent.
    near(by_modes, 2 * c @ wave, 2 * tolerance * np.linalg.norm(c), 2 * tolerance * np.abs(c).sum())


@BOTH
@pytest.mark.parametrize("dim", [1, 2])
def test_vmap_is_a_loop(backend, library, dim):
    """Over strengths or coefficients, over points, over both: the same transforms, but for rounding."""
    turns, c, f = (jnp.stack(pair) for pair in zip(problem(dim), problem(dim, seed=1), strict=True))
    one = lambda c, t: nufft.type1(c, t, SHAPES[dim], 1e-8)  # noqa: E731
    two = lambda f, t: nufft.type2(f, t, 1e-8)  # noqa: E731

    @compiled
    def mapped(turns, c, f):
        axes = ((0, None), (None, 0), (0, 0))
        given = [(c if a == 0 else c[0], turns if b == 0 else turns[0]) for a, b in axes]
        firsts = [jax.vmap(one, ax)(*g) for ax, g in zip(axes, given, strict=True)]
        given = [(f if a == 0 else f[0], turns if b == 0 else turns[0]) for a, b in axes]
        seconds = [jax.vmap(two, ax)(*g) for ax, g in zip(axes, given, strict=True)]
        loop = lambda g, a, b: jnp.stack([g(a[i], b[j]) for i, j in ((1, 0), (0, 1), (1, 1))])  # noqa: E731
        return [
            (jnp.stack([m[1] for m in ms]), loop(g, a, turns)) for ms, g, a in ((firsts, one, c), (seconds, two, f))
        ]

    for (value, exact), size in zip(mapped(turns, c, f), (c, f), strict=True):
        np.testing.assert_allclose(value, exact, rtol=0, atol=1e-12 * np.abs(size).sum())


@BOTH
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_type_2_is_the_adjoint_of_type_1(backend, library, dim):
    """⟨f, type 1(c)⟩ = ⟨type 2(f), c⟩, to rounding in JAX alone, where reading is the transpose of spreading."""
    tolerance = 1e-4
    turns, c, f = problem(dim)
    pair = compiled(lambda t, c, f: (nufft.type1(c, t, SHAPES[dim], tolerance), nufft.type2(f, t, tolerance)))
    to_modes, to_points = pair(turns, c, f)
    difference = abs(np.vdot(f[0], to_modes) - np.vdot(to_points[0], c))
    size = np.abs(c).sum() * np.abs(f[0]).sum()
    assert difference <= (20 * tolerance if library else 1e-13) * size


def test_the_plain_path_is_reached_and_works_in_blocks(monkeypatch):
    """With room for seven points at a time, the last block is padded."""
    turns, c, f = problem(1)
    wave, _ = waves(turns)
    monkeypatch.setattr(nufft, "_ENTRIES", 7 * nufft._width(1e-6))
    plain = lambda t, c, f: (nufft._plain_type1(t, c, SHAPES[1], 1e-6), nufft._plain_type2(t, f, 1e-6))  # noqa: E731
    first, second = compiled(plain)(turns, c.astype(complex), f[0])
    near(first, np.asarray(c) @ wave.conj(), 1e-6 * np.linalg.norm(c), 1e-6 * np.abs(c).sum())
    near(second, wave @ np.asarray(f[0]), 1e-6 * np.linalg.norm(f[0]), 1e-6 * np.abs(f[0]).sum())


def test_the_same_bits_each_time():
    """FINUFFT's threads, of which it uses several from some 8000 points on, add up in the order in which they end."""
    turns = jnp.asarray(np.random.default_rng(1).uniform(size=(50_000, 2)))
    strengths = jnp.cos(7 * turns[:, 0])
    transform = compiled(lambda c, t: nufft.type1(c, t, (33, 33), 1e-9))
    found = {np.asarray(transform(strengths, turns)).tobytes() for _ in range(6)}
    assert len(found) == 1
