"""Euler's method along geodesics."""

from typing import ClassVar

import diffrax
from jaxtyping import ArrayLike, Int

from mckean.dynamics._increments import increments
from mckean.dynamics.particles import begin_particles, check_calculus, displacement, inspect_sums, with_positions
from mckean.dynamics.scheme import AbstractScheme, Stepper
from mckean.faults import Status, sound
from mckean.measures import AbstractMeasure, Particles
from mckean.models import Equation, initial
from mckean.paths import Brownian


class GeodesicEuler(AbstractScheme):
    """Euler's method along geodesics, x ← exp_x(b dt + σ dB_i + Σ_k σ_k dB⁰_k): from each point along a great circle.

    It converges to the Itô solution. A step differs from that of Euler's method with retraction by O(|v|³), as exp_x v
    and N(x + v) have the same normal part −½|v|²x. The order is 1 without noise; with noise the weak order is 1 and the
    strong order 1/2. In R^d and on tori it is Euler's method.

    **Raises:** `ValueError`, at the begin of a run, for noise in the sense of Stratonovich.
    """

    moves: ClassVar[str] = "Particles"

    @property
    def order(self) -> int:
        return 1

    @property
    def pressure(self) -> bool:
        return False

    def accepts(self, measure: AbstractMeasure) -> bool:
        return isinstance(measure, Particles)

    def begin(self, equation: Equation, measure: Particles, dt: float) -> Stepper:
        if initial(equation).has_noise:
            check_calculus(diffrax.Euler(), initial(equation))
        return begin_particles(self, equation, measure, dt)

    def advance(
        self, begun: Stepper, measure: Particles, path: Brownian | None, index: Int[ArrayLike, ""]
    ) -> tuple[Particles, Status]:
        model = begun.at(index)
        noise = increments(model, measure, path, index, begun.dt)
        move = displacement(model, measure, noise, begun.dt)
        positions = measure.space.exponential(measure.positions, move)
        return with_positions(measure, positions), sound(begun.dt.dtype)

    def inspect(self, begun: Stepper, measure: Particles) -> Status:
        return inspect_sums(begun.equation, measure)
