"""Two tokens of a homogenised Transformer in one dimension.

**Two tokens** with QᵀK = βI and common Gaussian values of variance 1/d (Koubbi, Geshkovski and Rigollet, arXiv
2604.01978), in the clock s = Lη²/H. With p = 1/(1 + e^{−β(1−R)}), a = p² + (1−p)², b = 2p(1−p), S = aR + b, P = a + bR,
the overlap R = ⟨x_1, x_2⟩ has the drift ((d − 2 + R²)S − (d − 1)RP)/d and d⟨R⟩ = (2/d)(1 − R²)(P − RS)dt. Now
P − RS = a(1 − R²), and the drift is (1 − R²)((d − 2)b − aR)/d, so that u = artanh R, with u′ = 1/(1 − R²) and
u″ = 2R/(1 − R²)², obeys

    du = ((d − 2)b + aR)/d dt + √(2a/d) dB   (Itô),   R = tanh u,

smooth, nowhere degenerate and without boundary. As u → −∞, b → 1/(2cosh²β): log(1 + R) has the mean rate
2((d − 1)/(2cosh²β) − 1)/d, and the antipodal state attracts iff (d − 1)/cosh²β < 2. As u → ∞, a = b = ½: log(1 − R)
falls at (d − 1)/d. For β → ∞, in the time t/d, dy = tanh y dt + √2 dB, and arcsin R is a martingale.

**Random A = QᵀK.** The weights p and q that the two tokens give to themselves differ. With a = E_A[pq + (1−p)(1−q)],
b = 1 − a and g = E_A(p − q)²/(1 + R), S = aR + b and P = a + bR + g(1 − R²) give by the same steps

    du = ((d − 2)b + aR − (d − 3)gR)/d dt + √(2(a + g)/d) dB.

For A = WW′ᵀ with ⟨Ax, y⟩ of standard deviation s, p = 1/(1 + e^{−z_1}) and q = 1/(1 + e^{−z_2}), where z_1 and z_2 are
βs√(2(1 − R)χ²_d/d) times Gaussians of variance 1 and correlation −R: z = ℓcos(θ ∓ φ), cos φ = √((1 − R)/2), with θ
uniform and ℓ² = 4β²s²(1 − R)Xχ²_d/d, X exponential of mean 1.
"""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.catalogue.facts import Entry, Fact
from mckean.catalogue.transformer import toy_transformer
from mckean.checks import require, traced
from mckean.interactions.parameters import parameter
from mckean.measures import AbstractMeasure, Particles
from mckean.models import Additive, Calculus, Model, Multiplicative
from mckean.models.noise import require_calculus
from mckean.spaces import Euclidean

_HOMOGENISED = "Koubbi, Geshkovski and Rigollet, Homogenized Transformers, arXiv 2604.01978"
# tanh of it is 1 to 1e-17: here the fields are those at the ends.
_FAR = 20.0
_TABLE = np.linspace(-_FAR, _FAR, 2001)
_OVERLAP = 0.3


def _exchange(beta: Float[Array, ""], u: Float[Array, ""]) -> Float[Array, ""]:
    """b = 2p(1 − p) of two tokens at u."""
    # 1 − R = 2/(1 + e^{2u}), which keeps its digits where R is 1.
    z = 2 * beta * jax.nn.sigmoid(-2 * u)
    return 2 * jax.nn.sigmoid(z) * jax.nn.sigmoid(-z)


class _PairDrift(eqx.Module):
    beta: Float[Array, ""] = eqx.field(converter=parameter)
    dim: Float[Array, ""] = eqx.field(converter=parameter)

    def __call__(self, x: Float[Array, "1"], mu: AbstractMeasure) -> Float[Array, "1"]:
        b = _exchange(self.beta, x[0])
        return ((self.dim - 2) * b + (1 - b) * jnp.tanh(x)) / self.dim


class _PairNoise(eqx.Module):
    beta: Float[Array, ""] = eqx.field(converter=parameter)
    dim: Float[Array, ""] = eqx.field(converter=parameter)

    def __call__(self, x: Float[Array, "1"], mu: AbstractMeasure) -> Float[Array, ""]:
        return jnp.sqrt(2 * (1 - _exchange(self.beta, x[0])) / self.dim)


class _Table(eqx.Module):
    """A function of u by linear interpolation between the nodes `_TABLE`."""

    values: Float[Array, " k"]

    def __call__(self, u: Array) -> Array:
        return jnp.interp(u, jnp.asarray(_TABLE), self.values)


class _RandomPairDrift(eqx.Module):
    a: _Table
    g: _Table
    dim: int = eqx.field(static=True)

    def __call__(self, x: Float[Array, "1"], mu: AbstractMeasure) -> Float[Array, "1"]:
        a, r, d = self.a(x), jnp.tanh(x), self.dim
        return ((d - 2) * (1 - a) + a * r - (d - 3) * self.g(x) * r) / d


class _RandomPairNoise(eqx.Module):
    a: _Table
    g: _Table
    dim: int = eqx.field(static=True)

    def __call__(self, x: Float[Array, "1"], mu: AbstractMeasure) -> Float[Array, ""]:
        return jnp.sqrt(2 * (self.a(x[0]) + self.g(x[0])) / self.dim)


def _random_pair(dim: int, beta: float, spread: float) -> tuple[_Table, _Table]:
    """a and g of the module by quadrature: Laguerre's for χ²_d and X, the trapezoidal rule for θ."""
    from scipy.special import expit, roots_genlaguerre, roots_laguerre

    square, first = roots_genlaguerre(8, dim / 2 - 1)
    expo, second = roots_laguerre(32)
    weights = np.outer(first, second).ravel()
    weights, reach = weights / weights.sum(), np.sqrt(4 * np.outer(2 * square / dim, expo)).ravel()
    theta = np.pi * np.arange(32) / 32
    a, g = np.empty_like(_TABLE), np.empty_like(_TABLE)
    for i, u in enumerate(_TABLE):
        # 1 − R and 1 + R keep their digits at both ends.
        less, more = 2 * expit(-2 * u), 2 * expit(2 * u)
        size = beta * spread * np.sqrt(less) * reach[:, None]
        turn = np.arctan2(np.sqrt(more), np.sqrt(less))
        p, q = expit(size * np.cos(theta - turn)), expit(size * np.cos(theta + turn))
        a[i] = weights @ np.mean(p * q + (1 - p) * (1 - q), axis=1)
        g[i] = weights @ np.mean((p - q) ** 2, axis=1) / more
    return _Table(jnp.asarray(a)), _Table(jnp.asarray(g))


def antipode_rate(dim, beta):
    """2((d − 1)/(2cosh²β) − 1)/d, the mean rate of log(1 + R) at R = −1, 1/time; negative where it attracts."""
    # 1/cosh²β without overflow.
    tail = np.exp(-2 * np.abs(beta))
    return ((dim - 1) * 4 * tail / (1 + tail) ** 2 - 2) / dim


def two_tokens(dim=3, beta=1.0, spread: float | None = None) -> Entry:
    """Two tokens of a homogenised Transformer with one head in each layer, QᵀK = βI: u = artanh⟨x_1, x_2⟩ on the line,

        du = ((d − 2)b + aR)/d dt + √(2a/d) dB,   R = tanh u,   a = p² + (1 − p)²,   b = 2p(1 − p),

    p = 1/(1 + e^{−β(1−R)}). Both parameters may be arrays under `vmap`, which sweeps a grid of them. With random heads
    QᵀK = βA, of any number, the coefficients are means over A, by quadrature to about 1e-4.

    **Arguments:**

    - `dim`: d ≥ 2. Default: 3.
    - `beta`: β, finite. Default: 1.
    - `spread`: the standard deviation of ⟨Ax, y⟩ for unit vectors and random A; `dim` and `beta` are then numbers.
      Default: None, A = I.

    **Returns:** an `Entry`: the model and its facts.

    **Raises:** `ValueError` for other values.

    **Source:** Koubbi, Geshkovski and Rigollet, Homogenized Transformers, arXiv 2604.01978.
    """
    require(dim >= 2, f"two tokens on S^{{d−1}} need d ≥ 2, but d = {dim} was given.")
    require_finite_beta(beta)
    if spread is not None:
        a, g = _random_pair(dim, beta, spread)
        noise = Multiplicative(_RandomPairNoise(a, g, dim))
        return Entry(Model(Euclidean(1), drift=_RandomPairDrift(a, g, dim), noise=noise), {})
    noise = Multiplicative(_PairNoise(beta, dim))
    model = Model(Euclidean(1), drift=_PairDrift(beta, dim), noise=noise)
    if traced((dim, beta)):
        return Entry(model, {})
    r = _OVERLAP
    p = 1 / (1 + math.exp(-min(beta * (1 - r), 700.0)))
    a, b = p * p + (1 - p) ** 2, 2 * p * (1 - p)
    drift = ((dim - 2 + r * r) * (a * r + b) - (dim - 1) * r * (a + b * r)) / dim
    facts = {
        "antipode rate": Fact(
            "mean rate of log(1 + R) at R = −1: 2((d − 1)/(2cosh²β) − 1)/d",
            float(antipode_rate(dim, beta)), _HOMOGENISED, lambda: 2 * velocity_at(model, -_FAR), 1e-12,
        ),
        "collapse rate": Fact(
            "mean rate of log(1 − R) at R = 1: −(d − 1)/d",
            -(dim - 1) / dim, _HOMOGENISED, lambda: -2 * velocity_at(model, _FAR), 1e-12,
        ),
        "overlap drift": Fact(
            "((d − 2 + R²)S − (d − 1)RP)/d for R = 0.3",
            drift, _HOMOGENISED, lambda: _of_overlap(model)[0], 1e-12,
        ),
        "overlap bracket": Fact(
            "(2/d)(1 − R²)(P − RS) for R = 0.3",
            2 / dim * (1 - r * r) * (a + b * r - r * (a * r + b)), _HOMOGENISED, lambda: _of_overlap(model)[1], 1e-12,
        ),
    }  # fmt: skip
    return Entry(model, facts)


def toy_pair(dim: int = 3, alpha: float = 1.0, calculus: Calculus = "ito") -> Entry:
    """Two tokens of the toy Transformer: u = artanh⟨x_1, x_2⟩ on the line, with κ = c(1 + R)/2, c = α/d.

        du = (c/2)(d − 2 + R) dt + √c dB   (Itô's reading),   (c/4)(1 − R) dt more in Stratonovich's,   R = tanh u

    The bracket of R is 2κ(1 − R)²(1 + R) = c(1 − R²)².

    **Arguments:**

    - `dim`: d ≥ 2. Default: 3.
    - `alpha`: α > 0, 1/time. Default: 1.
    - `calculus`: how √κ P_x dB is read, "ito" or "stratonovich". Default: "ito".

    **Returns:** an `Entry`: the model and its facts.

    **Raises:** `ValueError` for other values.

    **Source:** Koubbi, Geshkovski and Rigollet, Homogenized Transformers, arXiv 2604.01978, in Itô's reading.
    """
    require(dim >= 2 and alpha > 0, f"two tokens need d ≥ 2 and α > 0, but {dim} and {alpha} were given.")
    require_calculus(calculus)
    c, further = alpha / dim, 0.25 if calculus == "stratonovich" else 0.0
    drift = lambda u, mu: c * (0.5 * (dim - 2 + jnp.tanh(u)) + further * (1 - jnp.tanh(u)))  # noqa: E731
    model = Model(Euclidean(1), drift=drift, noise=Additive(math.sqrt(c)))
    tokens = toy_transformer(dim, alpha, calculus=calculus)
    routes = {"overlap drift": lambda: _of_overlap(model)[0], "overlap bracket": lambda: _of_overlap(model)[1]}
    facts = {
        name: Fact(f"{name} for R = 0.3, as that of the tokens", tokens[name], _HOMOGENISED, route, 1e-12 * (1 + alpha))
        for name, route in routes.items()
    }
    return Entry(model, facts)


def low_temperature(overlap: float = 0.5) -> Entry:
    """Two tokens as β → ∞, in the time t/d: dR = −R(1 − R²)dt + √2(1 − R²)dB.

    For y = artanh R that is dy = tanh y dt + √2 dB. At finite β tokens with β(1 − R) of order 1 feel one another: there
    e^{−u}, and with it the scale density, is of order β^{−1/2}, by which the probability to meet differs.

    **Arguments:**

    - `overlap`: R_0 in (−1, 1), the start for the facts. Default: 0.5.

    **Returns:** an `Entry`: the model and its facts.

    **Raises:** `ValueError` for another overlap.
    """
    require(-1 < overlap < 1, f"an overlap before the end is between −1 and 1, but {overlap} was given.")
    model = Model(Euclidean(1), drift=lambda y, mu: jnp.tanh(y), noise=Additive(math.sqrt(2)))
    meeting = Fact(
        "P(R_∞ = 1) = ½ + arcsin(R_0)/π", 0.5 + math.asin(overlap) / math.pi, _HOMOGENISED,
        lambda: float(meeting_probability(model, overlap)), 1e-6,
    )  # fmt: skip
    return Entry(model, {"meeting probability": meeting})


def meeting_probability(model: Model, overlap) -> np.ndarray:
    """The probability that two tokens meet, P(R_∞ = 1) = ∫_{−∞}^{u_0}s / ∫_{−∞}^{∞}s, s = exp(−∫2b/σ²).

    s is the scale density of u = artanh R. The probability is 1 if the antipode repels: u never stays near −∞.

    **Arguments:**

    - `model`: a model for u, such as that of `two_tokens`.
    - `overlap`: R_0, a number or an array, between −1 and 1.

    **Returns:** the probability, of the same shape.

    **Raises:** `ValueError` for another overlap, and for a model elsewhere or without a noise of its own.
    """
    require(np.all(np.abs(overlap) <= 1), f"an overlap is between −1 and 1, but {overlap} was given.")
    u = np.linspace(-2 * _FAR, 2 * _FAR, 80_001)
    drift, square = _coefficients(model, u)
    ratio = 2 * drift / square
    if ratio[0] >= 0:
        return np.ones(np.shape(overlap))
    exponent = -_cumulative(ratio, u)
    scale = np.exp(exponent - exponent.max())
    # Beyond the ends s is exponential.
    below = scale[0] / -ratio[0] + _cumulative(scale, u)
    with np.errstate(divide="ignore"):
        at = np.arctanh(overlap)
    return np.asarray(np.interp(at, u, below) / (below[-1] + scale[-1] / ratio[-1]))


def expected_overlap(model: Model, overlap: float, times, of: Callable = lambda r: r) -> np.ndarray:
    """E f(R_t) of two tokens with the overlap R_0 at first, by Kolmogorov's backward equation for u = artanh R.

        ∂_t v = bv′ + ½σ²v″,   v(0, u) = f(tanh u),   E f(R_t) = v(t, artanh R_0)

    By central differences and Crank and Nicolson's steps, both of second order, on a grid of width 0.01 for |u| ≤ 20
    and in steps of at most 0.01: to about 1e-5 where b and σ are of order one. Beyond, R is ±1 and stays.

    **Arguments:**

    - `model`: a model for u, such as that of `two_tokens`.
    - `overlap`: R_0, between −1 and 1.
    - `times`: t ≥ 0, a number or an increasing array.
    - `of`: f, a function of arrays. Default: R itself.

    **Returns:** E f(R_t), shape of `times`.

    **Raises:** `ValueError` for another overlap or other times, and for a model elsewhere or without a noise of its
    own.
    """
    from scipy.linalg import solve_banded

    require(-1 < overlap < 1, f"an overlap before the end is between −1 and 1, but {overlap} was given.")
    waits = np.diff(np.atleast_1d(np.asarray(times, float)), prepend=0.0)
    require(np.all(waits >= 0), "times increase from 0 on.")
    u = np.linspace(-_FAR, _FAR, 4001)
    h = u[1] - u[0]
    drift, square = (part / h**power for part, power in zip(_coefficients(model, u), (1, 2), strict=True))
    below, above = 0.5 * (square - drift), 0.5 * (square + drift)
    below[[0, -1]] = above[[0, -1]] = 0.0
    v, found = of(np.tanh(u)), []
    for wait in waits:
        steps = math.ceil(wait / 0.01)
        for _ in range(steps):
            half = 0.5 * wait / steps
            bands = np.stack([-half * np.roll(above, 1), 1 + half * (below + above), -half * np.roll(below, -1)])
            change = below * np.roll(v, 1) - (below + above) * v + above * np.roll(v, -1)
            v = solve_banded((1, 1), bands, v + half * change)
        found.append(np.interp(math.atanh(overlap), u, v))
    return np.reshape(found, np.shape(times))


def _coefficients(model: Model, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """b and σ² of a model on the line at points."""
    noise = model.noise
    if noise is None or model.space != Euclidean(1):
        raise ValueError("u lives on the line, with a noise of its own.")
    points = jnp.asarray(u)[:, None]
    cloud = Particles(model.space, points)
    return np.asarray(model.velocity(points, cloud)[:, 0]), np.asarray(noise.diffusion(points, cloud)[:, 0, 0])


def require_finite_beta(beta) -> None:
    require(jnp.isfinite(jnp.asarray(beta)), f"beta must be finite, but {beta} was given; see low_temperature.")


def velocity_at(model: Model, u: float) -> float:
    point = jnp.full((1, 1), u)
    return float(model.velocity(point, Particles(model.space, point))[0, 0])


def _of_overlap(model: Model) -> tuple[float, float]:
    """Drift and bracket of R = tanh u by Itô's formula from those of u."""
    point = jnp.full((1, 1), math.atanh(_OVERLAP))
    cloud = Particles(model.space, point)
    assert model.noise is not None, "two tokens have a noise"
    drift, square = model.velocity(point, cloud)[0, 0], model.noise.diffusion(point, cloud)[0, 0, 0]
    slope = 1 - _OVERLAP**2
    return float(slope * drift - _OVERLAP * slope * square), float(slope**2 * square)


def _cumulative(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The integral from the first node, by the trapezoidal rule."""
    return np.concatenate([[0.0], np.cumsum(0.5 * (y[1:] + y[:-1]) * np.diff(x))])
