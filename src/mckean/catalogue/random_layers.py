"""Deep Transformers at initialisation: random layers, and the stochastic equation to which many of them tend.

A layer is x ← N(x + (η/H) Σ_h V_h m_{A_h}(x)), and a layer of neurons, where there is one, comes after it. In the clock
s = Lη²/H this is the noise `Heads` under the scheme `Layers` with the step η²/H; the same model in small steps, by
Euler's method, is the homogenised limit

    dx_i = P_{x_i} dF(x_i)  (Itô),   E dF(x)dF(y)ᵀ = s_μ(x, y) I ds/d,   s_μ(x, y) = E_A⟨m_A(x), m_A(y)⟩,

whose overlaps have the drift D_ij = (1/d)(d − 2 + R²)s(x_i, x_j) − ((d − 1)/2d)R(s(x_i, x_i) + s(x_j, x_j)), and at
β = 0 the toy Transformer (Koubbi, Geshkovski and Rigollet, Homogenized Transformers, arXiv 2604.01978). Neurons add
k(⟨x, y⟩) to s, for ReLU the arc-cosine kernel (g²/2π)(√(1−t²) + (π − arccos t)t) (Cho and Saul, NIPS 2009).
"""

import math
from typing import Literal

import jax.numpy as jnp

from mckean.catalogue.facts import Entry, Fact
from mckean.catalogue.reduced import require_finite_beta
from mckean.catalogue.transformer import rates_of_two
from mckean.checks import positive_integer, require
from mckean.models import AbstractNoise, Heads, Model, Neurons, PreNormalised
from mckean.spaces import Euclidean, Sphere

_REFERENCE = "Koubbi, Geshkovski and Rigollet, Homogenized Transformers, arXiv 2604.01978"
_OVERLAP = 0.3


def random_transformer(
    dim: int = 64,
    beta: float = 1.0,
    heads: int = 4,
    spread: float | None = None,
    activation: Literal["relu", "tanh"] | None = None,
    neurons: int = 256,
    normalisation: Literal["post", "pre"] = "post",
) -> Entry:
    """A Transformer with Gaussian weights, drawn anew for every layer and head, in the clock s = Lη²/H of L layers.

    **Arguments:**

    - `dim`: d ≥ 2. Default: 64.
    - `beta`: β, the inverse temperature of the softmax. Default: 1.
    - `heads`: H, the number of random A. Default: 4.
    - `spread`: the standard deviation of ⟨Ax, y⟩ for random A = QᵀK. Default: None, A = I, with which all heads are
      one.
    - `activation`: "relu" or "tanh", of a layer of neurons after each layer of attention. Default: None, no such layer.
    - `neurons`: the width of that layer. Default: 256.
    - `normalisation`: "post", tokens on S^{d−1}, or "pre", tokens in R^d of which the layers see the
      directions. Default: "post".

    **Returns:** an `Entry`: the model and its facts.

    **Raises:** `ValueError` for other values.

    **Source:** Koubbi, Geshkovski and Rigollet, Homogenized Transformers, arXiv 2604.01978.
    """
    require_finite_beta(beta)
    require(
        normalisation in ("post", "pre"),
        f"the normalisation is 'post' or 'pre', but {normalisation!r} was given.",
    )
    heads = positive_integer("the number of heads is a positive integer", heads)
    attention = Heads(beta, spread=spread, heads=1 if spread is None else heads)
    parts: list[AbstractNoise] = [attention]
    if activation is not None:
        parts.append(Neurons(activation, neurons))
    if normalisation == "pre":
        return Entry(Model(Euclidean(dim), common=[PreNormalised(part) for part in parts]), {})
    model = Model(Sphere(dim), common=parts)
    return Entry(model, _facts(model, beta) if spread is None and activation is None else {})


def homogenised_drift(r, across, first, second, dim: int):
    """(1/d)(d − 2 + R²)s_ij − ((d − 1)/2d)R(s_ii + s_jj), 1/time. **Arguments:** R and s_ij, s_ii, s_jj."""
    return ((dim - 2 + r * r) * across - 0.5 * (dim - 1) * r * (first + second)) / dim


def arc_cosine(t, gain: float = 1.0):
    """E φ(⟨u, x⟩)φ(⟨u, y⟩) of ReLU neurons at ⟨x, y⟩ = t, u ~ N(0, g²I)."""
    t = jnp.clip(t, -1.0, 1.0)
    return gain**2 / (2 * math.pi) * (jnp.sqrt(1 - t * t) + (math.pi - jnp.arccos(t)) * t)


def _facts(model: Model, beta: float) -> dict[str, Fact]:
    r, d = _OVERLAP, model.space.dim
    p = 0.5 * (1 + math.tanh(0.5 * beta * (1 - r)))
    a, b = p * p + (1 - p) ** 2, 2 * p * (1 - p)
    return {
        "overlap drift": Fact(
            "D_12 for two tokens with R = 0.3, A = I, from the closed barycentres",
            homogenised_drift(r, a * r + b, a + b * r, a + b * r, d), _REFERENCE,
            lambda: rates_of_two(model, r)[0], 1e-12,
        ),
        "overlap bracket": Fact(
            "(2/d)(1 − R²)(P − RS) for two tokens with R = 0.3, A = I",
            2 / d * (1 - r * r) * (a + b * r - r * (a * r + b)), _REFERENCE, lambda: rates_of_two(model, r)[1], 1e-12,
        ),
    }  # fmt: skip
