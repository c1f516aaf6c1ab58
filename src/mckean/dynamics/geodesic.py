"""Euler's method along geodesics."""

import diffrax
import equinox as eqx
from jaxtyping import Array, ArrayLike, Float, Int

from mckean.dynamics.particles import AbstractParticleScheme, check_calculus, displaced, increments
from mckean.measures import Particles
from mckean.models import Model
from mckean.paths import Brownian


class GeodesicEuler(AbstractParticleScheme):
    """x ← exp_x(b dt + σ dB_i + Σ_k σ_k dB⁰_k), from each point along a great circle.

    Converges to the Itô solution, like Euler's method with a retraction, from which a step differs by O(|v|³): exp_x v
    and N(x + v) have the same normal part −½|v|²x. Order 1 without noise; weak order 1, strong order 1/2. In R^d and on
    tori it is Euler's method.

    **Raises** `ValueError`, when used, for noise that is meant in the sense of Stratonovich.
    """

    @property
    def order(self) -> int:
        return 1

    def check(self, model: Model, measure: Particles, dt: float) -> None:
        if model.has_noise:
            check_calculus(diffrax.Euler(), model)
        super().check(model, measure, dt)

    def step(
        self,
        model: Model,
        measure: Particles,
        prepared: None,
        path: Brownian | None,
        index: Int[ArrayLike, ""],
        dt: Float[Array, ""],
    ) -> Particles:
        move = displaced(model, measure, increments(model, measure, path, index, dt), dt)
        return eqx.tree_at(lambda p: p.positions, measure, measure.space.exponential(measure.positions, move))
