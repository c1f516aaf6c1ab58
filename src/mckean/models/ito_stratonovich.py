"""Between Itô and Stratonovich: the drift by which the two readings of a noise differ.

    Σ_k σ_k(X_i, μ) ∘ dB_k = Σ_k σ_k(X_i, μ) dB_k + c(X_i, μ) dt,
    c(x, μ) = ½ Σ_k [ (∂_xσ_k) σ_k (x, μ) + ∫ D_μσ_k(x, μ)(y) σ_k(y, μ) μ(dy) ].

The second term, of the dependence on μ, is there for a common noise, which moves μ along; it is the derivative of
σ_k(x, ·) at μ in the direction in which σ_k moves μ. A particle's own noise moves μ by 1/N: in the mean-field limit its
c has the first term alone, and N particles differ from that by O(1/N). On a sphere the σ_k are the tangent parts P_xσ_k
and c is the tangent part of this; the normal part, which keeps |x| = 1, both readings have alike.
"""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean import interactions
from mckean.interactions import AbstractField
from mckean.measures import AbstractMeasure, Density, Gaussian, Particles
from mckean.models.model import Model, drift_at, require_model
from mckean.models.noise import AbstractNoise, Calculus, require_calculus
from mckean.spaces import calculus
from mckean.spaces.calculus import SpectralGrid


def convert(model: Model, calculus: Calculus) -> Model:
    """The same equation with all its noise in the given calculus: Itô's correction c joins the drift, or leaves it.

        c(x, μ) = ½ Σ_k [(∂_xσ_k) σ_k (x, μ) + ∫ D_μσ_k(x, μ)(y) σ_k(y, μ) μ(dy)],

    the second term for a common noise only, which moves μ.

    **Arguments:**

    - `model`: any model.
    - `calculus`: "ito" or "stratonovich".

    **Returns:** a `Model`; the same one if nothing changes.

    **Raises:** `ValueError` for another calculus. In a run: for a common noise that depends on a measure whose motion
    is not known in its form, such as a density on a box.
    """
    require_model(model)
    require_calculus(calculus)
    own = [] if model.noise is None else [model.noise]
    parts = [*own, *model.common]
    which = [i for i, part in enumerate(parts) if differs(part, calculus)]
    if not which:
        return model
    sign = 1.0 if calculus == "ito" else -1.0
    drift = _Change(model.drift, tuple(parts[i] for i in which), tuple(i >= len(own) for i in which), sign)
    tagged = [dataclasses.replace(part, calculus=calculus) if i in which else part for i, part in enumerate(parts)]
    changed = (drift, tagged[0] if own else None, tuple(tagged[len(own) :]))
    return eqx.tree_at(lambda m: (m.drift, m.noise, m.common), model, changed, is_leaf=lambda v: v is None)


def differs(noise: AbstractNoise, calculus: Calculus) -> bool:
    """Whether the noise means something else in the given calculus.

    **Arguments:**

    - `noise`: a noise.
    - `calculus`: "ito" or "stratonovich".
    """
    return not noise.ito_is_stratonovich and noise.calculus != calculus


def correction(noise: AbstractNoise, common: bool, mu: AbstractMeasure, x: Float[Array, "n d"]) -> Float[Array, "n d"]:
    """c at points; length per time.

    **Arguments:**

    - `noise`: a noise.
    - `common`: whether the noise moves μ along with the points.
    - `mu`: the measure.
    - `x`: points, shape (n, d).
    """
    moving, still = eqx.partition(mu, eqx.is_inexact_array)

    def term(k):
        drag = _drag(noise, mu, k) if common and noise.depends_on_measure else jax.tree.map(jnp.zeros_like, moving)
        field = lambda moving, x: _field(noise, eqx.combine(moving, still), x, k)  # noqa: E731
        return jax.jvp(field, (moving, x), (drag, _field(noise, mu, x, k)))[1]

    terms = jax.lax.map(term, jnp.arange(noise.width(mu, x.shape[1])))
    return mu.domain.project(x, 0.5 * jnp.sum(terms, axis=0))


def _field(noise: AbstractNoise, mu: AbstractMeasure, x: Float[Array, "n d"], k) -> Float[Array, "n d"]:
    """σ_k, tangent to the space."""
    return mu.domain.project(x, noise.matrix(x, mu)[:, :, k])


def _drag(noise: AbstractNoise, mu: AbstractMeasure, k) -> Any:
    """The tangent of μ along σ_k(·, μ), with the structure of μ's inexact arrays."""
    inexact = jax.tree.map(jnp.zeros_like, eqx.filter(mu, eqx.is_inexact_array))
    if isinstance(mu, Particles):
        return eqx.tree_at(lambda m: m.positions, inexact, _field(noise, mu, mu.positions, k))
    if isinstance(mu, Density) and isinstance(mu.grid, SpectralGrid):
        flux = mu.values.reshape(-1, 1) * noise.matrix(interactions.at(mu.grid, mu), mu)[:, :, k]
        return eqx.tree_at(lambda m: m.values, inexact, -calculus.divergence(mu.grid, flux))
    if isinstance(mu, Gaussian):
        velocity = lambda y: noise.matrix(y[None], mu)[0, :, k]  # noqa: E731
        spread = jax.jacfwd(velocity)(mu.mean) @ mu.covariance
        return eqx.tree_at(lambda m: (m.mean, m.covariance), inexact, (velocity(mu.mean), spread + spread.T))
    raise ValueError(
        f"how a common noise moves a {type(mu).__name__} on a box is not known to the conversion between Itô and "
        "Stratonovich, which a noise that depends on the measure needs: give the noise in the other calculus."
    )


class _Change(AbstractField):
    """A drift with c added, or taken away."""

    drift: Any
    noises: tuple[AbstractNoise, ...]
    common: tuple[bool, ...] = eqx.field(static=True)
    sign: float = eqx.field(static=True)

    def __call__(self, x: interactions.Points, mu: AbstractMeasure) -> Float[Array, "n d"]:
        points = interactions.at(x, mu)
        total = sum(
            (correction(noise, common, mu, points) for noise, common in zip(self.noises, self.common, strict=True)),
            jnp.zeros_like(points),
        )
        return self.sign * total + drift_at(self.drift, x, mu)
