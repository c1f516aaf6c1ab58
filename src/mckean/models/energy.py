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
from mckean.measures import AbstractMeasure, Density, Gaussian, Particles, dtype_of
from mckean.measures.lagrangian import Lagrangian
from mckean.models.model import Model
from mckean.spaces import FourierGrid

_TINY = 1e-300

_Functional = TypeVar("_Functional", bound=Callable)


def _compiled(functional: _Functional) -> _Functional:
    """The functional as one program.

    Not so for particles: how their interaction is summed is chosen from where they are.
    """
    program = eqx.filter_jit(functional)

    @functools.wraps(functional)
    def value(model: Model, mu: AbstractMeasure):
        return functional(model, mu) if isinstance(mu, Particles) else program(model, mu)

    return cast(_Functional, value)


@_compiled
def confinement_energy(model: Model, mu: AbstractMeasure) -> Float[Array, ""]:
    """∫V dμ, energy per particle."""
    return jnp.zeros((), dtype_of(mu)) if model.confinement is None else mu.integrate(model.confinement)


@_compiled
def interaction_energy(model: Model, mu: AbstractMeasure) -> Float[Array, ""]:
    """½∬W dμdμ, energy per particle; the diagonal is in, except for a singular kernel."""
    kernel = model.interaction
    if kernel is None:
        return jnp.zeros((), dtype_of(mu))
    if isinstance(mu, Lagrangian):
        mu = mu.cloud()
    if isinstance(mu, Particles):
        return 0.5 * mu.mean(interactions.potential(kernel, mu, mu.positions))
    if isinstance(mu, Density):
        weights = mu.values.ravel() * mu.grid.cell_volume
        return 0.5 * jnp.dot(weights, interactions.potential(kernel, mu, mu.grid))
    return 0.5 * mu.integrate(lambda x: interactions.potential(kernel, mu, x[None])[0])


@_compiled
def energy(model: Model, mu: AbstractMeasure) -> Float[Array, ""]:
    """∫V dμ + ½∬W dμdμ, energy per particle."""
    return confinement_energy(model, mu) + interaction_energy(model, mu)


def hamiltonian(model: Model, particles: Particles) -> Float[Array, ""]:
    """H_N = Σ_i V(x_i) + (1/2N) Σ_ij W(x_i − x_j), for N particles of equal weight.

    **Raises** `ValueError` for weighted particles.
    """
    if particles.weights is not None:
        raise ValueError("H_N is defined for particles of equal weight.")
    return particles.n * energy(model, particles)


@eqx.filter_jit
def entropy(mu: AbstractMeasure) -> Float[Array, ""]:
    """∫ρ log ρ dx, dimensionless. **Raises** `ValueError` for particles, which have no density."""
    if isinstance(mu, Gaussian):
        d = mu.mean.shape[0]
        return -0.5 * (d * math.log(2 * math.pi * math.e) + jnp.linalg.slogdet(mu.covariance)[1])
    if isinstance(mu, Lagrangian):
        return jnp.sum(mu.masses * jnp.log(mu.values))
    density = _density("the entropy", mu)
    rho = density.values
    return jnp.sum(jax.scipy.special.xlogy(rho, jnp.maximum(rho, _tiny(rho)))) * density.grid.cell_volume


@_compiled
def internal_energy(model: Model, mu: AbstractMeasure) -> Float[Array, ""]:
    """∫U(ρ) dx, energy per particle. **Raises** `ValueError` for a model with a U unless μ is a density."""
    if model.internal is None:
        return jnp.zeros((), dtype_of(mu))
    if isinstance(mu, Lagrangian):
        return jnp.sum(mu.lengths * model.internal(mu.values))
    density = _density("the internal energy", mu)
    return jnp.sum(model.internal(density.values)) * density.grid.cell_volume


@_compiled
def free_energy(model: Model, mu: AbstractMeasure) -> Float[Array, ""]:
    """F(μ), energy per particle.

    **Raises** `ValueError` for particles at finite β or with a U, and for a state-dependent noise.
    """
    total = energy(model, mu) + internal_energy(model, mu)
    return total if model.noise is None else total + entropy(mu) / model.beta


@_compiled
def first_variation(model: Model, mu: AbstractMeasure) -> Float[Array, "..."]:
    """δF/δμ = V + W_s*μ + β⁻¹(log ρ + 1) + U′(ρ) on the nodes, shape of the grid.

    **Raises** `ValueError` without a density.
    """
    mu = _density("the first variation", mu)
    values = jnp.zeros_like(mu.values.ravel())
    if model.confinement is not None:
        values = values + jax.vmap(model.confinement)(interactions.at(mu.grid, mu))
    if model.interaction is not None:
        values = values + interactions.potential(model.interaction, mu, mu.grid)
    if model.noise is not None:
        values = values + (jnp.log(jnp.maximum(mu.values.ravel(), _tiny(mu.values))) + 1) / model.beta
    if model.internal is not None:
        values = values + model.internal.derivative(mu.values.ravel())
    return values.reshape(mu.grid.shape)


@_compiled
def slope(model: Model, mu: AbstractMeasure) -> Float[Array, "n d"]:
    """∇δF/δμ at the nodes of a density on the torus, or, without noise, at the particles.

    There the gradient is spectral: ∇V + ∇W_s*μ + β⁻¹∇ρ/ρ + ∇U′(ρ). **Raises** `ValueError` for other forms.
    """
    if model.noise is None and model.internal is None and isinstance(mu, Particles):
        return -model.gradient_field(mu, mu.positions)
    density = _density("the slope ∇δF", mu)
    if not isinstance(density.grid, FourierGrid):
        raise ValueError(
            "the slope ∇δF is pointwise on the torus; on a box, use dissipation, which lives on the faces."
        )
    field = -model.gradient_field(density, density.grid)
    if model.internal is not None:
        field = field + _spectral_gradient(density.grid, model.internal.derivative(density.values))
    return field if model.noise is None else field + score(density) / model.beta


def score(mu: Density) -> Float[Array, "n d"]:
    """∇log ρ at the nodes of a density on the torus, by its spectral gradient; per length."""
    return _spectral_gradient(cast(FourierGrid, mu.grid), mu.values) / floored(mu.values).reshape(-1, 1)


def _spectral_gradient(grid: FourierGrid, values: Array) -> Float[Array, "n d"]:
    transform = jnp.fft.rfftn(values)
    parts = [jnp.fft.irfftn(1j * jnp.asarray(q, values.dtype) * transform, grid.shape) for q in grid.wavenumbers]
    return jnp.stack([part.ravel() for part in parts], axis=-1)


def floored(rho: Float[Array, "..."]) -> Float[Array, "..."]:
    """A density that may be divided by: below the rounding of its transform its score is not known.

    The floor keeps that noise out of D.
    """
    return jnp.maximum(rho, jnp.finfo(rho.dtype).eps * jnp.max(rho))


@_compiled
def dissipation(model: Model, mu: AbstractMeasure) -> Float[Array, ""]:
    """D(μ) = ∫|∇δF/δμ|² dμ, energy per particle and time.

    On the torus by the spectral slope; on a box, and with an internal energy, whose fronts are not smooth, as Σ over
    faces of ρ̄ (Δξ/h)² h^d, ξ = δF/δμ, ρ̄ the mean of the two cells, of order 2 in h.
    **Raises** `ValueError` for particles at finite β or with an internal energy, and for a state-dependent noise.
    """
    if isinstance(mu, Gaussian):
        return _gaussian_dissipation(model, mu)
    if isinstance(mu, Density) and not (isinstance(mu.grid, FourierGrid) and model.internal is None):
        return _face_dissipation(model, mu)
    square = jnp.sum(slope(model, mu) ** 2, axis=-1)
    if isinstance(mu, Particles):
        return mu.mean(square)
    density = _density("the dissipation", mu)
    return jnp.dot(density.values.ravel(), square) * density.grid.cell_volume


def _face_dissipation(model: Model, mu: Density) -> Float[Array, ""]:
    xi, rho, total = first_variation(model, mu), mu.values, jnp.zeros((), mu.values.dtype)
    for axis, h in enumerate(mu.grid.spacing):
        mean, jump = 0.5 * (rho + jnp.roll(rho, -1, axis)), (jnp.roll(xi, -1, axis) - xi) / h
        faces = mean * jump**2
        inner = faces if isinstance(mu.grid, FourierGrid) else jax.lax.slice_in_dim(faces, 0, -1, axis=axis)
        total = total + jnp.sum(inner)
    return total * mu.grid.cell_volume


def _gaussian_dissipation(model: Model, mu: Gaussian) -> Float[Array, ""]:
    if model.internal is not None:
        raise ValueError("the dissipation of an internal energy needs a density on a grid: Density.from_law makes one.")
    precision = jnp.linalg.inv(mu.covariance)

    def square(x):
        field = -model.gradient_field(mu, x[None])[0]
        score = 0.0 if model.noise is None else precision @ (x - mu.mean) / model.beta
        return jnp.sum((field - score) ** 2)

    return mu.integrate(square)


def _tiny(values: Array) -> float:
    return max(_TINY, float(jnp.finfo(values.dtype).tiny))


def _density(what: str, mu: AbstractMeasure) -> Density:
    if not isinstance(mu, Density):
        raise ValueError(
            f"{what} needs a density, and {type(mu).__name__} has none on a grid: deposit or smooth it first."
        )
    return mu
