"""The one definition of a system, from which every level of description is computed."""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean import interactions
from mckean.checks import require, traced
from mckean.interactions.kernels import AbstractKernel, as_kernel, held
from mckean.measures import AbstractMeasure, cast, dtype_of
from mckean.models.noise import AbstractNoise, Thermal
from mckean.models.potentials import as_potential
from mckean.spaces import AbstractSpace


class Model(eqx.Module):
    """dX_i = (−∇V(X_i) − ∇W_s*μ(X_i) + b(X_i, μ)) dt + σ(X_i, μ) dB_i, μ the law of X, or the empirical measure.

    A model holds mathematics only: no time step, no number of particles, no grid and no key.

    **Arguments:** `space`; `confinement`: V, a scalar function of a point (d,), or None; `interaction`: W, a kernel or
    a scalar function of a displacement (d,), or None; `drift`: b, a function of a point (d,) and the measure with
    values (d,), not a gradient in general, or a field such as `interactions.Attention`, which sees all points at once,
    or None; `noise`: an `AbstractNoise`, or None.
    **Raises** `ValueError` for a V or W that is not scalar, or not periodic on a torus, and, when used, for a b of
    another shape.
    """

    space: AbstractSpace
    confinement: Any
    interaction: AbstractKernel | None
    extra: Any
    noise: AbstractNoise | None

    def __init__(self, space: AbstractSpace, *, confinement=None, interaction=None, drift=None, noise=None):
        require(isinstance(space, AbstractSpace), f"a model lives on a space such as Torus(1), not on {space!r}.")
        require(
            noise is None or isinstance(noise, AbstractNoise),
            f"a model's noise must be a noise, not {noise!r}.",
        )
        self.space = space
        self.confinement = None if confinement is None else as_potential(confinement, space)
        self.interaction = None if interaction is None else as_kernel(interaction).on(space)
        require(drift is None or callable(drift), f"a drift must be a function b(x, mu), not {drift!r}.")
        self.extra = None if drift is None else held(drift)
        self.noise = noise

    def gradient_field(self, mu: AbstractMeasure, x: interactions.Points) -> Float[Array, "n d"]:
        """−∇V(x) − ∇W_s*μ(x) at points of shape (n, d), or on the nodes of a grid; length per time."""
        points = interactions.at(x, mu)
        total = jnp.zeros_like(points)
        if self.confinement is not None:
            total = total - jax.vmap(jax.grad(self.confinement))(points)
        if self.interaction is not None:
            total = total + interactions.force(self.interaction, mu, x)
        return total

    def drift(self, mu: AbstractMeasure, x: interactions.Points) -> Float[Array, "n d"]:
        """−∇V(x) − ∇W_s*μ(x) + b(x, μ) at points of shape (n, d), or on the nodes of a grid; length per time."""
        total = self.gradient_field(mu, x)
        if self.extra is None:
            return total
        points = interactions.at(x, mu)
        if isinstance(self.extra, interactions.AbstractField):
            extra = self.extra(mu, points)
        else:
            extra = jax.vmap(lambda point: self.extra(point, mu))(points)
        if extra.shape != total.shape:
            raise ValueError(f"a drift must return shape {total.shape[1:]} for a point, not {extra.shape[1:]}.")
        return total + extra

    @property
    def beta(self) -> Float[Array, ""] | float:
        """β, infinite without noise; raises `ValueError` where the noise is not thermal."""
        if self.noise is None:
            return math.inf
        if not isinstance(self.noise, Thermal):
            raise ValueError("this model has no temperature: its noise depends on the state.")
        return self.noise.beta


def langevin(
    space: AbstractSpace,
    confinement: Callable | None = None,
    interaction: AbstractKernel | Callable | None = None,
    beta: float | int | Array = 1.0,
) -> Model:
    """dX_i = −∇V(X_i) dt − (1/N)Σ_j ∇W_s(X_i − X_j) dt + √(2/β) dB_i, which is dX_i = −∇_{x_i}H_N dt + √(2/β) dB_i.

    **Arguments:** as for `Model`; `beta`: β > 0, in 1/energy; `math.inf` for no noise.
    **Raises** `ValueError` for β ≤ 0, for a V or W that is not scalar, or not periodic on a torus.
    """
    frozen = not traced(beta) and np.ndim(beta) == 0 and math.isinf(beta) and beta > 0
    noise = None if frozen else Thermal(beta)
    return Model(space, confinement=confinement, interaction=interaction, noise=noise)


def with_planned_sums(model: Model, mu: AbstractMeasure) -> Model:
    """The model with its interaction summed in the way that is chosen for a known cloud; see `interactions.planned`."""
    if model.interaction is None or mu.domain != model.space:
        return model
    return eqx.tree_at(lambda m: m.interaction, model, interactions.planned(model.interaction, mu))


def in_precision(model: Model, mu: AbstractMeasure) -> Model:
    """The model with its parameters in the measure's precision, so that it does not promote the state."""
    return cast(model, dtype_of(mu))
