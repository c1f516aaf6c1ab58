"""Energies in the mean-field normalisation, and what the free energy gives: first variation, slope, dissipation.

    F(μ) = ∫V dμ + ½∬W dμdμ + β⁻¹∫ρ log ρ + ∫U(ρ),    δF/δμ = V + W_s*μ + β⁻¹(log ρ + 1) + U′(ρ),

D(μ) = ∫|∇δF/δμ|² dμ, U the internal energy of a model that has one, and along ∂_tρ = ∇·(ρ∇δF/δμ), dF/dt = −D.
"""

import functools
import math
from collections.abc import Callable
from typing import TypeVar, cast

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean import interactions
from mckean.checks import require
from mckean.measures import AbstractMeasure, Density, Gaussian, Particles, dtype_of
from mckean.measures.lagrangian import Lagrangian
from mckean.models.model import Model, require_model
from mckean.spaces import calculus
from mckean.spaces.calculus import SpectralGrid
from mckean.spaces.staggered import axes_of, gradient, onto_faces

__all__ = [
    "confinement_energy",
    "dissipation",
    "energy",
    "entropy",
    "first_variation",
    "floor",
    "free_energy",
    "hamiltonian",
    "interaction_energy",
    "internal_energy",
    "potential",
    "score",
    "slope",
]


def __dir__() -> list[str]:
    return __all__


_TINY = 1e-300

_Functional = TypeVar("_Functional", bound=Callable)


def _compile(functional: _Functional) -> _Functional:
    """The functional as one program.

    Not so for particles: how their interaction is summed is chosen from where they are.
    """
    program = eqx.filter_jit(functional)

    @functools.wraps(functional)
    def value(model: Model, mu: AbstractMeasure):
        require_model(model)
        require(isinstance(mu, AbstractMeasure), f"an energy is that of a measure, not of a {type(mu).__name__}.")
        require(mu.domain == model.space, f"the model lives on {model.space}, but the measure on {mu.domain}.")
        return functional(model, mu) if isinstance(mu, Particles) else program(model, mu)

    return cast(_Functional, value)


@_compile
def confinement_energy(model: Model, mu: AbstractMeasure) -> Float[Array, ""]:
    """The confinement energy ∫V dμ, energy per particle.

    **Arguments:**

    - `model`: the model.
    - `mu`: the measure.
    """
    return jnp.zeros((), dtype_of(mu)) if model.confinement is None else mu.integrate(model.confinement)


@_compile
def interaction_energy(model: Model, mu: AbstractMeasure) -> Float[Array, ""]:
    """The interaction energy ½∬W dμdμ, energy per particle.

    Pairs i = j are in it, except for a singular kernel.

    **Arguments:**

    - `model`: the model.
    - `mu`: the measure.
    """
    kernel = model.interaction
    if kernel is None:
        return jnp.zeros((), dtype_of(mu))
    if isinstance(mu, Lagrangian):
        mu = mu.cloud()
    if isinstance(mu, Particles):
        return 0.5 * mu.mean(interactions.potential(kernel, mu, mu.positions))
    if isinstance(mu, Density):
        values = interactions.potential(kernel, mu, mu.grid).reshape(mu.grid.shape)
        return 0.5 * calculus.integrate(mu.grid, mu.values * values)
    return 0.5 * mu.integrate(lambda x: interactions.potential(kernel, mu, x[None])[0])


@_compile
def energy(model: Model, mu: AbstractMeasure) -> Float[Array, ""]:
    """The energy ∫V dμ + ½∬W dμdμ, per particle.

    **Arguments:**

    - `model`: the model.
    - `mu`: the measure.
    """
    return confinement_energy(model, mu) + interaction_energy(model, mu)


def hamiltonian(model: Model, particles: Particles) -> Float[Array, ""]:
    """The Hamiltonian of N particles of equal weight, H_N = Σ_i V(x_i) + (1/2N) Σ_ij W(x_i − x_j).

    **Arguments:**

    - `model`: the model.
    - `particles`: N particles without weights.

    **Raises:** `ValueError` for weighted particles.
    """
    require(
        isinstance(particles, Particles),
        f"H_N is the energy of particles, not of a {type(particles).__name__}: `energy` takes any measure.",
    )
    if particles.weights is not None:
        raise ValueError("H_N is defined for particles of equal weight.")
    return particles.n * energy(model, particles)


@eqx.filter_jit
def entropy(mu: AbstractMeasure) -> Float[Array, ""]:
    """The entropy ∫ρ log ρ dx, dimensionless.

    **Arguments:**

    - `mu`: a measure with a density.

    **Raises:** `ValueError` for particles, which have no density.
    """
    if isinstance(mu, Gaussian):
        d = mu.mean.shape[0]
        return -0.5 * (d * math.log(2 * math.pi * math.e) + jnp.linalg.slogdet(mu.covariance)[1])
    if isinstance(mu, Lagrangian):
        return jnp.sum(mu.masses * jnp.log(mu.values))
    density = _density("the entropy", mu)
    rho = density.values
    return calculus.integrate(density.grid, jax.scipy.special.xlogy(rho, jnp.maximum(rho, _tiny(rho))))


@_compile
def internal_energy(model: Model, mu: AbstractMeasure) -> Float[Array, ""]:
    """The internal energy ∫U(ρ) dx, energy per particle; 0 for a model without U.

    **Arguments:**

    - `model`: the model.
    - `mu`: the measure.

    **Raises:** `ValueError` for a model with a U and a measure without a density.
    """
    if model.internal is None:
        return jnp.zeros((), dtype_of(mu))
    if isinstance(mu, Lagrangian):
        return jnp.sum(mu.lengths * model.internal(mu.values))
    density = _density("the internal energy", mu)
    return calculus.integrate(density.grid, model.internal(density.values))


@_compile
def free_energy(model: Model, mu: AbstractMeasure) -> Float[Array, ""]:
    """The free energy F(μ) = ∫V dμ + ½∬W dμdμ + β⁻¹∫ρ log ρ + ∫U(ρ), per particle.

    **Arguments:**

    - `model`: the model.
    - `mu`: the measure.

    **Raises:** `ValueError` for particles at finite β or with a U, and for a noise that depends on the state.
    """
    total = energy(model, mu) + internal_energy(model, mu)
    return total if model.noise is None else total + entropy(mu) / model.beta


@_compile
def potential(model: Model, mu: AbstractMeasure) -> Float[Array, "..."]:
    """The potential V + W_s*μ at the nodes of a density's grid; energy.

    **Arguments:**

    - `model`: the model.
    - `mu`: a `Density`.

    **Returns:** an array in the grid's shape.

    **Raises:** `ValueError` for another measure; `model.potential(x, mu)` takes any.
    """
    mu = _density("the potential on a grid", mu)
    return model.potential(mu.grid, mu).reshape(mu.grid.shape)


@_compile
def first_variation(model: Model, mu: AbstractMeasure) -> Float[Array, "..."]:
    """The first variation δF/δμ = V + W_s*μ + β⁻¹(log ρ + 1) + U′(ρ) at the nodes; energy.

    **Arguments:**

    - `model`: the model.
    - `mu`: a `Density`.

    **Returns:** an array in the grid's shape.

    **Raises:** `ValueError` for another measure.
    """
    mu = _density("the first variation", mu)
    values = potential(model, mu)
    if model.noise is not None:
        values = values + (jnp.log(jnp.maximum(mu.values, _tiny(mu.values))) + 1) / model.beta
    if model.internal is not None:
        values = values + model.internal.derivative(mu.values)
    return values


@_compile
def slope(model: Model, mu: AbstractMeasure) -> Float[Array, "n d"]:
    """The slope ∇δF/δμ = ∇V + ∇W_s*μ + β⁻¹∇ρ/ρ + ∇U′(ρ), a tangent vector; length per time.

    The gradients of a density are spectral.

    **Arguments:**

    - `model`: the model.
    - `mu`: a `Density` on a torus or on a sphere, or particles of a model without noise.

    **Returns:** an array of shape (n, d), at the nodes or at the particles.

    **Raises:** `ValueError` for other measures.
    """
    if model.noise is None and model.internal is None and isinstance(mu, Particles):
        return mu.space.project(mu.positions, -model.force(mu.positions, mu))
    density = _density("the slope ∇δF", mu)
    if not isinstance(density.grid, SpectralGrid):
        raise ValueError(
            "the slope ∇δF is pointwise on a torus and a sphere; on a box, use dissipation, which lives on the faces."
        )
    field = density.domain.project(interactions.at(density.grid, density), -model.force(density.grid, density))
    if model.internal is not None:
        field = field + calculus.gradient(density.grid, model.internal.derivative(density.values))
    return field if model.noise is None else field + score(density) / model.beta


def score(mu: Density) -> Float[Array, "n d"]:
    """The score ∇log ρ at the nodes, by its spectral gradient; per length.

    **Arguments:**

    - `mu`: a `Density` on a torus or on a sphere.

    **Returns:** an array of shape (n, d).
    """
    mu = _density("the score", mu)
    return calculus.gradient(cast(SpectralGrid, mu.grid), mu.values) / floor(mu.values).reshape(-1, 1)


def floor(rho: Float[Array, "..."]) -> Float[Array, "..."]:
    """A density that may be divided by: at least its rounding, below which its score is not known.

    This keeps the noise of a transform out of D.

    **Arguments:**

    - `rho`: values of a density.
    """
    return jnp.maximum(rho, jnp.finfo(rho.dtype).eps * jnp.max(rho))


@_compile
def dissipation(model: Model, mu: AbstractMeasure) -> Float[Array, ""]:
    """The dissipation D(μ) = ∫|∇δF/δμ|² dμ, energy per particle and time: dF/dt = −D along the gradient flow.

    With velocities and a friction γ it is γ∫|∇_v δF/δμ|² dμ, along the equation of Vlasov, Fokker and Planck.

    On a torus and on a sphere the slope is spectral. On a box, and with an internal energy, whose fronts are not
    smooth, D is a sum over faces of ρ̄ (Δξ/h)² h^d, ξ = δF/δμ, ρ̄ the mean of the two cells, of order 2 in h.

    **Arguments:**

    - `model`: the model.
    - `mu`: the measure.

    **Raises:** `ValueError` for particles at finite β or with an internal energy, and for a noise that depends on the
    state.
    """
    if isinstance(mu, Gaussian):
        return _gaussian_dissipation(model, mu)
    if isinstance(mu, Density) and not (isinstance(mu.grid, SpectralGrid) and model.internal is None):
        return _face_dissipation(model, mu)
    steepest = slope(model, mu)
    square = jnp.sum(steepest * model.response(steepest), axis=-1)
    if isinstance(mu, Particles):
        return mu.mean(square)
    density = _density("the dissipation", mu)
    return calculus.integrate(density.grid, density.values * square.reshape(density.grid.shape))


def _face_dissipation(model: Model, mu: Density) -> Float[Array, ""]:
    axes = axes_of(mu.grid)
    jumps, means = gradient(first_variation(model, mu), axes), onto_faces((mu.values,) * len(axes), axes)
    total = jnp.zeros((), mu.values.dtype)
    for jump, mean in zip(jumps, means, strict=True):
        total = total + jnp.sum(mean * jump**2)
    return total * mu.grid.cell_volume


def _gaussian_dissipation(model: Model, mu: Gaussian) -> Float[Array, ""]:
    if model.internal is not None:
        raise ValueError("the dissipation of an internal energy needs a density on a grid: Density.from_law makes one.")
    precision = jnp.linalg.inv(mu.covariance)

    def square(x):
        score = jnp.zeros_like(x) if model.noise is None else -precision @ (x - mu.mean) / model.beta
        steepest = score - model.force(x[None], mu)[0]
        return jnp.sum(steepest * model.response(steepest[None])[0])

    return mu.integrate(square)


def _tiny(values: Array) -> float:
    return max(_TINY, float(jnp.finfo(values.dtype).tiny))


def _density(what: str, mu: AbstractMeasure) -> Density:
    if not isinstance(mu, Density):
        raise ValueError(
            f"{what} needs a density, and {type(mu).__name__} has none on a grid: deposit or smooth it first."
        )
    return mu
