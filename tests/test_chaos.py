"""Distances from independence: correlation functions, laws of a few particles, empirical measures."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from mckean import catalogue, couplings, transport
from mckean.catalogue.mean_reversion import marginal_distance, marginal_excess, marginal_variation
from mckean.couplings import Marginals, marginals
from mckean.couplings._marginals import distances, median_gaps, occupation, transport_cost
from mckean.measures import Density, Gaussian, Particles, Uniform
from mckean.spaces import Euclidean, Torus
from mckean.statistics import average
from mckean.transport.empirical import two_atoms_distance, uniform_square_distance

_COMMON = 0.25
_GAPS = np.diff(stats.norm.ppf([0.125, 0.375, 0.625, 0.875]))


def _coordinate(x):
    return x[0]


def _square(x):
    return x[0] ** 2


def _exchangeable(rng, shape, n):
    """n particles of unit variance about a common part of variance ¼, mean 3: shape (*shape, n)."""
    return math.sqrt(_COMMON) * rng.standard_normal((*shape, 1)) + rng.standard_normal((*shape, n))


def _means(x, *functions):
    model = catalogue.ornstein_uhlenbeck().model
    one = lambda y: couplings.distinct_means(model, Particles(model.space, y[:, None]), functions=functions)  # noqa: E731
    return np.asarray(jax.jit(jax.vmap(one))(x.reshape(-1, x.shape[-1]))).reshape(*x.shape[:-1], -1)


def test_cumulants_are_unbiased():
    """X_i = 3 + Z/2 + Y_i: Cov(X_1, X_2) = ¼, κ(X_1, X_2, X_3²) = 2/16; over 4000 and 1000 studies, within 5σ.

    For three particles the jackknife leaves 2/(r(r − 1)) of the cumulant of a run's means, below 2 % at r = 16.
    """
    x = 3 + _exchangeable(np.random.default_rng(1), (4, 4000), 5)
    pairs = average(couplings.joint_cumulant(_means(x, _coordinate, _coordinate)).estimate.value)
    assert abs(pairs.value - _COMMON) < 5 * pairs.stderr
    x = _exchangeable(np.random.default_rng(2), (16, 4000), 4)
    triples = average(couplings.joint_cumulant(_means(x, _coordinate, _coordinate, _square)).estimate.value)
    assert abs(triples.value - 2 * _COMMON**2) < 5 * triples.stderr + 0.02 * 2 * _COMMON**2


def test_distinct_means_are_means_over_different_particles():
    x = np.random.default_rng(3).standard_normal(5)
    found = _means(x[None], _coordinate, _square, _square)[0]
    different = [(i, j, k) for i in range(5) for j in range(5) for k in range(5) if len({i, j, k}) == 3]
    assert found[2] == pytest.approx(np.mean([x[i] * x[j] ** 2 for i, j, _ in different]), rel=1e-12)
    assert found[6] == pytest.approx(np.mean([x[i] * x[j] ** 2 * x[k] ** 2 for i, j, k in different]), rel=1e-12)


def _on_cells(k: int, variance: float, common: float, cells: int = 4) -> np.ndarray:
    """P^k of the products of cells of equal N(0, v)-probability, X_i = √v Y_i + √c Z, by Gauss–Hermite."""
    edges = stats.norm.ppf(np.arange(cells + 1) / cells)
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    given = np.diff(stats.norm.cdf(edges - math.sqrt(common / variance) * nodes[:, None]), axis=1)
    letters = "abc"[:k]
    p = np.einsum("z," + ",".join(f"z{a}" for a in letters) + "->" + letters, weights, *[given] * k)
    return p.ravel() / weights.sum()


def _cost(q: np.ndarray, gaps: np.ndarray, k: int) -> float:
    """∫ψq, −Σ_axes ∇·(M^{−k}/gap² ∇ψ) = q, by dense least squares on a line of cells."""
    m = len(gaps) + 1
    step = np.diff(np.eye(m), axis=0)
    one, unit = step.T @ np.diag(gaps**-2) @ step, np.eye(m)
    axes = [[one if a == axis else unit for a in range(k)] for axis in range(k)]
    laplacian = sum(functools.reduce(np.kron, factors) for factors in axes) / m**k
    return float(q @ np.linalg.lstsq(laplacian, q)[0])


def _agree(found: Marginals, p: np.ndarray, deviation: float = 1.0) -> None:
    even = 1 / p.size
    k = round(math.log(p.size, 4))
    one = p.reshape(4, -1).sum(1)
    product = np.ravel(np.einsum(",".join("abc"[:k]), *[one] * k))
    exact = {
        "entropy": np.sum(p * np.log(p / even)),
        "dependence": np.sum(p * np.log(p / product)),
        "square": np.sum((p - even) ** 2) / even,
        "transport": _cost(p - even, deviation * _GAPS, k),
    }
    for name, value in exact.items():
        estimate = getattr(found, name).estimate
        assert abs(estimate.value[0] - value) < 5 * estimate.stderr[0] + 1e-12
    variation = found.variation.estimate
    exact = np.sum(np.maximum(p - even, 0))
    assert variation.value[0] < exact + 5 * variation.stderr[0]
    assert variation.value[0] > 0.9 * exact - 5 * variation.stderr[0]


def test_occupation_counts_between_the_edges():
    model = catalogue.ornstein_uhlenbeck().model
    points = Particles(model.space, jnp.array([[-2.0], [-0.1], [0.0], [0.4], [7.0]]))
    numbers = occupation(model, points, edges=jnp.array([-1.0, 0.0, 0.5]))
    np.testing.assert_array_equal(numbers, [1, 1, 2, 1])


@pytest.mark.parametrize("k", [1, 2, 3])
def test_marginals_of_gaussians(k):
    """6 particles with a common part of variance ¼, 16384 runs, 4 cells, against the exact probabilities."""
    x = _exchangeable(np.random.default_rng(4), (16384, 1), 6)
    edges = stats.norm.ppf(np.arange(1, 4) / 4)
    numbers = np.diff((x[..., None] < edges).sum(-2), prepend=0, append=6)[:, :, None]
    _agree(distances((6,), numbers, k, _GAPS), _on_cells(k, 1.0, _COMMON))


def test_the_largest_along_time_is_that_of_the_time():
    """Dependent particles at the second of two times, independent ones at the first: the same as at the second alone
    within 5σ; their estimates are independent but for three quarters of the runs, which the first leaves out."""
    rng = np.random.default_rng(9)
    x = np.stack([rng.standard_normal((4096, 6)), _exchangeable(rng, (4096,), 6)], axis=1)
    edges = stats.norm.ppf(np.arange(1, 4) / 4)
    numbers = np.diff((x[..., None] < edges).sum(-2), prepend=0, append=6)[:, None]
    both, alone = distances((6,), numbers, 2, _GAPS), distances((6,), numbers[:, :, 1:], 2, _GAPS)
    for name in ("entropy", "dependence", "square", "transport", "variation"):
        a, b = (getattr(each, name).estimate for each in (both, alone))
        assert abs(a.value[0] - b.value[0]) < 5 * b.stderr[0]
        assert 0.8 < a.stderr[0] / b.stderr[0] < 1.6


def test_the_noise_floor_is_subtracted():
    """Independent particles: χ² and TV are zero within their noise, and χ² is not without the jackknife."""
    rng = np.random.default_rng(5)
    numbers = rng.multinomial(6, [0.25] * 4, size=(200, 64, 1, 1)).astype(float)
    found = [distances((6,), one, 2, _GAPS) for one in numbers]
    corrected = average([one.square.estimate.value[0] for one in found])
    pairs = np.einsum("srkta,srktb->sab", numbers, numbers) / 64 - numbers.mean(1)[:, 0, 0, :, None] * np.eye(4)
    raw = average(16 * np.sum((pairs / 30 - 1 / 16) ** 2, axis=(1, 2)))
    variation = average([one.variation.estimate.value[0] for one in found])
    assert abs(corrected.value) < 5 * corrected.stderr
    assert raw.value > 20 * raw.stderr
    assert abs(variation.value) < 5 * variation.stderr


def _euler(steps: int, dt: float, start: float, rate: float) -> float:
    """Variance after Euler steps of dX = −rate·X dt + √2 dB."""
    v = start
    for _ in range(steps):
        v = (1 - rate * dt) ** 2 * v + 2 * dt
    return v


def test_linear_model_in_law():
    """Ornstein–Uhlenbeck, a = c = β = 1, four Euler steps from N(0, 0.1): Cov(X_1, X_2) = (v_c − v)/N exactly.

    v and v_c the variances of the scheme's limit and of √N X̄, of rates a + c and a; and P² on cells.
    """
    model, law, steps, dt = catalogue.ornstein_uhlenbeck(1.0, 1.0, 1.0).model, Gaussian(0.0, 0.1), 4, 0.125
    alone, centre = _euler(steps, dt, 0.1, 2.0), _euler(steps, dt, 0.1, 1.0)
    how = {"sizes": (4, 16), "until": steps * dt, "dt": dt, "replicas": 4096, "key": jax.random.key(6)}
    rate = couplings.chaos_rate(model, law, _coordinate, **how)
    exact = (centre - alone) / np.array([4, 16])
    assert np.all(np.abs(rate.errors.value - exact) < 5 * rate.errors.stderr)
    assert abs(rate.slope.value + 1) < 5 * rate.slope.stderr
    assert not rate.verdict(-0.5)
    assert not rate.verdict(-1.5)
    how["sizes"] = (4,)
    found = marginals(model, law, Gaussian(0.0, alone), k=2, cells=4, **how)
    _agree(found, _on_cells(2, alone, (centre - alone) / 4), math.sqrt(alone))


def test_transport_is_that_of_gaussian_pairs_and_of_waves():
    """W_2² = Σ(√(1 ± c) − 1)² for a correlation c, from below, with 1 − 0.026 on 32 cells and less on more cells; and
    a²/4 for density 1 + a cos(x − y) about the uniform law of two phases, cells and differences both known."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    c, lost = 0.01, []
    for m in (16, 32):
        edges = stats.norm.ppf(np.arange(m + 1) / m)
        given = np.diff(stats.norm.cdf((edges - math.sqrt(c) * nodes[:, None]) / math.sqrt(1 - c)), axis=1)
        pairs = np.einsum("z,za,zb->ab", weights / weights.sum(), given, given).ravel()
        cost = transport_cost(pairs - m**-2, median_gaps(Gaussian(0.0, 1.0), m), 2)
        lost.append(1 - cost / ((math.sqrt(1 + c) - 1) ** 2 + (math.sqrt(1 - c) - 1) ** 2))
    assert 0 < lost[1] < 0.03
    assert lost[1] < lost[0] / 2
    a, m = 0.3, 8
    x = 2 * math.pi * np.arange(m) / m
    wave = a * np.sinc(1 / m) ** 2 * np.cos(x[:, None] - x).ravel() / m**2
    cost = transport_cost(wave, np.full(m, 2 * math.pi / m), 2)
    assert cost == pytest.approx(a**2 / 4 * np.sinc(1 / m) ** 2, rel=1e-12)


@pytest.mark.parametrize("dim", [1, 3])
@pytest.mark.parametrize("p", [1, 2, 3.5])
def test_distance_of_gaussian_marginals_in_every_order(p, dim):
    """W_p between the laws of |z| of N(0, 2I) and N(0, 2sI), by quantiles, which bounds it from below, s = 1.3."""
    first, second = (stats.chi(dim, scale=math.sqrt(v)) for v in (2.0, 2.6))
    exact = integrate.quad(lambda u: abs(first.ppf(u) - second.ppf(u)) ** p, 0, 1)[0] ** (1 / p)
    assert marginal_distance(0.3, 2.0, p, dim) == pytest.approx(exact, rel=1e-6)


def test_constants_of_the_mean_distance():
    """Uniform on [0, 3], in closed form; N(0, 4); two atoms, E|B/N − ½| → √(2/π)/2√N."""
    box = Density.from_function(Euclidean(1).grid((5,), (0.0,), (3.0,)), lambda x: 1.0 + 0 * x[0])
    assert transport.mean_distance_constant(box) == pytest.approx(3 * math.sqrt(2 / math.pi) * math.pi / 8, rel=1e-12)
    assert transport.mean_distance_constant(Gaussian(0.0, 4.0)) == pytest.approx(2 * 1.288379190, rel=1e-7)
    atoms = Particles(Euclidean(1), np.array([[0.0], [1.0]]))
    assert transport.mean_distance_constant(atoms) == pytest.approx(math.sqrt(2 / math.pi) / 2, rel=1e-12)


@pytest.mark.parametrize("dim", [1, 3])
@pytest.mark.parametrize("excess", [-0.4, 0.02, 3.0])
def test_variation_is_the_integral(excess, dim):
    """Densities of |z| of N(0, I) and N(0, sI)."""
    scale = math.sqrt(1 + excess)
    gap = lambda x: abs(stats.chi.pdf(x, dim) - stats.chi.pdf(x, dim, scale=scale)) / 2  # noqa: E731
    assert marginal_variation(excess, dim) == pytest.approx(integrate.quad(gap, 0, 25, limit=400)[0], abs=1e-7)


def test_uniform_points_on_interval_and_circle():
    """E W_2² = L²/12N on the circle for any N; L²/3(N + 1) between two clouds on the interval."""
    circle, line, key = Torus(1, 3.0), Euclidean(1), jax.random.key(7)
    flat = Density.from_function(circle.grid(8), lambda x: 1.0 + 0 * x[0])
    for law, exact in ((flat, lambda n: 9 / (12 * n)), (Uniform(line, 0.0, 3.0), lambda n: 9 / (3 * (n + 1)))):
        found = transport.empirical_distances(law, (3, 12), key, 128).estimate
        assert np.all(np.abs(found.value - [exact(3), exact(12)]) < 5 * found.stderr)
    assert uniform_square_distance(3, 3.0, periodic=True) == pytest.approx(0.25, rel=1e-14)


@pytest.mark.parametrize("n", [1, 5])
def test_uniform_distance_is_that_of_ordered_points(n):
    """E∫(F_N⁻¹(u) − u)² du from the mean and variance of the i-th of n ordered points, a beta law."""
    exact = 0.0
    for i in range(1, n + 1):
        ordered = stats.beta(i, n + 1 - i)
        levels = np.array([i - 1, i]) / n
        exact += ordered.var() / n + np.diff((levels - ordered.mean()) ** 3)[0] / 3
    assert uniform_square_distance(n, 2.0, periodic=False) == pytest.approx(4 * exact, rel=1e-12)


@pytest.mark.parametrize("n", [100, 1000])
def test_two_atoms_have_the_rate_one_quarter(n):
    """C N^{−1/4}(1 + 2ζ(−½)√(2/π) N^{−3/4}/C), C = E|Z/2|^{1/2}: the sum over the lattice; the rest is below 1/N."""
    limit = math.gamma(0.75) / (2**0.25 * math.sqrt(math.pi))
    lattice = 2 * -0.2078862249773546 * math.sqrt(2 / math.pi) * n**-0.75 / limit
    assert abs(two_atoms_distance(n) * n**0.25 / limit - 1 - lattice) < 1 / n


def test_covariance_in_two_wells():
    """N = 2 by quadrature over both particles, H = V(x) + V(y) + θ(x − y)²/4; as N → ∞, v·βθv/(1 − βθv) of linear
    response, v the variance of one particle, up to 1/N."""
    beta, theta = 0.7, 1.3
    x = np.linspace(-5, 5, 801)
    well = x**4 / 4 - x**2 / 2
    weight = np.exp(-beta * (well[:, None] + well + theta / 4 * (x[:, None] - x) ** 2))
    exact = x @ weight @ x / weight.sum()
    assert catalogue.pair_covariance(2, beta, theta) == pytest.approx(exact, rel=1e-10)
    alone = np.exp(-beta * (well + theta * x**2 / 2))
    v = x**2 @ alone / alone.sum()
    n = 100_000
    assert n * catalogue.pair_covariance(n, beta, theta) == pytest.approx(
        v * beta * theta * v / (1 - beta * theta * v), rel=100 / n
    )


def test_exponents_of_fournier_and_guillin():
    assert [transport.fournier_guillin(d, p) for d, p in ((1, 1), (1, 2), (3, 1), (4, 2), (6, 2))] == pytest.approx(
        [0.5, 0.5, 1 / 3, 0.5, 1 / 3]
    )


_KURAMOTO = {"until": 0.1, "dt": 0.1, "replicas": 8}
_FLAT = Density.from_function(Torus(1).grid(8), lambda x: 1.0 + 0 * x[0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda m, u, v: couplings.chaos_rate(
                m, u, (_square,) * 3, sizes=(2, 8), **_KURAMOTO, key=jax.random.key(8)
            ),
            "3 particles needs as many",
        ),
        (
            lambda m, u, v: couplings.chaos_rate(
                m, u, (_square,) * 4, sizes=(8, 16), **_KURAMOTO, key=jax.random.key(8)
            ),
            "2 or 3 functions",
        ),
        (lambda m, u, v: marginals(m, u, v, k=4, sizes=(8,), **_KURAMOTO, key=jax.random.key(8)), "are not estimated"),
        (
            lambda m, u, v: marginals(m, u, v, k=3, sizes=(2, 8), **_KURAMOTO, key=jax.random.key(8)),
            "3 particles needs as many",
        ),
        (
            lambda m, u, v: marginals(m, u, v, k=2, sizes=(8,), until=0.1, dt=0.1, replicas=7, key=jax.random.key(8)),
            "four replicas",
        ),
        (lambda m, u, v: marginals(m, u, v, k=3, sizes=(8,), cells=17, **_KURAMOTO, key=jax.random.key(8)), "products"),
        (
            lambda m, u, v: marginals(_PLANE.model, u, v, k=1, sizes=(8,), **_KURAMOTO, key=jax.random.key(8)),
            "see chaos_rate",
        ),
        (lambda m, u, v: marginal_excess(4, 3, 1.0, 0.5, 1.0), "1 to N"),
        (lambda m, u, v: catalogue.pair_covariance(1, 1.0, 1.0), "two or more"),
        (lambda m, u, v: marginal_variation(-1.0), "above −1"),
        (lambda m, u, v: marginal_distance(0.1, 1.0, 0.5), "at least 1"),
        (lambda m, u, v: transport.mean_distance_constant(v), "on the line"),
        (lambda m, u, v: transport.fournier_guillin(0, 1.0), "dimension d ≥ 1"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call(catalogue.kuramoto(1.0).model, Uniform(Torus(1)), _FLAT)


_PLANE = catalogue.ornstein_uhlenbeck(dim=2)
