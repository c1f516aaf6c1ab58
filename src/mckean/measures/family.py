"""Measures side by side, one for each label of a population."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.checks import array, positive_integer, require, require_finite, traced
from mckean.measures.density import Density
from mckean.measures.measure import AbstractMeasure, dtype_of
from mckean.measures.particles import Particles
from mckean.spaces import AbstractSpace


class Family(AbstractMeasure):
    """A measure on labels × space, Σ_a w_a δ_a ⊗ μ_a: a measure μ_a for each label a of a `Population`.

    **Arguments:**

    - `members`: the μ_a, m measures of one form: all `Particles` with one number n, or all `Density` on one grid.
    - `weights`: w ≥ 0 with sum 1, shape (m,). Default: None, equal weights 1/m.

    **Raises:** `ValueError` for measures of another form or of several, and for weights that are negative or do not
    sum to 1.
    """

    members: AbstractMeasure
    """Their arrays have the label as their first axis."""
    weights: Float[Array, " m"]

    def __init__(self, members: Sequence[AbstractMeasure], weights=None):
        several = isinstance(members, Sequence) and len(members) > 0
        require(
            several and all(isinstance(member, Particles | Density) for member in members),
            "a family has Particles or a Density for each label, in a list: Family([mu, nu]).",
        )
        kinds = {(jax.tree.structure(mu), *(leaf.shape for leaf in jax.tree.leaves(mu))) for mu in members}
        require(len(kinds) == 1, "the members of a family have one form: one number of particles, or one grid.")
        self.members = jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)
        self.weights = _checked(weights, len(members), dtype_of(members[0]))

    @classmethod
    def split(cls, cloud: Particles, m: int, weights=None) -> "Family":
        """A cloud cut into m clouds, one for each label: the first n/m particles have the first label, and so on.

        **Arguments:**

        - `cloud`: particles of equal weight.
        - `m`: the number of labels, a divisor of that of the particles; all of it for labels of their own.
        - `weights`: as for `Family`.

        **Raises:** `ValueError` for an m that does not divide, and for particles with weights.
        """
        m = positive_integer("the number of labels is a positive integer", m)
        require(cloud.weights is None, "a cloud that is split has equal weights: give the labels theirs.")
        require(cloud.n % m == 0, f"{cloud.n} particles cannot be split among {m} labels.")
        positions = cloud.positions.reshape(m, -1, cloud.space.dim)
        members = eqx.tree_at(lambda mu: mu.positions, cloud, positions)
        family = cls([Particles(cloud.space, cloud.positions[: cloud.n // m])])
        where = lambda f: (f.members, f.weights)  # noqa: E731
        return eqx.tree_at(where, family, (members, _checked(weights, m, positions.dtype)))

    @property
    def domain(self) -> AbstractSpace:
        return self.members.domain

    @property
    def size(self) -> int:
        """m, the number of labels."""
        return self.weights.shape[0]

    def member(self, index: int) -> Any:
        """μ_a of the label with this index."""
        return jax.tree.map(lambda leaf: leaf[index], self.members)

    def integrate(self, phi: Callable[[Float[Array, " d"]], Any]) -> Any:
        """Σ_a w_a ∫φ dμ_a."""
        values = self.each(lambda mu: mu.integrate(phi))
        return jax.tree.map(lambda v: jnp.tensordot(self.weights, v, axes=1), values)

    def each(self, f: Callable[[Any], Any]) -> Any:
        """f(μ_a) for each label, along a first axis.

        **Arguments:**

        - `f`: a function of a measure whose values are arrays, or trees of arrays.
        """
        return jax.vmap(f)(self.members)


def _checked(weights: Any, m: int, dtype: Any) -> Array:
    if weights is None:
        return jnp.full(m, 1 / m, dtype)
    weights = array(weights, dtype)
    require(weights.shape == (m,), f"{m} labels have weights of shape ({m},), not {weights.shape}.")
    require_finite("the weight of a label", weights)
    if not traced(weights):
        known = np.asarray(weights, float)
        right = known.min() >= 0 and abs(known.sum() - 1) < 1e-5
        require(right, "the weights of labels must not be negative, and must sum to 1.")
    return weights
