"""The minimising movement on a box by ascent in the dual, a concave function of the potential.

    min over ρ of E(ρ) + W₂²(ρ, μ)/2τ  =  max over φ of  J(φ) = ∫φ^c dμ − E*(−φ),    E(ρ) = ∫(V + W_s*μ)ρ + ∫e(ρ),

e(ρ) = β⁻¹ρ log ρ or U(ρ), φ^c the c-transform with the cost |x − y|²/2τ; E is that of measures of mass 1, and a
potential's density is ρ_φ = e′⁻¹(C − φ − V − W_s*μ), which is the new one, ≥ 0 and of mass 1. With φ a quadratic spline
(`transport.ctransform`) J is concave as it stands on the grid, and φ^c ≤ −φ at the nodes gives J ≤ E(μ): at the maximum

    E(ρ_φ) + Σ_j μ_j |T(y_j) − y_j|²/2τ ≤ E(μ)

at any h and τ, up to the residual, and an equilibrium on the grid does not move. The density is of order 2 in h.
The interaction is semi-implicit, W_s*μ that of the old density: F itself then falls where τ sup|∇²W| is small, which
is checked.

Steps of ascent are (w − τ∇·ρ∇)⁻¹ of the difference of densities, w = 1/e″, by conjugate gradients, halved until J
rises: Newton's but for the bend of φ. The square root of 2τ⟨difference, step⟩ is W₂ of the two densities to leading
order, the residual; where a support has an edge the convergence is slow, and it stops sooner.

The start is one linearised step from −δF(μ). Where that fails, as when maps from it would fold, the way leads through
τ/8, τ/4 and τ/2. A step that moves mass by much of a support's size, on a coarse grid above all, may fail still.

Source: the dual, Jacobs, Lee and Léger, SIAM J. Numer. Anal. 59 (2021), arXiv 2011.08151; they ascend in φ and φ^c.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.sparse.linalg import cg
from jaxtyping import Array, Float, Int

from mckean.measures import Density
from mckean.models import Model, energy
from mckean.models.internal import PorousMedium
from mckean.spaces.staggered import Axis, axes_of, divergence, gradient, onto_faces, poisson
from mckean.transport.ctransform import c_transform, coefficients, smooth

_ITERATIONS, _HALVINGS = 40, 12
_STAGES = (1.0, 0.125, 0.25, 0.5, 1.0)
_SMOOTH_GOAL, _EDGE_GOAL, _ALLOWED, _OF_CELL = 1e-4, 1e-2, 3e-2, 1e-2
_SOLVE, _VACUUM, _EDGE = 0.1, 1e-14, 1e-2


class DualSolution(NamedTuple):
    """The density; the residual over what is allowed; iterations; F(ρ) + W₂²/2τ − F(μ), energy.

    Allowed is 3 % of the distance moved and a hundredth of a cell.
    """

    values: Float[Array, "..."]
    residual: Float[Array, ""]
    iterations: Int[Array, ""]
    rise: Float[Array, ""]


class _Point(NamedTuple):
    """A potential's coefficients, J, ρ_φ, the difference of the densities, and W₂²/2τ of the dual."""

    c: Array
    value: Array
    rho: Array
    lack: Array
    cost: Array


def solve(model: Model, mu: Density, tau: Float[Array, ""]) -> DualSolution:
    """The minimiser from μ: until the residual is 10⁻⁴ of the distance moved, with an edge 10⁻², at most 40 times."""
    axes, volume, field = axes_of(mu.grid), mu.grid.cell_volume, energy.potential(model, mu)
    largest = jnp.max(mu.values)
    goal = _EDGE_GOAL if model.noise is None else _SMOOTH_GOAL
    cell = min(axis.h for axis in axes)

    def point(c: Array, tau: Array) -> _Point:
        transform, pull = jax.vjp(lambda p: c_transform(p, axes, tau), c)
        phi = smooth(c)
        rho = _conjugate(model, phi + field, volume)
        cost = jnp.sum(transform * mu.values + phi * rho) * volume
        value = cost + jnp.sum(field * rho) * volume + _heat(model, rho, volume)
        return _Point(c, value, rho, smooth(rho) + pull(mu.values)[0], cost)

    def allowance(now: _Point, tau: Array, share: Array | float, of_cell: Array | float) -> Array:
        return share * jnp.sqrt(2 * tau * jnp.maximum(now.cost, 0)) + of_cell * cell

    def improve(state, tau: Array):
        now, _, count, _ = state
        step = _step(model, now, largest, tau, axes)
        decrement = jnp.sum(now.lack * step) * volume
        slack = 16 * jnp.finfo(now.value.dtype).eps * (1 + jnp.abs(now.value))
        tried = jax.lax.while_loop(
            lambda s: (s[1].value < now.value + 1e-4 * s[0] * decrement - slack) & (s[2] < _HALVINGS),
            lambda s: (s[0] / 2, point(now.c + 0.5 * s[0] * step, tau), s[2] + 1),
            (jnp.ones((), now.value.dtype), point(now.c + step, tau), jnp.asarray(0)),
        )
        rose = tried[2] < _HALVINGS
        new = jax.tree.map(lambda a, b: jnp.where(rose, a, b), tried[1], now)
        return new, jnp.sqrt(2 * tau * jnp.maximum(decrement, 0)), count + 1, rose

    def ascend(carry, stage):
        c, _, count = carry
        part, whole, fresh = stage
        share, most = jnp.where(whole, goal, _ALLOWED), jnp.where(whole, _ITERATIONS, _ITERATIONS // 4)
        c = jax.lax.cond(fresh, lambda: begin(part), lambda: c)
        now, residual, more, _ = jax.lax.while_loop(
            lambda s: s[3] & (s[1] > allowance(s[0], part, share, share * _OF_CELL)) & (s[2] < most),
            lambda s: improve(s, part), (point(c, part), far, jnp.asarray(0), jnp.asarray(True)),
        )  # fmt: skip
        return now.c, jnp.where(whole, residual / allowance(now, part, _ALLOWED, _OF_CELL), far), count + more

    far = jnp.asarray(jnp.inf, mu.values.dtype)
    held = -field - _pressure(model, mu.values, largest)
    flux = tuple(m * v for m, v in zip(onto_faces((mu.values,) * len(axes), axes), gradient(held, axes), strict=True))

    def begin(tau: Array) -> Array:
        start = _Point(coefficients(held, axes), far, mu.values, tau * divergence(flux, axes), far)
        return start.c + _step(model, start, largest, tau, axes)

    stages = (tau * jnp.asarray(_STAGES, far.dtype), jnp.asarray(_STAGES) == 1, jnp.arange(len(_STAGES)) < 2)
    (c, residual, count), _ = jax.lax.scan(
        lambda now, stage: (jax.lax.cond(now[1] <= 1, lambda: now, lambda: ascend(now, stage)), None),
        (jnp.zeros_like(held), far, jnp.asarray(0)), stages,
    )  # fmt: skip
    end = point(c, tau)
    state = eqx.tree_at(lambda m: m.values, mu, end.rho)
    rise = energy.free_energy(model, state) + end.cost - energy.free_energy(model, mu)
    return DualSolution(end.rho, residual, count, rise)


def _pressure(model: Model, rho: Array, largest: Array) -> Array:
    """e′(ρ) up to a constant, energy; finite where there is no mass."""
    if model.noise is None:
        return _medium(model).derivative(rho)
    return jnp.log(jnp.maximum(rho, 1e-2 * _VACUUM * largest)) / model.beta


def _step(model: Model, now: _Point, largest: Array, tau: Array, axes: tuple[Axis, ...]) -> Array:
    """(w − τ∇·ρ∇)⁻¹ of the lack, to a tenth: with heat by u = √ρ φ, whose operator has a spread that is bounded."""
    heated = model.noise is not None
    # The lack is the new density less the carried one: the greater of the two is where mass is or comes to.
    carried = smooth(now.rho) - now.lack
    rho = jnp.maximum(jnp.maximum(now.rho, carried), (_VACUUM if heated else _EDGE) * largest)
    faces = onto_faces((rho,) * len(axes), axes)

    def flow(u: Array) -> Array:
        fluxes = tuple(m * v for m, v in zip(faces, gradient(u, axes), strict=True))
        return -tau * divergence(fluxes, axes)

    if heated:
        root = jnp.sqrt(rho)
        curvature = jnp.abs(divergence(gradient(root, axes), axes)) * root
        shift = model.beta / tau + jnp.sum(curvature) / jnp.sum(root**2)
        u, _ = cg(
            lambda u: model.beta * u + flow(u / root) / root, now.lack / root, tol=_SOLVE, maxiter=100,
            M=lambda r: poisson(r, axes, shift) / tau,
        )  # fmt: skip
        # Where hardly any mass is the solve knows nothing: no more than a factor e in density at a time.
        return jnp.clip(u / root, -1 / model.beta, 1 / model.beta)
    medium = _medium(model)
    weight = jnp.where(now.rho > 0, rho ** (2 - medium.exponent) / (medium.exponent * medium.strength), 0.0)
    top = jnp.max(rho)
    shift = jnp.max(weight) / (tau * top)
    step, _ = cg(
        lambda u: weight * u + flow(u), now.lack, tol=_SOLVE, maxiter=100,
        M=lambda r: poisson(r, axes, shift) / (tau * top),
    )  # fmt: skip
    return step


def _medium(model: Model) -> PorousMedium:
    assert isinstance(model.internal, PorousMedium), "JKO.check has asked for it"
    return model.internal


def _heat(model: Model, rho: Array, volume: float) -> Array:
    """∫e(ρ), energy."""
    if model.noise is None:
        return jnp.sum(_medium(model)(rho)) * volume
    logarithm = jnp.log(jnp.maximum(rho, jnp.finfo(rho.dtype).tiny))
    return jnp.sum(rho * logarithm) * volume / model.beta


def _conjugate(model: Model, p: Array, volume: float) -> Array:
    """ρ = e′⁻¹(C − p) of mass 1, for a porous medium by Newton's method for C between bounds."""
    if model.noise is not None:
        weight = jnp.exp(-model.beta * (p - jnp.min(p)))
        return weight / (jnp.sum(weight) * volume)
    medium = _medium(model)
    power = 1 / (medium.exponent - 1)
    density = lambda c: (jnp.maximum(c - p, 0) / medium.derivative(jnp.ones((), p.dtype))) ** power  # noqa: E731

    def newton(state):
        low, high, c, _, count = state
        rho, above = density(c), c > p
        lack = jnp.sum(rho) * volume - 1
        low, high = jnp.where(lack < 0, c, low), jnp.where(lack < 0, high, c)
        rate = power * volume * jnp.sum(jnp.where(above, rho / jnp.where(above, c - p, 1), 0))
        new = c - lack / rate
        # A bound itself is no way out: at the root, to rounding, c is one of them, and stays.
        new = jnp.where((new >= low) & (new <= high), new, 0.5 * (low + high))
        return low, high, new, new != c, count + 1

    # At the highest p, plus what spreads the mass evenly, there is mass 1 at least.
    high = jnp.max(p) + medium.derivative(jnp.asarray(1 / (p.size * volume), p.dtype))
    state = (jnp.min(p), high, high, jnp.asarray(True), jnp.asarray(0))
    c = jax.lax.while_loop(lambda s: s[3] & (s[4] < 100), newton, state)[2]
    rho = density(c)
    return rho / (jnp.sum(rho) * volume)
