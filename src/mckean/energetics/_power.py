"""The work that an environment does in mean, as a rate."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean.dynamics import Increments
from mckean.dynamics.scheme import require_stratonovich
from mckean.energetics._ledger import entries
from mckean.measures import AbstractMeasure, dtype_of
from mckean.models import Model, require_model
from mckean.models.environment import derivative, require_movable, total_over_motions


def environment_power(model: Model, mu: AbstractMeasure) -> Float[Array, ""]:
    """Observable: the mean work of the environment per time, ½Σ_k 𝒜_k⟨∇δF·σ_k, μ⟩; energy per particle and time.

    𝒜_k is the derivative along −∇·(ρσ_k). The work of a run less the integral of this is a martingale: this is the Itô
    drift of the work. An additive noise σ₀ has (σ₀²/2)⟨ΔV, μ⟩. Each field costs one derivative of the slope of the free
    energy.

    **Arguments:**

    - `model`: with a common noise; the value is 0 without.
    - `mu`: particles, or a density on the torus.

    **Returns:** a number.

    **Raises:** `ValueError` for other measures, and for a common noise in the sense of Itô that depends on the state.
    """
    require_model(model)
    require_stratonovich(model)
    mu = require_movable(mu)
    one = jnp.ones((), dtype_of(mu))

    def rate(unit):
        paid = lambda law: _input(entries(model, law, Increments(None, unit), one))  # noqa: E731
        return 0.5 * derivative(model, mu, unit, paid)

    return total_over_motions(model, mu, rate, jnp.zeros_like(one))


def _input(accounts) -> Float[Array, ""]:
    return accounts.work + accounts.entropy
