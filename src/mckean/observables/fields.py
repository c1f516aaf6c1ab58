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

from mckean.checks import require, require_arguments
from mckean.interactions.trig import cos_sin_turns
from mckean.measures import AbstractMeasure, Density, Family, Gaussian, Particles, configuration, dtype_of
from mckean.models import Equation, Model, differs
from mckean.models import energy as _energy
from mckean.spaces import Torus

energy = _energy.energy
interaction_energy = _energy.interaction_energy
confinement_energy = _energy.confinement_energy
free_energy = _energy.free_energy
dissipation = _energy.dissipation


def entropy(model: Model, mu: AbstractMeasure) -> Float[Array, ""]:
    """The entropy ∫ρ log ρ dx, dimensionless.

    **Arguments:**

    - `model`: the model; not used.
    - `mu`: a measure with a density.

    **Raises:** `ValueError` for particles, which have no density.
    """
    return _energy.entropy(mu)


def density(model: Equation, mu: AbstractMeasure) -> Float[Array, "..."]:
    """The values ρ(x) on the grid's nodes, of the grid's shape, per volume: a snapshot.

    **Arguments:**

    - `model`: not used.
    - `mu`: a density on a grid; of a family the values have the label in front.

    **Raises:** `ValueError` for another measure.
    """
    if isinstance(mu, Family):
        return mu.each(lambda member: density(model, member))
    if not isinstance(mu, Density):
        raise ValueError(f"a {type(mu).__name__} has no density on a grid: deposit or smooth it first.")
    return mu.values


def mean(model: Model, mu: AbstractMeasure) -> Float[Array, " d"]:
    """The mean ∫x dμ, shape (d,).

    **Arguments:**

    - `model`: the model; not used.
    - `mu`: a measure on R^d or on a sphere.

    **Raises:** `ValueError` for a torus, where it has no meaning.
    """
    _require_flat(mu, "the mean")
    return mu.mean if isinstance(mu, Gaussian) else mu.integrate(lambda x: x)


def covariance(model: Model, mu: AbstractMeasure) -> Float[Array, "d d"]:
    """The covariance ∫(x − m)(x − m)ᵀ dμ, m the mean, shape (d, d).

    **Arguments:**

    - `model`: the model; not used.
    - `mu`: a measure on R^d or on a sphere.

    **Raises:** `ValueError` for a torus, where it has no meaning.
    """
    if isinstance(mu, Gaussian):
        return mu.covariance
    m = mean(model, mu)
    return mu.integrate(lambda x: jnp.outer(x - m, x - m))


def moment(power: int) -> Callable[[Model, AbstractMeasure], Float[Array, " d"]]:
    """The moments ∫x_i^p dμ of all coordinates, shape (d,), on R^d or on a sphere.

    **Arguments:**

    - `power`: p ≥ 1, an integer.

    **Returns:** a function of (model, measure).

    **Raises:** `ValueError` for another p. When used: for a torus, where it has no meaning.
    """
    require(isinstance(power, int) and power >= 1, f"the order of a moment is a positive integer, not {power!r}.")
    return eqx.Partial(_moment, power=power)


def mode(k) -> Callable[[Model, AbstractMeasure], Complex[Array, ""]]:
    """The Fourier mode z_k = ∫e^{2πi k·x/L} dμ on a torus; of positions with velocities, that of the positions.

    **Arguments:**

    - `k`: an integer, or d of them.

    **Returns:** a function of (model, measure), with complex values.

    **Raises:** `ValueError` for a k that is not made of integers. When used: for another space or dimension.
    """
    return eqx.Partial(_mode, k=_integers(k))


def order_parameter(k) -> Callable[[Model, AbstractMeasure], Float[Array, ""]]:
    """The order parameter r_k = |∫e^{2πi k·x/L} dμ| on a torus, from 0 (uniform) to 1 (a point mass).

    **Arguments:**

    - `k`: an integer, or d of them.

    **Returns:** a function of (model, measure).

    **Raises:** what `mode` raises.
    """
    return eqx.Partial(_order_parameter, k=_integers(k))


def average(phi: Callable) -> Callable[[Model, AbstractMeasure], Any]:
    """The average ⟨μ, φ⟩ = ∫φ dμ.

    **Arguments:**

    - `phi`: φ, a function of one point of shape (d,), scalar- or array-valued.

    **Returns:** a function of (model, measure).
    """
    _require_function(phi)
    return eqx.Partial(_average, phi=phi)


def ito(phi: Callable) -> Callable[[Model, AbstractMeasure], dict[str, Array]]:
    """Itô's decomposition of ⟨μ, φ⟩ for N particles of equal weight: d⟨μ, φ⟩ = drift dt + dM, d⟨M⟩ = bracket dt,

        drift = ⟨μ, b·∇φ + ½ a:∇²φ⟩,   bracket = (1/N)⟨μ, |σᵀ∇φ|²⟩ + Σ_k ⟨μ, σ_k·∇φ⟩²,   a = σσᵀ + Σ_k σ_kσ_kᵀ.

    The first part of the bracket is that of the particles' own noise, (2/βN)⟨μ, |∇φ|²⟩ for thermal noise. The second is
    that of the environment, and does not shrink with N. Record it at every step; `couplings.ito_decomposition` then
    forms M and its realised bracket.

    **Arguments:**

    - `phi`: φ, a scalar function of one point (d,), twice differentiable.

    **Returns:** a function of (model, measure) with the fields `value`, `drift`, `own` and `common`, the two parts of
    the bracket, and `fields`, the ⟨μ, σ_k·∇φ⟩, shape (m,), by which the environment's motions enter M.

    **Raises:** when used, `ValueError` for other measures, and for a noise in Stratonovich form, unless that is the
    same.
    """
    _require_function(phi)
    return eqx.Partial(_ito, phi=phi)


def _require_function(phi: Any) -> None:
    require(callable(phi), f"what is averaged is a function of a point, not {phi!r}.")
    require_arguments("what is averaged", phi, "x")


def _integers(k) -> tuple[int, ...]:
    entries = np.atleast_1d(k)
    require(entries.ndim == 1 and entries.dtype.kind in "iu", f"a Fourier mode is an integer or d of them, not {k!r}.")
    return tuple(int(c) for c in entries)


def _moment(model: Model, mu: AbstractMeasure, *, power: int) -> Float[Array, " d"]:
    _require_flat(mu, "a moment")
    return mu.integrate(lambda x: x**power)


def _mode(model: Model, mu: AbstractMeasure, *, k: tuple[int, ...]) -> Complex[Array, ""]:
    mu = configuration(mu)
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
    drift = jnp.sum(model.velocity(x, mu) * gradient, axis=1)
    own, fields = jnp.zeros((), x.dtype), jnp.zeros(0, x.dtype)
    if model.has_noise:
        drift = drift + 0.5 * jnp.einsum("nij,nij->n", _diffusion(model, mu), jax.vmap(jax.hessian(phi))(x))
    if model.noise is not None:
        own = jnp.mean(jnp.einsum("nij,ni,nj->n", model.noise.diffusion(x, mu), gradient, gradient)) / mu.n
    if model.common:
        # ⟨μ, σ_k·∇φ⟩ for all k at the cost of one displacement: the gradient of a function that is linear in dB.
        work = lambda dB: jnp.mean(jnp.sum(model.common_displacement(x, mu, dB) * gradient, axis=1))  # noqa: E731
        fields = jax.grad(work)(jnp.zeros(model.motions(mu), x.dtype))
    value, drift = mu.integrate(phi), jnp.mean(drift)
    return {"value": value, "drift": drift, "own": own, "common": jnp.sum(fields**2), "fields": fields}


def _diffusion(model: Model, mu: Particles) -> Float[Array, "n d d"]:
    own = () if model.noise is None else (model.noise,)
    d = mu.positions.shape[1]
    zero = jnp.zeros((mu.n, d, d), mu.positions.dtype)
    return sum((noise.diffusion(mu.positions, mu) for noise in (*own, *model.common)), zero)


def _require_flat(mu: AbstractMeasure, what: str) -> None:
    flat = not isinstance(configuration(mu).domain, Torus)
    require(flat, f"{what} has no meaning on a torus; take Fourier modes, mode(k).")
