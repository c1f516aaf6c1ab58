"""Gaussian measures on R^d, and of positions and velocities: laws of linear–quadratic models, and initial laws."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from mckean.checks import array, concrete, require, require_finite, require_real, traced
from mckean.measures.laws import AbstractLaw
from mckean.measures.measure import on_points, sampler
from mckean.measures.particles import Particles
from mckean.spaces import Euclidean, TangentBundle

_QUADRATURE_NODES = 64


class Gaussian(AbstractLaw):
    """The Gaussian measure N(m, Σ) on R^d, or of (x, v); Σ may be singular, and Σ = 0 gives a point mass.

    **Arguments:**

    - `mean`: m, shape (d,), or a number for d = 1; in the unit of the coordinates.
    - `covariance`: Σ, shape (d, d), symmetric and non-negative, or a number for d = 1.
    - `space`: `TangentBundle(Euclidean(k))` for the law of positions and velocities, d = 2k. Default: None, R^d.

    **Raises:** `ValueError` for shapes that do not fit, entries that are not finite, a matrix that is no covariance,
    and another space.
    """

    mean: Float[Array, " d"]
    covariance: Float[Array, "d d"]
    space: Euclidean | TangentBundle = eqx.field(static=True)

    def __init__(self, mean, covariance, space: Any = None):
        mean, covariance = concrete(mean), concrete(covariance)
        require_real("the mean of a Gaussian", mean)
        require_real("the covariance of a Gaussian", covariance)
        mean = array(mean[None] if mean.ndim == 0 else mean, float)
        covariance = array(covariance[None, None] if covariance.ndim == 0 else covariance, float)
        if mean.ndim != 1 or covariance.shape != (mean.shape[0],) * 2:
            raise ValueError(
                f"a Gaussian needs a mean (d,) and a covariance (d, d), not {mean.shape} and {covariance.shape}."
            )
        require_finite("the mean of a Gaussian", mean)
        require_finite("the covariance of a Gaussian", covariance)
        if not traced(covariance):
            matrix = np.asarray(covariance, dtype=np.float64)
            scale = 1e-6 * max(1e-300, np.abs(matrix).max())
            require(np.abs(matrix - matrix.T).max() <= scale, "a covariance must be a symmetric matrix.")
            low = np.linalg.eigvalsh(matrix).min()
            require(low >= -scale, f"a covariance must not have negative eigenvalues, but its least is {low:.3g}.")
        space = Euclidean(mean.shape[0]) if space is None else space
        flat = isinstance(space, Euclidean) or (isinstance(space, TangentBundle) and isinstance(space.base, Euclidean))
        require(
            flat and space.dim == mean.shape[0],
            f"a Gaussian of mean ({mean.shape[0]},) lives on R^d or on TangentBundle(Euclidean(k)) of this dimension, "
            f"not on {space!r}.",
        )
        self.mean, self.covariance, self.space = mean, covariance, space

    @property
    def domain(self) -> Euclidean | TangentBundle:
        return self.space

    def log_density(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        if not traced(self.covariance):
            values = np.linalg.eigvalsh(np.asarray(self.covariance, np.float64))
            positive = values.min() > values.size * jnp.finfo(self.covariance.dtype).eps * values.max()
            require(positive, "a Gaussian whose covariance is singular has no density.")
        return jnp.asarray(jax.scipy.stats.multivariate_normal.logpdf(x, self.mean, self.covariance))

    def integrate(self, phi: Callable[[Float[Array, " d"]], Any]) -> Any:
        """∫φ dμ by Gauss–Hermite quadrature with 64 nodes a dimension: exact for polynomials up to degree 127."""
        d = self.mean.shape[0]
        if d > 3:
            raise ValueError(f"Gaussian quadrature is built for d ≤ 3, not {d}; integrate over a sample instead.")
        node, weight = np.polynomial.hermite_e.hermegauss(_QUADRATURE_NODES)
        points = np.stack([m.ravel() for m in np.meshgrid(*[node] * d, indexing="ij")], axis=-1)
        weights = np.prod(np.stack([m.ravel() for m in np.meshgrid(*[weight] * d, indexing="ij")]), axis=0)
        values = on_points(phi, self.mean + jnp.asarray(points, self.mean.dtype) @ self._root().T)
        return jnp.tensordot(jnp.asarray(weights / weights.sum(), self.mean.dtype), values, axes=1)

    @sampler
    def sample(self, key: PRNGKeyArray, n: int) -> Particles:
        normal = jax.random.normal(key, (n, self.mean.shape[0]), self.mean.dtype)
        return Particles(self.domain, self.mean + normal @ self._root().T)

    def _root(self) -> Float[Array, "d d"]:
        """A matrix A with AAᵀ = Σ; by eigenvalues, so that singular covariances are fine."""
        values, vectors = jnp.linalg.eigh(self.covariance)
        return vectors * jnp.sqrt(jnp.maximum(values, 0))
