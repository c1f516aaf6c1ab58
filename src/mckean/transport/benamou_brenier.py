"""Geodesics of W₂ between densities on a grid, by the fluid formulation of Benamou and Brenier.

    W₂²(μ, ν) = min ∫₀¹∫ |m|²/ρ dx dt,    ∂_tρ + ∇·m = 0,    ρ₀ = μ, ρ₁ = ν, no flux through the walls of a box.

Time is one more axis of the grid: (ρ, m) is a flux on the faces of the cells of space-time, ρ through those between
two times, m through those between two cells. The continuity equation says that its divergence is a given b, which
holds the ends; it is kept to rounding. The action is taken at the centres of the cells, at the mean of the two faces
of each. The error is of order h² + τ² for smooth geodesics. The mean does not see what alternates from face to face,
so a step in time much longer than h/|v| roughens the curve, though not its length.

With J(ρ, m) = Σ|m|²/2ρ and I the mean, min J(IU) over U with ∇·U = b is solved by over-relaxed primal–dual steps: a
projection, by one Poisson solve in space-time, and the prox of J in each cell, the largest root of a cubic. The dual
Y = (a, b) satisfies a + |b|²/2 ≤ 0 in each cell, and J is the largest ⟨Y, IU⟩ of all such Y: the energy is taken as
2⟨Y, IU⟩, which errs by the square of what the iteration has left, where the curve errs by the first power.

The step σ of the dual decides which densities converge. J bends like 1/ρ in m, and σ fits the cells where ρ is near 1/σ
in units of the density where the mass is. With σ = 4 the body of the mass converges, and a thin noise stays where there
is none: 5e-5 of the mass negative at a tolerance of 6e-5, enough at a distance to spoil second moments. So once both
residuals are at the tolerance, σ = 256 takes over until (ρ, m) differs from the fields of its action, where ρ ≥ 0, by a
tenth of the tolerance: between Gaussians in some 100 steps, where σ = 4 needs 4000 more. One change of σ does not touch
the proof of convergence; going back and forth diverges.

Source: Benamou and Brenier, Numer. Math. 84 (2000); Papadakis, Peyré and Oudet, SIAM J. Imaging Sci. 7 (2014);
Chambolle and Pock, J. Math. Imaging Vis. 40 (2011); over-relaxation: Condat, J. Optim. Theory Appl. 158 (2013).
"""

import math
from functools import partial
from typing import cast

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean.checks import require, traced
from mckean.measures import Density
from mckean.spaces import AbstractGrid
from mckean.spaces.staggered import Axis, axes_of, divergence, gradient, onto_cells, onto_faces, poisson

_OVER_RELAXATION = 1.9
# σ for the body of the mass, near the best there in the units of `geodesic`, and for what is thin; its tolerance.
_DENSE, _THIN, _SHARE = 4.0, 256.0, 0.1
_NEWTON = 10
_BLOCK = 20
_MASS_TOLERANCE = 1e-5


class Geodesic(eqx.Module):
    """The curve of least action from one density to another at T + 1 times, and what the iteration reached.

    **Attributes:**

    - `grid`: the grid of the densities.
    - `values`: ρ at the times k/T, shape (T + 1, *grid.shape), 1/volume.
    - `momentum`: m = ρv at the times (k + ½)/T, one array for each axis, on the faces between cells along it.
    - `energy`: ∫|m|²/ρ dx at the times (k + ½)/T, shape (T,), length²; on an exact geodesic it is W₂² at all times.
    - `residual`: ten times the distance of (ρ, m) to the fields of its action; see `geodesic`.
    - `continuity`: the largest |∂_tρ + ∇·m| relative to the largest |∂_tρ|.
    - `iterations`: how many were made.
    """

    grid: AbstractGrid
    values: Float[Array, "..."]
    momentum: tuple[Float[Array, "..."], ...]
    energy: Float[Array, " times"]
    residual: float
    continuity: float
    iterations: int

    @property
    def times(self) -> Float[Array, " nodes"]:
        """The times k/T, shape (T + 1,)."""
        return jnp.linspace(0.0, 1.0, self.values.shape[0])

    @property
    def distance(self) -> float:
        """W₂, the square root of the mean energy; length."""
        return math.sqrt(max(float(jnp.mean(self.energy)), 0.0))

    def density(self, k: int) -> Density:
        """ρ at time k/T; negative values between the ends, of the size of the residual, are cut off.

        **Arguments:**

        - `k`: 0 ≤ k ≤ T.
        """
        values = jnp.maximum(self.values[k], 0)
        return Density(self.grid, values / (jnp.sum(values) * self.grid.cell_volume))

    @property
    def velocity(self) -> Float[Array, "..."]:
        """v = m/ρ at the times (k + ½)/T in the cells, shape (T, *grid.shape, d); 0 where ρ < 1e-6 of its maximum."""
        return _velocity(self.values, self.momentum, axes_of(self.grid))


def geodesic(
    mu: Density, nu: Density, *, times: int = 32, tolerance: float = 3e-4, max_iterations: int = 4000
) -> Geodesic:
    """The geodesic of W₂ between two densities, by the fluid formulation of Benamou and Brenier:

        W₂²(μ, ν) = min ∫₀¹∫ |m|²/ρ dx dt,    ∂_tρ + ∇·m = 0,    ρ₀ = μ, ρ₁ = ν.

    The continuity equation holds to rounding. The iteration first makes two numbers at most `tolerance`, in L²(dx dt):
    the relative distance of the curve to the one at which its action is taken, and its change in a step over the step.
    Then, with longer steps in the dual, it makes the former at most a tenth of that. Between Gaussians the distance was
    then right to a tenth of `tolerance`, and ρ_t to 3 to 16 times `tolerance` in L¹(dx), beside the error of the grid.
    A box is convex: no geodesic leaves it that has its ends in it.

    **Arguments:**

    - `mu`, `nu`: densities on one grid of a box or of a torus.
    - `times`: the number of steps T ≥ 2 in t ∈ [0, 1], best near W₂/h or more. Default: 32.
    - `tolerance`: of the iteration, > 0. Default: 3e-4.
    - `max_iterations`: at least 1, counted in twenties. Default: 4000.

    **Returns:** a `Geodesic`, in the precision of μ.

    **Raises:** `ValueError` for other measures, different grids or masses, and under a JAX transformation;
    `RuntimeError`, with the residual and the iterations, if the tolerance is not reached.

    **Source:** Benamou and Brenier, Numer. Math. 84 (2000); Papadakis, Peyré and Oudet, SIAM J. Imaging Sci. 7 (2014).
    """
    _check(mu, nu, times, tolerance, max_iterations)
    grid = mu.grid
    start, end = mu.values, nu.values.astype(mu.values.dtype)
    end = end * (jnp.sum(start) / jnp.sum(end))
    # The units, a length near W₂ and the density where the mass is, make ρ and m, and with them the steps, of one size.
    length, level = (float(part) for part in _scales(start, end, axes_of(grid)))
    # Compilation sees the unit of length: a power of 2 is often the same.
    unit = 2.0 ** round(math.log2(max(length, 1e-3 * max(grid.sides))))
    space = tuple(Axis(a.n, a.h / unit, a.periodic) for a in axes_of(grid))
    flux, energy, residual, done = _solve(
        start / level, end / level, (_time_axis(times), *space), tolerance, max_iterations
    )
    if not float(residual) <= tolerance:
        raise RuntimeError(
            f"the geodesic did not converge: residual {float(residual):.3g} after {int(done)} iterations, where "
            f"{tolerance:.3g} was asked for; raise max_iterations or tolerance."
        )
    rho, *momentum = flux
    momentum = tuple(level * unit * m for m in momentum)
    values, continuity = _join(start, level * rho, end, momentum, axes_of(grid))
    energy = energy * (unit**2 * level * grid.cell_volume)
    return Geodesic(grid, values, momentum, energy, float(residual), float(continuity), int(done))


@partial(jax.jit, static_argnames=("axes",))
def _join(start, rho, end, momentum, axes: tuple[Axis, ...]) -> tuple[Array, Array]:
    """ρ at all times, and the largest |∂_tρ + ∇·m| over the largest |∂_tρ|."""
    values = jnp.concatenate([start[None], rho, end[None]])
    times = len(values) - 1
    rate = times * jnp.diff(values, axis=0)
    error = rate + divergence((jnp.zeros_like(rho), *momentum), (_time_axis(times), *axes))
    largest = jnp.max(jnp.abs(rate))
    return values, jnp.max(jnp.abs(error)) / jnp.where(largest > 0, largest, 1.0)


@partial(jax.jit, static_argnames=("axes",))
def _velocity(values, momentum, axes: tuple[Axis, ...]) -> Array:
    middle = 0.5 * (values[1:] + values[:-1])
    _, *flux = onto_cells((values[1:-1], *momentum), (_time_axis(len(middle)), *axes))
    inhabited = middle > 1e-6 * jnp.max(middle)
    return jnp.stack([jnp.where(inhabited, m / jnp.where(inhabited, middle, 1.0), 0.0) for m in flux], axis=-1)


def _time_axis(times: int) -> Axis:
    return Axis(times, 1 / times, False)


def _check(mu: Density, nu: Density, times: int, tolerance: float, max_iterations: int) -> None:
    for measure in (mu, nu):
        require(
            isinstance(measure, Density),
            f"a geodesic on a grid joins two densities, but a {type(measure).__name__} was given.",
        )
    require(not traced((mu, nu)), "a geodesic ends when it has converged: call it outside jit, grad and vmap.")
    if mu.grid != nu.grid:
        raise ValueError("a geodesic joins densities on one grid, but these are on two different ones.")
    gap = abs(float(mu.mass) - float(nu.mass))
    require(gap <= _MASS_TOLERANCE, f"a geodesic joins measures of one mass, but these differ by {gap:.3g}.")
    require(times == int(times) and times >= 2, f"a geodesic needs at least 2 steps in time, but times={times}.")
    require(tolerance > 0, f"the tolerance must be positive, but {tolerance} was given.")
    require(max_iterations >= 1, f"at least one iteration is needed, but max_iterations={max_iterations}.")


@partial(jax.jit, static_argnames=("axes",))
def _scales(start, end, axes: tuple[Axis, ...]) -> tuple[Array, Array]:
    """A length of the size of W₂, ‖m‖/‖ρ‖ in L²(dx) with m = −∇Δ⁻¹(μ − ν), ρ = (μ + ν)/2; the mean density ∫ρ²/∫ρ."""
    field = onto_cells(gradient(poisson(end - start, axes), axes), axes)
    ratio = cast(Array, sum(jnp.sum(part**2) for part in field)) / (0.25 * jnp.sum((start + end) ** 2))
    return jnp.sqrt(ratio), jnp.sum(start**2 + end**2) / jnp.sum(start + end)


def _nearest(rho: Array, m: tuple[Array, ...], gamma: float | Array) -> tuple[Array, tuple[Array, ...]]:
    """The prox of γ|m|²/2ρ: m' = ρ'm/(ρ' + γ), with (ρ' − ρ)(ρ' + γ)² = γ|m|²/2 and ρ' ≥ 0.

    Newton's iteration from above the largest root falls to it, as the cubic is convex there.
    """
    square = 0.5 * gamma * cast(Array, sum(part**2 for part in m))
    root = jnp.maximum(rho, 0) + jnp.cbrt(square)

    def newton(_, root):
        shifted = root + gamma
        return root - ((root - rho) * shifted - square / shifted) / (shifted + 2 * (root - rho))

    root = jnp.maximum(jax.lax.fori_loop(0, _NEWTON, newton, root, unroll=2), 0)
    return root, tuple(part * root / (root + gamma) for part in m)


@partial(jax.jit, static_argnames=("axes",))
def _solve(start, end, axes: tuple[Axis, ...], tolerance, max_iterations):
    """Over-relaxed primal–dual steps: flux, energy at each half step, residual, iterations."""
    known = jnp.zeros((axes[0].n, *start.shape), start.dtype)
    source = known.at[0].add(start / axes[0].h).at[-1].add(-end / axes[0].h)
    middle = known.at[0].add(0.5 * start).at[-1].add(0.5 * end)

    def project(flux):
        phi = poisson(divergence(flux, axes) - source, axes)
        return jax.tree.map(jnp.add, flux, gradient(phi, axes))

    def centre(flux):
        rho, *m = onto_cells(flux, axes)
        return (rho + middle, *m)

    def iterate(flux, dual, sigma):
        # The mean I has norm at most 1, so that τσ ≤ 1 converges.
        new = project(jax.tree.map(lambda u, g: u - g / sigma, flux, onto_faces(dual, axes)))
        ahead = centre(jax.tree.map(lambda a, b: 2 * a - b, new, flux))
        target = jax.tree.map(lambda y, v: y / sigma + v, dual, ahead)
        rho, m = _nearest(target[0], target[1:], 1 / sigma)
        return new, jax.tree.map(lambda a, b: sigma * (a - b), target, (rho, *m)), (rho, *m)

    def relax(old, new):
        return jax.tree.map(lambda a, b: a + _OVER_RELAXATION * (b - a), old, new)

    def block(state):
        inner, _, settled, done = state
        sigma = jnp.where(settled, _THIN, _DENSE).astype(start.dtype)

        def step(_, state):
            flux, dual = state[:2]
            new, ahead, near = iterate(flux, dual, sigma)
            return (*relax((flux, dual), (new, ahead)), new, ahead, near)

        flux, _, new, _, near = inner = jax.lax.fori_loop(0, _BLOCK, step, inner)
        change = sigma * _norm(jax.tree.map(jnp.subtract, flux, new)) / (_OVER_RELAXATION - 1) / _norm(near)
        gap = _norm(jax.tree.map(jnp.subtract, centre(new), near)) / _norm(near)
        settled = settled | (jnp.maximum(gap, change) <= tolerance)
        return inner, jnp.where(settled, gap / _SHARE, jnp.maximum(gap, change)), settled, done + _BLOCK

    flux = project(gradient(known, axes))
    zero = jax.tree.map(jnp.zeros_like, onto_cells(flux, axes))
    state = ((flux, zero, flux, zero, zero), jnp.asarray(jnp.inf, start.dtype), jnp.asarray(False), 0)
    inner, residual, _, done = jax.lax.while_loop(lambda s: (s[1] > tolerance) & (s[3] < max_iterations), block, state)
    _, _, flux, dual, _ = inner
    energy = 2 * cast(Array, sum(y * v for y, v in zip(dual, centre(flux), strict=True)))
    return flux, jnp.sum(energy.reshape(energy.shape[0], -1), axis=1), residual, done


def _norm(fields) -> Array:
    return jnp.sqrt(cast(Array, sum(jnp.sum(f**2) for f in fields)))
