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

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.sparse.linalg import cg
from jaxtyping import Array, Float, Int

from mckean.dynamics.jko.linear import solve_symmetric
from mckean.measures import Density
from mckean.models import Model, energy
from mckean.models.internal import PorousMedium
from mckean.spaces.staggered import Axis, axes_of, divergence, gradient, onto_faces, poisson
from mckean.transport.ctransform import c_transform, coefficients, smooth

_ITERATIONS, _HALVINGS = 40, 12
_STAGES = (1.0, 0.125, 0.25, 0.5, 1.0)
_SMOOTH_GOAL, _EDGE_GOAL, _ALLOWED, _OF_CELL = 1e-4, 1e-2, 3e-2, 1e-2
_SOLVE, _VACUUM, _EDGE, _SOLVES = 0.1, 1e-14, 1e-2, 2000


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
    """The minimiser from μ: until the residual is 10⁻⁴ of the distance moved, with an edge 10⁻², at most 40 times.

    Its derivatives, in both directions and of any order, are those of the maximiser, where the difference of the
    densities vanishes: −D²J is symmetric, and its equation is solved by conjugate gradients.
    """
    field = energy.potential(model, mu)
    still = jax.tree.map(
        lambda leaf: jax.lax.stop_gradient(leaf) if eqx.is_inexact_array(leaf) else leaf,
        _Dual(model, mu, field, jnp.max(mu.values)),
    )
    held_tau = jax.lax.stop_gradient(tau)
    found, residual, count = still.ascend(held_tau)
    dual = still._replace(model=model, mu=mu, field=field)
    lack = lambda c: smooth(dual.density(c)) + dual.carry(c, tau)[1]  # noqa: E731
    inverse = _inverse(still, found, held_tau)
    c = jax.lax.custom_root(lack, found.c, lambda f, c: c, lambda g, y: inverse(lambda u: -g(u), -y))
    state = eqx.tree_at(lambda m: m.values, still.mu, found.rho)
    rise = energy.free_energy(model, state) + found.cost - energy.free_energy(model, still.mu)
    return DualSolution(dual.density(c), residual, count, jax.lax.stop_gradient(rise))


class _Dual(NamedTuple):
    """J and its ascent: the model, the old density, V + W_s*μ at the nodes, and the largest old value."""

    model: Model
    mu: Density
    field: Array
    largest: Array

    @property
    def axes(self) -> tuple[Axis, ...]:
        return axes_of(self.mu.grid)

    @property
    def volume(self) -> float:
        return self.mu.grid.cell_volume

    def density(self, c: Array) -> Array:
        """ρ_φ."""
        return _conjugate(self.model, smooth(c) + self.field, self.volume)

    def carry(self, c: Array, tau: Array) -> tuple[Array, Array]:
        """φ^c at the old nodes, and the old mass as φ carries it, with a minus sign."""
        transform, pull = jax.vjp(lambda p: c_transform(p, self.axes, tau), c)
        return transform, pull(self.mu.values)[0]

    def at(self, c: Array, tau: Array) -> _Point:
        transform, carried = self.carry(c, tau)
        rho = self.density(c)
        cost = jnp.sum(transform * self.mu.values + smooth(c) * rho) * self.volume
        value = cost + jnp.sum(self.field * rho) * self.volume + _heat(self.model, rho, self.volume)
        return _Point(c, value, rho, smooth(rho) + carried, cost)

    def begin(self, tau: Array) -> Array:
        """One linearised step from −δF(μ)."""
        held = -self.field - _pressure(self.model, self.mu.values, self.largest)
        means = onto_faces((self.mu.values,) * len(self.axes), self.axes)
        flux = tuple(m * v for m, v in zip(means, gradient(held, self.axes), strict=True))
        lack, none = tau * divergence(flux, self.axes), jnp.zeros_like(tau)
        start = _Point(coefficients(held, self.axes), none, self.mu.values, lack, none)
        return start.c + _step(self.model, start, self.largest, tau, self.axes)

    def allowance(self, now: _Point, tau: Array, share: Array | float, of_cell: Array | float) -> Array:
        """A share of the distance moved, and of a cell."""
        cell = min(axis.h for axis in self.axes)
        return share * jnp.sqrt(2 * tau * jnp.maximum(now.cost, 0)) + of_cell * cell

    def improve(self, state: tuple, tau: Array) -> tuple:
        """A step of ascent from (point, residual, count, whether J rose)."""
        now, _, count, _ = state
        step = _step(self.model, now, self.largest, tau, self.axes)
        decrement = jnp.sum(now.lack * step) * self.volume
        slack = 16 * jnp.finfo(now.value.dtype).eps * (1 + jnp.abs(now.value))
        tried = jax.lax.while_loop(
            lambda s: (s[1].value < now.value + 1e-4 * s[0] * decrement - slack) & (s[2] < _HALVINGS),
            lambda s: (s[0] / 2, self.at(now.c + 0.5 * s[0] * step, tau), s[2] + 1),
            (jnp.ones((), now.value.dtype), self.at(now.c + step, tau), jnp.asarray(0)),
        )
        rose = tried[2] < _HALVINGS
        new = jax.tree.map(lambda a, b: jnp.where(rose, a, b), tried[1], now)
        return new, jnp.sqrt(2 * tau * jnp.maximum(decrement, 0)), count + 1, rose

    def ascend(self, tau: Array) -> tuple[_Point, Array, Array]:
        """The maximiser, the residual over what is allowed, and the number of steps."""
        far = jnp.asarray(jnp.inf, self.mu.values.dtype)
        goal = _EDGE_GOAL if self.model.noise is None else _SMOOTH_GOAL

        def climb(carry, stage):
            c, _, count = carry
            part, whole, fresh = stage
            share, most = jnp.where(whole, goal, _ALLOWED), jnp.where(whole, _ITERATIONS, _ITERATIONS // 4)
            c = jax.lax.cond(fresh, lambda: self.begin(part), lambda: c)
            now, residual, more, _ = jax.lax.while_loop(
                lambda s: s[3] & (s[1] > self.allowance(s[0], part, share, share * _OF_CELL)) & (s[2] < most),
                lambda s: self.improve(s, part), (self.at(c, part), far, jnp.asarray(0), jnp.asarray(True)),
            )  # fmt: skip
            over = residual / self.allowance(now, part, _ALLOWED, _OF_CELL)
            return now.c, jnp.where(whole, over, far), count + more

        stages = (tau * jnp.asarray(_STAGES, far.dtype), jnp.asarray(_STAGES) == 1, jnp.arange(len(_STAGES)) < 2)
        (c, residual, count), _ = jax.lax.scan(
            lambda now, stage: (jax.lax.cond(now[1] <= 1, lambda: now, lambda: climb(now, stage)), None),
            (jnp.zeros_like(self.field), far, jnp.asarray(0)), stages,
        )  # fmt: skip
        return self.at(c, tau), residual, count


def _inverse(dual: _Dual, end: _Point, tau: Array) -> Callable[[Callable, Array], Array]:
    """The solution of Hu = y for H = −D²J at the maximiser, in the variable of the steps of ascent."""
    axes = dual.axes
    if dual.model.noise is None:
        top, medium = jnp.max(end.rho), _medium(dual.model)
        weight = _tangent(medium, jnp.maximum(end.rho, _EDGE * dual.largest))
        root, scale = jnp.ones_like(end.rho), tau * top
        shift = jnp.max(weight) / scale
    else:
        rho = jnp.maximum(end.rho, _VACUUM * dual.largest)
        root, scale = jnp.sqrt(rho), tau
        shift = _shift(root, dual.model.beta, tau, axes)
    tolerance = float(jnp.finfo(end.rho.dtype).eps) ** 0.625

    def solve(apply: Callable, y: Array) -> Array:
        precondition = lambda r: poisson(r, axes, shift) / scale  # noqa: E731
        u = solve_symmetric(lambda u: apply(u / root) / root, y / root, tolerance, _SOLVES, precondition)
        return u / root

    return solve


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
        shift = _shift(root, model.beta, tau, axes)
        u, _ = cg(
            lambda u: model.beta * u + flow(u / root) / root, now.lack / root, tol=_SOLVE, maxiter=100,
            M=lambda r: poisson(r, axes, shift) / tau,
        )  # fmt: skip
        # Where hardly any mass is the solve knows nothing: no more than a factor e in density at a time.
        return jnp.clip(u / root, -1 / model.beta, 1 / model.beta)
    medium = _medium(model)
    weight = jnp.where(now.rho > 0, _tangent(medium, rho), 0.0)
    top = jnp.max(rho)
    shift = jnp.max(weight) / (tau * top)
    step, _ = cg(
        lambda u: weight * u + flow(u), now.lack, tol=_SOLVE, maxiter=100,
        M=lambda r: poisson(r, axes, shift) / (tau * top),
    )  # fmt: skip
    return step


def _shift(root: Array, beta: Array | float, tau: Array, axes: tuple[Axis, ...]) -> Array:
    """The mean of the potential (β + τΔ√ρ/√ρ)/τ of the operator in the variable √ρ φ."""
    curvature = jnp.abs(divergence(gradient(root, axes), axes)) * root
    return beta / tau + jnp.sum(curvature) / jnp.sum(root**2)


def _tangent(medium: PorousMedium, rho: Array) -> Array:
    """1/e″."""
    return rho ** (2 - medium.exponent) / (medium.exponent * medium.strength)


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
    rho = _filled(medium, _level(medium, p, volume), p)
    return rho / (jnp.sum(rho) * volume)


def _filled(medium: PorousMedium, c: Array, p: Array) -> Array:
    """e′⁻¹(c − p), with a derivative at the edge of the support, where it is 0."""
    above = c > p
    pressure = jnp.where(above, c - p, 1) / medium.derivative(jnp.ones((), p.dtype))
    return jnp.where(above, pressure ** (1 / (medium.exponent - 1)), 0)


def _level(medium: PorousMedium, p: Array, volume: float) -> Array:
    """The level C of mass 1."""
    power = 1 / (medium.exponent - 1)
    excess = lambda c: jnp.sum(_filled(medium, c, p)) * volume - 1  # noqa: E731

    def newton(state):
        low, high, c, _, count = state
        rho, above = _filled(medium, c, p), c > p
        more = jnp.sum(rho) * volume - 1
        low, high = jnp.where(more < 0, c, low), jnp.where(more < 0, high, c)
        rate = power * volume * jnp.sum(jnp.where(above, rho / jnp.where(above, c - p, 1), 0))
        new = c - more / rate
        # A bound itself is no way out: at the root, to rounding, c is one of them, and stays.
        new = jnp.where((new >= low) & (new <= high), new, 0.5 * (low + high))
        return low, high, new, new != c, count + 1

    def find(_, c: Array) -> Array:
        state = (jnp.min(p), c, c, jnp.asarray(True), jnp.asarray(0))
        return jax.lax.while_loop(lambda s: s[3] & (s[4] < 100), newton, state)[2]

    # At the highest p, plus what spreads the mass evenly, there is mass 1 at least.
    high = jnp.max(p) + medium.derivative(jnp.asarray(1 / (p.size * volume), p.dtype))
    return jax.lax.custom_root(excess, high, find, lambda g, y: y / g(jnp.ones_like(y)))
