"""Isotropic Brownian flows of the sphere: Gaussian velocity fields, white in time, whose law no rotation changes.

    dx = P_x F(x, dt),   E F_a(x, dt) F_b(y, dt) = δ_ab k(⟨x, y⟩) dt,   k(t) = Σ_p c_p t^p,  c_p ≥ 0.

These k are the covariances on spheres of every dimension (Schoenberg, Duke Math. J. 9, 1942), and each is that of

    F(x) = Σ_p √c_p T_p·x^{⊗p},   T_p a tensor of d^{p+1} independent Brownian motions,

since E(T_p·x^{⊗p})_a (T_p·y^{⊗p})_b = δ_ab ⟨x, y⟩^p: no series is cut, and no field is interpolated.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean import interactions
from mckean.checks import array, concrete, require, require_finite, traced
from mckean.measures import AbstractMeasure
from mckean.models.noise import AbstractNoise, Calculus
from mckean.spaces import Sphere

_WIDEST = 2**20
# Numbers that the powers x^{⊗p} of a tile of points may hold.
_TILE = 2**20


class IsotropicFlow(AbstractNoise):
    """An isotropic Brownian flow of the sphere: dx = P_x F(x, dt), F Gaussian, white in time, common to all particles.

        E F_a(x, dt) F_b(y, dt) = δ_ab k(⟨x, y⟩) dt,   k(t) = Σ_p c_p t^p.

    The Itô and the Stratonovich reading agree: for V = P_x F the drift by which they differ is ½ E P_x(∂_V V) = ½ E
    P_x(DF·V − ⟨x, F⟩V), and E F_b ∂_c F_a = δ_ab k′(1) x_c, so that both terms are multiples of P_x x = 0. (It could
    not be otherwise: a tangent vector at x that every rotation about x leaves in place is zero.)

    **Arguments:**

    - `space`: a sphere S^{d−1}.
    - `coefficients`: c_0, …, c_P ≥ 0, not all zero, 1/time. There are Σ d^{p+1} Brownian motions, over the p with c_p >
      0.

    **Raises:** `ValueError` for another space, for coefficients that are negative, all zero, or no list of numbers, and
    for more than 2²⁰ motions.
    """

    space: Sphere = eqx.field(static=True)
    degrees: tuple[int, ...] = eqx.field(static=True)
    weights: Float[Array, " q"]
    calculus: ClassVar[Calculus] = "stratonovich"
    additive: ClassVar[bool] = False
    ito_is_stratonovich: ClassVar[bool] = True
    depends_on_measure: ClassVar[bool] = False
    is_shear: ClassVar[bool] = False

    def __init__(self, space: Sphere, coefficients: Sequence[float] | Array | np.ndarray):
        require(isinstance(space, Sphere), f"an isotropic flow of this kind moves points of a sphere, not of {space}.")
        c = concrete(coefficients)
        require(
            c.ndim == 1 and c.size > 0, f"the coefficients are numbers c_0, c_1, …, not an array of shape {c.shape}."
        )
        require_finite("a coefficient of k", c)
        require(
            (c >= 0).all(),
            "the coefficients of k must not be negative: else k is no covariance on spheres of every dimension.",
        )
        require((c > 0).any(), "all coefficients of k are zero: the flow would be at rest.")
        self.space = space
        self.degrees = tuple(range(c.size)) if traced(c) else tuple(int(p) for p in np.flatnonzero(np.asarray(c)))
        self.weights = array(c[np.asarray(self.degrees)], float)
        width = sum(self._sizes)
        require(
            width <= _WIDEST,
            f"degrees up to {self.degrees[-1]} in R^{space.dim} take {width} Brownian motions, more than {_WIDEST}: "
            "leave out the higher degrees, or lower the dimension.",
        )

    @classmethod
    def from_function(cls, space: Sphere, k: Callable, degree: int = 8, tolerance: float = 1e-6) -> "IsotropicFlow":
        """The flow of a covariance k, expanded at 0 and cut after a degree.

        The error of k at 1 is what is cut off, k(1) − Σ_{p ≤ degree} c_p; for c_p ≥ 0 it bounds the error on [−1, 1].

        **Arguments:**

        - `space`: a sphere.
        - `k`: a scalar function that JAX can differentiate at 0, 1/time.
        - `degree`: the last power that is kept. Default: 8.
        - `tolerance`: the largest tail, relative to k(1). Default: 1e-6.

        **Raises:** `ValueError` for a negative coefficient, and for a longer tail.
        """
        c, derivative = [], k
        for p in range(degree + 1):
            c.append(float(derivative(0.0)) / math.factorial(p))
            derivative = jax.grad(derivative)
        c, at_one = np.asarray(c), float(k(1.0))
        require(
            np.all(np.isfinite(c)) and math.isfinite(at_one), "k and its derivatives must be finite at 0, and k at 1."
        )
        rounding = 1e3 * float(jnp.finfo(jnp.result_type(float)).eps) * np.abs(c).max()
        worst = int(np.argmin(c))
        require(
            c[worst] >= -rounding,
            f"k has the coefficient {c[worst]:.3g} of t^{worst}, which is negative: it is no covariance on spheres of "
            "every dimension.",
        )
        tail = at_one - c.sum()
        require(
            abs(tail) <= tolerance * abs(at_one),
            f"beyond degree {degree} k(1) = {at_one:.6g} has {tail:.3g} left, more than {tolerance:g} of it: raise the "
            "degree or the tolerance.",
        )
        return cls(space, np.where(c > rounding, c, 0.0))

    @property
    def _sizes(self) -> tuple[int, ...]:
        return tuple(self.space.dim ** (p + 1) for p in self.degrees)

    def covariance(self, t: Float[Array, "*s"]) -> Float[Array, "*s"]:
        """k(t), 1/time."""
        return sum((c * t**p for p, c in zip(self.degrees, self.weights, strict=True)), jnp.zeros_like(t))

    @property
    def slope(self) -> Float[Array, ""]:
        """k′(1) = Σ p c_p, 1/time."""
        return jnp.asarray(self.degrees, self.weights.dtype) @ self.weights

    def width(self, mu: AbstractMeasure, dim: int) -> int:
        return sum(self._sizes)

    def matrix(self, x: Float[Array, "n d"], mu: AbstractMeasure) -> Float[Array, "n d m"]:
        """All fields at each point: d times their number, for few points."""
        eye = jnp.eye(x.shape[1], dtype=x.dtype)
        blocks = [eye[None, :, :, None] * power[:, None, None, :] for power in self._powers(x)]
        return jnp.concatenate([block.reshape(*x.shape, -1) for block in blocks], axis=2)

    def diffusion(self, x: Float[Array, "n d"], mu: AbstractMeasure) -> Float[Array, "n d d"]:
        """k(|x|²) times the identity."""
        return self.covariance(jnp.sum(x * x, axis=1))[:, None, None] * jnp.eye(x.shape[1], dtype=x.dtype)

    def displacement(self, x: interactions.Points, mu: AbstractMeasure, dB: Float[Array, " m"]) -> Float[Array, "n d"]:
        """A matrix product for each degree, a tile of points at a time: the fields are never formed."""
        points = interactions.at(x, mu)
        n, d = points.shape
        blocks = jnp.split(dB.astype(points.dtype), np.cumsum(self._sizes)[:-1])

        def move(x: Float[Array, "t d"]) -> Float[Array, "t d"]:
            parts = zip(self._powers(x), blocks, strict=True)
            return sum((power @ block.reshape(d, -1).T for power, block in parts), jnp.zeros_like(x))

        tile = max(1, _TILE // d ** self.degrees[-1])
        if n <= tile:
            return move(points)
        return jax.lax.map(lambda y: move(y[None])[0], points, batch_size=tile)

    def _powers(self, x: Float[Array, "n d"]) -> Iterator[Float[Array, "n r"]]:
        """√c_p x^{⊗p}, shape (n, d^p), for each degree p with c_p > 0."""
        power = jnp.ones((x.shape[0], 1), x.dtype)
        for p in range(self.degrees[-1] + 1):
            if p > 0:
                power = (power[:, :, None] * x[:, None, :]).reshape(x.shape[0], -1)
            if p in self.degrees:
                yield jnp.sqrt(self.weights[self.degrees.index(p)]).astype(x.dtype) * power
