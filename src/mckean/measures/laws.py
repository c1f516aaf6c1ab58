"""Initial laws: each can be sampled, and put on a grid by `Density.from_law`."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from mckean.checks import array, concrete, require, require_finite, traced
from mckean.measures.measure import AbstractMeasure, sampler
from mckean.measures.particles import Particles
from mckean.spaces import AbstractSpace, Torus
from mckean.spaces.grids import per_dimension


class AbstractLaw(AbstractMeasure):
    """A probability law known by its density and by a sampler; the first n of N draws are the n draws."""

    @abc.abstractmethod
    def log_density(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        """log ρ(x) at one point of shape (d,), normalised, with respect to volume."""

    @abc.abstractmethod
    def sample(self, key: PRNGKeyArray, n: int) -> Particles:
        """n independent particles."""


class AbstractSampledLaw(AbstractLaw):
    """A law without a quadrature: an integral needs a grid or a sample."""

    def integrate(self, phi):
        raise ValueError(
            f"{type(self).__name__} has no quadrature: integrate over Density.from_law(grid, law), "
            "or over law.sample(key, n)."
        )


class Uniform(AbstractSampledLaw):
    """The uniform law, on a compact space or on a box of R^d.

    **Arguments:**

    - `space`: the space.
    - `lower`, `upper`: the corners of the box, numbers or d of them. Required on R^d; a compact space takes none.

    **Raises:** `ValueError` for R^d without a box, an empty box, and a box in a compact space.
    """

    space: AbstractSpace
    box: tuple[tuple[float, ...], tuple[float, ...]] | None = eqx.field(static=True)

    def __init__(self, space: AbstractSpace, lower=None, upper=None):
        self.space = space
        if np.isfinite(space.log_volume):
            require(lower is None and upper is None, "the uniform law of a compact space takes no box.")
            self.box = None
        else:
            require(
                lower is not None and upper is not None,
                "the uniform law on R^d needs a box: lower=…, upper=….",
            )
            low, high = (per_dimension(c, space.dim, float, "the corner of a box") for c in (lower, upper))
            require(
                all(-np.inf < a < b < np.inf for a, b in zip(low, high, strict=True)),
                f"a box needs lower < upper, both finite, not {low} and {high}.",
            )
            self.box = (low, high)

    @property
    def domain(self) -> AbstractSpace:
        return self.space

    def log_density(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        if self.box is None:
            return jnp.full((), -self.space.log_volume, x.dtype)
        low, high = np.asarray(self.box[0]), np.asarray(self.box[1])
        inside = jnp.all((x >= low) & (x <= high))
        return jnp.where(inside, -np.sum(np.log(high - low)), -jnp.inf)

    @sampler
    def sample(self, key: PRNGKeyArray, n: int) -> Particles:
        if self.box is None:
            return Particles(self.space, self.space.uniform(key, n))
        low, high = np.asarray(self.box[0]), np.asarray(self.box[1])
        return Particles(self.space, low + (high - low) * jax.random.uniform(key, (n, self.space.dim)))


class VonMises(AbstractSampledLaw):
    """Independent von Mises coordinates on a torus: ρ(x) ∝ ∏_i exp(κ_i cos(2π(x_i − m_i)/L_i)).

    **Arguments:**

    - `space`: a torus.
    - `mean`: m, shape (d,) or a number, in the unit of the coordinates. Default: 0.
    - `concentration`: κ ≥ 0, shape (d,) or a number. Default: 1.

    **Raises:** `ValueError` for another space, shapes that do not fit, and a negative κ.

    **Source:** the sampler is exact, by rejection from a wrapped Cauchy law (Best and Fisher, Applied Statistics 28,
    1979).
    """

    space: Torus
    mean: Float[Array, " d"]
    concentration: Float[Array, " d"]

    def __init__(self, space: Torus, mean=0.0, concentration=1.0):
        require(isinstance(space, Torus), f"the von Mises law lives on a torus, not on {space}.")
        self.space = space
        try:
            self.mean, self.concentration = (_for_each(v, space.dim) for v in (mean, concentration))
        except ValueError as error:
            raise ValueError(
                f"a von Mises law in dimension {space.dim} needs a mean and a concentration of shape "
                f"({space.dim},), or numbers."
            ) from error
        require_finite("the mean of a von Mises law", self.mean)
        require_finite("the concentration of a von Mises law", self.concentration)
        require((concrete(self.concentration) >= 0).all(), "the concentration of a von Mises law must not be negative.")

    @property
    def domain(self) -> Torus:
        return self.space

    def log_density(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        sides = jnp.asarray(self.space.lengths)
        kappa = self.concentration
        angle = 2 * jnp.pi * (x - self.mean) / sides
        # κ(cos − 1) = −2κ sin² of the half, which does not cancel.
        return jnp.sum(-2 * kappa * jnp.sin(angle / 2) ** 2 - jnp.log(sides) - jnp.log(jax.scipy.special.i0e(kappa)))

    @sampler
    def sample(self, key: PRNGKeyArray, n: int) -> Particles:
        # Uniform, and a point, to rounding; at 0 and at infinity no trial would be accepted.
        kappa = jnp.clip(self.concentration, 1e-8, 1e30)
        # With the paper's ρ, r = (1 + ρ²)/2ρ and f = cos θ, every difference that cancels for small or for large κ is
        # written out: `above` = r − 1, `gap` = 1 − f.
        root = jnp.hypot(1.0, 2 * kappa)
        tau = 1 + root
        scale = tau + jnp.sqrt(2 * tau)
        rho, one_minus_rho = 2 * kappa / scale, (1 + 1 / (root + 2 * kappa) + jnp.sqrt(2 * tau)) / scale
        above = one_minus_rho**2 / (2 * rho)

        def propose(state):
            trial, angle, done = state
            u = jax.random.uniform(jax.random.fold_in(key, trial), (n, self.space.dim, 3), minval=1e-12)
            c, s = jnp.cos(jnp.pi / 2 * u[..., 0]), jnp.sin(jnp.pi / 2 * u[..., 0])
            gap = 2 * above * s**2 / (above + 2 * c**2)
            excess = kappa * (above + gap)
            good = (excess * (2 - excess) > u[..., 1]) | (jnp.log(excess / u[..., 1]) + 1 >= excess)
            new = jnp.where(u[..., 2] < 0.5, -2, 2) * jnp.arcsin(jnp.sqrt(jnp.minimum(gap / 2, 1)))
            return trial + 1, jnp.where(done, angle, new), done | good

        shape = (n, self.space.dim)
        _, angle, _ = jax.lax.while_loop(
            lambda state: ~jnp.all(state[2]),
            propose,
            (jnp.zeros((), jnp.int32), jnp.zeros(shape, kappa.dtype), jnp.zeros(shape, bool)),
        )
        return Particles(self.space, self.mean + angle * jnp.asarray(self.space.lengths) / (2 * jnp.pi))


def _for_each(value: Any, dim: int) -> Float[Array, " d"]:
    """One value for each dimension, from one number or from d of them."""
    value = concrete(value)
    return array((jnp if traced(value) else np).broadcast_to(value, (dim,)), float)


class Mixture(AbstractLaw):
    """A mixture of laws, Σ_k p_k μ_k.

    **Arguments:**

    - `components`: the μ_k, laws on one space.
    - `weights`: p ≥ 0 with sum 1, one number a component. Default: None, equal weights.

    **Raises:** `ValueError` for no component, components that are no laws or on different spaces, and weights that are
    no probabilities.
    """

    components: tuple[AbstractLaw, ...]
    weights: Float[Array, " k"]

    def __init__(self, components, weights=None):
        self.components = tuple(components)
        require(self.components, "a mixture needs at least one component.")
        require(
            all(isinstance(law, AbstractLaw) for law in self.components),
            "the components of a mixture must be laws, such as Uniform, VonMises or Gaussian.",
        )
        require(
            all(law.domain == self.components[0].domain for law in self.components),
            "the components of a mixture must live on one space.",
        )
        k = len(self.components)
        self.weights = array(np.full(k, 1 / k) if weights is None else weights, float)
        if self.weights.shape != (k,):
            raise ValueError(f"a mixture of {k} components needs weights of shape ({k},), not {self.weights.shape}.")
        p = concrete(self.weights)
        require(
            (p >= 0).all() & (abs(p.sum() - 1) <= 1e-5),
            "the weights of a mixture must be non-negative with sum 1.",
        )

    @property
    def domain(self) -> AbstractSpace:
        return self.components[0].domain

    def integrate(self, phi):
        return sum(p * law.integrate(phi) for p, law in zip(self.weights, self.components, strict=True))

    def log_density(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        logs = jnp.stack([law.log_density(x) for law in self.components])
        return jax.scipy.special.logsumexp(logs, b=self.weights)

    @sampler
    def sample(self, key: PRNGKeyArray, n: int) -> Particles:
        choice, *keys = jax.random.split(key, len(self.components) + 1)
        index = jnp.searchsorted(jnp.cumsum(self.weights), jax.random.uniform(choice, (n,)), side="right")
        index = jnp.minimum(index, len(self.components) - 1)
        draws = jnp.stack([law.sample(k, n).positions for law, k in zip(self.components, keys, strict=True)])
        return Particles(self.domain, draws[index, jnp.arange(n)])
