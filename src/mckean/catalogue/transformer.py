"""The toy Transformer: tokens on the sphere under an isotropic common noise whose strength is their alignment.

    dx_i = √κ P_{x_i} dB − ½κ(d − 1) x_i dt   (Itô),   κ = (α/d)|x̄|²,   x̄ = (1/n)Σ_j x_j,

one motion B in R^d for all tokens: the homogenised limit of a deep random Transformer at β = 0, in the talk's
normalisation; in the paper's κ = α|x̄|²/(d − 1) (Koubbi, Geshkovski and Rigollet, Homogenized Transformers, arXiv
2604.01978). The overlaps R_ij = ⟨x_i, x_j⟩ obey

    dR = κ(1 − R)(d − 2 − R) dt + √κ(1 − R)(x_i + x_j)·dB,   d⟨R⟩ = 2κ(1 − R)²(1 + R) dt,
    d log(1 − R) = −(d − 1)κ dt − √κ(x_i + x_j)·dB.

(The talk's bracket has lost a dt.) The sphere slide of the talk writes √κ P_{x_i}∘dB. Where κ is a constant that is
the equation above; but κ = c|x̄|² moves with the tokens, and in the sense of Stratonovich the Itô equation has the
further drift (c/2) P_{x_i} w, w = (1/n)Σ_j P_{x_j} x̄, and the overlap (c/2)(1 − R)⟨w, x_i + x_j⟩: for two tokens, where
w = (1 − R)(x_1 + x_2)/4,

    (c/4)(1 − R)²(1 + R).

The two readings are two models. They agree on brackets, and where all tokens are one on every Lyapunov exponent.
"""

import math
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.catalogue.facts import Entry, Fact
from mckean.checks import positive_integer, require
from mckean.interactions.parameters import parameter
from mckean.measures import AbstractMeasure, Particles
from mckean.models import Calculus, Isotropic, Model, convert
from mckean.spaces import Sphere

_REFERENCE = "Koubbi, Geshkovski and Rigollet, Homogenized Transformers, arXiv 2604.01978"


class Alignment(eqx.Module):
    """√κ = √c |x̄|, the amplitude of the toy Transformer's noise. **Arguments:** `scale`: c ≥ 0, 1/time."""

    scale: Float[Array, ""] = eqx.field(converter=parameter)

    def __call__(self, mu: AbstractMeasure) -> Float[Array, ""]:
        return jnp.sqrt(self.kappa(mu))

    def kappa(self, mu: AbstractMeasure) -> Float[Array, ""]:
        """κ = c|x̄|², 1/time; 0, and all frozen for ever, where x̄ = 0."""
        mean = mu.mean(mu.positions) if isinstance(mu, Particles) else mu.integrate(lambda x: x)
        return self.scale * jnp.sum(mean**2)


def logistic(t, initial: float, alpha: float):
    """m(t) with m′ = αm(1 − m): the mean overlap as d → ∞ of many tokens. **Arguments:** `t`: array of times."""
    growth = np.exp(alpha * np.asarray(t, float))
    return initial * growth / (1 - initial + initial * growth)


def half_collapse_time(n: int, alpha: float) -> float:
    """log(n − 1)/α: when the logistic law from orthonormal tokens, m = 1/n, reaches one half."""
    return math.log(n - 1) / alpha


def toy_transformer(
    dim: int = 64,
    alpha: float = 1.0,
    normalisation: Literal["talk", "paper"] = "talk",
    calculus: Calculus = "ito",
) -> Entry:
    """The toy Transformer on S^{d−1}: dx_i = √κ P_{x_i} dB, one B for all tokens, κ = (α/d)|x̄|².

    **Arguments:**

    - `dim`: d ≥ 2. Default: 64.
    - `alpha`: α ≥ 0, 1/time. Default: 1.
    - `normalisation`: "talk", κ = (α/d)|x̄|², or "paper", κ = α|x̄|²/(d − 1). Default: "talk".
    - `calculus`: "ito", the limit of the layers, or "stratonovich", the √κ P∘dB of the slide. Default: "ito".

    **Returns:** an `Entry`: the model and its facts.

    **Raises:** `ValueError` for another normalisation or calculus, and for α < 0.

    **Source:** Koubbi, Geshkovski and Rigollet, Homogenized Transformers, arXiv 2604.01978.
    """
    require(positive_integer("the dimension of tokens is an integer", dim) >= 2, f"tokens need d ≥ 2, but d = {dim}.")
    require(alpha >= 0, f"alpha must not be negative, but {alpha} was given.")
    require(
        normalisation in ("talk", "paper"), f"the normalisation is 'talk' or 'paper', but {normalisation!r} was given."
    )
    scale = alpha / (dim if normalisation == "talk" else dim - 1)
    model = Model(Sphere(dim), common=Isotropic(Alignment(scale), calculus))
    kappa = scale * 0.5 * (1 + _OVERLAP)
    further = stratonovich_drift(_OVERLAP, scale) if calculus == "stratonovich" else 0.0
    facts = {
        "top exponent": Fact(
            "−κ(d − 1)/2 where all tokens are one: every Lyapunov exponent", -0.5 * scale * (dim - 1), _REFERENCE
        ),
        "overlap drift": Fact(
            "κ(1 − R)(d − 2 − R) for two tokens with R = 0.3, and in Stratonovich's reading (c/4)(1 − R)²(1 + R) more",
            overlap_drift(_OVERLAP, kappa, dim) + further,
            _REFERENCE,
            lambda: rates_of_two(model, _OVERLAP)[0],
            1e-12 * max(1.0, alpha),
        ),
        "overlap bracket": Fact(
            "2κ(1 − R)²(1 + R) for two tokens with R = 0.3",
            overlap_bracket(_OVERLAP, kappa),
            _REFERENCE,
            lambda: rates_of_two(model, _OVERLAP)[1],
            1e-12 * max(1.0, alpha),
        ),
    }
    return Entry(model, facts)


_OVERLAP = 0.3


def rates_of_two(model: Model, overlap: float) -> tuple[float, float]:
    """Drift and bracket of the overlap of two tokens from a model's drift and common noise, by Itô's formula.

    Each token's length is kept by a drift −½|σ|²x.
    """
    model = convert(model, "ito")
    d, r = model.space.dim, overlap
    x = jnp.zeros((2, d)).at[:, 0].set(jnp.asarray([1.0, r])).at[1, 1].set(math.sqrt(1 - r**2))
    tokens = Particles(model.space, x)
    fields = jnp.zeros((0, 2, d))
    if model.common:
        unit = jnp.eye(model.motions(tokens))
        fields = jax.lax.map(lambda e: model.common_displacement(x, tokens, e), unit)
    further = model.velocity(x, tokens)
    drift = jnp.sum(fields[:, 0] * fields[:, 1]) - 0.5 * r * jnp.sum(fields**2) + further[0] @ x[1] + x[0] @ further[1]
    return float(drift), float(jnp.sum((fields[:, 0] @ x[1] + fields[:, 1] @ x[0]) ** 2))


def overlap_drift(r, kappa, dim: int):
    """κ(1 − R)(d − 2 − R), 1/time."""
    return kappa * (1 - r) * (dim - 2 - r)


def stratonovich_drift(r, scale):
    """(c/4)(1 − R)²(1 + R), 1/time: what Stratonovich's reading adds to the drift of the overlap of two tokens."""
    return 0.25 * scale * (1 - r) ** 2 * (1 + r)


def overlap_bracket(r, kappa):
    """2κ(1 − R)²(1 + R), 1/time."""
    return 2 * kappa * (1 - r) ** 2 * (1 + r)
