"""The unit sphere S^{d−1} ⊂ R^d, on which tokens live."""

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from mckean.checks import require, traced
from mckean.spaces.space import AbstractSpace, check_dim
from mckean.spaces.spherical_grids import AbstractSphericalGrid, CircleGrid, SphereGrid
from mckean.spaces.zonal_grid import ZonalGrid

# A coordinate given in single precision, or rounded in print, is that far off.
_OFF = 1e-5


class Sphere(AbstractSpace):
    """The unit sphere S^{d−1} ⊂ R^d, with the metric of R^d.

    Points are unit vectors of R^d; the tangent vectors at x are orthogonal to x.

    **Arguments:**

    - `dim`: d ≥ 2, the dimension of the space around the sphere.

    **Raises:** `ValueError` for another d: S⁰ is two points.
    """

    dim: int = eqx.field(static=True, converter=check_dim)

    def __check_init__(self):
        require(self.dim >= 2, "the sphere S^{d−1} needs d ≥ 2: for d = 1 it is two points, which cannot move.")

    @property
    def tangent_dim(self) -> int:
        return self.dim - 1

    def project(self, x: Float[Array, "*#n d"], v: Float[Array, "*#n d"]) -> Float[Array, "*#n d"]:
        """P_x v = v − ⟨x, v⟩x/|x|², also at points that a stage of a solver has left off the sphere."""
        along = jnp.sum(x * v, axis=-1, keepdims=True) / jnp.sum(x * x, axis=-1, keepdims=True)
        return v - along * x

    @eqx.filter_jit
    def retract(self, x: Float[Array, "*n d"]) -> Float[Array, "*n d"]:
        """x/|x|; NaN for a vector that is zero or not finite, which no run passes over."""
        scale = jnp.max(jnp.abs(x), axis=-1, keepdims=True)
        x = x / scale
        return x / jnp.sqrt(jnp.sum(x * x, axis=-1, keepdims=True))

    def exponential(self, x: Float[Array, "*#n d"], v: Float[Array, "*#n d"]) -> Float[Array, "*#n d"]:
        """exp_x v = cos|v| x + sin|v| v/|v|: along the great circle from x, by the length of the tangent vector v."""
        length = jnp.sqrt(jnp.maximum(jnp.sum(v * v, axis=-1, keepdims=True), jnp.finfo(x.dtype).tiny))
        return self.retract(jnp.cos(length) * x + jnp.sin(length) / length * v)

    def transport(
        self, x: Float[Array, "*#n d"], y: Float[Array, "*#n d"], v: Float[Array, "*#n d"]
    ) -> Float[Array, "*#n d"]:
        """The tangent vector v at x, moved in parallel along the shortest way to y ≠ −x."""
        inner = jnp.sum(y * v, axis=-1, keepdims=True) / (1 + jnp.sum(x * y, axis=-1, keepdims=True))
        return v - inner * (x + y)

    def displacement(self, x: Float[Array, "*#n d"], y: Float[Array, "*#n d"]) -> Float[Array, "*#n d"]:
        """The tangent vector at y with exp_y = x, not unique for x = −y; its length is the angle between x and y."""
        chord = self.project(y, x - y)
        square = jnp.sum(chord * chord, axis=-1, keepdims=True)
        apart = square > 0
        length = jnp.sqrt(jnp.where(apart, square, 1.0))
        return jnp.where(apart, self.distance(x, y)[..., None] / length, 1.0) * chord

    def distance(self, x: Float[Array, "*#n d"], y: Float[Array, "*#n d"]) -> Float[Array, "*#n"]:
        """The angle, 2 atan2(|x − y|, |x + y|): exact to rounding also for points that nearly coincide or oppose."""
        return 2 * jnp.arctan2(_length(x - y), _length(x + y))

    @eqx.filter_jit
    def uniform(self, key: PRNGKeyArray, n: int) -> Float[Array, "n d"]:
        return self.retract(jax.random.normal(key, (n, self.dim)))

    @property
    def volume(self) -> float:
        """2π^{d/2}/Γ(d/2)."""
        return math.exp(self.log_volume)

    @property
    def log_volume(self) -> float:
        return math.log(2) + 0.5 * self.dim * math.log(math.pi) - math.lgamma(0.5 * self.dim)

    def grid(self, degree: int, axis: Sequence[float] | np.ndarray | Array | None = None) -> AbstractSphericalGrid:
        """A grid for functions that are sums of harmonics up to a degree.

        **Arguments:**

        - `degree`: L ≥ 2. Products of two functions of degree L are integrated exactly.
        - `axis`: e, a vector of length 1, shape (d,), for functions that depend on ⟨e, x⟩ alone, in any dimension d ≥
          3. Default: None, for all functions, on S¹ and S².

        **Returns:** a `CircleGrid` for d = 2, a `SphereGrid` for d = 3, a `ZonalGrid` with an axis.

        **Raises:** `ValueError` for d > 3 without an axis, an axis that is no unit vector of R^d, and a degree that is
        no integer ≥ 2.
        """
        if axis is not None:
            return ZonalGrid(self, degree, tuple(float(c) for c in np.asarray(axis).ravel()))
        require(
            self.dim <= 3,
            f"densities on S^{self.dim - 1} are held where they depend on one coordinate ⟨e, x⟩ alone: "
            f"Sphere({self.dim}).grid(degree, axis=e); a grid for all densities is known for S¹ and S².",
        )
        return CircleGrid(self, degree) if self.dim == 2 else SphereGrid(self, degree)

    def check(self, x: Float[Array, "n d"]) -> None:
        """Raise `ValueError` for points off the sphere, saying by how much."""
        if traced(x):
            return
        norms = np.linalg.norm(np.asarray(x, np.float64), axis=-1)
        off = np.abs(norms - 1)
        worst = int(np.argmax(off))
        if off[worst] > _OFF:
            zero = ": the zero vector has no direction" if norms[worst] == 0 else ""
            raise ValueError(
                f"points of S^{self.dim - 1} are unit vectors, but point {worst} has length {norms[worst]:.6g}{zero}; "
                f"{int(np.sum(off > _OFF))} of the {len(off)} are off the sphere. Divide them by their length."
            )


def _length(v: Float[Array, "*n d"]) -> Float[Array, "*n"]:
    square = jnp.sum(v * v, axis=-1)
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)
