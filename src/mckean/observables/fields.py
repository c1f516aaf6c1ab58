"""What is looked at along a run: functions of (model, measure), traceable by JAX.

Those with parameters are made by a call, `order_parameter(1)`; two such calls with equal parameters are equal, so
that a run observed by either is compiled once.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from mckean.checks import require
from mckean.interactions.trig import cos_sin_turns
from mckean.measures import AbstractMeasure, Gaussian, Particles, dtype_of
from mckean.models import Model, differs
from mckean.models import energy as _energy
from mckean.spaces import Torus

energy = _energy.energy
interaction_energy = _energy.interaction_energy
confinement_energy = _energy.confinement_energy
free_energy = _energy.free_energy
dissipation = _energy.dissipation


def entropy(model: Model, mu: AbstractMeasure) -> Float[Array, ""]:
    """∫ρ log ρ dx, dimensionless. **Raises** `ValueError` for particles, which have no density."""
    return _energy.entropy(mu)


def mean(model: Model, mu: AbstractMeasure) -> Float[Array, " d"]:
    """∫x dμ, on R^d."""
    _require_flat(mu, "the mean")
    return mu.mean if isinstance(mu, Gaussian) else mu.integrate(lambda x: x)


def covariance(model: Model, mu: AbstractMeasure) -> Float[Array, "d d"]:
    """∫(x − m)(x − m)ᵀ dμ, on R^d."""
    if isinstance(mu, Gaussian):
        return mu.covariance
    m = mean(model, mu)
    return mu.integrate(lambda x: jnp.outer(x - m, x - m))


def moment(power: int) -> Callable[[Model, AbstractMeasure], Float[Array, " d"]]:
    """∫x_i^p dμ for each coordinate, on R^d. **Raises** `ValueError` unless p is a positive integer."""
    require(isinstance(power, int) and power >= 1, f"the order of a moment is a positive integer, not {power!r}.")
    return eqx.Partial(_moment, power=power)


def mode(k) -> Callable[[Model, AbstractMeasure], Complex[Array, ""]]:
    """The Fourier mode z_k = ∫e^{2πi k·x/L} dμ on a torus; k: an integer, or d of them.

    **Raises** `ValueError` for a k that is not made of integers, and, when used, for another space or dimension.
    """
    return eqx.Partial(_mode, k=_integers(k))


def order_parameter(k) -> Callable[[Model, AbstractMeasure], Float[Array, ""]]:
    """r_k = |z_k|, between 0 (uniform) and 1 (a point mass); k: an integer, or d of them. **Raises** as `mode` does."""
    return eqx.Partial(_order_parameter, k=_integers(k))


def average(phi: Callable) -> Callable[[Model, AbstractMeasure], Any]:
    """⟨μ, φ⟩ for a function of one point of shape (d,)."""
    return eqx.Partial(_average, phi=phi)


def ito(phi: Callable) -> Callable[[Model, AbstractMeasure], dict[str, Array]]:
    """The Itô decomposition of ⟨μ^N, φ⟩ for a scalar φ, C² in x: d⟨μ, φ⟩ = drift dt + dM, with d⟨M⟩ = bracket dt.

        drift = ⟨μ, b·∇φ + ½ a:∇²φ⟩,   bracket = (1/N)⟨μ, |σᵀ∇φ|²⟩ + Σ_k ⟨μ, σ_k·∇φ⟩²,   a = σσᵀ + Σ_k σ_kσ_kᵀ,

    for N particles of equal weight; the first part of the bracket is that of their own noise ((2/βN)⟨μ, |∇φ|²⟩ for
    thermal noise), the second that of the environment, which does not shrink with N. Record it at every step, and
    `analysis.ito_decomposition` forms M and its realised bracket. Fields: `value`, `drift`, `own` and `common`, the two
    parts of the bracket, and `fields`, the ⟨μ, σ_k·∇φ⟩, shape (m,), by which the environment's motions enter M.
    **Raises** `ValueError`, when used, for other measures and a noise in Stratonovich form, unless that is the same.
    """
    return eqx.Partial(_ito, phi=phi)


def _integers(k) -> tuple[int, ...]:
    entries = np.atleast_1d(k)
    require(entries.ndim == 1 and entries.dtype.kind in "iu", f"a Fourier mode is an integer or d of them, not {k!r}.")
    return tuple(int(c) for c in entries)


def _moment(model: Model, mu: AbstractMeasure, *, power: int) -> Float[Array, " d"]:
    _require_flat(mu, "a moment")
    return mu.integrate(lambda x: x**power)


def _mode(model: Model, mu: AbstractMeasure, *, k: tuple[int, ...]) -> Complex[Array, ""]:
    space = mu.domain
    if not isinstance(space, Torus):
        raise ValueError(f"Fourier modes belong to a torus, not to {space}.")
    require(len(k) == space.dim, f"a mode of {space} has {space.dim} entries, not {len(k)}.")
    if isinstance(mu, Particles):
        turns = sum(c * mu.positions[:, i] / side for i, (c, side) in enumerate(zip(k, space.lengths, strict=True)))
        c, s = cos_sin_turns(turns)
        return mu.mean(c) + 1j * mu.mean(s)
    wave = jnp.asarray(space.wavenumber(np.asarray(k)), dtype_of(mu))
    return mu.integrate(lambda x: jnp.exp(1j * (wave @ x)))


def _order_parameter(model: Model, mu: AbstractMeasure, *, k: tuple[int, ...]) -> Float[Array, ""]:
    return jnp.abs(_mode(model, mu, k=k))


def _average(model: Model, mu: AbstractMeasure, *, phi: Callable) -> Any:
    return mu.integrate(phi)


def _ito(model: Model, mu: AbstractMeasure, *, phi: Callable) -> dict[str, Array]:
    if not isinstance(mu, Particles) or mu.weights is not None:
        raise ValueError("the Itô decomposition is that of particles of equal weight.")
    for noise in (*(() if model.noise is None else (model.noise,)), *model.common):
        require(
            not differs(noise, "ito"),
            "the Itô decomposition is written for Itô noise, but the model's is meant in the sense of Stratonovich: "
            'mckean.convert(model, "ito") says the same.',
        )
    x = mu.positions
    gradient = jax.vmap(jax.grad(phi))(x)
    drift = jnp.sum(model.velocity(mu, x) * gradient, axis=1)
    own, fields = jnp.zeros((), x.dtype), jnp.zeros(0, x.dtype)
    if model.has_noise:
        drift = drift + 0.5 * jnp.einsum("nij,nij->n", _diffusion(model, mu), jax.vmap(jax.hessian(phi))(x))
    if model.noise is not None:
        own = jnp.mean(jnp.einsum("nij,ni,nj->n", model.noise.diffusion(mu, x), gradient, gradient)) / mu.n
    if model.common:
        # ⟨μ, σ_k·∇φ⟩ for all k at the cost of one displacement: the gradient of a function that is linear in dB.
        moved = lambda dB: jnp.mean(jnp.sum(model.common_displacement(mu, x, dB) * gradient, axis=1))  # noqa: E731
        fields = jax.grad(moved)(jnp.zeros(model.environments(mu), x.dtype))
    value, drift = mu.integrate(phi), jnp.mean(drift)
    return {"value": value, "drift": drift, "own": own, "common": jnp.sum(fields**2), "fields": fields}


def _diffusion(model: Model, mu: Particles) -> Float[Array, "n d d"]:
    own = () if model.noise is None else (model.noise,)
    d = mu.positions.shape[1]
    zero = jnp.zeros((mu.n, d, d), mu.positions.dtype)
    return sum((noise.diffusion(mu, mu.positions) for noise in (*own, *model.common)), zero)


def _require_flat(mu: AbstractMeasure, what: str) -> None:
    flat = not isinstance(mu.domain, Torus)
    require(flat, f"{what} has no meaning on a torus; take Fourier modes, mode(k).")
