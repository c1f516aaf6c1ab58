"""N particles: strong and weak orders on one Brownian path, and diffrax's solvers driven as diffrax drives them."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from schemes import CIRCLE, LINE, PLANE, ripple

import mckean as mk

GROWTH, VOLATILITY = 0.3, 0.6
GROUPS, SIZE = 20, 200
PATH = mk.Brownian(jax.random.key(11))
# Steps of 1/8, 1/16, 1/32, 1/64 on one path, whose base grid is 1/32.
LEVELS = [(8, PATH.coarsen(4)), (16, PATH.coarsen(2)), (32, PATH), (64, PATH.refine(2))]
STEPS = np.array([1 / n for n, _ in LEVELS])


def grow(x, mu):
    return GROWTH * x


def scale(x, mu):
    return VOLATILITY * x


def ones(space, n):
    return mk.Particles(space, jnp.ones((n, space.dim)))


def ends(model, solver) -> list[np.ndarray]:
    """X_1 of each particle, started at 1, at every level of the path."""
    start = ones(LINE, GROUPS * SIZE)
    runs = [mk.evolve(model, start, until=1.0, dt=1 / n, path=path, scheme=solver) for n, path in LEVELS]
    return [np.asarray(run.final.positions[:, 0]) for run in runs]


def slope(errors) -> np.ndarray:
    """The exponent p of a least-squares fit error ~ dt^p; along axis 0."""
    x = np.log(STEPS) - np.log(STEPS).mean()
    return np.tensordot(x, np.log(errors), axes=1) / (x @ x)


def assert_order(errors, expected, order):
    """The slope over independent groups is the order, up to what theory says of these steps, and 5 standard errors.

    `errors`: shape (levels, groups); `expected`: the root mean square, or mean, that theory has for each level.
    """
    slopes = slope(errors)
    error = slopes.std(ddof=1) / np.sqrt(GROUPS)
    bias = abs(slope(np.asarray(expected)) - order)
    assert bias < 0.2
    assert abs(slopes.mean() - order) < bias + 5 * error
    assert error < 0.05


def rms(errors) -> np.ndarray:
    return np.sqrt(np.mean(np.square(np.reshape(errors, (len(LEVELS), GROUPS, SIZE))), axis=-1))


# One step of dX = GROWTH X dt + VOLATILITY X dB multiplies X by these; h is the step, b the increment.
GEOMETRIC = {
    "Euler": (diffrax.Euler(), "ito", 0.5, lambda h, b: 1 + GROWTH * h + VOLATILITY * b),
    "ItoMilstein": (
        diffrax.ItoMilstein(),
        "ito",
        1.0,
        lambda h, b: 1 + GROWTH * h + VOLATILITY * b + VOLATILITY**2 * (b**2 - h) / 2,
    ),
    "Heun": (
        diffrax.Heun(),
        "stratonovich",
        1.0,
        lambda h, b: 1 + (GROWTH * h + VOLATILITY * b) + (GROWTH * h + VOLATILITY * b) ** 2 / 2,
    ),
    "EulerHeun": (
        diffrax.EulerHeun(),
        "stratonovich",
        1.0,
        lambda h, b: 1 + GROWTH * h + VOLATILITY * b + VOLATILITY**2 * b**2 / 2,
    ),
}
GEOMETRIC["StratonovichMilstein"] = (diffrax.StratonovichMilstein(), *GEOMETRIC["EulerHeun"][1:])
GEOMETRIC["Midpoint"] = (diffrax.Midpoint(), *GEOMETRIC["Heun"][1:])
GEOMETRIC["Ralston"] = (diffrax.Ralston(), *GEOMETRIC["Heun"][1:])


def geometric(calculus):
    return mk.Model(LINE, drift=grow, noise=mk.Multiplicative(scale, calculus))


@pytest.mark.parametrize("name", GEOMETRIC)
def test_steps_of_geometric_brownian_motion(name):
    """The step is the textbook's, for each particle with its own increments."""
    solver, calculus, _, step = GEOMETRIC[name]
    start = ones(LINE, GROUPS * SIZE)
    run = mk.evolve(geometric(calculus), start, until=1.0, dt=1 / 32, path=PATH, scheme=solver)
    increments = [np.asarray(PATH.idiosyncratic.increment(k, 1 / 32, start.positions.shape)) for k in range(32)]
    np.testing.assert_allclose(run.final.positions, np.prod([step(1 / 32, b) for b in increments], axis=0), rtol=1e-13)


@pytest.mark.parametrize("name", ["Euler", "ItoMilstein", "Heun", "EulerHeun"])
def test_strong_order_with_multiplicative_noise(name):
    """X_1 = exp((μ − σ²/2)·1 + σB_1) for Itô, without the correction for Stratonovich, on the path of the run.

    Steps that are the same here, of StratonovichMilstein as of EulerHeun, need no second run.
    """
    solver, calculus, order, step = GEOMETRIC[name]
    rate = GROWTH - (VOLATILITY**2 / 2 if calculus == "ito" else 0)
    total = np.asarray(PATH.coarsen(32).idiosyncratic.increment(0, 1.0, (GROUPS * SIZE, 1))[:, 0])
    errors = np.stack(ends(geometric(calculus), solver)) - np.exp(rate + VOLATILITY * total)
    assert_order(rms(errors), [_mean_square(step, rate, h) ** 0.5 for h in STEPS], order)


def _mean_square(step, rate, h) -> float:
    """E|X_1 − X̂_1|², exactly: both are products of independent factors; Gauss–Hermite is exact to rounding."""
    node, weight = np.polynomial.hermite_e.hermegauss(40)
    weight = weight / weight.sum()
    b, n = np.sqrt(h) * node, round(1 / h)
    exact, approximate = np.exp(rate * h + VOLATILITY * b), step(h, b)
    second = lambda f, g: (weight @ (f * g)) ** n  # noqa: E731
    return second(exact, exact) - 2 * second(exact, approximate) + second(approximate, approximate)


def test_orders_with_additive_noise():
    """Euler for dX = −X dt + dB: strong order 1 and weak order 1 of the second moment, against a run 8 times finer."""
    model = mk.langevin(LINE, mk.potentials.Quadratic(1.0), beta=2.0)
    fine = mk.evolve(
        model, ones(LINE, GROUPS * SIZE), until=1.0, dt=1 / 512, path=PATH.refine(16), scheme=diffrax.Euler()
    )
    reference = np.asarray(fine.final.positions[:, 0])
    coarse = np.stack(ends(model, diffrax.Euler()))
    # X̂_1 = (1 − h)^n + Σ_k (1 − h)^{n−1−k} ΔB_k, so that differences are Gaussian with these weights on the fine steps.
    weights = {n: np.repeat((1 - 1 / n) ** np.arange(n - 1, -1, -1.0), 512 // n) for n in (8, 16, 32, 64, 512)}
    spread = [np.sqrt(np.mean((weights[n] - weights[512]) ** 2) + _mean_gap(n) ** 2) for n, _ in LEVELS]
    assert_order(rms(coarse - reference), spread, 1.0)
    second = [np.mean(weights[n] ** 2) + (1 - 1 / n) ** (2 * n) for n in (8, 16, 32, 64, 512)]
    gaps = np.abs(np.array(second[:-1]) - second[-1])
    assert_order(np.abs(np.mean((coarse**2 - reference**2).reshape(4, GROUPS, SIZE), axis=-1)), gaps, 1.0)
    for x, moment in zip(coarse, second, strict=False):
        assert abs(np.mean(x**2) - moment) < 5 * np.std(x**2) / np.sqrt(x.size)


def _mean_gap(n) -> float:
    return (1 - 1 / n) ** n - (1 - 1 / 512) ** 512


def test_the_first_particles_keep_their_noise():
    """Without interaction the first 5 of 12 particles are bitwise the 5-particle system."""
    model = mk.Model(CIRCLE, drift=lambda x, mu: jnp.cos(x), noise=mk.Multiplicative(ripple))
    x = 2 * jnp.pi * jax.random.uniform(jax.random.key(1), (12, 1))
    many, few = (mk.evolve(model, mk.Particles(CIRCLE, x[:n]), until=0.2, dt=0.01, path=PATH).final for n in (12, 5))
    np.testing.assert_array_equal(many.positions[:5], few.positions)


def shear(x, mu):
    """A 2 × 3 coefficient that is not diagonal and depends on both coordinates."""
    return jnp.stack([jnp.array([1.0, 0.0, 0.2]) * jnp.cos(x[1]), jnp.array([0.3, 0.5, 0.0]) * x[0] ** 2])


def test_milstein_by_its_formula():
    """y_i + b_i h + σ_ij ΔB_j + ½ σ_kj ∂_k σ_il (ΔB_j ΔB_l − h δ_jl), particle by particle."""
    x = jax.random.normal(jax.random.key(2), (4, 2))
    model = mk.Model(PLANE, drift=lambda x, mu: jnp.sin(x), noise=mk.Multiplicative(shear))
    run = mk.evolve(model, mk.Particles(PLANE, x), until=0.1, dt=0.1, path=PATH, scheme=diffrax.ItoMilstein())
    increments = PATH.idiosyncratic.increment(0, 0.1, (4, 3))
    for y, b, end in zip(x, increments, run.final.positions, strict=True):
        sigma, slope = shear(y, None), jax.jacobian(lambda point: shear(point, None))(y)
        area = 0.5 * jnp.einsum("kj,ilk,jl->i", sigma, slope, jnp.outer(b, b) - 0.1 * jnp.eye(3))
        np.testing.assert_allclose(end, y + 0.1 * jnp.sin(y) + sigma @ b + area, rtol=1e-14, atol=1e-14)


def test_milstein_takes_memory_in_proportion_to_particles():
    """diffrax's step for the whole system would hold n³ numbers."""
    model = mk.Model(CIRCLE, noise=mk.Multiplicative(ripple))

    def end(x):
        run = mk.evolve(model, mk.Particles(CIRCLE, x), until=0.1, dt=0.1, path=PATH, scheme=diffrax.ItoMilstein())
        return run.final.positions

    analysis = jax.jit(end).lower(jnp.zeros((3000, 1))).compile().memory_analysis()
    assert analysis.temp_size_in_bytes < 100 * 8 * 3000


@pytest.mark.parametrize("solver", [diffrax.Heun(), diffrax.Tsit5()], ids=["Heun", "Tsit5"])
def test_noise_free_runs_are_those_of_diffrax(solver):
    """The same steps as `diffeqsolve` takes, to rounding."""
    model = mk.langevin(LINE, mk.potentials.DoubleWell(), mk.kernels.Gaussian(0.8, 0.7), beta=jnp.inf)
    start = mk.Particles(LINE, jnp.linspace(-2, 2, 10)[:, None])
    ours = mk.evolve(model, start, until=1.0, dt=0.05, scheme=solver).final.positions

    def field(t, y, args):
        return model.velocity(y, mk.Particles(LINE, y))

    oracle = diffrax.diffeqsolve(diffrax.ODETerm(field), solver, 0.0, 1.0, 0.05, start.positions)
    np.testing.assert_allclose(ours, oracle.ys[-1], rtol=1e-13, atol=1e-13)


def test_a_constant_drift_translates():
    """On the torus x(t) = x + ct, wrapped, to the rounding of 50 steps of numbers below 10."""
    space, c = mk.Torus(2, (2.0, 3.0)), jnp.array([1.3, -0.7])
    x = space.uniform(jax.random.key(4), 20)
    end = mk.evolve(mk.Model(space, drift=lambda x, mu: c), mk.Particles(space, x), until=5.0, dt=0.1).final.positions
    assert jnp.all((end >= 0) & (end < jnp.array([2.0, 3.0])))
    assert jnp.max(space.distance(end, space.retract(x + 5 * c))) < 50 * 10 * 2.3e-16
