"""Self-attention flows: tokens on the sphere that move towards what they attend to.

    x_i′ = P_{x_i} V Σ_j e^{β⟨Qx_i, Kx_j⟩} x_j / Σ_j e^{β⟨Qx_i, Kx_j⟩}   (SA),
    x_i′ = P_{x_i} (V/n) Σ_j e^{β⟨Qx_i, Kx_j⟩} x_j                        (USA),

with noise of the tokens' own, √(2T) P_{x_i} dB_i, with common noise, or without either. With Q = K = V = I and no noise
USA is the gradient flow that raises E_β = (1/2βn²) Σ_ij e^{β⟨x_i, x_j⟩}. Two tokens with overlap R have

    R′ = 2(1 − R²)/(1 + e^{β(1−R)})   (SA),    R′ = e^{βR}(1 − R²)   (USA),

and own noise of temperature T adds the drift −2T(d − 1)R. (Geshkovski, Letrouit, Polyanskiy and Rigollet, A
mathematical perspective on Transformers, Bull. Amer. Math. Soc. 2025.)
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from mckean import interactions
from mckean.catalogue.facts import Entry, Fact
from mckean.catalogue.reduced import require_finite_beta
from mckean.catalogue.transformer import rates_of_two
from mckean.checks import require
from mckean.measures import Particles
from mckean.models import AbstractNoise, Model, Thermal
from mckean.spaces import Sphere

_REFERENCE = "Geshkovski, Letrouit, Polyanskiy and Rigollet, A mathematical perspective on Transformers"
_OVERLAP = 0.3


def self_attention(
    dim: int = 3,
    beta: float = 1.0,
    value=None,
    query_key=None,
    normalised: bool = True,
    temperature: float = 0.0,
    common: AbstractNoise | Sequence[AbstractNoise] = (),
) -> Entry:
    """Self-attention on S^{d−1}: x_i′ = P_{x_i} V Σ_j w_ij x_j, with noise or without.

    The weights are w_ij = e^{β⟨Qx_i, Kx_j⟩}/Σ_j e^{β⟨Qx_i, Kx_j⟩} (SA), or e^{β⟨Qx_i, Kx_j⟩}/n, without the softmax's
    denominator (USA).

    **Arguments:**

    - `dim`: d ≥ 2. Default: 3.
    - `beta`: β. Default: 1.
    - `value`: V, shape (d, d), or a number. Default: None, the identity.
    - `query_key`: QᵀK, shape (d, d). Default: None, the identity.
    - `normalised`: SA, or USA if False. Default: True.
    - `temperature`: T ≥ 0, of the tokens' own noise √(2T) P dB. Default: 0.
    - `common`: a common noise, or several. Default: none.

    **Returns:** an `Entry`: the model and its facts.

    **Raises:** `ValueError` for a matrix of another shape, T < 0, and a β for which USA overflows.

    **Source:** Geshkovski, Letrouit, Polyanskiy and Rigollet, Bull. Amer. Math. Soc. 2025.
    """
    require_finite_beta(beta)
    require(temperature >= 0, f"the temperature must not be negative, but {temperature} was given.")
    limit = math.log(jnp.finfo(jnp.result_type(float)).max)
    require(
        normalised or abs(beta) < limit,
        f"without the softmax's denominator the drift grows as e^β, which at β = {beta} is beyond the largest number.",
    )
    attention = interactions.Attention(beta, value, query_key, normalised)
    for name, matrix in (("value", attention.value), ("query_key", attention.query_key)):
        fits = matrix is None or matrix.shape in ((), (dim, dim))
        require(fits, f"the {name} of self-attention in R^{dim} has shape ({dim}, {dim}).")
    noise = Thermal(1 / temperature) if temperature > 0 else None
    model = Model(Sphere(dim), drift=attention, noise=noise, common=common)
    return Entry(model, _facts(model, beta, temperature) if value is None and query_key is None else {})


def _facts(model: Model, beta: float, temperature: float) -> dict[str, Fact]:
    attention, r = model.drift, _OVERLAP
    along = 1 - r * r
    rate = 2 * along * _weight(beta, r) if attention.normalised else math.exp(beta * r) * along
    mean = rate - 2 * temperature * (model.space.dim - 1) * r
    kind = "2(1 − R²)/(1 + e^{β(1−R)})" if attention.normalised else "e^{βR}(1 − R²)"
    return {
        "overlap drift": Fact(
            f"{kind} − 2T(d − 1)R, the mean rate of R for two tokens with R = 0.3 and no common noise",
            mean, _REFERENCE, lambda: _of_two_tokens(model), 1e-12 * max(1.0, abs(mean)),
        ),
    }  # fmt: skip


def _weight(beta: float, r: float) -> float:
    """1/(1 + e^{β(1−R)}), which does not overflow."""
    return 0.5 * (1 - math.tanh(0.5 * beta * (1 - r)))


def _of_two_tokens(model: Model) -> float:
    """d/dt E⟨x_1, x_2⟩ from the model's drift and the diffusion of its own noise."""
    rate = rates_of_two(Model(model.space, drift=model.drift), _OVERLAP)[0]
    if model.noise is None:
        return rate
    x = model.space.uniform(jax.random.key(0), 2)
    square = model.noise.diffusion(x, Particles(model.space, x))
    # Each token's length is kept by a drift −½ tr(PσσᵀP) x.
    spent = sum(0.5 * (jnp.trace(a) - x[i] @ a @ x[i]) for i, a in enumerate(square))
    return rate - float(spent) * _OVERLAP
