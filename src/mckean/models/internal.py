"""Internal energies ∫U(ρ)dx: what a fluid has beside the entropy of its noise."""

import abc
from functools import partial

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean.checks import concrete, number, require, traced
from mckean.interactions.parameters import parameter


class AbstractInternalEnergy(eqx.Module):
    """U, convex on [0, ∞), U(0) = 0; the flow is ∂_tρ = ∇·(ρ∇U′(ρ)) = ΔP(ρ), P(ρ) = ρU′(ρ) − U(ρ) the pressure.

    Only a density has one: of N particles it is a limit of short-ranged repulsion (Oelschläger, Probab. Theory Relat.
    Fields 82, 1989), not a force.
    """

    @abc.abstractmethod
    def __call__(self, rho: Float[Array, "..."]) -> Float[Array, "..."]:
        """U(ρ), energy per volume."""

    @abc.abstractmethod
    def derivative(self, rho: Float[Array, "..."]) -> Float[Array, "..."]:
        """U′(ρ), energy."""

    @abc.abstractmethod
    def inverse(self, energy: Float[Array, "..."]) -> Float[Array, "..."]:
        """The ρ with U′(ρ) = y, and 0 where y < U′(0)."""

    @abc.abstractmethod
    def pressure(self, rho: Float[Array, "..."]) -> Float[Array, "..."]:
        """P(ρ) = ρU′(ρ) − U(ρ), energy per volume."""


class PorousMedium(AbstractInternalEnergy):
    """The internal energy U(ρ) = sρ^m/(m − 1), whose flow is the porous medium equation ∂_tρ = sΔρ^m.

    **Arguments:**

    - `exponent`: m > 1, static. Default: 2.
    - `strength`: s > 0, energy times volume^(m − 1). Default: 1.

    **Raises:** `ValueError` for other values.

    **Source:** Otto, Comm. Partial Differential Equations 26 (2001).
    """

    exponent: float = eqx.field(static=True, converter=partial(number, "the exponent of a porous medium"), default=2.0)
    strength: Float[Array, ""] = eqx.field(converter=parameter, default=1.0)

    def __check_init__(self):
        require(1 < self.exponent < jnp.inf, f"a porous medium needs an exponent m > 1, but {self.exponent} was given.")
        s = self.strength
        if not traced(s) and isinstance(s, Array):
            require(0 < concrete(s) < jnp.inf, f"the strength of a porous medium is positive, not {float(s):g}.")

    def __call__(self, rho: Float[Array, "..."]) -> Float[Array, "..."]:
        return self.strength * rho**self.exponent / (self.exponent - 1)

    def derivative(self, rho: Float[Array, "..."]) -> Float[Array, "..."]:
        m = self.exponent
        return self.strength * m / (m - 1) * rho ** (m - 1)

    def inverse(self, energy: Float[Array, "..."]) -> Float[Array, "..."]:
        m = self.exponent
        # A power of 0 may have no slope: it is taken elsewhere.
        inside = jnp.where(energy > 0, energy, 1.0)
        return jnp.where(energy > 0, ((m - 1) / (m * self.strength) * inside) ** (1 / (m - 1)), 0.0)

    def pressure(self, rho: Float[Array, "..."]) -> Float[Array, "..."]:
        return self.strength * rho**self.exponent
