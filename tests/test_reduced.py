"""Reduced models of tokens: their facts, and where they come from."""

import math

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mckean as mk
from mckean.catalogue import toy_transformer
from mckean.catalogue.equiangular import equiangular, high_dimension, logistic_overlap, passage_time, simplex
from mckean.catalogue.reduced import expected_overlap, low_temperature, meeting_probability, toy_pair, two_tokens
from mckean.catalogue.transformer import stratonovich_drift
from mckean.interactions import Attention
from mckean.models import convert
from mckean.models.heads import Heads

ENTRIES = {
    "two tokens on the circle, hot": lambda: two_tokens(2, 0.0),
    "two tokens, very cold": lambda: two_tokens(64, 1e3),
    "low temperature": lambda: low_temperature(-0.7),
    "simplex of two, very cold": lambda: simplex(2, 1e3),
    "simplex without the denominator": lambda: simplex(8, 2.0, normalised=False),
    "high dimension, very cold": lambda: high_dimension(16, 1e3),
    "logistic": lambda: logistic_overlap(8, 2.0),
    "toy, Itô": lambda: toy_transformer(5, 3.0, "paper"),
    "toy, Stratonovich": lambda: toy_transformer(5, 3.0, "paper", "stratonovich"),
}


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_facts(entry):
    for name, fact in entry().facts.items():
        if fact.recompute is not None:
            assert abs(fact.recompute() - fact.value) <= fact.tolerance, name


@pytest.mark.parametrize(("d", "beta"), [(5, 1.2), (2, 1e3)])
def test_two_tokens_are_those_of_the_heads(d, beta):
    """Drift and bracket of R from the d² fields of the noise on two tokens, for several R at once."""
    noise, entry = mk.Model(mk.Sphere(d), common=Heads(beta)), two_tokens(d, beta).model
    overlaps = jnp.asarray([-0.99, -0.4, 0.0, 0.5, 0.999])

    def of_tokens(r):
        x = jnp.zeros((2, d)).at[:, 0].set(jnp.stack([jnp.ones(()), r])).at[1, 1].set(jnp.sqrt(1 - r**2))
        mu = mk.Particles(mk.Sphere(d), x)
        fields = jax.vmap(lambda e: noise.common_displacement(x, mu, e))(jnp.eye(d * d))
        drift = jnp.sum(fields[:, 0] * fields[:, 1]) - 0.5 * r * jnp.sum(fields**2)
        return drift, jnp.sum((fields[:, 0] @ x[1] + fields[:, 1] @ x[0]) ** 2)

    drift, bracket = jax.vmap(of_tokens)(overlaps)
    u = jnp.arctanh(overlaps)[:, None]
    cloud = mk.Particles(mk.Euclidean(1), u)
    assert entry.noise is not None
    slope, square = 1 - overlaps**2, entry.noise.diffusion(u, cloud)[:, 0, 0]
    np.testing.assert_allclose(slope**2 * square, bracket, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(
        slope * (entry.velocity(u, cloud)[:, 0] - overlaps * square), drift, rtol=1e-9, atol=1e-13
    )


def test_the_antipode_attracts_below_a_temperature():
    for d in (3, 4, 9, 65):
        for beta in (0.3, 1.0, 2.0, 3.0):
            attracts = two_tokens(d, beta)["antipode rate"] < 0
            assert attracts == ((d - 1) / math.cosh(beta) ** 2 < 2)
            certain = float(meeting_probability(two_tokens(d, beta).model, -0.9)) == 1.0
            assert certain == (not attracts)


def test_meeting_probabilities_are_harmonic():
    """The probability to meet, at R_T, has the mean that it has at R_0: the drift, the noise and the scale are one."""
    entry, r = two_tokens(3, 2.5), np.array([-0.6, 0.3])
    start = mk.Particles(mk.Euclidean(1), np.repeat(np.arctanh(r), 10_000)[:, None])
    run = mk.evolve(entry.model, start, until=3.0, dt=0.02, path=mk.Brownian(jax.random.key(0)))
    h = meeting_probability(entry.model, np.tanh(np.asarray(run.final.positions))).reshape(2, -1)
    expected = meeting_probability(entry.model, r)
    # Weak order 1: rates are at most 1.
    assert np.all(np.abs(h.mean(axis=1) - expected) < 5 * h.std(axis=1) / 100 + 0.02 * 0.5)
    assert np.all(h.std(axis=1) > 0.1)


def test_random_heads_of_two_tokens():
    """a, b and g by quadrature, against S and P from draws of A = WW′ᵀ."""
    d, beta, spread, r = 4, 1.2, 3.0, 0.3
    x = jnp.zeros((2, d)).at[:, 0].set(jnp.asarray([1.0, r])).at[1, 1].set(math.sqrt(1 - r**2))
    tokens = mk.Particles(mk.Sphere(d), x)
    means = np.asarray(Heads.quadrature(beta, d, 20_000, spread, jax.random.key(1)).barycentres(x, tokens))
    across = np.sum(means[:, 0] * means[:, 1], axis=1)
    square = 0.5 * np.sum(means**2, axis=(1, 2))
    u = jnp.full((1, 1), math.atanh(r))
    model, cloud = two_tokens(d, beta, spread).model, mk.Particles(mk.Euclidean(1), u)
    assert model.noise is not None
    slope = 1 - r * r
    bracket = slope**2 * float(model.noise.diffusion(u, cloud)[0, 0, 0])
    drift = slope * float(model.velocity(u, cloud)[0, 0]) - r / slope * bracket
    # D = ((d − 2 + R²)S − (d − 1)RP)/d and d⟨R⟩ = (2/d)(1 − R²)(P − RS)dt, by the mean over A.
    for found, draws in (
        (drift, ((d - 2 + r * r) * across - (d - 1) * r * square) / d), (bracket, 2 / d * slope * (square - r * across))
    ):  # fmt: skip
        assert abs(found - draws.mean()) < 5 * draws.std() / math.sqrt(len(draws)) + 1e-4


def test_expected_overlaps():
    """R is a martingale for b = σ²tanh u; a Gaussian u without drift; and the two readings of the toy model differ."""
    times = [0.5, 2.0]
    noise = mk.Additive(0.7)
    fair = mk.Model(mk.Euclidean(1), drift=lambda u, mu: 0.49 * jnp.tanh(u), noise=noise)
    np.testing.assert_allclose(expected_overlap(fair, 0.4, times), 0.4, atol=1e-5)
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    free = [weights @ np.tanh(math.atanh(0.4) + 0.7 * math.sqrt(t) * nodes) / math.sqrt(2 * math.pi) for t in times]
    np.testing.assert_allclose(expected_overlap(mk.Model(mk.Euclidean(1), noise=noise), 0.4, times), free, atol=1e-5)
    ito, other = (expected_overlap(toy_pair(3, 1.0, c).model, 0.0, [0.01])[0] for c in ("ito", "stratonovich"))
    # The drift at R = 0 over a short time, to the second order.
    assert ito == pytest.approx(0.01 / 6, abs=1e-5)
    assert other - ito == pytest.approx(0.01 * stratonovich_drift(0.0, 1 / 3), abs=1e-5)


def test_a_grid_of_two_tokens_is_one_program():
    """The drift at u = 0, R = 0, for a grid of d and β, as `vmap` has it."""
    dims, betas = jnp.asarray([2.0, 3.0, 16.0]), jnp.asarray([0.0, 1.0, 700.0])
    at = jnp.zeros((1, 1))
    one = lambda d, beta: two_tokens(d, beta).model.velocity(at, mk.Particles(mk.Euclidean(1), at))[0, 0]  # noqa: E731
    found = jax.vmap(jax.vmap(one, (None, 0)), (0, None))(dims, betas)
    p = 1 / (1 + np.exp(-np.asarray(betas)))
    np.testing.assert_allclose(found, np.outer((dims - 2) / dims, 2 * p * (1 - p)), atol=1e-15)


@pytest.mark.parametrize("overlap", [-0.2, 0.0, 0.6, 0.99])
def test_equiangular_tokens(overlap):
    """γ′ of the reduced models from the fields that move n tokens, and all pairs alike."""
    n, beta = 6, 1.4
    x = equiangular(n, overlap)
    space, at = mk.Sphere(n), jnp.full((1, 1), overlap)
    np.testing.assert_allclose(x @ x.T, overlap + (1 - overlap) * np.eye(n), atol=1e-14)
    reduced = lambda entry: float(entry.model.velocity(at, mk.Particles(mk.Euclidean(1), at))[0, 0])  # noqa: E731
    off = ~np.eye(n, dtype=bool)
    for normalised in (True, False):
        model = mk.Model(space, drift=Attention(beta, normalised=normalised))
        moves = np.asarray(model.velocity(x, mk.Particles(space, x)) @ x.T)
        np.testing.assert_allclose((moves + moves.T)[off], reduced(simplex(n, beta, normalised)), atol=1e-13)
    gram = np.asarray(Heads(beta).gram(x, mk.Particles(space, x)))
    np.testing.assert_allclose(gram[off] - overlap * gram[0, 0], reduced(high_dimension(n, beta)), atol=1e-14)


def test_passage_times():
    """At β = 0 the logit of m = (1 + (n − 1)γ)/n grows at rate 1: from γ = 0 to ½ by log(n + 1)."""
    for n in (2, 7, 64):
        assert passage_time(high_dimension(n, 0.0).model, 0.0, 0.5) == pytest.approx(math.log(n + 1), rel=1e-9)
    start = mk.Particles(mk.Euclidean(1), [[1 / 16]])
    run = mk.evolve(logistic_overlap(16, 2.0).model, start, until=1.35, dt=0.05, scheme=diffrax.Dopri5())
    assert float(run.final.positions[0, 0]) == pytest.approx(1 / (1 + 15 * math.exp(-2.0 * 1.35)), abs=1e-7)


def test_nothing_overflows_at_a_large_beta():
    at = jnp.asarray([[-5.0], [0.0], [0.7], [5.0]])
    cloud = mk.Particles(mk.Euclidean(1), at)
    for entry in (two_tokens, lambda d, beta: simplex(4, beta), lambda d, beta: high_dimension(4, beta)):
        for beta in (1e3, 1e6):
            field = lambda u, b, e=entry: jnp.sum(e(3, b).model.velocity(u, cloud))  # noqa: E731
            assert np.all(np.isfinite(jax.grad(field)(at, beta)))
    noise = two_tokens(3, 1e6).model.noise
    assert noise is not None
    assert np.all(np.isfinite(noise.matrix(at, cloud)))


def test_the_two_readings_of_the_toy_model():
    """Stratonovich's adds (c/2)(1 − R_ij)⟨w, x_i + x_j⟩ to the drift of every overlap."""
    d, n, c = 4, 6, 3.0 / 4
    ito, other = (toy_transformer(d, 3.0, calculus=calculus) for calculus in ("ito", "stratonovich"))
    assert other["overlap drift"] - ito["overlap drift"] == pytest.approx(stratonovich_drift(0.3, c), rel=1e-12)
    x = mk.Sphere(d).uniform(jax.random.key(0), n)
    further = convert(other.model, "ito").velocity(x, mk.Particles(mk.Sphere(d), x)) @ x.T
    w = mk.Sphere(d).project(x, jnp.broadcast_to(x.mean(axis=0), x.shape)).mean(axis=0)
    expected = 0.5 * c * (1 - x @ x.T) * (x @ w + (x @ w)[:, None])
    np.testing.assert_allclose(further + further.T, expected, atol=1e-15)


REFUSED = {
    "one dimension": (lambda: two_tokens(1, 1.0), "need d ≥ 2"),
    "infinite": (lambda: two_tokens(3, math.inf), "must be finite.*low_temperature"),
    "overlap": (lambda: low_temperature(1.0), "between −1 and 1"),
    "one token": (lambda: simplex(1), "n ≥ 2 tokens"),
    "unbounded": (lambda: simplex(4, 1e3, normalised=False), "beyond the largest number"),
    "few": (lambda: logistic_overlap(2), "for n ≥ 3"),
    "alpha": (lambda: logistic_overlap(4, 0.0), "alpha must be positive"),
}


@pytest.mark.parametrize(("call", "sentence"), REFUSED.values(), ids=REFUSED)
def test_refusals(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
