"""Densities on the torus: Fourier pseudo-spectral in space, exponential Runge–Kutta of order 4 in time.

    ∂_tρ = −∇·(ρ b[ρ]) + ½ Σ_ij ∂_i∂_j (a_ij[ρ] ρ),   b = −∇V − ∇W_s*ρ + extra drift,   a = σσᵀ (2/β for thermal noise).

Products are formed on a grid 3/2 times as fine, so that quadratic aliasing does not reach the modes that are kept.
The constant part of the diffusion is integrated exactly (ETDRK4: Cox and Matthews, J. Comput. Phys. 176, 2002, eqs.
26–29), so that a stationary state of the semi-discrete equation is one of the scheme. The zero mode does not move:
mass is exact.
"""

import functools
import math
from collections.abc import Iterable
from typing import Any, ClassVar, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Complex, Float, Int

from mckean.checks import require
from mckean.dynamics.scheme import (
    AbstractScheme,
    evaluate_drift,
    require_finite_field,
    require_same_space,
    with_unit_mass,
)
from mckean.measures import AbstractMeasure, Density
from mckean.models import AbstractNoise, Model, Thermal
from mckean.paths import Brownian
from mckean.spaces import FourierGrid


class Spectral(AbstractScheme):
    """ETDRK4 for densities on a Fourier grid, dealiased, order 4 in time, spectral in space.

    The nonlinear part is explicit: a step that is too long for it ends in a state that is not finite, which is
    reported.

    **Arguments:** `negativity`: how far below 0 the density may fall, relative to its maximum, before the run is
    stopped as under-resolved.
    **Raises** `ValueError`, when used, for another measure or space, or a Stratonovich noise that depends on the state.
    """

    moves: ClassVar[str] = "Density on a Fourier grid"
    negativity: float = eqx.field(static=True, default=1e-3)

    @property
    def order(self) -> int:
        return 4

    def accepts(self, measure: AbstractMeasure) -> bool:
        return isinstance(measure, Density) and isinstance(measure.grid, FourierGrid)

    def check(self, model: Model, measure: Density, dt: float) -> None:
        require_same_space(model, measure)
        require(
            model.noise is None or model.noise.additive or model.noise.calculus == "ito",
            "the Fokker–Planck equation is written for Itô noise; give the state-dependent noise in Itô form.",
        )
        nodes = measure.grid.nodes
        require_finite_field(lambda: evaluate_drift(model, measure, measure.grid), "the drift −∇V − ∇W*μ + b", nodes)

    def complaints(self, model: Model, measure: Density) -> dict[str, Float[Array, ""]]:
        depth = -jnp.min(measure.values) / jnp.max(measure.values)
        sentence = (
            "the density fell below zero, to {:.3g} of its maximum: the grid is too coarse for it; take more nodes"
        )
        return {sentence: jnp.where(depth > self.negativity, depth, 0.0)}

    def prepare(self, model: Model, measure: Density, dt: Float[Array, ""]) -> dict[str, Any] | None:
        """The weights of the scheme, where the diffusion is constant; else each step has its own."""
        return _weights(model, measure, dt) if model.noise is None or isinstance(model.noise, Thermal) else None

    def step(
        self,
        model: Model,
        measure: Density,
        prepared: dict[str, Any] | None,
        path: Brownian | None,
        index: Int[ArrayLike, ""],
        dt: Float[Array, ""],
    ) -> Density:
        grid = _grid(measure)
        c = _weights(model, measure, dt) if prepared is None else prepared
        rate = lambda u: _explicit_rate(model, grid, u, c["diffusion"])  # noqa: E731
        u0 = jnp.fft.rfftn(measure.values)
        n0 = rate(u0)
        a = c["half"] * u0 + c["stage"] * n0
        na = rate(a)
        nb = rate(c["half"] * u0 + c["stage"] * na)
        nc = rate(c["half"] * a + c["stage"] * (2 * nb - n0))
        u1 = c["full"] * u0 + c["first"] * n0 + c["middle"] * (na + nb) + c["last"] * nc
        return with_unit_mass(measure, jnp.fft.irfftn(u1, grid.shape))


def _grid(measure: Density) -> FourierGrid:
    """The grid of a measure that `accepts` has let in."""
    return cast(FourierGrid, measure.grid)


def _weights(model: Model, measure: Density, dt: Float[Array, ""]) -> dict[str, Array]:
    grid = _grid(measure)
    diffusion = _constant_diffusion(model, measure)
    square = sum(np.square(2 * np.pi * k / side) for k, side in zip(grid.modes, grid.sides, strict=True))
    z = -diffusion * dt * jnp.asarray(square, measure.values.dtype)
    return {"diffusion": diffusion, **_coefficients(z, dt)}


def _coefficients(z: Float[Array, "..."], dt: Float[Array, ""]) -> dict[str, Array]:
    """ETDRK4's weights in terms of φ_k(z), z = L dt ≤ 0."""
    phi1, phi2, phi3 = _phi(z)
    return {
        "half": jnp.exp(z / 2),
        "full": jnp.exp(z),
        "stage": 0.5 * dt * _phi(z / 2)[0],
        "first": dt * (phi1 - 3 * phi2 + 4 * phi3),
        "middle": dt * (2 * phi2 - 4 * phi3),
        "last": dt * (4 * phi3 - phi2),
    }


def _phi(z: Float[Array, "..."]) -> tuple[Array, Array, Array]:
    """φ_1, φ_2, φ_3 with φ_k(z) = (φ_{k−1}(z) − 1/(k−1)!)/z: by the recurrence for |z| ≥ 1, else by Taylor."""
    near = jnp.abs(z) < 1
    far = jnp.where(near, 1.0, z)
    small = jnp.where(near, z, 0.0)
    # φ_3(z) = Σ_j z^j/(j+3)!, to j = 18
    inverse_factorials = [1 / math.factorial(j + 3) for j in range(18, -1, -1)]
    series = jnp.polyval(jnp.asarray(inverse_factorials, z.dtype), small)
    up1 = jnp.expm1(far) / far
    up2 = (up1 - 1) / far
    up3 = (up2 - 0.5) / far
    phi2 = 0.5 + small * series
    phi1 = 1 + small * phi2
    return jnp.where(near, phi1, up1), jnp.where(near, phi2, up2), jnp.where(near, series, up3)


def _constant_diffusion(model: Model, measure: Density) -> Array:
    """D_0 of the part D_0Δ that is integrated exactly; for a state-dependent noise the largest |½a| (Frobenius)."""
    if model.noise is None or isinstance(model.noise, Thermal):
        return jnp.asarray(1 / model.beta, measure.values.dtype)
    return 0.5 * jnp.sqrt(jnp.max(jnp.sum(_covariance(model.noise, measure) ** 2, axis=(1, 2))))


def _covariance(noise: AbstractNoise, measure: Density) -> Float[Array, "m d d"]:
    sigma = noise.matrix(measure, measure.grid.nodes.astype(measure.values.dtype))
    return jnp.einsum("mik,mjk->mij", sigma, sigma)


def _explicit_rate(
    model: Model, grid: FourierGrid, u: Complex[Array, "..."], diffusion: Array
) -> Complex[Array, "..."]:
    """Fourier coefficients of everything but D_0Δρ."""
    fine = FourierGrid(grid.space, tuple(2 * ((3 * n + 3) // 4) for n in grid.shape))
    d = len(grid.shape)
    rho = jnp.fft.irfftn(_resized(u, grid, fine), fine.shape)
    density = Density(fine, rho)
    q = [jnp.asarray(k, rho.dtype) for k in grid.wavenumbers]

    def back(field: Float[Array, "size k"]) -> Complex[Array, "..."]:
        """The coefficients of ρ times a field, its components leading."""
        product = field.T.reshape(-1, *fine.shape) * rho
        return _resized(jnp.fft.rfftn(product, axes=range(-d, 0)), fine, grid)

    flux = back(model.drift(density, fine))
    rate = -_total(1j * q[i] * flux[i] for i in range(d))
    if model.noise is None or isinstance(model.noise, Thermal):
        return rate
    excess = 0.5 * _covariance(model.noise, density) - diffusion * jnp.eye(d, dtype=rho.dtype)
    stress = back(excess.reshape(-1, d * d))
    return rate - _total(q[i] * q[j] * stress[d * i + j] for i in range(d) for j in range(d))


def _total(terms: Iterable[Array]) -> Array:
    return functools.reduce(jnp.add, terms)


def _resized(u: Complex[Array, "..."], old: FourierGrid, new: FourierGrid) -> Complex[Array, "..."]:
    """The coefficients, on the last axes, on another grid: the modes below both Nyquist frequencies, others zero."""
    for axis, (n, m) in enumerate(zip(old.shape, new.shape, strict=True), start=-len(old.shape)):
        top = (min(n, m) - 1) // 2
        parts = [jax.lax.slice_in_dim(u, 0, top + 1, axis=axis)]
        gap = m // 2 - top if axis == -1 else m - 2 * top - 1
        parts.append(jnp.zeros((*u.shape[: u.ndim + axis], gap, *u.shape[u.ndim + axis + 1 :]), u.dtype))
        if axis != -1:
            parts.append(jax.lax.slice_in_dim(u, n - top, n, axis=axis))
        u = jnp.concatenate(parts, axis)
    return u * (new.size / old.size)
