"""Zonal kernels on spheres: one multiplication for each degree, by the theorem of Funk and Hecke.

    ∫w(⟨x, y⟩)Y(y)dy = λ_lY(x),   λ_l = |S^{d−2}| ∫_{−1}^1 w(t)P_l(t)(1 − t²)^{(d−3)/2}dt

for every harmonic Y of degree l, P_l the zonal polynomial with P_l(1) = 1.

Source: Atkinson and Han, Spherical Harmonics and Approximations on the Unit Sphere, theorem 2.22.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from mckean.checks import traced
from mckean.faults import Status, sound
from mckean.interactions.kernels import AbstractKernel, AbstractRadialKernel
from mckean.interactions.sums.sum import AbstractSum, Points
from mckean.measures import AbstractMeasure, Density, dtype_of
from mckean.spaces import AbstractSphericalGrid, legendre

# How far W may differ between pairs of points with one distance, relative to its size.
_ZONAL = 1e-6


class FunkHecke(AbstractSum):
    """W_s*ρ for a density on a grid of a sphere and a W that depends on ⟨x, y⟩ alone: a multiplication of each degree.

    A radial W(x − y) is one, as |x − y|² = 2 − 2⟨x, y⟩. It may be singular at x = y as long as it can be integrated.
    """

    def refusal(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> str | None:
        if not (isinstance(mu, Density) and isinstance(mu.grid, AbstractSphericalGrid)):
            return "serves a density on a grid of a sphere"
        if not (isinstance(points, AbstractSphericalGrid) and mu.grid.related(points)):
            return "serves the nodes of a density's own grid, of any degree"
        return None if is_zonal(kernel, mu.domain.dim) else "serves a W that depends on ⟨x, y⟩ alone"

    def plan(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> "FunkHecke":
        return self

    def inspect(self, mu: AbstractMeasure, points: Points) -> Status:
        return sound(dtype_of(mu))

    def potential(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> Float[Array, " n"]:
        assert isinstance(points, AbstractSphericalGrid), "refused before"
        return points.synthesise(self._convolve(kernel, mu, points)).ravel()

    def force(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> Float[Array, "n d"]:
        assert isinstance(points, AbstractSphericalGrid), "refused before"
        return -points.gradient(self._convolve(kernel, mu, points))

    def _convolve(
        self, kernel: AbstractKernel, mu: AbstractMeasure, points: AbstractSphericalGrid
    ) -> Inexact[Array, "..."]:
        return convolve(profile(kernel, mu.domain.dim), coefficients(mu, points))


class Coefficients(NamedTuple):
    """The coefficients of a density up to a degree, and the grid that they are those of."""

    grid: AbstractSphericalGrid
    values: Inexact[Array, "..."]
    degree: int


def coefficients(mu: AbstractMeasure, points: AbstractSphericalGrid) -> Coefficients:
    """Those of a density on a sphere that a grid of the same kind resolves."""
    assert isinstance(mu, Density), "refused before"
    assert isinstance(mu.grid, AbstractSphericalGrid), "refused before"
    degree = min(mu.grid.degree, points.degree)
    return Coefficients(mu.grid, mu.grid.analyse(mu.values, degree), degree)


def convolve(profile: Callable[[Array], Array], rho: Coefficients) -> Inexact[Array, "..."]:
    """The coefficients of ∫w(⟨x, y⟩)ρ(y)dy.

    **Arguments:**

    - `profile`: w as a function of the angle between x and y, elementwise.
    - `rho`: the coefficients of ρ.
    """
    of_degree = multipliers(profile, rho.degree, rho.grid.space.dim, rho.values.real.dtype)
    return of_degree[rho.grid.degrees(rho.degree)] * rho.values


def multipliers(profile: Callable[[Array], Array], degree: int, dim: int, dtype: Any = float) -> Float[Array, " l"]:
    """λ_0 … λ_degree on S^{d−1}, of w as a function of the angle between x and y."""
    theta, table = legendre.funk_hecke(degree, dim)
    return jnp.asarray(table, dtype) @ profile(jnp.asarray(theta, dtype))


def profile(kernel: AbstractKernel, dim: int) -> Callable[[Float[Array, " k"]], Float[Array, " k"]]:
    """w of a zonal W(x − y), as a function of the angle between x and y, elementwise."""

    def of_angle(theta):
        half = 0.5 * theta
        # The chord from y to x in their plane: 1 − ⟨x, y⟩ would lose its digits where they are near.
        chord = 2 * jnp.sin(half)[:, None] * jnp.stack([jnp.sin(half), -jnp.cos(half)], axis=1)
        return jax.vmap(kernel)(jnp.pad(chord, ((0, 0), (0, dim - 2))))

    return of_angle


def is_zonal(kernel: AbstractKernel, dim: int) -> bool:
    """Whether W(x − y) depends on ⟨x, y⟩ alone, as far as some pairs show; taken to be so where W is not known."""
    if isinstance(kernel, AbstractRadialKernel) or traced(kernel):
        return True
    rng = np.random.default_rng(0)
    z = rng.normal(size=(6, dim))
    z = z / np.linalg.norm(z, axis=1, keepdims=True) * np.array([0.3, 0.9, 1.7])[:, None, None]
    with jax.ensure_compile_time_eval():
        values = np.asarray(jax.vmap(jax.vmap(kernel))(jnp.asarray(z)))
    return bool(np.ptp(values, axis=1).max() <= _ZONAL * np.abs(values).max())
