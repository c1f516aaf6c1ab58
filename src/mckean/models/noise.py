"""Idiosyncratic noise: what multiplies dB_i, with its calculus as a tag."""

import abc
from collections.abc import Callable
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean.checks import require
from mckean.interactions.kernels import held, parameter
from mckean.measures import AbstractMeasure

Calculus = Literal["ito", "stratonovich"]


class AbstractNoise(eqx.Module):
    """The term σ(X_i, μ) dB_i; `calculus` says how it is meant, and matters unless the noise is additive."""

    calculus: eqx.AbstractVar[Calculus]
    additive: eqx.AbstractVar[bool]

    @abc.abstractmethod
    def matrix(self, mu: AbstractMeasure, x: Float[Array, "n d"]) -> Float[Array, "n d m"]:
        """σ at each point, acting on m-dimensional increments."""

    @abc.abstractmethod
    def width(self, mu: AbstractMeasure, dim: int) -> int:
        """m, the dimension of each particle's Brownian motion."""

    def apply(self, sigma: Float[Array, "n d m"], dB: Float[Array, "n m"]) -> Float[Array, "n d"]:
        return jnp.einsum("ndm,nm->nd", sigma, dB)


class Thermal(AbstractNoise):
    """√(2/β) dB_i, independent of state: the noise whose equilibrium is the Gibbs measure e^{−βH}.

    **Arguments:** `beta`: β > 0, inverse temperature, in 1/energy. **Raises** `ValueError` if β is not positive.
    """

    beta: Float[Array, ""] = eqx.field(converter=parameter)
    calculus: Calculus = eqx.field(static=True, default="ito", init=False)
    additive: bool = eqx.field(static=True, default=True, init=False)

    def __check_init__(self):
        if jnp.shape(self.beta):
            raise ValueError(f"the inverse temperature beta must be a number, not an array of shape {self.beta.shape}.")
        require(self.beta > 0, f"the inverse temperature beta must be positive, but {self.beta} was given.")

    @property
    def amplitude(self) -> Float[Array, ""]:
        """√(2/β)."""
        return jnp.sqrt(2 / self.beta)

    def matrix(self, mu: AbstractMeasure, x: Float[Array, "n d"]) -> Float[Array, "n d m"]:
        d = x.shape[1]
        return jnp.broadcast_to(self.amplitude.astype(x.dtype) * jnp.eye(d, dtype=x.dtype), (x.shape[0], d, d))

    def width(self, mu: AbstractMeasure, dim: int) -> int:
        return dim


class Multiplicative(AbstractNoise):
    """σ(x, μ) dB_i with a state-dependent coefficient.

    **Arguments:** `sigma`: function of one point of shape (d,) and the measure, returning a number (isotropic), shape
    (d,) (diagonal) or shape (d, m); `calculus`: "ito" or "stratonovich".
    **Raises** `ValueError` for another calculus, or, when used, another shape.
    """

    sigma: Any
    calculus: Calculus = eqx.field(static=True, default="ito")
    additive: bool = eqx.field(static=True, default=False, init=False)

    def __init__(self, sigma: Callable, calculus: Calculus = "ito"):
        require(callable(sigma), f"a multiplicative noise needs a function sigma(x, mu), not {sigma!r}.")
        require(
            calculus in ("ito", "stratonovich"),
            f"the calculus of a noise is 'ito' or 'stratonovich', but {calculus!r} was given.",
        )
        self.sigma = held(sigma)
        self.calculus = calculus
        self.additive = False

    def matrix(self, mu: AbstractMeasure, x: Float[Array, "n d"]) -> Float[Array, "n d m"]:
        d = x.shape[1]
        sigma = jax.vmap(lambda point: jnp.asarray(self.sigma(point, mu)))(x)
        if sigma.ndim == 1:
            return sigma[:, None, None] * jnp.eye(d, dtype=x.dtype)
        if sigma.ndim == 2 and sigma.shape[1] == d:
            return sigma[:, :, None] * jnp.eye(d, dtype=x.dtype)
        if sigma.ndim == 3 and sigma.shape[1] == d:
            return sigma
        raise ValueError(f"sigma(x, mu) must return a number, shape ({d},) or shape ({d}, m), not {sigma.shape[1:]}.")

    def width(self, mu: AbstractMeasure, dim: int) -> int:
        x = jax.ShapeDtypeStruct((1, dim), jnp.result_type(float))
        return eqx.filter_eval_shape(self.matrix, mu, x).shape[2]
