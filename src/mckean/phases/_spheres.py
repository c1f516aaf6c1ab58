"""What steady states of a sphere have of their own: degrees instead of modes, and rotations instead of translations.

By Funk and Hecke's theorem W_s multiplies each degree of harmonics, as a convolution multiplies each mode of a torus.
Where V does not depend on direction, a rotated state is a state: one rotation moves it on S¹, three on S². On a zonal
grid, which holds its axis, there is none but the reflection t → −t.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.checks import require
from mckean.interactions.sums import zonal
from mckean.measures import Density
from mckean.models import Model
from mckean.spaces import AbstractSphericalGrid, SphereGrid, ZonalGrid, calculus

# How far V may change about the axis of a zonal grid, or under a rotation that keeps it, relative to its range.
_FLAT = 1e-9
# The degrees of the random starts, and those of W that are looked at.
_LOW, _DEGREES = 4, 128


def require_zonal(model: Model, grid: AbstractSphericalGrid) -> None:
    """**Raises** `ValueError` for a W that is not zonal, and on a zonal grid for a V that is not."""
    require_zonal_kernel(model)
    if isinstance(grid, ZonalGrid) and model.confinement is not None:
        here, turned = (np.asarray(jax.vmap(model.confinement)(x)) for x in (grid.nodes, grid.turned))
        require(
            np.abs(here - turned).max() <= _FLAT * max(np.abs(here).max(), 1e-300),
            "a zonal grid holds densities that depend on ⟨e, x⟩ alone, but V changes about its axis e: turn the axis "
            "to that of V, or take the grid of S¹ or S².",
        )


def require_zonal_kernel(model: Model) -> None:
    """**Raises** `ValueError` for a W that is not a function of ⟨x, y⟩."""
    require(
        model.interaction is None or zonal.is_zonal(model.interaction.kernel, model.space.dim),
        "on a sphere states and thresholds are found for a W that depends on ⟨x, y⟩ alone.",
    )


def weights(model: Model, degree: int) -> np.ndarray:
    """Ŵ(l) = |S^{d−1}|^{−1}∫W(⟨x, y⟩)P_l(⟨x, y⟩)dy for l = 0 … degree; 0 without a W."""
    if model.interaction is None:
        return np.zeros(degree + 1)
    dim = model.space.dim
    of_degree = zonal.multipliers(zonal.profile(model.interaction.kernel, dim), degree, dim)
    return np.asarray(of_degree, np.float64) / model.space.volume


def kernel_tail(model: Model, grid: AbstractSphericalGrid, coarse: float) -> tuple[float, tuple[int, ...]]:
    """The largest |Ŵ(l)| beyond the grid's degree L over the largest of all; and the shape of the coarsest grid that
    has all degrees with a share of `coarse`. Degrees are looked at up to 2L, and at least up to 128."""
    size = np.abs(weights(model, max(2 * grid.degree, _DEGREES)))
    size[0] = 0.0
    if not size.max() > 0:
        return 0.0, grid.shape
    heavy = int(np.flatnonzero(size > coarse * size.max())[-1])
    return float(size[grid.degree + 1 :].max() / size.max()), grid.of_degree(max(heavy, 2)).shape


def symmetric_axes(model: Model, grid: AbstractSphericalGrid) -> tuple[int, ...]:
    """The rotations of `slopes` that keep V: all where it is constant, and on S² else the one about the grid's axis."""
    if isinstance(grid, ZonalGrid):
        return ()
    values = np.zeros(grid.shape)
    if model.confinement is not None:
        values = np.asarray(jax.vmap(model.confinement)(grid.nodes)).reshape(grid.shape)
    flat = _FLAT * max(np.abs(values).max(), 1e-300)
    if np.ptp(values) <= flat:
        return tuple(range(3 if isinstance(grid, SphereGrid) else 1))
    return (0,) if isinstance(grid, SphereGrid) and np.ptp(values, axis=1).max() <= flat else ()


def slopes(grid: AbstractSphericalGrid, u: Float[Array, "..."]) -> Float[Array, "k n"]:
    """x_a∂_bu − x_b∂_au, how a rotation in the plane of two coordinates changes u; the first is about S²'s axis."""
    x, field = grid.nodes.astype(u.dtype), calculus.gradient(grid, u)  # pyright: ignore[reportArgumentType]
    planes = [(0, 1), (1, 2), (2, 0)] if isinstance(grid, SphereGrid) else [(0, 1)]
    return jnp.stack([x[:, a] * field[:, b] - x[:, b] * field[:, a] for a, b in planes])


def moduli(grid: AbstractSphericalGrid, rho: Float[Array, "..."], axes: tuple[int, ...]) -> Float[Array, " m"]:
    """What the rotations do not change: Σ_m|ρ̂_lm|² for all of S², |ρ̂_k|² for the one about an axis."""
    square = jnp.abs(grid.analyse(rho)) ** 2
    if len(axes) == 1:
        return square.ravel()
    return square[:, 0] + 2 * jnp.sum(square[:, 1:], axis=1)


def order(rho: Density) -> Float[Array, ""]:
    """r_l = √(∬P_l(⟨x, y⟩)dρdρ) of the l ≥ 1 for which it is largest; on a zonal grid ∫P_l(⟨e, x⟩)dρ with its sign."""
    grid = rho.grid
    assert isinstance(grid, AbstractSphericalGrid), "asked of a density on a sphere"
    own = grid.analyse(rho.values)
    # By the addition theorem P_l(⟨x, y⟩) = (volume/number of harmonics)·ΣY_l(x)Ȳ_l(y).
    dim = grid.space.dim
    number = [math.comb(k + dim - 1, k) - math.comb(k + dim - 3, dim - 1) for k in range(1, grid.degree + 1)]
    scale = np.exp(0.5 * (grid.space.log_volume - np.array([math.log(n) for n in number])))
    if isinstance(grid, ZonalGrid):
        signed = scale * own[1:]
        return signed[jnp.argmax(jnp.abs(signed))]
    square = jnp.abs(own[1:]) ** 2
    whole = 2 * square if square.ndim == 1 else square[:, 0] + 2 * square[:, 1:].sum(axis=1)
    return jnp.max(scale * jnp.sqrt(whole))


def tail(grid: AbstractSphericalGrid, u: np.ndarray) -> float:
    """The share of the coefficients, by their root mean square, in the upper third of the grid's degrees."""
    size = np.abs(np.asarray(grid.analyse(jnp.asarray(u))))
    degree = np.broadcast_to(grid.degrees(grid.degree), size.shape)
    size = np.where(degree == 0, 0.0, size)
    whole = np.sqrt(np.sum(size**2))
    if not whole > 1e-12 * (1 + np.abs(u).max()):
        return 0.0
    return float(np.sqrt(np.sum(size[3 * degree > 2 * grid.degree] ** 2)) / whole)


def waves(grid: AbstractSphericalGrid) -> list[np.ndarray]:
    """0, and cos kθ for k ≤ 3 with several amplitudes, θ the angle to the last coordinate or to a zonal grid's axis."""
    along = np.asarray(grid.axes[0] if isinstance(grid, ZonalGrid) else grid.nodes[:, -1]).reshape(grid.shape)
    found = [np.zeros(grid.shape)]
    for k in (1, 2, 3):
        wave = np.cos(k * np.arccos(np.clip(along, -1, 1)))
        found += [size * wave for size in (0.5, 2.0, 8.0, -2.0)]
    return found


def random(grid: AbstractSphericalGrid, rng: Any) -> np.ndarray:
    """A random harmonic of each degree up to 4, each of about two temperatures."""
    low = min(_LOW, grid.degree)
    shape = np.shape(grid.analyse(jnp.zeros(grid.shape), low))
    c = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    # The zonal coefficients, and those of order 0, are real.
    c = c.real if isinstance(grid, ZonalGrid) else np.where(np.arange(shape[-1]) == 0, c.real, c)
    if isinstance(grid, SphereGrid):
        c = np.where(np.arange(shape[1]) > np.arange(shape[0])[:, None], 0.0, c)
    values = np.array(grid.synthesise(jnp.asarray(c * (grid.degrees(low) > 0))))
    return rng.exponential(4.0) * values / max(np.abs(values).max(), 1e-300)
