"""Games whose conditional law is a function of one feature: a lattice of environments that meet again.

Where the law of a player given B⁰ is known by one number, θ = F(ρ), all environments that lead to θ at a time lead to
the same law: one will do. Those of constant velocity, B⁰_t = λ√T(1 + t/T), are followed for the λ of a lattice, as if
the noise had acted for as long before the start; so the laws at the start are those of all θ. An increment √Δξ leads
from the law of λ to that with the feature F(ρ_λ∘Φ_ξ⁻¹), which is found on the lattice. The master equation is solved on
(t, θ, x) in this way: its reduction to finitely many dimensions, where it closes. The difference of the two laws says
whether it does.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from mckean.checks import require
from mckean.games._game import Game
from mckean.games._policy import interpolate
from mckean.games._scenarios import AbstractScenarios, carry, widths
from mckean.measures import Density
from mckean.spaces import FourierGrid


class Lattice(AbstractScenarios):
    """A law for each λ; j nodes of the quadrature of an increment.

    `carried`: for each node the values at the points to which the grid's nodes go; `begun` and `moved`: for each λ the
    same for what it does before the start and in a stage.
    """

    places: Float[Array, " s"]
    shares: Float[Array, " j"]
    digits: Int[Array, "stages s"]
    weights: Float[Array, " s"]
    carried: Float[Array, "j n n"]
    begun: Float[Array, "s n n"]
    moved: Float[Array, "s n n"]
    feature: Callable
    horizon: float = eqx.field(static=True)
    root: int = eqx.field(static=True)

    @property
    def environments(self) -> Float[Array, "s stages m"]:
        stages, count = self.digits.shape
        return jnp.broadcast_to(self.places[:, None, None] * self.horizon**0.5 / stages, (count, stages, 1))

    def begin(self, rho: Float[Array, " n"]) -> Float[Array, "s n"]:
        return jnp.einsum("sab,a->sb", self.begun, rho)

    def foresee(self, grid: FourierGrid, before: Float[Array, "stages s ..."], after: Float[Array, "stages s ..."]):
        return jax.vmap(lambda before, after: self._destinies(grid, before, after)[0])(before, after)

    def _destinies(self, grid: FourierGrid, before: Array, after: Array) -> tuple[Array, Array]:
        """The λ to which each increment leads from each law, (s, j), and those laws."""
        theta = jax.vmap(lambda rho: self.feature(Density(grid, rho)))
        end = jnp.einsum("jab,sa->sjb", self.carried, before.reshape(self.places.size, -1))
        known, wanted = theta(after), jax.vmap(theta)(end.reshape(*end.shape[:2], *grid.shape))
        step, sign = self.places[1] - self.places[0], jnp.sign(known[-1] - known[0])

        def find(wanted):
            value = lambda place: interpolate(self.places, known, place)  # noqa: E731

            def improve(_, place):
                off, slope = jax.value_and_grad(value)(place)
                return place - jnp.clip((off - wanted) / slope, -step, step)

            inside = lambda place: jnp.clip(place, self.places[0], self.places[-1])  # noqa: E731
            guess = jnp.interp(sign * wanted, sign * known, self.places)
            return inside(jax.lax.fori_loop(0, 3, lambda i, p: inside(improve(i, p)), guess))

        return jax.vmap(jax.vmap(find))(wanted), end

    def expect(self, seen: Any, u: Float[Array, "s n"], k: Int[Array, " s"]) -> Float[Array, "s n"]:
        values = jax.vmap(jax.vmap(lambda place: interpolate(self.places, u, place)))(seen)
        return jnp.einsum("j,jab,sjb->sa", self.shares, self.carried, values)

    def push(self, rho: Float[Array, "s n"], k: Int[Array, " s"]) -> Float[Array, "s n"]:
        return jnp.einsum("sab,sa->sb", self.moved, rho)

    def _require_monotone(self, grid: FourierGrid, after: Float[Array, "stages s ..."]) -> None:
        """**Raises** `ValueError` for a feature that two laws of the lattice share at a time."""
        theta = np.asarray(jax.vmap(jax.vmap(lambda rho: self.feature(Density(grid, rho))))(after))
        steps = np.diff(theta, axis=1) * np.sign(theta[:, -1:] - theta[:, :1])
        require(
            np.all(steps > 0),
            "the feature of a lattice tells its laws from each other: it must rise with the common noise, or fall; "
            "take another one, or a shorter horizon.",
        )

    def largest_gap(self, grid: FourierGrid, before: Array, after: Array) -> Float[Array, ""]:
        """max E∫|ρ − ρ̂| dx over the stages: ρ the laws to which increments lead, ρ̂ those with their feature."""
        self._require_monotone(grid, after)

        def gap(before, after):
            places, end = self._destinies(grid, before, after)
            flat = after.reshape(self.places.size, -1)
            there = jax.vmap(jax.vmap(lambda place: interpolate(self.places, flat, place)))(places)
            return jnp.einsum("s,j,sjn->", self.weights, self.shares, jnp.abs(end - there)) * grid.cell_volume

        return jnp.max(jax.vmap(gap)(before, after))


def lattice(game: Game, start: Density, stages: int, branches: int, feature: Callable, size: int) -> Lattice:
    """So many λ from −4 to 4, and so many nodes for an increment."""
    require(sum(widths(game, start)) == 1, "a lattice is one of a single feature: B⁰ has one component.")
    value = feature(start)
    require(jnp.shape(value) == (), f"the feature of a lattice is one number, not an array {jnp.shape(value)}.")
    require(size % 2 == 1 and size >= 7, f"a lattice has an odd number of laws, 7 or more, not {size}.")
    places = jnp.linspace(-4.0, 4.0, size)
    node, weight = np.polynomial.hermite_e.hermegauss(branches)
    root = game.end**0.5
    made = (jnp.asarray(node) * (game.end / stages) ** 0.5, places * root, places * root / stages)
    carried, begun, moved = (carry(game, start, one[:, None]) for one in made)
    weights = jnp.exp(-(places**2) / 2)
    shares, digits = jnp.asarray(weight / weight.sum()), jnp.zeros((stages, size), int)
    return Lattice(
        digits=digits,
        weights=weights / jnp.sum(weights),
        root=size // 2,
        places=places,
        shares=shares,
        carried=carried,
        begun=begun,
        moved=moved,
        feature=feature,
        horizon=game.end,
    )
