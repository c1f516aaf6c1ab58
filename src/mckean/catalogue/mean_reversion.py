"""The linear–quadratic model: V(x) = a|x|²/2, W(z) = c|z|²/2. Every level of description is Gaussian and explicit."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from mckean.catalogue.facts import Entry, Fact
from mckean.checks import require
from mckean.interactions import kernels
from mckean.measures import Gaussian, Particles
from mckean.models import Model, energy, langevin, potentials
from mckean.spaces import Euclidean

_REFERENCE = "closed form: a linear equation in the sense of McKean; Sznitman, Topics in propagation of chaos (1991)"


def mean(time: float, initial: float, stiffness: float) -> float:
    """m(t) = m_0 e^{−at}, length."""
    return initial * math.exp(-stiffness * time)


def variance(time: float, initial: float, stiffness: float, strength: float, beta: float) -> float:
    """v(t) of the limit, a coordinate, from v′ = −2(a + c)v + 2/β; length²."""
    rate = stiffness + strength
    limit = 1 / (beta * rate)
    return limit + (initial - limit) * math.exp(-2 * rate * time)


def free_energy_gap(mean: float, variance: float, stiffness: float, strength: float, beta: float) -> float:
    """F − F* = am²/2 + (s − 1 − log s)/2β with s = β(a + c)v, energy per particle and coordinate."""
    s = beta * (stiffness + strength) * variance
    return stiffness * mean**2 / 2 + (s - 1 - math.log(s)) / (2 * beta)


def coupling_error(n: int, stiffness: float, strength: float, beta: float) -> float:
    """E D² = c²/(Nβ a(a + c)(2a + c)), stationary, of the synchronous coupling X_i − Y_i = D, a coordinate; length².

    D′ = −(a + c)D + ce, e = X̄ − m, of E e(s)e(t) = e^{−a|t−s|}/(Nβa). An additive common noise moves X̄ and the
    conditional mean m alike, so that the constant is the same with one.
    """
    a, c = stiffness, strength
    return c**2 / (n * beta * a * (a + c) * (2 * a + c))


def coupling_error_path(
    n: int, steps: int, dt: float, initial: float, stiffness: float, strength: float, beta: float
) -> np.ndarray:
    """E D² after 0, …, `steps` Euler steps from independent particles of variance `initial`, shape (steps+1,).

    With e = X̄ − m, D′ = −(a + c)D + ce and e′ = −ae + √(2/βN) noise, the second moments of (D, e) obey a linear
    recursion, which is exact for Euler's scheme; as dt → 0 it tends to the moments of the equations themselves.
    """
    move = np.array([[1 - (stiffness + strength) * dt, strength * dt], [0.0, 1 - stiffness * dt]])
    noise = np.diag([0.0, 2 * dt / (beta * n)])
    moments, values = np.diag([0.0, initial / n]), [0.0]
    for _ in range(steps):
        moments = move @ moments @ move.T + noise
        values.append(moments[0, 0])
    return np.array(values)


def marginal_excess(
    k: int, n: int, stiffness: float, strength: float, beta: float, time: float = math.inf, initial: float = 0.0
) -> float:
    """x = (k/N)(v_c − v)/v, by which the law of k of N particles differs from that of independent ones, a coordinate.

    From independent Gaussian particles of variance `initial` the k-marginal has the covariance vI + ((v_c − v)/N)11ᵀ, v
    the variance of the limit and v_c that of √N x̄, whose rate is 2a; stationary where no time is given.
    **Raises** `ValueError` unless 1 ≤ k ≤ N, and for particles without variance, at time 0.
    """
    require(1 <= k <= n, f"a marginal is that of 1 to N = {n} particles, not of {k}.")
    alone, centre = (variance(time, initial, stiffness, c, beta) for c in (strength, 0.0))
    require(alone > 0, "at time 0 particles without variance have no density to compare.")
    return k / n * (centre - alone) / alone


def marginal_entropy(excess: float) -> float:
    """H(P^k | μ^{⊗k}) = (x − log(1 + x))/2, a coordinate: of order (k/N)², Lacker's sharp rate (arXiv 2105.02983)."""
    return (excess - math.log1p(excess)) / 2


def marginal_distance(excess: float, variance: float, p: float = 2, dim: int = 1) -> float:
    """W_p(P^k, μ^{⊗k}) = |√(v(1 + x)) − √v| (E|Z|^p)^{1/p}, Z ~ N(0, I) in R^d; length.

    Only the direction of the mean differs, N(0, vI) from N(0, v(1 + x)I): they are radial, so that z → √(1 + x) z moves
    no mass farther than the distances from the origin must change, which bounds W_p from below for every p.
    **Raises** `ValueError` unless x > −1, v > 0 and p ≥ 1.
    """
    require(excess > -1 and variance > 0, f"x > −1 and a variance v > 0, not x = {excess:g}, v = {variance:g}.")
    require(p >= 1, f"the order p of a distance is at least 1, but {p:g} was given.")
    moment = math.exp((math.lgamma((dim + p) / 2) - math.lgamma(dim / 2)) / p) * math.sqrt(2)
    return abs(math.sqrt(variance * (1 + excess)) - math.sqrt(variance)) * moment


def marginal_variation(excess: float, dim: int = 1) -> float:
    """Total variation sup_A |P^k(A) − μ^{⊗k}(A)| in dimension d: of order k/N.

    Only the direction of the mean differs, N(0, I) from N(0, sI), s = 1 + x, in R^d. Their densities cross at
    |z|² = d s log s/(s − 1), so that it is |P(χ²_d ≤ |z|²) − P(χ²_d ≤ |z|²/s)|.
    **Raises** `ValueError` unless x > −1.
    """
    from scipy.special import gammainc

    require(excess > -1, f"an excess of variance is above −1, but x = {excess:g}.")
    if excess == 0:
        return 0.0
    half = dim * math.log1p(excess) / excess / 2
    return abs(float(gammainc(dim / 2, half * (1 + excess)) - gammainc(dim / 2, half)))


def ornstein_uhlenbeck(stiffness: float = 1.0, strength: float = 0.5, beta: float = 1.0, dim: int = 1) -> Entry:
    """Ornstein–Uhlenbeck particles with quadratic attraction: dX_i = −aX_i dt − c(X_i − X̄) dt + √(2/β) dB_i in R^d.

    **Arguments:**

    - `stiffness`: a > 0, energy per length². Default: 1.
    - `strength`: c, energy per length², with a + c > 0. Default: 0.5.
    - `beta`: β > 0, 1/energy. Default: 1.
    - `dim`: d. Default: 1.

    **Returns:** an `Entry`: the model and its facts.

    **Raises:** `ValueError` unless a > 0 and a + c > 0.
    """
    if not (stiffness > 0 and stiffness + strength > 0):
        raise ValueError(f"this model needs a > 0 and a + c > 0, but a = {stiffness:g}, c = {strength:g}.")
    model = langevin(Euclidean(dim), potentials.Quadratic(stiffness), kernels.Quadratic(strength), beta=beta)
    limit = 1 / (beta * (stiffness + strength))
    displaced = Gaussian(np.full(dim, 0.7), 0.4 * np.eye(dim))
    equilibrium = Gaussian(np.zeros(dim), limit * np.eye(dim))
    gap = dim * free_energy_gap(0.7, 0.4, stiffness, strength, beta)
    facts = {
        "stationary variance": Fact("v = 1/(β(a + c)), a coordinate", limit, _REFERENCE),
        "free energy gap": Fact(
            "F − F* at mean 0.7 and variance 0.4 in each coordinate",
            gap,
            _REFERENCE,
            lambda: float(energy.free_energy(model, displaced) - energy.free_energy(model, equilibrium)),
            1e-10,
        ),
        "least free energy": Fact(
            "F* = −(d/2β) log(2πv), v = 1/(β(a + c))",
            -dim * math.log(2 * math.pi * limit) / (2 * beta),
            _REFERENCE,
            lambda: float(energy.free_energy(model, equilibrium)),
            1e-10,
        ),
        "stationary dissipation": Fact(
            "D = 0 at equilibrium", 0.0, _REFERENCE, partial(_dissipation, model, equilibrium), 1e-10
        ),
        "top exponent": Fact(
            "−a of the mean, which W does not see, or −2(a + c) of the variance",
            -min(stiffness, 2 / (beta * limit)),
            _REFERENCE,
        ),
        **_chaos(model, limit, (stiffness, strength, beta)),
        "Polyak–Łojasiewicz constant": Fact("min(a, a + c)", min(stiffness, stiffness + strength), _REFERENCE),
        "log-Sobolev constant": Fact("β min(a, a + c)", beta * min(stiffness, stiffness + strength), _REFERENCE),
    }
    return Entry(model, facts)


def _of_ten(model) -> tuple[float, float]:
    """Relative entropy and W_2 of two of ten particles and two independent ones, a coordinate, from the model's drift.

    The stationary covariance S of all solves Lyapunov's equation AS + SAᵀ + (2/β)I = 0, A the drift's Jacobian.
    """
    from scipy.linalg import solve_continuous_lyapunov

    system, alone = _jacobians(model, 10)
    noise = 2 / float(model.beta)
    pair = solve_continuous_lyapunov(system, -noise * np.eye(10))[:2, :2]
    limit = noise / (-2 * alone)
    s = np.linalg.eigvalsh(pair) / limit
    return float(np.sum(s - 1 - np.log(s)) / 2), math.sqrt(limit * float(np.sum((np.sqrt(s) - 1) ** 2)))


def _of_coupling(model, n: int) -> float:
    """E(X_1 − Y_1)² from Lyapunov's equation of particles and copies together, whose noises are the same."""
    from scipy import linalg

    system, alone = _jacobians(model, n)
    noise = 2 / float(model.beta) * np.kron(np.ones((2, 2)), np.eye(n))
    both = linalg.solve_continuous_lyapunov(linalg.block_diag(system, alone * np.eye(n)), -noise)
    return float(both[0, 0] + both[n, n] - 2 * both[0, n])


def _jacobians(model, n: int) -> tuple[np.ndarray, float]:
    """The drift's Jacobian in one coordinate of all, shape (n, n), and that of one particle where the law is fixed."""
    x = jnp.zeros((n, model.space.dim))
    of_all = jax.jit(jax.jacfwd(lambda x: model.velocity(x, Particles(model.space, x))))
    of_one = jax.jit(jax.jacfwd(lambda y: model.velocity(y, Particles(model.space, x))))
    return np.asarray(of_all(x))[:, 0, :, 0], float(np.asarray(of_one(x[:1]))[0, 0, 0, 0])


def _dissipation(model, measure) -> float:
    return float(energy.dissipation(model, measure))


def _chaos(model: Model, limit: float, parameters: tuple[float, float, float]) -> dict[str, Fact]:
    """What is known of ten particles: how far two of them are from independent, and from their copies."""
    excess = marginal_excess(2, 10, *parameters)
    return {
        "pair entropy": Fact(
            "H(P² | μ⊗μ) of 2 of 10 particles, stationary, a coordinate",
            marginal_entropy(excess),
            _REFERENCE,
            lambda: _of_ten(model)[0],
            1e-12,
        ),
        "pair distance": Fact(
            "W₂(P², μ⊗μ) of 2 of 10 particles, stationary, a coordinate",
            marginal_distance(excess, limit),
            _REFERENCE,
            lambda: _of_ten(model)[1],
            1e-10 * math.sqrt(limit),
        ),
        "coupling error": Fact(
            "E D² of 10 particles and their copies, stationary, a coordinate",
            coupling_error(10, *parameters),
            _REFERENCE,
            lambda: _of_coupling(model, 10),
            1e-12,
        ),
    }
