"""Noise: fields that multiply Brownian motions, with their calculus as a tag.

The same classes serve in both places of a model: as σ(X_i, μ) dB_i, where each particle has a motion of its own, and as
Σ_k σ_k(X_i, μ) dB⁰_k, where one environment moves them all.
"""

import abc
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean import interactions
from mckean.checks import array, calling, concrete, require, require_arguments, require_finite
from mckean.interactions.functions import as_module
from mckean.interactions.parameters import parameter
from mckean.measures import AbstractMeasure

Calculus = Literal["ito", "stratonovich"]


class AbstractNoise(eqx.Module):
    """The fields σ_1 … σ_m; `calculus` says how their stochastic integral is meant.

    `additive`: whether they are the same at all points, times and measures; `ito_is_stratonovich`: whether the two
    integrals of these fields agree, so that `calculus` does not matter; `depends_on_measure`: whether the fields may
    depend on μ; `is_shear`: whether each component of every field is independent of its own coordinate, and of the
    measure, so that its flow, axis by axis, shifts lines along themselves.
    """

    calculus: eqx.AbstractVar[Calculus]
    additive: eqx.AbstractVar[bool]
    ito_is_stratonovich: eqx.AbstractVar[bool]
    depends_on_measure: eqx.AbstractVar[bool]
    is_shear: eqx.AbstractVar[bool]

    @abc.abstractmethod
    def width(self, mu: AbstractMeasure, dim: int) -> int:
        """m, the number of Brownian motions: of each particle's own, or of the environment."""

    @abc.abstractmethod
    def matrix(self, x: Float[Array, "n d"], mu: AbstractMeasure) -> Float[Array, "n d m"]:
        """σ at each point, acting on m-dimensional increments."""

    @abc.abstractmethod
    def diffusion(self, x: Float[Array, "n d"], mu: AbstractMeasure) -> Float[Array, "n d d"]:
        """Σ_k σ_kσ_kᵀ at each point, length² per time."""

    @abc.abstractmethod
    def displacement(self, x: interactions.Points, mu: AbstractMeasure, dB: Float[Array, " m"]) -> Float[Array, "n d"]:
        """Σ_k σ_k(x_i, μ) dB_k at points (n, d), or at the nodes of a grid: one environment for all."""

    def apply(self, sigma: Float[Array, "n d m"], dB: Float[Array, "n m"]) -> Float[Array, "n d"]:
        """σ(x_i) dB_i, each point with increments of its own."""
        return jnp.einsum("ndm,nm->nd", sigma, dB)


class AbstractMatrixNoise(AbstractNoise):
    """A noise with few fields: its diffusion is formed from their matrix."""

    def diffusion(self, x: Float[Array, "n d"], mu: AbstractMeasure) -> Float[Array, "n d d"]:
        sigma = self.matrix(x, mu)
        return jnp.einsum("nim,njm->nij", sigma, sigma)


class Thermal(AbstractMatrixNoise):
    """Thermal noise, √(2/β) dB_i, the same at all points: its equilibrium is the Gibbs measure e^{−βH}.

    **Arguments:**

    - `beta`: β > 0, the inverse temperature, 1/energy.

    **Raises:** `ValueError` for a β that is not positive.
    """

    beta: Float[Array, ""] = eqx.field(converter=parameter)
    calculus: ClassVar[Calculus] = "ito"
    additive: ClassVar[bool] = True
    ito_is_stratonovich: ClassVar[bool] = True
    depends_on_measure: ClassVar[bool] = False
    is_shear: ClassVar[bool] = True

    def __check_init__(self):
        if jnp.shape(self.beta):
            raise ValueError(f"the inverse temperature beta must be a number, not an array of shape {self.beta.shape}.")
        require(concrete(self.beta) > 0, f"the inverse temperature beta must be positive, but {self.beta} was given.")

    @property
    def amplitude(self) -> Float[Array, ""]:
        """√(2/β)."""
        return jnp.sqrt(2 / self.beta)

    def matrix(self, x: Float[Array, "n d"], mu: AbstractMeasure) -> Float[Array, "n d m"]:
        d = x.shape[1]
        return jnp.broadcast_to(self.amplitude.astype(x.dtype) * jnp.eye(d, dtype=x.dtype), (x.shape[0], d, d))

    def displacement(self, x: interactions.Points, mu: AbstractMeasure, dB: Float[Array, " m"]) -> Float[Array, "n d"]:
        return self.matrix(interactions.at(x, mu), mu) @ dB

    def width(self, mu: AbstractMeasure, dim: int) -> int:
        return dim


class Additive(AbstractMatrixNoise):
    """Additive noise, σ₀ dB, the same at all points and times.

    **Arguments:**

    - `amplitude`: σ₀, length per √time: a number (isotropic), shape (d,) (diagonal) or shape (d, m).

    **Raises:** `ValueError` for other shapes, and entries that are not finite.
    """

    amplitude: Float[Array, "..."] = eqx.field(converter=lambda a: parameter(a if jnp.isscalar(a) else array(a, float)))
    calculus: ClassVar[Calculus] = "ito"
    additive: ClassVar[bool] = True
    ito_is_stratonovich: ClassVar[bool] = True
    depends_on_measure: ClassVar[bool] = False
    is_shear: ClassVar[bool] = True

    def __check_init__(self):
        shape = jnp.shape(self.amplitude)
        require(len(shape) <= 2, f"the amplitude of an additive noise has shape (), (d,) or (d, m), not {shape}.")
        require_finite("the amplitude of an additive noise", self.amplitude)

    def matrix(self, x: Float[Array, "n d"], mu: AbstractMeasure) -> Float[Array, "n d m"]:
        one = self.square(x.shape[1]).astype(x.dtype)
        return jnp.broadcast_to(one, (x.shape[0], *one.shape))

    def square(self, dim: int) -> Float[Array, "d m"]:
        """σ₀ as a matrix."""
        return _square(self.amplitude[None], dim, "an additive noise has an amplitude that is")[0]

    def displacement(self, x: interactions.Points, mu: AbstractMeasure, dB: Float[Array, " m"]) -> Float[Array, "n d"]:
        points = interactions.at(x, mu)
        return jnp.broadcast_to((self.square(points.shape[1]).astype(points.dtype) @ dB), points.shape)

    def width(self, mu: AbstractMeasure, dim: int) -> int:
        return self.amplitude.shape[1] if self.amplitude.ndim == 2 else dim


class Isotropic(AbstractMatrixNoise):
    """Isotropic noise whose amplitude depends on the measure: a(μ) dB with B in R^d; on a sphere a(μ) P_x dB.

    **Arguments:**

    - `amplitude`: a ≥ 0, a function of the measure, length per √time.
    - `calculus`: "ito" or "stratonovich". They differ for a common noise, which moves μ. Default: "ito".

    **Raises:** `ValueError` for an amplitude that is no function, and for another calculus.
    """

    amplitude: Any
    calculus: Calculus = eqx.field(static=True, default="ito")
    additive: ClassVar[bool] = False
    ito_is_stratonovich: ClassVar[bool] = False
    depends_on_measure: ClassVar[bool] = True
    is_shear: ClassVar[bool] = False

    def __init__(self, amplitude: Callable, calculus: Calculus = "ito"):
        require(callable(amplitude), f"an isotropic noise needs an amplitude a(mu), not {amplitude!r}.")
        require_arguments("the amplitude a of an isotropic noise", amplitude, "mu")
        require_calculus(calculus)
        self.amplitude, self.calculus = as_module(amplitude), calculus

    def at(self, mu: AbstractMeasure) -> Float[Array, ""]:
        """a(μ)."""
        with calling("the amplitude a(mu) of an isotropic noise"):
            value = jnp.asarray(self.amplitude(mu))
        require(value.shape == (), f"an isotropic noise needs an amplitude a(mu) of shape (), not {value.shape}.")
        return value

    def matrix(self, x: Float[Array, "n d"], mu: AbstractMeasure) -> Float[Array, "n d m"]:
        d = x.shape[1]
        return jnp.broadcast_to(self.at(mu).astype(x.dtype) * jnp.eye(d, dtype=x.dtype), (x.shape[0], d, d))

    def width(self, mu: AbstractMeasure, dim: int) -> int:
        return dim

    def displacement(self, x: interactions.Points, mu: AbstractMeasure, dB: Float[Array, " m"]) -> Float[Array, "n d"]:
        points = interactions.at(x, mu)
        return jnp.broadcast_to(self.at(mu).astype(points.dtype) * dB, points.shape)


def require_calculus(calculus: str) -> None:
    """Raise `ValueError` for another calculus than the two."""
    require(
        calculus in ("ito", "stratonovich"),
        f"the calculus of a noise is 'ito' or 'stratonovich', but {calculus!r} was given.",
    )


class Multiplicative(AbstractMatrixNoise):
    """Multiplicative noise, σ(X, μ) dB: any vector fields, which may depend on the state and on the measure.

    **Arguments:**

    - `sigma`: σ, length per √time: a function of one point (d,) and the measure that returns a number (isotropic),
      shape (d,) (diagonal) or shape (d, m).
    - `calculus`: "ito" or "stratonovich". Default: "ito".

    **Raises:** `ValueError` for another calculus. In a run: for another shape.
    """

    sigma: Any
    calculus: Calculus = eqx.field(static=True, default="ito")
    additive: ClassVar[bool] = False
    ito_is_stratonovich: ClassVar[bool] = False
    depends_on_measure: ClassVar[bool] = True
    is_shear: ClassVar[bool] = False

    def __init__(self, sigma: Callable, calculus: Calculus = "ito"):
        require(callable(sigma), f"a multiplicative noise needs a function sigma(x, mu), not {sigma!r}.")
        require_arguments("sigma", sigma, "x", "mu")
        require_calculus(calculus)
        self.sigma = as_module(sigma)
        self.calculus = calculus

    def matrix(self, x: Float[Array, "n d"], mu: AbstractMeasure) -> Float[Array, "n d m"]:
        with calling("sigma(x, mu)"):
            sigma = jax.vmap(lambda point: jnp.asarray(self.sigma(point, mu)))(x)
        return _square(sigma, x.shape[1], "sigma(x, mu) must return")

    def displacement(self, x: interactions.Points, mu: AbstractMeasure, dB: Float[Array, " m"]) -> Float[Array, "n d"]:
        return self.matrix(interactions.at(x, mu), mu) @ dB

    def width(self, mu: AbstractMeasure, dim: int) -> int:
        x = jax.ShapeDtypeStruct((1, dim), jnp.result_type(float))
        return eqx.filter_eval_shape(self.matrix, x, mu).shape[2]


def _square(sigma: Float[Array, "n ..."], d: int, must: str) -> Float[Array, "n d m"]:
    """Numbers as multiples of the identity, vectors as diagonals."""
    if sigma.ndim == 1:
        return sigma[:, None, None] * jnp.eye(d, dtype=sigma.dtype)
    if sigma.ndim == 2 and sigma.shape[1] == d:
        return sigma[:, :, None] * jnp.eye(d, dtype=sigma.dtype)
    if sigma.ndim == 3 and sigma.shape[1] == d:
        return sigma
    raise ValueError(f"{must} a number, shape ({d},) or shape ({d}, m), not {sigma.shape[1:]}.")
