"""Empirical measures."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float

from mckean import collectives
from mckean.checks import array, refusal, require, require_finite, require_real, traced
from mckean.measures.measure import AbstractMeasure, on_points
from mckean.spaces import AbstractSpace


class Particles(AbstractMeasure):
    """An empirical measure, μ = Σ_i w_i δ_{x_i}.

    **Arguments:**

    - `space`: the space on which the particles live.
    - `positions`: x, shape (n, d) with n ≥ 1; the space's retraction brings them to the space.
    - `weights`: w ≥ 0 with sum 1, shape (n,). Default: None, equal weights 1/n.
    - `mesh`: the devices over which the particles are spread, as `shard` sets it. Default: None, one device.

    **Raises:** `ValueError` for a wrong shape, a position that is not finite or not on the sphere, a negative weight,
    or weights whose sum is not 1.
    """

    space: AbstractSpace
    positions: Float[Array, "n d"]
    weights: Float[Array, " n"] | None
    mesh: Mesh | None = eqx.field(static=True)

    def __init__(self, space: AbstractSpace, positions, weights=None, mesh: Mesh | None = None):
        require_real("a particle's position", positions)
        positions = array(positions)
        if positions.ndim != 2 or positions.shape[1] != space.dim or positions.shape[0] == 0:
            raise refusal(
                f"positions in dimension {space.dim} have shape (n, {space.dim}) with n ≥ 1, "
                f"but an array of shape {positions.shape} was given.",
                see="The shape of positions",
            )
        if not jnp.issubdtype(positions.dtype, jnp.floating):
            positions = positions.astype(jnp.result_type(float))
        require_finite("a particle's position", positions)
        space.check(positions)
        self.space = space
        self.positions = space.retract(positions)
        self.weights = None if weights is None else _checked_weights(array(weights), positions)
        self.mesh = mesh

    @property
    def domain(self) -> AbstractSpace:
        return self.space

    @property
    def n(self) -> int:
        """The number of particles."""
        return self.positions.shape[0]

    def mean(self, values: Float[Array, "n *k"]) -> Float[Array, "*k"]:
        """Σ w_i values_i."""
        if self.mesh is not None:
            weights, mesh = self.weights, self.mesh
            return collectives.mean(values, mesh) if weights is None else collectives.weigh(weights, values, mesh)
        if self.weights is None:
            return jnp.mean(values, axis=0)
        return jnp.tensordot(self.weights, values, axes=1)

    def integrate(self, phi: Callable[[Float[Array, " d"]], Any]) -> Any:
        return self.mean(on_points(phi, self.positions))


def _checked_weights(weights: Array, positions: Array) -> Array:
    if weights.shape != positions.shape[:1]:
        raise ValueError(
            f"{positions.shape[0]} particles need weights of shape ({positions.shape[0]},), not {weights.shape}."
        )
    require_real("a particle's weight", weights)
    require_finite("a particle's weight", weights)
    if not traced(weights):
        known = np.asarray(weights, dtype=np.float64)
        total = float(np.sum(known))
        require(np.all(known >= 0), "the weights of particles must not be negative.")
        require(abs(total - 1) <= 1e-5, f"the weights of particles must sum to 1, but their sum is {total:.6g}.")
    return weights.astype(positions.dtype)
