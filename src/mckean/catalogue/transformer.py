"""The toy Transformer: tokens on the sphere under an isotropic common noise whose strength is their alignment.

    dx_i = √κ P_{x_i} dB − ½κ(d − 1) x_i dt   (Itô),   κ = (α/d)|x̄|²,   x̄ = (1/n)Σ_j x_j,

one motion B in R^d for all tokens: the homogenised limit of a deep random Transformer at β = 0, in the talk's
normalisation; in the paper's κ = α|x̄|²/(d − 1) (Koubbi, Geshkovski and Rigollet, Homogenized Transformers, arXiv
2604.01978). The overlaps R_ij = ⟨x_i, x_j⟩ obey

    dR = κ(1 − R)(d − 2 − R) dt + √κ(1 − R)(x_i + x_j)·dB,   d⟨R⟩ = 2κ(1 − R)²(1 + R) dt,
    d log(1 − R) = −(d − 1)κ dt − √κ(x_i + x_j)·dB.

(The talk's bracket has lost a dt.) The step is Itô's in κ: with √κ P∘dB in the sense of Stratonovich the drift
(α/2d) P_i (1/n)Σ_j P_j x̄ is to be taken off.
"""

import math
from typing import Literal

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.catalogue.facts import Entry, Fact
from mckean.checks import require
from mckean.interactions.kernels import parameter
from mckean.measures import AbstractMeasure, Particles
from mckean.models import Isotropic, Model
from mckean.spaces import Sphere

_REFERENCE = "Koubbi, Geshkovski and Rigollet, Homogenized Transformers, arXiv 2604.01978"


class Alignment(eqx.Module):
    """√κ = √c |x̄|, the amplitude of the toy Transformer's noise. **Arguments:** `scale`: c ≥ 0, 1/time."""

    scale: Float[Array, ""] = eqx.field(converter=parameter)

    def __call__(self, mu: AbstractMeasure) -> Float[Array, ""]:
        return jnp.sqrt(self.kappa(mu))

    def kappa(self, mu: AbstractMeasure) -> Float[Array, ""]:
        """κ = c|x̄|², 1/time; 0, and all frozen for ever, where x̄ = 0. **Raises** `ValueError` but for particles."""
        if not isinstance(mu, Particles):
            raise ValueError(f"the toy Transformer moves tokens, which are particles, not a {type(mu).__name__}.")
        return self.scale * jnp.sum(mu.mean(mu.positions) ** 2)


def logistic(t, start: float, alpha: float):
    """m(t) with m′ = αm(1 − m): the mean overlap as d → ∞ of many tokens. **Arguments:** `t`: array of times."""
    growth = np.exp(alpha * np.asarray(t, float))
    return start * growth / (1 - start + start * growth)


def half_collapse_time(n: int, alpha: float) -> float:
    """log(n − 1)/α: when the logistic law from orthonormal tokens, m = 1/n, reaches one half."""
    return math.log(n - 1) / alpha


def toy_transformer(dim: int = 64, alpha: float = 1.0, normalisation: Literal["talk", "paper"] = "talk") -> Entry:
    """The toy Transformer on S^{d−1}.

    **Arguments:** `dim`: d ≥ 2; `alpha`: α ≥ 0, 1/time; `normalisation`: κ = (α/d)|x̄|², as in the talk, or
    α|x̄|²/(d − 1), as in the paper. **Raises** `ValueError` for another normalisation, and for α < 0.
    """
    require(alpha >= 0, f"alpha must not be negative, but {alpha} was given.")
    require(
        normalisation in ("talk", "paper"), f"the normalisation is 'talk' or 'paper', but {normalisation!r} was given."
    )
    scale = alpha / (dim if normalisation == "talk" else dim - 1)
    model = Model(Sphere(dim), common=Isotropic(Alignment(scale)))
    kappa = scale * 0.5 * (1 + _OVERLAP)
    facts = {
        "synchronised exponent": Fact(
            "−κ(d − 1)/2 where all tokens are one: every Lyapunov exponent", -0.5 * scale * (dim - 1), _REFERENCE
        ),
        "overlap drift": Fact(
            "κ(1 − R)(d − 2 − R) for two tokens with R = 0.3",
            overlap_drift(_OVERLAP, kappa, dim),
            _REFERENCE,
            lambda: _of_two_tokens(model)[0],
            1e-12 * max(1.0, alpha),
        ),
        "overlap bracket": Fact(
            "2κ(1 − R)²(1 + R) for two tokens with R = 0.3",
            overlap_bracket(_OVERLAP, kappa),
            _REFERENCE,
            lambda: _of_two_tokens(model)[1],
            1e-12 * max(1.0, alpha),
        ),
    }
    return Entry(model, facts)


_OVERLAP = 0.3


def _of_two_tokens(model: Model) -> tuple[float, float]:
    """Drift and bracket of R from the fields of the noise: each token's length is kept by a drift −½|σ|²x."""
    d = model.space.dim
    x = jnp.zeros((2, d)).at[:, 0].set(jnp.asarray([1.0, _OVERLAP])).at[1, 1].set(math.sqrt(1 - _OVERLAP**2))
    tokens = Particles(model.space, x)
    fields = jnp.stack([model.common_displacement(tokens, x, e) for e in jnp.eye(d)])
    square = jnp.sum(fields**2, axis=(0, 2))
    drift = jnp.sum(fields[:, 0] * fields[:, 1]) - 0.5 * jnp.sum(square) * _OVERLAP
    return float(drift), float(jnp.sum((fields[:, 0] @ x[1] + fields[:, 1] @ x[0]) ** 2))


def overlap_drift(r, kappa, dim: int):
    """κ(1 − R)(d − 2 − R), 1/time."""
    return kappa * (1 - r) * (dim - 2 - r)


def overlap_bracket(r, kappa):
    """2κ(1 − R)²(1 + R), 1/time."""
    return 2 * kappa * (1 - r) ** 2 * (1 + r)
