"""Consensus-based optimisation: particles that look for the minimum of a function f without its gradient.

    dX_i = −λ(X_i − m) dt + σ D(X_i − m) dB_i,   m = ∫x e^{−αf} dμ / ∫e^{−αf} dμ,

D(z) = |z| times the identity (isotropic) or diag(z) (anisotropic). As α → ∞ the point m of consensus goes to the
particle with the least f (Laplace). With m held still, E|X − m|² has the rate

    −(2λ − dσ²)  (isotropic),   −(2λ − σ²)  (anisotropic, in any dimension),

the condition for consensus (Pinnau, Totzeck, Tse and Martin, Math. Models Methods Appl. Sci. 27, 2017; Carrillo, Jin,
Li and Zhu, ESAIM Control Optim. Calc. Var. 27, 2021). With α = 0, m is the mean of all N particles, and their spread
(1/N)Σ|X_i − X̄|² has the rate −(2λ − dσ²(1 − 1/N)) exactly, and with 1 for d where the noise is anisotropic: the limit
N → ∞ is approached from below.
"""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.catalogue.facts import Entry, Fact
from mckean.checks import require, scalar_field
from mckean.interactions.functions import as_module
from mckean.interactions.parameters import parameter
from mckean.interactions.sums.sum import atoms
from mckean.measures import AbstractMeasure, Density, Gaussian, Particles
from mckean.models import Model, Multiplicative
from mckean.spaces import Euclidean

_REFERENCE = "Pinnau, Totzeck, Tse and Martin, Math. Models Methods Appl. Sci. 27 (2017)"


class Consensus(eqx.Module):
    """The point of consensus m = ∫x e^{−αf}dμ/∫e^{−αf}dμ.

    **Arguments:**

    - `objective`: f, a scalar function of a point (d,).
    - `alpha`: α ≥ 0, 1/(unit of f).
    """

    objective: Any
    alpha: Float[Array, ""] = eqx.field(converter=parameter)

    def __call__(self, mu: AbstractMeasure) -> Float[Array, " d"]:
        """m. **Raises** `ValueError` for a measure that is neither particles nor a density."""
        y, w = atoms(mu)
        # Of two numbers e^{−αf} that underflow the softmax still knows which is larger.
        log_mass = jnp.where(w > 0, jnp.log(jnp.where(w > 0, w, 1.0)), -jnp.inf)
        weight = jax.nn.softmax(log_mass - self.alpha * jax.vmap(self.objective)(y))
        return weight @ y


class Attraction(eqx.Module):
    """−λ(x − m)."""

    centre: Consensus
    rate: Float[Array, ""] = eqx.field(converter=parameter)

    def __call__(self, x: Float[Array, " d"], mu: AbstractMeasure) -> Float[Array, " d"]:
        return -self.rate * (x - self.centre(mu))


class Exploration(eqx.Module):
    """σ|x − m|, or σ(x − m) coordinate by coordinate."""

    centre: Consensus
    strength: Float[Array, ""] = eqx.field(converter=parameter)
    anisotropic: bool = eqx.field(static=True)

    def __call__(self, x: Float[Array, " d"], mu: AbstractMeasure) -> Float[Array, "..."]:
        z = x - self.centre(mu)
        if self.anisotropic:
            return self.strength * z
        square = jnp.sum(z**2)
        return self.strength * jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)


def bowl(x: Float[Array, " d"]) -> Float[Array, ""]:
    """f(x) = |x|²/2."""
    return 0.5 * jnp.sum(x**2)


def spread_rate(rate: float, noise: float, dim: int, anisotropic: bool, n: float = math.inf) -> float:
    """−2λ + σ²(1 − 1/N) times d, or times 1 where the noise is anisotropic; 1/time."""
    return -2 * rate + noise**2 * (1 if anisotropic else dim) * (1 - 1 / n)


def consensus_optimisation(
    objective: Callable | None = None,
    alpha: float = 30.0,
    rate: float = 1.0,
    noise: float = 0.7,
    dim: int = 2,
    anisotropic: bool = False,
) -> Entry:
    """Consensus-based optimisation in R^d: dX_i = −λ(X_i − m) dt + σD(X_i − m) dB_i, m = ∫xe^{−αf}dμ/∫e^{−αf}dμ.

    **Arguments:**

    - `objective`: f, a scalar function of a point (d,). Default: |x|²/2.
    - `alpha`: α ≥ 0, 1/(unit of f). Default: 30.
    - `rate`: λ > 0, 1/time. Default: 1.
    - `noise`: σ ≥ 0, 1/√time. Default: 0.7.
    - `dim`: d. Default: 2.
    - `anisotropic`: whether D(z) = diag(z), and not |z| times the identity. Default: False.

    **Returns:** an `Entry`: the model and its facts.

    **Raises:** `ValueError` for other values, and for an f that is not scalar.

    **Source:** Pinnau, Totzeck, Tse and Martin, Math. Models Methods Appl. Sci. 27 (2017); Carrillo, Jin, Li and Zhu,
    ESAIM Control Optim. Calc. Var. 27 (2021), for the anisotropic noise.
    """
    right = 0 <= alpha < math.inf and 0 < rate < math.inf and 0 <= noise < math.inf
    require(right, f"consensus needs α ≥ 0, λ > 0 and σ ≥ 0, but α = {alpha}, λ = {rate} and σ = {noise} were given.")
    space = Euclidean(dim)
    f = bowl if objective is None else objective
    require(callable(f), f"an objective is a function of a point, not {f!r}.")
    scalar_field(f, dim, "an objective")
    centre = Consensus(as_module(f), alpha)
    drift, sigma = Attraction(centre, rate), Exploration(centre, noise, bool(anisotropic))
    model = Model(space, drift=drift, noise=Multiplicative(sigma))
    facts = {
        "spread rate": Fact(
            "−2λ + dσ², or −2λ + σ²: d/dt log E|X − m|² for m held still",
            spread_rate(rate, noise, dim, anisotropic), _REFERENCE, lambda: _spreading(model, centre),
            1e-10 * (rate + noise**2 * dim),
        ),
    }  # fmt: skip
    if objective is None:
        facts["point of consensus"] = Fact(
            "1/(1 + αv), the m of N(1, v) on the line for f = x²/2, v = ¼", 1 / (1 + 0.25 * alpha), _REFERENCE,
            lambda: _of_gaussian(centre), 1e-6,
        )  # fmt: skip
    return Entry(model, facts)


def _spreading(model: Model, centre: Consensus) -> float:
    """The rate of E|X − m|² in a cloud, from the model's own drift and diffusion."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(20, model.space.dim)))
    mu = Particles(model.space, x)
    z = x - centre(mu)
    assert model.noise is not None, "consensus has a noise"
    trace = jnp.trace(model.noise.diffusion(x, mu), axis1=1, axis2=2)
    return float(jnp.sum(2 * z * model.velocity(x, mu)) + jnp.sum(trace)) / float(jnp.sum(z**2))


def _of_gaussian(centre: Consensus) -> float:
    """On cells much narrower than the weighted density, whose centre they move by O(h²)."""
    grid = Euclidean(1).grid(4000, -3.0, 5.0)
    return float(centre(Density.from_law(grid, Gaussian(1.0, 0.25)))[0])
