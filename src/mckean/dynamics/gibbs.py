"""The Gibbs measure π_N ∝ e^{−βH_N} of N particles, H_N = Σ_i V(x_i) + (1/2N)Σ_ij W(x_i − x_j), up to its constant.

−∇H_N is the drift of `langevin`, so that the gradient of log π_N is the model's own fast sum, never a derivative
through it.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from mckean import interactions
from mckean.checks import require
from mckean.measures import Particles
from mckean.models import Model, Thermal, energy
from mckean.spaces import Sphere, Torus


def log_density(model: Model, particles: Particles) -> Float[Array, ""]:
    """−βH_N(x), the logarithm of π_N up to a constant, dimensionless; its gradient is β times the drift.

    **Raises** `ValueError` for a model whose Gibbs measure is not known, and for weighted particles.
    """
    require_gibbs(model)
    require(particles.weights is None, "the Gibbs measure is one of particles of equal weight.")
    return coupled_log_density(particles.positions, model, 1.0)


def require_gibbs(model: Model) -> None:
    """**Raises** `ValueError` where e^{−βH_N} is not known to be a law that the particles' motion leaves invariant."""
    require(model.drift is None, "a drift b beside −∇H_N need not be a gradient: the Gibbs measure is not known.")
    require(not model.common, "a common noise need not leave e^{−βH_N} invariant: the Gibbs measure is not known.")
    require(model.noise is not None, "without noise there is no Gibbs measure: the particles come to rest.")
    require(
        isinstance(model.noise, Thermal), "only thermal noise √(2/β) dB is known to have the Gibbs measure e^{−βH}."
    )
    require(model.internal is None, "particles have no density, hence no internal energy and no Gibbs measure.")
    require(not isinstance(model.space, Sphere), "Gibbs measures are sampled in R^d and on tori, not on a sphere.")
    bound = model.confinement is not None or isinstance(model.space, Torus)
    require(bound, "without a confinement e^{−βH_N} has infinite mass in R^d, and there is no Gibbs measure.")


@eqx.filter_custom_jvp
def coupled_log_density(x: Float[Array, "n d"], model: Model, coupling: Float[ArrayLike, ""]) -> Float[Array, ""]:
    """−β(ΣV(x_i) + (s/2N)ΣW(x_i − x_j)), s the coupling: independent particles at 0, π_N at 1.

    Only the derivative with respect to x is defined.
    """
    cloud = Particles(model.space, x)
    mean = energy.confinement_energy(model, cloud) + coupling * energy.interaction_energy(model, cloud)
    return -model.beta * cloud.n * mean


@coupled_log_density.def_jvp
def _(primals, tangents):
    x, model, coupling = primals
    force = jnp.zeros_like(x)
    if model.confinement is not None:
        force = force - jax.vmap(jax.grad(model.confinement))(x)
    if model.interaction is not None:
        force = force + coupling * interactions.force(model.interaction, Particles(model.space, x), x)
    slope = model.beta * jnp.sum(force * tangents[0])
    return coupled_log_density(x, model, coupling), slope
