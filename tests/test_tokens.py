"""What is looked at in tokens, against the matrix of all their overlaps."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.sparse import csgraph
from scipy.special import eval_chebyt, eval_gegenbauer, eval_legendre, iv, logsumexp

import mckean as mk
from mckean.catalogue import toy_transformer
from mckean.interactions import Attention
from mckean.observables import pairs
from mckean.observables.harmonics import gegenbauer, zonal, zonal_pairs
from mckean.observables.pairs import attention_energy, clusters, log_attention_energy, overlap_histogram
from mckean.observables.tokens import alignment, effective_rank, kappa, mean_overlap, overlap_variance, overlaps


def tokens(d: int, n: int, seed: int = 0) -> mk.Particles:
    return mk.Particles(mk.Sphere(d), mk.Sphere(d).uniform(jax.random.key(seed), n))


def model(d: int) -> mk.Model:
    return toy_transformer(d).model


def polynomials(d: int, degree: int, t):
    """P_0 … P_degree by scipy."""
    known = {2: eval_chebyt, 3: eval_legendre}
    half = d / 2 - 1
    one = lambda k: eval_gegenbauer(k, half, t) / eval_gegenbauer(k, half, 1.0)  # noqa: E731
    return np.stack([known[d](k, t) if d in known else one(k) for k in range(degree + 1)])


@pytest.mark.parametrize("d", [2, 5])
def test_pairs_in_tiles_are_those_of_the_matrix(d, monkeypatch):
    """Seven tiles of padded size, and every statistic of the matrix."""
    monkeypatch.setattr(pairs, "_TILE", 8)
    cloud, axis, beta, bins = tokens(d, 50), jnp.zeros(d).at[1].set(1.0), 2.5, 11
    observables = {
        "histogram": overlap_histogram(bins),
        "variance": overlap_variance,
        "pairs": zonal_pairs(4),
        "axis": zonal(axis, degree=4),
        "energy": log_attention_energy(beta),
    }
    seen = jax.jit(lambda mu: {name: f(model(d), mu) for name, f in observables.items()})(cloud)
    gram = np.asarray(cloud.positions @ cloud.positions.T)
    off = gram[~np.eye(50, dtype=bool)]
    counts, _ = np.histogram(off, bins=bins, range=(-1, 1))
    np.testing.assert_allclose(seen["histogram"], counts / off.size, atol=1e-15)
    assert float(seen["variance"]) == pytest.approx(off.var(), rel=1e-12)
    np.testing.assert_allclose(seen["pairs"], polynomials(d, 4, gram).mean(axis=(1, 2)), atol=1e-14)
    along = polynomials(d, 4, np.asarray(cloud.positions)[:, 1])
    np.testing.assert_allclose(seen["axis"], along.mean(axis=1), atol=1e-14)
    energy = logsumexp(beta * gram) - np.log(2 * beta * 50**2) - beta
    assert float(seen["energy"]) == pytest.approx(energy, rel=1e-13)


@pytest.mark.parametrize("d", [2, 3, 4, 64])
def test_zonal_polynomials(d):
    t = np.linspace(-1, 1, 41)
    np.testing.assert_allclose(gegenbauer(8, d, jnp.asarray(t)), polynomials(d, 8, t), atol=1e-12)


def test_the_variance_of_overlaps_keeps_its_digits():
    """For two tokens it is 0; for a cluster of size h it is O(h⁴), below the rounding of the squares of overlaps."""
    variance = jax.jit(lambda mu: overlap_variance(model(4), mu))
    assert float(variance(tokens(4, 2))) < 1e-16
    h = 1e-5
    near = mk.Sphere(4).retract(jnp.eye(4)[0] + h * jax.random.normal(jax.random.key(1), (20, 4)))
    x = np.asarray(near)
    distance = 0.5 * np.sum((x[:, None] - x[None]) ** 2, axis=2)
    found = float(variance(mk.Particles(mk.Sphere(4), near)))
    # The digits of the positions are those of h against 1.
    assert found == pytest.approx(distance[~np.eye(20, dtype=bool)].var(), rel=100 * 1e-16 / h)


def test_the_energy_of_attention():
    """E_β climbs along the flow without the denominator, whose tangent field is n∇e^βE_β; β = 10⁴ is but a number."""
    d, n, beta = 3, 6, 1.7
    x = tokens(d, n, 3).positions

    def energy(x, beta):
        cloud = mk.Particles(mk.Sphere(d), x)
        return log_attention_energy(beta)(model(d), cloud), attention_energy(beta)(model(d), cloud)

    graded = jax.jit(jax.value_and_grad(energy, has_aux=True))
    (value, plain), slope = graded(x, beta)
    field = Attention(beta, normalised=False)(x, mk.Particles(mk.Sphere(d), x))
    tangent = mk.Sphere(d).project(x, field)
    np.testing.assert_allclose(n * jnp.exp(value + beta) * slope, tangent, atol=1e-13)
    assert float(plain) == pytest.approx(math.exp(value), rel=1e-13)
    for big in (1e3, 1e4):
        # Only the diagonal is left.
        (value, _), slope = graded(x, big)
        assert float(value) == pytest.approx(-math.log(2 * big * n), rel=1e-12)
        assert np.all(np.isfinite(slope))


def test_clusters_are_connected_components(monkeypatch):
    """Of random clouds from sparse to dense, several at once, by scipy's."""
    monkeypatch.setattr(pairs, "_TILE", 16)
    n, angle, dims = 60, 0.25, 3
    spreads = jnp.asarray([0.05, 0.3, 0.6, 1.2, 4.0])
    base, noise = (mk.Sphere(dims).uniform(jax.random.key(s), n) for s in (0, 1))
    x = mk.Sphere(dims).retract(base[None] * spreads[:, None, None] + noise[:1])
    found = jax.jit(jax.vmap(lambda x: clusters(angle, largest=70)(model(dims), mk.Particles(mk.Sphere(dims), x))))(x)
    assert len(set(np.asarray(found["number"]).tolist())) > 2
    for i in range(len(spreads)):
        count, labels = csgraph.connected_components(np.asarray(x[i] @ x[i].T) >= np.cos(angle))
        sizes = np.sort(np.bincount(labels))[::-1]
        assert int(found["number"][i]) == count
        np.testing.assert_array_equal(found["sizes"][i], np.pad(sizes, (0, 70 - count)))


def test_a_chain_is_one_cluster():
    """Single linkage: tokens along an arc in any order, each within δ of the next, however long the arc."""
    n, angle = 40, 0.1
    order = np.random.default_rng(0).permutation(n)
    for gap, count in ((0.99, 1), (1.01, n)):
        at = gap * angle * order
        cloud = mk.Particles(mk.Sphere(2), np.stack([np.cos(at), np.sin(at)], axis=1))
        seen = clusters(angle, largest=2)(model(2), cloud)
        assert int(seen["number"]) == count
        np.testing.assert_array_equal(seen["sizes"], [n, 0] if count == 1 else [1, 1])


def test_no_matrix_of_pairs():
    """What the compiled statistics of 10⁵ tokens hold beside them: some vectors and a tile; the matrix has 80 GB."""
    n, d = 100_000, 4
    observables = [overlap_histogram(20), zonal_pairs(2), log_attention_energy(3.0), clusters(0.1), overlap_variance]
    cloud = mk.Particles(mk.Sphere(d), jnp.broadcast_to(jnp.eye(d)[0], (n, d)))
    compiled = jax.jit(lambda mu: [f(model(d), mu) for f in observables]).lower(cloud).compile()
    memory = compiled.memory_analysis()
    assert memory is not None
    assert memory.temp_size_in_bytes < 20 * 8 * (n * d + 1024**2)


def mises_fisher(grid, kappa):
    """About the first axis: E⟨x, e⟩ = A = I_{d/2}(κ)/I_{d/2−1}(κ) and E⟨x, e⟩² = 1 − (d − 1)A/κ."""
    d = grid.space.dim
    law = mk.Density.from_law(grid, mk.VonMisesFisher(grid.space, np.eye(d)[0], kappa))
    mean = iv(d / 2, kappa) / iv(d / 2 - 1, kappa)
    return law, mean, 1 - (d - 1) * mean / kappa


@pytest.mark.parametrize("d", [2, 3, 5])
def test_statistics_of_a_law(d):
    """Those of von Mises and Fisher: with m = Ae, E⟨x, y⟩ = A², E⟨x, y⟩² = q² + (1 − q)²/(d − 1).

    Degree 24 at κ = 2 lacks (κ/2)^25/25! of the law. Without the part across the axis the second moment would be q²;
    and parts of order m > 0, counted once on S², would change what is about another axis than that of the grid.
    """
    grid = mk.Sphere(d).grid(24, **({"axis": np.eye(d)[0]} if d > 3 else {}))
    law, mean, q = mises_fisher(grid, 2.0)
    second = q**2 + (1 - q) ** 2 / (d - 1)
    other = np.ones(d) / np.sqrt(d)
    named = (mean_overlap, alignment, overlap_variance, effective_rank)
    seen = jax.jit(lambda mu: {f.__name__: f(model(d), mu) for f in named})(law)
    exact = {
        "mean_overlap": mean**2, "alignment": mean**2,
        "overlap_variance": second - mean**4, "effective_rank": 1 / second,
    }  # fmt: skip
    for name, value in exact.items():
        assert float(seen[name]) == pytest.approx(value, rel=1e-12)
    along = np.array([1.0, mean, (d * q - 1) / (d - 1)])
    np.testing.assert_allclose(zonal(other, degree=2)(model(d), law), along * polynomials(d, 2, other[0]), atol=1e-13)
    np.testing.assert_allclose(zonal_pairs(2)(model(d), law), along**2, atol=1e-13)
    assert abs(float(zonal_pairs(26)(model(d), law)[26])) < 1e-15
    # ∫e^{⟨z, x⟩}dx = (2π)^{d/2} |z|^{1−d/2} I_{d/2−1}(|z|), here of z = κe + βx.
    beta, whole = 3.0, lambda s: (2 * np.pi) ** (d / 2) * s ** (1 - d / 2) * iv(d / 2 - 1, s)
    weight = lambda t: np.exp(2 * t) * whole(np.sqrt(4 + beta**2 + 4 * beta * t))  # noqa: E731
    ring = 2 * np.pi ** ((d - 1) / 2) / math.gamma((d - 1) / 2)
    total = quad(lambda a: ring * np.sin(a) ** (d - 2) * weight(np.cos(a)), 0, np.pi, epsabs=0, epsrel=1e-12)[0]
    energy = total / whole(2.0) ** 2 * np.exp(-beta) / (2 * beta)
    assert float(attention_energy(beta)(model(d), law)) == pytest.approx(energy, rel=1e-11)


def test_tokens_of_a_law_have_its_statistics():
    """40 clouds of 50: means over i ≠ j are unbiased, and with i = j among them (1 + (n − 1)p_k)/n.

    The variance of R_ij within a cloud lacks that of the cloud's mean overlap.
    """
    space, n, clouds = mk.Sphere(3), 50, 40
    law = mises_fisher(space.grid(16), 2.0)[0]
    points = law.sample(jax.random.key(0), n * clouds).positions.reshape(clouds, n, 3)
    axis, beta = jnp.array([0.6, 0.0, 0.8]), 3.0
    see = lambda mu: {  # noqa: E731
        "overlap": mean_overlap(model(3), mu), "variance": overlap_variance(model(3), mu),
        "along": zonal(axis, degree=3)(model(3), mu), "pairs": zonal_pairs(3)(model(3), mu),
        "energy": attention_energy(beta)(model(3), mu),
    }  # fmt: skip
    found = jax.jit(jax.vmap(lambda x: see(mk.Particles(space, x))))(points)
    exact = see(law)
    found["variance"] = found["variance"] + (found["overlap"] - exact["overlap"]) ** 2
    exact["pairs"] = (1 + (n - 1) * exact["pairs"]) / n
    exact["energy"] = (1 / (2 * beta) + (n - 1) * exact["energy"]) / n
    for name, values in found.items():
        error = np.std(values, axis=0, ddof=1) / np.sqrt(clouds)
        assert np.all(np.abs(np.mean(values, axis=0) - exact[name]) <= 5 * error + 1e-12), name
    # Not the statistics of uniform tokens.
    assert float(exact["overlap"]) > 0.2


def test_kappa():
    cloud = tokens(5, 7)
    expected = 2.0 / 5 * float(jnp.sum(cloud.positions.mean(axis=0) ** 2))
    assert float(kappa(toy_transformer(5, 2.0).model, cloud)) == pytest.approx(expected, rel=1e-14)


REFUSED = {
    "bins": (lambda: overlap_histogram(0), "positive number of bins"),
    "one token": (lambda: overlap_histogram(3)(model(3), tokens(3, 1)), "two tokens or more"),
    "variance": (lambda: overlap_variance(model(3), tokens(3, 1)), "two tokens or more"),
    "angle": (lambda: clusters(4.0), "between 0 and π"),
    "largest": (lambda: clusters(0.1, largest=0), "k ≥ 1 largest"),
    "beta": (lambda: log_attention_energy(0.0), "that of a β > 0"),
    "degree": (lambda: zonal_pairs(0), "highest degree ≥ 1"),
    "axis": (lambda: zonal([1.0, 1.0], degree=2), "vector of length 1"),
    "axis of another dimension": (lambda: zonal([1.0, 0.0], degree=2)(model(3), tokens(3, 4)), "has shape"),
    "kappa": (lambda: kappa(mk.Model(mk.Sphere(3)), tokens(3, 4)), "isotropic common noise"),
    "weights": (
        lambda: overlap_variance(model(2), mk.Particles(mk.Sphere(2), [[1.0, 0.0], [0.0, 1.0]], [0.3, 0.7])),
        "of equal weight",
    ),
    "overlaps of a law": (
        lambda: overlaps(2)(model(3), mk.Density.from_function(mk.Sphere(3).grid(2), lambda x: 1.0)),
        "particles on a sphere, not of a Density",
    ),
    "density": (lambda: zonal_pairs(2)(model(3), mk.Gaussian(0.0, 1.0)), "particles on a sphere"),
}


@pytest.mark.parametrize(("call", "sentence"), REFUSED.values(), ids=REFUSED)
def test_refusals(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
