"""Laws on the sphere S^{d−1}, concentrated about a direction."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from mckean.checks import array, concrete, require, require_finite
from mckean.measures.laws import AbstractSampledLaw
from mckean.measures.measure import sampler
from mckean.measures.particles import Particles
from mckean.spaces import Sphere

_NODES = 128
# Laws that are more concentrated are a point to rounding, and their squares still far from overflow.
_POINT = 1e30


class VonMisesFisher(AbstractSampledLaw):
    """The von Mises–Fisher law on S^{d−1}: ρ(x) ∝ e^{κ⟨m, x⟩}.

    **Arguments:**

    - `space`: a sphere.
    - `mean`: m, a vector of length 1, shape (d,).
    - `concentration`: κ ≥ 0, a number. Default: 1.

    **Raises:** `ValueError` for another space, an m whose length is not 1, and a negative κ.

    **Source:** sampled by rejection in t = ⟨m, x⟩ from the projection of a beta law (Wood, Communications in Statistics
    23, 1994).
    """

    space: Sphere
    mean: Float[Array, " d"]
    concentration: Float[Array, ""]

    def __init__(self, space: Sphere, mean, concentration=1.0):
        require(isinstance(space, Sphere), f"the von Mises–Fisher law lives on a sphere, not on {space}.")
        self.space, self.mean = space, _unit(space, mean, "the mean of a von Mises–Fisher law")
        self.concentration = array(concentration, float)
        require(self.concentration.ndim == 0, "the concentration of a von Mises–Fisher law must be a number.")
        require_finite("the concentration of a von Mises–Fisher law", self.concentration)
        require(concrete(self.concentration) >= 0, "the concentration of a von Mises–Fisher law must not be negative.")

    @property
    def domain(self) -> Sphere:
        return self.space

    def log_density(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        # 1 − ⟨m, x⟩ = |x − m|²/2, which does not cancel.
        return -0.5 * self.concentration * jnp.sum((x - self.mean) ** 2) - self._log_normaliser()

    def _log_normaliser(self) -> Float[Array, ""]:
        """log ∫e^{κ(t−1)} = log |S^{d−2}| + log ∫₀^π e^{κ(cos θ − 1)} sin^{d−2}θ dθ, by Gauss's rule.

        The integrand is largest at κ sin²θ = (d − 2) cos θ. At a distance of 21 of its widths there,
        (κ cos θ + κ/cos θ)^{−1/2}, it has fallen below e^{−45} of that.
        """
        node, weight = np.polynomial.legendre.leggauss(_NODES)
        d, kappa = self.space.dim, jnp.clip(self.concentration, 1e-6, _POINT)
        cosine = 2 * kappa / (d - 2 + jnp.hypot(2 * kappa, d - 2))
        top = jnp.arctan2(jnp.sqrt((d - 2) * cosine / kappa), cosine)
        reach = 15 / jnp.sqrt(0.5 * kappa * (cosine + 1 / cosine))
        low, high = jnp.maximum(top - reach, 0), jnp.minimum(top + reach, jnp.pi)
        theta = low + 0.5 * (high - low) * jnp.asarray(node + 1)
        exponents = (d - 2) * jnp.log(jnp.sin(theta)) - 2 * self.concentration * jnp.sin(theta / 2) ** 2
        exponents += jnp.log(0.5 * (high - low) * jnp.asarray(weight))
        area = math.log(2.0) if d == 2 else Sphere(d - 1).log_volume
        return area + jax.scipy.special.logsumexp(exponents)

    @sampler
    def sample(self, key: PRNGKeyArray, n: int) -> Particles:
        tangent, radial = jax.random.split(key)
        gap = self._gaps(radial, n)[:, None]
        across = self.space.retract(self.space.project(self.mean, jax.random.normal(tangent, (n, self.space.dim))))
        return Particles(self.space, (1 - gap) * self.mean + jnp.sqrt(gap * (2 - gap)) * across)

    def _gaps(self, key: PRNGKeyArray, n: int) -> Float[Array, " n"]:
        """1 − t: for a large κ it is small, and t itself would lose it."""
        d, kappa = self.space.dim, jnp.minimum(self.concentration, _POINT)
        b = (d - 1) / (2 * kappa + jnp.hypot(2 * kappa, d - 1))
        # Wood's x_0 = (1 − b)/(1 + b), as a gap.
        least = 2 * b / (1 + b)

        def propose(state):
            trial, gap, done = state
            z_key, u_key = jax.random.split(jax.random.fold_in(key, trial))
            # Beta((d − 1)/2, (d − 1)/2): the height of a uniform point, brought to [0, 1], and what it lacks to 1.
            point = self.space.uniform(z_key, n)
            across = jnp.sum(point[:, 1:] ** 2, axis=1)
            z, rest = 0.25 * ((1 + point[:, 0]) ** 2 + across), 0.25 * ((1 - point[:, 0]) ** 2 + across)
            new = 2 * b * z / (rest + b * z)
            u = jax.random.uniform(u_key, (n,), minval=1e-12)
            ratio = (least + new - least * new) / (least * (2 - least))
            good = kappa * (least - new) + (d - 1) * jnp.log(ratio) >= jnp.log(u)
            return trial + 1, jnp.where(done, gap, new), done | good

        start = (jnp.zeros((), int), jnp.zeros(n), jnp.zeros(n, bool))
        return jax.lax.while_loop(lambda state: ~jnp.all(state[2]), propose, start)[1]


class SphericalCauchy(AbstractSampledLaw):
    """The spherical Cauchy law on S^{d−1}: ρ(x) = ((1 − |w|²)/|x − w|²)^{d−1}/|S^{d−1}|.

    It is the image of the uniform law under a Möbius map, and the flow of an isotropic common noise keeps this family,
    as its maps are Möbius. w = 0 gives the uniform law; as |w| → 1 it tends to a point mass.

    **Arguments:**

    - `space`: a sphere.
    - `centre`: w, shape (d,), |w| < 1.

    **Raises:** `ValueError` for another space, and a w outside the unit ball.

    **Source:** Kato and McCullagh, Bernoulli 26 (2020).
    """

    space: Sphere
    centre: Float[Array, " d"]

    def __init__(self, space: Sphere, centre):
        require(isinstance(space, Sphere), f"the spherical Cauchy law lives on a sphere, not on {space}.")
        self.space, self.centre = space, array(centre, float)
        require(self.centre.shape == (space.dim,), f"the centre w has shape ({space.dim},), not {self.centre.shape}.")
        require_finite("the centre of a spherical Cauchy law", self.centre)
        require(
            (concrete(self.centre) ** 2).sum() < 1, "the centre of a spherical Cauchy law lies inside the unit ball."
        )

    @property
    def domain(self) -> Sphere:
        return self.space

    def log_density(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        w = self.centre
        ratio = jnp.log(self._gap()) - jnp.log(jnp.sum((x - w) ** 2))
        return (self.space.dim - 1) * ratio - self.space.log_volume

    @sampler
    def sample(self, key: PRNGKeyArray, n: int) -> Particles:
        u, w = self.space.uniform(key, n), self.centre
        # x = w + (1 − |w|²)(u + w)/|u + w|².
        return Particles(self.space, w + self._gap() * (u + w) / jnp.sum((u + w) ** 2, axis=1, keepdims=True))

    def _gap(self) -> Float[Array, ""]:
        """1 − |w|², of which single precision would lose the digits as |w| → 1."""
        dtype = self.centre.dtype
        with jax.enable_x64(True):
            return (1 - jnp.sum(self.centre.astype(jnp.float64) ** 2)).astype(dtype)


def _unit(space: Sphere, vector, name: str) -> Float[Array, " d"]:
    vector = array(vector, float)
    require(vector.shape == (space.dim,), f"{name} has shape ({space.dim},), not {vector.shape}.")
    require_finite(name, vector)
    require(abs((concrete(vector) ** 2).sum() ** 0.5 - 1) <= 1e-5, f"{name} must be a vector of length 1.")
    return space.retract(vector)
