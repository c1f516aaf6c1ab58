"""A deep network as an evolution: one layer a step."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int

from mckean import interactions
from mckean.checks import require
from mckean.dynamics._increments import common_increment
from mckean.dynamics.particles import begin_particles, inspect_sums, with_positions
from mckean.dynamics.scheme import AbstractScheme, Stepper
from mckean.faults import Status, sound
from mckean.interactions import AbstractField
from mckean.interactions.parameters import parameter
from mckean.measures import AbstractMeasure, Particles
from mckean.models import Equation, Model, initial, require_model
from mckean.paths import Brownian


class Layers(AbstractScheme):
    """One layer of a random network in each step: its parts in turn, each with its own residual connection and
    normalisation.

        x ← N(x + b(x, μ) dt + σ_1(x, μ) dB¹),   x ← N(x + σ_2(x, μ) dB²), …

    The parts have the order of `common`: attention (`Heads`), then neurons (`Neurons`), as in a Transformer. N is the
    retraction of the space: x/|x| on the sphere (post-normalisation), the identity in R^d, where `PreNormalised` parts
    make a network with pre-normalisation. As in real networks, a vector of R^d is added, not its tangent part. The step
    is dt = η²/H in the clock s = Lη²/H of `mckean.models.heads`. With a drift it is dt = η in the clock t = Lη, and the
    noise has intensity η/H.

    As dt → 0 at a fixed time the network tends to the Itô solution of the model, with weak order 1, if the covariance
    of the noise at a point is a multiple of the identity (`Heads`, `Neurons`): N(x + v) has the term −⟨x, v⟩P_xv, and
    its mean is then zero. Without noise the order is 1, and 2 for the flow that `modified` gives.

    **Raises:** `ValueError`, at the begin of a run, for an own noise of the tokens, and for noise in the sense of
    Stratonovich.
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
        model = initial(equation)
        require(model.noise is None, "tokens share the weights of a layer: a network has no noise of their own.")
        require(
            all(part.ito_is_stratonovich or part.calculus == "ito" for part in model.common),
            "the layers of a network are increments in the sense of Itô, but the model's noise is meant in that of "
            "Stratonovich.",
        )
        return begin_particles(self, equation, measure, dt)

    def advance(
        self, begun: Stepper, measure: Particles, path: Brownian | None, index: Int[ArrayLike, ""]
    ) -> tuple[Particles, Status]:
        model, dt = begun.at(index), begun.dt
        move = (
            dt * model.ambient_velocity(measure.positions, measure) if model.has_velocity else jnp.zeros((), dt.dtype)
        )
        if not model.common:
            return _add(measure, move), sound(dt.dtype)
        for part, increment in model.common_parts(measure, common_increment(model, measure, path, index, dt)):
            measure = _add(measure, move + part.displacement(measure.positions, measure, increment))
            move = jnp.zeros((), dt.dtype)
        return measure, sound(dt.dtype)

    def inspect(self, begun: Stepper, measure: Particles) -> Status:
        return inspect_sums(begun.equation, measure)


def _add(mu: Particles, move: Float[Array, "..."]) -> Particles:
    return with_positions(mu, mu.space.retract(mu.positions + move))


def modified(model: Model, dt: float) -> Model:
    """The deterministic model, without noise, that layers of step dt follow to O(dt²) at a given time. Its drift is

        Pb − dt(½∇_{Pb}Pb + ⟨x, b⟩Pb),

    ∇ along the motion of all tokens: N(x + b dt) = x + Pb dt − (½|Pb|²x + ⟨x, b⟩Pb)dt² + O(dt³), against the flow of a
    field f, x + f dt + ½(∇_ff − |f|²x)dt² + O(dt³). The last term is due to the radial part of b; layers that add
    tangent vectors have none, and follow b − (dt/2)∇_bb.
    **Raises** `ValueError`, when used, but for particles on the model's space.
    """
    require_model(model)
    still = eqx.tree_at(lambda m: (m.common, m.noise), model, ((), None), is_leaf=lambda v: v is None)
    return Model(model.space, drift=_ModifiedDrift(still, dt))


class _ModifiedDrift(AbstractField):
    model: Model
    dt: Float[Array, ""] = eqx.field(converter=parameter)

    def __call__(self, x: interactions.Points, mu: AbstractMeasure) -> Float[Array, "n d"]:
        if not isinstance(mu, Particles):
            raise ValueError(f"layers move particles, not a {type(mu).__name__}.")
        model, space, x = self.model, self.model.space, interactions.at(x, mu)
        at = lambda y: eqx.tree_at(lambda p: p.positions, mu, y)  # noqa: E731
        moving = (model.velocity(mu.positions, mu), model.velocity(x, mu))
        field, change = jax.jvp(lambda y, z: model.velocity(z, at(y)), (mu.positions, x), moving)
        radial = model.ambient_velocity(x, mu) - field
        return field - self.dt * (0.5 * space.project(x, change) + jnp.sum(x * radial, axis=1, keepdims=True) * field)
