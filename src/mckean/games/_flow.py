"""Games on a torus up to a horizon: u backwards, ρ forwards, in turns that Anderson's method makes converge.

Both equations are y′ = Λy + N(y), Λ = ½σ²Δ (less δ for u) exact in Fourier coefficients, with N in the exponential
integrator of order 2 of Cox and Matthews (J. Comput. Phys. 176, 2002):

    a = e^{Λh}y + hφ₁N(y),   y⁺ = a + hφ₂(N(a) − N(y)),   φ₁(z) = (e^z − 1)/z,   φ₂(z) = (φ₁(z) − 1)/z.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.games._control import amplitude, controls, facing, fourier, last_cost, law, running_cost
from mckean.games._game import Game
from mckean.measures import AbstractMeasure, Density
from mckean.spaces import FourierGrid, calculus

# The ends of the steps, and their starts, from the last step back.
_LATER, _EARLIER = slice(None, 0, -1), slice(-2, None, -1)
_MEMORY = 6


class Exponential(eqx.Module):
    """The multipliers e^{Λh}, hφ₁ and hφ₂ in Fourier coefficients."""

    whole: Float[Array, "..."]
    first: Float[Array, "..."]
    second: Float[Array, "..."]

    def __init__(self, rate: Float[Array, "..."], h: Float[Array, ""]):
        z = rate * h
        small = jnp.abs(z) < 1e-3
        safe = jnp.where(small, 1.0, z)
        one = jnp.where(small, 1 + z / 2 + z**2 / 6 + z**3 / 24, jnp.expm1(safe) / safe)
        two = jnp.where(small, 0.5 + z / 6 + z**2 / 24 + z**3 / 120, (one - 1) / safe)
        self.whole, self.first, self.second = jnp.exp(z), h * one, h * two

    def step(self, grid: FourierGrid, y: Array, before: Array, after: Callable[[Array], Array]) -> Array:
        """y⁺, with N(y) = `before` and N(a) = `after(a)`."""
        spectrum = self.whole * jnp.fft.rfftn(y) + self.first * jnp.fft.rfftn(before)
        a = jnp.fft.irfftn(spectrum, grid.shape)
        return a + calculus.fourier_multiplier(grid, after(a) - before, self.second)


def _exponential(game: Game, grid: FourierGrid, h: Array, discount: Any) -> Exponential:
    return Exponential(-(amplitude(game) ** 2) / 2 * jnp.asarray(grid.square_wavenumbers) - discount, h)


def densities(grid: FourierGrid, values: Float[Array, "t ..."]) -> Density:
    """A flow of densities: one `Density` whose values have a leading axis of times."""
    return jax.vmap(lambda rho: Density(grid, rho))(values)


def respond(
    game: Game, grid: FourierGrid, flow: AbstractMeasure, h: Array, quadratic: bool
) -> tuple[Array, Array, Array]:
    """u, its control along a frozen flow of measures, and the second derivatives of L at its start.

    The flow is that of densities, or of the particles that are the other players.
    """
    return back(game, grid, last_cost(game, grid, at(flow, -1)), flow, h, quadratic)


def back(
    game: Game, grid: FourierGrid, last: Array, flow: AbstractMeasure, h: Array, quadratic: bool
) -> tuple[Array, Array, Array]:
    """The same from values at the end."""
    method = _exponential(game, grid, h, game.discount)

    def source(u, mu):
        alpha, paid, hessian = controls(game, grid, u, mu, quadratic)
        move = game.model.velocity(grid.nodes, law(mu)) + alpha @ game.control.T
        slope = jnp.sum(move * calculus.gradient(grid, u), axis=1)
        return (paid + slope).reshape(grid.shape), alpha, hessian

    def step(u, pair):
        later, earlier = pair
        begun, alpha, _ = source(u, later)
        new = method.step(grid, u, begun, lambda a: source(a, earlier)[0])
        return new, (u, alpha)

    u, (values, alphas) = jax.lax.scan(step, last, (at(flow, _LATER), at(flow, _EARLIER)))
    _, alpha, hessian = source(u, at(flow, 0))
    whole = lambda later, first: jnp.concatenate([first[None], later[::-1]])  # noqa: E731
    return whole(values, u), whole(alphas, alpha), hessian


def spread(game: Game, grid: FourierGrid, start: Array, flow: Array, alphas: Array, h: Array) -> Array:
    """ρ from a start under controls along a flow, which the velocity sees."""
    method = _exponential(game, grid, h, 0.0)

    def flux(rho, alpha, seen):
        move = game.model.velocity(grid.nodes, Density(grid, seen)) + alpha @ game.control.T
        return -calculus.divergence(grid, move * rho.reshape(-1, 1))

    def step(rho, now):
        (alpha, seen), (later, then) = now
        new = method.step(grid, rho, flux(rho, alpha, seen), lambda a: flux(a, later, then))
        return new, new

    along = ((alphas[:-1], flow[:-1]), (alphas[1:], flow[1:]))
    return jnp.concatenate([start[None], jax.lax.scan(step, start, along)[1]])


def at(flow: AbstractMeasure, place: Any) -> AbstractMeasure:
    """The measure at a time, or the flow over a slice of times."""
    return jax.tree.map(lambda a: a[place], flow)


def appraise(game: Game, grid: FourierGrid, flow: AbstractMeasure, alphas: Array, h: Array) -> Array:
    """What a control costs along a frozen flow, at time 0 and at each node."""
    return charge(game, grid, last_cost(game, grid, at(flow, -1)), flow, alphas, h)


def charge(game: Game, grid: FourierGrid, last: Array, flow: AbstractMeasure, alphas: Array, h: Array) -> Array:
    """The same from values at the end."""
    method = _exponential(game, grid, h, game.discount)

    def source(u, alpha, mu):
        paid = running_cost(game, grid, alpha, mu)
        move = game.model.velocity(grid.nodes, law(mu)) + alpha @ game.control.T
        return (paid + jnp.sum(move * calculus.gradient(grid, u), axis=1)).reshape(grid.shape)

    def step(u, pair):
        (alpha, mu), (earlier, then) = pair
        return method.step(grid, u, source(u, alpha, mu), lambda a: source(a, earlier, then)), None

    pairs = tuple((alphas[side], at(flow, side)) for side in (_LATER, _EARLIER))
    return jax.lax.scan(step, last, pairs)[0]


@eqx.filter_jit
def solve_flow(
    game: Game, start: Density, steps: int, tolerance: float, quadratic: bool, rounds: int, average: bool
) -> tuple[Any, Any, Any, Any]:
    """(u, ρ, α) at the times, the last change, the number of rounds, and the second derivatives of L in α."""
    grid, h = fourier(start), jnp.asarray(game.end / steps)
    # Changes are measured by ρ relative to its mean, and by α.
    volume, width = grid.cell_volume * grid.size, game.control.shape[1] if game.of_controls else 0

    def turn(state):
        flow = state[:, 0]
        before = jnp.moveaxis(volume * state[:, 1:].reshape(steps + 1, width, grid.size), 1, 2)
        u, alphas, hessian = respond(game, grid, facing(game, densities(grid, flow), before), h, quadratic)
        image = spread(game, grid, start.values, flow, alphas, h)[:, None]
        answer = jnp.moveaxis(alphas[..., :width], 1, 2).reshape(steps + 1, width, *grid.shape)
        return jnp.concatenate([image, answer / volume], axis=1), (u, flow, alphas), hessian

    begun = jnp.zeros((steps + 1, 1 + width, *grid.shape)).at[:, 0].set(start.values)
    return settle(turn, begun, volume, tolerance, rounds, average)


def settle(
    turn: Callable[[Array], tuple[Array, Any, Array]],
    flow: Array,
    volume: float,
    tolerance: float,
    rounds: int,
    average: bool,
) -> tuple[Any, Array, Array, Array]:
    """What a flow that a turn leaves as it is makes, by Anderson's method, or by the mean of all answers so far."""

    def body(state):
        flow, past, offs, _, count, *_ = state
        image, made, hessian = turn(flow)
        off = image - flow
        place = count % past.shape[0]
        past, offs = past.at[place].set(image.ravel()), offs.at[place].set(off.ravel())
        known = jnp.arange(past.shape[0]) <= count
        new = flow + off / (count + 1) if average else _mix(past, offs, known).reshape(flow.shape)
        change = jnp.max(jnp.abs(off)) * volume
        return new, past, offs, change, count + 1, made, hessian

    shapes = jax.eval_shape(turn, flow)[1:]
    made, hessian = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)
    history = jnp.zeros((1 if average else _MEMORY, flow.size))
    state = (flow, history, history, jnp.asarray(jnp.inf), jnp.asarray(0), made, hessian)
    end = jax.lax.while_loop(lambda s: (s[3] > tolerance) & (s[4] < rounds), body, state)
    return end[5], end[3], end[4], end[6]


def _mix(images: Float[Array, "m n"], offs: Float[Array, "m n"], known: Array) -> Float[Array, " n"]:
    """Σ w_iG_i with the weights of sum 1 that make |Σ w_if_i| least: Anderson's step."""
    gram = offs @ offs.T
    scale = jnp.max(jnp.where(known, jnp.diag(gram), 0.0))
    # What is not known gets no weight; a share of rounding keeps the system regular.
    pad = jnp.where(known, 1e-14 * scale, 1e6 * scale)
    weights = jnp.linalg.solve(gram / scale + jnp.diag(pad / scale), known.astype(gram.dtype))
    return (weights / jnp.sum(weights)) @ images


@eqx.filter_jit
def flow_gain(
    game: Game, density: Density, control: Float[Array, "t n k"], parts: int, quadratic: bool
) -> tuple[Array, Array]:
    """What a control costs and what the best one does, both in steps so many times as short; the flow is frozen."""
    grid, flow = fourier(density), density.values
    old = np.linspace(0.0, 1.0, flow.shape[0])
    fine = np.linspace(0.0, 1.0, parts * (flow.shape[0] - 1) + 1)
    h = jnp.asarray(game.end / (fine.size - 1))
    finer = lambda a: between(a, old, fine)  # noqa: E731
    along = facing(game, densities(grid, finer(flow)), finer(control))
    own = appraise(game, grid, along, finer(control), h)
    least = respond(game, grid, along, h, quadratic)[0][0]
    mean = lambda u: calculus.integrate(grid, u * flow[0])  # noqa: E731
    return mean(own), mean(least)


def between(values: Float[Array, "t ..."], old: np.ndarray, fine: np.ndarray) -> Array:
    """Values between the times, by cubic polynomials: straight lines would leave a gap of the order of the steps'."""
    place = np.clip(np.floor(fine * (old.size - 1)).astype(int) - 1, 0, max(old.size - 4, 0))
    count = min(4, old.size)
    u = fine * (old.size - 1) - place
    total = jnp.zeros((fine.size, *values.shape[1:]), values.dtype)
    for i in range(count):
        weight = np.prod([(u - j) / (i - j) for j in range(count) if j != i], axis=0)
        total = total + jnp.asarray(weight, values.dtype).reshape(-1, *[1] * (values.ndim - 1)) * values[place + i]
    return total
