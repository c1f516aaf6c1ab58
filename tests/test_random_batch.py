"""Random batches: the law of the force, and the orders in time against the full system on the same path."""

import functools
import itertools
import math
import re

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from schemes import CIRCLE, CLOUD, LINE, PLANE, crowd, frozen, linear, probe, thermal
from tables import KERNELS, cloud, compiled

import mckean as mk
from mckean.dynamics.random_batch import batch_force

KEY = jax.random.key(7)
PATH = mk.Brownian(KEY)
BOWL = mk.potentials.Quadratic(1.0)


def variance(n, p) -> float:
    """((N−1)/N)² times the mean over particles of 1/(s−1) − 1/(N−1), s the size of their batch: the factor of Λ."""
    size, larger = divmod(n, n // p)
    sizes = np.repeat([size + 1, size], [larger * (size + 1), (n // p - larger) * size])
    return ((n - 1) / n) ** 2 * (np.mean(1 / (sizes - 1)) - 1 / (n - 1))


@compiled
def pair_gradients(kernel, particles):
    """∇W_s(x_i − x_j), shape (n, n, d)."""
    x = particles.positions
    return jax.vmap(jax.vmap(kernel.gradient))(particles.space.displacement(x[:, None], x[None, :]))


@pytest.mark.parametrize("name", KERNELS)
def test_a_force_is_that_of_the_pairs_of_its_batch(name):
    """7 particles with weights, in batches of 4 and 3, for every kernel."""
    kernel, particles = KERNELS[name].kernel, cloud(KERNELS[name].space, 7, weighted=True)
    permutation = np.array([3, 6, 0, 5, 2, 1, 4])
    together = np.zeros((7, 7))
    for batch in (permutation[:4], permutation[4:]):
        together[np.ix_(batch, batch)] = 6 / (len(batch) - 1)
    gradients = pair_gradients(kernel, particles)
    expected = -np.einsum("ij,j,ijd->id", together, particles.weights, gradients)
    force = compiled(batch_force)(kernel, particles, 3, jnp.asarray(permutation))
    # The same few gradients, whose series' terms may be added up in another order: a thousand roundings of 1e-16.
    np.testing.assert_allclose(force, expected, rtol=0, atol=1e-13 * max(1.0, np.abs(gradients).max()))


@pytest.mark.parametrize(("n", "p"), [(5, 2), (6, 2), (6, 3)])
def test_the_force_over_all_deals(n, p):
    """Its mean over all n! orders is the full force, its variance the paper's, to the rounding of their sums."""
    kernel, particles = mk.kernels.Gaussian(2.0, 0.7), cloud(PLANE, n)
    deals = jnp.asarray(list(itertools.permutations(range(n))))
    forces = np.asarray(jax.jit(jax.vmap(lambda order: batch_force(kernel, particles, p, order)))(deals))
    exact = np.asarray(mk.interactions.force(kernel, particles, particles.positions))
    np.testing.assert_allclose(forces.mean(axis=0), exact, rtol=0, atol=1e-14)
    pairs = np.asarray(pair_gradients(kernel, particles))
    others = np.stack([np.delete(row, i, axis=0) for i, row in enumerate(pairs)])
    spread = np.sum((others - others.mean(axis=1, keepdims=True)) ** 2, axis=(1, 2)) / (n - 2)
    found = np.mean(np.sum((forces - exact) ** 2, axis=-1), axis=0)
    np.testing.assert_allclose(found, variance(n, p) * spread, rtol=1e-12)


def test_the_weighted_force_over_all_deals():
    """With weights, one of them 0, the mean is −Σ_j w_j ∇W_s(x_i − x_j)."""
    weights = jnp.array([0.4, 0.0, 0.0, 0.25, 0.35])
    particles = mk.Particles(PLANE, cloud(PLANE, 5).positions, weights)
    deals = jnp.asarray(list(itertools.permutations(range(5))))
    for kernel in (mk.kernels.Gaussian(2.0, 0.7), mk.kernels.Quadratic(1.0)):
        forces = jax.jit(jax.vmap(lambda order, k=kernel: batch_force(k, particles, 2, order)))(deals)
        exact = mk.interactions.force(kernel, particles, particles.positions)
        np.testing.assert_allclose(np.mean(forces, axis=0), exact, rtol=0, atol=1e-14)


@pytest.mark.parametrize("scheme", [mk.RandomBatch(2), mk.RandomBatch(2, key=KEY)], ids=["path", "key"])
def test_batches_of_a_run_are_uniform_and_fresh(scheme):
    """Each of 15 pairs is together with probability 1/5, in one step, and in the next whatever was in this."""
    steps = 10000
    deals = np.asarray(jax.jit(jax.vmap(lambda k: scheme.deal(6, PATH, k)))(jnp.arange(steps)))
    batch = np.argsort(deals, axis=1) // 2
    i, j = np.triu_indices(6, 1)
    together = batch[:, i] == batch[:, j]
    assert np.all(together.sum(axis=1) == 3)
    again = together[1:] & together[:-1]
    # Standard errors of 1/5 and, where steps are independent, of 1/25: neighbours of these share a step.
    assert np.all(np.abs(together.mean(axis=0) - 1 / 5) < 5 * math.sqrt(0.2 * 0.8 / steps))
    assert np.all(np.abs(again.mean(axis=0) - 1 / 25) < 5 * math.sqrt(0.04 * (0.96 + 2 * 0.16) / steps))


def slope_weights(steps, correction: bool) -> np.ndarray:
    """The weights of the values y in the exponent q of the least-squares fit y = const + q log h (+ b h)."""
    columns = [np.ones_like(steps), np.log(steps), steps][: 3 if correction else 2]
    return np.linalg.pinv(np.stack(columns, axis=1))[1:]


def log_mean(samples) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of means over replicas, and what each replica adds to them, to first order: (levels, replicas)."""
    mean = np.mean(samples, axis=1, keepdims=True)
    return np.log(np.abs(mean[:, 0])), samples / mean - 1


def standard_error(contributions) -> float:
    return float(np.std(contributions, ddof=1) / np.sqrt(contributions.shape[-1]))


def ends(model, start, replicas, n, scheme) -> np.ndarray:
    """The positions at time 1 of many runs in n steps, each on its own path, whose base grid is 1/32."""

    def end(key):
        path = mk.Brownian(key)
        path = path.refine(n // 32) if n > 32 else path.coarsen(32 // n)
        return mk.evolve(model, start, until=1.0, dt=1 / n, path=path, scheme=scheme).final.positions

    return np.asarray(compiled(jax.vmap(end))(jax.random.split(KEY, replicas)))


LEVELS = (8, 16, 32, 64)


@pytest.fixture(scope="module")
def gaussian_errors():
    """(1/N)Σ_i|X_i − X̃_i|² by replica, for p and the number of steps, X the full system in steps 4 times finer."""
    model = mk.langevin(PLANE, BOWL, mk.kernels.Gaussian(2.0, 0.7), beta=2.0)
    start = mk.Particles(PLANE, jax.random.normal(jax.random.key(5), (16, 2)))
    full = ends(model, start, 500, 256, mk.ParticleScheme())
    runs = [(2, n) for n in LEVELS] + [(5, n) for n in LEVELS[2:]]
    square = lambda z: np.mean(np.sum(z**2, axis=-1), axis=-1)  # noqa: E731
    return {(p, n): square(ends(model, start, 500, n, mk.RandomBatch(p)) - full) for p, n in runs}


def test_strong_order(gaussian_errors):
    """1/2 for a smooth repulsion: the mean square error is A h(1 + bh + O(h²)), b from the same fit.

    Errors of the batches are uncorrelated with those of Euler's method, whose mean square is of order h²: hence no
    powers in between. The O(h²) that is left out is taken as (bh)².
    """
    steps = np.array([1 / n for n in LEVELS])
    y, parts = log_mean(np.stack([gaussian_errors[2, n] for n in LEVELS]))
    order, correction = slope_weights(steps, correction=True)
    error = standard_error(order @ parts / 2)
    left_out = np.abs(order) @ (correction @ y * steps) ** 2 / 2
    assert abs(order @ y / 2 - 1 / 2) < 4 * error + left_out
    assert 4 * error + left_out < 0.15


def test_strong_error_by_the_size_of_batches(gaussian_errors):
    """The mean square error over h goes as the variance of the force for h → 0: p = 5 (batches of 6, 5, 5) to p = 2."""
    fine = 1 / LEVELS[-1]
    y, parts, bends = [], [], []
    for p in (2, 5):
        values, contributions = log_mean(np.stack([gaussian_errors[p, n] for n in LEVELS[2:]]))
        y.append(2 * values[1] - values[0] + math.log(2) - math.log(variance(16, p)))
        parts.append(2 * contributions[1] - contributions[0])
        bends.append((values[0] - values[1] - math.log(2)) / fine)
    left_out = sum(2 * (b * fine) ** 2 + (2 * b * fine) ** 2 for b in bends)
    bound = 4 * standard_error(parts[1] - parts[0]) + left_out
    assert abs(y[1] - y[0]) < bound
    assert bound < 0.25


SPRING, PULL, BETA, N = 1.0, 1.0, 2.0, 8
LINEAR = [(2, 4), (2, 8), (2, 16), (2, 32), (4, 8)]


def linear_moments(p, n, start) -> tuple[float, float]:
    """(G, F) = (1/N)Σ_i E(Ỹ_i², Y_i²) at time 1 after n steps, exactly: Ỹ in batches of p, Y the full system.

    Y_i is X_i − their mean, V = kx²/2 and W = cz²/2. A step of h in batches multiplies Ỹ_i − Ỹ_B by 1 − kh − ah, with
    a = c (N−1)/N p/(p−1), and the mean Ỹ_B of a batch by 1 − kh, where E Ỹ_B² = G (N−p)/(p(N−1)): G is multiplied by
    (1−kh)² − 2(1−kh)ch + ach², in full with c for a. On one path E ỸY = F, the mean of a step over all deals being
    the full step, so that G − F is also the mean square of Ỹ − Y.
    """
    h = 1 / n
    factors = [(1 - SPRING * h) ** 2 - 2 * (1 - SPRING * h) * PULL * h + a * PULL * h**2 for a in (_pull(p), PULL)]
    noise = 2 / BETA * h * (N - 1) / N
    g, f = (start * q**n + noise * np.sum(q ** np.arange(n)) for q in factors)
    return g, f


def _pull(p) -> float:
    return PULL * (N - 1) / N * p / (p - 1)


@functools.cache
def linear_runs():
    """By p and n: Ỹ and Y of an attraction that is solved exactly; and the second moment that they start from."""
    model = mk.langevin(LINE, mk.potentials.Quadratic(SPRING), mk.kernels.Quadratic(PULL), beta=BETA)
    start = mk.Particles(LINE, jnp.linspace(-2.0, 2.0, N)[:, None])
    full = {n: ends(model, start, 12000, n, mk.ParticleScheme())[..., 0] for n in (4, 8, 16, 32)}
    found = {(p, n): (ends(model, start, 12000, n, mk.RandomBatch(p))[..., 0], full[n]) for p, n in LINEAR}
    return found, float(np.mean(np.square(start.positions)))


def test_moments_of_a_linear_model():
    """The mean is that of the full system; second moments, weak and strong error are those of theory."""
    found, start = linear_runs()
    for (p, n), (x, y) in found.items():
        np.testing.assert_allclose(x.mean(axis=1), y.mean(axis=1), rtol=0, atol=n * 10 * 2.3e-16)
        x, y = (positions - positions.mean(axis=1, keepdims=True) for positions in (x, y))
        g, f = linear_moments(p, n, start)
        for samples, expected in ((x**2, g), (y**2, f), (x**2 - y**2, g - f), ((x - y) ** 2, g - f)):
            by_replica = samples.mean(axis=1)
            assert abs(by_replica.mean() - expected) < 4.5 * standard_error(by_replica)


def test_orders_of_a_linear_model():
    """The weak and the mean square error fall with dt as in theory, which is as dt in the limit."""
    found, start = linear_runs()
    levels = np.array([4, 8, 16, 32])
    (weights,) = slope_weights(1 / levels, correction=False)

    def theory(refinement):
        return weights @ np.log([np.subtract(*linear_moments(2, refinement * n, start)) for n in levels])

    assert abs(theory(64) - 1) < 0.01
    assert abs(theory(1) - 1) < 0.25
    for measured in (lambda x, y: x**2 - y**2, lambda x, y: (x - y) ** 2):
        y, parts = log_mean(np.stack([np.mean(measured(*found[2, n]), axis=1) for n in levels]))
        error = standard_error(weights @ parts)
        assert abs(weights @ y - theory(1)) < 4 * error
        assert error < 0.06


def towards(x, mu):
    """A drift that depends on the law of all particles."""
    return jnp.sin(x) * mu.integrate(lambda y: jnp.cos(y[0]))


def gathered(theta):
    return mk.Model(CIRCLE, interaction=mk.kernels.Cosine(theta), drift=towards, noise=mk.Multiplicative(crowd))


@pytest.mark.parametrize(("solver", "p"), [(diffrax.Euler(), 12), (diffrax.ItoMilstein(), 7)], ids=["p = N", "p > N/2"])
def test_one_batch_is_the_full_system(solver, p):
    """And so is strength 0 in pairs, to the rounding of 8 steps of numbers below 10."""
    options = {"until": 0.08, "dt": 0.01, "path": PATH}

    def gap(theta, p):
        schemes = mk.ParticleScheme(solver), mk.RandomBatch(p, solver)
        full, run = (mk.evolve(gathered(theta), CLOUD, scheme=s, **options).final.positions for s in schemes)
        return jnp.max(CIRCLE.distance(full, run))

    rounding = 8 * 10 * 2.3e-16
    assert gap(0.8, p) < rounding
    if p == 12:
        assert gap(0.0, 2) < rounding
        assert gap(0.8, 2) > 1e-3


def test_the_stages_of_a_step_share_its_batches():
    """For W = c z²/2 a pair keeps its mean, and Heun multiplies its difference by 1 − z + z²/2, z = 2ch(N−1)/N."""
    model = mk.Model(LINE, interaction=mk.kernels.Quadratic(3.0))
    x = jnp.array([[-2.0], [-0.7], [0.1], [1.9], [3.0], [4.5]])
    scheme = mk.RandomBatch(2, diffrax.Heun(), key=KEY)
    end = mk.evolve(model, mk.Particles(LINE, x), until=0.1, dt=0.1, scheme=scheme).final.positions
    z = 2 * 3.0 * 0.1 * 5 / 6
    for i, j in np.asarray(scheme.deal(6, None, jnp.asarray(0))).reshape(3, 2):
        np.testing.assert_allclose(end[i] + end[j], x[i] + x[j], rtol=0, atol=1e-14)
        np.testing.assert_allclose(end[i] - end[j], (1 - z + z**2 / 2) * (x[i] - x[j]), rtol=1e-13)


def look(model, mu):
    return probe(mu)


@pytest.mark.parametrize(
    ("make", "scheme"),
    [(thermal, mk.RandomBatch(5)), (frozen, mk.RandomBatch(5, diffrax.Tsit5(), key=KEY))],
    ids=["path", "key"],
)
def test_runs_are_reproduced(make, scheme):
    """Bitwise, however the run is cut and looked at; another path or key gives another run."""
    model = make(0.8)

    def run(start=0, until=40, measure=CLOUD, scheme=scheme, path=PATH, **options):
        span = {"start": 0.01 * start, "until": 0.01 * until, "dt": 0.01}
        return mk.evolve(model, measure, path=path, scheme=scheme, **span, **options).final

    whole = run()
    looks = [{"observe": {"look": look}, "every": 8}] if scheme.key is None else []
    for other in (run(5, 40, run(0, 5)), *(run(**options) for options in looks)):
        np.testing.assert_array_equal(other.positions, whole.positions)
    key = jax.random.key(8)
    other = mk.RandomBatch(5, scheme.solver, key=key) if scheme.key is not None else scheme
    assert jnp.max(jnp.abs(run(scheme=other, path=mk.Brownian(key)).positions - whole.positions)) > 1e-4


def test_batches_are_redrawn_on_one_path():
    """A key gives other batches, which a path's own do not follow; without noise the path does not matter."""
    deals = [
        mk.RandomBatch(2, key=key).deal(40, path, jnp.asarray(3)).tolist()
        for path in (PATH, None)
        for key in (KEY, jax.random.key(8))
    ]
    assert deals[:2] == deals[2:]
    assert deals[0] != deals[1]
    assert mk.RandomBatch(2).deal(40, PATH, jnp.asarray(3)).tolist() not in deals


def test_transformed_runs_are_the_runs():
    """vmap over paths and a parameter, and a gradient, through batches of two sizes."""

    def run(theta, key):
        options = {"until": 0.04, "dt": 0.01, "path": mk.Brownian(key), "scheme": mk.RandomBatch(5)}
        return probe(mk.evolve(thermal(theta), CLOUD, **options).final)

    step = 1e-4
    thetas, keys = jnp.array([0.8, 0.8 + step, 0.8 - step]), jnp.stack([KEY, KEY, KEY])
    values, slopes = jax.jit(jax.vmap(jax.value_and_grad(run)))(thetas, keys)
    assert abs(values[1] - run(thetas[1], KEY)) < 1e-14
    # The difference quotient errs by f'''h²/6 ~ 1e-9 and by rounding, 1e-16/h = 1e-12.
    assert abs(slopes[0] - (values[1] - values[2]) / (2 * step)) < 1e-8


def test_many_batches_are_summed_block_by_block():
    """More particles than are summed at once: 3 in the first batch, pairs in the others."""
    n, kernel = 9001, mk.kernels.Gaussian(2.0, 0.7)
    particles = cloud(LINE, n)
    permutation = np.random.default_rng(0).permutation(n)
    force = np.asarray(compiled(batch_force)(kernel, particles, 2, jnp.asarray(permutation)))[permutation, 0]
    x = np.asarray(particles.positions)[permutation, 0]
    slope = lambda z: -2.0 * z / 0.7**2 * np.exp(-0.5 * z**2 / 0.7**2) * (n - 1) / n  # noqa: E731
    np.testing.assert_allclose(force[:3], -slope(x[:3, None] - x[:3]).sum(axis=1) / 2, rtol=0, atol=1e-14)
    np.testing.assert_allclose(force[3::2], -slope(x[3::2] - x[4::2]), rtol=0, atol=1e-14)
    np.testing.assert_allclose(force[4::2], -force[3::2], rtol=0, atol=1e-14)


def test_precision_follows_the_measure():
    single = mk.measures.cast(CLOUD, jnp.float32)
    options = {"until": 0.02, "dt": 0.01, "path": PATH, "scheme": mk.RandomBatch(5)}
    assert jax.eval_shape(lambda mu: mk.evolve(thermal(0.8), mu, **options).final, single).positions.dtype == "float32"


def refused(message, model=None, measure=CLOUD, scheme=None, **options):
    model = thermal(0.8) if model is None else model
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        mk.evolve(model, measure, until=0.1, dt=0.01, **({"path": PATH, "scheme": scheme} | options))
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(".")


@pytest.mark.parametrize("batch", [1, 0, -2, True])
def test_a_batch_is_of_two_or_more(batch):
    with pytest.raises(ValueError, match=re.escape(f"2 particles or more, but batch = {batch!r} was given.")):
        mk.RandomBatch(batch)


def test_a_key_is_a_typed_key():
    with pytest.raises(ValueError, match=r"randomness needs one typed key, jax\.random\.key\(seed\);"):
        mk.RandomBatch(2, key=jax.random.PRNGKey(3))


def test_refusals():
    refused("batches of 13 particles cannot be made of 12.", scheme=mk.RandomBatch(13))
    refused("batches of 2 particles cannot be made of 1.", linear(0.5), cloud(LINE, 1), mk.RandomBatch())
    free = mk.langevin(CIRCLE, beta=2.0)
    refused("not the drift b, but this model has no W: use ParticleScheme().", free, scheme=mk.RandomBatch())
    refused("give the scheme a key, RandomBatch(key=jax.random.key(seed)).", frozen(0.8), scheme=mk.RandomBatch())
    refused("this model has noise: give the run a path", scheme=mk.RandomBatch(key=KEY), path=None)
    bump = mk.Density.from_function(CIRCLE.grid(16), lambda x: 1 + 0.5 * jnp.cos(x[0]))
    refused("the scheme RandomBatch moves Particles, but the measure is Density", measure=bump, scheme=mk.RandomBatch())
    refused("ShARK needs a Lévy area", scheme=mk.RandomBatch(2, diffrax.ShARK()))
    refused("Dopri5 is for ordinary differential equations", scheme=mk.RandomBatch(2, diffrax.Dopri5()))
    refused("the model lives on", measure=cloud(LINE, 4), scheme=mk.RandomBatch())
    poles = mk.Model(LINE, drift=lambda x, mu: 1 / x, interaction=mk.kernels.Quadratic(1.0))
    at_pole = mk.Particles(LINE, jnp.array([[1.0], [0.0]]))
    refused("is not finite at 1 of the 2 points", poles, at_pole, mk.RandomBatch(key=KEY))


def test_no_full_sum(monkeypatch):
    """Neither the check of a run nor its steps evaluate the sum over all pairs, which may be out of reach."""

    def out_of_reach(*arguments):
        raise AssertionError("the sum over all pairs was evaluated")

    def trace(scheme):
        run = lambda mu: mk.evolve(linear(0.3), mu, until=0.02, dt=0.01, path=PATH, scheme=scheme).final  # noqa: E731
        jax.eval_shape(run, cloud(LINE, 101))

    monkeypatch.setattr(mk.interactions.PowerSums, "force", out_of_reach)
    trace(mk.RandomBatch(2))
    with pytest.raises(AssertionError, match="all pairs"):
        trace(mk.ParticleScheme())
