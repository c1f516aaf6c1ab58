"""Densities on the torus in a common environment: the stochastic Fokker–Planck equation, pathwise and on average."""

import math

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from orders import assert_strong_order, ends
from schemes import CIRCLE
from tables import OBLONG

import mckean as mk
from mckean.dynamics.spectral import count_parts

PATH = mk.Brownian(jax.random.key(21))
SQUARE, CUBE = mk.Torus(2), mk.Torus(3)
TURN = 2 * np.pi / np.asarray(OBLONG.lengths)


def bump(x):
    return jnp.exp(0.8 * jnp.cos(x[0] - 0.5))


def hill(x):
    u, v = TURN * x
    return jnp.exp(0.5 * jnp.cos(u - 0.3) + 0.4 * jnp.sin(v) + 0.3 * jnp.cos(u + v))


CURVE, COARSE = (mk.Density.from_function(CIRCLE.grid(n), bump) for n in (32, 12))
FIELD = mk.Density.from_function(OBLONG.grid(16), hill)
PLAIN, FINE = (
    mk.Density.from_function(OBLONG.grid(n), lambda x: 2 + jnp.cos(TURN[0] * x[0]) + jnp.sin(TURN[1] * x[1]))
    for n in (8, 14)
)


def modes(values) -> np.ndarray:
    return np.fft.rfftn(values) / np.size(values)


def norm(values) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


@pytest.mark.parametrize("dt", [0.5, 0.05])
@pytest.mark.parametrize("dim", [1, 2])
def test_additive_noise_carries_the_density_along(dim, dt):
    """Without V the law in an environment is that without, moved by σ₀B⁰(t), to rounding, at any dt; r is the same."""
    start = CURVE if dim == 1 else FIELD
    space = start.grid.space
    matrix = np.array([[0.7, 0.3, 0.1], [0.0, 0.5, -0.2]])[2 - dim :, 2 - dim :] if dim == 2 else np.array([[0.9]])
    kernel = mk.kernels.Cosine(1.5)
    still, moved = (mk.langevin(space, interaction=kernel, beta=2.0, common=c) for c in ((), mk.Additive(matrix)))
    watch = {"r": mk.observables.order_parameter(1 if dim == 1 else (1, 1))}
    runs = [mk.evolve(m, start, until=2.0, dt=dt, path=PATH, observe=watch, every=1) for m in (still, moved)]
    dB = sum(np.asarray(PATH.environment.increment(k, dt, (matrix.shape[1],))) for k in range(round(2 / dt)))
    q = np.stack(np.broadcast_arrays(*start.grid.wavenumbers))
    phase = np.exp(-1j * np.tensordot(matrix @ dB, q, axes=1))
    # The unpaired mode of a smooth density is of the size of rounding, or of this.
    top = np.abs(modes(runs[0].final.values)).min()
    np.testing.assert_allclose(modes(runs[1].final.values), modes(runs[0].final.values) * phase, atol=1e-14 + 10 * top)
    assert np.linalg.norm(matrix @ dB) > 0.3
    np.testing.assert_allclose(runs[1].observed["r"], runs[0].observed["r"], rtol=0, atol=1e-12 + 10 * top)


@pytest.mark.parametrize("space", [OBLONG, CUBE], ids=["2", "3"])
def test_shears_alone_keep_every_norm_that_a_shift_keeps(space):
    """Without diffusion the L² norm and the mass stay, to the rounding of 40 steps, while gradients grow."""
    start = mk.Density.from_function(
        space.grid(12), lambda x: 2 + jnp.cos(TURN[0] * x[0]) + jnp.sin(x[-1] * 2 * math.pi / space.lengths[-1])
    )
    model = mk.Model(space, common=mk.TransportNoise.shears(space, 0.5))
    end = mk.evolve(model, start, until=2.0, dt=0.05, path=PATH, scheme=mk.Spectral(negativity=math.inf)).final
    assert abs(norm(end.values) / norm(start.values) - 1) < 1e-13
    assert abs(float(end.mass) - 1) < 1e-14
    waves = np.stack(np.broadcast_arrays(*start.grid.wavenumbers))
    steepness = [np.sum(np.sum(waves**2, axis=0) * np.abs(modes(mu.values)) ** 2) for mu in (start, end)]
    assert steepness[1] > 2 * steepness[0]


def crowd(x, mu):
    """Along the first axis, seen by the mass: 0.3 + 0.3 cos(x₁)∫sin x₁ dμ and a wave of its own."""
    share = mu.integrate(lambda y: jnp.sin(y[0]))
    return jnp.stack(
        [jnp.stack([0.3 + 0.3 * jnp.cos(x[0]) * share, 0.2 * jnp.cos(x[0])])] + [jnp.zeros(2)] * (x.size - 1)
    )


ALONG = mk.TransportNoise(OBLONG, [(0, 1), (0, 2)], [1.0, 0.7], 0.1, [(1, 0), (1, 0)])
SHELL = mk.TransportNoise.shell(OBLONG, 1.5, intensity=0.1)
COMMUTING = {
    "shears along one axis": (PLAIN, ALONG),
    "one field that sees the mass": (COARSE, mk.Multiplicative(lambda x, mu: crowd(x, mu)[:, :1], "stratonovich")),
}
ENVIRONMENTS, LEVELS = 200, (16, 32, 64, 128)


def drifting(start, common) -> mk.Model:
    """With drift and diffusion, which do not commute with the noise."""
    space = start.grid.space
    turn = jnp.asarray(2 * np.pi / np.asarray(space.lengths))
    return mk.langevin(space, lambda x: 0.4 * jnp.cos(turn[0] * x[0]), mk.kernels.Cosine(1.0), beta=4.0, common=common)


def values(model, start, levels=LEVELS, until=1.0) -> list[np.ndarray]:
    """The density at the end in each environment; one entry a level."""
    runs, _ = ends(mk.Spectral(), model, start, levels, ENVIRONMENTS, until)
    return [np.asarray(run.values).reshape(ENVIRONMENTS, -1) for run in runs]


def apart(one, other) -> list[np.ndarray]:
    """Distances in L² of two lists of runs, for each environment."""
    return [np.sqrt(np.mean((a - b) ** 2, axis=1)) for a, b in zip(one, other, strict=True)]


@pytest.mark.parametrize("name", COMMUTING)
def test_strong_order_one_where_the_fields_commute(name):
    start, noise = COMMUTING[name]
    runs = values(drifting(start, noise), start)
    assert_strong_order(apart(runs[:-1], runs[1:]), 1.0)


@pytest.mark.parametrize("shears", [True, False], ids=["shears", "shell"])
def test_strong_order_one_half_where_they_do_not(shears):
    """The area that the increments do not carry is missing: without drift or diffusion nothing hides it."""
    noise = mk.TransportNoise.shears(OBLONG, 0.1) if shears else SHELL
    start = PLAIN
    model = mk.Model(OBLONG, noise=mk.Thermal(20.0), common=noise)
    runs = values(model, start, until=0.5)
    assert_strong_order(apart(runs[:-1], runs[1:]), 0.5)


def as_fields(noise):
    """The same fields, as functions of a point: not known to be shears, they are frozen over a step."""
    return mk.Multiplicative(lambda x, mu: noise.matrix(x[None], mu)[0], "stratonovich")


def test_shifts_and_frozen_velocities_have_one_limit():
    """Exact shears between halves of the step, or a velocity within it: the difference is of order 1."""
    # The grid is fine enough for what the two lose in space to be small beside what they lose in time.
    runs = [values(drifting(FINE, noise), FINE) for noise in (ALONG, as_fields(ALONG))]
    assert_strong_order(apart(*runs), 1.0)


def test_mass_is_exact():
    """In every environment, sheared, frozen and seeing the mass at once."""
    common = (mk.Additive(0.4), SHELL, mk.Multiplicative(crowd, "stratonovich"))
    model = mk.langevin(OBLONG, interaction=mk.kernels.Cosine(2.0), beta=4.0, common=common)
    watch = {"mass": lambda model, mu: mu.mass}
    scheme = mk.Spectral(negativity=math.inf)
    run = mk.evolve(model, FIELD, until=1.0, dt=0.01, path=PATH, scheme=scheme, observe=watch, every=10)
    np.testing.assert_allclose(run.observed["mass"], 1, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", ["shears", "shell"])
def test_the_mean_over_environments_diffuses_faster(name):
    """Without W, E ρ̂_k(t) = ρ̂_k(0) exp(−(1/β + K)|q|²t), the Itô correction of the noise being KΔ: to 5σ."""
    K, beta, t, n = 0.5, 2.0, 0.2, 1000
    noise = getattr(mk.TransportNoise, name)(SQUARE, **({"upper": 1.5} if name == "shell" else {}), intensity=K)
    start = mk.Density.from_function(SQUARE.grid(8), lambda x: 2 + jnp.cos(x[0]) + jnp.sin(x[0] + x[1]))
    model = mk.langevin(SQUARE, beta=beta, common=noise)
    steps = 40

    @eqx.filter_jit
    @jax.vmap
    def end(key):
        scheme = mk.Spectral(negativity=math.inf)
        return mk.evolve(model, start, until=t, dt=t / steps, path=mk.Brownian(key), scheme=scheme).final.values

    values = np.asarray(end(jax.random.split(jax.random.key(0), n)))
    q2 = {(1, 0): 1, (1, 1): 2}
    for k, square in q2.items():
        share = np.array([modes(v)[k] for v in values]) / modes(start.values)[k]
        error = share.real.std(ddof=1) / math.sqrt(n)
        # Weak order 1: the terms of second order of a step, (K|q|²dt)² for all steps.
        bias = (K * square) ** 2 * t * (t / steps)
        assert abs(share.real.mean() - math.exp(-(1 / beta + K) * square * t)) < 5 * error + bias
        assert abs(share.imag.mean()) < 5 * share.imag.std(ddof=1) / math.sqrt(n)
        assert 5 * error + bias < math.exp(-square * t / beta) - math.exp(-(1 / beta + K) * square * t)


INHABITED = {
    "circle": (CURVE, (mk.Additive(0.8), mk.Multiplicative(lambda x, mu: crowd(x, mu)[:, :1], "stratonovich"))),
    "torus": (FIELD, (SHELL, mk.TransportNoise.shears(OBLONG, 0.05))),
}


@pytest.mark.parametrize("name", INHABITED)
def test_particles_follow_the_density_in_one_environment(name):
    """Modes of N particles lie within 5 sampling errors of the density's in their environment, not in another's."""
    start, common = INHABITED[name]
    model, n, steps = drifting(start, common), 5000, 32
    cloud = start.sample(jax.random.key(1), n)
    space = start.grid.space
    turns = [mk.observables.mode(k) for k in ([1, 2] if space.dim == 1 else [(1, 0), (0, 1), (1, 1)])]
    seen, expected = [], []
    for level in (1, 2):
        path, span = PATH.refine(level), {"until": 0.5, "dt": 0.5 / (steps * level)}
        particles = mk.evolve(model, cloud, path=path, scheme=diffrax.EulerHeun(), **span).final
        law = mk.evolve(model, start, path=path, **span).final
        seen.append(np.array([turn(model, particles) for turn in turns]))
        expected.append(np.array([turn(model, law) for turn in turns]))
    apart = [a - b for a, b in zip(seen, expected, strict=True)]
    # Both take the same increments and are of order 1 apart: what halving the step changes is what is left, or more.
    bias, error = np.abs(apart[1] - apart[0]), 1 / math.sqrt(n)
    assert np.all(np.abs(apart[1]) < 2 * bias + 5 * error)
    assert np.all(bias < 5 * error)
    other = mk.evolve(model, start, path=mk.Brownian(jax.random.key(5)), until=0.5, dt=0.5 / steps).final
    assert np.max(np.abs(seen[1] - np.array([turn(model, other) for turn in turns])) - 2 * bias) > 5 * error


STILL = mk.Multiplicative(lambda x, mu: 0.5 * jnp.ones_like(x), "stratonovich")


def growth(z: float, parts: int = 1) -> tuple[float, float]:
    """Mean and standard deviation of n log|R(isZ/n)|, R Runge and Kutta's polynomial, n the parts and s² = 0.25z."""
    node, weight = np.polynomial.hermite_e.hermegauss(200)
    y = 0.5 * math.sqrt(z) * node / parts
    log = 0.5 * parts * np.log((1 - y**2 / 2 + y**4 / 24) ** 2 + (y - y**3 / 6) ** 2)
    weight = weight / weight.sum()
    return weight @ log, math.sqrt(weight @ log**2 - (weight @ log) ** 2)


def test_no_increment_makes_a_mode_grow():
    """A velocity that is the same everywhere multiplies the mode q by R(−iqσΔB/n)ⁿ in a step of n parts.

    In one part the mode would grow in most environments.
    """
    start = mk.Density.from_function(CIRCLE.grid(32), lambda x: 1 + 1e-6 * jnp.cos(15 * x[0]))
    model, steps, replicas, dt = mk.Model(CIRCLE, common=STILL), 50, 256, 0.06
    parts = int(count_parts(model, start, dt))

    @jax.jit
    @jax.vmap
    def end(key):
        path, scheme = mk.Brownian(key), mk.Spectral(negativity=math.inf)
        return mk.evolve(model, start, until=steps * dt, dt=dt, path=path, scheme=scheme).final.values

    ends = np.asarray(end(jax.random.split(jax.random.key(9), replicas)))
    logs = np.log([abs(modes(v)[15]) for v in ends]) - math.log(abs(modes(start.values)[15]))
    mean, deviation = growth(15**2 * dt, parts)
    assert abs(np.mean(logs) / steps - mean) < 5 * deviation / math.sqrt(steps * replicas)
    assert np.max(logs) < 1e-6
    assert growth(15**2 * dt)[0] > 0 > mean


@pytest.mark.parametrize(("nodes", "steps"), [(32, 4), (64, 2)])
def test_a_step_in_parts_is_one_step_of_the_same_velocity(nodes, steps, monkeypatch):
    """A shell of waves that one Runge–Kutta step cannot bear: as with 16 times as many steps of a 16th of the time.

    The two differ by the error of order 4 of the parts, and a step in one part by more than 100 times of it.
    """
    start = mk.Density.from_function(SQUARE.grid(nodes), lambda x: jnp.exp(jnp.cos(x[0]) + jnp.cos(x[1])))
    model = mk.langevin(SQUARE, None, mk.kernels.Cosine(4.0), 1.0, mk.TransportNoise.shell(SQUARE, 4.0, intensity=2.0))
    dt, span = 1 / 128, {"until": steps / 128}
    given = PATH.environment.record(steps, dt, model.motions(start)).increments
    split = np.repeat(np.asarray(given) / 16, 16, axis=0)
    ends = [
        mk.evolve(model, start, dt=h, path=mk.Brownian(jax.random.key(0), mk.paths.Record(dB, h)), **span).final.values
        for dB, h in ((given, dt), (split, dt / 16))
    ]
    assert norm(ends[0] - ends[1]) < 1e-3 * norm(ends[0] - start.values)
    monkeypatch.setattr("mckean.dynamics.spectral._DEVIATIONS", 0.0)
    path, scheme = mk.Brownian(jax.random.key(0), mk.paths.Record(given, dt)), mk.Spectral(negativity=math.inf)
    whole = mk.evolve(model, start, dt=dt, path=path, scheme=scheme, **span).final.values
    assert norm(whole - ends[1]) > 100 * norm(ends[0] - ends[1])


def test_how_many_parts_a_step_has():
    """5σ|q|√dt over √8, σ² the largest eigenvalue, and one for exact shifts; derivatives go through the parts."""
    start = mk.Density.from_function(SQUARE.grid(32), lambda x: 2 + jnp.cos(x[0]))
    noise = mk.TransportNoise.shell(SQUARE, 4.0, intensity=2.0)
    expected = math.ceil(5 * math.sqrt(4 / 128) * math.hypot(16, 16) / math.sqrt(8))
    assert count_parts(mk.Model(SQUARE, common=noise), start, 1 / 128) == expected
    assert count_parts(mk.Model(CIRCLE, common=mk.Additive(3.0)), CURVE, 1e6) == 1

    def mean(K):
        common = mk.TransportNoise.shell(OBLONG, 1.5, intensity=K)
        run = mk.evolve(mk.langevin(OBLONG, common=common), PLAIN, until=0.1, dt=0.1, path=PATH)
        return jnp.sum(run.final.values**2)

    slope = float(jax.jvp(mean, (1.0,), (1.0,))[1])
    assert slope == pytest.approx(float(mean(1.001) - mean(0.999)) / 0.002, rel=1e-4)
    assert float(jax.grad(mean)(1.0)) == pytest.approx(slope, rel=1e-10)
    assert float(jax.jit(jax.grad(mean))(1.0)) == pytest.approx(slope, rel=1e-10)


def test_a_density_drawn_too_thin_for_its_grid_is_stopped():
    """Shears alone wind the mass into filaments below the spacing."""
    start = mk.Density.from_function(SQUARE.grid(16), lambda x: jnp.exp(2 * jnp.cos(x[0]) + 2 * jnp.cos(x[1])))
    model = mk.Model(SQUARE, common=mk.TransportNoise.shears(SQUARE, 1.0))
    with pytest.raises(mk.RunError, match=r"fell below zero, to \S+ of its maximum: the grid is too coarse"):
        mk.evolve(model, start, until=4.0, dt=0.05, path=PATH)
