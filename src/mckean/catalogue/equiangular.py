"""Equiangular tokens, whose common overlap γ moves by one ordinary differential equation.

**Self-attention.** Equal overlaps, R_ij = γ for all i ≠ j, stay equal where Q = K = V = I, without noise (Geshkovski,
Letrouit, Polyanskiy and Rigollet, A mathematical perspective on Transformers). With weights w_j = e^{β⟨x_1, x_j⟩}/Z,
γ′ = 2⟨P_{x_1}Σ_j w_j x_j, x_2⟩ = 2w(1 − γ)(1 + (n − 1)γ), w that of another token: the token itself adds nothing.

**Homogenised layers in high dimension**, Gaussian heads with QᵀK = βI (Koubbi, Geshkovski and Rigollet, arXiv
2604.01978). The drift ((d − 2 + R²)S − (d − 1)RP)/d of an overlap, S = ⟨m(x_1), m(x_2)⟩, P = |m(x_1)|², m the
softmax's barycentre, goes to S − RP as d → ∞ and its bracket to 0, so that equal overlaps stay equal. With
p = e^{β(1−γ)}/(e^{β(1−γ)} + n − 1), the weight of a token for itself, and q = (1 − p)/(n − 1), for another,

    γ′ = (1 − γ)(1 + (n − 1)γ) q (2p + (n − 2)q),

at β = 0 the logistic law m′ = m(1 − m) of m = (1 + (n − 1)γ)/n.
"""

import math
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean import interactions
from mckean.catalogue.facts import Entry, Fact
from mckean.catalogue.reduced import require_finite_beta, velocity_at
from mckean.catalogue.transformer import half_collapse_time
from mckean.checks import require
from mckean.interactions.parameters import parameter
from mckean.measures import AbstractMeasure, Particles
from mckean.models import Model
from mckean.spaces import Euclidean, Sphere

_HOMOGENISED = "Koubbi, Geshkovski and Rigollet, Homogenized Transformers, arXiv 2604.01978"
_PERSPECTIVE = "Geshkovski, Letrouit, Polyanskiy and Rigollet, A mathematical perspective on Transformers"
_OVERLAP = 0.3


def simplex(n: int = 32, beta: float = 1.0, normalised: bool = True) -> Entry:
    """The overlap γ of n equiangular tokens under self-attention, Q = K = V = I, as one ordinary differential equation.

        γ′ = 2e^{βγ}(1 − γ)((n − 1)γ + 1)/(e^β + (n − 1)e^{βγ})   (SA),   γ′ = (2/n)e^{βγ}(1 − γ)((n − 1)γ + 1)   (USA).

    The facts compare it with n tokens in R^n.

    **Arguments:**

    - `n`: tokens, n ≥ 2. Default: 32.
    - `beta`: β. Default: 1.
    - `normalised`: SA, or USA if False. Default: True.

    **Returns:** an `Entry`: the model and its facts.

    **Raises:** `ValueError` for other n, and for a β for which the e^β of USA overflows.

    **Source:** Geshkovski, Letrouit, Polyanskiy and Rigollet, A mathematical perspective on Transformers.
    """
    _require_tokens(n)
    require_finite_beta(beta)
    limit = math.log(jnp.finfo(jnp.result_type(float)).max)
    require(
        normalised or beta < limit,
        f"without the softmax's denominator the drift grows as e^β, which at β = {beta} is beyond the largest number.",
    )
    model = Model(Euclidean(1), drift=_Simplex(beta, n, normalised))
    facts = {
        "collapse rate": Fact(
            "mean rate of log(1 − γ) at γ = 1: −2, or −2e^β without the denominator",
            -2.0 if normalised else -2 * math.exp(beta), _PERSPECTIVE, lambda: _slope_at_one(model),
            1e-9 * (1.0 if normalised else math.exp(beta)),
        ),
        "drift": Fact(
            "γ′ at γ = 0.3, against the tokens themselves", velocity_at(model, _OVERLAP), _PERSPECTIVE,
            partial(_of_tokens, n, beta, normalised), 1e-12 * max(1.0, abs(velocity_at(model, _OVERLAP))),
        ),
    }  # fmt: skip
    return Entry(model, facts)


class _Simplex(eqx.Module):
    """2w(1 − γ)(1 + (n − 1)γ), w the weight that one token gives to another."""

    beta: Float[Array, ""] = eqx.field(converter=parameter)
    n: Float[Array, ""] = eqx.field(converter=parameter)
    normalised: bool = eqx.field(static=True)

    def __call__(self, x: Float[Array, "1"], mu: AbstractMeasure) -> Float[Array, "1"]:
        weight = _other(self.beta, self.n, x) if self.normalised else jnp.exp(self.beta * x) / self.n
        return 2 * weight * (1 - x) * (1 + (self.n - 1) * x)


def _other(beta, n, overlap):
    """1/(e^{β(1−γ)} + n − 1), which does not overflow."""
    return jax.nn.sigmoid(jnp.log(n - 1) - beta * (1 - overlap)) / (n - 1)


def high_dimension(n: int = 32, beta: float = 0.0) -> Entry:
    """The overlap γ of n equiangular tokens under common Gaussian heads as d → ∞, deterministic; QᵀK = βI:

        γ′ = (1 − γ)(1 + (n − 1)γ) q (2p + (n − 2)q),   p = e^{β(1−γ)}/(e^{β(1−γ)} + n − 1),   q = (1 − p)/(n − 1).

    Orthogonal tokens, γ = 0, need the time log(n − 1) to γ ≈ ½ at β = 0, and a time that grows as e^β at large β.

    **Arguments:**

    - `n`: tokens, n ≥ 2. Default: 32.
    - `beta`: β. Default: 0.

    **Returns:** an `Entry`: the model and its facts.

    **Raises:** `ValueError` for other n.

    **Source:** Koubbi, Geshkovski and Rigollet, Homogenized Transformers, arXiv 2604.01978.
    """
    _require_tokens(n)
    require_finite_beta(beta)
    model = Model(Euclidean(1), drift=_HighDimension(beta, n))
    facts = {
        "collapse rate": Fact(
            "mean rate of log(1 − γ) at γ = 1: −1", -1.0, _HOMOGENISED, lambda: _slope_at_one(model), 1e-9,
        ),
        "drift": Fact(
            "S − RP at γ = 0.3 from the softmax barycentres of the tokens", velocity_at(model, _OVERLAP), _HOMOGENISED,
            partial(_of_barycentres, n, beta), 1e-12,
        ),
    }  # fmt: skip
    return Entry(model, facts)


class _HighDimension(eqx.Module):
    """(1 − γ)(1 + (n − 1)γ) q (2p + (n − 2)q)."""

    beta: Float[Array, ""] = eqx.field(converter=parameter)
    n: Float[Array, ""] = eqx.field(converter=parameter)

    def __call__(self, x: Float[Array, "1"], mu: AbstractMeasure) -> Float[Array, "1"]:
        q = _other(self.beta, self.n, x)
        p = 1 - (self.n - 1) * q
        return (1 - x) * (1 + (self.n - 1) * x) * q * (2 * p + (self.n - 2) * q)


def logistic_overlap(n: int = 32, alpha: float = 1.0) -> Entry:
    """The mean overlap of all pairs in the toy Transformer as d → ∞: m′ = αm(1 − m).

    **Arguments:**

    - `n`: tokens that start orthonormal, m = 1/n, n ≥ 3, for the facts. Default: 32.
    - `alpha`: α > 0, 1/time. Default: 1.

    **Returns:** an `Entry`: the model and its facts.

    **Raises:** `ValueError` for other values.

    **Source:** Koubbi, Geshkovski and Rigollet, Homogenized Transformers, arXiv 2604.01978.
    """
    require(n >= 3, f"orthonormal tokens start below one half for n ≥ 3, but n = {n} was given.")
    require(alpha > 0, f"alpha must be positive, but {alpha} was given.")
    model = Model(Euclidean(1), drift=_Logistic(alpha))
    facts = {
        "half collapse": Fact(
            "log(n − 1)/α from m = 1/n to m = ½", half_collapse_time(n, alpha), _HOMOGENISED,
            lambda: passage_time(model, 1 / n, 0.5), 1e-9 / alpha,
        ),
    }  # fmt: skip
    return Entry(model, facts)


class _Logistic(eqx.Module):
    alpha: Float[Array, ""] = eqx.field(converter=parameter)

    def __call__(self, x: Float[Array, "1"], mu: AbstractMeasure) -> Float[Array, "1"]:
        return self.alpha * x * (1 - x)


def passage_time(model: Model, initial: float, final: float) -> float:
    """∫_initial^final dm/b(m), the time of a deterministic model on the line from one point to another."""
    nodes, weights = np.polynomial.legendre.leggauss(64)
    m = 0.5 * (initial + final) + 0.5 * (final - initial) * nodes
    points = jnp.asarray(m)[:, None]
    speed = np.asarray(model.velocity(points, Particles(model.space, points))[:, 0])
    return float(0.5 * (final - initial) * np.sum(weights / speed))


def equiangular(n: int, overlap: float) -> Float[Array, "n n"]:
    """n unit vectors of R^n with one overlap, −1/(n − 1) ≤ γ ≤ 1."""
    across = math.sqrt(1 - overlap)
    # √(1−γ) e_i + c(1, …, 1), where nc² + 2√(1−γ) c = γ.
    along = (math.sqrt(max(1 - overlap + n * overlap, 0.0)) - across) / n
    return across * jnp.eye(n) + along


def _require_tokens(n: int) -> None:
    require(isinstance(n, int) and n >= 2, f"an overlap is that of n ≥ 2 tokens, but n = {n!r} was given.")


def _slope_at_one(model: Model) -> float:
    one = jnp.ones((1, 1))
    return float(jax.jvp(lambda x: model.velocity(x, Particles(model.space, one)), (one,), (one,))[1][0, 0])


def _of_tokens(n: int, beta: float, normalised: bool) -> float:
    x = equiangular(n, _OVERLAP)
    attention = interactions.Attention(beta, normalised=normalised)
    drift = Model(Sphere(n), drift=attention).velocity(x, Particles(Sphere(n), x))
    return float(drift[0] @ x[1] + x[0] @ drift[1])


def _of_barycentres(n: int, beta: float) -> float:
    x = equiangular(n, _OVERLAP)
    means = interactions.Attention(beta)(x, Particles(Sphere(n), x))
    return float(means[0] @ means[1] - _OVERLAP * means[0] @ means[0])
