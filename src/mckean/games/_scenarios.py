"""Games on a torus with a common noise that no frame takes away: the environment has finitely many scenarios.

[0, T] has equal stages. In the middle of each all players are carried along by the common noise's flow, with an
increment √Δ ξ of B⁰ from a quadrature of the Gaussian law: u(x) ← E[u(Φ_ξ(x)) | F], ρ ← ρ∘Φ_ξ⁻¹|∇Φ_ξ⁻¹|. Between,
nothing is common. Halves before and after make the order in the length of a stage 2 where three nodes match the moments
up to the fifth.

A conditional expectation given the stages so far is a matrix on the scenarios: on the tree of all increments the mean
over those that share them; on features of the conditional law, a regression. Φ is interpolation at the points to which
the nodes go, and its transpose carries ρ: mass is kept, and both equations stay each other's adjoint. What a `Lattice`
does in their place is in a module of its own; the loop over the stages is one.
"""

import abc
import itertools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from mckean.checks import require
from mckean.games._control import fourier, last_cost, rough
from mckean.games._flow import back, between, charge, densities, settle, spread
from mckean.games._game import Game
from mckean.measures import Density
from mckean.spaces import FourierGrid, calculus

# Steps of Runge and Kutta along the flow of a common noise.
_PARTS = 8
_MOST = 2000


class AbstractScenarios(eqx.Module):
    """Finitely many environments, whose laws are carried along side by side.

    Which increment each of them has at a stage is `digits`; from `root` the others' future is seen at the start.
    """

    digits: eqx.AbstractVar[Int[Array, "stages s"]]
    weights: eqx.AbstractVar[Float[Array, " s"]]
    root: eqx.AbstractVar[int]

    @property
    @abc.abstractmethod
    def environments(self) -> Float[Array, "s stages m"]:
        """The increments in each scenario."""

    @abc.abstractmethod
    def begin(self, rho: Float[Array, " n"]) -> Float[Array, "s n"]:
        """The laws at the start."""

    @abc.abstractmethod
    def foresee(self, grid: FourierGrid, before: Float[Array, "stages s ..."], after: Float[Array, "stages s ..."]):
        """What expectations over the increments need, by stage, from the laws at both sides of them."""

    @abc.abstractmethod
    def expect(self, seen: Any, u: Float[Array, "s n"], k: Int[Array, " s"]) -> Float[Array, "s n"]:
        """E[u(Φ_ξ(x)) | F] before an increment."""

    @abc.abstractmethod
    def push(self, rho: Float[Array, "s n"], k: Int[Array, " s"]) -> Float[Array, "s n"]:
        """The density of Φ_ξ(X) in each scenario."""


class Scenarios(AbstractScenarios):
    """All increments of B⁰ from a quadrature at each stage; s scenarios, j nodes of the quadrature.

    `carried`: for each node the values at the points to which the grid's nodes go, as a matrix. `features`: of which
    an expectation is a regression, or None.
    """

    increments: Float[Array, "j m"]
    shares: Float[Array, " j"]
    digits: Int[Array, "stages s"]
    weights: Float[Array, " s"]
    carried: Float[Array, "j n n"]
    features: Callable | None
    root: int = eqx.field(static=True)

    @property
    def environments(self) -> Float[Array, "s stages m"]:
        """The increments in each scenario."""
        return jnp.moveaxis(self.increments[self.digits], 0, 1)

    def begin(self, rho: Float[Array, " n"]) -> Float[Array, "s n"]:
        return jnp.broadcast_to(rho, (self.weights.size, rho.size))

    def foresee(self, grid: FourierGrid, before: Float[Array, "stages s ..."], after: Float[Array, "stages s ..."]):
        features, weights = self.features, self.weights
        return (
            self._tree()
            if features is None
            else jax.vmap(lambda rho: _regression(features, grid, rho, weights))(before)
        )

    def _tree(self) -> Float[Array, "stages s s"]:
        """E[· | F] at each stage: the mean over the scenarios that share all increments before it."""
        stages, count = self.digits.shape
        nodes, place = self.increments.shape[0], jnp.arange(count)
        parts = []
        for k in range(stages):
            # Later increments are not known either, but what is asked does not depend on them.
            size = nodes ** (stages - 1 - k)
            alike = (place[:, None] // (size * nodes) == place // (size * nodes)) & (
                place[:, None] % size == place % size
            )
            parts.append(alike * self.shares[self.digits[k]])
        return jnp.stack(parts)

    def expect(self, seen: Any, u: Float[Array, "s n"], k: Int[Array, " s"]) -> Float[Array, "s n"]:
        return seen @ jnp.einsum("jab,sb->jsa", self.carried, u)[k, jnp.arange(u.shape[0])]

    def push(self, rho: Float[Array, "s n"], k: Int[Array, " s"]) -> Float[Array, "s n"]:
        return jnp.einsum("jab,sa->jsb", self.carried, rho)[k, jnp.arange(rho.shape[0])]


def require_noise(game: Game, start: Density) -> None:
    """**Raises** `ValueError` for a game without a horizon, or whose common noise has no flow on the points alone."""
    require(game.horizon is not None, "scenarios end: this is done up to a horizon, give the game one.")
    require(bool(game.model.common), "this game has no common noise: `equilibrium` solves it.")
    grid = fourier(start)
    other = rough(start)
    for part in game.model.common:
        plain = part.ito_is_stratonovich or part.calculus == "stratonovich"
        require(plain, "a common noise carries players along in Stratonovich's calculus: see `mk.convert`.")
        apart = part.matrix(grid.nodes, start) - part.matrix(grid.nodes, other)
        require(jnp.max(jnp.abs(apart)) <= 1e-10, "the common noise of scenarios must not depend on μ.")


def scenarios(game: Game, start: Density, stages: int, branches: int, features: Callable | None) -> Scenarios:
    """The tree of a game, with so many nodes for each component of B⁰ at each stage."""
    width = sum(widths(game, start))
    count = float(branches) ** (stages * width)
    require(count <= _MOST, f"this tree has {count:.3g} scenarios, more than {_MOST}: take fewer stages or branches.")
    node, weight = np.polynomial.hermite_e.hermegauss(branches)
    each = np.array(list(itertools.product(node, repeat=width))) * np.sqrt(game.end / stages)
    shares = np.prod(list(itertools.product(weight / weight.sum(), repeat=width)), axis=1)
    digits = np.array(list(itertools.product(range(len(each)), repeat=stages))).T
    increments = jnp.asarray(each)
    weights = jnp.prod(jnp.asarray(shares)[digits], axis=0)
    carried = carry(game, start, increments)
    return Scenarios(
        digits=jnp.asarray(digits),
        weights=weights,
        root=0,
        increments=increments,
        shares=jnp.asarray(shares),
        carried=carried,
        features=features,
    )


def widths(game: Game, start: Density) -> list[int]:
    """How many components of B⁰ each part of the common noise has."""
    return [part.width(start, game.model.space.dim) for part in game.model.common]


def carry(game: Game, start: Density, increments: Float[Array, "j m"]) -> Float[Array, "j n n"]:
    """For each increment the values at the points to which its flow takes the nodes, as a matrix."""
    grid, common = fourier(start), game.model.common
    cuts = np.cumsum(widths(game, start))[:-1]

    def moved(increment):
        pieces = jnp.split(increment, cuts)
        field = lambda x: sum(part.displacement(x, start, dB) for part, dB in zip(common, pieces, strict=True))  # noqa: E731

        def step(_, x):
            a = field(x)
            b = field(x + a / (2 * _PARTS))
            c = field(x + b / (2 * _PARTS))
            return x + (a + 2 * b + 2 * c + field(x + c / _PARTS)) / (6 * _PARTS)

        return interpolation(grid, jax.lax.fori_loop(0, _PARTS, step, grid.nodes))

    return jax.lax.map(moved, increments)


def interpolation(grid: FourierGrid, x: Float[Array, "p d"]) -> Float[Array, "p n"]:
    """Values of trigonometric interpolants at points, as a matrix."""
    matrix = jnp.ones((x.shape[0], 1))
    for axis, (n, nodes) in enumerate(zip(grid.shape, grid.axes, strict=True)):
        gap = (x[:, axis, None] - nodes) * 2 * jnp.pi / grid.sides[axis]
        wave = np.arange(1, (n - 1) // 2 + 1)
        kernel = 1 + 2 * jnp.sum(jnp.cos(gap[..., None] * wave), axis=-1)
        kernel = (kernel + (jnp.cos(gap * n / 2) if n % 2 == 0 else 0.0)) / n
        matrix = (matrix[:, :, None] * kernel[:, None, :]).reshape(x.shape[0], -1)
    return matrix


@eqx.filter_jit
def solve_scenarios(
    game: Game, start: Density, made: AbstractScenarios, steps: int, tolerance: float, quadratic: bool, rounds: int
) -> tuple[Any, Array, Array, Array]:
    """(u, ρ, α) along all scenarios, the last change, the rounds, and the second derivatives of L in α."""
    grid = fourier(start)
    (stages, count), half = made.digits.shape, steps // (2 * made.digits.shape[0])
    h = jnp.asarray(game.end / steps)
    begun = made.begin(start.values.ravel()).reshape(count, *grid.shape)

    def turn(flow):
        last = jax.vmap(lambda rho: last_cost(game, grid, Density(grid, rho)))(flow[-1, 1, -1])

        def half_way(u, flow):
            one = lambda u, rho: back(game, grid, u, densities(grid, rho), h, quadratic)  # noqa: E731
            return jax.vmap(one, (0, 1), (1, 1, 0))(u, flow)

        def earlier(u, stage):
            flow, seen, k = stage
            after = half_way(u, flow[1])
            before = half_way(_expected(made, seen, after[0][0], k), flow[0])
            pair = jax.tree.map(lambda a, b: jnp.stack([a, b]), before[:2], after[:2])
            return before[0][0], (*pair, before[2])

        stage = (flow, made.foresee(grid, flow[:, 0, -1], flow[:, 1, 0]), made.digits)
        _, (u, alphas, hessian) = jax.lax.scan(earlier, last, stage, reverse=True)

        def later(rho, stage):
            flow, alpha, k = stage
            one = jax.vmap(lambda rho, seen, a: spread(game, grid, rho, seen, a, h), (0, 1, 1), 1)
            before = one(rho, flow[0], alpha[0])
            after = one(made.push(before[-1].reshape(count, -1), k).reshape(rho.shape), flow[1], alpha[1])
            return after[-1], jnp.stack([before, after])

        _, image = jax.lax.scan(later, begun, (flow, alphas, made.digits))
        return image, (u, flow, alphas), hessian[0, made.root]

    flow = jnp.broadcast_to(begun, (stages, 2, half + 1, count, *grid.shape))
    return settle(turn, flow, grid.cell_volume * grid.size, tolerance, rounds, False)


def _expected(made: AbstractScenarios, seen: Any, u: Float[Array, "s ..."], k: Array) -> Float[Array, "s ..."]:
    """E[u(Φ_ξ(x)) | F]."""
    return made.expect(seen, u.reshape(u.shape[0], -1), k).reshape(u.shape)


def _regression(
    features: Callable, grid: FourierGrid, rho: Float[Array, "s ..."], weights: Float[Array, " s"]
) -> Array:
    """The weighted projection on 1 and the features of the conditional laws, as a matrix on the scenarios."""
    values = jax.vmap(lambda rho: jnp.atleast_1d(features(Density(grid, rho))))(rho)
    off = values - weights @ values
    size = jnp.sqrt(weights @ off**2)
    # A feature that does not vary, such as any at the first stage, tells nothing.
    off = jnp.where(size > 1e-9 * (1 + jnp.max(jnp.abs(values), axis=0)), off / jnp.where(size > 0, size, 1.0), 0.0)
    design = jnp.concatenate([jnp.ones((rho.shape[0], 1)), off], axis=1)
    gram = design.T @ (weights[:, None] * design)
    return design @ jnp.linalg.pinv(gram, rtol=1e-9, hermitian=True) @ (design.T * weights)


@eqx.filter_jit
def scenario_gain(
    game: Game, made: AbstractScenarios, flow: Array, control: Array, parts: int, quadratic: bool, grid: FourierGrid
) -> tuple[Array, Array]:
    """What a control costs and what the best one does that knows the stages so far, in steps so many times as short."""
    half = flow.shape[2] - 1
    old, fine = np.linspace(0.0, 1.0, half + 1), np.linspace(0.0, 1.0, parts * half + 1)
    h = jnp.asarray(game.end / (2 * made.digits.shape[0] * parts * half))
    finer = jax.vmap(jax.vmap(lambda a: between(a, old, fine)))
    flow, control = finer(flow), finer(control)
    last = jax.vmap(lambda rho: last_cost(game, grid, Density(grid, rho)))(flow[-1, 1, -1])

    def costs(solve):
        def earlier(u, stage):
            (flow, alpha), seen, k = stage
            one = jax.vmap(lambda u, rho, a: solve(u, densities(grid, rho), a), (0, 1, 1))
            return one(_expected(made, seen, one(u, flow[1], alpha[1]), k), flow[0], alpha[0]), None

        stage = ((flow, control), made.foresee(grid, flow[:, 0, -1], flow[:, 1, 0]), made.digits)
        u = jax.lax.scan(earlier, last, stage, reverse=True)[0][made.root]
        return calculus.integrate(grid, u * flow[0, 0, 0, made.root])

    own = costs(lambda u, flow, alpha: charge(game, grid, u, flow, alpha, h))
    return own, costs(lambda u, flow, alpha: back(game, grid, u, flow, h, quadratic)[0][0])
