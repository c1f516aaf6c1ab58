"""Random layers as a common noise: heads of attention, and neurons, whose weights are drawn afresh in every layer.

All tokens of a layer share its weights, so that a layer is a random field, and many of them are a noise common to all
tokens. With Gaussian values V, entries of variance 1/d, a layer of H heads, x ← N(x + (η/H) Σ_h V_h m_{A_h}(x)), where

    m_A(x) = Σ_k e^{β⟨Ax, x_k⟩} x_k / Σ_k e^{β⟨Ax, x_k⟩}

is the barycentre of the softmax, has the law of an Euler step of length η²/H, in the clock s = Lη²/H of L layers, of

    dx_i = P_{x_i} dF(x_i, μ)   (Itô),   E dF_a(x) dF_b(y) = δ_ab s_μ(x, y) ds/d,   s_μ(x, y) = E_A⟨m_A(x), m_A(y)⟩,

projected by N. The network is thus a scheme of its homogenised limit (Koubbi, Geshkovski and Rigollet, Homogenized
Transformers, arXiv 2604.01978): the same model with the layer's step, or with a finer one, is the one or the other.
Where a drift b, the mean field of the weights, is there, time is t = Lη and the intensity of the noise is η/H.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from mckean import interactions
from mckean.checks import array, require, require_finite, require_key
from mckean.interactions.attention import softmax_mean
from mckean.interactions.functions import as_module
from mckean.interactions.parameters import parameter
from mckean.interactions.sums.sum import atoms
from mckean.measures import AbstractMeasure, Particles
from mckean.models.noise import AbstractMatrixNoise, AbstractNoise, Calculus, require_calculus
from mckean.spaces import Euclidean, Sphere

_ACTIVATIONS: dict[str, Callable] = {"relu": jax.nn.relu, "tanh": jnp.tanh}


class Heads(AbstractMatrixNoise):
    """Heads of attention with Gaussian values as a noise in R^d, whose tangent part moves tokens on the sphere:

        √(c/(dM)) Σ_{m=1}^M dV_m m_{A_m}(x),   dV_m a d × d matrix of Brownian motions,

    m_A(x) = Σ_k e^{β⟨Ax, x_k⟩} x_k / Σ_k e^{β⟨Ax, x_k⟩} the barycentre of the softmax.

    **Arguments:**

    - `beta`: β, the inverse temperature of the softmax. Default: 1.
    - `query_key`: A = QᵀK, shape (d, d), or (M, d, d) for a quadrature of the law of A by M heads. Default: None, the
      identity.
    - `spread`: the standard deviation of ⟨Ax, y⟩ for unit vectors, with A = WW′ᵀ drawn anew for each head in every
      step, W and W′ Gaussian of shape (d, d). Default: None, A as given.
    - `heads`: M, the heads of a layer; with one A they are one head. Default: 1.
    - `intensity`: c ≥ 0, 1/time. Default: 1.
    - `calculus`: "ito", the limit of the layers, or "stratonovich". Default: "ito".

    **Raises:** `ValueError` for parameters that are not finite or have other shapes, and for a `spread` beside a
    `query_key`. In a run: for tokens of another dimension, and if fixed fields are asked of heads with a `spread`, as
    the conversion between Itô and Stratonovich does.

    **Source:** Koubbi, Geshkovski and Rigollet, arXiv 2604.01978.
    """

    beta: Float[Array, ""]
    query_key: Float[Array, "m d d"] | None
    spread: Float[Array, ""] | None
    heads: int = eqx.field(static=True)
    intensity: Float[Array, ""]
    calculus: Calculus = eqx.field(static=True)
    additive: ClassVar[bool] = False
    ito_is_stratonovich: ClassVar[bool] = False
    depends_on_measure: ClassVar[bool] = True
    is_shear: ClassVar[bool] = False

    def __init__(
        self, beta=1.0, query_key=None, spread=None, heads: int = 1, intensity=1.0, calculus: Calculus = "ito"
    ):
        self.beta, self.intensity = _number("beta", beta), _number("intensity", intensity)
        require(self.intensity >= 0, f"the intensity of heads must not be negative, but {intensity} was given.")
        require(query_key is None or spread is None, "heads have a query_key that is given, or a spread, not both.")
        _require_count("heads", heads)
        self.spread = None if spread is None else _number("spread", spread)
        require(
            self.spread is None or self.spread >= 0, f"the spread of heads must not be negative, but it is {spread}."
        )
        self.query_key = None if query_key is None else _matrices(query_key)
        given = 1 if self.query_key is None else self.query_key.shape[0]
        require(self.spread is not None or heads in (1, given), _ALIKE)
        self.heads = heads if self.spread is not None else given
        require_calculus(calculus)
        self.calculus = calculus

    @classmethod
    def quadrature(cls, beta, dim: int, nodes: int, spread, key: PRNGKeyArray, intensity=1.0) -> "Heads":
        """Heads with several draws of A that are kept: E_A becomes a mean over them, off by O(nodes^{−1/2}).

        **Arguments:**

        - `beta`: β, the inverse temperature of the softmax.
        - `dim`: d.
        - `nodes`: the number of draws.
        - `spread`: the standard deviation of ⟨Ax, y⟩ for unit vectors.
        - `key`: a JAX key.
        - `intensity`: c ≥ 0, 1/time. Default: 1.
        """
        _require_count("nodes", nodes)
        require_key(key)
        w = jax.random.normal(key, (nodes, 2, dim, dim))
        return cls(beta, spread * jnp.einsum("mij,mkj->mik", w[:, 0], w[:, 1]) / np.sqrt(dim), intensity=intensity)

    def width(self, mu: AbstractMeasure, dim: int) -> int:
        return self.heads * dim**2

    def displacement(self, x: interactions.Points, mu: AbstractMeasure, dB: Float[Array, " m"]) -> Float[Array, "n d"]:
        points = interactions.at(x, mu)
        d = points.shape[1]
        require(
            self.query_key is None or self.query_key.shape[1] == d,
            f"the query_key of heads in dimension {d} has shape (…, {d}, {d}).",
        )
        y, w = atoms(mu)
        y, w, beta = y.astype(points.dtype), w.astype(points.dtype), self.beta.astype(points.dtype)
        values = dB.reshape(self.heads, d, d).astype(points.dtype)
        key = None if self.spread is None else _key_of(dB)

        def add(total, head):
            index, value = head
            q, keys = self._queries_and_keys(points, y, index, key)
            return total + softmax_mean(beta * q, keys, y, w)[1] @ value.T, None

        total, _ = jax.lax.scan(add, jnp.zeros_like(points), (jnp.arange(self.heads), values))
        return jnp.sqrt(self.intensity.astype(points.dtype) / (d * self.heads)) * total

    def matrix(self, x: Float[Array, "n d"], mu: AbstractMeasure) -> Float[Array, "n d m"]:
        means = self.barycentres(x, mu)
        scale = jnp.sqrt(self.intensity.astype(x.dtype) / (x.shape[1] * self.heads))
        fields = jnp.einsum("mnk,ij->nimjk", means, scale * jnp.eye(x.shape[1], dtype=x.dtype))
        return fields.reshape(*x.shape, -1)

    def barycentres(self, x: Float[Array, "n d"], mu: AbstractMeasure) -> Float[Array, "m n d"]:
        """m_A(x_i) for each A that is given.

        **Arguments:**

        - `mu`: the tokens.
        - `x`: points, shape (n, d).

        **Returns:** an array of shape (M, n, d).

        **Raises:** `ValueError` for heads with a `spread`.
        """
        require(self.spread is None, "heads with a spread draw A in every step; Heads.quadrature keeps the draws.")
        y, w = atoms(mu)
        one = lambda index: softmax_mean(self.beta * self._queries_and_keys(x, y, index, None)[0], y, y, w)[1]  # noqa: E731
        return jax.lax.map(one, jnp.arange(self.heads))

    def gram(self, x: Float[Array, "n d"], mu: AbstractMeasure) -> Float[Array, "n n"]:
        """s_μ(x_i, x_j), the mean of ⟨m_A(x_i), m_A(x_j)⟩ over the A that are given; of size n × n."""
        means = self.barycentres(x, mu)
        return jnp.einsum("mid,mjd->ij", means, means) / self.heads

    def _queries_and_keys(self, x: Array, y: Array, index: Array, key: PRNGKeyArray | None) -> tuple[Array, Array]:
        """Vectors whose inner products are ⟨Ax_i, y_j⟩, without A itself where it is a product."""
        if key is not None:
            assert self.spread is not None, "only a spread has a key"
            d = x.shape[1]
            w = jax.random.normal(jax.random.fold_in(key, index), (2, d, d), x.dtype)
            return self.spread.astype(x.dtype) / np.sqrt(d).astype(x.dtype) * (x @ w[0]), y @ w[1]
        return (x if self.query_key is None else x @ self.query_key[index].astype(x.dtype).T), y


class Neurons(AbstractMatrixNoise):
    """Layers of neurons with Gaussian weights as a noise in R^d, a step of which is

        √(c/(dw)) Σ_{j=1}^w dv_j φ(⟨u_j, x⟩),   u_j ~ N(0, g² I) anew in every step, dv_j in R^d Brownian.

    Each step is a layer of width w. For small steps and any w the limit is the isotropic flow with the covariance (c/d)
    k(⟨x, y⟩), k(⟨x, y⟩) = E φ(⟨u, x⟩)φ(⟨u, y⟩). Tokens do not see one another.

    **Arguments:**

    - `activation`: φ, "relu" or "tanh", or a function of arrays. Default: "relu".
    - `neurons`: w ≥ 1. Default: 256.
    - `gain`: g. Default: 1.
    - `intensity`: c ≥ 0, 1/time. Default: 1.
    - `calculus`: "ito", the limit of the layers, or "stratonovich". Default: "ito".

    **Raises:** `ValueError` for other values. In a run: if fixed fields are asked of it, as the
    conversion between Itô and Stratonovich does.

    **Source:** Cho and Saul, Kernel methods for deep learning, NIPS 2009, for k.
    """

    activation: Any
    neurons: int = eqx.field(static=True)
    gain: Float[Array, ""]
    intensity: Float[Array, ""]
    calculus: Calculus = eqx.field(static=True)
    additive: ClassVar[bool] = False
    ito_is_stratonovich: ClassVar[bool] = False
    depends_on_measure: ClassVar[bool] = False
    is_shear: ClassVar[bool] = False

    def __init__(
        self,
        activation: str | Callable[[Array], Array] = "relu",
        neurons: int = 256,
        gain=1.0,
        intensity=1.0,
        calculus: Calculus = "ito",
    ):
        known = activation in _ACTIVATIONS if isinstance(activation, str) else callable(activation)
        require(known, f"an activation is 'relu', 'tanh' or a function of arrays, not {activation!r}.")
        self.activation = as_module(_ACTIVATIONS[activation] if isinstance(activation, str) else activation)
        _require_count("neurons", neurons)
        self.neurons, self.gain, self.intensity = neurons, _number("gain", gain), _number("intensity", intensity)
        require(self.intensity >= 0, f"the intensity of neurons must not be negative, but {intensity} was given.")
        require_calculus(calculus)
        self.calculus = calculus

    def width(self, mu: AbstractMeasure, dim: int) -> int:
        return self.neurons * dim

    def displacement(self, x: interactions.Points, mu: AbstractMeasure, dB: Float[Array, " m"]) -> Float[Array, "n d"]:
        points = interactions.at(x, mu)
        d = points.shape[1]
        u = self.gain.astype(points.dtype) * jax.random.normal(_key_of(dB), (d, self.neurons), points.dtype)
        scale = jnp.sqrt(self.intensity.astype(points.dtype) / (d * self.neurons))
        return scale * self.activation(points @ u) @ dB.reshape(self.neurons, d).astype(points.dtype)

    def matrix(self, x: Float[Array, "n d"], mu: AbstractMeasure) -> Float[Array, "n d m"]:
        """**Raises** `ValueError`: neurons are drawn in every step, and are no fixed fields."""
        raise ValueError("neurons are drawn in every step: they have no fixed fields that could be converted.")


class PreNormalised(AbstractMatrixNoise):
    """A noise in R^d that sees directions alone, σ(N(x), N#μ): the layer of a Transformer with pre-normalisation.

    The tokens themselves, the residual stream, are not brought back to the sphere, and grow; attention sees their
    `directions`.

    **Arguments:**

    - `layer`: σ, the noise of the layer.
    - `calculus`: "ito" or "stratonovich". Default: None, that of the layer.

    **Raises:** `ValueError` for a layer that is no noise.
    """

    layer: AbstractNoise
    calculus: Calculus = eqx.field(static=True)
    additive: ClassVar[bool] = False
    ito_is_stratonovich: ClassVar[bool] = False
    is_shear: ClassVar[bool] = False

    def __init__(self, layer: AbstractNoise, calculus: Calculus | None = None):
        require(isinstance(layer, AbstractNoise), f"what is normalised before is a noise, not {layer!r}.")
        self.layer, self.calculus = layer, layer.calculus if calculus is None else calculus
        require_calculus(self.calculus)

    @property
    def depends_on_measure(self) -> bool:
        return self.layer.depends_on_measure

    def width(self, mu: AbstractMeasure, dim: int) -> int:
        return self.layer.width(mu, dim)

    def displacement(self, x: interactions.Points, mu: AbstractMeasure, dB: Float[Array, " m"]) -> Float[Array, "n d"]:
        unit = directions(mu)
        return self.layer.displacement(unit.space.retract(interactions.at(x, mu)), unit, dB)

    def matrix(self, x: Float[Array, "n d"], mu: AbstractMeasure) -> Float[Array, "n d m"]:
        unit = directions(mu)
        return self.layer.matrix(unit.space.retract(x), unit)


def directions(mu: AbstractMeasure) -> Particles:
    """The tokens on the sphere, x/|x|.

    **Arguments:**

    - `mu`: particles in R^d or on a sphere, d ≥ 2.

    **Returns:** `Particles` on the sphere.

    **Raises:** `ValueError` for another measure, and for a particle at the origin.
    """
    require(
        isinstance(mu, Particles) and isinstance(mu.domain, Euclidean | Sphere),
        f"directions are those of particles in R^d, not of a {type(mu).__name__} on {mu.domain}.",
    )
    assert isinstance(mu, Particles)
    require(jnp.all(jnp.any(mu.positions != 0, axis=1)), "a particle at the origin has no direction.")
    space = Sphere(mu.space.dim)
    unit = eqx.tree_at(lambda p: p.positions, mu, space.retract(mu.positions))
    return eqx.tree_at(lambda p: p.space, unit, space, is_leaf=lambda v: v is mu.space)


_ALIKE = "heads with one query_key are one head, as their sum is: heads is 1, or the number of matrices that are given."


def _key_of(dB: Float[Array, " m"]) -> PRNGKeyArray:
    """A key from the bits of the increments: what else a step draws is a function of the path and the step as well.

    Runs in single and in double precision have one key where dt is a number of both, such as a power of two.
    """
    bits = jax.lax.bitcast_convert_type(jax.lax.stop_gradient(dB[:2]).astype(jnp.float32), jnp.uint32)
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(0), bits[0]), bits[1])


def _number(name: str, value) -> Float[Array, ""]:
    number = parameter(value)
    require(jnp.shape(number) == (), f"the {name} of a layer must be a number, not an array of shape {number.shape}.")
    require_finite(f"the {name} of a layer", number)
    return number


def _matrices(given) -> Float[Array, "m d d"]:
    a = array(given, float)
    a = a[None] if a.ndim == 2 else a
    require(
        a.ndim == 3 and a.shape[1] == a.shape[2],
        f"the query_key of heads has shape (d, d) or (heads, d, d), not {jnp.shape(given)}.",
    )
    require_finite("the query_key of heads", a)
    return a


def _require_count(name: str, value) -> None:
    require(
        isinstance(value, int) and not isinstance(value, bool) and value >= 1,
        f"{name} is a positive whole number, but {value!r} was given.",
    )
