"""Noise: fields that multiply Brownian motions, with their calculus as a tag.

The same classes serve in both places of a model: as σ(X_i, μ) dB_i, where each particle has a motion of its own, and as
Σ_k σ_k(X_i, μ) dB⁰_k, where one environment moves them all.
"""

import abc
from collections.abc import Callable
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean import interactions
from mckean.checks import require, require_finite
from mckean.interactions.parameters import as_module, parameter
from mckean.measures import AbstractMeasure

Calculus = Literal["ito", "stratonovich"]


class AbstractNoise(eqx.Module):
    """The fields σ_1 … σ_m; `calculus` says how their stochastic integral is meant."""

    calculus: eqx.AbstractVar[Calculus]
    additive: eqx.AbstractVar[bool]

    @property
    def same_in_both(self) -> bool:
        """Whether the Itô and the Stratonovich integral of these fields agree; then the tag does not matter."""
        return self.additive

    @property
    def sheared(self) -> bool:
        """Whether each component of every field is independent of its own coordinate, and of the measure.

        Its flow, axis by axis, is then a shift of lines along themselves.
        """
        return self.additive

    @property
    def sees_measure(self) -> bool:
        """Whether the fields may depend on μ."""
        return False

    @abc.abstractmethod
    def matrix(self, mu: AbstractMeasure, x: Float[Array, "n d"]) -> Float[Array, "n d m"]:
        """σ at each point, acting on m-dimensional increments."""

    @abc.abstractmethod
    def width(self, mu: AbstractMeasure, dim: int) -> int:
        """m, the number of Brownian motions: of each particle's own, or of the environment."""

    def diffusion(self, mu: AbstractMeasure, x: Float[Array, "n d"]) -> Float[Array, "n d d"]:
        """Σ_k σ_kσ_kᵀ at each point, length² per time."""
        sigma = self.matrix(mu, x)
        return jnp.einsum("nim,njm->nij", sigma, sigma)

    def apply(self, sigma: Float[Array, "n d m"], dB: Float[Array, "n m"]) -> Float[Array, "n d"]:
        """σ(x_i) dB_i, each point with increments of its own."""
        return jnp.einsum("ndm,nm->nd", sigma, dB)

    def displacement(self, mu: AbstractMeasure, x: interactions.Points, dB: Float[Array, " m"]) -> Float[Array, "n d"]:
        """Σ_k σ_k(x_i, μ) dB_k at points (n, d), or at the nodes of a grid: one environment for all."""
        return self.matrix(mu, interactions.at(x, mu)) @ dB


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


class Additive(AbstractNoise):
    """σ₀ dB, the same at all points and times.

    **Arguments:** `amplitude`: σ₀, length per √time: a number (isotropic), shape (d,) (diagonal) or shape (d, m).
    **Raises** `ValueError` for other shapes, or entries that are not finite.
    """

    amplitude: Float[Array, "..."] = eqx.field(
        converter=lambda a: parameter(a if jnp.isscalar(a) else jnp.asarray(a, float))
    )
    calculus: Calculus = eqx.field(static=True, default="ito", init=False)
    additive: bool = eqx.field(static=True, default=True, init=False)

    def __check_init__(self):
        shape = jnp.shape(self.amplitude)
        require(len(shape) <= 2, f"the amplitude of an additive noise has shape (), (d,) or (d, m), not {shape}.")
        require_finite("the amplitude of an additive noise", self.amplitude)

    def matrix(self, mu: AbstractMeasure, x: Float[Array, "n d"]) -> Float[Array, "n d m"]:
        one = self.square(x.shape[1]).astype(x.dtype)
        return jnp.broadcast_to(one, (x.shape[0], *one.shape))

    def square(self, dim: int) -> Float[Array, "d m"]:
        """σ₀ as a matrix."""
        return _square(self.amplitude[None], dim, "an additive noise has an amplitude that is")[0]

    def displacement(self, mu: AbstractMeasure, x: interactions.Points, dB: Float[Array, " m"]) -> Float[Array, "n d"]:
        points = interactions.at(x, mu)
        return jnp.broadcast_to((self.square(points.shape[1]).astype(points.dtype) @ dB), points.shape)

    def width(self, mu: AbstractMeasure, dim: int) -> int:
        return self.amplitude.shape[1] if self.amplitude.ndim == 2 else dim


class Isotropic(AbstractNoise):
    """a(μ) dB with B in R^d and a an amplitude that the measure sets; on a sphere a(μ) P_x dB.

    **Arguments:** `amplitude`: a function of the measure with values ≥ 0, length per √time; `calculus`: "ito" or
    "stratonovich", which differ where the noise moves μ: as a common noise.
    **Raises** `ValueError` for an amplitude that is no function, and for another calculus.
    """

    amplitude: Any
    calculus: Calculus = eqx.field(static=True, default="ito")
    additive: bool = eqx.field(static=True, default=False, init=False)

    def __init__(self, amplitude: Callable, calculus: Calculus = "ito"):
        require(callable(amplitude), f"an isotropic noise needs an amplitude a(mu), not {amplitude!r}.")
        _require_calculus(calculus)
        self.amplitude, self.calculus, self.additive = as_module(amplitude), calculus, False

    @property
    def sees_measure(self) -> bool:
        return True

    def matrix(self, mu: AbstractMeasure, x: Float[Array, "n d"]) -> Float[Array, "n d m"]:
        d = x.shape[1]
        return jnp.broadcast_to(self.amplitude(mu).astype(x.dtype) * jnp.eye(d, dtype=x.dtype), (x.shape[0], d, d))

    def width(self, mu: AbstractMeasure, dim: int) -> int:
        return dim

    def displacement(self, mu: AbstractMeasure, x: interactions.Points, dB: Float[Array, " m"]) -> Float[Array, "n d"]:
        points = interactions.at(x, mu)
        return jnp.broadcast_to(self.amplitude(mu).astype(points.dtype) * dB, points.shape)


def _require_calculus(calculus: str) -> None:
    require(
        calculus in ("ito", "stratonovich"),
        f"the calculus of a noise is 'ito' or 'stratonovich', but {calculus!r} was given.",
    )


class Multiplicative(AbstractNoise):
    """σ(x, μ) dB with coefficients that depend on the state: any vector fields.

    **Arguments:** `sigma`: function of one point of shape (d,) and the measure, returning a number (isotropic), shape
    (d,) (diagonal) or shape (d, m); `calculus`: "ito" or "stratonovich".
    **Raises** `ValueError` for another calculus, or, when used, another shape.
    """

    sigma: Any
    calculus: Calculus = eqx.field(static=True, default="ito")
    additive: bool = eqx.field(static=True, default=False, init=False)

    def __init__(self, sigma: Callable, calculus: Calculus = "ito"):
        require(callable(sigma), f"a multiplicative noise needs a function sigma(x, mu), not {sigma!r}.")
        _require_calculus(calculus)
        self.sigma = as_module(sigma)
        self.calculus = calculus
        self.additive = False

    @property
    def sees_measure(self) -> bool:
        return True

    def matrix(self, mu: AbstractMeasure, x: Float[Array, "n d"]) -> Float[Array, "n d m"]:
        sigma = jax.vmap(lambda point: jnp.asarray(self.sigma(point, mu)))(x)
        return _square(sigma, x.shape[1], "sigma(x, mu) must return")

    def width(self, mu: AbstractMeasure, dim: int) -> int:
        x = jax.ShapeDtypeStruct((1, dim), jnp.result_type(float))
        return eqx.filter_eval_shape(self.matrix, mu, x).shape[2]


def _square(sigma: Float[Array, "n ..."], d: int, must: str) -> Float[Array, "n d m"]:
    """Numbers as multiples of the identity, vectors as diagonals."""
    if sigma.ndim == 1:
        return sigma[:, None, None] * jnp.eye(d, dtype=sigma.dtype)
    if sigma.ndim == 2 and sigma.shape[1] == d:
        return sigma[:, :, None] * jnp.eye(d, dtype=sigma.dtype)
    if sigma.ndim == 3 and sigma.shape[1] == d:
        return sigma
    raise ValueError(f"{must} a number, shape ({d},) or shape ({d}, m), not {sigma.shape[1:]}.")
